package respond

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"yett/internal/openapi"
	"yett/internal/policy"
	"yett/internal/policy/policytest"
)

// answerNote describes the policy behind what has been described before it.
func answerNote(t *testing.T, config string, before policy.Description) *policy.AnswerNote {
	t.Helper()
	policytest.Build(t, Kind, config).(policy.Describer).Describe(&before)
	return before.Answer
}

var (
	open     = policy.Description{}
	optional = policy.Description{Schemes: []policy.Scheme{{In: "header"}}, Anonymous: true}
	guarded  = policy.Description{Schemes: []policy.Scheme{{In: "header"}}}
)

func jsonOf(t *testing.T, n *openapi.Node) string {
	t.Helper()
	var b strings.Builder
	appendJSON(&b, n)
	if b.String() != "" && !json.Valid([]byte(b.String())) {
		t.Errorf("no JSON: %s", b.String())
	}
	return b.String()
}

// appendJSON writes a node with its members in their order.
func appendJSON(b *strings.Builder, n *openapi.Node) {
	switch {
	case n == nil:
	case n.Kind == openapi.Object:
		b.WriteString("{")
		for i, m := range n.Members {
			if i > 0 {
				b.WriteString(",")
			}
			appendJSON(b, openapi.NewString(m.Name))
			b.WriteString(":")
			appendJSON(b, m.Value)
		}
		b.WriteString("}")
	case n.Kind == openapi.Array:
		b.WriteString("[")
		for i, item := range n.Items {
			if i > 0 {
				b.WriteString(",")
			}
			appendJSON(b, item)
		}
		b.WriteString("]")
	default:
		text, _ := json.Marshal(n.Any())
		b.Write(text)
	}
}

const everything = `
json:
  service: "{gateway.name}"
  at: "{time}"
  count: 3
  ratio: 1.5
  up: true
  nothing: null
  id: "{identity.subject}"
  name: "{identity.email|guest}"
  may: "{identity.permissions}"
  where: "{method} {path.id}"
  tags: [a, b]
  mix: [1, x]
  none: []
  empty: {}
`

func TestDescribe(t *testing.T) {
	const schema = `{"type":"object","properties":{"service":{"type":"string","examples":["test-gateway"]},"at":{"type":"string","format":"date-time"},` +
		`"count":{"type":"integer","examples":[3]},"ratio":{"type":"number","examples":[1.5]},"up":{"type":"boolean","examples":[true]},"nothing":{"type":"null"},` +
		`"id":{"type":["string","null"]},"name":{"type":"string"},"may":{"type":"array","items":{"type":"string"}},"where":{"type":"string"},` +
		`"tags":{"type":"array","items":{"type":"string"}},"mix":{"type":"array","items":{"anyOf":[{"type":"integer"},{"type":"string"}]}},"none":{"type":"array"},"empty":{"type":"object"}},` +
		`"required":["service","at","count","ratio","up","nothing","id","name","may","where","tags","mix","none","empty"]}`
	example := func(id, name, may string) string {
		return `{"service":"test-gateway","at":"2026-01-31T09:30:00.000Z","count":3,"ratio":1.5,"up":true,"nothing":null,"id":` + id + `,"name":"` + name + `","may":` + may +
			`,"where":"GET id","tags":["a","b"],"mix":[1,"x"],"none":[],"empty":{}}`
	}
	a := answerNote(t, everything, optional)
	if got := jsonOf(t, a.Schema); got != schema || a.Status != 200 || a.ContentType != "application/json" {
		t.Errorf("%d %s\ngot  %s\nwant %s", a.Status, a.ContentType, got, schema)
	}
	if got, want := jsonOf(t, a.Example), example(`"42"`, "ann@example.com", `["items.read"]`); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	a = answerNote(t, everything, open)
	if got, want := jsonOf(t, a.Example), example(`null`, "guest", `[]`); got != want {
		t.Errorf("nobody knows who calls:\ngot  %s\nwant %s", got, want)
	}
}

