package handover

import (
	"context"
	"errors"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// bind takes an address. Where a socket that is held, here or by the process before this one,
// has it already as a part of all addresses, or the other way round, both have it for a while:
// what asked for :80 goes on until it is drained while what asks for 127.0.0.1:80 begins.
func (s *Sockets) bind(ctx context.Context, address string, places []place) (*net.TCPListener, error) {
	ln, err := listen(ctx, address, nil)
	if err == nil || !errors.Is(err, syscall.EADDRINUSE) {
		return ln, err
	}
	shared := false
	for _, h := range s.held {
		for _, p := range places {
			if p.overlaps(h.at) && allowBeside(h.ln, true) == nil {
				shared = true
				defer func() { _ = allowBeside(h.ln, false) }() // as long as one process may, so may any of this user
			}
		}
	}
	if !shared {
		return nil, err
	}
	ln, err = listen(ctx, address, reusePort)
	if err == nil {
		_ = allowBeside(ln, false)
	}
	return ln, err
}

func listen(ctx context.Context, address string, control func(network, address string, c syscall.RawConn) error) (*net.TCPListener, error) {
	lc := net.ListenConfig{Control: control}
	ln, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return ln.(*net.TCPListener), nil //nolint:forcetypeassert // tcp has no other
}

func reusePort(_, _ string, c syscall.RawConn) error { return setReusePort(c, 1) }

// allowBeside lets another socket of this user have an address that overlaps, or no longer.
func allowBeside(ln *net.TCPListener, yes bool) error {
	raw, err := ln.SyscallConn()
	if err != nil {
		return err
	}
	value := 0
	if yes {
		value = 1
	}
	return setReusePort(raw, value)
}

func setReusePort(c syscall.RawConn, value int) error {
	var failed error
	err := c.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, value)
	})
	return errors.Join(err, failed)
}
