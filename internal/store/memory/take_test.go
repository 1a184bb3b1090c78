package memory

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"yett/internal/store"
	"yett/internal/store/storetest"
)

func TestTakes(t *testing.T) {
	storetest.Takes(t, func(t *testing.T) (store.Store, func(time.Time)) { return New(Options{}), nil })
}

// A single shard, in which records, blocks and words of the index are used again and
// again, answers as the model does too.
func TestOneShard(t *testing.T) {
	for range 50 {
		s := New(Options{Keys: 1})
		storetest.Schedule(t, s, nil, rand.Uint64(), 300)
		consistent(t, s)
	}
}

// consistent wants that records, index and blocks fit together.
func consistent(t *testing.T, s *Store) {
	t.Helper()
	for n := range s.limits.Load().shards {
		sh := &s.limits.Load().shards[n]
		used, owned := uint32(0), len(sh.idle)
		for slot := uint32(1); slot <= sh.made; slot++ {
			r := sh.at(slot)
			if r.kind == 0 {
				continue
			}
			used++
			if found := sh.find(r.id); found != slot {
				t.Errorf("record %d is found at %d", slot, found)
			}
			if r.hasBlock() {
				owned++
			}
		}
		words := 0
		for _, w := range sh.index {
			if w != 0 {
				words++
			}
		}
		if used != sh.used || words != int(used) || used > sh.most || owned != len(sh.blocks) || owned > sh.mostBlocks {
			t.Errorf("shard %d: %d records, %d of %d counted, %d in the index; %d blocks of %d, %d known", n, used, sh.used, sh.most, words, len(sh.blocks), sh.mostBlocks, owned)
		}
	}
}

// taker asks a store in a test.
type taker struct {
	t   testing.TB
	s   *Store
	now time.Time
}

func newTaker(t testing.TB, o Options) *taker { return &taker{t, New(o), time.Now()} }

func (k *taker) spend(key string, r store.Rule) store.Take {
	k.t.Helper()
	takes := []store.Take{{Name: "limit", Key: key, Rule: r, Cost: 1}}
	if err := k.s.Take(k.t.Context(), k.now, takes); err != nil {
		k.t.Fatal(err)
	}
	return takes[0]
}

func (k *taker) exhaust(key string, r store.Rule) {
	k.t.Helper()
	for range r.Size() {
		if !k.spend(key, r).Fits {
			k.t.Fatalf("%s is refused below the limit", key)
		}
	}
}

func rules(limit int64, window time.Duration) []store.Rule {
	return []store.Rule{
		{Algorithm: store.SlidingWindow, Limit: limit, Window: window},
		{Algorithm: store.FixedWindow, Limit: limit, Window: window},
		{Algorithm: store.TokenBucket, Limit: limit, Window: window, Burst: limit},
	}
}

// A flood of keys that nobody has seen before does not push out who is at their limit, nor
// who has used more of it than the flood. What is dropped is told.
func TestFlood(t *testing.T) {
	const most = 20_000
	k := newTaker(t, Options{Keys: most})
	for _, r := range rules(20, time.Hour) {
		k.exhaust(fmt.Sprint("full", r.Algorithm), r)
		k.exhaust(fmt.Sprint("half", r.Algorithm), store.Rule{Algorithm: r.Algorithm, Limit: 10, Window: r.Window, Burst: 10})
	}
	flood := store.Rule{Limit: 10, Window: 2 * time.Hour}
	for i := range 5 * most {
		k.now = k.now.Add(time.Microsecond)
		if !k.spend(fmt.Sprint("flood", i), flood).Fits {
			t.Fatal("the flood is refused, so it is none")
		}
	}
	for _, r := range rules(20, time.Hour) {
		if k.spend(fmt.Sprint("full", r.Algorithm), r).Fits {
			t.Errorf("algorithm %d: who was at the limit is let through", r.Algorithm)
		}
		if left := k.spend(fmt.Sprint("half", r.Algorithm), r).Left; left != 9 {
			t.Errorf("algorithm %d: %d are left, want 9", r.Algorithm, left)
		}
	}
	u := k.s.Usage()
	if u.Keys < most || u.Keys > most*12/10 || u.Dropped != 5*most+6-u.Keys {
		t.Errorf("%+v", u)
	}
	consistent(t, k.s)
}

