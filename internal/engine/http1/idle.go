package http1

import (
	"syscall"
	"time"

	"yett/internal/sock"
	"yett/internal/wire"
)

// A connection that waits for its next request keeps its goroutine for a
// moment, because the next one mostly comes soon. Then it parks. With many
// connections open the moment is shorter: their stacks would add up.
const (
	patience     = time.Second
	patienceMany = 100 * time.Millisecond
	many         = 1024
)

// await waits for the first bytes of a request. No buffer is held meanwhile.
func (c *conn) await() next {
	if c.r.Buffered() > 0 { // pipelined
		return c.startHead()
	}
	c.state.Store(idle)
	if c.e.draining.Load() {
		return over
	}
	rest := c.e.timeouts.idle
	if wait := c.patience(); wait < rest {
		if !c.timer.After(wait) {
			return over
		}
		if c.firstBytes() {
			return c.startHead()
		}
		if !c.timer.Fired() || c.state.Load() != idle {
			return over
		}
		c.revive()
		rest -= wait
		if c.timer.After(rest); c.park() {
			return parked
		}
	}
	if !c.timer.After(rest) || !c.firstBytes() {
		return over
	}
	return c.startHead()
}

func (c *conn) patience() time.Duration {
	if c.e.open.Load() > many {
		return patienceMany
	}
	return patience
}

// startHead begins a request: its header has to be complete in time.
func (c *conn) startHead() next {
	c.state.CompareAndSwap(idle, active)
	if c.state.Load() != active || !c.timer.After(c.e.timeouts.header) {
		return over
	}
	return again
}

// park leaves the connection in the Lot. When it returns true the connection
// belongs to somebody else already.
func (c *conn) park() bool {
	if c.e.deps.Lot == nil || c.raw == nil {
		return false
	}
	c.r.Recycle()
	return c.e.deps.Lot.park(c)
}

// firstBytes blocks until something came.
func (c *conn) firstBytes() bool {
	if c.raw == nil || c.secure {
		return c.r.Fill() == nil
	}
	if err := c.raw.Read(c.wait); err != nil || c.first == nil {
		return false
	}
	c.r.Prime(c.first, c.firstN)
	c.first = nil
	return true
}

// readFirst tries to read with a buffer that it gives back when there is
// nothing yet. A small one is enough for nearly every request; one that fills
// it brings a body, of which more is taken at once.
func (c *conn) readFirst(fd uintptr) bool {
	b := c.e.deps.Buffers.Get(wire.SmallBuffer)
	n, err := sock.Recv(fd, b.B)
	if n == 0 {
		b.Release()
		return err != syscall.EAGAIN
	}
	if n == len(b.B) {
		large := c.e.deps.Buffers.Get(wire.LargeBuffer)
		copy(large.B, b.B)
		b.Release()
		b = large
		more, _ := sock.Recv(fd, b.B[n:]) // an error shows again at the next read
		n += more
	}
	c.first, c.firstN = b, n
	return true
}
