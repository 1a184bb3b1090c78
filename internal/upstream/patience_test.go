package upstream

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"yett/internal/config"
	"yett/internal/exchange"
)

// standard gives a service what one has without a word in the configuration.
func standard(s *setup) {
	s.conf.Breaker.SetDefaults()
	s.conf.Retries.SetDefaults()
	s.conf.Ejection.SetDefaults()
	s.conf.Balance.SetDefaults()
}

// halfOpen fails until the breaker is open, has the service changed, and waits until probes
// are let through.
func (f *fixture) halfOpen(change func()) {
	f.t.Helper()
	for range 5 {
		f.get()
	}
	change()
	eventually(f.t, "half open", func() bool { return f.ready(f.exchange("GET", "/")) })
}

// httpServer starts a server of the standard library until the test ends.
func httpServer(t testing.TB, srv *http.Server) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv.ErrorLog = log.New(io.Discard, "", 0)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.Serve(ln)
	}()
	t.Cleanup(func() {
		_ = srv.Close()
		<-done
	})
	return "http://" + ln.Addr().String()
}

// lateConn takes its time for the handshake alone.
type lateConn struct {
	net.Conn
	first bool
	late  time.Duration
}

func (c *lateConn) Read(p []byte) (int, error) {
	if !c.first {
		c.first = true
		time.Sleep(c.late)
	}
	return c.Conn.Read(p)
}

type lateListener struct {
	net.Listener
	late  time.Duration
	conns *atomic.Int32
}

func (l lateListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.conns.Add(1)
	return &lateConn{Conn: c, late: l.late}, nil
}

// How long a client takes to upload is not how long the service takes.
func TestSlowUploadIsNoSlowCall(t *testing.T) {
	url := httpServer(t, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		io.WriteString(w, "ok")
	})})
	f := service(t, url, standard, func(s *setup) {
		s.conf.Breaker.SlowCall, s.conf.Breaker.MinRequests = ms(100), 5
	})
	for range 6 {
		u := newUpload(io.EOF)
		x := f.post(u, -1)
		got := f.begin(x)
		u.pieces <- "a"
		time.Sleep(150 * time.Millisecond) // the client's own pause
		close(u.pieces)
		(<-got).whole()
	}
	if st := f.Stats().Breaker; st.State != "CLOSED" {
		t.Errorf("breaker is %s: %s", st.State, st.Cause)
	}
	if got := f.get(); got != "200 ok" {
		t.Errorf("everybody else gets %q", got)
	}
}

// A service that hangs up on a client which uploads too slowly has not failed.
func TestSlowUploadIsNoFailure(t *testing.T) {
	url := origin(t, func(p *peer) {
		for {
			h := p.head()
			if h == "" {
				return
			}
			if strings.Contains(h, "chunked") {
				p.SetReadDeadline(time.Now().Add(50 * time.Millisecond)) // as http.Server.ReadTimeout, gunicorn or client_body_timeout with reset_timedout_connection
				if _, err := io.Copy(io.Discard, p.r); err != nil {
					return
				}
			}
			p.send(ok)
		}
	})
	f := service(t, url, standard)
	f.patience = 20 * time.Millisecond
	for range 5 {
		u := newUpload(io.EOF)
		got := f.begin(f.post(u, -1))
		u.pieces <- "a"
		c := <-got
		t.Log(c.sent())
	}
	if st := f.Stats().Breaker; st.State != "CLOSED" {
		t.Errorf("breaker is %s: %s", st.State, st.Cause)
	}
}

// A service that cuts off a client which reads too slowly has not failed.
func TestSlowReaderIsNoFailure(t *testing.T) {
	big := strings.Repeat("x", 32<<20)
	url := httpServer(t, &http.Server{WriteTimeout: 200 * time.Millisecond, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(len(big)))
		io.WriteString(w, big)
	})})
	f := service(t, url, standard)
	f.patience = 50 * time.Millisecond
	for range 5 {
		c := f.do("GET", "/")
		if c.reason != nil {
			t.Fatal(c.reason.Name)
		}
		buf := make([]byte, 4096)
		for {
			if _, err := c.x.ResponseBody.Read(buf); err != nil {
				t.Log(reasonOf(err))
				break
			}
			time.Sleep(5 * time.Millisecond) // the client takes it slowly, so that the engine's write blocks
			if c.x.Elapsed() > 400*time.Millisecond {
				buf = make([]byte, 1<<20)
			}
		}
		c.end()
	}
	if st := f.Stats().Breaker; st.State != "CLOSED" {
		t.Errorf("breaker is %s: %s", st.State, st.Cause)
	}
}

