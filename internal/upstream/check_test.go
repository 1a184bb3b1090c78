package upstream

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"yett/internal/exchange"
	"yett/internal/upstream/balance"
)

// checked has a service's targets checked every few milliseconds.
func checked(change ...func(*setup)) func(*setup) {
	return func(s *setup) {
		h := &s.conf.Health
		h.SetDefaults()
		h.Path, h.Interval, h.Timeout = "/health", ms(20), ms(20)
		s.conf.Balance.SlowStart, s.conf.Balance.Panic = 0, 0
		for _, f := range change {
			f(s)
		}
	}
}

// patient gives checks time, so that a busy machine fails none.
func patient(s *setup) { s.conf.Health.Interval, s.conf.Health.Timeout = ms(200), ms(200) }

// logged has a service's log kept.
func logged(l *lines) func(*setup) {
	return func(s *setup) { s.deps.Log = slog.New(slog.NewTextHandler(l, nil)) }
}

// checks is a script for checks. Requests get ok and are not counted.
func (s *script) checks(t testing.TB, first string) string {
	s.say(first)
	return origin(t, func(p *peer) {
		for head := p.head(); head != ""; head = p.head() {
			if !strings.HasPrefix(head, "GET /health") {
				p.send(ok)
				continue
			}
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

func (f *fixture) becomes(state string) TargetStats {
	f.t.Helper()
	eventually(f.t, "the target is "+state, func() bool { return f.Stats().Targets[0].State == state })
	return f.Stats().Targets[0]
}

// What is checked is what requests use, under a name of its own.
func TestCheckOnTheWire(t *testing.T) {
	for _, c := range []struct{ path, host, own, line, want string }{
		{"/health?deep=1", "target", "", "GET /health?deep=1 HTTP/1.1", ""},
		{"/health?", "client", "", "GET /health? HTTP/1.1", ""},
		{"/health", "fixed.example", "", "GET /health HTTP/1.1", "fixed.example"},
		{"/health", "fixed.example", "check.example:81", "GET /health HTTP/1.1", "check.example:81"},
	} {
		heads := make(chan string, 100)
		f := service(t, origin(t, func(p *peer) {
			for head := p.head(); head != ""; head = p.head() {
				heads <- head
				p.send(ok)
			}
		}), checked(func(s *setup) { s.conf.Health.Path, s.conf.Host, s.conf.Health.Host = c.path, c.host, c.own }))
		if c.want == "" {
			c.want = f.target().host
		}
		for range 2 {
			f.want(receive(t, heads), c.line+"\nHost: "+c.want+"\nUser-Agent: yett-health-check\n")
		}
		f.Close()
	}
}

// The first check decides at once, then it takes some in a row to change that.
func TestChecksInARow(t *testing.T) {
	var s script
	var l lines
	f := service(t, s.checks(t, busy), checked(patient, logged(&l), func(s *setup) {
		s.conf.Health.Healthy, s.conf.Health.Unhealthy = 3, 2
	}))
	st := f.becomes(balance.Down)
	f.want(st.Cause, "health check: status 503, want 200-299")
	if n := s.heads.Load(); n != 1 || time.Since(st.Checked) > limit {
		t.Errorf("%d checks, the last at %v", n, st.Checked)
	}
	f.want(f.get(), "200 ok") // a bad target is better than none
	c := &checker{t: f.target(), conf: &f.conf.Health}
	f.Close() // from here on the test says what checks find
	state := func() string { return f.balancer.State(c.t.node, time.Now()).State }
	c.known, c.down = true, true
	for i, step := range []struct{ cause, want string }{
		{"", "down"}, {"", "down"}, {"x", "down"}, {"", "down"}, {"", "down"}, {"", "up"},
		{"x", "up"}, {"", "up"}, {"x", "up"}, {"why", "down"}, {"", "down"},
	} {
		if c.note(step.cause); state() != step.want {
			t.Fatalf("step %d: %s, want %s", i, state(), step.want)
		}
	}
	f.want(strings.Join(l.with("msg=target"), "\n"), strings.Join([]string{
		"level=WARN msg=target service=app target=" + c.t.name + ` from=up to=down cause="health check: status 503, want 200-299"`,
		"level=INFO msg=target service=app target=" + c.t.name + ` from=down to=up cause="health check: 3 in a row succeeded"`,
		"level=WARN msg=target service=app target=" + c.t.name + ` from=up to=down cause="health check: why"`,
	}, "\n"))
}

// The cause says in plain words what a check has found.
func TestCheckCauses(t *testing.T) {
	for _, c := range []struct{ name, answer, want string }{
		{"status", notThere, "status 404, want 200-299 or 401"},
		{"another status", "HTTP/1.1 401 No\nContent-Length: 0\n\n", ""},
		{"silence", "silence", "no answer within 200ms"},
		{"end", "", "the connection ended before the answer"},
		{"cut", truncated, "the answer broke off"},
		{"slow body", "HTTP/1.1 200 OK\nContent-Length: 20\n\nhalf", "the answer did not end within 200ms"},
		{"rubbish", "220 mail.example\n\n", "the answer is no HTTP"},
		{"switch", "HTTP/1.1 101 Hi\nConnection: upgrade\nUpgrade: x\n\n", "the service switched protocols unasked"},
		{"well", ok, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var s script
			change := []func(*setup){checkedByHand}
			if !strings.Contains(c.want, "200ms") {
				change = append(change, patiently)
			}
			f := service(t, s.checks(t, c.answer), change...)
			cause, known := f.check()
			f.want(cause, c.want)
			if !known {
				t.Error("nothing is known")
			}
		})
	}
	t.Run("drops", func(t *testing.T) { // each in time, and all of them never
		f := service(t, origin(t, func(p *peer) {
			p.head()
			p.send("HTTP/1.1 200 OK\nContent-Length: 1000\n\n")
			for tick := time.NewTicker(10 * time.Millisecond); ; <-tick.C {
				if _, err := p.Write([]byte("x")); err != nil {
					return
				}
			}
		}), checkedByHand)
		cause, _ := f.check()
		f.want(cause, "the answer did not end within 200ms")
	})
	t.Run("nobody", func(t *testing.T) {
		f := service(t, unused(t), checkedByHand)
		cause, _ := f.check()
		f.want(cause, "connection refused")
	})
	t.Run("deaf", func(t *testing.T) {
		f := service(t, "http://"+deaf(t, "127.0.0.1:0"), checkedByHand, func(s *setup) { s.conf.Timeouts.Connect = ms(30) })
		cause, _ := f.check()
		f.want(cause, "no connection within 30ms")
	})
	t.Run("TLS", func(t *testing.T) {
		srv := httptest.NewUnstartedServer(http.NotFoundHandler())
		srv.Config.ErrorLog = log.New(io.Discard, "", 0)
		srv.StartTLS()
		defer srv.Close()
		f := service(t, srv.URL, checkedByHand, func(s *setup) { s.deps.TLS = &tls.Config{RootCAs: x509.NewCertPool()} })
		cause, _ := f.check()
		f.want(cause, "certificate signed by unknown authority")
	})
}

// patiently is for answers that come, and may come late on a machine that has no time.
func patiently(s *setup) { s.conf.Health.Timeout = ms(10_000) }

// checkedByHand has settings for checks, which a test makes itself.
func checkedByHand(s *setup) {
	s.conf.Health.SetDefaults()
	s.conf.Health.Status = []string{"200-299", "401"}
	s.conf.Health.Interval, s.conf.Health.Timeout = ms(200), ms(200)
}

func (f *fixture) check() (string, bool) { return f.checkIn(context.Background()) }

func (f *fixture) checkIn(ctx context.Context) (string, bool) {
	h := f.conf.Health
	h.Path = "/health"
	return (&checker{t: f.target(), conf: &h}).check(ctx)
}

// A check is no request: nobody counts it. And it leaves the connection as it was.
func TestChecksDoNotCount(t *testing.T) {
	f := service(t, origin(t, numbered), guarded(1), checkedByHand, func(s *setup) {
		s.conf.Concurrency.Max = 1
	})
	f.want(f.get(), "200 0")
	before := f.Stats()
	for range 20 {
		if cause, known := f.check(); cause != "" || !known {
			t.Fatalf("%q, %v", cause, known)
		}
	}
	after := f.Stats()
	before.Targets, after.Targets = nil, nil
	if got, want := fmt.Sprintf("%+v", after), fmt.Sprintf("%+v", before); !strings.HasPrefix(got, want[:strings.Index(want, "Breaker")]) || after.InFlight != 0 || after.Recent != before.Recent || after.Requests != 1 || after.Idle != 1 {
		t.Errorf("got %s, want %s", got, want)
	}
	f.want(f.get(), "200 0")
}

// While a check is on its way nobody takes it for a request either.
func TestCheckIsNotInFlight(t *testing.T) {
	asked, release := make(chan struct{}), make(chan struct{})
	f := service(t, origin(t, func(p *peer) {
		p.head()
		close(asked)
		<-release
		p.send(ok)
	}), checkedByHand, func(s *setup) { s.conf.Health.Interval, s.conf.Health.Timeout = ms(9000), ms(9000) })
	done := make(chan string)
	go func() { cause, _ := f.check(); done <- cause }()
	receive(t, asked)
	if st := f.Stats(); st.InFlight != 0 || st.Targets[0].InFlight != 0 || f.first().count() != 1 {
		t.Errorf("%+v, %d connections", st, f.first().count())
	}
	close(release)
	f.want(receive(t, done), "")
}

// A connection that has died while it was idle is no failure of the target.
func TestCheckOnDeadConnection(t *testing.T) {
	for _, method := range []string{"closed", "reset"} {
		f := service(t, origin(t, func(p *peer) {
			if p.head(); method == "reset" {
				_ = p.SetLinger(0)
			}
			p.send(ok)
		}), checkedByHand, patiently)
		for range 20 {
			if cause, _ := f.check(); cause != "" {
				t.Fatalf("%s: %s", method, cause)
			}
		}
	}
	// One that dies when the next request comes shows only then.
	var n atomic.Int64
	f := service(t, origin(t, func(p *peer) {
		n.Add(1)
		p.head()
		p.send(ok)
		p.head()
	}), checkedByHand, patiently)
	for range 10 {
		if cause, _ := f.check(); cause != "" {
			t.Fatal(cause)
		}
	}
	if n.Load() != 10 {
		t.Errorf("%d connections", n.Load())
	}
}

// What a check has to read is bounded; then its connection is closed.
func TestCheckReadsLittle(t *testing.T) {
	for size, conns := range map[int]string{10: "200 0", 60 << 10: "200 0", 1 << 20: "200 1"} {
		f := service(t, origin(t, func(p *peer) {
			for head := p.head(); head != ""; head = p.head() {
				if strings.HasPrefix(head, "GET /health") {
					p.send(fmt.Sprintf("HTTP/1.1 200 OK\nContent-Length: %d\n\n%s", size, strings.Repeat("x", size)))
				} else {
					p.send(fmt.Sprintf("HTTP/1.1 200 OK\nContent-Length: 1\n\n%d", p.n))
				}
			}
		}), checkedByHand, patiently)
		if cause, known := f.check(); cause != "" || !known {
			t.Errorf("%q, %v", cause, known)
		}
		f.want(f.get(), conns)
	}
}

// Where all connections are in use, a check says nothing.
func TestCheckWithoutConnection(t *testing.T) {
	asked := make(chan struct{})
	f := service(t, origin(t, func(p *peer) { p.head(); close(asked); <-p.over }), checkedByHand, func(s *setup) {
		s.conf.Connections.Max, s.conf.Timeouts.Queue = 1, ms(10)
	})
	x := f.exchange("GET", "/")
	done := make(chan string)
	go func() { done <- f.forward(x).whole() }()
	receive(t, asked)
	if cause, known := f.check(); known {
		t.Errorf("it says %q", cause)
	}
	x.Abort(exchange.ClientGone)
	receive(t, done)
}

// A check that is slow delays the next one: there is never more than one.
func TestChecksDoNotPileUp(t *testing.T) {
	var s script
	f := service(t, s.checks(t, "silence"), checked())
	most := 0
	eventually(t, "many checks have come", func() bool { most = max(most, f.first().count()); return s.heads.Load() > 8 })
	if most > 1 {
		t.Errorf("%d at once", most)
	}
}

// Closing the service cuts the check that is on its way.
func TestCloseCutsCheck(t *testing.T) {
	asked := make(chan struct{})
	f := service(t, origin(t, func(p *peer) { p.head(); close(asked); <-p.over }), checkedByHand, func(s *setup) {
		s.conf.Health.Interval, s.conf.Health.Timeout = ms(3600_000), ms(300_000)
	})
	known := make(chan bool)
	go func() { _, k := f.checkIn(f.target().ctx); known <- k }()
	receive(t, asked)
	f.Close()
	if receive(t, known) || f.first().count() != 0 {
		t.Errorf("it counts, or its connection is left: %d", f.first().count())
	}
}

// Checks and breaker never wait for each other: with all targets down and the
// breaker open, each finds the way back by itself.
func TestNoDeadlock(t *testing.T) {
	both := func(st *setup) {
		st.conf.Breaker.OpenFor, st.conf.Breaker.OpenMost = ms(60), ms(60)
		st.conf.Breaker.Probes, st.conf.Breaker.Successes = 1, 1
		st.conf.Retries.Most = 0
	}
	for _, c := range []string{"checks", "breaker"} {
		t.Run(c, func(t *testing.T) {
			var health, work script
			target := func() string {
				return origin(t, func(p *peer) {
					for head := p.head(); head != ""; head = p.head() {
						if strings.HasPrefix(head, "GET /health") {
							p.send(*health.answers.Load())
						} else {
							p.send(*work.answers.Load())
						}
					}
				})
			}
			health.say(busy)
			work.say(broken)
			f := pair(t, target(), target(), guarded(1), checked(patient), both)
			f.becomes(balance.Down)
			eventually(t, "both are down", func() bool { return f.Stats().Targets[1].State == balance.Down })
			f.want(f.get(), "500 no")
			f.want(f.get(), "breaker_open")
			if c == "checks" { // nobody asks for anything
				health.say(ok)
				f.becomes(balance.Up)
				f.want(f.state(), "OPEN")
			}
			work.say(ok)
			eventually(t, "a probe gets through", func() bool { return f.get() == "200 ok" })
			f.want(f.state(), "CLOSED")
			if st := f.Stats().Targets[0].State; c == "breaker" && st != balance.Down {
				t.Errorf("the target is %s", st)
			}
		})
	}
}

// A target that is down gets nothing while another is well.
func TestDownGetsNothing(t *testing.T) {
	var s script
	bad := s.checks(t, busy)
	f := pair(t, bad, origin(t, always("HTTP/1.1 200 OK\nContent-Length: 5\n\nother")), checked(patient))
	f.becomes(balance.Down)
	f.times(20, "200 other")
	s.say(ok)
	f.becomes(balance.Up)
	eventually(t, "it is used again", func() bool { return f.get() == "200 ok" })
}

func TestHealthSettings(t *testing.T) {
	for _, c := range []struct {
		timeout, interval int
		host, want        string
	}{
		{200, 200, "", ""},
		{200, 200, "a.example:80", ""},
		{201, 200, "", "health.timeout: 201ms is more than the interval of 200ms"},
		{200, 200, "http://a", `health.host: "http://a" is not a host`},
		{200, 200, "a b", `health.host: "a b" is not a host`},
	} {
		var st setup
		st.conf.Targets = []string{"http://a"}
		checked()(&st)
		st.conf.Health.Timeout, st.conf.Health.Interval, st.conf.Health.Host = ms(c.timeout), ms(c.interval), c.host
		got := ""
		if err := Check(&st.conf).Err(); err != nil {
			got = err.Error()
		}
		if !strings.HasPrefix(got, c.want) || got != "" && c.want == "" {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

func BenchmarkCheck(b *testing.B) {
	f := service(b, origin(b, always(ok)), checkedByHand)
	b.ReportAllocs()
	for b.Loop() {
		if cause, _ := f.check(); cause != "" {
			b.Fatal(cause)
		}
	}
}
