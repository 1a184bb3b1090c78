package route

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"yett/internal/exchange"
	"yett/internal/problem"
)

// Rule is what an operator wrote about the requests of one route.
type Rule struct {
	// Name is unique among the rules.
	Name string
	// Hosts are host patterns; every host when empty.
	Hosts []string
	// Paths are path patterns, at least one.
	Paths []string
	// Methods are method tokens; all methods when empty. GET includes HEAD.
	Methods []string
	// Headers and Query are conditions: name to value, "*" for any value.
	Headers, Query map[string]string
	// AllowSlash and AllowNUL accept paths that hold %2F or %00.
	AllowSlash, AllowNUL bool
	// Index is where the rule stands in the file. Problems name the rule by it,
	// and a match returns it.
	Index int
}

const (
	allMethods = ^uint64(0)
	// otherMethod is the bit of every method that no rule names.
	otherMethod = uint64(1) << maxMethods
	maxMethods  = 63
)

// entry is one host and path of a rule, as Match needs it.
type entry struct {
	methods    uint64
	conditions []condition
	names      []string // of the values, "**" last
	index      int
	slash, nul bool
}

// spot is an entry together with what Compile and Rows need.
type spot struct {
	entry
	rule    *Rule
	place   string // where the path was written
	host    string
	path    pattern
	shape   string
	named   uint64 // methods that the rule names, without HEAD by way of GET
	nvalues int    // conditions that ask for a value
}

// compiler collects the spots of all rules, and every problem.
type compiler struct {
	methods  []string // sorted; the bit of a method is its position
	spots    []*spot
	shapes   map[string][]*spot // by host and shape
	problems problem.List
}

// Compile makes a Table of rules, or returns everything that is wrong with
// them. The Path of a problem is "routes[Index]" and what follows, such as
// "routes[2].path[0]".
//
// It refuses what can't be read, and what can't be meant: names or routes that
// are there twice, routes that would both fit some request with neither being
// more specific, and paths that no request reaches because more specific
// routes take all of them.
func Compile(rules []Rule) (*Table, problem.List) {
	c := compiler{shapes: map[string][]*spot{}}
	c.collectNames(rules)
	c.collectMethods(rules)
	for i := range rules {
		c.addRule(&rules[i])
	}
	slices.SortFunc(c.spots, compareSpots)
	for _, s := range c.spots {
		c.addShape(s)
	}
	for _, s := range c.spots {
		c.checkReachable(s)
	}
	if len(c.problems) > 0 {
		return nil, c.problems
	}
	return newTable(c.methods, c.spots), nil
}

// bad adds a problem about a place within a rule.
func (c *compiler) bad(r *Rule, place string, f *fault) {
	c.problems.Add(fmt.Sprintf("routes[%d].%s", r.Index, place), f.what, f.hint)
}

func (c *compiler) collectNames(rules []Rule) {
	owner := map[string]int{}
	for i := range rules {
		r := &rules[i]
		first, taken := owner[r.Name]
		switch {
		case r.Name == "":
			c.bad(r, "name", &fault{"the route has no name", "logs and metrics need one"})
		case taken:
			c.bad(r, "name", &fault{fmt.Sprintf("the name %q is taken by routes[%d]", r.Name, first), "names are unique"})
		default:
			owner[r.Name] = r.Index
		}
	}
}

// collectMethods gives each method that a rule names a bit. Bad ones are
// reported by addRule.
func (c *compiler) collectMethods(rules []Rule) {
	set := map[string]bool{}
	for i := range rules {
		r := &rules[i]
		for j, m := range r.Methods {
			if methodFault(m) != nil || set[m] {
				continue
			}
			if len(set) >= maxMethods-1 { // one is for HEAD
				c.bad(r, fmt.Sprintf("methods[%d]", j), &fault{"too many different methods",
					fmt.Sprintf("all routes together can name %d", maxMethods-1)})
				continue
			}
			set[m] = true
		}
	}
	if set["GET"] {
		set["HEAD"] = true
	}
	c.methods = slices.Sorted(maps.Keys(set))
}

