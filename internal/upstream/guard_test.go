package upstream

import (
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"yett/internal/config"
	"yett/internal/exchange"
	"yett/internal/upstream/breaker"
)

const (
	broken    = "HTTP/1.1 500 Oops\nContent-Length: 2\n\nno"
	busy      = "HTTP/1.1 503 Busy\nContent-Length: 4\n\nbusy"
	notThere  = "HTTP/1.1 404 No\nContent-Length: 2\n\nno"
	truncated = "HTTP/1.1 200 OK\nContent-Length: 10\n\nhalf"
)

// guarded gives a service a breaker that opens after so many failures in a row,
// and nothing else that would blur what a test sees.
func guarded(failures int) func(*setup) {
	return func(s *setup) {
		s.conf.Breaker.SetDefaults()
		s.conf.Breaker.ConsecutiveFailures, s.conf.Breaker.FailureRatio = failures, 0
	}
}

// script answers with what is first in line, and goes on with the last.
type script struct {
	answers atomic.Pointer[string]
	heads   atomic.Int64
}

func (s *script) say(answer string) { s.answers.Store(&answer) }

// origin answers every request with what was said last: "" hangs up, "silence"
// says nothing.
func (s *script) origin(t testing.TB, first string) string {
	s.say(first)
	return origin(t, func(p *peer) {
		for p.head() != "" {
			s.heads.Add(1)
			switch a := *s.answers.Load(); a {
			case "":
				return
			case "silence":
				<-p.over
			default:
				p.send(a)
				if a == truncated {
					return
				}
			}
		}
	})
}

// unused is an address on which nobody listens.
func unused(t testing.TB) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return "http://" + ln.Addr().String()
}

func (f *fixture) state() string { return f.Stats().Breaker.State }

func (f *fixture) times(n int, want string) {
	f.t.Helper()
	for range n {
		f.want(f.get(), want)
	}
}

// While the breaker is open nothing reaches the service, and callers are told
// when to come back (D17, D23).
func TestOpenReachesNobodyD17(t *testing.T) {
	var s script
	f := service(t, s.origin(t, broken), guarded(5))
	f.times(5, "500 no")
	f.want(f.state(), "OPEN")
	for range 1000 {
		x := f.exchange("GET", "/")
		c := f.forward(x)
		if x.RetryAfter < 29 || x.RetryAfter > 36 {
			t.Fatalf("Retry-After is %d", x.RetryAfter)
		}
		f.want(c.whole(), "breaker_open")
	}
	if n := s.heads.Load(); n != 5 {
		t.Errorf("%d requests reached the service", n)
	}
	if st := f.Stats(); st.Requests != 5 || st.Refused != 1000 {
		t.Errorf("%d requests, %d refused", st.Requests, st.Refused)
	}
}

// Each kind of failure opens the breaker, and is answered as what it is (D18, D19).
func TestWhatOpensD18D19(t *testing.T) {
	for _, c := range []struct{ name, answer, want string }{
		{"an error", broken, "500 no"},
		{"a timeout", "silence", "upstream_timeout"},
		{"a reset", "", "upstream_reset"},
		{"rubbish", "HTTP/1.1 2000 What\n\n", "upstream_malformed"},
		{"half a body", truncated, "200 half, then upstream_reset"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var s script
			f := service(t, s.origin(t, c.answer), guarded(3), func(s *setup) { s.conf.Timeouts.Response = ms(60) })
			f.times(3, c.want)
			f.want(f.get(), "breaker_open")
		})
	}
	t.Run("nobody there", func(t *testing.T) {
		f := service(t, unused(t), guarded(3))
		f.times(3, "connect_failed")
		f.want(f.get(), "breaker_open")
	})
}

// What the client does, or asks for, is no failure, and hides none (D20).
func TestWhatDoesNotCountD20(t *testing.T) {
	var s script
	f := service(t, s.origin(t, notThere), guarded(3))
	f.times(10, "404 no")
	s.say(broken)
	f.times(2, "500 no")
	s.say(notThere)
	f.times(10, "404 no")
	s.say("silence")
	for range 10 { // clients that leave
		x := f.exchange("GET", "/")
		seen := s.heads.Load()
		go func() {
			for s.heads.Load() == seen {
				time.Sleep(time.Millisecond)
			}
			x.Abort(exchange.ClientGone)
		}()
		f.want(f.forward(x).whole(), "client_gone")
	}
	f.want(f.state(), "CLOSED")
	s.say(broken)
	f.want(f.get(), "500 no")
	f.want(f.state(), "OPEN")
}

// A client that leaves in the middle of an answer is no failure either.
func TestClientLeavesInAnswer(t *testing.T) {
	f := service(t, origin(t, func(p *peer) {
		for p.head() != "" {
			p.send("HTTP/1.1 200 OK\nContent-Length: 10\n\nhalf")
		}
	}), guarded(1))
	for range 5 {
		x := f.exchange("GET", "/")
		c := f.forward(x)
		x.Abort(exchange.ClientGone)
		c.end()
	}
	if st := f.Stats(); st.Failures != 0 || st.Breaker.State != "CLOSED" || st.InFlight != 0 {
		t.Errorf("%+v", st)
	}
}

