package memory

import (
	"context"
	"fmt"
	"hash/maphash"
	"math/bits"
	"slices"
	"time"

	"yett/internal/store"
)

const (
	// maxTakes is how many takes a call may have.
	maxTakes = 16
	// maxShards is how many parts the records are kept in, as long as each has at least
	// minRecords.
	maxShards, minRecords = 256, 64
	// recordsPerBlock is for how many records there is a block.
	recordsPerBlock = 10
	// defaultKeys and maxKeys bound Options.Keys.
	defaultKeys, maxKeys = 1_000_000, 1 << 27
)

// limits is what takes have counted.
type limits struct {
	start           time.Time
	name, high, low maphash.Seed
	shards          []shard
	shift           uint // of id.high, what is left is the shard
}

func newLimits(keys int) *limits {
	if keys <= 0 {
		keys = defaultKeys
	}
	keys = min(keys, maxKeys)
	n := uint(min(maxShards, max(1, keys/minRecords)))
	shift := uint(bits.LeadingZeros64(uint64(n)) + 1) // the power of two up to n
	l := &limits{
		start: time.Now(),
		name:  maphash.MakeSeed(), high: maphash.MakeSeed(), low: maphash.MakeSeed(),
		shards: make([]shard, 1<<(64-shift)), shift: shift,
	}
	most := share(keys, len(l.shards))
	for i := range l.shards {
		l.shards[i].most, l.shards[i].mostBlocks = uint32(most), max(1, most/recordsPerBlock)
	}
	return l
}

// share is how many of the keys a shard may hold. Chance puts more into some shards
// than into others, which is no reason to drop anything.
func share(keys, shards int) int {
	mean := (max(keys, minRecords) + shards - 1) / shards
	extra := 0
	for extra*extra < 16*mean { // four standard deviations
		extra++
	}
	return mean + extra
}

// id hashes a name and a key.
func (l *limits) id(name, key string) id {
	n := maphash.String(l.name, name)
	return id{maphash.String(l.high, key) ^ n, maphash.String(l.low, key) ^ bits.RotateLeft64(n, 32)}
}

// clock is a time in whole microseconds since the start, rounded down. It does not go by
// the wall clock.
func (l *limits) clock(now time.Time) int64 {
	d := now.Sub(l.start)
	µs := d.Microseconds()
	if d%time.Microsecond < 0 {
		µs--
	}
	return µs
}

// check refuses what the arithmetic was not made for.
func check(takes []store.Take) error {
	if len(takes) > maxTakes {
		return fmt.Errorf("a call has %d takes, at most %d can be counted at once", len(takes), maxTakes)
	}
	for i := range takes {
		t := &takes[i]
		r := &t.Rule
		if r.Limit < 1 || r.Window < time.Microsecond || r.Algorithm > store.TokenBucket || r.Algorithm == store.TokenBucket && r.Burst < 1 ||
			t.Cost < 1 || t.Least < 0 || t.Ahead < 0 || t.Action > store.Return {
			return fmt.Errorf("the take %d of limit %s makes no sense: action %d, cost %d, least %d, ahead %v, rule %+v", i+1, t.Name, t.Action, t.Cost, t.Least, t.Ahead, *r)
		}
	}
	return nil
}

// call is one call of Take, while it holds its shards.
type call struct {
	l     *limits
	takes []store.Take
	clock int64
	ids   [maxTakes]id
	slots [maxTakes]uint32 // the records, 0 where there is none
	locks [maxShards / 64]uint64
	// again tells that some of the takes are about the same record.
	again bool
}

// Take implements store.Store. It has no clock of its own. A call has at most 16 takes.
func (s *Store) Take(_ context.Context, now time.Time, takes []store.Take) error {
	if err := check(takes); err != nil {
		return err
	}
	c := call{l: s.limits, takes: takes, clock: s.limits.clock(now)}
	for i := range takes {
		c.ids[i] = c.l.id(takes[i].Name, takes[i].Key)
		c.again = c.again || slices.Contains(c.ids[:i], c.ids[i])
	}
	c.lock()
	defer c.unlock()
	for i := range takes {
		c.judge(i)
	}
	refused := store.Refuser(takes) != nil
	for i := range takes {
		c.count(i, refused)
	}
	for i := range takes {
		c.show(i)
	}
	return nil
}

