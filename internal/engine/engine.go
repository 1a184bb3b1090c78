// Package engine brings clients and exchanges together: it binds addresses,
// accepts connections, speaks TLS, and gives each connection to the protocol
// that the client chose. The protocols are packages below this one.
package engine

import (
	"net"
	"time"

	"yett/internal/exchange"
)

// Core is the gateway as protocols see it.
type Core interface {
	// Serve answers the exchange: afterwards status, fields and the source of
	// the body are in it. When x.Reason is set before, the engine refuses the
	// request, and Serve only gives the refusal its shape.
	Serve(x *exchange.Exchange)
	// Done is called when body or tunnel are finished, before the exchange is
	// released.
	Done(x *exchange.Exchange)
}

// Deadlines are until when running exchanges may finish.
type Deadlines struct {
	Requests time.Time
	// Tunnels is for connections that have switched protocols and for streams of
	// events, which hardly ever finish by themselves.
	Tunnels time.Time
}

// Until is one deadline for everything.
func Until(at time.Time) Deadlines { return Deadlines{at, at} }

// Lost is how many exchanges had to be ended, as their deadline was over.
type Lost struct{ Requests, Tunnels int }

// Add adds others.
func (l Lost) Add(more Lost) Lost {
	return Lost{l.Requests + more.Requests, l.Tunnels + more.Tunnels}
}

// settle is how long exchanges that were ended get to be logged, and tunnels for
// their last words.
const settle = 2 * time.Second

// Steps waits until ended is closed, and in the meantime ends at each deadline what
// is late. It is what Drain does in every protocol.
func (d Deadlines) Steps(ended <-chan struct{}, requests, tunnels func() int) (lost Lost) {
	request, tunnel := time.NewTimer(time.Until(d.Requests)), time.NewTimer(time.Until(d.Tunnels))
	defer request.Stop()
	defer tunnel.Stop()
	for range 2 {
		select {
		case <-ended:
			return lost
		case <-request.C:
			lost.Requests += requests()
		case <-tunnel.C:
			lost.Tunnels += tunnels()
		}
	}
	rest := time.NewTimer(settle)
	defer rest.Stop()
	select {
	case <-ended:
	case <-rest.C:
	}
	return lost
}

// Protocol serves connections.
type Protocol interface {
	// ServeConn serves one connection until it ends, and closes it.
	ServeConn(c net.Conn, secure bool)
	// Wane has every answer be the last one of its connection from here on, and
	// say so. New connections are served as before.
	Wane()
	// Drain closes everything that is idle and lets running exchanges finish. What
	// is late is ended, and told of. It returns when no connection is left, or a
	// moment after the last deadline.
	Drain(d Deadlines) Lost
	// Close closes all connections at once.
	Close()
}
