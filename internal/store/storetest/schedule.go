package storetest

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"yett/internal/store"
)

// Schedule asks a store and a Model the same for a number of steps, and ends the test
// where they differ. The same seed gives the same schedule; schedules of different seeds
// may share a store. at is as for Takes.
func Schedule(t testing.TB, s store.Store, at func(now time.Time), seed uint64, steps int) {
	t.Helper()
	sc := &schedule{
		caller: newCaller(t, s, at), model: NewModel(),
		seed: seed, random: rand.New(rand.NewPCG(seed, 1)),
	}
	for range 1 + sc.random.IntN(3) {
		sc.rules = append(sc.rules, randomRule(sc.random))
	}
	for sc.step = range steps {
		switch sc.random.IntN(50) {
		case 0:
			sc.change(sc.random.IntN(len(sc.rules)))
		case 1:
			sc.forgetBoth(sc.random.IntN(len(sc.rules)), sc.key())
		default:
			sc.sleep(sc.pause())
			sc.compare(sc.call())
		}
	}
}

// schedule is a few limits, whose rules change, with a few keys each.
type schedule struct {
	*caller
	model  *Model
	seed   uint64
	step   int
	random *rand.Rand
	rules  []store.Rule
	last   store.Take
}

const keys = 3

func (s *schedule) name(limit int) string { return fmt.Sprintf("schedule-%d-%d", s.seed, limit) }

func (s *schedule) key() string { return fmt.Sprint(s.random.IntN(keys)) }

// compare asks both, and wants the same answers.
func (s *schedule) compare(takes []store.Take) {
	s.t.Helper()
	want := make([]store.Take, len(takes))
	copy(want, takes)
	s.model.Take(s.now, want)
	got := s.ask(takes...)
	for i := range want {
		if got[i] != want[i] {
			s.t.Fatalf("seed %d, step %d, take %d of %d:\n got %+v\nwant %+v", s.seed, s.step, i+1, len(takes), got[i], want[i])
		}
	}
	if len(want) > 0 {
		s.last = want[s.random.IntN(len(want))]
	}
}

// pause is how far the clock jumps: often not at all, or just to where something ends,
// sometimes back.
func (s *schedule) pause() time.Duration {
	r := s.rules[s.random.IntN(len(s.rules))]
	micro := func(most time.Duration) time.Duration {
		return time.Duration(s.random.Int64N(int64(most)/1000+1)) * time.Microsecond
	}
	ends := s.last.More
	if s.random.IntN(2) == 0 {
		ends = s.last.Wait
	}
	if ends < 0 || ends > 100*24*time.Hour {
		ends = 0
	}
	switch n := s.random.IntN(100); {
	case n < 30:
		return 0
	case n < 50:
		return micro(r.Window / 60)
	case n < 70:
		return micro(r.Window / 5)
	case n < 80:
		return ends
	case n < 85:
		return max(0, ends-time.Microsecond)
	case n < 92:
		return -micro(min(r.Window, 50*time.Millisecond))
	case n < 98:
		return micro(r.Window)
	}
	return micro(3 * r.Window)
}

// call is one take, or several, of which some may be about the same.
func (s *schedule) call() []store.Take {
	n := 1
	switch s.random.IntN(10) {
	case 0, 1, 2, 3:
		n = 1 + s.random.IntN(4)
	case 4:
		n = s.random.IntN(17)
	}
	takes := make([]store.Take, n)
	for i := range takes {
		takes[i] = s.take()
	}
	return takes
}

func (s *schedule) take() store.Take {
	limit := s.random.IntN(len(s.rules))
	r := s.rules[limit]
	t := store.Take{
		Name: s.name(limit), Key: s.key(), Rule: r,
		Action: []store.Action{store.Spend, store.Spend, store.Spend, store.Spend, store.Look, store.Charge, store.Return}[s.random.IntN(7)],
		Cost:   1, Soft: s.random.IntN(5) == 0,
		Fits: true, Granted: 1, Left: 1, More: 1, Wait: 1, // which is overwritten
	}
	switch s.random.IntN(10) {
	case 0:
		t.Cost = r.Size()
	case 1, 2:
		t.Cost = 1 + s.random.Int64N(r.Size())
	case 3, 4, 5:
		t.Cost = 1 + s.random.Int64N(max(1, r.Size()/8))
	}
	if s.random.IntN(6) == 0 {
		t.Least = 1 + s.random.Int64N(t.Cost)
	}
	if s.random.IntN(6) == 0 {
		t.Ahead = time.Duration(s.random.Int64N(int64(r.Window)/2000+1)) * time.Microsecond
	}
	return t
}

// forgetBoth forgets in the store and in the model.
func (s *schedule) forgetBoth(limit int, key string) {
	s.t.Helper()
	s.model.Forget(s.name(limit), key)
	s.forget(s.name(limit), key)
}

// change changes the rule of a limit: what is counted goes on, by the new rule. What
// had ended by the old one may be there still or not, and so may later be what will
// end by the old one when the new one is not used; that is left out.
func (s *schedule) change(limit int) {
	s.t.Helper()
	old, name := s.rules[limit], s.name(limit)
	r := randomRule(s.random)
	if s.random.IntN(2) == 0 { // only numbers
		r.Algorithm, r.Burst = old.Algorithm, old.Burst
	}
	if s.random.IntN(2) == 0 {
		r.Window = old.Window
	}
	if r.Algorithm == store.TokenBucket && r.Burst == 0 {
		r.Burst = 1 + s.random.Int64N(r.Limit)
	}
	back := s.random.IntN(4) == 0
	for k := range keys {
		key := fmt.Sprint(k)
		if s.model.Ended(s.now, name, key) {
			s.forgetBoth(limit, key)
		}
		take := store.Take{Name: name, Key: key, Rule: r, Action: store.Look, Cost: 1}
		s.compare([]store.Take{take})
		if !back {
			take.Action = store.Charge
			s.compare([]store.Take{take})
		}
	}
	if !back {
		s.rules[limit] = r
	}
}
