package redis

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"sync"
	"syscall"

	"yett/internal/sock"
)

// conn is a plain connection whose reads and writes leave the scheduler alone. The ones of package net
// tell it, and that wakes a thread of the runtime which then looks after it for a
// while, every few microseconds: a busy gateway that waits for the store, and is woken by
// its answers, would pay for that with each batch. See docs/decisions/0007-socket-calls.md.
type conn struct {
	net.Conn
	in, out side
}

// side is one direction of a conn.
type side struct {
	mu sync.Mutex // of who reads, or writes
	// wait calls once until that is done, and waits for the socket in between.
	wait func(once func(fd uintptr) bool) error
	once func(fd uintptr) bool // made once, so that nothing is allocated for a call
	buf  []byte
	n    int
	err  error
}

// direct makes a conn of a connection, unless it is not one of the system's.
func direct(nc net.Conn) net.Conn {
	source, ok := nc.(syscall.Conn)
	if !ok {
		return nc
	}
	raw, err := source.SyscallConn()
	if err != nil {
		return nc
	}
	c := &conn{Conn: nc}
	c.in.wait, c.in.once = raw.Read, c.in.recv
	c.out.wait, c.out.once = raw.Write, c.out.send
	return c
}

// Read implements net.Conn.
func (c *conn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	n, err := c.in.call(p)
	if n == 0 && err == nil {
		err = io.EOF
	}
	return n, err
}

// Write implements net.Conn.
func (c *conn) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	return c.out.call(p)
}

// call lets the socket take, or fill, p.
func (s *side) call(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.buf, s.n, s.err = p, 0, nil
	err := s.wait(s.once)
	s.buf = nil
	if err == nil {
		err = s.err
	}
	return s.n, err
}

// recv receives what is there.
func (s *side) recv(fd uintptr) bool {
	s.n, s.err = sock.Recv(fd, s.buf)
	return s.err != syscall.EAGAIN
}

// send sends until all is sent.
func (s *side) send(fd uintptr) bool {
	for s.n < len(s.buf) {
		n, err := sock.Send(fd, s.buf[s.n:])
		s.n += n
		if err != nil {
			s.err = err
			return err != syscall.EAGAIN
		}
	}
	s.err = nil
	return true
}

// dialPlain returns what connects to an address in a network.
func dialPlain(network string) func(context.Context, string, *net.Dialer, *tls.Config) (net.Conn, error) {
	return func(ctx context.Context, to string, dialer *net.Dialer, _ *tls.Config) (net.Conn, error) {
		nc, err := dialer.DialContext(ctx, network, to)
		if err != nil {
			return nil, err
		}
		return direct(nc), nil
	}
}
