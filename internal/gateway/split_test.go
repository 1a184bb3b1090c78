package gateway

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"reflect"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"yett/internal/config"
	"yett/internal/exchange"
	"yett/internal/snapshot"
	"yett/internal/sweep"
	"yett/internal/telemetry"
	"yett/internal/upstream"
	"yett/internal/wire"
)

// server is a service of the standard library's.
func server(t testing.TB, handler http.HandlerFunc) string {
	t.Helper()
	srv := httptest.NewServer(handler)
	t.Cleanup(srv.Close)
	return srv.URL
}

// says answers with one word.
func says(word string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(word)) }
}

// shared makes a Gateway with services main and next, and the routes that follow. What else
// main is to have comes last.
func shared(t testing.TB, main, next, routes string, more ...string) *gate {
	t.Helper()
	sweeper := sweep.New()
	t.Cleanup(sweeper.Close)
	g := &gate{t: t, sweeper: sweeper}
	conf, err := config.Parse("yett.yaml", []byte(fmt.Sprintf(`
listeners: [{address: "127.0.0.1:0"}]
services:
  main: {%s}
  next: {targets: [%q], host: client}
routes:
%s`, strings.Join(append([]string{fmt.Sprintf("targets: [%q]", main)}, more...), ", "), next, routes)), nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := snapshot.Compile(conf, snapshot.Deps{Upstream: upstream.Deps{Buffers: &wire.Buffers{}, Sweeper: g.sweeper}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Retire(nil) })
	g.Gateway = New(g, nil, slog.New(slog.DiscardHandler))
	g.Swap(s)
	return g
}

// from makes a request of a client.
func (g *gate) from(i int) *exchange.Exchange {
	x := g.request("GET", "/x")
	x.Peer = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}), 4711)
	return x
}

// The same caller always gets the same service, the log says which one, and a walk says the
// same without asking anybody.
func TestSplit(t *testing.T) {
	g := shared(t, server(t, says("main")), server(t, says("next")), `  - {name: app, path: /**, auth: none, service: main, split: {to: {next: 30%}, by: client}}`)
	got := map[string]int{}
	for i := range 200 {
		a := g.serve(g.from(i))
		got[a.body]++
		if a.status != 200 || a.record.Service != a.body || a.record.Route != "app" {
			t.Fatalf("%+v", a)
		}
		if again := g.serve(g.from(i)); again.body != a.body {
			t.Errorf("client %d got %s, then %s", i, a.body, again.body)
		}
		w := g.walk(g.from(i))
		want := &Split{Shares: []Share{{"next", "30%"}, {"main", "70%"}}, By: []string{"client"}, Bound: true}
		if w.Answers.Name != a.body || !reflect.DeepEqual(w.Split, want) {
			t.Fatalf("client %d got %s, the walk says %+v, %+v", i, a.body, w.Answers, w.Split)
		}
		if host := w.Sent.Fields[0].Value; (host == "api.example") != (a.body == "next") {
			t.Fatalf("the host for %s is %s", a.body, host)
		}
	}
	if got["main"]+got["next"] != 200 || got["next"] < 30 || got["next"] > 90 {
		t.Errorf("%v", got)
	}
}

// Without a key it is chance, and a walk shows what most get.
func TestSplitByChance(t *testing.T) {
	g := shared(t, server(t, says("main")), server(t, says("next")), `  - {name: app, path: /**, auth: none, service: main, split: {to: {next: 60%}, by: header.X-Tester}}`)
	got := map[string]int{}
	for range 200 {
		got[g.serve(g.from(1)).body]++
		if w := g.walk(g.from(1)); w.Answers.Name != "next" || w.Split.Bound {
			t.Fatalf("%+v, %+v", w.Answers, w.Split)
		}
	}
	if got["main"] < 40 || got["next"] < 80 || got["main"]+got["next"] != 200 {
		t.Errorf("%v", got)
	}
}

