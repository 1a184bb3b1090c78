package secureheaders

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"yett/internal/exchange"
	"yett/internal/policy"
	"yett/internal/policy/policytest"
)

func TestPolicy(t *testing.T) { policytest.Run(t, Kind) }

const hsts = "Strict-Transport-Security: max-age=31536000; includeSubDomains; preload\n"

// helmet is what helmet 7 sends without a content security policy.
const helmet = `Cross-Origin-Opener-Policy: same-origin
Cross-Origin-Resource-Policy: same-origin
Origin-Agent-Cluster: ?1
Referrer-Policy: strict-origin-when-cross-origin
` + hsts + `X-Content-Type-Options: nosniff
X-DNS-Prefetch-Control: off
X-Download-Options: noopen
X-Frame-Options: SAMEORIGIN
X-Permitted-Cross-Domain-Policies: none
X-XSS-Protection: 0
`

// answer takes an answer with the given fields through the policy.
func answer(t *testing.T, config, fields string, secure bool) string {
	t.Helper()
	p := policytest.Build(t, Kind, config)
	c := policytest.NewCall(t, "GET / HTTP/1.1\n", "HTTP/1.1 200 OK\n"+fields)
	x := c.Start()
	x.Secure = secure
	c.Pass(p, x)
	var b strings.Builder
	for _, f := range x.Response.Fields() {
		if f.Key != exchange.KeyOf(f.Name) {
			t.Errorf("%s has the key of another field", f.Name)
		}
		fmt.Fprintf(&b, "%s: %s\n", f.Name, f.Value)
	}
	return b.String()
}

