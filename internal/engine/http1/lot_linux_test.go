package http1

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"yett/internal/engine"
	"yett/internal/exchange"
	"yett/internal/sock"
)

// hasty makes connections park soon, as if there were many.
func (r *running) hasty() { r.e.open.Add(many + 1) }

func (l *Lot) size() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.parked)
}

func withLot(s *setup) {
	s.lot = true
	s.serve = sayOK
}

func sayOK(x *exchange.Exchange) {
	x.Status = 200
	x.ResponseBody.SetBytes([]byte("ok"))
}

// parked waits until that many connections are parked.
func (r *running) parked(n int) {
	r.t.Helper()
	eventually(r.t, fmt.Sprintf("%d connections are parked", n), func() bool { return r.lot.size() == n })
}

func TestParkedAnswersNext(t *testing.T) {
	r := start(t, "http://127.0.0.1:1", withLot)
	r.hasty()
	c := r.dial()
	for i := range 3 {
		if got := c.get("/"); got.StatusCode != 200 || got.body != "ok" {
			t.Fatalf("request %d: %d %q", i, got.StatusCode, got.body)
		}
		r.parked(1)
	}
}

// The first request of a connection may come late as well, and in pieces.
func TestParkedBeforeFirst(t *testing.T) {
	r := start(t, "http://127.0.0.1:1", withLot)
	r.hasty()
	c := r.dial()
	r.parked(1)
	c.send("GET / HT")
	r.parked(0)
	c.send("TP/1.1\nHost: a\n\n")
	if got := c.answer("GET"); got.StatusCode != 200 {
		t.Errorf("got %d", got.StatusCode)
	}
}

func TestParkedIdleTimeout(t *testing.T) {
	r := start(t, "http://127.0.0.1:1", withLot, func(s *setup) { s.listener.Timeouts.Idle = ms(1200) })
	r.hasty()
	c := r.dial()
	r.parked(1)
	if !c.over() {
		t.Error("a parked connection outlives its idle timeout")
	}
	eventually(t, "it is forgotten", func() bool { return r.e.Connections() == 0 && r.lot.size() == 0 })
}

func TestParkedEnds(t *testing.T) {
	for name, end := range map[string]func(*Engine){
		"drain": func(e *Engine) { e.Drain(engine.Until(time.Now().Add(limit))) },
		"close": (*Engine).Close,
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, "http://127.0.0.1:1", withLot)
			r.hasty()
			var all []*client
			for range 10 {
				all = append(all, r.dial())
			}
			r.parked(10)
			end(r.e)
			for _, c := range all {
				if !c.over() {
					t.Error("a parked connection is still open")
				}
			}
			eventually(t, "all are gone", func() bool { return r.e.Connections() == 0 && r.lot.size() == 0 })
		})
	}
}

// A client that leaves is noticed while its connection is parked.
func TestParkedClientLeaves(t *testing.T) {
	r := start(t, "http://127.0.0.1:1", withLot)
	r.hasty()
	c := r.dial()
	r.parked(1)
	_ = c.Close()
	eventually(t, "the connection is gone", func() bool { return r.e.Connections() == 0 })
}

// Many idle connections need no goroutines.
func TestParkedGoroutines(t *testing.T) {
	r := start(t, "http://127.0.0.1:1", withLot)
	r.hasty()
	const n = 300
	before := runtime.NumGoroutine()
	for range n {
		r.dial()
	}
	r.parked(n)
	eventually(t, "the goroutines are gone", func() bool { return runtime.NumGoroutine() < before+n/10 })
}

