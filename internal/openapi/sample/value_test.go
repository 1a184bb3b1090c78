package sample

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"yett/internal/openapi"
)

// document wraps schemas, as YAML, into a document: "A: {type: string}".
func document(t testing.TB, schemas string) *openapi.Document {
	t.Helper()
	text := "openapi: 3.1.0\ninfo: {title: t, version: '1'}\npaths: {}\ncomponents:\n  schemas:\n"
	for line := range strings.Lines(strings.TrimLeft(schemas, "\n")) {
		text += "    " + line
	}
	return parse(t, "t.yaml", text)
}

func parse(t testing.TB, file, text string) *openapi.Document {
	t.Helper()
	d, err := openapi.Parse(file, []byte(text), openapi.DefaultLimits())
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return d
}

func schemaOf(d *openapi.Document, name string) *openapi.Node {
	return d.Root.At("components", "schemas", name)
}

func show(v *openapi.Node) string { return string(v.AppendJSON(nil, "")) }

// judge compiles a schema of a document as the library reads it, with nothing of ours between.
func judge(t testing.TB, d *openapi.Document, pointer string) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat()
	if err := c.AddResource("https://judge.invalid/", d.Root.Any()); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("https://judge.invalid/#" + pointer)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestValue(t *testing.T) {
	tests := []struct{ name, schema, want string }{
		{"text", "{type: string}", `"string"`},
		{"number", "{type: number}", `1`},
		{"truth", "{type: boolean}", `true`},
		{"nothing", "{type: 'null'}", `null`},
		{"anything", "true", `"string"`},
		{"no type", "{properties: {a: {minimum: 3}}}", `{"a":3}`},
		{"type by bounds", "{maxLength: 3}", `"str"`},
		{"not null", "{type: ['null', integer]}", `1`},

		{"example", "{type: string, example: a, default: b}", `"a"`},
		{"examples", "{type: string, examples: [a, c], default: b}", `"a"`},
		{"example that is wrong", "{type: string, example: 1, examples: [2, c]}", `"c"`},
		{"example of a wrong format", "{type: string, format: date, example: yesterday}", `"2026-01-02"`},
		{"default", "{type: integer, default: 7}", `7`},
		{"default null says nothing", "{type: [integer, 'null'], default: null}", `1`},
		{"const", "{const: {a: 1}}", `{"a":1}`},
		{"enum", "{enum: [null, b, c]}", `"b"`},
		{"enum of another type", "{type: integer, enum: [b, 2]}", `2`},
		{"example of the whole", "{type: object, properties: {a: {type: string, example: x}}, example: {a: y}}", `{"a":"y"}`},
		{"examples of the parts", "{type: object, properties: {a: {type: string, example: x}, b: {type: integer}}}", `{"a":"x","b":1}`},

		{"bounds", "{type: integer, minimum: 10, maximum: 20}", `10`},
		{"exclusive bounds", "{type: integer, exclusiveMinimum: 10, exclusiveMaximum: 12}", `11`},
		{"bound above", "{type: integer, maximum: -7}", `-7`},
		{"multiple", "{type: integer, minimum: 10, multipleOf: 7}", `14`},
		{"multiple below", "{type: integer, exclusiveMaximum: -7, multipleOf: 7}", `-14`},
		{"common multiple", "{type: number, minimum: 1, multipleOf: 0.3, allOf: [{multipleOf: 0.2}]}", `1.2`},
		{"fraction", "{type: number, exclusiveMinimum: 0, exclusiveMaximum: 0.5}", `0.25`},
		{"fraction with a bound", "{type: number, minimum: 0.1, maximum: 0.5}", `0.1`},
		{"large", "{type: number, minimum: 1e20}", `100000000000000000000`},

		{"length", "{type: string, minLength: 9, maxLength: 9}", `"strstring"`},
		{"longer", "{type: string, minLength: 16}", `"string-strstring"`},
		{"no text", "{type: string, maxLength: 0}", `""`},
		{"short mail", "{type: string, format: email, maxLength: 8}", `"a@b.io"`},
		{"long mail", "{type: string, format: email, minLength: 21}", `"aasomeone@example.org"`},
		{"byte", "{type: string, format: byte}", `"c2FtcGxl"`},
		{"unknown format", "{type: string, format: colour}", `"string"`},
		{"pattern", "{type: string, pattern: '^[A-Z]{3}-\\d{4}$'}", `"AAA-0000"`},
		{"pattern with a format", "{type: string, format: email, pattern: '@example\\.com$', minLength: 14}", `"aa@example.com"`},
		{"pattern without ends", "{type: string, pattern: '[0-9]', minLength: 4}", `"0aaa"`},
		{"pattern with alternatives", "{type: string, pattern: '^(a|bb|ccc)$', minLength: 3}", `"ccc"`},
		{"pattern with repetition", "{type: string, pattern: '^[a-z]+(-[a-z]+)*$', minLength: 10}", `"aaaaaaaaaa"`},
		{"unicode pattern", "{type: string, pattern: '^\\p{Greek}{2}$'}", `"ͰͰ"`},

		{"array", "{type: array, items: {type: integer}}", `[1]`},
		{"no item allowed", "{type: array, items: {type: integer}, maxItems: 0}", `[]`},
		{"items of no schema", "{type: array}", `[]`},
		{"distinct", "{type: array, uniqueItems: true, minItems: 3, items: {type: integer}}", `[1,2,3]`},
		{"distinct texts", "{type: array, uniqueItems: true, minItems: 2, items: {type: string}}", `["string","string2"]`},
		{"distinct within bounds", "{type: array, uniqueItems: true, minItems: 3, items: {type: integer, minimum: 0, maximum: 2}}", `[1,2,0]`},
		{"distinct of an enum", "{type: array, uniqueItems: true, minItems: 2, items: {enum: [a, b]}}", `["a","b"]`},
		{"distinct objects", "{type: array, uniqueItems: true, minItems: 2, items: {type: object, properties: {a: {type: string, format: uuid}}}}",
			`[{"a":"3fa85f64-5717-4562-b3fc-2c963f66afa6"},{"a":"3fa85f64-5717-4562-b3fc-2c963f66afa7"}]`},
		{"tuple", "{type: array, prefixItems: [{type: string}, {type: integer}], items: false}", `["string",1]`},
		{"contains", "{type: array, items: {type: integer}, contains: {minimum: 5}}", `[5]`},

		{"required alone", "{type: object, required: [a]}", `{"a":"string"}`},
		{"map", "{type: object, additionalProperties: {type: integer}}", `{"property1":1}`},
		{"map of patterns", "{type: object, patternProperties: {'^x-': {type: integer}}, additionalProperties: false, minProperties: 2}", `{"x-":1,"x-1":1}`},
		{"names", "{type: object, propertyNames: {enum: [a, b]}, minProperties: 2}", `{"a":"string","b":"string"}`},
		{"at most", "{type: object, properties: {a: {}, b: {}, c: {}}, required: [c], maxProperties: 2}", `{"a":"string","c":"string"}`},
		{"needs another", "{type: object, properties: {a: {type: integer}}, dependentRequired: {a: [b]}}", `{"a":1,"b":"string"}`},
		{"closed", "{type: object, properties: {a: {type: integer}}, additionalProperties: false}", `{"a":1}`},

		{"all of", "{allOf: [{type: object, properties: {a: {type: integer, minimum: 3}}}, {properties: {a: {maximum: 3}, b: {type: string}}, required: [b]}]}", `{"a":3,"b":"string"}`},
		{"any of", "{anyOf: [{type: 'null'}, {type: integer}]}", `1`},
		{"one of", "{oneOf: [{type: object, required: [a], properties: {a: {const: 1}}}, {type: object, required: [b], properties: {b: {const: 2}}}]}", `{"a":1}`},
		{"one of, first ones overlap", "{oneOf: [{type: integer}, {type: number}, {type: string}]}", `"string"`},
		{"not", "{type: string, not: {enum: [string]}}", `"string2"`},
		{"condition", "{type: object, properties: {a: {const: 1}}, required: [a], if: {properties: {a: {const: 1}}}, then: {required: [b]}}", `{"a":1,"b":"string"}`},
		{"else", "{type: integer, maximum: 2, if: {minimum: 5}, then: false, else: {multipleOf: 2}}", `2`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := document(t, "A: "+tt.schema+"\n")
			v, err := Value(d, schemaOf(d, "A"), ForAnswer)
			if err != nil {
				t.Fatal(err)
			}
			if got := show(v); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			if err := judge(t, d, "/components/schemas/A").Validate(v.Any()); err != nil {
				t.Errorf("%s: %v", show(v), err)
			}
		})
	}
}

