package apidocs

import (
	"fmt"
	"strings"
	"testing"
)

// answering makes paths where GET /t answers with a schema.
func answering(schema string) string {
	return `{"/t": {"get": {"operationId": "list", "responses": {"200": {"description": "Fine", "content": {"application/json": {"schema": ` + schema + `}}}}}}}`
}

const all = "routes: [{name: a, path: /**, auth: none, service: app}]\n"

func TestNamesAreKeptApart(t *testing.T) {
	const error = `{"schemas": {"Error": {"type": "object", "title": "TITLE"}}}`
	const ref = `{"$ref": "#/components/schemas/Error"}`
	m := merge(t, services("a-b", "a b", "c")+`
routes:
  - {name: a, path: /a/**, auth: none, service: a-b, forward: {strip_prefix: /a}}
  - {name: b, path: /b/**, auth: none, service: a b, forward: {strip_prefix: /b}}
  - {name: c, path: /c/**, auth: none, service: c, forward: {strip_prefix: /c}}
`, files{
		"a-b.json": doc(answering(ref), strings.Replace(error, "TITLE", "one", 1)), "a b.json": doc(answering(ref), strings.Replace(error, "TITLE", "two", 1)),
		"c.json": doc(answering(ref), strings.Replace(error, "TITLE", "three", 1)),
	})
	for path, want := range map[string]string{"/a/t": "a-b.Error", "/b/t": "a_b.Error", "/c/t": "c.Error"} {
		wantAt(t, operation(m, "GET "+path), `"#/components/schemas/`+want+`"`, "responses", "200", "content", "application/json", "schema", "$ref")
	}
	wantAt(t, m.Document.Root, "two", "components", "schemas", "a_b.Error", "title")
}

// Services whose names become the same do not share components.
func TestNamesThatBecomeTheSame(t *testing.T) {
	m := merge(t, services("a b", "a_b")+`
routes: [{name: a, path: /a/**, auth: none, service: a b, forward: {strip_prefix: /a}}, {name: b, path: /b/**, auth: none, service: a_b, forward: {strip_prefix: /b}}]
`, files{
		"a b.json": doc(answering(`{"$ref": "#/components/schemas/E"}`), `{"schemas": {"E": {"title": "one"}}}`),
		"a_b.json": doc(answering(`{"$ref": "#/components/schemas/E"}`), `{"schemas": {"E": {"title": "two"}}}`),
	})
	wantAt(t, m.Document.Root, "one", "components", "schemas", "a_b.E", "title")
	wantAt(t, m.Document.Root, "two", "components", "schemas", "a_b_2.E", "title")
	wantAt(t, operation(m, "GET /b/t"), "a_b_2.list", "operationId")
}

