package nethttp

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"yett/internal/engine"
	"yett/internal/exchange"
)

// From Wane on an answer comes with a GOAWAY, and its connection ends.
func TestWane(t *testing.T) {
	s := start(t, false, listener(), func(x *exchange.Exchange) {
		x.Status = 200
		x.ResponseBody.SetBytes([]byte("ok"))
	})
	cc := prior(t, s)
	if _, body := ask(t, s, cc); body != "ok" {
		t.Errorf("%q", body)
	}
	s.Wane()
	if resp, body := ask(t, s, cc); body != "ok" || resp == "close" {
		t.Errorf("%q, Connection: %q", body, resp)
	}
	deadline := time.Now().Add(10 * time.Second)
	for cc.Available() > 0 {
		if time.Now().After(deadline) {
			t.Fatal("no GOAWAY has come")
		}
		time.Sleep(time.Millisecond)
	}
	if _, body := ask(t, s, prior(t, s)); body != "ok" { // new connections are served
		t.Errorf("%q", body)
	}
}

// Streams of events have their own deadline, and end as if they were complete.
func TestEventsEnd(t *testing.T) {
	both(t, func(t *testing.T, secure bool) {
		texts := make(chan string)
		s := start(t, secure, listener(), func(x *exchange.Exchange) {
			x.Status = 200
			x.Response.Add("Content-Type", "text/event-stream")
			x.ResponseBody.SetSource(&source{read: func(p []byte) (int, error) {
				ctx := x.Context()
				select {
				case text := <-texts:
					return copy(p, text), nil
				case <-ctx.Done():
					return 0, context.Cause(ctx)
				}
			}}, -1)
		})
		resp, err := s.client.Get(s.url + "/events")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		texts <- "data: 1\n\n"
		begun := time.Now()
		lost := make(chan engine.Lost, 1)
		go func() {
			lost <- s.Drain(engine.Deadlines{Requests: begun, Tunnels: begun.Add(300 * time.Millisecond)})
		}()
		time.Sleep(100 * time.Millisecond) // the deadline of requests is over
		texts <- "data: 2\n\n"
		b, err := io.ReadAll(resp.Body)
		if err != nil || string(b) != "data: 1\n\ndata: 2\n\n" {
			t.Errorf("%q, %v", b, err)
		}
		if l := <-lost; l != (engine.Lost{Tunnels: 1}) {
			t.Errorf("%+v", l)
		}
		if o := <-s.core.done; o.reason != exchange.ShuttingDown {
			t.Errorf("%+v", o)
		}
	})
}

// prior opens a connection of which the test sees what it may still be used for.
func prior(t *testing.T, s *server) *http.ClientConn {
	t.Helper()
	cc, err := s.client.Transport.(*http.Transport).NewClientConn(t.Context(), "http", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cc.Close() })
	return cc
}

func ask(t *testing.T, s *server, cc *http.ClientConn) (connection, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", s.url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := cc.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.Header.Get("Connection"), string(b)
}
