package snapshot

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"

	"yett/internal/catalog"
	"yett/internal/config"
	"yett/internal/exchange"
	"yett/internal/policy"
	"yett/internal/problem"
	"yett/internal/route"
	"yett/internal/upstream"
	"yett/internal/wire"
)

// builder collects the parts of a snapshot and every problem on the way.
type builder struct {
	c        *config.Config
	deps     Deps
	previous *Snapshot
	out      *Snapshot
	problems problem.List
	byName   map[string]*upstream.Service
	used     map[string]bool
	global   map[string]policy.Link
	broken   []*policy.Kind // global policies with problems
}

func newBuilder(c *config.Config, deps Deps, previous *Snapshot) *builder {
	deps.Policy.Gateway = c.Name
	if c.Version != "" {
		deps.Policy.Version = c.Version
	}
	return &builder{
		c: c, deps: deps, previous: previous,
		out:    &Snapshot{Config: c},
		byName: make(map[string]*upstream.Service),
		used:   make(map[string]bool),
		global: make(map[string]policy.Link),
	}
}

func (b *builder) fail(path, hint, format string, args ...any) {
	b.problems = append(b.problems, b.c.Source.Problem(path, fmt.Sprintf(format, args...), hint))
}

func (b *builder) path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(b.deps.Dir, name)
}

// listeners checks addresses and loads keys.
func (b *builder) listeners() {
	names, addresses := map[string]bool{}, map[string]bool{}
	for i, l := range b.c.Listeners {
		at := "listeners[" + strconv.Itoa(i) + "]"
		if l.Name != "" && names[l.Name] {
			b.fail(at+".name", "give each listener a name of its own", "the name %q is taken", l.Name)
		}
		names[l.Name] = true
		host, port, err := net.SplitHostPort(l.Address)
		if n, perr := strconv.ParseUint(port, 10, 16); err != nil || perr != nil {
			b.fail(at+".address", `write host:port, such as "127.0.0.1:3000" or ":3000"`, "%q is not an address", l.Address)
		} else if key := net.JoinHostPort(host, port); n != 0 && addresses[key] {
			b.fail(at+".address", "one listener can serve all routes", "the address %s is taken by another listener", l.Address)
		} else {
			addresses[key] = true
		}
		l.Protocols = b.protocols(at, l)
		b.out.Listeners = append(b.out.Listeners, Listener{Listener: l, TLS: b.listenerTLS(at+".tls", l)})
	}
}

// protocols checks what a listener is to speak, and chooses when nothing is
// said.
func (b *builder) protocols(at string, l config.Listener) []string {
	if len(l.Protocols) == 0 && l.TLS != nil {
		return []string{"http1", "h2"}
	}
	if len(l.Protocols) == 0 {
		return []string{"http1"}
	}
	for j, p := range l.Protocols {
		place := at + ".protocols[" + strconv.Itoa(j) + "]"
		switch {
		case p == "h2" && l.TLS == nil:
			b.fail(place, "add tls, or use h2c", "h2 needs TLS")
		case p == "h2c" && l.TLS != nil:
			b.fail(place, "use h2", "h2c is for listeners without TLS")
		}
	}
	return l.Protocols
}

func (b *builder) listenerTLS(at string, l config.Listener) *tls.Config {
	if l.TLS == nil {
		return nil
	}
	out := &tls.Config{MinVersion: tls.VersionTLS12}
	if l.TLS.MinVersion == "1.3" {
		out.MinVersion = tls.VersionTLS13
	}
	for _, p := range []struct{ name, alpn string }{{"h2", "h2"}, {"http1", "http/1.1"}} {
		if slices.Contains(l.Protocols, p.name) {
			out.NextProtos = append(out.NextProtos, p.alpn)
		}
	}
	for i, pair := range l.TLS.Certificates {
		cert, err := tls.LoadX509KeyPair(b.path(pair.Cert), b.path(pair.Key))
		if err != nil {
			b.fail(fmt.Sprintf("%s.certificates[%d]", at, i), "both have to be PEM files that belong together", "loading the certificate: %v", err)
			continue
		}
		out.Certificates = append(out.Certificates, cert)
	}
	return out
}

// identityHeaders refuses what can't be the name of such a field: a slip here
// would let clients say who they are.
func (b *builder) identityHeaders() {
	for i, name := range b.c.IdentityHeaders {
		at := "identity_headers[" + strconv.Itoa(i) + "]"
		var problems problem.List
		if policy.CheckFieldName(&problems, at, name) && exchange.KeyOf(name) != exchange.KeyOther {
			problems.Addf(at, "name a field that only your services read", "%s has a meaning of its own", name)
		}
		b.problems = append(b.problems, b.c.Source.Locate(problems)...)
	}
}

