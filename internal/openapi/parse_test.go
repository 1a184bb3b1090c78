package openapi

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"yett/internal/problem"
)

// ticketsYAML has what people write: keys that are no texts, aliases, merge keys.
const ticketsYAML = `# Tickets
openapi: 3.0.3
info: {title: Tickets, version: 1.10}
x-errors: &errors
  404: {description: There is no such ticket}
  default: {description: It failed}
paths:
  /tickets/{id}:
    get:
      operationId: getTicket
      parameters: &id
        - {name: id, in: path, required: true, schema: {type: integer}}
      responses:
        200:
          description: |
            Good.
            It is there.
          content:
            application/json:
              schema: {$ref: '#/components/schemas/Ticket'}
              example: {on: 2026-01-02, size: 0x10, ratio: +.50, octal: 0o17, ten: 010, gone: ~, no: no, yes: True}
        <<: *errors
    delete:
      parameters: *id
      responses: {<<: [*errors], 404: {description: Gone already}}
components:
  schemas:
    Ticket:
      type: object
      properties:
        parent: {$ref: '#/components/schemas/Ticket'}
        $ref: {type: string}
`

func TestParseYAML(t *testing.T) {
	d, err := Parse("tickets.yaml", []byte(ticketsYAML), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	get := d.Root.At("paths", "/tickets/{id}", "get")
	if got := get.At("responses", "200").Str("description"); got != "Good.\nIt is there.\n" {
		t.Errorf("description %q", got)
	}
	if got := get.At("responses", "404").Str("description"); got != "There is no such ticket" {
		t.Errorf("merged %q", got)
	}
	remove := d.Root.At("paths", "/tickets/{id}", "delete")
	if got := remove.At("responses", "404").Str("description") + remove.At("responses", "default").Str("description"); got != "Gone alreadyIt failed" {
		t.Errorf("merged %q", got)
	}
	if a, b := get.Get("parameters"), remove.Get("parameters"); !a.Equal(b) || a == b || a.Items[0] == b.Items[0] {
		t.Error("an alias has to be a copy of its own")
	}
	example := get.At("responses", "200", "content", "application/json", "example")
	if got, want := string(example.AppendJSON(nil, "")), `{"on":"2026-01-02","size":16,"ratio":0.50,"octal":15,"ten":10,"gone":null,"no":"no","yes":true}`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got := d.Root.At("info", "version"); got.Kind != Number || got.Text != "1.10" {
		t.Errorf("version %v", got)
	}
	if op := d.Operations(); len(op) != 2 || op[0].Node.Line != 10 || op[0].Node.Column != 7 {
		t.Errorf("%d operations, the first at %d:%d", len(op), op[0].Node.Line, op[0].Node.Column)
	}
}

func TestParseJSON(t *testing.T) {
	const text = "{\"openapi\": \"3.1.0\",\r\n \"x-\u00e9\u65e5\": [1, -0.5e+3, true, false, null, {}, []], \"paths\":\n\t{\"/\\u00e4\\ud83e\\udd8a\\/\\n\": {}}}\n"
	d, err := Parse("a", []byte("\ufeff"+text), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(d.Root.AppendJSON(nil, "")), "{\"openapi\":\"3.1.0\",\"x-\u00e9\u65e5\":[1,-0.5e+3,true,false,null,{},[]],\"paths\":{\"/\u00e4\U0001f98a/\\n\":{}}}"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	places := ""
	for _, m := range d.Root.Members {
		places += fmt.Sprintf("%d:%d=%d:%d ", m.Line, m.Column, m.Value.Line, m.Value.Column)
	}
	if want := "1:2=1:13 2:2=2:10 2:51=3:2 "; places != want {
		t.Errorf("places %s, want %s", places, want)
	}
}

// frame31 makes a document of components.
func frame31(components string) string {
	return `{"openapi":"3.1.0","info":{"title":"a","version":"1"},"paths":{},"components":` + components + `}`
}

func schemas31(schemas string) string { return frame31(`{"schemas":` + schemas + `}`) }

func TestParseRefuses(t *testing.T) {
	tests := []struct{ name, file, text, want string }{
		{"empty", "a", " \n", "1:1: the document is empty"},
		{"empty yaml", "a.yaml", "# nothing\n", "1:1: the document is empty"},
		{"list", "a.yaml", "[1]", "not an object"},
		{"scalar json", "a.json", "5", "not an object"},
		{"cut", "a", `{"openapi": "3.1.0"`, "1:20: not valid JSON: it ends in the middle"},
		{"cut text", "a", `{"openapi": "3.1`, "it ends in the middle"},
		{"cut escape", "a", `{"openapi": "3.1\`, "it ends in the middle"},
		{"comma", "a", "{\"openapi\": \"3.1.0\",\n }", "2:2: not valid JSON"},
		{"comment", "a.json", "{// a\n}", "JSON has no comments"},
		{"more", "a", `{"a":1} x`, "1:9: not valid JSON: something follows"},
		{"twice", "a", "{\"a\":1,\n\"a\":2}", `2:1: the name "a" is there twice, it stands on line 1`},
		{"twice of many", "a", "{" + strings.Repeat("\n", 3) + many(100) + `"k50":1}`, `the name "k50" is there twice`},
		{"number", "a", `{"a": 01}`, "a number is written wrong"},
		{"exponent", "a", `{"a": 1e999999}`, "1:7: a number has an exponent beyond 400"},
		{"digits", "a.yaml", "a: 1" + strings.Repeat("0", 500), "1:4: a number has more than 400 digits"},
		{"utf8", "a", "{\n\"\u00e9\xff\": 1}", "2:3: byte 0xFF is not UTF-8"},
		{"half", "a", `{"\ud800x": 1}`, "half of a pair"},
		{"control", "a", "{\"a\x01\": 1}", "control character U+0001"},
		{"yaml twice", "a.yaml", "a: 1\nb: 2\na: 3\n", `3:1: the name "a" is there twice`},
		{"yaml twice as text", "a.yaml", "200: 1\n'200': 2\n", `2:1: the name "200" is there twice`},
		{"yaml documents", "a.yaml", "a: 1\n---\nb: 1\n", "more than one YAML document"},
		{"yaml broken", "a.yaml", "a: [1\nb: 2\n", "not valid YAML"},
		{"yaml alias", "a.yaml", "a: *b\n", "unknown anchor 'b'"},
		{"yaml self", "a.yaml", "a: &a [*a]\n", "1:8: the alias *a stands inside its own anchor"},
		{"yaml tag", "a.yaml", "a: !go x\n", "the tag \"!go\" is not used here"},
		{"yaml binary", "a.yaml", "a: !!binary eA==\n", "the tag"},
		{"yaml int", "a.yaml", "a: !!int x\n", "the value is no !!int"},
		{"yaml inf", "a.yaml", "a: -.inf\n", "1:4: JSON has no number -.inf"},
		{"yaml key", "a.yaml", "[a]: 1\n", "a name must be a text"},
		{"yaml merge", "a.yaml", "<<: 1\n", "<< wants a mapping"},
		{"swagger", "a.yaml", "swagger: '2.0'\npaths: {}\n", "1:10: #/swagger: this is Swagger 2.0, which is not read here, convert it"},
		{"no version", "a", `{"paths":{}}`, "does not say that it is OpenAPI"},
		{"number as version", "a.yaml", "openapi: 3.1\npaths: {}\n", "1:10: #/openapi: openapi is a number"},
		{"new", "a.yaml", "openapi: 3.2.0\npaths: {}\n", `OpenAPI "3.2.0" is not read here, OpenAPI 3.0 and 3.1 are`},
		{"odd version", "a.yaml", "openapi: 3.1.\npaths: {}\n", `OpenAPI "3.1." is not read here`},
		{"no paths", "a.yaml", "openapi: 3.0.0\ncomponents: {}\n", "the document has no paths, write paths: {}"},
		{"nothing", "a.yaml", "openapi: 3.1.0\n", "the document has no paths, write paths, webhooks or components"},
		{"paths", "a.yaml", "openapi: 3.0.0\npaths: []\n", "2:8: #/paths: paths is an array, not an object"},
		{"file", "a", schemas31(`{"A":{"$ref":"file:///etc/passwd"}}`), `1:103: #/components/schemas/A/$ref: the reference "file:///etc/passwd" leads out of the document, references out of the document are not followed: bundle`},
		{"loopback", "a", schemas31(`{"A":{"properties":{"b":{"$ref":"http://127.0.0.1:9901/x#/a"}}}}`), "leads out of the document"},
		{"other file", "a", frame31(`{"responses":{"A":{"$ref":"other.yaml#/components/responses/A"}}}`), "leads out of the document"},
		{"path item", "a", `{"openapi":"3.0.0","paths":{"/a":{"$ref":"a.yaml"}}}`, "leads out of the document"},
		{"extension's schema", "a", `{"openapi":"3.0.0","x-a":{"$ref":"b.yaml"},"paths":{},"components":{"schemas":{"A":{"$ref":"#/x-a"}}}}`, `"b.yaml" leads out`},
		{"nowhere", "a", schemas31(`{"Ticket":{},"B":{"$ref":"#/components/schemas/Tickit"}}`), `leads nowhere, did you mean "Ticket"?`},
		{"anchor", "a", schemas31(`{"A":{"$anchor":"a"},"B":{"$ref":"#a"}}`), "anchors are not supported"},
		{"dynamic", "a", schemas31(`{"A":{"$dynamicRef":"#a"}}`), "$dynamicRef is not supported"},
		{"number as reference", "a", schemas31(`{"A":{"$ref":5}}`), "a reference is a number, not a text"},
		{"wrong part", "a", frame31(`{"responses":{"A":{"description":""}},"schemas":{"B":{"$ref":"#/components/responses/A"}}}`), "leads to a response where a schema should stand, refer to something in #/components/schemas"},
		{"text as schema", "a", schemas31(`{"A":{"description":"a"},"B":{"$ref":"#/components/schemas/A/description"}}`), "leads to a string where a schema"},
		{"circle", "a", schemas31(`{"A":{"$ref":"#/components/schemas/B"},"B":{"$ref":"#/components/schemas/A"}}`), "the references go in a circle"},
		{"self", "a", frame31(`{"responses":{"A":{"$ref":"#/components/responses/A"}}}`), "the references go in a circle"},
		{"long chain", "a", schemas31(chain(150)), "more than 100 references stand one behind the other"},
		{"in itself", "a", schemas31(`{"A":{"allOf":[{"$ref":"#/components/schemas/B"}]},"B":{"anyOf":[{"not":{"$ref":"#/components/schemas/A"}}]}}`), "contains itself in the same place"},
		{"in itself by if", "a", schemas31(`{"A":{"if":{"$ref":"#/components/schemas/A"}}}`), "contains itself in the same place"},
		{"doubling", "a", schemas31(doubling(60)), "more than 100000 schemas would have to be tried"},
		{"mapping", "a", schemas31(`{"A":{"discriminator":{"propertyName":"a","mapping":{"b":"http://127.0.0.1/x"}}}}`), "there is no schema \"http://127.0.0.1/x\""},
		{"mapping reference", "a", schemas31(`{"A":{"discriminator":{"propertyName":"a","mapping":{"b":"#/components/schemas/B"}}}}`), "leads nowhere"},
		{"base", "a", schemas31(`{"A":{"$id":"http://a","items":{"$ref":"#/components/schemas/B"}},"B":{}}`), "a schema has an $id of its own and references below it"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse(tt.file, []byte(tt.text), Limits{})
			var list problem.List
			if !errors.As(err, &list) || list[0].File != tt.file || list[0].Line == 0 {
				t.Fatalf("no problem with a place: %v", err)
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %s", err, tt.want)
			}
		})
	}
}

func many(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "\"k%d\":1,", i)
	}
	return b.String()
}

