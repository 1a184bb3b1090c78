package engine

import (
	"sync/atomic"

	"yett/internal/sock"
)

// mostResting bounds how many goroutines of a crew wait for work. Each keeps the stack that it
// has needed, some 16 KB.
const mostResting = 128

// crew serves each connection on a goroutine. One that is done takes another connection, with the
// stack that it has grown already: where connections are short, growing a new one each time is a
// seventh of the work.
type crew struct {
	serve   func(nc *sock.Conn)
	over    <-chan struct{} // closed when those that rest are to leave
	next    chan *sock.Conn // for those that rest
	resting atomic.Int32
}

func newCrew(serve func(nc *sock.Conn), over <-chan struct{}) *crew {
	return &crew{serve: serve, over: over, next: make(chan *sock.Conn)}
}

// take has a connection served, and does not wait for it.
func (c *crew) take(nc *sock.Conn) {
	select {
	case c.next <- nc:
	default: // nobody rests
		go c.work(nc)
	}
}

func (c *crew) work(nc *sock.Conn) {
	for more := true; more; {
		c.serve(nc)
		nc, more = c.rest()
	}
}

// rest waits for another connection. It returns false when the goroutine is not needed.
func (c *crew) rest() (nc *sock.Conn, more bool) {
	defer c.resting.Add(-1)
	if c.resting.Add(1) > mostResting {
		return nil, false
	}
	select {
	case nc = <-c.next:
		return nc, true
	case <-c.over:
		return nil, false
	}
}
