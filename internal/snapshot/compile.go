package snapshot

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"yett/internal/catalog"
	"yett/internal/config"
	"yett/internal/limit"
	"yett/internal/policy"
	"yett/internal/problem"
	"yett/internal/route"
	"yett/internal/telemetry"
	"yett/internal/upstream"
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
	global   map[string]parts
	broken   []*policy.Kind // global policies with problems
	// limits are the limits as requests to each service have them.
	limits map[string]*limit.Set
	// limited are the limits that policies count by. It is nil when that is not
	// known of all of them.
	limited map[string]bool
	// perRoute holds the global policies that are built for each route, by
	// name, and variants what was built of them already.
	perRoute map[string]config.PolicyEntry
	variants map[string]variant
}

// parts is a policy with its further parts. It has no links when it is switched off.
type parts struct {
	kind  *policy.Kind // nil for a name that no policy has
	links []policy.Link
}

// variant is a global policy as some routes have it.
type variant struct {
	parts
	ok bool
}

func newBuilder(c *config.Config, deps Deps, previous *Snapshot) *builder {
	deps.Policy.Gateway = c.Name
	if c.Version != "" {
		deps.Policy.Version = c.Version
	}
	return &builder{
		c: c, deps: deps, previous: previous,
		out:    &Snapshot{Config: c, files: make(map[string]Sum)},
		byName: make(map[string]*upstream.Service),
		used:   make(map[string]bool),
		global: make(map[string]parts), perRoute: make(map[string]config.PolicyEntry),
		variants: make(map[string]variant), limits: make(map[string]*limit.Set), limited: make(map[string]bool),
	}
}

func (b *builder) fail(path, hint, format string, args ...any) {
	b.problems = append(b.problems, b.c.Source.Problem(path, fmt.Sprintf(format, args...), hint))
}

// failKey is fail for what is wrong with the key itself.
func (b *builder) failKey(path, hint, format string, args ...any) {
	b.problems = append(b.problems, b.c.Source.KeyProblem(path, fmt.Sprintf(format, args...), hint))
}

const (
	// leastLogSize and leastLogAge keep log files from being moved aside all the time.
	leastLogSize = 10 * config.KB
	leastLogAge  = config.Duration(time.Minute)
)

// logs refuses to write each error twice into the same place, and files that come and go.
func (b *builder) logs() {
	r := b.c.Log.Rotate
	if r.Size > 0 && r.Size < leastLogSize {
		b.fail("log.rotate.size", fmt.Sprintf("write %s or more, or 0 for files that grow without end", leastLogSize), "a new log file after each %s would be one for a few lines", r.Size)
	}
	if r.Age > 0 && r.Age < leastLogAge {
		b.fail("log.rotate.age", "write 1m or more, or 0s for never", "a new log file every %s is too often", r.Age)
	}
	c := b.c.Log.Access
	if c.Errors != "off" && b.c.Source.Resolve(c.Errors) == b.c.Source.Resolve(c.Output) {
		b.fail("log.access.errors", "name another output, or write off: errors stand in the access log anyway",
			"%q is the output of the access log itself", c.Errors)
	}
}

// leastMemory is what a gateway that has nothing to do needs. A lower bound would refuse
// requests for ever.
const leastMemory = 16 * config.MB

func (b *builder) overload() {
	if m := b.c.Overload.Memory; m > 0 && m < leastMemory {
		b.fail("overload.memory", fmt.Sprintf("write %s or more: 80 %% of what the machine or the container grants", leastMemory), "%s is less than the gateway needs to do nothing", m)
	}
}

