package storetest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"yett/internal/store"
)

// Takes tests how a store takes and forgets. open starts one that is empty. at tells it
// what time it is, where it has a clock of its own, and is nil where it goes by what
// Take is told. That time moves in jumps, much faster than others and a little
// backward; nothing may end by any other clock. at is not called while the store is
// called.
func Takes(t *testing.T, open func(t *testing.T) (s store.Store, at func(now time.Time))) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T, c *caller)
	}{
		{"as the model", asModel},
		{"never more than the limit", neverMore},
		{"what fits is admitted", fitsIsAdmitted},
		{"refused changes nothing", refusedChangesNothing},
		{"admitted when Wait says", admittedAfterWait},
		{"callers at once", callersAtOnce},
		{"several limits at once", limitsAtOnce},
		{"names and keys are separate", keysAreSeparate},
		{"names and keys are views", keysAreViews},
		{"a month", longWindow},
		{"forget", forget},
		{"no end of charges", manyCharges},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, at := open(t)
			test.run(t, newCaller(t, s, at))
		})
	}
}

// caller asks a store, at times that it chooses.
type caller struct {
	t   testing.TB
	s   store.Store
	at  func(time.Time)
	now time.Time
}

func newCaller(t testing.TB, s store.Store, at func(time.Time)) *caller {
	if at == nil {
		at = func(time.Time) {}
	}
	c := &caller{t: t, s: s, at: at}
	c.begin()
	return c
}

// begin sets the clock, for keys that nobody has used. A store may be younger than
// what is asked.
func (c *caller) begin() {
	c.now = time.Now()
	c.sleep(-time.Hour)
}

// sleep moves the clock.
func (c *caller) sleep(d time.Duration) {
	c.now = c.now.Add(d)
	c.at(c.now)
}

// ask asks without looking at what is answered. Many goroutines may.
func (c *caller) ask(takes ...store.Take) []store.Take {
	c.t.Helper()
	if err := c.s.Take(c.t.Context(), c.now, takes); err != nil {
		c.t.Error(err)
	}
	return takes
}

// spend spends, and returns what came of it.
func (c *caller) spend(name, key string, r store.Rule, cost int64) store.Take {
	c.t.Helper()
	return c.ask(store.Take{Name: name, Key: key, Rule: r, Cost: cost})[0]
}

// look returns how much is left.
func (c *caller) look(name, key string, r store.Rule) int64 {
	c.t.Helper()
	return c.ask(store.Take{Name: name, Key: key, Rule: r, Cost: 1, Action: store.Look, Soft: true})[0].Left
}

func (c *caller) forget(name, key string) {
	c.t.Helper()
	if err := c.s.Forget(c.t.Context(), name, key); err != nil {
		c.t.Error(err)
	}
}

