package lint

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"yett/internal/openapi"
)

// head is the top of a document that has nothing wrong, get an operation of it.
const head = `openapi: 3.1.0
info: {title: Desk, version: "1"}
servers: [{url: "https://desk.example.org"}]
tags: [{name: desk}]
paths:
`

const get = `  /desks/{id}:
    get:
      operationId: getDesk
      summary: One desk
      tags: [desk]
      parameters:
        - {name: id, in: path, required: true, schema: {type: string}}
      responses:
        "200": {description: The desk}
`

// withSchema is a document that uses one schema.
func withSchema(schema string) string {
	return head + `  /desks:
    post:
      operationId: addDesk
      summary: Add a desk
      requestBody: {content: {application/json: {schema: ` + schema + `}}}
      responses: {"201": {description: Added}}
`
}

// server is a document with one server.
func server(s string) string {
	return strings.Replace(head, `{url: "https://desk.example.org"}`, s, 1) + get
}

func version30(text string) string { return strings.Replace(text, "3.1.0", "3.0.3", 1) }

func parse(t testing.TB, text string) *openapi.Document {
	t.Helper()
	d, err := openapi.Parse("desk.yaml", []byte(text), openapi.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// said is the findings of a document, one to a line.
func said(t testing.TB, text string) string {
	var b strings.Builder
	for _, f := range Lint(parse(t, text)) {
		fmt.Fprintln(&b, f)
	}
	return b.String()
}

// ofRules are what each rule says of a document that is wrong in nothing else, and one like
// it that is right.
var ofRules = []struct{ rule, bad, good, want string }{
	{"structure", head + strings.Replace(get, "summary", "sumary", 1), head + get, `desk.yaml:9:7: error: unknown key "sumary", did you mean "summary"? (structure)
desk.yaml:8:7: warning: GET /desks/{id} has no summary and no description, say in a few words what it does (summary-missing)`},
	{"structure", version30(head + strings.Replace(get, "summary", "sumary", 1)), version30(head + get), `desk.yaml:9:7: error: unknown key "sumary", did you mean "summary"? (structure)
desk.yaml:8:7: warning: GET /desks/{id} has no summary and no description, say in a few words what it does (summary-missing)`},
	{"structure", head + strings.Replace(get, "in: path", "in: pth", 1), "", `desk.yaml:12:26: error: in is "pth", which is none of the known values, did you mean "path"? (structure)
desk.yaml:8:7: error: GET /desks/{id} does not describe the parameter {id} of its path, add it to parameters with in: path and required: true (path-parameter-undeclared)`},
	{"structure", strings.Replace(head, "title: Desk, ", "", 1) + get, "", `desk.yaml:2:7: error: info has no "title", add it (structure)`},
	{"structure", version30(head + strings.Replace(get, "description: The desk", "", 1)), "", `desk.yaml:14:16: error: 200 has no "description", add it (structure)`},
	{"structure", version30(withSchema(`{type: strin}`)), version30(withSchema(`{type: string}`)), `desk.yaml:10:65: error: type is "strin", which is none of the known values, did you mean "string"? (structure)`},
	{"schema", withSchema(`{type: strin}`), withSchema(`{type: string}`), `desk.yaml:10:65: error: type is "strin", which is none of the known values, did you mean "string"? (schema)`},
	{"schema", withSchema(`{type: object, properties: {a: {minLength: -1}}}`), "", `desk.yaml:10:101: error: minLength is -1, less than 0, write it as wanted (schema)`},
	{"info-empty", strings.Replace(head, `"1"`, `""`, 1) + get, head + get, `desk.yaml:2:30: error: info.version is empty, write what readers will know the document by (info-empty)`},
	{"operation-id-duplicate", head + get + strings.Replace(get, "/desks", "/other", 1), head + get + strings.NewReplacer("/desks", "/other", "getDesk", "getOther").Replace(get),
		`desk.yaml:17:20: error: the operationId "getDesk" is that of GET /desks/{id} already, give each its own: generators make function names of them (operation-id-duplicate)`},
	{"operation-id-missing", head + strings.Replace(get, "operationId: getDesk", "deprecated: true", 1), head + get,
		`desk.yaml:8:7: warning: GET /desks/{id} has no operationId, add one: generators make function names of them (operation-id-missing)`},
	{"path-parameter-undeclared", head + strings.Replace(get, "{id}", "{id}/{part}", 1), head + get,
		`desk.yaml:8:7: error: GET /desks/{id}/{part} does not describe the parameter {part} of its path, add it to parameters with in: path and required: true (path-parameter-undeclared)`},
	{"path-parameter-unknown", head + strings.Replace(get, "{id}", "all", 1), head + get,
		`desk.yaml:12:11: error: the path parameter "id" is not in the path /desks/all, take it out, or write {id} into the path (path-parameter-unknown)`},
	{"path-parameter-optional", head + strings.Replace(get, "required: true, ", "", 1), head + get,
		`desk.yaml:12:11: error: the path parameter "id" is not required, write required: true, a path can't do without them (path-parameter-optional)`},
	{"path-parameter-optional", version30(head + strings.Replace(get, "required: true", "required: false", 1)), version30(head + get),
		`desk.yaml:12:11: error: the path parameter "id" is not required, write required: true, a path can't do without them (path-parameter-optional)`},
	{"parameter-duplicate", head + strings.Replace(get, "      responses", "        - {name: id, in: path, required: true, schema: {type: integer}}\n      responses", 1),
		head + strings.Replace(get, "      responses", "        - {name: id, in: query, schema: {type: integer}}\n      responses", 1),
		`desk.yaml:13:11: error: there are two parameters "id" in path, take one out (parameter-duplicate)`},
	{"path-ambiguous", head + get + strings.NewReplacer("{id}", "{no}", "name: id", "name: no", "getDesk", "getNo").Replace(get), head + get + strings.NewReplacer("{id}", "no-{id}", "getDesk", "getNo").Replace(get),
		`desk.yaml:15:3: error: the path /desks/{no} matches the same requests as /desks/{id}, join them: which of them answers is not known (path-ambiguous)`},
	{"path-case", head + get + strings.NewReplacer("/desks", "/Desks", "getDesk", "getNo").Replace(get), head + get,
		`desk.yaml:15:3: warning: the path /Desks/{id} differs from /desks/{id} only in upper and lower case, spell them alike: people will mistake one for the other (path-case)`},
	{"path-query", head + strings.Replace(get, "/desks/{id}", `"/desks/{id}?all=true"`, 1), head + get,
		`desk.yaml:6:3: error: the path /desks/{id}?all=true has a query or fragment in it, describe the query as parameters with in: query (path-query)`},
	{"success-missing", head + strings.Replace(get, `"200"`, `"404"`, 1), head + strings.Replace(get, `"200"`, `"304"`, 1),
		`desk.yaml:8:7: warning: GET /desks/{id} has no answer of 2xx or 3xx, describe what callers get when all goes well (success-missing)`},
	{"body-unexpected", head + get + "      requestBody: {required: true, content: {text/plain: {}}}\n", head + get + "      requestBody: {content: {text/plain: {}}}\n",
		`desk.yaml:15:7: warning: GET /desks/{id} requires a body, use parameters, or POST: many clients and proxies drop such a body (body-unexpected)`},
	{"security-undefined", head + get + "      security: [{bearr: []}]\ncomponents: {securitySchemes: {bearer: {type: http, scheme: bearer}}}\n",
		head + get + "      security: [{bearer: []}]\ncomponents: {securitySchemes: {bearer: {type: http, scheme: bearer}}}\n",
		`desk.yaml:15:19: error: the security scheme "bearr" is not defined, did you mean "bearer"? (security-undefined)`},
	{"tag-undeclared", head + strings.Replace(get, "[desk]", "[disk]", 1), head + get,
		`desk.yaml:10:14: warning: the tag "disk" is not in the document's tags, add it to tags, with a description (tag-undeclared)`},
	{"summary-missing", head + strings.Replace(get, "summary: One desk", "deprecated: true", 1), head + strings.Replace(get, "summary: One", "description: One", 1),
		`desk.yaml:8:7: warning: GET /desks/{id} has no summary and no description, say in a few words what it does (summary-missing)`},
	{"path-slash", head + strings.NewReplacer("/desks", "desks", "summary", "sumary").Replace(get), head + get, `desk.yaml:6:3: error: the path "desks/{id}" does not begin with a slash, write "/desks/{id}" (path-slash)
desk.yaml:9:7: error: unknown key "sumary", did you mean "summary"? (structure)
desk.yaml:8:7: warning: GET desks/{id} has no summary and no description, say in a few words what it does (summary-missing)`},
	{"path-slash", head + get + strings.NewReplacer("/desks", "desks", "getDesk", "getOther").Replace(get), "", `desk.yaml:15:3: error: the path "desks/{id}" does not begin with a slash, write "/desks/{id}" (path-slash)`},
	{"structure", head + strings.Replace(get, "responses:\n", "responses:\n        '600': {description: No}\n", 1), head + strings.Replace(get, "responses:\n", "responses:\n        5XX: {description: No}\n        default: {description: No}\n", 1),
		`desk.yaml:14:9: error: "600" is no status of an answer, write one from 100 to 599, a range such as 4XX, or default (structure)`},
	{"structure", version30(head + strings.Replace(get, "responses:\n", "responses:\n        4xx: {description: No}\n", 1)), "",
		`desk.yaml:14:9: error: "4xx" is no status of an answer, write one from 100 to 599, a range such as 4XX, or default (structure)`},
	{"structure", head + strings.Replace(get, "description: The desk", "descriptio: The desk", 1), "", `desk.yaml:14:16: error: 200 has no "description", add it (structure)
desk.yaml:14:17: error: unknown key "descriptio", did you mean "description"? (structure)`},
	{"structure", version30(head + strings.Replace(get, "      responses", "        - {name: b, in: body, schema: {type: string}}\n      responses", 1)), "",
		`desk.yaml:13:25: error: in is "body", which is none of the known values, write path, query, header or cookie; bodies are described by requestBody of the operation (structure)`},
	{"structure", head + strings.Replace(get, "      responses", "        - {name: b, in: elsewhere, schema: {type: string}}\n      responses", 1), "",
		`desk.yaml:13:25: error: in is "elsewhere", which is none of the known values, write path, query, header or cookie (structure)`},
	{"link", strings.Replace(head, "title: Desk,", "title: Desk, contact: {url: nonsense},", 1) + get, strings.Replace(head, "title: Desk,", "title: Desk, termsOfService: ./terms, contact: {url: 'https://example.org/'}, license: {name: x, url: /license},", 1) + get,
		`desk.yaml:2:36: warning: info.contact.url is "nonsense", which is no URL, write it as https://example.com/page, or with / or ./ at its start (link)`},
	{"structure", strings.Replace(head, "tags: [{name: desk}]", "tags: [{name: desk, externalDocs: {url: 'https://a b/'}}]", 1) + get, strings.Replace(head, "tags: [{name: desk}]", "tags: [{name: desk, externalDocs: {url: 'mailto:a@example.org'}}]", 1) + get,
		`desk.yaml:4:41: error: url is "https://a b/", which is no uri-reference, write it in that form (structure)`},
	{"server-url", server(`{url: "https://{hst}/", variables: {host: {default: a.example}}}`), server(`{url: "https://{host}/", variables: {host: {default: a.example}}}`),
		`desk.yaml:3:17: error: the server "https://{hst}/" has a variable {hst} that is not described, did you mean "host"? (server-url)`},
	{"server-url", server(`{url: "{base}/v1"}`), server(`{url: "{base}/v1", variables: {base: {default: "https://a.example"}}}`),
		`desk.yaml:3:17: error: the server "{base}/v1" has a variable {base} that is not described, describe it in variables, with a default (server-url)`},
	{"server-url", server(`{url: "ftp://a.example"}`), server(`{url: "wss://a.example"}`), `desk.yaml:3:17: error: the server "ftp://a.example" has the scheme "ftp", by which no API is called, write https or http (server-url)`},
	{"server-url", server(`{url: "not a url"}`), server(`{url: "/v1"}`), `desk.yaml:3:17: error: the server "not a url" is no URL, write it as https://api.example.com/v1, or as a path such as /v1 (server-url)`},
	{"server-url", server(`{url: "https:///v1"}`), server(`{url: "./v1.2"}`), `desk.yaml:3:17: error: the server "https:///v1" has no host, write it as https://api.example.com/v1 (server-url)`},
	{"server-url", server(`{url: "https://{host/v1"}`), server(`{url: "//a.example/v1"}`), `desk.yaml:3:17: error: the server "https://{host/v1" is no URL, write it as https://api.example.com/v1, or as a path such as /v1 (server-url)`},
	{"server-url", server(`{url: a.example/v1}`), server(`{url: v1}`), `desk.yaml:3:17: error: the server "a.example/v1" is a path below the address of the document, not a host, write https:// before it, or ./ if it is one (server-url)`},
	{"server-url", server(`{url: "a.example:8080/v1"}`), server(`{url: "http://a.example:8080/v1"}`), `desk.yaml:3:17: error: the server "a.example:8080/v1" has no host of http or https, write https:// before the host (server-url)`},
	{"server-url", server(`{url: "https://{h}/", variables: {h: {default: a, enum: [b]}}}`), server(`{url: "https://{h}/", variables: {h: {default: b, enum: [b]}}}`),
		`desk.yaml:3:48: error: the default of the server variable "h" is "a", which is not in its enum, make one of the enum the default (server-url)`},
	{"server-url", head + strings.Replace(get, "    get:", "    servers: [{url: 'ftp://a.example'}]\n    get:", 1), head + strings.Replace(get, "    get:", "    servers: [{url: /a}]\n    get:", 1),
		`desk.yaml:7:21: error: the server "ftp://a.example" has the scheme "ftp", by which no API is called, write https or http (server-url)`},
	{"required-undescribed", withSchema(`{type: object, properties: {a: {}}, required: [zz]}`), withSchema(`{allOf: [{required: [a]}, {type: object, properties: {a: {}}}], required: [a]}`),
		`desk.yaml:10:105: warning: the property "zz" is required and not described, describe it in properties, or is it misspelt? (required-undescribed)`},
	{"bounds", withSchema(`{type: integer, minimum: 5, maximum: 2}`), withSchema(`{type: integer, minimum: 2, maximum: 2}`), `desk.yaml:10:83: error: minimum is 5 and maximum is 2: no value is within, exchange them, or take one out (bounds)`},
	{"bounds", withSchema(`{type: integer, exclusiveMinimum: 2, maximum: 2}`), withSchema(`{type: integer, exclusiveMinimum: 1, maximum: 2}`), `desk.yaml:10:92: error: exclusiveMinimum is 2 and maximum is 2: no value is within, exchange them, or take one out (bounds)`},
	{"bounds", version30(withSchema(`{type: integer, minimum: 2, exclusiveMinimum: true, maximum: 2}`)), version30(withSchema(`{type: integer, minimum: 2, exclusiveMinimum: false, maximum: 2}`)), `desk.yaml:10:83: error: minimum is 2 and maximum is 2: no value is within, exchange them, or take one out (bounds)`},
	{"bounds", withSchema(`{type: string, minLength: 5, maxLength: 2}`), withSchema(`{type: string, minLength: 2, maxLength: 5}`), `desk.yaml:10:84: error: minLength is 5 and maxLength is 2: no value is within, exchange them, or take one out (bounds)`},
	{"bounds", withSchema(`{type: array, minItems: 5, maxItems: 2}`), withSchema(`{type: array, minItems: 0, maxItems: 2}`), `desk.yaml:10:82: error: minItems is 5 and maxItems is 2: no value is within, exchange them, or take one out (bounds)`},
	{"component-unused", head + get + "components: {schemas: {GatewayError: {type: object}}}\n", head + get + "components: {schemas: {GatewayError: {type: object}, GatewayErrorDetail: {type: object}}}\nx-yett-sources: []\n",
		`desk.yaml:15:24: warning: nothing refers to components.schemas.GatewayError, take it out, or refer to it (component-unused)`},
	{"servers", strings.Replace(head, "https://desk.example.org", "http://127.0.0.2:80/api", 1) + get, head + get,
		`desk.yaml:3:11: warning: the server http://127.0.0.2:80/api is everybody's own machine, name the address under which callers reach the API (servers)`},
	{"servers", strings.Replace(head, `[{url: "https://desk.example.org"}]`, "[]", 1) + get, head + get,
		`desk.yaml:1:1: warning: the document names no servers, name the address under which callers reach the API (servers)`},
	{"component-unused", head + get + "components: {schemas: {A: {properties: {b: {$ref: '#/components/schemas/B'}}}, B: {type: string}}}\n",
		strings.Replace(withSchema(`{$ref: "#/components/schemas/A"}`), "paths:", "components: {schemas: {A: {properties: {b: {$ref: '#/components/schemas/B'}}}, B: {type: string}}}\npaths:", 1),
		`desk.yaml:15:24: warning: nothing refers to components.schemas.A, take it out, or refer to it (component-unused)
desk.yaml:15:80: warning: nothing refers to components.schemas.B, take it out, or refer to it (component-unused)`},
	{"example", withSchema(`{type: integer}, example: many`), withSchema(`{type: integer}, example: 1`),
		`desk.yaml:10:84: error: the example does not fit its schema: is of type string where integer is wanted, people and mocks will use it: make it fit (example)`},
	{"example", withSchema(`{type: object, properties: {at: {type: string, format: date-time}}, examples: [{at: noon}]}`), withSchema(`{type: object, examples: [{at: noon}]}`),
		`desk.yaml:10:142: error: the example does not fit its schema: at is "noon", which is no date-time, people and mocks will use it: make it fit (example)`},
	{"example", withSchema(`{type: object, required: [id], properties: {id: {type: integer}}}, examples: {one: {value: {}}}`),
		withSchema(`{type: object, required: [id], properties: {id: {type: integer, readOnly: true}}}, examples: {one: {value: {}}}`),
		`desk.yaml:10:149: error: the example "one" does not fit its schema: has no "id", people and mocks will use it: make it fit (example)`},
	{"example", version30(withSchema(`{type: string, nullable: false}, example: null`)), version30(withSchema(`{type: string, nullable: true}, example: null`)),
		`desk.yaml:10:100: error: the example does not fit its schema: is of type null where string is wanted, people and mocks will use it: make it fit (example)`},
	{"default", withSchema(`{properties: {n: {type: integer, maximum: 3, default: 4}}}`), withSchema(`{properties: {n: {type: integer, maximum: 3, default: 3}}}`),
		`desk.yaml:10:112: error: the default does not fit its schema: is 4, more than 3, make it fit (default)`},
	{"required-unknown", withSchema(`{type: object, properties: {a: {}}, required: [b], additionalProperties: false}`), withSchema(`{type: object, properties: {a: {}, b: {}}, required: [b], additionalProperties: false}`),
		`desk.yaml:10:105: error: the property "b" is required but not allowed, describe it in properties, or take it out of required (required-unknown)`},
	{"enum-duplicate", withSchema(`{type: string, enum: [a, b, a]}`), withSchema(`{enum: [1, "1", true, "true"]}`),
		`desk.yaml:10:86: error: the value "a" is twice in the enum, take one out (enum-duplicate)`},
	{"enum-type", withSchema(`{type: string, enum: [yes, 1]}`), withSchema(`{type: [string, integer], enum: [a, 1]}`),
		`desk.yaml:10:85: error: the value 1 of the enum is of type number, not string, write it in the type of the schema; quote what YAML takes for a number or boolean (enum-type)`},
	{"array-items", version30(withSchema(`{type: array}`)), withSchema(`{type: array}`),
		`desk.yaml:10:58: error: the array has no items, add items: {} if anything may be in it (array-items)`},
	{"discriminator", withSchema(`{type: object, properties: {kind: {type: string}}, discriminator: {propertyName: kind}}`), withSchema(`{type: object, required: [kind], properties: {kind: {type: string}}, discriminator: {propertyName: kind}}`),
		`desk.yaml:10:109: error: the schema does not require and describe the property "kind" of its discriminator, describe it in properties and name it in required (discriminator)`},
	{"pattern", withSchema(`{type: string, pattern: "(?=a)b"}`), withSchema(`{type: string, pattern: "a|b"}`),
		`desk.yaml:10:82: warning: RE2 does not know the regular expression "(?=a)b", write it without: the gateway does not check it as it is (pattern)`},
	{"schema-keyword", withSchema(`{type: object, propertes: {}}`), withSchema(`{type: object, colour: red, x-typ: 1}`),
		`desk.yaml:10:73: warning: the keyword "propertes" is unknown and ignored, did you mean "properties"? (schema-keyword)`},
}

func TestRules(t *testing.T) {
	for _, tt := range ofRules {
		if got := strings.TrimSpace(said(t, tt.bad)); !sameLines(got, tt.want) {
			t.Errorf("%s: got\n%s\nwant\n%s\nof\n%s", tt.rule, got, tt.want, tt.bad)
		}
		if tt.good == "" {
			continue
		}
		if got := said(t, tt.good); got != "" {
			t.Errorf("%s: nothing is wrong, but got\n%s\nof\n%s", tt.rule, got, tt.good)
		}
	}
}

func sameLines(a, b string) bool {
	x, y := strings.Split(a, "\n"), strings.Split(b, "\n")
	slices.Sort(x)
	slices.Sort(y)
	return slices.Equal(x, y)
}

// Every rule is tried above, but that of references.
func TestEveryRuleIsTried(t *testing.T) {
	for _, r := range Rules() {
		if r.Finds == "" || r.Remedy == "" {
			t.Errorf("the rule %s does not say what it finds or what to do", r.Name)
		}
		tried := r.Name == Reference
		for _, tt := range ofRules {
			tried = tried || tt.rule == r.Name && strings.Contains(tt.want, "("+r.Name+")")
		}
		if !tried {
			t.Errorf("the rule %s is not tried", r.Name)
		}
	}
}

func TestReferences(t *testing.T) {
	d := parse(t, head+get+"components: {schemas: {Desk: {type: string}}}\n")
	answers := d.Root.At("paths", "/desks/{id}", "get", "responses")
	answers.Set("404", openapi.NewObject("$ref", "#/components/responses/Missing"))
	answers.Set("409", openapi.NewObject("$ref", "#/components/schemas/Desk"))
	var got []string
	for _, f := range Lint(d) {
		if f.Rule == "reference" {
			got = append(got, f.Path+" "+f.What)
		}
	}
	want := []string{
		`#/paths/~1desks~1{id}/get/responses/404/$ref the reference "#/components/responses/Missing" leads nowhere: there is no "responses"`,
		`#/paths/~1desks~1{id}/get/responses/409/$ref the reference "#/components/schemas/Desk" leads to a schema where a response should stand`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
}

// textSaid is what Text finds in a text.
func textSaid(t testing.TB, text string, without ...string) string {
	t.Helper()
	all, err := Text("desk.yaml", []byte(text), openapi.DefaultLimits(), without...)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, f := range all {
		fmt.Fprintln(&b, f)
	}
	return b.String()
}

// A reference that is wrong is one finding among others, and what it would lead to is not
// missed by other rules.
func TestBadReferences(t *testing.T) {
	text := head + strings.NewReplacer("summary", "sumary", "{name: id, in: path, required: true, schema: {type: string}}", "{$ref: '#/components/parameters/Idd'}").Replace(get) +
		"components:\n  parameters: {Id: {name: id, in: path, required: true, schema: {type: string}}}\n" +
		"  schemas: {A: {$ref: 'other.yaml#/A'}, B: {allOf: [{$ref: '#/components/schemas/B'}], example: {}}}\n"
	got := textSaid(t, text)
	for _, want := range []string{
		`desk.yaml:9:7: error: unknown key "sumary", did you mean "summary"? (structure)`,
		`desk.yaml:12:18: error: the reference "#/components/parameters/Idd" leads nowhere, did you mean "Id"? (reference)`,
		`desk.yaml:17:23: error: the reference "other.yaml#/A" leads out of the document, references out of the document are not followed: bundle it into one, for example with redocly bundle (reference)`,
		`(reference)`, `the schema contains itself in the same place`, `nothing refers to components.schemas.A`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in\n%s", want, got)
		}
	}
	if n := strings.Count(got, "(reference)"); n != 3 || strings.Contains(got, "path-parameter-undeclared") {
		t.Errorf("%d references in\n%s", n, got)
	}
	if _, err := openapi.Parse("desk.yaml", []byte(text), openapi.DefaultLimits()); err == nil {
		t.Error("Parse takes it")
	}
	if got := textSaid(t, text, Reference, "structure"); strings.Contains(got, "(reference)") || strings.Contains(got, "(structure)") || !strings.Contains(got, "(component-unused)") {
		t.Errorf("without two rules\n%s", got)
	}
	if _, err := Text("desk.yaml", []byte("a: 1"), openapi.DefaultLimits()); err == nil {
		t.Error("what is no document passes")
	}
}

// Documents that were made to keep whoever follows their references busy are looked at, as
// far as that ends.
func TestHostileReferences(t *testing.T) {
	var doubling, missing strings.Builder
	doubling.WriteString(withSchema("{$ref: '#/components/schemas/S0', example: 1}") + "components:\n  schemas:\n    S60: {type: string}\n")
	for i := range 60 {
		fmt.Fprintf(&doubling, "    S%d: {required: [a], allOf: [{$ref: '#/components/schemas/S%d'}, {$ref: '#/components/schemas/S%d'}], discriminator: {propertyName: a}}\n", i, i+1, i+1)
	}
	missing.WriteString(head + "  /x: {get: {sumary: x, responses: {}}}\n")
	for i := range 50_000 {
		fmt.Fprintf(&missing, "  /p%d: {$ref: '#/components/pathItems/x%d'}\n", i, i)
	}
	missing.WriteString("components:\n  pathItems:\n")
	for i := range 50_000 {
		fmt.Fprintf(&missing, "    y%d: {}\n", i)
	}
	for name, tt := range map[string]struct{ text, want string }{
		"doubling": {doubling.String(), "schemas would have to be tried for one value"},
		"missing":  {missing.String(), `unknown key "sumary"`},
		"circle":   {withSchema("{$ref: '#/components/schemas/A', default: 1}") + "components: {schemas: {A: {$ref: '#/components/schemas/B'}, B: {$ref: '#/components/schemas/A'}}}\n", "the references go in a circle"},
	} {
		if got := textSaid(t, tt.text); !strings.Contains(got, tt.want) {
			t.Errorf("%s: %q is not in\n%.2000s", name, tt.want, got)
		}
	}
}

// Errors are told though there are more warnings than anybody reads, and in order.
func TestBounded(t *testing.T) {
	var b strings.Builder
	b.WriteString(head)
	for i := range 2 * Most {
		fmt.Fprintf(&b, "  /p%d: {get: {operationId: o%d, responses: {'200': {description: ok}}}}\n", i, i)
	}
	b.WriteString("  /last?x: {}\n")
	all := Lint(parse(t, b.String()))
	if len(all) != Most+2 {
		t.Fatalf("%d findings", len(all))
	}
	if last := all[Most+1]; last.Rule != More || last.Severity != Warning || last.What != "and 500 more of this kind" {
		t.Errorf("the last one is %v", last)
	}
	if f := all[Most]; f.Rule != "path-query" || f.Severity != Error {
		t.Errorf("before comes %v", f)
	}
	if !slices.IsSortedFunc(all[:Most], func(a, b Finding) int { return a.Line - b.Line }) {
		t.Error("they are not in order")
	}
}

// The document is as it was afterwards.
func TestNotChanged(t *testing.T) {
	d := parse(t, version30(withSchema(`{type: string, nullable: true, example: a}`)))
	before := d.Root.Clone()
	Lint(d)
	if !d.Root.Equal(before) || d.Version != openapi.Version30 {
		t.Error("the document was changed")
	}
}

func FuzzLint(f *testing.F) {
	for _, tt := range ofRules {
		f.Add([]byte(tt.bad))
	}
	for _, schema := range []string{`{$ref: "#"}`, `{$ref: "#/nowhere"}`, `{$ref: 1}`, `{allOf: [{$ref: "#/paths/~1desks/post/requestBody/content/application~1json/schema"}], default: 1}`, `{$dynamicRef: a}`, `{discriminator: {propertyName: a, mapping: {b: c}}}`, `{properties: {a: {$ref: "#/paths"}}}`, `{items: [{}, true]}`, `{$schema: "http://127.0.0.1/x"}`, `{$id: "x", allOf: [{$anchor: a}]}`, `{allOf: 1, required: a, enum: {}, examples: 3}`} {
		f.Add([]byte(withSchema(schema)))
		f.Add([]byte(version30(withSchema(schema))))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		all, err := Text("fuzz.yaml", data, openapi.Limits{Bytes: 1 << 16, Values: 5000, Depth: 50})
		if err != nil {
			return
		}
		for _, finding := range all {
			if finding.What == "" || finding.Hint == "" || finding.Rule == "" {
				t.Errorf("%+v", finding)
			}
		}
	})
}

// The examples of the product have no errors.
func TestExamples(t *testing.T) {
	files, err := filepath.Glob("../../../examples/*/services/*/openapi.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal(err, files)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		d, err := openapi.Parse(file, text, openapi.DefaultLimits())
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range Lint(d) {
			if f.Severity == Error {
				t.Error(f)
			}
		}
	}
}

func BenchmarkLint(b *testing.B) {
	var text strings.Builder
	text.WriteString(head)
	for i := range 10_000 {
		text.WriteString(strings.NewReplacer("/desks", fmt.Sprint("/desks", i), "getDesk", fmt.Sprint("getDesk", i)).Replace(get))
	}
	d := parse(b, text.String())
	for b.Loop() {
		if all := Lint(d); len(all) > 0 {
			b.Fatal(all[0])
		}
	}
}
