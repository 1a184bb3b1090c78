package openapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

func parse(t *testing.T, text string) *Document {
	t.Helper()
	d, err := Parse("test", []byte(text), Limits{})
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return d
}

func TestUpgradeSchemas(t *testing.T) {
	for _, tt := range [][2]string{
		{`{"type":"string","nullable":true}`, `{"type":["string","null"]}`},
		{`{"type":"string","nullable":false}`, `{"type":"string"}`},
		{`{"type":"string","nullable":true,"enum":["a"]}`, `{"type":["string","null"],"enum":["a",null]}`},
		{`{"type":"string","nullable":true,"enum":["a",null]}`, `{"type":["string","null"],"enum":["a",null]}`},
		{`{"nullable":true}`, `{}`},
		{`{"nullable":true,"description":"a","allOf":[{"$ref":"#/components/schemas/B"}]}`, `{"description":"a","anyOf":[{"$ref":"#/components/schemas/B"},{"type":"null"}]}`},
		{`{"nullable":true,"oneOf":[{"type":"string","nullable":true}],"x-a":1}`, `{"x-a":1,"anyOf":[{"oneOf":[{"type":["string","null"]}]},{"type":"null"}]}`},
		{`{"minimum":1,"exclusiveMinimum":true,"maximum":2,"exclusiveMaximum":false}`, `{"exclusiveMinimum":1,"maximum":2}`},
		{`{"exclusiveMinimum":true}`, `{}`},
		{`{"type":"string","example":"a"}`, `{"type":"string","examples":["a"]}`},
		{`{"type":"string","format":"byte"}`, `{"type":"string","contentEncoding":"base64"}`},
		{`{"type":"string","format":"binary"}`, `{"type":"string","contentMediaType":"application/octet-stream"}`},
		{`{"type":"string","format":"date"}`, `{"type":"string","format":"date"}`},
		{`{"$ref":"#/components/schemas/B","description":"ignored","nullable":true}`, `{"$ref":"#/components/schemas/B"}`},
		{`{"properties":{"nullable":{"type":"integer","nullable":true},"example":{"example":1}}}`, `{"properties":{"nullable":{"type":["integer","null"]},"example":{"examples":[1]}}}`},
		{`{"default":{"nullable":true,"example":1},"x-a":{"nullable":true}}`, `{"default":{"nullable":true,"example":1},"x-a":{"nullable":true}}`},
	} {
		d := parse(t, `{"openapi":"3.0.3","info":{"title":"a","version":"1"},"paths":{},"components":{"schemas":{"A":`+tt[0]+`,"B":{}}}}`)
		d.Upgrade()
		if got := string(d.Root.At("components", "schemas", "A").AppendJSON(nil, "")); got != tt[1] {
			t.Errorf("%s\nbecomes %s\nwant    %s", tt[0], got, tt[1])
		}
		if d.Version != Version31 || d.Root.Str("openapi") != "3.1.0" {
			t.Errorf("version %s, %s", d.Version, d.Root.Str("openapi"))
		}
		before := d.Root.Clone()
		if d.Upgrade(); !before.Equal(d.Root) {
			t.Errorf("%s: not the same after a second Upgrade", tt[0])
		}
	}
}

// What is referred to stays, wherever it stood.
func TestUpgradeKeepsReferences(t *testing.T) {
	d := parse(t, `{"openapi":"3.0.0","info":{"title":"a","version":"1"},"paths":{},"components":{"schemas":{
		"A":{"nullable":true,"allOf":[{"title":"inner","nullable":true,"type":"string"},{"title":"other"}]},
		"B":{"$ref":"#/components/schemas/A","items":{"title":"beside","nullable":true,"type":"string"}},
		"C":{"$ref":"#/components/schemas/A/allOf/0"},"D":{"$ref":"#/components/schemas/B/items"}}}}`)
	d.Upgrade()
	for name, title := range map[string]string{"C": "inner", "D": "beside"} {
		got := d.Deref(d.Root.At("components", "schemas", name))
		if got.Str("title") != title || !got.Get("type").holds("null") {
			t.Errorf("%s leads to %s", name, got.AppendJSON(nil, ""))
		}
	}
	again(t, d, "upgraded")
}

