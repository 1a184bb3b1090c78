package http1

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"yett/internal/engine"
	"yett/internal/exchange"
)

// reflect is a service that says what it got.
func reflect(t *testing.T) (target string, connections *atomic.Int32) {
	connections = new(atomic.Int32)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		_, _ = fmt.Fprintf(w, "%s %s %d %v %v", r.Method, r.URL, n, err, r.Trailer)
	}))
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			connections.Add(1)
		}
	}
	srv.Start()
	t.Cleanup(srv.Close)
	return srv.URL, connections
}

// A body reaches the service and is counted, whatever its size and framing.
func TestBodies(t *testing.T) {
	target, upstreams := reflect(t)
	r := start(t, target)
	c := r.dial()
	for _, n := range []int{0, 1, 100, 4 << 10, 60 << 10, 64 << 10, 70 << 10, 300 << 10, 3 << 20} {
		for _, chunked := range []bool{false, true} {
			done := make(chan struct{})
			go func() {
				defer close(done)
				if chunked {
					c.send("POST /b?c HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n")
					if n > 0 {
						c.send("%x\n%s\n", n, strings.Repeat("x", n))
					}
					c.send("0\n\n")
				} else {
					c.send("POST /b?c HTTP/1.1\nHost: a\nContent-Length: %d\n\n%s", n, strings.Repeat("x", n))
				}
			}()
			got := c.answer("POST")
			<-done
			if want := fmt.Sprintf("POST /b?c %d <nil> map[]", n); got.body != want {
				t.Fatalf("got %q, want %q", got.body, want)
			}
			if e := r.ended(); e.in != int64(n) || e.out != int64(len(got.body)) || e.status != 200 || e.reason != "" {
				t.Errorf("%d bytes, chunked %v: %+v", n, chunked, e)
			}
		}
	}
	if n := upstreams.Load(); n != 1 {
		t.Errorf("%d connections to the service", n)
	}
}

func TestRequestTrailer(t *testing.T) {
	target, _ := reflect(t)
	r := start(t, target)
	c := r.dial()
	c.send("POST / HTTP/1.1\nHost: a\nTrailer: X-Sum\nTransfer-Encoding: chunked\n\n3\nabc\n0\nX-Sum: 6\nContent-Length: 9\n\n")
	if got := c.answer("POST"); got.body != "POST / 3 <nil> map[X-Sum:[6]]" {
		t.Errorf("got %q", got.body)
	}
}

// Answers of every framing come out as they should.
func TestAnswers(t *testing.T) {
	const large = 200 << 10
	xs := strings.Repeat("x", large)
	tests := []struct{ name, answer, method, version, want string }{
		{"length", "HTTP/1.1 200 OK\nContent-Length: 3\n\nabc", "GET", "1.1", "abc"},
		{"large", fmt.Sprintf("HTTP/1.1 200 OK\nContent-Length: %d\n\n%s", large, xs), "GET", "1.1", xs},
		{"chunks", "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n3\nabc\n2\nde\n0\n\n", "GET", "1.1", "abcde"},
		{"large chunks", fmt.Sprintf("HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n%x\n%s\n0\n\n", large, xs), "GET", "1.1", xs},
		{"until close", "HTTP/1.1 200 OK\nConnection: close\n\nabc", "GET", "1.1", "abc"},
		{"no content", "HTTP/1.1 204 No Content\n\n", "GET", "1.1", ""},
		{"head", "HTTP/1.1 200 OK\nContent-Length: 3\n\n", "HEAD", "1.1", ""},
		{"not modified", "HTTP/1.1 304 Not Modified\nContent-Length: 3\nETag: \"a\"\n\n", "GET", "1.1", ""},
		{"HTTP/1.0, length", "HTTP/1.1 200 OK\nContent-Length: 3\n\nabc", "GET", "1.0", "abc"},
		{"HTTP/1.0, chunks", "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n3\nabc\n0\n\n", "GET", "1.0", "abc"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := start(t, origin(t, func(p *peer) {
				if p.head() != "" {
					p.send(tt.answer)
				}
			}))
			c := r.dial()
			for range 2 { // once more on the same connection, where it stays
				c.send("%s / HTTP/%s\nHost: a\nConnection: keep-alive\n\n", tt.method, tt.version)
				got := c.answer(tt.method)
				if got.body != tt.want {
					t.Errorf("%d bytes %.20q", len(got.body), got.body)
				}
				if e := r.ended(); e.reason != "" || e.out != int64(len(tt.want)) {
					t.Errorf("%+v", e)
				}
				if tt.method == "HEAD" && got.ContentLength != 3 {
					t.Errorf("length %d of what a GET would bring", got.ContentLength)
				}
				if got.Header.Get("Date") == "" {
					t.Error("no Date")
				}
				if got.Close {
					break
				}
			}
		})
	}
}

