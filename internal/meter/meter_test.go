package meter

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"yett/internal/store"
	"yett/internal/store/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// frail is a store that others share and that can fail.
type frail struct {
	*memory.Store
	calls atomic.Int64 // of Take
	fails atomic.Pointer[error]
	hangs atomic.Bool   // until the budget is over
	slow  time.Duration // to answer, once it has taken
}

const frailBudget = 25 * time.Millisecond

func newFrail(t *testing.T) *frail {
	s := &frail{Store: memory.New(memory.Options{})}
	t.Cleanup(s.Store.Close)
	return s
}

func (s *frail) Name() string { return "frail" }

func (s *frail) fail(err error) { s.fails.Store(&err) }

func (s *frail) err() error {
	if s.hangs.Load() {
		time.Sleep(frailBudget)
		return fmt.Errorf("too late: %w", context.DeadlineExceeded)
	}
	if err := s.fails.Load(); err != nil {
		return *err
	}
	return nil
}

func (s *frail) Ping(context.Context) error { return s.err() }

func (s *frail) Take(ctx context.Context, now time.Time, takes []store.Take) error {
	s.calls.Add(1)
	if err := s.err(); err != nil {
		return err
	}
	err := s.Store.Take(ctx, time.Now(), takes) // by its own clock
	time.Sleep(s.slow)
	return err
}

func (s *frail) Add(ctx context.Context, set string, entries ...store.Entry) error {
	if err := s.err(); err != nil {
		return err
	}
	return s.Store.Add(ctx, set, entries...)
}

// logged is a log that a test reads.
type logged struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *logged) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), text)
}

// newMeter returns a Meter that counts in shared, unless that is nil.
func newMeter(t *testing.T, shared store.Store) (*Meter, *logged) {
	t.Helper()
	log, here := new(logged), memory.New(memory.Options{})
	m := New(Options{Here: here, Log: slog.New(slog.NewTextHandler(log, nil))})
	if shared != nil {
		m.Share(shared, nil)
	}
	t.Cleanup(func() {
		m.Close()
		here.Close()
	})
	return m, log
}

func perMinute(limit int64) store.Rule { return store.Rule{Limit: limit, Window: time.Minute} }

// waiter waits for nothing but the test's end.
type client struct{ t *testing.T }

func (w client) Context() context.Context { return w.t.Context() }

// take asks for claims as one request does, and returns them as they were answered.
func take(t *testing.T, m *Meter, claims ...Claim) []Claim {
	t.Helper()
	c := m.Call()
	defer m.End(c)
	c.Claims = append(c.Claims, claims...)
	m.Take(client{t}, c, time.Now())
	return append([]Claim(nil), c.Claims...)
}

func rateClaim(name, key string, limit int64) Claim {
	return Claim{Name: name, Key: key, Rule: perMinute(limit), Cost: 1}
}

// passes counts how many of n requests pass.
func passes(t *testing.T, m *Meter, n int, claim Claim) (passed int) {
	t.Helper()
	for range n {
		if c := take(t, m, claim); !c[0].Refuses() {
			passed++
		}
	}
	return passed
}

func TestTakesAllOrNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, shared := range []store.Store{nil, newFrail(t)} {
			m, _ := newMeter(t, shared)
			wide, narrow := rateClaim("wide", "a", 10), rateClaim("narrow", "a", 2)
			for i := range 5 {
				got := take(t, m, wide, narrow)
				if refused := got[1].Refuses(); refused != (i >= 2) || got[0].Refuses() {
					t.Errorf("request %d: %+v", i, got)
				}
			}
			if got := take(t, m, wide)[0]; got.Left != 7 { // what narrow refused counts nowhere
				t.Errorf("of the wide limit %d are left, want 7", got.Left)
			}
			got := take(t, m, narrow)[0]
			time.Sleep(got.Wait - time.Microsecond)
			if take(t, m, narrow)[0].Verdict != Exceeded {
				t.Error("let in before its time")
			}
			time.Sleep(time.Microsecond)
			if take(t, m, narrow)[0].Verdict != Fits {
				t.Error("not let in when Wait was over, though it has been hammering")
			}
		}
	})
}

// A caller that is known to be over its limit costs no call, and none of the store's time.
func TestHammeringAsksNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFrail(t)
		m, _ := newMeter(t, s)
		if n := passes(t, m, 5, rateClaim("a", "x", 3)); n != 3 {
			t.Errorf("%d passed", n)
		}
		before := s.calls.Load()
		if n := passes(t, m, 1000, rateClaim("a", "x", 3)); n != 0 {
			t.Errorf("%d passed", n)
		}
		if n := s.calls.Load() - before; n != 0 {
			t.Errorf("the store was asked %d times", n)
		}
		if n := passes(t, m, 1, rateClaim("a", "y", 3)); n != 1 {
			t.Error("somebody else was refused")
		}
	})
}