// seeds returns a source of chance, of which a failure tells the seed.
func seeds(t testing.TB) *rand.Rand {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// randomRule returns a rule with limits below, at and above what is remembered one by
// one.
func randomRule(random *rand.Rand) store.Rule {
	limits := []int64{1, 2, 3, 4, 5, 10, 30, 59, 60, 61, 64, 65, 100, 1000, 1_000_000, 1_000_000_000}
	windows := []time.Duration{time.Millisecond, 77777 * time.Microsecond, time.Second, time.Minute, 15 * time.Minute, time.Hour, 24 * time.Hour}
	r := store.Rule{
		Algorithm: store.Algorithm(random.IntN(3)),
		Limit:     limits[random.IntN(len(limits))],
		Window:    windows[random.IntN(len(windows))],
	}
	if r.Algorithm == store.TokenBucket {
		r.Burst = 1 + random.Int64N(2*r.Limit)
	}
	return r
}

// asModel wants what the model answers: chosen schedules, so that what is right once stays
// right, and one by chance.
func asModel(t *testing.T, c *caller) {
	for seed := range uint64(40) {
		Schedule(t, c.s, c.at, seed, 300)
	}
	Schedule(t, c.s, c.at, rand.Uint64(), 1000)
}

// spent is a spending in a log.
type spent struct {
	at time.Time
	n  int64
}

// sum is what a log holds from since on.
func sum(log []spent, since time.Time) (n int64) {
	for _, s := range log {
		if !s.at.Before(since) {
			n += s.n
		}
	}
	return n
}

// pace is a random time between two calls, mostly so that a limit is reached.
func pace(random *rand.Rand, r store.Rule) time.Duration {
	d := time.Duration(random.Int64N(int64(2*r.Window)/min(r.Limit, 40) + 1)).Truncate(time.Microsecond)
	switch random.IntN(20) {
	case 0:
		return r.Window.Truncate(time.Microsecond)
	case 1:
		return max(0, r.Window-d)
	}
	return d
}

// neverMore holds what was spent against the promises of the algorithms.
func neverMore(t *testing.T, c *caller) {
	random := seeds(t)
	for i := range 30 {
		c.begin()
		r, key := randomRule(random), fmt.Sprint(i)
		var log []spent
		for range 300 {
			c.sleep(pace(random, r))
			take := store.Take{Name: "more", Key: key, Rule: r, Cost: 1 + random.Int64N(max(1, r.Size()/10)), Least: int64(random.IntN(2))}
			if random.IntN(3) == 0 && r.Algorithm == store.SlidingWindow {
				take.Ahead = pace(random, r)
			}
			take = c.ask(take)[0]
			if take.Granted == 0 {
				continue
			}
			log = append(log, spent{c.now.Add(take.Ahead), take.Granted})
			if got, most := worst(log, r); got > most {
				t.Fatalf("%+v: %d were spent where %d may be", r, got, most)
			}
		}
	}
}

// worst returns the most that was spent within a Window that ends with the latest
// spending, and what the algorithm promises.
func worst(log []spent, r store.Rule) (got, most int64) {
	last := slices.MaxFunc(log, func(a, b spent) int { return a.at.Compare(b.at) }).at
	got = sum(log, last.Add(time.Microsecond-r.Window))
	switch r.Algorithm {
	case store.FixedWindow:
		return got, 2 * r.Limit
	case store.TokenBucket:
		return got, r.Burst + r.Limit
	}
	return got, r.Limit
}

// fitsIsAdmitted wants that nobody waits for more than a step.
func fitsIsAdmitted(t *testing.T, c *caller) {
	random := seeds(t)
	for i := range 30 {
		c.begin()
		r, key := randomRule(random), fmt.Sprint(i)
		r.Algorithm, r.Burst = store.SlidingWindow, 0
		step := time.Duration(0)
		if r.Limit > store.Steps {
			step = r.Window / store.Steps
		}
		var log []spent
		for range 300 {
			c.sleep(pace(random, r))
			cost := 1 + random.Int64N(max(1, r.Limit/10))
			fits := sum(log, c.now.Add(time.Microsecond-r.Window-step))+cost <= r.Limit
			take := c.spend("fits", key, r, cost)
			if fits && !take.Fits {
				t.Fatalf("%+v: %d fit, and are refused for %v", r, cost, take.Wait)
			}
			if take.Fits {
				log = append(log, spent{c.now, cost})
			}
		}
	}
}

// refusedChangesNothing lets two callers do the same, of whom one asks in vain all the
// time.
func refusedChangesNothing(t *testing.T, c *caller) {
	random := seeds(t)
	for i := range 20 {
		c.begin()
		r := randomRule(random)
		calm, eager := fmt.Sprint("calm", i), fmt.Sprint("eager", i)
		for range 100 {
			c.sleep(pace(random, r))
			hammer(c, random, eager, r)
			cost := 1 + random.Int64N(r.Size())
			want, got := c.spend("refused", calm, r, cost), c.spend("refused", eager, r, cost)
			got.Key = calm
			if got != want {
				t.Fatalf("after refusals: %+v\nwithout:        %+v", got, want)
			}
		}
	}
}

// hammer asks for more than is left, by itself or for what fits beside what does not.
func hammer(c *caller, random *rand.Rand, key string, r store.Rule) {
	full := store.Take{Name: "full", Key: "full", Rule: store.Rule{Limit: 1, Window: time.Hour}, Cost: 1}
	charge := full
	charge.Action = store.Charge
	c.ask(charge)
	for range random.IntN(4) {
		fits := store.Take{Name: "refused", Key: key, Rule: r, Cost: 1 + random.Int64N(r.Size())}
		if takes := c.ask(fits, full); takes[1].Fits {
			c.t.Fatal("a full limit has room")
		}
		if left := c.look("refused", key, r); left < r.Size() {
			if take := c.spend("refused", key, r, left+1); take.Fits {
				c.t.Fatalf("%d were left, and one more fits", left)
			}
		}
	}
}

// admittedAfterWait asks again and again, also a moment before Wait is over, and then.
func admittedAfterWait(t *testing.T, c *caller) {
	random := seeds(t)
	for i := range 60 {
		c.begin()
		r, key := randomRule(random), fmt.Sprint(i)
		for range 200 {
			c.sleep(pace(random, r) / 4)
			take := c.spend("wait", key, r, 1+random.Int64N(max(1, r.Size()/3)))
			if take.Fits {
				continue
			}
			begun := c.now
			for range 3 {
				if left := take.Wait - c.now.Sub(begun); left > 10 {
					c.sleep(time.Duration(random.Int64N(int64(left))).Truncate(time.Microsecond))
					stillWaits(t, c, take, begun)
				}
			}
			c.sleep(begun.Add(take.Wait - time.Microsecond).Sub(c.now))
			stillWaits(t, c, take, begun)
			c.sleep(time.Microsecond)
			if again := c.spend("wait", key, r, take.Cost); !again.Fits {
				t.Fatalf("%+v: after %v it is still refused, for %v", r, take.Wait, again.Wait)
			}
			break
		}
	}
}

// stillWaits wants that a take is refused as long as was said at the beginning. A
// bucket is a float, which may round up to a whole in the last microseconds.
func stillWaits(t *testing.T, c *caller, take store.Take, begun time.Time) {
	t.Helper()
	again := c.ask(store.Take{Name: take.Name, Key: take.Key, Rule: take.Rule, Cost: take.Cost, Action: store.Look})[0]
	slack := time.Duration(0)
	if take.Rule.Algorithm == store.TokenBucket {
		slack = 2*time.Microsecond + time.Duration(2e-6*float64(take.Rule.Window)/float64(take.Rule.Limit))
	}
	left := take.Wait - c.now.Sub(begun)
	if left > slack && again.Fits {
		t.Fatalf("%+v: it fits %v before Wait is over", take.Rule, left)
	}
	if diff := (again.Wait - left).Abs(); !again.Fits && diff > slack {
		t.Fatalf("%+v: Wait was %v, and is %v, %v later", take.Rule, take.Wait, again.Wait, c.now.Sub(begun))
	}
}

// each lets callers ask at once, 25 times each, and returns how many calls were
// admitted.
func each(callers int, ask func(i int) bool) int64 {
	var admitted atomic.Int64
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			for range 25 {
				if ask(i) {
					admitted.Add(1)
				}
			}
		})
	}
	wg.Wait()
	return admitted.Load()
}

