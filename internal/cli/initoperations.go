package cli

import (
	"fmt"
	"slices"
	"strings"

	"yett/internal/openapi"
)

// initOperation is an operation of a document as routes see it.
type initOperation struct {
	of       *sourceDocument
	node     *openapi.Node
	method   string
	path     string // as the document has it, below its server
	segments []string
	shape    string // the path with all values alike
	auth     string // none, optional or required
	login    string // what the document wants of callers where that is no token, "" where it is one
}

func newInitOperation(d *sourceDocument, op *openapi.Operation) *initOperation {
	o := &initOperation{of: d, node: op.Node, method: op.Method, path: op.Path, segments: routeSegments(op.Path), auth: authOf(d.doc, op.Node)}
	o.shape = shapeOf(o.pattern())
	if o.auth == "required" {
		o.login = loginOf(d.doc, op.Node)
	}
	return o
}

// pattern returns the operation's path as a route has it.
func (o *initOperation) pattern() string { return "/" + strings.Join(o.segments, "/") }

// place is where it stands in its document.
func (o *initOperation) place() string {
	return fmt.Sprintf("%s:%d:%d", o.of.file, o.node.Line, o.node.Column)
}

func (o *initOperation) String() string { return o.method + " " + o.path }

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

func isValue(segment string) bool { return strings.HasPrefix(segment, "{") }

// shapeOf writes all values of a path alike.
func shapeOf(path string) string {
	pieces := strings.Split(path, "/")
	for i, s := range pieces {
		if isValue(s) {
			pieces[i] = "{}"
		}
	}
	return strings.Join(pieces, "/")
}

// initOperations are the operations of all documents.
type initOperations struct {
	// routed are those that get routes, in the order of the documents.
	routed []*initOperation
	// contested are those that several documents have, each with all who have it: nobody can
	// tell whose service is meant.
	contested [][]*initOperation
	// trace are those with the method TRACE, which nobody gets through a gateway.
	trace []*initOperation
}

// operationsOf finds what routes are made for.
func operationsOf(docs []*sourceDocument) *initOperations {
	all := new(initOperations)
	var order []string
	groups := make(map[string][]*initOperation)
	for _, d := range docs {
		ops := d.doc.Operations()
		for i := range ops {
			o := newInitOperation(d, &ops[i])
			if o.method == "TRACE" {
				all.trace = append(all.trace, o)
				continue
			}
			key := o.method + " " + o.shape
			if groups[key] == nil {
				order = append(order, key)
			}
			groups[key] = append(groups[key], o)
		}
	}
	for _, key := range order {
		group := groups[key]
		if group[0].of != group[len(group)-1].of {
			all.contested = append(all.contested, group)
			continue
		}
		alike(group)
		all.routed = append(all.routed, group...)
	}
	return all
}

// alike has operations of one document that a route can't tell apart, such as /a/{id} and
// /a/{id}.pdf, ask for what the strictest of them asks for.
func alike(group []*initOperation) {
	for _, auth := range []string{"optional", "required"} {
		i := slices.IndexFunc(group, func(o *initOperation) bool { return o.auth == auth })
		if i < 0 {
			continue
		}
		for _, o := range group {
			o.auth, o.login = auth, group[i].login
		}
	}
}

// authOf tells whether callers have to be known, by the security of an operation or of the
// whole document.
func authOf(d *openapi.Document, op *openapi.Node) string {
	all := securityOf(d, op)
	switch anonymous := func(n *openapi.Node) bool { return len(n.Pairs()) == 0 }; {
	case len(all) == 0 || !slices.ContainsFunc(all, func(n *openapi.Node) bool { return !anonymous(n) }):
		return "none"
	case slices.ContainsFunc(all, anonymous):
		return "optional"
	}
	return "required"
}

func securityOf(d *openapi.Document, op *openapi.Node) []*openapi.Node {
	if own := op.Get("security"); own != nil {
		return own.Elements()
	}
	return d.Root.Get("security").Elements()
}

// loginOf says what callers of an operation have to bring where no token will do, "" where
// one does.
func loginOf(d *openapi.Document, op *openapi.Node) string {
	first := ""
	for _, alternative := range securityOf(d, op) {
		other := ""
		for _, scheme := range alternative.Pairs() {
			if other == "" {
				other = loginBy(d.Deref(d.Root.At("components", "securitySchemes", scheme.Name)))
			}
		}
		if other == "" {
			return ""
		}
		if first == "" {
			first = other
		}
	}
	return first
}

// loginBy names what a security scheme wants, "" for a token.
func loginBy(scheme *openapi.Node) string {
	switch kind := scheme.Str("type"); {
	case kind == "apiKey" && !strings.EqualFold(scheme.Str("name"), "Authorization"):
		return fmt.Sprintf("wants an API key (%s %s)", scheme.Str("in"), scheme.Str("name"))
	case kind == "http" && !strings.EqualFold(scheme.Str("scheme"), "bearer"):
		return "wants HTTP authentication (" + scheme.Str("scheme") + ")"
	case kind == "mutualTLS":
		return "wants a client certificate"
	}
	return ""
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
