package upstream

import (
	"io"
	"runtime"
	"testing"
	"time"

	"yett/internal/exchange"
	"yett/internal/sock"
)

// trusting has requests go out without a look, however long they take here.
func (f *fixture) trusting() *fixture {
	f.trust = time.Hour
	return f
}

func TestTrusts(t *testing.T) {
	now := time.Now()
	good := func() (*conn, *exchange.Exchange) {
		x := &exchange.Exchange{Method: "GET"}
		return &conn{t: &target{service: &Service{trust: trustTime}}, x: x, tidy: true, now: now, since: now.Add(-trustTime / 2)}, x
	}
	if c, _ := good(); !c.trusts() {
		t.Error("a connection that was just used is not trusted")
	}
	for name, spoil := range map[string]func(c *conn, x *exchange.Exchange){
		"rested":           func(c *conn, _ *exchange.Exchange) { c.since = now.Add(-trustTime - 1) },
		"used later":       func(c *conn, _ *exchange.Exchange) { c.since = now.Add(1) },
		"time not known":   func(c *conn, _ *exchange.Exchange) { c.now = time.Time{} },
		"uncertain end":    func(c *conn, _ *exchange.Exchange) { c.tidy = false },
		"untidy service":   func(c *conn, _ *exchange.Exchange) { c.t.untidy.Store(true) },
		"not to be resent": func(_ *conn, x *exchange.Exchange) { x.Method = "POST" },
		"upgrade":          func(_ *conn, x *exchange.Exchange) { x.Upgrade = "websocket" },
	} {
		if c, x := good(); true {
			spoil(c, x)
			if c.trusts() {
				t.Errorf("%s: it is trusted", name)
			}
		}
	}
}

// Only an answer whose end is certain makes a connection trusted, and bytes behind it
// end the trust in the service.
func TestTidy(t *testing.T) {
	for _, tt := range []struct {
		name, method, answer string
		tidy, untidy         bool
	}{
		{"whole", "GET", ok, true, false},
		{"chunks", "GET", "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n2\nok\n0\n\n", true, false},
		{"to HEAD", "HEAD", "HTTP/1.1 200 OK\nContent-Length: 2\n\n", false, false},
		{"204", "GET", "HTTP/1.1 204 No Content\n\n", false, false},
		{"304", "GET", "HTTP/1.1 304 Not Modified\n\n", false, false},
		{"content to HEAD", "HEAD", ok, false, true},
		{"empty line behind", "GET", ok + "\n", false, false},
		{"bytes behind", "GET", ok + "x", false, true},
		{"not in one piece", "GET", "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n2\nok\n0\nA: b\n\n", false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := service(t, origin(t, once(tt.answer)))
			x := f.exchange(tt.method, "/")
			c, out := f.target().get(x, nil, true, limit)
			if out.reason != nil {
				t.Fatal(out)
			}
			if out = c.roundTrip(x); out.reason == nil {
				out = c.accept(x)
			}
			if out.reason != nil {
				t.Fatal(out)
			}
			answer := &call{f: f, x: x}
			if _, err := answer.read(); err != nil {
				t.Error(err)
			}
			answer.end()
			if c.tidy != tt.tidy || c.t.untidy.Load() != tt.untidy {
				t.Errorf("tidy %v, the service untidy %v", c.tidy, c.t.untidy.Load())
			}
		})
	}
}

// An answer that nobody asked for, and the right one behind it: neither of the two is
// given to anybody, and the request is sent again.
func TestMisled(t *testing.T) {
	for name, stray := range map[string]string{
		"length":            "HTTP/1.1 200 OK\nContent-Length: 6\n\npoison",
		"chunks":            "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n6\npoison\n0\n\n",
		"no content":        "HTTP/1.1 204 No Content\n\n",
		"an empty line":     "HTTP/1.1 200 OK\nContent-Length: 6\n\npoison\n",
		"chunks and a line": "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n0\n\n\n",
	} {
		t.Run(name, func(t *testing.T) {
			f := service(t, origin(t, func(p *peer) {
				p.head()
				p.send(ok)
				for p.head() != "" {
					if p.n == 0 {
						p.send(stray + ok)
						continue
					}
					p.send("HTTP/1.1 200 OK\nContent-Length: 5\n\nright")
				}
			})).trusting()
			f.want(f.get(), "200 ok")
			x := f.exchange("GET", "/")
			f.want(f.forward(x).whole(), "200 ok") // of the second connection
			if !f.first().t.untidy.Load() {
				t.Error("the service is trusted as before")
			}
			f.want(f.get(), "200 right")
		})
	}
}