// Slow uploads do not keep others from finding out that a service is well.
func TestSlowUploadsHoldNoProbes(t *testing.T) {
	var bad atomic.Bool
	bad.Store(true)
	url := httpServer(t, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if bad.Load() {
			w.WriteHeader(500)
			return
		}
		io.Copy(io.Discard, r.Body)
		io.WriteString(w, "ok")
	})})
	f := service(t, url, standard, func(s *setup) {
		s.conf.Breaker.OpenFor, s.conf.Retries.Most = ms(1000), 0
		s.conf.Breaker.OpenMost = ms(1000)
	})
	f.halfOpen(func() { bad.Store(false) })
	opened := time.Now()
	var ups []*upload
	var gots []<-chan *call
	hold := func() {
		u := newUpload(io.EOF)
		u.pieces <- "a"
		ups = append(ups, u)
		gots = append(gots, f.begin(f.post(u, -1)))
	}
	refused := 0
	for time.Since(opened) < 2500*time.Millisecond {
		hold() // the attacker asks more often than the others
		hold()
		hold()
		time.Sleep(10 * time.Millisecond)
		if got := f.get(); got != "200 ok" {
			refused++
		} else {
			break
		}
	}
	t.Logf("%d refused in %v, then %s", refused, time.Since(opened), f.Stats().Breaker.State)
	if refused > 20 {
		t.Errorf("a healthy service refuses everybody while slow uploads hold the probes: %d refused", refused)
	}
	for _, u := range ups {
		close(u.pieces)
	}
	for _, g := range gots {
		(<-g).whole()
	}
}

// A request that is never tried again has all of the time.
func TestTryTimeoutIsForWhatIsTriedAgain(t *testing.T) {
	url := httpServer(t, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(200 * time.Millisecond)
		io.WriteString(w, "ok")
	})})
	f := service(t, url, standard, func(s *setup) {
		s.conf.Retries.On = config.StringList{"timeout"}
		s.conf.Retries.TryTimeout = ms(50)
	})
	x := f.exchange("POST", "/")
	x.RequestBody.SetBytes([]byte("a"))
	if got := f.forward(x).whole(); got != "200 ok" {
		t.Errorf("POST within timeouts.response gets %q (the service has done it)", got)
	}
}

// Clients that send too much, too little, or leave open nothing and hold nothing.
func TestWhatClientsDoHoldsNothing(t *testing.T) {
	// leaves, too large, truncated: nothing of that may open it
	url := httpServer(t, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		time.Sleep(5 * time.Millisecond)
		io.WriteString(w, "ok")
	})})
	f := service(t, url, standard, func(s *setup) {
		s.conf.Concurrency = config.Concurrency{Max: 3, QueueTime: ms(100)}
		s.conf.Breaker.ConsecutiveFailures = 1
	})
	for i := range 60 {
		u := newUpload(exchange.TruncatedBody)
		x := f.post(u, -1)
		switch i % 3 {
		case 0:
			x.RequestBody.Limit(3)
			u.pieces <- "abcdef"
			x.RequestBody.Limit(3)
		case 1:
			u.pieces <- "abc"
			close(u.pieces)
		case 2:
			u.pieces <- "abc"
			time.AfterFunc(time.Duration(i%7)*time.Millisecond, func() { x.Abort(exchange.ClientGone) })
		}
		f.forward(x).whole()
	}
	st := f.Stats()
	if st.Breaker.State != "CLOSED" || st.InFlight != 0 {
		t.Errorf("%s %s, %d in flight", st.Breaker.State, st.Breaker.Cause, st.InFlight)
	}
}

