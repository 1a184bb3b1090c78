package upstream

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

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
