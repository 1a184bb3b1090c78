// Package latency remembers how long calls took of late, so that percentiles of it can be asked
// for at any time: by health pages, by balancing, and to tell when a second try is due. It has
// no clock of its own: callers pass what time it is.
package latency

import (
	"math"
	"math/bits"
	"time"

	"yett/internal/upstream/epoch"
)

const (
	// Window is after how long a duration may be forgotten. It is after twice as long.
	Window = 10 * time.Second
	// Shortest and Longest are what can be told apart. What is outside counts as the nearest
	// that is not.
	Shortest = 1 << lowest * time.Nanosecond
	Longest  = 1 << (lowest + octaves) * time.Nanosecond

	lowest  = 9 // 512 ns
	octaves = 28
	steps   = 8 // in an octave
	cells   = octaves * steps
)

// Histogram counts durations from Shortest to Longest, in buckets of an eighth of their size, so
// that a quantile is off by less than 6 %. It takes 4 KB. Its methods may be called by any
// goroutine, and none of them locks.
//
// It has two windows: the current one, that is filled, and the one before. What is asked for is
// of both, of the last 10 to 20 seconds. Each duration counts once. There are two exceptions: a
// duration that is noted with a time of more than a window ago counts for nothing, and
// one whose goroutine is held up, within Record, for more than a window may count for a
// later one.
type Histogram struct {
	start   time.Time
	windows [2][cells]epoch.Counter
}

// New makes an empty Histogram.
func New() *Histogram { return &Histogram{start: time.Now()} }

// Record notes a duration, at a time after New.
func (h *Histogram) Record(d time.Duration, now time.Time) {
	epoch := h.epoch(now)
	h.windows[epoch&1][place(d)].Add(epoch)
}

// Count returns how many durations there are of the last 10 to 20 seconds.
func (h *Histogram) Count(now time.Time) int {
	_, n := h.collect(now)
	return n
}

// Quantile returns what q of the durations of the last 10 to 20 seconds are not above, 0.99 for
// p99, and how many they are. Of none it returns 0, 0. A q outside of [0, 1] is moved there. It
// looks at all buckets, which takes most of a microsecond: see Cached.
func (h *Histogram) Quantile(q float64, now time.Time) (d time.Duration, n int) {
	counts, n := h.collect(now)
	if n == 0 {
		return 0, 0
	}
	return quantile(&counts, n, q), n
}

func (h *Histogram) epoch(now time.Time) uint32 { return uint32(now.Sub(h.start) / Window) }

// collect adds up both windows. Sums are by size, cells are not: see place.
func (h *Histogram) collect(now time.Time) (counts [cells]uint64, n int) {
	epoch := h.epoch(now)
	for e := epoch - 1; e != epoch+1; e++ {
		w := &h.windows[e&1]
		for i := range w {
			c := uint64(w[i].Count(e))
			counts[i%octaves*steps+i/octaves] += c
			n += int(c)
		}
	}
	return counts, n
}

// quantile returns the smallest of the durations that at least q of all n are not above.
func quantile(counts *[cells]uint64, n int, q float64) time.Duration {
	if !(q > 0) { // or no number
		q = 0
	}
	rank := max(1, uint64(math.Ceil(min(q, 1)*float64(n))))
	for i, c := range counts {
		if rank <= c {
			return middle(i)
		}
		rank -= c
	}
	return middle(cells - 1) // not reached, but for a rank that was rounded up
}

// place returns the cell of a duration. Those of neighbouring sizes are not side by side but an
// octave apart, because calls to a service take about as long as each other, and counting in one
// line of the cache from many processors is slow.
func place(d time.Duration) int {
	ns := uint64(min(max(d, Shortest), Longest-1))
	octave := bits.Len64(ns) - 1
	step := int(ns>>(octave-3)) & (steps - 1)
	return step*octaves + octave - lowest
}

// middle returns what a duration in the bucket of that size is taken for: what is off by the
// same share from both ends of it.
func middle(size int) time.Duration {
	octave, step := size/steps+lowest, size%steps
	from := float64(uint64(steps+step) << (octave - 3))
	to := float64(uint64(steps+step+1) << (octave - 3))
	return time.Duration(2 * from * to / (from + to))
}
