package upstream

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"yett/internal/exchange"
	"yett/internal/upstream/discover"
)

func TestAnswers(t *testing.T) {
	large := strings.Repeat("x", 200<<10)
	tests := []struct{ name, method, answer, want string }{
		{"length", "GET", "HTTP/1.1 200 OK\nContent-Length: 3\n\nabc", "200 abc"},
		{"large", "GET", fmt.Sprintf("HTTP/1.1 200 OK\nContent-Length: %d\n\n%s", len(large), large), "200 " + large},
		{"chunks", "GET", "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n3\nabc\n1;x=y\nd\n0\n\n", "200 abcd"},
		{"large chunks", "GET", fmt.Sprintf("HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n%x\n%s\n0\n\n", len(large), large), "200 " + large},
		{"until close", "GET", "HTTP/1.1 200 OK\n\nabc", "200 abc"},
		{"no content", "GET", "HTTP/1.1 204 No Content\n\n", "204 "},
		{"head", "HEAD", "HTTP/1.1 200 OK\nContent-Length: 3\n\n", "200 "},
		{"not modified", "GET", "HTTP/1.1 304 Not Modified\nContent-Length: 3\n\n", "304 "},
		{"server error", "GET", "HTTP/1.1 503 Busy\nContent-Length: 0\n\n", "503 "},

		{"nothing", "GET", "", "upstream_reset"},
		{"end within the head", "GET", "HTTP/1.1 200 OK\nContent-Le", "upstream_reset"},
		{"no HTTP", "GET", "220 mail.example ESMTP\n\n", "upstream_malformed"},
		{"status", "GET", "HTTP/1.1 2000 OK\n\n", "upstream_malformed"},
		{"two lengths", "GET", "HTTP/1.1 200 OK\nContent-Length: 3\nContent-Length: 4\n\nabcd", "upstream_malformed"},
		{"length beside chunks", "GET", "HTTP/1.1 200 OK\nContent-Length: 3\nTransfer-Encoding: chunked\n\n0\n\n", "upstream_malformed"},
		{"bare LF", "GET", "HTTP/1.1 200 OK\nA: b\x00\n\n", "upstream_malformed"},
		{"large head", "GET", "HTTP/1.1 200 OK\nA: " + large + "\n\n", "upstream_malformed"},
		{"unasked switch", "GET", "HTTP/1.1 101 Switching Protocols\nUpgrade: x\nConnection: upgrade\n\n", "upgrade_refused"},
		{"cut content", "GET", "HTTP/1.1 200 OK\nContent-Length: 10\n\nabc", "200 abc, then upstream_reset"},
		{"cut chunk", "GET", "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n5\nabc", "200 abc, then upstream_reset"},
		{"no last chunk", "GET", "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n3\nabc\n", "200 abc, then upstream_reset"},
		{"bad chunk", "GET", "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n3\nabc\nzz\n", "200 abc, then upstream_malformed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := service(t, origin(t, once(tt.answer)))
			if got := f.do(tt.method, "/").whole(); got != tt.want {
				t.Errorf("got %.200q, want %.200q", got, tt.want)
			}
		})
	}
}

// What a service gets is what the gateway meant, byte for byte.
func TestRequestOnTheWire(t *testing.T) {
	heads := make(chan string, 1)
	f := service(t, origin(t, func(p *peer) {
		for head := p.head(); head != ""; head = p.head() {
			heads <- head
			p.send(ok)
		}
	}))
	host := f.target().host
	x := f.exchange("GET", "/a%20b")
	x.Query, x.HasQuery = "c=d", true
	x.Request.Add("Host", "client.example")
	x.Request.Add("Accept", "a")
	x.Request.Add("accept", "b")
	x.Request.Add("Expect", "100-continue")
	f.want(f.forward(x).whole(), "200 ok")
	f.want(receive(t, heads), "GET /a%20b?c=d HTTP/1.1\nHost: "+host+"\nAccept: a\naccept: b\n")
	x = f.exchange("DELETE", "/")
	x.Out.Host = "own.example"
	x.Request.Add("Content-Length", "99")
	x.RequestBody.SetBytes([]byte("abc"))
	f.want(f.forward(x).whole(), "200 ok")
	f.want(receive(t, heads), "DELETE / HTTP/1.1\nHost: own.example\nContent-Length: 3\n")
}