func TestAnswer(t *testing.T) {
	without := func(line string) string { return strings.Replace(helmet, line, "", 1) }
	tests := []struct {
		name, config, service string
		secure                bool
		want                  string
	}{
		{"helmet over TLS", "", "Content-Type: text/plain\n", true, "Content-Type: text/plain\n" + helmet},
		{"helmet without TLS", "", "", false, without(hsts)},
		{"HSTS always", "hsts: always", "", false, helmet},
		{"HSTS off", "hsts: off", "", true, without(hsts)},
		{"api", "preset: api", "", true, "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'\n" +
			"Referrer-Policy: no-referrer\nStrict-Transport-Security: max-age=31536000; includeSubDomains\nX-Content-Type-Options: nosniff\n"},
		{"none", "preset: none", "Server: a\nX-Frame-Options: DENY\n", true, "Server: a\nX-Frame-Options: DENY\n"},
		{"the gateway wins", "", "x-frame-options: ALLOWALL\nX-FRAME-OPTIONS: DENY\nETag: 1\nX-XSS-Protection: 1\n", true, "ETag: 1\n" + helmet},
		{"a service's HSTS without TLS", "", "Strict-Transport-Security: max-age=1\n", false, without(hsts)},
		{"a service's HSTS, off", "hsts: off", "Strict-Transport-Security: max-age=1\n", true, without(hsts)},
		{"a service's HSTS, not ours", "preset: none", "Strict-Transport-Security: max-age=1\n", true, "Strict-Transport-Security: max-age=1\n"},
		{"X-Powered-By goes", "", "X-Powered-By: Express\nServer: a\n", true, "Server: a\n" + helmet},
		{"remove replaces its default", "remove: Server", "X-Powered-By: Express\nServer: a\n", true, "X-Powered-By: Express\n" + helmet},
		{"remove from the preset", "remove: [x-xss-protection]", "X-XSS-Protection: 1\n", true, without("X-XSS-Protection: 0\n")},
		{"set changes in place", "set: {x-frame-options: DENY}", "", true, strings.Replace(helmet, "X-Frame-Options: SAMEORIGIN", "x-frame-options: DENY", 1)},
		{"set adds, in order", "{preset: none, set: {X-B: b, X-A: a}}", "X-A: of-the-service\n", true, "X-B: b\nX-A: a\n"},
		{"set HSTS keeps to TLS", "set: {strict-transport-security: max-age=60}", "", false, without(hsts)},
		{"set a field with a key", "{preset: none, set: {server: yett}}", "Server: nginx\n", true, "server: yett\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := answer(t, tt.config, tt.service, tt.secure); got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

// A page of the gateway keeps its own content security policy; a service's is replaced.
func TestOwnPolicy(t *testing.T) {
	const own, preset = "default-src 'self'", "default-src 'none'; frame-ancestors 'none'"
	tests := []struct {
		name, config, service, brings string
		secure                        bool
		want                          []string
	}{
		{"page", "preset: api", "", own, true, []string{own}},
		{"page without TLS", "preset: api", "", own, false, []string{own}},
		{"page, set", `{preset: none, set: {content-security-policy: "sandbox"}}`, "", own, false, []string{own}},
		{"page without one", "preset: api", "", "", false, []string{preset}},
		{"page, none sent", "preset: helmet", "", own, false, []string{own}},
		{"page, removed", "{preset: api, remove: Content-Security-Policy}", "", own, false, nil},
		{"service", "preset: api", "app", own, false, []string{preset}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := policytest.Build(t, Kind, tt.config)
			x := new(exchange.Exchange)
			x.Service, x.Secure = tt.service, tt.secure
			if tt.brings != "" {
				x.Response.Add("Content-Security-Policy", tt.brings)
			}
			x.Response.Add("X-Content-Type-Options", "mine")
			p.Response(x, nil)
			var got []string
			for _, f := range x.Response.Fields() {
				if exchange.EqualFold(f.Name, cspName) {
					got = append(got, f.Value)
				}
				if f.Value == "mine" && tt.name != "page, set" || f.Name == hstsName && !tt.secure {
					t.Errorf("%s: %s", f.Name, f.Value)
				}
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestBadConfig(t *testing.T) {
	tests := map[string][]string{
		"preset: hemlet":                      {"preset"},
		"hsts: never":                         {"hsts"},
		"set: {X Frame: a}":                   {`set.X Frame: "X Frame" can't be the name`},
		`set: {X-A: "a\nb"}`:                  {`set.X-A: "a\nb" can't be the value`},
		"set: {Content-Length: 1}":            {"set.Content-Length: Content-Length belongs"},
		"remove: [Server, Transfer-Encoding]": {"remove[1]: Transfer-Encoding belongs"},
		"{set: {X-A: a}, remove: x-a}":        {"remove[0]: x-a is set and removed"},
		"set: {X-Powered-By: me}":             {"remove[0]: X-Powered-By is set and removed"},
		"set: {X-A: a, x-a: b}":               {"set.x-a: x-a is set twice"},
		"{hsts: off, set: {Strict-Transport-Security: max-age=1}}": {"hsts: is off, and set has"},
		"{preset: none, hsts: always}":                             {"hsts: is always, and there is no value"},
		"{remove: a b, set: {c d: e}}":                             {"set.c d", "remove[0]"}, // all at once
	}
	for config, want := range tests {
		_, problems := policytest.TryBuild(t, Kind, config)
		if len(problems) != len(want) {
			t.Errorf("%s: %v, want %d problems", config, problems, len(want))
			continue
		}
		for i, p := range problems {
			if !strings.Contains(p.String(), want[i]) {
				t.Errorf("%s: %v, want %q", config, p, want[i])
			}
		}
	}
}

// Names that differ, but not in their length modulo 64, are still told apart.
func TestNames(t *testing.T) {
	var n names
	n.add("X-Frame-Options")
	for name, want := range map[string]bool{
		"X-Frame-Options": true, "x-frame-OPTIONS": true, "X-Frame-Option": false, "Y-Frame-Options": false,
		strings.Repeat("x", 15+64): false, "": false,
	} {
		if got := n.has(name); got != want {
			t.Errorf("has(%q) = %v", name, got)
		}
	}
}

func call(tb testing.TB) *policytest.Call {
	return policytest.NewCall(tb, "GET /a HTTP/1.1\nHost: example.org\n", upstream)
}

const upstream = "HTTP/1.1 200 OK\nX-Powered-By: Express\nContent-Type: application/json; charset=utf-8\nContent-Length: 2\n" +
	"ETag: W/\"2\"\nVary: Origin\nCache-Control: no-store\nDate: Fri, 02 Jan 2026 03:04:05 GMT\nX-Frame-Options: DENY\n\n{}"

func TestNoAllocation(t *testing.T) {
	if n := call(t).Allocs(t, policytest.Build(t, Kind, "")); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkResponse is the policy with the eleven headers of helmet on an
// answer of eight fields; BenchmarkFieldByField does the same by Header.Set.
func BenchmarkResponse(b *testing.B) {
	p := policytest.Build(b, Kind, "")
	benchmark(b, p, func(x *exchange.Exchange) { p.Response(x, nil) })
}

func BenchmarkFieldByField(b *testing.B) {
	p := policytest.Build(b, Kind, "").(*headers)
	benchmark(b, p, func(x *exchange.Exchange) {
		for i := range p.secure {
			x.Response.Set(p.secure[i].Name, p.secure[i].Value)
		}
		x.Response.Del("X-Powered-By")
	})
}

// BenchmarkNothing is what the two others spend on filling the answer.
func BenchmarkNothing(b *testing.B) {
	benchmark(b, policy.Base{}, func(*exchange.Exchange) {})
}

func benchmark(b *testing.B, p policy.Policy, f func(*exchange.Exchange)) {
	c := call(b)
	x := c.Start()
	x.Secure = true
	c.Pass(policy.Base{}, x)
	fields := append([]exchange.Field(nil), x.Response.Fields()...)
	b.ReportAllocs()
	for b.Loop() {
		x.Response.Reset()
		for _, f := range fields {
			x.Response.AddField(f)
		}
		f(x)
	}
	c.Finish(x)
}
