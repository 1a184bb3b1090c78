package main

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// poller waits for sockets. Sockets are edge-triggered, so one registration
// serves for their life: a user reads and writes until the call would block.
type poller struct {
	fd     int
	events []unix.EpollEvent
}

func newPoller() (*poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("create epoll: %w", err)
	}
	return &poller{fd: fd, events: make([]unix.EpollEvent, 256)}, nil
}

// add watches fd. Its events carry key in their Fd field.
func (p *poller) add(fd, key int) error { return p.watch(fd, key, unix.EPOLLIN|unix.EPOLLOUT) }

// addReader watches fd, to which nothing is left to be written.
func (p *poller) addReader(fd, key int) error { return p.watch(fd, key, unix.EPOLLIN) }

func (p *poller) watch(fd, key int, events uint32) error {
	e := unix.EpollEvent{Events: events | unix.EPOLLRDHUP | unix.EPOLLET, Fd: int32(key)}
	if err := unix.EpollCtl(p.fd, unix.EPOLL_CTL_ADD, fd, &e); err != nil {
		return fmt.Errorf("watch socket: %w", err)
	}
	return nil
}

// wait returns the sockets that are ready, none after the timeout. A negative
// timeout waits for ever. The result is valid until the next call.
func (p *poller) wait(timeout time.Duration) ([]unix.EpollEvent, error) {
	ms := -1
	if timeout >= 0 {
		ms = int((timeout + time.Millisecond - 1) / time.Millisecond)
	}
	n, err := unix.EpollWait(p.fd, p.events, ms)
	if errors.Is(err, unix.EINTR) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("wait for sockets: %w", err)
	}
	return p.events[:n], nil
}

func (p *poller) close() { _ = unix.Close(p.fd) }

// socket is a non-blocking TCP socket and what is still to be written to it.
type socket struct {
	fd  int
	out []byte
}

// flush writes as much of out as the kernel takes.
func (s *socket) flush() error {
	for len(s.out) > 0 {
		n, err := unix.Write(s.fd, s.out)
		if errors.Is(err, unix.EAGAIN) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("write: %w", err)
		}
		s.out = s.out[n:]
	}
	return nil
}

// read fills p once. It returns 0 bytes and no error when nothing is there, and
// errClosed at the end of the stream.
func (s *socket) read(p []byte) (int, error) {
	return received(unix.Read(s.fd, p))
}

func received(n int, err error) (int, error) {
	switch {
	case errors.Is(err, unix.EAGAIN):
		return 0, nil
	case err != nil:
		return 0, fmt.Errorf("read: %w", err)
	case n == 0:
		return 0, errClosed
	}
	return n, nil
}

// discardFrom is how much of a body has to be missing for discard to be worth it.
const discardFrom = 4 << 10

// discard is read for bytes that nobody looks at: the kernel does not copy them, so
// that load takes less time than what it is for.
func (s *socket) discard(p []byte) (int, error) {
	n, _, err := unix.Recvfrom(s.fd, p, unix.MSG_TRUNC)
	return received(n, err)
}

// noSocket is the descriptor of a socket that is not open.
const noSocket = -1

func (s *socket) close() {
	_ = unix.Close(s.fd)
	s.fd, s.out = noSocket, nil
}

var errClosed = errors.New("connection closed by the other side")

// dial connects from an address of this machine to another, and returns a blocking
// socket. Closing it resets the connection, so that thousands of them leave no
// TIME_WAIT behind.
func dial(from netip.Addr, to netip.AddrPort) (socket, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return socket{fd: noSocket}, fmt.Errorf("open socket: %w", err)
	}
	s := socket{fd: fd}
	if err := s.connect(from, to); err != nil {
		s.close()
		return socket{fd: noSocket}, fmt.Errorf("connect to %s: %w", to, err)
	}
	return s, nil
}

func (s *socket) connect(from netip.Addr, to netip.AddrPort) error {
	err := errors.Join(
		unix.SetsockoptInt(s.fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1),
		unix.SetsockoptLinger(s.fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}),
		unix.Bind(s.fd, &unix.SockaddrInet4{Addr: from.As4()}),
	)
	if err != nil {
		return err
	}
	return unix.Connect(s.fd, &unix.SockaddrInet4{Addr: to.Addr().As4(), Port: int(to.Port())})
}

// dialShort begins a connection that is soon closed, and returns a non-blocking
// socket: what is written goes out when it is connected. Closing it ends the
// connection as clients do.
func dialShort(from netip.Addr, to netip.AddrPort) (socket, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return socket{fd: noSocket}, fmt.Errorf("open socket: %w", err)
	}
	s := socket{fd: fd}
	err = errors.Join(
		// The port is chosen when connecting: it may be that of a connection to elsewhere.
		unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1),
		unix.Bind(fd, &unix.SockaddrInet4{Addr: from.As4()}),
	)
	if err == nil {
		err = unix.Connect(fd, &unix.SockaddrInet4{Addr: to.Addr().As4(), Port: int(to.Port())})
	}
	if err != nil && !errors.Is(err, unix.EINPROGRESS) {
		s.close()
		return socket{fd: noSocket}, fmt.Errorf("connect to %s: %w", to, err)
	}
	return s, nil
}

// listen opens a listening socket on a free port of 127.0.0.1.
func listen() (fd int, addr netip.AddrPort, err error) {
	fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return 0, addr, fmt.Errorf("open listening socket: %w", err)
	}
	loopback := [4]byte{127, 0, 0, 1}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: loopback}); err != nil {
		return 0, addr, fmt.Errorf("bind listening socket: %w", err)
	}
	if err := unix.Listen(fd, 1024); err != nil {
		return 0, addr, fmt.Errorf("listen: %w", err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		return 0, addr, fmt.Errorf("read listening address: %w", err)
	}
	in4, ok := name.(*unix.SockaddrInet4)
	if !ok {
		return 0, addr, fmt.Errorf("read listening address: unexpected type %T", name)
	}
	return fd, netip.AddrPortFrom(netip.AddrFrom4(in4.Addr), uint16(in4.Port)), nil
}
