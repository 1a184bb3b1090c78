package meter

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// openGates is how many keys take memory.
func (g *gates) openGates() int {
	n := 0
	for i := range g.shards {
		n += g.shards[i].gates.len()
	}
	return n
}

func (g *gates) isEmpty(t *testing.T) {
	t.Helper()
	if n, w := g.openGates(), g.waiting.Load(); n != 0 || w != 0 {
		t.Errorf("%d gates are left, %d wait", n, w)
	}
}

// enters tries to, with a fresh mark.
func (g *gates) enters(id id, cost, left int64) (bool, turn) {
	return g.enter(id, g.mark(id), cost, left)
}

// queued enters a gate that has no place.
func (g *gates) queued(t *testing.T, id id, cost, left int64) turn {
	t.Helper()
	ok, turn := g.enters(id, cost, left)
	if ok || !turn.valid() {
		t.Fatal("it got no place in the queue")
	}
	return turn
}

// isAwake tells whether wait would return nil now.
func (t turn) isAwake() bool { return t.valid() && len(t.w.ready) == 1 }

func soon() time.Time { return time.Now().Add(10 * time.Second) }

// login is a store that counts failures, and takes its time.
type login struct {
	limit   int64
	failed  atomic.Int64
	latency func() time.Duration
}

func (l *login) left() int64 {
	time.Sleep(l.latency())
	left := l.limit - l.failed.Load()
	time.Sleep(l.latency())
	return left
}

func (l *login) fail() {
	time.Sleep(l.latency())
	l.failed.Add(1)
	time.Sleep(l.latency())
}

// pass is how a gate is used: serve runs inside, and tells whether it counts.
func pass(ctx context.Context, g *gates, id id, l *login, serve func() bool) error {
	mark := g.mark(id)
	entered, turn := g.enter(id, mark, 1, l.left())
	defer turn.quit()
	until := time.Now().Add(time.Hour)
	for !entered {
		if err := turn.wait(ctx, until); err != nil {
			return err
		}
		entered = turn.enter(l.left())
	}
	counted := serve()
	if counted {
		l.fail()
	}
	g.leave(id, 1, counted)
	return nil
}

// Of logins that all succeed none is refused, and never more are inside than could still
// fail (D13).
func TestGateRefusesNoneThatSucceeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, id := newGates(), someIDs(1)[0]
		l := &login{limit: 5, latency: func() time.Duration { return time.Duration(rand.IntN(1000)) * time.Microsecond }}
		var inside, passed atomic.Int64
		for range 1000 {
			go func() {
				err := pass(t.Context(), g, id, l, func() bool {
					if n := inside.Add(1); n > l.limit {
						t.Errorf("%d are inside", n)
					}
					time.Sleep(time.Duration(rand.IntN(50)) * time.Millisecond)
					inside.Add(-1)
					return false
				})
				if err != nil {
					t.Error(err)
				}
				passed.Add(1)
			}()
		}
		time.Sleep(time.Hour / 2)
		synctest.Wait()
		if passed.Load() != 1000 {
			t.Errorf("%d of 1000 have passed", passed.Load())
		}
		g.isEmpty(t)
	})
}

// However many come at once, and whatever the store's answers were when they got here, no
// more failures get through than the limit says, and that many do.
func TestGateLetsNoMoreFail(t *testing.T) {
	for range 30 {
		synctest.Test(t, func(t *testing.T) {
			g, ids := newGates(), someIDs(3)
			logins := make([]*login, len(ids))
			var failed, refused [3]atomic.Int64
			for i := range ids {
				logins[i] = &login{limit: 5, latency: func() time.Duration { return time.Duration(rand.IntN(3000)) * time.Microsecond }}
				for range 300 {
					go func() {
						time.Sleep(time.Duration(rand.IntN(5)) * time.Millisecond)
						err := pass(t.Context(), g, ids[i], logins[i], func() bool {
							time.Sleep(time.Duration(rand.IntN(2000)) * time.Microsecond)
							failed[i].Add(1)
							return true
						})
						if err != nil {
							refused[i].Add(1)
						}
					}()
				}
			}
			time.Sleep(time.Hour / 2)
			synctest.Wait()
			for i := range ids {
				if f, r := failed[i].Load(), refused[i].Load(); f != 5 || r != 295 {
					t.Errorf("%d have failed and %d were refused, of 300 and a limit of 5", f, r)
				}
			}
			g.isEmpty(t)
		})
	}
}

