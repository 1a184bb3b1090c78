package revocation

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"math"
	"sync/atomic"
	"time"

	"yett/internal/store"
)

// Token is what is known of a verified token.
type Token struct {
	// ID is its jti, Subject its subject; both may be empty.
	ID, Subject string
	// Sums are the SHA-256 of all forms in which the token can be written.
	Sums [][32]byte
	// IssuedAt is its iat, zero when it has none.
	IssuedAt time.Time
}

// ErrPending says that entries count on this node already, and that the store
// does not have them yet. The list puts them there as soon as it can.
var ErrPending = errors.New("in effect on this node only, until the store can be reached")

// shards is how many parts a list has. It is a power of two.
const shards = 64

// List is the list. It may be used by many goroutines.
type List struct {
	generation atomic.Uint64
	count      atomic.Int64
	seed       maphash.Seed
	shards     [shards]shard

	store atomic.Pointer[store.Store] // nil until Follow
	lost  atomic.Bool
	// passes is how often the store has told all that it has. What was told in
	// an earlier pass than the last one, or never, is what it lacks.
	passes atomic.Uint64
	behind chan struct{} // wakes the one who gives the store what it lacks
}

// New returns an empty list, which counts on this node only until Follow.
func New() *List {
	l := &List{seed: maphash.MakeSeed(), behind: make(chan struct{}, 1)}
	for i := range l.shards {
		l.shards[i].init()
	}
	return l
}

// Generation changes whenever something was added to the list, so that who
// has asked about a token need not ask again while it stays the same.
func (l *List) Generation() uint64 { return l.generation.Load() }

// Revoked tells whether a token is on the list.
func (l *List) Revoked(t *Token) bool {
	return l.count.Load() > 0 && l.until(t) > 0
}

// until returns the end of the entry that concerns a token, or 0 when there is
// none that still counts.
func (l *List) until(t *Token) (until int64) {
	if t.ID != "" {
		until = l.byText(t.ID).hasID(t.ID)
	}
	for i := range t.Sums {
		until = max(until, l.bySum(t.Sums[i]).hasSum(t.Sums[i]))
	}
	if t.Subject != "" {
		issued := int64(math.MinInt64)
		if !t.IssuedAt.IsZero() {
			issued = t.IssuedAt.UnixMilli()
		}
		until = max(until, l.byText(t.Subject).hasSubject(t.Subject, issued))
	}
	if until > 0 && until <= time.Now().UnixMilli() {
		return 0
	}
	return until
}

func (l *List) byText(text string) *shard {
	return &l.shards[maphash.String(l.seed, text)&(shards-1)]
}

func (l *List) bySum(sum [32]byte) *shard { return &l.shards[sum[0]&(shards-1)] }

func (l *List) shard(r record) *shard {
	if r.kind == BySum {
		return l.bySum(r.sum)
	}
	return l.byText(r.id)
}

// put notes a record that the store told in a pass, or 0 when it did not.
func (l *List) put(r record, told uint64) {
	now := time.Now().UnixMilli()
	if r.until <= now {
		return
	}
	more, isNew := l.shard(r).put(r, told, now)
	l.count.Add(int64(more))
	if isNew {
		l.generation.Add(1) // after it can be found, so that who sees it asks and finds
	}
}

// Add adds entries. They count on this node at once, whatever is returned: an
// error wraps ErrPending, and says why the store does not have them yet.
func (l *List) Add(ctx context.Context, entries ...Entry) error {
	for _, e := range entries {
		if r, ok := read(e.stored()); ok {
			l.put(r, 0)
		}
	}
	s := l.store.Load()
	if s == nil || l.lost.Load() {
		return ErrPending
	}
	if err := Write(ctx, *s, entries...); err != nil {
		l.wake()
		return fmt.Errorf("%w: %w", ErrPending, err)
	}
	return nil
}

// Write puts entries into a store, for the lists that follow it.
func Write(ctx context.Context, s store.Store, entries ...Entry) error {
	stored := make([]store.Entry, len(entries))
	for i, e := range entries {
		stored[i] = e.stored()
	}
	return s.Add(ctx, Set, stored...)
}

// Counts is how much there is on a list.
type Counts struct {
	IDs, Sums, Subjects int
	// Pending is how many of them the store does not have, as far as is known.
	Pending int
}

// Counts counts the entries.
func (l *List) Counts() (c Counts) {
	passes := l.passes.Load()
	l.each(func(r record, m mark) {
		switch r.kind {
		case ByID:
			c.IDs++
		case BySum:
			c.Sums++
		case BySubject:
			c.Subjects++
		}
		if m.told == 0 || m.told < passes {
			c.Pending++
		}
	})
	return c
}

func (l *List) each(f func(record, mark)) {
	for i := range l.shards {
		l.shards[i].each(f)
	}
}
