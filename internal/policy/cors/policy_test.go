package cors

import (
	"fmt"
	"strings"
	"testing"

	"yett/internal/exchange"
	"yett/internal/policy"
	"yett/internal/policy/policytest"
)

func TestPolicy(t *testing.T) { policytest.Run(t, Kind) }

const (
	app       = "https://app.example.org"
	listed    = "origins: [https://app.example.org, 'https://*.example.com']\n"
	common    = "Access-Control-Allow-Credentials: true\nAccess-Control-Expose-Headers: X-Request-ID, Retry-After\n"
	vary      = "Vary: Origin\n"
	asks      = "Access-Control-Request-Method: PUT\n"
	good      = "Access-Control-Allow-Origin: https://app.example.org\n"
	permitted = "Access-Control-Allow-Credentials: true\nAccess-Control-Allow-Methods: GET, POST, PUT, PATCH, DELETE, OPTIONS\n" +
		"Access-Control-Allow-Headers: Content-Type, Authorization, X-Request-ID\nAccess-Control-Max-Age: 86400\n" + preflightVary
	preflightVary = "Vary: Origin, Access-Control-Request-Method, Access-Control-Request-Headers\n"
)

// outcome takes a request through the policy and returns status, reason and
// detail, then the answer's fields, then what was observed.
func outcome(t *testing.T, config, request, answer string, change func(*exchange.Exchange)) string {
	t.Helper()
	method, fields, _ := strings.Cut(request, "\n")
	c := policytest.NewCall(t, method+" / HTTP/1.1\nHost: api.example.org\n"+fields, "HTTP/1.1 200 OK\n"+answer)
	x := c.Start()
	defer c.Finish(x)
	if change != nil {
		change(x)
	}
	c.Pass(policytest.Build(t, Kind, config), x)
	var b strings.Builder
	fmt.Fprint(&b, x.Status)
	if x.Reason != nil {
		fmt.Fprintf(&b, " %s %q", x.Reason.Name, x.Detail)
	}
	b.WriteString("\n")
	for _, f := range x.Response.Fields() {
		if f.Key != exchange.KeyOf(f.Name) {
			t.Errorf("%s has the key of another field", f.Name)
		}
		fmt.Fprintf(&b, "%s: %s\n", f.Name, f.Value)
	}
	for _, o := range x.Observed() {
		fmt.Fprintf(&b, "observed %s %q\n", o.Reason.Name, o.Detail)
	}
	return b.String()
}

