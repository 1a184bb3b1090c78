package jwt

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"yett/internal/config"
	"yett/internal/exchange"
	"yett/internal/policy"
	"yett/internal/policy/policytest"
	"yett/internal/token"
)

const secret = "0123456789abcdef0123456789abcdef"

// deps are those of a route with two issuers.
func deps(tb testing.TB, auth string) policy.Deps {
	tb.Helper()
	issuer := func(iss string) (is config.Issuer) {
		is.SetDefaults()
		is.Claims.SetDefaults()
		is.Issuer, is.Keys = iss, []config.KeySource{{Secret: secret, SecretEncoding: "text"}}
		return is
	}
	v, problems := token.New(config.Mapping[config.Issuer]{
		{Name: "platform", Value: issuer("")}, {Name: "partner", Value: issuer("partner")},
	}, token.Deps{})
	if len(problems) > 0 {
		tb.Fatal(problems)
	}
	tb.Cleanup(v.Close)
	d := policytest.Deps()
	d.Tokens, d.Route.Auth = v, auth
	return d
}

// mint returns a token of an issuer for the moment when policytest's calls
// come.
func mint(tb testing.TB, d policy.Deps, issuer string, lifetime time.Duration) string {
	tb.Helper()
	at := policytest.NewCall(tb, "GET / HTTP/1.1\n", "").Start().Now
	claims, err := d.Tokens.Claims(issuer, exchange.Identity{Subject: "u-1", Roles: []string{"technician"}}, at, lifetime)
	if err != nil {
		tb.Fatal(err)
	}
	text, err := d.Tokens.Sign(issuer, claims)
	if err != nil {
		tb.Fatal(err)
	}
	return text
}

func TestPolicy(t *testing.T) {
	d := deps(t, "required")
	policytest.Run(t, Kind, policytest.With(func() policy.Deps { return d }))
}

// Without issuers there is nothing that a token could be verified with.
func TestNoIssuers(t *testing.T) {
	d := policytest.Deps()
	d.Tokens, _ = token.New(nil, token.Deps{})
	_, problems := policytest.TryBuildWith(t, Kind, "", d)
	if !strings.Contains(problems.Error(), "there is no issuer whose tokens could be verified") {
		t.Error(problems)
	}
}

func TestBadConfig(t *testing.T) {
	d := deps(t, "required")
	for text, want := range map[string]string{
		`issuers: [platfrom]`:  `issuers[0]: there is no issuer "platfrom", did you mean "platform"?`,
		`cookie: "a b"`:        `cookie: "a b" can't be the name of a cookie`,
		`query: "a&b"`:         `query: "a&b" can't be the name of the parameter`,
		`realm: "a\"b"`:        `realm: "a\"b" can't be a realm`,
		`max_size: 10`:         `max_size`,
		`mode: watch`:          `mode`,
		"query: ö\ncookie: ö1": "cookie",
	} {
		_, problems := policytest.TryBuildWith(t, Kind, text, d)
		if !strings.Contains(problems.Error(), want) {
			t.Errorf("%s: %v", text, problems)
		}
	}
}

// outcome is the reason of a request with these lines, "" for one that passes.
func outcome(t *testing.T, p policy.Policy, request string) (reason string, id exchange.Identity) {
	t.Helper()
	c := policytest.NewCall(t, request, "")
	x := c.Start()
	defer c.Finish(x)
	c.Pass(p, x)
	if x.Reason != nil {
		reason = x.Reason.Name
	}
	return reason, x.Identity
}

func TestBelieved(t *testing.T) {
	d := deps(t, "required")
	p := policytest.BuildWith(t, Kind, "issuers: [partner]", d)
	for issuer, want := range map[string]string{"partner": "", "platform": "token_issuer"} {
		if got, _ := outcome(t, p, "GET / HTTP/1.1\nAuthorization: Bearer "+mint(t, d, issuer, time.Minute)+"\n"); got != want {
			t.Errorf("%s: %q, want %q", issuer, got, want)
		}
	}
}

