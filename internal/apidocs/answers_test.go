package apidocs

import (
	"slices"
	"strings"
	"testing"
)

// tokens is what configurations with callers have.
const tokens = `
issuers: {main: {issuer: i, audience: a, keys: [{secret: "0123456789abcdef0123456789abcdef"}]}}
roles: {admin: {level: 10}, user: {level: 1}}
identity_headers: [X-User-ID]
policies: {request_id: {}, jwt: {}, identity: {}}
`

// statuses lists the answers of an operation.
func statuses(n *node) string {
	var all []string
	for _, r := range n.Get("responses").Pairs() {
		all = append(all, r.Name)
	}
	return strings.Join(all, " ")
}

// guarded makes paths with one operation, with what it says of security.
func guarded(security string) string {
	if security != "" {
		security = `, "security": ` + security
	}
	return `{"/t": {"get": {"responses": {"200": {"description": "Fine"}}` + security + `}}}`
}

// What callers have to bring is what the gateway asks for, and what the service asks for
// beside that.
func TestSecurity(t *testing.T) {
	const schemes = `{"securitySchemes": {"token": {"type": "http", "scheme": "Bearer"}, "key": {"type": "apiKey", "in": "header", "name": "X-Key"}, "q": {"type": "apiKey", "in": "query", "name": "access_token"},
	  "login": {"type": "oauth2", "flows": {"clientCredentials": {"tokenUrl": "https://x/t", "scopes": {"read": "r"}}}}}}`
	for _, tt := range []struct{ name, auth, policies, security, want, schemes string }{
		{"none", "none", "", "", "[]", ""},
		{"required", "required", "", "", "[{bearerAuth: []}]", "bearerAuth"},
		{"optional", "optional", "", "", "[{bearerAuth: []}, {}]", "bearerAuth"},
		{"cookie and query", "required", "jwt: {cookie: sid, query: access_token}", "", "[{bearerAuth: []}, {cookie_sid: []}, {query_access_token: []}]", "bearerAuth cookie_sid query_access_token"},
		{"service's own", "none", "", `[{"token": []}]`, "[{bearerAuth: []}]", "bearerAuth"},
		{"service's own key", "none", "", `[{"key": []}, {}]`, "[{app.key: []}, {}]", "app.key"},
		{"optional and the service's own key", "optional", "", `[{"key": []}]`, "[{bearerAuth: [], app.key: []}, {app.key: []}]", "app.key bearerAuth"},
		{"a cookie is no bearer token", "required", "jwt: {cookie: sid}", `[{"token": []}]`, "[{bearerAuth: []}]", "bearerAuth"},
		{"the same token", "required", "", `[{"token": []}]`, "[{bearerAuth: []}]", "bearerAuth"},
		{"both", "required", "", `[{"key": []}]`, "[{bearerAuth: [], app.key: []}]", "app.key bearerAuth"},
		{"scopes", "required", "", `[{"login": ["read"]}]`, "[{bearerAuth: [], app.login: [read]}]", "app.login bearerAuth"},
		{"more than enough", "required", "", `[{"token": []}, {"token": [], "key": []}]`, "[{bearerAuth: []}]", "bearerAuth"},
		{"the query's token", "required", "jwt: {query: access_token}", `[{"q": []}]`, "[{query_access_token: []}]", "query_access_token"},
		{"taken back", "optional", "", `[]`, "[{bearerAuth: []}, {}]", "bearerAuth"},
		{"observe", "required", "jwt: {mode: observe}", "", "[{bearerAuth: []}, {}]", "bearerAuth"},
		{"role", "required", "rbac: {min_role: admin}", "", "[{bearerAuth: []}]", "bearerAuth"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			conf := tokens + services("app") + "routes: [{name: a, path: /t, auth: " + tt.auth + ", service: app, policies: {" + tt.policies + "}}]\n"
			m := merge(t, conf, files{"app.json": doc(guarded(tt.security), schemes)})
			want := value(t, tt.want)
			if got := operation(m, "GET /t").Get("security"); !got.Equal(want) {
				t.Errorf("%s, want %s", got.AppendJSON(nil, ""), tt.want)
			}
			var names []string
			for _, c := range m.Document.Root.At("components", "securitySchemes").Pairs() {
				names = append(names, c.Name)
			}
			if strings.Join(names, " ") != tt.schemes {
				t.Errorf("schemes: %v", names)
			}
		})
	}
}

