package apidocs

import (
	"bytes"
	"errors"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"yett/internal/exchange"
	"yett/internal/openapi"
)

// covers tells whether what the service says of an answer holds for the gateway's refusals
// too, as where both have the same shape of errors: then nothing has to be added. A schema
// which says so little of error.code that it may be anything tells nobody about it, and covers
// nothing. It is looked at for schemas that are referred to, which are few.
func (m *merger) covers(im *importer, written *openapi.Node, reasons []*exchange.Reason) bool {
	ref := jsonOf(written.Get("content")).At("schema").Str("$ref")
	node, err := im.from.Resolve(ref)
	if ref == "" || err != nil {
		return false
	}
	for _, r := range reasons {
		key := coverKey{node, r}
		known, ok := m.cover[key]
		if !ok {
			known = im.describes(node, ref, errorExample(r))
			m.cover[key] = known
		}
		if !known {
			return false
		}
	}
	return true
}

// describes tells whether a schema of the document is about errors such as this one: it
// accepts it, but not with a number in place of the error, or of its code.
func (im *importer) describes(node *openapi.Node, ref string, example *openapi.Node) bool {
	number := example.Clone()
	number.Set("error", openapi.NewInt(1))
	ofNumber := example.Clone()
	ofNumber.Get("error").Set("code", openapi.NewInt(1))
	return im.accepts(node, ref, example) && !im.accepts(node, ref, number) && !im.accepts(node, ref, ofNumber)
}

// accepts tells whether a schema of the document accepts a value.
func (im *importer) accepts(node *openapi.Node, ref string, value *openapi.Node) bool {
	schema, known := im.schemas[node]
	if !known {
		schema = im.compile(ref)
		im.schemas[node] = schema
	}
	if schema == nil {
		return false
	}
	decoded, err := jsonschema.UnmarshalJSON(bytes.NewReader(value.AppendJSON(nil, "")))
	return err == nil && schema.Validate(decoded) == nil
}

// How many nodes the schema of an error may have, and all those of a document, so that it is
// compiled: none that people have written has as many.
const (
	mostOfError  = 20_000
	mostOfErrors = 500_000
)

// compile compiles a schema of the document, with nothing of it but what the schema refers to.
// It returns nil where that can't be done.
func (im *importer) compile(ref string) *jsonschema.Schema {
	b := &budget{most: bounds{nodes: min(mostOfError, mostOfErrors-im.examined), bytes: usual.bytes}, stop: im.into.budget.stop}
	parts := newComponents(b)
	alone := newImporter(im.from, "", parts, make(counter), im.special)
	why := within(func() {
		ref = alone.reference(ref, openapi.PartSchema)
		alone.drain()
	})
	im.examined += b.spent.nodes + b.copied
	switch why {
	case stopped:
		panic(stopped)
	case tooLarge:
		return nil
	}
	c := jsonschema.NewCompiler()
	c.UseLoader(nothing{})
	const url = "mem:document"
	if c.AddResource(url, openapi.NewObject("components", parts.node()).Any()) != nil {
		return nil
	}
	schema, err := c.Compile(url + "#" + strings.TrimPrefix(ref, "#"))
	if err != nil {
		return nil
	}
	return schema
}

// nothing loads nothing: what a document refers to stands in it.
type nothing struct{}

func (nothing) Load(string) (any, error) {
	return nil, errors.New("references lead out of the document")
}
