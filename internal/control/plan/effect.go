package plan

import (
	"fmt"
	"reflect"
	"strings"

	"yett/internal/config"
)

func (c *comparison) listener(change *Change, _, _ reflect.Value) {
	switch {
	case change.What == Added:
		change.Effect = "is opened"
	case change.What == Removed:
		change.Effect = "is closed; what runs there ends as in a shutdown"
	case hasField(change.Fields, "address"):
		change.Effect = "the new address is opened, the old one closed"
	default:
		change.Effect = "keeps its socket and its connections"
	}
}

func (c *comparison) service(change *Change, _, b reflect.Value) {
	switch change.What {
	case Added:
		return
	case Removed:
		change.Effect = "its connections close when what runs there has ended"
		return
	}
	for _, f := range change.Fields {
		if f.Path != "openapi" && !strings.HasPrefix(f.Path, "openapi.") {
			change.Effect = "gets new connections; its breaker and its counters begin anew"
			return
		}
	}
	if b.Interface().(config.Service).TLS.CA == "" {
		change.Effect = "keeps its connections, its breaker and its counters"
	}
}

func (c *comparison) route(change *Change, a, b reflect.Value) {
	switch change.What {
	case Removed:
		change.Effect = "streams that run live on"
	case Added:
		if r := b.Interface().(config.Route); r.Auth == "none" {
			change.Effect = "is public"
		}
	default:
		c.weaker(change, a.Interface().(config.Route), b.Interface().(config.Route))
	}
}

// weaker notes what lets more requests pass on a route.
func (c *comparison) weaker(change *Change, a, b config.Route) {
	auth := map[string]int{"none": 0, "optional": 1, "required": 2}
	var says []string
	switch {
	case auth[b.Auth] >= auth[a.Auth]:
	case b.Auth == "none":
		says = append(says, "is public now")
	default:
		says = append(says, "lets callers without a token pass now")
	}
	for _, name := range guards {
		before, after := guard(c.now, a, name), guard(c.next, b, name)
		switch {
		case after >= before || b.Auth == "none" && (name == "jwt" || name == "rbac"):
		case after == watched:
			says = append(says, fmt.Sprintf("%s only watches now", name))
		default:
			says = append(says, fmt.Sprintf("has no %s any more", name))
		}
	}
	change.Effect, change.Weaker = strings.Join(says, "; "), len(says) > 0
}

// policy tells of a global policy how many routes have it.
func (c *comparison) policy(change *Change, _, _ reflect.Value) {
	routes := 0
	for _, r := range c.next.Routes {
		if _, own := r.Policies.Get(change.Name); !own {
			routes++
		}
	}
	before := guard(c.now, config.Route{}, change.Name)
	after := guard(c.next, config.Route{}, change.Name)
	on := "on all routes"
	if routes < len(c.next.Routes) {
		on = fmt.Sprintf("on %d of %d routes; others have one of their own", routes, len(c.next.Routes))
	}
	switch {
	case after >= before || !isGuard(change.Name):
		change.Effect = on
	case after == watched:
		change.Effect, change.Weaker = "only watches now, "+on, true
	default:
		change.Effect, change.Weaker = "guards nothing any more, "+on, true
	}
}

func isGuard(name string) bool {
	for _, g := range guards {
		if g == name {
			return true
		}
	}
	return false
}

func (c *comparison) limit(change *Change, a, b reflect.Value) {
	if change.What == Removed {
		change.Effect, change.Weaker = "is no longer counted", true
		return
	}
	if change.What == Added {
		return
	}
	now, next := a.Interface().(config.Limit), b.Interface().(config.Limit)
	switch {
	case now.Mode == "enforce" && next.Mode == "observe":
		change.Effect, change.Weaker = "only watches now", true
	case raised(now, next):
		change.Effect, change.Weaker = "allows more than before", true
	}
}

// raised tells whether callers may do more by the limit's own numbers.
func raised(now, next config.Limit) bool {
	if now.Concurrent > 0 && next.Concurrent > 0 {
		return next.Concurrent > now.Concurrent
	}
	if now.Window == 0 || next.Window == 0 {
		return false // one of both kinds became the other: they can't be compared
	}
	pace := func(l config.Limit) float64 { return float64(l.Limit) / float64(l.Cost) / float64(l.Window) }
	burst := func(l config.Limit) int64 { return max(l.Burst, l.Limit) / l.Cost }
	return pace(next) > pace(now) || burst(next) > burst(now)
}

func (c *comparison) issuer(change *Change, _, _ reflect.Value) {
	switch change.What {
	case Added:
		change.Effect = "its tokens are believed"
	case Removed:
		change.Effect = "its tokens are refused"
	}
}

// sectionEffect notes what only a new process takes.
func (c *comparison) sectionEffect(change *Change, _, _ reflect.Value) {
	if change.Kind != "store" {
		return
	}
	change.Effect = "counts when a process starts"
	for _, f := range change.Fields {
		if f.Path != "required" { // which is asked at the start, and never again
			c.plan.NeedsProcess = append(c.plan.NeedsProcess, "store."+f.Path)
			change.Effect = "needs new processes: yett upgrade starts them, and drops nothing"
		}
	}
}
