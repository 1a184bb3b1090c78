package token

import (
	"hash/maphash"
	"sync/atomic"
	"time"
)

const (
	// cacheSets times cacheWays is how many tokens are remembered at most.
	cacheSets = 4096
	cacheWays = 4
)

// cache remembers verified tokens by the whole token. It takes no lock: a
// token has a few places where it can be, each of which is an atomic pointer.
// Who comes to a full set takes the place of what was used least lately.
type cache struct {
	seed  maphash.Seed
	slots []atomic.Pointer[entry]
}

// entry is a place of the cache.
type entry struct {
	*Verified
	// checked is the generation of the list of revoked tokens at which this one
	// was not on it.
	checked atomic.Uint64
	// used is when it was found last, in seconds since 1970.
	used atomic.Int64
}

func (c *cache) init() {
	c.seed = maphash.MakeSeed()
	c.slots = make([]atomic.Pointer[entry], cacheSets*cacheWays)
}

// hash is of the end of a token: that is its signature, no two of which are the
// same among tokens that pass. Only such are remembered, so that nobody can make
// many tokens meet in one set.
func (c *cache) hash(raw string) uint64 {
	const most = 32
	return maphash.String(c.seed, raw[max(0, len(raw)-most):])
}

func (c *cache) set(hash uint64) []atomic.Pointer[entry] {
	first := hash % cacheSets * cacheWays
	return c.slots[first : first+cacheWays]
}

// get finds a token, and the generation at which it was good.
func (c *cache) get(raw string, hash uint64, second int64) (*Verified, *atomic.Uint64) {
	set := c.set(hash)
	for i := range set {
		e := set[i].Load()
		if e == nil || e.hash != hash || e.raw != raw {
			continue
		}
		if e.used.Load() != second { // most often another has said so already
			e.used.Store(second)
		}
		return e.Verified, &e.checked
	}
	return nil, nil
}

// put remembers a token that was good at a generation.
func (c *cache) put(t *Verified, generation uint64, now time.Time) {
	e := &entry{Verified: t}
	e.checked.Store(generation)
	e.used.Store(now.Unix())
	set := c.set(t.hash)
	best, bestUsed := 0, int64(1<<62)
	for i := range set {
		old := set[i].Load()
		if old == nil || old.until <= now.UnixMilli() || old.key.retired.Load() || old.hash == t.hash && old.raw == t.raw {
			best = i
			break
		}
		if used := old.used.Load(); used < bestUsed {
			best, bestUsed = i, used
		}
	}
	set[best].Store(e)
}
