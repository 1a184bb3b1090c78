package respond

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"yett/internal/exchange"
	"yett/internal/policy"
	"yett/internal/policy/policytest"
)

func TestPolicy(t *testing.T) { policytest.Run(t, Kind) }

// request is what the templates of these tests are filled in from.
func request(t testing.TB) (*policytest.Call, *exchange.Exchange) {
	c := policytest.NewCall(t, "GET /users/7?a=1&b=\"2\" HTTP/1.1\nHost: api.example.org:8443\n", "")
	x := c.Start()
	x.RequestID = "0190-abc"
	x.Client = netip.MustParseAddr("2001:db8::1")
	x.AddParam("id", "7")
	x.AddParam("evil", "\"><script>\r\nSet-Cookie: a=b\\ \xff")
	x.Identity.Role = "technician"
	x.Identity.Roles = []string{"technician", "guest"}
	x.Identity.Permissions = []string{"read", "\"<b>\r\n"}
	return c, x
}

// answer returns status, fields and body as text.
func answer(t *testing.T, config string) string {
	t.Helper()
	p := policytest.Build(t, Kind, config)
	c, x := request(t)
	defer c.Finish(x)
	if p.Request(x, x.Slot(0)) != exchange.Reply {
		t.Error("it did not reply")
	}
	if x.Reason != nil {
		t.Error("an answer is no refusal")
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d\n", x.Status)
	for _, f := range x.Response.Fields() {
		if f.Key != exchange.KeyOf(f.Name) {
			t.Errorf("%s has the key of another field", f.Name)
		}
		fmt.Fprintf(&b, "%s: %s\n", f.Name, f.Value)
	}
	body, whole := x.ResponseBody.Whole()
	if !whole {
		t.Error("the body streams")
	}
	return b.String() + "\n" + string(body)
}

func TestAnswer(t *testing.T) {
	const (
		inText = "200\nContent-Type: text/plain; charset=utf-8\n\n"
		inJSON = "200\nContent-Type: application/json\n\n"
	)
	tests := []struct{ name, config, want string }{
		{"nothing", "", "200\n\n"},
		{"status alone", "status: 204", "204\n\n"},
		{"text", "text: hello", inText + "hello"},
		{"empty text", `text: ""`, inText},
		{"every placeholder", `text: "{gateway.name} {gateway.version} {request_id} {method} {path} {host} {query} {client.ip} {path.id} {time}"`,
			inText + `test-gateway 1.2.3 0190-abc GET /users/7 api.example.org a=1&b="2" 2001:db8::1 7 2026-01-02T03:04:05.678Z`},
		{"identity", `text: "<{identity.subject}|{identity.email}|{identity.role}|{identity.tenant}>"`, inText + "<||technician|>"},
		{"braces", `text: "{{path}} } {{{path}}}"`, inText + "{path}} } {/users/7}}"},
		{"no such value in the path", `text: "<{path.nothing}>"`, inText + "<>"},
		{"text as it is", `text: "{path.evil}"`, inText + "\"><script>\r\nSet-Cookie: a=b\\ \xff"},
		{"HTML", `{content_type: text/html, text: "<b>{path.evil}</b>&amp;"}`,
			"200\nContent-Type: text/html\n\n<b>&#34;&gt;&lt;script&gt;\r\nSet-Cookie: a=b\\ \xff</b>&amp;"},
		{"JSON as text", `{content_type: application/problem+json, text: '{{"a":"{path.evil}"}'}`,
			"200\nContent-Type: application/problem+json\n\n" + `{\"a\":\"` + `\"><script>\r\nSet-Cookie: a=b\\ ` + "\uFFFD" + `\"}`},
		{"JSON", `json: {b: "{path}", a: [1, -2.50, 12345678901234567890, true, null, "1", "", "x {method}"], c: {}, d: []}`,
			inJSON + `{"b":"/users/7","a":[1,-2.50,12345678901234567890,true,null,"1","","x GET"],"c":{},"d":[]}`},
		{"JSON text alone", `json: "{path}"`, inJSON + `"/users/7"`},
		{"JSON keys stay as they are", `json: {"{path} \"": 1}`, inJSON + `{"{path} \"":1}`},
		{"hostile value in JSON", `json: {a: "{path.evil}"}`, inJSON + `{"a":"\"><script>\r\nSet-Cookie: a=b\\ ` + "\uFFFD" + `"}`},
		{"operator's words in JSON", `json: {a: "say \"{{hi}\"\n{method}"}`, inJSON + `{"a":"say \"{hi}\"\nGET"}`},
		{"identity in JSON", `json: {a: "{identity.subject}", b: "{identity.role}", c: "<{identity.subject}>", d: "{path.none}", e: "{identity.tenant}{identity.email}"}`,
			inJSON + `{"a":null,"b":"technician","c":"<>","d":"","e":""}`},
		{"otherwise", `text: "{identity.email|no one} {identity.role|no one} {path.none|none} {path.id|none} {query|no query} {identity.scopes|none} {identity.roles|none}."`,
			inText + `no one technician none 7 a=1&b="2" none technician,guest.`},
		{"nothing otherwise", `text: "<{identity.email|}>"`, inText + "<>"},
		{"a bar in what is otherwise", `text: "{identity.email|a|b}"`, inText + "a|b"},
		{"otherwise in HTML", `{content_type: text/html, text: "{identity.email|<guest>}"}`, "200\nContent-Type: text/html\n\n&lt;guest&gt;"},
		{"otherwise in JSON", `json: {a: "{identity.email|guest}", b: "{identity.role|guest}", c: "{identity.email|}", d: "<{identity.email|a \"b}>"}`,
			inJSON + `{"a":"guest","b":"technician","c":"","d":"<a \"b>"}`},
		{"lists", `text: "{identity.roles} {identity.permissions} {identity.scopes}."`, inText + "technician,guest read,\"<b>\r\n ."},
		{"lists in JSON", `json: {a: "{identity.roles}", b: "{identity.permissions}", c: "{identity.scopes}", d: "<{identity.permissions}>", e: "{identity.scopes|none}", f: "{identity.roles|none}"}`,
			inJSON + `{"a":["technician","guest"],"b":["read","\"<b>\r\n"],"c":[],"d":"<read,\"<b>\r\n>","e":"none","f":"technician,guest"}`},
		{"lists in HTML", `{content_type: text/html, text: "{identity.permissions}"}`, "200\nContent-Type: text/html\n\nread,&#34;&lt;b&gt;\r\n"},
		{"lists and otherwise in headers", `headers: {X-May: "{identity.permissions}", X-User: "{identity.email|no one}"}`, "200\nX-May: read,\"<b>%0D%0A\nX-User: no%20one\n\n"},
		{"headers", `{status: 302, headers: {Location: "https://{host}{path}?{query}", X-Evil: "{path.evil}", Server: yett}}`,
			"302\nLocation: https://api.example.org/users/7?a=1&b=\"2\"\n" +
				"X-Evil: \"><script>%0D%0ASet-Cookie:%20a=b\\%20%FF\nServer: yett\n\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := answer(t, tt.config); got != tt.want {
				t.Errorf("got\n%q\nwant\n%q", got, tt.want)
			}
		})
	}
}

