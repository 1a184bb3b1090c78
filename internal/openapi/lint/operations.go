package lint

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"

	"yett/internal/openapi"
	"yett/internal/problem"
)

func checkInfo(l *linter) {
	info := l.d.Root.Get("info")
	for _, name := range []string{"title", "version"} {
		if v := info.Get(name); v.Is(openapi.String) && strings.TrimSpace(v.Text) == "" {
			l.add(v, "", "info.%s is empty", name)
		}
	}
}

func checkDuplicateIDs(l *linter) {
	first := make(map[string]openapi.Operation)
	for _, o := range l.operations {
		if o.ID == "" {
			continue
		}
		if before, twice := first[o.ID]; twice {
			l.add(o.Node.Get("operationId"), "", "the operationId %q is that of %s %s already", o.ID, before.Method, before.Written)
			continue
		}
		first[o.ID] = o
	}
}

func checkMissingIDs(l *linter) {
	for _, o := range l.operations {
		if o.ID == "" {
			l.add(o.Node, "", "%s %s has no operationId", o.Method, o.Written)
		}
	}
}

// templateNames returns the names of the parameters in a path.
func templateNames(path string) (names []string) {
	for {
		_, after, ok := strings.Cut(path, "{")
		if !ok {
			return names
		}
		name, rest, ok := strings.Cut(after, "}")
		if !ok {
			return names
		}
		names, path = append(names, name), rest
	}
}

// inPath returns the path parameters of an operation.
func (l *linter) inPath(o *openapi.Operation) (list []*openapi.Node) {
	for _, p := range l.d.Parameters(o) {
		if p.Str("in") == "path" {
			list = append(list, p)
		}
	}
	return list
}

func checkUndeclared(l *linter) {
	for i := range l.operations {
		o := &l.operations[i]
		if slices.Contains(l.d.Parameters(o), nil) {
			continue // one is behind a reference that leads nowhere
		}
		declared := l.inPath(o)
		for _, name := range templateNames(o.Written) {
			if !slices.ContainsFunc(declared, func(p *openapi.Node) bool { return p.Str("name") == name }) {
				l.add(o.Node, "", "%s %s does not describe the parameter {%s} of its path", o.Method, o.Written, name)
			}
		}
	}
}

func checkUnknownInPath(l *linter) {
	for i := range l.operations {
		o := &l.operations[i]
		names := templateNames(o.Written)
		for _, p := range l.inPath(o) {
			if name := p.Str("name"); !slices.Contains(names, name) {
				hint := fmt.Sprintf("take it out, or write {%s} into the path", name)
				if near := problem.Nearest(name, names); near != "" {
					hint = "did you mean \"" + near + "\"?"
				}
				l.add(p, hint, "the path parameter %q is not in the path %s", name, o.Written)
			}
		}
	}
}

func checkOptionalInPath(l *linter) {
	for _, p := range l.of[openapi.PartParameter] {
		if p.Str("in") == "path" && !p.True("required") {
			l.add(p, "", "the path parameter %q is not required", p.Str("name"))
		}
	}
}

func checkDuplicateParameters(l *linter) {
	for _, part := range []openapi.Part{openapi.PartPathItem, openapi.PartOperation} {
		for _, n := range l.of[part] {
			seen := make(map[[2]string]bool)
			for _, written := range n.Get("parameters").Elements() {
				p := l.d.Deref(written)
				key := [2]string{p.Str("name"), p.Str("in")}
				if p != nil && seen[key] {
					l.add(written, "", "there are two parameters %q in %s", key[0], key[1])
				}
				seen[key] = true
			}
		}
	}
}

func checkAmbiguous(l *linter) {
	l.samePaths(func(p string) string { return p }, func(at *openapi.Node, path, before string) {
		if path != before {
			l.addAt(at, path, "", "the path %s matches the same requests as %s", path, before)
		}
	})
}

