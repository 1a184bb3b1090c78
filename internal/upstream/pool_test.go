package upstream

import (
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"yett/internal/exchange"
)

func TestReuse(t *testing.T) {
	f := service(t, origin(t, numbered))
	for range 20 {
		f.want(f.get(), "200 0")
	}
	if n := f.Idle(); n != 1 {
		t.Errorf("%d idle connections", n)
	}
}

// The connection that came back last is taken first, so that others can grow
// old.
func TestLastInFirstOut(t *testing.T) {
	release := make(chan struct{})
	f := service(t, origin(t, func(p *peer) {
		for first := true; p.head() != ""; first = false {
			if first {
				<-release
			}
			p.send("HTTP/1.1 200 OK\nContent-Length: 1\n\n" + string(rune('0'+p.n)))
		}
	}))
	got := make(chan string)
	for range 3 {
		go func() { got <- f.do("GET", "/").whole() }()
	}
	eventually(t, "three connections are open", func() bool { return f.first().count() == 3 })
	var last string
	for i := range 3 {
		release <- struct{}{}
		last = receive(t, got)
		eventually(t, "it has come back", func() bool { return f.Idle() == i+1 })
	}
	for range 5 {
		f.want(f.get(), last)
	}
}

func TestMostConnections(t *testing.T) {
	release := make(chan struct{})
	f := service(t, origin(t, func(p *peer) {
		for p.head() != "" {
			<-release
			p.send("HTTP/1.1 200 OK\nContent-Length: 1\n\n" + string(rune('0'+p.n)))
		}
	}), func(s *setup) {
		s.conf.Connections.Max = 1
		s.conf.Timeouts.Queue = ms(5000)
	})
	got := make(chan string)
	for range 3 {
		go func() { got <- f.do("GET", "/").whole() }()
	}
	eventually(t, "two requests wait", func() bool { return f.first().waiting() == 2 })
	for range 3 {
		release <- struct{}{}
		f.want(receive(t, got), "200 0")
	}
	if n := f.first().count(); n != 1 {
		t.Errorf("%d connections", n)
	}
}

func TestQueueTimeout(t *testing.T) {
	f := service(t, origin(t, func(p *peer) { <-p.over }), func(s *setup) {
		s.conf.Connections.Max = 1
		s.conf.Timeouts.Queue = ms(20)
	})
	x := f.exchange("GET", "/")
	first := make(chan string)
	go func() { first <- f.forward(x).whole() }()
	eventually(t, "the connection is taken", func() bool { return f.first().count() == 1 })
	f.want(f.get(), "pool_exhausted")
	if n := f.first().waiting(); n != 0 {
		t.Errorf("%d still wait", n)
	}
	x.Abort(exchange.ClientGone)
	f.want(receive(t, first), "client_gone")
}

// Who gives up while it waits leaves the queue.
func TestAbortInQueue(t *testing.T) {
	f := service(t, origin(t, func(p *peer) { <-p.over }), func(s *setup) {
		s.conf.Connections.Max = 1
		s.conf.Timeouts.Queue = ms(60000)
	})
	var calls [2]*exchange.Exchange
	got := make(chan string)
	for i := range calls {
		calls[i] = f.exchange("GET", "/")
		go func() { got <- f.forward(calls[i]).whole() }()
		eventually(t, "it is on its way", func() bool { return f.first().count() == 1 && f.first().waiting() == i })
	}
	calls[1].Abort(exchange.ClientGone)
	f.want(receive(t, got), "client_gone")
	if n := f.first().waiting(); n != 0 {
		t.Errorf("%d still wait", n)
	}
	calls[0].Abort(exchange.ShuttingDown)
	f.want(receive(t, got), "shutting_down")
}

