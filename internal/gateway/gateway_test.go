package gateway

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"yett/internal/catalog"
	"yett/internal/config"
	"yett/internal/exchange"
	"yett/internal/meter"
	"yett/internal/policy"
	"yett/internal/policy/policytest"
	"yett/internal/problem"
	"yett/internal/snapshot"
	"yett/internal/store/memory"
	"yett/internal/sweep"
	"yett/internal/telemetry"
	"yett/internal/upstream"
	"yett/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// gate is a Gateway, what it recorded, and what its policies saw.
type gate struct {
	*Gateway
	t       testing.TB
	target  string
	sweeper *sweep.Sweeper
	pool    exchange.Pool
	records []telemetry.Record
	mu      sync.Mutex
	trace   []string
}

// note adds a step to the trace. The service is another goroutine.
func (g *gate) note(step string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.trace = append(g.trace, step)
}

// Over implements Recorder.
func (g *gate) Over(x *exchange.Exchange, took time.Duration) {
	var kept telemetry.Record
	kept.Of(x, took)
	for _, s := range []*string{&kept.RequestID, &kept.Method, &kept.Path, &kept.Detail, &kept.Route, &kept.Service, &kept.User} {
		*s = strings.Clone(*s)
	}
	g.records = append(g.records, kept)
}

// page answers as a page of the gateway.
type page func(x *exchange.Exchange)

func (p page) Serve(x *exchange.Exchange) { p(x) }

const routes = `
listeners: [{address: "127.0.0.1:0"}]
services: {app: {targets: ["TARGET"]}}
routes:
  - {name: app, path: /app/**, auth: none, service: app, limits: {body: 10B}}
  - {name: vip, path: /vip/**, auth: none, service: app, priority: high}
  - {name: exact, path: /exact, auth: none, service: app, limits: {require_length: true, body: 0}}
  - {name: page, path: /page, methods: [GET], auth: none, endpoint: health}
`

// start makes a Gateway with a service that answers as handler says.
func start(t testing.TB, handler http.HandlerFunc) *gate {
	t.Helper()
	srv := httptest.NewServer(handler)
	t.Cleanup(srv.Close)
	sweeper := sweep.New()
	t.Cleanup(sweeper.Close)
	g := &gate{t: t, target: srv.URL, sweeper: sweeper}
	s := compile(t, g, "")
	s.Start()
	t.Cleanup(func() { s.Retire(nil) })
	g.Gateway = New(g, nil, slog.New(slog.DiscardHandler))
	if g.Swap(s) != nil {
		t.Error("there was a snapshot before the first")
	}
	return g
}