// What stands in a schema, and what it became.
func TestSchemas(t *testing.T) {
	const pets = `{"schemas": {
	  "Pet": {"type": "object", "required": ["kind"], "properties": {"kind": {"type": "string"}}, "discriminator": {"propertyName": "kind"}},
	  "Cat": {"allOf": [{"$ref": "#/components/schemas/Pet"}, {"title": "cat"}]},
	  "Persian": {"allOf": [{"$ref": "#/components/schemas/Cat"}]},
	  "Dog": {"type": "object", "required": ["kind"], "properties": {"kind": {"type": "string"}, "next": {"$ref": "#/components/schemas/Dog"}}},
	  "My Type": {"title": "odd name"}, "a/b": {"title": "slash"}, "Hidden": {"title": "SECRET"},
	  "Deep": {"properties": {"x": {"title": "deep"}, "hidden": {"$ref": "#/components/schemas/Hidden"}}}}}`
	for _, tt := range []struct {
		name, schema, want string
		comes              map[string]string // values in components.schemas by path
	}{
		{"recursive", `{"$ref": "#/components/schemas/Dog"}`, `{$ref: "#/components/schemas/app.Dog"}`,
			map[string]string{"app.Dog properties next": `{$ref: "#/components/schemas/app.Dog"}`}},
		{"escaped", `{"$ref": "#/components/schemas/My%20Type"}`, `{$ref: "#/components/schemas/app.My_Type"}`, map[string]string{"app.My_Type title": "odd name"}},
		{"slash", `{"$ref": "#/components/schemas/a~1b"}`, `{$ref: "#/components/schemas/app.a.b"}`, map[string]string{"app.a.b title": "slash"}},
		{"deep", `{"$ref": "#/components/schemas/Deep/properties/x"}`, `{$ref: "#/components/schemas/app.Deep.properties.x"}`, map[string]string{"app.Deep.properties.x title": "deep", "app.Deep": ""}},
		{"names of properties", `{"properties": {"example": {"$ref": "#/components/schemas/Dog"}, "enum": {"$ref": "#/components/schemas/Dog"}, "$ref": {"title": "p"},
		   "properties": {"properties": {"default": {"$ref": "#/components/schemas/Dog"}}}, "x-foo": {"$ref": "#/components/schemas/Dog"}, "const": {"const": {"$ref": "data"}}, "operationId": {"default": "operationId"}}}`,
			`{properties: {example: {$ref: "#/components/schemas/app.Dog"}, enum: {$ref: "#/components/schemas/app.Dog"}, $ref: {title: p},
		   properties: {properties: {default: {$ref: "#/components/schemas/app.Dog"}}}, x-foo: {$ref: "#/components/schemas/app.Dog"}, const: {const: {$ref: data}}, operationId: {default: operationId}}}`, nil},
		{"data", `{"examples": [{"$ref": "#/components/schemas/Hidden"}], "default": {"$ref": "#/components/schemas/Hidden"}, "enum": [{"$ref": "#/components/schemas/Hidden"}], "x-enumNames": [{"$ref": "y"}]}`,
			`{examples: [{$ref: "#/components/schemas/Hidden"}], default: {$ref: "#/components/schemas/Hidden"}, enum: [{$ref: "#/components/schemas/Hidden"}], x-enumNames: [{$ref: y}]}`, nil},
		{"discriminator by names", `{"oneOf": [{"$ref": "#/components/schemas/Cat"}, {"$ref": "#/components/schemas/Dog"}], "discriminator": {"propertyName": "kind", "mapping": {"wuff": "Dog", "Cat": "#/components/schemas/Dog"}}}`,
			`{oneOf: [{$ref: "#/components/schemas/app.Cat"}, {$ref: "#/components/schemas/app.Dog"}], discriminator: {propertyName: kind, mapping: {wuff: "#/components/schemas/app.Dog", Cat: "#/components/schemas/app.Dog"}}}`, nil},
		{"discriminator of heirs that nobody refers to", `{"$ref": "#/components/schemas/Pet"}`, `{$ref: "#/components/schemas/app.Pet"}`,
			map[string]string{"app.Pet discriminator": `{propertyName: kind}`, "app.Cat": "", "app.Persian": ""}},
		{"discriminator of heirs", `{"items": {"$ref": "#/components/schemas/Pet"}, "contains": {"$ref": "#/components/schemas/Persian"}}`, `{items: {$ref: "#/components/schemas/app.Pet"}, contains: {$ref: "#/components/schemas/app.Persian"}}`,
			map[string]string{"app.Pet discriminator mapping": `{Cat: "#/components/schemas/app.Cat", Persian: "#/components/schemas/app.Persian"}`, "app.Cat allOf 0": `{$ref: "#/components/schemas/app.Pet"}`}},
		{"into a path", `{"$ref": "#/paths/~1secret/get/responses/200/content/application~1json/schema"}`, `{$ref: "#/components/schemas/app.inline_INLINE"}`, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			paths := strings.TrimSuffix(answering(tt.schema), "}") + `, "/secret": {"get": {"responses": {"200": {"description": "SECRET", "content": {"application/json": {"schema": {"title": "of the path"}}}}}}}}`
			m := merge(t, services("app")+all, files{"app.json": doc(paths, pets)})
			if tt.name == "into a path" {
				m = merge(t, services("app")+"routes: [{name: a, path: /t, auth: none, service: app}]\n", files{"app.json": doc(paths, pets)})
				ref := operation(m, "GET /t").At("responses", "200", "content", "application/json", "schema").Str("$ref")
				wantAt(t, m.Document.Deref(operation(m, "GET /t").At("responses", "200", "content", "application/json", "schema")), "of the path", "title")
				if !strings.HasPrefix(ref, "#/components/schemas/app.inline_") || strings.Contains(jsonText(m.Document), "SECRET") || strings.Contains(jsonText(m.Document), "secret") {
					t.Errorf("%s: what is not shown is told", ref)
				}
				return
			}
			wantRaw(t, m, tt.want)
			for path, want := range tt.comes {
				wantAt(t, m.Document.Root.At("components", "schemas"), want, strings.Fields(path)...)
			}
			if tt.name != "data" && strings.Contains(jsonText(m.Document), "Hidden") {
				t.Error("what nobody refers to came along")
			}
		})
	}
}

