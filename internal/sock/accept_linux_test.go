package sock

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// limit is how long a test waits for what has to happen.
const limit = 10 * time.Second

// accepting returns an Acceptor on an address.
func accepting(t *testing.T, network, address string) (*Acceptor, net.Listener) {
	t.Helper()
	ln, err := net.Listen(network, address)
	if err != nil {
		t.Skip(err) // IPv6 is not everywhere
	}
	a, err := NewAcceptor(ln)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = a.Close()
		_ = ln.Close()
	})
	return a, ln
}

// pair returns both ends of a connection.
func pair(t *testing.T, a *Acceptor, to string) (server *Conn, client *net.TCPConn) {
	t.Helper()
	near, err := net.Dial("tcp", to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = near.Close() })
	_ = a.SetDeadline(time.Now().Add(limit))
	c, err := a.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(limit))
	return c, near.(*net.TCPConn)
}

func local(t *testing.T) (server *Conn, client *net.TCPConn) {
	a, ln := accepting(t, "tcp", "127.0.0.1:0")
	return pair(t, a, ln.Addr().String())
}

// A connection has the options of one of package net, whether it got them from its listener or
// has been given them.
func TestOptions(t *testing.T) {
	for _, multipath := range []bool{true, false} {
		for _, each := range []bool{true, false} {
			var lc net.ListenConfig
			lc.SetMultipathTCP(multipath)
			ln, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer ln.Close()
			a, err := NewAcceptor(ln)
			if err != nil {
				t.Fatal(err)
			}
			defer a.Close()
			a.each = a.each || each
			c, _ := pair(t, a, ln.Addr().String())
			_ = (*rawConn)(c).Control(func(fd uintptr) {
				for _, o := range options {
					if got, err := unix.GetsockoptInt(int(fd), o.level, o.name); err != nil || got != o.value {
						t.Errorf("multipath %v, each %v: option %d of %d is %d, %v", multipath, each, o.name, o.level, got, err)
					}
				}
			})
		}
	}
}

func TestEnds(t *testing.T) {
	for _, tt := range []struct{ network, listen, host string }{
		{"tcp4", "127.0.0.1:0", "127.0.0.1"},
		{"tcp4", "0.0.0.0:0", "127.0.0.3"},
		{"tcp", ":0", "127.0.0.3"}, // an address of IPv4 in IPv6 form
		{"tcp6", "[::]:0", "::1"},
		{"tcp6", "[::1]:0", "::1"},
	} {
		t.Run(tt.listen, func(t *testing.T) {
			a, ln := accepting(t, tt.network, tt.listen)
			port := AddrPort(ln.Addr()).Port()
			to := netip.AddrPortFrom(netip.MustParseAddr(tt.host), port)
			c, client := pair(t, a, to.String())
			peer, local := c.Ends()
			if local != to || peer != AddrPort(client.LocalAddr()) {
				t.Errorf("%v to %v, want %v to %v", peer, local, client.LocalAddr(), to)
			}
			if c.LocalAddr().String() != local.String() || c.RemoteAddr().String() != peer.String() {
				t.Errorf("%v to %v", c.RemoteAddr(), c.LocalAddr())
			}
		})
	}
}

// An address of one link has its name with it.
func TestZone(t *testing.T) {
	lo, err := net.InterfaceByIndex(1)
	if err != nil {
		t.Skip(err)
	}
	var any unix.RawSockaddrAny
	any.Addr.Family = unix.AF_INET6
	in := (*unix.RawSockaddrInet6)(unsafe.Pointer(&any))
	in.Addr, in.Scope_id = netip.MustParseAddr("fe80::1").As16(), 1
	if got := addrPortOf(&any).Addr(); got.Zone() != lo.Name {
		t.Errorf("%v", got)
	}
	in.Scope_id = 1 << 30
	if got := addrPortOf(&any).Addr(); got.Zone() != "1073741824" {
		t.Errorf("%v", got)
	}
}

func TestConn(t *testing.T) {
	c, client := local(t)
	if _, err := io.WriteString(client, "ping"); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 16)
	if n, err := c.Read(b); string(b[:n]) != "ping" || err != nil {
		t.Errorf("%q, %v", b[:n], err)
	}
	if n, err := c.Write([]byte("pong")); n != 4 || err != nil {
		t.Error(n, err)
	}
	if err := c.CloseWrite(); err != nil {
		t.Error(err)
	}
	if all, err := io.ReadAll(client); string(all) != "pong" || err != nil {
		t.Errorf("%q, %v", all, err)
	}
	_ = client.Close()
	if n, err := c.Read(b); n != 0 || err != io.EOF {
		t.Error(n, err)
	}
}

