package policytest

import (
	"slices"
	"strings"
	"testing"

	"yett/internal/exchange"
	"yett/internal/policy"
)

// The suite has to see a policy that keeps something of an exchange.
func TestTraces(t *testing.T) {
	honest := func() policy.Policy { return &probe{} }
	if found := traces(honest, calls(t)); len(found) > 0 {
		t.Errorf("a policy that does nothing: %q", found)
	}
	keeper := func() policy.Policy {
		var last string
		return &probe{response: func(x *exchange.Exchange) {
			if last != "" {
				x.Response.Set("X-Last", last)
			}
			last = x.Path
		}}
	}
	if len(traces(keeper, calls(t))) == 0 {
		t.Error("a policy that keeps the last path passed")
	}
}

// hasty says that it has no phase but Request, and has an End too.
type hasty struct{ policy.RequestOnly }

func (*hasty) Request(*exchange.Exchange, *exchange.Slot) exchange.Verdict { return exchange.Continue }
func (*hasty) End(*exchange.Exchange, *exchange.Slot)                      {}

// The suite has to see a phase that is never called.
func TestSkippedPhases(t *testing.T) {
	if found := skipped(&hasty{}); !slices.Equal(found, []string{"End"}) {
		t.Errorf("%q, want End", found)
	}
	if found := skipped(&struct{ policy.NoEnd }{}); len(found) > 0 {
		t.Errorf("%q of a policy that does nothing", found)
	}
}

func TestFaultsOfReasons(t *testing.T) {
	good := exchange.Reason{Name: "quota", Code: "QUOTA", Status: 429, Message: "m", Help: "h"}
	if found := faults([]*exchange.Reason{&good}); len(found) > 0 {
		t.Errorf("a good reason: %q", found)
	}
	change := func(f func(*exchange.Reason)) *exchange.Reason { r := good; f(&r); return &r }
	for want, r := range map[string]*exchange.Reason{
		"the name of reason":     change(func(r *exchange.Reason) { r.Name = "Quota" }),
		"reason no_route is":     change(func(r *exchange.Reason) { r.Name = "no_route" }),
		"quota: the code":        change(func(r *exchange.Reason) { r.Code = "quota" }),
		"quota: 200 is":          change(func(r *exchange.Reason) { r.Status = 200 }),
		"quota: a reason has":    change(func(r *exchange.Reason) { r.Help = "" }),
		"quota: a reason has a ": change(func(r *exchange.Reason) { r.Message = "" }),
	} {
		if found := faults([]*exchange.Reason{r}); len(found) != 1 || !strings.HasPrefix(found[0], want) {
			t.Errorf("%q, want %q", found, want)
		}
	}
	if found := faults([]*exchange.Reason{&good, &good}); !slices.Equal(found, []string{"reason quota is there already"}) {
		t.Errorf("the same twice: %q", found)
	}
}