// A target to which it takes long to connect gets its connections and its requests, also when a
// hedge is always faster at first.
func TestHedgeLetsConnectionsStand(t *testing.T) {
	roots := x509.NewCertPool()
	var conns, served [2]atomic.Int32
	serve := func(i int, late time.Duration) string {
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			served[i].Add(1)
			time.Sleep(10 * time.Millisecond)
			io.WriteString(w, "ok")
		}))
		s.Config.ErrorLog = log.New(io.Discard, "", 0)
		s.Listener = lateListener{s.Listener, late, &conns[i]}
		s.StartTLS()
		roots.AddCert(s.Certificate())
		t.Cleanup(s.Close)
		return s.URL
	}
	first, second := serve(0, 60*time.Millisecond), serve(1, 0)
	f := service(t, first, standard, func(s *setup) {
		s.conf.Targets = []string{first, second}
		s.deps.TLS = &tls.Config{RootCAs: roots}
		s.conf.Hedge.After = ms(20)
		s.conf.Retries.Floor = 1000
		s.conf.Balance.Algorithm = "round_robin"
	})
	for range 24 {
		if got := f.get(); got != "200 ok" {
			t.Fatal(got)
		}
	}
	st := f.Stats()
	t.Logf("connections begun %d and %d, served %d and %d, hedges %d", conns[0].Load(), conns[1].Load(), served[0].Load(), served[1].Load(), st.Hedges)
	if s := st.Targets[0]; s.State != "up" {
		t.Errorf("the first target is %s: %s", s.State, s.Cause)
	}
	if served[0].Load() == 0 {
		t.Error("the first target never got a request")
	}
}

// A client that loses patience with an answer that has stopped coming is no sign of health.
func TestHangingBodyIsNoSuccess(t *testing.T) {
	var hang atomic.Bool
	url := httpServer(t, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !hang.Load() {
			w.WriteHeader(500)
			return
		}
		w.Header().Set("Content-Length", "100")
		io.WriteString(w, "0123456789")
		w.(http.Flusher).Flush()
		<-r.Context().Done() // it hangs, but for less than timeouts.idle (60s)
	})})
	f := service(t, url, standard, func(s *setup) { s.conf.Breaker.OpenFor, s.conf.Breaker.OpenMost = ms(50), ms(50) })
	f.halfOpen(func() { hang.Store(true) })
	for range 2 {
		c := f.do("GET", "/")
		if c.reason != nil {
			t.Fatal(c.reason.Name)
		}
		c.x.Now = c.x.Now.Add(-15 * time.Second) // the client's patience
		c.x.Abort(exchange.ClientGone)
		c.end()
	}
	if st := f.Stats().Breaker; st.State == "CLOSED" {
		t.Errorf("it is closed, because %s: two answers of which a tenth came", st.Cause)
	}
}

// Hedges are sent within the bound of requests in flight.
func TestHedgesKeepTheBound(t *testing.T) {
	var now, most atomic.Int32
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := now.Add(1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		time.Sleep(60 * time.Millisecond)
		now.Add(-1)
	})
	one, two := httpServer(t, &http.Server{Handler: h}), httpServer(t, &http.Server{Handler: h})
	f := service(t, one, standard, func(s *setup) {
		s.conf.Targets = []string{one, two}
		s.conf.Hedge.After = ms(10)
		s.conf.Retries.Floor = 1000
		s.conf.Concurrency = config.Concurrency{Max: 3, Queue: 100, QueueTime: ms(5000)}
	})
	var all []<-chan *call
	for range 12 {
		all = append(all, f.begin(f.exchange("GET", "/")))
	}
	for _, c := range all {
		(<-c).whole()
	}
	if most.Load() > 3 {
		t.Errorf("%d requests were with the service, max is 3", most.Load())
	}
}

// Who waits to try again is not with the service, and holds no place.
func TestPausesHoldNoPlace(t *testing.T) {
	url := httpServer(t, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/busy" {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(503)
		}
	})})
	f := service(t, url, standard, func(s *setup) {
		s.conf.Retries.On = config.StringList{"503"}
		s.conf.Concurrency = config.Concurrency{Max: 1, Queue: 0, QueueTime: ms(100)}
	})
	c := f.begin(f.exchange("GET", "/busy"))
	time.Sleep(100 * time.Millisecond)
	if got := f.get(); got != "200 " {
		t.Errorf("nothing is with the service, and a request gets %q", got)
	}
	(<-c).whole()
}

// A request that found no place for its next try is a failure of the service: its first try was.
func TestNoPlaceForTheNextTry(t *testing.T) {
	hold := make(chan struct{})
	var asked atomic.Int32
	f := service(t, origin(t, func(p *peer) {
		for head := p.head(); head != ""; head = p.head() {
			if strings.HasPrefix(head, "GET /busy") {
				p.send(strings.Replace(busy, "Content", "Retry-After: 1\nContent", 1))
				continue
			}
			asked.Add(1)
			<-hold
			p.send(ok)
		}
	}), standard, func(s *setup) {
		s.conf.Retries.On = config.StringList{"503"}
		s.conf.Concurrency = config.Concurrency{Max: 1, QueueTime: ms(100), Least: 1}
		s.conf.Breaker.ConsecutiveFailures = 1
	})
	first := f.begin(f.exchange("GET", "/busy"))
	eventually(t, "it pauses", func() bool { return f.Stats().Retries == 1 && f.Stats().InFlight == 0 })
	second := f.begin(f.exchange("GET", "/"))
	eventually(t, "the place is taken", func() bool { return asked.Load() == 1 })
	f.want(receive(t, first).whole(), "service_overloaded")
	f.want(f.state(), "OPEN")
	close(hold)
	f.want(receive(t, second).whole(), "200 ok")
}

