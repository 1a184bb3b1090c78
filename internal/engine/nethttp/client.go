package nethttp

import (
	"net"
	"net/netip"
	"sync"

	"yett/internal/engine"
)

// client is one connection. It is also the listener on which net/http finds
// that connection and no other: a server of net/http takes connections from
// listeners only.
type client struct {
	nc          net.Conn
	secure      bool
	peer, local netip.AddrPort

	accepted bool          // net/http has the connection; for the goroutine of Serve
	over     chan struct{} // closed when net/http has closed the connection
	once     sync.Once
	closed   chan struct{} // closed when net/http wants no more connections
}

func newClient(nc net.Conn, secure bool) *client {
	peer, local := engine.Ends(nc)
	return &client{
		nc: nc, secure: secure, peer: peer, local: local,
		over: make(chan struct{}), closed: make(chan struct{}),
	}
}

// Accept implements net.Listener: it returns the connection, and then nothing
// more until that has ended.
func (c *client) Accept() (net.Conn, error) {
	if !c.accepted {
		c.accepted = true
		return c.nc, nil
	}
	select {
	case <-c.over:
	case <-c.closed:
	}
	return nil, net.ErrClosed
}

// Close implements net.Listener. The connection goes on.
func (c *client) Close() error {
	c.once.Do(func() { close(c.closed) })
	return nil
}

// Addr implements net.Listener.
func (c *client) Addr() net.Addr { return c.nc.LocalAddr() }
