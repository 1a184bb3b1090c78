package apidocs

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"yett/internal/config"
	"yett/internal/openapi"
	"yett/internal/openapi/source"
	"yett/internal/policy"
	"yett/internal/snapshot"
)

// Input is what a document is made of.
type Input struct {
	Snapshot *snapshot.Snapshot
	// Version is that of the API where the configuration names none.
	Version string
	// Own returns the operations of a page of the gateway itself, as a path item, nil for a
	// page that is not described. It is asked for the name of the endpoint, first with .json
	// or .yaml behind it where the path ends so. Components are the schemas that they refer to.
	Own        func(endpoint string) *openapi.Node
	Components *openapi.Document
	// Loaded returns the document of a service, nil where there is none.
	Loaded func(service string) *source.Loaded
	// State says how a service's document is: StateNone, or a phase of package source.
	State func(service string) string
}

// Merged is the gateway's document and what it was made of.
type Merged struct {
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

// Left is an operation that is not in the document.
type Left struct {
	Service, Method string
	// Path is what callers would use, ServicePath the template of the service.
	Path, ServicePath, Why string
	Node                   *openapi.Node
}

// StateNone is the state of a service that has no document; see package source for the others.
const StateNone = "none"

// gatewayTag groups what the gateway answers itself.
const gatewayTag = "gateway"

type merger struct {
	in    Input
	out   *Merged
	root  *openapi.Node
	paths *openapi.Node
	parts *openapi.Node // components
	done  map[string]bool
	// items are the paths by their shape, written the spelling that came first.
	items map[string]*openapi.Node
	wrote map[string]string
	// taken are operations by method and shape, ids those operationIds that are used.
	taken map[string]string
	ids   map[string]bool
	facts map[*snapshot.Route]*facts
	cover map[string]bool // see covers
	// hasPages tells that the gateway answers something itself.
	hasPages bool
	// refusals are the names of components for refusals by what is in them, headers those of fields.
	refusals map[string]string
	headers  map[string]bool
}

// Merge makes the gateway's document.
func Merge(in Input) *Merged {
	m := &merger{
		in: in, out: &Merged{}, paths: openapi.NewObject(), parts: openapi.NewObject("schemas", openapi.NewObject()),
		done: make(map[string]bool), items: make(map[string]*openapi.Node), wrote: make(map[string]string),
		taken: make(map[string]string), ids: make(map[string]bool), facts: make(map[*snapshot.Route]*facts),
		cover: make(map[string]bool), refusals: make(map[string]string), headers: make(map[string]bool),
	}
	m.root = openapi.NewObject("openapi", "3.1.0", "info", m.info(), "servers", m.servers())
	tags := openapi.NewArray()
	m.root.Set("tags", tags)
	m.root.Set("paths", m.paths)
	m.root.Set("components", m.parts)
	m.own()
	sources := openapi.NewArray()
	for _, e := range in.Snapshot.Config.Services {
		if !m.service(e.Name, tags) && !m.behind(e.Name) {
			continue
		}
		sources.Append(openapi.NewObject("service", e.Name, "state", in.State(e.Name)))
	}
	if m.hasPages {
		tags.Append(openapi.NewObject("name", gatewayTag, "description", "What the gateway answers itself."))
	}
	m.root.Set("x-yett-sources", sources)
	m.out.Left = slices.DeleteFunc(m.out.Left, m.isElsewhere)
	m.prune()
	m.parts = sorted(m.parts)
	m.root.Set("components", m.parts)
	m.out.Document = &openapi.Document{File: "the gateway's document", Version: openapi.Version31, Root: m.root}
	return m.out
}

// isElsewhere tells whether callers reach what is left of one service by another: where both
// are the same program, they have the same document.
func (m *merger) isElsewhere(l Left) bool {
	return slices.ContainsFunc(m.out.Shown, func(s Shown) bool {
		return s.Service != l.Service && s.Method == l.Method && s.ServicePath == l.ServicePath
	})
}

// prune leaves out components that nothing refers to: what was brought along with a field
// that the gateway sets itself.
func (m *merger) prune() {
	used := make(map[string]bool)
	var mark func(n *openapi.Node)
	mark = func(n *openapi.Node) {
		n.Walk(func(n *openapi.Node) bool {
			refs := []*openapi.Node{n.Get("$ref")}
			for _, mapped := range n.At("discriminator", "mapping").Pairs() {
				refs = append(refs, mapped.Value)
			}
			for _, ref := range refs {
				if kind, rest, ok := strings.Cut(strings.TrimPrefix(ref.TextOf(), componentsRef), "/"); ok {
					own, _, _ := strings.Cut(rest, "/")
					if key := kind + "/" + own; !used[key] {
						used[key] = true
						mark(m.parts.At(kind, unescapeName(own)))
					}
				}
			}
			return true
		})
	}
	mark(m.paths)
	for _, section := range m.parts.Members {
		if section.Name == "securitySchemes" { // these are used by name
			continue
		}
		section.Value.Members = slices.DeleteFunc(section.Value.Members, func(c openapi.Member) bool {
			return !used[section.Name+"/"+openapi.Escape(c.Name)]
		})
	}
}

// sorted orders the sections of components, and the names in each.
func sorted(parts *openapi.Node) *openapi.Node {
	byName := func(a, b openapi.Member) int { return cmp.Compare(a.Name, b.Name) }
	for _, section := range parts.Members {
		slices.SortStableFunc(section.Value.Members, byName)
	}
	slices.SortStableFunc(parts.Members, byName)
	parts.Members = slices.DeleteFunc(parts.Members, func(m openapi.Member) bool { return len(m.Value.Members) == 0 })
	return parts
}

func (m *merger) info() *openapi.Node {
	c := m.in.Snapshot.Config
	info := openapi.NewObject(
		"title", cmp.Or(c.Docs.Title, c.Name),
		"version", cmp.Or(c.Docs.Version, c.Version, m.in.Version, "0"))
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

// behind tells whether a route that is shown leads to a service.
func (m *merger) behind(service string) bool {
	return slices.ContainsFunc(m.in.Snapshot.Routes(), func(r *snapshot.Route) bool {
		c := r.Config()
		return c.Service == service && c.Docs != "hidden"
	})
}

// service adds the operations of a service, and tells whether there are any.
func (m *merger) service(name string, tags *openapi.Node) bool {
	loaded := m.in.Loaded(name)
	if loaded == nil {
		return false
	}
	im := &importer{from: loaded.Document, prefix: componentName(name), into: m.parts, done: m.done}
	shown := len(m.out.Shown)
	ops := loaded.Document.Operations()
	for i := range ops {
		m.operation(name, im, &ops[i])
	}
	if len(m.out.Shown) == shown {
		return false
	}
	tags.Append(serviceTag(name, loaded.Document))
	return true
}

// componentName makes a service's name fit for the names of components.
func componentName(service string) string {
	return strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '_' || r == '-' {
			return r
		}
		return '_'
	}, service)
}