// A refusal that comes slowly is not believed for longer than it was meant: who comes when
// Retry-After says so passes.
func TestSlowRefusalsEndInTime(t *testing.T) {
	const slow = 20 * time.Millisecond
	for name, request := range map[string]func(t *testing.T, m *Meter) bool{
		"rate":  func(t *testing.T, m *Meter) bool { return passes(t, m, 1, rateClaim("a", "x", 3)) == 1 },
		"after": func(t *testing.T, m *Meter) bool { return afterRequest(t, m, 3, true) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newFrail(t)
				s.slow = slow
				m, _ := newMeter(t, s)
				other, _ := newMeter(t, s) // that of another node
				request(t, other)
				free := time.Now().Add(time.Minute - slow) // a window after it was counted
				request(t, other)
				request(t, other)
				time.Sleep(time.Until(free) - 2*slow)
				if request(t, m) {
					t.Error("four of three pass")
				}
				time.Sleep(time.Until(free))
				if !request(t, m) {
					t.Error("it is refused after its time")
				}
			})
		})
	}
}

// What is told is the moment for each cost, also when the limit was just used up by others: the
// first ones free less than a large cost needs.
func TestWaitIsForTheCost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, _ := newMeter(t, nil)
		small, large := rateClaim("a", "x", 6), rateClaim("a", "x", 6)
		large.Cost = 5
		take(t, m, small)
		time.Sleep(10 * time.Second)
		take(t, m, large)
		c := m.Call()
		defer m.End(c)
		c.Claims = append(c.Claims, large)
		if m.Look(c, time.Now()); c.Claims[0].Verdict == Unknown {
			m.Take(client{t}, c, time.Now())
		}
		if got := c.Claims[0]; !got.Refuses() || got.Wait != time.Minute {
			t.Errorf("refused %v, to come again in %v, want 1m", got.Refuses(), got.Wait)
		}
	})
}

// afterRequest is a request whose answer counts when it is bad. It takes a while.
func afterRequest(t *testing.T, m *Meter, limit int64, bad bool) (passed bool) {
	c := m.Call()
	defer m.End(c)
	claim := rateClaim("auth", "ip", limit)
	claim.Kind = After
	c.Claims = append(c.Claims, claim)
	m.Take(client{t}, c, time.Now())
	passed = !c.Claims[0].Refuses()
	if passed {
		time.Sleep(10 * time.Millisecond)
		c.Claims[0].Counts = bad
	}
	m.Settle(c, time.Now())
	return passed
}

func atOnce(n int, f func() bool) int64 {
	var passed atomic.Int64
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			if f() {
				passed.Add(1)
			}
		})
	}
	all.Wait()
	return passed.Load()
}

// D13: good answers never make others be refused, and of bad ones no more than
// the limit get through however many come at once.
func TestAfter(t *testing.T) {
	for name, shared := range map[string]bool{"memory": false, "shared": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var s store.Store
				if shared {
					s = newFrail(t)
				}
				m, _ := newMeter(t, s)
				if n := atOnce(200, func() bool { return afterRequest(t, m, 5, false) }); n != 200 {
					t.Errorf("of 200 good requests %d passed", n)
				}
				if n := atOnce(200, func() bool { return afterRequest(t, m, 5, true) }); n != 5 {
					t.Errorf("of 200 bad requests %d passed", n)
				}
				if afterRequest(t, m, 5, false) {
					t.Error("passed a limit that is used up")
				}
				time.Sleep(time.Minute)
				if !afterRequest(t, m, 5, true) {
					t.Error("still refused a minute later")
				}
			})
		})
	}
}

// While the store is lost whoever comes passes a limit that opens, and holds no place.
func TestAfterWhileLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFrail(t)
		m, _ := newMeter(t, s)
		request := func(bad bool) bool {
			c := m.Call()
			defer m.End(c)
			claim := rateClaim("auth", "ip", 1)
			claim.Kind, claim.OnLoss = After, Open
			c.Claims = append(c.Claims, claim)
			m.Take(client{t}, c, time.Now())
			passed := !c.Claims[0].Refuses()
			time.Sleep(time.Second)
			c.Claims[0].Counts = bad
			m.Settle(c, time.Now())
			return passed
		}
		var all sync.WaitGroup
		all.Go(func() { request(false) }) // inside when the store gets lost
		time.Sleep(time.Millisecond)
		for range 10 {
			all.Go(func() {
				if !request(false) {
					t.Error("refused by a limit that opens")
				}
			})
		}
		time.Sleep(time.Millisecond) // they wait
		s.fail(errors.New("gone"))
		time.Sleep(1100 * time.Millisecond) // the first one has left, and the others are on their way
		s.fails.Store(nil)
		time.Sleep(400 * time.Millisecond) // found again before those leave
		if n := atOnce(20, func() bool { return request(true) }); n != 1 {
			t.Errorf("of 20 bad requests %d passed: places were given back that nobody had", n)
		}
		all.Wait()
	})
}