// The answer's fields come without those of its connection.
func TestHopByHop(t *testing.T) {
	f := service(t, origin(t, once("HTTP/1.1 200 OK\nConnection: X-Hop, keep-alive\nX-Hop: a\nKeep-Alive: 5\nX-End: b\nContent-Length: 0\n\n")))
	c := f.do("GET", "/")
	var names []string
	for _, h := range c.x.Response.Fields() {
		names = append(names, h.Name)
	}
	f.want(strings.Join(names, " "), "X-End Content-Length")
	f.want(c.whole(), "200 ")
}

func TestTrailer(t *testing.T) {
	f := service(t, origin(t, once("HTTP/1.1 200 OK\nTransfer-Encoding: chunked\nTrailer: X-Sum\n\n3\nabc\n0\nX-Sum: 6\nContent-Length: 9\n\n")))
	c := f.do("GET", "/")
	if b, err := c.read(); err != nil || b != "abc" {
		t.Errorf("got %q, %v", b, err)
	}
	if c.x.ResponseTrailer.Len() != 1 || c.x.ResponseTrailer.Get("X-Sum") != "6" {
		t.Errorf("trailers are %v", c.x.ResponseTrailer.Fields())
	}
	c.end()
}

// interims notes 1xx answers.
type interims struct {
	got []string
	err error
}

func (i *interims) WriteInterim(status int, h *exchange.Header) error {
	i.got = append(i.got, fmt.Sprintf("%d %s", status, h.Get("Link")))
	return i.err
}

func TestInterim(t *testing.T) {
	const early = "HTTP/1.1 103 Early Hints\nLink: <a>\n\n"
	f := service(t, origin(t, always("HTTP/1.1 102 Processing\n\n"+early+early+ok)))
	for range 2 {
		var i interims
		x := f.exchange("GET", "/")
		x.Interim = &i
		c := f.forward(x)
		if x.Response.Get("Link") != "" {
			t.Error("a field of a 103 is in the final answer")
		}
		f.want(c.whole(), "200 ok")
		f.want(strings.Join(i.got, ", "), "102 , 103 <a>, 103 <a>")
	}
	f.want(f.get(), "200 ok") // to somebody who wants none
	x := f.exchange("GET", "/")
	x.Interim = &interims{err: errors.New("gone")}
	f.want(f.forward(x).whole(), "client_gone")
}

// A connection that dies while it rests costs nobody an answer, where asking
// twice does no harm. Only then is it tried again, and only once.
func TestRetry(t *testing.T) {
	tests := []struct {
		method, body string
		want         string
		asked        int32 // the request reached a service that often
	}{
		{"GET", "", "200 ok", 2},
		{"HEAD", "", "200 ", 2},
		{"PUT", "abc", "200 ok", 2},
		{"DELETE", "", "200 ok", 2},
		{"POST", "abc", "upstream_reset", 1},
		{"PATCH", "", "upstream_reset", 1},
	}
	for _, tt := range tests {
		t.Run(tt.method, func(t *testing.T) {
			var asked atomic.Int32
			f := service(t, origin(t, func(p *peer) {
				p.head()
				if p.n == 0 {
					p.send(ok)
					p.head() // and then no word
					asked.Add(1)
					return
				}
				asked.Add(1)
				if tt.method == "HEAD" {
					p.send(strings.TrimSuffix(ok, "ok"))
					return
				}
				p.send(ok)
			}))
			f.want(f.get(), "200 ok")
			x := f.exchange(tt.method, "/")
			x.RequestBody.SetBytes([]byte(tt.body))
			c := f.forward(x)
			if want := int(tt.asked); x.Attempts != want {
				t.Errorf("%d attempts, want %d", x.Attempts, want)
			}
			f.want(c.whole(), tt.want)
			if n := asked.Load(); n != tt.asked {
				t.Errorf("the request was seen %d times, want %d", n, tt.asked)
			}
		})
	}
}

