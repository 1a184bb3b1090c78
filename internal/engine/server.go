package engine

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"
)

// Server accepts connections on one address and gives each to a protocol.
type Server struct {
	Name    string
	Address string
	TLS     *tls.Config // nil: plain
	// HTTP1 serves connections that did not choose HTTP/2, and is nil where
	// only that is spoken. HTTP2 serves those that chose h2 by ALPN, and all of
	// a plain listener without HTTP1.
	HTTP1, HTTP2 Protocol
	// Handshake bounds the TLS handshake.
	Handshake time.Duration
	// Connections is the most connections open at once, 0 for any number.
	Connections int
	Log         *slog.Logger

	ln   net.Listener
	room chan struct{}
	stop context.CancelFunc // by Unbind: nobody waits for room any more
	over <-chan struct{}
	wg   sync.WaitGroup // the accept loop
}

// Bind takes the address. It is the last step of a start that can fail.
func (s *Server) Bind(ctx context.Context) error {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", s.Address)
	if err != nil {
		return fmt.Errorf("listening on %s: %w", s.Address, err)
	}
	waiting, stop := context.WithCancel(context.Background())
	s.ln, s.stop, s.over = ln, stop, waiting.Done()
	if s.Connections > 0 {
		s.room = make(chan struct{}, s.Connections)
	}
	return nil
}

// Addr returns the address that was bound, with its real port.
func (s *Server) Addr() net.Addr { return s.ln.Addr() }

// Start begins to accept.
func (s *Server) Start() { s.wg.Go(s.accept) }

// Unbind stops accepting and frees the address.
func (s *Server) Unbind() error {
	s.stop()
	err := s.ln.Close()
	s.wg.Wait()
	return err
}

// settle is how long exchanges that were cut get to be logged.
const settle = time.Second

// Drain lets running exchanges finish until that time, then closes what is
// left and waits for its end, so that it is logged.
func (s *Server) Drain(until time.Time) {
	var wg sync.WaitGroup
	for _, p := range []Protocol{s.HTTP1, s.HTTP2} {
		if p != nil {
			wg.Go(func() {
				p.Drain(until)
				p.Close()
				p.Drain(time.Now().Add(settle))
			})
		}
	}
	wg.Wait()
}

func (s *Server) accept() {
	for pause := time.Duration(0); ; {
		if !s.waitForRoom() {
			return
		}
		nc, err := s.ln.Accept()
		if err == nil {
			pause = 0
			go s.serve(nc)
			continue
		}
		if s.room != nil {
			<-s.room
		}
		if errors.Is(err, net.ErrClosed) {
			return
		}
		pause = min(max(2*pause, 5*time.Millisecond), time.Second)
		s.Log.Warn("accepting a connection failed", "listener", s.Name, "error", err, "pause", pause)
		time.Sleep(pause) // out of file descriptors, mostly: others have to close first
	}
}

// waitForRoom waits until one more connection may be open. It returns false
// after Unbind.
func (s *Server) waitForRoom() bool {
	if s.room == nil {
		return true
	}
	select {
	case s.room <- struct{}{}:
		return true
	case <-s.over:
		return false
	}
}

// counted is a connection that makes room for another one when it is closed,
// which may be long after its goroutine has left it.
type counted struct {
	*net.TCPConn
	once sync.Once
	room <-chan struct{}
}

// Close closes the connection.
func (c *counted) Close() error {
	defer c.once.Do(func() { <-c.room })
	return c.TCPConn.Close()
}

func (s *Server) serve(nc net.Conn) {
	if tc, ok := nc.(*net.TCPConn); ok && s.room != nil {
		nc = &counted{TCPConn: tc, room: s.room}
	}
	if s.TLS == nil {
		s.plain(nc)
		return
	}
	tc := tls.Server(nc, s.TLS)
	ctx, cancel := context.WithTimeout(context.Background(), s.Handshake)
	err := tc.HandshakeContext(ctx)
	cancel()
	if err != nil {
		s.Log.Debug("TLS handshake failed", "listener", s.Name, "peer", nc.RemoteAddr().String(), "error", err)
		_ = nc.Close()
		return
	}
	if tc.ConnectionState().NegotiatedProtocol == "h2" && s.HTTP2 != nil || s.HTTP1 == nil {
		s.HTTP2.ServeConn(tc, true)
		return
	}
	s.HTTP1.ServeConn(tc, true)
}

func (s *Server) plain(nc net.Conn) {
	if s.HTTP1 == nil {
		s.HTTP2.ServeConn(nc, false)
		return
	}
	s.HTTP1.ServeConn(nc, false)
}
