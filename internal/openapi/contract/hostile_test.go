package contract

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"yett/internal/openapi"
)

// hostile is a document in which bodies can be a lot of work.
const hostile = `
openapi: 3.1.0
info: {title: Work, version: "1"}
paths:
  /any: {post: {requestBody: {content: {application/json: {}}}, responses: {default: {description: x}}}}
  /number: {post: {requestBody: {content: {application/json: {schema: {type: [integer, string], minimum: 0, multipleOf: 3, pattern: "^(a+)+$", minLength: 2}}}}, responses: {default: {description: x}}}}
  /closed: {post: {requestBody: {content: {application/json: {schema: {type: object, additionalProperties: false}}}}, responses: {default: {description: x}}}}
  /items: {post: {requestBody: {content: {application/json: {schema: {type: array, uniqueItems: true, items: {type: integer}}}}}, responses: {default: {description: x}}}}
  /expr: {post: {requestBody: {content: {application/json: {schema: {$ref: "#/components/schemas/Expr"}}}}, responses: {default: {description: x}}}}
  /form: {post: {requestBody: {content: {application/x-www-form-urlencoded: {schema: {type: object, required: [z]}}}}, responses: {default: {description: x}}}}
  /query:
    get:
      parameters: [{name: f, in: query, style: deepObject, schema: {type: object}}, {name: a, in: query, schema: {type: array, items: {type: integer, minimum: 0}}}]
      responses: {default: {description: x}}
components:
  schemas:
    Expr:
      oneOf:
        - {type: object, properties: {of: {$ref: "#/components/schemas/Expr"}, n: {const: 1}}}
        - {type: object, properties: {of: {$ref: "#/components/schemas/Expr"}, n: {const: 2}}}
        - {type: object, properties: {of: {$ref: "#/components/schemas/Expr"}, n: {const: 3}}}
`

// No body takes long, and what is said of it is short, safe and JSON.
func TestHostileBodies(t *testing.T) {
	c := compile(t, hostile)
	deep := func(n int, open, closing string) string { return strings.Repeat(open, n) + strings.Repeat(closing, n) }
	members := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `,"k%d\u0000\u001b<b>":1`, i)
		}
		return "{" + b.String()[1:] + "}"
	}
	big := strings.Repeat("x", 1<<20)
	tests := []struct{ path, body, want string }{
		{"/any", deep(100_000, "[", "]"), "goes deeper than 100"},
		{"/any", deep(100_000, `{"a":`, "}"), "goes deeper than 100"},
		{"/any", strings.Repeat("[", 100_000), "goes deeper than 100"},
		{"/any", deep(100, "[", "]"), ""},
		{"/any", deep(101, "[", "]"), "goes deeper than 100"},
		{"/number", "1e999999", "too large an exponent"},
		{"/number", "-1e-999999999999", "too large an exponent"},
		{"/number", strings.Repeat("9", 1<<20), "too many digits"},
		{"/number", "0." + strings.Repeat("0", 1<<20) + "1", "too many digits"},
		{"/number", "1e400", "it has to be a multiple of 3"},
		{"/number", `"` + strings.Repeat("a", 1<<17) + `"`, ""},
		{"/number", `"` + big[:1<<17] + `"`, "does not match the pattern"},
		{"/number", `"` + big + `"`, "is too long to be checked against a pattern"},
		{"/any", `"` + big, "ends in the middle"},
		{"/any", `{"` + big + `":1,"` + big + `":2}`, "is there more than once"},
		{"/any", "[" + strings.Repeat("1,", 200_000) + "1]", ""},
		{"/items", "[" + strings.Repeat("1,", 90_000) + "1]", "has the same item"},
		{"/items", "[" + strings.Repeat(`"a",`, 90_000) + "1]", "has to be a whole number, not a text"},
		{"/items", "[" + strings.Repeat("1,", 200_000) + "1]", "has the same item"},
		{"/expr", "[" + strings.Repeat("1,", 200_000) + "1]", "holds more than 100000 values"},
		{"/closed", members(50_000), "is not known here"},
		{"/closed", `{"` + big + `":1}`, "is not known here"},
		{"/expr", strings.Repeat(`{"of":`, 20) + "1" + strings.Repeat("}", 20), "too many alternatives"},
		{"/expr", strings.Repeat(`{"n":4,"of":`, 99) + "1" + strings.Repeat("}", 99), "too many alternatives"},
		{"/expr", deep(3, `{"n":2,"of":`, "}") + "x", "is not JSON"},
		{"/any", "{\"a\":\"\x00\"}", "control character"},
		{"/any", "\xef\xbb\xbf{}", "is not JSON"},
	}
	for i, tt := range tests {
		o, _ := c.Match("POST", tt.path)
		x := request("POST", tt.path, "", tt.body, "Content-Type", "application/json")
		start := time.Now()
		list := o.CheckRequest(x, tt.path, []byte(tt.body))
		took := time.Since(start)
		if got := said(list); tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
			t.Errorf("%d %s: %.200s, want %s", i, tt.path, got, tt.want)
		}
		if took > 5*time.Second { // of two cores that many share
			t.Errorf("%d %s took %v", i, tt.path, took)
		}
		checkSafe(t, list)
	}
}

