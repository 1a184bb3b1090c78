package local

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"yett/internal/store"
	"yett/internal/store/memory"
)

// Server answers the processes that share its memory.
type Server struct {
	l     *net.UnixListener
	m     *memory.Store
	log   *slog.Logger
	clock func() time.Time
	done  chan struct{}

	// gate is held for reading while something is answered, and by who hands over.
	gate  sync.RWMutex
	moved bool // under gate: another process serves

	flights flights
	handing sync.Mutex // held by who hands over
	journal journal

	mu      sync.Mutex // guards what follows
	conns   map[*conn]struct{}
	left    chan struct{} // gets a value when a connection has ended
	closed  bool
	stop    context.CancelFunc
	ctx     context.Context
	running sync.WaitGroup
}

// Listen takes the socket at path, for the user of this process alone. The file of a process
// that is gone is replaced.
func Listen(path string) (*net.UnixListener, error) {
	if err := checkPath(path); err != nil {
		return nil, err
	}
	if err := removeStale(path); err != nil {
		return nil, err
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("listen at %s: %w", path, plain(err))
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("keep others from %s: %w", path, err), l.Close())
	}
	return l, nil
}

// removeStale removes a socket at which nobody listens.
func removeStale(path string) error {
	c, err := net.Dial("unix", path)
	switch {
	case err == nil:
		_ = c.Close()
		return fmt.Errorf("a store is served at %s already; take its place with --successor, or choose another path", path)
	case errors.Is(err, syscall.ENOENT):
		return nil
	case !errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("look who listens at %s: %w", path, plain(err))
	}
	if info, err := os.Lstat(path); err == nil && info.Mode()&os.ModeSocket == 0 {
		return fmt.Errorf("%s is a file, and no socket; choose another path", path)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove the socket of a process that is gone: %w", err)
	}
	return nil
}

// Serve answers on l, which is the Server's from now on, until Close or until another process
// has taken its place. The memory is the caller's.
func Serve(l *net.UnixListener, m *memory.Store, log *slog.Logger) *Server {
	return serve(l, m, log, time.Now)
}

func serve(l *net.UnixListener, m *memory.Store, log *slog.Logger, clock func() time.Time) *Server {
	l.SetUnlinkOnClose(false) // a successor may listen there
	s := &Server{l: l, m: m, log: log, clock: clock, done: make(chan struct{}), conns: make(map[*conn]struct{}), left: make(chan struct{}, 1)}
	s.flights.total = make(map[string]int64)
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.running.Go(s.accept)
	return s
}

// Succeeded is closed when another process has taken the Server's place.
func (s *Server) Succeeded() <-chan struct{} { return s.done }

