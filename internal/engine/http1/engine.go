// Package http1 serves HTTP/1.1 and HTTP/1.0 to clients (RFC 9112): one
// goroutine for each connection, buffers only while there is something in
// them, deadlines by a sweep.
package http1

import (
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"yett/internal/config"
	"yett/internal/engine"
	"yett/internal/exchange"
	"yett/internal/sweep"
	"yett/internal/wire"
)

// Deps is what the engine shares with the rest of the gateway.
type Deps struct {
	Core      engine.Core
	Buffers   *wire.Buffers
	Exchanges *exchange.Pool
	Sweeper   *sweep.Sweeper
	Log       *slog.Logger
	// Lot is where idle connections wait, nil to let each keep its goroutine.
	Lot *Lot
	// HTTP2 takes over connections that begin with the preface of HTTP/2, as long as h2c is
	// among the protocols of the listener. nil for nobody.
	HTTP2 func(c net.Conn)
}

// Engine serves the connections of one listener.
type Engine struct {
	deps     Deps
	current  atomic.Pointer[settings]
	draining atomic.Bool
	date     dateCache
	open     atomic.Int64 // connections

	mu    sync.Mutex
	conns map[*conn]struct{}
	empty chan struct{} // closed when draining and no connection is left
}

// settings are those of the listener. They never change; Set puts others in their place.
type settings struct {
	name     string
	limits   wire.Limits
	body     int64 // largest request body in bytes, 0 for any
	minRate  int64 // bytes a second
	timeouts timeouts
	http2    bool // in plain text
}

type timeouts struct{ header, idle, bodyIdle, write, tunnelIdle time.Duration }

var _ engine.Protocol = (*Engine)(nil)

// New makes an Engine with the settings of a listener.
func New(l config.Listener, deps Deps) *Engine {
	e := &Engine{deps: deps, conns: make(map[*conn]struct{}), empty: make(chan struct{})}
	e.Set(l)
	return e
}

// Set replaces the settings. A connection has the new ones from its next request on; one that
// waits for it waits as long as it was to.
func (e *Engine) Set(l config.Listener) {
	e.current.Store(&settings{
		name: l.Name,
		limits: wire.Limits{
			FirstLine:   int(l.Limits.RequestLine),
			Header:      int(l.Limits.Header),
			HeaderCount: l.Limits.HeaderCount,
			ChunkLine:   int(l.Limits.ChunkLine),
			Trailer:     int(l.Limits.Trailer),
		},
		body:    int64(l.Limits.Body),
		minRate: int64(l.Limits.BodyMinRate),
		timeouts: timeouts{
			header:     time.Duration(l.Timeouts.Header),
			idle:       time.Duration(l.Timeouts.Idle),
			bodyIdle:   time.Duration(l.Timeouts.BodyIdle),
			write:      time.Duration(l.Timeouts.Write),
			tunnelIdle: time.Duration(l.Timeouts.TunnelIdle),
		},
		http2: slices.Contains(l.Protocols, "h2c"),
	})
}

// ServeConn implements engine.Protocol.
func (e *Engine) ServeConn(nc net.Conn, secure bool) {
	c := newConn(e, nc, secure)
	if !e.add(c) {
		_ = nc.Close()
		return
	}
	c.serve()
}

func (e *Engine) add(c *conn) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.draining.Load() {
		return false
	}
	e.conns[c] = struct{}{}
	e.open.Add(1)
	e.deps.Sweeper.Add(&c.timer, c)
	e.deps.Sweeper.Add(&c.writer.timer, &c.writer)
	return true
}

func (e *Engine) remove(c *conn) {
	e.deps.Sweeper.Remove(&c.timer)
	e.deps.Sweeper.Remove(&c.writer.timer)
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, open := e.conns[c]; !open {
		return
	}
	delete(e.conns, c)
	e.open.Add(-1)
	if e.draining.Load() && len(e.conns) == 0 {
		close(e.empty)
	}
}

// Drain implements engine.Protocol.
func (e *Engine) Drain(until time.Time) {
	e.mu.Lock()
	first := !e.draining.Swap(true)
	if first && len(e.conns) == 0 {
		close(e.empty)
	}
	for c := range e.conns {
		c.closeIfIdle()
	}
	e.mu.Unlock()
	timer := time.NewTimer(time.Until(until))
	defer timer.Stop()
	select {
	case <-e.empty:
	case <-timer.C:
	}
}

// Close implements engine.Protocol.
func (e *Engine) Close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.draining.Swap(true) && len(e.conns) == 0 {
		close(e.empty)
	}
	for c := range e.conns {
		c.kill()
	}
}

// Connections returns how many connections are open.
func (e *Engine) Connections() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.conns)
}

// dateCache formats the Date field once a second.
type dateCache struct{ last atomic.Pointer[dated] }

type dated struct {
	second int64
	text   string
}

func (d *dateCache) at(now time.Time) string {
	second := now.Unix()
	if last := d.last.Load(); last != nil && last.second == second {
		return last.text
	}
	next := &dated{second, now.UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT")}
	d.last.Store(next)
	return next.text
}
