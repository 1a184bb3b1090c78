package source

import (
	"context"
	"log/slog"
	"strings"

	"yett/internal/config"
	"yett/internal/problem"
	"yett/internal/upstream"
)

// atOnce is how many documents of one gateway are compiled at the same time: it takes a
// core each, which requests need.
const atOnce = 1

// SetDeps is what the sources of a configuration need beside it. Each may be nil.
type SetDeps struct {
	// Log is told of documents that become bad or good.
	Log *slog.Logger
	// Resolve returns the place of a file as it is written.
	Resolve func(file string) string
	// Get asks a service for a page: see upstream.Service.Get.
	Get func(ctx context.Context, service string, ask upstream.Ask) (*upstream.Page, error)
	// Changed is called when a service has another document, or another phase.
	Changed func()
	// Has and Wrote tell what stands in the configuration, by paths such as
	// services.tickets.openapi.timeout: see config.Source.
	Has, Wrote func(path string) bool
}

// Set is the sources of one configuration. It never changes.
type Set struct {
	deps   SetDeps
	list   []*Source
	byName map[string]*Source
	gate   chan struct{}
}

// NewSet makes the sources of all services that name a document, and starts none. Files are
// read, once, so that what checks a configuration and does not serve has them too. That one
// is missing or wrong is no problem of the configuration: it shows as the state of the source.
//
// Sources of the previous set, nil for none, with the same settings are taken over as they are,
// and one whose settings have changed begins with the document of the one before it, where
// that is at the same place. Nothing of the previous set is changed before Start.
func NewSet(services config.Mapping[config.Service], deps SetDeps, previous *Set) (*Set, problem.List) {
	set := &Set{deps: deps, byName: make(map[string]*Source), gate: make(chan struct{}, atOnce)}
	if previous != nil {
		set.gate = previous.gate
	}
	var problems problem.List
	for i := range services {
		name, c := services[i].Name, &services[i].Value.OpenAPI
		at := "services." + name + ".openapi."
		found := Check(c, deps.written(at))
		for _, p := range found {
			p.Path = strings.TrimSuffix(at+p.Path, ".") // of the section itself
			problems = append(problems, p)
		}
		if len(found) == 0 && c.Named() {
			set.add(set.make(name, *c, previous))
		}
	}
	return set, problems
}

func (d *SetDeps) written(at string) Written {
	below := func(f func(string) bool) func(string) bool {
		return func(key string) bool { return f != nil && f(strings.TrimSuffix(at+key, ".")) }
	}
	return Written{Has: below(d.Has), Wrote: below(d.Wrote)}
}

func (set *Set) add(s *Source) {
	set.list = append(set.list, s)
	set.byName[s.service] = s
}

// make makes a source, or takes it over.
func (set *Set) make(name string, c config.OpenAPI, previous *Set) *Source {
	old := previous.Of(name)
	s := New(name, c, set.depsOf(name, old))
	if old != nil && old.same(s) {
		return old
	}
	if s.kind == KindFile {
		s.look(context.Background(), false)
	}
	return s
}

func (set *Set) depsOf(name string, previous *Source) Deps {
	d := Deps{Log: set.deps.Log, Resolve: set.deps.Resolve, Changed: set.deps.Changed, Gate: set.gate, Previous: previous}
	if get := set.deps.Get; get != nil {
		d.Get = func(ctx context.Context, ask upstream.Ask) (*upstream.Page, error) { return get(ctx, name, ask) }
	}
	return d
}

// Of returns where a service's document comes from, nil where the configuration names none
// for it.
func (set *Set) Of(service string) *Source {
	if set == nil {
		return nil
	}
	return set.byName[service]
}

// All returns the sources in the order of the configuration. The slice belongs to the Set.
func (set *Set) All() []*Source {
	if set == nil {
		return nil
	}
	return set.list
}

// Start starts all sources, and waits for none. Those that run already look now, and ask the
// services of this set from here on.
func (set *Set) Start() {
	for _, s := range set.All() {
		deps := set.depsOf(s.service, nil)
		s.deps.Store(&deps)
		s.Start()
	}
}

// Retire closes the sources that the next set does not have, which is nil when there is none,
// and waits for them as Close does.
func (set *Set) Retire(next *Set) {
	for _, s := range set.All() {
		if next.Of(s.service) != s {
			s.Close()
		}
	}
}
