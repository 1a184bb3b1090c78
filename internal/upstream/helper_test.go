package upstream

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"yett/internal/config"
	"yett/internal/exchange"
	"yett/internal/sweep"
	"yett/internal/upstream/discover"
	"yett/internal/wire"
)

func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", "8"); err != nil { // those that are parallel wait for names to be looked up again
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

// limit is how long a test waits for what has to happen.
const limit = 10 * time.Second

// fixture is a service with what it needs.
type fixture struct {
	*Service
	t    testing.TB
	pool exchange.Pool
}

// setup is what a test changes about a service before it starts.
type setup struct {
	conf config.Service
	deps Deps
}

// service starts a service with that target until the test ends. Then no
// connection may be left.
func service(t testing.TB, target string, change ...func(*setup)) *fixture {
	t.Helper()
	var st setup
	st.conf.Targets = []string{target}
	st.conf.Timeouts.SetDefaults()
	st.conf.Connections.SetDefaults()
	st.conf.Limits.SetDefaults()
	st.conf.SetDefaults()
	sweeper := sweep.New()
	t.Cleanup(sweeper.Close)
	st.deps = Deps{Buffers: &wire.Buffers{}, Sweeper: sweeper, Resolver: names{}}
	for _, f := range change {
		f(&st)
	}
	s, err := New("app", st.conf, st.deps)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	f := &fixture{Service: s, t: t}
	t.Cleanup(func() {
		s.Close()
		for _, target := range s.set.Load().list {
			eventually(t, "all connections are closed", func() bool { return target.pool.count() == 0 })
		}
	})
	return f
}

// count is how many connections there are, idle or in use.
func (p *pool) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.open
}

// waiting is how many requests wait for a connection.
func (p *pool) waiting() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.wait)
}

// target returns the first target, once there is one.
func (f *fixture) target() *target {
	eventually(f.t, "there is a target", func() bool { return len(f.set.Load().list) > 0 })
	return f.set.Load().list[0]
}

func (f *fixture) first() *pool { return &f.target().pool }

// names is a Resolver that knows no name.
type names struct{}

func (names) WatchAddresses(host string, every time.Duration, changed func([]netip.Addr), failed func(error)) *discover.Watch[netip.Addr] {
	return discover.NewWatch(func(context.Context) ([]netip.Addr, time.Duration, error) {
		return nil, 0, fmt.Errorf("%s is unknown", host)
	}, every, changed, failed)
}

func (names) WatchServices(name string, every time.Duration, changed func([]discover.Target), failed func(error)) *discover.Watch[discover.Target] {
	return discover.NewWatch(func(context.Context) ([]discover.Target, time.Duration, error) {
		return nil, 0, fmt.Errorf("%s is unknown", name)
	}, every, changed, failed)
}

// call is one exchange and its outcome.
type call struct {
	f      *fixture
	x      *exchange.Exchange
	reason *exchange.Reason
}

// exchange makes an exchange as the gateway hands it to Forward.
func (f *fixture) exchange(method, path string) *exchange.Exchange {
	x := f.pool.Get()
	x.Method, x.Out.Path = method, path
	x.Now = time.Now()
	return x
}

// do forwards a request without a body.
func (f *fixture) do(method, path string) *call { return f.forward(f.exchange(method, path)) }

func (f *fixture) forward(x *exchange.Exchange) *call {
	return &call{f: f, x: x, reason: f.Forward(x)}
}

// whole reads the answer to its end and gives everything back. It returns
// status and content, or the reason.
func (c *call) whole() string {
	c.f.t.Helper()
	defer c.end()
	if c.reason != nil {
		return c.reason.Name
	}
	b, err := c.read()
	if err != nil {
		return fmt.Sprintf("%d %s, then %v", c.x.Status, b, reasonOf(err))
	}
	return fmt.Sprintf("%d %s", c.x.Status, b)
}

// sent is whole, and tells whether the service may have seen the request.
func (c *call) sent() string {
	c.f.t.Helper()
	if c.x.Sent {
		return "sent, " + c.whole()
	}
	return c.whole()
}

func (c *call) read() (string, error) {
	if whole, ok := c.x.ResponseBody.Whole(); ok {
		return string(whole), nil
	}
	b, err := io.ReadAll(&c.x.ResponseBody)
	return string(b), err
}

func reasonOf(err error) string {
	var r *exchange.Reason
	if errors.As(err, &r) {
		return r.Name
	}
	return err.Error()
}

// end releases the exchange as an engine does.
func (c *call) end() {
	if c.x.Tunnel != nil {
		_ = c.x.Tunnel.Close()
	}
	_ = c.x.ResponseBody.Close()
	c.f.pool.Put(c.x)
}

// get returns status and content of an answer, or the reason.
func (f *fixture) get() string {
	f.t.Helper()
	return f.do("GET", "/").whole()
}

func (f *fixture) want(got, want string) {
	f.t.Helper()
	if got != want {
		f.t.Errorf("got %q, want %q", got, want)
	}
}

// peer is a connection as the service's other end sees it.
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

// origin talks on each connection as handle says, until the test ends. The
// connection is closed when handle returns.
func origin(t testing.TB, handle func(p *peer)) string {
	t.Helper()
	return "http://" + listen(t, "127.0.0.1:0", handle).String()
}

func listen(t testing.TB, address string, handle func(p *peer)) net.Addr {
	t.Helper()
	ln, err := net.Listen("tcp", address)
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
	return ln.Addr()
}

// always answers every request on a connection in the same way.
func always(text string) func(*peer) {
	return func(p *peer) {
		for p.head() != "" {
			p.send(text)
		}
	}
}

// once answers one request and closes.
func once(text string) func(*peer) {
	return func(p *peer) {
		p.head()
		p.send(text)
	}
}

// numbered answers with the number of the connection.
func numbered(p *peer) {
	for p.head() != "" {
		p.send(fmt.Sprintf("HTTP/1.1 200 OK\nContent-Length: %d\n\n%d", len(fmt.Sprint(p.n)), p.n))
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

// receive returns what comes from a channel in time.
func receive[T any](t testing.TB, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(limit):
		t.Fatal("nothing has come")
		panic("unreachable")
	}
}

func ms(n int) config.Duration { return config.Duration(time.Duration(n) * time.Millisecond) }

// upload is a request body whose pieces come from a channel. It fails with
// err when the channel is closed, io.EOF for a proper end.
type upload struct {
	pieces    chan string
	err       error
	rest      string
	interrupt chan struct{}
	once      sync.Once
}

func newUpload(err error) *upload {
	return &upload{pieces: make(chan string, 16), err: err, interrupt: make(chan struct{})}
}

func (u *upload) Read(p []byte) (int, error) {
	if u.rest == "" {
		select {
		case piece, more := <-u.pieces:
			if !more {
				return 0, u.err
			}
			u.rest = piece
		case <-u.interrupt:
			return 0, exchange.TruncatedBody
		}
	}
	n := copy(p, u.rest)
	u.rest = u.rest[n:]
	return n, nil
}

func (u *upload) Close() error { return nil }
func (u *upload) Interrupt()   { u.once.Do(func() { close(u.interrupt) }) }

// post makes an exchange with a streaming body of that size, -1 for chunks.
func (f *fixture) post(u *upload, size int64) *exchange.Exchange {
	x := f.exchange("POST", "/")
	x.RequestBody.SetSource(u, size)
	return x
}
