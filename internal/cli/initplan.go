package cli

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"yett/internal/openapi"
	"yett/internal/route"
)

// Names of the gateway's own routes.
const (
	ownHealth = "health"
	ownDocs   = "docs"
)

// initPlan is all that a configuration for documents has.
type initPlan struct {
	docs       []*sourceDocument
	operations *initOperations
	routes     []initRoute
	lost       []*initOperation
	targets    map[*sourceDocument]initTarget
	port       int    // where clients connect
	health     string // path of the gateway's own health
	page       string // path of the docs page
}

// initTarget is where a service listens.
type initTarget struct {
	address string
	others  []string // of other servers of the document
	madeUp  bool     // the document names none
}

// newInitPlan finds services and routes for documents.
func newInitPlan(docs []*sourceDocument, exact bool) (*initPlan, error) {
	p := &initPlan{docs: docs, operations: operationsOf(docs)}
	p.lose(unroutable(p.operations.routed))
	for {
		var lost []*initOperation
		var err error
		if p.routes, lost, err = planRoutes(p.operations, exact); err != nil {
			return nil, err
		}
		if len(lost) == 0 {
			break
		}
		p.lose(lost)
	}
	if len(p.operations.routed) == 0 {
		return nil, p.nothing()
	}
	sortRoutes(p.routes, docs)
	if err := p.placeOwn(); err != nil {
		return nil, err
	}
	p.placeServices()
	return p, nil
}

// lose leaves operations out.
func (p *initPlan) lose(lost []*initOperation) {
	p.lost = append(p.lost, lost...)
	p.operations.routed = slices.DeleteFunc(p.operations.routed, func(o *initOperation) bool { return slices.Contains(lost, o) })
}

// nothing is the error of documents that no route can be made of.
func (p *initPlan) nothing() error {
	const closing = "so there is nothing to route; no configuration was written"
	notes := p.operationNotes()
	if len(notes) > 0 {
		return fmt.Errorf("no operation is left, %s\n%s", closing, strings.Join(few(notes, "and %d more"), "\n"))
	}
	var files []string
	for _, d := range p.docs {
		files = append(files, printable(quote(d.file)))
	}
	return fmt.Errorf("no operation is documented below paths in %s, %s", strings.Join(files, ", "), closing)
}

// mostNotes is how many notes are told outside of the file.
const mostNotes = 10

// few returns the first ones of many notes, and a last one that tells of how many more.
func few(notes []string, more string) []string {
	var shown []string
	for i, n := range notes {
		if i == mostNotes {
			return append(shown, fmt.Sprintf(more, len(notes)-i))
		}
		shown = append(shown, printable(n))
	}
	return shown
}

// placeOwn finds paths for what the gateway answers itself: such that no document has.
func (p *initPlan) placeOwn() error {
	table, problems := route.Compile(rules(p.routes))
	if len(problems) > 0 {
		return fmt.Errorf("no routes can be made of these paths: %w", problems)
	}
	p.health = p.free(table, "/health", func(o *initOperation, path string) bool { return o.shape == path }, "")
	p.page = p.free(table, "/api-docs", func(o *initOperation, path string) bool {
		return o.shape == path || strings.HasPrefix(o.shape, path+"/") || o.shape == path+".json" || o.shape == path+".yaml"
	}, "", ".json", ".yaml", "/x")
	return nil
}

// free returns the wanted path, or one like it below another, that no operation has. Where it can
// be, the routes take no request there either, with whatever stands behind the path.
func (p *initPlan) free(table *route.Table, wanted string, has func(o *initOperation, path string) bool, behind ...string) string {
	documented := func(path string) bool {
		return slices.ContainsFunc(p.operations.routed, func(o *initOperation) bool { return has(o, path) })
	}
	matched := func(path string) bool {
		return slices.ContainsFunc(behind, func(rest string) bool { return routeOf(table, "GET", path+rest) >= 0 })
	}
	for _, before := range []string{"", "/gateway", "/yett"} {
		if path := before + wanted; !documented(path) && !matched(path) {
			return path
		}
	}
	path := "/gateway" + wanted
	for n := 2; documented(path); n++ {
		path = fmt.Sprintf("/gateway-%d%s", n, wanted)
	}
	return path
}

// placeServices finds targets: those of the documents, and else made up ones, each with a
// port of its own.
func (p *initPlan) placeServices() {
	taken := make(map[int]bool)
	p.targets = make(map[*sourceDocument]initTarget)
	for _, d := range p.docs {
		all := targetsOf(d.doc)
		for _, t := range all {
			taken[loopbackPort(t)] = true
		}
		if len(all) > 0 {
			p.targets[d] = initTarget{address: all[0], others: all[1:]}
		}
	}
	next := func(port int) int {
		for taken[port] {
			port++
		}
		taken[port] = true
		return port
	}
	if p.port = 8080; taken[p.port] {
		p.port = next(8000)
	}
	taken[p.port] = true
	for _, d := range p.docs {
		if _, named := p.targets[d]; !named {
			p.targets[d] = initTarget{address: "http://localhost:" + strconv.Itoa(next(8081)), madeUp: true}
		}
	}
}