// services checks and builds the services, or takes them over.
func (b *builder) services() {
	for _, e := range b.c.Services {
		at := "services." + e.Name
		before := len(b.problems)
		for i, raw := range e.Value.Targets {
			if _, err := upstream.ParseTarget(raw); err != nil {
				b.fail(fmt.Sprintf("%s.targets[%d]", at, i), "write http://host:port or https://host:port", "%v", err)
			}
		}
		b.checkHost(at+".host", e.Value.Host)
		ca := b.authorities(at+".tls.ca", e.Value.TLS.CA)
		if len(b.problems) > before {
			b.byName[e.Name] = nil
			continue
		}
		b.byName[e.Name] = b.service(at, e, ca)
	}
}

func (b *builder) service(at string, e config.Entry[config.Service], ca *x509.CertPool) *upstream.Service {
	sv := b.kept(e)
	if sv == nil {
		deps := b.deps.Upstream
		if ca != nil {
			deps.TLS = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: ca}
		}
		var err error
		if sv, err = upstream.New(e.Name, e.Value, deps); err != nil {
			b.fail(at, "", "%v", err)
			return nil
		}
	}
	b.out.services = append(b.out.services, sv)
	return sv
}

// kept returns the running service with the same settings, so that its
// connections and its state survive. One with files of its own is built anew,
// because the files may have changed.
func (b *builder) kept(e config.Entry[config.Service]) *upstream.Service {
	if b.previous == nil || e.Value.TLS.CA != "" {
		return nil
	}
	old, ok := b.previous.Config.Services.Get(e.Name)
	if !ok || !reflect.DeepEqual(*old, e.Value) {
		return nil
	}
	for _, sv := range b.previous.services {
		if sv.Name() == e.Name {
			return sv
		}
	}
	return nil
}

func (b *builder) authorities(at, file string) *x509.CertPool {
	if file == "" {
		return nil
	}
	pem, err := os.ReadFile(b.path(file))
	if err != nil {
		b.fail(at, "name a PEM file", "reading certificate authorities: %v", err)
		return nil
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		b.fail(at, "name a PEM file with CERTIFICATE blocks", "no certificate in %s", file)
	}
	return pool
}

func (b *builder) checkHost(at, host string) {
	if host == "" || host == "client" || host == "target" {
		return
	}
	if _, ok := wire.SplitHost(host); !ok {
		b.fail(at, "write client, target, or a host name", "%q is not a host", host)
	}
}

// policies builds the policies of every route.
func (b *builder) policies() {
	for _, e := range b.c.Policies {
		link, ok := b.link(e, "policies."+e.Name)
		switch {
		case !ok:
			b.broken = append(b.broken, link.Kind)
		case e.Off:
		case link.Kind.Answers:
			b.fail("policies."+e.Name, "put it under policies of a route", "%s answers by itself, so no other route could be reached", e.Name)
		default:
			b.global[e.Name] = link
		}
	}
	b.out.nowhere = Route{Chain: b.chain(nil)}
}

func (b *builder) link(e config.PolicyEntry, at string) (policy.Link, bool) {
	kind := catalog.Lookup(e.Name)
	if kind == nil {
		b.fail(at, problem.DidYouMean(e.Name, catalog.Names()), "there is no policy %q", e.Name)
		return policy.Link{}, false
	}
	if e.Off {
		return policy.Link{Kind: kind}, true
	}
	p, problems := kind.Build(e.Config, b.deps.Policy)
	b.problems = append(b.problems, e.Config.Locate(problems)...)
	return policy.Link{Kind: kind, Policy: p}, len(problems) == 0
}

// chain orders the global policies and those of a route, which replace them,
// as the catalogue says.
func (b *builder) chain(own map[string]policy.Link) policy.Chain {
	var out policy.Chain
	for _, kind := range catalog.Kinds() {
		link, ok := own[kind.Name]
		if !ok {
			link, ok = b.global[kind.Name]
		}
		if ok && link.Policy != nil {
			out = append(out, link)
		}
	}
	return out
}

// routes checks and builds the routes.
func (b *builder) routes() {
	rules := make([]route.Rule, 0, len(b.c.Routes))
	for i, r := range b.c.Routes {
		at := "routes[" + strconv.Itoa(i) + "]"
		rules = append(rules, rule(i, r))
		b.out.routes = append(b.out.routes, b.route(at, r))
	}
	table, problems := route.Compile(rules)
	for _, p := range problems {
		b.fail(p.Path, p.Hint, "%s", p.What)
	}
	b.out.table = table
	for _, e := range b.c.Services {
		if !b.used[e.Name] {
			b.fail("services."+e.Name, "remove it, or name it in a route", "no route uses the service %q", e.Name)
		}
	}
}

