package apidocs

import (
	"strings"
	"testing"

	"yett/internal/openapi"
)

// What a service says for its own people, and what would harm those who read it, stays out,
// wherever it stands.
func TestOnlyWhatIsForEverybody(t *testing.T) {
	const x = `"x-internal": "SECRET", "x-owner": {"team": "SECRET"}`
	const bad = `"externalDocs": {"url": "javascript:alert(1)"}`
	paths := `{"/t": {` + x + `, "post": {` + x + `, ` + bad + `, "operationId": "op", "summary": "S", "description": "See [this](JavaScript:alert(1)) and [that](https://example.org).", "x-deprecated": "2026",
	  "parameters": [{` + x + `, "name": "q", "in": "query", "schema": {` + x + `, "type": "string", "enum": ["a"], "x-enumNames": ["A"]}, "examples": {"e": {` + x + `, "value": "a"}, "f": {"externalValue": "file:///etc/passwd"}}}],
	  "requestBody": {` + x + `, "content": {"application/json": {` + x + `, "encoding": {"p": {` + x + `, "contentType": "text/plain"}}, "schema": {"$ref": "#/components/schemas/S"}}}},
	  "responses": {` + x + `, "200": {` + x + `, "description": "D", "headers": {"H": {` + x + `, "schema": {"type": "string"}}}, "links": {"l": {` + x + `, "operationId": "op", "server": {"url": "https://SECRET.internal"}}}},
	    "201": {"$ref": "#/components/responses/R"}},
	  "callbacks": {"c": {` + x + `, "{$request.body#/url}": {` + x + `, "post": {` + x + `, "responses": {` + x + `, "200": {` + x + `, "description": "D"}}}}}}}}}`
	parts := `{"schemas": {"S": {` + x + `, ` + bad + `, "type": "object", "xml": {` + x + `, "name": "s"}, "discriminator": {` + x + `, "propertyName": "k"}, "required": ["k"],
	    "properties": {"k": {"type": "string"}, "x-kept": {"type": "string", "externalDocs": {` + x + `, "url": "https://example.org/x"}}}}},
	  "responses": {"R": {` + x + `, "description": "R"}},
	  "securitySchemes": {"oidc": {` + x + `, "type": "openIdConnect", "openIdConnectUrl": "javascript:alert(1)"},
	    "oauth": {` + x + `, "type": "oauth2", "flows": {` + x + `, "implicit": {"authorizationUrl": "data:text/html,x", "scopes": {}}, "clientCredentials": {` + x + `, "tokenUrl": "https://example.org/token", "scopes": {}}}}}}`
	m := merge(t, services("app")+all, files{"app.json": doc(paths, parts,
		"security", `[{"oidc": []}, {"oauth": []}]`, "x-root", `"SECRET"`, "externalDocs", `{"url": "file:///SECRET"}`, "tags", `[{"name": "t", "x-tag": "SECRET"}]`)})
	text := jsonText(m.Document)
	for _, wrong := range []string{"SECRET", "x-internal", "x-owner", "javascript:", "JavaScript:", "file:", "data:text"} {
		if strings.Contains(text, wrong) {
			at := strings.Index(text, wrong)
			t.Errorf("%s is told: …%s…", wrong, text[max(0, at-200):min(len(text), at+50)])
		}
	}
	op, root := operation(m, "POST /t"), m.Document.Root
	wantAt(t, op, `"2026"`, "x-deprecated")
	wantAt(t, op, "[A]", "parameters", "0", "schema", "x-enumNames")
	if d := op.Str("description"); !strings.Contains(d, "[that](https://example.org)") || !strings.Contains(d, "[this](unsafe:alert(1))") {
		t.Errorf("it says %q", d)
	}
	wantAt(t, root, `{type: string, externalDocs: {url: "https://example.org/x"}}`, "components", "schemas", "app.S", "properties", "x-kept")
	wantAt(t, root, `{name: s}`, "components", "schemas", "app.S", "xml")
	wantAt(t, root, `{type: oauth2, flows: {}}`, "components", "securitySchemes", "app.oidc")
	wantAt(t, root, `{clientCredentials: {tokenUrl: "https://example.org/token", scopes: {}}}`, "components", "securitySchemes", "app.oauth", "flows")
	wantAt(t, root, `{operationId: app.op}`, "paths", "/t", "post", "responses", "200", "links", "l")
}

func TestIsWebAddress(t *testing.T) {
	for text, want := range map[string]bool{
		"https://example.org": true, "HTTP://example.org": true, "/docs": true, "docs/x": true, "": false,
		"javascript:alert(1)": false, "JAVASCRIPT:x": false, " javascript:x": false, "java\tscript:x": false, "data:text/html,x": false, "file:///etc": false, "mailto:a@example.org": false, "vbscript:x": false,
	} {
		if isWebAddress(text) != want {
			t.Errorf("%q: %v", text, !want)
		}
	}
}

func TestHarmless(t *testing.T) {
	for text, want := range map[string]string{
		"[a](javascript:x)": "[a](unsafe:x)", "[a](< data:x>)": "[a](<unsafe:x>)", "[a]: vbscript:x": "[a]: unsafe:x", "<javascript:x>": "<unsafe:x>", `<a HREF = "javascript:x">`: `<a HREF = "unsafe:x">`,
		"data: 1": "data: 1", "[a](https://x/javascript:)": "[a](https://x/javascript:)", "": "",
	} {
		if got := harmless(openapi.NewString(text)).Text; got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
}
