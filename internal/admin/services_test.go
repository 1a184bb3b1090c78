package admin

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"yett/internal/exchange"
	"yett/internal/upstream"
)

// fake is a service that says what a test wants, and keeps what it was asked for.
type fake struct {
	name  string
	stats upstream.Stats
	set   []string
	until time.Time
}

func (f *fake) Name() string          { return f.name }
func (f *fake) Stats() upstream.Stats { return f.stats }

func (f *fake) Targets() (names []string) {
	for _, t := range f.stats.Targets {
		names = append(names, t.Name)
	}
	return names
}

func (f *fake) SetBreaker(to string, until time.Time, by string) bool {
	if f.stats.Breaker == nil {
		return false
	}
	f.set, f.until = append(f.set, to+" by "+by), until
	f.stats.Breaker.State = map[string]string{BreakerOpen: stateOpen, BreakerClose: stateClosed, BreakerReset: stateClosed}[to]
	return true
}

func with(name, state, mode string) *fake {
	return &fake{name: name, stats: upstream.Stats{Breaker: &upstream.BreakerStats{State: state, Mode: mode}}}
}

var (
	some    = time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC)
	someISO = "2026-01-02T03:04:05.678Z"
)

// busy is a service of which everything is known.
func busy() *fake {
	return &fake{name: "tickets", stats: upstream.Stats{
		Requests: 100, Failures: 7, Refused: 6, Fallbacks: 5, Retries: 4, Hedges: 3, BudgetLeft: 2,
		InFlight: 11, Waiting: 12, Limit: 13, Idle: 14, P50: 1234567 * time.Nanosecond, P99: 2 * time.Second, Recent: 90,
		LastSuccess: some, LastFailure: some.Add(time.Second), LastReason: "upstream_timeout",
		Breaker: &upstream.BreakerStats{
			Mode: "enforce", State: stateOpen, Failures: 5, Successes: 1, Since: some, NextAttempt: some.Add(30 * time.Second),
			Cause: "5 failures in a row", Trips: 2, Shared: true,
		},
		Targets: []upstream.TargetStats{
			{Name: "a:80", State: "ejected", Cause: "slow", Until: some, Weight: 2, InFlight: 1, Failures: 3, P50: 500 * time.Microsecond, P99: time.Millisecond, Recent: 4, Checked: some},
			{Name: "b:80", State: "up", Weight: 1},
		},
	}}
}

const busyTargets = `[
	{"name": "a:80", "state": "ejected", "cause": "slow", "until": "2026-01-02T03:04:05.678Z", "weight": 2, "inFlight": 1, "failures": 3,
	 "p50Ms": 0.5, "p99Ms": 1, "recent": 4, "checked": "2026-01-02T03:04:05.678Z"},
	{"name": "b:80", "state": "up", "weight": 1, "inFlight": 0, "failures": 0, "recent": 0}]`

const busyFigures = `"requests": 100, "failures": 7, "refused": 6, "fallbacks": 5, "retries": 4, "hedges": 3, "budgetLeft": 2,
	"inFlight": 11, "waiting": 12, "limit": 13, "idleConnections": 14, "p50Ms": 1.235, "p99Ms": 2000, "recent": 90,
	"lastFailure": "upstream_timeout", "lastFailureTime": "2026-01-02T03:04:06.678Z", "lastSuccessTime": "2026-01-02T03:04:05.678Z"`

const busyBreaker = `"state": "OPEN", "failures": 5, "successes": 1, "nextAttempt": "2026-01-02T03:04:35.678Z", "mode": "enforce",
	"since": "2026-01-02T03:04:05.678Z", "cause": "5 failures in a row", "trips": 2, "shared": true`

func sameJSON(t *testing.T, got any, want string) {
	t.Helper()
	var value any
	if err := json.Unmarshal([]byte(want), &value); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, value) {
		t.Errorf("got  %v\nwant %v", got, value)
	}
}

