package admin

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"yett/internal/config"
	"yett/internal/exchange"
	"yett/internal/upstream"
)

const (
	// ShortestHold and LongestHold bound for how long a breaker can be held by hand when it
	// is said for how long.
	ShortestHold = time.Second
	LongestHold  = 720 * time.Hour
	// longestService is how long the name of a service is where it is repeated.
	longestService = 64
)

// The verbs of a breaker.
const (
	BreakerOpen  = "open"
	BreakerClose = "close"
	BreakerReset = "reset"
)

// The states of a breaker as upstream.BreakerStats has them.
const (
	stateClosed   = "CLOSED"
	stateOpen     = "OPEN"
	stateHalfOpen = "HALF_OPEN"
)

// Service is what pages use of a service. *upstream.Service is one.
type Service interface {
	Name() string
	// Targets returns the names of the targets.
	Targets() []string
	Stats() upstream.Stats
	// SetBreaker opens, closes or resets the breaker, until then unless that is zero. It
	// returns false where the service has none.
	SetBreaker(to string, until time.Time, by string) bool
}

// Services is the page that shows how services are, and switches their breakers.
type Services struct {
	State State
	// Log is told who has switched what.
	Log *slog.Logger
}

// ServicesPage is what the endpoint services shows.
type ServicesPage struct {
	// Timestamp is the moment at which all of it was so, by the gateway's clock.
	Timestamp string `json:"timestamp"`
	// Store is what breakers that are shared are shared by. With the one in memory, or while
	// it is lost, each node goes on alone.
	Store *StorePage `json:"store,omitempty"`
	// Services are those of the configuration, in its order.
	Services []ServicePage `json:"services"`
	// Mirrors are the routes whose requests are copied. It is left out where there are none.
	Mirrors []MirrorPage `json:"mirrors,omitempty"`
}

// MirrorPage is what became of the copies of a route's requests.
type MirrorPage struct {
	Route   string `json:"route"`
	Service string `json:"service"` // that gets the copies
	Sent    int64  `json:"sent"`
	Failed  int64  `json:"failed"` // of those that were sent
	// LeftOut found no place, Unfit can't be copied.
	LeftOut  int64 `json:"leftOut"`
	Unfit    int64 `json:"unfit"`
	InFlight int   `json:"inFlight"`
}

// ServicePage is one service, as this node has seen it since it runs.
type ServicePage struct {
	Name string `json:"name"`
	// Breaker is null where there is none.
	Breaker *BreakerPage `json:"breaker"`
	ServiceFigures
	// Panic tells that too few targets are well, so that all are used.
	Panic   bool         `json:"panic,omitempty"`
	Targets []TargetPage `json:"targets"`
}

// ServiceFigures is what is counted of a service. Where a time is not known, it is left out.
type ServiceFigures struct {
	Requests int64 `json:"requests"`
	Failures int64 `json:"failures"`
	// Refused got no place or met an open breaker, Fallbacks of them got a fallback.
	Refused   int64 `json:"refused"`
	Fallbacks int64 `json:"fallbacks"`
	// Retries and Hedges are tries that were added, BudgetLeft how many more there could be.
	Retries    int64 `json:"retries"`
	Hedges     int64 `json:"hedges"`
	BudgetLeft int   `json:"budgetLeft"`
	// Limit is how many may be in flight, 0 for any number.
	InFlight        int `json:"inFlight"`
	Waiting         int `json:"waiting"`
	Limit           int `json:"limit"`
	IdleConnections int `json:"idleConnections"`
	Latency
	LastFailure     string `json:"lastFailure,omitempty"` // reason; "" for a status of 500 and above
	LastFailureTime string `json:"lastFailureTime,omitempty"`
	LastSuccessTime string `json:"lastSuccessTime,omitempty"`
}

// Latency is how long answers take to their head, in milliseconds. Both are left out when
// there was no answer of late.
type Latency struct {
	P50 *float64 `json:"p50Ms,omitempty"`
	P99 *float64 `json:"p99Ms,omitempty"`
	// Recent is how many answers that were.
	Recent int `json:"recent"`
}