// A fresh connection that dies is the service's failure.
func TestNoRetryOnFresh(t *testing.T) {
	var asked atomic.Int32
	f := service(t, origin(t, func(p *peer) {
		p.head()
		asked.Add(1)
	}))
	f.want(f.get(), "upstream_reset")
	if n := asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

// A part of an answer is an answer: nobody is asked again.
func TestNoRetryAfterFirstByte(t *testing.T) {
	var asked atomic.Int32
	f := service(t, origin(t, func(p *peer) {
		p.head()
		p.send(ok)
		p.head()
		asked.Add(1)
		p.send("HTTP/1.1 2")
	}))
	f.want(f.get(), "200 ok")
	f.want(f.get(), "upstream_reset")
	if n := asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

func TestConnectRefused(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = ln.Close()
	f := service(t, "http://"+ln.Addr().String())
	f.want(f.get(), "connect_failed")
	if n := f.first().count(); n != 0 {
		t.Errorf("%d connections are counted", n)
	}
}

// deaf is an address that answers no connection: its queue is full.
func deaf(t *testing.T, address string) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	at := netip.MustParseAddrPort(address)
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: at.Addr().As4(), Port: int(at.Port())}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	sa, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	in4 := sa.(*syscall.SockaddrInet4)
	full := netip.AddrPortFrom(netip.AddrFrom4(in4.Addr), uint16(in4.Port)).String()
	for {
		c, err := net.DialTimeout("tcp", full, 200*time.Millisecond)
		if err != nil {
			return full
		}
		t.Cleanup(func() { _ = c.Close() })
	}
}

func TestConnectTimeout(t *testing.T) {
	f := service(t, "http://"+deaf(t, "127.0.0.1:0"), func(s *setup) { s.conf.Timeouts.Connect = ms(100) })
	f.want(f.get(), "connect_timeout")
	if n := f.first().count(); n != 0 {
		t.Errorf("%d connections are counted", n)
	}
}

// Who gives up while a connection is being opened does not wait for it.
func TestAbortWhileConnecting(t *testing.T) {
	f := service(t, "http://"+deaf(t, "127.0.0.1:0"), func(s *setup) { s.conf.Timeouts.Connect = ms(60000) })
	x := f.exchange("GET", "/")
	got := make(chan string)
	go func() { got <- f.forward(x).sent() }()
	eventually(t, "it is connecting", func() bool { return f.first().count() == 1 })
	x.Abort(exchange.ClientGone)
	f.want(receive(t, got), "client_gone")
}

func TestResponseTimeout(t *testing.T) {
	hang := func(p *peer) {
		p.head()
		<-p.over
	}
	f := service(t, origin(t, hang), func(s *setup) { s.conf.Timeouts.Response = ms(100) })
	f.want(f.get(), "upstream_timeout")
	f = service(t, origin(t, hang)) // a route may have its own
	x := f.exchange("GET", "/")
	x.Out.ResponseTimeout = 100 * time.Millisecond
	f.want(f.forward(x).whole(), "upstream_timeout")
}

// The time for the answer begins when the request is complete.
func TestResponseTimeoutAfterUpload(t *testing.T) {
	f := service(t, origin(t, func(p *peer) {
		p.head()
		_, _ = io.ReadFull(p.r, make([]byte, 5))
		<-p.over
	}), func(s *setup) { s.conf.Timeouts.Response = ms(200) })
	u := newUpload(io.EOF)
	got := make(chan string)
	go func() { got <- f.forward(f.post(u, 5)).whole() }()
	u.pieces <- "abc"
	select {
	case g := <-got:
		t.Fatalf("%s while the client still sends", g)
	case <-time.After(500 * time.Millisecond):
	}
	u.pieces <- "de"
	close(u.pieces)
	f.want(receive(t, got), "upstream_timeout")
}

func TestIdleAnswer(t *testing.T) {
	f := service(t, origin(t, func(p *peer) {
		p.head()
		p.send("HTTP/1.1 200 OK\nContent-Length: 10\n\nabc")
		<-p.over
	}), func(s *setup) { s.conf.Timeouts.Idle = ms(100) })
	f.want(f.get(), "200 abc, then upstream_timeout")
}