func TestReferences(t *testing.T) {
	d := document(t, `
Pet:
  oneOf: [{$ref: '#/components/schemas/Dog'}, {$ref: '#/components/schemas/Cat'}]
  discriminator: {propertyName: kind, mapping: {hound: '#/components/schemas/Dog'}}
Dog: {type: object, required: [kind], properties: {kind: {type: string}, bark: {type: boolean}}}
Cat: {type: object, required: [kind, lives], properties: {kind: {type: string}, lives: {type: integer}}}
Cats: {type: array, minItems: 2, items: {$ref: '#/components/schemas/Pet/oneOf/1'}}
Described: {$ref: '#/components/schemas/Dog/properties/bark', description: beside}
A Name/~%: {type: string, example: odd}
Odd: {type: object, properties: {x: {$ref: '#/components/schemas/A%20Name~1~0%25'}}}
Tree: {type: object, properties: {name: {type: string}, children: {type: array, items: {$ref: '#/components/schemas/Tree'}}, parent: {$ref: '#/components/schemas/Tree'}}}
List: {type: object, required: [next], properties: {next: {anyOf: [{$ref: '#/components/schemas/List'}, {type: 'null'}]}}}
Nullable: {type: [object, 'null'], required: [next], properties: {next: {$ref: '#/components/schemas/Nullable'}}}
Ping: {type: object, required: [pong], properties: {pong: {$ref: '#/components/schemas/Pong'}}}
Pong: {type: object, properties: {ping: {$ref: '#/components/schemas/Ping'}}}
`)
	for name, want := range map[string]string{
		"Pet": `{"kind":"hound","bark":true}`, "Cats": `[{"kind":"string","lives":1},{"kind":"string","lives":1}]`,
		"Described": `true`, "Odd": `{"x":"odd"}`,
		"Tree": `{"name":"string","children":[]}`, "Nullable": `{"next":{"next":null}}`, "Ping": `{"pong":{}}`,
	} {
		v, err := Value(d, schemaOf(d, name), ForAnswer)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := show(v); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
	v, err := Value(d, schemaOf(d, "List"), ForAnswer)
	if err != nil || judge(t, d, "/components/schemas/List").Validate(v.Any()) != nil {
		t.Errorf("List: %v, %v", v, err)
	}
}

func TestNoValue(t *testing.T) {
	d := document(t, `
Endless: {type: object, required: [next], properties: {next: {$ref: '#/components/schemas/Endless'}}}
EndlessItems: {type: array, minItems: 1, items: {$ref: '#/components/schemas/EndlessItems'}}
EndlessAll: {allOf: [{type: object, required: [a], properties: {a: {$ref: '#/components/schemas/EndlessAll'}}}]}
Long: {type: string, minLength: 1000000000}
Many: {type: array, minItems: 1000000000, items: {type: integer}}
ManyMany: {type: array, minItems: 200, items: {type: array, minItems: 200, items: {type: integer}}}
Wide: {type: object, minProperties: 1000000000}
Contrary: {allOf: [{type: string}, {type: integer}]}
Never: false
Between: {type: integer, exclusiveMinimum: 1, exclusiveMaximum: 2}
Ahead: {type: string, pattern: '^(?=a)b'}
Crossed: {type: string, minLength: 3, maxLength: 2}
FewDistinct: {type: array, uniqueItems: true, minItems: 3, items: {type: boolean}}
Closed: {type: object, required: [a], additionalProperties: false}
NoSchema: {type: 7}
Nowhere: {type: object, required: [a], properties: {a: {type: strung}}}
Doubling: {type: object, required: [a, b], properties: {a: {$ref: '#/components/schemas/Doubling'}, b: {$ref: '#/components/schemas/Doubling'}}}
Bomb: {type: array, minItems: 9, items: {type: array, minItems: 9, items: {type: array, minItems: 9, items: {type: array, minItems: 9, items: {type: array, minItems: 9, items: {type: integer}}}}}}
`)
	for name, want := range map[string]error{
		"Endless": ErrEndless, "EndlessItems": ErrEndless, "EndlessAll": ErrEndless, "Doubling": ErrEndless,
		"Long": ErrTooLarge, "Many": ErrTooLarge, "ManyMany": ErrTooLarge, "Wide": ErrTooLarge, "Bomb": ErrTooLarge,
		"Contrary": ErrNone, "Never": ErrNone, "Between": ErrNone, "Ahead": ErrNone, "Crossed": ErrNone, "FewDistinct": ErrNone, "Closed": ErrNone,
		"NoSchema": nil, "Nowhere": nil,
	} {
		start := time.Now()
		v, err := Value(d, schemaOf(d, name), ForAnswer)
		if err == nil || want != nil && !errors.Is(err, want) {
			t.Errorf("%s: %.100v, error %v, want %v", name, v, err, want)
		}
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("%s took %v", name, took)
		}
	}
	if _, err := Value(d, nil, ForAnswer); err == nil {
		t.Error("there is a value of no schema")
	}
}

