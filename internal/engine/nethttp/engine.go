// Package nethttp serves HTTP/2 to clients (RFC 9113) on the server of
// net/http: over TLS where ALPN chose h2, and in plain text where the client
// knows beforehand (h2c by prior knowledge). It turns a request of net/http
// into an exchange and an exchange into an answer of net/http; frames, flow
// control and stream states are net/http's.
package nethttp

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"yett/internal/config"
	"yett/internal/engine"
	"yett/internal/exchange"
	"yett/internal/wire"
)

// Deps is what the engine shares with the rest of the gateway.
type Deps struct {
	Core      engine.Core
	Buffers   *wire.Buffers
	Exchanges *exchange.Pool
	Log       *slog.Logger
}

// Engine serves the HTTP/2 connections of one listener.
type Engine struct {
	deps    Deps
	current atomic.Pointer[generation]
	waning  atomic.Bool // answers are the last ones
	closing atomic.Bool
	late    atomic.Bool // streams of events end
	crew    *engine.Crew[*task]
	tasks   sync.Pool     // of *task
	over    chan struct{} // closed by Close
	once    sync.Once     // closes over

	mu       sync.Mutex // guards what follows, and who uses which generation
	conns    map[net.Conn]*client
	streams  map[*stream]struct{} // that run
	old      []*generation        // which connections still use
	draining bool
}

// settings are those of the listener. They never change.
type settings struct {
	name     string // of the listener, for logs
	limits   config.ListenerLimits
	timeouts config.ListenerTimeouts
}

// generation is a server of net/http with the settings that it was made with: those can't
// be changed while it serves.
type generation struct {
	settings
	server *http.Server
	conns  int
}

var _ engine.Protocol = (*Engine)(nil)

// New makes an Engine with the limits and timeouts of a listener.
func New(l config.Listener, deps Deps) *Engine {
	e := &Engine{deps: deps, conns: make(map[net.Conn]*client), streams: make(map[*stream]struct{}), over: make(chan struct{})}
	e.crew = engine.NewCrew(e.do, e.over)
	e.Set(l)
	return e
}

// Set replaces the settings. New requests have the new ones; how long a connection may be
// idle, and how long its first bytes may take, new connections only.
func (e *Engine) Set(l config.Listener) {
	next := settings{name: l.Name, limits: l.Limits, timeouts: l.Timeouts}
	e.mu.Lock()
	defer e.mu.Unlock()
	last := e.current.Load()
	if last != nil && last.settings == next {
		return
	}
	if last != nil && last.conns > 0 {
		e.old = append(e.old, last)
	}
	e.current.Store(&generation{settings: next, server: e.newServer(&next)})
}

func (e *Engine) newServer(set *settings) *http.Server {
	var protocols http.Protocols
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{
		Protocols:         &protocols,
		Handler:           http.HandlerFunc(e.serveHTTP),
		MaxHeaderBytes:    headerListSize(set.limits),
		ReadHeaderTimeout: time.Duration(set.timeouts.Header),
		IdleTimeout:       time.Duration(set.timeouts.Idle),
		HTTP2: &http.HTTP2Config{
			// A client that vanished without a word is found by a ping while a quiet
			// stream is open, and by its full socket while there is something to send.
			SendPingTimeout:  time.Duration(set.timeouts.Idle),
			WriteByteTimeout: time.Duration(set.timeouts.Write),
		},
		DisableGeneralOptionsHandler: true, // OPTIONS * passes the policies too

		ConnContext: e.connContext,
		ConnState:   e.connState,
		ErrorLog:    slog.NewLogLogger(e.deps.Log.Handler(), slog.LevelDebug),
	}
}

// headerListSize returns the bound that net/http enforces by itself, with an
// answer of its own. It is twice the listener's, which is enforced by read, so
// that all but the wildest requests are refused as every other is: with
// policies, request ID and log line. HTTP/2 counts 32 bytes more for each field
// (RFC 9113 section 6.5.2).
func headerListSize(l config.ListenerLimits) int { return 2*int(l.Header) + 32*l.HeaderCount }

// ServeConn implements engine.Protocol. The handshake of a *tls.Conn has to be
// done.
func (e *Engine) ServeConn(nc net.Conn, secure bool) {
	c := newClient(nc, secure)
	g := e.add(c)
	if g == nil {
		_ = nc.Close()
		return
	}
	defer e.remove(nc, g)
	// Serve always returns an error, and says with it only that c is closed.
	_ = g.server.Serve(c)
	if !c.accepted { // the server is shutting down already
		_ = nc.Close()
		return
	}
	<-c.over
}

// add returns who serves the connection, nil when nobody does any more.
func (e *Engine) add(c *client) *generation {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.draining {
		return nil
	}
	g := e.current.Load()
	e.conns[c.nc] = c
	g.conns++
	return g
}

