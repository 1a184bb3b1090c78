package kit

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/goccy/go-yaml"
)

// Where a service publishes its OpenAPI document.
const (
	DocumentJSON = "/openapi.json"
	DocumentYAML = "/openapi.yaml"
)

// Document is a service's OpenAPI document in both of its forms.
type Document struct{ json, yaml form }

// form is one representation, ready to be sent.
type form struct {
	mediaType, etag string
	text            []byte
}

// ParseDocument reads an OpenAPI document that is written in YAML. Its JSON form keeps the order of members.
func ParseDocument(text []byte) (*Document, error) {
	converted, err := yaml.YAMLToJSON(text)
	if err != nil {
		return nil, fmt.Errorf("read the OpenAPI document: %w", err)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, converted); err != nil {
		return nil, fmt.Errorf("turn the OpenAPI document into JSON: %w", err)
	}
	var head struct {
		OpenAPI string `json:"openapi"`
	}
	if err := json.Unmarshal(compact.Bytes(), &head); err != nil || head.OpenAPI == "" {
		return nil, errors.New("read the OpenAPI document: it does not say its version in openapi")
	}
	return &Document{
		json: newForm("application/json", compact.Bytes()),
		yaml: newForm("application/yaml", text), // RFC 9512
	}, nil
}

func newForm(mediaType string, text []byte) form {
	return form{mediaType: mediaType, etag: fmt.Sprintf(`"%x"`, sha256.Sum256(text)), text: text}
}

// Document publishes the service's OpenAPI document to everybody, as JSON and as YAML.
func (rt *Router) Document(document *Document) {
	rt.publish(DocumentJSON, document.json)
	rt.publish(DocumentYAML, document.yaml)
}

func (rt *Router) publish(path string, f form) {
	rt.mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			rt.fail(w, r, methodNotAllowed(r.Method, http.MethodGet, http.MethodHead))
			return
		}
		header := w.Header()
		header.Set("Content-Type", f.mediaType)
		header.Set("Cache-Control", "no-cache") // may be kept, and is asked about each time
		header.Set("ETag", f.etag)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.text))
	})
}