func rule(i int, r config.Route) route.Rule {
	return route.Rule{
		Name: r.Name, Hosts: r.Host, Paths: r.Path, Methods: r.Methods,
		Headers: r.Headers, Query: r.Query,
		AllowSlash: slices.Contains(r.AllowEncoded, "slash"),
		AllowNUL:   slices.Contains(r.AllowEncoded, "nul"),
		Index:      i,
	}
}

func (b *builder) route(at string, r config.Route) Route {
	out := Route{Name: r.Name, conf: r, host: r.Forward.Host}
	own, broken := make(map[string]policy.Link), slices.Clone(b.broken)
	for _, e := range r.Policies {
		if link, ok := b.link(e, at+".policies."+e.Name); ok {
			own[e.Name] = link
		} else {
			broken = append(broken, link.Kind)
		}
	}
	out.Chain = b.chain(own)
	b.answerer(at, r, &out, broken)
	b.auth(at, r, out.Chain, broken)
	b.checkHost(at+".forward.host", r.Forward.Host)
	b.forward(at, r, &out)
	return out
}

// has tells whether a chain, or what would be part of it without its problems,
// has a policy of that sort: one mistake is not reported as two.
func has(c policy.Chain, broken []*policy.Kind, sort func(*policy.Kind) bool) bool {
	return slices.ContainsFunc(c, func(l policy.Link) bool { return sort(l.Kind) }) ||
		slices.ContainsFunc(broken, func(k *policy.Kind) bool { return k != nil && sort(k) })
}

// answerer finds out who answers: exactly one of a service, a page of the
// gateway, or a policy.
func (b *builder) answerer(at string, r config.Route, out *Route, broken []*policy.Kind) {
	n := 0
	if r.Service != "" {
		n++
		b.useService(at, r, out)
	}
	if r.Endpoint != "" {
		n++
		out.Endpoint = b.deps.Endpoints[r.Endpoint]
		if out.Endpoint == nil {
			names := slices.Collect(mapKeys(b.deps.Endpoints))
			b.fail(at+".endpoint", problem.DidYouMean(r.Endpoint, names), "there is no page %q", r.Endpoint)
		}
	}
	if has(out.Chain, broken, func(k *policy.Kind) bool { return k.Answers }) {
		n++
	}
	switch {
	case n == 0:
		b.fail(at, "add service, endpoint, or a policy that answers, such as respond", "nothing answers on this route")
	case n > 1:
		b.fail(at, "keep one", "more than one of service, endpoint and an answering policy")
	}
}

func (b *builder) useService(at string, r config.Route, out *Route) {
	sv, ok := b.byName[r.Service]
	if !ok {
		b.fail(at+".service", problem.DidYouMean(r.Service, slices.Collect(mapKeys(b.byName))), "there is no service %q", r.Service)
		return
	}
	b.used[r.Service] = true
	out.Service = sv
	if out.host == "" {
		conf, _ := b.c.Services.Get(r.Service)
		out.host = conf.Host
	}
}

func mapKeys[V any](m map[string]V) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// auth refuses a route that wants callers to be known when nothing on it
// finds out who they are: a broken security setting never means open.
func (b *builder) auth(at string, r config.Route, chain policy.Chain, broken []*policy.Kind) {
	if r.Auth == "none" || r.Auth == "" { // a missing one was refused with its place already
		return
	}
	if !has(chain, broken, func(k *policy.Kind) bool { return k.Authenticates }) {
		b.fail(at+".auth", "add a policy that verifies callers, or write auth: none", "auth: %s, but no policy on this route verifies callers", r.Auth)
	}
}

func (b *builder) forward(at string, r config.Route, out *Route) {
	f := r.Forward
	if r.Service == "" {
		if f != (config.Forward{Path: "normalized"}) {
			b.fail(at+".forward", "remove it", "nothing is forwarded on a route without a service")
		}
		return
	}
	if f.Path != "unchanged" && f.StripPrefix == "" && f.Replace == "" {
		return
	}
	rewrite, problems := route.CompileRewrite(f.StripPrefix, f.Replace, f.Path == "unchanged", r.Path)
	for _, p := range problems {
		b.fail(at+"."+p.Path, p.Hint, "%s", p.What)
	}
	out.rewrite = rewrite
}