// A body that breaks off is never shown as complete, and the log says so.
func TestCutAnswer(t *testing.T) {
	for _, head := range []string{"Content-Length: 100\n", "Transfer-Encoding: chunked\n"} {
		for _, version := range []string{"1.0", "1.1"} {
			r := start(t, origin(t, func(p *peer) {
				p.head()
				p.send("HTTP/1.1 200 OK\n" + head + "\n5\nabcde\n")
			}))
			c := r.dial()
			c.send("GET / HTTP/%s\nHost: a\n\n", version)
			resp, err := http.ReadResponse(c.r, nil)
			if err == nil {
				_, err = io.Copy(io.Discard, resp.Body)
			}
			if err == nil {
				t.Errorf("HTTP/%s, %s: the client sees nothing of it", version, head)
			}
			if e := r.ended(); e.reason != "upstream_cut" {
				t.Errorf("%+v", e)
			}
		}
	}
}

func TestPipelining(t *testing.T) {
	target, upstreams := reflect(t)
	r := start(t, target)
	c := r.dial()
	var b strings.Builder
	for i := range 50 {
		fmt.Fprintf(&b, "POST /%d HTTP/1.1\nHost: a\nContent-Length: 5\n\nhello", i)
	}
	c.send("%s", b.String())
	for i := range 50 {
		if got, want := c.answer("POST").body, fmt.Sprintf("POST /%d 5 <nil> map[]", i); got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
	}
	if n := upstreams.Load(); n != 1 {
		t.Errorf("%d connections to the service", n)
	}
}

// Requests may end anywhere in what one read brings, at its very end too.
func TestPipeliningWithoutEnd(t *testing.T) {
	r := start(t, "http://127.0.0.1:1", func(s *setup) {
		s.serve = func(x *exchange.Exchange) {
			x.Status = 204
		}
	})
	c := r.dial()
	const n = 8192
	request := "GET /" + strings.Repeat("a", 64-len("GET / HTTP/1.1\r\nHost: a\r\n\r\n")) + " HTTP/1.1\r\nHost: a\r\n\r\n"
	go io.WriteString(c, strings.Repeat(request, n))
	for i := range n {
		if got := c.answer("GET"); got.StatusCode != 204 {
			t.Fatalf("answer %d is %d", i, got.StatusCode)
		}
	}
}

func TestKeepAlive(t *testing.T) {
	const body = "Host: a\nContent-Length: 3\n"
	tests := []struct{ name, head, connection string }{
		{"1.1", "POST / HTTP/1.1\n" + body, ""},
		{"1.1 close", "POST / HTTP/1.1\nConnection: close\n" + body, "close"},
		{"1.0", "POST / HTTP/1.0\n" + body, "close"},
		{"1.0 keep-alive", "POST / HTTP/1.0\nConnection: keep-alive\n" + body, "keep-alive"},
		{"refused", "POST / HTTP/1.1\nHost: a\nContent-Length: 3\nContent-Length: 3\n", "close"},
		{"rest of the body is too much", "POST / HTTP/1.1\nHost: a\nContent-Length: 10000000\n", "close"},
		{"continue was never said", "POST / HTTP/1.1\nHost: a\nContent-Length: 9\nExpect: 100-continue\n", "close"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := start(t, "http://127.0.0.1:1", func(s *setup) {
				s.serve = func(x *exchange.Exchange) {
					x.Status = 200
					x.ResponseBody.SetBytes([]byte("ok"))
				}
			})
			c := r.dial()
			c.send("%s\nabc", tt.head)
			resp, err := http.ReadResponse(c.r, nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, resp.Body); err != nil {
				t.Fatal(err)
			}
			got := ""
			if resp.Close {
				got = "close"
			} else {
				got = resp.Header.Get("Connection")
			}
			if got != tt.connection {
				t.Errorf("Connection: %q", got)
			}
			if tt.connection != "close" {
				if next := c.get("/"); next.StatusCode != 200 {
					t.Errorf("got %d on the same connection", next.StatusCode)
				}
			} else if _ = c.CloseWrite(); !c.over() {
				t.Error("the connection stays open")
			}
		})
	}
}

