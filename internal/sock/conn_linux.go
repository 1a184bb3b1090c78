package sock

import (
	"errors"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Conn is a TCP connection that an Acceptor has taken. It is a net.Conn whose errors are
// those of *net.TCPConn. The runtime begins to watch its socket when somebody has to wait for it,
// or could have to: a short connection whose request is there when it is accepted, and which
// ends with its answer, is used by RawConn's methods alone and gone before that. Whoever
// forgets Close keeps the socket.
type Conn struct {
	peer, local netip.AddrPort

	mu      sync.Mutex
	fd      int             // the socket as long as file is nil
	file    *os.File        // the socket when the runtime watches it
	watched syscall.RawConn // of file
	direct  int             // calls that use the socket without file; the last one closes what was closed meanwhile
	closed  bool
	// A deadline is set, which file knows and the socket does not.
	readBy, writeBy bool
}

func newConn(fd int, peer, local netip.AddrPort) *Conn {
	return &Conn{fd: fd, peer: peer, local: local}
}

// watch has the runtime watch the socket.
func (c *Conn) watch() (*os.File, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.watchLocked()
}

func (c *Conn) watchLocked() (*os.File, error) {
	if c.closed {
		return nil, net.ErrClosed
	}
	if c.file == nil {
		file := os.NewFile(uintptr(c.fd), "connection")
		raw, err := file.SyscallConn()
		if err != nil {
			return nil, err
		}
		c.file, c.watched = file, raw
	}
	return c.file, nil
}

// Unwatch ends what watch has begun, for a connection that is going to rest: watching costs
// memory, a file and a descriptor with two timers. Whoever has to wait watches again. Nobody may
// be reading or writing. It does nothing when a deadline is set, which somebody's next wait is to
// end at, or when no descriptor is left for the moment of the change.
func (c *Conn) Unwatch() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.file == nil || c.direct > 0 || c.readBy || c.writeBy {
		return
	}
	fd, err := unix.FcntlInt(uintptr(c.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return
	}
	_ = c.file.Close() // or what still asks about the socket does, when it is done
	c.fd, c.file, c.watched = fd, nil, nil
}

// Close implements net.Conn. It waits for calls that use the watched socket, as closing does
// with every file, and holds no lock meanwhile: what such a call does may need it.
func (c *Conn) Close() error {
	c.mu.Lock()
	before, used := c.closed, c.direct > 0
	c.closed = true
	c.mu.Unlock()
	switch {
	case before:
		return c.wrap("close", net.ErrClosed)
	case !used:
		return c.free()
	case c.file != nil:
		_ = c.file.SetDeadline(time.Unix(1, 0)) // ends what waits, as closing would
	}
	return nil
}

// free is called once, when the Conn is closed, so that file stays what it is.
func (c *Conn) free() error {
	if c.file != nil {
		return c.wrap("close", c.file.Close())
	}
	return c.wrap("close", unix.Close(c.fd))
}

// enter begins a call that uses the socket directly, unless it is watched: then it returns
// what to call instead.
func (c *Conn) enter() (syscall.RawConn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return nil, net.ErrClosed
	case c.watched == nil:
		c.direct++
	}
	return c.watched, nil
}

func (c *Conn) leave() {
	c.mu.Lock()
	c.direct--
	last := c.direct == 0 && c.closed
	c.mu.Unlock()
	if last {
		_ = c.free()
	}
}

// SyscallConn implements syscall.Conn.
func (c *Conn) SyscallConn() (syscall.RawConn, error) { return (*rawConn)(c), nil }

// rawConn is a Conn as a syscall.RawConn.
type rawConn Conn

// Control implements syscall.RawConn.
func (r *rawConn) Control(f func(fd uintptr)) error {
	raw, err := (*Conn)(r).enter()
	if err != nil {
		return err
	}
	if raw != nil {
		return raw.Control(f)
	}
	defer (*Conn)(r).leave()
	f(uintptr(r.fd))
	return nil
}