// The status follows from the breakers that enforce, as monitors of the old gateway expect it.
func TestBreakersInHealth(t *testing.T) {
	open, half, closed := with("o", stateOpen, "enforce"), with("h", stateHalfOpen, "enforce"), with("c", stateClosed, "enforce")
	watching, none := with("w", stateOpen, "observe"), &fake{name: "n"}
	for _, tt := range []struct {
		name     string
		services []Service
		code     int
		status   string
		summary  string
		circuits string
	}{
		{"no services", nil, 200, "healthy", `{"totalCircuits": 0, "openCircuits": 0, "halfOpenCircuits": 0, "closedCircuits": 0}`, ""},
		{"no breaker", []Service{none}, 200, "healthy", `{"totalCircuits": 0, "openCircuits": 0, "halfOpenCircuits": 0, "closedCircuits": 0}`, ""},
		{"closed", []Service{closed, none}, 200, "healthy", `{"totalCircuits": 1, "openCircuits": 0, "halfOpenCircuits": 0, "closedCircuits": 1}`, "c"},
		{"half open", []Service{closed, half}, 200, "warning", `{"totalCircuits": 2, "openCircuits": 0, "halfOpenCircuits": 1, "closedCircuits": 1}`, "c h"},
		{"open", []Service{closed, half, open}, 503, "degraded", `{"totalCircuits": 3, "openCircuits": 1, "halfOpenCircuits": 1, "closedCircuits": 1}`, "c h o"},
		{"observing", []Service{closed, watching}, 200, "healthy", `{"totalCircuits": 1, "openCircuits": 0, "halfOpenCircuits": 0, "closedCircuits": 1, "observingCircuits": 1}`, "c w"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := health(&state{ready: true, services: tt.services})
			code, page := ask(t, h.Detailed)
			if code != tt.code || page["status"] != tt.status {
				t.Errorf("%d %v, want %d %s", code, page["status"], tt.code, tt.status)
			}
			sameJSON(t, page["summary"], tt.summary)
			if got := strings.Join(keys(page["circuitBreakers"].(map[string]any)), " "); got != tt.circuits {
				t.Errorf("circuitBreakers are of %q, want %q", got, tt.circuits)
			}
			for name, p := range map[string]func(*exchange.Exchange){"live": h.Live, "ready": h.Ready} {
				if code, page := ask(t, p); code != 200 || page["circuitBreakers"] != nil || page["summary"] != nil {
					t.Errorf("%s: %d %v", name, code, page)
				}
			}
		})
	}
}

// What the contract has is there from the first moment, and true later (D23).
func TestCircuitInHealth(t *testing.T) {
	_, page := ask(t, health(&state{services: []Service{busy(), with("new", stateClosed, "enforce")}}).Detailed)
	circuits := page["circuitBreakers"].(map[string]any)
	sameJSON(t, circuits["tickets"], `{`+busyBreaker+`,
		"totalRequests": 100, "lastFailureTime": "2026-01-02T03:04:06.678Z", "lastSuccessTime": "2026-01-02T03:04:05.678Z"}`)
	sameJSON(t, circuits["new"], `{"state": "CLOSED", "failures": 0, "successes": 0, "nextAttempt": null, "mode": "enforce", "trips": 0,
		"totalRequests": 0, "lastFailureTime": null, "lastSuccessTime": null}`)
	services := page["services"].(map[string]any)
	sameJSON(t, services["tickets"], `{"targets": ["a:80", "b:80"], `+busyFigures+`, "targetStates": `+busyTargets+`}`)
	if got := services["new"].(map[string]any); !reflect.DeepEqual(got["targets"], []any{}) || !reflect.DeepEqual(got["targetStates"], []any{}) {
		t.Errorf("without targets: %v", got)
	}
}

// There is no next attempt where nobody waits for one.
func TestNextAttempt(t *testing.T) {
	for in, want := range map[string]any{stateOpen: someISO, stateHalfOpen: nil, stateClosed: nil} {
		f := with("s", in, "enforce")
		f.stats.Breaker.NextAttempt = some
		_, page := ask(t, health(&state{services: []Service{f}}).Detailed)
		if got := page["circuitBreakers"].(map[string]any)["s"].(map[string]any)["nextAttempt"]; got != want {
			t.Errorf("%s: %v, want %v", in, got, want)
		}
	}
}

// Who has switched a breaker is shown to those who may see it, and to nobody else.
func TestHealthTellsNobody(t *testing.T) {
	for _, in := range []string{stateOpen, stateClosed} {
		f := with("s", in, "enforce")
		f.stats.Breaker.Held, f.stats.Breaker.HeldUntil, f.stats.Breaker.Cause = strings.ToLower(in), some, "by hand (the-admin)"
		x := new(exchange.Pool).Get()
		health(&state{services: []Service{f}}).Detailed(x)
		if b, _ := x.ResponseBody.Whole(); bytes.Contains(b, []byte("the-admin")) || !bytes.Contains(b, []byte(`"held":"`+strings.ToLower(in)+`","heldUntil":"`+someISO+`"`)) {
			t.Errorf("%s", b)
		}
		page, _ := servicesOf(f)
		if got := pageOf[ServicesPage](t, page.request("GET", "", "")).Services[0].Breaker; got.Cause != "by hand (the-admin)" || got.HeldUntil != someISO {
			t.Errorf("%+v", got)
		}
	}
}

