package http1

import (
	"syscall"
	"time"

	"yett/internal/sock"
)

// A connection that waits for its next request keeps its goroutine for a
// moment, because the next one mostly comes soon. Then it parks. With many
// connections open the moment is shorter: their stacks would add up.
//
// One that has come back from a longer rest is likely to rest as long again: it parks at once.
// The runtime need not watch it for that moment, nor wake its goroutine only to park.
const (
	patience     = time.Second
	patienceMany = 100 * time.Millisecond
	many         = 1024
)

// await waits for the first bytes of a request. No buffer is held meanwhile.
// Requests that need nothing but what came with their first bytes are served
// on the way: see quick.
func (c *conn) await() next {
	if c.r.Buffered() > 0 { // pipelined
		return c.startHead()
	}
	for {
		if !c.rest() {
			return c.last()
		}
		came, quiet := false, true
		if c.slow && c.parkable() {
			if came, quiet = c.glimpse(); quiet {
				if c.park() {
					return parked
				}
				c.stay = true
			}
		}
		if quiet {
			came = c.firstBytes()
		}
		if came {
			if c.pending != nil || c.ended {
				return again
			}
			return c.startHead()
		}
		if c.e.draining.Load() {
			return c.last()
		}
		if !c.timer.Fired() || c.state.Load() != idle || !c.parkable() {
			return over
		}
		c.revive()
		if c.timer.After(c.set.timeouts.idle - c.patience()); c.park() {
			return parked
		}
		c.stay = true
	}
}

// rest begins the wait for a request. It returns false when none may come.
func (c *conn) rest() bool {
	c.set, c.since = c.e.current.Load(), c.timer.Now()
	told := c.state.Swap(idle) == woken
	if c.e.draining.Load() {
		return !told && c.turn == 0 && c.timer.After(patience) // one that is new gets the time for a first request
	}
	c.patient = !c.slow && c.parkable()
	if c.patient {
		return c.timer.After(c.patience())
	}
	return c.timer.After(c.set.timeouts.idle)
}

func (c *conn) parkable() bool {
	return c.e.deps.Lot != nil && c.raw != nil && !c.stay && c.set.timeouts.idle > patience
}

func (c *conn) patience() time.Duration {
	if c.e.open.Load() > many {
		return patienceMany
	}
	return patience
}

// last ends the wait of a connection that is drained, but for a request that has
// come before it could be closed.
func (c *conn) last() next {
	if !c.e.draining.Load() || c.raw == nil || !c.state.CompareAndSwap(idle, active) && !c.rescue() {
		return over
	}
	if c.ask(sock.Quiet) || c.ask(sock.Ended) {
		return over
	}
	c.revive()
	if !c.timer.After(c.set.timeouts.header) || c.r.Fill() != nil {
		return over
	}
	return c.startHead()
}

// startHead begins a request: its header has to be complete in time.
func (c *conn) startHead() next {
	c.set = c.e.current.Load()
	if !c.activate() || !c.timer.After(c.set.timeouts.header) {
		return over
	}
	return again
}

// activate notes that a request has come. It returns false when the connection
// is being closed, or has been idle for too long.
func (c *conn) activate() bool {
	if !c.state.CompareAndSwap(idle, active) && c.state.Load() != active && !c.rescue() {
		return false
	}
	if c.timer.Fired() && c.patient { // it came at the last moment
		c.revive()
	}
	c.patient = false
	return c.timer.Stop()
}

// park leaves the connection in the Lot. When it returns true the connection
// belongs to somebody else already.
func (c *conn) park() bool {
	c.r.Recycle()
	c.timer.Watch(false)
	if s, ok := lowest(c.nc).(interface{ Unwatch() }); ok {
		s.Unwatch()
	}
	if c.e.deps.Lot.park(c) {
		return true
	}
	c.timer.Watch(true)
	return false
}

// glimpse is firstBytes without waiting. It also tells whether there is nothing to wait for any
// more but a next request.
func (c *conn) glimpse() (came, quiet bool) {
	c.came = false
	if err := c.raw.Control(c.glance); err != nil {
		return false, false
	}
	return c.came, !c.ready
}

// firstBytes blocks until something came.
func (c *conn) firstBytes() bool {
	if c.raw == nil || c.secure {
		return c.r.Fill() == nil
	}
	c.came = false
	if err := c.raw.Read(c.wait); err != nil {
		return false
	}
	return c.came
}

// readable is called by RawConn.Read when the socket may have something. It
// returns false to wait on: as long as requests can be served within one call,
// the runtime listens without a gap, and the kernel is never asked for a
// request that has not come. What fills the buffer may have left a rest behind,
// of which no further word comes, so it is followed by another look; an end
// that came together with the last bytes is noticed by Probe.
func (c *conn) readable(fd uintptr) bool {
	for full := true; full; {
		b, n, err := c.e.deps.Buffers.Receive(func(p []byte) (int, error) { return sock.Recv(fd, p) })
		if n == 0 {
			return err != syscall.EAGAIN
		}
		c.came, full = true, n == len(b.B)
		c.r.Prime(b, n)
		c.fd, c.inside = fd, true
		resting := c.quick()
		c.inside = false
		if !resting {
			return true
		}
		c.came = false
	}
	return false
}

// quick serves requests that are complete in the buffer and need nothing else
// from the client. It returns whether the connection rests again. Otherwise
// what came is for next to deal with: bytes in the Reader, a request in
// pending, or the end.
func (c *conn) quick() bool {
	for c.set = c.e.current.Load(); !c.isHTTP2(); {
		head := c.r.TryHead(&c.set.limits)
		if head == nil || !c.activate() {
			return false
		}
		x := c.begin()
		c.read(x, head)
		if x.RequestBody.Streams() || x.Upgrade != "" {
			c.pending = x
			return false
		}
		if !c.exchange(x) {
			c.ended = true
			return false
		}
		if c.r.Buffered() == 0 && !c.rest() {
			c.came = false // see await
			return false
		}
		if c.r.Buffered() == 0 {
			return true
		}
	}
	return false
}