// Who may call, and how often, is said in words and for programs.
func TestFacts(t *testing.T) {
	const paths = `{"/t": {"post": {"description": "Own words.", "x-yett": "forged", "x-own": 1, "security": [], "parameters": [
	  {"name": "x-user-id", "in": "header", "schema": {"type": "string"}}, {"name": "X-Forwarded-For", "in": "header", "schema": {"type": "string"}}, {"name": "X-Mine", "in": "header", "schema": {"type": "string"}}],
	  "requestBody": {"content": {"application/json": {}}}, "responses": {"201": {"description": "Made", "headers": {"x-request-id": {"schema": {"$ref": "#/components/schemas/Gone"}}}}}},
	  "get": {"responses": {"200": {"description": "Fine"}}}}}`
	m := merge(t, tokens+services("app")+`
limits: {few: {limit: 5, window: 1m, by: ip}}
routes: [{name: a, path: /t, auth: required, service: app, limits: {body: 1KB, require_length: true}, policies: {ratelimit: {limits: few}, rbac: {min_role: admin, scopes: {all_of: [write]}}}}]
`, files{"app.json": doc(paths, `{"schemas": {"Gone": {"type": "string"}}}`)})
	post, get := operation(m, "POST /t"), operation(m, "GET /t")
	for _, words := range []string{"Own words.\n\n**Who may call**", "admin", "5 in", "1024 bytes"} {
		if !strings.Contains(post.Str("description"), words) {
			t.Errorf("%q is not in %q", words, post.Str("description"))
		}
	}
	wantAt(t, post, "a", "x-yett", "route")
	wantAt(t, post, "[admin]", "x-yett", "roles")
	wantAt(t, post, "[write]", "x-yett", "scopes")
	wantAt(t, post, "few", "x-yett", "limits", "0", "name")
	wantAt(t, post, "1024", "x-yett", "maxBodyBytes")
	wantAt(t, post, "", "x-own")
	wantAt(t, post, "X-Mine", "parameters", "0", "name")
	if text := strings.ToLower(string(post.Get("parameters").AppendJSON(nil, ""))); strings.Contains(text, "x-user-id") || strings.Contains(text, "x-forwarded") {
		t.Errorf("callers can't send some of %s", text)
	}
	if got := statuses(post); got != "201 401 403 411 413 429 502 503 504 default" {
		t.Errorf("POST: %s", got)
	}
	if got := statuses(get); got != "200 401 403 429 502 503 504 default" {
		t.Errorf("GET: %s", got)
	}
	wantAt(t, post, `{$ref: "#/components/headers/X-Request-ID"}`, "responses", "201", "headers", "X-Request-ID")
	wantAt(t, post, "", "responses", "201", "headers", "x-request-id")
	d := m.Document
	for status, headers := range map[string][]string{"401": {"WWW-Authenticate"}, "429": {"Retry-After", "RateLimit-Policy", "RateLimit-Remaining"}, "503": {"Retry-After"}, "200": {"RateLimit-Limit"}} {
		r := d.Deref(get.At("responses", status))
		for _, name := range append(headers, "X-Request-ID") {
			if r.At("headers", name) == nil {
				t.Errorf("%s has no %s", status, name)
			}
		}
	}
	if d.Deref(get.At("responses", "403")).At("headers", "Retry-After") != nil {
		t.Error("403 tells when to come back")
	}
	wantAt(t, d.Deref(get.At("responses", "429")), "429", "content", "application/json", "examples", "RATE_LIMIT_EXCEEDED", "value", "error", "status")
	wantAt(t, d.Root, `"#/components/responses/Gateway429"`, "paths", "/t", "get", "responses", "429", "$ref")
}