// A service that does not take the request is not waited for longer than the
// idle time and the time for an answer.
func TestServiceDoesNotRead(t *testing.T) {
	f := service(t, origin(t, func(p *peer) { <-p.over }), func(s *setup) {
		s.conf.Timeouts.Idle = ms(100)
		s.conf.Timeouts.Response = ms(100)
	})
	u := newUpload(io.EOF)
	go func() {
		for range 1000 {
			select {
			case u.pieces <- strings.Repeat("x", 64<<10):
			case <-u.interrupt:
				return
			case <-time.After(limit):
				return
			}
		}
	}()
	f.want(f.forward(f.post(u, -1)).whole(), "upstream_timeout")
	u.Interrupt()
	x := f.exchange("POST", "/")
	x.RequestBody.SetBytes(make([]byte, 64<<20))
	f.want(f.forward(x).whole(), "upstream_timeout")
}

func TestAbort(t *testing.T) {
	f := service(t, origin(t, func(p *peer) {
		if strings.HasPrefix(p.head(), "GET /body") {
			p.send("HTTP/1.1 200 OK\nContent-Length: 10\n\nabc")
		}
		<-p.over
	}))
	x := f.exchange("GET", "/head")
	got := make(chan string)
	go func() { got <- f.forward(x).whole() }()
	eventually(t, "it is on its way", func() bool { return f.first().count() == 1 })
	x.Abort(exchange.ClientGone)
	f.want(receive(t, got), "client_gone")

	c := f.do("GET", "/body")
	go c.x.Abort(exchange.ShuttingDown)
	f.want(c.whole(), "200 abc, then shutting_down")

	x = f.exchange("GET", "/head")
	x.Abort(exchange.ClientGone)
	f.want(f.forward(x).whole(), "client_gone")
}

// An exchange knows whether its service may have seen the request, even if it was
// given up before there was an answer.
func TestSent(t *testing.T) {
	arrived := make(chan struct{}, 1)
	f := service(t, origin(t, func(p *peer) {
		p.head()
		arrived <- struct{}{}
		<-p.over
	}))
	got := make(chan string)
	for _, size := range []int{-1, 0, 3 << 20} { // streams, none, more than sockets take
		u := newUpload(nil)
		x := f.post(u, -1)
		if size >= 0 {
			x = f.exchange("POST", "/")
			x.RequestBody.SetBytes(make([]byte, size))
		}
		go func() { got <- f.forward(x).sent() }()
		receive(t, arrived)
		x.Abort(exchange.ClientGone)
		u.Interrupt()
		f.want(receive(t, got), "sent, client_gone")
	}
	x := f.exchange("GET", "/")
	x.Abort(exchange.ClientGone)
	f.want(f.forward(x).sent(), "client_gone")
}

// A body that streams goes out as it comes, in its own framing.
func TestUpload(t *testing.T) {
	type seen struct {
		head, body string
	}
	got := make(chan seen, 1)
	srv := origin(t, func(p *peer) {
		for {
			head := p.head()
			if head == "" {
				return
			}
			want := "abcde"
			if strings.Contains(head, "chunked") {
				want = "3\r\nabc\r\n2\r\nde\r\n0\r\nX-Sum: 6\r\n\r\n"
			}
			body := make([]byte, len(want))
			_, _ = io.ReadFull(p.r, body)
			got <- seen{head, string(body)}
			p.send(ok)
		}
	})
	f := service(t, srv)
	for _, size := range []int64{5, -1} {
		u := newUpload(io.EOF)
		x := f.post(u, size)
		x.RequestTrailer.Add("X-Sum", "6")
		done := make(chan string)
		go func() { done <- f.forward(x).whole() }()
		u.pieces <- "abc"
		eventually(t, "the first piece is taken", func() bool { return len(u.pieces) == 0 })
		u.pieces <- "de"
		close(u.pieces)
		s := receive(t, got)
		f.want(receive(t, done), "200 ok")
		if size > 0 && (s.body != "abcde" || !strings.Contains(s.head, "Content-Length: 5\n")) {
			t.Errorf("%+v", s)
		}
		if size < 0 && (!strings.HasSuffix(s.body, "0\r\nX-Sum: 6\r\n\r\n") || !strings.Contains(s.head, "Transfer-Encoding: chunked\n")) {
			t.Errorf("%+v", s)
		}
	}
	if n := f.Idle(); n != 1 {
		t.Errorf("%d idle connections: an upload cost one", n)
	}
}