func TestBadConfig(t *testing.T) {
	tests := []struct {
		config string
		want   []string
	}{
		{"status: 100", []string{"status"}},
		{"status: 600", []string{"status"}},
		{"{text: a, json: b}", []string{"text: stands beside json"}},
		{"{status: 204, text: a}", []string{"status: an answer with status 204 has no content"}},
		{"{status: 304, json: {}}", []string{"status: an answer with status 304 has no content"}},
		{"content_type: text/plain", []string{"content_type: there is no content"}},
		{`{text: a, content_type: "a\nb"}`, []string{"content_type: "}},
		{`text: "{pth}"`, []string{`text: {pth} is no placeholder, did you mean "path"?`}},
		{`text: "{identity.subjct}"`, []string{`did you mean "identity.subject"?`}},
		{`text: "{}"`, []string{"text: {} is no placeholder"}},
		{`text: "{path."`, []string{"text: a { has no } after it, write {{"}},
		{`text: "{path.}"`, []string{"text: {path.} is no placeholder"}},
		{`text: "{identity.emial|guest}"`, []string{`text: {identity.emial} is no placeholder, did you mean "identity.email"?`}},
		{`text: "{method|GET} {gateway.name|} {time|now}"`, []string{"text: {method} is never empty, remove |GET", "{gateway.name} is never empty", "{time} is never empty"}},
		{`text: "{identity.email|{identity.subject}}"`, []string{"text: {identity.email|{identity.subject} has a placeholder within"}},
		{`json: {a: [1, {b: "{Path}"}], c: "{time"}`, []string{"json.a[1].b: {Path} is no placeholder", "json.c: a { has no }"}},
		{`headers: {Content-Type: a}`, []string{"headers.Content-Type: Content-Type can't stand here, use content_type"}},
		{`headers: {Content-Length: "1", X Y: "{nothing}"}`, []string{"headers.Content-Length: Content-Length belongs", "headers.X Y", "headers.X Y: {nothing}"}},
		{"{status: 204, text: a, headers: {A: '{b}'}}", []string{"status", "headers.A"}}, // all at once
		{"text: " + strings.Repeat("x", maxContent), nil},
		{"text: " + strings.Repeat("x", maxContent+1), []string{"text: the content has more than 64 KB"}},
		{"json: [" + strings.Repeat(strings.Repeat("1", 999)+",", maxContent/1000+1) + "]", []string{"json: the content has more than 64 KB"}},
	}
	for _, tt := range tests {
		_, problems := policytest.TryBuild(t, Kind, tt.config)
		if len(problems) != len(tt.want) {
			t.Errorf("%.60s: %v, want %d problems", tt.config, problems, len(tt.want))
			continue
		}
		for i, p := range problems {
			if !strings.Contains(p.String(), tt.want[i]) {
				t.Errorf("%.60s: %v, want %q", tt.config, p, tt.want[i])
			}
		}
	}
}