// callersAtOnce wants exactly the limit to be admitted.
func callersAtOnce(t *testing.T, c *caller) {
	for _, r := range []store.Rule{
		{Algorithm: store.SlidingWindow, Limit: 50, Window: time.Hour},
		{Algorithm: store.SlidingWindow, Limit: 100, Window: time.Hour},
		{Algorithm: store.FixedWindow, Limit: 100, Window: time.Hour},
		{Algorithm: store.TokenBucket, Limit: 10, Burst: 100, Window: time.Hour},
	} {
		got := each(8, func(int) bool { return c.spend(fmt.Sprint("at once", r), "key", r, 1).Fits })
		if got != r.Size() {
			t.Errorf("%+v: %d are admitted", r, got)
		}
	}
}

// limitsAtOnce lets callers ask the same limits in different orders, of which one is
// full first. What it refuses costs nothing elsewhere.
func limitsAtOnce(t *testing.T, c *caller) {
	rule := func(limit int64) store.Rule { return store.Rule{Limit: limit, Window: time.Hour} }
	got := each(8, func(i int) bool {
		var takes []store.Take
		for n := range 5 {
			takes = append(takes, store.Take{Name: "together", Key: fmt.Sprint(n), Rule: rule(int64(50 + 10*n)), Cost: 1})
		}
		rand.New(rand.NewPCG(uint64(i), 0)).Shuffle(len(takes), func(a, b int) { takes[a], takes[b] = takes[b], takes[a] })
		return store.Refuser(c.ask(takes...)) == nil
	})
	if got != 50 {
		t.Errorf("%d calls are admitted", got)
	}
	for n := range 5 {
		if left := c.look("together", fmt.Sprint(n), rule(int64(50+10*n))); left != int64(10*n) {
			t.Errorf("limit %d has %d left", n, left)
		}
	}
}

