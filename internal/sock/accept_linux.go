package sock

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Acceptor takes connections from a listener's queue. It costs one system call for each, and
// one to wait for it, where that of package net has seven more: it asks for the address that
// the listener has anyway, and sets options that a connection gets from its listener. The
// methods but for SetDeadline are for one goroutine.
type Acceptor struct {
	queue *os.File // a duplicate of the listener's: that of package net can't be waited for
	raw   syscall.RawConn
	take  func(fd uintptr) bool // tryOne, bound once
	each  bool                  // the options have to be set for each connection
	local netip.AddrPort        // invalid when it is another one for each connection

	// What take has got.
	fd   int
	from unix.RawSockaddrAny
	err  error
}

// options are those that package net gives to connections: small pieces are sent at once, and
// a client that vanished is noticed within three minutes.
var options = [...]struct{ level, name, value int }{
	{unix.IPPROTO_TCP, unix.TCP_NODELAY, 1},
	{unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
	{unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 15},
	{unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 15},
	{unix.IPPROTO_TCP, unix.TCP_KEEPCNT, 9},
}

func setOptions(fd int) error {
	for _, o := range options {
		if err := unix.SetsockoptInt(fd, o.level, o.name, o.value); err != nil {
			return os.NewSyscallError("setsockopt", err)
		}
	}
	return nil
}

// NewAcceptor makes one for a TCP listener, which stays the caller's to close. Accept of the
// listener itself may go on being used.
func NewAcceptor(ln net.Listener) (*Acceptor, error) {
	source, ok := ln.(syscall.Conn)
	if !ok {
		return nil, fmt.Errorf("a listener of type %T has no socket", ln)
	}
	raw, err := source.SyscallConn()
	if err != nil {
		return nil, err
	}
	a := &Acceptor{fd: -1}
	var dupErr error
	err = raw.Control(func(fd uintptr) {
		a.each = setOptions(int(fd)) != nil // of multipath TCP older kernels know a part
		a.fd, dupErr = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0)
	})
	if err == nil {
		err = os.NewSyscallError("fcntl", dupErr)
	}
	if err != nil {
		return nil, err
	}
	_ = unix.SetNonblock(a.fd, true) // it is, unless another process has changed the socket that both share
	a.queue = os.NewFile(uintptr(a.fd), "listener")
	if at := AddrPort(ln.Addr()); !at.Addr().IsUnspecified() {
		a.local = at
	}
	a.take = a.tryOne
	if a.raw, err = a.queue.SyscallConn(); err != nil {
		_ = a.queue.Close()
		return nil, err
	}
	return a, nil
}

// Accept waits for the next connection.
func (a *Acceptor) Accept() (*Conn, error) {
	if err := a.raw.Read(a.take); err != nil {
		return nil, err
	}
	return a.accepted()
}

// TakeWaiting returns the next connection that waits in the queue, or nil when there is none.
// It works after the deadline too.
func (a *Acceptor) TakeWaiting() *Conn {
	came := false
	if err := a.raw.Control(func(fd uintptr) { came = a.tryOne(fd) }); err != nil || !came {
		return nil
	}
	c, err := a.accepted()
	if err != nil {
		return nil
	}
	return c
}

// tryOne accepts a connection. It returns false when there is none.
func (a *Acceptor) tryOne(listening uintptr) bool {
	for {
		size := uint32(unsafe.Sizeof(a.from))
		fd, _, errno := syscall.Syscall6(unix.SYS_ACCEPT4, listening, uintptr(unsafe.Pointer(&a.from)),
			uintptr(unsafe.Pointer(&size)), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
		switch errno {
		case 0:
			a.fd, a.err = int(fd), nil
			return true
		case syscall.EAGAIN:
			return false
		case syscall.EINTR, syscall.ECONNABORTED:
			continue
		}
		a.fd, a.err = -1, os.NewSyscallError("accept4", errno)
		return true
	}
}

// accepted makes a connection of what came.
func (a *Acceptor) accepted() (*Conn, error) {
	if a.err != nil {
		return nil, a.err
	}
	if a.each {
		_ = setOptions(a.fd) // as package net does, which goes on without
	}
	local := a.local
	if !local.IsValid() {
		local = localOf(a.fd)
	}
	return newConn(a.fd, addrPortOf(&a.from), local), nil
}

// SetDeadline ends Accept at that time.
func (a *Acceptor) SetDeadline(at time.Time) error { return a.queue.SetDeadline(at) }

// Close ends the Acceptor and leaves the listener.
func (a *Acceptor) Close() error { return a.queue.Close() }

func localOf(fd int) netip.AddrPort {
	var at unix.RawSockaddrAny
	size := uint32(unsafe.Sizeof(at))
	_, _, errno := syscall.RawSyscall(unix.SYS_GETSOCKNAME, uintptr(fd), uintptr(unsafe.Pointer(&at)), uintptr(unsafe.Pointer(&size)))
	if errno != 0 {
		return netip.AddrPort{}
	}
	return addrPortOf(&at)
}

// addrPortOf reads an address as the kernel writes it, with one of IPv4 that came in IPv6 form
// as IPv4.
func addrPortOf(from *unix.RawSockaddrAny) netip.AddrPort {
	switch from.Addr.Family {
	case unix.AF_INET:
		in := (*unix.RawSockaddrInet4)(unsafe.Pointer(from))
		return netip.AddrPortFrom(netip.AddrFrom4(in.Addr), hostOrder(&in.Port))
	case unix.AF_INET6:
		in := (*unix.RawSockaddrInet6)(unsafe.Pointer(from))
		addr := netip.AddrFrom16(in.Addr).Unmap()
		if in.Scope_id != 0 && addr.Is6() {
			addr = addr.WithZone(zone(int(in.Scope_id)))
		}
		return netip.AddrPortFrom(addr, hostOrder(&in.Port))
	}
	return netip.AddrPort{}
}

// hostOrder reads a port, which stands there as two bytes in the order of the network.
func hostOrder(port *uint16) uint16 {
	b := (*[2]byte)(unsafe.Pointer(port))
	return uint16(b[0])<<8 | uint16(b[1])
}

func zone(index int) string {
	i, err := net.InterfaceByIndex(index)
	if err != nil {
		return strconv.Itoa(index)
	}
	return i.Name
}