// A small rest of a body that nobody wanted is read, and the connection goes
// on.
func TestUnreadBody(t *testing.T) {
	r := start(t, "http://127.0.0.1:1", func(s *setup) {
		s.serve = func(x *exchange.Exchange) {
			x.Status = 200
			x.ResponseBody.SetBytes([]byte("ok"))
		}
	})
	c := r.dial()
	c.send("POST / HTTP/1.1\nHost: a\nContent-Length: 50000\n\nabc")
	if got := c.answer("POST"); got.StatusCode != 200 || got.Close {
		t.Fatalf("%d, close: %v", got.StatusCode, got.Close)
	}
	c.send("%s", strings.Repeat("x", 50000-3))
	if got := c.get("/"); got.StatusCode != 200 {
		t.Errorf("got %d on the same connection", got.StatusCode)
	}
}

// While the gateway drains, each answer says that it was the last.
func TestDrainSaysClose(t *testing.T) {
	busy, answer := make(chan struct{}), make(chan struct{})
	r := start(t, "http://127.0.0.1:1", func(s *setup) {
		s.serve = func(x *exchange.Exchange) {
			close(busy)
			<-answer
			x.Status = 200
			x.ResponseBody.SetBytes([]byte("ok"))
		}
	})
	c := r.dial()
	c.send("GET / HTTP/1.1\nHost: a\n\n")
	<-busy
	drained := make(chan struct{})
	go func() {
		r.e.Drain(engine.Until(time.Now().Add(limit)))
		close(drained)
	}()
	eventually(t, "the engine drains", r.e.draining.Load)
	close(answer)
	if got := c.answer("GET"); got.StatusCode != 200 || !got.Close {
		t.Errorf("%d, close: %v", got.StatusCode, got.Close)
	}
	<-drained
	if n := r.e.Connections(); n != 0 {
		t.Errorf("%d connections are left", n)
	}
	late, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer late.Close()
	if _, err := late.Read(make([]byte, 1)); err == nil {
		t.Error("a connection was taken after draining")
	}
}

// What is late is cut, and told of.
func TestDrainInVain(t *testing.T) {
	r := start(t, origin(t, func(p *peer) { <-p.over }))
	c := r.dial()
	c.send("GET / HTTP/1.1\nHost: a\n\n")
	eventually(t, "the service is asked", func() bool { return r.core.s.Stats().Requests == 0 && r.busy() })
	if lost := r.e.Drain(engine.Until(time.Now().Add(50 * time.Millisecond))); lost != (engine.Lost{Requests: 1}) {
		t.Errorf("%+v", lost)
	}
	if n := r.e.Connections(); n != 0 {
		t.Fatalf("%d connections", n)
	}
	if e := r.ended(); e.reason != "shutting_down" && e.reason != "client_gone" {
		t.Errorf("%+v", e)
	}
}

// busy tells whether a connection has an exchange.
func (r *running) busy() bool {
	r.e.mu.Lock()
	defer r.e.mu.Unlock()
	for c := range r.e.conns {
		c.mu.Lock()
		busy := c.x != nil
		c.mu.Unlock()
		if busy {
			return true
		}
	}
	return false
}

