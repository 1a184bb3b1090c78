package latency

import (
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"
)

// off tells by which share of want got is off.
func off(got, want time.Duration) float64 {
	return math.Abs(float64(got)-float64(want)) / float64(want)
}

func TestEachDurationIsToldWithin6Percent(t *testing.T) {
	for d := Shortest; d < Longest; d += max(1, d/97) {
		h := New()
		h.Record(d, h.start)
		if got, n := h.Quantile(0.5, h.start); n != 1 || off(got, d) > 0.06 {
			t.Errorf("%v is taken for %v", d, got)
		}
	}
	if Shortest > time.Microsecond || Longest < 100*time.Second {
		t.Errorf("from %v to %v", Shortest, Longest)
	}
}

func TestDurationsOutside(t *testing.T) {
	for d, want := range map[time.Duration]time.Duration{
		math.MinInt64: Shortest, -1: Shortest, 0: Shortest, 1: Shortest,
		Longest: Longest, time.Hour: Longest, math.MaxInt64: Longest,
	} {
		h := New()
		h.Record(d, h.start)
		if got, n := h.Quantile(1, h.start); n != 1 || off(got, want) > 0.065 {
			t.Errorf("%v is taken for %v", d, got)
		}
	}
}

func TestQuantilesLikeExact(t *testing.T) {
	shapes := map[string]func(*rand.Rand) time.Duration{
		"uniform":     func(r *rand.Rand) time.Duration { return time.Millisecond + time.Duration(r.Int64N(1e8)) },
		"exponential": func(r *rand.Rand) time.Duration { return 2*time.Microsecond + time.Duration(r.ExpFloat64()*3e7) },
		"log-normal":  func(r *rand.Rand) time.Duration { return time.Duration(math.Exp(r.NormFloat64()*2+15)) + 1000 },
		"two humps": func(r *rand.Rand) time.Duration {
			return []time.Duration{5e6, 2e9}[r.IntN(2)] + time.Duration(r.Int64N(1e6))
		},
		"the same": func(*rand.Rand) time.Duration { return 7 * time.Millisecond },
	}
	for name, shape := range shapes {
		for _, size := range []int{1, 2, 3, 10, 101, 20_000} {
			exact(t, name, size, shape)
		}
	}
}

func exact(t *testing.T, name string, size int, shape func(*rand.Rand) time.Duration) {
	r, h := rand.New(rand.NewPCG(uint64(size), 7)), New()
	all := make([]time.Duration, size)
	for i := range all {
		all[i] = shape(r)
		h.Record(all[i], h.start)
	}
	slices.Sort(all)
	for _, q := range []float64{0, 0.001, 0.01, 0.25, 0.5, 0.9, 0.95, 0.99, 0.999, 1} {
		want := all[max(0, int(math.Ceil(q*float64(size)))-1)]
		if got, n := h.Quantile(q, h.start); n != size || off(got, want) > 0.06 {
			t.Errorf("%s, %d of %d: quantile %v is %v, want %v", name, n, size, q, got, want)
		}
	}
}

func TestQuantileOfOddities(t *testing.T) {
	h := New()
	if d, n := h.Quantile(0.5, h.start); d != 0 || n != 0 {
		t.Errorf("of nothing: %v %d", d, n)
	}
	h.Record(time.Millisecond, h.start)
	h.Record(time.Second, h.start)
	for q, want := range map[float64]time.Duration{
		-1: time.Millisecond, math.Inf(-1): time.Millisecond, math.NaN(): time.Millisecond,
		2: time.Second, math.Inf(1): time.Second,
	} {
		if d, _ := h.Quantile(q, h.start); off(d, want) > 0.06 {
			t.Errorf("quantile %v is %v", q, d)
		}
	}
}

func TestWindowsFollowEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := New()
		h.Record(time.Millisecond, time.Now())
		for second, want := range map[int]int{0: 1, 9: 1, 10: 1, 19: 1, 20: 0, 40: 0} {
			if n := h.Count(h.start.Add(time.Duration(second) * time.Second)); n != want {
				t.Errorf("after %d s: %d", second, n)
			}
		}
		for range 60 { // one a second: what is asked for is of 10 to 20 of them
			time.Sleep(time.Second)
			h.Record(time.Millisecond, time.Now())
			h.Record(time.Second, time.Now())
			seconds := int(time.Since(h.start) / time.Second)
			want := 2 * min(seconds, 11+seconds%10)
			if seconds < 20 {
				want = 2*seconds + 1
			}
			if n := h.Count(time.Now()); n != want {
				t.Errorf("at %d s: %d, want %d", seconds, n, want)
			}
		}
		time.Sleep(time.Hour)
		if n := h.Count(time.Now()); n != 0 {
			t.Errorf("%d are left", n)
		}
	})
}