// Requests that come in the very moment of parking are answered, each exactly
// once.
func TestRequestsWhileParking(t *testing.T) {
	r := start(t, "http://127.0.0.1:1", withLot)
	r.hasty()
	var wg sync.WaitGroup
	rounds := 15
	if testing.Short() {
		rounds = 3
	}
	for i := range 100 {
		c := r.dial()
		wg.Go(func() {
			for n := range rounds {
				// A connection parks between 100 and 250 ms after its last answer.
				time.Sleep(95*time.Millisecond + time.Duration((i*37+n*11)%160)*time.Millisecond)
				_, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
				if err == nil {
					var line string
					line, err = c.r.ReadString('\n')
					for err == nil && line != "\r\n" {
						line, err = c.r.ReadString('\n')
					}
					if err == nil {
						_, err = c.r.Discard(len("ok"))
					}
				}
				if err != nil {
					t.Errorf("connection %d, request %d: %v", i, n, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// socket is the engine's end of a connection. Its hook stands where a goroutine
// may lose its processor, so that what happens only now and then happens.
type socket struct {
	*sock.Conn
	onDeadline func(t time.Time)
}

func (h *socket) SetDeadline(t time.Time) error {
	if h.onDeadline != nil {
		h.onDeadline(t)
	}
	return h.Conn.SetDeadline(t)
}

// hook serves one connection whose hooks prepare has set.
func (r *running) hook(prepare func(c *conn, h *socket)) *client {
	r.t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		r.t.Fatal(err)
	}
	defer ln.Close()
	r.addr = ln.Addr().String()
	queue, err := sock.NewAcceptor(ln)
	if err != nil {
		r.t.Fatal(err)
	}
	client := r.dial()
	nc, err := queue.Accept()
	if err != nil {
		r.t.Fatal(err)
	}
	h := &socket{Conn: nc}
	c := newConn(r.e, h, false)
	prepare(c, h)
	if !r.e.add(c) {
		r.t.Fatal("the engine takes no connection")
	}
	go c.serve()
	return client
}

// A request that comes in the moment in which the goroutine has waited long
// enough is answered like any other.
func TestRequestAtTheEndOfPatience(t *testing.T) {
	r := start(t, "http://127.0.0.1:1", withLot)
	r.hasty()
	waiting := make(chan struct{})
	c := r.hook(func(c *conn, _ *socket) {
		wait, calls := c.wait, 0
		c.wait = func(fd uintptr) bool {
			switch calls++; calls {
			case 1:
				close(waiting)
			case 2: // the request is there, and nobody has looked yet
				for !c.timer.Fired() {
					runtime.Gosched()
				}
			}
			return wait(fd)
		}
	})
	<-waiting
	if got := c.get("/"); got.StatusCode != 200 {
		t.Errorf("got %d", got.StatusCode)
	}
}

// Drain finds each idle connection, whatever it is just doing.
func TestDrainWhileParking(t *testing.T) {
	r := start(t, "http://127.0.0.1:1", withLot)
	r.hasty()
	drained := make(chan struct{})
	var drain sync.Once
	c := r.hook(func(_ *conn, h *socket) {
		told := make(chan struct{})
		var tell sync.Once
		h.onDeadline = func(at time.Time) {
			if !at.IsZero() {
				if r.e.draining.Load() {
					tell.Do(func() { close(told) })
				}
				return
			}
			drain.Do(func() { // patience is over, and the connection is about to park
				go func() {
					r.e.Drain(engine.Until(time.Now().Add(limit / 2)))
					close(drained)
				}()
				<-told
			})
		}
	})
	start := time.Now()
	<-drained
	if d := time.Since(start); d > limit/4 || !c.over() {
		t.Errorf("it took %v to close an idle connection", d)
	}
}

// A parked connection is open, so it counts towards the listener's limit.
func TestParkedCountsTowardsLimit(t *testing.T) {
	r := start(t, "http://127.0.0.1:1", withLot)
	r.hasty()
	s := &engine.Server{Address: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler)}
	s.Set(engine.Settings{HTTP1: r.e, Connections: 1})
	if err := s.Bind(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { _ = s.Unbind() })
	t.Cleanup(r.e.Close)
	r.addr = s.Addr().String()
	first := r.dial()
	r.parked(1)
	second := r.dial()
	second.send("GET / HTTP/1.1\nHost: a\n\n")
	_ = second.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
	if _, err := second.r.Peek(1); err == nil {
		t.Fatal("a second connection is served")
	} else if ne, isNet := err.(net.Error); !isNet || !ne.Timeout() {
		t.Fatal(err)
	}
	_ = first.Close()
	_ = second.SetReadDeadline(time.Now().Add(limit))
	if got := second.answer("GET"); got.StatusCode != 200 {
		t.Errorf("got %d when there is room", got.StatusCode)
	}
}

// Where there is no Lot, idle connections keep their goroutines.
func TestWithoutLot(t *testing.T) {
	r := start(t, "http://127.0.0.1:1", func(s *setup) { s.serve = sayOK })
	r.hasty()
	c := r.dial()
	for range 2 {
		if got := c.get("/" + strings.Repeat("a", 10)); got.StatusCode != 200 {
			t.Errorf("got %d", got.StatusCode)
		}
	}
}

// What was in the socket's buffer before Drain is answered for certain. The connection's
// goroutine is held back so that it can't have seen it.
func TestDrainLooksOnceMore(t *testing.T) {
	r := start(t, origin(t, always(ok)), withLot)
	r.hasty()
	c := r.dial()
	c.get("/")
	eventually(t, "the connection is parked", func() bool { return r.lot.size() == 1 })
	r.lot.mu.Lock() // nobody can be woken
	c.send("GET / HTTP/1.1\nHost: a\n\n")
	drained := make(chan engine.Lost, 1)
	go func() { drained <- r.e.Drain(engine.Until(time.Now().Add(limit))) }()
	eventually(t, "the engine drains", r.e.draining.Load)
	r.lot.mu.Unlock()
	if got := c.answer("GET"); got.body != "ok" || !got.Close {
		t.Errorf("%+v", got)
	}
	if lost := <-drained; lost != (engine.Lost{}) {
		t.Errorf("%+v", lost)
	}
}

// The end of a Lot is no error, and nothing parks afterwards.
func TestLotCloses(t *testing.T) {
	r := start(t, "http://127.0.0.1:1", withLot)
	r.hasty()
	r.dial()
	r.parked(1)
	var log bytes.Buffer
	l, err := NewLot(slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	r.lot.mu.Lock()
	for _, c := range r.lot.parked {
		if l.park(c) {
			t.Error("a connection parks where nobody is")
		}
	}
	r.lot.mu.Unlock()
	if log.Len() > 0 {
		t.Errorf("the log has %s", &log)
	}
}

// Waiting in the kernel would keep a processor from all other goroutines for a while.
func TestLotWaitsInRuntime(t *testing.T) {
	r := start(t, "http://127.0.0.1:1", withLot)
	r.hasty()
	c := r.dial()
	for range 2 {
		r.parked(1)
		state := ""
		for deadline := time.Now().Add(limit); state != "IO wait" && time.Now().Before(deadline); runtime.Gosched() {
			state = stateOf(t, ".(*Lot).run(")
		}
		if state != "IO wait" {
			t.Fatalf("who waits for parked connections is in state %q", state)
		}
		c.get("/")
	}
}

// stateOf returns in what state the goroutine is that runs a function.
func stateOf(t *testing.T, function string) string {
	t.Helper()
	stacks := make([]byte, 1<<20)
	for stack := range strings.SplitSeq(string(stacks[:runtime.Stack(stacks, true)]), "\n\n") {
		if !strings.Contains(stack, function) {
			continue
		}
		_, state, _ := strings.Cut(stack, "[")
		state, _, _ = strings.Cut(state, "]")
		state, _, _ = strings.Cut(state, ",")
		return state
	}
	t.Fatalf("no goroutine runs %s", function)
	return ""
}

// rested makes those that are parked have rested for that long.
func (r *running) rested(d time.Duration) {
	r.lot.mu.Lock()
	defer r.lot.mu.Unlock()
	for _, c := range r.lot.parked {
		c.since = c.timer.Now() - d
	}
}

// A connection that has come back from a long rest parks as soon as it rests again, and one that
// has come back soon waits first.
func TestParkedAgain(t *testing.T) {
	r := start(t, "http://127.0.0.1:1", withLot)
	r.hasty()
	client := r.dial()
	for i, rest := range []time.Duration{time.Hour, time.Hour, -time.Hour, time.Hour, -time.Hour} {
		r.parked(1)
		r.rested(rest)
		if got := client.get("/"); got.StatusCode != 200 || got.body != "ok" {
			t.Fatalf("request %d: %d %q", i, got.StatusCode, got.body)
		}
		r.parked(1)
		r.lot.mu.Lock()
		for _, c := range r.lot.parked {
			if waited := !c.slow; waited != (rest < 0) {
				t.Errorf("request %d, after %v: waited %v", i, rest, waited)
			}
		}
		r.lot.mu.Unlock()
	}
}

// What comes in pieces, or together, after a long rest is served as ever.
func TestParkedAgainInPieces(t *testing.T) {
	r := start(t, "http://127.0.0.1:1", withLot)
	r.hasty()
	const request = "GET / HTTP/1.1\nHost: a\n\n"
	for _, pieces := range [][]string{{request}, {request[:9], request[9:]}, {request + request}, {request + request[:9], request[9:]}} {
		c := r.dial()
		r.parked(1)
		for range 2 {
			r.rested(time.Hour)
			for i, piece := range pieces {
				c.send("%s", piece)
				if i < len(pieces)-1 {
					r.parked(0)
				}
			}
			for range strings.Count(strings.Join(pieces, ""), request) {
				if got := c.answer("GET"); got.body != "ok" {
					t.Errorf("%q: %q", pieces, got.body)
				}
			}
			r.parked(1)
		}
		_ = c.Close()
		r.parked(0)
	}
}

// Below TLS a connection parks too, however often.
func TestParkedBelowTLS(t *testing.T) {
	s := httptest.NewUnstartedServer(nil)
	s.StartTLS()
	defer s.Close()
	r := start(t, "http://127.0.0.1:1", withLot)
	r.hasty()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	queue, err := sock.NewAcceptor(ln)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		nc, err := queue.Accept()
		if err != nil {
			return
		}
		if tc := tls.Server(nc, &tls.Config{Certificates: s.TLS.Certificates}); tc.Handshake() == nil {
			r.e.ServeConn(tc, true)
		}
	}()
	secured, err := tls.Dial("tcp", ln.Addr().String(), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer secured.Close()
	answers := bufio.NewReader(secured)
	for i := range 3 {
		if _, err := io.WriteString(secured, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		answer, err := http.ReadResponse(answers, nil)
		if err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(answer.Body); string(body) != "ok" || err != nil {
			t.Fatalf("request %d: %q, %v", i, body, err)
		}
		r.parked(1)
		r.rested(time.Hour)
	}
}