func TestDowngradeSchemas(t *testing.T) {
	for _, tt := range [][2]string{
		{`{"type":["string","null"]}`, `{"type":"string","nullable":true}`},
		{`{"type":"null"}`, `{"type":"object","nullable":true,"enum":[null]}`},
		{`{"type":["null"],"enum":[1,null]}`, `{"type":"object","enum":[null],"nullable":true}`},
		{`{"type":["string","integer"]}`, `{"anyOf":[{"type":"string"},{"type":"integer"}]}`},
		{`{"type":["string","array","null"],"anyOf":[{"title":"a"}]}`, `{"anyOf":[{"title":"a"}],"allOf":[{"anyOf":[{"type":"string","nullable":true},{"type":"array","items":{},"nullable":true}]}]}`},
		{`{"type":"array"}`, `{"type":"array","items":{}}`},
		{`true`, `{}`},
		{`false`, `{"not":{}}`},
		{`{"additionalProperties":false,"properties":{"a":true,"b":false}}`, `{"additionalProperties":false,"properties":{"a":{},"b":{"not":{}}}}`},
		{`{"properties":{"additionalProperties":true}}`, `{"properties":{"additionalProperties":{}}}`},
		{`{"const":null}`, `{"enum":[null]}`},
		{`{"const":1,"enum":[1,2]}`, `{"enum":[1]}`},
		{`{"enum":[]}`, `{}`},
		{`{"exclusiveMinimum":1,"exclusiveMaximum":2.5}`, `{"minimum":1,"exclusiveMinimum":true,"maximum":2.5,"exclusiveMaximum":true}`},
		{`{"exclusiveMinimum":1,"minimum":2,"exclusiveMaximum":2,"maximum":1}`, `{"minimum":2,"maximum":1}`},
		{`{"exclusiveMinimum":1,"minimum":1}`, `{"minimum":1,"exclusiveMinimum":true}`},
		{`{"examples":["a","b"]}`, `{"example":"a"}`},
		{`{"type":"string","contentEncoding":"base64","contentMediaType":"image/png"}`, `{"type":"string","format":"byte"}`},
		{`{"type":"string","contentMediaType":"application/octet-stream"}`, `{"type":"string","format":"binary"}`},
		{`{"$ref":"#/components/schemas/B"}`, `{"$ref":"#/components/schemas/B"}`},
		{`{"$ref":"#/components/schemas/B","$comment":"a"}`, `{"$ref":"#/components/schemas/B"}`},
		{`{"$ref":"#/components/schemas/B","description":"a","allOf":[{"type":"object"}]}`, `{"description":"a","allOf":[{"type":"object"},{"$ref":"#/components/schemas/B"}]}`},
		{`{"prefixItems":[{"type":"string"},true],"items":{"type":"integer"}}`, `{"items":{"anyOf":[{"type":"string"},{},{"type":"integer"}]}}`},
		{`{"prefixItems":[{"type":"string"}],"items":false}`, `{"items":{"anyOf":[{"type":"string"}]},"maxItems":1}`},
		{`{"prefixItems":[{"type":"string"}]}`, `{"items":{}}`},
		{`{"patternProperties":{"^a":{"type":"string"}},"additionalProperties":false}`, `{"additionalProperties":{"anyOf":[{"type":"string"}]}}`},
		{`{"patternProperties":{"^a":{"type":"string"}}}`, `{}`},
		{`{"patternProperties":{"^a":true},"additionalProperties":{"type":["integer","null"]}}`, `{"additionalProperties":{"anyOf":[{},{"type":"integer","nullable":true}]}}`},
		{`{"not":{"contains":{"type":"string"}},"title":"a"}`, `{"title":"a"}`},
		{`{"not":{"const":1}}`, `{"not":{"enum":[1]}}`},
		{`{"oneOf":[{"contains":{}},{"type":"string"}]}`, `{"anyOf":[{},{"type":"string"}]}`},
		{`{"oneOf":[{"$ref":"#/components/schemas/L"},{"type":"string"}],"anyOf":[{"title":"a"}]}`, `{"anyOf":[{"title":"a"}],"allOf":[{"anyOf":[{"$ref":"#/components/schemas/L"},{"type":"string"}]}]}`},
		{`{"oneOf":[{"type":"null"},{"$ref":"#/components/schemas/B"}]}`, `{"oneOf":[{"type":"object","nullable":true,"enum":[null]},{"$ref":"#/components/schemas/B"}]}`},
		{`{"if":{"type":"string"},"then":{"minLength":1},"else":false,"dependentSchemas":{"a":{}},"dependentRequired":{"a":["b"]},"unevaluatedProperties":false,"unevaluatedItems":false,"contains":{},"minContains":2,"propertyNames":{},"$comment":"c","$id":"i","$schema":"https://json-schema.org/draft/2020-12/schema","title":"t","x-a":1}`, `{"title":"t","x-a":1}`},
		{`{"required":[]}`, `{}`},
		{`{"required":["a","b","a"]}`, `{"required":["a","b"]}`},
		{`{"$defs":{"n":{"type":["null","string"]}},"items":{"$ref":"#/components/schemas/A/$defs/n"}}`, `{"items":{"$ref":"#/components/schemas/n"}}`},
		{`{"nullable":true,"type":"string"}`, `{"type":"string"}`},
	} {
		d := parse(t, schemas31(`{"A":`+tt[0]+`,"B":{},"L":{"properties":{"a":{"$ref":"#/components/schemas/M"}}},"M":{"uniqueItems":true,"contains":{},"items":{"$ref":"#/components/schemas/L"}}}`))
		before := d.Root.Clone()
		old := d.Downgrade()
		if got := string(old.Root.At("components", "schemas", "A").AppendJSON(nil, "")); got != tt[1] {
			t.Errorf("%s\nbecomes %s\nwant    %s", tt[0], got, tt[1])
		}
		if !before.Equal(d.Root) || d.Version != Version31 {
			t.Errorf("%s: Downgrade changes the document itself", tt[0])
		}
		valid(t, old)
	}
}