func TestAnswers(t *testing.T) {
	const (
		everything = "Access-Control-Allow-Origin: *\naccess-control-allow-origin: https://evil.org\nACCESS-CONTROL-ALLOW-CREDENTIALS: true\n" +
			"Access-Control-Expose-Headers: X-Secret\nAccess-Control-Max-Age: 1\nAccess-Control-Allow-Private-Network: true\nETag: 1\nAccess-Control: a\n"
		kept         = "ETag: 1\nAccess-Control: a\n"
		nearestLimit = "RateLimit-Policy: 60;w=60\nRateLimit-Limit: 60\nRateLimit-Remaining: 59\nRateLimit-Reset: 60\n"
		allLimits    = "RateLimit-Policy: \"a\";q=60;w=60\nRateLimit: \"a\";r=59;t=60\n"
	)
	public := "{origins: '*', credentials: false}"
	tests := []struct{ name, config, request, answer, want string }{
		{"listed", listed, "GET\nOrigin: " + app, "", "200\n" + good + common + vary},
		{"pattern, as it came", listed, "GET\nOrigin: https://A.example.com:443", "", "200\nAccess-Control-Allow-Origin: https://A.example.com:443\n" + common + vary},
		{"none", listed, "GET", "", "200\n" + common + vary},
		{"refused", listed, "GET\nOrigin: https://evil.org", "", "200\n" + vary},
		{"null", listed, "GET\nOrigin: null", "", "200\n" + vary},
		{"empty", listed, "GET\nOrigin:", "", "200\n" + vary},
		{"two", listed, "GET\nOrigin: " + app + "\norigin: " + app, "", "200\n" + vary},
		{"nothing is listed", "", "GET\nOrigin: " + app, "", "200\n" + vary},

		{"the service's words, allowed", listed, "GET\nOrigin: " + app, everything, "200\n" + kept + good + common + vary},
		{"the service's words, no origin", listed, "GET", everything, "200\n" + kept + common + vary},
		{"the service's words, refused", listed, "GET\nOrigin: https://evil.org", everything, "200\n" + kept + vary},
		{"the service's words, for all", public, "GET\nOrigin: https://evil.org", everything, "200\n" + kept + "Access-Control-Allow-Origin: *\nAccess-Control-Expose-Headers: X-Request-ID, Retry-After\n"},

		{"limits, the nearest", listed, "GET\nOrigin: " + app, nearestLimit, "200\n" + nearestLimit + good +
			"Access-Control-Allow-Credentials: true\nAccess-Control-Expose-Headers: X-Request-ID, Retry-After, RateLimit-Policy, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset\n" + vary},
		{"limits, all", listed, "GET\nOrigin: " + app, allLimits, "200\n" + allLimits + good +
			"Access-Control-Allow-Credentials: true\nAccess-Control-Expose-Headers: X-Request-ID, Retry-After, RateLimit-Policy, RateLimit\n" + vary},
		{"limits, listed already", listed + "expose: [X-A, ratelimit-remaining, RateLimit-Reset, RateLimit]", "GET\nOrigin: " + app, nearestLimit, "200\n" + nearestLimit + good +
			"Access-Control-Allow-Credentials: true\nAccess-Control-Expose-Headers: X-A, ratelimit-remaining, RateLimit-Reset, RateLimit, RateLimit-Policy, RateLimit-Limit\n" + vary},
		{"limits, nothing exposed", listed + "expose: []", "GET\nOrigin: " + app, allLimits, "200\n" + allLimits + good + "Access-Control-Allow-Credentials: true\n" + vary},
		{"limits, everything exposed", listed + "credentials: false\nexpose: '*'", "GET\nOrigin: " + app, allLimits, "200\n" + allLimits + good + "Access-Control-Expose-Headers: *\n" + vary},
		{"limits, refused", listed, "GET\nOrigin: https://evil.org", allLimits, "200\n" + allLimits + vary},

		{"Vary of the service", listed, "GET", "Vary: Accept-Encoding\nETag: 1\n", "200\nVary: Accept-Encoding, Origin\nETag: 1\n" + common},
		{"Vary has it", listed, "GET", "vary: Accept, ORIGIN\n", "200\nvary: Accept, ORIGIN\n" + common},
		{"Vary has it in another field", listed, "GET", "Vary: Origin\nVary: Accept\n", "200\nVary: Origin\nVary: Accept\n" + common},
		{"Vary twice", listed, "GET", "Vary: Accept\nVary: Cookie\n", "200\nVary: Accept\nVary: Cookie, Origin\n" + common},
		{"Vary is a star", listed, "GET", "Vary: *\n", "200\nVary: *\n" + common},
		{"Vary is empty", listed, "GET", "Vary:\n", "200\nVary: Origin\n" + common},
		{"Vary has a like name", listed, "GET", "Vary: Origin-Agent\n", "200\nVary: Origin-Agent, Origin\n" + common},
		{"Vary, refused", listed, "GET\nOrigin: null", "Vary: Accept\n", "200\nVary: Accept, Origin\n"},

		{"own", listed, "GET\nOrigin: http://api.example.org", "", "200\nAccess-Control-Allow-Origin: http://api.example.org\n" + common + vary},
		{"own, of another scheme", listed, "GET\nOrigin: https://api.example.org", "", "200\n" + vary},
		{"own, of another port", listed, "GET\nOrigin: http://api.example.org:8080", "", "200\n" + vary},

		{"for all", public, "GET\nOrigin: https://anybody.example", "Vary: Accept\n", "200\nVary: Accept\nAccess-Control-Allow-Origin: *\nAccess-Control-Expose-Headers: X-Request-ID, Retry-After\n"},
		{"for all, no origin", public, "GET", "", "200\nAccess-Control-Allow-Origin: *\nAccess-Control-Expose-Headers: X-Request-ID, Retry-After\n"},
		{"for all, null", public, "GET\nOrigin: null", "", "200\n" + vary},
		{"without credentials", listed + "credentials: false\nexpose: []", "GET\nOrigin: " + app, "", "200\n" + good + vary},
		{"everything exposed", listed + "credentials: false\nexpose: '*'", "GET", "", "200\nAccess-Control-Expose-Headers: *\n" + vary},

		{"preflight", listed, "OPTIONS\n" + asks + "Origin: " + app, everything, "204\n" + good + permitted},
		{"preflight of its own", listed, "OPTIONS\n" + asks + "Origin: http://api.example.org", "", "204\nAccess-Control-Allow-Origin: http://api.example.org\n" + permitted},
		{"preflight, refused", listed, "OPTIONS\n" + asks + "Origin: https://evil.org", "", "403 origin_not_allowed \"https://evil.org\"\n" + vary},
		{"preflight, null", listed, "OPTIONS\n" + asks + "Origin: null", "", "403 origin_not_allowed \"null\"\n" + vary},
		{"preflight, empty", listed, "OPTIONS\n" + asks + "Origin:", "", "403 origin_not_allowed \"an empty Origin\"\n" + vary},
		{"preflight, two", listed, "OPTIONS\n" + asks + "Origin: " + app + "\nOrigin: https://evil.org", "", "403 origin_not_allowed \"several Origin fields\"\n" + vary},
		{"preflight, for all", public, "OPTIONS\n" + asks + "Origin: https://anybody.example", "", "204\nAccess-Control-Allow-Origin: *\n" + strings.TrimPrefix(permitted, "Access-Control-Allow-Credentials: true\n")},
		{"preflight without a method", listed, "OPTIONS\nOrigin: " + app, "", "200\n" + good + common + vary},
		{"preflight with an empty method", listed, "OPTIONS\nAccess-Control-Request-Method:\nOrigin: " + app, "", "200\n" + good + common + vary},
		{"preflight without an origin", listed, "OPTIONS\n" + asks, "", "200\n" + common + vary},
		{"no preflight but a GET", listed, "GET\n" + asks + "Origin: " + app, "", "200\n" + good + common + vary},
		{"nothing to say", listed + "methods: []\nheaders: []\nmax_age: 0s", "OPTIONS\n" + asks + "Origin: " + app, "",
			"204\n" + good + "Access-Control-Allow-Credentials: true\nAccess-Control-Max-Age: 0\n" + preflightVary},
		{"whatever is asked for", listed + "methods: '*'\nheaders: '*'\nmax_age: 90m", "OPTIONS\n" + asks + "Access-Control-Request-Headers: x-a, x-b\nOrigin: " + app, "",
			"204\n" + good + "Access-Control-Allow-Credentials: true\nAccess-Control-Max-Age: 5400\n" + preflightVary +
				"Access-Control-Allow-Methods: PUT\nAccess-Control-Allow-Headers: x-a, x-b\n"},
		{"nothing is asked for", listed + "headers: '*'\nmethods: PUT", "OPTIONS\n" + asks + "Origin: " + app, "",
			"204\n" + good + "Access-Control-Allow-Credentials: true\nAccess-Control-Allow-Methods: PUT\nAccess-Control-Max-Age: 86400\n" + preflightVary},
		{"nonsense is asked for", listed + "methods: '*'\nheaders: '*'", "OPTIONS\nAccess-Control-Request-Method: P T\nAccess-Control-Request-Headers: a; b\nOrigin: " + app, "",
			"204\n" + good + "Access-Control-Allow-Credentials: true\nAccess-Control-Max-Age: 86400\n" + preflightVary},

		{"observed", listed + "mode: observe", "GET\nOrigin: " + app, everything, "200\n" + everything},
		{"observed, refused", listed + "mode: observe", "GET\nOrigin: https://evil.org", everything, "200\n" + everything + "observed origin_not_allowed \"https://evil.org\"\n"},
		{"observed, preflight", listed + "mode: observe", "OPTIONS\n" + asks + "Origin: " + app, everything, "200\n" + everything},
		{"observed, preflight refused", listed + "mode: observe", "OPTIONS\n" + asks + "Origin: null", "", "200\nobserved origin_not_allowed \"null\"\n"},
		{"observed, no origin", listed + "mode: observe", "GET", "Vary: a\n", "200\nVary: a\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := outcome(t, tt.config, tt.request+"\n", tt.answer, nil); got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

// The gateway's own origin is what the client calls it.
func TestOwnOrigin(t *testing.T) {
	tests := []struct {
		authority, origin string
		secure, want      bool
	}{
		{"api.example.org", "http://api.example.org", false, true},
		{"api.example.org", "https://api.example.org", true, true},
		{"api.example.org", "http://api.example.org", true, false},
		{"API.Example.ORG", "http://api.example.org", false, true},
		{"api.example.org:80", "http://api.example.org", false, true},
		{"api.example.org:443", "https://api.example.org", true, true},
		{"api.example.org:443", "http://api.example.org", false, false},
		{"api.example.org:443", "http://api.example.org:443", false, true},
		{"api.example.org:80", "https://api.example.org", true, false},
		{"api.example.org:3000", "http://api.example.org:3000", false, true},
		{"api.example.org:3000", "http://api.example.org", false, false},
		{"api.example.org", "http://api.example.org:3000", false, false},
		{"[::1]:3000", "http://[::1]:3000", false, true},
		{"[::1]", "http://[::1]", false, true},
		{"", "http://", false, false},
		{"", "null", false, false},
		{"api.example.org", "app://api.example.org", false, false},
		{"api.example.org", "http://api.example.org.evil.org", false, false},
		{"api.example.org", "http://evil.org", false, false},
	}
	for _, tt := range tests {
		got := outcome(t, "", "GET\nOrigin: "+tt.origin+"\n", "", func(x *exchange.Exchange) {
			x.Authority, x.Secure = tt.authority, tt.secure
		})
		if strings.Contains(got, "Access-Control-Allow-Origin") != tt.want {
			t.Errorf("%q at %q, secure: %v: want %v, got\n%s", tt.origin, tt.authority, tt.secure, tt.want, got)
		}
	}
}

// A page can read why it was refused, whoever refuses.
func TestRefusalOfOthers(t *testing.T) {
	p := policytest.Build(t, Kind, listed)
	for request, want := range map[string]string{
		"GET / HTTP/1.1\nOrigin: " + app + "\n":                 app,
		"GET / HTTP/1.1\nOrigin: https://evil.org\n":            "",
		"OPTIONS / HTTP/1.1\n" + asks + "Origin: " + app + "\n": app, // answered, and then refused as malformed
	} {
		c := policytest.NewCall(t, request, "")
		x := c.Start()
		p.Request(x, x.Slot(0))
		x.Refuse(exchange.BadHost)
		p.Response(x, x.Slot(0))
		if got := x.Response.Get(allowOrigin); got != want || x.Response.Get(allowMethods) != "" {
			t.Errorf("%q: %q, want %q", request, got, want)
		}
		c.Finish(x)
	}
}

func TestExplain(t *testing.T) {
	tests := []struct{ config, request, want string }{
		{listed, "GET\n", "no Origin: no page of another site asks"},
		{listed, "GET\nOrigin: " + app + "\n", `request of origin "https://app.example.org": allowed by https://app.example.org`},
		{listed, "OPTIONS\n" + asks + "Origin: https://A.b.example.com\n", `preflight for PUT of origin "https://A.b.example.com": allowed by https://*.example.com`},
		{listed, "GET\nOrigin: http://api.example.org\n", `request of origin "http://api.example.org": allowed, it is the gateway's own`},
		{listed, "GET\nOrigin: https://evil.org\n", `request of origin "https://evil.org": refused, it is none of the 2 in origins`},
		{listed, "GET\nOrigin: null\n", `request of origin "null": refused, null is never allowed`},
		{listed, "GET\nOrigin: evil\n", `request of origin "evil": refused, this is no origin`},
		{"{origins: '*', credentials: false}", "GET\nOrigin: evil\n", `request of origin "evil": refused, this is no origin`},
		{"{origins: '*', credentials: false}", "GET\nOrigin: https://a.example\n", `request of origin "https://a.example": allowed by *`},
		{listed, "GET\nOrigin: a\nOrigin: b\n", `request of origin "b": refused, there are several Origin fields`},
		{listed + "mode: observe", "GET\nOrigin: https://evil.org\n", `request of origin "https://evil.org": refused, it is none of the 2 in origins`},
	}
	for _, tt := range tests {
		method, fields, _ := strings.Cut(tt.request, "\n")
		c := policytest.NewCall(t, method+" / HTTP/1.1\nHost: api.example.org\n"+fields, "")
		x := c.Start()
		p := policytest.Build(t, Kind, tt.config)
		p.Request(x, x.Slot(0))
		inner, _ := policy.Unwrap(p)
		if got := inner.(policy.Explainer).Explain(x, x.Slot(0)); len(got) != 1 || got[0] != tt.want {
			t.Errorf("%q: %q, want %q", tt.request, got, tt.want)
		}
		c.Finish(x)
	}
}

func TestBadConfig(t *testing.T) {
	tests := map[string][]string{
		"origins: '*'": {"origins: * lets the pages of everybody use the credentials of your users, list the origins, or write credentials: false"},
		"{origins: ['*', 'https://a.example'], credentials: false}": {"origins[0]: * stands beside others"},
		"origins: [null]":                            {"origins[0]"},
		"origins: [a.example, 'https://b/', 'c']":    {"origins[0]", "origins[1]", "origins[2]"}, // all at once
		"{methods: [GET, 'P T', put], headers: a:b}": {`methods[1]: "P T" can't stand in a list of methods`, "methods[2]: methods have upper and lower case, and browsers ask for PUT, write PUT", "headers[0]"},
		"headers: ['*', X-A]":                        {"headers[0]: * stands beside others"},
		"methods: [GET, '*']":                        {"methods[1]: * stands beside others"},
		"expose: '*'":                                {"expose: with credentials, browsers take * for the name"},
		"expose: ['']":                               {"expose[0]"},
		"max_age: 1500ms":                            {"max_age: 1.5s can't be said in seconds, write whole seconds"},
		"mode: lenient":                              {"mode"},
		"credentials: maybe":                         {"credentials"},
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

func call(tb testing.TB, fields string) *policytest.Call {
	return policytest.NewCall(tb, "GET /a HTTP/1.1\nHost: api.example.org\nAccept: */*\nUser-Agent: a\nCookie: a=b\nReferer: https://app.example.org/\n"+fields,
		"HTTP/1.1 200 OK\nContent-Type: application/json; charset=utf-8\nContent-Length: 2\n"+
			"ETag: W/\"2\"\nVary: Accept-Encoding\nCache-Control: no-store\nAccess-Control-Allow-Origin: *\nX-Powered-By: Express\n\n{}")
}

func lives() map[string]string {
	return map[string]string{
		"none": "", "exact": "Origin: " + app + "\n", "pattern": "Origin: https://a.b.example.com\n",
		"upper case": "Origin: https://A.example.com\n", "own": "Origin: http://api.example.org\n", "refused": "Origin: https://evil.org\n",
	}
}

func TestNoAllocation(t *testing.T) {
	for name, fields := range lives() {
		if n := call(t, fields).Allocs(t, policytest.Build(t, Kind, listed)); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	limited := policytest.NewCall(t, "GET / HTTP/1.1\nOrigin: "+app+"\n", "HTTP/1.1 200 OK\nRateLimit: \"a\";r=1;t=1\nRateLimit-Policy: \"a\";q=1;w=1\n")
	if n := limited.Allocs(t, policytest.Build(t, Kind, listed)); n != 0 {
		t.Errorf("limited: %v allocations", n)
	}
	preflight := policytest.NewCall(t, "OPTIONS / HTTP/1.1\n"+asks+"Access-Control-Request-Headers: x-a\nOrigin: "+app+"\n", "")
	for _, config := range []string{listed, listed + "headers: '*'\nmethods: '*'"} {
		if n := preflight.Allocs(t, policytest.Build(t, Kind, config)); n != 0 {
			t.Errorf("preflight: %v allocations", n)
		}
	}
}

// BenchmarkPolicy is both phases on a request of six fields and an answer of
// seven; what is spent on filling the answer is in BenchmarkNothing. Bytes are
// counted only because this exchange never ends: they are its arena's.
func BenchmarkPolicy(b *testing.B) {
	for name, fields := range lives() {
		b.Run(name, func(b *testing.B) { benchmark(b, policytest.Build(b, Kind, listed), fields) })
	}
}

func BenchmarkNothing(b *testing.B) { benchmark(b, policy.Base{}, "Origin: "+app+"\n") }

func benchmark(b *testing.B, p policy.Policy, request string) {
	c := call(b, request)
	x := c.Start()
	c.Pass(policy.Base{}, x)
	fields := append([]exchange.Field(nil), x.Response.Fields()...)
	b.ReportAllocs()
	for b.Loop() {
		x.Response.Reset()
		x.Response.AddFields(fields)
		p.Request(x, x.Slot(0))
		p.Response(x, x.Slot(0))
	}
	c.Finish(x)
}