// The mirror gets what the service gets, after policies and rewriting; the client gets what
// the service says.
func TestMirror(t *testing.T) {
	seen := make(chan string, 2)
	tell := func(answer http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			seen <- fmt.Sprint(r.Method, " ", r.RequestURI, " ", r.Header, " ", string(body))
			answer(w, r)
		}
	}
	g := shared(t, server(t, tell(says("main"))), server(t, tell(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Set-Cookie", "a=1")
		w.WriteHeader(500)
	})), `  - {name: app, path: /app/**, auth: none, service: main, mirror: {service: next}, forward: {replace: "/v2/{**}", host: own.example}}`)
	x := g.request("POST", "/app/x")
	x.Query, x.HasQuery = "q=1", true
	x.Request.Add("X-User-ID", "u-1")
	x.Request.Add("Connection", "X-Hop")
	x.Request.Add("X-Hop", "1")
	x.RequestBody.SetBytes([]byte("body"))
	a := g.serve(x)
	first, second := <-seen, <-seen
	if first != second || !strings.Contains(first, "POST /v2/x?q=1 ") || !strings.Contains(first, "X-Forwarded-For:[192.0.2.1]") || !strings.Contains(first, "X-Gateway:[yett]") || strings.Contains(first, "X-Hop") {
		t.Errorf("%s\n%s", first, second)
	}
	if a.status != 200 || a.body != "main" || strings.Contains(a.header, "Cookie") || a.record.Service != "main" || a.record.Attempts != 1 || a.record.Failed {
		t.Errorf("%+v", a)
	}
	main, next := g.Snapshot().Services()[0].Stats(), g.Snapshot().Services()[1].Stats()
	if main.Requests != 1 || main.Failures != 0 || next.Requests > 1 {
		t.Errorf("%+v\n%+v", main, next)
	}
	g.Snapshot().Mirrors()[0].Close()
	if got := g.Snapshot().Mirrors()[0].Stats(); got != (upstream.MirrorStats{Sent: 1, Failed: 1}) && got != (upstream.MirrorStats{Sent: 1}) {
		t.Errorf("%+v", got)
	}
}

// The client whose body breaks off gets the answer that it would get without a mirror.
func TestMirrorOfBrokenBody(t *testing.T) {
	for _, mirror := range []string{"", ", mirror: {service: next}"} {
		use := `  - {name: use, path: /use, auth: none, service: next}` + "\n"
		g := shared(t, server(t, says("main")), server(t, says("next")), use+`  - {name: app, path: /**, auth: none, service: main`+mirror+`}`)
		x := g.request("POST", "/x")
		x.RequestBody.SetSource(&breaking{}, 5)
		a := g.serve(x)
		if a.status != 400 || a.reason != "truncated_body" || a.record.Service != "main" || a.record.Attempts != 0 {
			t.Errorf("%q: %+v", mirror, a)
		}
	}
}

// What the breaker or the bound of the service refuses is not copied.
func TestMirrorOfWhatIsRefused(t *testing.T) {
	var copies atomic.Int32
	next := server(t, func(http.ResponseWriter, *http.Request) { copies.Add(1) })
	hold := make(chan struct{})
	arrived := make(chan struct{}, 1)
	main := server(t, func(w http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		<-hold
	})
	g := shared(t, main, next, `  - {name: app, path: /**, auth: none, service: main, mirror: {service: next}}`,
		"breaker: {fallback: {status: 203}}, concurrency: {max: 1, queue: 0}")
	m := g.Snapshot().Mirrors()[0]
	x, served := g.request("POST", "/x"), make(chan struct{})
	go func() {
		defer close(served)
		g.Serve(x)
	}()
	<-arrived
	if a := g.serve(g.request("POST", "/x")); a.reason != "service_overloaded" || m.Stats().Sent != 0 {
		t.Errorf("%+v, %+v", a, m.Stats())
	}
	close(hold)
	<-served
	if x.Status != 200 || m.Stats().Sent != 1 {
		t.Errorf("%d, %+v", x.Status, m.Stats())
	}
	g.Done(x)
	g.pool.Put(x)
	g.Snapshot().Services()[0].SetBreaker("open", time.Time{}, "ann")
	if a := g.serve(g.request("POST", "/x")); a.status != 203 || m.Stats().Sent != 1 {
		t.Errorf("%+v, %+v", a, m.Stats())
	}
	m.Close()
	if n := copies.Load(); n > 1 {
		t.Errorf("%d copies", n)
	}
}

// breaking is a body that breaks off, and can't be asked twice why.
type breaking struct{ asked bool }

func (*breaking) Read([]byte) (int, error) { return 0, exchange.Internal }
func (*breaking) Close() error             { return nil }

func (b *breaking) Gather() ([]byte, bool, error) {
	if b.asked {
		return nil, false, exchange.Internal
	}
	b.asked = true
	return nil, false, exchange.TruncatedBody
}