// The room of a connection that could not be opened goes to the next in the
// queue.
func TestRoomIsHandedOn(t *testing.T) {
	f := service(t, origin(t, once("HTTP/1.1 200 OK\nConnection: close\nContent-Length: 2\n\nok")), func(s *setup) {
		s.conf.Connections.Max = 2
		s.conf.Timeouts.Queue = ms(5000)
	})
	got := make(chan string)
	for range 20 {
		go func() { got <- f.do("GET", "/").whole() }()
	}
	for range 20 {
		f.want(receive(t, got), "200 ok")
	}
	if n := f.first().count(); n != 0 {
		t.Errorf("%d connections are left", n)
	}
}

func TestIdleTimeout(t *testing.T) {
	gone := make(chan struct{})
	f := service(t, origin(t, func(p *peer) {
		p.head()
		p.send(ok)
		p.head()
		close(gone)
	}), func(s *setup) { s.conf.Connections.IdleTimeout = ms(100) })
	f.want(f.get(), "200 ok")
	receive(t, gone)
	eventually(t, "it is out of the pool", func() bool { return f.first().count() == 0 })
}

func TestMostIdle(t *testing.T) {
	release := make(chan struct{})
	f := service(t, origin(t, func(p *peer) {
		for p.head() != "" {
			<-release
			p.send(ok)
		}
	}), func(s *setup) { s.conf.Connections.Idle = 1 })
	got := make(chan string)
	for range 3 {
		go func() { got <- f.do("GET", "/").whole() }()
	}
	eventually(t, "three are open", func() bool { return f.first().count() == 3 })
	for range 3 {
		release <- struct{}{}
		receive(t, got)
	}
	eventually(t, "one is kept", func() bool { return f.Idle() == 1 && f.first().count() == 1 })
}

// A connection that the service has closed is not kept until somebody stumbles
// over it.
func TestDeadIsPruned(t *testing.T) {
	f := service(t, origin(t, once(ok)))
	f.want(f.get(), "200 ok")
	eventually(t, "it is out of the pool", func() bool { return f.first().count() == 0 })
}

// waitClosed waits until the pool's only connection has seen its end, without
// telling anybody.
func (f *fixture) waitClosed() {
	f.t.Helper()
	eventually(f.t, "the end of the connection has come", func() bool {
		f.first().mu.Lock()
		defer f.first().mu.Unlock()
		return len(f.first().idle) == 0 || !f.first().idle[0].alive()
	})
}

// A request that must not be repeated never meets a connection that the
// service has closed.
func TestPostNeverLost(t *testing.T) {
	f := service(t, origin(t, once(ok)))
	for range 20 {
		f.want(f.get(), "200 ok")
		f.waitClosed()
		x := f.exchange("POST", "/")
		x.RequestBody.SetBytes([]byte("a"))
		f.want(f.forward(x).whole(), "200 ok")
		f.waitClosed()
	}
}

// The same for a body that streams, whatever the method: it is gone once it
// has been sent.
func TestStreamNeverLost(t *testing.T) {
	f := service(t, origin(t, func(p *peer) {
		p.head()
		p.send(ok)
		p.CloseWrite()
		p.head()
	}))
	for range 20 {
		f.want(f.get(), "200 ok")
		f.waitClosed()
		u := newUpload(io.EOF)
		u.pieces <- "abc"
		close(u.pieces)
		x := f.post(u, 3)
		x.Method = "PUT"
		f.want(f.forward(x).whole(), "200 ok")
		f.waitClosed()
	}
}

// A TLS service says goodbye before it closes: that is the end all the same.
func TestPostNeverLostOverTLS(t *testing.T) {
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok")) }))
	defer srv.Close()
	f := service(t, srv.URL, func(s *setup) {
		s.deps.TLS = &tls.Config{RootCAs: srv.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs}
	})
	f.want(f.get(), "200 ok")
	srv.CloseClientConnections()
	eventually(t, "the connection counts as dead", func() bool {
		f.first().mu.Lock()
		defer f.first().mu.Unlock()
		return len(f.first().idle) == 0 || !f.first().idle[0].alive()
	})
	x := f.exchange("POST", "/")
	x.RequestBody.SetBytes([]byte("a"))
	f.want(f.forward(x).whole(), "200 ok")
}