func keysAreSeparate(t *testing.T, c *caller) {
	r := store.Rule{Limit: 1, Window: time.Hour}
	for _, name := range []string{"a", "aa", "a-b"} {
		for _, key := range []string{"", "a", "aa", ":", "a:b", "b:", "{a}", "{", "}", "\r\n", "\x00", "\xff", "é", string(make([]byte, 5000))} {
			if !c.spend(name, key, r, 1).Fits {
				t.Errorf("%q of %q was spent already", key, name)
			}
			if c.spend(name, key, r, 1).Fits {
				t.Errorf("%q of %q was not counted", key, name)
			}
		}
	}
}

// keysAreViews overwrites what a store was told.
func keysAreViews(t *testing.T, c *caller) {
	r := store.Rule{Limit: 1, Window: time.Hour}
	name, key := []byte("name one"), []byte("key one")
	c.spend(unsafe.String(&name[0], len(name)), unsafe.String(&key[0], len(key)), r, 1)
	copy(name, "name two")
	copy(key, "key two")
	for _, of := range [][2]string{{"name one", "key one"}, {"name two", "key two"}} {
		want := int64(0)
		if of[0] == "name two" {
			want = 1
		}
		if left := c.look(of[0], of[1], r); left != want {
			t.Errorf("%v: %d are left", of, left)
		}
	}
}

// longWindow is a month, which a store has to tell apart to the microsecond.
func longWindow(t *testing.T, c *caller) {
	const month = 31 * 24 * time.Hour
	for algorithm := range store.TokenBucket + 1 {
		r := store.Rule{Algorithm: algorithm, Limit: 5, Window: month, Burst: 5}
		for range r.Limit {
			if !c.spend("month", "key", r, 1).Fits {
				t.Errorf("%+v: refused below the limit", r)
			}
			c.sleep(time.Microsecond)
		}
		take := c.spend("month", "key", r, 5)
		c.sleep(take.Wait - time.Microsecond)
		if c.look("month", "key", r) == 5 && algorithm != store.TokenBucket {
			t.Errorf("%+v: all is left before %v are over", r, take.Wait)
		}
		c.sleep(time.Microsecond)
		if left := c.look("month", "key", r); take.Fits || left != 5 {
			t.Errorf("%+v: %d left after %v", r, left, take.Wait)
		}
		c.forget("month", "key")
	}
}

func forget(t *testing.T, c *caller) {
	for algorithm := range store.TokenBucket + 1 {
		r := store.Rule{Algorithm: algorithm, Limit: 20, Window: time.Hour, Burst: 20}
		for _, key := range []string{"one", "two"} {
			for range r.Limit {
				c.sleep(time.Millisecond)
				c.spend("forget", key, r, 1)
			}
		}
		c.forget("forget", "one")
		c.forget("forget", "nobody")
		if one, two := c.look("forget", "one", r), c.look("forget", "two", r); one != 20 || two != 0 {
			t.Errorf("%+v: %d and %d are left", r, one, two)
		}
		c.forget("forget", "two")
	}
}

// manyCharges goes far beyond the limit.
func manyCharges(t *testing.T, c *caller) {
	for algorithm := range store.TokenBucket + 1 {
		r := store.Rule{Algorithm: algorithm, Limit: 1_000_000_000, Window: time.Minute, Burst: 1_000_000_000}
		for range 100 {
			c.ask(store.Take{Name: "charges", Key: "key", Rule: r, Cost: r.Limit, Action: store.Charge})
		}
		take := c.spend("charges", "key", r, 1)
		if take.Fits || take.Left != 0 || take.Wait <= 0 {
			t.Errorf("after many charges: %+v", take)
		}
		c.sleep(take.Wait)
		if take = c.spend("charges", "key", r, 1); !take.Fits {
			t.Errorf("after %v: %+v", take.Wait, take)
		}
		c.forget("charges", "key")
	}
}
