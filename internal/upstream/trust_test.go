package upstream

import (
	"io"
	"testing"
	"time"

	"yett/internal/exchange"
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
			if c.tidy != tt.tidy || c.t.untidy.Load() != tt.untidy {
				t.Errorf("tidy %v, the service untidy %v", c.tidy, c.t.untidy.Load())
			}
			(&call{f: f, x: x}).end()
		})
	}
}

// An answer that nobody asked for, and the right one behind it: neither of the two is
// given to anybody, and the request is sent again.
func TestMisled(t *testing.T) {
	f := service(t, origin(t, func(p *peer) {
		p.head()
		p.send(ok)
		for p.head() != "" {
			if p.n == 0 {
				p.send("HTTP/1.1 200 OK\nContent-Length: 6\n\npoison" + ok)
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
