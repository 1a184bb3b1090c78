package snapshot

import (
	"errors"
	"strings"
	"testing"

	"yett/internal/exchange"
	"yett/internal/policy"
	"yett/internal/problem"
)

// verified has an issuer and the policy that verifies its tokens on all routes.
const verified = `
listeners: [{address: "127.0.0.1:0"}]
issuers: {main: {keys: [{secret: 0123456789abcdef0123456789abcdef}]}}
policies: {jwt: }
routes:
`

func kinds(c policy.Chain) (names string) {
	for _, l := range c {
		names += l.Kind.Name + " "
	}
	return names
}

// What finds out who calls runs where the route asks for it, and nowhere else.
func TestAuthChoosesTheChain(t *testing.T) {
	s := compile(t, verified+`
  - {name: required, path: /required, auth: required, policies: {respond: {text: a}}}
  - {name: same, path: /same, auth: required, policies: {respond: {text: a}}}
  - {name: optional, path: /optional, auth: optional, policies: {respond: {text: a}}}
  - {name: none, path: /none, auth: none, policies: {respond: {text: a}}}
  - {name: own, path: /own, auth: required, policies: {jwt: {cookie: c}, respond: {text: a}}}
`, deps(t), nil)
	chain := func(path string) policy.Chain {
		r, _ := s.Match(&exchange.Exchange{Method: "GET", RawPath: path})
		return r.Chain
	}
	for path, want := range map[string]string{"/required": "jwt respond ", "/optional": "jwt respond ", "/none": "respond ", "/nowhere": ""} {
		if got := kinds(chain(path)); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
	required := chain("/required")[0].Policy
	if required != chain("/same")[0].Policy {
		t.Error("the same policy was built twice")
	}
	if required == chain("/optional")[0].Policy || required == chain("/own")[0].Policy {
		t.Error("routes that differ have the same policy")
	}
}

func TestCallersProblems(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"verifying where nobody is asked", verified + `  - {name: a, path: /a, auth: none, policies: {jwt: {}, respond: {text: a}}}`,
			`routes[0].policies.jwt: auth: none lets everybody pass, so jwt has nothing to decide`},
		{"off", verified + `  - {name: a, path: /a, auth: required, policies: {jwt: off, respond: {text: a}}}`,
			`routes[0].auth: auth: required, but no policy on this route verifies callers`},
		{"everybody may revoke", verified + `  - {name: a, path: /a, auth: none, endpoint: revocations}`,
			`routes[0].endpoint: with revocations, callers end the sessions of others`},
		{"every caller may revoke", verified + `  - {name: a, path: /a, auth: required, endpoint: revocations}`,
			`routes[0].endpoint: with revocations, callers end the sessions of others`},
		{"global policy with a mistake, on two routes", strings.Replace(verified, "{jwt: }", "{jwt: {issuers: [nobody]}}", 1) +
			`  - {name: a, path: /a, auth: required, policies: {respond: {text: a}}}` + "\n" +
			`  - {name: b, path: /b, auth: required, policies: {respond: {text: a}}}`,
			`policies.jwt.issuers[0]: there is no issuer "nobody"`},
		{"issuer with a mistake", strings.Replace(verified, "secret: 0123456789abcdef0123456789abcdef", "secret: short", 1) +
			`  - {name: a, path: /a, auth: required, policies: {respond: {text: a}}}`,
			`issuers.main.keys[0].secret: the secret has 5 bytes`},
	}
	for _, tt := range tests {
		d := deps(t)
		d.Endpoints["revocations"] = d.Endpoints["health"]
		_, err := Compile(parse(t, tt.text), d, nil)
		var list problem.List
		if !errors.As(err, &list) || len(list) != 1 || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s:\n%v\nwant one problem\n%s", tt.name, err, tt.want)
		}
	}
}

// Keys and verified tokens survive a change that does not concern them.
func TestVerifierIsKept(t *testing.T) {
	const route = `  - {name: a, path: /a, auth: required, policies: {respond: {text: a}}}`
	d := deps(t)
	first := compile(t, verified+route, d, nil)
	if next := compile(t, strings.Replace(verified+route, "/a", "/b", 1), d, first); next.Tokens() != first.Tokens() {
		t.Error("the verifier was made anew")
	}
	other := compile(t, strings.Replace(verified+route, "0123456789abcdef}", "0123456789abcdeX}", 1), d, first)
	if other.Tokens() == first.Tokens() {
		t.Error("another secret, and the same verifier")
	}
	first.Retire(other)
	other.Retire(nil)
}