func methodFault(m string) *fault {
	switch {
	case m == "*":
		return &fault{`"*" is no method`, "leave methods out for all"}
	case !exchange.ValidName(m):
		return &fault{fmt.Sprintf("%q is no method", m), "such as GET or POST"}
	case m != strings.ToUpper(m):
		return &fault{fmt.Sprintf("method %q is not in upper case", m), fmt.Sprintf("write %s", strings.ToUpper(m))}
	}
	return nil
}

// addRule checks a rule and adds a spot for each of its hosts and paths.
func (c *compiler) addRule(r *Rule) {
	before := len(c.problems)
	e := entry{index: r.Index, slash: r.AllowSlash, nul: r.AllowNUL}
	named := c.methodsOf(r)
	e.methods = c.withHead(named)
	e.conditions = parseConditions(r.Headers, r.Query, func(place string, f *fault) { c.bad(r, place, f) })
	hosts := c.hostsOf(r)
	if len(r.Paths) == 0 {
		c.bad(r, "path", &fault{"the route has no path", "/** is every path"})
	}
	paths := c.pathsOf(r)
	if len(c.problems) > before {
		return // what is left of it would only seem to be in conflict with others
	}
	for _, host := range hosts {
		for j, p := range paths {
			s := &spot{entry: e, rule: r, place: fmt.Sprintf("path[%d]", j), host: host, path: p,
				shape: p.shape(), named: named, nvalues: countValues(e.conditions)}
			s.names = p.names()
			c.spots = append(c.spots, s)
		}
	}
}

func countValues(list []condition) int {
	n := 0
	for _, c := range list {
		if !c.any {
			n++
		}
	}
	return n
}

func (c *compiler) methodsOf(r *Rule) uint64 {
	if len(r.Methods) == 0 {
		return allMethods
	}
	var set uint64
	for j, m := range r.Methods {
		f := methodFault(m)
		if f == nil {
			b := methodBit(c.methods, m)
			if set&b != 0 {
				f = &fault{fmt.Sprintf("method %s is there twice", m), "remove one"}
			}
			set |= b
		}
		if f != nil {
			c.bad(r, fmt.Sprintf("methods[%d]", j), f)
		}
	}
	return set
}

func (c *compiler) withHead(named uint64) uint64 {
	if named != allMethods && named&methodBit(c.methods, "GET")&^otherMethod != 0 {
		named |= methodBit(c.methods, "HEAD")
	}
	return named
}

func methodBit(methods []string, m string) uint64 {
	for i, known := range methods {
		if known == m {
			return 1 << i
		}
	}
	return otherMethod
}

// hostsOf returns the hosts of a rule, "" for every host.
func (c *compiler) hostsOf(r *Rule) []string {
	if len(r.Hosts) == 0 {
		return []string{""}
	}
	var hosts []string
	for j, text := range r.Hosts {
		host, f := parseHost(text)
		if f == nil && slices.Contains(hosts, host) {
			f = &fault{fmt.Sprintf("host %q is there twice", text), "remove one"}
		}
		if f != nil {
			c.bad(r, fmt.Sprintf("host[%d]", j), f)
			continue
		}
		hosts = append(hosts, host)
	}
	return hosts
}

func (c *compiler) pathsOf(r *Rule) []pattern {
	var paths []pattern
	seen := map[string]bool{}
	for j, text := range r.Paths {
		p, f := parsePattern(text)
		if f == nil {
			f = pathFault(&p, r)
		}
		if f == nil && seen[p.shape()] {
			f = &fault{fmt.Sprintf("path %q is there twice", text), "the names of values make no difference; remove one"}
		}
		if f != nil {
			c.bad(r, fmt.Sprintf("path[%d]", j), f)
			continue
		}
		seen[p.shape()] = true
		paths = append(paths, p)
	}
	return paths
}

func pathFault(p *pattern, r *Rule) *fault {
	if p.holds("%2F") && !r.AllowSlash {
		return &fault{fmt.Sprintf("path %q needs an encoded slash", p), "the route has to say allow_encoded: [slash]"}
	}
	if p.holds("%00") && !r.AllowNUL {
		return &fault{fmt.Sprintf("path %q needs an encoded NUL", p), "the route has to say allow_encoded: [nul]"}
	}
	return nil
}
