package shed

import (
	"context"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// client is one that may leave.
type client struct{ ctx context.Context }

func (c client) Context() context.Context { return c.ctx }

func mustNew(t testing.TB, s Settings) *Limiter {
	t.Helper()
	l, err := New(s)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestSettings(t *testing.T) {
	for _, c := range []struct {
		s    Settings
		want string // in the error, "" for none
	}{
		{Settings{}, ""},
		{Settings{Max: 10, Queue: 5, QueueTime: time.Second}, ""},
		{Settings{Adaptive: true}, ""},
		{Settings{Adaptive: true, Max: 2}, ""},
		{Settings{Adaptive: true, Least: 2000}, ""},
		{Settings{Least: 5, Max: 3}, ""}, // not looked at
		{Settings{Max: -1}, "max is -1"},
		{Settings{Queue: -1}, "queue is -1"},
		{Settings{Queue: 1}, "queue time is 0s"},
		{Settings{QueueTime: -1}, "queue time is -1ns"},
		{Settings{Adaptive: true, Least: -1}, "limit from -1"},
		{Settings{Adaptive: true, Least: 5, Max: 3}, "at least 5 and at most 3"},
	} {
		_, err := New(c.s)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%+v: %v, want %q", c.s, err, c.want)
		}
	}
}

func TestWithoutBound(t *testing.T) {
	l := mustNew(t, Settings{})
	for range 100_000 {
		if v := l.Acquire(nil, false); v != Granted {
			t.Fatal(v)
		}
	}
	if s := l.State(); s != (State{InFlight: 100_000}) {
		t.Errorf("%+v", s)
	}
}

func TestNoQueue(t *testing.T) {
	l := mustNew(t, Settings{Max: 2})
	for _, want := range []Verdict{Granted, Granted, Full, Full} {
		if v := l.Acquire(nil, true); v != want {
			t.Errorf("%v, want %v", v, want)
		}
	}
	l.Release(time.Millisecond, OK)
	if v := l.Acquire(nil, false); v != Granted {
		t.Errorf("%v after a place became free", v)
	}
	if s := l.State(); s != (State{InFlight: 2, Limit: 2, Refused: 2}) {
		t.Errorf("%+v", s)
	}
}

// TestGiveUpWhileGranted gives a place to a request in the moment in which it stops waiting: because
// its client leaves, and because its time is over.
func TestGiveUpWhileGranted(t *testing.T) {
	var seen [4]int
	for round := range 400 {
		synctest.Test(t, func(t *testing.T) {
			l := mustNew(t, Settings{Max: 1, Queue: 10, QueueTime: time.Second})
			l.Acquire(nil, false)
			ctx, leave := context.WithCancel(context.Background())
			defer leave()
			one, two := make(chan Verdict, 1), make(chan Verdict, 1)
			go func() { one <- l.Acquire(client{ctx}, false) }()
			synctest.Wait()
			go func() {
				time.Sleep(time.Second / 2)
				two <- l.Acquire(nil, false)
			}()
			if round%2 == 0 {
				time.Sleep(3 * time.Second / 4)
				leave()
			} else {
				time.Sleep(time.Second)
			}
			l.Release(0, OK)
			first := <-one
			seen[first]++
			if first == Granted {
				l.Release(0, OK)
			}
			if second := <-two; second != Granted {
				t.Errorf("the first was %v, and the next %v", first, second)
			}
			if s := l.State(); s.InFlight != 1 || s.Queued != 0 {
				t.Errorf("%+v after %v", s, first)
			}
			l.Release(0, OK)
			if word := l.word.Load(); word != 0 {
				t.Errorf("the word is %x in the end", word)
			}
		})
	}
	if seen[Granted] == 0 || seen[Left]+seen[Late] == 0 {
		t.Errorf("it never was a close call: %v", seen)
	}
}

func TestRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := mustNew(t, Settings{Max: 1})
		if n := l.RetryAfter(); n != 1 {
			t.Errorf("%d before any overload", n)
		}
		overload := func(each int, o Outcome) {
			for range 100 { // for 10 s
				l.Acquire(nil, false)
				for range each {
					l.Acquire(nil, false)
				}
				time.Sleep(100 * time.Millisecond)
				l.Release(100*time.Millisecond, o)
			}
		}
		overload(4, OK)
		if n := l.RetryAfter(); n != 4 {
			t.Errorf("%d with 4 refused for each one served", n)
		}
		overload(8, Ignored)
		if n := l.RetryAfter(); n != 8 {
			t.Errorf("%d with 8 refused for each one served", n)
		}
		overload(200, OK)
		if n := l.RetryAfter(); n != longestHint {
			t.Errorf("%d with 200 refused for each one served", n)
		}
		time.Sleep(time.Hour)
		l.Acquire(nil, false)
		l.Acquire(nil, false)
		if n := l.RetryAfter(); n != 1 {
			t.Errorf("%d in the beginning of another overload", n)
		}
	})
}

