package nethttp

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"

	"yett/internal/config"
	"yett/internal/engine"
	"yett/internal/exchange"
)

// bubble runs a test in a time of its own.
func bubble(t *testing.T, serve func(*exchange.Exchange), test func(t *testing.T, s *server)) {
	synctest.Test(t, func(t *testing.T) { bubbled(t, serve, test) })
}

// bubbled runs a test with an engine that serves pipes, and ends everything.
func bubbled(t *testing.T, serve func(*exchange.Exchange), test func(t *testing.T, s *server)) {
	e, c := newEngine(listener(), serve)
	transport := &http.Transport{
		Protocols: new(http.Protocols),
		DialContext: func(context.Context, string, string) (net.Conn, error) {
			near, far := net.Pipe()
			go e.ServeConn(far, false)
			return near, nil
		},
	}
	transport.Protocols.SetUnencryptedHTTP2(true)
	test(t, &server{Engine: e, core: c, url: "http://example.org", client: &http.Client{Transport: transport}})
	transport.CloseIdleConnections()
	e.Close()
}

func (s *server) post(t *testing.T, body io.Reader) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url, body)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := s.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

// dripping is a body of a byte after each pause. It ends with the test.
func dripping(t *testing.T, pause time.Duration) io.Reader {
	ctx := t.Context()
	return io.NopCloser(&source{read: func(p []byte) (int, error) {
		select {
		case <-time.After(pause):
			return copy(p, "."), nil
		case <-ctx.Done():
			return 0, io.EOF
		}
	}})
}

// A body that stands still, or trickles, is refused when its time is over.
func TestSlowBody(t *testing.T) {
	for _, tc := range []struct {
		name     string
		pause    time.Duration
		min, max time.Duration
	}{
		{"stands still", time.Hour, 30 * time.Second, 30 * time.Second},
		{"trickles", 10 * time.Second, 31 * time.Second, 40 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var failure error
			var took time.Duration
			serve := func(x *exchange.Exchange) {
				_, failure = io.ReadAll(&x.RequestBody)
				took = x.Elapsed()
				x.Refuse(exchange.BodyTimeout)
			}
			bubble(t, serve, func(t *testing.T, s *server) {
				resp := s.post(t, dripping(t, tc.pause))
				resp.Body.Close()
				if resp.StatusCode != 408 || !errors.Is(failure, exchange.BodyTimeout) || took < tc.min || took > tc.max {
					t.Errorf("%d, %v after %v", resp.StatusCode, failure, took)
				}
			})
		})
	}
}

// The time in which the service does not read, or sends nothing, is not the
// client's fault.
func TestSlowService(t *testing.T) {
	serve := func(x *exchange.Exchange) {
		x.ResponseBody.SetSource(&source{read: func(p []byte) (int, error) {
			time.Sleep(time.Hour)
			return x.RequestBody.Read(p[:1])
		}}, -1)
	}
	bubble(t, serve, func(t *testing.T, s *server) {
		more, feed := io.Pipe() // the body has not ended while the service sleeps
		go io.WriteString(feed, "a")
		resp := s.post(t, more)
		defer resp.Body.Close()
		first := make([]byte, 1)
		if _, err := resp.Body.Read(first); err != nil {
			t.Error(err)
		}
		time.Sleep(59 * time.Minute)
		go func() {
			_, _ = io.WriteString(feed, "bc")
			feed.Close()
		}()
		body, err := io.ReadAll(resp.Body)
		if string(first)+string(body) != "abc" || err != nil {
			t.Errorf("%q %q, %v", first, body, err)
		}
		if o := <-s.core.done; o.reason != nil {
			t.Errorf("%+v", o)
		}
	})
}

func TestInterruptEndsRead(t *testing.T) {
	var failures [2]error
	var took time.Duration
	serve := func(x *exchange.Exchange) {
		done := make(chan struct{})
		go func() {
			defer close(done)
			for i := range failures {
				_, failures[i] = x.RequestBody.Read(make([]byte, 10))
			}
		}()
		synctest.Wait()
		x.RequestBody.Interrupt()
		<-done
		took = x.Elapsed()
	}
	bubble(t, serve, func(t *testing.T, s *server) {
		resp := s.post(t, dripping(t, time.Hour))
		resp.Body.Close()
		for _, err := range failures {
			if !errors.Is(err, exchange.TruncatedBody) || took > 0 {
				t.Errorf("reading gave %v after %v", err, took)
			}
		}
		if o := <-s.core.done; o.status != 200 {
			t.Errorf("%+v", o)
		}
	})
}