// Half of all requests failing opens it, whatever succeeds in between (D20).
func TestRatioD20(t *testing.T) {
	var s script
	f := service(t, s.origin(t, ok), func(s *setup) {
		s.conf.Breaker.SetDefaults()
		s.conf.Breaker.MinRequests = 10
	})
	for range 5 {
		s.say(ok)
		f.want(f.get(), "200 ok")
		s.say(broken)
		f.want(f.get(), "500 no")
	}
	f.want(f.get(), "breaker_open")
}

// Half open, exactly as many as configured get through of a thousand callers at
// once; their success closes it (D21).
func TestHalfOpenD21(t *testing.T) {
	hold := make(chan struct{})
	var heads atomic.Int64
	target := origin(t, func(p *peer) {
		for p.head() != "" {
			if heads.Add(1) > 1 {
				select {
				case <-hold:
				case <-p.over:
				}
				p.send(ok)
			} else {
				p.send(broken)
			}
		}
	})
	f := service(t, target, guarded(1), func(s *setup) {
		s.conf.Breaker.OpenFor, s.conf.Breaker.OpenMost = ms(1500), ms(1500) // as long as probes keep their places
		s.conf.Breaker.Probes, s.conf.Breaker.Successes = 3, 2
	})
	f.want(f.get(), "500 no")
	eventually(t, "the pause is over", func() bool { return f.breaker.Ready(time.Now()) })
	var wg sync.WaitGroup
	var passed, refused atomic.Int64
	for range 1000 {
		wg.Go(func() {
			switch got := f.do("GET", "/").whole(); got {
			case "200 ok":
				passed.Add(1)
			case "breaker_open":
				if refused.Add(1) == 997 {
					close(hold)
				}
			default:
				t.Error(got)
			}
		})
	}
	wg.Wait()
	if passed.Load() != 3 || heads.Load() != 4 {
		t.Errorf("%d passed, %d reached the service", passed.Load(), heads.Load()-1)
	}
	f.want(f.state(), "CLOSED")
}

// A failed probe opens it again, for longer.
func TestProbeFails(t *testing.T) {
	var s script
	f := service(t, s.origin(t, broken), guarded(1), func(s *setup) { s.conf.Breaker.OpenFor, s.conf.Breaker.OpenMost = ms(50), ms(60_000) })
	f.want(f.get(), "500 no")
	eventually(t, "the pause is over", func() bool { return f.breaker.Ready(time.Now()) })
	f.want(f.get(), "500 no")
	st := f.Stats().Breaker
	if st.State != "OPEN" || st.NextAttempt.Sub(st.Since) < 100*time.Millisecond || st.Trips != 2 {
		t.Errorf("%+v", st)
	}
}

// What counts is configured: nothing is turned into a default, and a broken
// page need not lock out everybody (D22).
func TestConfiguredD22(t *testing.T) {
	var s script
	f := service(t, s.origin(t, broken), guarded(0))
	f.times(50, "500 no")
	f.want(f.state(), "CLOSED")
	f = service(t, s.origin(t, broken), guarded(2), func(s *setup) { s.conf.Breaker.Failures = []string{"connect", "timeout", "502-504"} })
	f.times(20, "500 no")
	f.want(f.state(), "CLOSED")
	s.say(busy)
	f.times(2, "503 busy")
	f.want(f.get(), "breaker_open")
}

// A success is one when its body has ended, not when its head came (D24).
func TestSuccessIsKnownAtTheEndD24(t *testing.T) {
	var s script
	f := service(t, s.origin(t, broken), guarded(3))
	f.times(2, "500 no")
	s.say(truncated)
	f.want(f.get(), "200 half, then upstream_reset")
	f.want(f.state(), "OPEN")
	if st := f.Stats(); st.Failures != 3 || !st.LastSuccess.IsZero() {
		t.Errorf("%+v", st)
	}
}

// Observed, an open breaker refuses nobody and says what it would do.
func TestBreakerObserves(t *testing.T) {
	var s script
	f := service(t, s.origin(t, broken), guarded(2), func(s *setup) { s.conf.Breaker.Mode = "observe" })
	f.times(2, "500 no")
	x := f.exchange("GET", "/")
	c := f.forward(x)
	if o := x.Observed(); len(o) != 1 || o[0].Reason != exchange.BreakerOpen || x.Status != 500 {
		t.Errorf("%v, %d", o, x.Status)
	}
	c.end()
	f.want(f.state(), "OPEN")
}