// A mirror that is down, slow or broken changes nothing for the client, and holds a bounded
// number of goroutines and a bounded amount of memory.
func TestBadMirrorIsHarmless(t *testing.T) {
	dead, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = dead.Close()
	over := make(chan struct{})
	var once atomic.Bool
	end := func() {
		if !once.Swap(true) {
			close(over)
		}
	}
	mirrors := map[string]string{
		"down":  "http://" + dead.Addr().String(),
		"slow":  server(t, func(http.ResponseWriter, *http.Request) { <-over }),
		"fails": server(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }),
		"endless": server(t, func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				_, _ = w.Write(make([]byte, 1<<16))
			}
		}),
	}
	t.Cleanup(end) // before the servers close, which wait for their handlers
	for name, next := range mirrors {
		t.Run(name, func(t *testing.T) {
			g := shared(t, server(t, says("main")), next, `  - {name: app, path: /**, auth: none, service: main, mirror: {service: next, max: 8}}`)
			body := make([]byte, 60<<10)
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			goroutines := runtime.NumGoroutine()
			start := time.Now()
			for range 500 {
				x := g.request("POST", "/x")
				x.RequestBody.SetBytes(body)
				if a := g.serve(x); a.status != 200 || a.body != "main" || a.record.Service != "main" || a.record.Detail != "" {
					t.Fatalf("%+v", a)
				}
			}
			took := time.Since(start)
			stats := g.Snapshot().Mirrors()[0].Stats()
			runtime.GC()
			runtime.ReadMemStats(&after)
			if stats.InFlight > 8 || stats.Sent+stats.LeftOut != 500 || name == "slow" && stats.Sent != 8 {
				t.Errorf("%+v", stats)
			}
			if n := runtime.NumGoroutine() - goroutines; n > 100 { // with those of both services
				t.Errorf("%d goroutines more", n)
			}
			if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 16<<20 { // all bodies are 30 MB
				t.Errorf("%d bytes more", grown)
			}
			if took > limit {
				t.Errorf("500 requests took %v", took)
			}
			main := g.Snapshot().Services()[0].Stats()
			if main.Requests != 500 || main.Failures != 0 {
				t.Errorf("%+v", main)
			}
			closing := time.Now()
			g.Snapshot().Mirrors()[0].Close()
			if took := time.Since(closing); took > limit {
				t.Errorf("closing took %v", took)
			}
		})
	}
}

// limit is more than anything here takes that waits for nobody.
const limit = 20 * time.Second

// A walk says where copies go, and whether this request has one.
func TestWalkMirror(t *testing.T) {
	var called atomic.Int32
	g := shared(t, server(t, func(http.ResponseWriter, *http.Request) { called.Add(1) }), server(t, func(http.ResponseWriter, *http.Request) { called.Add(1) }),
		`  - {name: app, path: /**, auth: none, service: main, priority: high, mirror: {service: next, share: 10%, methods: [GET]}}`)
	for method, not := range map[string]string{"GET": "", "POST": "the method is not copied"} {
		w := g.walk(g.request(method, "/x"))
		want := &Mirror{Service: "next", Share: "10%", Methods: []string{"GET", "HEAD"}, Not: not}
		if !reflect.DeepEqual(w.Mirror, want) || w.Split != nil || w.Route.Priority != "high" {
			t.Errorf("%+v, route %+v", w.Mirror, w.Route)
		}
	}
	if called.Load() != 0 {
		t.Error("the walk has called a service")
	}
}

// The line in the access log says that a fallback has answered, and for whom.
func TestFallbackIsLogged(t *testing.T) {
	for more, want := range map[string]string{
		"breaker: {fallback: {status: 203}}":    `"service":"main","status":203,"detail":"fallback: the breaker of main is open"`,
		"breaker: {fallback: {service: next}}":  `"status":200,"detail":"fallback: the breaker of main is open"`,
		"breaker: {fallback: {service: spare}}": `"service":"spare","status":503,"reason":"breaker_open",`,
	} {
		g := shared(t, server(t, says("main")), server(t, says("next")), "  - {name: app, path: /**, auth: none, service: main}\n  - {name: next, path: /next, auth: none, service: next}\n  - {name: spare, path: /spare, auth: none, service: spare}\n",
			more+"}\n  spare: {targets: ['http://127.0.0.1:1']")
		var out bytes.Buffer
		log, err := telemetry.NewAccessLog(telemetry.ToStream(&out), telemetry.Options{})
		if err != nil {
			t.Fatal(err)
		}
		g.Record(&telemetry.Logs{All: log})
		for _, sv := range g.Snapshot().Services() {
			if sv.Name() != "next" {
				sv.SetBreaker("open", time.Time{}, "ann")
			}
		}
		x := g.request("GET", "/x")
		g.Serve(x)
		_ = x.ResponseBody.Close()
		g.Done(x)
		g.pool.Put(x)
		if err := log.Close(); err != nil {
			t.Error(err)
		}
		if !strings.Contains(out.String(), want) {
			t.Errorf("%s\n%swant %s", more, out.String(), want)
		}
	}
}