// TestNobodyIsForgotten lets many goroutines pass one place, as fast as they can. If somebody
// went to sleep with the place free, all would sleep.
func TestNobodyIsForgotten(t *testing.T) {
	rounds := 20_000
	if raceDetector || testing.Short() {
		rounds = 2_000
	}
	for _, limit := range []int{1, 3} {
		l := mustNew(t, Settings{Max: limit, Queue: 1000, QueueTime: time.Hour})
		var inside atomic.Int64
		var wg sync.WaitGroup
		for g := range 16 {
			wg.Go(func() {
				for i := range rounds {
					if v := l.Acquire(nil, (g+i)%5 == 0); v != Granted {
						t.Error(v)
						return
					}
					if n := inside.Add(1); n > int64(limit) {
						t.Errorf("%d in flight", n)
					}
					inside.Add(-1)
					l.Release(0, OK)
				}
			})
		}
		finish(t, l, &wg)
	}
}

// finish waits for goroutines, and fails if they hang or leave something.
func finish(t *testing.T, l *Limiter, wg *sync.WaitGroup) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		wg.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatalf("hangs: %+v", l.State())
	}
	if word := l.word.Load(); word != 0 || l.queue.len() != 0 {
		t.Errorf("the word is %x, %d wait", word, l.queue.len())
	}
}

// TestEverythingAtOnce is for the race detector: short waits, clients that leave, a queue
// that is full, and a limit that moves.
func TestEverythingAtOnce(t *testing.T) {
	l := mustNew(t, Settings{Adaptive: true, Least: 1, Max: 8, Queue: 4, QueueTime: 200 * time.Microsecond})
	rounds := 3_000
	if raceDetector || testing.Short() {
		rounds = 500
	}
	var inside, granted, refused atomic.Int64
	var wg sync.WaitGroup
	for g := range 16 {
		wg.Go(func() {
			for i := range rounds {
				ctx, leave := context.WithTimeout(context.Background(), time.Duration(50+(g*i)%300)*time.Microsecond)
				switch l.Acquire(client{ctx}, i%7 == 0) {
				case Granted:
					granted.Add(1)
					if n := inside.Add(1); n > 8 {
						t.Errorf("%d in flight", n)
					}
					time.Sleep(time.Duration(i%50) * time.Microsecond)
					inside.Add(-1)
					l.Release(time.Duration(1+i%50)*time.Microsecond, Outcome(i%3))
				case Full, Late:
					refused.Add(1)
				}
				leave()
				if s := l.State(); s.Queued > 4 || s.Limit > 8 || s.Limit < 1 || l.RetryAfter() < 1 {
					t.Errorf("%+v, again after %d", s, l.RetryAfter())
				}
			}
		})
	}
	finish(t, l, &wg)
	if s := l.State(); s.Refused != refused.Load() || granted.Load() == 0 || refused.Load() == 0 {
		t.Errorf("%+v, but %d were granted and %d refused", s, granted.Load(), refused.Load())
	}
}