// A fixed answer, or another service, stands in while the breaker is open.
func TestFallback(t *testing.T) {
	f := service(t, unused(t), guarded(1), func(s *setup) {
		s.conf.Breaker.Fallback = &config.Fallback{Status: 203, ContentType: "text/plain", Headers: map[string]string{"X-Stale": "yes"}, Body: "old news"}
	})
	f.want(f.get(), "connect_failed")
	x := f.exchange("GET", "/")
	c := f.forward(x)
	if x.Response.Get("X-Stale") != "yes" || x.Response.Get("Content-Type") != "text/plain" || x.RetryAfter != 0 {
		t.Errorf("%v", x.Response.Fields())
	}
	f.want(x.Detail, "fallback: the breaker of app is open")
	f.want(c.whole(), "203 old news")
	if st := f.Stats(); st.Fallbacks != 1 || st.Refused != 1 {
		t.Errorf("%+v", st)
	}

	other := service(t, origin(t, always(ok)))
	f = service(t, unused(t), guarded(1), func(s *setup) { s.conf.Breaker.Fallback = &config.Fallback{Service: "other"} })
	f.FallBackTo(other.Service)
	f.want(f.get(), "connect_failed")
	x = f.exchange("GET", "/")
	c = f.forward(x)
	f.want(x.Detail, "fallback: the breaker of app is open")
	f.want(c.whole(), "200 ok")
	if st := f.Stats(); st.Fallbacks != 1 || st.Requests != 1 || other.Stats().Requests != 1 {
		t.Errorf("%+v", st)
	}
}

// A fallback is counted where it has answered, and only there.
func TestFallbackThatFails(t *testing.T) {
	f, other := service(t, unused(t), guarded(1)), service(t, unused(t), guarded(2))
	f.FallBackTo(other.Service)
	f.want(f.get(), "connect_failed")
	for _, want := range []string{"connect_failed", "connect_failed", "breaker_open"} {
		x := f.exchange("GET", "/")
		c := f.forward(x)
		if strings.HasPrefix(x.Detail, "fallback") || (x.RetryAfter > 0) != (want == "breaker_open") {
			t.Errorf("%s: %q, to come back in %d s", want, x.Detail, x.RetryAfter)
		}
		f.want(c.whole(), want)
	}
	if st := f.Stats(); st.Fallbacks != 0 || st.Refused != 3 {
		t.Errorf("%+v", st)
	}
}

// What a fallback costs is the answer of an open breaker, and no memory.
func TestFallbackAllocatesNothing(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector allocates")
	}
	f := service(t, unused(t), guarded(1), func(s *setup) {
		s.conf.Breaker.Fallback = &config.Fallback{Status: 200, ContentType: "text/plain", Body: "old news"}
	})
	f.want(f.get(), "connect_failed")
	x := f.exchange("GET", "/")
	if n := testing.AllocsPerRun(1000, func() {
		if r := f.Forward(x); r != nil {
			t.Error(r.Name)
		}
		x.Response.Reset()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	f.pool.Put(x)
}

// By hand it opens, closes and goes by itself again.
func TestBreakerByHand(t *testing.T) {
	var s script
	f := service(t, s.origin(t, ok), guarded(1))
	f.SetBreaker("open", time.Time{}, "ann")
	f.times(3, "breaker_open")
	f.SetBreaker("close", time.Time{}, "ann")
	s.say(broken)
	f.times(3, "500 no")
	f.SetBreaker("reset", time.Time{}, "ann")
	f.times(1, "500 no")
	f.want(f.get(), "breaker_open")
	if service(t, unused(t)).SetBreaker("open", time.Time{}, "ann") {
		t.Error("there is nothing to open")
	}
}

// What a breaker is told.
func TestJudge(t *testing.T) {
	f := service(t, unused(t), guarded(1))
	for _, c := range []struct {
		r      *exchange.Reason
		status int
		late   bool
		want   breaker.Outcome
	}{
		{nil, 200, false, breaker.Success}, {nil, 101, false, breaker.Success}, {nil, 304, false, breaker.Success},
		{nil, 400, false, breaker.Alive}, {nil, 404, false, breaker.Alive}, {nil, 429, false, breaker.Ignored},
		{nil, 500, false, breaker.Failure}, {nil, 503, true, breaker.Failure},
		{exchange.ConnectFailed, 0, false, breaker.Failure}, {exchange.ConnectTimeout, 0, false, breaker.Failure},
		{exchange.UpstreamTimeout, 0, false, breaker.Failure}, {exchange.UpstreamReset, 0, false, breaker.Failure},
		{exchange.UpstreamReset, 200, true, breaker.Failure}, {exchange.UpstreamBad, 0, false, breaker.Failure},
		{exchange.UpstreamTimeout, 200, true, breaker.Failure}, {exchange.UpgradeRefused, 101, false, breaker.Failure},
		{exchange.ClientGone, 200, true, breaker.Ignored}, {exchange.PoolExhausted, 0, false, breaker.Ignored},
		{exchange.BodyTimeout, 0, false, breaker.Ignored}, {exchange.ShuttingDown, 0, false, breaker.Ignored},
	} {
		if got := f.judge(c.r, c.status, c.late); got != c.want {
			t.Errorf("%v %d %v: %v, want %v", c.r, c.status, c.late, got, c.want)
		}
	}
}

// An open breaker answers before the body has come.
func TestOpenWaitsForNoBody(t *testing.T) {
	f := service(t, unused(t), guarded(1))
	f.want(f.get(), "connect_failed")
	u := newUpload(nil)
	x := f.post(u, 10)
	f.want(f.forward(x).whole(), "breaker_open")
	if x.RequestBody.BytesRead() != 0 {
		t.Error("the body was read")
	}
}