// A body that streams goes out after a look, whatever the request before did: nothing is wrong
// with its answer, and it could not be sent again.
func TestNotMisledAfterALook(t *testing.T) {
	f := service(t, origin(t, func(p *peer) {
		p.head()
		p.send(ok)
		p.head()
		_, _ = io.ReadFull(p.r, make([]byte, 3))
		p.send("HTTP/1.1 200 OK\nContent-Length: 4\n\nsure" + ok)
		<-p.over
	})).trusting()
	f.want(f.get(), "200 ok")
	u := newUpload(io.EOF)
	u.pieces <- "abc"
	f.want(f.forward(f.post(u, 3)).whole(), "200 sure")
}

// An answer that ends with its connection is not cut off by a probe that comes just when it
// was received, and sees that end.
func TestProbeBehindTheAnswer(t *testing.T) {
	f := service(t, origin(t, once("HTTP/1.1 200 OK\n\nall of it")))
	x := f.exchange("GET", "/")
	c, out := f.target().get(x, nil, true, limit)
	if out.reason != nil {
		t.Fatal(out)
	}
	step := c.talk.step
	c.talk.step = func(fd uintptr) bool {
		done := step(fd)
		if done {
			for until := time.Now().Add(limit); !sock.Ended(fd) && time.Now().Before(until); {
				runtime.Gosched()
			}
			c.Probe()
		}
		return done
	}
	if out = c.roundTrip(x); out.reason == nil {
		out = c.accept(x)
	}
	if out.reason != nil {
		t.Fatal(out)
	}
	f.want((&call{f: f, x: x}).whole(), "200 all of it")
}

// What a service says on a connection that rests ends the trust in it too.
func TestUntidyAtRest(t *testing.T) {
	more := make(chan struct{})
	f := service(t, origin(t, func(p *peer) {
		p.head()
		p.send(ok)
		<-more
		p.send("HTTP/1.1 408 Request Timeout\nContent-Length: 0\n\n")
		<-p.over
	}))
	f.want(f.get(), "200 ok")
	close(more)
	eventually(t, "it is out of the pool", func() bool { return f.Idle() == 0 })
	if !f.first().t.untidy.Load() {
		t.Error("the service is trusted as before")
	}
}

// A service that closes connections properly is no less trusted for it.
func TestTidyAtItsEnd(t *testing.T) {
	f := service(t, origin(t, once(ok)))
	f.want(f.get(), "200 ok")
	eventually(t, "it is out of the pool", func() bool { return f.Idle() == 0 })
	if f.first().t.untidy.Load() {
		t.Error("the service is not trusted any more")
	}
}

// The service closes the connection at the moment of the request.
func TestTrustedInVain(t *testing.T) {
	f := service(t, origin(t, once(ok))).trusting()
	for range 20 {
		f.want(f.get(), "200 ok")
		f.waitClosed()
	}
}

// The service has closed its half, and reads on: nothing ever comes, not even a reset.
func TestTrustedHalfClosed(t *testing.T) {
	f := service(t, origin(t, func(p *peer) {
		if p.n > 0 {
			always(ok)(p)
			return
		}
		p.head()
		p.send(ok)
		_ = p.CloseWrite()
		_, _ = io.Copy(io.Discard, p.r)
	})).trusting()
	f.want(f.get(), "200 ok")
	f.waitClosed()
	f.want(f.get(), "200 ok")
}