func serviceTag(name string, d *openapi.Document) *openapi.Node {
	info := d.Root.Get("info")
	text := strings.TrimSpace(info.Str("title") + " " + info.Str("version"))
	if more := info.Str("description"); more != "" {
		text += "\n\n" + more
	}
	tag := openapi.NewObject("name", name, "description", text)
	if docs := d.Root.Get("externalDocs"); docs.Is(openapi.Object) {
		tag.Set("externalDocs", docs.Clone())
	}
	return tag
}

// operation adds an operation under each path by which callers reach it.
func (m *merger) operation(service string, im *importer, o *openapi.Operation) {
	ways := reaches(m.in.Snapshot, service, o)
	if len(ways) == 0 {
		m.leave(service, o, o.Path, "no route leads to it")
	}
	for _, w := range ways {
		item, path := m.item(w.path)
		key := o.Method + " " + shape(path)
		if other, ok := m.taken[key]; ok {
			m.leave(service, o, w.path, fmt.Sprintf("the path is that of %s already: another host, header or query tells them apart", other))
			continue
		}
		m.taken[key] = service
		op := m.translate(service, im, o, w, path)
		item.Set(strings.ToLower(o.Method), op)
		m.out.Shown = append(m.out.Shown, Shown{Service: service, Route: w.route.Name, Method: o.Method, Path: path, ServicePath: o.Path})
	}
}

func (m *merger) leave(service string, o *openapi.Operation, path, why string) {
	m.out.Left = append(m.out.Left, Left{Service: service, Method: o.Method, Path: path, ServicePath: o.Path, Why: why, Node: o.Node})
}