// Thousands of callers who leave, give up, fail and succeed on few keys, in real parallel: all
// come to an end, and nothing is left.
func TestGateInParallel(t *testing.T) {
	g, ids := newGates(), someIDs(5)
	logins := make([]*login, len(ids))
	for i := range logins {
		logins[i] = &login{limit: 40, latency: func() time.Duration { return 0 }}
	}
	var inside [5]atomic.Int64
	var all sync.WaitGroup
	for n := range 4000 {
		all.Go(func() {
			i := n % len(ids)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if n%3 == 0 {
				go cancel()
			}
			_ = pass(ctx, g, ids[i], logins[i], func() bool {
				failed := logins[i].failed.Load()
				if n := inside[i].Add(1); n > logins[i].limit-failed {
					t.Errorf("%d are inside", n)
				}
				runtime.Gosched()
				inside[i].Add(-1)
				return n%7 == 0
			})
		})
	}
	all.Wait()
	for i, l := range logins {
		if l.failed.Load() != l.limit {
			t.Errorf("%d have failed on key %d, with a limit of %d", l.failed.Load(), i, l.limit)
		}
	}
	g.isEmpty(t)
}

// Who came first enters first, also when it looks at the store again and again.
func TestGateKeepsTheOrder(t *testing.T) {
	g, id := newGates(), someIDs(1)[0]
	if ok, _ := g.enters(id, 1, 1); !ok {
		t.Fatal("the first one was not let in")
	}
	var turns []turn
	for range 5 {
		turns = append(turns, g.queued(t, id, 1, 1))
	}
	for i, turn := range turns {
		g.leave(id, 1, false)
		later := g.queued(t, id, 1, 1) // although nobody is inside
		if err := turn.wait(t.Context(), soon()); err != nil {
			t.Fatal(err)
		}
		for j, other := range append(turns[i+1:], later) {
			if other.isAwake() || other.enter(1) {
				t.Errorf("%d is in front of %d", i+1+j, i)
			}
		}
		later.quit()
		if !turn.enter(1) {
			t.Fatalf("%d was not let in", i)
		}
	}
	g.leave(id, 1, false)
	g.isEmpty(t)
}

// Whatever becomes of one that was woken, the next one is woken when it may fit.
func TestGatePassesTheWakeOn(t *testing.T) {
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		what  string
		first func(t *testing.T, first turn)
		next  bool
	}{
		{"it quits without having heard", func(_ *testing.T, first turn) { first.quit() }, true},
		{"it quits after it has heard", func(t *testing.T, first turn) {
			if err := first.wait(t.Context(), soon()); err != nil {
				t.Error(err)
			}
			first.quit()
			first.quit()
		}, true},
		{"its context ends", func(t *testing.T, first turn) {
			if err := first.wait(cancelled, soon()); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		}, true},
		{"its time is over", func(t *testing.T, first turn) {
			if err := first.wait(t.Context(), time.Now()); !errors.Is(err, errGateLate) {
				t.Error(err)
			}
		}, true},
		{"nothing is left", func(t *testing.T, first turn) {
			_ = first.wait(t.Context(), soon())
			if first.enter(0) {
				t.Error("it was let in")
			}
			if err := first.wait(t.Context(), soon()); !errors.Is(err, errTurnOver) {
				t.Error(err)
			}
		}, true},
		{"it enters, and there is room for more", func(t *testing.T, first turn) {
			_ = first.wait(t.Context(), soon())
			if !first.enter(3) {
				t.Error("it was not let in")
			}
		}, true},
		{"it enters, and takes the last place", func(t *testing.T, first turn) {
			_ = first.wait(t.Context(), soon())
			if !first.enter(2) {
				t.Error("it was not let in")
			}
		}, false},
		{"it finds no room", func(t *testing.T, first turn) {
			_ = first.wait(t.Context(), soon())
			if first.enter(1) {
				t.Error("it was let in")
			}
		}, false},
	} {
		t.Run(c.what, func(t *testing.T) {
			g, id := newGates(), someIDs(1)[0]
			g.enters(id, 1, 2)
			g.enters(id, 1, 2)
			first, next := g.queued(t, id, 1, 2), g.queued(t, id, 1, 2)
			if first.isAwake() || next.isAwake() {
				t.Fatal("somebody was woken before anybody left")
			}
			g.leave(id, 1, false)
			if !first.isAwake() || next.isAwake() {
				t.Fatal("the first one alone should have been woken")
			}
			c.first(t, first)
			if next.isAwake() != c.next {
				t.Errorf("the next one was woken: %v", next.isAwake())
			}
		})
	}
}