func TestClientThatDoesNotRead(t *testing.T) {
	serve := func(x *exchange.Exchange) {
		x.ResponseBody.SetSource(&source{read: func(p []byte) (int, error) { return len(p), nil }}, -1)
	}
	bubble(t, serve, func(t *testing.T, s *server) {
		start := time.Now()
		resp, err := s.client.Get(s.url) // nobody reads the content
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		o := <-s.core.done
		if took := time.Since(start); o.reason != exchange.WriteTimeout || took < 30*time.Second || took > time.Minute {
			t.Errorf("%+v after %v", o, took)
		}
		if _, err := io.ReadAll(resp.Body); err == nil {
			t.Error("the client takes the answer for complete")
		}
	})
}

func TestIdleConnectionIsClosed(t *testing.T) {
	bubble(t, func(*exchange.Exchange) {}, func(t *testing.T, s *server) {
		s.do(t, "GET", "/", nil, nil)
		time.Sleep(70 * time.Second)
		if n := s.Connections(); n != 1 {
			t.Errorf("%d connections before the time", n)
		}
		time.Sleep(10 * time.Second)
		if n := s.Connections(); n != 0 {
			t.Errorf("%d connections afterwards", n)
		}
	})
}

// A client that sends nothing keeps its connection for the header timeout.
func TestSilentClient(t *testing.T) {
	bubble(t, nil, func(t *testing.T, s *server) {
		near, far := net.Pipe()
		start := time.Now()
		go s.ServeConn(far, false)
		_, err := near.Read(make([]byte, 1))
		if took := time.Since(start); err == nil || took != 10*time.Second {
			t.Errorf("%v after %v", err, took)
		}
	})
}

// A client that vanished without a word is found by a ping, and what it asked
// for is given up.
func TestVanishedClient(t *testing.T) {
	serve := func(x *exchange.Exchange) {
		<-x.Context().Done()
		x.Refuse(x.Aborted())
	}
	bubble(t, serve, func(t *testing.T, s *server) {
		near, far := net.Pipe()
		go s.ServeConn(far, false)
		go io.Copy(io.Discard, near) // as its system may still do
		if _, err := io.WriteString(near, http2.ClientPreface); err != nil {
			t.Fatal(err)
		}
		fr := http2.NewFramer(near, nil)
		if err := fr.WriteSettings(); err != nil {
			t.Fatal(err)
		}
		writeHeader(t, fr, true, get())
		start := time.Now()
		o := <-s.core.done
		if took := time.Since(start); o.reason != exchange.ClientGone || took > 2*time.Minute {
			t.Errorf("%+v after %v", o, took)
		}
	})
}

// streaming answers "/" at once, and anything else with what comes.
func streaming(events <-chan string) func(*exchange.Exchange) {
	return func(x *exchange.Exchange) {
		if x.RawPath == "/" {
			return
		}
		aborted := x.Context().Done()
		x.ResponseBody.SetSource(&source{read: func(p []byte) (int, error) {
			select {
			case text, ok := <-events:
				if !ok {
					return 0, io.EOF
				}
				return copy(p, text), nil
			case <-aborted:
				return 0, errors.New("aborted")
			}
		}}, -1)
	}
}

func TestDrainFinishesStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		events := make(chan string)
		bubbled(t, streaming(events), func(t *testing.T, s *server) {
			resp, err := s.client.Get(s.url + "/events")
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			drained := make(chan struct{})
			go func() {
				s.Drain(engine.Until(time.Now().Add(time.Hour)))
				close(drained)
			}()
			synctest.Wait()
			if _, err := s.client.Get(s.url); err == nil {
				t.Error("a new connection is served while draining")
			}
			select {
			case <-drained:
				t.Fatal("Drain did not wait")
			default:
			}
			events <- "last"
			close(events)
			if body, err := io.ReadAll(resp.Body); string(body) != "last" || err != nil {
				t.Errorf("%q, %v", body, err)
			}
			start := time.Now()
			<-drained
			if took := time.Since(start); took > 2*time.Second || s.Connections() != 0 {
				t.Errorf("Drain took another %v; %d connections", took, s.Connections())
			}
		})
	})
}

func TestDrainEndsInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bubbled(t, streaming(make(chan string)), func(t *testing.T, s *server) {
			resp, err := s.client.Get(s.url + "/events")
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			start := time.Now()
			lost := s.Drain(engine.Until(start.Add(10 * time.Second)))
			if took := time.Since(start); took < 10*time.Second || took > 11*time.Second || lost != (engine.Lost{Requests: 1}) {
				t.Errorf("Drain took %v, and has lost %+v", took, lost)
			}
			s.Close()
			if o := <-s.core.done; o.reason != exchange.ShuttingDown {
				t.Errorf("%+v", o)
			}
			if _, err := io.ReadAll(resp.Body); err == nil {
				t.Error("the client takes the answer for complete")
			}
		})
	})
}

func TestDrainOfNothing(t *testing.T) {
	e, _ := newEngine(config.Listener{}, nil)
	e.Drain(engine.Until(time.Now().Add(time.Hour)))
	near, far := net.Pipe()
	e.ServeConn(far, false) // returns
	if _, err := near.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("reading gave %v", err)
	}
}
