package cli

import (
	"os"
	"strings"
	"testing"
)

// What the policy validate goes by is told, and what it finds.
func TestExplainValidate(t *testing.T) {
	path := folder(t, map[string]string{
		"openapi.yaml": "openapi: 3.1.0\ninfo: {title: t, version: '1'}\npaths: {\"/tickets/{id}\": {get: {parameters: [{name: id, in: path, required: true, schema: {type: integer}}], responses: {default: {description: d}}}}}\n",
		"yett.yaml": `
listeners: [{address: "127.0.0.1:0"}]
services:
  crm: {targets: ["http://127.0.0.1:1"], openapi: {file: openapi.yaml}}
  later: {targets: ["http://127.0.0.1:1"], openapi: {path: /openapi.json}}
policies: {validate: {mode: MODE}}
routes:
  - {name: crm, path: /crm/**, auth: none, service: crm, forward: {strip_prefix: /crm}}
  - {name: later, path: /later, auth: none, service: later}
`})
	name := path("yett.yaml")
	for _, tt := range []struct {
		mode, url string
		want      []string
	}{
		{"enforce", "/crm/tickets/7", []string{"operation GET /tickets/{id} of crm"}},
		{"enforce", "/crm/tickets/x", []string{"operation GET /tickets/{id} of crm", "request_invalid", "path /id: has to be a whole number"}},
		{"observe", "/crm/tickets/x", []string{"operation GET /tickets/{id} of crm", "request_invalid", "is sent"}},
		{"enforce", "/crm/nothing", []string{"the document of crm does not know it", "is sent"}},
		{"enforce", "/later", []string{"there is no document of later yet, so nothing is checked"}},
	} {
		rewrite(t, name, "MODE", tt.mode)
		got := call(t, nil, "explain", "-c", name, "GET", tt.url)
		rewrite(t, name, "mode: "+tt.mode, "mode: MODE")
		for _, want := range tt.want {
			if !strings.Contains(got.stdout, want) {
				t.Errorf("%s, %s: %q is not in\n%s%s", tt.mode, tt.url, want, got.stdout, got.stderr)
			}
		}
	}
}

// rewrite replaces a text in a file.
func rewrite(t *testing.T, name, old, with string) {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(strings.Replace(string(text), old, with, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
}