// An answer may come before the request is complete. The rest is given up, and
// the connection with it.
func TestEarlyAnswer(t *testing.T) {
	f := service(t, origin(t, func(p *peer) {
		p.head()
		p.send("HTTP/1.1 413 Too Large\nContent-Length: 2\n\nno")
		_, _ = io.Copy(io.Discard, p.r)
	}))
	u := newUpload(io.EOF)
	u.pieces <- "abc"
	c := f.forward(f.post(u, 1<<20))
	if !c.x.CloseClient {
		t.Error("the client's connection would be used again")
	}
	f.want(c.whole(), "413 no")
	select {
	case <-u.interrupt:
	default:
		t.Error("the upload goes on")
	}
	if n := f.Idle(); n != 0 {
		t.Error("the connection was kept")
	}
}

// A client's body that fails cancels the call, whoever is to blame.
func TestUploadFails(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want string
	}{
		{exchange.BodyTimeout, "body_timeout"},
		{exchange.BadChunk, "bad_chunk"},
		{exchange.ErrBodyTooLarge, "body_too_large"},
		{io.ErrUnexpectedEOF, "truncated_body"},
	} {
		ended := make(chan int, 1)
		f := service(t, origin(t, func(p *peer) {
			p.head()
			n, _ := io.Copy(io.Discard, p.r)
			ended <- int(n)
		}))
		u := newUpload(tt.err)
		u.pieces <- "abc"
		close(u.pieces)
		f.want(f.forward(f.post(u, -1)).whole(), tt.want)
		if n := receive(t, ended); n != len("3\r\nabc\r\n") {
			t.Errorf("%s: the service got %d bytes", tt.want, n)
		}
		if st := f.Stats(); st.Failures != 0 {
			t.Errorf("%s counts as a failure of the service", tt.want)
		}
	}
}

// dns is a Resolver whose answer a test changes. It is asked as often as it may be.
type dns struct {
	names
	mu    sync.Mutex
	addrs []netip.Addr
	asked int
	life  time.Duration // of an answer; 0 is as short as it may be
}

func (d *dns) set(addrs ...string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.addrs = nil
	for _, a := range addrs {
		d.addrs = append(d.addrs, netip.MustParseAddr(a))
	}
}

func (d *dns) WatchAddresses(host string, _ time.Duration, changed func([]netip.Addr), failed func(error)) *discover.Watch[netip.Addr] {
	return discover.NewWatch(func(context.Context) ([]netip.Addr, time.Duration, error) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.asked++
		if host != "app.internal" || len(d.addrs) == 0 {
			return nil, 0, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
		}
		return slices.Clone(d.addrs), max(discover.Least, d.life), nil
	}, 0, changed, failed)
}

// twins are two services at the same port of two addresses. Each answers with
// its address.
func twins(t *testing.T) (port uint16) {
	t.Helper()
	for range 20 {
		first, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port = first.Addr().(*net.TCPAddr).AddrPort().Port()
		probe, err := net.Listen("tcp", fmt.Sprintf("127.0.0.2:%d", port))
		_ = first.Close()
		if err == nil {
			_ = probe.Close()
			break
		}
	}
	for _, a := range []string{"127.0.0.1", "127.0.0.2"} {
		listen(t, fmt.Sprintf("%s:%d", a, port), always(fmt.Sprintf("HTTP/1.1 200 OK\nContent-Length: %d\n\n%s", len(a), a)))
	}
	return port
}

// New connections go where the name points now, and old ones are dropped.
func TestNameMoves(t *testing.T) {
	t.Parallel()
	d := &dns{}
	d.set("127.0.0.1")
	f := service(t, fmt.Sprintf("http://app.internal:%d", twins(t)), func(s *setup) {
		s.deps.Resolver = d
	})
	f.want(f.get(), "200 127.0.0.1")
	if f.Idle() != 1 {
		t.Fatal("nothing was kept")
	}
	d.set("127.0.0.2")
	eventually(t, "the old connection is gone", func() bool { return f.Idle() == 0 })
	f.want(f.get(), "200 127.0.0.2")
	d.set() // a name that can't be resolved for a while stays where it was
	asked := func() int { d.mu.Lock(); defer d.mu.Unlock(); return d.asked }
	before := asked()
	eventually(t, "it was looked up again", func() bool { return asked() > before+1 })
	f.want(f.get(), "200 127.0.0.2")
}

