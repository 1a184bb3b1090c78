package cli

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"yett/internal/exchange"
	"yett/internal/openapi"
	"yett/internal/problem"
	"yett/internal/route"
)

// operation is an operation of a document as routes see it.
type initOperation struct {
	of       *sourceDocument
	node     *openapi.Node
	method   string
	path     string // as the document has it, below its server
	segments []string
	auth     string // none, optional or required
}

// pattern returns the operation's path as a route has it.
func (o *initOperation) pattern() string { return "/" + strings.Join(o.segments, "/") }

// shape is the path with all values alike.
func (o *initOperation) shape() string {
	b := ""
	for _, s := range o.segments {
		if isValue(s) {
			s = "{}"
		}
		b += "/" + s
	}
	return b
}

func isValue(segment string) bool { return strings.HasPrefix(segment, "{") }

// initRoute is a route of a new configuration.
type initRoute struct {
	name, auth string
	of         *sourceDocument
	paths      []string
	methods    []string
}

// operationsOf returns what can be reached of all documents. Two documents with the same
// operation are a conflict.
func operationsOf(docs []*sourceDocument) ([]*initOperation, error) {
	var all []*initOperation
	var problems problem.List
	first := make(map[string]*initOperation)
	for _, d := range docs {
		for _, op := range d.doc.Operations() {
			if op.Method == "TRACE" { // nobody's clients get that through a gateway
				continue
			}
			o := &initOperation{of: d, node: op.Node, method: op.Method, path: op.Path, segments: routeSegments(op.Path), auth: authOf(d.doc, op.Node)}
			key := o.method + " " + o.shape()
			other, taken := first[key]
			switch {
			case !taken:
				first[key] = o
				all = append(all, o)
			case other.of != d:
				problems = append(problems, problem.Problem{File: d.file, Line: op.Node.Line, Column: op.Node.Column,
					What: fmt.Sprintf("%s %s is an operation of %s:%d:%d too", o.method, o.path, other.of.file, other.node.Line, other.node.Column),
					Hint: "two services can't answer the same requests: give one of the documents another path in servers, or leave one out"})
			}
		}
	}
	if len(problems) > 0 {
		return nil, explain(problems, "no configuration was written")
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("no operation is documented in %s, so there is nothing to route", docs[0].file)
	}
	return all, nil
}

// authOf tells whether callers have to be known, by the security of an operation or of the
// whole document.
func authOf(d *openapi.Document, op *openapi.Node) string {
	security := op.Get("security")
	if security == nil {
		security = d.Root.Get("security")
	}
	all := security.Elements()
	switch anonymous := func(n *openapi.Node) bool { return len(n.Pairs()) == 0 }; {
	case len(all) == 0 || !slices.ContainsFunc(all, func(n *openapi.Node) bool { return !anonymous(n) }):
		return "none"
	case slices.ContainsFunc(all, anonymous):
		return "optional"
	}
	return "required"
}

// routeSegments returns the segments of a path of a document as routes write them. A segment
// of text and values becomes a value as a whole.
func routeSegments(path string) []string {
	path, _, _ = strings.Cut(path, "?")
	path, _, _ = strings.Cut(path, "#")
	var out, names []string
	pieces := strings.Split(strings.TrimPrefix(path, "/"), "/")
	for i, piece := range pieces {
		if piece == "" && i < len(pieces)-1 || piece == "." || piece == ".." {
			continue
		}
		open, end := strings.IndexByte(piece, '{'), strings.LastIndexByte(piece, '}')
		if open < 0 || end < open {
			out = append(out, literal(piece))
			continue
		}
		name := valueName(strings.FieldsFunc(piece[open+1:end], func(r rune) bool { return r == '{' || r == '}' }), names)
		names = append(names, name)
		out = append(out, "{"+name+"}")
	}
	return out
}