// Whoever notes with an old time neither clears what is new nor counts as new.
func TestLateRecords(t *testing.T) {
	h := New()
	at := func(s int) time.Time { return h.start.Add(time.Duration(s) * time.Second) }
	h.Record(time.Millisecond, at(25))
	h.Record(time.Millisecond, at(15)) // the window before: counts there
	h.Record(time.Millisecond, at(5))
	if n := h.Count(at(25)); n != 2 {
		t.Errorf("%d at 25 s", n)
	}
	if n := h.Count(at(30)); n != 1 {
		t.Errorf("%d at 30 s", n)
	}
}

func TestNothingIsLostInParallel(t *testing.T) {
	const writers, each = 6, 5000
	h := New()
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for i := range each { // all turn the cells at the same moments
				h.Record(time.Duration(i%7+1)*time.Millisecond, h.start.Add(time.Duration(i)*4*time.Millisecond-time.Nanosecond*time.Duration(w)))
			}
		})
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 200 {
			h.Quantile(0.99, h.start.Add(15*time.Second))
		}
	}()
	all.Wait()
	<-done
	if n := h.Count(h.start.Add(each * 4 * time.Millisecond).Add(-time.Second)); n != writers*each {
		t.Errorf("%d of %d", n, writers*each)
	}
}

func TestCached(t *testing.T) {
	h := New()
	c := NewCached(h, 0.5, time.Second)
	h.Record(time.Millisecond, h.start)
	if d, n := c.Get(h.start); n != 1 || off(d, time.Millisecond) > 0.06 {
		t.Errorf("at first %v of %d", d, n)
	}
	h.Record(time.Second, h.start)
	h.Record(time.Second, h.start)
	if _, n := c.Get(h.start.Add(999 * time.Millisecond)); n != 1 {
		t.Errorf("%d before it is due", n)
	}
	if d, n := c.Get(h.start.Add(time.Second)); n != 3 || off(d, time.Second) > 0.06 {
		t.Errorf("when it is due %v of %d", d, n)
	}
}

func TestSizeAndAllocations(t *testing.T) {
	if size := unsafe.Sizeof(Histogram{}); size > 4096 {
		t.Errorf("%d bytes", size)
	}
	if raceDetector {
		t.Skip("not with the race detector")
	}
	h, now := New(), time.Now()
	c := NewCached(h, 0.9, time.Hour)
	c.Get(now)
	if n := testing.AllocsPerRun(100, func() {
		h.Record(time.Millisecond, now)
		h.Quantile(0.5, now)
		c.Get(now)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkRecord(b *testing.B) {
	h, now := New(), time.Now()
	for b.Loop() {
		h.Record(3*time.Millisecond, now)
	}
}

// BenchmarkRecordParallel records durations around 3 ms; the worst case is that all are the same.
func BenchmarkRecordParallel(b *testing.B) {
	for name, spread := range map[string]int64{"spread": 2e6, "same": 1} {
		b.Run(name, func(b *testing.B) {
			h, now := New(), time.Now()
			b.RunParallel(func(pb *testing.PB) {
				var some [256]time.Duration
				for i := range some {
					some[i] = 2*time.Millisecond + time.Duration(rand.Int64N(spread))
				}
				for i := 0; pb.Next(); i++ {
					h.Record(some[i&255], now)
				}
			})
		})
	}
}

func BenchmarkQuantile(b *testing.B) {
	h, now := New(), time.Now()
	h.Record(3*time.Millisecond, now)
	for b.Loop() {
		h.Quantile(0.99, now)
	}
}

func BenchmarkCached(b *testing.B) {
	h, now := New(), time.Now()
	c := NewCached(h, 0.9, time.Hour)
	for b.Loop() {
		c.Get(now)
	}
}