// compile makes a snapshot of routes, with more in front.
func compile(t testing.TB, g *gate, more string) *snapshot.Snapshot {
	t.Helper()
	conf, err := config.Parse("yett.yaml", []byte(more+strings.Replace(routes, "TARGET", g.target, 1)), nil)
	if err != nil {
		t.Fatal(err)
	}
	here := memory.New(memory.Options{})
	t.Cleanup(here.Close)
	counts := meter.New(meter.Options{Here: here, Log: slog.New(slog.DiscardHandler)})
	t.Cleanup(counts.Close)
	s, err := snapshot.Compile(conf, snapshot.Deps{
		Policy:   policy.Deps{Meter: counts},
		Upstream: upstream.Deps{Buffers: &wire.Buffers{}, Sweeper: g.sweeper},
		Endpoints: map[string]snapshot.Endpoint{"health": page(func(x *exchange.Exchange) {
			g.note("page")
			x.Status = 200
			x.ResponseBody.SetBytes([]byte("well"))
		})},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func ok(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok")) }

// use puts policies on every route, and where there is none.
func (g *gate) use(links ...policy.Policy) {
	var chain policy.Chain
	for _, p := range links {
		chain = append(chain, policy.Link{Kind: &policy.Kind{Name: "fake"}, Policy: p})
	}
	s := g.Snapshot()
	s.Nowhere().Chain = chain
	for _, path := range []string{"/app/x", "/exact", "/page"} {
		x := g.request("GET", path)
		r, refused := s.Match(x)
		if refused != nil {
			g.t.Fatal(refused)
		}
		r.Chain = chain
		g.pool.Put(x)
	}
}

// fake is a policy that notes what is done with it.
type fake struct {
	g        *gate
	name     string
	request  func(*exchange.Exchange) exchange.Verdict
	response func(*exchange.Exchange)
	end      func(*exchange.Exchange)
}

func (f *fake) Request(x *exchange.Exchange, s *exchange.Slot) exchange.Verdict {
	f.g.note("request " + f.name)
	s.Text = f.name
	if f.request != nil {
		return f.request(x)
	}
	return exchange.Continue
}

func (f *fake) Response(x *exchange.Exchange, s *exchange.Slot) {
	f.g.note("response " + f.name)
	if s.Text != f.name {
		f.g.t.Errorf("%s got the slot of %s", f.name, s.Text)
	}
	x.Response.Add("X-Seen", f.name)
	if f.response != nil {
		f.response(x)
	}
}

func (f *fake) End(x *exchange.Exchange, _ *exchange.Slot) {
	f.g.note("end " + f.name)
	if f.end != nil {
		f.end(x)
	}
}

// request makes an exchange as an engine does.
func (g *gate) request(method, path string) *exchange.Exchange {
	x := g.pool.Get()
	x.Method, x.RawPath, x.Host, x.Authority = method, path, "api.example", "api.example"
	x.Peer = netip.MustParseAddrPort("192.0.2.1:4711")
	x.Now = time.Now()
	return x
}

// answer is what became of an exchange.
type answer struct {
	status int
	reason string
	header string
	body   string
	record telemetry.Record
}

// serve takes an exchange through its life.
func (g *gate) serve(x *exchange.Exchange) answer {
	g.t.Helper()
	before := len(g.records)
	g.Serve(x)
	a := answer{status: x.Status}
	if x.Reason != nil {
		a.reason = x.Reason.Name
	}
	for _, f := range x.Response.Fields() {
		a.header += f.Name + ": " + f.Value + "\n"
	}
	b, err := x.ResponseBody.Buffer(1 << 20)
	if err != nil {
		g.t.Error(err)
	}
	a.body = string(b)
	_ = x.ResponseBody.Close()
	g.Done(x)
	if len(g.records) != before+1 {
		g.t.Fatalf("%d records for one exchange", len(g.records)-before)
	}
	a.record = g.records[before]
	g.pool.Put(x)
	return a
}

func (g *gate) wantTrace(want ...string) {
	g.t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	if !slices.Equal(g.trace, want) {
		g.t.Errorf("got  %q\nwant %q", g.trace, want)
	}
	g.trace = nil
}

func TestPhases(t *testing.T) {
	note := make(chan func(string), 1)
	g := start(t, func(w http.ResponseWriter, r *http.Request) {
		(<-note)("service " + r.URL.Path + " " + r.Header.Get("X-Gateway"))
		ok(w, r)
	})
	note <- g.note
	g.use(&fake{g: g, name: "a"}, &fake{g: g, name: "b"})
	a := g.serve(g.request("GET", "/app/../app/x"))
	g.wantTrace("request a", "request b", "service /app/x yett", "response b", "response a", "end b", "end a")
	if a.status != 200 || a.body != "ok" || !strings.Contains(a.header, "X-Seen: b\nX-Seen: a\n") {
		t.Errorf("%+v", a)
	}
	r := a.record
	if r.Route != "app" || r.Service != "app" || r.Path != "/app/../app/x" || r.Status != 200 || r.Reason != "" ||
		r.RequestID == "" || r.Attempts != 1 || r.Client != netip.MustParseAddr("192.0.2.1") {
		t.Errorf("%+v", r)
	}
	g.serve(g.request("GET", "/page"))
	g.wantTrace("request a", "request b", "page", "response b", "response a", "end b", "end a")
}

// A policy that replies ends the way down. Those behind it never hear of the
// exchange.
func TestReply(t *testing.T) {
	quota := &exchange.Reason{Name: "quota", Code: "QUOTA", Status: 429, Message: "too much"}
	g := start(t, ok)
	g.use(&fake{g: g, name: "a"}, &fake{g: g, name: "b", request: func(x *exchange.Exchange) exchange.Verdict { return x.Refuse(quota) }}, &fake{g: g, name: "c"})
	a := g.serve(g.request("GET", "/app/x"))
	g.wantTrace("request a", "request b", "response b", "response a", "end b", "end a")
	if a.status != 429 || a.record.Reason != "quota" || a.record.Attempts != 0 {
		t.Errorf("%+v", a)
	}
	g.use(&fake{g: g, name: "a", request: func(x *exchange.Exchange) exchange.Verdict {
		x.Status = 204
		return exchange.Reply
	}})
	if a := g.serve(g.request("GET", "/app/x")); a.status != 204 || a.body != "" || a.reason != "" {
		t.Errorf("%+v", a)
	}
}

// Whatever is refused passes the global policies: by the engine, for its path,
// by the routes.
func TestRefusedPassesPolicies(t *testing.T) {
	tests := []struct {
		name   string
		change func(*exchange.Exchange)
		status int
		reason string
	}{
		{"engine", func(x *exchange.Exchange) { x.RefuseWith(exchange.BadHost, "no host") }, 400, "bad_host"},
		{"path", func(x *exchange.Exchange) { x.RawPath = "/%zz" }, 400, "bad_path"},
		{"no route", func(x *exchange.Exchange) { x.RawPath = "/nothing" }, 404, "no_route"},
		{"method", func(x *exchange.Exchange) { x.RawPath, x.Method = "/page", "PUT" }, 405, "method_not_allowed"},
	}
	g := start(t, ok)
	g.use(&fake{g: g, name: "a"})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			x := g.request("GET", "/app/x")
			tt.change(x)
			a := g.serve(x)
			g.wantTrace("request a", "response a", "end a")
			if a.status != tt.status || a.record.Reason != tt.reason || a.record.Status != tt.status || !strings.Contains(a.header, "X-Seen: a\n") {
				t.Errorf("%+v", a)
			}
			if (tt.status == 405) != strings.Contains(a.header, "Allow: GET, HEAD\n") {
				t.Errorf("header is %q", a.header)
			}
		})
	}
	// A policy may refuse what was to be refused anyway, for a reason of its own.
	g.use(&fake{g: g, name: "a", request: func(x *exchange.Exchange) exchange.Verdict { return x.Refuse(exchange.ShuttingDown) }})
	if a := g.serve(g.request("GET", "/nothing")); a.status != 503 || a.record.Reason != "shutting_down" {
		t.Errorf("%+v", a)
	}
}

// A policy may answer what no route serves, but nothing that could not be read.
func TestAnswerToRefused(t *testing.T) {
	g := start(t, ok)
	g.use(&fake{g: g, name: "a", request: func(x *exchange.Exchange) exchange.Verdict {
		x.Status = 204
		return exchange.Reply
	}})
	for path, want := range map[string]string{"/nothing": "204 ", "/%zz": "400 bad_path"} {
		if a := g.serve(g.request("GET", path)); fmt.Sprint(a.status, " ", a.record.Reason) != want {
			t.Errorf("%s: %d %s, want %s", path, a.status, a.record.Reason, want)
		}
	}
	x := g.request("GET", "/app/x")
	x.RefuseWith(exchange.BadHost, "no host")
	a := g.serve(x)
	if a.status != 400 || a.record.Reason != "bad_host" || a.record.Detail != "no host" || !strings.Contains(a.body, "BAD_REQUEST") || !strings.Contains(a.header, "X-Seen: a\n") {
		t.Errorf("%+v", a)
	}
}

// A challenge of whoever refuses is a field of the answer.
func TestChallenge(t *testing.T) {
	g := start(t, ok)
	noToken := &exchange.Reason{Name: "no_token", Code: "NO_TOKEN", Status: 401, Message: "m"}
	g.use(&fake{g: g, name: "a", request: func(x *exchange.Exchange) exchange.Verdict {
		x.Challenge = `Bearer realm="yett"`
		return x.Refuse(noToken)
	}})
	if a := g.serve(g.request("GET", "/app/x")); !strings.Contains(a.header, "WWW-Authenticate: Bearer realm=\"yett\"\n") {
		t.Errorf("%+v", a)
	}
	if a := g.serve(g.request("GET", "/app/x")); strings.Count(a.header, "WWW-Authenticate") != 1 {
		t.Errorf("the next one: %+v", a)
	}
}

func TestAdmit(t *testing.T) {
	chunks := func(size int64) func(*exchange.Exchange) {
		return func(x *exchange.Exchange) {
			x.RequestBody.SetSource(&stream{strings.NewReader(strings.Repeat("x", 11))}, size)
		}
	}
	whole := func(n int) func(*exchange.Exchange) {
		return func(x *exchange.Exchange) { x.RequestBody.SetBytes(make([]byte, n)) }
	}
	tests := []struct {
		name, path string
		change     func(*exchange.Exchange)
		want       string
	}{
		{"no body", "/app/x", whole(0), ""},
		{"at the limit", "/app/x", whole(10), ""},
		{"beyond", "/app/x", whole(11), "body_too_large"},
		{"announced beyond", "/app/x", chunks(11), "body_too_large"},
		{"chunks beyond", "/app/x", chunks(-1), "body_too_large"},
		{"listener's limit", "/page", func(x *exchange.Exchange) { x.BodyLimit = 5; whole(6)(x) }, "body_too_large"},
		{"route says without limit", "/exact", func(x *exchange.Exchange) { x.BodyLimit = 5; whole(600)(x) }, ""},
		{"length required", "/exact", chunks(-1), "length_required"},
		{"length is there", "/exact", chunks(11), ""},
	}
	g := start(t, func(w http.ResponseWriter, r *http.Request) {
		for _, err := r.Body.Read(make([]byte, 100)); err == nil; _, err = r.Body.Read(make([]byte, 100)) {
		}
		ok(w, r)
	})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			method := "POST"
			if tt.path == "/page" {
				method = "GET"
			}
			x := g.request(method, tt.path)
			tt.change(x)
			if a := g.serve(x); a.record.Reason != tt.want || (tt.want == "") != (a.status == 200) {
				t.Errorf("%d %q", a.status, a.record.Reason)
			}
		})
	}
}

