package http1

import (
	"io"
	"testing"
	"time"
)

// A client that announces a body and never sends it is refused, although an
// interim answer was written to it while its body was awaited.
func TestInterimKeepsBodyDeadline(t *testing.T) {
	target := origin(t, func(p *peer) {
		for p.head() != "" {
			p.send("HTTP/1.1 100 Continue\n\n")
		}
	})
	r := start(t, target, func(s *setup) { s.listener.Timeouts.BodyIdle = ms(200) })
	for range 3 {
		c := r.dial()
		c.send("POST / HTTP/1.1\nHost: a\nContent-Length: 5\nExpect: 100-continue\n\n")
		if got := c.answer("POST"); got.StatusCode != 100 {
			t.Fatalf("got %d before the body", got.StatusCode)
		}
		if got := c.answer("POST"); got.StatusCode != 408 || got.body != "body_timeout" {
			t.Errorf("got %d %s", got.StatusCode, got.body)
		}
	}
}

// A client that goes on sending and never reads its answer is cut after the
// write timeout: reading its body must not lift that deadline.
func TestSendingKeepsWriteDeadline(t *testing.T) {
	r := start(t, origin(t, drip), func(s *setup) {
		s.listener.Timeouts.Write = ms(300)
		s.smallBuffers = true
		s.listener.Timeouts.BodyIdle = ms(5000)
		s.listener.Limits.BodyMinRate = 0
	})
	c := r.dial()
	c.send("POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n")
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				if _, err := io.WriteString(c.TCPConn, "1\r\nx\r\n"); err != nil {
					return
				}
			}
		}
	}()
	if got := r.ended(); got.reason != "write_timeout" {
		t.Errorf("ended by %q %s", got.reason, got.detail)
	}
}
