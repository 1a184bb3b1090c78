package http1

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"yett/internal/config"
	"yett/internal/engine"
	"yett/internal/exchange"
	"yett/internal/sock"
	"yett/internal/sweep"
	"yett/internal/upstream"
	"yett/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// limit is how long a test waits for what has to happen.
const limit = 10 * time.Second

// setup is what a test changes about an engine before it starts.
type setup struct {
	listener config.Listener
	service  config.Service
	serve    func(x *exchange.Exchange) // nil: forward to the service
	http2    func(net.Conn)
	lot      bool
	// smallBuffers makes the sockets between client and engine hold little.
	smallBuffers bool
}

// ended is what is known about an exchange when it is over.
type ended struct {
	method, path, reason, detail string
	status                       int
	in, out                      int64
}

// running is an engine with its listener.
type running struct {
	t     testing.TB
	e     *Engine
	lot   *Lot
	addr  string
	done  chan ended
	core  *core
	small bool
}

// core is a gateway that forwards to one service, or does what the test says.
type core struct {
	s       *upstream.Service
	handler func(x *exchange.Exchange)
	done    chan ended
}

func (c *core) Serve(x *exchange.Exchange) {
	switch {
	case x.Reason != nil:
	case c.handler != nil:
		c.handler(x)
	default:
		x.Out.Path = x.RawPath
		if r := c.s.Forward(x); r != nil {
			x.Refuse(r)
		}
	}
	if x.Reason != nil {
		x.Response.Reset()
		x.ResponseBody.SetBytes([]byte(x.Reason.Name))
	}
}

func (c *core) Done(x *exchange.Exchange) {
	if c.done == nil {
		return
	}
	e := ended{method: strings.Clone(x.Method), path: strings.Clone(x.RawPath), detail: strings.Clone(x.Detail),
		status: x.Status, in: x.BytesIn, out: x.BytesOut}
	if x.Reason != nil {
		e.reason = x.Reason.Name
	}
	select {
	case c.done <- e:
	default: // the test does not look
	}
}

// start runs an engine before a service at target, until the test ends. Then
// no connection may be left.
func start(t testing.TB, target string, change ...func(*setup)) *running {
	t.Helper()
	var st setup
	st.listener.Limits.SetDefaults()
	st.listener.Timeouts.SetDefaults()
	setServiceDefaults(&st.service, target)
	for _, f := range change {
		f(&st)
	}
	r := &running{t: t, done: make(chan ended, 4096)}
	sweeper := sweep.New()
	t.Cleanup(sweeper.Close)
	var buffers wire.Buffers
	service, err := upstream.New("app", st.service, upstream.Deps{Buffers: &buffers, Sweeper: sweeper})
	if err != nil {
		t.Fatal(err)
	}
	service.Start()
	t.Cleanup(service.Close)
	r.core = &core{s: service, handler: st.serve, done: r.done}
	deps := Deps{Core: r.core, Buffers: &buffers, Exchanges: &exchange.Pool{}, Sweeper: sweeper, Log: slog.New(slog.DiscardHandler), HTTP2: st.http2}
	if st.lot {
		if r.lot, err = NewLot(deps.Log); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(r.lot.Close)
		deps.Lot = r.lot
	}
	r.e = New(st.listener, deps)
	r.small = st.smallBuffers
	r.listen()
	return r
}

func setServiceDefaults(s *config.Service, target string) {
	s.Targets = []string{target}
	s.Timeouts.SetDefaults()
	s.Connections.SetDefaults()
	s.Limits.SetDefaults()
}

func (r *running) listen() {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		r.t.Fatal(err)
	}
	r.addr = ln.Addr().String()
	queue, err := sock.NewAcceptor(ln)
	if err != nil {
		r.t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := queue.Accept()
			if err != nil {
				return
			}
			if r.small {
				raw, _ := c.SyscallConn()
				_ = raw.Control(func(fd uintptr) { _ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_SNDBUF, 4<<10) })
			}
			wg.Go(func() { r.e.ServeConn(c, false) })
		}
	})
	r.t.Cleanup(func() {
		_ = queue.Close()
		_ = ln.Close()
		r.e.Close()
		r.e.Drain(engine.Until(time.Now().Add(limit)))
		eventually(r.t, "no connection is left", func() bool { return r.e.Connections() == 0 })
		wg.Wait()
	})
}

