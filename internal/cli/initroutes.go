package cli

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"yett/internal/exchange"
	"yett/internal/route"
)

// initRoute is a route of a new configuration.
type initRoute struct {
	name, auth string
	of         *sourceDocument
	path       string
	methods    []string
	login      string // what the document wants of callers instead of a token
	prefix     string // where path is everything below it
}

// planner finds the routes.
type planner struct {
	operations *initOperations
	// narrow are operations that get a route of their own, as a wider one would take
	// requests of others.
	narrow map[*initOperation]bool
	prefix map[*initOperation]string  // "" for none
	paths  map[string]map[string]bool // prefix → shapes below it
}

// planRoutes returns the routes of all operations: as few as there can be with each request of an
// operation going to its service, by its rule of who may call, and none of an operation that
// is contested. Lost are operations whose requests no route can take.
func planRoutes(operations *initOperations, exact bool) (routes []initRoute, lost []*initOperation, err error) {
	p := &planner{operations: operations, narrow: make(map[*initOperation]bool), prefix: prefixes(operations.routed), paths: make(map[string]map[string]bool)}
	for _, o := range operations.routed {
		prefix := p.prefix[o]
		p.narrow[o] = exact || prefix == ""
		if p.paths[prefix] == nil {
			p.paths[prefix] = make(map[string]bool)
		}
		p.paths[prefix][o.shape] = true
	}
	for { // each round makes one narrow, or it is the last
		routes = p.routes()
		table, problems := route.Compile(rules(routes))
		if len(problems) > 0 {
			return nil, nil, fmt.Errorf("no routes can be made of these paths: %w", problems)
		}
		lost = p.lost(routes, table)
		if !p.makeNarrow(slices.Concat(lost, p.spilled(routes, table))) {
			return routes, lost, nil
		}
	}
}

// makeNarrow tells whether one of them has not been narrow.
func (p *planner) makeNarrow(operations []*initOperation) (more bool) {
	for _, o := range operations {
		more = more || !p.narrow[o]
		p.narrow[o] = true
	}
	return more
}

// prefixes finds under which prefix each operation is: what all paths of its document have in
// common where that says what they are about, and else up to the segment that does. An
// operation whose path has no such segment has none.
func prefixes(operations []*initOperation) map[*initOperation]string {
	common, paths := commonSegments(operations)
	out := make(map[*initOperation]string)
	owner := make(map[string]*sourceDocument)
	shared := make(map[string]bool)
	for _, o := range operations {
		n := len(common[o.of])
		if len(paths[o.of]) > 1 {
			n = distinctLength(o.segments, n)
		}
		prefix := "/" + strings.Join(o.segments[:n], "/")
		if prefix == "/" {
			continue
		}
		out[o] = prefix
		if other, taken := owner[prefix]; taken && other != o.of {
			shared[prefix] = true
		}
		owner[prefix] = o.of
	}
	for o, prefix := range out {
		if shared[prefix] { // two services below the same one
			delete(out, o)
		}
	}
	return out
}

// commonSegments returns the segments before all values that the paths of each document begin
// with, and the shapes of these paths.
func commonSegments(operations []*initOperation) (common map[*sourceDocument][]string, paths map[*sourceDocument]map[string]bool) {
	common, paths = make(map[*sourceDocument][]string), make(map[*sourceDocument]map[string]bool)
	for _, o := range operations {
		fixed := o.segments
		if i := slices.IndexFunc(fixed, isValue); i >= 0 {
			fixed = fixed[:i]
		}
		if known, ok := common[o.of]; ok {
			n := 0
			for n < len(fixed) && n < len(known) && fixed[n] == known[n] {
				n++
			}
			fixed = fixed[:n]
		} else {
			paths[o.of] = make(map[string]bool)
		}
		common[o.of] = fixed
		paths[o.of][o.shape] = true
	}
	return common, paths
}

// distinctLength returns how many segments of a path say what it is about, of which the first
// n are those of all paths of the document: up to the first that is neither "api" nor a
// version. It is 0 where that is a value, or where there is none.
func distinctLength(segments []string, n int) int {
	for n = max(n, 1); n <= len(segments) && !isValue(segments[n-1]); n++ {
		if !isGeneral(segments[n-1]) {
			return n
		}
	}
	return 0
}

// isGeneral tells whether a segment says nothing of what a path is about.
func isGeneral(segment string) bool {
	return segment == "" || segment == "api" || segment == "rest" ||
		len(segment) > 1 && segment[0] == 'v' && strings.Trim(segment[1:], "0123456789.") == ""
}