// targetsOf returns where the absolute addresses among a document's servers are, without
// their paths, which are part of the routes.
func targetsOf(d *openapi.Document) []string {
	var targets []string
	for _, s := range d.Root.Get("servers").Elements() {
		if t := targetOf(s); t != "" && !slices.Contains(targets, t) {
			targets = append(targets, t)
		}
	}
	return targets
}

// targetOf returns where a server is, "" where its address is not absolute.
func targetOf(server *openapi.Node) string {
	text := server.Str("url")
	for _, v := range server.Get("variables").Pairs() {
		text = strings.ReplaceAll(text, "{"+v.Name+"}", v.Value.Str("default"))
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil || strings.ContainsAny(u.Host, "{}$ ") {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// loopbackPort returns the port of a target on this machine, 0 for others.
func loopbackPort(target string) int {
	u, err := url.Parse(target)
	if err != nil {
		return 0
	}
	if ip := net.ParseIP(u.Hostname()); u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback() && !ip.IsUnspecified()) {
		return 0
	}
	port, err := strconv.Atoi(u.Port())
	if err != nil {
		return map[string]int{"http": 80, "https": 443}[u.Scheme]
	}
	return port
}

// has tells whether a document has a service.
func (p *initPlan) has(d *sourceDocument) bool {
	return slices.ContainsFunc(p.routes, func(r initRoute) bool { return r.of == d })
}

// known tells whether some callers have to be known.
func (p *initPlan) known() bool {
	return slices.ContainsFunc(p.routes, func(r initRoute) bool { return r.auth != "none" })
}

// notes says of each document and operation that is not routed as it might be why, and what
// to do.
func (p *initPlan) notes() []string {
	notes := p.operationNotes()
	for _, o := range p.operations.routed {
		if t := ownTarget(o); t != "" && t != p.targets[o.of].address {
			notes = append(notes, fmt.Sprintf("%s of %s goes to service %s, but has a server of its own, %s: give it a service and a route if that matters", o, o.place(), o.of.service, t))
		}
	}
	for _, d := range p.docs {
		if !p.has(d) {
			notes = append(notes, d.file+" has no operation to route, so it has no service")
		}
	}
	for _, d := range p.docs {
		notes = append(notes, p.loginNotes(d)...)
	}
	return notes
}

// loginNotes says which routes of a document want a token that its callers don't have.
func (p *initPlan) loginNotes(d *sourceDocument) []string {
	var wants []string
	names := make(map[string][]string)
	for i := range p.routes {
		if r := &p.routes[i]; r.of == d && r.login != "" {
			if names[r.login] == nil {
				wants = append(wants, r.login)
			}
			names[r.login] = append(names[r.login], r.name)
		}
	}
	var notes []string
	for _, w := range wants {
		all := names[w]
		which := all[0]
		if len(all) > 1 {
			which = fmt.Sprintf("%s and %d more", which, len(all)-1)
		}
		notes = append(notes, fmt.Sprintf("%s %s, which the gateway does not check; it asks for tokens there (%s): where the service checks that itself, write auth: none", d.file, w, which))
	}
	return notes
}

// operationNotes says of the operations that have no route.
func (p *initPlan) operationNotes() []string {
	var notes []string
	for _, group := range p.operations.contested {
		notes = append(notes, p.contestedNote(group))
	}
	for _, o := range p.lost {
		notes = append(notes, fmt.Sprintf("%s in %s has no route, as its path can't be that of one: write one by hand", o, o.place()))
	}
	for _, o := range p.operations.trace {
		notes = append(notes, fmt.Sprintf("%s in %s has no route, as TRACE shows callers what the gateway tells the service", o, o.place()))
	}
	return notes
}

// ownTarget returns where the first server is that an operation names itself, "" for none.
func ownTarget(o *initOperation) string {
	own := o.node.Get("servers").Elements()
	if len(own) == 0 {
		return ""
	}
	return targetOf(own[0])
}

func (p *initPlan) contestedNote(group []*initOperation) string {
	var places []string
	for i, o := range group {
		if i == 0 || group[i-1].of != o.of {
			places = append(places, o.place())
		}
	}
	last := len(places) - 1
	answers := ""
	if group[0].shape == p.health && group[0].method == "GET" {
		answers = " (the gateway's own health answers there)"
	}
	return fmt.Sprintf("%s is in %s and %s, so it has no route%s: write one by hand, or leave it out of all documents but one",
		group[0], strings.Join(places[:last], ", "), places[last], answers)
}
