package contract

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"yett/internal/openapi"
)

// schemaCheck compiles a schema by itself, in a document that has Node as another one.
func schemaCheck(t testing.TB, schema, node string, mode int) *check {
	if strings.HasPrefix(node, `{"$ref"`) { // a circle of nothing
		node = "true"
	}
	text := `{"openapi":"3.1.0","info":{"title":"t","version":"1"},"paths":{},"components":{"schemas":{"Node":` + node + `,"Root":` + schema + `}}}`
	d, _, err := openapi.Read("t.json", []byte(text), openapi.DefaultLimits())
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	// not by Parse, which refuses what goes in a circle
	return checkOf(d, mode)
}

func checkOf(d *openapi.Document, mode int) *check {
	b := &compiler{builder: newBuilder(d), checks: map[checkKey]*check{}}
	b.library = &library{patterns: b.patterns, byNode: b.byNode}
	c := b.check(d.Root.At("components", "schemas", "Root"), mode, "Root")
	b.finish()
	b.library.all = b.all
	return c
}

// slow is what the library says, with the decoding before it.
func slow(c *check, body string) []Violation {
	var f findings
	f.at("body", "")
	f.json = true
	v, wrong := decodeJSON(body)
	if wrong != nil {
		f.add(wrong.Pointer, wrong.Message)
		return f.list
	}
	c.value(v, &f)
	return f.done()
}

// The words of generated schemas and bodies.
var (
	someNames   = []string{"a", "b", "c", "id", "kind", "long name", "ü", ""}
	someStrings = []string{"", "a", "open", "closed", "äöü", "x1", "2026-02-28", "2026-02-29", "2024-02-29", "2026-13-01", "2026-01-31T13:45:00Z",
		"2026-01-31T13:45:00.5+01:00", "2026-01-31t23:59:60z", "2026-01-31T12:00:60Z", "2016-12-31T23:59:60Z", "0000-01-01", "a@b.de", "a.b@c", "@", "a@-b.de", "a@" + strings.Repeat("b", 64) + ".de", "12345678-1234-1234-1234-123456789abc",
		"12345678-1234-1234-1234-123456789abg", "127.0.0.1", "😀😀", "  ", "0", "null"}
	someNumbers = []string{"0", "-0", "1", "2", "5", "-1", "10", "0.5", "0.01", "1.0", "2.50", "100", "1e2", "1E-2", "2147483647", "2147483648", "-2147483648",
		"-2147483649", "9223372036854775807", "9223372036854775808", "123456789012345678", "1234567890123456789", "0.000000000000000001",
		"0.0000000000000000001", "1e400", "1e401", "1e999999", "1e-999999", "0.30", "3e0", "-5.5"}
	someFormats = []string{"date", "date-time", "uuid", "email", "uri", "ipv4", "hostname", "int32", "int64", "password", "time"}
	somePattern = []string{"^[a-z]+$", "^\\\\d", "o", "^$"}
)

func pick[T any](r *rand.Rand, list []T) T { return list[r.IntN(len(list))] }

// randomSchema writes a schema.
func randomSchema(r *rand.Rand, depth int) string {
	switch n := r.IntN(14); {
	case n == 0:
		return "true"
	case n == 1 && depth < 2:
		return "false"
	case n == 2:
		return `{"$ref":"#/components/schemas/Node"}`
	}
	var words []string
	add := func(format string, args ...any) { words = append(words, fmt.Sprintf(format, args...)) }
	types := []string{"null", "boolean", "integer", "number", "string", "array", "object"}
	kind := pick(r, types)
	switch r.IntN(6) {
	case 0:
	case 1:
		if other := pick(r, types); other != kind {
			add(`"type":[%q,%q]`, kind, other)
		}
	default:
		add(`"type":%q`, kind)
	}
	for range r.IntN(4) {
		randomKeyword(r, kind, depth, add)
	}
	text := "{" + strings.Join(unique(words), ",") + "}"
	for _, large := range []string{"1e401", "1e999999", "1e-999999"} { // no document may have them
		text = strings.ReplaceAll(text, large, "7")
	}
	return text
}

// unique keeps the first of each keyword.
func unique(words []string) (kept []string) {
	seen := map[string]bool{}
	for _, w := range words {
		name, _, _ := strings.Cut(w, ":")
		if !seen[name] {
			seen[name] = true
			kept = append(kept, w)
		}
	}
	return kept
}