func TestDirection(t *testing.T) {
	d := document(t, `
User:
  type: object
  required: [id, password, name]
  additionalProperties: false
  properties:
    id: {type: integer, readOnly: true}
    password: {$ref: '#/components/schemas/Secret'}
    name: {type: string}
Secret: {type: string, writeOnly: true}
Example:
  allOf:
    - $ref: '#/components/schemas/User'
    - {type: object, example: {id: 7, password: secret, name: Ann}}
Apart:
  allOf:
    - {required: [password, id]}
    - {type: object, properties: {password: {type: string, writeOnly: true}, id: {type: string, readOnly: true}}}
Users: {type: array, items: {$ref: '#/components/schemas/User'}, example: [{id: 7, password: secret, name: Ann}]}
`)
	for name, want := range map[string][2]string{
		"User":    {`{"id":1,"name":"string"}`, `{"password":"string","name":"string"}`},
		"Example": {`{"id":7,"name":"Ann"}`, `{"password":"secret","name":"Ann"}`},
		"Apart":   {`{"id":"string"}`, `{"password":"string"}`},
		"Users":   {`[{"id":7,"name":"Ann"}]`, `[{"password":"secret","name":"Ann"}]`},
	} {
		for i, dir := range []Direction{ForAnswer, ForRequest} {
			v, err := Value(d, schemaOf(d, name), dir)
			if err != nil {
				t.Errorf("%s: %v", name, err)
			} else if got := show(v); got != want[i] {
				t.Errorf("%s: got %s, want %s", name, got, want[i])
			}
		}
	}
}

