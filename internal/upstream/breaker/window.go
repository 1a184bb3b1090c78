package breaker

import (
	"math"
	"time"
)

// buckets is of how many parts a window is.
const buckets = 10

// window counts what happened lately. It is guarded by the Breaker's mutex, which is held
// for a few additions only: that is fast enough for each request, and a trip sees all that
// was told before it, and nothing of another generation.
type window struct {
	span int64 // of a bucket, in ns
	// tick is the number of the current bucket, ends when it ends.
	tick, ends int64
	of         [buckets]tally
	current    int // index in of
	sum        tally
}

// tally is what was counted, and what of it has failed and was slow.
type tally struct{ counted, failed, slow int }

func (w *window) init(length time.Duration) {
	w.span = max(1, int64(length)/buckets)
	w.clear()
}

// clear forgets all.
func (w *window) clear() { *w = window{span: w.span, ends: math.MinInt64} }

// add counts at a time. What comes late counts as new.
func (w *window) add(at int64, failed, slow bool) {
	if at >= w.ends {
		w.advance(at)
	}
	b := &w.of[w.current]
	b.counted++
	w.sum.counted++
	if failed {
		b.failed++
		w.sum.failed++
	}
	if slow {
		b.slow++
		w.sum.slow++
	}
}

// advance goes to the bucket of a later time, and lets go of those that are too old.
func (w *window) advance(at int64) {
	tick := at / w.span
	if at%w.span < 0 {
		tick--
	}
	for range min(tick-w.tick, buckets) {
		w.current = (w.current + 1) % buckets
		b := &w.of[w.current]
		w.sum.counted -= b.counted
		w.sum.failed -= b.failed
		w.sum.slow -= b.slow
		*b = tally{}
	}
	w.tick, w.ends = tick, (tick+1)*w.span
}
