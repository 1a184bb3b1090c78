package apidocs

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"yett/internal/openapi"
	"yett/internal/openapi/source"
	"yett/internal/snapshot"
)

// place is where an operation of a service stands in the document.
type place struct {
	op   *openapi.Operation
	way  way
	item *pathItem
	id   string
}

// behind tells whether a route that is shown leads to a service.
func (m *merger) behind(service string) bool { return len(m.tracer.entrances[service]) > 0 }

// service adds the operations of a service, and tells whether there are any. First all of
// them get their places and names, so that what refers to an operation can tell whether it is
// shown, and how.
func (m *merger) service(name, prefix string) bool {
	loaded := m.in.Loaded(name)
	if loaded == nil {
		return false
	}
	im := m.importer(loaded.Document, prefix)
	var places []place
	ops := loaded.Document.Operations()
	for i := range ops {
		m.budget.look()
		places = m.places(places, name, im, loaded, &ops[i])
	}
	for _, p := range places {
		op := m.translate(name, im, p)
		m.budget.charge(op)
		p.item.node.Set(strings.ToLower(p.op.Method), op)
	}
	im.drain()
	if len(places) > 0 {
		m.tags.Append(m.serviceTag(name, loaded.Document))
	}
	return len(places) > 0
}

// places adds those of one operation, one for each path by which callers reach it. Its names
// are counted whether or not the path is free, so that they do not depend on other services.
func (m *merger) places(all []place, service string, im *importer, loaded *source.Loaded, o *openapi.Operation) []place {
	ways, why := m.tracer.ways(service, loaded, o)
	if len(ways) == 0 {
		m.leave(service, o, o.Path, why)
	}
	id := im.operationID(o)
	for i, w := range ways {
		key := o.Method + " " + w.shape
		if other, ok := m.taken[key]; ok {
			m.leave(service, o, w.path, absence{why: fmt.Sprintf("the path is that of %s already: another host, header or query tells them apart", other)})
			continue
		}
		m.taken[key] = service
		own := m.ids.unique(numbered(id, i+1))
		im.show(o, own)
		item := m.item(w.path, w.shape)
		all = append(all, place{o, w, item, own})
		m.out.Shown = append(m.out.Shown, Shown{Service: service, Route: w.route.Name, Method: o.Method, Path: item.path, ServicePath: o.Path})
		at := [2]string{o.Method, o.Path}
		m.shown[at] = append(m.shown[at], shownBy{service, o.Node})
	}
	return all
}

// numbered is a name for the nth of several, the first of which has it as it is.
func numbered(name string, n int) string {
	if n == 1 {
		return name
	}
	if name != "" && strings.Contains("0123456789", name[len(name)-1:]) { // generators drop an underscore: Gateway4012 would be a strange status
		return name + "Variant" + strconv.Itoa(n)
	}
	return name + "_" + strconv.Itoa(n)
}

func (m *merger) leave(service string, o *openapi.Operation, path string, a absence) {
	m.out.Left = append(m.out.Left, Left{Service: service, Method: o.Method, Path: path, ServicePath: o.Path, Why: a.why, Hidden: a.hidden, astray: a.astray, Node: o.Node})
}

// unreached says once that nothing of a service is reached because its routes send other
// paths, instead of each operation by itself.
func (m *merger) unreached(service string) {
	loaded := m.in.Loaded(service)
	if loaded == nil {
		return
	}
	astray := func(l Left) bool { return l.Service == service && l.astray }
	first, n := slices.IndexFunc(m.out.Left, astray), 0
	for _, l := range m.out.Left {
		if astray(l) {
			n++
		}
	}
	if n == 0 || n < len(loaded.Document.Operations()) {
		return
	}
	one := Left{Service: service, Why: m.tracer.otherPaths(service, m.out.Left[first].ServicePath, n), Node: loaded.Document.Root.Get("paths")}
	m.out.Left = slices.DeleteFunc(m.out.Left, astray)
	m.out.Left = slices.Insert(m.out.Left, first, one)
}

// componentName makes a text fit for the names of components, but for dots, which stand
// between a service and its own names.
func componentName(text string) string {
	return strings.Map(func(r rune) rune {
		if plain(r) {
			return r
		}
		return '_'
	}, text)
}

func plain(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '_' || r == '-'
}

// told is what a tag says of a service's document, beside its version.
type told struct{ title, description, docs string }

// serviceTag makes the tag of a service. What another one has said already, as where both are
// the same program, is not said again.
func (m *merger) serviceTag(name string, d *openapi.Document) *openapi.Node {
	info := d.Root.Get("info")
	text := strings.TrimSpace(info.Str("title") + " " + info.Str("version"))
	docs := externalDocs(d.Root.Get("externalDocs"))
	all := told{info.Str("title"), info.Str("description"), string(docs.AppendJSON(nil, ""))}
	if m.told[all] {
		return openapi.NewObject("name", name, "description", harmless(openapi.NewString(text)))
	}
	m.told[all] = true
	if all.description != "" {
		text += "\n\n" + all.description
	}
	tag := openapi.NewObject("name", name, "description", harmless(openapi.NewString(text)))
	if docs.Is(openapi.Object) {
		tag.Set("externalDocs", docs.Clone())
	}
	return tag
}

// factsOf is what the gateway adds on a route.
func (m *merger) factsOf(r *snapshot.Route) *facts {
	f := m.facts[r]
	if f == nil {
		f = newFacts(m.in.Snapshot, r)
		m.facts[r] = f
	}
	return f
}
