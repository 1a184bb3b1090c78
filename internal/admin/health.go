// Package admin holds the pages of the gateway itself.
package admin

import (
	"encoding/json"
	"net/http"
	"time"

	"yett/internal/exchange"
	"yett/internal/telemetry"
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

// Detailed answers with what is known about each service, and what has been
// refused.
func (h *Health) Detailed(x *exchange.Exchange) {
	p, store := h.page("healthy"), showStore(h.State.Store())
	p.Store = &store
	p.Services = make(map[string]servicePage)
	for _, s := range h.State.Services() {
		st := s.Stats()
		p.Services[s.Name()] = servicePage{
			Targets: st.Targets, Requests: st.Requests, Failures: st.Failures, IdleConnections: st.Idle,
			LastFailure: st.LastReason, LastFailureTime: stamp(st.LastFailure), LastSuccessTime: stamp(st.LastSuccess),
		}
	}
	p.Refusals, p.Observed = h.Tally.Counts()
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