// A client that leaves while the service works has its call cancelled.
func TestClientGone(t *testing.T) {
	asked, cancelled := make(chan struct{}), make(chan struct{})
	r := start(t, origin(t, func(p *peer) {
		p.head()
		close(asked)
		p.head() // returns when the connection ends
		close(cancelled)
	}))
	c := r.dial()
	c.send("GET / HTTP/1.1\nHost: a\n\n")
	<-asked
	_ = c.Close()
	select {
	case <-cancelled:
	case <-time.After(limit):
		t.Fatal("the call goes on")
	}
	if e := r.ended(); e.reason != "client_gone" || e.status != 499 {
		t.Errorf("%+v", e)
	}
}

func TestSlowBody(t *testing.T) {
	r := start(t, origin(t, func(p *peer) {
		p.head()
		_, _ = io.Copy(io.Discard, p.r)
	}), func(s *setup) {
		s.listener.Timeouts.BodyIdle = ms(500)
		s.listener.Limits.BodyMinRate = 1 << 20
	})
	c := r.dial()
	c.send("POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n")
	stop := make(chan struct{})
	defer close(stop)
	go func() { // never a long pause, and never fast enough
		ticker := time.NewTicker(50 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-stop:
				return
			case <-ticker.C:
				if _, err := io.WriteString(c, "1\r\nx\r\n"); err != nil {
					return
				}
			}
		}
	}()
	if got := c.answer("POST"); got.StatusCode != 408 || got.body != "body_timeout" {
		t.Errorf("got %d %s", got.StatusCode, got.body)
	}
}

func TestSilentBody(t *testing.T) {
	r := start(t, origin(t, func(p *peer) {
		p.head()
		_, _ = io.Copy(io.Discard, p.r)
	}), func(s *setup) { s.listener.Timeouts.BodyIdle = ms(100) })
	for _, framing := range []string{"Content-Length: 10", "Content-Length: 1000000", "Transfer-Encoding: chunked"} {
		c := r.dial()
		c.send("POST / HTTP/1.1\nHost: a\n%s\n\n2\n", framing)
		if got := c.answer("POST"); got.StatusCode != 408 || !got.Close {
			t.Errorf("%s: got %d %s", framing, got.StatusCode, got.body)
		}
	}
}

// drip answers without end in small pieces: the gateway gives a large one more
// time.
func drip(p *peer) {
	p.head()
	p.send("HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n")
	go io.Copy(io.Discard, p.r)
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	chunk := "400\r\n" + strings.Repeat("x", 1024) + "\r\n"
	for {
		select {
		case <-p.over:
			return
		case <-ticker.C:
			if _, err := io.WriteString(p, chunk); err != nil {
				return
			}
		}
	}
}

// A client that reads nothing is cut after the write timeout.
func TestUnreadAnswer(t *testing.T) {
	r := start(t, origin(t, drip), func(s *setup) {
		s.listener.Timeouts.Write = ms(100)
		s.smallBuffers = true
	})
	c := r.dial()
	c.send("GET / HTTP/1.1\nHost: a\n\n")
	if e := r.ended(); e.reason != "write_timeout" {
		t.Errorf("%+v", e)
	}
}