// policies builds the policies of every route.
func (b *builder) policies() {
	for _, e := range b.c.Policies {
		at := "policies." + e.Name
		kind := catalog.Lookup(e.Name)
		if kind != nil && kind.Answers && !e.Off {
			b.fail(at, "put it under policies of a route", "%s answers by itself, so no other route could be reached", e.Name)
			continue
		}
		if kind != nil && kind.NeedsDocument && !e.Off && !b.anyDocument() {
			b.fail(at, "add openapi with path, url or file to a service, or remove it", "%s goes by the documents of services, and none has one", e.Name)
			continue
		}
		if kind != nil && kind.PerRoute && !e.Off {
			b.perRoute[e.Name] = e
			continue
		}
		built, ok := b.build(e, at, policy.Route{})
		switch {
		case !ok:
			b.broken = append(b.broken, built.kind)
		case e.Off:
		default:
			b.global[e.Name] = built
		}
	}
	own, _ := b.routeParts("", config.Route{Auth: "none"}, policy.Route{Auth: "none", Nowhere: true})
	b.out.nowhere = Route{Chain: withoutIdle(b.chain(own)), Served: telemetry.NewRoute("")}
}

// build builds a policy for a route, with all its parts.
func (b *builder) build(e config.PolicyEntry, at string, route policy.Route) (built parts, ok bool) {
	built.kind = catalog.Lookup(e.Name)
	switch {
	case built.kind == nil:
		b.fail(at, problem.DidYouMean(e.Name, catalog.Names()), "there is no policy %q", e.Name)
		return built, false
	case e.Off:
		return built, true
	}
	deps := b.deps.Policy
	deps.Route = route
	deps.Limits = b.limitsFor(route.Service)
	ok = true
	for _, part := range catalog.Parts(built.kind) {
		p, problems := part.Build(e.Config, deps)
		b.note(e.Config.Locate(problems)) // which parts have in common
		ok = ok && len(problems) == 0
		if p != nil {
			built.links = append(built.links, policy.NewLink(part, p))
		}
	}
	b.useLimits(built.kind, e, ok)
	return built, ok
}

// note adds problems. A global policy that is built for several routes may
// have the same one for each of them.
func (b *builder) note(problems problem.List) {
	for _, p := range problems {
		if !slices.Contains(b.problems, p) {
			b.problems = append(b.problems, p)
		}
	}
}

// variant builds a global policy for a route, or returns what was built for
// one of the same kind.
func (b *builder) variant(e config.PolicyEntry, route policy.Route) (parts, bool) {
	key := fmt.Sprintf("%s %s %s %q %v", e.Name, route.Auth, route.Service, route.Params, route.Nowhere)
	if catalog.Lookup(e.Name).NeedsDocument { // it goes by the path that the service sees
		key += fmt.Sprintf(" %p", route.Rewrite)
	}
	v, ok := b.variants[key]
	if !ok {
		v.parts, v.ok = b.build(e, "policies."+e.Name, route)
		b.variants[key] = v
	}
	return v.parts, v.ok
}

// routeParts builds the policies that belong to a route alone: its own, and
// the global ones that have to know it. broken are those with problems.
func (b *builder) routeParts(at string, r config.Route, scope policy.Route) (own map[string]parts, broken []*policy.Kind) {
	own, broken = make(map[string]parts), slices.Clone(b.broken)
	put := func(name string, built parts, ok bool) {
		if !ok {
			broken = append(broken, built.kind)
			return
		}
		own[name] = built
	}
	for _, e := range r.Policies {
		built, ok := b.build(e, at+".policies."+e.Name, scope)
		put(e.Name, built, ok)
		if ok && !e.Off && scope.Auth == "none" && (built.kind.Authenticates || built.kind.Authorizes) {
			b.fail(at+".policies."+e.Name, "write auth: required or optional, or remove it", "auth: none lets everybody pass, so %s has nothing to decide", e.Name)
		}
		if ok && !e.Off && built.kind.NeedsDocument {
			b.documented(at, r, e.Name)
		}
	}
	for name, e := range b.perRoute {
		kind := catalog.Lookup(name)
		_, replaced := r.Policies.Get(name)
		if !replaced && (scope.Auth != "none" || !kind.Authenticates && !kind.Authorizes) {
			built, ok := b.variant(e, scope)
			put(name, built, ok)
		}
	}
	return own, broken
}