// Read implements syscall.RawConn. Where nothing is there it looks once more when others
// have had their turn: on a busy machine a client has answered by then.
func (r *rawConn) Read(f func(fd uintptr) bool) error {
	raw, err := r.attempt(f, true)
	if err != nil || raw == nil {
		return err
	}
	return raw.Read(f)
}

// Write implements syscall.RawConn.
func (r *rawConn) Write(f func(fd uintptr) bool) error {
	raw, err := r.attempt(f, false)
	if err != nil || raw == nil {
		return err
	}
	return raw.Write(f)
}

// attempt does f without waiting, twice if it may. It returns what to wait with when that
// was not enough.
func (r *rawConn) attempt(f func(fd uintptr) bool, twice bool) (syscall.RawConn, error) {
	raw, err := (*Conn)(r).enter()
	if err != nil || raw != nil || r.try(f, twice) {
		return raw, err
	}
	_, err = (*Conn)(r).watch()
	return r.watched, err
}

func (r *rawConn) try(f func(fd uintptr) bool, twice bool) bool {
	defer (*Conn)(r).leave()
	if f(uintptr(r.fd)) {
		return true
	}
	if !twice {
		return false
	}
	runtime.Gosched()
	return f(uintptr(r.fd))
}

// Ends returns the addresses, with one of IPv4 that came in IPv6 form as IPv4.
func (c *Conn) Ends() (peer, local netip.AddrPort) { return c.peer, c.local }

// RemoteAddr implements net.Conn.
func (c *Conn) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.peer) }

// LocalAddr implements net.Conn.
func (c *Conn) LocalAddr() net.Addr { return net.TCPAddrFromAddrPort(c.local) }

// Read implements net.Conn.
func (c *Conn) Read(p []byte) (n int, err error) {
	file, err := c.watch()
	if err == nil {
		n, err = file.Read(p)
	}
	return n, c.explain("read", err)
}

// Write implements net.Conn.
func (c *Conn) Write(p []byte) (n int, err error) {
	file, err := c.watch()
	if err == nil {
		n, err = file.Write(p)
	}
	return n, c.explain("write", err)
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

func (c *Conn) control(call string, f func(fd int) error) error {
	var failed error
	err := (*rawConn)(c).Control(func(fd uintptr) { failed = f(int(fd)) })
	if err == nil && failed != nil {
		err = os.NewSyscallError(call, failed)
	}
	return c.explain(call, err)
}

// SetDeadline implements net.Conn.
func (c *Conn) SetDeadline(at time.Time) error {
	return c.setDeadline((*os.File).SetDeadline, at, &c.readBy, &c.writeBy)
}

// SetReadDeadline implements net.Conn.
func (c *Conn) SetReadDeadline(at time.Time) error {
	return c.setDeadline((*os.File).SetReadDeadline, at, &c.readBy)
}

// SetWriteDeadline implements net.Conn.
func (c *Conn) SetWriteDeadline(at time.Time) error {
	return c.setDeadline((*os.File).SetWriteDeadline, at, &c.writeBy)
}

func (c *Conn) setDeadline(set func(f *os.File, at time.Time) error, at time.Time, told ...*bool) error {
	c.mu.Lock()
	file, err := c.watchLocked()
	if err == nil {
		err = set(file, at) // with the lock held, so that Unwatch does not lose it
	}
	if err == nil {
		for _, by := range told {
			*by = !at.IsZero()
		}
	}
	c.mu.Unlock()
	return c.explain("set", err)
}

// explain is wrap for whoever may have been interrupted by Close.
func (c *Conn) explain(op string, err error) error {
	if err != nil && err != io.EOF && c.isClosed() {
		err = net.ErrClosed
	}
	return c.wrap(op, err)
}

func (c *Conn) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

// wrap turns an error of a file into that of a connection: those who use one look for
// net.Error, and want to go on after a deadline.
func (c *Conn) wrap(op string, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	if of := (*fs.PathError)(nil); errors.As(err, &of) {
		err = of.Err
	}
	if errno, ok := err.(syscall.Errno); ok {
		err = os.NewSyscallError(op, errno)
	}
	return &net.OpError{Op: op, Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
}