// A request that connects to a target which drains is served, hedged or not.
func TestTargetDrainsWhileConnecting(t *testing.T) {
	for _, hedge := range []bool{false, true} {
		roots := x509.NewCertPool()
		var conns [2]atomic.Int32
		serve := func(i int) string {
			s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "ok") }))
			s.Config.ErrorLog = log.New(io.Discard, "", 0)
			s.Listener = lateListener{s.Listener, 200 * time.Millisecond, &conns[i]}
			s.StartTLS()
			roots.AddCert(s.Certificate())
			t.Cleanup(s.Close)
			return s.URL
		}
		a, b := serve(0), serve(1)
		f := service(t, a, standard, func(s *setup) {
			s.conf.Targets = []string{a, b}
			s.deps.TLS = &tls.Config{RootCAs: roots}
			s.conf.Retries.Most = 0
			if hedge {
				s.conf.Hedge.After = ms(5000)
			}
		})
		got := f.begin(f.exchange("POST", "/"))
		if hedge {
			got = f.begin(f.exchange("GET", "/"))
		}
		eventually(t, "it connects", func() bool { return conns[0].Load()+conns[1].Load() > 0 })
		for _, tg := range f.set.Load().list { // as retarget does with those that are gone
			tg.drain()
		}
		if s := receive(t, got).whole(); s != "200 ok" {
			t.Errorf("hedge %v: a request that was connecting to a target that drains gets %q; breaker failures in a row %d", hedge, s, f.Stats().Breaker.Failures)
		}
	}
}

// A request that has waited for its place until all its time was over is not sent again.
func TestNoTryWithoutTime(t *testing.T) {
	hold := make(chan struct{})
	var asked, busys atomic.Int32
	f := service(t, origin(t, func(p *peer) {
		for head := p.head(); head != ""; head = p.head() {
			if strings.HasPrefix(head, "GET /busy") {
				if busys.Add(1) > 1 {
					time.Sleep(200 * time.Millisecond)
				}
				p.send(strings.Replace(busy, "Content", "Retry-After: 1\nContent", 1))
				continue
			}
			asked.Add(1)
			<-hold
			p.send(ok)
		}
	}), standard, func(s *setup) {
		s.conf.Retries.On = config.StringList{"503"}
		s.conf.Timeouts.Response = ms(1300)
		s.conf.Concurrency = config.Concurrency{Max: 1, Queue: 10, QueueTime: ms(1000), Least: 1}
	})
	began := time.Now()
	first := f.begin(f.exchange("GET", "/busy"))
	eventually(t, "it pauses", func() bool { return f.Stats().Retries == 1 && f.Stats().InFlight == 0 })
	x := f.exchange("GET", "/")
	x.Out.ResponseTimeout = 10 * time.Second
	other := f.begin(x)
	eventually(t, "the place is taken", func() bool { return asked.Load() == 1 })
	time.AfterFunc(time.Until(began.Add(1900*time.Millisecond)), func() { close(hold) })
	got := receive(t, first).whole()
	st := f.Stats()
	t.Logf("%s after %v (timeouts.response 1.3s), sent %d times; last reason %s, breaker failures %d", got, time.Since(began), busys.Load(), st.LastReason, st.Breaker.Failures)
	if busys.Load() > 1 {
		t.Errorf("sent again 0.6 s after all its time was over")
	}
	receive(t, other).whole()
}

// Answers that are cut off are failures, also when clients take their time as usual.
func TestCutDownloadsAreFailures(t *testing.T) {
	half := strings.Repeat("x", 1<<20)
	url := origin(t, func(p *peer) {
		p.head()
		p.send(fmt.Sprintf("HTTP/1.1 200 OK\nContent-Length: %d\n\n", 2<<20) + half) // and closes
	})
	f := service(t, url, standard)
	for range 10 {
		c := f.do("GET", "/")
		buf := make([]byte, 16<<10)
		n, err := 0, error(nil)
		for err == nil && c.reason == nil {
			var m int
			m, err = c.x.ResponseBody.Read(buf)
			n += m
			time.Sleep(4 * time.Millisecond)
		}
		if c.reason == nil {
			t.Log(n, reasonOf(err), c.x.Elapsed())
		}
		c.end()
	}
	if st := f.Stats(); st.Breaker.State != "OPEN" {
		t.Errorf("10 of 10 answers were cut off in their middle after 0.3 s, breaker %s, failures in a row of the target %d", st.Breaker.State, st.Targets[0].Failures)
	}
}

