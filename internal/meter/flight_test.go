package meter

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
)

// inFlight is how many keys take memory.
func (f *flights) inFlight() int {
	n := 0
	for i := range f.shards {
		n += f.shards[i].runs.len()
	}
	return n
}

func TestFlightCountsEachKey(t *testing.T) {
	f, ids := newFlights(), someIDs(2)
	for i, want := range []struct {
		limit int64
		ok    bool
		left  int64
	}{{3, true, 2}, {3, true, 1}, {2, false, 0}, {3, true, 0}, {3, false, 0}, {5, true, 1}, {1, false, 0}} {
		if ok, left := f.enter(ids[0], want.limit); ok != want.ok || left != want.left {
			t.Errorf("%d: got %v with %d left, want %+v", i, ok, left, want)
		}
	}
	if ok, left := f.enter(ids[1], 1); !ok || left != 0 {
		t.Errorf("another key got %v with %d left", ok, left)
	}
	if ok, _ := f.enter(ids[1], 0); ok {
		t.Error("a limit of 0 let one in")
	}
	if n := f.running(ids[0]); n != 4 {
		t.Errorf("%d run", n)
	}
}

// A key that is left more often than entered gets no credit.
func TestFlightNeverBelowZero(t *testing.T) {
	f, id := newFlights(), someIDs(1)[0]
	f.leave(id)
	f.enter(id, 1)
	f.leave(id)
	f.leave(id)
	if ok, left := f.enter(id, 1); !ok || left != 0 {
		t.Errorf("got %v with %d left", ok, left)
	}
}

func TestFlightsLeaveNothingBehind(t *testing.T) {
	f, each := newFlights(), 250_000
	if raceDetector {
		each /= 10 // which is slow
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			var held []id
			for range each {
				id := id{rand.Uint64(), rand.Uint64()}
				if ok, _ := f.enter(id, 1); ok {
					held = append(held, id)
				}
				if len(held) == 100 {
					for _, id := range held {
						f.leave(id)
					}
					held = held[:0]
				}
			}
			for _, id := range held {
				f.leave(id)
			}
		})
	}
	all.Wait()
	if n := f.inFlight(); n != 0 {
		t.Errorf("%d keys are left", n)
	}
	if _, left := f.enter(id{1, 2}, 0); f.inFlight() != 0 || left != 0 {
		t.Error("a refused one is left")
	}
}

// However many come at once, no more than the limit run.
func TestFlightHoldsTheLimit(t *testing.T) {
	const limit = 7
	f, id := newFlights(), someIDs(1)[0]
	var all sync.WaitGroup
	var inside, most atomic.Int64
	for range 16 {
		all.Go(func() {
			for range 5000 {
				if ok, _ := f.enter(id, limit); !ok {
					continue
				}
				for n, m := inside.Add(1), most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
				}
				inside.Add(-1)
				f.leave(id)
			}
		})
	}
	all.Wait()
	if most.Load() > limit || f.running(id) != 0 {
		t.Errorf("%d ran at once, %d still do", most.Load(), f.running(id))
	}
}

func TestFlightAllocatesNothing(t *testing.T) {
	f, ids, i := newFlights(), someIDs(1000), 0
	for _, id := range ids { // a link for each shard
		f.enter(id, 1)
	}
	for _, id := range ids {
		f.leave(id)
	}
	allocates(t, func() {
		id := ids[i%len(ids)]
		i++
		f.enter(id, 1)
		f.leave(id)
	})
}

func BenchmarkFlight(b *testing.B) {
	f, ids := newFlights(), someIDs(4096)
	b.Run("one", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			f.enter(ids[i%len(ids)], 10)
			f.leave(ids[i%len(ids)])
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.RunParallel(func(p *testing.PB) {
			for i := rand.IntN(len(ids)); p.Next(); i++ {
				f.enter(ids[i%len(ids)], 10)
				f.leave(ids[i%len(ids)])
			}
		})
	})
}

// running tells how many requests of id run.
func (f *flights) running(id id) int64 {
	s := &f.shards[id.tableShard()]
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := s.runs.find(id); n != nil {
		return *n
	}
	return 0
}