// chain orders the global policies and those of a route, which replace them with
// all their parts, as the catalogue says.
func (b *builder) chain(own map[string]parts) policy.Chain {
	var out policy.Chain
	for _, kind := range catalog.Kinds() {
		built, ok := own[kind.Name]
		if !ok {
			built = b.global[kind.Name]
		}
		for _, link := range built.links {
			if link.Kind == kind {
				out = append(out, link)
			}
		}
	}
	return out
}

// withoutIdle returns a chain without the parts that only concern preflights which
// a policy answers, when none of it does: those are ordinary requests.
func withoutIdle(c policy.Chain) policy.Chain {
	if slices.ContainsFunc(c, answersPreflights) {
		return c
	}
	return slices.DeleteFunc(slices.Clone(c), func(l policy.Link) bool { return l.Kind.GuardsPreflights })
}

// answersPreflights tells whether a policy answers preflights, and does not only observe.
func answersPreflights(l policy.Link) bool {
	_, observes := policy.Unwrap(l.Policy)
	return l.Kind.Preflights && !observes
}

// preflight is what a CORS preflight passes on a route that does not serve
// OPTIONS: its chain up to the place of the policy that answers such requests,
// whether it is there or not. What limits other requests or authenticates stands
// behind.
func preflight(r *Route) *Route {
	kinds := catalog.Kinds()
	place := slices.IndexFunc(kinds, func(k *policy.Kind) bool { return k.Preflights })
	n := 0
	for n < len(r.Chain) && slices.Index(kinds, r.Chain[n].Kind) <= place {
		n++
	}
	return &Route{Name: r.Name, Served: r.Served, Chain: r.Chain[:n:n], urgent: r.urgent}
}

// reserved returns the request headers that policies set and no client may
// send: on any route, whichever has the policy, and where every route has
// switched a global one off as well.
func (b *builder) reserved() []string {
	names := reserves(nil, b.out.nowhere.Chain)
	for i := range b.out.routes {
		names = reserves(names, b.out.routes[i].Chain)
	}
	return names
}

// reserves adds the names that the policies of a chain reserve.
func reserves(names []string, c policy.Chain) []string {
	for _, l := range c {
		inner, _ := policy.Unwrap(l.Policy)
		r, ok := inner.(policy.Reserver)
		if !ok {
			continue
		}
		for _, n := range r.Reserves() {
			if !slices.Contains(names, n) {
				names = append(names, n)
			}
		}
	}
	return names
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
	b.fallbacks()
	b.hashes()
	for _, e := range b.c.Services {
		if !b.used[e.Name] {
			b.fail("services."+e.Name, "remove it, or name it in a route", "no route uses the service %q", e.Name)
		}
	}
	b.unusedLimits()
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
	out := Route{Name: r.Name, Served: telemetry.NewRoute(r.Name), conf: r, urgent: r.Priority == "high" || r.Endpoint != ""}
	b.forward(at, r, &out)
	own, broken := b.routeParts(at, r, policy.Route{Auth: r.Auth, Service: r.Service, Rewrite: out.rewrite, Params: route.Params(r.Path)})
	out.Chain = b.chain(own)
	out.preflight = preflight(&out)
	out.Chain = withoutIdle(out.Chain)
	out.busy = &Route{Name: r.Name, Served: out.Served, Chain: dressing(out.Chain), urgent: out.urgent, conf: r}
	b.answerer(at, r, &out, broken)
	b.auth(at, r, out.Chain, broken)
	b.guarded(at, r, &out, broken)
	b.published(at, r)
	b.shownDocs(at, r)
	b.checkHost(at+".forward.host", r.Forward.Host)
	b.split(at, r, &out)
	b.mirror(at, r, &out)
	return out
}