func TestFormats(t *testing.T) {
	formats := []string{"date-time", "date", "time", "duration", "uuid", "email", "idn-email", "hostname", "idn-hostname", "ipv4", "ipv6", "uri", "iri",
		"uri-reference", "iri-reference", "uri-template", "json-pointer", "relative-json-pointer", "regex", "byte", "semver"}
	for _, f := range formats {
		d := document(t, fmt.Sprintf("A: {type: array, uniqueItems: true, minItems: 40, items: {type: string, format: %s}}\n", f))
		v, err := Value(d, schemaOf(d, "A"), ForAnswer)
		if err != nil {
			t.Errorf("%s: %v", f, err)
		} else if err := judge(t, d, "/components/schemas/A").Validate(v.Any()); err != nil {
			t.Errorf("%s: %v", f, err)
		}
	}
}

// Every schema of the documents in testdata has a value that the library takes.
func TestDocuments(t *testing.T) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) < 2 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		d := parse(t, file, string(data))
		for _, m := range d.Root.At("components", "schemas").Pairs() {
			v, err := Value(d, m.Value, ForRequest)
			if err != nil {
				t.Errorf("%s, %s: %v", file, m.Name, err)
				continue
			}
			if !hasHidden(m.Value, "readOnly") {
				if err := judge(t, d, "/components/schemas/"+m.Name).Validate(v.Any()); err != nil {
					t.Errorf("%s, %s: %v\n%s", file, m.Name, err, show(v))
				}
			}
		}
	}
}

func hasHidden(n *openapi.Node, keyword string) bool {
	found := false
	n.Walk(func(n *openapi.Node) bool {
		found = found || n.True(keyword) || n.Get("$ref") != nil
		return !found
	})
	return found
}

// Whatever schema comes, a value that is made is one that the library takes; and where the
// schema was made so that it has values, one is found.
func TestRandomSchemas(t *testing.T) {
	rounds := 1000
	if raceDetector { // there is one goroutine
		rounds = 100
	}
	missed := 0
	for i := range rounds {
		r := randomSchemas{Rand: rand.New(rand.NewPCG(uint64(i), 7)), n: new(int)}
		root := map[string]any{"openapi": "3.1.0", "info": map[string]any{"title": "t", "version": "1"}, "paths": map[string]any{},
			"components": map[string]any{"schemas": map[string]any{"A": r.of("B").schema(0), "B": r.of("C").schema(2), "C": r.of("").schema(3)}}}
		data, err := json.Marshal(root)
		if err != nil {
			t.Fatal(err)
		}
		d := parse(t, "t.json", string(data))
		v, err := Value(d, schemaOf(d, "A"), ForAnswer)
		if err != nil {
			missed++
			if testing.Verbose() {
				t.Logf("round %d: %v\n%s", i, err, data)
			}
			continue
		}
		if err := judge(t, d, "/components/schemas/A").Validate(v.Any()); err != nil {
			t.Errorf("round %d: %v\n%s\n%s", i, err, show(v), data)
		}
		again, err := Value(d, schemaOf(d, "A"), ForAnswer)
		if err != nil || show(again) != show(v) {
			t.Errorf("round %d: another value the second time: %s, %v, first %s", i, show(again), err, show(v))
		}
	}
	t.Logf("%d of %d schemas had no value", missed, rounds)
	if missed > rounds/100 {
		t.Errorf("%d of %d schemas had no value", missed, rounds)
	}
}