// servicesOf is the page over services, and its log.
func servicesOf(services ...Service) (*Services, *bytes.Buffer) {
	log := new(bytes.Buffer)
	return &Services{State: &state{services: services}, Log: slog.New(slog.NewJSONHandler(log, nil))}, log
}

// request asks the page.
func (s *Services) request(method, query, contentType string) *exchange.Exchange {
	x := new(exchange.Pool).Get()
	x.Method, x.Query, x.HasQuery = method, query, query != ""
	x.RequestID, x.Identity.Subject = "the-request", "the-admin"
	if contentType != "" {
		x.Request.Add("Content-Type", contentType)
	}
	s.Serve(x)
	return x
}

func TestServicesAreShown(t *testing.T) {
	s, log := servicesOf(&fake{name: "auth"}, busy())
	for _, tt := range []struct {
		method, query string
		names         []string
	}{{"GET", "", []string{"auth", "tickets"}}, {"HEAD", "", []string{"auth", "tickets"}}, {"GET", "service=tickets", []string{"tickets"}}} {
		page := pageOf[ServicesPage](t, s.request(tt.method, tt.query, ""))
		var names []string
		for _, one := range page.Services {
			names = append(names, one.Name)
		}
		if !slices.Equal(names, tt.names) {
			t.Errorf("%s %s: %q", tt.method, tt.query, names)
		}
	}
	_, page := ask(t, func(x *exchange.Exchange) { x.Method = "GET"; s.Serve(x) })
	stampIsGood(t, page["timestamp"])
	all := page["services"].([]any)
	sameJSON(t, all[0], `{"name": "auth", "breaker": null, "requests": 0, "failures": 0, "refused": 0, "fallbacks": 0, "retries": 0, "hedges": 0,
		"budgetLeft": 0, "inFlight": 0, "waiting": 0, "limit": 0, "idleConnections": 0, "recent": 0, "targets": []}`)
	sameJSON(t, all[1], `{"name": "tickets", "breaker": {`+busyBreaker+`}, `+busyFigures+`, "targets": `+busyTargets+`}`)
	if log.Len() > 0 {
		t.Errorf("to look is logged: %s", log)
	}
	s.State.(*state).mirrors = []MirrorPage{{Route: "a", Service: "auth", Sent: 1}, {Route: "b", Service: "tickets", Sent: 5, Failed: 4, LeftOut: 3, Unfit: 2, InFlight: 1}}
	if page := pageOf[ServicesPage](t, s.request("GET", "", "")); len(page.Mirrors) != 2 {
		t.Errorf("mirrors: %+v", page.Mirrors)
	}
	_, page = ask(t, func(x *exchange.Exchange) { x.Method, x.Query, x.HasQuery = "GET", "service=tickets", true; s.Serve(x) })
	sameJSON(t, page["mirrors"], `[{"route": "b", "service": "tickets", "sent": 5, "failed": 4, "leftOut": 3, "unfit": 2, "inFlight": 1}]`)
	none, _ := servicesOf()
	if page := pageOf[ServicesPage](t, none.request("GET", "", "")); page.Services == nil {
		t.Error("no services are null")
	}
}

