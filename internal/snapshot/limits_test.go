package snapshot

import (
	"slices"
	"strings"
	"testing"

	"yett/internal/exchange"
	"yett/internal/limit"
	"yett/internal/meter"
	"yett/internal/policy"
)

const limited = `
listeners: [{address: "127.0.0.1:0"}]
issuers: {main: {keys: [{secret: 0123456789abcdef0123456789abcdef}]}}
services: {app: {targets: ["http://127.0.0.1:1"]}}
limits:
  ip: {limit: 100, window: 1m, by: ip}
  user: {limit: 100, window: 1m, by: user}
  item: {limit: 100, window: 1m, by: [user, path.id]}
`

// links names the policies of a chain, and which part of each it is.
func links(c policy.Chain) string {
	var names []string
	for _, l := range c {
		name := l.Kind.Name
		if l.Kind.Part != "" {
			name += " " + l.Kind.Part
		}
		names = append(names, name)
	}
	return strings.Join(names, ", ")
}

// A policy of several parts has each of them where it belongs, and a route replaces or
// removes all of them at once.
func TestPartsOfAPolicy(t *testing.T) {
	const (
		all  = "policies: {ratelimit: {limits: [ip, user]}, cors: {}, jwt: {}}\n"
		item = "\n  - {name: item, path: '/{id}', auth: none, service: app, policies: {ratelimit: {limits: [ip, user, item]}}}\n"
	)
	tests := []struct{ policies, route, chain, preflight string }{
		{all, "auth: required", "ratelimit before cors, cors, ratelimit before jwt, jwt, ratelimit behind jwt", "ratelimit before cors, cors"},
		{all, "auth: none", "ratelimit before cors, cors, ratelimit before jwt", "ratelimit before cors, cors"},
		{all, "auth: required, policies: {ratelimit: {limits: ip}}", "ratelimit before cors, cors, ratelimit before jwt, jwt", "ratelimit before cors, cors"},
		{all, "auth: required, policies: {ratelimit: off}", "cors, jwt", "cors"},
		{all, "auth: required, policies: {cors: off}", "ratelimit before jwt, jwt, ratelimit behind jwt", "ratelimit before cors"},
		{all, "auth: required, policies: {cors: {mode: observe}}", "cors, ratelimit before jwt, jwt, ratelimit behind jwt", "ratelimit before cors, cors"},
		{"policies: {ratelimit: off, cors: {}, jwt: {}}\n", "auth: required", "cors, jwt", "cors"},
		{"policies: {cors: {}, jwt: {}}\n", "auth: required, policies: {ratelimit: {limits: [ip, user]}}",
			"ratelimit before cors, cors, ratelimit before jwt, jwt, ratelimit behind jwt", "ratelimit before cors, cors"},
	}
	for _, tt := range tests {
		s := compile(t, limited+tt.policies+"routes:\n  - {name: a, path: /a/b, service: app, "+tt.route+"}"+item, deps(t), nil)
		if r := s.routes[0]; links(r.Chain) != tt.chain || links(r.preflight.Chain) != tt.preflight {
			t.Errorf("%s%s:\n%s\n%s\nwant\n%s\n%s", tt.policies, tt.route, links(r.Chain), links(r.preflight.Chain), tt.chain, tt.preflight)
		}
	}
}

// What matches no route is limited too.
func TestLimitsOfNoRoute(t *testing.T) {
	s := compile(t, limited+"policies: {ratelimit: {limits: [ip, user, item]}, jwt: {}}\nroutes: [{name: a, path: '/{id}', auth: required, service: app}]\n", deps(t), nil)
	x := &exchange.Exchange{Method: "GET", RawPath: "/a/b"}
	r, reason := s.Match(x)
	if reason != exchange.NoRoute || links(r.Chain) != "ratelimit before jwt" {
		t.Errorf("%v, %s", reason, links(r.Chain))
	}
	if want := "ratelimit before jwt, jwt, ratelimit behind jwt"; links(s.routes[0].Chain) != want {
		t.Errorf("%s, want %s", links(s.routes[0].Chain), want)
	}
}

