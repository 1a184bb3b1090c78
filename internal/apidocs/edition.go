package apidocs

import (
	"sync"

	"yett/internal/apidocs/ui"
	"yett/internal/openapi"
)

// Edition is one document in all its forms. What is seldom asked for is written when it is
// asked for the first time.
type Edition struct {
	Merged                         *Merged
	json31, yaml31, json30, yaml30 func() *ui.File
}

// The content types of documents (RFC 9512 for the latter).
const (
	typeJSON = "application/json; charset=utf-8"
	typeYAML = "application/yaml; charset=utf-8"
)

func newEdition(m *Merged) *Edition {
	older := sync.OnceValue(func() *openapi.Node { return m.Document.Downgrade().Root })
	file := func(write func() []byte, contentType string) func() *ui.File {
		return sync.OnceValue(func() *ui.File { return ui.NewFile(write(), contentType) })
	}
	return &Edition{
		Merged: m,
		json31: file(func() []byte { return m.Document.Root.AppendJSON(nil, "") }, typeJSON),
		yaml31: file(func() []byte { return m.Document.Root.AppendYAML(nil) }, typeYAML),
		json30: file(func() []byte { return older().AppendJSON(nil, "") }, typeJSON),
		yaml30: file(func() []byte { return older().AppendYAML(nil) }, typeYAML),
	}
}

// Operations returns how many operations the document has.
func (e *Edition) Operations() int { return len(e.Merged.Document.Operations()) }

// File returns the document as callers get it: version is 3.0 or 3.1, "" for the latter.
func (e *Edition) File(version string, yaml bool) *ui.File {
	switch {
	case version == openapi.Version30 && yaml:
		return e.yaml30()
	case version == openapi.Version30:
		return e.json30()
	case yaml:
		return e.yaml31()
	}
	return e.json31()
}