// What a node knows of its leases refuses early too.
func TestLookKnowsLeases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, _ := newMeter(t, newFrail(t))
		claim := rateClaim("a", "x", 100)
		claim.Leased = true
		passes(t, m, 200, claim)
		c := m.Call()
		defer m.End(c)
		c.Claims = append(c.Claims, claim)
		if m.Look(c, time.Now()); !c.Claims[0].Refuses() {
			t.Error("Look does not see that it is exceeded")
		}
	})
}

func TestFlight(t *testing.T) {
	m, _ := newMeter(t, nil)
	claim := Claim{Name: "uploads", Key: "a", Kind: Flight, Rule: store.Rule{Limit: 2}, Cost: 1}
	var open []*Call
	for i := range 3 {
		c := m.Call()
		c.Claims = append(c.Claims, claim, rateClaim("r", "a", 100))
		m.Take(client{t}, c, time.Now())
		if refused := c.Claims[0].Refuses(); refused != (i == 2) {
			t.Errorf("request %d: %+v", i, c.Claims[0])
		}
		open = append(open, c)
	}
	m.End(open[2])
	m.End(open[0])
	if got := take(t, m, claim)[0]; got.Refuses() {
		t.Error("no place, though one has ended")
	}
	if got := take(t, m, rateClaim("r", "a", 100))[0]; got.Left != 97 {
		t.Errorf("%d left: what had no place must not count", got.Left)
	}
}

func TestStoreIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFrail(t)
		m, log := newMeter(t, s)
		other, _ := newMeter(t, s)
		time.Sleep(3 * beat) // both know of each other
		if n := m.State().Nodes; n != 2 {
			t.Fatalf("%d nodes", n)
		}
		claim := rateClaim("a", "x", 10)
		if n := passes(t, m, 3, claim); n != 3 {
			t.Errorf("%d passed", n)
		}
		s.fail(errors.New("gone"))
		began := time.Now()
		// A half of 10 is this node's, of which 3 are used.
		if n := passes(t, m, 20, claim); n != 2 {
			t.Errorf("%d passed on this node alone, want 2", n)
		}
		open, closed := rateClaim("b", "x", 1), rateClaim("c", "x", 100)
		open.OnLoss, closed.OnLoss = Open, Closed
		if n := passes(t, m, 20, open); n != 20 {
			t.Errorf("%d passed a limit that opens", n)
		}
		if got := take(t, m, closed)[0]; got.Verdict != Lost || !got.Refuses() {
			t.Errorf("a limit that closes: %+v", got)
		}
		if waited := time.Since(began); waited > 0 {
			t.Errorf("waited for %v", waited)
		}
		if !m.State().Lost || log.count("count on this node alone") != 1 {
			t.Errorf("state %+v, log:\n%s", m.State(), log.b.String())
		}
		s.fails.Store(nil)
		time.Sleep(2 * time.Second)
		if m.State().Lost || log.count("count in the store again") != 1 {
			t.Errorf("not back, log:\n%s", log.b.String())
		}
		// 3 and 2 are counted in the store by now.
		if n := passes(t, other, 20, claim); n != 5 {
			t.Errorf("%d passed on the other node, want 5", n)
		}
	})
}

// Three late answers are enough; then nobody waits any more.
func TestStoreHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFrail(t)
		m, _ := newMeter(t, s)
		s.hangs.Store(true)
		began := time.Now()
		if n := passes(t, m, 20, rateClaim("a", "x", 10)); n != 10 {
			t.Errorf("%d passed", n)
		}
		if waited := time.Since(began); waited > tolerated*frailBudget {
			t.Errorf("waited for %v", waited)
		}
		s.hangs.Store(false)
		time.Sleep(2 * time.Second)
		if m.State().Lost {
			t.Error("still lost")
		}
	})
}