// Heads that can't be taken are answered, and go through the gateway as all
// others do.
func TestRefusedHeads(t *testing.T) {
	tests := []struct {
		name, text string
		status     int
		reason     string
		path       string
	}{
		{"no request", "what?\n\n", 400, "bad_request_line", ""},
		{"no host", "GET /a HTTP/1.1\n\n", 400, "bad_host", "/a"},
		{"version", "GET /a HTTP/3.0\nHost: a\n\n", 505, "bad_version", ""},
		{"long line", "GET /" + strings.Repeat("a", 9000) + " HTTP/1.1\nHost: a\n\n", 414, "uri_too_long", "/" + strings.Repeat("a", 255)},
		{"large head", "GET /a HTTP/1.1\nHost: a\nB: " + strings.Repeat("b", 40000) + "\n\n", 431, "header_too_large", "/a"},
		{"both lengths", "POST /a HTTP/1.1\nHost: a\nContent-Length: 3\nTransfer-Encoding: chunked\n\n0\n\n", 400, "bad_framing", "/a"},
		{"expectation", "POST /a HTTP/1.1\nHost: a\nContent-Length: 3\nExpect: wonders\n\nabc", 417, "bad_expectation", "/a"},
		{"connect", "CONNECT a:1 HTTP/1.1\nHost: a:1\n\n", 501, "not_implemented", "a:1"},
		{"cut", "GET /a HTTP/1.1\nHo", 400, "bad_header", "/a"},
	}
	r := start(t, "http://127.0.0.1:1")
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := r.dial()
			c.send("%s", tt.text)
			_ = c.CloseWrite()
			got := c.answer("GET")
			if got.StatusCode != tt.status || got.body != tt.reason || !got.Close {
				t.Errorf("got %d %s, close: %v", got.StatusCode, got.body, got.Close)
			}
			if e := r.ended(); e.reason != tt.reason || e.path != tt.path {
				t.Errorf("%+v", e)
			}
		})
	}
}

// A broken body is the client's fault and never looks complete to a service.
func TestBrokenBody(t *testing.T) {
	tests := []struct{ name, text, reason string }{
		{"bad chunk", "Transfer-Encoding: chunked\n\nzz\n", "bad_chunk"},
		{"cut chunk", "Transfer-Encoding: chunked\n\n5\nab", "truncated_body"},
		{"cut length", "Content-Length: 5\n\nab", "truncated_body"},
		{"cut large length", "Content-Length: 5000000\n\nab", "truncated_body"},
	}
	r := start(t, origin(t, func(p *peer) {
		p.head()
		_, _ = io.Copy(io.Discard, p.r)
	}))
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := r.dial()
			c.send("POST / HTTP/1.1\nHost: a\n%s", tt.text)
			_ = c.CloseWrite()
			if got := c.answer("POST"); got.StatusCode != 400 || got.body != tt.reason || !got.Close {
				t.Errorf("got %d %s", got.StatusCode, got.body)
			}
		})
	}
}

// A connection that begins with the preface of HTTP/2 goes to who speaks it,
// with all that was read.
func TestHandOver(t *testing.T) {
	got := make(chan string, 1)
	r := start(t, "http://127.0.0.1:1", func(s *setup) {
		s.listener.Protocols = []string{"http1", "h2c"}
		s.http2 = func(c net.Conn) {
			defer c.Close()
			b, err := io.ReadAll(c)
			if err != nil {
				t.Error(err)
			}
			got <- string(b)
		}
	})
	c := r.dial()
	const text = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nand more"
	_, _ = io.WriteString(c, text)
	_ = c.CloseWrite()
	if g := <-got; g != text {
		t.Errorf("got %q", g)
	}
	if !c.over() {
		t.Error("the connection is still open")
	}
}

// A fault in the gateway costs one connection and nothing else.
func TestFault(t *testing.T) {
	r := start(t, "http://127.0.0.1:1", func(s *setup) {
		s.serve = func(x *exchange.Exchange) {
			if x.RawPath == "/bad" {
				panic("a fault")
			}
			x.Status = 200
			x.ResponseBody.SetBytes([]byte("ok"))
		}
	})
	good, bad := r.dial(), r.dial()
	bad.send("GET /bad HTTP/1.1\nHost: a\n\n")
	if !bad.over() {
		t.Error("the connection survived")
	}
	if e := r.ended(); e.reason != "internal" || e.path != "/bad" {
		t.Errorf("the fault's exchange ended as %+v", e)
	}
	if got := good.get("/"); got.StatusCode != 200 {
		t.Errorf("got %d on another", got.StatusCode)
	}
}

