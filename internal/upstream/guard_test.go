package upstream

import (
	"fmt"
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

// pair is a service with two targets, asked in turn, that tries once more.
func pair(t testing.TB, first, second string, change ...func(*setup)) *fixture {
	t.Helper()
	return service(t, first, append([]func(*setup){func(s *setup) {
		s.conf.Targets = []string{first, second}
		s.conf.Balance.Algorithm = "round_robin"
		s.conf.Retries.SetDefaults()
		s.conf.Retries.Floor = 100
	}}, change...)...)
}

// What could not be sent goes to another target, whatever the method.
func TestRetryElsewhere(t *testing.T) {
	f := pair(t, unused(t), origin(t, always(ok)))
	for range 20 {
		f.want(f.get(), "200 ok")
		x := f.exchange("POST", "/")
		x.RequestBody.SetBytes([]byte("body"))
		f.want(f.forward(x).whole(), "200 ok")
	}
	if st := f.Stats(); st.Failures != 0 || st.Retries == 0 {
		t.Errorf("%+v", st)
	}
}

// What may have been seen is sent again only where that does no harm.
func TestRetryOnlyWhatIsHarmless(t *testing.T) {
	for _, c := range []struct {
		name, method, key string
		stream            bool
		want              string
	}{
		{"GET", "GET", "", false, "200 ok"},
		{"PUT with a body", "PUT", "", false, "200 ok"},
		{"POST", "POST", "", false, "upstream_reset"},
		{"PATCH", "PATCH", "", false, "upstream_reset"},
		{"POST with a key", "POST", "k1", false, "200 ok"},
		{"PUT with a stream", "PUT", "", true, "upstream_reset"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var bodies atomic.Pointer[string]
			well := origin(t, func(p *peer) {
				head := p.head()
				if strings.Contains(head, "Content-Length: 4") {
					b := make([]byte, 4)
					_, _ = p.r.Read(b)
					text := string(b)
					bodies.Store(&text)
				}
				p.send(ok)
			})
			f := pair(t, origin(t, func(p *peer) { p.head() }), well)
			if first := f.set.Load().list[0]; f.pick(f.exchange("GET", "/"), &visit{s: f.Service, now: time.Now()}) == first {
				f.pick(f.exchange("GET", "/"), &visit{s: f.Service, now: time.Now()}) // so that the bad one is next
			}
			x := f.exchange(c.method, "/")
			if c.key != "" {
				x.Request.Add("Idempotency-Key", c.key)
			}
			switch {
			case c.stream:
				u := newUpload(nil)
				u.pieces <- "body"
				x.RequestBody.SetSource(u, 4)
			case c.method != "GET":
				x.RequestBody.SetBytes([]byte("body"))
			}
			f.want(f.forward(x).whole(), c.want)
			if b := bodies.Load(); c.method != "GET" && c.want == "200 ok" && (b == nil || *b != "body") {
				t.Errorf("the body was not sent again")
			}
		})
	}
}

// Statuses that are named are tried again, and the last answer counts.
func TestRetryStatus(t *testing.T) {
	var s script
	target := s.origin(t, busy)
	again := func(s *setup) {
		s.conf.Retries.SetDefaults()
		s.conf.Retries.On, s.conf.Retries.Most, s.conf.Retries.Floor = []string{"503"}, 2, 100
		s.conf.Retries.Backoff = ms(1)
	}
	f := service(t, target, again)
	f.want(f.get(), "503 busy")
	if n := s.heads.Load(); n != 3 {
		t.Errorf("tried %d times", n)
	}
	s.say(broken)
	f.want(f.get(), "500 no")
	if n := s.heads.Load(); n != 4 {
		t.Errorf("500 is not in the list, and was tried %d times", n-3)
	}
	s.say(strings.Replace(busy, "Content", "Retry-After: 120\nContent", 1))
	f.want(f.get(), "503 busy")
	if n := s.heads.Load(); n != 5 {
		t.Errorf("Retry-After was not respected: %d tries", n-4)
	}
	s.say(strings.Replace(busy, "Content", "Retry-After: 0\nContent", 1))
	f.want(f.get(), "503 busy")
	if n := s.heads.Load(); n != 8 {
		t.Errorf("%d tries", n-5)
	}
}

