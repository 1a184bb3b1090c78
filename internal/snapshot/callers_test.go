package snapshot

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"yett/internal/exchange"
	"yett/internal/policy"
	"yett/internal/problem"
	"yett/internal/token"
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

// Each service gets assertions of its own, also from a policy that stands above
// all routes.
func TestVariantsKnowTheirService(t *testing.T) {
	d := deps(t)
	_, private, _ := ed25519.GenerateKey(nil)
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	write(t, "gate.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	s := compile(t, `
listeners: [{address: "127.0.0.1:0"}]
assertion: {key: gate.pem}
policies: {identity: {assertion: X-Assertion}}
services: {one: {targets: ["http://127.0.0.1:1"]}, two: {targets: ["http://127.0.0.1:2"]}}
routes:
  - {name: one, path: /one, auth: none, service: one}
  - {name: two, path: /two, auth: none, service: two}
`, d, nil)
	for _, name := range []string{"one", "two"} {
		x := &exchange.Exchange{Method: "GET", RawPath: "/" + name, Now: time.Now()}
		r, _ := s.Match(x)
		r.Chain.Request(x)
		_, claims, err := token.Decode(x.Request.Get("X-Assertion"))
		if err != nil || claims["aud"] != name {
			t.Errorf("%s: %v, %v", name, claims, err)
		}
	}
}

// Files are read again, because they may have changed.
func TestKeyFilesAreReadAgain(t *testing.T) {
	d := deps(t)
	public := func() []byte {
		k, _, _ := ed25519.GenerateKey(nil)
		der, err := x509.MarshalPKIXPublicKey(k)
		if err != nil {
			t.Fatal(err)
		}
		return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	}
	write(t, "key.pem", public())
	text := strings.Replace(verified, "secret: 0123456789abcdef0123456789abcdef", "pem: key.pem", 1) +
		`  - {name: a, path: /a, auth: required, policies: {respond: {text: a}}}`
	first := compile(t, text, d, nil)
	write(t, "key.pem", public())
	if next := compile(t, text, d, first); next.Tokens() == first.Tokens() {
		t.Error("the old key goes on counting")
	}
}

// Keys that were fetched go on counting when something about the issuer
// changes while it is down.
func TestFetchedKeysAreKept(t *testing.T) {
	k, _, _ := ed25519.GenerateKey(nil)
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: k, KeyID: "a"}}})
	if err != nil {
		t.Fatal(err)
	}
	var down atomic.Bool
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if down.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write(set)
	}))
	defer srv.Close()
	text := strings.Replace(verified, "keys: [{secret: 0123456789abcdef0123456789abcdef}]", fmt.Sprintf("audience: one, keys: [{jwks_url: %q}]", srv.URL), 1) +
		`  - {name: a, path: /a, auth: required, policies: {respond: {text: a}}}`
	first := compile(t, text, deps(t), nil)
	first.Start()
	first.Tokens().Wait(t.Context())
	down.Store(true)
	next := compile(t, strings.Replace(text, "audience: one", "audience: two", 1), deps(t), first)
	next.Start()
	first.Retire(next)
	next.Tokens().Wait(t.Context())
	defer next.Retire(nil)
	if got := next.Tokens().States()[0]; got.Keys != 1 || !got.Failing {
		t.Errorf("%+v", got)
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