// stream is a body that comes bit by bit.
type stream struct{ *strings.Reader }

func (*stream) Close() error { return nil }

// The error shape is JSON for every reason that there is.
func TestShape(t *testing.T) {
	g := start(t, ok)
	for _, reason := range catalog.Reasons() {
		for _, id := range []string{"", "0190a0b1-0000-4000-8000-000000000000"} {
			g.use(&fake{g: g, name: "a", request: func(x *exchange.Exchange) exchange.Verdict {
				x.RequestID = id
				x.Response.Add("X-Forgotten", "a")
				return x.Refuse(reason)
			}})
			a := g.serve(g.request("GET", "/app/x"))
			var got struct {
				Error struct {
					Code, Message, Timestamp string
					Status                   int
					RequestID                string `json:"request_id"`
				}
			}
			if err := json.Unmarshal([]byte(a.body), &got); err != nil {
				t.Errorf("%s: %v in %s", reason.Name, err, a.body)
				continue
			}
			e := got.Error
			want := fmt.Sprintf(`{"error":{"code":%q,"message":%q,"status":%d,"timestamp":%q,"request_id":%q}}`,
				reason.Code, reason.Message, reason.Status, e.Timestamp, a.record.RequestID)
			if a.body != want || a.status != reason.Status || a.record.Status != reason.Status || a.record.Reason != reason.Name {
				t.Errorf("%s: got  %s\nwant %s", reason.Name, a.body, want)
			}
			if len(a.record.RequestID) != 36 || id != "" && a.record.RequestID != id {
				t.Errorf("%s: the request ID is %q", reason.Name, a.record.RequestID)
			}
			if at, err := time.Parse("2006-01-02T15:04:05.000Z", e.Timestamp); err != nil || time.Since(at).Abs() > time.Minute {
				t.Errorf("%s: the time is %q", reason.Name, e.Timestamp)
			}
			if !strings.HasPrefix(a.header, "Content-Type: application/json; charset=utf-8\nCache-Control: no-store\n") || strings.Contains(a.header, "X-Forgotten") {
				t.Errorf("%s: header is %q", reason.Name, a.header)
			}
		}
	}
}