// Among those that have used as little, who ends first is dropped.
func TestDropsWhoEndsFirst(t *testing.T) {
	k := newTaker(t, Options{Keys: 1})
	sh := &k.s.limits.Load().shards[0]
	sh.most = judged
	for i := range judged {
		window := time.Hour
		if i == 5 {
			window = time.Minute
		}
		k.spend(fmt.Sprint(i), store.Rule{Limit: 10, Window: window})
	}
	k.spend("one more", store.Rule{Limit: 10, Window: time.Hour})
	if u := k.s.Usage(); u.Keys != judged || u.Dropped != 1 {
		t.Errorf("%+v", u)
	}
	if sh.find(k.s.limits.Load().id("limit", "5")) != 0 {
		t.Error("who ends first is still there")
	}
}

// What has ended goes before what counts, however much of it was used.
func TestDropsWhatHasEnded(t *testing.T) {
	for n, r := range rules(2, time.Minute) {
		k := newTaker(t, Options{Keys: 1})
		sh := &k.s.limits.Load().shards[0]
		sh.most = judged
		k.exhaust("ended", r)
		for i := range judged - 1 {
			k.spend(fmt.Sprint(i), store.Rule{Limit: 10, Window: time.Hour})
		}
		k.now = k.now.Add(time.Minute + 2*time.Microsecond)
		k.spend("one more", store.Rule{Limit: 10, Window: time.Hour})
		if u := k.s.Usage(); u.Keys != judged || u.Dropped != 0 {
			t.Errorf("algorithm %d: %+v", n, u)
		}
	}
}

// Charges far beyond the limit, more than an entry has room for, stay beyond it.
func TestChargesDoNotWrap(t *testing.T) {
	k := newTaker(t, Options{})
	r := store.Rule{Limit: 1_000_000_000, Window: time.Minute}
	for _, cost := range []int64{1e9, 1e9, 1e9, 1e9, 1<<32 - 4e9, 1, 1 << 32, 1<<63 - 1, 1<<63 - 1} {
		takes := []store.Take{{Name: "limit", Key: "key", Rule: r, Cost: cost, Action: store.Charge}}
		if err := k.s.Take(t.Context(), k.now, takes); err != nil || takes[0].Left != 0 {
			t.Errorf("after a charge of %d: %v, %+v", cost, err, takes[0])
		}
	}
	k.now = k.now.Add(time.Minute)
	if take := k.spend("key", r); take.Left != 1e9-1 {
		t.Errorf("when they have ended: %+v", take)
	}
}

// Nothing is kept of whom nothing is counted.
func TestNothingLeavesNoRecord(t *testing.T) {
	for n, r := range rules(5, time.Minute) {
		k := newTaker(t, Options{})
		for _, action := range []store.Action{store.Look, store.Return, store.Spend, store.Return} {
			takes := []store.Take{{Name: "limit", Key: "key", Rule: r, Cost: 2, Action: action}}
			if err := k.s.Take(t.Context(), k.now, takes); err != nil {
				t.Fatal(err)
			}
			want := int64(0)
			if action == store.Spend {
				want = 1
			}
			if u := k.s.Usage(); u.Keys != want {
				t.Errorf("algorithm %d: after action %d there are %d records", n, action, u.Keys)
			}
		}
	}
}

// What has ended makes room, and is not told as dropped.
func TestEndedMakesRoom(t *testing.T) {
	const most = 20_000
	k := newTaker(t, Options{Keys: most})
	for _, r := range rules(1, time.Minute) {
		for i := range most {
			k.spend(fmt.Sprint(r.Algorithm, i), r)
		}
		k.now = k.now.Add(time.Minute + 2*time.Second)
	}
	if u := k.s.Usage(); u.Dropped != 0 || u.Keys < most {
		t.Errorf("%+v", u)
	}
}

