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

// Protocol serves connections.
type Protocol interface {
	// ServeConn serves one connection until it ends, and closes it.
	ServeConn(c net.Conn, secure bool)
	// Drain lets running exchanges finish and closes everything that is idle.
	// It returns when no connection is left or the time is over.
	Drain(until time.Time)
	// Close closes all connections at once.
	Close()
}