// Panic is shown where it is, and so is what is known of names and of the store.
func TestPanicIsShown(t *testing.T) {
	f := &fake{name: "s", stats: upstream.Stats{Panics: true, Targets: []upstream.TargetStats{
		{Name: "a.test:80", State: "unknown", Cause: "can't be looked up: no such host", Weight: 1},
		{Name: "b.test:80", State: "up", Note: "a look-up of its name has failed: i/o timeout", Weight: 1},
	}}}
	const targets = `[{"name": "a.test:80", "state": "unknown", "cause": "can't be looked up: no such host", "weight": 1, "inFlight": 0, "failures": 0, "recent": 0},
		{"name": "b.test:80", "state": "up", "note": "a look-up of its name has failed: i/o timeout", "weight": 1, "inFlight": 0, "failures": 0, "recent": 0}]`
	_, page := ask(t, health(&state{ready: true, services: []Service{f}}).Detailed)
	one := page["services"].(map[string]any)["s"].(map[string]any)
	sameJSON(t, one["panic"], "true")
	sameJSON(t, one["targetStates"], targets)
	s, _ := servicesOf(f)
	s.State.(*state).store = StoreState{Name: "redis", Lost: true, Since: some}
	_, page = ask(t, func(x *exchange.Exchange) { x.Method = "GET"; s.Serve(x) })
	one = page["services"].([]any)[0].(map[string]any)
	sameJSON(t, one["panic"], "true")
	sameJSON(t, one["targets"], targets)
	sameJSON(t, page["store"], `{"name": "redis", "state": "lost", "since": "`+someISO+`"}`)
	x := s.request("POST", "service=s&breaker=open", asJSON)
	if x.Reason != exchange.NoBreaker {
		t.Errorf("%v", x.Reason)
	}
	f.stats.Breaker = &upstream.BreakerStats{State: stateClosed}
	if page := pageOf[ServicesPage](t, s.request("POST", "service=s&breaker=open", asJSON)); page.Store == nil || page.Store.State != StoreLost {
		t.Errorf("the answer to a change: %+v", page.Store)
	}
}

const asJSON = "application/json"

// What is not understood changes nothing. Neither log nor answer repeat what may be a
// secret.
func TestServicesRefuse(t *testing.T) {
	tickets := with("tickets", stateClosed, "enforce")
	s, log := servicesOf(tickets, &fake{name: "plain"})
	secret := strings.Repeat("hunter2", 20)
	const good = "service=tickets&breaker=open"
	for _, tt := range []struct {
		method, query, contentType string
		reason                     *exchange.Reason
	}{
		{"GET", "service=ticket", "", exchange.NoSuchService},
		{"GET", "service=" + secret, "", exchange.NoSuchService},
		{"GET", "service=", "", exchange.BadServicesQuery},
		{"GET", "servce=tickets", "", exchange.BadServicesQuery},
		{"GET", good, "", exchange.BadServicesQuery}, // which would change something
		{"HEAD", good, "", exchange.BadServicesQuery},
		{"GET", "service=tickets&service=plain", "", exchange.BadServicesQuery},
		{"GET", "%zz", "", exchange.BadServicesQuery},
		{"POST", good, "", exchange.BadServicesType},
		{"POST", good, "application/x-www-form-urlencoded", exchange.BadServicesType},
		{"POST", good, "text/plain", exchange.BadServicesType},
		{"POST", "", asJSON, exchange.BadServicesQuery},
		{"POST", "service=tickets", asJSON, exchange.BadServicesQuery},
		{"POST", "breaker=open", asJSON, exchange.BadServicesQuery},
		{"POST", "service=tickets&breaker=OPEN", asJSON, exchange.BadServicesQuery},
		{"POST", "service=tickets&breaker=half_open", asJSON, exchange.BadServicesQuery},
		{"POST", good + "&breaker=close", asJSON, exchange.BadServicesQuery},
		{"POST", good + "&top=1", asJSON, exchange.BadServicesQuery},
		{"POST", good + "&for=", asJSON, exchange.BadServicesQuery},
		{"POST", good + "&for=10", asJSON, exchange.BadServicesQuery},
		{"POST", good + "&for=soon", asJSON, exchange.BadServicesQuery},
		{"POST", good + "&for=-10m", asJSON, exchange.BadServicesQuery},
		{"POST", good + "&for=999ms", asJSON, exchange.BadServicesQuery},
		{"POST", good + "&for=720h1ms", asJSON, exchange.BadServicesQuery},
		{"POST", good + "&for=0s", asJSON, exchange.BadServicesQuery},
		{"POST", "service=tickets&breaker=reset&for=10m", asJSON, exchange.BadServicesQuery},
		{"POST", "service=ticket&breaker=open", asJSON, exchange.NoSuchService},
		{"POST", "service=" + secret + "&breaker=open", asJSON, exchange.NoSuchService},
		{"POST", "service=plain&breaker=open", asJSON, exchange.NoBreaker},
		{"POST", "service=plain&breaker=reset", asJSON, exchange.NoBreaker},
		{"PUT", good, asJSON, exchange.MethodNotAllowed},
		{"DELETE", good, asJSON, exchange.MethodNotAllowed},
	} {
		x := s.request(tt.method, tt.query, tt.contentType)
		if x.Reason != tt.reason || strings.Contains(x.Detail, secret) {
			t.Errorf("%s %s: %v (%s), want %v", tt.method, tt.query, x.Reason, x.Detail, tt.reason)
		}
		if tt.reason == exchange.MethodNotAllowed && x.Allow != "GET, HEAD, POST" {
			t.Errorf("Allow is %q", x.Allow)
		}
	}
	if len(tickets.set) > 0 || log.Len() > 0 {
		t.Errorf("%q was done, and the log says %s", tickets.set, log)
	}
}

