package apidocs

import (
	"cmp"
	"fmt"
	"slices"

	"yett/internal/exchange"
	"yett/internal/openapi"
	"yett/internal/openapi/source"
	"yett/internal/snapshot"
)

// Input is what a document is made of.
type Input struct {
	Snapshot *snapshot.Snapshot
	// Own returns the operations of a page of the gateway itself, as a path item, nil for a
	// page that is not described. It is asked for the name of the endpoint, first with .json
	// or .yaml behind it where the path ends so. Components are what they refer to, and the schema
	// GatewayError, the shape of refusals.
	Own        func(endpoint string) *openapi.Node
	Components *openapi.Document
	// Loaded returns the document of a service, nil where there is none.
	Loaded func(service string) *source.Loaded
	// State says how a service's document is: StateNone, or a phase of package source.
	State func(service string) string
	// Stop tells that nobody wants the document any more; it is asked all the time. nil for
	// never.
	Stop func() bool
	// most are other bounds than the usual ones, for tests.
	most bounds
}

// Merged is the gateway's document and what it was made of.
type Merged struct {
	// Document shares no nodes with what it was made of.
	Document *openapi.Document
	// Shown are the operations of services that callers reach, in the document's order.
	Shown []Shown
	// Left are those that they do not, and why.
	Left []Left
}

// Shown is an operation of a service that callers reach.
type Shown struct {
	Service, Route string
	// Method and Path are what callers use, ServicePath is the template of the service.
	Method, Path, ServicePath string
}

// Left is an operation that is not in the document. One without Method stands for all
// operations of a service.
type Left struct {
	Service, Method string
	// Path is what callers would use, ServicePath the template of the service.
	Path, ServicePath, Why string
	// Hidden tells that a route leads to it which is not to be shown: that is no mistake.
	Hidden bool
	// astray tells that routes lead to the service, and none of them by that path.
	astray bool
	// tooLarge tells that the document would be too large with the service.
	tooLarge bool
	// Node belongs to the service's document and must not be changed.
	Node *openapi.Node
}

// StateNone is the state of a service that has no document; see package source for the others.
const StateNone = "none"

type merger struct {
	in     Input
	out    *Merged
	tracer *tracer
	paths  *openapi.Node
	tags   *openapi.Node
	told   map[told]bool // what tags have said
	parts  *components
	budget *budget
	at     int       // the service whose operations are added, by its place in the configuration; -1 for none
	own    *importer // of in.Components
	// items are the paths by their shape.
	items map[string]*pathItem
	// taken says by which service or route an operation is, by method and shape.
	taken map[string]string
	ids   counter // operationIds
	facts map[*snapshot.Route]*facts
	cover map[coverKey]bool // see covers
	// shown are the services' operations by method and path at the service.
	shown map[[2]string][]shownBy
}

type shownBy struct {
	service string
	node    *openapi.Node
}

type coverKey struct {
	schema *openapi.Node
	reason *exchange.Reason
}

// pathItem is a path of the document.
type pathItem struct {
	node *openapi.Node
	path string // the template in the spelling that came first
}

// Merge makes the gateway's document, nil where Stop has ended that. It has bounds: with a
// service from which on it would be larger, it is made again without that and those behind it.
func Merge(in Input) *Merged {
	in.Loaded = once(in.Loaded)
	services := len(in.Snapshot.Config.Services)
	for {
		m := newMerger(in, services > 0)
		switch within(func() { m.merge(services) }) {
		case 0:
			return m.out
		case stopped:
			return nil
		}
		if services--; m.at >= 0 {
			services = m.at
		}
	}
}

// once makes a service's document the same one for as long as a document is made.
func once(loaded func(string) *source.Loaded) func(string) *source.Loaded {
	known := make(map[string]*source.Loaded)
	return func(service string) *source.Loaded {
		l, ok := known[service]
		if !ok {
			l = loaded(service)
			known[service] = l
		}
		return l
	}
}

func newMerger(in Input, bounded bool) *merger {
	b := &budget{stop: in.Stop}
	if bounded {
		b.most = cmp.Or(in.most, usual)
	}
	m := &merger{
		budget: b, at: -1,
		in: in, out: &Merged{}, tracer: newTracer(in.Snapshot), paths: openapi.NewObject(), tags: openapi.NewArray(), parts: newComponents(b),
		items: make(map[string]*pathItem), taken: make(map[string]string), ids: make(counter), facts: make(map[*snapshot.Route]*facts),
		cover: make(map[coverKey]bool), told: make(map[told]bool), shown: make(map[[2]string][]shownBy),
	}
	m.own = m.importer(cmp.Or(in.Components, &openapi.Document{Root: openapi.NewObject()}), "")
	return m
}

