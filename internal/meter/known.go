package meter

import (
	"math"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// knownSets and knownWays are how many entries known has: an id can be in any
	// place of one set.
	knownSets = 4096
	knownWays = 4
)

// known remembers what is exceeded and until when, so that a caller who goes on asking
// costs no call to the store. It may forget at any time, and never makes anything up.
// Its size is fixed. Reading takes no lock; what is being written at that moment counts
// as not known.
type known struct {
	start time.Time // times are counted from here
	sets  []knownSet
	// latest is the latest of all ends: when it has passed nothing is known.
	latest atomic.Int64
}

type knownSet struct {
	writing sync.Mutex
	version atomic.Uint64 // odd while it is being written
	tags    [knownWays]atomic.Uint64
	rest    [knownWays]knownRest
}

// knownRest is one entry without its tag, the first half of the id.
type knownRest struct {
	b                  atomic.Uint64 // the second half
	cost, limit, until atomic.Int64
}

func newKnown() *known {
	k := &known{start: time.Now(), sets: make([]knownSet, knownSets)}
	k.forgetAll()
	return k
}

func (k *known) set(id id) *knownSet { return &k.sets[id.b%knownSets] }

// note remembers that cost does not fit into limit until a time. Of what is known
// already, the same and what says less are replaced; when there is no room, what ends
// first is.
func (k *known) note(id id, cost, limit int64, until time.Time) {
	s, ends := k.set(id), int64(until.Sub(k.start))
	for {
		latest := k.latest.Load()
		if ends <= latest || k.latest.CompareAndSwap(latest, ends) {
			break
		}
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	way := s.place(id)
	if s.holds(way, id) && s.rest[way].saysMore(cost, limit, ends) {
		return
	}
	s.write(way, id, cost, limit, ends)
}

// saysMore tells whether an entry speaks for all that another of the same id would,
// and for longer.
func (r *knownRest) saysMore(cost, limit, until int64) bool {
	c, l := r.cost.Load(), r.limit.Load()
	return c <= cost && l >= limit && (c < cost || l > limit) && r.until.Load() >= until
}

// place returns where id is, or else where what ends first is.
func (s *knownSet) place(id id) int {
	first := 0
	for way := range s.rest {
		if s.holds(way, id) {
			return way
		}
		if s.rest[way].until.Load() < s.rest[first].until.Load() {
			first = way
		}
	}
	return first
}

func (s *knownSet) holds(way int, id id) bool {
	return s.tags[way].Load() == id.a && s.rest[way].b.Load() == id.b
}

// write must be called with the lock held.
func (s *knownSet) write(way int, id id, cost, limit, until int64) {
	s.version.Add(1)
	s.tags[way].Store(id.a)
	r := &s.rest[way]
	r.b.Store(id.b)
	r.cost.Store(cost)
	r.limit.Store(limit)
	r.until.Store(until)
	s.version.Add(1)
}

// clear must be called with the lock held.
func (s *knownSet) clear(way int) { s.write(way, id{}, 0, 0, math.MinInt64) }

// nothing tells whether nothing is known to be exceeded, of anybody.
func (k *known) nothing(now time.Time) bool { return k.latest.Load() <= int64(now.Sub(k.start)) }

// exceeded tells whether it is known that cost does not fit into limit now, and how
// long it will be so. That some cost does not fit says nothing about a smaller one,
// or about a higher limit.
func (k *known) exceeded(id id, cost, limit int64, now time.Time) (wait time.Duration, ok bool) {
	s, at := k.set(id), int64(now.Sub(k.start))
	for way := range s.tags {
		if s.tags[way].Load() != id.a {
			continue
		}
		version := s.version.Load()
		r := &s.rest[way]
		until := r.until.Load()
		ok = s.holds(way, id) && cost >= r.cost.Load() && limit <= r.limit.Load() && until > at
		if ok && version%2 == 0 && version == s.version.Load() {
			return time.Duration(until - at), true
		}
		return 0, false
	}
	return 0, false
}

// forget drops what is known about id.
func (k *known) forget(id id) {
	s := k.set(id)
	s.writing.Lock()
	defer s.writing.Unlock()
	if way := s.place(id); s.holds(way, id) {
		s.clear(way)
	}
}

// forgetAll drops everything that is known.
func (k *known) forgetAll() {
	for i := range k.sets {
		s := &k.sets[i]
		s.writing.Lock()
		for way := range s.rest {
			s.clear(way)
		}
		s.writing.Unlock()
	}
}