// One that leaves the middle of the queue is nobody's business.
func TestGateLosesOneInTheMiddle(t *testing.T) {
	g, id := newGates(), someIDs(1)[0]
	g.enters(id, 1, 1)
	turns := []turn{g.queued(t, id, 1, 1), g.queued(t, id, 1, 1), g.queued(t, id, 1, 1)}
	turns[1].quit()
	turns[2].quit()
	if turns[0].isAwake() {
		t.Error("the first one was woken")
	}
	last := g.queued(t, id, 1, 1)
	turns[0].quit()
	g.leave(id, 1, false)
	if err := last.wait(t.Context(), soon()); err != nil || !last.enter(1) {
		t.Errorf("the last one was not let in: %v", err)
	}
	g.leave(id, 1, false)
	g.isEmpty(t)
}

// What the store said before somebody counted and left lets nobody in.
func TestGateMarksOldAnswers(t *testing.T) {
	g, id := newGates(), someIDs(1)[0]
	g.enters(id, 1, 1)
	old := g.mark(id)
	g.leave(id, 1, true) // now nothing is left
	ok, turn := g.enter(id, old, 1, 1)
	if ok {
		t.Fatal("an old answer let it in")
	}
	if err := turn.wait(t.Context(), soon()); err != nil {
		t.Fatalf("it is not sent to the store again: %v", err)
	}
	g.leave(id, 1, true) // of one that has come in meanwhile
	if turn.enter(1) {
		t.Fatal("an old answer let it in")
	}
	if err := turn.wait(t.Context(), soon()); err != nil {
		t.Fatalf("it is not sent to the store again: %v", err)
	}
	g.leave(id, 1, false)
	if !turn.enter(1) {
		t.Error("nobody has counted since, and it was not let in")
	}
	g.leave(id, 1, false)
	g.isEmpty(t)
}

// A gate holds costs, not heads.
func TestGateHoldsCosts(t *testing.T) {
	g, id := newGates(), someIDs(1)[0]
	if ok, _ := g.enters(id, 3, 5); !ok {
		t.Fatal("3 of 5 were not let in")
	}
	heavy, light := g.queued(t, id, 3, 5), g.queued(t, id, 2, 5) // no way past
	if ok, turn := g.enters(id, 6, 5); ok || turn.valid() {
		t.Error("6 of 5 may wait")
	}
	g.leave(id, 3, false)
	if err := heavy.wait(t.Context(), soon()); err != nil || !heavy.enter(5) {
		t.Fatalf("3 of 5 were not let in: %v", err)
	}
	if err := light.wait(t.Context(), soon()); err != nil || !light.enter(5) {
		t.Fatalf("2 of 5 were not let in beside 3: %v", err)
	}
	g.leave(id, 3, false)
	g.leave(id, 2, false)
	g.isEmpty(t)
}

