// Package deadline bounds how long calls of a store wait, without a timer for each.
package deadline

import (
	"context"
	"sync/atomic"
	"time"
)

// ErrLate tells only that an answer did not come in time. It is context.DeadlineExceeded.
var ErrLate error = lateError{}

type lateError struct{}

func (lateError) Error() string { return "no answer in time" }

func (lateError) Is(target error) bool { return target == context.DeadlineExceeded }

// Deadlines hands out when calls have waited long enough. Those that begin within
// a few milliseconds share one, because a timer for each costs more than all else that
// the gateway does for it.
type Deadlines struct {
	timeout time.Duration
	// share is how long after its beginning a deadline is handed out, which its
	// calls have less than timeout.
	share  time.Duration
	start  time.Time // since when begun counts, as that is read in half the time that time.Now takes
	latest atomic.Pointer[deadline]
}

type deadline struct {
	begun time.Duration
	over  chan struct{}
}

// New returns deadlines after timeout, or up to an eighth of it less.
func New(timeout time.Duration) *Deadlines {
	return &Deadlines{timeout: timeout, share: timeout / 8, start: time.Now()}
}

// Next returns what is closed when a call that begins now has to end.
func (d *Deadlines) Next() <-chan struct{} {
	now := time.Since(d.start)
	if l := d.latest.Load(); l != nil && now-l.begun < d.share {
		return l.over
	}
	l := &deadline{begun: now, over: make(chan struct{})}
	time.AfterFunc(d.timeout, func() { close(l.over) })
	d.latest.Store(l) // another may be stored at the same time, and serve those who got it
	return l.over
}