func randomKeyword(r *rand.Rand, kind string, depth int, add func(string, ...any)) {
	sub := func() string {
		if depth <= 0 {
			return pick(r, []string{`{"type":"string"}`, `{"type":"integer"}`, "true", `{"type":"null"}`})
		}
		return randomSchema(r, depth-1)
	}
	switch r.IntN(12) {
	case 0:
		add(`"enum":[%s,%s,%s]`, randomScalar(r), randomScalar(r), pick(r, []string{`[1]`, `{"a":1}`, `"a"`, "{}"}))
	case 1:
		add(`"const":%s`, randomScalar(r))
	case 2:
		add(`"%s":[%s,%s]`, pick(r, []string{"anyOf", "oneOf", "allOf"}), sub(), sub())
	case 3:
		add(`"%s":[{"type":"null"},%s]`, pick(r, []string{"anyOf", "oneOf"}), sub())
	case 4:
		if r.IntN(6) == 0 {
			add(`"%s":%s`, pick(r, []string{"not", "if", "then", "else", "contains", "propertyNames", "unevaluatedProperties", "unevaluatedItems"}), sub())
		}
	}
	switch kind {
	case "number", "integer":
		bounds := []string{"0", "1", "-1", "0.5", "0.01", "10", "2", "1e2", "-5.5", "2147483647"}
		name := pick(r, []string{"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "format"})
		switch name {
		case "multipleOf":
			add(`"multipleOf":%s`, pick(r, []string{"1", "2", "0.01", "0.5", "1e1", "0.0001"}))
		case "format":
			add(`"format":%q`, pick(r, someFormats))
		default:
			add(`"%s":%s`, name, pick(r, bounds))
		}
	case "string":
		switch r.IntN(4) {
		case 0:
			add(`"%s":%d`, pick(r, []string{"minLength", "maxLength"}), r.IntN(4))
		case 1:
			add(`"pattern":"%s"`, pick(r, somePattern))
		default:
			add(`"format":%q`, pick(r, someFormats))
		}
	case "array":
		switch r.IntN(4) {
		case 0:
			add(`"%s":%d`, pick(r, []string{"minItems", "maxItems"}), r.IntN(4))
		case 1:
			add(`"uniqueItems":%t`, r.IntN(2) == 0)
		default:
			add(`"items":%s`, sub())
		}
	case "object":
		randomObject(r, sub, add)
	}
}

func randomObject(r *rand.Rand, sub func() string, add func(string, ...any)) {
	switch r.IntN(7) {
	case 0:
		add(`"%s":%d`, pick(r, []string{"minProperties", "maxProperties"}), r.IntN(3))
	case 1:
		add(`"required":[%q,%q]`, someNames[r.IntN(3)], someNames[3+r.IntN(3)])
	case 2, 3:
		add(`"additionalProperties":%s`, pick(r, []string{"false", "true", sub()}))
	case 4:
		add(`"patternProperties":{"^a":%s}`, sub())
	default:
		mark := ""
		if r.IntN(4) == 0 {
			mark = pick(r, []string{`"readOnly":true`, `"writeOnly":true`})
		}
		add(`"properties":{"a":%s,"id":{%s},"b":%s}`, sub(), mark, sub())
	}
}

func randomScalar(r *rand.Rand) string {
	switch r.IntN(8) {
	case 0:
		return "null"
	case 1:
		return pick(r, []string{"true", "false"})
	case 2, 3, 4:
		return pick(r, someNumbers)
	}
	return fmt.Sprintf("%q", pick(r, someStrings))
}

// randomValue writes a value: now and then with blanks, escapes, or faults.
func randomValue(r *rand.Rand, depth int) string {
	if depth <= 0 || r.IntN(3) == 0 {
		switch r.IntN(40) {
		case 0:
			return pick(r, []string{`"\ud800"`, `"\ud83d\ude00"`, `"\u0061"`, `"\u0061"`, `"op\u0065n"`, `"a\nb"`, "\"\xff\"", `"\x"`, "\"a\tb\"", `"open`, "01", "1.", "-", "+1", ".5", "nul", "tru", "NaN", "", "1e", "[1,]", "{,}", `{"a"}`, "\ufeff1"})
		}
		return randomScalar(r)
	}
	var parts []string
	space := pick(r, []string{"", "", "", " ", "\n\t"})
	if r.IntN(2) == 0 {
		for range r.IntN(4) {
			parts = append(parts, space+randomValue(r, depth-1))
		}
		return "[" + strings.Join(parts, ",") + space + "]"
	}
	names := r.Perm(len(someNames))[:r.IntN(5)]
	for _, n := range names {
		name := fmt.Sprintf("%q", someNames[n])
		switch r.IntN(60) {
		case 0, 1, 2, 3:
			name = fmt.Sprintf("%q", someNames[names[0]])
		case 4:
			name = `"\u0061"`
		}
		parts = append(parts, space+name+space+":"+randomValue(r, depth-1))
	}
	return "{" + strings.Join(parts, ",") + space + "}" + space
}

// What the quick path takes has to be good by the library, and where it says no, that has
// to find something.
func TestQuickAgrees(t *testing.T) {
	rounds := 12000
	switch {
	case raceDetector: // there is one goroutine
		rounds = 200
	case testing.Short():
		rounds = 1500
	}
	r := rand.New(rand.NewPCG(1, 2))
	said := map[verdict]int{}
	good := 0
	for range rounds {
		schema, node := randomSchema(r, 3), randomSchema(r, 2)
		mode := r.IntN(modes)
		c := schemaCheck(t, schema, node, mode)
		for range 30 {
			body := randomValue(r, 3)
			v := compare(t, c, schema, node, body, mode)
			said[v]++
			if v == yes {
				good++
			}
		}
		if t.Failed() {
			return
		}
	}
	t.Logf("%d pairs: %d yes, %d no, %d unsure", 30*rounds, said[yes], said[no], said[unsure])
	if good < 30*rounds/20 {
		t.Errorf("the quick path has taken only %d of %d bodies: nothing is tested", good, 30*rounds)
	}
}

func compare(t *testing.T, c *check, schema, node, body string, mode int) verdict {
	t.Helper()
	v := quickJSON(body, c.schema, mode)
	wrong := slow(c, body)
	var f findings
	c.text(body, f.at("body", ""))
	pieces := f.done()
	if broken(c) || v == yes {
		pieces = wrong
	}
	// the walker knows more often which of several alternatives was meant
	sameWords := !strings.Contains(schema+node, "anyOf") && !strings.Contains(schema+node, "oneOf")
	if (len(pieces) > 0) != (len(wrong) > 0) || sameWords && said(pieces) != said(wrong) {
		t.Errorf("in pieces there is\n%s\nthe library says\n%s\nschema %s\nNode   %s\nbody   %q mode %d", said(pieces), said(wrong), schema, node, body, mode)
	}
	if broken(c) {
		t.Errorf("the library does not compile %s with Node %s", schema, node)
		return v
	}
	if v == yes && len(wrong) > 0 || v == no && len(wrong) == 0 {
		t.Errorf("quick says %d, the library %v\nschema %s\nNode   %s\nbody   %q mode %d", v, wrong, schema, node, body, mode)
	}
	return v
}

// broken tells whether the library could not compile a schema that was needed.
func broken(c *check) bool {
	for _, r := range c.library.refs {
		if r.broken.Load() {
			return true
		}
	}
	return c.broken.Load()
}

// The decoder takes what encoding/json takes, but for what it is documented to refuse, and
// makes the same of it.
func TestDecoderAgrees(t *testing.T) {
	r, rounds := rand.New(rand.NewPCG(3, 4)), 100_000
	if raceDetector { // there is one goroutine
		rounds = 5000
	}
	for range rounds {
		checkDecode(t, randomValue(r, 3))
		if t.Failed() {
			return
		}
	}
}

func checkDecode(t *testing.T, body string) {
	t.Helper()
	got, wrong := decodeJSON(body)
	if skimmed := skimJSON(body); !reflect.DeepEqual(skimmed, wrong) {
		t.Errorf("%q: %v, skimmed %v", body, wrong, skimmed)
	}
	if !json.Valid([]byte(body)) {
		if wrong == nil {
			t.Errorf("%q is taken, and no JSON", body)
		}
		return
	}
	if wrong != nil {
		for _, reason := range []string{"more than once", "surrogate", "UTF-8", "digits", "deeper", "more than 100000 values"} {
			if strings.Contains(wrong.Message, reason) {
				return
			}
		}
		t.Errorf("%q is JSON, but: %v", body, wrong)
		return
	}
	d := json.NewDecoder(strings.NewReader(body))
	d.UseNumber()
	var want any
	if err := d.Decode(&want); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%q is %#v, want %#v (%v)", body, got, want, err)
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range []string{`{"a":[1,2.5e3,"\u00e4\ud83d\ude00"],"b":null}`, "[", "\"\xff\"", `{"a":1,"a":2}`} {
		f.Add(s)
	}
	f.Fuzz(checkDecode)
}

func FuzzQuick(f *testing.F) {
	f.Add(uint64(1), `{"a":1}`)
	f.Add(uint64(7), `[1,"x",{"id":null}]`)
	f.Fuzz(func(t *testing.T, seed uint64, body string) {
		r := rand.New(rand.NewPCG(seed, 0))
		schema, node := randomSchema(r, 3), randomSchema(r, 2)
		compare(t, schemaCheck(t, schema, node, inRequest), schema, node, body, inRequest)
	})
}