// What has ended leaves while others come: the table holds about those that count.
func TestEndedLeavesWhileInserting(t *testing.T) {
	k := newTaker(t, Options{})
	most, rounds := int64(0), 300_000
	if raceDetector { // there is one goroutine
		rounds = 60_000
	}
	for i := range rounds {
		k.now = k.now.Add(time.Millisecond) // so 10,000 count
		k.spend(fmt.Sprint(i), rules(5, 10*time.Second)[i%2])
		if i%1000 == 0 {
			most = max(most, k.s.Usage().Keys)
		}
	}
	if most > 25_000 {
		t.Errorf("up to %d keys were kept, of which 10,000 counted", most)
	}
	t.Logf("up to %d keys were kept, of which 10,000 counted", most)
	consistent(t, k.s)
}

// What a call is about is not dropped to make room for the rest of the call.
func TestCallKeepsItsOwn(t *testing.T) {
	k := newTaker(t, Options{Keys: 1})
	sh := &k.s.limits.Load().shards[0]
	sh.most = maxTakes
	r := store.Rule{Limit: 1000, Window: time.Hour}
	for round := range 100 {
		takes := make([]store.Take, maxTakes)
		for i := range takes { // half of them are known from the last call
			takes[i] = store.Take{Name: "limit", Key: fmt.Sprint(8*round + i), Rule: r, Cost: 1}
		}
		if err := k.s.Take(t.Context(), k.now, takes); err != nil {
			t.Fatal(err)
		}
		for i, take := range takes {
			left := int64(999)
			if i < 8 && round > 0 {
				left = 998
			}
			if take.Left != left {
				t.Fatalf("round %d: %s has %d left, want %d", round, take.Key, take.Left, left)
			}
			if sh.find(k.s.limits.Load().id("limit", take.Key)) == 0 {
				t.Fatalf("round %d: %s was dropped", round, take.Key)
			}
		}
	}
}

// Without blocks callers may wait longer, get never more than the limit, and get all of it
// in the end.
func TestWithoutBlocks(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for _, limit := range []int64{4, 5, 10, 60, 600} {
		k := newTaker(t, Options{})
		for i := range k.s.limits.Load().shards {
			k.s.limits.Load().shards[i].mostBlocks = 0
		}
		r := store.Rule{Limit: limit, Window: time.Minute}
		var log []time.Time
		for range 5000 {
			k.now = k.now.Add(time.Duration(random.Int64N(int64(r.Window)/limit) / 1000 * 1000))
			if k.spend("key", r).Fits {
				log = append(log, k.now)
			}
			if n := len(log) - int(limit) - 1; n >= 0 && log[len(log)-1].Sub(log[n]) < r.Window {
				t.Fatalf("limit %d: one more was spent within %v", limit, log[len(log)-1].Sub(log[n]))
			}
		}
		if got := len(log); got < 5000/4 {
			t.Errorf("limit %d: only %d of 5000 were admitted", limit, got)
		}
		k.now = k.now.Add(r.Window)
		k.exhaust("key", r)
	}
}

// Without a block those are counted together for whom it makes the least difference.
func TestSqueezesTheNearest(t *testing.T) {
	k := newTaker(t, Options{Keys: 1})
	k.s.limits.Load().shards[0].mostBlocks = 0
	r := store.Rule{Limit: 5, Window: time.Minute}
	begun := k.now
	for _, at := range []time.Duration{0, 20 * time.Second, 21 * time.Second, 40 * time.Second, 50 * time.Second} {
		k.now = begun.Add(at)
		k.spend("key", r)
	}
	if take := k.spend("key", r); take.Wait != 10*time.Second {
		t.Errorf("the first is free in %v", take.Wait)
	}
	k.now = begun.Add(time.Minute)
	k.spend("key", r)
	// Those of 20 and 21 s were counted together, and of 40 and 50 s.
	if take := k.spend("key", r); take.Fits || take.Wait != 21*time.Second {
		t.Errorf("the second is free in %v", take.Wait)
	}
}

// A caller that is known gets the block of one that has ended, though nobody new comes.
func TestBlocksComeBackToTheKnown(t *testing.T) {
	k := newTaker(t, Options{Keys: 1})
	sh := &k.s.limits.Load().shards[0]
	sh.mostBlocks = 1
	r := store.Rule{Limit: 10, Window: time.Minute}
	k.spend("known", r)
	for range r.Limit {
		k.now = k.now.Add(time.Microsecond)
		k.spend("ended", r)
	}
	k.now = k.now.Add(2 * time.Minute)
	for range r.Limit {
		k.now = k.now.Add(time.Microsecond)
		k.spend("known", r)
	}
	if slot := sh.find(k.s.limits.Load().id("limit", "known")); !sh.at(slot).hasBlock() {
		t.Error("it has no block")
	}
}

