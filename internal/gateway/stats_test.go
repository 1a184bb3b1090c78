package gateway

import (
	"log/slog"
	"net/http"
	"testing"
	"time"

	"yett/internal/exchange"
	"yett/internal/telemetry"
	"yett/internal/usage"
)

// counting has a gateway count, and returns its counters.
func counting(g *gate) *telemetry.Counters {
	c := telemetry.NewCounters(time.Now())
	s := g.Snapshot()
	g.Gateway = New(g, nil, slog.New(slog.DiscardHandler))
	g.Gateway.Count(c)
	g.Swap(s)
	return c
}

// finish serves an exchange and ends it, with a reason, which came late unless it is nil.
func (g *gate) finish(x *exchange.Exchange, late *exchange.Reason) {
	g.Serve(x)
	_ = x.ResponseBody.Close()
	if late != nil {
		x.Reason = late
	}
	g.Done(x)
	g.pool.Put(x)
}

// Every request is counted, with its route, whatever became of it.
func TestStats(t *testing.T) {
	g := start(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/app/500" {
			w.WriteHeader(500)
		}
	})
	c := counting(g)
	for _, path := range []string{"/app/x", "/app/500", "/nothing", "/page"} {
		g.finish(g.request("GET", path), nil)
	}
	g.finish(g.request("GET", "/app/x"), exchange.UpstreamCut)
	g.finish(g.request("GET", "/vip/x"), exchange.ClientGone)
	s := c.Stats(time.Now())
	if want := [6]uint64{2: 4, 4: 1, 5: 1}; s.Classes != want || s.Requests != 6 || s.Failed != 2 || s.Latency.Total() != 6 {
		t.Errorf("%+v", s)
	}
	want := []telemetry.RouteStats{{Name: telemetry.NoRoute, Requests: 1}, {Name: "app", Requests: 3, Failed: 2}, {Name: "exact"}, {Name: "page", Requests: 1}, {Name: "vip", Requests: 1}}
	sum := uint64(0)
	for i, r := range s.Routes {
		sum += r.Sum
		if r.Sum = 0; i >= len(want) || r != want[i] {
			t.Errorf("row %d: %+v", i, r)
		}
	}
	if sum != s.Latency.Sum || s.Quantile(1) <= 0 {
		t.Errorf("%d of %d ns", sum, s.Latency.Sum)
	}
	if last := g.records[len(g.records)-1]; last.Duration <= 0 {
		t.Errorf("the log says %v", last.Duration)
	}
}

// A preflight that a policy answers, and what is refused because there is too much to do, count
// for their route too.
func TestStatsOfOtherChains(t *testing.T) {
	g := start(t, ok)
	s := compile(t, g, "policies: {cors: {origins: [\"https://app.example\"]}}\n")
	c := telemetry.NewCounters(time.Now())
	g.Gateway = New(g, nil, slog.New(slog.DiscardHandler))
	g.Gateway.Count(c)
	g.Swap(s)
	x := g.request("OPTIONS", "/page")
	x.Request.Add("Origin", "https://app.example")
	x.Request.Add("Access-Control-Request-Method", "GET")
	g.finish(x, nil)
	busy := s.Routes()[0].Busy()
	y := g.request("GET", "/app/x")
	y.Status, y.Bound = 503, busy
	g.Done(y)
	g.pool.Put(y)
	for _, r := range c.Stats(time.Now()).Routes {
		if want := map[string]uint64{"app": 1, "page": 1}[r.Name]; r.Requests != want {
			t.Errorf("%+v, want %d", r, want)
		}
	}
}

// Routes keep their counts when the configuration is another one, also those in which a request
// ends that began before.
func TestStatsSurviveSwap(t *testing.T) {
	g := start(t, ok)
	c := counting(g)
	g.finish(g.request("GET", "/app/x"), nil)
	next := compile(t, g, "version: \"2\"\n")
	next.Start()
	defer next.Retire(nil)
	x := g.request("GET", "/app/x")
	g.Serve(x)
	before := g.Swap(next)
	_ = x.ResponseBody.Close()
	g.Done(x)
	g.pool.Put(x)
	g.finish(g.request("GET", "/app/x"), nil)
	g.Swap(before) // somebody takes it back
	g.finish(g.request("GET", "/app/x"), nil)
	for _, r := range c.Stats(time.Now()).Routes {
		if want := map[string]uint64{"app": 4}[r.Name]; r.Requests != want {
			t.Errorf("%+v, want %d", r, want)
		}
	}
}

// BenchmarkDone measures what counting costs, in time of the processor: that on the wall is shared
// with others.
func BenchmarkDone(b *testing.B) {
	g := start(b, ok)
	s := g.Snapshot()
	for _, tt := range []struct {
		name     string
		counters *telemetry.Counters
	}{{"uncounted", nil}, {"counted", telemetry.NewCounters(time.Now())}} {
		b.Run(tt.name, func(b *testing.B) {
			plain := New(nopRecorder{}, nil, slog.New(slog.DiscardHandler))
			if tt.counters != nil {
				plain.Count(tt.counters)
			}
			plain.Swap(s)
			r, _ := s.Match(g.request("GET", "/app/x"))
			b.ReportAllocs()
			before := usage.Self().CPU
			b.RunParallel(func(pb *testing.PB) {
				x := new(exchange.Exchange)
				x.Now, x.Status, x.Bound, x.BytesOut = time.Now(), 200, r, 100
				for pb.Next() {
					plain.Done(x)
				}
			})
			b.ReportMetric(float64(usage.Self().CPU-before)/float64(b.N), "cpu-ns/op")
		})
	}
}

// nopRecorder takes records, so that both ask the clock.
type nopRecorder struct{}

func (nopRecorder) Over(*exchange.Exchange, time.Duration) {}
