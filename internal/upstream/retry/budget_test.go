package retry

import (
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestBudgetTakesItsShare(t *testing.T) {
	b := NewBudget(0.2, 0, 10*time.Second)
	now := b.start
	if b.Take(now) {
		t.Error("a retry without requests")
	}
	for range 4 {
		b.Request(now)
	}
	if b.Take(now) {
		t.Error("a retry for four requests")
	}
	b.Request(now)
	if n := b.Left(now); n != 1 {
		t.Errorf("%d left", n)
	}
	if !b.Take(now) || b.Take(now) {
		t.Error("five requests are not one retry")
	}
}

func TestBudgetCreditEnds(t *testing.T) {
	for _, c := range []struct {
		after time.Duration
		left  int
	}{{0, 10}, {9 * time.Second, 10}, {10 * time.Second, 10}, {11 * time.Second, 0}, {17 * time.Second, 0}, {time.Hour, 0}} {
		b := NewBudget(0.1, 0, 10*time.Second)
		for range 100 {
			b.Request(b.start)
		}
		if n := b.Left(b.start.Add(c.after)); n != c.left {
			t.Errorf("after %v %d left, want %d", c.after, n, c.left)
		}
	}
}

// A steady stream gets its whole share, not what is left of it behind the counting.
func TestBudgetSteadyShare(t *testing.T) {
	b := NewBudget(0.2, 0, 10*time.Second)
	taken, end := 0, 100*time.Second
	for at := time.Duration(0); at < end; at += 10 * time.Millisecond {
		b.Request(b.start.Add(at))
		if b.Take(b.start.Add(at)) {
			taken++
		}
	}
	if taken < 1990 || taken > 2000 {
		t.Errorf("%d retries for 10000 requests", taken)
	}
}

func TestBudgetFloor(t *testing.T) {
	take := func(b *Budget, at time.Duration) (n int) {
		for b.Take(b.start.Add(at)) {
			n++
		}
		return n
	}
	b := NewBudget(0, 3, 10*time.Second)
	for i, want := range []int{3, 3, 3} {
		if n := take(b, time.Duration(i)*time.Second); n != want {
			t.Errorf("second %d: %d retries at once", i, n)
		}
	}
	if n := take(b, time.Minute); n != 3 {
		t.Errorf("%d retries at once after a pause", n)
	}
	slow := NewBudget(0, 0.1, 10*time.Second)
	for i, want := range []int{1, 0, 1, 0, 1} {
		if n := take(slow, time.Duration(i)*6*time.Second); n != want {
			t.Errorf("%d retries at %d s", n, i*6)
		}
	}
}

func TestBudgetOfNothing(t *testing.T) {
	for _, b := range []*Budget{
		NewBudget(0, 0, 10*time.Second), NewBudget(-1, -1, -1), NewBudget(math.NaN(), math.NaN(), 0),
	} {
		for range 1000 {
			b.Request(b.start)
			if b.Take(b.start) || b.Left(b.start) != 0 {
				t.Fatal("a retry")
			}
		}
	}
	if b := NewBudget(math.Inf(1), math.Inf(1), math.MaxInt64); !b.Take(b.start) || b.Left(b.start) <= 0 {
		t.Error("no retry without bounds")
	}
}

// Whoever says an earlier time than others neither gets credit back nor loses that of others.
func TestBudgetLateCallers(t *testing.T) {
	b := NewBudget(0.5, 0, 10*time.Second)
	late, now := b.start.Add(time.Second), b.start.Add(17*time.Second) // the same place in the ring
	for range 4 {
		b.Request(now)
	}
	b.Request(late)
	if !b.Take(now) || !b.Take(late) || b.Take(late) || b.Take(now) {
		t.Error("four requests are not two retries")
	}
}

// model is the same promise with plain lists: every request and retry with its time.
type model struct {
	share, floor        float64
	window              time.Duration
	requests            []time.Duration
	fromShare, fromRest []time.Duration
	tokens              float64
	last                time.Duration
}

func within(list []time.Duration, from, to time.Duration) (n float64) {
	for _, at := range list {
		if at >= from && at <= to {
			n++
		}
	}
	return n
}

func (m *model) take(at time.Duration) bool {
	width := m.window / 10
	from := at/width*width - m.window
	m.tokens = min(max(1, m.floor), m.tokens+m.floor*(at-m.last).Seconds())
	m.last = at
	share := m.share*within(m.requests, from, at) - within(m.fromShare, from, at)
	if share+1e-9 >= 1 {
		m.fromShare = append(m.fromShare, at)
		return true
	}
	rest := max(1, m.floor*m.window.Seconds()) - within(m.fromRest, from, at) + min(0, share)
	if m.floor > 0 && m.tokens+1e-9 >= 1 && rest+1e-9 >= 1 {
		m.fromRest = append(m.fromRest, at)
		m.tokens--
		return true
	}
	return false
}

// bound is the documented one.
func (m *model) bound(at time.Duration) float64 {
	floor := 0.0
	if m.floor > 0 {
		floor = max(1, m.floor*m.window.Seconds())
	}
	return m.share*within(m.requests, at-m.window-m.window/10, at) + floor
}

func TestBudgetLikeModel(t *testing.T) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 1))
		m := &model{share: float64(r.IntN(6)) / 10, floor: []float64{0, 0, 0.05, 0.3, 1, 7.5}[r.IntN(6)],
			window: []time.Duration{time.Second, 5 * time.Second, 10 * time.Second, time.Minute}[r.IntN(4)]}
		m.tokens = max(1, m.floor)
		b := NewBudget(m.share, m.floor, m.window)
		for at, step := time.Duration(0), 0; step < 1500; step++ {
			at += pause(r, m.window)
			now := b.start.Add(at)
			if r.IntN(3) > 0 {
				b.Request(now)
				m.requests = append(m.requests, at)
				continue
			}
			left, want, got := b.Left(now), m.take(at), b.Take(now)
			if got != want || got != (left > 0) {
				t.Fatalf("seed %d step %d at %v: got %v, %d left, want %v (share %v floor %v window %v)",
					seed, step, at, got, left, want, m.share, m.floor, m.window)
			}
			all := within(m.fromShare, at-m.window, at) + within(m.fromRest, at-m.window, at)
			if got && all > m.bound(at)+1e-6 {
				t.Fatalf("seed %d step %d: %v retries in a window, bound %v", seed, step, all, m.bound(at))
			}
		}
	}
}

