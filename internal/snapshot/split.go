package snapshot

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"yett/internal/config"
	"yett/internal/exchange"
	"yett/internal/problem"
	"yett/internal/route"
	"yett/internal/upstream"
)

// known finds the service that a value names, and notes that it is used. The service is nil
// when it has problems of its own.
func (b *builder) known(at, name string) (*upstream.Service, bool) {
	return b.find(at, name, b.fail)
}

// find is known for a name at some place, with problems reported by fail.
func (b *builder) find(at, name string, fail func(path, hint, format string, args ...any)) (*upstream.Service, bool) {
	sv, ok := b.byName[name]
	if !ok {
		fail(at, problem.DidYouMean(name, slices.Collect(mapKeys(b.byName))), "there is no service %q", name)
		return nil, false
	}
	b.used[name] = true
	return sv, true
}

// split checks and builds what sends a share of a route's requests to other services.
func (b *builder) split(at string, r config.Route, out *Route) {
	if r.Split == nil {
		return
	}
	at += ".split"
	if r.Service == "" {
		b.fail(at, "add service, or remove it", "there is no service on this route whose requests could be split")
		return
	}
	to, ok := b.portions(at+".to", r)
	key, keyOK := b.splitKey(at+".by", r)
	if ok && keyOK && out.Service != nil {
		out.Split = upstream.NewSplit(out.Service, to, key)
	}
}

// portions reads who gets how much.
func (b *builder) portions(at string, r config.Route) (to []upstream.Portion, ok bool) {
	ok = true
	var sum uint64
	for _, e := range r.Split.To {
		place := at + "." + e.Name
		sum += upstream.Parts(e.Value)
		if e.Name == r.Service {
			b.failKey(place, "remove it", "%s is the service of this route, which gets the rest anyway", e.Name)
			ok = false
			continue
		}
		sv, known := b.find(place, e.Name, b.failKey)
		ok = ok && known && sv != nil
		to = append(to, upstream.Portion{Service: sv, Parts: upstream.Parts(e.Value)})
	}
	if sum > upstream.AllParts {
		b.fail(at, "lower one: what is left goes to "+r.Service, "the shares are %s together", config.Share(sum)/upstream.AllParts)
		ok = false
	}
	return to, ok
}

// splitKey reads who is always sent to the same service.
func (b *builder) splitKey(at string, r config.Route) (*upstream.Keyer, bool) {
	key, problems := upstream.CompileKey(r.Split.By, pathValues(r.Path))
	for _, p := range problems {
		b.fail(at+p.Path, p.Hint, "%s", p.What)
	}
	if i := slices.Index(r.Split.By, "user"); i >= 0 && r.Auth == "none" {
		b.fail(fmt.Sprintf("%s[%d]", at, i), "write client, or auth: optional", "auth: none looks at no token, so nobody is a known user here")
		return nil, false
	}
	return key, len(problems) == 0
}

// pathValues are the names that a path of a route has a value for. It is never nil.
func pathValues(paths []string) []string {
	names := []string{}
	for _, p := range paths {
		for _, n := range route.Params([]string{p}) {
			if !slices.Contains(names, n) {
				names = append(names, n)
			}
		}
	}
	return names
}

// mirror checks and builds what sends copies of a route's requests to another service, or
// takes it over, so that its counts and its copies under way survive.
func (b *builder) mirror(at string, r config.Route, out *Route) {
	if r.Mirror == nil {
		return
	}
	at += ".mirror"
	if r.Service == "" {
		b.fail(at, "add service, or remove it", "there is no service on this route whose requests could be copied")
		return
	}
	b.mirrorMethods(at+".methods", r)
	if r.Mirror.Service == r.Service {
		b.fail(at+".service", "name another one", "%s is the service of this route, so it would do everything twice", r.Service)
		return
	}
	sv, _ := b.known(at+".service", r.Mirror.Service)
	if sv == nil || b.standsIn(at+".service", r) {
		return
	}
	if out.Mirror = b.keptMirror(r, sv); out.Mirror == nil {
		out.Mirror = upstream.NewMirror(sv, *r.Mirror, b.deps.Log)
	}
}

