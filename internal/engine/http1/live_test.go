package http1

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"yett/internal/config"
	"yett/internal/exchange"
)

// A connection that is open has new settings from its next request on, be it idle or parked.
func TestSet(t *testing.T) {
	target, _ := reflect(t)
	for _, lot := range []bool{false, true} {
		r := start(t, target, func(s *setup) { s.lot = lot; s.listener.Name = "before" })
		c := r.dial()
		if got := c.get("/a"); got.StatusCode != 200 {
			t.Fatalf("%+v", got)
		}
		if lot {
			eventually(t, "the connection is parked", func() bool { r.lot.mu.Lock(); defer r.lot.mu.Unlock(); return len(r.lot.parked) == 1 })
		}
		var l config.Listener
		l.Limits.SetDefaults()
		l.Timeouts.SetDefaults()
		l.Limits.RequestLine = 64
		l.Name = "after"
		r.e.Set(l)
		if got := c.get("/" + strings.Repeat("a", 64)); got.StatusCode != 414 {
			t.Errorf("%+v", got)
		}
	}
}

// A request that runs keeps the settings with which it began.
func TestSetWithinARequest(t *testing.T) {
	begun, changed := make(chan struct{}, 2), make(chan struct{})
	r := start(t, "http://127.0.0.1:1", func(s *setup) {
		s.serve = func(x *exchange.Exchange) {
			begun <- struct{}{}
			<-changed
			var b [64]byte
			for {
				_, err := x.RequestBody.Read(b[:])
				if err == io.EOF {
					break
				}
				if reason, ok := err.(*exchange.Reason); ok {
					x.Refuse(reason)
					return
				}
			}
			x.Status = 200
		}
	})
	c := r.dial()
	const head = "POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n"
	long := "5;ext=" + strings.Repeat("e", 100) + "\nworld\n0\n\n"
	c.send(head + "5\nhello\n")
	<-begun
	var l config.Listener
	l.Limits.SetDefaults()
	l.Timeouts.SetDefaults()
	l.Limits.ChunkLine = 16
	r.e.Set(l)
	c.send("%s", long)
	close(changed)
	if got := c.answer("POST"); got.StatusCode != 200 {
		t.Errorf("%+v", got)
	}
	c.send("%s", head+"5\nhello\n"+long)
	if got := c.answer("POST"); got.StatusCode != 400 {
		t.Errorf("%+v", got)
	}
}

// A listener may begin to speak h2c while it serves.
func TestSetProtocols(t *testing.T) {
	target, _ := reflect(t)
	taken := make(chan struct{})
	r := start(t, target, func(s *setup) {
		s.http2 = func(c net.Conn) {
			_ = c.Close()
			close(taken)
		}
	})
	const preface = "PRI * HTTP/2.0\n\nSM\n\n"
	c := r.dial()
	c.send(preface)
	if got := c.answer("PRI"); got.StatusCode != 400 && got.StatusCode != 505 {
		t.Errorf("%+v", got)
	}
	var l config.Listener
	l.Limits.SetDefaults()
	l.Timeouts.SetDefaults()
	l.Protocols = []string{"http1", "h2c"}
	r.e.Set(l)
	r.dial().send(preface)
	select {
	case <-taken:
	case <-time.After(limit):
		t.Error("nobody took the connection")
	}
}