func checkSafe(t *testing.T, list []Violation) {
	t.Helper()
	text := AppendViolations(nil, list)
	if !json.Valid(text) || !utf8.Valid(text) || len(list) > MaxViolations || len(text) > 64<<10 {
		t.Errorf("%d violations, %d bytes: %.300q", len(list), len(text), text)
	}
	for _, v := range list {
		if len(v.Message) > maxMessage+3 || len(v.Pointer) > 2*maxPointer {
			t.Errorf("too long: %d, %d bytes", len(v.Pointer), len(v.Message))
		}
	}
}

// What several schemas are about is read several times, but not as often as one likes: not
// a large body for each of many schemas.
func TestQuickReadsLittle(t *testing.T) {
	all := strings.Repeat(`{"required":["a"]},`, 200)
	c := schemaCheck(t, `{"allOf":[`+all+`true]}`, "true", inRequest)
	body := `{"a":"` + strings.Repeat("x", 1<<16) + `"}`
	if v := quickJSON(body, c.schema, inRequest); v != unsure {
		t.Errorf("a large body is read 200 times: %d", v)
	}
	if v := quickJSON(`{"a":"x"}`, c.schema, inRequest); v != yes {
		t.Errorf("a small body is %d", v)
	}
	if list := slow(c, body); list != nil {
		t.Error(said(list))
	}
}

// Many goroutines need the library for the first time at once.
func TestConcurrentFirstUse(t *testing.T) {
	c := compile(t, desk)
	o, _ := c.Match("POST", "/v1/tickets")
	const body = `{"title":"","priority":"low","owner":{},"parent":{"title":"a"},"source":{"kind":"mail","mail":"x"}}`
	const want = "body /owner/name is missing; body /parent/priority is missing; body /source/mail is not a mail address; body /title has 0 characters, the least is 1"
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			x := request("POST", "/v1/tickets", "", body, "Content-Type", "application/json", "X-Tenant", "acme")
			if got := said(o.CheckRequest(x, "/v1/tickets", []byte(body))); got != want {
				t.Errorf("got %s", got)
			}
		})
	}
	all.Wait()
}

func TestHostileForms(t *testing.T) {
	c := compile(t, hostile)
	form, _ := c.Match("POST", "/form")
	for _, body := range []string{strings.Repeat("a=1&", 100_000), strings.Repeat("&", 100_000), strings.Repeat("%", 1000), "a[=1&a]=2", "=", "a=%00\xff"} {
		x := request("POST", "/form", "", body, "Content-Type", "application/x-www-form-urlencoded")
		list := form.CheckRequest(x, "/form", []byte(body))
		if len(list) == 0 {
			t.Errorf("%.20q is taken, without z", body)
		}
		checkSafe(t, list)
	}
	query, _ := c.Match("GET", "/query")
	for _, q := range []string{strings.Repeat("f[a]=1&", 5000), strings.Repeat("a=x&", 20_000), "f[" + strings.Repeat("[", 10_000) + "=1", "f[]=1&f[][]=2", "f[%00]=\x01&a=%zz", "&&&=&a"} {
		checkSafe(t, query.CheckRequest(request("GET", "/query", q, ""), "/query", nil))
	}
}

// Numbers that nobody can reckon with are none, wherever they stand.
func TestHugeNumbers(t *testing.T) {
	c := compile(t, hostile)
	query, _ := c.Match("GET", "/query")
	for _, lit := range []string{"1e9999999", "1e999999", "-1e-9999999", strings.Repeat("1", 1000)} {
		x := request("GET", "/query", "a=1&a="+lit, "")
		if got := said(query.CheckRequest(x, "/query", nil)); got != "query /a/1 has to be a whole number" {
			t.Errorf("%.20s: %s", lit, got)
		}
	}
}

// Secrets are in headers and cookies, so no value of theirs is repeated.
func TestNoSecrets(t *testing.T) {
	c := compile(t, `
openapi: 3.1.0
info: {title: t, version: "1"}
paths:
  /a:
    get:
      parameters:
        - {name: X-Pin, in: header, schema: {type: integer, maximum: 5, multipleOf: 2}}
        - {name: pin, in: cookie, schema: {type: number, exclusiveMaximum: 5, enum: [1, 2]}}
        - {name: X-Code, in: header, schema: {type: object, additionalProperties: {type: integer}}}
        - {name: text, in: query, schema: {type: string, enum: [a], format: email, pattern: b}}
      responses: {default: {description: x}}
`)
	o, _ := c.Match("GET", "/a")
	list := o.CheckRequest(request("GET", "/a", "text=73571", "", "X-Pin", "73571", "Cookie", "pin=73571", "X-Code", "a,73571x"), "/a", nil)
	if len(list) < 4 {
		t.Errorf("only %s", said(list))
	}
	if strings.Contains(said(list), "73571") {
		t.Errorf("repeats a secret: %s", said(list))
	}
}

