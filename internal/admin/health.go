// Package admin holds the pages of the gateway itself.
package admin

import (
	"encoding/json"
	"math"
	"net/http"
	"time"

	"yett/internal/control"
	"yett/internal/exchange"
	"yett/internal/overload"
	"yett/internal/telemetry"
	"yett/internal/token"
	"yett/internal/upstream"
)

// State is what health pages report.
type State interface {
	// Ready tells whether the gateway wants traffic: false while it starts and
	// drains.
	Ready() bool
	// Services returns the services of the current snapshot, in the order of the
	// configuration.
	Services() []Service
	// Mirrors returns what became of copies, by the routes whose requests are copied. The
	// slice is the caller's.
	Mirrors() []MirrorPage
	// Store tells how shared state is.
	Store() StoreState
	// Keys tells how the keys of the issuers are.
	Keys() []token.State
	// Limits tells how limits count.
	Limits() LimitsState
	// Overload tells whether the gateway has too much to do.
	Overload() overload.State
}

// StoreState tells how shared state is.
type StoreState struct {
	// Name is the store's.
	Name string
	Lost bool
	// Since is when that changed last.
	Since time.Time
}

// Health makes the health pages.
type Health struct {
	Name, Version string
	Started       time.Time
	State         State
	// Tally has the refusals that Detailed shows; nil for none.
	Tally *telemetry.Tally
	// Configuration tells which revision runs, and what was refused since, nil for nothing. It
	// is nil where nobody knows.
	Configuration func() (control.Revision, *control.Refusal)
	// LogLinesDropped tells how many log lines never reached their file since the start; nil where
	// nobody counts.
	LogLinesDropped func() uint64
}

// Endpoint is a page as a function.
type Endpoint func(x *exchange.Exchange)

// Serve implements snapshot.Endpoint.
func (f Endpoint) Serve(x *exchange.Exchange) { f(x) }

type healthPage struct {
	Status       string                 `json:"status"`
	Service      string                 `json:"service"`
	Version      string                 `json:"version"`
	Uptime       int64                  `json:"uptime"`
	Timestamp    string                 `json:"timestamp"`
	Dependencies map[string]string      `json:"dependencies"`
	Store        *StorePage             `json:"store,omitempty"`
	Services     map[string]servicePage `json:"services,omitempty"`
	Issuers      map[string]issuerPage  `json:"issuers,omitempty"`
	Limits       *limitCounts           `json:"limits,omitempty"`
	Overload     *overloadPage          `json:"overload,omitempty"`
	Revision     *revisionPage          `json:"configuration,omitempty"`
	Breakers     map[string]circuitPage `json:"circuitBreakers,omitzero"`
	Summary      *breakerSummary        `json:"summary,omitempty"`
	Refusals     map[string]int64       `json:"refusals,omitzero"` // by reason
	Observed     map[string]int64       `json:"observed,omitzero"` // refusals that were let pass
	LogDropped   *uint64                `json:"logLinesDropped,omitempty"`
}

// servicePage has the names of targets, which monitors have always read there, beside all
// that is known about them.
type servicePage struct {
	Targets []string `json:"targets"`
	ServiceFigures
	Panic        bool         `json:"panic,omitempty"`
	TargetStates []TargetPage `json:"targetStates"`
}

// circuitPage is a breaker with what monitors of the old gateway read beside it. Their
// keys are always there.
type circuitPage struct {
	BreakerPage
	TotalRequests   int64   `json:"totalRequests"`
	LastFailureTime *string `json:"lastFailureTime"`
	LastSuccessTime *string `json:"lastSuccessTime"`
}

// StorePage tells how shared state is.
type StorePage struct {
	Name  string `json:"name"`  // such as memory
	State string `json:"state"` // StoreConnected or StoreLost
	Since string `json:"since"`
}

// What a store can be.
const (
	StoreConnected = "connected"
	StoreLost      = "lost"
)

func showStore(s StoreState) StorePage {
	p := StorePage{Name: s.Name, State: StoreConnected, Since: stamp(s.Since)}
	if s.Lost {
		p.State = StoreLost
	}
	return p
}

