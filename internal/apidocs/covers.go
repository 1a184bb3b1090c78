package apidocs

import (
	"bytes"
	"errors"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"yett/internal/exchange"
	"yett/internal/openapi"
)

// covers tells whether what the service says of an answer holds for the gateway's refusals
// too, as where both have the same shape of errors: then nothing has to be added. It is
// known for components, which are few.
func (m *merger) covers(im *importer, written *openapi.Node, reasons []*exchange.Reason) bool {
	ref := im.from.Deref(written).At("content", "application/json", "schema").Str("$ref")
	if ref == "" {
		return false
	}
	for _, r := range reasons {
		key := im.prefix + " " + ref + " " + r.Name
		known, ok := m.cover[key]
		if !ok {
			known = im.accepts(ref, errorExample(r))
			m.cover[key] = known
		}
		if !known {
			return false
		}
	}
	return true
}

const documentURL = "mem:document"

// accepts tells whether a schema of the document accepts a value.
func (im *importer) accepts(ref string, value *openapi.Node) bool {
	if im.schemas == nil {
		im.schemas = jsonschema.NewCompiler()
		im.schemas.UseLoader(nothing{})
		if err := im.schemas.AddResource(documentURL, im.from.Root.Any()); err != nil {
			return false
		}
	}
	schema, err := im.schemas.Compile(documentURL + ref)
	if err != nil {
		return false
	}
	decoded, err := jsonschema.UnmarshalJSON(bytes.NewReader(value.AppendJSON(nil, "")))
	return err == nil && schema.Validate(decoded) == nil
}

// nothing loads nothing: what a document refers to stands in it.
type nothing struct{}

func (nothing) Load(string) (any, error) {
	return nil, errors.New("references lead out of the document")
}
