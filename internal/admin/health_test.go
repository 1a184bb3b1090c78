package admin

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"reflect"
	"regexp"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"yett/internal/config"
	"yett/internal/control"
	"yett/internal/exchange"
	"yett/internal/overload"
	"yett/internal/sweep"
	"yett/internal/telemetry"
	"yett/internal/token"
	"yett/internal/upstream"
	"yett/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// state is what the pages report in a test.
type state struct {
	ready    bool
	services []Service
	store    StoreState
	keys     []token.State
	limits   LimitsState
	load     overload.State
	mirrors  []MirrorPage
}

func (s *state) Mirrors() []MirrorPage { return slices.Clone(s.mirrors) }

func (s *state) Overload() overload.State { return s.load }

func (s *state) Limits() LimitsState { return s.limits }

func (s *state) Keys() []token.State { return s.keys }

func (s *state) Store() StoreState   { return s.store }
func (s *state) Ready() bool         { return s.ready }
func (s *state) Services() []Service { return s.services }

func health(s *state) *Health {
	return &Health{Name: "psa-api-gateway", Version: "1.2.3", Started: time.Now().Add(-90 * time.Second), State: s}
}

// ask returns a page's status and its fields.
func ask(t *testing.T, p func(*exchange.Exchange)) (int, map[string]any) {
	t.Helper()
	x := new(exchange.Pool).Get()
	Endpoint(p).Serve(x)
	if got := x.Response.Get("Content-Type"); got != "application/json; charset=utf-8" {
		t.Errorf("Content-Type is %q", got)
	}
	if got := x.Response.Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control is %q", got)
	}
	b, whole := x.ResponseBody.Whole()
	fields := make(map[string]any)
	if err := json.Unmarshal(b, &fields); err != nil || !whole {
		t.Fatalf("%v in %s", err, b)
	}
	return x.Status, fields
}

