// Package admin holds the pages of the gateway itself.
package admin

import (
	"encoding/json"
	"net/http"
	"time"

	"yett/internal/exchange"
	"yett/internal/telemetry"
	"yett/internal/token"
	"yett/internal/upstream"
)

// State is what health pages report.
type State interface {
	// Ready tells whether the gateway wants traffic: false while it starts and
	// drains.
	Ready() bool
	// Services returns the services of the current snapshot.
	Services() []*upstream.Service
	// Store tells how shared state is.
	Store() StoreState
	// Keys tells how the keys of the issuers are.
	Keys() []token.State
	// Limits tells how limits count.
	Limits() LimitsState
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
	Store        *storePage             `json:"store,omitempty"`
	Services     map[string]servicePage `json:"services,omitempty"`
	Issuers      map[string]issuerPage  `json:"issuers,omitempty"`
	Limits       *limitCounts           `json:"limits,omitempty"`
	Breakers     *map[string]any        `json:"circuitBreakers,omitempty"`
	Summary      *breakerSummary        `json:"summary,omitempty"`
	Refusals     map[string]int64       `json:"refusals,omitzero"` // by reason
	Observed     map[string]int64       `json:"observed,omitzero"` // refusals that were let pass
}

type servicePage struct {
	Targets         []string `json:"targets"`
	Requests        int64    `json:"requests"`
	Failures        int64    `json:"failures"`
	IdleConnections int      `json:"idleConnections"`
	LastFailure     string   `json:"lastFailure,omitempty"`
	LastFailureTime string   `json:"lastFailureTime,omitempty"`
	LastSuccessTime string   `json:"lastSuccessTime,omitempty"`
}

type storePage struct {
	Name  string `json:"name"`
	State string `json:"state"` // connected or lost
	Since string `json:"since"`
}

func showStore(s StoreState) storePage {
	p := storePage{Name: s.Name, State: "connected", Since: stamp(s.Since)}
	if s.Lost {
		p.State = "lost"
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

type breakerSummary struct {
	Total    int `json:"totalCircuits"`
	Open     int `json:"openCircuits"`
	HalfOpen int `json:"halfOpenCircuits"`
	Closed   int `json:"closedCircuits"`
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

// Detailed answers with what is known about each service, how the keys of
// issuers are, what limits have let pass, and what has been refused.
func (h *Health) Detailed(x *exchange.Exchange) {
	p, store := h.page("healthy"), showStore(h.State.Store())
	p.Store = &store
	p.Services = make(map[string]servicePage)
	for _, s := range h.State.Services() {
		st := s.Stats()
		p.Services[s.Name()] = servicePage{
			Targets: s.Targets(), Requests: st.Requests, Failures: st.Failures, IdleConnections: st.Idle,
			LastFailure: st.LastReason, LastFailureTime: stamp(st.LastFailure), LastSuccessTime: stamp(st.LastSuccess),
		}
	}
	p.Issuers = showKeys(h.State.Keys())
	p.Refusals, p.Observed = h.Tally.Counts()
	p.Limits = showLimits(h.State.Limits())
	p.Breakers, p.Summary = &map[string]any{}, &breakerSummary{}
	reply(x, http.StatusOK, p)
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