// dressing returns what of a chain belongs to every answer.
func dressing(c policy.Chain) policy.Chain {
	return slices.DeleteFunc(slices.Clone(c), func(l policy.Link) bool { return !l.Kind.Dresses })
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
		out.Service, _ = b.known(at+".service", r.Service)
	}
	if r.Endpoint != "" {
		n++
		out.Endpoint = b.deps.Endpoints[r.Endpoint]
		if out.Endpoint == nil {
			names := slices.Collect(mapKeys(b.deps.Endpoints))
			b.fail(at+".endpoint", problem.DidYouMean(r.Endpoint, names), "there is no page %q", r.Endpoint)
		}
	}
	if has(out.Chain, broken, func(k *policy.Kind) bool { return k.Answers && !k.Instead }) {
		n++
	}
	switch {
	case n == 0:
		b.fail(at, "add service, endpoint, or a policy that answers, such as respond", "nothing answers on this route")
	case n > 1:
		b.fail(at, "keep one", "more than one of service, endpoint and an answering policy")
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
		b.fail(at+".auth", fmt.Sprintf("add %s under policies, or write auth: none", authenticators()), "auth: %s, but no policy on this route verifies callers", r.Auth)
	}
	if r.Auth != "optional" {
		return
	}
	for _, l := range chain {
		if l.Kind.Authorizes {
			hint := "write auth: required"
			if power(r.Endpoint) == "" { // which demands it
				hint += fmt.Sprintf(", or %s: off under policies of this route", l.Kind.Name)
			}
			b.fail(at+".auth", hint, "auth: optional lets callers pass whom nobody knows, and %s would refuse them", l.Kind.Name)
		}
	}
}

// authenticators names the policies that find out who calls.
func authenticators() string {
	var names []string
	for _, k := range catalog.Kinds() {
		if k.Authenticates {
			names = append(names, k.Name)
		}
	}
	return strings.Join(names, " or ")
}

// power says what callers of a page of the gateway do which only some may, "" for the
// other pages.
func power(endpoint string) string {
	switch endpoint {
	case "revocations":
		return "end the sessions of others"
	case "limits":
		return "see who else calls, and reset what they have used"
	case "services":
		return "see how services are, and keep everybody from them"
	case "docs_status":
		return "see which calls come, and what is wrong with documents"
	}
	return ""
}

// guarded refuses a page of the gateway that only some may use where anybody
// could. A policy that only observes guards nothing.
func (b *builder) guarded(at string, r config.Route, out *Route, broken []*policy.Kind) {
	what := power(r.Endpoint)
	if what == "" || r.Auth == "" {
		return
	}
	guards := func(l policy.Link) bool {
		_, observes := policy.Unwrap(l.Policy)
		return l.Kind.Authorizes && !observes
	}
	isBroken := has(nil, broken, func(k *policy.Kind) bool { return k.Authorizes })
	if r.Auth != "required" || !isBroken && !slices.ContainsFunc(out.Chain, guards) {
		b.fail(at+".endpoint", "write auth: required, and a policy rbac that enforces under policies of this route", "with %s, callers %s: it has to be said who may", r.Endpoint, what)
	}
}

// published refuses the page of keys where there are none.
func (b *builder) published(at string, r config.Route) {
	if r.Endpoint == "jwks" && b.c.Assertion == nil {
		b.fail(at+".endpoint", "add a section assertion with a key at the top of the configuration", "there are no keys that jwks could show")
	}
}

func (b *builder) forward(at string, r config.Route, out *Route) {
	f := r.Forward
	if r.Service == "" {
		if f != (config.Forward{Path: "normalized"}) {
			b.fail(at+".forward", "remove it", "nothing is forwarded on a route without a service")
		}
		if r.Timeouts != (config.RouteTimeouts{}) {
			b.fail(at+".timeouts", "remove it", "nothing is waited for on a route without a service")
		}
		return
	}
	if f.Path != "unchanged" && f.StripPrefix == "" && f.Replace == "" {
		return
	}
	out.raw = f.Path == "unchanged" && f.StripPrefix == "" && f.Replace == ""
	rewrite, problems := route.CompileRewrite(f.StripPrefix, f.Replace, f.Path == "unchanged", r.Path)
	for _, p := range problems {
		b.fail(at+"."+p.Path, p.Hint, "%s", p.What)
	}
	out.rewrite = rewrite
}