func TestRetryAfter(t *testing.T) {
	for _, tt := range []struct {
		reason *exchange.Reason
		inBody bool
	}{{exchange.PoolExhausted, true}, {&exchange.Reason{Name: "quota", Code: "QUOTA", Status: 429, Message: "m"}, false}} {
		g := start(t, ok)
		g.use(&fake{g: g, name: "a", request: func(x *exchange.Exchange) exchange.Verdict {
			x.RetryAfter = 17
			return x.Refuse(tt.reason)
		}})
		a := g.serve(g.request("GET", "/app/x"))
		if !strings.Contains(a.header, "Retry-After: 17\n") || strings.Contains(a.body, `,"retryAfter":17}}`) != tt.inBody {
			t.Errorf("%s: %q %s", tt.reason.Name, a.header, a.body)
		}
	}
}

func TestServiceDown(t *testing.T) {
	g := start(t, ok)
	g.use(&fake{g: g, name: "a"})
	dead, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = dead.Close()
	s, err := upstream.New("dead", config.Service{Targets: []string{"http://" + dead.Addr().String()},
		Timeouts: config.ServiceTimeouts{Connect: config.Duration(time.Second)}}, upstream.Deps{Buffers: &wire.Buffers{}})
	if err != nil {
		t.Fatal(err)
	}
	x := g.request("GET", "/app/x")
	r, _ := g.Snapshot().Match(x)
	r.Service = s
	a := g.serve(x)
	g.wantTrace("request a", "response a", "end a")
	if a.status != 502 || a.record.Reason != "connect_failed" || a.record.Service != "dead" || strings.Contains(a.body, "127.0.0.1") {
		t.Errorf("%+v", a)
	}
}