// A turn that is over does nothing, although its place is used again.
func TestGateTurnIsOverOnce(t *testing.T) {
	g, id := newGates(), someIDs(1)[0]
	g.enters(id, 1, 1)
	old := g.queued(t, id, 1, 1)
	old.quit()
	now := g.queued(t, id, 1, 1)
	if now.w != old.w {
		t.Fatal("its place is not used again")
	}
	g.leave(id, 1, false)
	old.quit()
	if err := old.wait(t.Context(), soon()); !errors.Is(err, errTurnOver) {
		t.Errorf("the old one: %v", err)
	}
	if now.enter(1) {
		t.Error("it was let in without having waited")
	}
	if err := now.wait(t.Context(), soon()); err != nil {
		t.Fatal(err)
	}
	if old.enter(1) || !now.enter(1) || now.enter(1) {
		t.Error("the old one was let in, or the new one not once")
	}
	var zero turn
	zero.quit()
	if zero.enter(1) || !errors.Is(zero.wait(t.Context(), soon()), errTurnOver) {
		t.Error("the zero turn is a place")
	}
	g.leave(id, 1, false)
	g.leave(id, 1, false)
	g.isEmpty(t)
}

// Too many are refused, of one key and of all.
func TestGateQueuesAreBounded(t *testing.T) {
	g, ids := newGates(), someIDs(maxWaiting/maxWaitingEach+1)
	var turns []turn
	for i, id := range ids {
		g.enters(id, 1, 1)
		for n := 0; ; n++ {
			ok, turn := g.enters(id, 1, 1)
			if ok {
				t.Fatal("two are inside")
			}
			if turn.valid() {
				turns = append(turns, turn)
				continue
			}
			if last := i == len(ids)-1; n != maxWaitingEach && !last || last && n != 0 {
				t.Errorf("%d wait for key %d", n, i)
			}
			break
		}
	}
	turns[0].quit()
	if _, turn := g.enters(ids[0], 1, 1); !turn.valid() {
		t.Error("a place that became free is not given again")
	} else {
		turn.quit()
	}
	for _, turn := range turns {
		turn.quit()
	}
	for _, id := range ids {
		g.leave(id, 1, false)
	}
	g.isEmpty(t)
}

func TestGateWaitsForItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, id := newGates(), someIDs(1)[0]
		g.enters(id, 1, 1)
		for range 2 { // with a new timer, and with that of before
			turn, start := g.queued(t, id, 1, 1), time.Now()
			if err := turn.wait(t.Context(), start.Add(time.Second)); !errors.Is(err, errGateLate) || time.Since(start) != time.Second {
				t.Errorf("%v after %v", err, time.Since(start))
			}
			if turn.valid() {
				t.Error("its turn is not over")
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		turn := g.queued(t, id, 1, 1)
		if err := turn.wait(ctx, time.Now().Add(time.Hour)); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		g.leave(id, 1, false)
		g.isEmpty(t)
	})
}

func TestGateAllocatesNothing(t *testing.T) {
	g, id := newGates(), someIDs(1)[0]
	ctx, until := t.Context(), time.Now().Add(time.Hour)
	allocates(t, func() {
		g.enters(id, 1, 1)
		_, turn := g.enters(id, 1, 1)
		g.leave(id, 1, false)
		if turn.wait(ctx, until) != nil || !turn.enter(1) {
			t.Error("it was not let in")
		}
		g.leave(id, 1, true)
	})
}

func BenchmarkGate(b *testing.B) {
	g, ids := newGates(), someIDs(4096)
	b.Run("one", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			g.enters(ids[i%len(ids)], 1, 10)
			g.leave(ids[i%len(ids)], 1, false)
		}
	})
	b.Run("queue", func(b *testing.B) {
		ctx, until := b.Context(), time.Now().Add(time.Hour)
		for i := 0; b.Loop(); i++ {
			id := ids[i%len(ids)]
			g.enters(id, 1, 1)
			_, turn := g.enters(id, 1, 1)
			g.leave(id, 1, false)
			_ = turn.wait(ctx, until)
			turn.enter(1)
			g.leave(id, 1, false)
		}
	})
}
