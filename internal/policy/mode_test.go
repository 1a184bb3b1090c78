package policy_test

import (
	"slices"
	"testing"

	"yett/internal/exchange"
	"yett/internal/policy"
	"yett/internal/policy/policytest"
	"yett/internal/problem"
)

// quotaConfig is the configuration of a policy that refuses /refused, answers
// /answered, and lets everything else pass.
type quotaConfig struct {
	Mode policy.Mode `yaml:"mode" enum:"enforce,observe" doc:"mode"`
	Bad  bool        `yaml:"bad" doc:"a mistake"`
}

func (c quotaConfig) PolicyMode() policy.Mode { return c.Mode }

type quota struct{ policy.Base }

var overQuota = &exchange.Reason{Name: "over_quota", Code: "OVER_QUOTA", Status: 429, Message: "m", Help: "h"}

func (quota) Request(x *exchange.Exchange, s *exchange.Slot) exchange.Verdict {
	s.Text = "seen"
	switch x.Path {
	case "/refused":
		x.RetryAfter, x.Challenge = 7, "Bearer"
		return x.RefuseWith(overQuota, "11 of 10")
	case "/answered":
		x.Status = 204
		return exchange.Reply
	}
	return exchange.Continue
}

func (quota) Response(x *exchange.Exchange, s *exchange.Slot) { x.Response.Add("X-Quota", s.Text) }

func quotaKind() *policy.Kind {
	return policy.Define("quota", func() quotaConfig { return quotaConfig{Mode: policy.Enforce} },
		func(c quotaConfig, _ policy.Deps) (policy.Policy, problem.List) {
			if c.Bad {
				return nil, problem.List{{Path: "bad", What: "a mistake"}}
			}
			return quota{}, nil
		}, overQuota)
}

// A policy that only observes changes nothing about the exchange but what is
// noted of it, and an answer that is no refusal stays one.
func TestMode(t *testing.T) {
	tests := []struct {
		config, path string
		verdict      exchange.Verdict
		status       int
		observed     []exchange.Observation
	}{
		{"", "/", exchange.Continue, 0, nil},
		{"", "/refused", exchange.Reply, 429, nil},
		{"mode: enforce", "/refused", exchange.Reply, 429, nil},
		{"mode: observe", "/", exchange.Continue, 0, nil},
		{"mode: observe", "/refused", exchange.Continue, 0, []exchange.Observation{{Reason: overQuota, Detail: "11 of 10"}}},
		{"mode: observe", "/answered", exchange.Reply, 204, nil},
	}
	for _, tt := range tests {
		p := policytest.Build(t, quotaKind(), tt.config)
		c := policytest.NewCall(t, "GET "+tt.path+" HTTP/1.1\n", "")
		x := c.Start()
		if got := p.Request(x, x.Slot(0)); got != tt.verdict || x.Status != tt.status || !slices.Equal(x.Observed(), tt.observed) {
			t.Errorf("%s: %s: verdict %d, status %d, observed %v", tt.config, tt.path, got, x.Status, x.Observed())
		}
		if refused := tt.status == 429; (x.Reason != nil) != refused || (x.RetryAfter > 0) != refused || (x.Challenge != "") != refused || (x.Detail != "") != refused {
			t.Errorf("%s: %s: reason %v, retry after %d, challenge %q, detail %q", tt.config, tt.path, x.Reason, x.RetryAfter, x.Challenge, x.Detail)
		}
		p.Response(x, x.Slot(0))
		if got := x.Response.Get("X-Quota"); got != "seen" {
			t.Errorf("%s: %s: the policy's other phases lost their note: %q", tt.config, tt.path, got)
		}
		c.Finish(x)
	}
}

// What one policy observes, another may still refuse, and both are noted.
func TestObservedThenRefused(t *testing.T) {
	observing, enforcing := policytest.Build(t, quotaKind(), "mode: observe"), policytest.Build(t, quotaKind(), "")
	c := policytest.NewCall(t, "GET /refused HTTP/1.1\n", "")
	x := c.Start()
	defer c.Finish(x)
	chain := policy.Chain{{Policy: observing}, {Policy: enforcing}}
	if chain.Request(x) != exchange.Reply || x.Reason != overQuota || len(x.Observed()) != 1 || x.Ran() != 2 {
		t.Errorf("reason %v, observed %v, %d ran", x.Reason, x.Observed(), x.Ran())
	}
}

func TestUnwrap(t *testing.T) {
	for config, want := range map[string]bool{"": false, "mode: observe": true} {
		inner, observes := policy.Unwrap(policytest.Build(t, quotaKind(), config))
		if _, ok := inner.(quota); !ok || observes != want {
			t.Errorf("%q: %T, observes: %v", config, inner, observes)
		}
	}
}

// A policy that could not be built is not there to observe.
func TestModeOfABadPolicy(t *testing.T) {
	if p, problems := policytest.TryBuild(t, quotaKind(), "{mode: observe, bad: true}"); p != nil || len(problems) != 1 {
		t.Errorf("%v, %v", p, problems)
	}
	if _, problems := policytest.TryBuild(t, quotaKind(), "mode: watch"); len(problems) != 1 {
		t.Errorf("an unknown mode: %v", problems)
	}
}

func TestObservingAllocatesNothing(t *testing.T) {
	c := policytest.NewCall(t, "GET /refused HTTP/1.1\n", "")
	if n := c.Allocs(t, policytest.Build(t, quotaKind(), "mode: observe")); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