// A fault of a policy, in whatever phase, is an answer of 500 with the other
// policies' headers, one record, and nothing else.
func TestFault(t *testing.T) {
	bad := func(*exchange.Exchange) { panic("a fault") }
	for name, f := range map[string]*fake{
		"request": {request: func(*exchange.Exchange) exchange.Verdict { panic("a fault") }},
		"page":    {},
		"end":     {end: bad},
	} {
		t.Run(name, func(t *testing.T) {
			g := start(t, ok)
			f.g, f.name = g, "b"
			g.use(&fake{g: g, name: "a"}, f)
			x := g.request("GET", "/page")
			if name == "page" {
				r, _ := g.Snapshot().Match(x)
				before := r.Endpoint
				r.Endpoint = page(func(*exchange.Exchange) { panic("a fault") })
				defer func() { r.Endpoint = before }()
			}
			a := g.serve(x)
			if name == "end" {
				if a.status != 200 || a.record.Status != 200 {
					t.Errorf("%+v", a)
				}
				return
			}
			if a.status != 500 || a.reason != "internal" || !strings.Contains(a.body, `"code":"INTERNAL_SERVER_ERROR"`) ||
				!strings.Contains(a.header, "X-Seen: a\n") || a.record.RequestID == "" || !strings.Contains(a.body, a.record.RequestID) {
				t.Errorf("%+v", a)
			}
		})
	}
	t.Run("response", func(t *testing.T) {
		g := start(t, ok)
		g.use(&fake{g: g, name: "a"}, &fake{g: g, name: "b", response: bad})
		a := g.serve(g.request("GET", "/app/x"))
		if a.status != 500 || a.reason != "internal" || !strings.Contains(a.body, "INTERNAL_SERVER_ERROR") || !strings.Contains(a.header, "X-Seen: a\n") {
			t.Errorf("%+v", a)
		}
		g.use(&fake{g: g, name: "b", response: bad, request: func(x *exchange.Exchange) exchange.Verdict {
			x.Details = `[{"in":"body","pointer":"","message":"is missing"}]`
			return x.Refuse(exchange.BadPath)
		}})
		if a := g.serve(g.request("GET", "/app/x")); a.status != 500 || strings.Contains(a.body, "details") {
			t.Errorf("instead of a refusal: %+v", a)
		}
		g.use(&fake{g: g, name: "a"})
		if a := g.serve(g.request("GET", "/app/x")); a.status != 200 || a.body != "ok" {
			t.Errorf("the next one: %+v", a)
		}
	})
}