func TestCompileProblems(t *testing.T) {
	chain := `"S0":{"type":"string"}`
	for i := range 20 {
		chain += fmt.Sprintf(`,"S%d":{"allOf":[{"$ref":"#/components/schemas/S%d"},{"$ref":"#/components/schemas/S%d"}]}`, i+1, i, i)
	}
	tests := []struct{ name, schema, want string }{
		{"type", `{"type":"text"}`, "has to be one of null, boolean"},
		{"type twice", `{"type":["string","string"]}`, "each type is once"},
		{"lookahead", `{"type":"string","pattern":"^(?=a)"}`, "the pattern can't be checked here"},
		{"name pattern", `{"patternProperties":{"(?!a)":true}}`, "the pattern can't be checked here"},
		{"no schema", `{"properties":{"a":5}}`, "a schema is an object, true or false, not a number"},
		{"minLength", `{"minLength":-1}`, "has to be a whole number from 0"},
		{"multipleOf", `{"multipleOf":0}`, "has to be a number above 0"},
		{"required", `{"required":["a","a"]}`, "has to be a list of names"},
		{"oneOf", `{"oneOf":[]}`, "has to be a list of schemas"},
		{"file", `{"$ref":"file:///etc/passwd"}`, "leads out of the document"},
		{"http", `{"$ref":"http://127.0.0.1:9/x"}`, "leads out of the document"},
		{"nowhere", `{"$ref":"#/components/schemas/None"}`, "leads nowhere"},
		{"dynamic", `{"$dynamicRef":"#x"}`, "is not supported"},
		{"itself", `{"allOf":[{"$ref":"#/components/schemas/Root"}]}`, "refers to itself"},
		{"many", `{"$ref":"#/components/schemas/S20"}`, "too many others"},
		{"huge", `{"minimum":1e300,"enum":[1e400]}`, ""},
	}
	for _, tt := range tests {
		text := `{"openapi":"3.1.0","info":{"title":"t","version":"1"},"paths":{"/a":{"post":{"requestBody":{"content":{"application/json":{"schema":{"$ref":"#/components/schemas/Root"}}}},"responses":{}}}},` +
			`"components":{"schemas":{"Root":` + tt.schema + `,` + chain + `}}}`
		d, _, err := openapi.Read("t.json", []byte(text), openapi.DefaultLimits())
		if err != nil {
			t.Fatal(err)
		}
		c, problems := Compile(d)
		if got := problems.Error(); !strings.Contains(got, tt.want) || tt.want == "" && got != "" || tt.want != "" && problems[0].Column == 0 {
			t.Errorf("%s: %q, want %q with its place", tt.name, got, tt.want)
		}
		o, _ := c.Match("POST", "/a") // and the rest works, without the library giving up
		for _, body := range []string{`"a"`, `{"a":1}`, `5`, `[]`} {
			o.CheckRequest(request("POST", "/a", "", body, "Content-Type", "application/json"), "/a", []byte(body))
		}
		if broken(o.body.media[0].check) {
			t.Errorf("%s: the library does not compile it", tt.name)
		}
	}
}

func TestOperationProblems(t *testing.T) {
	tests := []struct{ paths, want string }{
		{`a: {get: {responses: {}}}`, "a path begins with a slash"},
		{`"/{a": {get: {responses: {}}}`, "braces"},
		{`"/{a}{b}": {get: {responses: {}}}`, "braces"},
		{`"/{a}/{a}": {get: {responses: {}}}`, "each name once"},
		{`"/{a}": {get: {responses: {}}}`, "there is no such parameter"},
		{`"/a": {get: {parameters: [{name: b, in: path, required: true, schema: {}}], responses: {}}}`, "the path has no {b}"},
		{`"/a": {get: {parameters: [{name: b, in: somewhere, schema: {}}], responses: {}}}`, "in has to be"},
		{`"/a": {get: {parameters: [{name: b, in: query, style: matrix, schema: {}}], responses: {}}}`, "style matrix"},
		{`"/a": {get: {responses: {abc: {description: x}}}}`, "no status"},
		{`"/a": {post: {requestBody: {content: {json: {}}}, responses: {}}}`, "no media type"},
		{`"/{a}": {get: {parameters: [{name: a, in: path, required: true, schema: {}}], responses: {}}}
  "/{b}": {get: {parameters: [{name: b, in: path, required: true, schema: {}}], responses: {}}}`, "requests to /{b} are those to /{a} too"},
	}
	for _, tt := range tests {
		d, _, err := openapi.Read("t.yaml", []byte("openapi: 3.1.0\ninfo: {title: t, version: '1'}\npaths:\n  "+tt.paths), openapi.DefaultLimits())
		if err != nil {
			t.Fatal(err)
		}
		_, problems := Compile(d)
		if len(problems) != 1 || !strings.Contains(problems[0].What, tt.want) || problems[0].Line == 0 {
			t.Errorf("%s: %v, want %s", tt.paths, problems, tt.want)
		}
	}
}
