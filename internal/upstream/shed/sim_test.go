package shed

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// The simulations run a Limiter before a service of so many workers, in virtual time. Clients
// come whether the service can do with them or not, and wait for a second.

// clientPatience is how long clients wait.
const clientPatience = time.Second

// A law is how service times are distributed, with a mean of 1.
type law struct {
	name string
	draw func(*rand.Rand) float64
}

var laws = []law{
	{"fixed", func(*rand.Rand) float64 { return 1 }},
	{"exponential", func(r *rand.Rand) float64 { return r.ExpFloat64() }},
	{"heavy tail", func(r *rand.Rand) float64 { // Pareto with exponent 1.5, cut at 100
		return min(math.Pow(1-r.Float64(), -1/1.5)/3, 100) / 0.942
	}},
}

// someLaws is laws, or the one that says most where time is dear.
func someLaws() []law {
	if raceDetector || testing.Short() {
		return laws[1:2]
	}
	return laws
}

// simulated is a service. Whom it can't serve at once waits in it, and what has begun goes on when its client has left.
type simulated struct {
	law  law
	mean time.Duration
	n    int // workers
	seed uint64

	mu      sync.Mutex
	workers chan struct{}
	slow    time.Duration
}

func newSimulated(n int, mean time.Duration, l law) *simulated {
	s := &simulated{law: l, mean: mean, n: n}
	s.change(n, mean)
	return s
}

// change gives it other workers.
func (s *simulated) change(n int, mean time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.workers, s.slow = make(chan struct{}, n), mean
}

// serve works for so many times the mean.
func (s *simulated) serve(work float64) {
	s.mu.Lock()
	workers := s.workers
	d := time.Duration(float64(s.slow) * work)
	s.mu.Unlock()
	workers <- struct{}{}
	time.Sleep(d)
	<-workers
}

// capacity is how many it can serve in a second.
func (s *simulated) capacity() float64 { return float64(s.n) / s.mean.Seconds() }

// span is a time that is looked at.
type span struct {
	name     string
	from, to time.Duration

	good, refused int
	took          []time.Duration
	limits        []int64 // at each arrival
}

// goodput is answers in time per second.
func (s *span) goodput() float64 { return float64(s.good) / (s.to - s.from).Seconds() }

// p99 is that of the requests that were accepted.
func (s *span) p99() time.Duration {
	slices.Sort(s.took)
	if len(s.took) == 0 {
		return 0
	}
	return s.took[len(s.took)*99/100]
}

func (s *span) String() string {
	slices.Sort(s.limits)
	return fmt.Sprintf("%s: goodput %.0f/s, p99 %v, refused %d, limit %d to %d", s.name, s.goodput(), s.p99().Round(time.Millisecond), s.refused,
		s.limits[0], s.limits[len(s.limits)-1])
}

// offer sends requests to a service at a rate, for a time that ends a second after the last span. Goroutines that
// wake in the same instant run in any order, so how much work each request is was decided before, and each has a way of
// its own to the service: those that are let in at once don't come at once. So each seed gives the same run.
func offer(l *Limiter, s *simulated, rate float64, spans ...*span) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	rng := rand.New(rand.NewPCG(1, s.seed))
	start := time.Now()
	for at := time.Duration(0); at < spans[len(spans)-1].to+time.Second; at += time.Duration(rng.ExpFloat64() / rate * 1e9) {
		time.Sleep(time.Until(start.Add(at)))
		i := slices.IndexFunc(spans, func(s *span) bool { return s.from <= at && at < s.to })
		if i >= 0 {
			spans[i].limits = append(spans[i].limits, l.limit.Load())
		}
		work, way := s.law.draw(rng), time.Duration(rng.IntN(100_000))
		wg.Go(func() {
			v, took := one(l, s, way, work)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case i < 0:
			case v != Granted:
				spans[i].refused++
			default:
				spans[i].took = append(spans[i].took, took)
				if took <= clientPatience {
					spans[i].good++
				}
			}
		})
	}
	wg.Wait()
}

// one is a client.
func one(l *Limiter, s *simulated, way time.Duration, work float64) (Verdict, time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), clientPatience)
	defer cancel()
	start := time.Now()
	if v := l.Acquire(client{ctx}, false); v != Granted {
		return v, 0
	}
	sent := time.Now()
	time.Sleep(way)
	s.serve(work)
	if took := time.Since(sent); took > clientPatience {
		l.Release(clientPatience, Timeout)
	} else {
		l.Release(took, OK)
	}
	return Granted, time.Since(start)
}