// 1xx answers are passed on to those who can read them.
func TestInterim(t *testing.T) {
	r := start(t, origin(t, always("HTTP/1.1 103 Early Hints\nLink: </a>\n\n"+ok)))
	c := r.dial()
	c.send("GET / HTTP/1.1\nHost: a\n\n")
	if got := c.answer("GET"); got.StatusCode != 103 || got.Header.Get("Link") != "</a>" {
		t.Errorf("got %d %v", got.StatusCode, got.Header)
	}
	if got := c.answer("GET"); got.StatusCode != 200 || got.body != "ok" {
		t.Errorf("got %d %s", got.StatusCode, got.body)
	}
	old := r.dial()
	old.send("GET / HTTP/1.0\nHost: a\n\n")
	if got := old.answer("GET"); got.StatusCode != 200 {
		t.Errorf("HTTP/1.0 got %d", got.StatusCode)
	}
}

// The body of a client that waits for a 100 gets through.
func TestExpectContinue(t *testing.T) {
	target, _ := reflect(t)
	r := start(t, target)
	c := r.dial()
	for range 2 {
		c.send("POST / HTTP/1.1\nHost: a\nContent-Length: 5\nExpect: 100-continue\n\n")
		if got := c.answer("POST"); got.StatusCode != 100 {
			t.Fatalf("got %d", got.StatusCode)
		}
		c.send("hello")
		if got := c.answer("POST"); got.body != "POST / 5 <nil> map[]" {
			t.Errorf("got %q", got.body)
		}
	}
}

// A request that is sent again on a fresh connection still asks the service
// whether to continue.
func TestExpectSurvivesRetry(t *testing.T) {
	closed := make(chan struct{})
	r := start(t, origin(t, func(p *peer) {
		h := p.head()
		if p.n == 0 {
			p.send(ok)
			_ = p.Close()
			close(closed)
			return
		}
		if strings.Contains(h, "Expect") {
			p.send("HTTP/1.1 100 Continue\n\n")
		}
		_, _ = io.ReadFull(p.r, make([]byte, 5))
		p.send(ok)
	}))
	c := r.dial()
	c.get("/")
	<-closed
	c.send("POST / HTTP/1.1\nHost: a\nContent-Length: 5\nExpect: 100-continue\n\n")
	if got := c.answer("POST"); got.StatusCode != 100 {
		t.Fatalf("got %d before the body", got.StatusCode)
	}
	c.send("hello")
	if got := c.answer("POST"); got.StatusCode != 200 {
		t.Errorf("got %d", got.StatusCode)
	}
}

// A client that ends its direction together with its request has its
// connection closed soon after the answer, not after the idle time.
func TestEndBehindRequest(t *testing.T) {
	r := start(t, origin(t, always(ok)), func(s *setup) { s.listener.Timeouts.Idle = ms(60_000) })
	for range 5 {
		c := r.dial()
		c.send("GET / HTTP/1.1\nHost: a\n\n")
		_ = c.CloseWrite()
		_ = c.SetReadDeadline(time.Now().Add(limit))
		if got, err := io.ReadAll(c.r); err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 200") {
			t.Fatalf("got %q, %v", got, err)
		}
	}
}

// Trailers of both directions may arrive at the same time, and share no memory.
func TestTrailersAtOnce(t *testing.T) {
	gate := make(chan struct{})
	want := strings.Repeat("a", 600)
	r := start(t, origin(t, func(p *peer) {
		p.head()
		p.send("HTTP/1.1 200 OK\nConnection: close\nTransfer-Encoding: chunked\n\n3\nabc\n")
		<-gate
		p.send("0\nX-A: " + want + "\n\n")
		<-p.over
	}))
	for range 100 {
		c := r.dial()
		c.send("POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n3\nabc\n")
		resp, err := http.ReadResponse(c.r, &http.Request{Method: "POST"})
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.ReadFull(resp.Body, make([]byte, 3))
		gate <- struct{}{}
		_, _ = io.WriteString(c.TCPConn, "0\r\nX-B: "+strings.Repeat("b", 600)+"\r\n\r\n") // may be too late
		_, _ = io.ReadAll(resp.Body)
		if got := resp.Trailer.Get("X-A"); got != "" && got != want {
			t.Fatalf("got %q", got)
		}
		_ = c.Close()
	}
}