// tunnel notes that it was closed.
type tunnel struct {
	exchange.Tunnel
	closed bool
}

func (t *tunnel) Close() error {
	t.closed = true
	return nil
}

// A fault does not leave a tunnel's connection behind.
func TestFaultClosesTunnel(t *testing.T) {
	var up tunnel
	g := start(t, ok)
	g.use(&fake{g: g, name: "a", response: func(x *exchange.Exchange) {
		if x.Tunnel != nil {
			panic("a fault")
		}
	}})
	x := g.request("GET", "/page")
	r, _ := g.Snapshot().Match(x)
	r.Endpoint = page(func(x *exchange.Exchange) { x.Status, x.Tunnel = 101, &up })
	if a := g.serve(x); a.status != 500 || !up.closed {
		t.Errorf("%d, closed: %v", a.status, up.closed)
	}
}

// Who does not say what the answer is has not answered.
func TestNoStatus(t *testing.T) {
	g := start(t, ok)
	g.use(&fake{g: g, name: "a", request: func(*exchange.Exchange) exchange.Verdict { return exchange.Reply }})
	if a := g.serve(g.request("GET", "/app/x")); a.status != 500 || a.reason != "internal" {
		t.Errorf("%+v", a)
	}
}

// Exchanges that run keep the snapshot with which they began.
func TestSwap(t *testing.T) {
	g := start(t, ok)
	other := start(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("new")) })
	before, next := g.Snapshot(), other.Snapshot()
	g.use(&fake{g: g, name: "a", request: func(*exchange.Exchange) exchange.Verdict {
		if g.Swap(next) != before {
			t.Error("Swap did not return what was before")
		}
		return exchange.Continue
	}})
	if a := g.serve(g.request("GET", "/app/x")); a.body != "ok" {
		t.Errorf("got %q", a.body)
	}
	g.wantTrace("request a", "response a", "end a")
	if a := g.serve(g.request("GET", "/app/x")); a.body != "new" || g.trace != nil {
		t.Errorf("got %q, %q", a.body, g.trace)
	}
}

// probation is a policy that only watches: what it would refuse passes, is in
// the log and is counted.
type probation struct{ Mode policy.Mode }

func (probation) PolicyMode() policy.Mode { return policy.Observe }

