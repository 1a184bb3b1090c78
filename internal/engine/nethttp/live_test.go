package nethttp

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"yett/internal/config"
	"yett/internal/engine"
	"yett/internal/exchange"
)

// A connection that is open has new limits from its next request on. What net/http can't
// change comes with new connections, and the servers of old ones go with them.
func TestSet(t *testing.T) {
	both(t, func(t *testing.T, secure bool) {
		l := listener()
		s := start(t, secure, l, func(x *exchange.Exchange) { x.Status = 200 })
		if got, _ := s.do(t, "GET", "/a", nil, nil); got.StatusCode != 200 {
			t.Fatal(got.Status)
		}
		first := s.current.Load()
		l.Limits.RequestLine = 64
		l.Timeouts.Idle = config.Duration(time.Minute)
		s.Set(l)
		s.Set(l) // changes nothing
		if got, _ := s.do(t, "GET", "/"+strings.Repeat("a", 64), nil, nil); got.StatusCode != 414 {
			t.Error(got.Status)
		}
		s.mu.Lock()
		if len(s.conns) != 1 || len(s.old) != 1 || s.old[0] != first {
			t.Errorf("%d connections, %d old servers", len(s.conns), len(s.old))
		}
		s.mu.Unlock()
		s.client.Transport.(*http.Transport).CloseIdleConnections()
		until := time.Now().Add(10 * time.Second)
		for s.Connections() > 0 && time.Now().Before(until) {
			time.Sleep(time.Millisecond)
		}
		s.mu.Lock()
		left := len(s.old)
		s.mu.Unlock()
		if left != 0 {
			t.Errorf("%d old servers are left", left)
		}
		if got, _ := s.do(t, "GET", "/a", nil, nil); got.StatusCode != 200 {
			t.Error(got.Status)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if n := s.current.Load().conns; n != 1 {
			t.Errorf("the new server has %d connections", n)
		}
	})
}

// Draining ends the connections of old servers too.
func TestDrainAfterSet(t *testing.T) {
	l := listener()
	s := start(t, false, l, func(x *exchange.Exchange) { x.Status = 200 })
	s.do(t, "GET", "/a", nil, nil)
	l.Limits.RequestLine = 64
	s.Set(l)
	s.Drain(engine.Until(time.Now().Add(10 * time.Second)))
	if n := s.Connections(); n != 0 {
		t.Errorf("%d connections are left", n)
	}
}