type issuerPage struct {
	Keys    int    `json:"keys"`
	State   string `json:"state"` // ok or failing
	Fetched string `json:"fetched,omitempty"`
}

func showKeys(states []token.State) map[string]issuerPage {
	pages := make(map[string]issuerPage)
	for _, s := range states {
		p := issuerPage{Keys: s.Keys, State: "ok", Fetched: stamp(s.Fetched)}
		if s.Failing {
			p.State = "failing"
		}
		pages[s.Issuer] = p
	}
	return pages
}

// limitCounts is where limits count, and what came of requests since the start, by limit.
type limitCounts struct {
	LimitsStore
	Allowed   map[string]int64 `json:"allowed"`
	Refused   map[string]int64 `json:"refused"`
	Observed  map[string]int64 `json:"observed"`
	WhileLost map[string]int64 `json:"whileLost"`
}

// showLimits returns nil where there are none.
func showLimits(s LimitsState) *limitCounts {
	names := s.Set.Names()
	if len(names) == 0 {
		return nil
	}
	c := &limitCounts{
		LimitsStore: s.store(),
		Allowed:     make(map[string]int64), Refused: make(map[string]int64), Observed: make(map[string]int64), WhileLost: make(map[string]int64),
	}
	for _, name := range names {
		used := s.of(name)
		c.Allowed[name], c.Refused[name] = used.Allowed, used.Refused
		c.Observed[name], c.WhileLost[name] = used.Observed, used.WhileLost
	}
	return c
}

// breakerSummary counts the breakers that enforce. One that only observes keeps nobody from
// the service, whatever its state, so it stands apart: as an open circuit it would alarm
// somebody, and have load balancers take away a gateway that serves everything.
type breakerSummary struct {
	Total     int `json:"totalCircuits"`
	Open      int `json:"openCircuits"`
	HalfOpen  int `json:"halfOpenCircuits"`
	Closed    int `json:"closedCircuits"`
	Observing int `json:"observingCircuits,omitempty"`
}

func (s *breakerSummary) add(b *BreakerPage) {
	if b.Observes() {
		s.Observing++
		return
	}
	s.Total++
	switch b.State {
	case stateOpen:
		s.Open++
	case stateHalfOpen:
		s.HalfOpen++
	default:
		s.Closed++
	}
}

// verdict is the page's status, in words and as a number. A gateway that sheds serves less
// than it should, and to take it away would leave more to the others.
func (s *breakerSummary) verdict(sheds bool) (word string, status int) {
	switch {
	case s.Open > 0:
		return "degraded", http.StatusServiceUnavailable
	case s.HalfOpen > 0 || sheds:
		return "warning", http.StatusOK
	}
	return "healthy", http.StatusOK
}

func (h *Health) page(status string) healthPage {
	return healthPage{
		Status: status, Service: h.Name, Version: h.Version,
		Uptime:       int64(time.Since(h.Started) / time.Second),
		Timestamp:    stamp(time.Now()),
		Dependencies: map[string]string{"store": showStore(h.State.Store()).State},
	}
}

// Live answers 200 as long as the process serves requests at all, which it does
// with the store lost too.
func (h *Health) Live(x *exchange.Exchange) { reply(x, http.StatusOK, h.page("healthy")) }

// Ready answers 503 while the gateway starts or drains, so that load
// balancers send their traffic elsewhere.
func (h *Health) Ready(x *exchange.Exchange) {
	if h.State.Ready() {
		reply(x, http.StatusOK, h.page("ready"))
		return
	}
	reply(x, http.StatusServiceUnavailable, h.page("draining"))
}

