package plan

import (
	"reflect"

	"yett/internal/catalog"
	"yett/internal/config"
	"yett/internal/policy"
)

// policies compares the policies that are written at a route. What counts is what the route has in
// the end: one of its own that says what the global one says anyway is no difference.
func (d *differ) policies(path string, a, b config.Policies) {
	for _, name := range policyNames(a, b) {
		below := join(path, name)
		x, ownNow := a.Get(name)
		y, ownNext := b.Get(name)
		if d.missing != neither {
			d.add(below, d.policyText(x, ownNow), d.policyText(y, ownNext))
			continue
		}
		if !ownNow && !ownNext {
			continue
		}
		from, onNow := decoded(x)
		to, onNext := decoded(y)
		if !ownNow {
			x, from, onNow = global(d.now.conf, name)
		}
		if !ownNext {
			y, to, onNext = global(d.next.conf, name)
		}
		switch {
		case onNow && onNext:
			sub := differ{now: side{d.now.conf, x.Config.Path()}, next: side{d.next.conf, y.Config.Path()}}
			sub.value("", from, to, plain)
			for _, f := range sub.fields {
				f.Path = join(below, f.Path)
				d.fields = append(d.fields, f)
			}
		case onNow != onNext:
			d.add(below, d.policyText(x, ownNow || onNow), d.policyText(y, ownNext || onNext))
		}
	}
}

// policyNames are the names of either, in the order of the second, then of the first.
func policyNames(a, b config.Policies) (names []string) {
	for _, e := range b {
		names = append(names, e.Name)
	}
	for _, e := range a {
		if _, ok := b.Get(e.Name); !ok {
			names = append(names, e.Name)
		}
	}
	return names
}

// global is a policy as all routes have it that say nothing about it.
func global(c *config.Config, name string) (e config.PolicyEntry, v reflect.Value, on bool) {
	e, ok := c.Policies.Get(name)
	if !ok {
		return e, v, false
	}
	v, on = decoded(e)
	return e, v, on
}

// policyText is a policy in one line, empty for one that isn't there.
func (d *differ) policyText(e config.PolicyEntry, there bool) string {
	if !there {
		return ""
	}
	v, on := decoded(e)
	if !on {
		return "off"
	}
	conf := d.next.conf
	if d.missing == missingNext {
		conf = d.now.conf
	}
	usual := reflect.ValueOf(catalog.Lookup(e.Name).Defaults()).Elem()
	return renderStruct(v, usual, d.shown(side{conf, e.Config.Path()}), "", plain)
}

// guards are the policies that keep requests out.
var guards = [...]string{"ratelimit", "jwt", "rbac", "validate"}

// strength is how a route is guarded by a policy: not at all, only to be watched, or really.
type strength int

const (
	unguarded strength = iota
	watched
	guarded
)

// guard tells how strongly a route is guarded by a policy. The zero Route, with an auth, has the global
// policies.
func guard(c *config.Config, r config.Route, name string) strength {
	if r.Auth == "none" && (name == "jwt" || name == "rbac") {
		return unguarded
	}
	e, own := r.Policies.Get(name)
	if !own {
		e, own = c.Policies.Get(name)
	}
	if !own {
		return unguarded
	}
	v, on := decoded(e)
	if !on {
		return unguarded
	}
	if m, ok := v.Interface().(policy.Moded); ok && m.PolicyMode() == policy.Observe {
		return watched
	}
	return guarded
}