// BreakerPage is how a breaker stands. The keys that the contract with monitors has are
// always there.
type BreakerPage struct {
	State     string `json:"state"` // CLOSED, OPEN or HALF_OPEN
	Failures  int    `json:"failures"`
	Successes int    `json:"successes"`
	// NextAttempt is when an open breaker lets a request through again, null when it is not
	// open.
	NextAttempt *string `json:"nextAttempt"`
	Mode        string  `json:"mode"` // enforce or observe
	// Held is open or closed where somebody holds it so, until HeldUntil if that is there.
	Held      string `json:"held,omitempty"`
	HeldUntil string `json:"heldUntil,omitempty"`
	// Since is when it came into its state, Cause why.
	Since string `json:"since,omitempty"`
	Cause string `json:"cause,omitempty"`
	Trips int64  `json:"trips"`
	// Shared breakers are the same on all nodes.
	Shared bool `json:"shared,omitempty"`
}

// Observes tells that requests pass whatever the state is.
func (b *BreakerPage) Observes() bool { return b.Mode == "observe" }

// TargetPage is one target.
type TargetPage struct {
	Name  string `json:"name"`
	State string `json:"state"` // up, down, ejected, warming, draining or unknown
	// Cause says why it is down, ejected or unknown, Until when an ejection ends.
	Cause string `json:"cause,omitempty"`
	Until string `json:"until,omitempty"`
	// Note says that its name could not be looked up the last time.
	Note     string `json:"note,omitempty"`
	Weight   int    `json:"weight"`
	InFlight int    `json:"inFlight"`
	Failures int    `json:"failures"` // in a row
	Latency
	// Checked is when the last check ended.
	Checked string `json:"checked,omitempty"`
}

// Serve shows the services with GET, and switches a breaker with POST.
func (s *Services) Serve(x *exchange.Exchange) {
	switch x.Method {
	case http.MethodGet, http.MethodHead:
		s.show(x)
	case http.MethodPost:
		s.change(x)
	default:
		x.Allow = "GET, HEAD, POST"
		x.Refuse(exchange.MethodNotAllowed)
	}
}

func (s *Services) show(x *exchange.Exchange) {
	q, err := readQuery(x.Query, "service")
	if err != nil {
		x.RefuseWith(exchange.BadServicesQuery, err.Error())
		return
	}
	services, mirrors := s.State.Services(), s.State.Mirrors()
	if name, named := q["service"]; named {
		one := s.lookup(x, name)
		if one == nil {
			return
		}
		services = []Service{one}
		mirrors = slices.DeleteFunc(mirrors, func(m MirrorPage) bool { return m.Service != name })
	}
	page := s.page(services)
	page.Mirrors = mirrors
	reply(x, http.StatusOK, page)
}

// lookup returns the service of that name. It refuses when there is none.
func (s *Services) lookup(x *exchange.Exchange, name string) Service {
	for _, one := range s.State.Services() {
		if one.Name() == name {
			return one
		}
	}
	detail := "no service of that name"
	if len(name) <= longestService { // or it may be anything
		detail = fmt.Sprintf("no service %q", name)
	}
	x.RefuseWith(exchange.NoSuchService, detail)
	return nil
}

// hold is what a breaker is asked for.
type hold struct {
	service, to string
	// time is how long, 0 until it is told otherwise.
	time time.Duration
}

// change opens, closes or resets a breaker. That a browser asks on behalf of a page of
// another site only after a preflight is ensured by the Content-Type: what is wanted
// stands in the query, so that a form could ask for it.
func (s *Services) change(x *exchange.Exchange) {
	if !isJSON(x.Request.GetKey(exchange.KeyContentType)) {
		x.Refuse(exchange.BadServicesType)
		return
	}
	asked, err := readHold(x)
	if err != nil {
		refuseHold(x, err)
		return
	}
	one := s.lookup(x, asked.service)
	if one == nil {
		return
	}
	var until time.Time
	if asked.time > 0 {
		until = time.Now().Add(asked.time)
	}
	if !one.SetBreaker(asked.to, until, strings.Clone(x.Identity.Subject)) {
		x.RefuseWith(exchange.NoBreaker, fmt.Sprintf("service %q", asked.service))
		return
	}
	s.tell(x, asked, until)
	reply(x, http.StatusOK, s.page([]Service{one}))
}

func refuseHold(x *exchange.Exchange, err error) {
	if r, ok := errors.AsType[*exchange.Reason](err); ok {
		x.Refuse(r)
		return
	}
	x.RefuseWith(exchange.BadServicesQuery, err.Error())
}

