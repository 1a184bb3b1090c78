package nethttp

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"yett/internal/exchange"
)

// stream is one request and its answer on a connection.
type stream struct {
	e       *Engine
	set     *settings
	x       *exchange.Exchange
	w       http.ResponseWriter
	r       *http.Request
	control *http.ResponseController
	body    clientBody
	unwatch func() bool // ends the watch on the client
	events  atomic.Bool // a stream of events is being relayed
	parted  atomic.Bool // the gateway has ended it

	mu       sync.Mutex
	released bool
}

// begin starts an exchange. A client that leaves, or resets the stream, ends
// it.
func (e *Engine) begin(w http.ResponseWriter, r *http.Request) *stream {
	s := &stream{e: e, set: &e.current.Load().settings, x: e.deps.Exchanges.Get(), w: w, r: r, control: http.NewResponseController(w)}
	s.x.Now = time.Now()
	s.x.Version = exchange.HTTP2
	s.x.Listener = s.set.name
	s.x.Interim = s
	if c, ok := r.Context().Value(clientKey{}).(*client); ok {
		s.x.Peer, s.x.Local, s.x.Secure = c.peer, c.local, c.secure
	}
	s.unwatch = context.AfterFunc(r.Context(), s.gone)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.streams[s] = struct{}{}
	return s
}

// gone gives the exchange up. It may run on a goroutine of its own, when the
// exchange has been released.
func (s *stream) gone() {
	reason := exchange.ClientGone
	if s.e.closing.Load() {
		reason = exchange.ShuttingDown
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.released {
		s.x.Abort(reason)
	}
}

// cut ends the exchange because the gateway stops. It tells whether it was running.
func (s *stream) cut() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.released {
		return false
	}
	s.parted.Store(true)
	s.x.Abort(exchange.ShuttingDown)
	_ = s.control.SetReadDeadline(past) // ends the wait for a body; net/http's streams can
	return true
}

// giveUp ends an answer in which a fault was, so that the service's connection and what else
// the request holds come back. A second fault ends the attempt.
func (s *stream) giveUp() {
	defer func() { _ = recover() }()
	_ = s.x.ResponseBody.Close() // s may be nil: begin had the fault
	s.forget()
}

// release ends the exchange and all views of it.
func (s *stream) release() {
	s.unwatch()
	s.mu.Lock()
	s.released = true
	s.mu.Unlock()
	s.forget()
	s.e.deps.Exchanges.Put(s.x)
}

// forget takes it out of those that run.
func (s *stream) forget() {
	s.e.mu.Lock()
	defer s.e.mu.Unlock()
	delete(s.e.streams, s)
}