func TestSize(t *testing.T) {
	d := deps(t, "optional")
	p := policytest.BuildWith(t, Kind, "max_size: 1KB", d)
	for n, want := range map[int]string{1024: "token_malformed", 1025: "token_too_large"} {
		if got, _ := outcome(t, p, "GET / HTTP/1.1\nAuthorization: Bearer "+strings.Repeat("a", n)+"\n"); got != want {
			t.Errorf("%d bytes: %q, want %q", n, got, want)
		}
	}
}

// Who brings a token whose key can't be had is told when to come again.
func TestKeysUnavailable(t *testing.T) {
	dead := httptest.NewServer(nil)
	dead.Close()
	var is config.Issuer
	is.SetDefaults()
	is.Claims.SetDefaults()
	is.Keys = []config.KeySource{{JWKSURL: dead.URL, Timeout: config.Duration(time.Second), Cooldown: config.Duration(time.Hour)}}
	v, problems := token.New(config.Mapping[config.Issuer]{{Name: "remote", Value: is}}, token.Deps{})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	defer v.Close()
	d := policytest.Deps()
	d.Tokens = v
	p := policytest.BuildWith(t, Kind, "", d)
	c := policytest.NewCall(t, "GET / HTTP/1.1\nAuthorization: Bearer eyJhbGciOiJSUzI1NiIsImtpZCI6ImsifQ.e30.AAAA\n", "")
	x := c.Start()
	defer c.Finish(x)
	c.Pass(p, x)
	if x.Reason != token.Unavailable || x.RetryAfter != retryAfter || x.Challenge != "" {
		t.Errorf("%v, retry after %d, challenge %q", x.Reason, x.RetryAfter, x.Challenge)
	}
}

// A policy that observes lets everybody pass, as nobody, and notes why it
// would not have.
func TestObserve(t *testing.T) {
	d := deps(t, "required")
	p := policytest.BuildWith(t, Kind, "mode: observe", d)
	c := policytest.NewCall(t, "GET / HTTP/1.1\n", "")
	x := c.Start()
	c.Pass(p, x)
	if x.Reason != nil || x.Status != 200 || x.Challenge != "" || len(x.Observed()) != 1 || x.Observed()[0].Reason != noToken {
		t.Errorf("%d %v %v", x.Status, x.Reason, x.Observed())
	}
}

// What the policy sets is no view: it lives on when the request's buffer is
// somebody else's.
func TestIdentityOutlivesTheRequest(t *testing.T) {
	d := deps(t, "required")
	p := policytest.BuildWith(t, Kind, "", d)
	_, id := outcome(t, p, "GET / HTTP/1.1\nAuthorization: Bearer "+mint(t, d, "platform", time.Minute)+"\n")
	if id.Subject != "u-1" || id.Role != "technician" || id.Issuer != "platform" {
		t.Errorf("%+v", id)
	}
}

func TestNoAllocation(t *testing.T) {
	d := deps(t, "required")
	token := mint(t, d, "platform", time.Minute)
	for name, conf := range map[string]string{"plain": "", "everywhere": "{cookie: c, query: q, forward_token: false}", "refused": "issuers: [partner]"} {
		p := policytest.BuildWith(t, Kind, conf, d)
		c := policytest.NewCall(t, "GET /?a=b HTTP/1.1\nCookie: a=b; d=e\nAuthorization: Bearer "+token+"\n", "")
		if n := c.Allocs(t, p); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkLife(b *testing.B) {
	d := deps(b, "required")
	p := policytest.BuildWith(b, Kind, "", d)
	c := policytest.NewCall(b, "GET / HTTP/1.1\nHost: example.org\nAccept: */*\nAuthorization: Bearer "+mint(b, d, "platform", time.Minute)+"\n", "")
	b.ReportAllocs()
	for b.Loop() {
		c.Run(p)
	}
}