// standsIn refuses copies to a service that answers for one of the route while the breaker of
// that is open: it would do some requests twice.
func (b *builder) standsIn(at string, r config.Route) bool {
	for _, from := range b.served(&r) {
		if from == r.Mirror.Service { // a split may: what it sends there is not copied
			continue
		}
		if last := b.fallsBackTo(from, r.Mirror.Service); last != "" {
			b.fail(at, fmt.Sprintf("name another one, or let %s fall back to another one", last),
				"%s answers while the breaker of %s is open, so it can't get copies of what goes there", r.Mirror.Service, last)
			return true
		}
	}
	return false
}

// fallsBackTo follows the fallbacks of a service up to another one, and returns the last
// before that, "" when they do not lead there.
func (b *builder) fallsBackTo(from, to string) string {
	for range b.c.Services { // or it is a circle
		next := b.fallback(from)
		if next == to || next == "" {
			break
		}
		from = next
	}
	if b.fallback(from) != to {
		return ""
	}
	return from
}

// fallback names the service that answers for another one, "" for none.
func (b *builder) fallback(name string) string {
	conf, ok := b.c.Services.Get(name)
	if !ok || conf.Breaker.Fallback == nil {
		return ""
	}
	return conf.Breaker.Fallback.Service
}

// mirrorMethods refuses methods that the route does not have: nothing would be copied.
func (b *builder) mirrorMethods(at string, r config.Route) {
	served := slices.Clone(r.Methods)
	if slices.Contains(served, "GET") {
		served = append(served, "HEAD")
	}
	if r.Mirror.Methods != nil && len(r.Mirror.Methods) == 0 {
		b.fail(at, "name some, or remove it: all are copied then", "is an empty list")
	}
	for i, m := range r.Mirror.Methods {
		place := fmt.Sprintf("%s[%d]", at, i)
		switch {
		case slices.Index(r.Mirror.Methods, m) < i:
			b.fail(place, "remove it", "%s is there twice", m)
		case m == "*" || !exchange.ValidName(m):
			b.fail(place, "such as GET or POST; leave methods out for all", "%q is no method", m)
		case m != strings.ToUpper(m):
			b.fail(place, "write "+strings.ToUpper(m), "method %q is not in upper case", m)
		case len(served) > 0 && !slices.Contains(served, m):
			b.fail(place, problem.DidYouMean(m, served), "this route does not serve %s", m)
		}
	}
}

// keptMirror returns the running mirror of a route of that name with the same settings and
// service, or nil.
func (b *builder) keptMirror(r config.Route, to *upstream.Service) *upstream.Mirror {
	if b.previous == nil {
		return nil
	}
	for i := range b.previous.routes {
		old := &b.previous.routes[i]
		if old.Name == r.Name && old.Mirror != nil && old.Mirror.Service() == to && reflect.DeepEqual(old.conf.Mirror, r.Mirror) {
			return old.Mirror
		}
	}
	return nil
}

// fallbacks checks which services answer for others whose breaker is open.
func (b *builder) fallbacks() {
	for _, e := range b.c.Services {
		f := e.Value.Breaker.Fallback
		if f == nil || f.Service == "" {
			continue
		}
		at := "services." + e.Name + ".breaker.fallback"
		if _, ok := b.known(at+".service", f.Service); !ok {
			continue
		}
		var fixed config.Fallback
		fixed.SetDefaults()
		fixed.Service = f.Service
		if !reflect.DeepEqual(*f, fixed) {
			b.fail(at+".service", "keep one of both", "the service %s answers, so there is no fixed answer with a status, a content type, headers or a body", f.Service)
		}
		if circle := b.circle(e.Name); circle != nil {
			b.fail(at+".service", "let the last one answer by itself", "services fall back in a circle: %s", strings.Join(circle, " -> "))
		}
	}
}