func chain(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `"A%d":{"$ref":"#/components/schemas/A%d"},`, i, i+1)
	}
	return "{" + b.String() + fmt.Sprintf(`"A%d":{}}`, n)
}

func doubling(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `"A%d":{"allOf":[{"$ref":"#/components/schemas/A%d"},{"$ref":"#/components/schemas/A%d"}]},`, i, i+1, i+1)
	}
	return "{" + b.String() + fmt.Sprintf(`"A%d":{}}`, n)
}

func TestParseTakes(t *testing.T) {
	for name, text := range map[string]string{
		"recursive":                  schemas31(`{"A":{"properties":{"a":{"$ref":"#/components/schemas/A"}},"items":{"allOf":[{"$ref":"#/components/schemas/A"}]}}}`),
		"a property called $ref":     schemas31(`{"A":{"properties":{"$ref":{"type":"string"},"b":{"properties":{"$ref":{"type":"integer"}}}}}}`),
		"$ref in values":             schemas31(`{"A":{"const":{"$ref":"x"},"enum":[{"$ref":"x"}],"default":{"$ref":"x"},"examples":[{"$ref":"x"}],"example":{"$ref":"x"},"x-a":{"$ref":"x"}}}`),
		"$ref in an example":         frame31(`{"examples":{"A":{"value":{"$ref":"file:///x"}}}}`),
		"into a path":                `{"openapi":"3.0.0","paths":{"/a/{b}":{"get":{"responses":{"200":{"description":"a"}}}},"/c":{"get":{"responses":{"200":{"$ref":"#/paths/~1a~1%7Bb%7D/get/responses/200"}}}}}}`,
		"mapping by name":            schemas31(`{"A":{"discriminator":{"propertyName":"a","mapping":{"b":"B","c":"#/components/schemas/B"}}},"B":{}}`),
		"webhooks alone":             `{"openapi":"3.1.0","webhooks":{}}`,
		"an $id without references":  schemas31(`{"A":{"$id":"A","type":"string"}}`),
		"a boolean schema":           schemas31(`{"A":true,"B":{"$ref":"#/components/schemas/A"}}`),
		"YAML in braces":             `{openapi: 3.1.0, paths: {}}`,
		"release candidate":          `{"openapi":"3.1.0-rc1","paths":{}}`,
		"a header called x-anything": `{"openapi":"3.0.0","paths":{},"components":{"headers":{"x-a":{"$ref":"#/components/headers/b"},"b":{}}}}`,
		"$ref in an extension":       `{"openapi":"3.0.0","paths":{"x-a":{"$ref":"x.yaml"},"/a":{"get":{"responses":{"x-b":{"$ref":"y.yaml"}}}}}}`,
		"99 references":              schemas31(chain(99)),
	} {
		d, err := Parse("a", []byte(text), Limits{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, ref := range d.hold().refs {
			if target, err := d.Resolve(ref.ref.Text); err != nil || d.Deref(target) == nil {
				t.Errorf("%s: %s leads nowhere", name, ref.ref.Text)
			}
		}
	}
}

// Each of these kept a parser busy for long, or would. Now none takes more than two or three
// seconds.
func TestHostile(t *testing.T) {
	if raceDetector {
		t.Skip("there is one goroutine, and the time of the detector tells nothing")
	}
	const mb = 1 << 20
	rep := func(s string, n int) string { return strings.Repeat(s, n/len(s)) }
	laughs := "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
	for i := range 30 {
		laughs += fmt.Sprintf("a%d: &a%d [%s*a%d]\n", i+1, i+1, strings.Repeat(fmt.Sprintf("*a%d, ", i), 9), i)
	}
	long := "a: &a " + rep("x", mb) + "\nb: [" + rep("*a, ", mb) + "]\n"
	deep := "a0: &a0 {a: 1}\n"
	for i := range 200 {
		deep += fmt.Sprintf("a%d: &a%d {a: *a%d}\n", i+1, i+1, i)
	}
	for name, tt := range map[string]struct{ file, text, want string }{
		"50 MB":          {"a", rep(" ", 50*mb), "larger than 10MB"},
		"laughs":         {"a.yaml", laughs, "more than 2000000 values, aliases expanded"},
		"laughs, merged": {"a.yaml", strings.NewReplacer("[", "{<<: [", "]", "]}", "x, ", "{a: 1}, ", "x]", "{a: 1}]}").Replace(laughs), "aliases expanded"},
		"long texts":     {"a.yaml", long, "the texts are longer than 20MB, aliases expanded"},
		"deep aliases":   {"a.yaml", deep, "more than 100 deep inside one another"},
		"[ json":         {"a.json", rep("[", 10*mb), "more than 100 deep"},
		"{ json":         {"a", rep(`{"a":`, 10*mb), "more than 100 deep"},
		"[":              {"a.yaml", rep("[", 10*mb), "max depth"},
		"{":              {"a.yaml", rep("{", 10*mb), "max depth"},
		"- - -":          {"a.yaml", rep("- ", 10*mb), "max depth"},
		"? ? ?":          {"a.yaml", rep("? ", 10*mb), "max depth"},
		"1000 deep":      {"a.yaml", strings.Repeat("[", 1000) + strings.Repeat("]", 1000), "more than 100 deep"},
		"&a *a":          {"a.yaml", rep("&a *a ", mb), ""},
		"<<<":            {"a.yaml", rep("<", mb), ""},
		"empty lines":    {"a.yaml", "a: |\n b\n" + rep("\n", mb) + " c\n", ""},
		"many values":    {"a.json", "[" + rep("1,", 5*mb) + "1]", "more than 2000000 values"},
		"bad references": {"a", schemas31("{" + manyRefs(100_000) + `"A":{}}`), "leads nowhere"},
		"bad mapping":    {"a", schemas31(`{"A":{"discriminator":{"mapping":{` + strings.ReplaceAll(many(100_000), ":1", `:"x"`) + `"z":"x"}}},` + strings.ReplaceAll(many(50_000), ":1", ":{}") + `"z":{}}`), "there is no schema"},
		"nested $id":     {"a", schemas31(`{"A":` + strings.Repeat(`{"$id":"a","not":`, 80) + `{"properties":{` + strings.ReplaceAll(many(100_000), ":1", `:{"$ref":"#"}`) + `"z":{}}}` + strings.Repeat("}", 81)), "$id"},
	} {
		t.Run(name, func(t *testing.T) {
			at := cpuTime()
			_, err := Parse(tt.file, []byte(tt.text), Limits{})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%.300v, want %s", err, tt.want)
			}
			took := cpuTime() - at
			if t.Logf("%v", took.Round(time.Millisecond)); took > 20*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}

// Read takes what Parse refuses for its references, and nothing else.
func TestRead(t *testing.T) {
	for _, tt := range []struct {
		name, text      string
		problems        int
		endless, costly bool
	}{
		{"right", schemas31(`{"A":{}}`), 0, false, false},
		{"nowhere", schemas31(`{"A":{"$ref":"#/components/schemas/B"}}`), 1, false, false},
		{"elsewhere", schemas31(`{"A":{"$ref":"b.json"},"B":{"$ref":"#/components/schemas/A"}}`), 1, false, false},
		{"circle and nowhere", schemas31(`{"A":{"allOf":[{"$ref":"#/components/schemas/A"}]},"B":{"$ref":"#/b"}}`), 2, true, false},
		{"many", schemas31("{" + manyRefs(200) + `"A":{}}`), maxProblems, false, true},
	} {
		d, broken, err := Read("a.json", []byte(tt.text), Limits{})
		if err != nil || d == nil || d.Version != Version31 {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if len(broken.Problems) != tt.problems || broken.Endless != tt.endless || broken.Costly != tt.costly {
			t.Errorf("%s: %+v", tt.name, broken)
		}
		for _, p := range broken.Problems {
			if p.File != "a.json" || p.Line == 0 || p.Path == "" {
				t.Errorf("%s: %+v has no place", tt.name, p)
			}
		}
		if _, err := Parse("a.json", []byte(tt.text), Limits{}); (err != nil) != (tt.problems > 0) {
			t.Errorf("%s: Parse says %v", tt.name, err)
		}
	}
	for _, text := range []string{"", "{", `{"openapi":"3.1.0"}`, `{"swagger":"2.0"}`} {
		if d, broken, err := Read("a.json", []byte(text), Limits{}); err == nil || d != nil || broken != nil {
			t.Errorf("%q is read", text)
		}
	}
}

func manyRefs(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `"B%d":{"$ref":"#/components/schemas/missing%d"},`, i, i)
	}
	return b.String()
}

func TestLimits(t *testing.T) {
	const text = `{"openapi":"3.1.0","paths":{}}`
	for _, file := range []string{"a.json", "a.yaml"} {
		if _, err := Parse(file, []byte(text), Limits{Bytes: 30, Values: 3, Depth: 2}); err != nil {
			t.Error(err)
		}
		for what, most := range map[string]Limits{"30 bytes": {Bytes: 29}, "2 values": {Values: 2}, "1 deep": {Depth: 1}} {
			what = strings.ReplaceAll(what, "30", "29")
			if _, err := Parse(file, []byte(text), most); err == nil || !strings.Contains(err.Error(), what) {
				t.Errorf("%s with %v: %v", file, most, err)
			}
		}
	}
}

// Resolve has to see what has become of a large object since it was looked at.
func TestResolveAfterChanges(t *testing.T) {
	d := parse(t, schemas31("{"+strings.ReplaceAll(many(100), ":1", ":{}")+`"z":{}}`))
	schemas := d.Root.At("components", "schemas")
	find := func(name string) *Node {
		n, _ := d.Resolve("#/components/schemas/" + name)
		return n
	}
	if find("k50") == nil {
		t.Fatal("k50 is not found")
	}
	set := NewObject("title", "new")
	schemas.Set("k50", set)
	if find("k50") != set {
		t.Error("a new value is not found")
	}
	last := find("z")
	schemas.Delete("k50")
	schemas.Set("k50b", set)
	if find("k50") != nil || find("k50b") != set || find("z") != last || find("k51") != schemas.Get("k51") {
		t.Error("what was taken out, added or moved is not found where it is")
	}
	schemas.Members[0].Name = "renamed"
	if find("k0") != nil || find("renamed") == nil {
		t.Error("a new name is not found")
	}
}

// Every known part is met once, as what it is, and nothing else.
func TestWalk(t *testing.T) {
	d := parse(t, everything)
	met := make(map[Part]int)
	d.Walk(func(n *Node, p Part) bool { met[p]++; return true })
	for p, want := range map[Part]int{PartDocument: 1, PartComponents: 1, PartPathItem: 9, PartOperation: 5, PartParameter: 2, PartResponse: 3, PartCallback: 2, PartRequestBody: 1, PartMediaType: 2, PartSchema: 4, PartSecurityScheme: 3} {
		if met[p] != want {
			t.Errorf("%s: met %d times, want %d", p, met[p], want)
		}
	}
	for p, want := range map[Part]string{PartSchema: "schemas", PartRequestBody: "requestBodies", PartPathItem: "pathItems", PartOperation: ""} {
		if got := p.Section(); got != want {
			t.Errorf("%s is kept in %q, want %q", p, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(true, ticketsYAML)
	f.Add(false, schemas31(`{"A":{"$ref":"#/components/schemas/B"},"B":{"allOf":[{"type":["null","string"]}],"prefixItems":[true],"items":false}}`))
	f.Add(false, `{"openapi":"3.0.0","paths":{"/a":{"get":{"parameters":[{"schema":{"nullable":true,"type":"string","exclusiveMinimum":true,"minimum":1}}]}}}}`)
	f.Add(true, everything)
	f.Add(true, "a: &a [1, 'b', \"\\x41\", |\n  c\n ]\nb: *a\n? c\n: !!str 1\n<<: {d: 1}\n")
	f.Add(true, `openapi: 3.1.0
components: {pathItems: {a: {get: {callbacks: {b: {c: {$ref: "#/components/pathItems/a"}}}}}}}
paths: {/a: {$ref: "#/components/pathItems/a"}}`)
	f.Fuzz(func(t *testing.T, yaml bool, text string) {
		file := "a.json"
		if yaml {
			file = "a.yaml"
		}
		small := Limits{Bytes: 1 << 16, Values: 1 << 14, Depth: 40}
		if n, err := parseValue(file, []byte(text), small); err == nil {
			roundTrip(t, "value", n)
		}
		d, err := Parse(file, []byte(text), small)
		if err != nil {
			return
		}
		old := d.Downgrade()
		again(t, old, "downgraded")
		old.Upgrade()
		again(t, old, "downgraded and upgraded")
		d.Upgrade()
		again(t, d, "upgraded")
		before := d.Root.Clone()
		if d.Upgrade(); !before.Equal(d.Root) {
			t.Error("a second Upgrade changes something")
		}
	})
}

// again reads what was made of a document.
func again(t *testing.T, d *Document, how string) {
	t.Helper()
	text := d.Root.AppendYAML(nil)
	if _, err := Parse("again.yaml", text, Limits{}); err != nil {
		t.Fatalf("%s: %v\n%s", how, err, text)
	}
}
