package upstream

import (
	"net"
	"time"

	"yett/internal/exchange"
)

// upgrade takes a 101: the connection becomes a tunnel (RFC 9110 section
// 7.8). A service that switches unasked, or to something else, is refused.
func (c *conn) upgrade(x *exchange.Exchange) outcome {
	if x.Upgrade == "" || !exchange.EqualFold(protocol(c.head.Upgrade), protocol(x.Upgrade)) {
		return c.fail(outcome{reason: exchange.UpgradeRefused})
	}
	x.Response.StripHopByHop()
	c.timer.Stop()
	x.Tunnel = &tunnel{c: c}
	return outcome{}
}

// protocol is an Upgrade value without its version.
func protocol(v string) string {
	for i := range len(v) {
		if v[i] == '/' {
			return v[:i]
		}
	}
	return v
}

// tunnel is a connection that has switched protocols.
type tunnel struct{ c *conn }

// Read returns what came right behind the head first.
func (t *tunnel) Read(p []byte) (int, error) {
	if t.c.r.Buffered() > 0 {
		return t.c.r.Take(p), nil
	}
	return t.c.nc.Read(p)
}

// Write sends to the service.
func (t *tunnel) Write(p []byte) (int, error) { return t.c.nc.Write(p) }

// CloseWrite ends the direction to the service.
func (t *tunnel) CloseWrite() error {
	if half, ok := t.c.nc.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// SetDeadline implements exchange.Tunnel.
func (t *tunnel) SetDeadline(at time.Time) error { return t.c.nc.SetDeadline(at) }

// SetReadDeadline implements exchange.Tunnel.
func (t *tunnel) SetReadDeadline(at time.Time) error { return t.c.nc.SetReadDeadline(at) }

// Close closes the connection.
func (t *tunnel) Close() error {
	if t.c.x == nil {
		return net.ErrClosed
	}
	t.c.abandon()
	return nil
}