func TestLogarithm(t *testing.T) {
	last := uint64(0)
	for d := time.Duration(1); d < 1<<61; d += d/9 + 1 {
		log := logarithm(d)
		if log < last {
			t.Fatalf("%v: falls from %d to %d", d, last, log)
		}
		last = log
		if back := exponential(float64(log)); math.Abs(back/float64(d)-1) > 0.005 {
			t.Errorf("%v comes back as %v", d, time.Duration(back))
		}
	}
	if logarithm(0) != 0 || logarithm(-5) != 0 || logarithm(math.MaxInt64) != 63<<8-1 {
		t.Error(logarithm(0), logarithm(-5), logarithm(math.MaxInt64))
	}
}

// TestSamplesRunOver adds up samples where both parts of the word run over.
func TestSamplesRunOver(t *testing.T) {
	var sum atomic.Uint64
	sum.Store(math.MaxUint64 - 5) // both parts are nearly full
	from := sum.Load()
	for range 1000 {
		sum.Add(sample(time.Second))
	}
	if n, latency := mean(sum.Load() - from); n != 1000 || math.Abs(latency/1e9-1) > 0.01 {
		t.Errorf("%v samples of %v ns", n, latency)
	}
}

func TestNoAllocations(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector allocates")
	}
	for _, s := range []Settings{{Max: 10}, {Adaptive: true}} {
		l := mustNew(t, s)
		if n := testing.AllocsPerRun(10_000, func() {
			l.Acquire(nil, false)
			l.Release(time.Millisecond, OK)
		}); n != 0 {
			t.Errorf("%+v: %v allocations", s, n)
		}
	}
	l := mustNew(t, Settings{Max: 1})
	l.Acquire(nil, false)
	if n := testing.AllocsPerRun(1000, func() { l.Acquire(nil, false) }); n != 0 {
		t.Errorf("%v allocations to refuse", n)
	}
}

// TestReleaseTakesNoLock holds the queue's lock while nobody waits.
func TestReleaseTakesNoLock(t *testing.T) {
	l := mustNew(t, Settings{Max: 1, Queue: 1, QueueTime: time.Second})
	l.queue.mu.Lock()
	defer l.queue.mu.Unlock()
	done := make(chan struct{})
	go func() {
		l.Acquire(nil, false)
		l.Release(0, OK)
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("takes the lock of the queue")
	}
}

func BenchmarkAcquireRelease(b *testing.B) {
	for name, s := range map[string]Settings{"fixed": {Max: 100}, "adaptive": {Adaptive: true}, "unbounded": {}} {
		b.Run(name, func(b *testing.B) {
			l := mustNew(b, s)
			for b.Loop() {
				l.Acquire(nil, false)
				l.Release(time.Millisecond, OK)
			}
		})
		b.Run(name+"/parallel", func(b *testing.B) {
			l := mustNew(b, s)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					l.Acquire(nil, false)
					l.Release(time.Millisecond, OK)
				}
			})
		})
	}
}

func BenchmarkRefuse(b *testing.B) {
	l := mustNew(b, Settings{Max: 1})
	l.Acquire(nil, false)
	for b.Loop() {
		l.Acquire(nil, false)
	}
}

func BenchmarkQueue(b *testing.B) {
	l := mustNew(b, Settings{Max: 1, Queue: 100, QueueTime: time.Hour})
	b.SetParallelism(8)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			l.Acquire(nil, false)
			l.Release(time.Millisecond, OK)
		}
	})
}

// Try takes a place only when there is one, and never waits.
func TestTry(t *testing.T) {
	l := mustNew(t, Settings{Max: 2, Queue: 1, QueueTime: time.Hour})
	for i, want := range []bool{true, true, false} {
		if got := l.Try(); got != want {
			t.Fatalf("place %d of two: %v", i+1, got)
		}
	}
	if st := l.State(); st.InFlight != 2 || st.Queued != 0 || st.Refused != 0 {
		t.Errorf("%+v", st)
	}
	l.Release(0, Ignored)
	if !l.Try() {
		t.Error("a place was given back")
	}
}
