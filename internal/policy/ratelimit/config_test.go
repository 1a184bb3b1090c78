package ratelimit

import (
	"strings"
	"testing"

	"yett/internal/config"
	"yett/internal/limit"
	"yett/internal/meter"
	"yett/internal/policy"
	"yett/internal/policy/policytest"
)

const limitsOfConfig = `limits:
  flood: {limit: 3000, window: 1m, by: ip, preflights: true}
  global: {limit: 100, window: 15m, by: ip, for: anonymous}
  user: {limit: 1000, window: 15m, by: user}
  small: {limit: 6, window: 1m, by: ip, cost: 2}
  item: {limit: 100, window: 1m, by: [ip, path.id]}
  running: {concurrent: 5, by: ip}
`

// deps is what the policy is built with: limits, and a route with a value in its path.
func deps(t *testing.T, auth string) policy.Deps {
	t.Helper()
	node, err := config.ParseNode("limits.yaml", []byte(limitsOfConfig), nil)
	if err != nil {
		t.Fatal(err)
	}
	var c struct {
		Limits config.Mapping[config.Limit] `yaml:"limits"`
	}
	if problems := node.Decode(&c); len(problems) > 0 {
		t.Fatal(problems)
	}
	set, problems := limit.Compile(c.Limits, nil, nil)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	d := policytest.Deps()
	d.Limits, d.Route = set, policy.Route{Auth: auth, Params: []string{"id"}}
	return d
}

func TestBadConfig(t *testing.T) {
	many := "limits: [flood" + strings.Repeat(", flood", meter.MaxClaims) + "]"
	tests := map[string][]string{
		"limits: []":                                {"limits"},
		"limits: ''":                                {"limits"},
		"limits: [usr, flood]":                      {`limits[0]: there is no limit "usr", did you mean "user"?`},
		"limits: [flood, user, flood]":              {`limits[2]: the limit "flood" is there already`},
		"{limits: user, cost: 0}":                   {"cost"},
		"{limits: user, cost: 1001}":                {"cost: a request would cost 1001 times 1"},
		"{limits: small, cost: 4}":                  {"cost: a request would cost 4 times 2"},
		"{limits: running, cost: 2}":                {"cost"},
		"{limits: [user, small, usr], cost: 5}":     {"cost", "limits[2]"},
		"{limits: user, mode: dry_run}":             {"mode"},
		"{limits: user, window: 1m}":                {"window"},
		"mode: observe":                             {"limits"},
		"{limits: [usr, users, userr], cost: 1}":    {"limits[0]", "limits[1]", "limits[2]"},
		"{limits: {user: 1}}":                       {"limits"},
		"{limits: [user], mode: observe, cost: -1}": {"cost"},
	}
	for text, want := range tests {
		_, problems := policytest.TryBuildWith(t, Kind, text, deps(t, "required"))
		if len(problems) != len(want) {
			t.Errorf("%s: %v, want %d problems", text, problems, len(want))
			continue
		}
		for i, p := range problems {
			if !strings.Contains(p.String(), want[i]) {
				t.Errorf("%s: %v, want %q", text, p, want[i])
			}
		}
	}
	if _, problems := policytest.TryBuildWith(t, Kind, many, deps(t, "none")); len(problems) != 1+meter.MaxClaims || !strings.Contains(problems[0].What, "17 limits are more than 16") {
		t.Errorf("%v", problems)
	}
	none := deps(t, "none")
	none.Limits = nil
	if _, problems := policytest.TryBuildWith(t, Kind, "limits: user", none); len(problems) != 1 || problems[0].Hint != "define it under limits, at the top level" {
		t.Errorf("%v", problems)
	}
}

// Values of the path have to be there, but for requests that have no route.
func TestPathValues(t *testing.T) {
	d := deps(t, "none")
	if p := policytest.BuildWith(t, Kind, "limits: [item, flood]", d).(*limits); len(p.all) != 2 {
		t.Errorf("%d limits count", len(p.all))
	}
	d.Route.Params = []string{"other"}
	if _, problems := policytest.TryBuildWith(t, Kind, "limits: [item, flood]", d); len(problems) != 1 || problems[0].Path != "limits[0]" || !strings.Contains(problems[0].Hint, "{id}") {
		t.Errorf("%v", problems)
	}
	d.Route = policy.Route{Auth: "none", Nowhere: true}
	if p := policytest.BuildWith(t, Kind, "limits: [item, flood]", d).(*limits); len(p.all) != 1 {
		t.Errorf("%d limits count nowhere", len(p.all))
	}
	if p := policytest.BuildWith(t, Kind, "limits: item", d); p != nil {
		t.Errorf("%v has nothing to count", p)
	}
}

// A part that has nothing to do is not there, and the meter is not asked before there is
// a request: there is none here.
func TestParts(t *testing.T) {
	tests := []struct {
		auth, config string
		callers      bool
	}{
		{"required", "limits: [flood, global, user]", true},
		{"required", "limits: [flood, global]", true}, // whether a caller is known
		{"required", "limits: [flood]", false},
		{"optional", "limits: [user]", true},
		{"none", "limits: [flood, global, user]", false},
		{"required", "{limits: [user], mode: observe}", true},
		{"none", "{limits: [user], mode: observe}", false},
	}
	for _, tt := range tests {
		for kind, want := range map[*policy.Kind]bool{Kind: true, Preflights: true, Callers: tt.callers} {
			p := policytest.BuildWith(t, kind, tt.config, deps(t, tt.auth))
			if (p != nil) != want {
				t.Errorf("auth: %s, %s: %s is %v", tt.auth, tt.config, kind.Part, p)
			}
			if p == nil {
				continue
			}
			if _, observes := policy.Unwrap(p); observes != strings.Contains(tt.config, "observe") {
				t.Errorf("%s: %s observes: %v", tt.config, kind.Part, observes)
			}
		}
	}
	if Callers.Name != Kind.Name || Preflights.Of != Kind || len(Preflights.Reasons) > 0 || !Callers.PerRoute {
		t.Error("the parts are not of one policy")
	}
}