func (c *call) shard(i int) *shard { return &c.l.shards[c.ids[i].high>>c.l.shift] }

// lock locks the shards of all takes in ascending order, as every call does.
func (c *call) lock() {
	for i := range c.takes {
		n := c.ids[i].high >> c.l.shift
		c.locks[n/64] |= 1 << (n % 64)
	}
	for w, set := range c.locks {
		for ; set != 0; set &= set - 1 {
			c.l.shards[w*64+bits.TrailingZeros64(set)].mu.Lock()
		}
	}
}

func (c *call) unlock() {
	for w, set := range c.locks {
		for ; set != 0; set &= set - 1 {
			c.l.shards[w*64+bits.TrailingZeros64(set)].mu.Unlock()
		}
	}
}

// judge tells whether a take fits, and how much would be counted.
func (c *call) judge(i int) {
	t, sh := &c.takes[i], c.shard(i)
	t.Fits, t.Granted, t.Wait = true, 0, 0
	c.slots[i] = sh.find(c.ids[i])
	if t.Action == store.Charge || t.Action == store.Return {
		return
	}
	if c.again && slices.Contains(c.ids[:i], c.ids[i]) {
		c.judgeAfter(i)
		return
	}
	st := sh.load(c.slots[i])
	now := st.settle(&t.Rule, c.clock)
	st.judge(t, now)
}

// judgeAfter judges a take as if those before it were counted, on a copy.
func (c *call) judgeAfter(i int) {
	var copied block
	st := c.shard(i).load(c.slots[i])
	for n := range st.n {
		copied[n] = *st.entry(n)
	}
	st.entries, st.head = copied[:], 0
	for before := range i {
		if c.ids[before] != c.ids[i] {
			continue
		}
		t := &c.takes[before]
		now := st.settle(&t.Rule, c.clock)
		switch {
		case t.Action == store.Return:
			st.giveBack(t.Cost)
		case t.Action == store.Charge:
			st.add(t, t.Cost, now)
		case t.Granted > 0:
			st.add(t, t.Granted, now)
		}
	}
	t := &c.takes[i]
	now := st.settle(&t.Rule, c.clock)
	st.judge(t, now)
}

// count does what a take asks for.
func (c *call) count(i int, refused bool) {
	t, sh := &c.takes[i], c.shard(i)
	switch {
	case t.Action == store.Charge:
		t.Granted = t.Cost
	case t.Action == store.Spend && refused:
		t.Granted = 0
	}
	if c.again {
		c.slots[i] = sh.find(c.ids[i])
	}
	switch {
	case t.Action == store.Return && c.slots[i] > 0:
		t.Granted = sh.giveBack(c.slots[i], c.clock, t)
	case t.Granted > 0:
		c.slots[i] = sh.count(c.slots[i], c.ids[i], c.clock, t, t.Granted, c.ids[:len(c.takes)])
	}
}

// show tells what is left.
func (c *call) show(i int) {
	t, sh := &c.takes[i], c.shard(i)
	if c.again || t.Action == store.Return { // the record may have gone
		c.slots[i] = sh.find(c.ids[i])
	}
	st := sh.load(c.slots[i])
	now := st.settle(&t.Rule, c.clock)
	t.Left, t.More = st.free(&t.Rule, 0), st.more(&t.Rule, now)
}

// Forget implements store.Store.
func (s *Store) Forget(_ context.Context, name, key string) error {
	i := s.limits.id(name, key)
	sh := &s.limits.shards[i.high>>s.limits.shift]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if slot := sh.find(i); slot > 0 {
		sh.remove(slot)
	}
	return nil
}

// Usage is how full the store is.
type Usage struct {
	// Keys is of how many callers something is counted, or was until a moment ago:
	// a caller is a key of a limit.
	Keys int64
	// Dropped is how many callers were forgotten, since the store was made, though
	// something of them still counted, because there were too many.
	Dropped int64
}

// Usage returns how full the store is.
func (s *Store) Usage() (u Usage) {
	for i := range s.limits.shards {
		sh := &s.limits.shards[i]
		sh.mu.Lock()
		u.Keys += int64(sh.used)
		u.Dropped += sh.dropped
		sh.mu.Unlock()
	}
	return u
}