func (e *Engine) remove(nc net.Conn, g *generation) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.conns, nc)
	if g.conns--; g.conns == 0 {
		e.old = slices.DeleteFunc(e.old, func(o *generation) bool { return o == g })
	}
}

// end takes no more connections, and returns the servers that have some.
func (e *Engine) end() []*http.Server {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.draining = true
	servers := []*http.Server{e.current.Load().server}
	for _, g := range e.old {
		servers = append(servers, g.server)
	}
	return servers
}

func (e *Engine) client(nc net.Conn) *client {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.conns[nc]
}

// Connections returns how many connections are open.
func (e *Engine) Connections() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.conns)
}

// Wane implements engine.Protocol. Each answer comes with a GOAWAY (RFC 9113
// section 6.8): what was asked for before is answered, everything else is for
// another connection.
func (e *Engine) Wane() { e.waning.Store(true) }

// Drain implements engine.Protocol. All clients are told to go away.
func (e *Engine) Drain(d engine.Deadlines) engine.Lost {
	e.Wane()
	ctx, cancel := context.WithCancel(context.Background())
	ended, over := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(over)
		if e.shutdown(ctx) {
			close(ended)
		}
	}()
	lost := d.Steps(ended, e.cutRequests, e.endStreams)
	cancel()
	<-over
	return lost
}

// shutdown returns whether no connection is left.
func (e *Engine) shutdown(ctx context.Context) bool {
	var wg sync.WaitGroup
	for _, server := range e.end() {
		wg.Go(func() {
			if err := server.Shutdown(ctx); err != nil {
				e.deps.Log.Debug("HTTP/2 connections are left after draining", "connections", e.Connections(), "error", err)
			}
		})
	}
	wg.Wait()
	return ctx.Err() == nil
}

// cutRequests ends all but streams of events, and returns how many requests that
// were.
func (e *Engine) cutRequests() int {
	return e.count(func(s *stream) bool { return !s.events.Load() && s.cut() })
}

// endStreams ends those.
func (e *Engine) endStreams() int {
	e.late.Store(true)
	return e.count(func(s *stream) bool { return s.events.Load() && s.cut() })
}

// count returns for how many streams f holds.
func (e *Engine) count(f func(s *stream) bool) (n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for s := range e.streams {
		if f(s) {
			n++
		}
	}
	return n
}

// Close implements engine.Protocol.
func (e *Engine) Close() {
	e.closing.Store(true)
	e.once.Do(func() { close(e.over) })
	for _, server := range e.end() {
		if err := server.Close(); err != nil {
			e.deps.Log.Debug("closing HTTP/2 connections failed", "error", err)
		}
	}
}

// clientKey is where connContext leaves the client for serveHTTP. net/http has
// no other way to say which connection a request came on.
type clientKey struct{}

func (e *Engine) connContext(ctx context.Context, nc net.Conn) context.Context {
	return context.WithValue(ctx, clientKey{}, e.client(nc))
}

func (e *Engine) connState(nc net.Conn, state http.ConnState) {
	if state == http.StateClosed {
		close(e.client(nc).over)
	}
}

// task is a request for the crew.
type task struct {
	w    http.ResponseWriter
	r    *http.Request
	done chan bool // takes whether the answer is complete
}

func (e *Engine) do(t *task) { t.done <- e.serve(t.w, t.r) }

// serveHTTP answers a request. net/http has begun a goroutine for it, whose small stack would
// have to grow for what follows, so that the crew does it, and this one waits. To panic with this
// value is net/http's way to reset a stream, so that a client can't take half an answer for a whole one.
func (e *Engine) serveHTTP(w http.ResponseWriter, r *http.Request) {
	t, used := e.tasks.Get().(*task)
	if !used {
		t = &task{done: make(chan bool, 1)}
	}
	t.w, t.r = w, r
	e.crew.Take(t)
	complete := <-t.done
	t.w, t.r = nil, nil
	e.tasks.Put(t)
	if !complete {
		panic(http.ErrAbortHandler)
	}
}

// serve takes a request through the gateway. It returns whether the answer is
// complete. A fault in the gateway costs this stream and no other; its exchange
// is left to the garbage collector, as somebody may still hold it.
func (e *Engine) serve(w http.ResponseWriter, r *http.Request) (complete bool) {
	var s *stream
	defer func() {
		if fault := recover(); fault != nil {
			e.deps.Log.Error("stream ended by a fault in the gateway", "fault", fault, "stack", string(debug.Stack()))
			complete = false
			s.giveUp()
		}
	}()
	s = e.begin(w, r)
	if reason := s.read(); reason != nil {
		s.x.Refuse(reason)
	}
	e.deps.Core.Serve(s.x)
	complete = s.reply()
	_ = s.x.ResponseBody.Close()
	s.x.BytesIn = s.x.RequestBody.Received()
	e.deps.Core.Done(s.x)
	s.release()
	return complete
}