// simulate runs a simulation in a bubble. What is random in it comes from the service's seed.
func simulate(t *testing.T, set Settings, s func() *simulated, f func(*Limiter, *simulated)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l, service := mustNew(t, set), s()
		l.adapt.random = rand.New(rand.NewPCG(2, service.seed)).Float64
		f(l, service)
	})
}

// TestFiveTimesTheLoad is what this package is for.
func TestFiveTimesTheLoad(t *testing.T) {
	limiters := []struct {
		name string
		set  Settings
	}{
		{"fixed limit", Settings{Max: 10, Queue: 100, QueueTime: 500 * time.Millisecond}},
		{"fixed limit, no queue", Settings{Max: 15}},
		{"adaptive limit", Settings{Adaptive: true, Queue: 100, QueueTime: 500 * time.Millisecond}},
		{"adaptive limit, no queue", Settings{Adaptive: true}},
	}
	for _, c := range limiters {
		for _, law := range someLaws() {
			t.Run(c.name+"/"+law.name, func(t *testing.T) {
				t.Parallel()
				at := func(load float64) *span {
					out := &span{name: fmt.Sprintf("%v times the capacity", load), from: 5 * time.Second, to: 17 * time.Second}
					simulate(t, c.set, func() *simulated { return newSimulated(10, 20*time.Millisecond, law) },
						func(l *Limiter, s *simulated) { offer(l, s, load*s.capacity(), out) })
					t.Log(out)
					return out
				}
				peak, over := at(0.95), at(5)
				if over.goodput() < 0.9*peak.goodput() {
					t.Errorf("goodput %.0f/s, %.0f/s at its peak", over.goodput(), peak.goodput())
				}
				if over.p99() > 3*peak.p99() {
					t.Errorf("p99 %v, %v at the peak", over.p99(), peak.p99())
				}
			})
		}
	}
}

// TestWithoutLimiterItCollapses makes sure that the simulation shows what it is about.
func TestWithoutLimiterItCollapses(t *testing.T) {
	out := &span{from: 5 * time.Second, to: 10 * time.Second}
	simulate(t, Settings{}, func() *simulated { return newSimulated(10, 20*time.Millisecond, laws[1]) },
		func(l *Limiter, s *simulated) { offer(l, s, 5*s.capacity(), out) })
	if out.goodput() > 50 {
		t.Errorf("goodput is %.0f/s of 500/s without any limit", out.goodput())
	}
}

// TestCapacityHalvesAndReturns lets the adaptive limit follow.
func TestCapacityHalvesAndReturns(t *testing.T) {
	for _, law := range someLaws() {
		t.Run(law.name, func(t *testing.T) {
			t.Parallel()
			before := &span{name: "before", from: 8 * time.Second, to: 20 * time.Second}
			half := &span{name: "half", from: 26 * time.Second, to: 40 * time.Second}
			after := &span{name: "after", from: 46 * time.Second, to: 60 * time.Second}
			simulate(t, Settings{Adaptive: true, Queue: 100, QueueTime: 500 * time.Millisecond},
				func() *simulated { return newSimulated(20, 40*time.Millisecond, law) },
				func(l *Limiter, s *simulated) {
					time.AfterFunc(20*time.Second, func() { s.change(10, s.mean) })
					time.AfterFunc(40*time.Second, func() { s.change(20, s.mean) })
					offer(l, s, 3*s.capacity(), before, half, after)
				})
			for _, c := range []struct {
				*span
				workers int
			}{{before, 20}, {half, 10}, {after, 20}} {
				t.Log(c)
				c.wants(t, float64(c.workers)/0.040, c.workers)
			}
		})
	}
}

// wants checks that a span has most of what the service can do, with a limit that fits.
func (s *span) wants(t *testing.T, capacity float64, workers int) {
	t.Helper()
	if s.goodput() < 0.85*capacity {
		t.Errorf("%s: goodput %.0f/s of %.0f/s", s.name, s.goodput(), capacity)
	}
	slices.Sort(s.limits)
	if median := s.limits[len(s.limits)/2]; median > int64(5*workers/2) {
		t.Errorf("%s: the limit is %d for %d workers", s.name, median, workers)
	}
}

// TestSlowerForGood makes each answer take twice and four times as long: as many in flight as before are
// right.
func TestSlowerForGood(t *testing.T) {
	for _, times := range []int{2, 4} {
		for _, law := range someLaws() {
			t.Run(fmt.Sprintf("%d times/%s", times, law.name), func(t *testing.T) {
				t.Parallel()
				slower, capacity := slowerForGood(t, times, law, 0)
				slower.wants(t, capacity, 20)
			})
		}
	}
}