// ended returns the next exchange that is over.
func (r *running) ended() ended {
	r.t.Helper()
	select {
	case e := <-r.done:
		return e
	case <-time.After(limit):
		r.t.Fatal("no exchange has ended")
		return ended{}
	}
}

// client is a connection of a client.
type client struct {
	*net.TCPConn
	t testing.TB
	r *bufio.Reader
}

func (r *running) dial() *client {
	r.t.Helper()
	nc, err := net.Dial("tcp", r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = nc.Close() })
	_ = nc.SetDeadline(time.Now().Add(limit))
	if r.small {
		_ = nc.(*net.TCPConn).SetReadBuffer(4 << 10)
	}
	return &client{TCPConn: nc.(*net.TCPConn), t: r.t, r: bufio.NewReader(nc)}
}

// send writes a message, with LF for CRLF.
func (c *client) send(format string, args ...any) {
	c.t.Helper()
	text := strings.ReplaceAll(fmt.Sprintf(format, args...), "\n", "\r\n")
	if _, err := io.WriteString(c.TCPConn, text); err != nil {
		c.t.Fatal(err)
	}
}

// answer is an answer that was read to its end.
type answer struct {
	*http.Response
	body string
}

// answer reads an answer to that method.
func (c *client) answer(method string) answer {
	c.t.Helper()
	resp, err := http.ReadResponse(c.r, &http.Request{Method: method})
	if err != nil {
		c.t.Fatalf("reading an answer: %v", err)
	}
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatalf("reading the content of an answer: %v", err)
	}
	return answer{resp, string(b)}
}

// get asks for a path and returns the answer.
func (c *client) get(path string) answer {
	c.t.Helper()
	c.send("GET %s HTTP/1.1\nHost: a\n\n", path)
	return c.answer("GET")
}

// over tells whether the connection ends without another byte.
func (c *client) over() bool {
	_, err := c.r.ReadByte()
	return err != nil && !isTimeout(err)
}

func isTimeout(err error) bool {
	ne, ok := err.(net.Error)
	return ok && ne.Timeout()
}

// peer is a connection as the service of a test sees it.
type peer struct {
	*net.TCPConn
	r    *bufio.Reader
	n    int           // of the connection, from 0
	over chan struct{} // closed when the test ends
}

// head reads a head and returns it with LF for CRLF, "" at the end.
func (p *peer) head() string {
	var b strings.Builder
	for {
		line, err := p.r.ReadString('\n')
		if err != nil {
			return ""
		}
		if line == "\r\n" {
			return b.String()
		}
		b.WriteString(strings.TrimSuffix(line, "\r\n") + "\n")
	}
}

// send writes a message, with LF for CRLF.
func (p *peer) send(text string) {
	_, _ = io.WriteString(p.TCPConn, strings.ReplaceAll(text, "\n", "\r\n"))
}

const ok = "HTTP/1.1 200 OK\nContent-Length: 2\n\nok"

// origin is a service that talks on each connection as handle says. The
// connection is closed when handle returns.
func origin(t testing.TB, handle func(p *peer)) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var conns []net.Conn
	over := make(chan struct{})
	wg.Go(func() {
		for n := 0; ; n++ {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, nc)
			mu.Unlock()
			wg.Go(func() {
				defer nc.Close()
				handle(&peer{TCPConn: nc.(*net.TCPConn), r: bufio.NewReader(nc), n: n, over: over})
			})
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		close(over)
		mu.Lock()
		for _, c := range conns {
			_ = c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return "http://" + ln.Addr().String()
}

// always answers every request on a connection in the same way.
func always(text string) func(*peer) {
	return func(p *peer) {
		for p.head() != "" {
			p.send(text)
		}
	}
}

// eventually waits until something is true that no event tells.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	timeout := time.After(limit)
	for !is() {
		select {
		case <-ticker.C:
		case <-timeout:
			t.Fatalf("it never came true: %s", what)
		}
	}
}

func ms(n int) config.Duration { return config.Duration(time.Duration(n) * time.Millisecond) }