// An answer of the service is the gateway's as well, unless its schema says so already.
func TestJoined(t *testing.T) {
	const schemas = `{"schemas": {"Own": {"type": "object", "required": ["mine"]}, "Same": {"type": "object", "required": ["error"], "properties": {"error": {"$ref": "#/components/schemas/Body"}}},
	  "Vague": {"type": "object", "properties": {"reason": {"type": "string"}}}, "Half": {"type": "object", "required": ["error"], "properties": {"error": {"type": "object"}}},
	  "Body": {"type": "object", "required": ["code", "message"], "properties": {"code": {"type": "string"}, "status": {"type": "integer"}}}}}`
	content := func(schema string) string {
		return `{"description": "Bad.", "content": {"application/json": {"schema": ` + schema + `}}}`
	}
	const vague, half = `{"$ref": "#/components/schemas/Vague"}`, `{"$ref": "#/components/schemas/Half"}`
	const own, same, inline = `{"$ref": "#/components/schemas/Own"}`, `{"$ref": "#/components/schemas/Same"}`, `{"type": "object"}`
	const ownAs, gateway = `{$ref: "#/components/schemas/app.Own"}`, `{$ref: "#/components/schemas/GatewayError"}`
	for _, tt := range []struct{ name, answers, status, want string }{
		{"another shape", `"502": ` + content(own), "502", "{anyOf: [" + ownAs + ", " + gateway + "]}"},
		{"the same shape", `"502": ` + content(same), "502", `{$ref: "#/components/schemas/app.Same"}`},
		{"a schema that says nothing of errors", `"502": ` + content(vague), "502", "{anyOf: [{$ref: '#/components/schemas/app.Vague'}, " + gateway + "]}"},
		{"a schema that says nothing of codes", `"502": ` + content(half), "502", "{anyOf: [{$ref: '#/components/schemas/app.Half'}, " + gateway + "]}"},
		{"default that says nothing of codes", `"default": ` + content(half), "502", "{anyOf: [{$ref: '#/components/schemas/app.Half'}, " + gateway + "]}"},
		{"inline", `"502": ` + content(inline), "502", "{anyOf: [{type: object}, " + gateway + "]}"},
		{"anything", `"502": {"description": "Bad", "content": {"application/json": {}}}`, "502", ""},
		{"no content", `"502": {"description": "Bad"}`, "502", gateway},
		{"another type", `"502": {"description": "Bad", "content": {"text/plain": {}}}`, "502", gateway},
		{"a status of the service", `"404": ` + content(own), "404", ownAs},
		{"default", `"default": ` + content(own), "default", "{anyOf: [" + ownAs + ", " + gateway + "]}"},
		{"default for a refusal", `"default": ` + content(own), "502", "{anyOf: [" + ownAs + ", " + gateway + "]}"},
		{"default of the same shape", `"default": ` + content(same), "502", gateway},
		{"a range", `"5xx": ` + content(own), "504", "{anyOf: [" + ownAs + ", " + gateway + "]}"},
		{"a range itself", `"5XX": ` + content(own), "5XX", "{anyOf: [" + ownAs + ", " + gateway + "]}"},
		{"another range", `"4XX": ` + content(own), "504", gateway},
	} {
		t.Run(tt.name, func(t *testing.T) {
			paths := `{"/t": {"get": {"security": [], "responses": {"200": {"description": "Fine"}, ` + tt.answers + `}}, "put": {"responses": {"200": {"description": "Fine"}, ` + tt.answers + `}}}}`
			m := merge(t, services("app")+all, files{"app.json": doc(paths, schemas)})
			for _, key := range []string{"GET /t", "PUT /t"} {
				r := m.Document.Deref(operation(m, key).At("responses", tt.status))
				got := r.At("content", "application/json", "schema")
				if tt.want == "" && got != nil || tt.want != "" && !got.Equal(value(t, tt.want)) {
					t.Errorf("%s: %s, want %s", key, got.AppendJSON(nil, ""), tt.want)
				}
				if tt.status != "404" && tt.want != gateway && !strings.Contains(r.Str("description"), "From the gateway: ") {
					t.Errorf("it says %q", r.Str("description"))
				}
			}
			for _, c := range m.Document.Root.At("components", "responses").Pairs() {
				if strings.HasSuffix(c.Name, "_2") {
					t.Errorf("%s is there twice", c.Name)
				}
			}
		})
	}
}