// Who reads after a deadline, TLS too, wants to know that it may go on: see net.Error.
func TestDeadline(t *testing.T) {
	c, client := local(t)
	_ = c.SetReadDeadline(time.Unix(1, 0))
	_, err := c.Read(make([]byte, 1))
	var ne net.Error
	if !errors.As(err, &ne) || !ne.Timeout() || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%#v", err)
	}
	if soon, ok := err.(interface{ Temporary() bool }); !ok || !soon.Temporary() { // crypto/tls asks
		t.Errorf("%#v is for good", err)
	}
	_ = c.SetDeadline(time.Now().Add(limit))
	_, _ = client.Write([]byte("a"))
	if n, err := c.Read(make([]byte, 1)); n != 1 || err != nil {
		t.Error(n, err)
	}
	_ = c.SetWriteDeadline(time.Unix(1, 0))
	if _, err := c.Write([]byte("a")); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%#v", err)
	}
}

func TestClosed(t *testing.T) {
	c, _ := local(t)
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	_, readErr := c.Read(make([]byte, 1))
	_, writeErr := c.Write(make([]byte, 1))
	for what, err := range map[string]error{"read": readErr, "write": writeErr, "close": c.Close(),
		"shutdown": c.CloseWrite(), "linger": c.SetLinger(0), "deadline": c.SetDeadline(time.Time{})} {
		if !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestLinger(t *testing.T) {
	c, client := local(t)
	if err := c.SetLinger(0); err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	if _, err := client.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("%v", err)
	}
	_, err := func() (int, error) { // an error of the other end has its name
		c, client := local(t)
		_ = client.SetLinger(0)
		_ = client.Close()
		return c.Read(make([]byte, 1))
	}()
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("%v", err)
	}
}

// A deadline ends Accept, and leaves the queue for TakeWaiting.
func TestTakeWaiting(t *testing.T) {
	a, ln := accepting(t, "tcp", "127.0.0.1:0")
	client, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	_ = a.SetDeadline(time.Unix(1, 0))
	if _, err := a.Accept(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%v", err)
	}
	c := a.TakeWaiting()
	if c == nil {
		t.Fatal("nothing waits")
	}
	defer c.Close()
	if peer, _ := c.Ends(); peer != AddrPort(client.LocalAddr()) {
		t.Errorf("%v", peer)
	}
	if more := a.TakeWaiting(); more != nil {
		t.Errorf("%v waits too", more.RemoteAddr())
	}
}

// The listener's own Accept goes on, also when the Acceptor is closed.
func TestListenerStays(t *testing.T) {
	a, ln := accepting(t, "tcp", "127.0.0.1:0")
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Accept(); err == nil {
		t.Error("a closed Acceptor accepts")
	}
	go func() {
		if nc, err := ln.Accept(); err == nil {
			_ = nc.Close()
		}
	}()
	client, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	_ = client.SetDeadline(time.Now().Add(limit))
	if _, err := client.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("%v", err)
	}
}

func TestNoSocket(t *testing.T) {
	if _, err := NewAcceptor(struct{ net.Listener }{}); err == nil {
		t.Error("something without a socket is taken")
	}
}

// Two pieces arrive as one, however much of them the socket takes at a time.
func TestSendTwo(t *testing.T) {
	c, client := local(t)
	for _, sizes := range [][2]int{{1, 0}, {10, 20}, {100, 8 << 20}, {8 << 20, 100}} {
		p, more := bytes.Repeat([]byte("p"), sizes[0]), bytes.Repeat([]byte("m"), sizes[1])
		want := append(bytes.Clone(p), more...)
		got := make([]byte, len(want))
		read := make(chan error, 1)
		go func() {
			_, err := io.ReadFull(client, got)
			read <- err
		}()
		err := (*rawConn)(c).Write(func(fd uintptr) bool {
			for len(p) > 0 {
				n, err := SendTwo(fd, p, more)
				if err == syscall.EAGAIN {
					return false
				}
				if err != nil {
					t.Error(err)
					return true
				}
				first := min(n, len(p))
				p, more = p[first:], more[n-first:]
				if len(p) == 0 {
					p, more = more, nil
				}
			}
			return true
		})
		if err := errors.Join(err, <-read); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%v: %v", sizes, err)
		}
	}
	_ = client.Close()
	_ = c.Close()
	if _, err := SendTwo(^uintptr(0), []byte("a"), []byte("b")); err != syscall.EBADF {
		t.Errorf("%v", err)
	}
}

// A connection that ends while it waits in the queue is not an error of the listener.
func TestAcceptAfterReset(t *testing.T) {
	a, ln := accepting(t, "tcp", "127.0.0.1:0")
	gone, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_ = gone.(*net.TCPConn).SetLinger(0)
	_ = gone.Close()
	c, _ := pair(t, a, ln.Addr().String())
	_, _ = c.Read(make([]byte, 1))
}
