package route

import (
	"fmt"
	"slices"
	"strings"
)

// addShape files a spot with those of its host and shape. It reports one that
// only its name tells apart from another for some request.
func (c *compiler) addShape(s *spot) {
	key := s.host + s.shape
	peers := c.shapes[key]
	if i := slices.IndexFunc(peers, s.ties); i >= 0 {
		c.reportTie(s, peers[i])
	}
	c.shapes[key] = append(peers, s)
}

// ties tells whether some request fits both spots, of the same host and shape,
// and nothing but their names says which one takes it.
func (s *spot) ties(o *spot) bool {
	return (s.named == allMethods) == (o.named == allMethods) && s.named&o.named != 0 &&
		len(s.conditions) == len(o.conditions) && s.nvalues == o.nvalues && !exclude(s.conditions, o.conditions)
}

func (c *compiler) reportTie(a, b *spot) {
	if a.index < b.index {
		a, b = b, a // the later one is the one to change
	}
	where := fmt.Sprintf("%s%s", a.host, &a.path)
	if slices.Equal(a.conditions, b.conditions) {
		c.bad(a.rule, a.place, &fault{fmt.Sprintf("%s takes the same requests as route %q", where, b.rule.Name),
			"remove one, or tell them apart by host, methods, headers or query"})
		return
	}
	c.bad(a.rule, a.place, &fault{fmt.Sprintf("%s is neither more nor less specific than route %q, and some requests fit both", where, b.rule.Name),
		"give one of them one more condition, or other methods"})
}

// checkReachable reports a path whose requests all go to more specific
// routes. Only ** can be covered so: by routes for the prefix itself, with and
// without slash, and for all that is below it.
func (c *compiler) checkReachable(s *spot) {
	if !s.path.rest {
		return
	}
	if covered, by := c.below(s, s.shape); s.methods&^covered == 0 {
		slices.Sort(by)
		c.bad(s.rule, s.place, &fault{fmt.Sprintf("no request reaches %s%s: more specific routes take all of them", s.host, &s.path),
			"they are " + strings.Join(slices.Compact(by), ", ")})
	}
}

// below returns the methods with which every request that s takes at shape,
// which ends in **, is taken by more specific routes, and their names.
func (c *compiler) below(s *spot, shape string) (uint64, []string) {
	slash := strings.TrimSuffix(shape, anyRest)
	covered, by := c.takes(s, slash)
	if slash != "/" {
		m, names := c.takes(s, strings.TrimSuffix(slash, "/"))
		covered, by = covered&m, append(by, names...)
	}
	if covered == 0 {
		return 0, nil
	}
	next := slash + anyValue + "/" + anyRest
	deep, names := c.takes(s, next)
	deeper, more := c.below(s, next)
	return covered & (deep | deeper), slices.Concat(by, names, more)
}

// takes returns the methods with which spots of that shape take every request
// that fits s, and their names.
func (c *compiler) takes(s *spot, shape string) (uint64, []string) {
	var methods uint64
	var names []string
	for _, o := range c.shapes[s.host+shape] {
		if implies(s.conditions, o.conditions) {
			methods |= o.methods
			names = append(names, o.rule.Name)
		}
	}
	return methods, names
}