// Detailed answers with what is known about each service and its breaker, how the keys of
// issuers are, what limits have let pass, and what has been refused. It answers 503 while a
// breaker is open, and warns while one is half open or the gateway has too much to do.
func (h *Health) Detailed(x *exchange.Exchange) {
	services, circuits, sum := showHealth(h.State.Services())
	load := h.State.Overload()
	word, status := sum.verdict(load.Share > 0)
	p, store := h.page(word), showStore(h.State.Store())
	p.Store = &store
	p.Services, p.Breakers, p.Summary = services, circuits, sum
	p.Issuers = showKeys(h.State.Keys())
	p.Refusals, p.Observed = h.Tally.Counts()
	p.Limits = showLimits(h.State.Limits())
	p.Overload = showOverload(load)
	p.Revision = h.showRevision()
	if h.LogLinesDropped != nil {
		n := h.LogLinesDropped()
		p.LogDropped = &n
	}
	reply(x, status, p)
}

// revisionPage tells which configuration runs.
type revisionPage struct {
	Revision string       `json:"revision"`
	Since    string       `json:"since"`
	Age      int64        `json:"age"` // seconds
	Cause    string       `json:"cause"`
	Refused  *refusedPage `json:"refused,omitempty"` // what was refused since
}

// refusedPage is a configuration that was not taken.
type refusedPage struct {
	At    string   `json:"at"`
	Cause string   `json:"cause"`
	Why   []string `json:"why"`
}

// showRevision returns nil where nobody knows.
func (h *Health) showRevision() *revisionPage {
	if h.Configuration == nil {
		return nil
	}
	r, refused := h.Configuration()
	if r.ID == "" {
		return nil
	}
	p := &revisionPage{Revision: r.ID, Since: stamp(r.Since), Age: int64(time.Since(r.Since) / time.Second), Cause: r.Cause}
	if refused != nil {
		p.Refused = &refusedPage{At: stamp(refused.At), Cause: refused.Cause, Why: refused.Why}
	}
	return p
}

// overloadPage tells how the gateway itself copes.
type overloadPage struct {
	Cause      string  `json:"cause,omitempty"` // why requests are refused: memory or run queue
	Share      float64 `json:"share"`           // of the requests, that are refused now
	Memory     int64   `json:"memoryBytes,omitempty"`
	RunQueueMs float64 `json:"runQueueMs,omitempty"`
	Refused    int64   `json:"refused"` // since the start
}

// showOverload returns nil where nobody looks.
func showOverload(s overload.State) *overloadPage {
	if s == (overload.State{}) {
		return nil
	}
	return &overloadPage{
		Cause: string(s.Cause), Share: math.Round(s.Share*100) / 100, Memory: s.Memory,
		RunQueueMs: float64(s.RunQueue.Microseconds()) / 1000, Refused: s.Refused,
	}
}

// showHealth looks at each service once, so that the parts of the page agree.
func showHealth(all []Service) (map[string]servicePage, map[string]circuitPage, *breakerSummary) {
	services, circuits, sum := make(map[string]servicePage), make(map[string]circuitPage), new(breakerSummary)
	for _, s := range all {
		st := s.Stats()
		services[s.Name()] = servicePage{
			Targets: append([]string{}, s.Targets()...), ServiceFigures: figures(&st), Panic: st.Panics, TargetStates: showTargets(st.Targets),
		}
		if st.Breaker != nil {
			c := showCircuit(&st)
			sum.add(&c.BreakerPage)
			circuits[s.Name()] = c
		}
	}
	return services, circuits, sum
}

// showCircuit leaves out who has switched a breaker by hand, which is part of the cause: the
// page is often open to everybody. What was not done by hand is not held, nor closed.
func showCircuit(st *upstream.Stats) circuitPage {
	b := showBreaker(st.Breaker)
	if b.Held != "" || b.State == stateClosed {
		b.Cause = ""
	}
	return circuitPage{
		BreakerPage: *b, TotalRequests: st.Requests,
		LastFailureTime: stampOrNull(st.LastFailure), LastSuccessTime: stampOrNull(st.LastSuccess),
	}
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}

func reply(x *exchange.Exchange, status int, page any) {
	b, err := json.Marshal(page)
	if err != nil {
		x.RefuseWith(exchange.Internal, err.Error())
		return
	}
	x.Status = status
	x.Response.Add("Content-Type", "application/json; charset=utf-8")
	x.Response.Add("Cache-Control", "no-store")
	x.ResponseBody.SetBytes(b)
}
