package balance

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var ejecting = Settings{MostOut: 0.5, EjectFailures: 3, EjectFor: 10 * time.Second, EjectMost: 25 * time.Second}

func TestEjectedForFailures(t *testing.T) {
	w := newWorld(t, ejecting, same(3))
	a := w.nodes[0]
	w.fails(a, 2)
	w.works(a, time.Millisecond) // not in a row
	w.fails(a, 2)
	w.is(Up, Up, Up)
	w.fails(a, 1)
	w.told("1: up to ejected: 3 failures in a row")
	w.is(Ejected, Up, Up)
	s := w.State(a, w.now)
	if !s.Until.Equal(w.now.Add(10*time.Second)) || !s.Since.Equal(w.now) || s.Ejections != 1 || s.Failures != 0 || s.Used || s.Cause != "3 failures in a row" {
		t.Errorf("%+v", s)
	}
	if got := w.shares(1000); got[0] != 0 {
		t.Errorf("shares %v", got)
	}
	w.after(10*time.Second - 1)
	w.is(Ejected, Up, Up)
	w.after(1)
	if got := w.shares(1000); got[0] < 0.2 {
		t.Errorf("shares %v after the ejection", got)
	}
	w.told("1: ejected to up: the ejection has ended")
}

func TestIgnoredSaysNothing(t *testing.T) {
	w := newWorld(t, ejecting, same(2))
	for range 10 {
		w.fails(w.nodes[0], 2)
		w.Record(w.nodes[0].Begin(), Ignored, time.Hour, w.now)
	}
	w.is(Ejected, Up) // an abort in between does not hide the failures
	w = newWorld(t, ejecting, same(2))
	for range 10 {
		w.Record(w.nodes[0].Begin(), Ignored, 0, w.now)
	}
	w.is(Up, Up)
}

// Ejections in a row last longer, up to the most, and are forgotten one by one.
func TestEjectionsGrow(t *testing.T) {
	w := newWorld(t, ejecting, same(3))
	for i, want := range []time.Duration{10, 20, 25, 25} {
		w.fails(w.nodes[0], 3)
		s := w.State(w.nodes[0], w.now)
		if got := s.Until.Sub(w.now); got != want*time.Second || s.Ejections != i+1 {
			t.Errorf("ejection %d: for %v, %d in a row", i+1, got, s.Ejections)
		}
		w.after(want * time.Second)
	}
	for _, want := range []int{4, 3, 2} {
		if s := w.State(w.nodes[0], w.now); s.Ejections != want {
			t.Errorf("%d in a row, want %d", s.Ejections, want)
		}
		w.after(10 * time.Second)
	}
	w.fails(w.nodes[0], 3)
	if got := w.State(w.nodes[0], w.now); got.Until.Sub(w.now) != 20*time.Second {
		t.Errorf("%+v", got)
	}
	w.after(time.Hour)
	if got := w.State(w.nodes[0], w.now); got.Ejections != 0 || got.State != Up {
		t.Errorf("%+v", got)
	}
}

// What began before an ejection says nothing about the target after it (D21).
func TestLateAnswersDoNotCount(t *testing.T) {
	w := newWorld(t, ejecting, same(2))
	var old []Attempt
	for range 10 {
		old = append(old, w.nodes[0].Begin())
	}
	w.fails(w.nodes[0], 3)
	late := func() {
		for _, a := range old {
			w.Record(a, Failed, 0, w.now)
		}
	}
	late()
	if s := w.State(w.nodes[0], w.now); s.Failures != 0 || s.InFlight != 10 {
		t.Errorf("%+v", s)
	}
	w.after(10 * time.Second)
	late()
	w.is(Up, Up)
	w.fails(w.nodes[0], 2)
	w.Record(old[0], OK, time.Second, w.now) // nor does it make good what fails now
	w.fails(w.nodes[0], 1)
	w.is(Ejected, Up)
}

