package engine

import (
	"crypto/tls"
	"net"
	"net/netip"
	"time"

	"yett/internal/exchange"
	"yett/internal/sock"
)

// What every protocol has to say about a client in the same way.

// Ends returns the addresses of a connection: see sock.AddrPort.
func Ends(nc net.Conn) (peer, local netip.AddrPort) {
	if tc, ok := nc.(*tls.Conn); ok {
		nc = tc.NetConn()
	}
	if c, ok := nc.(interface {
		Ends() (peer, local netip.AddrPort)
	}); ok {
		return c.Ends()
	}
	return sock.AddrPort(nc.RemoteAddr()), sock.AddrPort(nc.LocalAddr())
}

// writeRate is the slowest client that is still waited for, in bytes a second.
const writeRate = 4 << 10

// WriteTime returns how long a client may take to read n bytes: the write
// timeout of its listener, and what the bytes take at the slowest rate.
func WriteTime(timeout time.Duration, n int) time.Duration {
	return timeout + time.Duration(n/writeRate)*time.Second
}

// Pace judges how fast a request body arrives. Only the time in which somebody
// waited for it counts.
type Pace struct {
	// Rate is the least number of bytes a second on average, 0 for any. Grace is
	// how long a body may be slower at its beginning.
	Rate  int64
	Grace time.Duration

	waited time.Duration
	got    int64
}

// Note adds a wait, in which n bytes came, and tells whether the body is too
// slow by now.
func (p *Pace) Note(wait time.Duration, n int) (tooSlow bool) {
	p.waited += wait
	p.got += int64(n)
	return p.Rate > 0 && p.waited > p.Grace && p.got < p.Rate*int64(p.waited/time.Second)
}

// Cut notes that an answer broke off after its head was sent: whoever gave the
// exchange up is the reason, else the service, whose error err is.
func Cut(x *exchange.Exchange, err error) {
	if r := x.Aborted(); r != nil {
		x.Reason, x.Detail = r, ""
		return
	}
	x.Reason, x.Detail = exchange.UpstreamCut, err.Error()
}

// IsEvents tells whether the answer is a stream of events, which ends when one of both
// ends leaves.
func IsEvents(x *exchange.Exchange) bool {
	const events = "text/event-stream"
	kind := x.Response.GetKey(exchange.KeyContentType)
	return x.ResponseBody.Size() < 0 && len(kind) >= len(events) && exchange.EqualFold(kind[:len(events)], events)
}
