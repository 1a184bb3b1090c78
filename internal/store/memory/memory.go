// Package memory is the store of a gateway that runs alone: it lives and ends
// with the process.
package memory

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"yett/internal/store"
)

// sweepEvery is how often entries that have ended are looked for, in sets that
// hold any.
const sweepEvery = time.Minute

// Store implements store.Store. It can't be lost.
type Store struct {
	mu   sync.Mutex
	sets map[string]*set
	// sweeper runs while a set holds anything.
	sweeper *time.Timer
	closed  bool

	// keys is Options.Keys. limits are replaced once at most, by Load.
	keys   int
	limits atomic.Pointer[limits]
	calls  sync.Pool // of *call
}

// Options says how much a Store may hold.
type Options struct {
	// Keys is of how many callers of limits what they spent is kept, a million when
	// zero, and at least a thousand. Chance may let up to 16% more in, of a million 8%.
	// Each takes 70 to 150 bytes, when it is needed. Where there are more, those are
	// dropped first who have used the least of their limit.
	Keys int
}

// set is guarded by the Store's mutex; followers are told while it is held, so
// that each of them hears everything once and in order.
type set struct {
	until     map[string]time.Time
	followers []*follower
}

// follower tells one call of Follow from another.
type follower struct{ store.Follower }

// New returns an empty Store.
func New(o Options) *Store {
	s := &Store{sets: make(map[string]*set), keys: o.Keys}
	s.limits.Store(newLimits(o.Keys, newSeed()))
	return s
}

// Name is what the store is called.
const Name = "memory"

// Name implements store.Store.
func (s *Store) Name() string { return Name }

// Ping implements store.Store.
func (s *Store) Ping(context.Context) error { return nil }

// Add implements store.Store.
func (s *Store) Add(_ context.Context, name string, entries ...store.Entry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	in := s.set(name)
	for _, e := range entries {
		if old, ok := in.until[e.Member]; ok && !e.Until.After(old) {
			continue
		}
		in.until[e.Member] = e.Until
		for _, f := range in.followers {
			f.Added(e)
		}
	}
	if s.sweeper == nil && !s.closed {
		s.sweeper = time.AfterFunc(sweepEvery, s.sweep)
	}
	return nil
}

func (s *Store) set(name string) *set {
	in, ok := s.sets[name]
	if !ok {
		in = &set{until: make(map[string]time.Time)}
		s.sets[name] = in
	}
	return in
}

// sweep lets go of what has ended, and of sets that nobody has use for.
func (s *Store) sweep() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, left := time.Now(), 0
	for name, in := range s.sets {
		for member, until := range in.until {
			if !until.After(now) {
				delete(in.until, member)
			}
		}
		left += len(in.until)
		if len(in.until) == 0 && len(in.followers) == 0 {
			delete(s.sets, name)
		}
	}
	s.sweeper = nil
	if left > 0 && !s.closed {
		s.sweeper = time.AfterFunc(sweepEvery, s.sweep)
	}
}

// Follow implements store.Store.
func (s *Store) Follow(ctx context.Context, name string, f store.Follower) {
	own := s.begin(name, f)
	<-ctx.Done()
	s.mu.Lock()
	defer s.mu.Unlock()
	in := s.set(name)
	in.followers = slices.DeleteFunc(in.followers, func(other *follower) bool { return other == own })
}

// begin tells all that there is, and lets nothing be added in between.
func (s *Store) begin(name string, f store.Follower) *follower {
	s.mu.Lock()
	defer s.mu.Unlock()
	in, now, own := s.set(name), time.Now(), &follower{f}
	for member, until := range in.until {
		if until.After(now) {
			f.Added(store.Entry{Member: member, Until: until})
		}
	}
	f.Synced()
	in.followers = append(in.followers, own)
	return own
}

// Close implements store.Store.
func (s *Store) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.sweeper != nil {
		s.sweeper.Stop()
		s.sweeper = nil
	}
}
