package memory

import (
	"context"
	"fmt"
	"math"
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
	maxShards, minRecords = 256, 1024
	// recordsPerBlock is for how many records there is a block.
	recordsPerBlock = 10
	// defaultKeys and maxKeys bound Options.Keys.
	defaultKeys, maxKeys = 1_000_000, 1 << 27
)

// limits is what takes have counted.
type limits struct {
	start  time.Time
	seed   seed
	shards []shard
	shift  uint // of id.high, what is left is the shard
}

func newLimits(keys int, s seed) *limits {
	if keys <= 0 {
		keys = defaultKeys
	}
	keys = min(keys, maxKeys)
	n := uint(min(maxShards, max(1, keys/minRecords)))
	shift := uint(bits.LeadingZeros64(uint64(n)) + 1) // the power of two up to n
	l := &limits{
		start: time.Now(), seed: s,
		shards: make([]shard, 1<<(64-shift)), shift: shift,
	}
	mean := max(keys, minRecords) / len(l.shards)
	// Chance puts more keys into some shards than into others, hardly ever by more than
	// five standard deviations. That is no reason to drop any.
	most := mean + int(math.Ceil(5*math.Sqrt(float64(mean))))
	for i := range l.shards {
		l.shards[i].most, l.shards[i].mostBlocks = uint32(most), mean/recordsPerBlock
	}
	return l
}

func (l *limits) id(name, key string) id { return l.seed.id(name, key) }

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

// Take implements store.Store. It has no clock of its own. A call has at most 16 takes.
func (s *Store) Take(_ context.Context, now time.Time, takes []store.Take) error {
	if err := check(takes); err != nil {
		return err
	}
	l := s.limits.Load()
	clock := l.clock(now)
	if len(takes) == 1 {
		l.takeOne(clock, &takes[0])
		return nil
	}
	c, ok := s.calls.Get().(*call)
	if !ok {
		c = new(call)
	}
	c.l, c.takes, c.clock = l, takes, clock
	c.answer()
	c.l, c.takes, c.again, c.nlocked = nil, nil, false, 0
	s.calls.Put(c)
	return nil
}

// takeOne is answer for a single take, as most calls are.
func (l *limits) takeOne(clock int64, t *store.Take) {
	ids := [...]id{l.id(t.Name, t.Key)}
	sh := l.shard(ids[0])
	sh.mu.Lock()
	defer sh.mu.Unlock()
	var st state
	slot := sh.find(ids[0])
	sh.load(&st, slot)
	now := st.settle(&t.Rule, clock)
	st.judge(t, now)
	sh.change(&st, slot, ids[0], t, now, clock, ids[:])
	st.show(t, now)
}

// call is one call of Take, while it holds its shards. It is used again: that costs less than to
// clear as much of a stack, which is another one for each connection, and in no cache.
type call struct {
	l        *limits
	takes    []store.Take
	clock    int64
	ids      [maxTakes]id
	subjects [maxTakes]subject
	locked   [maxTakes]uint16 // shards, in ascending order
	nlocked  int
	// again tells that some of the takes are about the same record.
	again bool
}

// subject is what a take is about.
type subject struct {
	shard *shard
	slot  uint32 // the record, 0 where there is none
	now   int64  // the time that counts for it
	state state
}

// answer judges all takes, and then does what they ask for. What was found to judge them is as it
// was then, but where some are about the same record.
func (c *call) answer() {
	for i := range c.takes {
		c.ids[i] = c.l.id(c.takes[i].Name, c.takes[i].Key)
		c.again = c.again || slices.Contains(c.ids[:i], c.ids[i])
	}
	c.lock()
	defer c.unlock()
	for i := range c.takes {
		c.judge(i)
	}
	refused := store.Refuser(c.takes) != nil
	for i := range c.takes {
		c.change(i, refused)
	}
	if c.again {
		for i := range c.takes {
			s := c.load(i)
			s.state.show(&c.takes[i], s.now)
		}
	}
}

func (l *limits) shard(i id) *shard { return &l.shards[i.high>>l.shift] }

// lock locks the shards of all takes in ascending order, as every call does.
func (c *call) lock() {
	for i := range c.takes {
		n := uint16(c.ids[i].high >> c.l.shift)
		c.subjects[i].shard = &c.l.shards[n]
		c.add(n)
	}
	for _, n := range c.locked[:c.nlocked] {
		c.l.shards[n].mu.Lock()
	}
}

// add adds a shard to those to be locked, unless it is among them.
func (c *call) add(n uint16) {
	at := c.nlocked
	for at > 0 && c.locked[at-1] > n {
		at--
	}
	if at > 0 && c.locked[at-1] == n {
		return
	}
	copy(c.locked[at+1:], c.locked[at:c.nlocked])
	c.locked[at] = n
	c.nlocked++
}

func (c *call) unlock() {
	for _, n := range c.locked[:c.nlocked] {
		c.l.shards[n].mu.Unlock()
	}
}

// load finds and loads what a take is about.
func (c *call) load(i int) *subject {
	s := &c.subjects[i]
	s.slot, s.state = s.shard.find(c.ids[i]), state{}
	s.shard.load(&s.state, s.slot)
	s.now = s.state.settle(&c.takes[i].Rule, c.clock)
	return s
}

// judge tells whether a take fits, and how much would be counted.
func (c *call) judge(i int) {
	s := c.load(i)
	if c.again && slices.Contains(c.ids[:i], c.ids[i]) {
		c.countBefore(i)
	}
	s.state.judge(&c.takes[i], s.now)
}

// countBefore counts what the takes before one ask for of the same record, on a copy.
func (c *call) countBefore(i int) {
	s := &c.subjects[i]
	s.shard.copyEntries(&s.state)
	for before := range i {
		if c.ids[before] == c.ids[i] {
			t := &c.takes[before]
			now := s.state.settle(&t.Rule, c.clock)
			if t.Action == store.Return {
				s.state.giveBack(t.Cost)
			} else if t.Granted > 0 {
				s.state.add(t, t.Granted, now)
			}
		}
	}
	s.now = s.state.settle(&c.takes[i].Rule, c.clock)
}

// change does what a take asks for.
func (c *call) change(i int, refused bool) {
	t, s := &c.takes[i], &c.subjects[i]
	if t.Action == store.Spend && refused {
		t.Granted = 0
	}
	if c.again { // the record may be new, have gone, or say something else
		c.load(i)
	}
	s.shard.change(&s.state, s.slot, c.ids[i], t, s.now, c.clock, c.ids[:len(c.takes)])
	s.state.show(t, s.now)
}

// Forget implements store.Store.
func (s *Store) Forget(_ context.Context, name, key string) error {
	l := s.limits.Load()
	i := l.id(name, key)
	sh := l.shard(i)
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
	l := s.limits.Load()
	for i := range l.shards {
		sh := &l.shards[i]
		sh.mu.Lock()
		u.Keys += int64(sh.used)
		u.Dropped += sh.dropped
		sh.mu.Unlock()
	}
	return u
}
