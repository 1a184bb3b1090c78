package identity

import (
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"yett/internal/assertion"
	"yett/internal/config"
	"yett/internal/exchange"
	"yett/internal/policy"
	"yett/internal/policy/policytest"
)

// signer signs with the key of the scripts.
func signer(t testing.TB) *assertion.Signer {
	t.Helper()
	conf := config.Assertion{Key: "assertion.pem", Lifetime: config.Duration(30 * time.Second)}
	s, problems := assertion.New(conf, "test-gateway", func(name string) string { return "testdata/" + name })
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return s
}

// deps are those of a route to the service tickets.
func deps(s *assertion.Signer) policy.Deps {
	d := policytest.Deps()
	d.Assertion = s
	d.Route = policy.Route{Auth: "optional", Service: "tickets"}
	return d
}

func TestPolicy(t *testing.T) {
	s := signer(t)
	policytest.Run(t, Kind, policytest.With(func() policy.Deps { return deps(s) }))
}

func ada() exchange.Identity {
	return exchange.Identity{
		Subject: "ada", Email: "ada@example.com", Tenant: "t1", Role: "technician,billing_manager",
		Roles: []string{"technician", "billing_manager"}, Permissions: []string{"tickets:read", "tickets:write"},
		Scopes: []string{"openid", "profile"}, Issuer: "main", TokenID: "j1",
	}
}

func call(tb testing.TB) *policytest.Call {
	return policytest.NewCall(tb, "GET /a HTTP/1.1\nHost: example.org\nAccept: */*\n", "")
}

// told returns the fields that the policy adds for a caller.
func told(t *testing.T, p policy.Policy, id exchange.Identity) string {
	t.Helper()
	c := call(t)
	x := c.Start()
	defer c.Finish(x)
	x.Identity = id
	before := x.Request.Len()
	c.Pass(p, x)
	if x.Status != 200 || x.Reason != nil {
		t.Errorf("the caller is refused: %d %v", x.Status, x.Reason)
	}
	var b strings.Builder
	for _, f := range x.Request.Fields()[before:] {
		if f.Key != exchange.KeyOf(f.Name) || !exchange.ValidName(f.Name) || !exchange.ValidValue(f.Value) || f.Value == "" {
			t.Errorf("the field %q: %q can't be sent", f.Name, f.Value)
		}
		b.WriteString(f.Name + ": " + f.Value + "\n")
	}
	return b.String()
}

const everything = `headers: {X-Sub: subject, X-Mail: email, X-Role: role, X-Tenant: tenant, X-Iss: issuer, X-Jti: token_id, X-Perm: permissions, X-Scope: scopes}`

func TestHeaders(t *testing.T) {
	tests := []struct {
		name, config string
		change       func(*exchange.Identity)
		want         string
	}{
		{"default", "", nil, "X-User-ID: ada\nX-User-Email: ada@example.com\nX-User-Role: technician,billing_manager\nX-Tenant-ID: t1\n"},
		{"everything", everything, nil, "X-Sub: ada\nX-Mail: ada@example.com\nX-Role: technician,billing_manager\nX-Tenant: t1\nX-Iss: main\nX-Jti: j1\n" +
			"X-Perm: tickets:read tickets:write\nX-Scope: openid profile\n"},
		{"one role", "", func(id *exchange.Identity) { id.Roles = id.Roles[:1] },
			"X-User-ID: ada\nX-User-Email: ada@example.com\nX-User-Role: technician\nX-Tenant-ID: t1\n"},
		{"no tenant", "", func(id *exchange.Identity) { id.Tenant = "" },
			"X-User-ID: ada\nX-User-Email: ada@example.com\nX-User-Role: technician,billing_manager\n"},
		{"only a subject", everything, func(id *exchange.Identity) { *id = exchange.Identity{Subject: "ada"} }, "X-Sub: ada\n"},
		{"nobody", everything, func(id *exchange.Identity) { *id = exchange.Identity{} }, ""},
		{"what is not verified", everything, func(id *exchange.Identity) { *id = exchange.Identity{Email: "a@b", Tenant: "t1"} }, ""},
		{"elements that are empty", everything, func(id *exchange.Identity) {
			*id = exchange.Identity{Subject: "a", Roles: []string{"", "r", ""}, Scopes: []string{""}, Permissions: []string{"", "p", "", "q"}}
		}, "X-Sub: a\nX-Role: r\nX-Perm: p q\n"},
		{"bytes that could break a header", everything, func(id *exchange.Identity) {
			*id = exchange.Identity{
				Subject: "a\r\nX-User-Role: system_admin", Email: "é@\x00\x7f\xff", Tenant: " a\tb ", Roles: []string{"a,b", "c d"},
				Permissions: []string{"a b,c", "d%20e"}, Scopes: []string{"a\nb"}, Issuer: "100%", TokenID: "\"a\\b\"",
			}
		}, "X-Sub: a%0D%0AX-User-Role:%20system_admin\nX-Mail: %C3%A9@%00%7F%FF\nX-Role: a%2Cb,c%20d\nX-Tenant: %20a%09b%20\n" +
			"X-Iss: 100%25\nX-Jti: \"a\\b\"\nX-Perm: a%20b%2Cc d%2520e\nX-Scope: a%0Ab\n"},
		{"a comma in a text", "", func(id *exchange.Identity) { *id = exchange.Identity{Subject: "a,b", Email: "c,d"} },
			"X-User-ID: a,b\nX-User-Email: c,d\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			id := ada()
			if tt.change != nil {
				tt.change(&id)
			}
			if got := told(t, policytest.BuildWith(t, Kind, tt.config, deps(nil)), id); got != tt.want {
				t.Errorf("got\n%swant\n%s", got, tt.want)
			}
		})
	}
}

