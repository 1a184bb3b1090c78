// Package snapshot turns a configuration into its immutable running form, all
// of it or nothing. Compile is the one validator: `yett check` is Compile
// without the start.
package snapshot

import (
	"crypto/tls"
	"log/slog"

	"yett/internal/assertion"
	"yett/internal/config"
	"yett/internal/exchange"
	"yett/internal/limit"
	"yett/internal/manners"
	"yett/internal/openapi/source"
	"yett/internal/policy"
	"yett/internal/revocation"
	"yett/internal/route"
	"yett/internal/store/redis"
	"yett/internal/telemetry"
	"yett/internal/token"
	"yett/internal/upstream"
)

// Endpoint is a page of the gateway itself.
type Endpoint interface {
	// Serve sets the answer.
	Serve(x *exchange.Exchange)
}

// Deps is what a snapshot is built with.
type Deps struct {
	// Policy is handed to every policy.
	Policy policy.Deps
	// Upstream is shared by all services.
	Upstream upstream.Deps
	// Revoked is the list of tokens that are no longer good.
	Revoked *revocation.List
	// DocumentsChanged is called when the document of a service may be another one; nil for
	// nobody.
	DocumentsChanged func()
	// WantFiles makes it a problem of the configuration when the document of a service, in a
	// file beside it, is missing or wrong. What serves does without: a document never keeps a
	// gateway from starting.
	WantFiles bool
	// Log is told when keys of issuers can't be fetched; nil for nobody.
	Log *slog.Logger
	// Endpoints are the gateway's own pages by their name in the
	// configuration.
	Endpoints map[string]Endpoint
}

// Snapshot is one revision of the configuration in its running form.
type Snapshot struct {
	Config    *config.Config
	Manners   *manners.Manners
	Listeners []Listener
	// Store is how shared state is reached, nil where it is in memory.
	Store *redis.Options

	table    *route.Table
	routes   []Route
	services []*upstream.Service
	tokens   *token.Verifier
	// documents are those of the services.
	documents *source.Set
	limits    *limit.Set
	reserved  []string
	signer    *assertion.Signer // nil where assertion is not configured
	nowhere   Route             // what a request without a route passes: the global policies
	files     map[string]Sum
}

// Listener is a listener with its keys loaded.
type Listener struct {
	config.Listener
	TLS *tls.Config // nil where the listener is plain
}

// Route is a route with everything that it needs.
type Route struct {
	Name     string
	Chain    policy.Chain
	Service  *upstream.Service // nil where a policy or Endpoint answers
	Endpoint Endpoint
	// Split chooses among several services, nil where Service gets every request. Mirror is
	// nil where nobody gets copies.
	Split  *upstream.Split
	Mirror *upstream.Mirror
	// Served is where its requests are counted.
	Served *telemetry.Route

	// preflight is what a CORS preflight about this route passes when another
	// route, or none, serves the method OPTIONS.
	preflight *Route
	// busy is what a request passes that is refused because the gateway has too
	// much to do.
	busy *Route

	conf    config.Route
	raw     bool           // the path is forwarded as it came
	rewrite *route.Rewrite // nil: the normalised path as it is
	urgent  bool           // served first when there is too much to do
}

// Compile checks a configuration and builds its running form. What did not change since
// previous, which may be nil, and holds state is taken over from it: services, verifiers with
// their keys, the signer, mirrors, documents, and keys of listeners. Files are read anew.
// The error is a problem.List with every mistake in the configuration.
// Nothing has been started: see Start.
func Compile(c *config.Config, deps Deps, previous *Snapshot) (*Snapshot, error) {
	b := newBuilder(c, deps, previous)
	b.logs()
	b.overload()
	b.listeners()
	b.store()
	b.identityHeaders()
	b.services()
	b.documents()
	b.docs()
	b.callers()
	b.compileLimits()
	b.policies()
	b.routes()
	b.problems.Sort()
	if err := b.problems.Err(); err != nil {
		return nil, err
	}
	b.out.reserved = b.reserved()
	b.out.Manners = manners.New(c, b.out.reserved...)
	return b.out, nil
}

// Start starts the services that are new, and the fetching of keys. From here on services
// fall back to those of this snapshot, those too that were taken over.
func (s *Snapshot) Start() {
	s.tokens.Start()
	s.fallBack()
	for _, sv := range s.services {
		sv.Start()
	}
	s.documents.Start()
}