// merge makes the document, with operations of the first n services.
func (m *merger) merge(n int) {
	in := m.in
	hasPages := m.pages()
	sources := openapi.NewArray()
	prefixes := make(counter)
	for i, e := range in.Snapshot.Config.Services {
		prefix := prefixes.unique(componentName(e.Name))
		if i >= n {
			m.omit(e.Name)
		}
		m.at = i
		if i < n && m.service(e.Name, prefix) || m.behind(e.Name) {
			sources.Append(openapi.NewObject("service", e.Name, "state", in.State(e.Name)))
		}
	}
	m.at = -1
	if hasPages {
		m.tags.Append(openapi.NewObject("name", m.gatewayTag(), "description", "What the gateway answers itself."))
	}
	m.own.drain()
	m.nameCodes()
	m.budget.look()
	m.out.Left = slices.DeleteFunc(m.out.Left, m.isElsewhere)
	for _, e := range in.Snapshot.Config.Services {
		m.unreached(e.Name)
	}
	m.out.Document = &openapi.Document{File: "the gateway's document", Version: openapi.Version31, Root: openapi.NewObject(
		"openapi", "3.1.0", "info", m.info(), "servers", m.servers(), "tags", m.tags, "paths", m.paths,
		"components", m.parts.node(), "x-yett-sources", sources,
	)}
}

// omit says that the document would be too large with a service.
func (m *merger) omit(service string) {
	loaded := m.in.Loaded(service)
	if loaded == nil {
		return
	}
	m.out.Left = append(m.out.Left, Left{
		Service: service, Why: fmt.Sprintf("the gateway's document would have more than %s with it", cmp.Or(m.in.most, usual)),
		tooLarge: true, Node: loaded.Document.Root.Get("paths"),
	})
}

// isElsewhere tells whether callers reach what is left of one service by another: where both
// are the same program, they have the same document.
func (m *merger) isElsewhere(l Left) bool {
	return slices.ContainsFunc(m.shown[[2]string{l.Method, l.ServicePath}], func(s shownBy) bool {
		return s.service != l.Service && s.node.Equal(l.Node)
	})
}

// unversioned is the version of an API of which nobody has said it. It is not that of the
// gateway, so that an update of that does not look like another API.
const unversioned = "unversioned"

func (m *merger) info() *openapi.Node {
	c := m.in.Snapshot.Config
	info := openapi.NewObject(
		"title", cmp.Or(c.Docs.Title, c.Name),
		"version", cmp.Or(c.Docs.Version, c.Version, unversioned))
	if c.Docs.Description != "" {
		info.Set("description", openapi.NewString(c.Docs.Description))
	}
	contact := openapi.NewObject()
	for _, f := range []struct{ name, value string }{{"name", c.Docs.Contact.Name}, {"url", c.Docs.Contact.URL}, {"email", c.Docs.Contact.Email}} {
		if f.value != "" {
			contact.Set(f.name, openapi.NewString(f.value))
		}
	}
	if len(contact.Members) > 0 {
		info.Set("contact", contact)
	}
	if c.Docs.License != "" {
		license := openapi.NewObject("name", c.Docs.License)
		if c.Docs.LicenseURL != "" {
			license.Set("url", openapi.NewString(c.Docs.LicenseURL))
		}
		info.Set("license", license)
	}
	return info
}

// servers are where callers reach the gateway: without a word about it, where they have the
// document from.
func (m *merger) servers() *openapi.Node {
	list := openapi.NewArray()
	for _, url := range m.in.Snapshot.Config.Docs.Servers {
		list.Append(openapi.NewObject("url", url))
	}
	if len(list.Items) == 0 {
		list.Append(openapi.NewObject("url", "/"))
	}
	return list
}

// gatewayTag groups what the gateway answers itself.
func (m *merger) gatewayTag() string {
	tag := "gateway"
	for _, taken := m.in.Snapshot.Config.Services.Get(tag); taken; _, taken = m.in.Snapshot.Config.Services.Get(tag) {
		tag = "the " + tag
	}
	return tag
}

// item returns the path item for a template: those that match the same paths are one.
func (m *merger) item(path, key string) *pathItem {
	item := m.items[key]
	if item == nil {
		item = &pathItem{openapi.NewObject(), path}
		m.items[key] = item
		m.paths.Members = append(m.paths.Members, openapi.Member{Name: path, Value: item.node}) // Set would look for it
	}
	return item
}

// counter makes names that nobody has.
type counter map[string]int

// unique returns the name, with a number behind it if it is taken.
func (c counter) unique(wanted string) string {
	name := wanted
	for c[name] > 0 {
		c[wanted]++
		name = numbered(wanted, c[wanted])
	}
	c[name] = 1
	return name
}