// everything has what 3.1 has and 3.0 has not.
const everything = `
openapi: 3.1.0
jsonSchemaDialect: https://spec.openapis.org/oas/3.1/dialect/base
info: {title: a, version: "1", summary: short, license: {name: MIT, identifier: MIT}}
security: [{cert: []}, {bearer: [admin]}, {oauth: [read]}]
webhooks:
  news: {x-schema: {type: [string, 'null']}, post: {operationId: news, responses: {'200': {description: fine}}}}
paths:
  /a: {$ref: '#/components/pathItems/Shared', summary: first}
  /b: {$ref: '#/components/pathItems/Shared'}
  /c: {$ref: '#/webhooks/news'}
  /d:
    get:
      operationId: d
      security: [{bearer: [user]}]
      parameters: [{$ref: '#/components/parameters/P', description: mine}]
    post:
      responses: {}
      callbacks: {done: {'{$request.body#/url}': {$ref: '#/components/pathItems/Loop'}}}
      requestBody: {content: {a/b: {schema: {$ref: '#/webhooks/news/x-schema'}}}}
components:
  parameters: {P: {name: p, in: query, schema: {type: [integer, 'null'], exclusiveMinimum: 0}}}
  securitySchemes:
    cert: {type: mutualTLS}
    bearer: {type: http, scheme: bearer}
    oauth: {type: oauth2, flows: {clientCredentials: {tokenUrl: https://a, scopes: {read: r}}}}
  pathItems:
    Shared: {get: {operationId: shared, responses: {'200': {description: fine, content: {a/b: {schema: {type: 'null'}}}}}}}
    Loop: {post: {responses: {'200': {description: fine}}, callbacks: {again: {x: {$ref: '#/components/pathItems/Loop'}}}}}
`