// readHold reads what is asked for. The error is a *exchange.Reason when the body can't be
// read.
func readHold(x *exchange.Exchange) (h hold, err error) {
	q, err := readQuery(x.Query, "breaker", "for", "service")
	if err != nil {
		return h, err
	}
	if _, err := x.RequestBody.Buffer(0); errors.Is(err, exchange.ErrBodyTooLarge) {
		return h, errors.New("there is a body, and what is wanted stands in the query")
	} else if err != nil {
		return h, bodyReason(err)
	}
	h = hold{service: q["service"], to: q["breaker"]}
	switch {
	case h.service == "":
		return h, errors.New("there is no service")
	case h.to != BreakerOpen && h.to != BreakerClose && h.to != BreakerReset:
		return h, errors.New("breaker is not open, close or reset")
	}
	if text, ok := q["for"]; ok {
		h.time, err = ReadHoldTime(h.to, text)
	}
	return h, err
}

// ReadHoldTime reads for how long a breaker is to be held open or closed.
func ReadHoldTime(to, text string) (time.Duration, error) {
	var d config.Duration
	if to == BreakerReset {
		return 0, errors.New("for goes with open and close alone: a breaker that is reset is not held")
	}
	if err := d.UnmarshalText([]byte(text)); err != nil {
		return 0, fmt.Errorf("for is no duration such as 10m: %w", err)
	}
	if t := time.Duration(d); t < ShortestHold || t > LongestHold {
		return 0, fmt.Errorf("for is not from %s to %s", config.Duration(ShortestHold), config.Duration(LongestHold))
	}
	return time.Duration(d), nil
}

// tell writes one line for each act into the log, whether or not it has changed anything. It
// is a warning: whoever looks for why a service is not called has to find it.
func (s *Services) tell(x *exchange.Exchange, asked hold, until time.Time) {
	attrs := append(by(x), "service", asked.service, "breaker", asked.to)
	if !until.IsZero() {
		attrs = append(attrs, "until", until.UTC())
	}
	s.Log.Warn("breaker set by hand", attrs...)
}

func (s *Services) page(services []Service) ServicesPage {
	store := showStore(s.State.Store())
	page := ServicesPage{Timestamp: stamp(time.Now()), Store: &store, Services: []ServicePage{}}
	for _, one := range services {
		st := one.Stats()
		page.Services = append(page.Services, ServicePage{
			Name: one.Name(), Breaker: showBreaker(st.Breaker), ServiceFigures: figures(&st), Panic: st.Panics, Targets: showTargets(st.Targets),
		})
	}
	return page
}

func figures(st *upstream.Stats) ServiceFigures {
	return ServiceFigures{
		Requests: st.Requests, Failures: st.Failures, Refused: st.Refused, Fallbacks: st.Fallbacks,
		Retries: st.Retries, Hedges: st.Hedges, BudgetLeft: st.BudgetLeft,
		InFlight: st.InFlight, Waiting: st.Waiting, Limit: st.Limit, IdleConnections: st.Idle,
		Latency:     latency(st.P50, st.P99, st.Recent),
		LastFailure: st.LastReason, LastFailureTime: stamp(st.LastFailure), LastSuccessTime: stamp(st.LastSuccess),
	}
}

func latency(p50, p99 time.Duration, recent int) Latency {
	if recent == 0 {
		return Latency{}
	}
	return Latency{P50: millis(p50), P99: millis(p99), Recent: recent}
}

// millis returns milliseconds with three digits behind the point.
func millis(d time.Duration) *float64 {
	ms := float64(d.Round(time.Microsecond)/time.Microsecond) / 1000
	return &ms
}

// showBreaker returns nil where there is none.
func showBreaker(b *upstream.BreakerStats) *BreakerPage {
	if b == nil {
		return nil
	}
	p := &BreakerPage{
		State: b.State, Failures: b.Failures, Successes: b.Successes, Mode: b.Mode,
		Held: b.Held, HeldUntil: stamp(b.HeldUntil), Since: stamp(b.Since), Cause: b.Cause, Trips: b.Trips, Shared: b.Shared,
	}
	if b.State == stateOpen { // else there is nothing to wait for
		p.NextAttempt = stampOrNull(b.NextAttempt)
	}
	return p
}

func showTargets(targets []upstream.TargetStats) []TargetPage {
	pages := []TargetPage{}
	for i := range targets {
		t := &targets[i]
		pages = append(pages, TargetPage{
			Name: t.Name, State: t.State, Cause: t.Cause, Until: stamp(t.Until), Note: t.Note, Weight: t.Weight, InFlight: t.InFlight,
			Failures: t.Failures, Latency: latency(t.P50, t.P99, t.Recent), Checked: stamp(t.Checked),
		})
	}
	return pages
}

// stampOrNull is for keys that are always there.
func stampOrNull(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	text := stamp(t)
	return &text
}