// A client that leaves an event stream which was well for long is a sign of health.
func TestLeftStreamIsASuccess(t *testing.T) {
	var fail atomic.Bool
	fail.Store(true)
	url := httpServer(t, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if fail.Load() {
			w.WriteHeader(500)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		io.WriteString(w, "data: 1\n\n")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})})
	f := service(t, url, standard, func(s *setup) { s.conf.Breaker.OpenFor, s.conf.Breaker.OpenMost = ms(50), ms(50) })
	f.halfOpen(func() { fail.Store(false) })
	for range 2 {
		c := f.do("GET", "/")
		if c.reason != nil {
			t.Fatal(c.reason.Name)
		}
		c.x.Now = c.x.Now.Add(-15 * time.Second) // the stream is old
		buf := make([]byte, 100)
		if n, err := c.x.ResponseBody.Read(buf); n == 0 || err != nil { // given: 15 s after the head
			t.Fatal(n, err)
		}
		time.AfterFunc(50*time.Millisecond, func() { c.x.Abort(exchange.ClientGone) })
		_, err := c.x.ResponseBody.Read(buf) // as the engine does: blocked for the next event
		t.Log(err)
		c.end()
	}
	if st := f.Stats().Breaker; st.State != "CLOSED" {
		t.Errorf("%s: two event streams of 15 s, whose last event has come, are no sign of health", st.State)
	}
}

// A fault within Forward gives the place among the requests in flight back.
func TestFaultKeepsNoPlace(t *testing.T) {
	f := service(t, origin(t, always(ok)), standard, func(s *setup) {
		s.conf.Concurrency = config.Concurrency{Max: 1, Least: 1}
	})
	x := f.exchange("GET", "/")
	func() {
		defer func() { _ = recover() }()
		x.Out.Host = "h"
		x.KeepRequestTrailer = nil
		old := f.Service.balancer
		f.Service.balancer = nil
		defer func() { f.Service.balancer = old }()
		f.Forward(x)
	}()
	t.Log(f.Stats().InFlight, f.get())
}

// servedAfter is what a request gets when something has happened to the service.
func servedAfter(t *testing.T, hedge bool, end func(f *fixture)) string {
	one, two := origin(t, always(ok)), origin(t, always(ok))
	f := service(t, one, standard, func(s *setup) {
		s.conf.Targets = []string{one, two}
		s.conf.Retries.Most = 0
		if hedge {
			s.conf.Hedge.After = ms(5000)
		}
	})
	end(f)
	return f.get()
}

// Requests that still run when a service is closed are served, hedged or not.
func TestHedgeAfterClose(t *testing.T) {
	for _, hedge := range []bool{false, true} {
		if got := servedAfter(t, hedge, func(f *fixture) { f.Service.Close() }); got != "200 ok" {
			t.Errorf("hedge %v: after Close (a reload that replaces the service) a running request gets %q", hedge, got)
		}
	}
}

// fast is a body that comes as quickly as it is read.
type fast struct{ left int }

func (f *fast) Read(p []byte) (int, error) {
	if f.left == 0 {
		return 0, io.EOF
	}
	n := min(len(p), f.left)
	f.left -= n
	return n, nil
}
func (f *fast) Close() error { return nil }

// A service that resets uploads on receipt has failed.
func TestResetUploadsAreFailures(t *testing.T) {
	url := origin(t, func(p *peer) {
		p.head()
		p.SetLinger(0) // crashes at once
	})
	f := service(t, url, standard)
	bad := 0
	for range 40 {
		x := f.exchange("POST", "/")
		x.RequestBody.SetSource(&fast{left: 8 << 20}, 8<<20)
		if got := f.forward(x).whole(); got == "upstream_reset" {
			bad++
		} else {
			t.Log(got)
		}
	}
	st := f.Stats()
	if st.Breaker.State != "OPEN" && bad > 0 {
		t.Errorf("%d of 40 uploads from memory were reset, breaker %s, failures in a row of the target %d", bad, st.Breaker.State, st.Targets[0].Failures)
	}
}