// A connection that is handed to a request in the queue was used before, so
// its end in this moment is no failure of the service.
func TestHandedOverConnectionDies(t *testing.T) {
	release := make(chan struct{})
	f := service(t, origin(t, func(p *peer) {
		p.head()
		if p.n == 0 {
			<-release
		}
		p.send(ok)
	}), func(s *setup) {
		s.conf.Connections.Max = 1
		s.conf.Timeouts.Queue = ms(5000)
	})
	got := make(chan string)
	for i := range 2 {
		go func() { got <- f.do("GET", "/").whole() }()
		eventually(t, "it is on its way", func() bool { return f.first().count() == 1 && f.first().waiting() == i })
	}
	close(release)
	f.want(receive(t, got), "200 ok")
	f.want(receive(t, got), "200 ok")
}

// A service that is closed keeps no connection, and ends no exchange.
func TestClose(t *testing.T) {
	release := make(chan struct{})
	f := service(t, origin(t, func(p *peer) {
		p.head()
		<-release
		p.send(ok)
		p.head()
	}))
	got := make(chan string)
	go func() { got <- f.do("GET", "/").whole() }()
	eventually(t, "it is on its way", func() bool { return f.first().count() == 1 })
	f.Close()
	close(release)
	f.want(receive(t, got), "200 ok")
	eventually(t, "it was not kept", func() bool { return f.first().count() == 0 })
}

// Bytes behind an answer belong to nobody: whoever came next would take them
// for the answer.
func TestBytesBehindTheAnswer(t *testing.T) {
	f := service(t, origin(t, always(ok+strings.Replace(ok, "ok", "no", 1))))
	for range 5 {
		f.want(f.get(), "200 ok")
	}
	if n := f.Idle(); n != 0 {
		t.Errorf("%d connections were kept", n)
	}
}

func TestNotReused(t *testing.T) {
	tests := []struct{ name, answer, want string }{
		{"close", "HTTP/1.1 200 OK\nConnection: close\nContent-Length: 2\n\nok", "200 ok"},
		{"HTTP/1.0", "HTTP/1.0 200 OK\nContent-Length: 2\n\nok", "200 ok"},
		{"until close", "HTTP/1.1 200 OK\n\nok", "200 ok"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := service(t, origin(t, once(tt.answer)))
			f.want(f.get(), tt.want)
			if n := f.Idle(); n != 0 {
				t.Errorf("%d connections were kept", n)
			}
		})
	}
}

// A service that has closed only its sending side will not answer.
func TestHalfClosed(t *testing.T) {
	f := service(t, origin(t, func(p *peer) {
		p.head()
		p.send(ok)
		_ = p.CloseWrite()
		_, _ = io.Copy(io.Discard, p.r)
	}), func(s *setup) { s.conf.Timeouts.Response = ms(2000) })
	for range 5 {
		f.want(f.get(), "200 ok")
		f.waitClosed()
	}
}

// What a service sends after its answer is never taken for the next answer.
func TestLateBytesBehindTheAnswer(t *testing.T) {
	more, sent := make(chan struct{}), make(chan struct{})
	f := service(t, origin(t, func(p *peer) {
		p.head()
		p.send(ok)
		if p.n == 0 {
			<-more
			p.send("HTTP/1.1 200 OK\nContent-Length: 6\n\npoison")
			close(sent)
			<-p.over
		}
	}), func(s *setup) { s.conf.Timeouts.Response = ms(2000) })
	f.want(f.get(), "200 ok")
	close(more)
	<-sent
	f.waitClosed()
	f.trust = 0 // as after a moment
	f.want(f.get(), "200 ok")
	if !f.first().t.untidy.Load() {
		t.Error("the service is trusted as before")
	}
}
