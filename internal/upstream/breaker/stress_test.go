package breaker

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// callers lets many call at the same moment, and returns how many were let through.
func callers(n int, call func() bool) (passed int64) {
	var count atomic.Int64
	var wg sync.WaitGroup
	begin := make(chan struct{})
	for range n {
		wg.Go(func() {
			<-begin
			if call() {
				count.Add(1)
			}
		})
	}
	close(begin)
	wg.Wait()
	return count.Load()
}

// Of a thousand callers none passes while it is open, and just as many as there are
// probes while it is half-open.
func TestD21AThousandCallers(t *testing.T) {
	for _, probes := range []int{1, 3, 10} {
		for range 10 {
			now := time.Now()
			b := New(Settings{ConsecutiveFailures: 5, OpenFor: time.Second, Probes: probes, Successes: 2}, nil)
			call := func() bool { _, ok := b.Admit(now); return ok }
			if n := callers(1000, func() bool {
				ticket, ok := b.Admit(now)
				b.Record(ticket, Failure, 0, now)
				return ok
			}); n < 5 {
				t.Errorf("%d passed until it was open", n)
			}
			if n := callers(1000, call); n != 0 {
				t.Errorf("open: %d passed", n)
			}
			if s := b.Status(now); s.State != Open || s.Failures != 5 {
				t.Errorf("%+v", s)
			}
			now = now.Add(2 * time.Second)
			if n := callers(1000, func() bool { return b.Ready(now) }); n != 1000 {
				t.Errorf("after the pause it is ready for %d", n)
			}
			if n := callers(1000, call); n != int64(probes) {
				t.Errorf("half-open: %d passed, want %d", n, probes)
			}
		}
	}
}

// world is what goes on in TestStress, as far as it can be seen from outside.
type world struct {
	b       *Breaker
	began   time.Time
	skipped atomic.Int64 // how far the clock is ahead, in ns
	probes  int64
	out     sync.Map // generation → *atomic.Int64, probes under way
}

func (w *world) now() time.Time { return time.Now().Add(time.Duration(w.skipped.Load())) }

// call sends a request, of which one in three fails.
func (w *world) call(t *testing.T, r *rand.Rand) {
	ticket, ok := w.b.Admit(w.now())
	if !ok {
		if w.b.Wait(w.now()) <= 0 {
			t.Error("refused, and no time to wait")
		}
		w.skipped.Add(int64(time.Millisecond))
		return
	}
	counter, _ := w.out.LoadOrStore(ticket.generation, new(atomic.Int64))
	count := counter.(*atomic.Int64)
	if ticket.probe != 0 {
		if n := count.Add(1); n > w.probes {
			t.Errorf("%d probes are under way", n)
		}
	}
	if r.IntN(8) == 0 {
		time.Sleep(time.Duration(r.IntN(50)) * time.Microsecond) // so that some come late
	}
	if ticket.probe != 0 {
		count.Add(-1) // before it has room again
	}
	w.b.Record(ticket, []Outcome{Success, Success, Success, Failure, Failure, Alive, Ignored}[r.IntN(7)], 0, w.now())
}

// Many do all that can be done at the same time. Each transition begins where the one
// before it ended, and there are never more probes than there may be.
func TestStress(t *testing.T) {
	for _, s := range []Settings{
		{ConsecutiveFailures: 3, OpenFor: 5 * time.Millisecond, OpenMost: 20 * time.Millisecond, Probes: 2, Successes: 3, ProbeTime: time.Hour},
		{FailureRatio: 0.3, Window: 20 * time.Millisecond, MinRequests: 20, OpenFor: 5 * time.Millisecond, Probes: 2, Successes: 1, ProbeTime: time.Hour},
	} {
		last, seen := Closed, make(map[State]int)
		w := &world{probes: 2, began: time.Now()}
		w.b = New(s, func(c Change) { // one at a time
			if c.From != last {
				t.Errorf("from %v, after %v", c.From, last)
			}
			last = c.To
			seen[c.To]++
		})
		var wg sync.WaitGroup
		for i := range 8 {
			r := rand.New(rand.NewPCG(uint64(i), 1))
			wg.Go(func() {
				for range 5000 {
					w.call(t, r)
				}
			})
		}
		wg.Go(func() {
			for range 200 {
				w.b.Hold(State(rand.IntN(2)), w.now().Add(time.Millisecond), "", w.now())
				w.b.Status(w.now())
				time.Sleep(100 * time.Microsecond)
				w.b.Reset("", w.now())
				w.b.Ready(w.now())
			}
		})
		wg.Wait()
		status := w.b.Status(w.now())
		if status.State != last {
			t.Errorf("it is %v, and was told to be %v", status.State, last)
		}
		if seen[Open] == 0 || seen[HalfOpen] == 0 {
			t.Errorf("only %v", seen)
		}
		t.Logf("%v in %v", seen, time.Since(w.began))
	}
}
