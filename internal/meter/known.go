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
	// sets is nil until there is something to know: without limits there never is. An entry of
	// zeros belongs to nobody.
	sets  atomic.Pointer[[knownSets]knownSet]
	begin sync.Once
	// latest is the latest of all ends: when it has passed nothing is known.
	latest atomic.Int64
}

type knownSet struct {
	writing sync.Mutex
	version atomic.Uint64 // odd while it is being written
	tags    [knownWays]atomic.Uint64
	rest    [knownWays]knownRest
}

// believed is how long a refusal is believed at most, whatever it said: a limit may be
// reset, or what was counted given back or lost, without this node hearing of it.
const believed = 2 * time.Second

// refusal is what is known of a limit and a caller: that cost does not fit into a rule.
type refusal struct {
	cost, limit, size int64 // of the rule
	left              int64
	// until is when cost may fit, more when left grows.
	until, more time.Time
}

// refusalOf is the refusal of a claim, as of now.
func refusalOf(cl *Claim, now time.Time) refusal {
	return refusal{cl.Cost, cl.Rule.Limit, cl.Rule.Size(), cl.Left, now.Add(cl.Wait), now.Add(cl.More)}
}

// knownRest is one entry without its tag, the first half of the id.
type knownRest struct {
	b atomic.Uint64 // the second half

	cost, limit, size, left atomic.Int64
	until, more, believed   atomic.Int64
}

func newKnown() *known { return &known{start: time.Now()} }

// set returns where id is, nil when nothing was ever known.
func (k *known) set(id id) *knownSet {
	if sets := k.sets.Load(); sets != nil {
		return &sets[id.b%knownSets]
	}
	return nil
}

// note remembers a refusal. Of what is known already, the same and what says less are
// replaced; when there is no room, what ends first is.
func (k *known) note(id id, r refusal, now time.Time) {
	k.begin.Do(func() { k.sets.Store(new([knownSets]knownSet)) })
	s, ends := k.set(id), k.ticks(r.until)
	until := min(ends, k.ticks(now.Add(believed)))
	for {
		latest := k.latest.Load()
		if until <= latest || k.latest.CompareAndSwap(latest, until) {
			break
		}
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	way := s.place(id)
	if s.holds(way, id) && s.rest[way].saysMore(&r, until) {
		return
	}
	s.write(way, id, &r, ends, k.ticks(r.more), until)
}

// saysMore tells whether an entry speaks for all that another of the same id would,
// and for longer.
func (k *knownRest) saysMore(r *refusal, until int64) bool {
	c, l, s := k.cost.Load(), k.limit.Load(), k.size.Load()
	all, more := c <= r.cost && l >= r.limit && s >= r.size, c < r.cost || l > r.limit || s > r.size
	return all && more && k.believed.Load() >= until
}

func (k *known) ticks(t time.Time) int64 { return int64(t.Sub(k.start)) }

// place returns where id is, or else where what ends first is.
func (s *knownSet) place(id id) int {
	first := 0
	for way := range s.rest {
		if s.holds(way, id) {
			return way
		}
		if s.rest[way].believed.Load() < s.rest[first].believed.Load() {
			first = way
		}
	}
	return first
}

func (s *knownSet) holds(way int, id id) bool {
	return s.tags[way].Load() == id.a && s.rest[way].b.Load() == id.b
}

// write must be called with the lock held.
func (s *knownSet) write(way int, id id, from *refusal, until, more, believed int64) {
	s.version.Add(1)
	s.tags[way].Store(id.a)
	r := &s.rest[way]
	r.b.Store(id.b)
	r.cost.Store(from.cost)
	r.limit.Store(from.limit)
	r.size.Store(from.size)
	r.left.Store(from.left)
	r.until.Store(until)
	r.more.Store(more)
	r.believed.Store(believed)
	s.version.Add(1)
}

// clear must be called with the lock held.
func (s *knownSet) clear(way int) {
	s.write(way, id{}, &refusal{}, math.MinInt64, math.MinInt64, math.MinInt64)
}

// nothing tells whether nothing is known to be exceeded, of anybody.
func (k *known) nothing(now time.Time) bool { return k.latest.Load() <= k.ticks(now) }

// exceeded tells whether it is known that cost does not fit into a rule now, what is left, how
// long it is until that grows, and until cost fits. That some cost does not fit says nothing
// about a smaller one, or about a rule that gives more.
func (k *known) exceeded(id id, cost, limit, size int64, now time.Time) (left int64, more, wait time.Duration, ok bool) {
	s, at := k.set(id), k.ticks(now)
	if s == nil {
		return 0, 0, 0, false
	}
	for way := range s.tags {
		if s.tags[way].Load() != id.a {
			continue
		}
		version := s.version.Load()
		r := &s.rest[way]
		left, more, wait = r.left.Load(), time.Duration(r.more.Load()-at), time.Duration(r.until.Load()-at)
		ok = s.holds(way, id) && cost >= r.cost.Load() && limit <= r.limit.Load() && size <= r.size.Load() && r.believed.Load() > at
		if ok && version%2 == 0 && version == s.version.Load() {
			return left, max(0, more), wait, true
		}
		return 0, 0, 0, false
	}
	return 0, 0, 0, false
}

// forget drops what is known about id.
func (k *known) forget(id id) {
	s := k.set(id)
	if s == nil {
		return
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	if way := s.place(id); s.holds(way, id) {
		s.clear(way)
	}
}

// forgetAll drops everything that is known.
func (k *known) forgetAll() {
	sets := k.sets.Load()
	if sets == nil {
		return
	}
	for i := range sets {
		s := &sets[i]
		s.writing.Lock()
		for way := range s.rest {
			s.clear(way)
		}
		s.writing.Unlock()
	}
}
