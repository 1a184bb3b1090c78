package snapshot

import (
	"strings"
	"testing"
)

const limited = `
listeners: [{address: "127.0.0.1:0"}]
roles: {admin: {level: 90}}
limits:
  each: {limit: 10, window: 1m, by: [service, ip], for: "role:admin"}
  all: {limit: 10, window: 1m, by: ip}
policies: {ratelimit: {limits: [each, all]}}
routes: [{name: a, path: /a, auth: none, endpoint: health}]
`

// A mistake in a limit is one of the configuration, with its place.
func TestLimitProblems(t *testing.T) {
	_, err := Compile(parse(t, strings.Replace(limited, "role:admin", "role:admn", 1)), deps(t), nil)
	want := `yett.yaml:5:57: limits.each.for[0]: there is no role "admn", did you mean "admin"?`
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

// Policies get the limits of their route's service, the same for each route that has it.
func TestLimitsKnowTheService(t *testing.T) {
	b := newBuilder(parse(t, limited), deps(t), nil)
	b.callers()
	b.compileLimits()
	one, two := b.limitsFor("one"), b.limitsFor("two")
	if one != b.limitsFor("one") || one.Lookup("each") == two.Lookup("each") || one.Lookup("all") != two.Lookup("all") || b.limitsFor("") != b.deps.Policy.Limits {
		t.Error("the limits are not those of their service")
	}
}