// Where there are several issuers, keys of users hold the issuer's name.
func TestLimitsKnowIssuers(t *testing.T) {
	const (
		key  = "{keys: [{secret: 0123456789abcdef0123456789abcdef}]"
		rest = "policies: {ratelimit: {limits: [ip, user, item]}, jwt: {}}\nroutes: [{name: a, path: '/{id}', auth: required, service: app}]\n"
	)
	for issuers, want := range map[string]string{
		"main: " + key + "}": "user:42",
		"staff: " + key + ", issuer: s}, public: " + key + ", issuer: p}": "user:public/42",
	} {
		text := strings.Replace(limited, "main: "+key+"}", issuers, 1) + rest
		limits := compile(t, text, deps(t), nil).limits
		alone, err := Limits(parse(t, text))
		if err != nil {
			t.Fatal(err)
		}
		for _, set := range []*limit.Set{limits, limits.For("app"), alone} {
			x := &exchange.Exchange{Identity: exchange.Identity{Subject: "42", Issuer: "public"}}
			var c meter.Call
			if set.Lookup("user").Claim(&c, x, 1); c.Claims[0].Key != want {
				t.Errorf("%s: %s, want %s", issuers, c.Claims[0].Key, want)
			}
		}
	}
}

func TestBadLimits(t *testing.T) {
	const (
		one   = "routes: [{name: a, path: '/{id}', auth: required, service: app, policies: {jwt: , ratelimit: {limits: LIMITS}}}]\n"
		other = "policies: {jwt: {}, ratelimit: {limits: [ip, user, item]}}\nroutes:\n  - {name: a, path: '/{id}', auth: required, service: app}\n"
	)
	tests := []struct {
		text string
		want []string
	}{
		{strings.Replace(one, "LIMITS", "[ip, user, item]", 1), nil},
		{strings.Replace(one, "LIMITS", "[ip, item]", 1), []string{`limits.user: no policy uses the limit "user", remove it`}},
		{strings.Replace(one, "LIMITS", "[ip, usr, item]", 1), []string{`policies.ratelimit.limits[1]: there is no limit "usr", did you mean "user"?`}}, // and not that user is unused
		{strings.Replace(one, "{limits: LIMITS}", "off", 1), []string{"limits.ip: no policy", "limits.user: no policy", "limits.item: no policy"}},
		{other, nil},
		// A global policy with a problem on several routes has it once, however many parts there are.
		{other + "  - {name: b, path: /b, auth: required, service: app}\n  - {name: c, path: /c, auth: none, service: app}\n",
			[]string{`policies.ratelimit.limits[2]: the limit "item" counts by path.id`}},
		{other + "  - {name: b, path: /b, auth: none, endpoint: health}\n", []string{`policies.ratelimit.limits[2]: the limit "item" counts by path.id`}},
		{other + "  - {name: b, path: /b, auth: required, service: app, policies: {ratelimit: {limits: ip}}}\n", nil},
		{other + "  - {name: b, path: /b, auth: required, service: app, policies: {ratelimit: off}}\n", nil},
		{strings.Replace(other, "policies: {", "policies: {rbac: {min_role: a}, ", 1), []string{`policies.rbac.min_role`}},
	}
	for _, tt := range tests {
		_, err := Compile(parse(t, limited+tt.text), deps(t), nil)
		var got []string
		if err != nil {
			got = strings.Split(err.Error(), "\n")
		}
		if len(got) != len(tt.want) {
			t.Errorf("%s\n%v", tt.text, err)
			continue
		}
		for _, want := range tt.want {
			if !slices.ContainsFunc(got, func(s string) bool { return strings.Contains(s, want) }) {
				t.Errorf("%s\n%v\nwant %s", tt.text, err, want)
			}
		}
	}
}

// Listeners without names can't be told apart.
func TestRateLimitFieldsOfListeners(t *testing.T) {
	for text, want := range map[string]string{
		"[{address: ':0'}, {address: ':0'}]":                                                           "",
		"[{address: ':0', ratelimit_fields: off}, {address: ':0', ratelimit_fields: off}]":             "",
		"[{address: ':0', ratelimit_fields: structured, name: a}, {address: ':0'}]":                    "",
		"[{address: ':0', ratelimit_fields: structured}, {address: ':0'}]":                             "listeners[1].ratelimit_fields: another listener without a name has structured",
		"[{name: a, address: ':0', ratelimit_fields: off}, {name: b, address: ':0'}, {address: ':0'}]": "",
	} {
		_, err := Compile(parse(t, strings.Replace(small, `[{address: "127.0.0.1:0"}]`, text, 1)), deps(t), nil)
		if (err != nil) != (want != "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}