// A single late answer is no loss.
func TestOneLateAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFrail(t)
		m, _ := newMeter(t, s)
		for range 5 {
			s.hangs.Store(true)
			take(t, m, rateClaim("a", "x", 100))
			s.hangs.Store(false)
			take(t, m, rateClaim("a", "x", 100))
		}
		if s := m.State(); s.Lost || s.Losses != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestLeased(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFrail(t)
		m, _ := newMeter(t, s)
		claim := rateClaim("a", "x", 1000)
		claim.Leased = true
		passed := 0
		for range 5000 {
			passed += passes(t, m, 1, claim)
			time.Sleep(time.Millisecond)
		}
		if passed > 1000 || passed < 950 {
			t.Errorf("%d passed within a window, want 950 to 1000", passed)
		}
		if calls := s.calls.Load(); calls > 300 {
			t.Errorf("the store was asked %d times", calls)
		}
		// A refusal by another limit gives back what it took.
		claim.Key = "y"
		take(t, m, rateClaim("b", "y", 1))
		for range 100 {
			take(t, m, claim, rateClaim("b", "y", 1))
		}
		if n := passes(t, m, 1000, claim); n < 990 {
			t.Errorf("%d passed: refused requests have used up a lease", n)
		}
	})
}

func TestForgetEverywhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFrail(t)
		a, _ := newMeter(t, s)
		b, _ := newMeter(t, s)
		time.Sleep(beat)
		claim := rateClaim("a", "user:1", 2)
		for _, m := range []*Meter{a, b} {
			passes(t, m, 5, claim) // both know by now that it is used up
		}
		if err := Forget(t.Context(), s, "a", "user:1"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if n := passes(t, b, 5, claim); n != 2 {
			t.Errorf("%d passed", n)
		}
		if err := a.Forget(t.Context(), "a", "user:1"); err != nil {
			t.Fatal(err)
		}
		if n := passes(t, a, 5, claim); n != 2 {
			t.Errorf("%d passed", n)
		}
	})
}

// Nodes that join are counted, and those that leave are not, after a while.
func TestNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFrail(t)
		a, _ := newMeter(t, s)
		b := New(Options{Here: memory.New(memory.Options{}), Log: slog.New(slog.DiscardHandler)})
		b.Share(s, nil)
		time.Sleep(2 * beat)
		if n := a.State().Nodes; n != 2 {
			t.Errorf("%d nodes", n)
		}
		b.Close()
		time.Sleep(silence + 2*beat)
		if n := a.State().Nodes; n != 1 {
			t.Errorf("%d nodes after one has left", n)
		}
	})
}

func TestCountAndPeek(t *testing.T) {
	m, _ := newMeter(t, nil)
	c := m.Call()
	c.Claims = append(c.Claims, rateClaim("a", "x", 2))
	m.Look(c, time.Now())
	m.Count(c, time.Now()) // refused by somebody else
	m.End(c)
	if got := take(t, m, rateClaim("a", "x", 2))[0]; got.Left != 0 {
		t.Errorf("%d left, want 0: refused requests count", got.Left)
	}
	c = m.Call()
	c.Claims = append(c.Claims, rateClaim("a", "x", 2))
	m.Look(c, time.Now())
	if !c.Claims[0].Refuses() {
		t.Error("Look does not see what is used up")
	}
	m.End(c)

	m.Peek = true
	if n := passes(t, m, 100, rateClaim("b", "x", 2)); n != 100 {
		t.Errorf("a Meter that only looks has counted: %d passed", n)
	}
}

func TestNoAllocations(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector allocates")
	}
	m, _ := newMeter(t, nil)
	now := time.Now()
	after, flight := rateClaim("d", "w", 1e9), rateClaim("e", "v", 2)
	after.Kind, flight.Kind = After, Flight
	if n := testing.AllocsPerRun(1000, func() {
		c := m.Call()
		c.Claims = append(c.Claims, rateClaim("a", "x", 1e9), rateClaim("b", "y", 1e9), after, flight)
		m.Look(c, now)
		m.Take(nil, c, now)
		c.Claims[2].Counts = true
		m.Settle(c, now)
		m.End(c)
		c = m.Call()
		c.Claims = append(c.Claims, rateClaim("c", "z", 1)) // used up
		m.Take(nil, c, now)
		m.End(c)
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkTake(b *testing.B) {
	here := memory.New(memory.Options{})
	m := New(Options{Here: here, Log: slog.New(slog.DiscardHandler)})
	now := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		c := m.Call()
		c.Claims = append(c.Claims, rateClaim("flood", "ip:10.0.0.1", 1e9), rateClaim("user", "user:1", 1e9))
		m.Look(c, now)
		m.Take(nil, c, now)
		m.Settle(c, now)
		m.End(c)
	}
}
