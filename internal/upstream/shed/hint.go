package shed

import (
	"sync/atomic"
	"time"
)

const (
	// hintEvery is how often the hint is reckoned, and hintLasts how long without a refusal is the end
	// of an overload.
	hintEvery = time.Second
	hintLasts = 5 * time.Second
	// longestHint is in seconds.
	longestHint = 30
)

// hint is when those who are refused should come again: after as many seconds as there are refused for each
// one served. If all of them come again once, as many come in each second as the service can
// do. The queue's lock guards all but seconds.
type hint struct {
	from    time.Duration
	refused int64
	served  uint64
	seconds atomic.Int64
}

// refuse counts a refusal.
func (l *Limiter) refuse(now time.Duration) {
	q := &l.queue
	q.refused++
	h := &q.hint
	age := now - h.from
	if age < hintEvery && h.from > 0 {
		return
	}
	served := l.samples.Load()
	n := int64((served-h.served)&(1<<sampleBits-1)) + l.ignored.Swap(0)
	seconds := (q.refused - h.refused + n/2) / max(n, 1)
	if h.from == 0 || age > hintLasts {
		seconds = 1
	}
	h.seconds.Store(min(max(seconds, 1), longestHint))
	h.from, h.refused, h.served = max(now, 1), q.refused, served
}