// A connection in use when its name moves is dropped when it comes back.
func TestNameMovesDuringUse(t *testing.T) {
	t.Parallel()
	d := &dns{}
	d.set("127.0.0.1")
	release := make(chan struct{})
	address := listen(t, "127.0.0.1:0", func(p *peer) {
		p.head()
		<-release
		p.send(ok)
		p.head()
	})
	f := service(t, fmt.Sprintf("http://app.internal:%d", address.(*net.TCPAddr).Port), func(s *setup) {
		s.deps.Resolver = d
	})
	got := make(chan string)
	go func() { got <- f.do("GET", "/").whole() }()
	eventually(t, "it is on its way", func() bool { return f.first().count() == 1 })
	d.set("127.0.0.9")
	eventually(t, "the name has moved", func() bool { return !f.target().resolves(netip.MustParseAddr("127.0.0.1")) })
	close(release)
	f.want(receive(t, got), "200 ok")
	if n := f.first().count(); n != 0 { // not only when somebody looks for it later
		t.Errorf("%d connections were kept", n)
	}
}

// A service whose name is unknown can't be reached.
func TestUnknownName(t *testing.T) {
	f := service(t, "http://nobody.internal:80", guarded(3))
	f.times(3, "connect_failed")
	f.want(f.get(), "breaker_open")
	f.want(strings.Join(f.Targets(), " "), "nobody.internal:80")
}

// Each address of a name is used, and one that fails does not stop the others:
// whether it refuses or is silent.
func TestAllAddresses(t *testing.T) {
	t.Parallel()
	d := &dns{}
	d.set("127.0.0.3", "127.0.0.1", "127.0.0.2") // nobody is at .3
	port := twins(t)
	f := service(t, fmt.Sprintf("http://app.internal:%d", port), func(s *setup) {
		s.deps.Resolver = d
		s.conf.Connections.Idle = 0
	})
	seen := make(map[string]bool)
	for range 9 {
		seen[f.get()] = true
	}
	if len(seen) != 2 || !seen["200 127.0.0.1"] || !seen["200 127.0.0.2"] {
		t.Errorf("got %v", seen)
	}
	deaf(t, fmt.Sprintf("127.0.0.3:%d", port))
	d.set("127.0.0.3", "127.0.0.1")
	eventually(t, "it was looked up again", func() bool { return !f.target().resolves(netip.MustParseAddr("127.0.0.2")) })
	for range 3 {
		f.want(f.get(), "200 127.0.0.1")
	}
}

func TestTLS(t *testing.T) {
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, "%s %s", r.TLS.ServerName, r.Proto)
	}))
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	defer srv.Close()
	pool := x509.NewCertPool()
	pool.AddCert(srv.Certificate())
	d := &dns{}
	d.set("127.0.0.1")
	port := srv.Listener.Addr().(*net.TCPAddr).Port
	for _, tt := range []struct {
		name, host, serverName string
		pool                   *x509.CertPool
		want                   string
	}{
		{"right", "127.0.0.1", "example.com", pool, "200 example.com HTTP/1.1"},
		{"address", "127.0.0.1", "", pool, "200  HTTP/1.1"},
		{"wrong name", "127.0.0.1", "other.example", pool, "connect_failed"},
		{"name of the target", "app.internal", "", pool, "connect_failed"},
		{"unknown authority", "127.0.0.1", "example.com", x509.NewCertPool(), "connect_failed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := service(t, fmt.Sprintf("https://%s:%d", tt.host, port), func(s *setup) {
				s.deps.Resolver = d
				s.deps.TLS = &tls.Config{RootCAs: tt.pool}
				s.conf.TLS.ServerName = tt.serverName
			})
			for range 2 {
				f.want(f.get(), tt.want)
			}
		})
	}
}

func TestTunnel(t *testing.T) {
	f := service(t, origin(t, func(p *peer) {
		p.head()
		p.send("HTTP/1.1 101 Switching Protocols\nConnection: upgrade\nUpgrade: Echo/1\n\nhi ")
		_, _ = io.Copy(p, p.r)
	}))
	x := f.exchange("GET", "/")
	x.Upgrade = "echo"
	c := f.forward(x)
	if c.reason != nil || x.Status != 101 || x.Tunnel == nil {
		t.Fatalf("%v, %d", c.reason, x.Status)
	}
	if _, err := io.WriteString(x.Tunnel, "there"); err != nil {
		t.Error(err)
	}
	if err := x.Tunnel.CloseWrite(); err != nil {
		t.Error(err)
	}
	if b, err := io.ReadAll(x.Tunnel); err != nil || string(b) != "hi there" {
		t.Errorf("got %q, %v", b, err)
	}
	c.end()
	if n := f.first().count(); n != 0 {
		t.Errorf("%d connections are left", n)
	}
}