func TestNeverTooManyEjected(t *testing.T) {
	for _, c := range []struct {
		targets int
		most    float64
		want    int
	}{{1, 1, 0}, {2, 0.5, 1}, {2, 0.4, 0}, {2, 1, 2}, {3, 0.5, 1}, {5, 0.6, 3}, {10, 0.3, 3}, {4, 0, 0}, {4, 7, 4}, {100, 0.29, 29}} {
		set := ejecting
		set.MostOut = c.most
		w := newWorld(t, set, same(c.targets))
		for range 5 {
			for _, n := range w.nodes {
				w.fails(n, 3)
			}
		}
		if _, got := w.counts(); got != c.want {
			t.Errorf("%d of %d targets ejected with %v, want %d", got, c.targets, c.most, c.want)
		}
	}
	// One that could not be ejected is with its next failure, as soon as there is room.
	w := newWorld(t, ejecting, same(3))
	w.fails(w.nodes[0], 3)
	w.fails(w.nodes[1], 7)
	w.is(Ejected, Up, Up)
	w.after(10 * time.Second)
	w.is(Up, Up, Up)
	w.fails(w.nodes[1], 1)
	w.is(Up, Ejected, Up)
	w.told("1: up to ejected: 3 failures in a row", "1: ejected to up: the ejection has ended", "2: up to ejected: 8 failures in a row")
}

// When targets leave, those come back of which too many are ejected now.
func TestEjectionsEndWhenTargetsLeave(t *testing.T) {
	w := newWorld(t, ejecting, same(4))
	w.fails(w.nodes[0], 3)
	w.after(time.Second)
	w.fails(w.nodes[1], 3)
	w.changes = nil
	w.Update(w.nodes[:3])
	w.is(Up, Ejected, Up)
	w.told("4: up to draining: no longer a target", "1: ejected to up: too few other targets are left")
	w.Drain(w.nodes[2], "scaled down", w.now)
	w.Drain(w.nodes[0], "scaled down", w.now)
	w.is(Draining, Up, Draining)
	if n := w.pick(); n != w.nodes[1] {
		t.Error("the only one left is not used")
	}
}

func TestPanic(t *testing.T) {
	for _, c := range []struct {
		panic         float64
		targets, down int
		want          bool
	}{{0.5, 4, 2, false}, {0.5, 4, 3, true}, {0.5, 2, 1, false}, {0.6, 5, 2, false}, {0.6, 5, 3, true}, {0, 4, 3, false}, {0, 4, 4, true},
		{0.5, 1, 1, true}, {1, 3, 0, false}, {1, 3, 1, true}, {0.5, 0, 0, false}, {0.07, 100, 93, false}, {0.07, 100, 94, true}} {
		w := newWorld(t, Settings{Panic: c.panic}, same(c.targets))
		for _, n := range w.nodes[:c.down] {
			w.SetHealthy(n, false, "status 503", w.now)
		}
		if got := w.Panics(w.now); got != c.want {
			t.Errorf("%+v: panics %v", c, got)
		}
		for i, got := range w.shares(1000) {
			if used := c.want || i >= c.down; (got > 0) != used || w.Usable(w.nodes[i], w.now) != used {
				t.Errorf("%+v: target %d has %v", c, i, got)
			}
		}
	}
}

// A panic is told when it begins and when it ends, once, and behind what has led to it.
func TestPanicIsTold(t *testing.T) {
	w := newWorld(t, Settings{Panic: 0.6, EjectFailures: 1, EjectFor: time.Second, MostOut: 1}, same(3))
	w.told()
	w.SetHealthy(w.nodes[0], false, "503", w.now)
	w.told("1: up to down: 503")
	w.fails(w.nodes[1], 1)
	w.told("2: up to ejected: 1 failures in a row", "all: calm to panic: targets that are well: 1 of 3")
	w.SetHealthy(w.nodes[2], false, "503", w.now)
	w.told("3: up to down: 503") // it goes on
	w.SetHealthy(w.nodes[2], true, "200", w.now)
	w.told("3: down to up: 200")
	w.after(time.Second)
	w.pick() // the ejection has ended by time
	w.told("2: ejected to up: the ejection has ended", "all: panic to calm: targets that are well: 2 of 3")
	w.SetHealthy(w.nodes[2], false, "503", w.now)
	w.changes = nil
	w.Update(w.nodes[1:2]) // those that were down are no targets any more
	w.told("1: down to draining: no longer a target", "3: down to draining: no longer a target", "all: panic to calm: targets that are well: 1 of 1")
}