func checkCase(l *linter) {
	l.samePaths(strings.ToLower, func(at *openapi.Node, path, before string) {
		if openapi.Shape(path) != openapi.Shape(before) {
			l.addAt(at, path, "", "the path %s differs from %s only in upper and lower case", path, before)
		}
	})
}

// samePaths calls f with paths that become the same.
func (l *linter) samePaths(become func(string) string, f func(at *openapi.Node, path, before string)) {
	paths := l.d.Root.Get("paths")
	first := make(map[string]string)
	for _, m := range paths.Pairs() {
		if !strings.HasPrefix(m.Name, "/") {
			continue
		}
		key := become(openapi.Shape(m.Name))
		if before, again := first[key]; again {
			f(paths, m.Name, before)
			continue
		}
		first[key] = m.Name
	}
}

func checkQueryInPath(l *linter) {
	paths := l.d.Root.Get("paths")
	for _, m := range paths.Pairs() {
		if strings.HasPrefix(m.Name, "/") && strings.ContainsAny(m.Name, "?#") {
			l.addAt(paths, m.Name, "", "the path %s has a query or fragment in it", m.Name)
		}
	}
}

func checkSlash(l *linter) {
	paths := l.d.Root.Get("paths")
	for _, m := range paths.Pairs() {
		if slashless(m.Name) {
			l.addAt(paths, m.Name, fmt.Sprintf("write %q", "/"+m.Name), "the path %q does not begin with a slash", m.Name)
		}
	}
}

// slashless tells whether a key of paths is a path without a slash before it.
func slashless(path string) bool {
	return !strings.HasPrefix(path, "/") && !strings.HasPrefix(path, "x-")
}

func checkSuccess(l *linter) {
	for _, o := range l.operations {
		good := slices.ContainsFunc(o.Node.Get("responses").Pairs(), func(m openapi.Member) bool {
			return strings.HasPrefix(m.Name, "2") || strings.HasPrefix(m.Name, "3") || m.Name == "101" || m.Name == "1XX"
		})
		if !good {
			l.add(o.Node, "", "%s %s has no answer of 2xx or 3xx", o.Method, o.Written)
		}
	}
}

func checkBodies(l *linter) {
	for _, o := range l.operations {
		body := l.d.Deref(o.Node.Get("requestBody"))
		if body.True("required") && (o.Method == "GET" || o.Method == "HEAD" || o.Method == "DELETE") {
			l.addAt(o.Node, "requestBody", "", "%s %s requires a body", o.Method, o.Written)
		}
	}
}

func checkSecurity(l *linter) {
	schemes := l.d.Root.At("components", "securitySchemes")
	var known []string
	for _, m := range schemes.Pairs() {
		known = append(known, m.Name)
	}
	lists := []*openapi.Node{l.d.Root.Get("security")}
	for _, o := range l.of[openapi.PartOperation] {
		lists = append(lists, o.Get("security"))
	}
	for _, list := range lists {
		for _, wanted := range list.Elements() {
			for _, m := range wanted.Pairs() {
				if schemes.Get(m.Name) != nil {
					continue
				}
				hint := ""
				if near := problem.Nearest(m.Name, known); near != "" {
					hint = "did you mean \"" + near + "\"?"
				}
				l.addAt(wanted, m.Name, hint, "the security scheme %q is not defined", m.Name)
			}
		}
	}
}

func checkTags(l *linter) {
	known := make(map[string]bool)
	for _, t := range l.d.Root.Get("tags").Elements() {
		known[t.Str("name")] = true
	}
	for _, o := range l.operations {
		for _, t := range o.Node.Get("tags").Elements() {
			if t.Is(openapi.String) && !known[t.Text] {
				known[t.Text] = true // it is told once
				l.add(t, "", "the tag %q is not in the document's tags", t.Text)
			}
		}
	}
}

func checkSummaries(l *linter) {
	for _, o := range l.operations {
		if strings.TrimSpace(o.Node.Str("summary")+o.Node.Str("description")) == "" {
			l.add(o.Node, "", "%s %s has no summary and no description", o.Method, o.Written)
		}
	}
}