// item returns the path item for a template, and the template as it is written there: those
// that match the same paths are one.
func (m *merger) item(path string) (*openapi.Node, string) {
	key := shape(path)
	if item := m.items[key]; item != nil {
		return item, m.wrote[key]
	}
	item := openapi.NewObject()
	m.items[key], m.wrote[key] = item, path
	m.paths.Members = append(m.paths.Members, openapi.Member{Name: path, Value: item})
	return item, path
}

// translate makes the operation as callers of the gateway have it. path is the template as
// the document writes it, whose values may have other names than w's.
func (m *merger) translate(service string, im *importer, o *openapi.Operation, w reach, path string) *openapi.Node {
	f := m.factsOf(w.route)
	op := openapi.NewObject("tags", openapi.NewStrings(service))
	for _, key := range []string{"summary", "description", "externalDocs"} {
		if v := o.Node.Get(key); v != nil {
			op.Set(key, v.Clone())
		}
	}
	f.tell(op)
	op.Set("operationId", openapi.NewString(m.id(im.name(o.ID), o, path)))
	if parameters := m.parameters(im, o, w, path, f); len(parameters.Items) > 0 {
		op.Set("parameters", parameters)
	}
	for _, key := range []string{"requestBody", "callbacks"} {
		if v := o.Node.Get(key); v != nil {
			op.Set(key, im.member(key, v))
		}
	}
	op.Set("responses", m.responses(im, o, f))
	if o.Node.True("deprecated") {
		op.Set("deprecated", openapi.NewBool(true))
	}
	op.Set("security", m.security(im, o, f))
	for _, member := range o.Node.Pairs() {
		if strings.HasPrefix(member.Name, "x-") {
			op.Set(member.Name, member.Value.Clone())
		}
	}
	op.Set("x-yett", f.extension(w.route))
	return op
}

// id returns an operationId that nobody has.
func (m *merger) id(wanted string, o *openapi.Operation, path string) string {
	if o.ID == "" {
		wanted += strings.ToLower(o.Method) + strings.Map(func(r rune) rune {
			switch {
			case r == '/':
				return '_'
			case r == '{' || r == '}':
				return -1
			}
			return r
		}, path)
	}
	return m.unique(wanted)
}

func (m *merger) unique(wanted string) string {
	id := wanted
	for n := 2; m.ids[id]; n++ {
		id = fmt.Sprintf("%s_%d", wanted, n)
	}
	m.ids[id] = true
	return id
}

// parameters are those of the service that callers may send, and those that the route asks
// for.
func (m *merger) parameters(im *importer, o *openapi.Operation, w reach, path string, f *facts) *openapi.Node {
	list := openapi.NewArray()
	names := renamed(w.path, path)
	declared := make(map[string]bool)
	for _, p := range im.from.Parameters(o) {
		if p == nil || p.Str("in") == "header" && m.keptFrom(p.Str("name")) {
			continue
		}
		c := im.copy(p)
		if p.Str("in") == "path" {
			name := cmp.Or(names[p.Str("name")], p.Str("name"))
			c.Set("name", openapi.NewString(name))
			declared[name] = true
		}
		list.Append(c)
	}
	for _, p := range f.parameters(w.route) {
		if !slices.ContainsFunc(list.Items, func(q *openapi.Node) bool { return sameParameter(p, q) }) {
			list.Append(p)
		}
	}
	list.Items = append(list.Items, pathParameters(path, declared)...)
	return list
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
	was, is := braces.FindAllString(from, -1), braces.FindAllString(to, -1)
	for i := range min(len(was), len(is)) {
		names[strings.Trim(was[i], "{}")] = strings.Trim(is[i], "{}")
	}
	return names
}