// What the policy really answers, and the example, are as the schema says.
func TestAnswerKeepsTheSchema(t *testing.T) {
	for _, before := range []policy.Description{open, optional, guarded} {
		a := answerNote(t, everything, before)
		c := jsonschema.NewCompiler()
		if err := c.AddResource("mem:answer", a.Schema.Any()); err != nil {
			t.Fatal(err)
		}
		s := c.MustCompile("mem:answer")
		call, x := request(t)
		policytest.Build(t, Kind, everything).Request(x, x.Slot(0))
		body, _ := x.ResponseBody.Whole()
		for _, text := range []string{string(body), jsonOf(t, a.Example)} {
			if text == "" {
				continue
			}
			v, err := jsonschema.UnmarshalJSON(bytes.NewReader([]byte(text)))
			if err == nil {
				err = s.Validate(v)
			}
			if err != nil {
				t.Errorf("%v in %s", err, text)
			}
		}
		call.Finish(x)
	}
}

// Who may read the document may not read what only some callers get.
func TestGuardedWordsAreNotShown(t *testing.T) {
	const config = `
json: {code: hunter2, list: [hunter2], n: 4711}
headers: {X-Code: hunter2}
`
	a := answerNote(t, config, guarded)
	if text := jsonOf(t, a.Schema) + jsonOf(t, a.Headers[0].Schema); a.Example != nil || strings.Contains(text, "hunter2") || strings.Contains(text, "4711") {
		t.Errorf("%s, example %s", text, jsonOf(t, a.Example))
	}
	if a := answerNote(t, "text: hunter2", guarded); a.Example != nil {
		t.Errorf("the example is %v", a.Example)
	}
	if a := answerNote(t, `json: {id: "{path.id}", you: ["{identity.subject}", null]}`, guarded); jsonOf(t, a.Example) != `{"id":"id","you":["42",null]}` {
		t.Errorf("nothing but placeholders: %s", jsonOf(t, a.Example))
	}
	for _, config := range []string{"json: {on: true}", "json: [7]", "json: '{method}: hunter2'"} {
		if a := answerNote(t, config, guarded); a.Example != nil {
			t.Errorf("%s: %s", config, jsonOf(t, a.Example))
		}
	}
	if a := answerNote(t, config, optional); !strings.Contains(jsonOf(t, a.Example), "hunter2") {
		t.Errorf("what everybody gets: %s", jsonOf(t, a.Example))
	}
}

func TestDescribeOtherAnswers(t *testing.T) {
	for config, want := range map[string]string{
		"status: 204": `204 "" - -`,
		"{status: 302, headers: {Location: '/new/{path.id}?{query}'}}":                                      `302 "" - - Location=/new/id?page=1`,
		"text: 'Hello {identity.email|you}'":                                                                `200 "text/plain; charset=utf-8" {"type":"string"} "Hello you"`,
		"{text: '<p>{host}', content_type: text/html}":                                                      `200 "text/html" {"type":"string"} "<p>api.example.com"`,
		`{text: '{{"a":1}', content_type: application/json}`:                                                `200 "application/json" - -`,
		`{json: {a: b}, content_type: text/plain}`:                                                          `200 "text/plain" {"type":"string"} "{\"a\":\"b\"}"`,
		`{json: {a: b}, content_type: application/problem+json, status: 418, headers: {A: b, C: "{time}"}}`: `418 "application/problem+json" {"type":"object","properties":{"a":{"type":"string","examples":["b"]}},"required":["a"]} {"a":"b"} A=b C=2026-01-31T09:30:00.000Z`,
	} {
		a := answerNote(t, config, open)
		parts := []string{jsonNumber(a.Status), `"` + a.ContentType + `"`, orDash(jsonOf(t, a.Schema)), orDash(plain(jsonOf(t, a.Example)))}
		for _, h := range a.Headers {
			parts = append(parts, h.Name+"="+h.Schema.Get("examples").Items[0].Text)
		}
		if got := strings.Join(parts, " "); got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", config, got, want)
		}
	}
	if d := (policy.Chain{{Policy: policytest.Build(t, Kind, "status: 204")}}).Describe(); len(d.Refusals)+len(d.Schemes) > 0 || slices.Contains(d.Notes, "") {
		t.Errorf("%+v", d)
	}
}

func jsonNumber(n int) string { b, _ := json.Marshal(n); return string(b) }

// plain undoes what encoding/json escapes for HTML.
func plain(s string) string { return strings.NewReplacer(`\u003c`, "<", `\u003e`, ">").Replace(s) }

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
