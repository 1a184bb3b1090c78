package sweep

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// owner notes when its Timer fires and is probed.
type owner struct {
	Timer
	at      time.Time
	expired atomic.Int32
	probes  atomic.Int32
	onProbe func()
}

func (o *owner) Expired() {
	o.at = time.Now()
	o.expired.Add(1)
}

func (o *owner) Probe() {
	o.probes.Add(1)
	if o.onProbe != nil {
		o.onProbe()
	}
}

// inBubble runs f with a Sweeper on fake time.
func inBubble(t *testing.T, f func(t *testing.T, s *Sweeper)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := New()
		defer s.Close()
		f(t, s)
	})
}

// pass lets time go by until everything due has happened.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestNeverEarlyAtMostTwoTicksLate(t *testing.T) {
	inBubble(t, func(t *testing.T, s *Sweeper) {
		rng := rand.New(rand.NewPCG(1, 2))
		type set struct {
			o    *owner
			from time.Time
			d    time.Duration
		}
		var all []set
		add := func(d time.Duration) {
			o := new(owner)
			s.Add(&o.Timer, o)
			all = append(all, set{o, time.Now(), d})
			if !o.After(d) {
				t.Fatal("After says that a new Timer has fired")
			}
		}
		for range 500 {
			pass(time.Duration(rng.IntN(int(Tick)))) // anywhere between two ticks
			add(1 + time.Duration(rng.IntN(int(20*Tick))))
			add(Tick)
			add(1)
		}
		pass(30 * Tick)
		for _, e := range all {
			if n := e.o.expired.Load(); n != 1 || !e.o.Fired() {
				t.Fatalf("%v: expired %d times, fired %v", e.d, n, e.o.Fired())
			}
			if late := e.o.at.Sub(e.from) - e.d; late < 0 || late > 2*Tick {
				t.Errorf("%v fired %v late", e.d, late)
			}
			s.Remove(&e.o.Timer)
		}
	})
}

func TestMovedDeadline(t *testing.T) {
	inBubble(t, func(t *testing.T, s *Sweeper) {
		o := new(owner)
		s.Add(&o.Timer, o)
		for range 100 { // moved on again and again, as by a busy connection
			if !o.After(3 * Tick) {
				t.Fatal("a moved deadline has fired")
			}
			pass(2 * Tick)
		}
		if !o.Stop() {
			t.Error("Stop says that the deadline has passed")
		}
		pass(time.Hour)
		if o.Fired() || o.expired.Load() != 0 {
			t.Error("a Timer without a deadline has fired")
		}
		o.After(time.Hour)
		o.After(Tick) // nearer
		pass(4 * Tick)
		if !o.Fired() {
			t.Error("a deadline moved nearer has not fired")
		}
	})
}

func TestFiredStays(t *testing.T) {
	inBubble(t, func(t *testing.T, s *Sweeper) {
		o := new(owner)
		s.Add(&o.Timer, o)
		o.After(Tick)
		pass(4 * Tick)
		if o.After(time.Hour) || o.Stop() || !o.Fired() {
			t.Error("a Timer that has fired can be moved")
		}
		pass(time.Hour)
		if n := o.expired.Load(); n != 1 || !o.Fired() {
			t.Errorf("expired %d times, fired %v", n, o.Fired())
		}
		o.Reset()
		if o.Fired() || !o.After(Tick) {
			t.Error("Reset does not make the Timer usable")
		}
		pass(4 * Tick)
		if n := o.expired.Load(); n != 2 {
			t.Errorf("after Reset: expired %d times", n)
		}
	})
}

func TestProbe(t *testing.T) {
	inBubble(t, func(t *testing.T, s *Sweeper) {
		watched, other := new(owner), new(owner)
		s.Add(&watched.Timer, watched)
		s.Add(&other.Timer, other)
		watched.Watch(true)
		pass(10 * probeEvery * Tick)
		if n := watched.probes.Load(); n != 10 {
			t.Errorf("probed %d times in 10 turns", n)
		}
		watched.Watch(false)
		pass(10 * probeEvery * Tick)
		if watched.probes.Load() != 10 || other.probes.Load() != 0 {
			t.Errorf("not watched, but probed: %d, %d", watched.probes.Load(), other.probes.Load())
		}
		s.Remove(&watched.Timer)
		s.Add(&watched.Timer, watched)
		pass(2 * probeEvery * Tick)
		if watched.probes.Load() != 10 {
			t.Error("added again, and still watched")
		}
	})
}

func TestNow(t *testing.T) {
	inBubble(t, func(t *testing.T, s *Sweeper) {
		o := new(owner)
		s.Add(&o.Timer, o)
		before := o.Now()
		pass(20 * Tick)
		if moved := o.Now() - before; moved < 19*Tick || moved > 21*Tick {
			t.Errorf("the clock moved by %v in %v", moved, 20*Tick)
		}
	})
}