func TestAnswersByItself(t *testing.T) {
	if !Kind.Answers {
		t.Error("a route with it would need a service")
	}
}

// A template claims its memory before it is filled in: whatever the values
// are, the guess must be enough.
func FuzzRender(f *testing.F) {
	f.Add("{path.evil}", "\"\\\x00\xff", "sub")
	f.Add("{path.evil}", "\r\n\x00\x1f \xff", "")
	f.Add("a {{ {identity.subject} {path.evil}{time}{client.ip}", "<&>'\"", "")
	f.Add("{identity.scopes}{identity.email|\"<\r\n>}", "\"\x00\xff", "<")
	f.Add("{identity.roles}", "", "")
	f.Add("{identity.scopes}", "\x00", "")
	f.Add("{identity.roles|\"\x00}", "", "")
	f.Fuzz(func(t *testing.T, text, value, subject string) {
		var x exchange.Exchange
		x.AddParam("evil", value)
		x.Identity.Subject, x.Identity.Scopes = subject, []string{subject, value}
		if subject != "" {
			x.Identity.Roles = []string{subject}
		}
		x.Client = netip.MustParseAddr("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")
		for _, esc := range []escaping{asIs, forJSON, forMarkup, forHeader} {
			var b compiler
			check(t, b.text(text, esc), &x, esc)
		}
		var b compiler
		var whole template
		b.appendString(&whole, text)
		if got := check(t, whole, &x, asIs); len(b.problems) == 0 && !json.Valid([]byte(got)) {
			t.Errorf("%q with %q is not JSON: %q", text, value, got)
		}
	})
}

func check(t *testing.T, tpl template, x *exchange.Exchange, esc escaping) string {
	t.Helper()
	most := tpl.fixed
	for i := range tpl.segments {
		most += tpl.segments[i].most(x)
	}
	got := string(tpl.render(x))
	if len(got) > most {
		t.Errorf("%d bytes in place of %d: %q", len(got), most, got)
	}
	var value string
	for _, s := range tpl.segments {
		if s.value != literal {
			value += string(s.append(nil, x))
		}
	}
	if esc == forHeader && !exchange.ValidValue(value) {
		t.Errorf("%q can't be the value of a header", value)
	}
	if esc == forMarkup && strings.ContainsAny(value, `<>"'`) {
		t.Errorf("%q is markup", value)
	}
	return got
}

const example = `{json: {id: "{request_id}", path: "{path}", user: "{identity.subject}", time: "{time}", client: "{client.ip}"}, headers: {X-Host: "{host}"}}`

// known is a policy that meets a caller with roles.
type known struct{ policy.Policy }

var roleNames = []string{"technician", "guest"}

func (k known) Request(x *exchange.Exchange, s *exchange.Slot) exchange.Verdict {
	x.Identity.Subject, x.Identity.Roles = "7", roleNames
	return k.Policy.Request(x, s)
}

func TestNoAllocation(t *testing.T) {
	c := policytest.NewCall(t, "GET /a?b=c HTTP/1.1\nHost: example.org\n", "")
	lists := `json: {roles: "{identity.roles}", name: "{identity.email|guest}"}`
	for _, config := range []string{"text: fixed", example, lists} {
		if n := c.Allocs(t, known{policytest.Build(t, Kind, config)}); n != 0 {
			t.Errorf("%s: %v allocations", config, n)
		}
	}
}

func BenchmarkLife(b *testing.B) {
	c := policytest.NewCall(b, "GET /a?b=c HTTP/1.1\nHost: example.org\n", "")
	for name, config := range map[string]string{"fixed": "text: fixed", "filled in": example} {
		b.Run(name, func(b *testing.B) {
			p := policytest.Build(b, Kind, config)
			b.ReportAllocs()
			for b.Loop() {
				c.Run(p)
			}
		})
	}
}