// Under total failure tries that are added stay within the budget.
func TestRetryBudget(t *testing.T) {
	var s script
	f := service(t, s.origin(t, busy), func(s *setup) {
		s.conf.Retries.SetDefaults()
		s.conf.Retries.On, s.conf.Retries.Most, s.conf.Retries.Floor, s.conf.Retries.Backoff = []string{"503"}, 8, 0, 0
	})
	for range 500 {
		f.want(f.get(), "503 busy")
	}
	if n := s.heads.Load(); n < 590 || n > 600 {
		t.Errorf("500 requests became %d, with a budget of 20 %%", n)
	}
}

// A try has its own time, and all of them together the service's.
func TestTryTimeout(t *testing.T) {
	silent := origin(t, func(p *peer) { p.head(); <-p.over })
	f := pair(t, silent, origin(t, always(ok)), func(s *setup) {
		s.conf.Retries.On, s.conf.Retries.TryTimeout = []string{"timeout"}, ms(50)
	})
	f.times(4, "200 ok")

	f = service(t, silent, func(s *setup) {
		s.conf.Retries.SetDefaults()
		s.conf.Retries.On, s.conf.Retries.TryTimeout, s.conf.Retries.Most, s.conf.Retries.Floor = []string{"timeout"}, ms(100), 8, 100
		s.conf.Retries.Backoff = 0
		s.conf.Timeouts.Response = ms(350)
	})
	began := time.Now()
	f.want(f.get(), "upstream_timeout")
	if took := time.Since(began); took < 300*time.Millisecond || took > 900*time.Millisecond {
		t.Errorf("all tries together took %s", took)
	}
	if n := f.Stats().Retries; n < 1 || n > 4 {
		t.Errorf("%d tries were added", n)
	}
}

// A target that fails again and again is left out, and returns by itself.
func TestEjection(t *testing.T) {
	var s script
	bad := s.origin(t, broken)
	f := pair(t, bad, origin(t, always(ok)), func(s *setup) {
		s.conf.Breaker.SetDefaults()
		s.conf.Breaker.Mode = "off"
		s.conf.Ejection.SetDefaults()
		s.conf.Ejection.Failures, s.conf.Ejection.For = 3, ms(100)
		s.conf.Balance.Panic = 0
	})
	for range 20 {
		f.get()
	}
	if n := s.heads.Load(); n != 3 {
		t.Errorf("the broken target was asked %d times", n)
	}
	st := f.Stats().Targets[0]
	if st.State != "ejected" || st.Cause == "" || st.Until.IsZero() {
		t.Errorf("%+v", st)
	}
	s.say(ok)
	eventually(t, "the target is asked again", func() bool { f.get(); return s.heads.Load() > 3 })
}

// Beyond the bound of requests in flight, some wait and the others are refused.
func TestConcurrency(t *testing.T) {
	release := make(chan struct{})
	var heads atomic.Int64
	f := service(t, origin(t, func(p *peer) {
		for p.head() != "" {
			heads.Add(1)
			<-release
			p.send(ok)
		}
	}), func(s *setup) {
		s.conf.Concurrency = config.Concurrency{Max: 2, Queue: 1, QueueTime: ms(10_000), Least: 1}
	})
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() { f.want(f.do("GET", "/").whole(), "200 ok") })
	}
	eventually(t, "both are there", func() bool { return heads.Load() == 2 })
	wg.Go(func() { f.want(f.do("GET", "/").whole(), "200 ok") })
	eventually(t, "one waits", func() bool { return f.Stats().Waiting == 1 })
	x := f.exchange("GET", "/")
	c := f.forward(x)
	if x.RetryAfter < 1 {
		t.Errorf("Retry-After is %d", x.RetryAfter)
	}
	f.want(c.whole(), "service_overloaded")
	if st := f.Stats(); st.Limit != 2 || st.InFlight != 2 || st.Refused != 1 {
		t.Errorf("%+v", st)
	}
	close(release)
	wg.Wait()
	if st := f.Stats(); st.InFlight != 0 || st.Requests != 3 {
		t.Errorf("%+v", st)
	}
}