func keys(m map[string]any) (out []string) {
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// The fields that monitors of the old gateway read are all there, and no more.
func TestLive(t *testing.T) {
	status, page := ask(t, health(&state{}).Live)
	if status != http.StatusOK {
		t.Errorf("got %d", status)
	}
	if got, want := keys(page), []string{"dependencies", "service", "status", "timestamp", "uptime", "version"}; !slices.Equal(got, want) {
		t.Errorf("fields are %q", got)
	}
	if page["status"] != "healthy" || page["service"] != "psa-api-gateway" || page["version"] != "1.2.3" {
		t.Errorf("%v", page)
	}
	if up := page["uptime"].(float64); up != 90 && up != 91 {
		t.Errorf("uptime is %v", up)
	}
	if want := map[string]any{"store": "connected"}; !reflect.DeepEqual(page["dependencies"], want) {
		t.Errorf("dependencies are %v", page["dependencies"])
	}
	stampIsGood(t, page["timestamp"])
}

// stampIsGood takes a time in UTC with milliseconds, not long ago.
func stampIsGood(t *testing.T, v any) {
	t.Helper()
	text, _ := v.(string)
	at, err := time.Parse(time.RFC3339, text)
	if err != nil || time.Since(at).Abs() > time.Minute || !regexp.MustCompile(`^\S{19}\.\d{3}Z$`).MatchString(text) {
		t.Errorf("the time is %q", text)
	}
}

// An issuer whose keys can't be had is shown.
func TestKeysAreShown(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	_, page := ask(t, health(&state{keys: []token.State{{Issuer: "own", Keys: 1}, {Issuer: "other", Keys: 2, Failing: true, Fetched: at}}}).Detailed)
	want := map[string]any{
		"own":   map[string]any{"keys": 1.0, "state": "ok"},
		"other": map[string]any{"keys": 2.0, "state": "failing", "fetched": "2026-01-02T03:04:05.000Z"},
	}
	if !reflect.DeepEqual(page["issuers"], want) {
		t.Errorf("%v", page["issuers"])
	}
}

// A lost store is shown, and is no reason to restart or to take traffic away.
func TestStoreIsShown(t *testing.T) {
	since := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for lost, word := range map[bool]string{false: "connected", true: "lost"} {
		s := &state{ready: true, store: StoreState{Name: "redis", Lost: lost, Since: since}}
		h := health(s)
		for name, p := range map[string]func(*exchange.Exchange){"live": h.Live, "ready": h.Ready, "detailed": h.Detailed} {
			status, page := ask(t, p)
			if want := map[string]any{"store": word}; status != 200 || !reflect.DeepEqual(page["dependencies"], want) {
				t.Errorf("%s: %d, dependencies are %v", name, status, page["dependencies"])
			}
			want := map[string]any{"name": "redis", "state": word, "since": "2026-01-02T03:04:05.000Z"}
			if name == "detailed" && !reflect.DeepEqual(page["store"], want) {
				t.Errorf("the store is %v", page["store"])
			}
		}
	}
}

func TestReady(t *testing.T) {
	s := &state{}
	h := health(s)
	for _, tt := range []struct {
		ready  bool
		status int
		word   string
	}{{false, 503, "draining"}, {true, 200, "ready"}, {false, 503, "draining"}} {
		s.ready = tt.ready
		status, page := ask(t, h.Ready)
		if status != tt.status || page["status"] != tt.word {
			t.Errorf("ready is %v: %d %v", tt.ready, status, page["status"])
		}
		if live, _ := ask(t, h.Live); live != 200 {
			t.Errorf("ready is %v: live is %d", tt.ready, live)
		}
	}
}

func TestDetailed(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/bad" {
			w.WriteHeader(500)
		}
	}))
	defer srv.Close()
	sweeper := sweep.New()
	defer sweeper.Close()
	var conf config.Service
	conf.Targets = []string{srv.URL}
	conf.Timeouts.SetDefaults()
	conf.Connections.SetDefaults()
	conf.Limits.SetDefaults()
	conf.SetDefaults()
	s := &state{}
	for _, name := range []string{"auth", "crm"} {
		sv, err := upstream.New(name, conf, upstream.Deps{Buffers: &wire.Buffers{}, Sweeper: sweeper})
		if err != nil {
			t.Fatal(err)
		}
		sv.Start()
		defer sv.Close()
		s.services = append(s.services, sv)
	}
	tally := telemetry.NewTally(exchange.Reasons())
	for range 2 {
		refuse(tally, exchange.NoRoute)
	}
	observe(tally, exchange.BadPath)
	call(t, s.services[0].(*upstream.Service), "/good")
	call(t, s.services[0].(*upstream.Service), "/bad")

	h := health(s)
	h.Tally = tally
	status, page := ask(t, h.Detailed)
	if got, want := page["refusals"], map[string]any{"no_route": 2.0}; !reflect.DeepEqual(got, want) {
		t.Errorf("refusals are %v", got)
	}
	if got, want := page["observed"], map[string]any{"bad_path": 1.0}; !reflect.DeepEqual(got, want) {
		t.Errorf("observed are %v", got)
	}
	if status != 200 || page["status"] != "healthy" {
		t.Errorf("%d %v", status, page["status"])
	}
	services := page["services"].(map[string]any)
	quiet := services["crm"].(map[string]any)
	if !reflect.DeepEqual(quiet["targets"], []any{srv.Listener.Addr().String()}) || quiet["requests"] != 0.0 || quiet["failures"] != 0.0 || quiet["idleConnections"] != 0.0 ||
		quiet["lastFailureTime"] != nil || quiet["lastSuccessTime"] != nil || quiet["p50Ms"] != nil {
		t.Errorf("a service that nobody has called: %v", quiet)
	}
	busy := services["auth"].(map[string]any)
	stampIsGood(t, busy["lastFailureTime"])
	stampIsGood(t, busy["lastSuccessTime"])
	if busy["requests"] != 2.0 || busy["failures"] != 1.0 || busy["idleConnections"] != 1.0 || busy["lastFailure"] != nil {
		t.Errorf("%v", busy)
	}
}

func refuse(to *telemetry.Tally, r *exchange.Reason) { to.Add(&exchange.Exchange{Reason: r}) }

func observe(to *telemetry.Tally, r *exchange.Reason) {
	x := exchange.Exchange{Reason: r}
	x.Observe()
	to.Add(&x)
}

// A gateway that has refused nothing says so.
func TestNothingRefused(t *testing.T) {
	_, page := ask(t, health(&state{}).Detailed)
	for _, key := range []string{"refusals", "observed"} {
		if got, ok := page[key].(map[string]any); !ok || len(got) != 0 {
			t.Errorf("%s are %v", key, page[key])
		}
	}
}

func call(t *testing.T, sv *upstream.Service, path string) {
	t.Helper()
	var pool exchange.Pool
	x := pool.Get()
	x.Method, x.Out.Path, x.Now = "GET", path, time.Now()
	if r := sv.Forward(x); r != nil {
		t.Fatal(r)
	}
	_ = x.ResponseBody.Close()
	pool.Put(x)
}