// A service that switches to something else is refused.
func TestOtherProtocol(t *testing.T) {
	f := service(t, origin(t, once("HTTP/1.1 101 Switching Protocols\nConnection: upgrade\nUpgrade: other\n\n")))
	x := f.exchange("GET", "/")
	x.Upgrade = "echo"
	f.want(f.forward(x).whole(), "upgrade_refused")
}

// Targets are used in turn.
func TestTargetsInTurn(t *testing.T) {
	var targets []string
	for i := range 3 {
		targets = append(targets, origin(t, always(fmt.Sprintf("HTTP/1.1 200 OK\nContent-Length: 1\n\n%d", i))))
	}
	f := service(t, targets[0], func(s *setup) { s.conf.Targets, s.conf.Balance.Algorithm = targets, "round_robin" })
	seen := make(map[string]int)
	for range 9 {
		seen[f.get()]++
	}
	for i := range 3 {
		if n := seen[fmt.Sprintf("200 %d", i)]; n != 3 {
			t.Errorf("target %d was asked %d times of 9", i, n)
		}
	}
}

func TestStats(t *testing.T) {
	f := service(t, origin(t, func(p *peer) {
		for head := p.head(); head != ""; head = p.head() {
			switch {
			case strings.HasPrefix(head, "GET /bad"):
				p.send("HTTP/1.1 500 Oh\nContent-Length: 0\n\n")
			case strings.HasPrefix(head, "GET /gone"):
				return
			default:
				p.send(ok)
			}
		}
	}))
	start := time.Now()
	for _, path := range []string{"/", "/missing", "/bad"} {
		f.do("GET", path).whole()
	}
	st := f.Stats()
	if st.Requests != 3 || st.Failures != 1 || st.LastReason != "" || st.Idle != 1 || len(st.Targets) != 1 ||
		st.LastSuccess.Before(start) || st.LastFailure.Before(st.LastSuccess) {
		t.Errorf("%+v", st)
	}
	f.do("GET", "/gone").whole()
	x := f.exchange("GET", "/")
	x.Abort(exchange.ClientGone)
	f.forward(x).whole()
	if st = f.Stats(); st.Requests != 5 || st.Failures != 2 || st.LastReason != "upstream_reset" {
		t.Errorf("%+v", st)
	}
}

func TestParseTarget(t *testing.T) {
	for raw, want := range map[string]Address{
		"http://a":            {"a", 80, false, false},
		"https://a/":          {"a", 443, true, false},
		"http://a:8080":       {"a", 8080, false, false},
		"http://[::1]:9":      {"::1", 9, false, false},
		"https://192.0.2.1":   {"192.0.2.1", 443, true, false},
		"http://a.example:80": {"a.example", 80, false, false},
	} {
		if got, weight, err := ParseTarget(raw); err != nil || got != want || weight != 1 {
			t.Errorf("%s: %+v, %v", raw, got, err)
		}
	}
	for _, raw := range []string{
		"", "a:80", "ftp://a", "http://", "http://:80", "http://a:0", "http://a:65536", "http://a:b", "http://a/b", "http://a?b", "http://a#b",
		"http://user:secret@a", "ftp://user:secret@a", "http://user:secret@a:b", "http://[::1",
	} {
		_, _, err := ParseTarget(raw)
		if err == nil {
			t.Errorf("%s was taken", raw)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("a password is shown: %v", err)
		}
	}
	for want, a := range map[string]Address{
		"a": {"a", 80, false, false}, "a:443": {"a", 443, false, false}, "b": {"b", 443, true, false}, "b:80": {"b", 80, true, false}, "[::1]": {"::1", 80, false, false}, "[::1]:81": {"::1", 81, false, false},
	} {
		if got := hostField(a); got != want {
			t.Errorf("%+v is %s", a, got)
		}
	}
}
