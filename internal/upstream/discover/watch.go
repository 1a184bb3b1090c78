package discover

import (
	"context"
	"slices"
	"time"
)

const (
	// Least and Most are how long after a look-up the next one comes, whatever the TTL says.
	Least, Most = time.Second, 5 * time.Minute
	// longestPause is between look-ups that fail. The first pause is Least.
	longestPause = 30 * time.Second
)

// Lookup finds what there is, in a stable order, and says how long that is good, 0 when nobody
// knows. With things and an error it has found what there is in part: they count, and the error is
// reported.
type Lookup[T comparable] func(context.Context) (things []T, ttl time.Duration, err error)

// Watch looks again when what it knows is no longer good, and tells what has changed.
type Watch[T comparable] struct {
	lookup  Lookup[T]
	every   time.Duration
	changed func([]T)
	failed  func(error)
	well    func()
	again   chan struct{}

	known []T
	pause time.Duration // after the last failure; 0 when there was none
}

// NewWatch makes a Watch that does nothing before Run. every is how long an answer is good that
// does not say. changed gets what was found, first and whenever it is not the same as before,
// and owns it; failed, which may be nil, gets what went wrong. Both are called by Run, one at
// a time.
//
// A look-up that fails, or finds nothing, leaves what is known as it is.
func NewWatch[T comparable](lookup Lookup[T], every time.Duration, changed func([]T), failed func(error)) *Watch[T] {
	if failed == nil {
		failed = func(error) {}
	}
	return &Watch[T]{lookup: lookup, every: every, changed: changed, failed: failed, well: func() {}, again: make(chan struct{}, 1)}
}

// WhenWell has f called when a look-up has found all that it should, after others that failed, by
// Run and behind changed. It is to be called before Run.
func (w *Watch[T]) WhenWell(f func()) { w.well = f }

// Again asks for a look-up now, for when what is known turns out to be wrong. It does not
// wait. There is at most one look-up in a time of Least.
func (w *Watch[T]) Again() {
	select {
	case w.again <- struct{}{}:
	default: // somebody has asked already
	}
}

// Run looks again and again until ctx ends. It is called once.
func (w *Watch[T]) Run(ctx context.Context) {
	for {
		next := w.look(ctx)
		if !sleep(ctx, Least, nil) || !sleep(ctx, next-Least, w.again) {
			return
		}
	}
}

// look looks once, and returns after how long to do so again.
func (w *Watch[T]) look(ctx context.Context) time.Duration {
	select {
	case <-w.again: // this is it
	default:
	}
	things, ttl, err := w.lookup(ctx)
	if ctx.Err() != nil {
		return Least
	}
	if err == nil && len(things) == 0 {
		err = errNothing
	}
	if len(things) > 0 && !slices.Equal(things, w.known) {
		w.known = slices.Clone(things)
		w.changed(things)
	}
	next := w.life(ttl)
	if err == nil {
		if w.pause > 0 {
			w.pause = 0
			w.well()
		}
		return next
	}
	w.failed(err)
	w.pause = min(max(Least, 2*w.pause), longestPause)
	if len(things) == 0 {
		return w.pause
	}
	return min(next, w.pause)
}

// life is how long an answer is kept.
func (w *Watch[T]) life(ttl time.Duration) time.Duration {
	if ttl <= 0 {
		ttl = w.every
	}
	return min(max(ttl, Least), Most)
}

// sleep waits, but no longer than until wake. It returns false when ctx has ended.
func sleep(ctx context.Context, d time.Duration, wake <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-wake:
	}
	return ctx.Err() == nil
}