// Those that drain are used in no need, and count for nothing.
func TestPanicLeavesDrainingOut(t *testing.T) {
	w := newWorld(t, Settings{Panic: 0.5}, same(4))
	w.Drain(w.nodes[0], "", w.now)
	w.Drain(w.nodes[1], "", w.now)
	w.SetHealthy(w.nodes[2], false, "status 503", w.now)
	if w.Panics(w.now) || w.pick() != w.nodes[3] {
		t.Error("one of two is enough")
	}
	w.SetHealthy(w.nodes[3], false, "status 503", w.now)
	if got := w.shares(1000); got[0]+got[1] > 0 || got[2] < 0.4 {
		t.Errorf("shares %v", got)
	}
}

func TestHealthChanges(t *testing.T) {
	w := newWorld(t, ejecting, same(3))
	a := w.nodes[0]
	w.SetHealthy(a, true, "status 200", w.now)
	w.told()
	w.SetHealthy(a, false, "health check failed: status 503", w.now)
	w.SetHealthy(a, false, "health check failed: timeout", w.now)
	if s := w.State(a, w.now); s.Cause != "health check failed: status 503" || s.State != Down || s.Used {
		t.Errorf("%+v", s)
	}
	w.fails(a, 10) // of no interest while it is down
	w.SetHealthy(a, true, "2 checks passed", w.now)
	w.fails(a, 2)
	w.is(Up, Up, Up)
	w.fails(a, 1)
	w.SetHealthy(a, false, "refused", w.now)
	w.after(time.Second)
	w.SetHealthy(a, true, "status 200", w.now)
	w.is(Ejected, Up, Up) // it has time left
	w.after(9 * time.Second)
	w.is(Up, Up, Up)
	w.told("1: up to down: health check failed: status 503", "1: down to up: 2 checks passed", "1: up to ejected: 3 failures in a row",
		"1: ejected to down: refused", "1: down to ejected: 3 failures in a row", "1: ejected to up: the ejection has ended")
	w.Update(w.nodes[1:])
	w.SetHealthy(a, false, "late", w.now)
	w.SetHealthy(a, true, "late", w.now)
	w.fails(a, 10)
	w.told("1: up to draining: no longer a target")
}

func TestSlowStart(t *testing.T) {
	for name, algorithm := range algorithms {
		t.Run(name, func(t *testing.T) {
			set := ejecting
			set.Algorithm, set.LoadFactor, set.SlowStart = algorithm, 1.25, 90*time.Second
			w := newWorld(t, set, nodes(2, 2))
			w.is(Up, Up) // all are new: nobody has to wait
			w.SetHealthy(w.nodes[0], false, "503", w.now)
			w.SetHealthy(w.nodes[0], true, "200", w.now)
			w.is(Warming, Up)
			last := 0.0
			for i, share := range []float64{0.1, 0.4, 0.7, 1} {
				if got := w.State(w.nodes[0], w.now).Share; got != share {
					t.Errorf("after %d thirds its share is %v, want %v", i, got, share)
				}
				got := w.shares(50_000)[0]
				want := share / (1 + share)
				if got < last || got < want-0.07 || got > want+0.07 || i == 0 && got > 0.12 {
					t.Errorf("after %d thirds it has %.3f, want %.3f", i, got, want)
				}
				last = got
				w.after(30 * time.Second)
			}
			w.is(Up, Up)
			w.told("1: up to down: 503", "1: down to warming: 200", "1: warming to up: the slow start has ended")
			w.Update(append(w.nodes, NewNode("10.0.0.3:80", 2)))
			w.is(Up, Up, Warming)
			w.fails(w.nodes[0], 3)
			w.after(10 * time.Second)
			w.is(Warming, Up, Warming)
			w.after(80 * time.Second)
			w.is(Warming, Up, Up)
			w.after(10 * time.Second)
			w.is(Up, Up, Up)
		})
	}
}

// In need all that is there is used, also what has just come back.
func TestSlowStartEndsInPanic(t *testing.T) {
	w := newWorld(t, Settings{Panic: 0.9, SlowStart: time.Minute}, same(3))
	w.SetHealthy(w.nodes[0], false, "", w.now)
	w.SetHealthy(w.nodes[0], true, "", w.now)
	w.SetHealthy(w.nodes[1], false, "", w.now)
	near(t, "panic", w.shares(30_000), []float64{1. / 3, 1. / 3, 1. / 3}, 0.02)
}

