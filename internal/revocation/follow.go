package revocation

import (
	"context"
	"sync"
	"time"

	"yett/internal/store"
)

const (
	// tick is how often a part of the list is swept, and how long after a
	// failed attempt the store is given again what it lacks.
	tick = time.Second
	// batch is how many entries the store is given at once.
	batch = 500
)

// Follow keeps the list and the store the same until ctx ends. changed is told
// each time that all of the list is here, with nil, and when the store is lost,
// with the reason. A list follows one store, once.
func (l *List) Follow(ctx context.Context, s store.Store, changed func(lost error)) {
	l.store.Store(&s)
	var wg sync.WaitGroup
	wg.Go(func() { l.tend(ctx, s) })
	s.Follow(ctx, Set, follower{l, changed})
	wg.Wait()
}

// follower is what the store tells the list through.
type follower struct {
	l       *List
	changed func(error)
}

// Added implements store.Follower. The pass that runs is the one after those
// that are over.
func (f follower) Added(e store.Entry) {
	if r, ok := read(e); ok {
		f.l.put(r, f.l.passes.Load()+1)
	}
}

// Synced implements store.Follower.
func (f follower) Synced() {
	f.l.passes.Add(1)
	f.l.lost.Store(false)
	f.l.wake()
	f.changed(nil)
}

// Lost implements store.Follower. What was told up to here, behind the last
// pass too, is not of the next one: the store may come back without it.
func (f follower) Lost(err error) {
	f.l.passes.Add(1)
	f.l.lost.Store(true)
	f.changed(err)
}

func (l *List) wake() {
	select {
	case l.behind <- struct{}{}:
	default: // it has been woken already
	}
}

// tend lets go of what has ended, and gives the store what it lacks.
func (l *List) tend(ctx context.Context, s store.Store) {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for next, again := 0, false; ; {
		select {
		case <-ctx.Done():
			return
		case <-l.behind:
			again = !l.giveBack(ctx, s)
		case <-ticker.C:
			l.count.Add(-int64(l.shards[next].sweep(time.Now().UnixMilli())))
			next = (next + 1) % shards
			if again {
				again = !l.giveBack(ctx, s)
			}
		}
	}
}

// giveBack puts into the store what it did not tell in its last pass. It
// returns false when something is left to do.
func (l *List) giveBack(ctx context.Context, s store.Store) bool {
	if l.lost.Load() {
		return false
	}
	missing := l.missing()
	for len(missing) > 0 {
		n := min(batch, len(missing))
		if Write(ctx, s, missing[:n]...) != nil {
			return false
		}
		missing = missing[n:]
	}
	return true
}

// missing returns what the store lacks, as far as is known.
func (l *List) missing() (entries []Entry) {
	passes, now := l.passes.Load(), time.Now().UnixMilli()
	l.each(func(r record, m mark) {
		if m.told < passes && r.until > now {
			entries = append(entries, r.entry())
		}
	})
	return entries
}