// pause makes bursts, streams, and now and then a silence.
func pause(r *rand.Rand, window time.Duration) time.Duration {
	switch n := r.IntN(100); {
	case n < 60:
		return 0
	case n < 98:
		return time.Duration(r.Int64N(int64(window) / 20))
	default:
		return time.Duration(r.Int64N(3 * int64(window)))
	}
}

func TestBudgetInParallel(t *testing.T) {
	const callers, each = 8, 2000
	b := NewBudget(0.25, 2, 10*time.Second)
	var taken atomic.Int64
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			for i := range each {
				now := b.start.Add(time.Duration(i) * time.Millisecond) // within one window
				b.Request(now)
				if b.Take(now) {
					taken.Add(1)
				}
			}
		})
	}
	all.Wait()
	end := b.start.Add(each * time.Millisecond)
	for b.Take(end) {
		taken.Add(1)
	}
	const share = callers * each / 4
	if n := taken.Load(); n < share || n > share+2*(1+3) {
		t.Errorf("%d retries for %d requests", n, callers*each)
	}
}

// Requests that meet at the turn of a bucket are all counted.
func TestBudgetTurnLosesNothing(t *testing.T) {
	b := NewBudget(1, 0, time.Second)
	for turn := range 200 {
		now := b.start.Add(time.Duration(turn) * 2 * time.Second)
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				for range 25 {
					b.Request(now)
				}
			})
		}
		all.Wait()
		if n := b.Left(now); n != 100 {
			t.Fatalf("turn %d: %d of 100 counted", turn, n)
		}
	}
}

func TestBudgetAllocatesNothing(t *testing.T) {
	if raceDetector {
		t.Skip("not with the race detector")
	}
	b := NewBudget(0.2, 1, 10*time.Second)
	now := time.Now()
	if n := testing.AllocsPerRun(1000, func() { b.Request(now); b.Take(now); b.Left(now) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkRequest(b *testing.B) {
	budget, now := NewBudget(0.2, 1, 10*time.Second), time.Now()
	for b.Loop() {
		budget.Request(now)
	}
}

func BenchmarkRequestParallel(b *testing.B) {
	budget, now := NewBudget(0.2, 1, 10*time.Second), time.Now()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			budget.Request(now)
		}
	})
}

func BenchmarkTakeRefused(b *testing.B) {
	budget, now := NewBudget(0.2, 0, 10*time.Second), time.Now()
	for b.Loop() {
		budget.Take(now)
	}
}