func TestDowngradeDocument(t *testing.T) {
	d := parse(t, everything)
	old := d.Downgrade()
	valid(t, old)
	again(t, old, "downgraded")
	out := string(old.Root.AppendYAML(nil))
	for _, gone := range []string{"webhooks", "jsonSchemaDialect", "identifier", "pathItems", "mutualTLS", "cert", "admin", "mine", "short"} {
		if strings.Contains(out, gone) {
			t.Errorf("%s is still there in\n%s", gone, out)
		}
	}
	for path, want := range map[string]string{"/a": "shared", "/b": "shared", "/c": "news", "/d": "d"} {
		found := false
		for _, op := range old.Operations() {
			found = found || op.Written == path && op.ID == want
		}
		if !found {
			t.Errorf("%s has lost the operation %s", path, want)
		}
	}
	if got := string(old.Root.Get("security").AppendJSON(nil, "")); got != `[{},{"bearer":[]},{"oauth":["read"]}]` {
		t.Errorf("security %s", got)
	}
	loop := old.Root.At("paths", "/d", "post", "callbacks", "done", "{$request.body#/url}")
	if again := old.Deref(loop.At("post", "callbacks", "again", "x")); again != loop {
		t.Errorf("a path item that calls itself has become %s", loop.AppendJSON(nil, ""))
	}
	schema := old.Deref(old.Root.At("paths", "/d", "post", "requestBody", "content", "a/b", "schema"))
	if !schema.True("nullable") || schema.Str("type") != "string" {
		t.Errorf("a schema of a webhook has become %s", schema.AppendJSON(nil, ""))
	}
}

// valid checks a document with the official JSON Schema of its version, and its schemas of
// 3.1 with that of JSON Schema.
func valid(t *testing.T, d *Document) {
	t.Helper()
	if err := official(t, d.Version).Validate(d.Root.Any()); err != nil {
		t.Errorf("not valid: %v\n%s", err, d.Root.AppendJSON(nil, ""))
	}
	if d.Version == Version31 {
		meta := jsonschema.NewCompiler().MustCompile("https://json-schema.org/draft/2020-12/schema")
		d.Walk(func(n *Node, p Part) bool {
			if p == PartSchema {
				if err := meta.Validate(n.Any()); err != nil {
					t.Errorf("not a valid schema: %v\n%s", err, n.AppendJSON(nil, ""))
				}
			}
			return true
		})
	}
}

func official(t *testing.T, version string) *jsonschema.Schema {
	t.Helper()
	text, err := os.ReadFile("lint/oas/" + version + ".json")
	if err != nil {
		t.Fatal(err)
	}
	schema, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("openapi.json", schema); err != nil {
		t.Fatal(err)
	}
	return c.MustCompile("openapi.json")
}

// Schemas made at random take at least what they took, once they are written in 3.0 and
// read again, and both documents stay valid.
func TestDowngradeNeverStricter(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	checked, taken, rounds := 0, 0, 1500
	if raceDetector { // there is one goroutine
		rounds = 100
	}
	v31, v30 := official(t, Version31), official(t, Version30)
	for range rounds {
		text := schemas31(`{"A":` + randomSchema(r, 3) + `,"B":` + randomSchema(r, 2) + `,"C":{"type":"string"}}`)
		d, err := Parse("a", []byte(text), Limits{})
		if err != nil {
			continue // a circle
		}
		if err := v31.Validate(d.Root.Any()); err != nil {
			t.Fatal(err)
		}
		old := d.Downgrade()
		if err := v30.Validate(old.Root.Any()); err != nil {
			t.Fatalf("%s\nbecomes %s\n%v", text, old.Root.AppendJSON(nil, ""), err)
		}
		back := parse(t, string(old.Root.AppendJSON(nil, "")))
		back.Upgrade()
		was, is := compiled(t, d, "A"), compiled(t, back, "A")
		for range 20 {
			value := randomValue(r, 2).Any()
			checked++
			if was.Validate(value) != nil {
				continue
			}
			taken++
			if err := is.Validate(value); err != nil {
				t.Fatalf("%s\ntook %v, but\n%s\ndoes not: %v", text, value, old.Root.AppendJSON(nil, ""), err)
			}
		}
	}
	if t.Logf("%d values, %d of them taken", checked, taken); taken < 3*rounds {
		t.Error("too few values are taken to tell anything")
	}
}

func compiled(t *testing.T, d *Document, name string) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	if err := c.AddResource("doc.json", d.Root.Any()); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("doc.json#/components/schemas/" + name)
	if err != nil {
		t.Fatalf("%v\n%s", err, d.Root.AppendJSON(nil, ""))
	}
	return s
}