// wantRaw compares the schema of GET /t without following it.
func wantRaw(t *testing.T, m *Merged, want string) {
	t.Helper()
	got := operation(m, "GET /t").At("responses", "200", "content", "application/json", "schema")
	if !got.Equal(value(t, want)) {
		t.Errorf("got %s, want %s", got.AppendJSON(nil, ""), want)
	}
}

// Components of all kinds come along, each once and only where somebody refers to it.
func TestComponents(t *testing.T) {
	const parts = `{
	  "parameters": {"P": {"name": "p", "in": "query", "schema": {"$ref": "#/components/schemas/S"}, "examples": {"default": {"$ref": "#/components/examples/E"}}}, "Q": {"name": "q", "in": "query", "schema": {"title": "SECRET"}}},
	  "headers": {"H": {"schema": {"type": "string"}}}, "schemas": {"S": {"description": "anything"}, "X": {"title": "SECRET"}},
	  "examples": {"E": {"value": {"$ref": "#/components/schemas/X", "operationId": "as it is"}}},
	  "requestBodies": {"B": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/S"}, "example": {"$ref": "data"}}}}},
	  "responses": {"R": {"description": "R", "headers": {"X-H": {"$ref": "#/components/headers/H"}}, "links": {"default": {"$ref": "#/components/links/L"}, "gone": {"operationId": "hidden"}, "ref": {"operationRef": "#/paths/~1t/get"}}}},
	  "links": {"L": {"operationId": "list", "parameters": {"$ref": "$response.body#/id"}}},
	  "callbacks": {"C": {"{$request.body#/url}": {"$ref": "#/components/pathItems/I"}}},
	  "pathItems": {"I": {"post": {"operationId": "called", "tags": ["T"], "security": [{"key": []}], "responses": {"204": {"description": "Thanks"}}}}},
	  "securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "X-Key"}, "unused": {"type": "http", "scheme": "basic"}}}`
	const paths = `{
	  "/t": {"get": {"operationId": "list", "parameters": [{"$ref": "#/components/parameters/P"}], "responses": {"200": {"$ref": "#/components/responses/R"}, "x-note": "y"}},
	    "post": {"operationId": "make", "requestBody": {"$ref": "#/components/requestBodies/B"}, "callbacks": {"on": {"$ref": "#/components/callbacks/C"}}, "responses": {"201": {"description": "Made"}}}},
	  "/hidden": {"get": {"operationId": "hidden", "parameters": [{"$ref": "#/components/parameters/Q"}], "responses": {"200": {"description": "Fine"}}}}}`
	m := merge(t, services("app")+"routes: [{name: a, path: /t, auth: none, service: app}, {name: b, path: /b/t, auth: none, service: app, forward: {strip_prefix: /b}}]\n", files{"app.json": doc(paths, parts)})
	get, post := operation(m, "GET /t"), operation(m, "POST /t")
	wantAt(t, get, `{default: {$ref: "#/components/examples/app.E"}}`, "parameters", "0", "examples")
	wantAt(t, m.Document.Root, `{value: {$ref: "#/components/schemas/X", operationId: as it is}}`, "components", "examples", "app.E")
	wantAt(t, get, `{$ref: "#/components/responses/app.R"}`, "responses", "200")
	wantAt(t, m.Document.Root, `{$ref: "#/components/headers/app.H"}`, "components", "responses", "app.R", "headers", "X-H")
	wantAt(t, m.Document.Root, `{default: {operationId: app.list, parameters: {$ref: "$response.body#/id"}}, ref: {operationId: app.list}}`, "components", "responses", "app.R", "links")
	wantAt(t, post, `{$ref: "#/components/requestBodies/app.B"}`, "requestBody")
	wantAt(t, m.Document.Root, `{"{$request.body#/url}": {$ref: "#/components/pathItems/app.I"}}`, "components", "callbacks", "app.C")
	wantAt(t, m.Document.Root, `[{app.key: []}]`, "components", "pathItems", "app.I", "post", "security")
	wantAt(t, m.Document.Root, `app.called`, "components", "pathItems", "app.I", "post", "operationId")
	wantAt(t, operation(m, "GET /b/t"), "app.list_2", "operationId")
	if text := jsonText(m.Document); strings.Contains(text, "SECRET") || strings.Contains(text, "hidden") || strings.Contains(text, "unused") {
		t.Error("what is not shown came along")
	}
}

