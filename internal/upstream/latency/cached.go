package latency

import (
	"sync/atomic"
	"time"
)

// Cached is one quantile of a Histogram, for those who ask for it with each request. Its methods
// may be called by any goroutine.
type Cached struct {
	histogram *Histogram
	q         float64
	every     time.Duration
	next      atomic.Int64 // nanoseconds since the histogram's start, from when on it is stale
	known     atomic.Pointer[reading]
}

type reading struct {
	d time.Duration
	n int
}

// NewCached makes a Cached that is at most as old as every says, but for those who ask while
// somebody else is looking.
func NewCached(h *Histogram, q float64, every time.Duration) *Cached {
	c := &Cached{histogram: h, q: q, every: every}
	c.known.Store(&reading{})
	return c
}

// Get returns what Histogram.Quantile returned last.
func (c *Cached) Get(now time.Time) (d time.Duration, n int) {
	since := int64(now.Sub(c.histogram.start))
	if next := c.next.Load(); since >= next && c.next.CompareAndSwap(next, since+int64(c.every)) {
		d, n = c.histogram.Quantile(c.q, now)
		c.known.Store(&reading{d, n})
		return d, n
	}
	r := c.known.Load()
	return r.d, r.n
}