// Changes are told in order and without locks, and may ask the Balancer.
func TestChangesMayAsk(t *testing.T) {
	var b *Balancer
	told := 0
	n := same(3)
	now := time.Now()
	b = New(ejecting, func(c Change) {
		told++
		b.State(n[0], now)
		if b.Pick(0, false, nil, now) == nil || c.From == c.To {
			t.Errorf("%+v", c)
		}
		if told == 1 { // from inside: it is told when this one has been
			b.SetHealthy(n[1], false, "inside", now)
			if told != 1 {
				t.Error("told inside of another")
			}
		}
	})
	b.Update(n, now)
	b.SetHealthy(n[0], false, "outside", now)
	if told != 2 {
		t.Errorf("told %d times", told)
	}
}

// Everything at once: each change begins where the last one of its target has ended, and
// in the end nothing is in flight.
func TestAtOnce(t *testing.T) {
	for name, algorithm := range algorithms {
		t.Run(name, func(t *testing.T) {
			all := nodes(1, 2, 3, 4, 5, 6)
			is := map[string]string{}
			var telling atomic.Int32
			b := New(Settings{Algorithm: algorithm, LoadFactor: 1.25, SlowStart: 3 * time.Millisecond, MostOut: 0.5, Panic: 0.5,
				EjectFailures: 3, EjectSlow: 2, EjectFor: time.Millisecond, EjectMost: 5 * time.Millisecond}, func(c Change) {
				if telling.Add(1) != 1 {
					t.Error("two changes at once")
				}
				if last := is[c.Node]; last != "" && last != c.From {
					t.Errorf("%s was %s, and goes from %s to %s", c.Node, last, c.From, c.To)
				}
				is[c.Node] = c.To
				telling.Add(-1)
			})
			b.Update(all[:5], time.Now())
			var wg sync.WaitGroup
			for g := range 4 {
				wg.Go(func() { hammer(t, b, all[:5], uint64(g)) })
			}
			wg.Go(func() {
				for i := range 300 {
					b.Update(all[:5+i%2], time.Now()) // the sixth leaves for good
				}
			})
			wg.Wait()
			for _, n := range all {
				if n.InFlight() != 0 {
					t.Errorf("%s: %d in flight", n.Name, n.InFlight())
				}
			}
		})
	}
}

func hammer(t *testing.T, b *Balancer, all []*Node, seed uint64) {
	rounds := 20_000
	if raceDetector {
		rounds = 3000
	}
	tried := make([]*Node, 1)
	for i := range uint64(rounds) {
		r := scramble(seed<<32 + i)
		n := b.Pick(r, r&1 == 0, tried[:r>>1&1], time.Now())
		if n == nil {
			t.Error("no target")
			return
		}
		tried[0] = n
		a := n.Begin()
		b.Record(a, Outcome(min(r>>2&3, 1)), time.Duration(r>>8&0xffffff), time.Now())
		if i%64 == 0 {
			b.SetHealthy(all[r>>40%5], r>>50&1 == 0, fmt.Sprint(i), time.Now())
			b.State(n, time.Now())
		}
		a.End()
	}
}

// What was late counts among the latencies, and hides no failures.
func TestLate(t *testing.T) {
	w := newWorld(t, ejecting, same(2))
	w.fails(w.nodes[0], 2)
	w.Record(w.nodes[0].Begin(), Late, time.Second, w.now)
	w.is(Up, Up)
	w.fails(w.nodes[0], 1)
	w.is(Ejected, Up)

	set := ejecting
	set.EjectSlow = 3
	w = newWorld(t, set, same(2))
	for range leastAnswers {
		w.Record(w.nodes[0].Begin(), Late, 100*time.Millisecond, w.now)
		w.works(w.nodes[1], 10*time.Millisecond)
	}
	w.after(2 * lookEvery)
	w.works(w.nodes[1], 10*time.Millisecond)
	w.is(Ejected, Up)
}

// A further try takes nobody's turn: were it to, the first tries would all go to one of two.
func TestFurtherTriesAreOutOfTurn(t *testing.T) {
	w := newWorld(t, Settings{Algorithm: RoundRobin}, same(2))
	var got [2]int
	for range 100 {
		first := w.Pick(0, false, nil, w.now)
		if second := w.Pick(0, false, []*Node{first}, w.now); second == first {
			t.Fatal("the same target twice")
		}
		if first == w.nodes[0] {
			got[0]++
		} else {
			got[1]++
		}
	}
	if got != [2]int{50, 50} {
		t.Errorf("%d", got)
	}
}