func TestObserved(t *testing.T) {
	quota := &exchange.Reason{Name: "quota", Code: "QUOTA", Status: 429, Message: "m", Help: "h"}
	g := start(t, ok)
	tally := telemetry.NewTally([]*exchange.Reason{quota, exchange.NoRoute})
	g.tally = tally
	refusing := &fake{g: g, name: "a", request: func(x *exchange.Exchange) exchange.Verdict {
		x.RetryAfter = 7
		return x.RefuseWith(quota, "11 of 10")
	}}
	kind := policy.Define("fake", func() probation { return probation{} },
		func(probation, policy.Deps) (policy.Policy, problem.List) { return refusing, nil }, quota)
	watching := policytest.Build(t, kind, "")
	g.use(watching)
	for range 2 {
		a := g.serve(g.request("GET", "/app/x"))
		g.wantTrace("request a", "response a", "end a")
		if a.status != 200 || a.body != "ok" || a.reason != "" || strings.Contains(a.header, "Retry-After") {
			t.Errorf("%+v", a)
		}
		if r := a.record; r.Observed != "quota: 11 of 10" || r.Reason != "" || r.Detail != "" || r.Failed {
			t.Errorf("%+v", r)
		}
	}
	g.use(watching, &fake{g: g, name: "b", request: func(x *exchange.Exchange) exchange.Verdict { return x.Refuse(quota) }})
	if a := g.serve(g.request("GET", "/app/x")); a.status != 429 || a.record.Observed != "quota: 11 of 10" || a.record.Reason != "quota" {
		t.Errorf("%+v", a)
	}
	g.use(watching, watching)
	if a := g.serve(g.request("GET", "/nothing")); a.status != 404 || a.record.Observed != "quota: 11 of 10; quota: 11 of 10" {
		t.Errorf("%+v", a)
	}
	refused, observed := tally.Counts()
	if want := map[string]int64{"quota": 1, "no_route": 1}; !maps.Equal(refused, want) {
		t.Errorf("refused: %v", refused)
	}
	if want := map[string]int64{"quota": 5}; !maps.Equal(observed, want) {
		t.Errorf("observed: %v", observed)
	}
}

// What failed is told from what the client did.
func TestFailed(t *testing.T) {
	g := start(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/app/500" {
			w.WriteHeader(500)
		}
	})
	for _, tt := range []struct {
		path  string
		later *exchange.Reason // how the exchange ends after its answer's head
		want  bool
	}{
		{"/app/x", nil, false}, {"/nothing", nil, false}, {"/app/500", nil, true},
		{"/app/x", exchange.UpstreamCut, true}, {"/app/x", exchange.ClientGone, false}, {"/app/x", exchange.WriteTimeout, false},
	} {
		x := g.request("GET", tt.path)
		g.Serve(x)
		_ = x.ResponseBody.Close()
		if tt.later != nil {
			x.Reason = tt.later
		}
		g.Done(x)
		g.pool.Put(x)
		if r := g.records[len(g.records)-1]; r.Failed != tt.want {
			t.Errorf("%s, %v: failed is %v", tt.path, tt.later, r.Failed)
		}
	}
}

// A life of an exchange, counted and with its line in the log, allocates nothing.
func TestNoAllocation(t *testing.T) {
	if raceDetector {
		t.Skip("allocations can't be counted under the race detector")
	}
	g := start(t, ok)
	discard, err := telemetry.NewAccessLog(telemetry.ToStream(io.Discard), telemetry.Options{Flush: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	logs := &telemetry.Logs{All: discard, Errors: discard}
	defer logs.Close()
	g.Record(logs)
	g.Count(telemetry.NewCounters(time.Now()))
	r, _ := g.Snapshot().Match(g.request("GET", "/page"))
	r.Endpoint = page(func(x *exchange.Exchange) { x.Status = 500 })
	if n := testing.AllocsPerRun(1000, func() {
		x := g.request("GET", "/page")
		g.Serve(x)
		g.Done(x)
		g.pool.Put(x)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Without a recorder nothing is recorded, and nothing breaks.
func TestNoRecorder(t *testing.T) {
	g := start(t, ok)
	plain := New(nil, nil, slog.New(slog.DiscardHandler))
	plain.Swap(g.Snapshot())
	x := g.request("GET", "/nothing")
	plain.Serve(x)
	plain.Done(x)
	if x.Status != 404 {
		t.Errorf("got %d", x.Status)
	}
}
