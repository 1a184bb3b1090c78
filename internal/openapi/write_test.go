package openapi

import (
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// texts are those that writers and readers of YAML are known to stumble over.
var texts = []string{"", " ", "a", "a b", " a", "a ", "200", "1e3", "0x1F", "0o17", "017", "1_000", "1:30", "12:30:45", "2026-01-02", "2026-01-02T03:04:05Z", ".5", ".inf", "-.inf", ".NaN", "+1", "-", "--", "---", "...", "- a",
	"y", "N", "yes", "No", "on", "OFF", "true", "False", "null", "Null", "~", "<<", "=", "!", "!!str a", "&a", "*a", "?", "? a", ":", ": a", "a: b", "a:b", "a:", "a #b", "a#b", "#a", "%a", "@a", "`a", "'a'", `"a"`, `\`, "{a}", "[a]", "a, b", "|", ">", "|-",
	"$ref", "#/components/schemas/A", "application/json; charset=utf-8", "*/*", "/a/{b}", "http://127.0.0.1:80", "é", "日本", "🦊", "\t", "a\tb", "\ta", "a\t", "a\nb", "a\nb\n", "a\n\nb\n", "a\n\n", "\n", "\na", " a\nb", "a\n b", "a\n  \nb", "a\n\tb\n", "a \nb", "a\r\nb", "a\r", "\x00", "\x1b", "\x7f", "\u0085", "a\u0085b", "\u00a0", "\u2028", "a\u2029b\nc", "\ufeff", "\ufeffa", "a\n\ufeffb", "\ufffd", "\ufffe", "\U0010ffff",
	"# a\nb", "- a\n- b", "---\na", "a\n---\nb", "a\n...\n", "key: value\nother: 1\n", "_1", "_", "0_", "1.", "1.2.3", "0b11", "08", "9 lives", "1st", "(a)", "it's", strings.Repeat("x", 1100), strings.Repeat("é: ", 700), strings.Repeat("a\n", 600)}

func TestYAMLTexts(t *testing.T) {
	for _, s := range texts {
		for name, n := range map[string]*Node{
			"alone": NewString(s), "value": NewObject("a", s, "b", 1), "item": NewArray(NewString(s), NewString("b")),
			"key": NewObject(s+"!", 1, s, NewObject(s, s)), "deep": NewArray(NewArray(NewString(s)), NewObject(s, NewArray(NewObject(s, s)))),
		} {
			roundTrip(t, name, n)
		}
	}
}

// roundTrip writes a value in both languages and reads it again, by ours and by others.
func roundTrip(t *testing.T, name string, n *Node) {
	t.Helper()
	for file, text := range map[string][]byte{"a.yaml": n.AppendYAML(nil), "a.json": n.AppendJSON(nil, ""), "b.json": n.AppendJSON(nil, "  ")} {
		back, err := parseValue(file, text, Limits{})
		if err != nil {
			t.Fatalf("%s: %v in\n%q", name, err, text)
		}
		if !n.Equal(back) {
			t.Fatalf("%s: %s became\n%s\nby\n%q", name, n.AppendJSON(nil, ""), back.AppendJSON(nil, ""), text)
		}
	}
	for _, indent := range []string{"", "\t"} {
		var any any
		in := json.NewDecoder(strings.NewReader(string(n.AppendJSON(nil, indent))))
		in.UseNumber()
		if err := in.Decode(&any); err != nil || !reflect.DeepEqual(any, n.Any()) {
			t.Fatalf("%s: encoding/json reads %v, %v", name, any, err)
		}
	}
}

// Another reader, for ordinary documents, has to understand what we write.
func TestOtherYAMLReader(t *testing.T) {
	for _, s := range texts {
		if strings.ContainsAny(s, "\x00\r\x1b\x7f\u0085\u2028\u2029\ufeff\ufffd\ufffe") || len(s) > 1000 {
			continue // which it reads in ways of its own
		}
		var back map[string]any
		text := NewObject("a", s, "k"+s, NewArray(NewString(s))).AppendYAML(nil)
		if err := yaml.Unmarshal(text, &back); err != nil || back["a"] != s || back["k"+s] == nil || back["k"+s].([]any)[0] != s {
			t.Errorf("%q is read as %q, %v by\n%s", s, back, err, text)
		}
	}
}

// What is made at random comes back as it was.
func TestRandomRoundTrip(t *testing.T) {
	r, rounds := rand.New(rand.NewPCG(1, 2)), 3000
	if raceDetector { // there is one goroutine
		rounds = 300
	}
	for range rounds {
		roundTrip(t, "random", randomNode(r, 4))
	}
}

func randomNode(r *rand.Rand, depth int) *Node {
	k := r.IntN(8)
	if depth == 0 {
		k = r.IntN(5)
	}
	switch k {
	case 0:
		return &Node{Kind: Null}
	case 1:
		return NewBool(r.IntN(2) == 0)
	case 2:
		return &Node{Kind: Number, Text: []string{"0", "-0", "1.50", "1e3", "1E-7", "-2.5e+10", "123456789012345678901234567890", "0.0"}[r.IntN(8)]}
	case 3, 4:
		return NewString(randomText(r))
	case 5:
		n := NewArray()
		for range r.IntN(4) {
			n.Append(randomNode(r, depth-1))
		}
		return n
	}
	n := NewObject()
	for range r.IntN(4) {
		n.Set(randomText(r), randomNode(r, depth-1))
	}
	return n
}

func randomText(r *rand.Rand) string {
	if r.IntN(2) == 0 {
		return texts[r.IntN(len(texts))]
	}
	const letters = "ab 1:#-\n\t'\"\\{}[],&*!|>%@?.~=<_\r\u0085é\u2028"
	runes := []rune(letters)
	s := make([]rune, r.IntN(8))
	for i := range s {
		s[i] = runes[r.IntN(len(runes))]
	}
	return string(s)
}

func TestAppendJSON(t *testing.T) {
	n := NewObject("a", NewArray(NewInt(1), NewArray(), NewObject()), "b", "é\n")
	if got, want := string(n.AppendJSON(nil, "")), `{"a":[1,[],{}],"b":"é\n"}`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got, want := string(n.AppendJSON(nil, "  ")), "{\n  \"a\": [\n    1,\n    [],\n    {}\n  ],\n  \"b\": \"é\\n\"\n}"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestAppendYAML(t *testing.T) {
	n := NewObject("openapi", "3.1.0", "paths", NewObject("/a/{b}", NewObject("get", NewObject("tags", NewStrings("a", "b: c"), "description", "One line.\n\nAnother line.\n",
		"responses", NewObject("200", NewObject("description", "Good", "headers", NewObject(), "deprecated", false)),
		"parameters", NewArray(NewObject("name", "no", "in", "query"), NewArray(NewInt(1), NewInt(2)), NewArray(), NewString("a\nb"))))))
	const want = `openapi: '3.1.0'
paths:
  /a/{b}:
    get:
      tags:
        - a
        - 'b: c'
      description: |
        One line.

        Another line.
      responses:
        '200':
          description: Good
          headers: {}
          deprecated: false
      parameters:
        - name: 'no'
          in: query
        - - 1
          - 2
        - []
        - |-
          a
          b
`
	if got := string(n.AppendYAML(nil)); got != want {
		t.Errorf("%s", got)
	}
}

// parseValue reads one value in JSON or YAML, such as an example, as Parse does a document.
func parseValue(file string, data []byte, most Limits) (*Node, error) {
	root, problems := read(file, data, most.orDefault())
	for i := range problems {
		problems[i].File = file
	}
	if err := problems.Err(); err != nil {
		return nil, err
	}
	return root, nil
}