// circle follows fallbacks from a service until they come back to it. It returns nil when
// they end, or when another service stands before it in the file, for which the circle is reported.
func (b *builder) circle(from string) []string {
	names := b.c.Services.Names()
	path := []string{from}
	for at := from; len(path) <= len(names); {
		if at = b.fallback(at); at == "" {
			return nil
		}
		path = append(path, at)
		switch {
		case at == from:
			return path
		case slices.Index(names, at) < slices.Index(names, from):
			return nil
		}
	}
	return nil // it ends in a circle of others
}

// hashes checks the keys by which services balance, of which the values of paths have to be
// those of some route that sends them requests.
func (b *builder) hashes() {
	for _, e := range b.c.Services {
		routes := b.reaching(e.Name)
		if len(routes) == 0 { // which is reported already
			continue
		}
		values := []string{}
		for _, i := range routes {
			values = append(values, pathValues(b.c.Routes[i].Path)...)
		}
		b.hash(e, values)
		b.hashOfUser(e, routes)
	}
}

// hashOfUser refuses a key that no request has: users whom no route knows.
func (b *builder) hashOfUser(e config.Entry[config.Service], routes []int) {
	public := func(i int) bool { return b.c.Routes[i].Auth == "none" }
	if known := slices.ContainsFunc(routes, func(i int) bool { return !public(i) }); known || !slices.Equal(e.Value.Balance.Hash, []string{"user"}) {
		return
	}
	b.fail("services."+e.Name+".balance.hash[0]", "write client, or auth: optional on a route",
		"auth: none looks at no token, and all routes of the service have it, so nobody is a known user here")
}

// hash checks the key by which a service balances. values are those of paths, nil for any. It
// reports each problem once, however often it is asked.
func (b *builder) hash(e config.Entry[config.Service], values []string) {
	_, problems := upstream.CompileKey(e.Value.Balance.Hash, values)
	for i, p := range problems {
		problems[i].Path = "services." + e.Name + ".balance.hash" + p.Path
	}
	b.note(b.c.Source.Locate(problems))
}

// reaching are the routes whose requests may come to a service, by their places in the file.
func (b *builder) reaching(name string) []int {
	var out []int
	for i := range b.c.Routes {
		if slices.Contains(b.reached(&b.c.Routes[i]), name) {
			out = append(out, i)
		}
	}
	return out
}

// served names the services that a route sends its requests to.
func (b *builder) served(r *config.Route) []string {
	names := []string{r.Service}
	if r.Split != nil {
		names = append(names, r.Split.To.Names()...)
	}
	return names
}

// reached names the services that requests of a route may come to.
func (b *builder) reached(r *config.Route) []string {
	names := b.served(r)
	for i := 0; i < len(names); i++ { // names grows: a fallback may have one of its own
		if other := b.fallback(names[i]); other != "" && !slices.Contains(names, other) {
			names = append(names, other)
		}
	}
	if r.Mirror != nil { // whose copies go nowhere else
		names = append(names, r.Mirror.Service)
	}
	return names
}

// RouteMirror is the mirror of a route.
type RouteMirror struct {
	Route string
	*upstream.Mirror
}

// Mirrors returns the mirrors in the order of the routes in the file.
func (s *Snapshot) Mirrors() []RouteMirror {
	var out []RouteMirror
	for i := range s.routes {
		if m := s.routes[i].Mirror; m != nil {
			out = append(out, RouteMirror{s.routes[i].Name, m})
		}
	}
	return out
}

func (s *Snapshot) hasMirror(m *upstream.Mirror) bool {
	return slices.ContainsFunc(s.Mirrors(), func(o RouteMirror) bool { return o.Mirror == m })
}

// fallBack tells each service who answers for it. It is not part of Compile, because a
// service that was taken over still serves for the snapshot before.
func (s *Snapshot) fallBack() {
	byName := make(map[string]*upstream.Service)
	for _, sv := range s.services {
		byName[sv.Name()] = sv
	}
	for _, e := range s.Config.Services {
		if f := e.Value.Breaker.Fallback; f != nil && f.Service != "" {
			byName[e.Name].FallBackTo(byName[f.Service])
		}
	}
}
