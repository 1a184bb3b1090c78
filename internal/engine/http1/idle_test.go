package http1

import (
	"bufio"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"yett/internal/config"
	"yett/internal/engine"
	"yett/internal/exchange"
	"yett/internal/sweep"
	"yett/internal/wire"
)

// hooked is the engine's end of a pipe. Its hooks stand where a goroutine may
// lose its processor, so that what happens only now and then happens.
type hooked struct {
	net.Conn
	afterRead   func()
	beforeWrite func()
	onDeadline  func(t time.Time) (after func())
}

func (h *hooked) Write(p []byte) (int, error) {
	if h.beforeWrite != nil {
		h.beforeWrite()
	}
	return h.Conn.Write(p)
}

func (h *hooked) Read(p []byte) (int, error) {
	n, err := h.Conn.Read(p)
	if n > 0 && h.afterRead != nil {
		h.afterRead()
	}
	return n, err
}

func (h *hooked) SetDeadline(t time.Time) error {
	if h.onDeadline != nil {
		if after := h.onDeadline(t); after != nil {
			defer after()
		}
	}
	return h.Conn.SetDeadline(t)
}

// piped is an engine on fake time with one connection.
type piped struct {
	e      *Engine
	conn   *hooked
	client net.Conn
	r      *bufio.Reader
	over   chan struct{} // closed when ServeConn has returned
}

// inBubble runs an engine that answers "ok" to everything on fake time.
func inBubble(t *testing.T, f func(t *testing.T, p *piped)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		sweeper := sweep.New()
		defer sweeper.Close()
		var l config.Listener
		l.Limits.SetDefaults()
		l.Timeouts.SetDefaults()
		answer := &core{handler: func(x *exchange.Exchange) {
			x.Status = 200
			x.ResponseBody.SetBytes([]byte("ok"))
		}}
		p := &piped{over: make(chan struct{})}
		p.e = New(l, Deps{Core: answer, Buffers: &wire.Buffers{}, Exchanges: &exchange.Pool{}, Sweeper: sweeper, Log: slog.New(slog.DiscardHandler)})
		client, server := net.Pipe()
		p.client, p.conn, p.r = client, &hooked{Conn: server}, bufio.NewReader(client)
		defer client.Close()
		f(t, p)
		_ = client.Close()
		<-p.over
	})
}

func (p *piped) serve() {
	go func() {
		p.e.ServeConn(p.conn, false)
		close(p.over)
	}()
}

// get returns the status of the answer to a request, 0 when there is none.
func (p *piped) get() int {
	if _, err := io.WriteString(p.client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
		return 0
	}
	return p.status()
}

func (p *piped) status() int {
	resp, err := http.ReadResponse(p.r, nil)
	if err != nil {
		return 0
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return 0
	}
	return resp.StatusCode
}

func TestIdleTimeout(t *testing.T) {
	inBubble(t, func(t *testing.T, p *piped) {
		p.serve()
		for range 3 { // each request begins the time anew
			if got := p.get(); got != 200 {
				t.Fatalf("got %d", got)
			}
			time.Sleep(74 * time.Second)
		}
		if got := p.get(); got != 200 {
			t.Fatalf("got %d", got)
		}
		start := time.Now()
		<-p.over
		if d := time.Since(start); d < 75*time.Second || d > 76*time.Second {
			t.Errorf("closed after %v", d)
		}
	})
}

func TestHeaderTimeout(t *testing.T) {
	inBubble(t, func(t *testing.T, p *piped) {
		p.serve()
		start := time.Now()
		done := make(chan struct{})
		go func() { // a byte now and then is not enough
			defer close(done)
			for {
				if _, err := io.WriteString(p.client, "G"); err != nil {
					return
				}
				time.Sleep(time.Second)
			}
		}()
		if got := p.status(); got != 408 {
			t.Errorf("got %d", got)
		}
		if d := time.Since(start); d < 10*time.Second || d > 11*time.Second {
			t.Errorf("refused after %v", d)
		}
		_ = p.client.Close()
		<-done
	})
}

// The answer to a request that is late gets out, even when the sweep has not
// quite finished with the connection.
func TestLateHeadIsAnswered(t *testing.T) {
	inBubble(t, func(t *testing.T, p *piped) {
		expiring, expired := make(chan struct{}), make(chan struct{})
		var seen atomic.Bool
		p.conn.onDeadline = func(at time.Time) func() {
			if !at.Equal(past) || seen.Swap(true) {
				return nil
			}
			close(expiring)
			for range 1000 { // the sweep loses its processor
				runtime.Gosched()
			}
			return func() { close(expired) }
		}
		reads := 0
		p.conn.afterRead = func() {
			if reads++; reads == 2 {
				<-expiring
			}
		}
		p.conn.beforeWrite = func() { <-expired }
		p.serve()
		_, _ = io.WriteString(p.client, "GET / HTTP/1.1\r\nHost: a\r\n")
		_, _ = io.WriteString(p.client, "\r\n")
		if got := p.status(); got != 408 {
			t.Errorf("got %d", got)
		}
	})
}

func TestDrainClosesIdle(t *testing.T) {
	inBubble(t, func(t *testing.T, p *piped) {
		p.serve()
		if got := p.get(); got != 200 {
			t.Fatalf("got %d", got)
		}
		synctest.Wait()
		start := time.Now()
		p.e.Drain(engine.Until(start.Add(time.Minute)))
		if d := time.Since(start); d > 0 || p.e.Connections() != 0 {
			t.Errorf("%d connections are left after %v", p.e.Connections(), d)
		}
	})
}
