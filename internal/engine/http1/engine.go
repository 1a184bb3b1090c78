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
	waning   atomic.Bool // answers are the last ones
	draining atomic.Bool // idle connections end
	late     atomic.Bool // tunnels and streams of events end
	date     dateCache
	open     atomic.Int64 // connections
	spare    sync.Pool    // of *conn, blank but for their bound methods

	mu     sync.Mutex
	conns  map[*conn]struct{}
	closed bool
	empty  chan struct{} // closed when draining and no connection is left
	once   sync.Once     // closes empty
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
	if e.closed {
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
	e.tellIfEmpty()
}

// tellIfEmpty has to be called with the lock held.
func (e *Engine) tellIfEmpty() {
	if e.draining.Load() && len(e.conns) == 0 {
		e.once.Do(func() { close(e.empty) })
	}
}

// Wane implements engine.Protocol.
func (e *Engine) Wane() { e.waning.Store(true) }

// Drain implements engine.Protocol. A connection whose next request has come
// already is not idle.
func (e *Engine) Drain(d engine.Deadlines) engine.Lost {
	e.Wane()
	e.mu.Lock()
	e.draining.Store(true)
	e.tellIfEmpty()
	for c := range e.conns {
		c.endIfIdle()
	}
	e.mu.Unlock()
	return d.Steps(e.empty, e.cutRequests, e.endTunnels)
}

// cutRequests ends all but tunnels and streams of events, and returns how many
// requests that were.
func (e *Engine) cutRequests() (n int) {
	return e.count(func(c *conn) bool { return !c.lasting() && c.kill() })
}

// endTunnels ends those.
func (e *Engine) endTunnels() (n int) {
	e.late.Store(true)
	return e.count((*conn).part)
}

// count returns for how many connections f holds.
func (e *Engine) count(f func(c *conn) bool) (n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for c := range e.conns {
		if f(c) {
			n++
		}
	}
	return n
}

// Close implements engine.Protocol.
func (e *Engine) Close() {
	e.Wane()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	e.draining.Store(true)
	e.tellIfEmpty()
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
