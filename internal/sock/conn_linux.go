package sock

import (
	"errors"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Conn is a TCP connection that an Acceptor has taken. It is a net.Conn whose errors are
// those of *net.TCPConn.
type Conn struct {
	file        *os.File
	raw         syscall.RawConn
	peer, local netip.AddrPort
	closed      atomic.Bool
}

func newConn(fd int, peer, local netip.AddrPort) (*Conn, error) {
	file := os.NewFile(uintptr(fd), "connection")
	raw, err := file.SyscallConn()
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	return &Conn{file: file, raw: raw, peer: peer, local: local}, nil
}

// Ends returns the addresses, with one of IPv4 that came in IPv6 form as IPv4.
func (c *Conn) Ends() (peer, local netip.AddrPort) { return c.peer, c.local }

// RemoteAddr implements net.Conn.
func (c *Conn) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.peer) }

// LocalAddr implements net.Conn.
func (c *Conn) LocalAddr() net.Addr { return net.TCPAddrFromAddrPort(c.local) }

// SyscallConn implements syscall.Conn.
func (c *Conn) SyscallConn() (syscall.RawConn, error) { return c.raw, nil }

// Read implements net.Conn.
func (c *Conn) Read(p []byte) (int, error) {
	n, err := c.file.Read(p)
	return n, c.explain("read", err)
}

// Write implements net.Conn.
func (c *Conn) Write(p []byte) (int, error) {
	n, err := c.file.Write(p)
	return n, c.explain("write", err)
}

// Close implements net.Conn.
func (c *Conn) Close() error {
	c.closed.Store(true) // before, so that whoever it wakes knows why
	return c.explain("close", c.file.Close())
}

// CloseWrite ends the direction to the client.
func (c *Conn) CloseWrite() error {
	return c.control("shutdown", func(fd int) error { return unix.Shutdown(fd, unix.SHUT_WR) })
}

// SetLinger says what Close does with what was not sent yet, as that of *net.TCPConn.
func (c *Conn) SetLinger(sec int) error {
	l := unix.Linger{Onoff: 1, Linger: int32(sec)}
	if sec < 0 {
		l = unix.Linger{}
	}
	return c.control("setsockopt", func(fd int) error {
		return unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &l)
	})
}

// SetDeadline implements net.Conn.
func (c *Conn) SetDeadline(at time.Time) error { return c.explain("set", c.file.SetDeadline(at)) }

// SetReadDeadline implements net.Conn.
func (c *Conn) SetReadDeadline(at time.Time) error {
	return c.explain("set", c.file.SetReadDeadline(at))
}

// SetWriteDeadline implements net.Conn.
func (c *Conn) SetWriteDeadline(at time.Time) error {
	return c.explain("set", c.file.SetWriteDeadline(at))
}

func (c *Conn) control(call string, f func(fd int) error) error {
	var failed error
	err := c.raw.Control(func(fd uintptr) { failed = f(int(fd)) })
	if err == nil && failed != nil {
		err = os.NewSyscallError(call, failed)
	}
	return c.explain(call, err)
}

// explain turns an error of a file into that of a connection: those who use one look for
// net.Error, and want to go on after a deadline.
func (c *Conn) explain(op string, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	if of := (*fs.PathError)(nil); errors.As(err, &of) {
		err = of.Err
	}
	if errno, ok := err.(syscall.Errno); ok {
		err = os.NewSyscallError(op, errno)
	}
	if c.closed.Load() {
		err = net.ErrClosed
	}
	return &net.OpError{Op: op, Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
}