// Retire ends the services and mirrors that next, which may be nil, does not use, and
// the fetching of keys. Requests that run go on, but for copies that a mirror has under way,
// which are given up.
func (s *Snapshot) Retire(next *Snapshot) {
	if next == nil {
		s.tokens.Close()
		s.documents.Retire(nil)
	} else {
		if next.tokens != s.tokens {
			s.tokens.Retire()
		}
		s.documents.Retire(next.documents)
	}
	for _, m := range s.Mirrors() {
		if next == nil || !next.hasMirror(m.Mirror) {
			m.Close()
		}
	}
	for _, sv := range s.services {
		if next == nil || !next.uses(sv) {
			sv.Close()
		}
	}
}

func (s *Snapshot) uses(sv *upstream.Service) bool {
	for _, own := range s.services {
		if own == sv {
			return true
		}
	}
	return false
}

// Tokens returns what verifies the tokens of callers.
func (s *Snapshot) Tokens() *token.Verifier { return s.tokens }

// Signer returns what signs assertions, or nil.
func (s *Snapshot) Signer() *assertion.Signer { return s.signer }

// Limits returns the configured limits, of which there may be none.
func (s *Snapshot) Limits() *limit.Set { return s.limits }

// Services returns the services in the order of the file.
func (s *Snapshot) Services() []*upstream.Service { return s.services }

// Rows lists the routes, the most specific first.
func (s *Snapshot) Rows() []route.Row { return s.table.Rows() }

// Near returns the rows whose path fits an exchange that Match has seen, and
// what is in the way of each.
func (s *Snapshot) Near(x *exchange.Exchange) []route.Near { return s.table.Near(x) }

// Routes returns the routes in the order of the file.
func (s *Snapshot) Routes() []*Route {
	all := make([]*Route, len(s.routes))
	for i := range s.routes {
		all[i] = &s.routes[i]
	}
	return all
}

// Reserved returns the request headers that no client may send, because policies set them.
func (s *Snapshot) Reserved() []string { return s.reserved }

// RouteConfig returns what was written for the route at that place of the
// file.
func (s *Snapshot) RouteConfig(i int) config.Route { return s.routes[i].conf }

// Match finds the route of an exchange, or why there is none. The Route is
// never nil: a request without one passes the global policies. Whether it is urgent is
// known from here on.
func (s *Snapshot) Match(x *exchange.Exchange) (*Route, *exchange.Reason) {
	if r := route.Normalize(x); r != nil {
		return &s.nowhere, r
	}
	if policy.IsPreflight(x) {
		return s.matchPreflight(x)
	}
	m := s.table.Match(x)
	if m.Reason != nil {
		return &s.nowhere, m.Reason
	}
	return s.at(x, m.Index), nil
}

func (s *Snapshot) at(x *exchange.Exchange, i int) *Route {
	r := &s.routes[i]
	x.Route, x.Urgent = r.Name, r.urgent
	if own := r.conf.Limits.Body; own != nil { // a policy may look at the body before Admit
		x.BodyLimit = int64(*own)
	}
	return r
}

// Nowhere is what a request passes that could not even be read.
func (s *Snapshot) Nowhere() *Route { return &s.nowhere }

// matchPreflight finds what answers a preflight: the policies of the route that
// would get the request it asks about. It is an ordinary request where those
// would not answer it, and on a route that names the method OPTIONS.
func (s *Snapshot) matchPreflight(x *exchange.Exchange) (*Route, *exchange.Reason) {
	x.Method = policy.AskedMethod(x)
	about := s.table.Match(x)
	x.Method = "OPTIONS"
	m := s.table.Match(x) // last, so that path values and Allow are its own
	switch {
	case m.Reason != nil && (m.Reason != exchange.MethodNotAllowed || about.Reason != nil):
		return &s.nowhere, m.Reason
	case m.Reason == nil && (m.Index == about.Index || about.Reason != nil ||
		s.routes[m.Index].names("OPTIONS") || !s.routes[about.Index].preflight.answers()):
		return s.at(x, m.Index), nil
	}
	r := s.routes[about.Index].preflight
	x.Route, x.Urgent = r.Name, r.urgent
	return r, m.Reason
}
