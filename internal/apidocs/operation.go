package apidocs

import (
	"cmp"
	"slices"
	"strings"

	"yett/internal/openapi"
)

// translate makes the operation as callers of the gateway have it.
func (m *merger) translate(service string, im *importer, p place) *openapi.Node {
	o, f := p.op, m.factsOf(p.way.route)
	op := openapi.NewObject("tags", openapi.NewStrings(service))
	own := public(o.Node, openapi.PartOperation)
	for _, key := range []string{"summary", "description", "externalDocs"} {
		if v := own.Get(key); v != nil {
			op.Set(key, v.Clone())
		}
	}
	f.tell(op)
	op.Set("operationId", openapi.NewString(p.id))
	if list := m.parameters(im, o, p.way.path, p.item.path, f); len(list.Items) > 0 {
		op.Set("parameters", list)
	}
	for _, key := range []string{"requestBody", "callbacks"} {
		if v := o.Node.Get(key); v != nil {
			op.Set(key, im.copy(v))
		}
	}
	op.Set("responses", m.responses(im, o, f))
	if o.Node.True("deprecated") {
		op.Set("deprecated", openapi.NewBool(true))
	}
	op.Set("security", m.security(im, o, f))
	for _, member := range own.Members {
		if isExtension(member.Name) {
			op.Set(member.Name, member.Value.Clone())
		}
	}
	op.Set("x-yett", f.extension())
	return op
}

// parameters are those of the service that callers may send, and those that the route asks
// for. The operation's own template is way, the document has it as path: the values in it may
// have other names.
func (m *merger) parameters(im *importer, o *openapi.Operation, way, path string, f *facts) *openapi.Node {
	list := openapi.NewArray()
	names := renamed(way, path)
	declared := make(map[string]bool)
	for _, p := range im.from.Parameters(o) {
		in, name := p.Str("in"), p.Str("name")
		if in == "" || name == "" || in == "header" && m.keptFrom(name) {
			continue
		}
		if in == "path" {
			if name = names[name]; name == "" || declared[name] {
				continue // the route has put something in its place
			}
			declared[name] = true
		}
		c := im.copy(p)
		c.Set("name", openapi.NewString(name))
		if in == "path" {
			c.Set("required", openapi.NewBool(true))
		}
		list.Append(c)
	}
	f.addParameters(list)
	list.Items = append(list.Items, pathParameters(path, declared)...)
	return list
}

// addParameters adds those that the route or a policy of the gateway looks at. Where the
// service has described one already, its words stay.
func (f *facts) addParameters(list *openapi.Node) {
	for _, p := range f.parameters() {
		i := slices.IndexFunc(list.Items, func(q *openapi.Node) bool { return sameParameter(p, q) })
		switch {
		case i < 0:
			list.Append(p)
		case p.True("required"):
			list.Items[i].Set("required", openapi.NewBool(true))
		}
	}
}

func sameParameter(a, b *openapi.Node) bool {
	if a.Str("in") != b.Str("in") {
		return false
	}
	if a.Str("in") == "header" {
		return strings.EqualFold(a.Str("name"), b.Str("name"))
	}
	return a.Str("name") == b.Str("name")
}

// renamed says what the values of a template are called in another of the same shape.
func renamed(from, to string) map[string]string {
	names := make(map[string]string)
	was, is := valuesOf(from), valuesOf(to)
	for i := range min(len(was), len(is)) {
		names[was[i]] = is[i]
	}
	return names
}

// pathParameters are the values of a template that are not declared yet.
func pathParameters(path string, declared map[string]bool) (list []*openapi.Node) {
	for _, name := range valuesOf(path) {
		if !declared[name] {
			declared[name] = true
			list = append(list, openapi.NewObject("name", name, "in", "path", "required", true, "schema", openapi.NewObject("type", "string")))
		}
	}
	return list
}

// keptFrom tells whether a request header never comes from callers.
func (m *merger) keptFrom(name string) bool {
	same := func(other string) bool { return strings.EqualFold(name, other) }
	return slices.ContainsFunc(m.in.Snapshot.Config.IdentityHeaders, same) || slices.ContainsFunc(m.in.Snapshot.Reserved(), same) ||
		same("X-Gateway") || same("X-Real-IP") || strings.HasPrefix(strings.ToLower(name), "x-forwarded-")
}

// operationID is what an operation is called in the merged document, as long as nobody else
// is called so. It depends on the service's document alone.
func (im *importer) operationID(o *openapi.Operation) string {
	own := cmp.Or(o.ID, strings.ToLower(o.Method)+strings.Map(func(r rune) rune {
		switch {
		case r == '/' || r == '.':
			return '_'
		case r == '{' || r == '}':
			return -1
		case plain(r):
			return r
		}
		return '-'
	}, o.Written))
	return im.name(own)
}