// What the gateway answers itself, and where no service is called nothing can come of that.
func TestOwnRoutes(t *testing.T) {
	m := merge(t, tokens+services("app")+`
routes:
  - {name: hello-world, path: [/hello, "/hello/{who}"], methods: [GET, POST, OPTIONS], auth: none, policies: {respond: {status: 202, json: {a: "{path.who|x}"}}}}
  - {name: health, path: /health/**, auth: none, endpoint: health}
  - {name: limits, path: /limits, methods: [GET, DELETE], auth: required, endpoint: limits, policies: {rbac: {min_role: admin}}}
  - {name: taken, path: /taken/**, auth: required, endpoint: services, policies: {rbac: {min_role: admin}}}
  - {name: secret, path: /secret, auth: none, endpoint: health, docs: hidden}
  - {name: deeper, path: /deep/**, auth: none, policies: {respond: {text: deep}}}
  - {name: before, path: /deep, auth: none, service: app}
  - {name: star, path: "*", auth: none, policies: {respond: {text: star}}}
  - {name: root, path: /, auth: none, policies: {respond: {status: 204}}}
`, files{"app.json": doc(`{}`, "")})
	var paths []string
	for _, p := range m.Document.Root.Get("paths").Pairs() {
		paths = append(paths, p.Name)
	}
	if want := []string{"/hello", "/hello/{who}", "/health", "/limits", "/"}; !slices.Equal(paths, want) {
		t.Errorf("%v, want %v", paths, want)
	}
	hello := operation(m, "POST /hello/{who}")
	wantAt(t, hello, "gatewayHelloWorldPost_2", "operationId")
	wantAt(t, hello, "object", "responses", "202", "content", "application/json", "schema", "type")
	if !strings.Contains(string(hello.Get("parameters").AppendJSON(nil, "")), `"name":"who","in":"path"`) {
		t.Error("the path's value is not declared")
	}
	wantAt(t, operation(m, "GET /health"), "deep", "parameters", "0", "name")
	wantAt(t, operation(m, "GET /health"), `{$ref: "#/components/schemas/GatewayHealth"}`, "responses", "200", "content", "application/json", "schema")
	if operation(m, "POST /limits") != nil || operation(m, "DELETE /limits") == nil {
		t.Error("the methods of limits are not those of its route")
	}
	wantAt(t, operation(m, "GET /"), "", "responses", "204", "content")
	if got := statuses(operation(m, "GET /")); got != "204 default" {
		t.Errorf("GET /: %s", got)
	}
	wantAt(t, m.Document.Root, "gateway", "tags", "0", "name")
}

// A service may have the name under which the gateway's own stands.
func TestTags(t *testing.T) {
	m := merge(t, services("gateway")+"routes: [{name: a, path: /t, auth: none, service: gateway}, {name: b, path: /b, auth: none, policies: {respond: {text: b}}}]\n", files{"gateway.json": doc(ops("GET /t"), "")})
	wantAt(t, operation(m, "GET /t"), "[gateway]", "tags")
	wantAt(t, operation(m, "GET /b"), "[the gateway]", "tags")
}

// What two services say of themselves in the same words is said once.
func TestTagsDoNotRepeat(t *testing.T) {
	const same = `{"title": "Users", "version": "2", "description": "Long words."}`
	m := merge(t, services("a", "b", "c")+"routes: [{name: a, path: /a, auth: none, service: a}, {name: b, path: /b, auth: none, service: b}, {name: c, path: /c, auth: none, service: c}]\n", files{
		"a.json": doc(ops("GET /a"), "", "info", same), "b.json": doc(ops("GET /b"), "", "info", same), "c.json": doc(ops("GET /c"), "", "info", strings.Replace(same, "Long", "Other", 1))})
	wantAt(t, m.Document.Root, `[{name: a, description: "Users 2\n\nLong words."}, {name: b, description: "Users 2"}, {name: c, description: "Users 2\n\nOther words."}]`, "tags")
}

// The version is that of the API, never that of the gateway.
func TestVersion(t *testing.T) {
	for conf, want := range map[string]string{"": `"unversioned"`, "version: \"7\"\n": `"7"`, "version: \"7\"\ndocs: {version: \"8\"}\n": `"8"`} {
		m := merge(t, conf+services("app")+all, files{"app.json": doc(ops("GET /t"), "")})
		wantAt(t, m.Document.Root, want, "info", "version")
	}
}

// The shape of refusals is there with all codes, where something refers to it.
func TestErrorShape(t *testing.T) {
	m := merge(t, services("app")+"routes: [{name: a, path: /x, auth: none, service: app, docs: hidden}]\n", files{"app.json": doc(ops("GET /t"), "")})
	wantAt(t, m.Document.Root, "{}", "components")
	s := compile(t, services("app")+all, files{"app.json": doc(ops("GET /t"), "")})
	in := input(t, s)
	body := in.Components.Root.At("components", "schemas", "GatewayBody", "properties")
	body.Set("code", value(t, `{$ref: "#/components/schemas/GatewayErrorCode"}`))
	in.Components.Root.At("components", "schemas").Set(codesOf, value(t, `{type: string}`))
	codes := Merge(in).Document.Root.At("components", "schemas", codesOf, "enum").Elements()
	if !slices.ContainsFunc(codes, func(n *node) bool { return n.Text == "NOT_FOUND" }) {
		t.Errorf("the codes are %d", len(codes))
	}
}