// TestLateAnswersOfATail has a service whose answers take so long by themselves that one in a hundred is too
// late. With the first four seeds the limit once stayed at its least, because each of those cut it.
func TestLateAnswersOfATail(t *testing.T) {
	if raceDetector || testing.Short() {
		t.Skip("too slow with the race detector, or -short")
	}
	seeds := []uint64{4, 30, 37, 47, 42, 54}
	var sum float64
	for _, seed := range seeds {
		slower, capacity := slowerForGood(t, 4, laws[2], seed)
		share := slower.goodput() / capacity
		if share < 0.7 {
			t.Errorf("seed %d: goodput is %.2f of the capacity", seed, share)
		}
		sum += share
	}
	if mean := sum / float64(len(seeds)); mean < 0.85 {
		t.Errorf("goodput is %.2f of the capacity in the mean", mean)
	}
}

// slowerForGood makes answers that took 40 ms take some times as long, and returns half
// a minute of that, ten seconds later, and what the service can do then.
func slowerForGood(t *testing.T, times int, law law, seed uint64) (slower *span, capacity float64) {
	t.Helper()
	slower = &span{name: "slower", from: 30 * time.Second, to: 60 * time.Second}
	mean := time.Duration(times) * 40 * time.Millisecond
	simulate(t, Settings{Adaptive: true, Queue: 100, QueueTime: 500 * time.Millisecond},
		func() *simulated {
			s := newSimulated(20, 40*time.Millisecond, law)
			s.seed = seed
			return s
		},
		func(l *Limiter, s *simulated) {
			time.AfterFunc(20*time.Second, func() { s.change(20, mean) })
			offer(l, s, 3*s.capacity(), slower)
		})
	t.Logf("seed %d, %v", seed, slower)
	return slower, 20 / mean.Seconds()
}

// TestLimitDoesNotCreep holds an overload for minutes.
func TestLimitDoesNotCreep(t *testing.T) {
	for _, law := range someLaws() {
		t.Run(law.name, func(t *testing.T) {
			t.Parallel()
			end := &span{name: "end", from: 150 * time.Second, to: 180 * time.Second}
			simulate(t, Settings{Adaptive: true}, func() *simulated { return newSimulated(10, 40*time.Millisecond, law) },
				func(l *Limiter, s *simulated) { offer(l, s, 2*s.capacity(), end) })
			t.Log(end)
			end.wants(t, 10/0.040, 10)
		})
	}
}

// TestBelowTheLimit offers a third of what the service can do: nobody is refused, and nobody waits for
// long.
func TestBelowTheLimit(t *testing.T) {
	for _, law := range someLaws() {
		for _, set := range []Settings{{Max: 40, Queue: 10, QueueTime: 100 * time.Millisecond}, {Adaptive: true, Queue: 10, QueueTime: 100 * time.Millisecond}} {
			t.Run(fmt.Sprintf("%s/%v", law.name, set.Adaptive), func(t *testing.T) {
				t.Parallel()
				out := &span{from: 0, to: 30 * time.Second}
				simulate(t, set, func() *simulated { return newSimulated(40, 20*time.Millisecond, law) },
					func(l *Limiter, s *simulated) { offer(l, s, 0.3*s.capacity(), out) })
				t.Log(out)
				if out.refused > 0 {
					t.Errorf("%d refused", out.refused)
				}
			})
		}
	}
}

// TestTimeoutsCut lets a service hang for some time.
func TestTimeoutsCut(t *testing.T) {
	hangs := &span{name: "hangs", from: 15 * time.Second, to: 20 * time.Second}
	after := &span{name: "after", from: 30 * time.Second, to: 40 * time.Second}
	simulate(t, Settings{Adaptive: true, Least: 3, Queue: 10, QueueTime: 100 * time.Millisecond},
		func() *simulated { return newSimulated(10, 20*time.Millisecond, laws[0]) },
		func(l *Limiter, s *simulated) {
			time.AfterFunc(5*time.Second, func() { s.change(1000, 2*time.Second) })
			time.AfterFunc(20*time.Second, func() { s.change(10, s.mean) })
			offer(l, s, 2*s.capacity(), hangs, after)
		})
	t.Log(hangs)
	t.Log(after)
	if last := hangs.limits[len(hangs.limits)-1]; last > 4 {
		t.Errorf("the limit is %d when everything is late", last)
	}
	after.wants(t, 500, 10)
}

// TestLimitNeedsUse asks seldom: a limit that nobody uses says nothing, and stays.
func TestLimitNeedsUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := mustNew(t, Settings{Adaptive: true})
		for range 10_000 {
			for range 3 {
				l.Acquire(nil, false)
			}
			time.Sleep(10 * time.Millisecond)
			for range 3 {
				l.Release(10*time.Millisecond, OK)
			}
		}
		if n := l.State().Limit; n != firstLimit {
			t.Errorf("the limit is %d", n)
		}
	})
}