// Close ends it, and removes the socket unless another process serves there.
func (s *Server) Close() error {
	s.gate.RLock()
	moved := s.moved
	s.gate.RUnlock()
	s.mu.Lock()
	var err error
	if !s.closed {
		s.closed = true
		if !moved {
			err = os.Remove(s.l.Addr().String())
		}
		_ = s.l.Close() // it may be closed already
	}
	s.stop()
	for c := range s.conns {
		_ = c.Close()
	}
	s.mu.Unlock()
	s.running.Wait()
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

func (s *Server) accept() {
	for {
		c, err := s.l.AcceptUnix()
		switch {
		case err == nil:
			s.admit(c)
		case s.ctx.Err() != nil || errors.Is(err, net.ErrClosed):
			return
		default: // such as no descriptor left
			s.log.Warn("a process can't reach the store", "error", err.Error())
			sleep(s.ctx, lastRetry)
		}
	}
}

// admit lets a process of the same user in.
func (s *Server) admit(u *net.UnixConn) {
	c, err := newConn(u)
	if err == nil {
		err = allowed(c)
	}
	if err != nil {
		s.log.Warn("a process is not let in", "error", err.Error())
		_ = u.Close()
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		_ = u.Close()
		return
	}
	s.conns[c] = struct{}{}
	s.running.Go(func() {
		s.talk(c)
		_ = c.Close()
		s.mu.Lock()
		delete(s.conns, c)
		s.mu.Unlock()
		select {
		case s.left <- struct{}{}:
		default:
		}
	})
}

// talk serves a connection until it ends.
func (s *Server) talk(c *conn) {
	if err := c.SetReadDeadline(time.Now().Add(dialTimeout)); err != nil {
		return
	}
	what, err := readHello(c)
	if err != nil {
		return
	}
	answer := byte(welcome)
	switch what {
	case forCalls, forFollow, forSuccessor:
	case unspoken:
		answer = unspoken
	default:
		answer = refused
	}
	if c.write(hello(answer), stuck) != nil || answer != welcome {
		return
	}
	if s.unlessMoved(func() { err = c.SetReadDeadline(time.Time{}) }); err != nil {
		return
	}
	switch what {
	case forCalls:
		s.calls(c)
	case forFollow:
		s.feed(c)
	default:
		s.handOver(c)
	}
}

// unlessMoved does something while this process serves. What is set then is not overwritten
// by kick, nor does it overwrite that.
func (s *Server) unlessMoved(do func()) (moved bool) {
	s.gate.RLock()
	defer s.gate.RUnlock()
	if !s.moved {
		do()
	}
	return s.moved
}

// calls answers calls.
func (s *Server) calls(c *conn) {
	b, out := make([]byte, 0, firstBuffer), make([]byte, 0, firstBuffer)
	var scratch [maxTakes]store.Take
	a := &aboard{of: &s.flights, held: make(map[string]int64)}
	defer a.end()
	for {
		n, err := c.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		rest, moved := b, false
		if err == nil && n > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
			rest, out, moved, err = s.answers(a, b, out[:0], scratch[:0])
		}
		if moved {
			out = end(begin(out, sayMoved, 0), 0)
		}
		if err != nil || n == 0 && !moved {
			return
		}
		if c.write(out, stuck) != nil || moved {
			return
		}
		b = room(b, len(b)-len(rest))
		if cap(out) > 4*firstBuffer {
			out = make([]byte, 0, firstBuffer)
		}
	}
}

// answers answers all calls in b, unless another process serves by now. rest is what is left
// of b.
func (s *Server) answers(a *aboard, b, out []byte, takes []store.Take) (rest, answers []byte, moved bool, err error) {
	s.gate.RLock()
	defer s.gate.RUnlock()
	if s.moved {
		return b, out, true, nil
	}
	now := s.clock()
	for {
		verb, tag, asked, rest, ok, err := cut(b)
		if err != nil || !ok {
			return rest, out, false, err
		}
		at := len(out)
		out = begin(out, sayDone, tag)
		silent := false
		switch verb {
		case doEnter, doLeave, doHold:
			out, silent, err = a.do(verb, asked, out)
		default:
			out, err = s.do(verb, asked, out, now, takes)
		}
		if err != nil {
			out = append(begin(out[:at], sayFailed, tag), err.Error()...)
		}
		if b = rest; silent {
			out = out[:at]
		} else {
			out = end(out, at)
		}
	}
}

// do does what is asked, and appends what came of it.
func (s *Server) do(verb byte, asked, out []byte, now time.Time, takes []store.Take) ([]byte, error) {
	p := body{b: asked}
	switch verb {
	case doTake:
		takes = p.takes(takes)
		if p.bad || len(p.b) > 0 {
			return out, errFrame
		}
		if err := s.m.Take(s.ctx, now, takes); err != nil {
			return out, err
		}
		return appendResults(out, takes), nil
	case doPing:
		return out, nil
	case doAdd, doForget:
		s.journal.note(verb, asked)
		return out, apply(s.ctx, s.m, verb, asked)
	}
	return out, fmt.Errorf("the store knows no verb %d", verb)
}

// apply adds or forgets.
func apply(ctx context.Context, m *memory.Store, verb byte, asked []byte) error {
	p := body{b: asked}
	if verb == doForget {
		name, key := p.view(), p.view()
		if p.bad {
			return errFrame
		}
		return m.Forget(ctx, name, key)
	}
	set, entries := p.add()
	if p.bad {
		return errFrame
	}
	return m.Add(ctx, set, entries...)
}
