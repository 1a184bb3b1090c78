package upstream

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"yett/internal/config"
)

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