func TestTime(t *testing.T) {
	inBubble(t, func(t *testing.T, s *Sweeper) {
		pass(time.Hour + time.Minute)
		if got := s.Time(); !got.Equal(time.Now()) || time.Since(got) != 0 {
			t.Errorf("it is %v, and Time says %v", time.Now(), got)
		}
		before := s.clock.Load()
		s.setClock(time.Now())
		if s.clock.Load() != before {
			t.Error("another base, and the time of day was not changed")
		}
		// As after somebody has set the time of day.
		s.setClock(time.Now().Add(2 * largestError))
		if s.clock.Load() == before {
			t.Error("the base of before, and the time of day was changed")
		}
	})
}

func BenchmarkTime(b *testing.B) {
	s := New()
	defer s.Close()
	b.Run("sweeper", func(b *testing.B) {
		for b.Loop() {
			s.Time()
		}
	})
	b.Run("system", func(b *testing.B) {
		for b.Loop() {
			_ = time.Now()
		}
	})
}

func TestRemoved(t *testing.T) {
	inBubble(t, func(t *testing.T, s *Sweeper) {
		var owners [40]owner
		for i := range owners {
			o := &owners[i]
			s.Add(&o.Timer, o)
			o.After(Tick)
			o.Watch(true)
			if i%3 == 0 {
				s.Remove(&o.Timer)
				s.Remove(&o.Timer) // once more does nothing
			}
		}
		pass(2 * probeEvery * Tick)
		for i := range owners {
			want := int32(1)
			if i%3 == 0 {
				want = 0
			}
			if n := owners[i].expired.Load(); n != want || want == 0 && owners[i].probes.Load() != 0 {
				t.Errorf("timer %d: expired %d times, probed %d times", i, n, owners[i].probes.Load())
			}
		}
		s.Remove(new(Timer)) // one that was never added
	})
}

// TestRemoveWaitsForTheSweep removes a Timer while its owner is being called:
// Remove must not return before that is over.
func TestRemoveWaitsForTheSweep(t *testing.T) {
	s := New()
	defer s.Close()
	o := new(owner)
	entered, leave, removed := make(chan struct{}), make(chan struct{}), make(chan struct{})
	o.onProbe = func() {
		close(entered)
		<-leave
	}
	s.Add(&o.Timer, o)
	o.Watch(true)
	<-entered
	go func() {
		s.Remove(&o.Timer)
		close(removed)
	}()
	select {
	case <-removed:
		t.Error("Remove returned while Probe was running")
	case <-time.After(Tick):
	}
	close(leave)
	<-removed
	if n := o.probes.Load(); n != 1 {
		t.Errorf("probed %d times", n)
	}
}

func TestCloseEndsTheSweep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New()
		o := new(owner)
		s.Add(&o.Timer, o)
		o.After(Tick)
		s.Close()
		pass(10 * Tick)
		if o.Fired() {
			t.Error("fired after Close")
		}
		s.Remove(&o.Timer)
	})
}

// TestManyAtOnce is for the race detector: timers are added, moved, watched
// and removed from many goroutines while the sweep walks over them.
func TestManyAtOnce(t *testing.T) {
	s := New()
	defer s.Close()
	var expired atomic.Int64
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(g), 3))
			deadline := time.Now().Add(4 * Tick)
			for time.Now().Before(deadline) {
				o := new(owner)
				s.Add(&o.Timer, o)
				o.Watch(true)
				for range 20 {
					o.After(time.Duration(rng.IntN(int(Tick))))
					o.Now()
					o.Stop()
				}
				s.Remove(&o.Timer)
				after := o.expired.Load() + o.probes.Load()
				if fired := o.Fired(); fired != (o.expired.Load() == 1) || o.expired.Load() > 1 {
					t.Errorf("fired %v, expired %d times", fired, o.expired.Load())
				}
				expired.Add(int64(o.expired.Load()))
				if o.expired.Load()+o.probes.Load() != after {
					t.Error("called after Remove")
				}
			}
		})
	}
	wg.Wait()
}

func TestMovingDoesNotAllocate(t *testing.T) {
	s := New()
	defer s.Close()
	o := new(owner)
	s.Add(&o.Timer, o)
	defer s.Remove(&o.Timer)
	if n := testing.AllocsPerRun(100, func() {
		o.After(time.Hour)
		o.Stop()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkAfter(b *testing.B) {
	s := New()
	defer s.Close()
	o := new(owner)
	s.Add(&o.Timer, o)
	defer s.Remove(&o.Timer)
	for b.Loop() {
		o.After(time.Hour)
	}
}
