package http1

import (
	"io"
	"strings"
	"testing"
)

const switching = "HTTP/1.1 101 Switching Protocols\nConnection: upgrade\nUpgrade: echo\n\n"

func (c *client) upgrade() {
	c.t.Helper()
	c.send("GET /t HTTP/1.1\nHost: a\nConnection: Upgrade\nUpgrade: echo\n\n")
	if got := c.answer("GET"); got.StatusCode != 101 || got.Header.Get("Upgrade") != "echo" || got.Header.Get("Connection") != "upgrade" {
		c.t.Fatalf("got %d %v", got.StatusCode, got.Header)
	}
}

// echo switches protocols and sends back what comes, until its peer ends.
func echo(p *peer) {
	if strings.Contains(p.head(), "Upgrade: echo\n") {
		p.send(switching)
	}
	_, _ = io.Copy(p.TCPConn, p.r)
}

func TestTunnel(t *testing.T) {
	r := start(t, origin(t, echo))
	c := r.dial()
	c.upgrade()
	c.send("hello")
	got := make([]byte, 5)
	if _, err := io.ReadFull(c.r, got); err != nil || string(got) != "hello" {
		t.Fatalf("got %q, %v", got, err)
	}
	c.send("bye")
	_ = c.CloseWrite() // the other direction goes on
	rest, err := io.ReadAll(c.r)
	if err != nil || string(rest) != "bye" {
		t.Errorf("got %q, %v", rest, err)
	}
	if e := r.ended(); e.status != 101 || e.reason != "" || e.in != 8 || e.out != 8 {
		t.Errorf("%+v", e)
	}
}

// What comes right behind the head of either side belongs to the tunnel.
func TestTunnelEarlyBytes(t *testing.T) {
	r := start(t, origin(t, func(p *peer) {
		p.head()
		p.send(switching + "first")
		_, _ = io.Copy(p.TCPConn, p.r)
	}))
	c := r.dial()
	c.send("GET /t HTTP/1.1\nHost: a\nConnection: Upgrade\nUpgrade: echo\n\nsecond")
	_ = c.CloseWrite()
	c.answer("GET")
	if rest, err := io.ReadAll(c.r); err != nil || string(rest) != "firstsecond" {
		t.Errorf("got %q, %v", rest, err)
	}
}

func TestTunnelIdle(t *testing.T) {
	r := start(t, origin(t, echo), func(s *setup) { s.listener.Timeouts.TunnelIdle = ms(200) })
	c := r.dial()
	c.upgrade()
	if !c.over() {
		t.Error("an idle tunnel stays open")
	}
	if e := r.ended(); e.reason != "tunnel_idle" {
		t.Errorf("%+v", e)
	}
}

// A service that stops reading is not waited for longer than the idle time.
func TestTunnelStuckService(t *testing.T) {
	r := start(t, origin(t, func(p *peer) {
		_ = p.SetReadBuffer(4 << 10)
		p.head()
		p.send(switching)
		<-p.over
	}), func(s *setup) { s.listener.Timeouts.TunnelIdle = ms(300) })
	c := r.dial()
	c.upgrade()
	go io.Copy(c.TCPConn, zeros{})
	if e := r.ended(); e.reason != "tunnel_idle" {
		t.Errorf("%+v", e)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

func TestTunnelEndsOnClose(t *testing.T) {
	r := start(t, origin(t, echo))
	c := r.dial()
	c.upgrade()
	r.e.Close()
	if !c.over() {
		t.Error("the tunnel survived Close")
	}
	if e := r.ended(); e.reason != "shutting_down" {
		t.Errorf("%+v", e)
	}
}

// A request that a service answers without switching is an ordinary one.
func TestUpgradeDeclined(t *testing.T) {
	r := start(t, origin(t, always(ok)))
	c := r.dial()
	c.send("GET /t HTTP/1.1\nHost: a\nConnection: Upgrade\nUpgrade: echo\n\n")
	if got := c.answer("GET"); got.StatusCode != 200 || got.body != "ok" {
		t.Errorf("got %d %q", got.StatusCode, got.body)
	}
	if got := c.get("/"); got.StatusCode != 200 {
		t.Errorf("got %d on the same connection", got.StatusCode)
	}
}

func TestTunnelClosedByService(t *testing.T) {
	r := start(t, origin(t, func(p *peer) {
		p.head()
		p.send(switching)
		_ = p.SetLinger(0) // a reset
	}))
	c := r.dial()
	c.upgrade()
	if !c.over() {
		t.Error("the tunnel survived its service")
	}
	if e := r.ended(); e.reason != "upstream_cut" {
		t.Errorf("%+v", e)
	}
}