// An assertion is for the route's service, and comes for nobody too.
func TestAssertion(t *testing.T) {
	s := signer(t)
	p := policytest.BuildWith(t, Kind, "assertion: X-Proof", deps(s))
	x := exchange.Exchange{Identity: ada(), Now: time.Date(2026, 1, 2, 3, 4, 5, 678_000_000, time.UTC)}
	for _, id := range []exchange.Identity{ada(), {}} {
		x.Identity = id
		want := "X-Proof: " + s.Sign(&x, "tickets") + "\n"
		if got := told(t, p, id); !strings.HasSuffix(got, want) || len(want) < 100 {
			t.Errorf("got\n%swant\n%s", got, want)
		}
	}
	elsewhere := deps(s)
	elsewhere.Route.Service = ""
	if got := told(t, policytest.BuildWith(t, Kind, "assertion: X-Proof", elsewhere), ada()); got != "" {
		t.Errorf("where nothing is forwarded, there is %q", got)
	}
}

// Everything that the policy sends is reserved, or a client could send it where
// the gateway does not.
func TestReserves(t *testing.T) {
	s := signer(t)
	nowhere := deps(s)
	nowhere.Route.Service = ""
	for _, d := range []policy.Deps{deps(s), nowhere} {
		p := policytest.BuildWith(t, Kind, "{headers: {X-A: subject, X-B: scopes}, assertion: X-C}", d)
		got := p.(policy.Reserver).Reserves()
		if !slices.Equal(got, []string{"X-A", "X-B", "X-C"}) {
			t.Errorf("%q", got)
		}
	}
}

func TestExplain(t *testing.T) {
	s := signer(t)
	p := policytest.BuildWith(t, Kind, "{headers: {X-User-ID: subject, X-User-Role: role}, assertion: X-Proof}", deps(s))
	nowhere := deps(s)
	nowhere.Route.Service = ""
	tests := []struct {
		name   string
		policy policy.Policy
		id     exchange.Identity
		want   string
	}{
		{"known", p, exchange.Identity{Subject: "a\nb", Email: "not sent"}, "X-User-ID: a%0Ab; X-Proof: an assertion for tickets, about a%0Ab"},
		{"nobody", p, exchange.Identity{}, "no header tells who calls; X-Proof: an assertion for tickets, about nobody in particular"},
		{"nothing", policytest.BuildWith(t, Kind, "", nowhere), ada(), "nothing is forwarded here, so nobody is told who calls"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := call(t)
			x := c.Start()
			defer c.Finish(x)
			x.Identity = tt.id
			tt.policy.Request(x, x.Slot(0))
			if got := strings.Join(tt.policy.(policy.Explainer).Explain(x, x.Slot(0)), "; "); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if strings.Contains(tt.want, "eyJ") {
				t.Error("an assertion is shown")
			}
		})
	}
}