// pathParameters are the values of a template that are not declared yet.
func pathParameters(path string, declared map[string]bool) (list []*openapi.Node) {
	for _, value := range braces.FindAllString(path, -1) {
		if name := strings.Trim(value, "{}"); !declared[name] {
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

// factsOf is what the gateway adds on a route.
func (m *merger) factsOf(r *snapshot.Route) *facts {
	f := m.facts[r]
	if f == nil {
		f = newFacts(m, r, r.Chain.Describe())
		m.facts[r] = f
	}
	return f
}

// own adds what the gateway answers itself.
func (m *merger) own() {
	im := &importer{from: m.in.Components, into: m.parts, done: m.done}
	m.bringError(im)
	for _, r := range m.in.Snapshot.Routes() {
		c := r.Config()
		if c.Docs == "hidden" || c.Service != "" {
			continue
		}
		f := m.factsOf(r)
		for _, pattern := range c.Path {
			m.page(r, f, im, m.answered(c, pattern, f.Answer), strings.TrimSuffix(pattern, "/**"))
		}
	}
}

// ownPage describes a page under a path of it, which may end in what the page is written as.
func (m *merger) ownPage(endpoint, pattern string) *openapi.Node {
	if as := path.Ext(pattern); as == ".json" || as == ".yaml" {
		if item := m.in.Own(endpoint + as); item != nil {
			return item
		}
	}
	return m.in.Own(endpoint)
}

// answered is what a route without a service answers under one of its paths, as a path item.
// It is empty where that is not known.
func (m *merger) answered(c config.Route, pattern string, a *policy.AnswerNote) *openapi.Node {
	item := openapi.NewObject()
	if c.Endpoint != "" {
		for _, member := range m.ownPage(c.Endpoint, pattern).Pairs() {
			if len(c.Methods) == 0 || slices.Contains(c.Methods, strings.ToUpper(member.Name)) {
				item.Members = append(item.Members, member)
			}
		}
		return item
	}
	if a == nil {
		return item
	}
	answer := openapi.NewObject("description", "What the gateway answers.")
	if len(a.Headers) > 0 {
		answer.Set("headers", headersOf(a.Headers))
	}
	if a.ContentType != "" {
		answer.Set("content", openapi.NewObject(a.ContentType, openapi.NewObject("schema", a.Schema, "example", a.Example)))
	}
	methods := c.Methods
	if len(methods) == 0 {
		methods = []string{"GET"} // it answers whatever is asked, which says nothing
	}
	for _, method := range methods {
		if key := strings.ToLower(method); slices.Contains(openapi.Methods(), key) {
			item.Set(key, openapi.NewObject("responses", openapi.NewObject(strconv.Itoa(a.Status), answer)))
		}
	}
	return item
}

// page adds what the gateway answers under a path.
func (m *merger) page(r *snapshot.Route, f *facts, im *importer, from *openapi.Node, pattern string) {
	if pattern == "" || pattern == "*" {
		pattern = "/"
	}
	for _, member := range from.Members {
		item, path := m.item(pattern)
		method := strings.ToUpper(member.Name)
		if key := method + " " + shape(path); m.taken[key] == "" {
			m.taken[key], m.hasPages = r.Name, true
			o := &openapi.Operation{Method: method, Path: path, Written: path, ID: member.Value.Str("operationId"), Node: member.Value, Item: from}
			item.Set(member.Name, m.pageOperation(r, f, im, o, path))
		}
	}
}

func (m *merger) pageOperation(r *snapshot.Route, f *facts, im *importer, o *openapi.Operation, path string) *openapi.Node {
	op := openapi.NewObject("tags", openapi.NewStrings(gatewayTag))
	summary, id := o.Node.Str("summary"), o.ID
	if id == "" { // a policy answers: the route is all that is known
		summary, id = "Route "+r.Name, m.routeID(r.Name, o.Method)
	}
	op.Set("summary", openapi.NewString(summary))
	if text := o.Node.Str("description"); text != "" {
		op.Set("description", openapi.NewString(text))
	}
	f.tell(op)
	op.Set("operationId", openapi.NewString(m.unique(id)))
	if parameters := m.parameters(im, o, reach{r, path}, path, f); len(parameters.Items) > 0 {
		op.Set("parameters", parameters)
	}
	if body := o.Node.Get("requestBody"); body != nil {
		op.Set("requestBody", im.member("requestBody", body))
	}
	op.Set("responses", m.responses(im, o, f))
	op.Set("security", m.security(im, o, f))
	op.Set("x-yett", f.extension(r))
	return op
}

// routeID makes an operationId of a route's name.
func (m *merger) routeID(name, method string) string {
	id := "gateway"
	for _, word := range strings.FieldsFunc(name, func(r rune) bool { return r == '-' || r == '_' || r == ' ' || r == '.' }) {
		id += strings.ToUpper(word[:1]) + word[1:]
	}
	if method != "GET" {
		id += method[:1] + strings.ToLower(method[1:])
	}
	return id
}