// routes makes the routes: one for each prefix, for the operations by the strictest rule
// there, and exact ones for all others.
func (p *planner) routes() []initRoute {
	wide := make(map[string]string) // prefix → auth of its route
	for _, auth := range []string{"none", "optional", "required"} {
		for _, o := range p.operations.routed {
			if !p.narrow[o] && o.auth == auth {
				wide[p.prefix[o]] = auth
			}
		}
	}
	var routes []initRoute
	known := make(map[string]int)
	for _, o := range p.operations.routed {
		r := initRoute{auth: o.auth, of: o.of, path: o.pattern()}
		if prefix := p.prefix[o]; !p.narrow[o] && wide[prefix] == o.auth && len(p.paths[prefix]) > 1 {
			r.path, r.prefix = prefix+"/**", prefix
		}
		key := o.of.service + " " + o.auth + " " + shapeOf(r.path)
		i, ok := known[key]
		if !ok {
			i, known[key] = len(routes), len(routes)
			routes = append(routes, r)
		}
		routes[i].add(o)
	}
	nameRoutes(routes)
	return routes
}

// add has a route take the requests of an operation.
func (r *initRoute) add(o *initOperation) {
	if !slices.Contains(r.methods, o.method) {
		r.methods = append(r.methods, o.method)
	}
	r.login = cmp.Or(r.login, o.login)
}

// nameRoutes names routes by their service and what is particular of their paths. Where the
// same paths have several routes, the names say who may call.
func nameRoutes(routes []initRoute) {
	alike := make(map[string]int)
	for i := range routes {
		alike[routeName(&routes[i])]++
	}
	taken := map[string]bool{ownHealth: true, ownDocs: true}
	for i := range routes {
		r := &routes[i]
		r.name = routeName(r)
		if suffix := map[string]string{"none": "-public", "optional": "-optional"}[r.auth]; alike[r.name] > 1 {
			r.name += suffix
		}
		r.name = unique(taken, r.name)
	}
}

func routeName(r *initRoute) string {
	var words []string
	for _, piece := range strings.Split(r.path, "/") {
		if word := slug(piece); !isGeneral(piece) && word != "" {
			words = append(words, word)
		}
	}
	name := strings.Join(words, "-")
	if name != r.of.service && !strings.HasPrefix(name, r.of.service+"-") {
		name = strings.Trim(r.of.service+"-"+name, "-")
	}
	return name
}

// rules returns the routes as the gateway reads them.
func rules(routes []initRoute) []route.Rule {
	var list []route.Rule
	for i := range routes {
		list = append(list, route.Rule{Name: routes[i].name, Paths: []string{routes[i].path}, Methods: routes[i].methods, Index: i})
	}
	return list
}

// lost returns the operations whose requests would not go where they belong.
func (p *planner) lost(routes []initRoute, table *route.Table) []*initOperation {
	var lost []*initOperation
	for _, o := range p.operations.routed {
		i := routeOf(table, o.method, o.example())
		if i < 0 || routes[i].of != o.of || routes[i].auth != o.auth {
			lost = append(lost, o)
		}
	}
	return lost
}

// spilled returns the operations with whose wide routes a contested one would get through.
func (p *planner) spilled(routes []initRoute, table *route.Table) []*initOperation {
	leaks := make(map[string]bool) // prefixes
	for _, group := range p.operations.contested {
		for _, o := range group {
			if i := routeOf(table, o.method, o.example()); i >= 0 && routes[i].prefix != "" {
				leaks[routes[i].prefix] = true
			}
		}
	}
	var spilled []*initOperation
	for _, o := range p.operations.routed {
		if leaks[p.prefix[o]] {
			spilled = append(spilled, o)
		}
	}
	return spilled
}

// routeOf returns the index of the route that takes a request, less than 0 where none does.
func routeOf(table *route.Table, method, path string) int {
	x := exchange.Exchange{Method: method, Host: "example.org", RawPath: path}
	if route.Normalize(&x) != nil {
		return -1
	}
	m := table.Match(&x)
	if m.Reason != nil {
		return -1
	}
	return m.Index
}

// unroutable returns the operations whose paths no route can have, such as those with an
// encoded slash, or no request as they stand.
func unroutable(operations []*initOperation) []*initOperation {
	known := make(map[string]bool)
	return slices.DeleteFunc(slices.Clone(operations), func(o *initOperation) bool {
		good, seen := known[o.path]
		if !seen {
			_, problems := route.Compile([]route.Rule{{Name: "it", Paths: []string{o.pattern()}, Methods: []string{o.method}}})
			good = len(problems) == 0 && !strings.ContainsAny(o.path, "?# \"\\")
			known[o.path] = good
		}
		return good
	})
}

// sortRoutes has the routes of a service together.
func sortRoutes(routes []initRoute, docs []*sourceDocument) {
	slices.SortStableFunc(routes, func(a, b initRoute) int {
		return cmp.Compare(slices.Index(docs, a.of), slices.Index(docs, b.of))
	})
}