// stream is a body of unknown length.
type stream struct{ io.Reader }

func (stream) Close() error { return nil }

type cutOff struct{}

func (cutOff) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// Whoever writes into the body what is wanted learns that it is not read.
func TestServicesTakeNoBody(t *testing.T) {
	for _, tt := range []struct {
		name   string
		body   func(*exchange.Body)
		reason *exchange.Reason
	}{
		{"whole", func(b *exchange.Body) { b.SetBytes([]byte("{}")) }, exchange.BadServicesQuery},
		{"streamed", func(b *exchange.Body) { b.SetSource(stream{strings.NewReader(`{}`)}, -1) }, exchange.BadServicesQuery},
		{"announced", func(b *exchange.Body) { b.SetSource(stream{cutOff{}}, 1<<40) }, exchange.BadServicesQuery},
		{"cut", func(b *exchange.Body) { b.SetSource(stream{cutOff{}}, -1) }, exchange.TruncatedBody},
		{"empty", func(b *exchange.Body) { b.SetBytes(nil) }, nil},
		{"empty and streamed", func(b *exchange.Body) { b.SetSource(stream{strings.NewReader("")}, -1) }, nil},
	} {
		f := with("tickets", stateClosed, "enforce")
		s, _ := servicesOf(f)
		x := new(exchange.Pool).Get()
		x.Method, x.Query = "POST", "service=tickets&breaker=open"
		x.Request.Add("Content-Type", asJSON)
		tt.body(&x.RequestBody)
		s.Serve(x)
		if x.Reason != tt.reason || (len(f.set) == 1) != (tt.reason == nil) {
			t.Errorf("%s: %v, want %v; %q was done", tt.name, x.Reason, tt.reason, f.set)
		}
	}
}

// A change is made, answered with what is the case now, and logged with who made it.
func TestBreakerIsSet(t *testing.T) {
	for _, tt := range []struct {
		query, to, state string
		held             time.Duration
	}{
		{"service=tickets&breaker=open", "open", stateOpen, 0},
		{"service=tickets&breaker=open&for=10m", "open", stateOpen, 10 * time.Minute},
		{"for=1s&breaker=close&service=tickets", "close", stateClosed, time.Second},
		{"service=tickets&breaker=close&for=720h", "close", stateClosed, 720 * time.Hour},
		{"service=tickets&breaker=reset", "reset", stateClosed, 0},
	} {
		f, other := with("tickets", stateHalfOpen, "enforce"), with("auth", stateHalfOpen, "enforce")
		s, log := servicesOf(other, f)
		begin := time.Now()
		x := s.request("POST", tt.query, "Application/JSON; charset=utf-8")
		page := pageOf[ServicesPage](t, x)
		if len(page.Services) != 1 || page.Services[0].Name != "tickets" || page.Services[0].Breaker.State != tt.state || x.Status != http.StatusOK {
			t.Errorf("%s: %+v", tt.query, page)
		}
		if !slices.Equal(f.set, []string{tt.to + " by the-admin"}) || len(other.set) > 0 {
			t.Errorf("%s: %q was done, and %q to another", tt.query, f.set, other.set)
		}
		if late := f.until.Sub(begin) - tt.held; f.until.IsZero() != (tt.held == 0) || tt.held > 0 && (late < 0 || late > time.Minute) {
			t.Errorf("%s: until %v", tt.query, f.until)
		}
		var line struct {
			Msg, By, Service, Breaker, Level string
			RequestID                        string `json:"request_id"`
			Until                            *time.Time
		}
		if err := json.Unmarshal(log.Bytes(), &line); err != nil || line.Msg != "breaker set by hand" || line.Level != "WARN" || line.By != "the-admin" || line.RequestID != "the-request" ||
			line.Service != "tickets" || line.Breaker != tt.to || (line.Until == nil) != (tt.held == 0) {
			t.Errorf("%s: %v, the log says %s", tt.query, err, log)
		}
	}
}