// A long chain of references is no deep recursion, and a cloud of the same operationIds no
// long search.
func TestMany(t *testing.T) {
	var chain, paths strings.Builder
	const n = 20_000
	for i := range n {
		fmt.Fprintf(&chain, `"S%d": {"properties": {"next": {"$ref": "#/components/schemas/S%d"}}}, `, i, i+1)
		if i < 5000 {
			fmt.Fprintf(&paths, `"/p%d": {"get": {"operationId": "same", "responses": {"200": {"description": ""}}}}, `, i)
		}
	}
	s := compile(t, services("app")+all, files{"app.json": doc("{"+paths.String()+strings.TrimPrefix(answering(`{"$ref": "#/components/schemas/S0"}`), "{"), fmt.Sprintf(`{"schemas": {%s"S%d": {}}}`, chain.String(), n))})
	m := Merge(input(t, s))
	if got := len(m.Document.Root.At("components", "schemas").Members); got != n+3 {
		t.Errorf("%d schemas came along", got)
	}
	ids := map[string]bool{}
	for _, o := range m.Document.Operations() {
		ids[o.ID] = true
	}
	if len(ids) != 5001 {
		t.Errorf("%d operationIds", len(ids))
	}
}

// Names stay when another service comes, goes, or stands before.
func TestNamesAreStable(t *testing.T) {
	docs := files{"a.json": doc(ops("GET /t/{x}", "GET /u"), ""), "b.json": doc(ops("GET /t/{y}", "PUT /t/{y}", "GET /w"), "")}
	const conf = `
routes:
  - {name: a, path: /**, host: a.example, auth: none, service: a}
  - {name: b, path: /**, auth: none, service: b}
  - {name: b2, path: /b/**, auth: none, service: b, forward: {strip_prefix: /b}}
`
	ids := func(m *Merged) map[string]string {
		all := map[string]string{}
		for _, s := range m.Shown {
			all[s.Service+s.Method+s.Route+s.ServicePath] = operation(m, s.Method+" "+s.Path).Str("operationId")
		}
		return all
	}
	both := ids(merge(t, services("a", "b")+conf, docs))
	turned := ids(merge(t, services("b", "a")+conf, docs))
	alone := ids(merge(t, services("b")+"\n  a: {targets: [\"http://127.0.0.1:1\"]}"+conf, docs))
	for _, other := range []map[string]string{turned, alone} {
		for key, id := range other {
			if both[key] != "" && both[key] != id {
				t.Errorf("%s is %s, and was %s", key, id, both[key])
			}
		}
	}
	if len(alone) != 6 || len(both) != 7 {
		t.Errorf("both: %v\nalone: %v", both, alone)
	}
}

// Nobody who changes a document changes another one.
func TestNothingIsShared(t *testing.T) {
	s := compile(t, services("app")+"policies: {respond: off}\n"+"routes: [{name: a, path: /t, auth: none, service: app}, {name: h, path: /h, auth: none, endpoint: health}, {name: r, path: /r, methods: [GET, POST], auth: none, policies: {respond: {json: {a: 1}}}}]\n",
		files{"app.json": doc(answering(`{"title": "x"}`), "", "security", "[]")})
	one, other := Merge(input(t, s)), Merge(input(t, s))
	seen := map[any]int{}
	for i, m := range []*Merged{one, other} {
		m.Document.Root.Walk(func(n *node) bool {
			if was, twice := seen[n]; twice {
				t.Fatalf("a node is in document %d and in %d: %s", was, i, n.AppendJSON(nil, ""))
			}
			seen[n] = i
			return true
		})
	}
	s.Documents().Of("app").Loaded().Document.Root.Walk(func(n *node) bool {
		if _, twice := seen[n]; twice {
			t.Fatal("a node of the service's document is in the merged one")
		}
		return true
	})
}
