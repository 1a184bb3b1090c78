// Package epoch counts what happens in one stretch of time after the other, without a lock.
package epoch

import "sync/atomic"

// Counter counts in its lower half, and has its epoch in the upper one, so that both change
// together and nobody has to clear it. The zero Counter was never used. Its methods may be called
// by any goroutine.
type Counter struct{ word atomic.Uint64 }

// Add counts one. What is of an epoch before the present one counts for nothing. Whoever is
// held up within it until the counter is used for a later epoch counts for that.
func (c *Counter) Add(epoch uint32) {
	if uint32(c.word.Load()>>32) == epoch {
		c.word.Add(1)
		return
	}
	c.turn(epoch)
}

// turn begins an epoch, and counts its first one.
func (c *Counter) turn(epoch uint32) {
	for {
		w := c.word.Load()
		age := int32(epoch - uint32(w>>32))
		switch {
		case age == 0:
			c.word.Add(1)
			return
		case age < 0 && w != 0:
			return
		case c.word.CompareAndSwap(w, uint64(epoch)<<32|1):
			return
		}
	}
}

// Count returns how many were added in that epoch.
func (c *Counter) Count(epoch uint32) uint32 {
	if w := c.word.Load(); uint32(w>>32) == epoch {
		return uint32(w)
	}
	return 0
}
