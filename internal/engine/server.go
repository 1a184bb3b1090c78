package engine

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"yett/internal/sock"
)

// Settings are those of a listener that may change while it serves.
type Settings struct {
	Name string
	TLS  *tls.Config // nil: plain
	// HTTP1 serves connections that did not choose HTTP/2, and is nil where
	// only that is spoken. HTTP2 serves those that chose h2 by ALPN, and all of
	// a plain listener without HTTP1.
	HTTP1, HTTP2 Protocol
	// Handshake bounds the TLS handshake.
	Handshake time.Duration
	// Connections is the most connections open at once, 0 for any number.
	Connections int
}

// Listen binds an address, as net.ListenConfig does for TCP.
type Listen func(ctx context.Context, address string) (net.Listener, error)

// Server accepts connections on one address and gives each to a protocol.
type Server struct {
	Address string
	Log     *slog.Logger
	// Listen binds the address; nil binds a socket of this process.
	Listen Listen

	settings atomic.Pointer[Settings]
	room     room
	open     atomic.Int64 // connections
	ln       net.Listener
	queue    *sock.Acceptor
	crew     *Crew[*sock.Conn]
	started  bool
	stop     context.CancelFunc // by Unbind: nobody waits for room any more
	over     <-chan struct{}
	wg       sync.WaitGroup // the accept loop
	shaking  sync.WaitGroup // connections that no protocol has as yet

	mu        sync.Mutex
	protocols []Protocol // all that have ever served
}

// Set gives the server settings, before Start and at any time later. A connection keeps those
// with which it was accepted.
func (s *Server) Set(next Settings) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range []Protocol{next.HTTP1, next.HTTP2} {
		if p != nil && !slices.Contains(s.protocols, p) {
			s.protocols = append(s.protocols, p)
		}
	}
	s.settings.Store(&next)
	s.room.resize(next.Connections)
}

// Settings returns the current ones, which nobody may change.
func (s *Server) Settings() *Settings { return s.settings.Load() }

// Bind takes the address.
func (s *Server) Bind(ctx context.Context) error {
	listen := s.Listen
	if listen == nil {
		listen = func(ctx context.Context, address string) (net.Listener, error) {
			var lc net.ListenConfig
			return lc.Listen(ctx, "tcp", address)
		}
	}
	ln, err := listen(ctx, s.Address)
	if err != nil {
		return fmt.Errorf("listening on %s: %w", s.Address, err)
	}
	queue, err := sock.NewAcceptor(ln)
	if err != nil {
		_ = ln.Close()
		return fmt.Errorf("listening on %s: %w", s.Address, err)
	}
	waiting, stop := context.WithCancel(context.Background())
	s.ln, s.queue, s.stop, s.over = ln, queue, stop, waiting.Done()
	s.crew = NewCrew(s.serve, s.over)
	return nil
}

// Addr returns the address that was bound, with its real port.
func (s *Server) Addr() net.Addr { return s.ln.Addr() }

// Connections returns how many connections are open.
func (s *Server) Connections() int { return int(s.open.Load()) }

// Start begins to accept.
func (s *Server) Start() {
	s.started = true
	s.wg.Go(s.accept)
}

// Wane has every answer be the last one of its connection. It goes on accepting.
func (s *Server) Wane() {
	for _, p := range s.all() {
		p.Wane()
	}
}

func (s *Server) all() []Protocol {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.protocols)
}

// Unbind stops accepting and frees the address. Connections that the kernel has
// accepted already are taken before: closing the socket would reset them. Those of a
// Server that was never started stay, as they are another process's, or nobody's.
func (s *Server) Unbind() error {
	s.stop()
	if s.started && s.queue.SetDeadline(time.Unix(1, 0)) == nil { // ends Accept, and leaves the queue
		s.wg.Wait()
		s.takeWaiting()
	}
	err := errors.Join(s.queue.Close(), s.ln.Close())
	s.wg.Wait()
	return err
}

// Drain lets running exchanges finish until their deadlines, then ends what is
// left and waits for its end, so that it is logged. It tells what that was.
func (s *Server) Drain(d Deadlines) (lost Lost) {
	s.awaitHandshakes(d.Requests)
	var wg sync.WaitGroup
	var mu sync.Mutex
	for _, p := range s.all() {
		wg.Go(func() {
			late := p.Drain(d)
			p.Close()
			p.Drain(Until(time.Now())) // waits for what Close has ended, which has been told
			mu.Lock()
			defer mu.Unlock()
			lost = lost.Add(late)
		})
	}
	wg.Wait()
	return lost
}

// awaitHandshakes waits for connections that came last: protocols refuse to take any
// when they have drained.
func (s *Server) awaitHandshakes(until time.Time) {
	over := make(chan struct{})
	go func() {
		s.shaking.Wait() // each is bounded
		close(over)
	}()
	timer := time.NewTimer(time.Until(until))
	defer timer.Stop()
	select {
	case <-over:
	case <-timer.C:
	}
}

func (s *Server) accept() {
	for pause := time.Duration(0); s.room.enter(s.over); {
		nc, err := s.queue.Accept()
		if err == nil {
			pause = 0
			s.shaking.Add(1)
			s.crew.Take(nc)
			continue
		}
		s.room.leave()
		if errors.Is(err, net.ErrClosed) || s.unbound() {
			return
		}
		pause = min(max(2*pause, 5*time.Millisecond), time.Second)
		s.Log.Warn("accepting a connection failed", "listener", s.Settings().Name, "error", err, "pause", pause)
		select { // out of file descriptors, mostly: others have to close first
		case <-time.After(pause):
		case <-s.over:
		}
	}
}

// unbound tells that Unbind has been called.
func (s *Server) unbound() bool {
	select {
	case <-s.over:
		return true
	default:
		return false
	}
}

// counted is a connection that makes room for another one when it is closed,
// which may be long after its goroutine has left it.
type counted struct {
	*sock.Conn
	left   atomic.Bool
	server *Server
}

// Close closes the connection.
func (c *counted) Close() error {
	err := c.Conn.Close()
	if !c.left.Swap(true) {
		c.server.open.Add(-1)
		c.server.room.leave()
	}
	return err
}

func (s *Server) serve(accepted *sock.Conn) {
	s.open.Add(1)
	nc := &counted{Conn: accepted, server: s}
	set := s.Settings()
	if set.TLS == nil {
		s.shaking.Done()
		set.plain(nc)
		return
	}
	tc := tls.Server(nc, set.TLS)
	ctx, cancel := context.WithTimeout(context.Background(), set.Handshake)
	err := tc.HandshakeContext(ctx)
	cancel()
	s.shaking.Done()
	if err != nil {
		s.Log.Debug("TLS handshake failed", "listener", set.Name, "peer", nc.RemoteAddr().String(), "error", err)
		_ = nc.Close()
		return
	}
	if tc.ConnectionState().NegotiatedProtocol == "h2" && set.HTTP2 != nil || set.HTTP1 == nil {
		set.HTTP2.ServeConn(tc, true)
		return
	}
	set.HTTP1.ServeConn(tc, true)
}

func (set *Settings) plain(nc net.Conn) {
	if set.HTTP1 == nil {
		set.HTTP2.ServeConn(nc, false)
		return
	}
	set.HTTP1.ServeConn(nc, false)
}