// Blocks of callers that have ended or are nearly idle come back.
func TestBlocksComeBack(t *testing.T) {
	k := newTaker(t, Options{Keys: 1})
	sh := &k.s.limits.Load().shards[0]
	sh.mostBlocks = 2
	r := store.Rule{Limit: 10, Window: time.Minute}
	use := func(key string) {
		t.Helper()
		for range r.Limit {
			k.now = k.now.Add(time.Microsecond)
			k.spend(key, r)
		}
		if slot := sh.find(k.s.limits.Load().id("limit", key)); slot == 0 || !sh.at(slot).hasBlock() {
			t.Errorf("%s has no block", key)
		}
	}
	for i := range 20 {
		use(fmt.Sprint("a", i))
		use(fmt.Sprint("b", i))
		if len(sh.blocks) != 2 {
			t.Errorf("%d blocks were made", len(sh.blocks))
		}
		k.now = k.now.Add(2 * time.Minute)
		for range 3 { // who gets nothing sweeps too
			k.spend(fmt.Sprint("c", i), r)
			k.now = k.now.Add(time.Microsecond)
		}
		k.spend(fmt.Sprint("b", i), r)
	}
	consistent(t, k.s)
}

// Many goroutines ask, forget and look, with calls that share shards, in a store that is
// too small, and in one with many shards.
func TestConcurrent(t *testing.T) {
	for _, keys := range []int{1, 1 << 18} {
		concurrent(t, newTaker(t, Options{Keys: keys}))
	}
}

func concurrent(t *testing.T, k *taker) {
	k.s.limits.Load().shards[0].most = 200
	var wg sync.WaitGroup
	for g := range 4 {
		random := rand.New(rand.NewPCG(uint64(g), 0))
		wg.Go(func() {
			for range 3000 {
				takes := make([]store.Take, random.IntN(maxTakes+1))
				for i := range takes {
					r := rules(1+random.Int64N(100), time.Duration(1+random.IntN(1e6))*time.Microsecond)[random.IntN(3)]
					takes[i] = store.Take{Name: "limit", Key: fmt.Sprint(random.IntN(1000)), Rule: r, Cost: 1, Action: store.Action(random.IntN(4)), Soft: random.IntN(2) == 0}
				}
				if err := k.s.Take(t.Context(), time.Now().Add(time.Duration(random.IntN(1e6))), takes); err != nil {
					t.Error(err)
				}
				if random.IntN(10) == 0 {
					_ = k.s.Forget(t.Context(), "limit", fmt.Sprint(random.IntN(1000)))
					k.s.Usage()
				}
			}
		})
	}
	wg.Wait()
	consistent(t, k.s)
}

func TestNonsense(t *testing.T) {
	good := store.Take{Name: "limit", Key: "key", Rule: store.Rule{Limit: 1, Window: time.Second}, Cost: 1}
	s := New(Options{})
	for want, spoil := range map[string]func(*store.Take){
		"cost 0":       func(t *store.Take) { t.Cost = 0 },
		"least -1":     func(t *store.Take) { t.Least = -1 },
		"ahead -1ns":   func(t *store.Take) { t.Ahead = -1 },
		"action 4":     func(t *store.Take) { t.Action = 4 },
		"Limit:0":      func(t *store.Take) { t.Rule.Limit = 0 },
		"Window:999ns": func(t *store.Take) { t.Rule.Window = 999 },
		"Algorithm:3":  func(t *store.Take) { t.Rule.Algorithm = 3 },
		"Burst:0":      func(t *store.Take) { t.Rule.Algorithm = store.TokenBucket },
	} {
		bad := good
		spoil(&bad)
		err := s.Take(t.Context(), time.Now(), []store.Take{good, bad})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "take 2 of limit limit") {
			t.Errorf("%s: %v", want, err)
		}
	}
	if err := s.Take(t.Context(), time.Now(), make([]store.Take, maxTakes+1)); err == nil || !strings.Contains(err.Error(), "17 takes, at most 16") {
		t.Error(err)
	}
	if u := s.Usage(); u.Keys != 0 {
		t.Errorf("%+v", u)
	}
}