func TestBadConfig(t *testing.T) {
	s := signer(t)
	tests := map[string][]string{
		"headers: {X-A: user}":                               {"headers.X-A: want "},
		"headers: {X A: subject}":                            {`headers.X A: "X A" can't be the name`},
		"headers: {Authorization: subject}":                  {"headers.Authorization: Authorization has a meaning of its own, name a field"},
		"headers: {Host: subject}":                           {"headers.Host: Host belongs to"},
		"headers: {cookie: subject}":                         {"headers.cookie: cookie has a meaning"},
		"headers: {X-Forwarded-User: subject}":               {"headers.X-Forwarded-User: X-Forwarded-User has"},
		"headers: {x_forwarded_for: subject}":                {"headers.x_forwarded_for: x_forwarded_for has"},
		"headers: {X-Request-ID: subject}":                   {"headers.X-Request-ID: X-Request-ID has"},
		"headers: {X_Request_ID: subject}":                   {"headers.X_Request_ID: X_Request_ID has"},
		"headers: {X-Gateway: subject}":                      {"headers.X-Gateway: X-Gateway has"},
		"headers: {Accept-Language: subject}":                {"headers.Accept-Language: Accept-Language has"},
		"headers: {Set-Cookie: subject}":                     {"headers.Set-Cookie: Set-Cookie has"},
		"headers: {Content_Length: subject}":                 {"headers.Content_Length: Content_Length has"},
		"headers: {X-A: subject, x-a: email}":                {"headers.x-a: x-a is there twice"},
		"headers: {X-A: subject, X_A: email}":                {"headers.X_A: X_A is there twice"},
		"headers: {X-A-B: subject, X.A_b: role}":             {"headers.X.A_b: X.A_b is there twice"},
		"headers: {}":                                        {"headers: there is nothing to send"},
		"assertion: Cookie":                                  {"assertion: Cookie has a meaning"},
		"assertion: x_user_id":                               {"assertion: x_user_id is there twice"},
		"{headers: {a b: role, Host: role}, assertion: Via}": {"headers.a b", "headers.Host", "assertion"}, // all at once
	}
	for config, want := range tests {
		_, problems := policytest.TryBuildWith(t, Kind, config, deps(s))
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
	_, problems := policytest.TryBuildWith(t, Kind, "assertion: X-Proof", deps(nil))
	if len(problems) != 1 || !strings.Contains(problems.Error(), "assertion: there is no key to sign with, add a section assertion") {
		t.Errorf("without a key: %v", problems)
	}
	for _, config := range []string{"{headers: {}, assertion: X-Proof}", "headers: {X-User_ID: subject, Remote-User: email, X-Accepted: role}"} {
		if _, problems := policytest.TryBuildWith(t, Kind, config, deps(s)); len(problems) > 0 {
			t.Errorf("%s: %v", config, problems)
		}
	}
}

// Whatever a value is, it can stand in a header, decoding gives it back, and
// lists have the elements that they had.
func FuzzEncoding(f *testing.F) {
	f.Add("ada", "a b", "c,d")
	f.Add("a\r\nX-User-ID: root", "100%", "\x00\xff")
	f.Add("é%C3%A9", "%2C", "+")
	f.Fuzz(func(t *testing.T, s, a, b string) {
		var x exchange.Exchange
		if got, err := url.PathUnescape(sendable(t, text(&x, s))); err != nil || got != s {
			t.Errorf("%q comes back as %q, %v", s, got, err)
		}
		for _, separator := range []string{" ", ","} {
			var got []string
			for _, item := range strings.Split(sendable(t, list(&x, []string{a, b}, separator[0])), separator) {
				one, err := url.PathUnescape(item)
				if err != nil {
					t.Error(err)
				}
				got = append(got, one)
			}
			if want := slices.DeleteFunc([]string{a, b}, func(s string) bool { return s == "" }); len(want) > 0 && !slices.Equal(got, want) {
				t.Errorf("%q comes back as %q", want, got)
			}
		}
	})
}

// sendable returns a value that can be one of a header.
func sendable(t *testing.T, value string) string {
	t.Helper()
	for _, c := range []byte(value) {
		if c < ' ' || c > '~' {
			t.Errorf("%q can't be the value of a header", value)
		}
	}
	if !exchange.ValidValue(value) {
		t.Errorf("%q can't be the value of a header", value)
	}
	return value
}

// A plain value passes as it is.
func TestPlainIsNotCopied(t *testing.T) {
	var x exchange.Exchange
	id := ada()
	for want, got := range map[string]string{id.Email: text(&x, id.Email), id.Roles[0]: list(&x, id.Roles[:1], ',')} {
		if got != want || unsafe.StringData(got) != unsafe.StringData(want) {
			t.Errorf("%q is not the value itself", got)
		}
	}
}

// life takes an exchange of a known caller through the policy.
func life(c *policytest.Call, p policy.Policy, id *exchange.Identity) {
	x := c.Start()
	x.Identity = *id
	c.Pass(p, x)
	c.Finish(x)
}

func TestNoAllocation(t *testing.T) {
	s, c, id := signer(t), call(t), ada()
	id.Email = "ada lovelace@exämple.com"
	for _, config := range []string{"", everything + "\nassertion: X-Proof"} {
		p := policytest.BuildWith(t, Kind, config, deps(s))
		_ = c.Allocs(t, p) // skips where they can't be counted
		if n := testing.AllocsPerRun(500, func() { life(c, p, &id) }); n != 0 {
			t.Errorf("%s: %v allocations", config, n)
		}
	}
}

// BenchmarkRequest is a known caller with the default headers, with all and an
// assertion, and without the policy.
func BenchmarkRequest(b *testing.B) {
	s, c, id := signer(b), call(b), ada()
	policies := map[string]policy.Policy{
		"default": policytest.BuildWith(b, Kind, "", deps(s)),
		"all":     policytest.BuildWith(b, Kind, everything+"\nassertion: X-Proof", deps(s)),
		"without": policy.Base{},
	}
	for name, p := range policies {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				life(c, p, &id)
			}
		})
	}
}