func checkServers(l *linter) {
	servers := l.d.Root.Get("servers").Elements()
	if len(servers) == 0 {
		l.add(l.d.Root, "", "the document names no servers")
	}
	for _, s := range servers {
		if u, err := url.Parse(s.Str("url")); err == nil && ownMachine(u.Hostname()) {
			l.add(s, "", "the server %s is everybody's own machine", s.Str("url"))
		}
	}
}

// ownMachine tells whether a host is a machine's name for itself.
func ownMachine(host string) bool {
	host = strings.ToLower(host)
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && (ip.IsLoopback() || ip.IsUnspecified())
}

// checkUnused looks for components that can't be reached from outside of the components.
func checkUnused(l *linter) {
	components := l.d.Root.Get("components")
	used := l.used(components)
	for _, section := range components.Pairs() {
		if strings.HasPrefix(section.Name, "x-") || section.Name == "securitySchemes" {
			continue // a scheme may be there for what the gateway adds
		}
		for _, m := range section.Value.Pairs() {
			if !used[m.Value] && !l.inherits(m.Value) && !l.ofGateway(section.Name, m.Name) {
				l.addAt(section.Value, m.Name, "", "nothing refers to components.%s.%s", section.Name, m.Name)
			}
		}
	}
}

// ofGateway tells whether a component is one that a gateway's document always has: the shape
// of its refusals.
func (l *linter) ofGateway(section, name string) bool {
	return section == "schemas" && strings.HasPrefix(name, "GatewayError") && l.d.Root.Get("x-yett-sources") != nil
}

// inherits tells whether a schema is an alternative of one with a discriminator, which names
// it by its name alone.
func (l *linter) inherits(n *openapi.Node) bool {
	return slices.ContainsFunc(n.Get("allOf").Elements(), func(base *openapi.Node) bool {
		return base.Get("$ref") != nil && l.d.Deref(base).Get("discriminator") != nil
	})
}

// used returns what references lead to, from outside of the components and on from there.
func (l *linter) used(components *openapi.Node) map[*openapi.Node]bool {
	used := make(map[*openapi.Node]bool)
	var todo []*openapi.Node
	follow := func(text string) {
		if target, err := l.d.Resolve(text); err == nil && !used[target] {
			used[target] = true
			todo = append(todo, target)
		}
	}
	look := func(n *openapi.Node) bool {
		if ref := n.Get("$ref"); ref.Is(openapi.String) {
			follow(ref.Text)
		}
		for _, m := range n.Get("discriminator").Get("mapping").Pairs() {
			if m.Value.Is(openapi.String) && !strings.HasPrefix(m.Value.Text, "#") {
				follow("#/components/schemas/" + openapi.Escape(m.Value.Text))
			} else if m.Value.Is(openapi.String) {
				follow(m.Value.Text)
			}
		}
		return n != components
	}
	l.d.Root.Walk(look)
	for len(todo) > 0 {
		n := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		n.Walk(look)
	}
	return used
}

// checkReferences looks at references again, which Parse has checked where the document was
// read: it may have been made.
func checkReferences(l *linter) {
	for _, part := range []openapi.Part{openapi.PartPathItem, openapi.PartParameter, openapi.PartHeader, openapi.PartRequestBody, openapi.PartResponse,
		openapi.PartCallback, openapi.PartExample, openapi.PartLink, openapi.PartSecurityScheme, openapi.PartSchema} {
		for _, n := range l.of[part] {
			ref := n.Get("$ref")
			if !ref.Is(openapi.String) {
				continue
			}
			target, err := l.d.Resolve(ref.Text)
			if err != nil {
				l.add(ref, "", "%s", err)
				continue
			}
			if is, known := l.parts[target]; known && is != part {
				l.add(ref, "", "the reference %q leads to a %s where a %s should stand", ref.Text, is, part)
			} else if l.d.Deref(n) == nil {
				l.add(ref, "let one of them lead to something", "the reference %q goes in a circle", ref.Text)
			}
		}
	}
}
