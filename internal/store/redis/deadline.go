package redis

import (
	"sync/atomic"
	"time"
)

// deadlines hands out when calls have waited long enough. Those that begin within
// a few milliseconds share one, because a timer for each costs more than all else that
// the gateway does for it.
type deadlines struct {
	timeout time.Duration
	// share is how long after its beginning a deadline is handed out, which its
	// calls have less than timeout.
	share  time.Duration
	latest atomic.Pointer[deadline]
}

type deadline struct {
	begun time.Time
	over  chan struct{}
}

// newDeadlines returns deadlines after timeout, or up to an eighth of it less.
func newDeadlines(timeout time.Duration) *deadlines {
	return &deadlines{timeout: timeout, share: timeout / 8}
}

// next returns what is closed when a call that begins now has to end.
func (d *deadlines) next() <-chan struct{} {
	now := time.Now()
	if l := d.latest.Load(); l != nil && now.Sub(l.begun) < d.share {
		return l.over
	}
	l := &deadline{begun: now, over: make(chan struct{})}
	time.AfterFunc(d.timeout, func() { close(l.over) })
	d.latest.Store(l) // another may be stored at the same time, and serve those who got it
	return l.over
}