// A failure to reach a service is named.
func TestLastFailure(t *testing.T) {
	sweeper := sweep.New()
	defer sweeper.Close()
	dead := httptest.NewServer(nil)
	dead.Close()
	sv, err := upstream.New("dead", config.Service{Targets: []string{dead.URL}, Timeouts: config.ServiceTimeouts{Connect: config.Duration(time.Second)}},
		upstream.Deps{Buffers: &wire.Buffers{}, Sweeper: sweeper})
	if err != nil {
		t.Fatal(err)
	}
	x := new(exchange.Pool).Get()
	x.Method, x.Out.Path, x.Now = "GET", "/", time.Now()
	if r := sv.Forward(x); r != exchange.ConnectFailed {
		t.Fatal(r)
	}
	_, page := ask(t, health(&state{services: []Service{sv}}).Detailed)
	if got := page["services"].(map[string]any)["dead"].(map[string]any)["lastFailure"]; got != "connect_failed" {
		t.Errorf("the last failure is %v", got)
	}
}

// The page says what the gateway refuses because it has too much to do itself, where it looks.
func TestOverloadIsShown(t *testing.T) {
	s := &state{ready: true}
	if _, page := ask(t, health(s).Detailed); page["overload"] != nil {
		t.Errorf("nobody looks, and %v is shown", page["overload"])
	}
	s.load = overload.State{Cause: overload.RunQueue, Share: 0.3001, RunQueue: 42500 * time.Microsecond, Refused: 7}
	_, page := ask(t, health(s).Detailed)
	want := map[string]any{"cause": "run queue", "share": 0.3, "runQueueMs": 42.5, "refused": 7.0}
	if !reflect.DeepEqual(page["overload"], want) {
		t.Errorf("got %v, want %v", page["overload"], want)
	}
	// It is a warning while requests are refused, and no more than that; an open breaker is.
	for _, tt := range []struct {
		share  float64
		state  string
		code   int
		status string
	}{{0.3, stateClosed, 200, "warning"}, {0.001, stateClosed, 200, "warning"}, {0, stateClosed, 200, "healthy"}, {0.3, stateHalfOpen, 200, "warning"}, {0.3, stateOpen, 503, "degraded"}} {
		s.load.Share, s.services = tt.share, []Service{with("s", tt.state, "enforce")}
		if code, page := ask(t, health(s).Detailed); code != tt.code || page["status"] != tt.status {
			t.Errorf("%+v: %d %v", tt, code, page["status"])
		}
		for name, p := range map[string]func(*exchange.Exchange){"live": health(s).Live, "ready": health(s).Ready} {
			if code, page := ask(t, p); code != 200 || page["status"] == "warning" {
				t.Errorf("%s: %d %v", name, code, page["status"])
			}
		}
	}
}

// The page tells which configuration runs, and what was refused since.
func TestConfiguration(t *testing.T) {
	h := health(&state{})
	if _, page := ask(t, h.Detailed); page["configuration"] != nil {
		t.Errorf("nobody knows, and it says %v", page["configuration"])
	}
	revision, refused := control.Revision{}, (*control.Refusal)(nil)
	h.Configuration = func() (control.Revision, *control.Refusal) { return revision, refused }
	if _, page := ask(t, h.Detailed); page["configuration"] != nil {
		t.Errorf("nothing runs, and it says %v", page["configuration"])
	}
	revision = control.Revision{ID: "abc", Since: time.Now().Add(-time.Minute), Cause: "start"}
	_, page := ask(t, h.Detailed)
	got := page["configuration"].(map[string]any)
	if got["revision"] != "abc" || got["cause"] != "start" || got["age"] != 60.0 || got["refused"] != nil {
		t.Errorf("%v", got)
	}
	if got["since"] != stamp(revision.Since) {
		t.Errorf("since %v", got["since"])
	}
	refused = &control.Refusal{At: time.Now(), Cause: "watch", Why: []string{"a", "b"}}
	_, page = ask(t, h.Detailed)
	got = page["configuration"].(map[string]any)["refused"].(map[string]any)
	if got["cause"] != "watch" || !reflect.DeepEqual(got["why"], []any{"a", "b"}) {
		t.Errorf("%v", got)
	}
	if _, page := ask(t, h.Live); page["configuration"] != nil {
		t.Error("the short page has it too")
	}
}
