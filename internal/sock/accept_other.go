//go:build !linux

package sock

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"
)

// Acceptor takes connections from a listener's queue.
type Acceptor struct {
	ln  listener
	raw syscall.RawConn
}

type listener interface {
	net.Listener
	syscall.Conn
	SetDeadline(at time.Time) error
}

// NewAcceptor makes one for a TCP listener, which stays the caller's to close.
func NewAcceptor(ln net.Listener) (*Acceptor, error) {
	l, ok := ln.(listener)
	if !ok {
		return nil, fmt.Errorf("a listener of type %T has no socket", ln)
	}
	raw, err := l.SyscallConn()
	if err != nil {
		return nil, err
	}
	return &Acceptor{ln: l, raw: raw}, nil
}

// Accept waits for the next connection.
func (a *Acceptor) Accept() (*Conn, error) {
	nc, err := a.ln.Accept()
	if err != nil {
		return nil, err
	}
	return asConn(nc)
}

func asConn(nc net.Conn) (*Conn, error) {
	tcp, ok := nc.(*net.TCPConn)
	if !ok {
		_ = nc.Close()
		return nil, fmt.Errorf("a connection of type %T is none of TCP", nc)
	}
	return &Conn{TCPConn: tcp}, nil
}

// TakeWaiting returns the next connection that waits in the queue, or nil when there is none.
// It works after the deadline too. The socket doesn't block, as all of Go's.
func (a *Acceptor) TakeWaiting() *Conn {
	fd := -1
	err := a.raw.Control(func(listening uintptr) {
		syscall.ForkLock.RLock()
		defer syscall.ForkLock.RUnlock()
		for {
			n, _, err := syscall.Accept(int(listening))
			if err == syscall.EINTR || err == syscall.ECONNABORTED {
				continue
			}
			if err == nil {
				fd = n
				syscall.CloseOnExec(fd)
			}
			return
		}
	})
	if err != nil || fd < 0 {
		return nil
	}
	f := os.NewFile(uintptr(fd), "connection")
	defer f.Close() // FileConn makes a duplicate
	nc, err := net.FileConn(f)
	if err != nil {
		return nil
	}
	c, err := asConn(nc)
	if err != nil {
		return nil
	}
	return c
}

// SetDeadline ends Accept at that time.
func (a *Acceptor) SetDeadline(at time.Time) error { return a.ln.SetDeadline(at) }

// Close ends the Acceptor and leaves the listener.
func (a *Acceptor) Close() error { return nil }

// Conn is a TCP connection that an Acceptor has taken.
type Conn struct{ *net.TCPConn }

// Ends returns the addresses, with one of IPv4 that came in IPv6 form as IPv4.
func (c *Conn) Ends() (peer, local netip.AddrPort) {
	return AddrPort(c.RemoteAddr()), AddrPort(c.LocalAddr())
}