// literal writes a piece of a path so that it means nothing else in a route.
func literal(piece string) string {
	return strings.NewReplacer("{", "%7B", "}", "%7D", "*", "%2A", ":", "%3A", "$", "%24", " ", "%20", `"`, "%22", `\`, "%5C").Replace(piece)
}

// valueName makes a name that no other value of the path has.
func valueName(words, taken []string) string {
	name := "value"
	if len(words) > 0 {
		name = strings.Map(func(r rune) rune {
			if r < 0x80 && (r == '_' || 'a' <= r|0x20 && r|0x20 <= 'z' || '0' <= r && r <= '9') {
				return r
			}
			return '_'
		}, words[0])
	}
	if name == "" || '0' <= name[0] && name[0] <= '9' {
		name = "_" + name
	}
	own := name
	for n := 2; slices.Contains(taken, own); n++ {
		own = fmt.Sprintf("%s%d", name, n)
	}
	return own
}

// planner finds the routes.
type planner struct {
	operations []*initOperation
	// narrow are operations that get a route of their own, as a wider one of others would
	// take their requests.
	narrow map[*initOperation]bool
	prefix map[*initOperation]string // "" for none
}

// plan returns the routes of all operations: as few as there can be with each request of an
// operation going to its service, by its rule of who may call.
func plan(operations []*initOperation, exact bool) ([]initRoute, error) {
	p := &planner{operations: operations, narrow: make(map[*initOperation]bool), prefix: prefixes(operations)}
	for _, o := range operations {
		p.narrow[o] = exact || p.prefix[o] == ""
	}
	for range len(operations) + 1 { // each round makes one narrow, or it is the last
		routes := p.routes()
		lost, err := p.lost(routes)
		if err != nil {
			return nil, err
		}
		more := slices.DeleteFunc(lost, func(o *initOperation) bool { return p.narrow[o] })
		if len(lost) == 0 || len(more) == 0 {
			return routes, nil
		}
		for _, o := range more {
			p.narrow[o] = true
		}
	}
	return p.routes(), nil
}

// prefixes finds under which prefix each operation is: what all paths of its document have in
// common where that says what they are about, and else up to the segment that does. An
// operation whose path has no such segment has none.
func prefixes(operations []*initOperation) map[*initOperation]string {
	common := make(map[*sourceDocument][]string)
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
		}
		common[o.of] = fixed
	}
	out := make(map[*initOperation]string)
	owner := make(map[string]*sourceDocument)
	shared := make(map[string]bool)
	for _, o := range operations {
		n := len(common[o.of])
		if !onlyPath(operations, o.of) {
			n = distinctLength(o.segments, n)
		}
		if n == 0 {
			continue
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

// onlyPath tells whether a document has a single path.
func onlyPath(operations []*initOperation, of *sourceDocument) bool {
	shapes := make(map[string]bool)
	for _, o := range operations {
		if o.of == of {
			shapes[o.shape()] = true
		}
	}
	return len(shapes) == 1
}

// routes makes the routes: one for each prefix, for the operations by most rules alike, and
// exact ones for all others.
func (p *planner) routes() []initRoute {
	wide := make(map[string]string) // prefix → auth of its route
	for _, auth := range []string{"none", "optional", "required"} {
		for _, o := range p.operations {
			if !p.narrow[o] && o.auth == auth { // the strictest one that is there
				wide[p.prefix[o]] = auth
			}
		}
	}
	var routes []initRoute
	for _, o := range p.operations {
		path := o.pattern()
		if prefix := p.prefix[o]; !p.narrow[o] && wide[prefix] == o.auth && !p.alone(o) {
			path = prefix + "/**"
		}
		routes = addRoute(routes, o, path)
	}
	taken := make(map[string]bool)
	for i := range routes {
		routes[i].name = unique(taken, routeName(&routes[i]))
	}
	return routes
}

// alone tells whether all operations of a prefix have one and the same path.
func (p *planner) alone(o *initOperation) bool {
	return !slices.ContainsFunc(p.operations, func(other *initOperation) bool {
		return p.prefix[other] == p.prefix[o] && other.shape() != o.shape()
	})
}

// addRoute adds an operation to the route that has its path, or makes one.
func addRoute(routes []initRoute, o *initOperation, path string) []initRoute {
	shape := shapeOf(path)
	for i := range routes {
		r := &routes[i]
		if r.of == o.of && r.auth == o.auth && shapeOf(r.paths[0]) == shape {
			if !slices.Contains(r.methods, o.method) {
				r.methods = append(r.methods, o.method)
			}
			return routes
		}
	}
	return append(routes, initRoute{auth: o.auth, of: o.of, paths: []string{path}, methods: []string{o.method}})
}

func shapeOf(path string) string {
	pieces := strings.Split(path, "/")
	for i, s := range pieces {
		if isValue(s) {
			pieces[i] = "{}"
		}
	}
	return strings.Join(pieces, "/")
}

// routeName names a route by its service and what is particular of its path.
func routeName(r *initRoute) string {
	name := slug(r.paths[0])
	if !strings.HasPrefix(name, r.of.service) {
		name = strings.Trim(r.of.service+"-"+name, "-")
	}
	if r.auth == "none" {
		name += "-public"
	}
	return name
}

// rules returns the routes as the gateway reads them.
func rules(routes []initRoute) []route.Rule {
	var list []route.Rule
	for i, r := range routes {
		list = append(list, route.Rule{Name: r.name, Paths: r.paths, Methods: r.methods, Index: i})
	}
	return list
}

// lost returns the operations whose requests would not go where they belong.
func (p *planner) lost(routes []initRoute) ([]*initOperation, error) {
	table, problems := route.Compile(rules(routes))
	if len(problems) > 0 {
		return nil, fmt.Errorf("no routes can be made of these paths: %w", problems)
	}
	var lost []*initOperation
	for _, o := range p.operations {
		x := exchange.Exchange{Method: o.method, Host: "example.org", RawPath: o.example()}
		if route.Normalize(&x) != nil {
			continue
		}
		m := table.Match(&x)
		if m.Reason != nil || routes[m.Index].of != o.of || routes[m.Index].auth != o.auth {
			lost = append(lost, o)
		}
	}
	return lost, nil
}

// example returns a path of the operation whose values are no text of another one.
func (o *initOperation) example() string {
	pieces := slices.Clone(o.segments)
	for i, s := range pieces {
		if isValue(s) {
			pieces[i] = "0-value-0"
		}
	}
	return "/" + strings.Join(pieces, "/")
}

// sortRoutes has the routes of a service together, what is public first.
func sortRoutes(routes []initRoute, docs []*sourceDocument) {
	slices.SortStableFunc(routes, func(a, b initRoute) int {
		return cmp.Compare(slices.Index(docs, a.of), slices.Index(docs, b.of))
	})
}