// randomSchemas makes schemas that mostly have values.
type randomSchemas struct {
	*rand.Rand
	ref string // what they may refer to in any place
	n   *int   // names so far: no two schemas ask different things of one property
}

func (r randomSchemas) of(ref string) randomSchemas { return randomSchemas{r.Rand, ref, r.n} }

func (r randomSchemas) one(of ...any) any { return of[r.IntN(len(of))] }
func (r randomSchemas) maybe() bool       { return r.IntN(3) == 0 }

func (r randomSchemas) schema(depth int) any {
	if depth > 4 {
		return r.scalar()
	}
	switch r.IntN(12) {
	case 0, 1, 2:
		return r.scalar()
	case 3, 4:
		return r.array(depth)
	case 5, 6, 7:
		return r.object(depth, true)
	case 8:
		return map[string]any{"allOf": []any{r.object(depth, false), r.object(depth, false)}}
	case 9:
		return map[string]any{r.one("anyOf", "oneOf").(string): []any{r.schema(depth + 1), r.schema(depth + 1), map[string]any{"const": r.IntN(9)}}}
	case 10:
		if r.ref == "" {
			return map[string]any{"type": "object", "properties": map[string]any{"x": map[string]any{"$ref": "#/components/schemas/B"}}}
		}
		return map[string]any{"$ref": "#/components/schemas/" + r.ref}
	default:
		s := r.object(depth, false)
		s["if"] = map[string]any{"required": []any{"p1"}}
		s["then"] = map[string]any{"required": []any{"q"}, "properties": map[string]any{"q": r.scalar()}}
		s["else"] = map[string]any{"minProperties": r.IntN(3)}
		return s
	}
}

func (r randomSchemas) scalar() map[string]any {
	switch r.IntN(7) {
	case 0:
		return map[string]any{"type": "boolean"}
	case 1:
		return map[string]any{"enum": []any{"a", r.IntN(5), nil, []any{1}}}
	case 2:
		return map[string]any{"type": "string", "format": r.one("date-time", "uuid", "email", "uri", "ipv4", "hostname", "byte", "date", "colour")}
	case 3:
		return map[string]any{"type": "string", "pattern": r.one(`^[A-Z]{2,5}\d+$`, `^(foo|ba[rz])(-\w+)?$`, `x`, `^.{3,}$`, `^[^a-z]+$`, `^\+?[0-9 ]{5,}$`)}
	case 4:
		least := r.IntN(20)
		return map[string]any{"type": r.one("string", []any{"null", "string"}), "minLength": least, "maxLength": least + r.IntN(4), "example": r.one("x", 1, "some longer text")}
	case 5:
		least := r.IntN(200) - 100
		return map[string]any{"type": "integer", "minimum": least, r.one("maximum", "exclusiveMaximum").(string): least + 12 + r.IntN(10), "multipleOf": r.IntN(11) + 1}
	default:
		least := r.NormFloat64()
		return map[string]any{"type": "number", r.one("minimum", "exclusiveMinimum").(string): least, "maximum": least + r.Float64() + 0.001, "default": r.IntN(3)}
	}
}

func (r randomSchemas) array(depth int) map[string]any {
	s := map[string]any{"type": "array", "items": r.schema(depth + 1)}
	if r.maybe() {
		s["minItems"] = r.IntN(3)
		s["maxItems"] = 3 + r.IntN(3)
	}
	if r.maybe() {
		s["uniqueItems"] = true
	}
	if r.maybe() {
		s["prefixItems"] = []any{r.scalar(), r.schema(depth + 1)}
	}
	return s
}

func (r randomSchemas) object(depth int, asMap bool) map[string]any {
	properties, required := map[string]any{}, []any{}
	for range r.IntN(4) {
		*r.n++
		name := fmt.Sprintf("p%d", *r.n)
		if r.maybe() {
			name += "/~%"
		}
		properties[name] = r.schema(depth + 1)
		if r.maybe() {
			required = append(required, name)
		}
	}
	s := map[string]any{"type": "object", "properties": properties, "required": required}
	if asMap && r.maybe() {
		s["additionalProperties"] = r.schema(depth + 2)
		s["minProperties"] = r.IntN(5)
	}
	if r.maybe() && len(required) > 0 {
		s["dependentRequired"] = map[string]any{required[0].(string): []any{"d"}}
	}
	return s
}

func readFile(t testing.TB, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