// A client keeps its target by a cookie, until that can't be used.
func TestSticky(t *testing.T) {
	var targets []string
	for i := range 3 {
		targets = append(targets, origin(t, always(fmt.Sprintf("HTTP/1.1 200 OK\nContent-Length: 1\n\n%d", i))))
	}
	f := service(t, targets[0], func(s *setup) {
		s.conf.Targets = targets
		s.conf.Balance.Sticky = &config.Sticky{Cookie: "at", Secret: "0123456789abcdef", Path: "/", MaxAge: ms(60_000)}
	})
	x := f.exchange("GET", "/")
	x.Secure = true
	c := f.forward(x)
	cookie := strings.Clone(x.Response.Get("Set-Cookie"))
	mine := c.whole()
	pair, attributes, _ := strings.Cut(cookie, ";")
	if !strings.HasPrefix(pair, "at=") || attributes != " Path=/; HttpOnly; SameSite=Lax; Max-Age=60; Secure" || strings.Contains(pair, "127") {
		t.Errorf("Set-Cookie: %s", cookie)
	}
	for range 20 {
		x := f.exchange("GET", "/")
		x.Request.Add("Cookie", "other=1; "+pair)
		c := f.forward(x)
		if x.Response.Get("Set-Cookie") != "" {
			t.Error("the cookie is set again")
		}
		f.want(c.whole(), mine)
	}
	x = f.exchange("GET", "/")
	x.Request.Add("Cookie", "at=forged")
	c = f.forward(x)
	if x.Response.Get("Set-Cookie") == "" {
		t.Error("a forged cookie was not replaced")
	}
	c.end()
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

// How long a request waits for its place says nothing about how long the service takes.
func TestWaitingIsNotLatency(t *testing.T) {
	release := make(chan struct{})
	var heads atomic.Int64
	f := service(t, origin(t, func(p *peer) {
		for p.head() != "" {
			if heads.Add(1) == 1 {
				<-release
			}
			p.send(ok)
		}
	}), func(s *setup) {
		s.conf.Concurrency = config.Concurrency{Max: 1, Queue: 1, QueueTime: ms(10_000), Least: 1}
	})
	var wg sync.WaitGroup
	wg.Go(func() { f.want(f.do("GET", "/").whole(), "200 ok") })
	eventually(t, "the first is there", func() bool { return heads.Load() == 1 })
	x := f.exchange("GET", "/")
	wg.Go(func() {
		c := f.forward(x)
		if x.UpstreamTime > 200*time.Millisecond {
			t.Errorf("the service took %s", x.UpstreamTime)
		}
		f.want(c.whole(), "200 ok")
	})
	eventually(t, "one waits", func() bool { return f.Stats().Waiting == 1 })
	time.Sleep(300 * time.Millisecond)
	close(release)
	wg.Wait()
}

// BenchmarkGuards is what guarding adds to a request, without the network: from its
// admission to its outcome.
func BenchmarkGuards(b *testing.B) {
	none := func(*setup) {}
	all := func(s *setup) {
		s.conf.Targets = append(s.conf.Targets, "http://127.0.0.2:1", "http://127.0.0.3:1")
		s.conf.Balance.SetDefaults()
		s.conf.Breaker.SetDefaults()
		s.conf.Breaker.SlowCall = ms(10_000)
		s.conf.Ejection.SetDefaults()
		s.conf.Ejection.SlowerThan = 3
		s.conf.Retries.SetDefaults()
		s.conf.Hedge = config.Hedge{After: ms(5000), Percentile: 99}
		s.conf.Concurrency.SetDefaults()
		s.conf.Concurrency.Max, s.conf.Concurrency.Adaptive = 1000, true
	}
	for _, c := range []struct {
		name   string
		change func(*setup)
	}{{"none", none}, {"defaults", func(s *setup) {
		s.conf.Breaker.SetDefaults()
		s.conf.Ejection.SetDefaults()
		s.conf.Retries.SetDefaults()
	}}, {"all", all}} {
		b.Run(c.name, func(b *testing.B) {
			f := service(b, "http://127.0.0.1:1", c.change)
			x := f.exchange("GET", "/")
			x.Status = 200
			b.ReportAllocs()
			for b.Loop() {
				k := visit{s: f.Service}
				if !f.ready(x) || f.admit(x, &k) != nil {
					b.Fatal("not let in")
				}
				f.budget.Request(k.now)
				k.sent = k.began
				k.t = f.pick(x, &k)
				k.attempt = k.t.node.Begin()
				if h := f.hedge(x, &k); h != nil {
					h.timer.Stop()
					h.rest()
				}
				k.attempt.End()
				k.done = x.Elapsed()
				k.settle(x, nil, k.done, false)
			}
		})
	}
}
