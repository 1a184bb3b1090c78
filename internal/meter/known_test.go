package meter

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

func TestKnown(t *testing.T) {
	k, ids, now := newKnown(), someIDs(2), time.Now()
	noted(k, ids[0], 2, 10, now, time.Second)
	for _, c := range []struct {
		what        string
		id          id
		cost, limit int64
		after       time.Duration
		want        time.Duration // 0 when it is not known
	}{
		{"the same", ids[0], 2, 10, 0, time.Second},
		{"more", ids[0], 3, 10, 0, time.Second},
		{"less may fit", ids[0], 1, 10, 0, 0},
		{"a lower limit", ids[0], 2, 9, 0, time.Second},
		{"a higher limit may hold it", ids[0], 2, 11, 0, 0},
		{"later", ids[0], 2, 10, time.Second - 1, 1},
		{"it ended", ids[0], 2, 10, time.Second, 0},
		{"somebody else", ids[1], 2, 10, 0, 0},
		{"nearly the same id", id{ids[0].a, ids[0].b ^ 1<<60}, 2, 10, 0, 0},
		{"nearly the same id", id{ids[0].a ^ 1, ids[0].b}, 2, 10, 0, 0},
	} {
		wait, ok := exceeds(k, c.id, c.cost, c.limit, now.Add(c.after))
		if wait != c.want || ok != (c.want != 0) {
			t.Errorf("%s: %v %v, want %v", c.what, wait, ok, c.want)
		}
	}
}

// What is noted last holds, unless it says less than what is known already.
func TestKnownIsNotedAgain(t *testing.T) {
	type note struct {
		cost, limit int64
		until       time.Duration
	}
	now := time.Now()
	for _, c := range []struct {
		first, second note
		want          note
	}{
		{note{1, 10, 5}, note{1, 10, 9}, note{1, 10, 9}},
		{note{1, 10, 9}, note{1, 10, 5}, note{1, 10, 5}},  // it became less
		{note{1, 10, 9}, note{2, 10, 5}, note{1, 10, 9}},  // nothing new
		{note{1, 10, 9}, note{1, 8, 9}, note{1, 10, 9}},   // nothing new
		{note{2, 10, 9}, note{1, 10, 5}, note{1, 10, 5}},  // less does not fit either
		{note{1, 10, -9}, note{2, 10, 5}, note{2, 10, 5}}, // the first has ended
	} {
		k, id := newKnown(), someIDs(1)[0]
		noted(k, id, c.first.cost, c.first.limit, now, c.first.until)
		noted(k, id, c.second.cost, c.second.limit, now, c.second.until)
		wait, ok := exceeds(k, id, c.want.cost, c.want.limit, now)
		if !ok || wait != c.want.until {
			t.Errorf("after %v and %v: %v %v", c.first, c.second, wait, ok)
		}
		if _, ok := exceeds(k, id, c.want.cost-1, c.want.limit, now); ok {
			t.Errorf("after %v and %v less is known", c.first, c.second)
		}
		if _, ok := exceeds(k, id, c.want.cost, c.want.limit+1, now); ok {
			t.Errorf("after %v and %v a higher limit is known", c.first, c.second)
		}
	}
}

func TestKnownIsForgotten(t *testing.T) {
	k, ids, now := newKnown(), someIDs(100), time.Now()
	is := func() (n int) {
		for _, id := range ids {
			if _, ok := exceeds(k, id, 1, 1, now); ok {
				n++
			}
		}
		return n
	}
	for _, id := range ids {
		noted(k, id, 1, 1, now, time.Hour)
	}
	if is() != 100 {
		t.Fatalf("%d of 100 are known", is())
	}
	k.forget(ids[0])
	k.forget(ids[0])
	if _, ok := exceeds(k, ids[0], 1, 1, now); ok || is() != 99 {
		t.Errorf("one was forgotten, %d are known", is())
	}
	k.forgetAll()
	if is() != 0 {
		t.Errorf("all were forgotten, %d are known", is())
	}
	if _, ok := exceeds(k, id{}, 1, 1, now.Add(-time.Hour)); ok {
		t.Error("an empty place says something")
	}
}

// When a set is full, what ends first goes.
func TestKnownKeepsWhatEndsLast(t *testing.T) {
	k, now := newKnown(), time.Now()
	at := func(i int) id { return id{uint64(i), 7} } // all of one set
	for i, minutes := range []time.Duration{3, 1, 4, 2, 1, 5} {
		noted(k, at(i+1), 1, 1, now, minutes*time.Millisecond)
	}
	for i, want := range []bool{true, false, true, false, false, true} {
		if i == 3 {
			continue // the one of 2 minutes or that of 1 that came after it
		}
		if _, ok := exceeds(k, at(i+1), 1, 1, now); ok != want {
			t.Errorf("%d is known: %v", i, ok)
		}
	}
}

// Whoever reads while others write gets an entry as it was written, or none.
func TestKnownIsNeverTorn(t *testing.T) {
	k, now := newKnown(), time.Now()
	at := func(i int64) id { return id{uint64(i), 7} }
	noted(k, at(1), 1, 100, now, time.Hour)
	k.set(at(1)).version.Add(1)
	if _, ok := exceeds(k, at(1), 1, 100, now); ok {
		t.Error("it is known while it is being written")
	}
	k.set(at(1)).version.Add(1)
	var writers, readers sync.WaitGroup
	done := make(chan struct{})
	rounds := 100_000
	if raceDetector { // which sees in each round what else only chance shows
		rounds = 10_000
	}
	for range 2 {
		writers.Go(func() {
			for range rounds {
				i := 1 + rand.Int64N(8)
				noted(k, at(i), 1, 100, now, time.Duration(i)*time.Hour)
			}
		})
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				i := 1 + rand.Int64N(8)
				if wait, ok := exceeds(k, at(i), 1, 100, now); ok && wait != time.Duration(i)*time.Hour {
					t.Errorf("%d has to wait %v", i, wait)
				}
			}
		})
	}
	writers.Wait()
	close(done)
	readers.Wait()
}

func TestKnownAllocatesNothing(t *testing.T) {
	k, id, now := newKnown(), someIDs(1)[0], time.Now()
	allocates(t, func() {
		noted(k, id, 1, 1, now, time.Hour)
		exceeds(k, id, 1, 1, now)
		k.forget(id)
	})
}

func BenchmarkKnown(b *testing.B) {
	k, ids, now := newKnown(), someIDs(8192), time.Now()
	for _, id := range ids[:4096] {
		noted(k, id, 1, 1, now, time.Hour)
	}
	ask := func(ids []id) func(*testing.B) {
		return func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				exceeds(k, ids[i%4096], 1, 1, now)
			}
		}
	}
	b.Run("not exceeded", ask(ids[4096:]))
	b.Run("exceeded", ask(ids[:4096]))
	b.Run("parallel, of one caller", func(b *testing.B) {
		b.RunParallel(func(p *testing.PB) {
			for p.Next() {
				exceeds(k, ids[0], 1, 1, now)
			}
		})
	})
	b.Run("note", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			noted(k, ids[i%4096], 1, 1, now, 0)
		}
	})
}

// noted notes that cost does not fit into a sliding window's limit for so long.
func noted(k *known, id id, cost, limit int64, now time.Time, wait time.Duration) {
	k.note(id, refusal{cost: cost, limit: limit, size: limit, until: now.Add(wait), more: now.Add(wait)}, now)
}

func exceeds(k *known, id id, cost, limit int64, now time.Time) (wait time.Duration, ok bool) {
	_, _, wait, ok = k.exceeded(id, cost, limit, limit, now)
	return wait, ok
}