// Times before and long after the store was made are told apart to the microsecond.
func TestClock(t *testing.T) {
	l := newLimits(1, newSeed())
	if !strings.Contains(l.start.String(), "m=") {
		t.Error("the store goes by the wall clock")
	}
	var s stamp
	for _, years := range []time.Duration{-2, -1, 0, 1, 6} {
		d := years*365*24*time.Hour + time.Microsecond
		if got, want := l.clock(l.start.Add(d)), d.Microseconds(); got != want {
			t.Errorf("%v are %d µs", d, got)
		}
		if s.set(d.Microseconds()); s.time() != d.Microseconds() {
			t.Errorf("%d µs are kept as %d", d.Microseconds(), s.time())
		}
	}
	if got := l.clock(l.start.Add(-1)); got != -1 {
		t.Errorf("a moment before the start is %d", got)
	}
	for _, far := range []int64{-1 << 62, 1 << 62} {
		if s.set(far); s.time() < 0 != (far < 0) {
			t.Errorf("%d µs are kept as %d", far, s.time())
		}
	}
}

func TestSizes(t *testing.T) {
	if size := unsafe.Sizeof(record{}); size != 64 {
		t.Errorf("a record takes %d bytes", size)
	}
	if size := unsafe.Sizeof(shard{}); size%64 != 0 {
		t.Errorf("a shard takes %d bytes, which is not a multiple of a cache line", size)
	}
	for keys, want := range map[int]int{-1: 256, 0: 256, 1: 1, 2047: 1, 2048: 2, 1<<18 - 1: 128, 1 << 18: 256, 1 << 40: 256} {
		l := newLimits(keys, newSeed())
		if len(l.shards) != want || l.shards[0].most < minRecords || l.shards[0].most > slotMask {
			t.Errorf("%d keys are kept in %d shards of %d", keys, len(l.shards), l.shards[0].most)
		}
	}
}

// A key takes less than 150 bytes, however much it spends.
func TestMemory(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector uses memory too")
	}
	const keys = 200_000
	before := heap()
	s := New(Options{Keys: keys})
	fill(t, s, keys, 8, perMinute)
	each := (heap() - before) / keys
	if u := s.Usage(); u.Keys != keys || each > 150 || each < 64 {
		t.Errorf("%d bytes a key, %+v", each, u)
	}
	t.Logf("%d bytes a key", each)
}

func TestTakeAllocatesNothing(t *testing.T) {
	if raceDetector {
		t.Skip("allocations are not counted with the race detector")
	}
	full, now, n := New(Options{Keys: 1}), time.Now(), 0
	key := make([]byte, 16)
	flood := func() store.Take {
		n++
		return store.Take{Name: "limit", Key: userKey(key, n), Rule: perMinute, Cost: 1}
	}
	takes := make([]store.Take, 0, maxTakes)
	for range 1000 {
		takes = append(takes[:0], flood())
		_ = full.Take(t.Context(), now, takes)
	}
	ctx := t.Context()
	for what, call := range map[string]func(){
		"one":     func() { takes = append(takes[:0], store.Take{Name: "limit", Key: "one", Rule: perMinute, Cost: 1}) },
		"a flood": func() { takes = append(takes[:0], flood()) },
		"all there is": func() {
			takes = takes[:0]
			for i := range maxTakes {
				r := perMinute
				r.Algorithm, r.Burst = store.Algorithm(i%3), 60
				takes = append(takes, store.Take{Name: "limit", Key: []string{"a", "b", "c"}[i%3], Rule: r, Cost: 1, Action: store.Action(i % 4), Soft: i%5 == 0})
			}
		},
	} {
		got := testing.AllocsPerRun(2000, func() {
			call()
			now = now.Add(time.Millisecond)
			if err := full.Take(ctx, now, takes); err != nil {
				t.Error(err)
			}
		})
		if got != 0 {
			t.Errorf("%s: %v allocations", what, got)
		}
	}
}