func randomSchema(r *rand.Rand, depth int) string {
	if k := r.IntN(20); k < 2 || depth == 0 {
		return []string{"true", "false", `{"$ref":"#/components/schemas/C"}`, `{"type":"integer"}`, `{"type":["string","null"]}`, `{"type":"null"}`, `{"const":1}`, `{"enum":[1,null,"a"]}`}[r.IntN(8)]
	}
	all := []func() string{
		func() string { return `"type":["integer","array","null"]` },
		func() string { return `"type":["object","string"]` },
		func() string { return `"type":"array"` },
		func() string { return `"exclusiveMinimum":` + fmt.Sprint(r.IntN(3)) + `,"minimum":1` },
		func() string { return `"exclusiveMaximum":2` },
		func() string {
			return `"prefixItems":[` + randomSchema(r, depth-1) + `,` + randomSchema(r, depth-1) + `]`
		},
		func() string { return `"items":` + randomSchema(r, depth-1) },
		func() string { return `"contains":` + randomSchema(r, depth-1) },
		func() string { return `"not":` + randomSchema(r, depth-1) },
		func() string { return `"oneOf":[` + randomSchema(r, depth-1) + `,` + randomSchema(r, depth-1) + `]` },
		func() string { return `"anyOf":[` + randomSchema(r, depth-1) + `,` + randomSchema(r, depth-1) + `]` },
		func() string { return `"allOf":[` + randomSchema(r, depth-1) + `]` },
		func() string { return `"if":` + randomSchema(r, depth-1) + `,"then":` + randomSchema(r, depth-1) },
		func() string {
			return `"properties":{"a":` + randomSchema(r, depth-1) + `,"b":` + randomSchema(r, depth-1) + `}`
		},
		func() string { return `"patternProperties":{"^a":` + randomSchema(r, depth-1) + `}` },
		func() string { return `"additionalProperties":` + randomSchema(r, depth-1) },
		func() string { return `"propertyNames":` + randomSchema(r, depth-1) },
		func() string { return `"dependentSchemas":{"a":` + randomSchema(r, depth-1) + `}` },
		func() string { return `"unevaluatedProperties":false` },
		func() string { return `"required":["a"]` },
		func() string { return `"$ref":"#/components/schemas/B"` },
		func() string { return `"$defs":{"x":` + randomSchema(r, depth-1) + `}` },
	}
	var members []string
	met := map[int]bool{}
	for range 1 + r.IntN(3) {
		i := r.IntN(len(all))
		if i < 3 {
			i = r.IntN(3)
		}
		key := max(i, 2) // the types are one keyword
		if !met[key] {
			met[key] = true
			members = append(members, all[i]())
		}
	}
	return "{" + strings.Join(members, ",") + "}"
}

func randomValue(r *rand.Rand, depth int) *Node {
	switch k := r.IntN(9); {
	case k == 0:
		return &Node{Kind: Null}
	case k < 4 || depth == 0:
		return []*Node{NewInt(0), NewInt(1), NewInt(2), NewInt(3), NewString("a"), NewString("")}[r.IntN(6)]
	case k < 6:
		n := NewArray()
		for range r.IntN(4) {
			n.Append(randomValue(r, depth-1))
		}
		return n
	}
	n := NewObject()
	for range r.IntN(3) {
		n.Set([]string{"a", "b", "ab", "c"}[r.IntN(4)], randomValue(r, depth-1))
	}
	return n
}

// Both documents of a document are valid.
func TestUpgradeValid(t *testing.T) {
	d, err := Parse("a.yaml", []byte(ticketsYAML), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	d.Root.Get("info").Set("version", NewString("1"))
	valid(t, d)
	d.Upgrade()
	valid(t, d)
	valid(t, d.Downgrade())
}

func TestAnyIsJSON(t *testing.T) {
	d := parse(t, everything)
	b, err := json.Marshal(d.Root.Any())
	if err != nil || len(b) == 0 {
		t.Fatal(err)
	}
	back, err := parseValue("a.json", b, Limits{})
	if err != nil || !back.Equal(d.Root) {
		t.Errorf("what encoding/json writes is read as something else: %v", err)
	}
}
