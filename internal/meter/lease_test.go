package meter

import (
	"sync"
	"testing"
	"time"

	"yett/internal/store"
)

// leaseTest is one node's leases on a clock that the test turns, and the store.
type leaseTest struct {
	*testing.T
	*leases
	rule  store.Rule
	nodes int
	now   time.Time
	store *leaseModel
}

// leaseMinute has a life of one second.
var leaseMinute = store.Rule{Limit: 6000, Window: time.Minute}

func newLeaseTest(t *testing.T, rule store.Rule) *leaseTest {
	l := newLeases(1000)
	return &leaseTest{T: t, leases: l, rule: rule, nodes: 1, now: l.start, store: newLeaseModel()}
}

func (t *leaseTest) wait(d time.Duration) { t.now = t.now.Add(d) }

func (t *leaseTest) spend(cost int64) spending {
	return t.leases.spend(leaseKey, t.rule, cost, t.now, t.nodes)
}

// answer lets the store answer at once.
func (t *leaseTest) answer(s spending) (spending, store.Take) {
	a := store.Take{Rule: t.rule}
	s.into(&a)
	t.store.take(t.now.Sub(t.start).Microseconds(), &a)
	return t.fill(leaseKey, s, &a, t.now, t.now), a
}

// request does what a caller does, and tells how much was asked for; 0 when nothing.
func (t *leaseTest) request(cost int64) (spending, int64) {
	s := t.spend(cost)
	switch {
	case s.state == leaseAsk:
		out, a := t.answer(s)
		return out, a.Cost
	case s.refill:
		_, a := t.answer(s)
		return s, a.Cost
	}
	return s, 0
}

// warm leaves a lease of at least n.
func (t *leaseTest) warm(n int64) {
	t.Helper()
	for range 100_000 {
		if k := t.key(); k != nil && k.have() >= n {
			return
		}
		t.request(1)
		t.wait(time.Millisecond)
	}
	t.Fatalf("the lease does not grow to %d", n)
}

func (t *leaseTest) key() *lease { return t.shard(leaseKey).find(leaseKey) }

func (t *leaseTest) expect(s spending, state leaseState) {
	t.Helper()
	if s.state != state {
		t.Fatalf("state %d, want %d: %+v", s.state, state, s)
	}
}

func (t *leaseTest) closed(done <-chan struct{}, want bool) {
	t.Helper()
	select {
	case <-done:
		if !want {
			t.Fatal("let go too early")
		}
	default:
		if want {
			t.Fatal("still waits")
		}
	}
}

// ofOthers counts n of another node.
func (t *leaseTest) ofOthers(n int64) {
	t.store.take(t.now.Sub(t.start).Microseconds(), &store.Take{Rule: t.rule, Cost: n})
}

func TestLeaseLife(t *testing.T) {
	bucket := func(limit, burst int64, window time.Duration) store.Rule {
		return store.Rule{Algorithm: store.TokenBucket, Limit: limit, Burst: burst, Window: window}
	}
	for rule, want := range map[store.Rule]time.Duration{
		{Limit: 10, Window: time.Minute}:                              time.Second,
		{Limit: 10, Window: time.Hour}:                                5 * time.Second,
		{Limit: 10, Window: 100 * time.Millisecond}:                   0,
		{Algorithm: store.FixedWindow, Limit: 1, Window: time.Second}: 16666 * time.Microsecond,
		bucket(100, 60, time.Second):                                  10 * time.Millisecond,
		bucket(100, 59, time.Second):                                  0,
		bucket(100_000, 100, time.Second):                             0,
		bucket(1, 1e9, 365*24*time.Hour):                              5 * time.Second,
	} {
		if got := leaseLife(rule); got != want {
			t.Errorf("%+v: %v, want %v", rule, got, want)
		}
	}
}

func TestLeaseOfOneUnderLittleLoad(t *testing.T) {
	l := newLeaseTest(t, leaseMinute)
	for range 50 {
		s := l.spend(1)
		l.expect(s, leaseAsk)
		if s.want != 1 || s.ahead != 0 {
			t.Fatalf("%d taken for %v", s.want, s.ahead)
		}
		l.answer(s)
		l.wait(700 * time.Millisecond)
	}
}

func TestLeaseGrowsAndShrinks(t *testing.T) {
	l := newLeaseTest(t, leaseMinute)
	l.nodes = 4
	last, most := int64(1), int64(0)
	for range 3000 {
		left := l.key()
		limit := l.rule.Limit / 32
		if left != nil {
			limit = max(left.left/32, l.rule.Limit/128)
		}
		if _, n := l.request(1); n > 0 {
			if n > max(1, 2*last, limit) || n > max(1, limit) {
				t.Fatalf("asked for %d after %d, of which %d are all right", n, last, limit)
			}
			last, most = n, max(most, n)
		}
		l.wait(time.Millisecond)
	}
	if most < l.rule.Limit/64 {
		t.Errorf("never more than %d, with %d requests a second", most, 1000)
	}
	l.wait(time.Minute)
	for range 4 {
		_, n := l.request(1)
		if n != 1 {
			t.Errorf("%d asked for, with a request in a minute", n)
		}
		l.wait(time.Minute)
	}
}

func TestLeaseRefillsOnce(t *testing.T) {
	l := newLeaseTest(t, leaseMinute)
	l.warm(20)
	var refill spending
	for !refill.refill {
		refill = l.spend(1)
		l.wait(time.Millisecond)
	}
	if have := l.key().have(); have == 0 || 4*have >= l.key().lot+4 && have > 5 {
		t.Errorf("refill with %d left", have)
	}
	if s := l.spend(1); s.refill || s.state != leaseSpent {
		t.Errorf("a second refill: %+v", s)
	}
	a := store.Take{}
	if refill.into(&a); a.Least != 1 || a.Cost != refill.want || a.Ahead != time.Second || a.Action != store.Spend {
		t.Errorf("%+v", a)
	}
	before := l.key().have()
	_, a = l.answer(refill)
	if have := l.key().have(); have != before+a.Granted {
		t.Errorf("%d after %d and %d", have, before, a.Granted)
	}
}

func TestLeaseFailedRefillIsLeftAlone(t *testing.T) {
	l := newLeaseTest(t, leaseMinute)
	l.warm(20)
	var refill spending
	for !refill.refill {
		refill = l.spend(1)
		l.wait(time.Millisecond)
	}
	l.failed(leaseKey, refill)
	for l.key().have() > 0 {
		if s := l.spend(1); s.refill || s.state != leaseSpent {
			t.Fatalf("%+v", s)
		}
	}
	s := l.spend(1)
	l.expect(s, leaseAsk)
	l.answer(s)
	if l.key().lost {
		t.Error("no refills any more")
	}
}

func TestLeaseWaiters(t *testing.T) {
	for name, end := range map[string]func(*leaseTest, spending){
		"fill":     func(l *leaseTest, s spending) { l.answer(s) },
		"failed":   func(l *leaseTest, s spending) { l.failed(leaseKey, s) },
		"forget":   func(l *leaseTest, _ spending) { l.forget(leaseKey) },
		"replaced": func(l *leaseTest, _ spending) { s := l.shard(leaseKey); s.remove(s.index[leaseKey]) },
		"new rule": func(l *leaseTest, _ spending) {
			l.wait(time.Second)
			l.rule.Limit++
			l.spend(1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLeaseTest(t, leaseMinute)
			asker := l.spend(1)
			l.expect(asker, leaseAsk)
			waiter, other := l.spend(1), l.spend(2)
			l.expect(waiter, leaseWait)
			l.expect(other, leaseWait)
			l.closed(waiter.done, false)
			end(l, asker)
			l.closed(waiter.done, true)
			l.closed(other.done, true)
		})
	}
}

func TestLeaseAsksForThoseWhoWait(t *testing.T) {
	l := newLeaseTest(t, leaseMinute)
	asker := l.spend(1)
	for range 50 {
		l.expect(l.spend(2), leaseWait)
	}
	l.answer(asker)
	s := l.spend(2)
	l.expect(s, leaseAsk)
	if s.want != 100 || s.ahead != time.Second {
		t.Errorf("%d taken, want 100", s.want)
	}
	l.answer(s)
	for range 49 {
		l.expect(l.spend(2), leaseSpent)
	}
}

// Who has waited, and got something, is not asked for again.
func TestLeaseForgetsWhoHasWaited(t *testing.T) {
	l := newLeaseTest(t, leaseMinute)
	l.warm(20)
	var refill spending
	for !refill.refill {
		refill = l.spend(1)
		l.wait(time.Millisecond)
	}
	for l.key().have() > 0 {
		l.spend(1)
	}
	for range 5 {
		l.expect(l.spend(1), leaseWait)
	}
	l.answer(refill)
	for range 5 {
		l.expect(l.spend(1), leaseSpent)
	}
	if n := l.key().waiting; n != 0 {
		t.Errorf("still %d", n)
	}
}

func TestLeaseOutlivesItsAsker(t *testing.T) {
	l := newLeaseTest(t, leaseMinute)
	dead := l.spend(1)
	l.expect(l.spend(1), leaseWait)
	l.wait(leaseGivenUp)
	next := l.spend(1)
	l.expect(next, leaseAsk)
	waiter := l.spend(1)
	l.expect(waiter, leaseWait)
	l.failed(leaseKey, dead)
	l.answer(dead)
	l.closed(waiter.done, false)
	l.answer(next)
	l.closed(waiter.done, true)
}

func TestLeaseRemembersRefusals(t *testing.T) {
	l := newLeaseTest(t, store.Rule{Limit: 100, Window: time.Minute})
	l.ofOthers(100)
	l.wait(58 * time.Second)
	s := l.spend(3)
	out, _ := l.answer(s)
	l.expect(out, leaseExceeded)
	if out.wait != 2*time.Second || out.left != 0 {
		t.Errorf("%+v", out)
	}
	l.wait(500 * time.Millisecond)
	for range 100 {
		s = l.spend(4)
		l.expect(s, leaseExceeded)
		if s.wait != 1500*time.Millisecond || s.left != 0 || s.more != 1500*time.Millisecond {
			t.Fatalf("%+v", s)
		}
	}
	l.expect(l.look(leaseKey, l.rule, 3, l.now), leaseExceeded)
	l.expect(l.look(leaseKey, l.rule, 2, l.now), leaseAsk)
	l.expect(l.spend(2), leaseAsk)
	l.wait(1500 * time.Millisecond)
	out, _ = l.request(3)
	l.expect(out, leaseSpent)
}

// A refusal is not believed for ever: another node may have been told to forget.
func TestLeaseDoubtsRefusals(t *testing.T) {
	l := newLeaseTest(t, store.Rule{Algorithm: store.FixedWindow, Limit: 10, Window: time.Hour})
	l.ofOthers(10)
	out, _ := l.request(1)
	l.expect(out, leaseExceeded)
	l.wait(leaseLongest - 1)
	s := l.spend(1)
	l.expect(s, leaseExceeded)
	if s.wait < 59*time.Minute {
		t.Errorf("to wait %v", s.wait)
	}
	l.wait(1)
	l.expect(l.spend(1), leaseAsk)
}

// When nothing is left nobody has to hear that a second time.
func TestLeaseKnowsWhenNothingIsLeft(t *testing.T) {
	l := newLeaseTest(t, store.Rule{Limit: 10, Window: time.Minute})
	l.ofOthers(9)
	out, _ := l.request(1)
	l.expect(out, leaseSpent)
	s := l.spend(1)
	l.expect(s, leaseExceeded)
}

func TestLeaseEnds(t *testing.T) {
	for name, rule := range map[string]store.Rule{
		"sliding": leaseMinute,
		"fixed":   {Algorithm: store.FixedWindow, Limit: 6000, Window: time.Minute},
		"bucket":  {Algorithm: store.TokenBucket, Limit: 6000, Window: time.Minute, Burst: 6000},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLeaseTest(t, rule)
			l.warm(10)
			l.wait(10 * time.Second)
			s := spending{state: leaseAsk, cost: 1, want: 10, ahead: time.Second, born: l.key().born, flight: 99}
			l.key().flight = 99
			l.answer(s)
			l.wait(time.Second - 2*time.Microsecond)
			l.expect(l.look(leaseKey, rule, 9, l.now), leaseSpent)
			l.wait(time.Microsecond)
			l.expect(l.look(leaseKey, rule, 1, l.now), leaseAsk)
		})
	}
}

func TestLeaseEndsWithItsWindow(t *testing.T) {
	l := newLeaseTest(t, store.Rule{Algorithm: store.FixedWindow, Limit: 6000, Window: time.Minute})
	l.request(1)
	l.wait(time.Minute - 500*time.Millisecond)
	for range 200 {
		l.request(1)
		l.wait(time.Millisecond)
	}
	if l.key().have() == 0 {
		t.Fatal("nothing leased")
	}
	l.wait(300*time.Millisecond - time.Microsecond)
	l.expect(l.look(leaseKey, l.rule, 1, l.now), leaseAsk)
}

func TestLeaseOfAnotherRule(t *testing.T) {
	l := newLeaseTest(t, leaseMinute)
	l.warm(20)
	have := l.key().have()
	l.rule.Limit = 10
	s := l.spend(1)
	l.expect(s, leaseAsk)
	if s.want != 1 || s.ahead != 0 {
		t.Errorf("%+v", s)
	}
	l.answer(s)
	if got := l.key().have(); got != have {
		t.Errorf("%d left, want %d", got, have)
	}
	l.wait(2 * time.Second)
	l.spend(1)
	if l.key().rule != l.rule {
		t.Error("the old rule stays")
	}
}

func TestLeaseOfAnotherRuleThatComesLate(t *testing.T) {
	l := newLeaseTest(t, leaseMinute)
	l.answer(l.spend(1))
	l.spend(1)
	l.spend(30) // waits, so that the next takes more than it needs
	l.wait(leaseGivenUp)
	late, old := l.spend(1), l.rule
	l.expect(late, leaseAsk)
	l.wait(leaseGivenUp)
	l.rule.Limit = 10
	l.spend(1)
	l.fill(leaseKey, late, &store.Take{Rule: old, Fits: true, Granted: late.want}, l.now, l.now)
	if late.want < 30 || l.key().have() != 0 {
		t.Errorf("%d of the old rule's %d are used", l.key().have(), late.want)
	}
}

func TestLeaseGivesBack(t *testing.T) {
	l := newLeaseTest(t, leaseMinute)
	l.warm(20)
	have := l.key().have()
	s := l.spend(5)
	l.giveBack(leaseKey, s, l.now)
	if got := l.key().have(); got != have {
		t.Errorf("%d left, want %d", got, have)
	}
	s = l.spend(l.key().have())
	until := l.key().parts
	l.giveBack(leaseKey, s, l.now)
	l.wait(time.Second)
	l.expect(l.look(leaseKey, l.rule, 1, l.now), leaseAsk)
	l.giveBack(leaseKey, s, l.now)
	if l.key().have() != 0 {
		t.Errorf("what has ended is back, after %v", until)
	}
}

// What comes back must not be used for longer than what it was taken from.
func TestLeaseGivesBackToTheOlder(t *testing.T) {
	k := lease{rule: leaseMinute}
	k.put(5, 100)
	k.put(5, 200)
	until := k.take(7)
	k.putBack(7, until)
	if k.expire(100); k.have() != 3 {
		t.Errorf("%d left at 100, want 3", k.have())
	}
	k.putBack(1, 150)
	k.putBack(1, 140) // there is room for two
	if k.have() != 4 && k.have() != 5 {
		t.Errorf("%d", k.have())
	}
	if k.expire(150); k.have() != 3 {
		t.Errorf("%d left at 150, want 3", k.have())
	}
}

func TestLeaseOfLessThanTheCost(t *testing.T) {
	l := newLeaseTest(t, leaseMinute)
	l.warm(8)
	have := l.key().have()
	for l.key().flying {
		l.wait(time.Millisecond)
	}
	s := l.spend(1000)
	l.expect(s, leaseAsk)
	if s.want < 1000 {
		t.Errorf("%d asked for", s.want)
	}
	out, a := l.answer(s)
	l.expect(out, leaseSpent)
	if got := l.key().have(); got != have+a.Granted-1000 {
		t.Errorf("%d left, want %d", got, have+a.Granted-1000)
	}
}

func TestLeaseTakesAcrossParts(t *testing.T) {
	var k lease
	k.put(3, 200)
	k.put(4, 100)
	if until := k.take(5); until != 100 || k.parts != [2]leasePart{{2, 200}, {}} {
		t.Errorf("%d, %v", until, k.parts)
	}
	k.put(1, 300)
	k.put(9, 400)
	if k.parts != [2]leasePart{{3, 200}, {9, 400}} {
		t.Errorf("%v", k.parts)
	}
}

// Nobody may wait for requests that another limit refuses.
func TestLeaseBesideOtherLimits(t *testing.T) {
	l := newLeaseTest(t, leaseMinute)
	s := l.spend(1)
	out := l.fill(leaseKey, s, &store.Take{Rule: l.rule, Fits: true, Left: 100, More: time.Second, Cost: 1, Least: 1}, l.now, l.now)
	l.expect(out, leaseAsk)
	for range 3 {
		s = l.spend(1)
		l.expect(s, leaseAsk)
		if s.want != 1 {
			t.Errorf("%d asked for", s.want)
		}
	}
	l.answer(s)
	l.expect(l.spend(1), leaseAsk)
	l.expect(l.spend(1), leaseWait)
}

func TestLeaseOfASlowStore(t *testing.T) {
	l := newLeaseTest(t, leaseMinute)
	s := l.spend(1)
	l.fill(leaseKey, s, &store.Take{Rule: l.rule, Fits: true, Granted: 1, Left: 100, More: time.Second}, l.now, l.now.Add(400*time.Millisecond))
	l.wait(400 * time.Millisecond)
	l.expect(l.spend(1), leaseAsk)
	s = l.spend(1)
	l.expect(s, leaseAsk)
	if s.ahead != 0 || s.want != 1 {
		t.Errorf("%+v", s)
	}
}

func TestLeaseForgets(t *testing.T) {
	l := newLeaseTest(t, leaseMinute)
	l.warm(20)
	var refill spending
	for !refill.refill {
		refill = l.spend(1)
		l.wait(time.Millisecond)
	}
	l.forget(leaseKey)
	l.answer(refill)
	l.expect(l.look(leaseKey, l.rule, 1, l.now), leaseAsk)
	s := l.spend(1)
	l.expect(s, leaseAsk)
	l.answer(refill)
	if k := l.key(); k.have() != 0 || !k.flying {
		t.Error("an answer from before was used")
	}
}

func TestLeaseForgetsWhatIsSaidLate(t *testing.T) {
	l := newLeaseTest(t, store.Rule{Limit: 60, Window: 100 * time.Millisecond}) // not leased
	refused := l.spend(1)
	l.forget(leaseKey)
	s := l.spend(1)
	l.fill(leaseKey, refused, &store.Take{Rule: l.rule, Least: 1, Wait: time.Second}, l.now, l.now)
	l.expect(l.spend(1), leaseAsk)
	l.answer(s)

	l = newLeaseTest(t, leaseMinute)
	l.warm(20)
	s = l.spend(5)
	l.forget(leaseKey)
	l.spend(1)
	l.giveBack(leaseKey, s, l.now)
	if n := l.key().have(); n != 0 {
		t.Errorf("%d from before", n)
	}
}

// What is left here and there is not enough when neither is: it must not look so.
func TestLeaseRefusesMoreThanItShows(t *testing.T) {
	l := newLeaseTest(t, leaseMinute)
	l.warm(3)
	for l.key().have() > 3 {
		l.spend(1)
	}
	s := l.spend(5)
	if s.state != leaseAsk {
		l.wait(leaseGivenUp)
		s = l.spend(5)
	}
	out := l.fill(leaseKey, s, &store.Take{Rule: l.rule, Least: 5, Left: 3, Wait: time.Second, More: time.Second}, l.now, l.now)
	l.expect(out, leaseExceeded)
	if out.left != 4 {
		t.Errorf("%d left", out.left)
	}
	out = l.spend(5)
	l.expect(out, leaseExceeded)
	if out.left != 4 {
		t.Errorf("%d left", out.left)
	}
	if out = l.look(leaseKey, l.rule, 3, l.now); out.state != leaseSpent || out.left != 6 {
		t.Errorf("%+v", out)
	}
}

// A bucket of which some is leased must stay below the rim for everybody.
func TestLeaseKeepsBelowTheRim(t *testing.T) {
	l := newLeaseTest(t, store.Rule{Algorithm: store.TokenBucket, Limit: 100, Window: time.Second, Burst: 600})
	if s := l.spend(1); s.want != 1 || s.ahead != 100*time.Millisecond {
		t.Errorf("%d for %v", s.want, s.ahead)
	}
	l.forget(leaseKey)
	s := l.spend(600) // would never fit otherwise
	if s.ahead != 0 {
		t.Errorf("%v", s.ahead)
	}
	out, _ := l.answer(s)
	l.expect(out, leaseSpent)
	s = l.spend(1)
	l.expect(s, leaseExceeded)
	if s.left != 0 {
		t.Errorf("%d left", s.left)
	}
}

func TestLeasesAreBounded(t *testing.T) {
	l := newLeaseTest(t, leaseMinute)
	l.leases = newLeases(10 * leaseShards)
	l.start = l.now
	l.warm(20)
	for i := range uint64(100_000) {
		other := id{i * 0x9e3779b97f4a7c15, i}
		l.failed(other, l.leases.spend(other, l.rule, 1, l.now, 1))
	}
	if k := l.key(); k == nil || k.have() == 0 {
		t.Error("a lease had to go for keys that have ended")
	}
	all := 0
	for i := range l.shards {
		s := &l.shards[i]
		all += len(s.keys)
		for at, k := range s.keys {
			if s.index[k.id] != int32(at) || len(s.index) != len(s.keys) {
				t.Fatal("the index is wrong")
			}
		}
	}
	if all != 10*leaseShards {
		t.Errorf("%d keys", all)
	}
}

// A key that somebody asks for is worth more than one that has nothing.
func TestLeasesKeepWhoAsks(t *testing.T) {
	l := newLeaseTest(t, leaseMinute)
	l.leases = newLeases(2 * leaseShards)
	l.wait(time.Second)
	asker := l.spend(1)
	for i := range uint64(10) {
		other := id{leaseKey.a, 10 + i}
		l.failed(other, l.leases.spend(other, l.rule, 1, l.now, 1))
	}
	if k := l.key(); k == nil || k.born != asker.born {
		t.Error("it had to go")
	}
}

// TestLeasesAtOnce is for the race detector, and fails when tokens are given away twice.
func TestLeasesAtOnce(t *testing.T) {
	rule := store.Rule{Algorithm: store.FixedWindow, Limit: 20_000, Window: time.Hour}
	model := newLeaseModel()
	l, mu, wg, spent := newLeases(10), sync.Mutex{}, sync.WaitGroup{}, make([]int64, 8)
	ask := func(s spending) spending {
		a, asked := store.Take{Rule: rule}, time.Now()
		s.into(&a)
		mu.Lock()
		model.take(time.Since(l.start).Microseconds(), &a)
		mu.Unlock()
		return l.fill(leaseKey, s, &a, asked, time.Now())
	}
	for i := range spent {
		wg.Go(func() {
			for range 10_000 {
				s := l.spend(leaseKey, rule, 1, time.Now(), 2)
				for s.state == leaseWait {
					<-s.done
					s = l.spend(leaseKey, rule, 1, time.Now(), 2)
				}
				switch {
				case s.state == leaseAsk:
					s = ask(s)
				case s.refill:
					wg.Go(func() { ask(s) })
				}
				if s.state == leaseSpent {
					spent[i]++
				}
			}
		})
	}
	wg.Wait()
	all := int64(0)
	for _, n := range spent {
		all += n
	}
	if all > rule.Limit || all < rule.Limit*95/100 {
		t.Errorf("%d of %d spent, with %d calls", all, rule.Limit, model.calls)
	}
}

// leaseFull has a lease that does not get empty.
func leaseFull() (*leases, time.Time) {
	l := newLeases(1000)
	l.spend(leaseKey, leaseMinute, 1, l.start, 1)
	k := l.shard(leaseKey).find(leaseKey)
	k.land()
	k.put(1<<60, int64(time.Hour))
	return l, l.start.Add(time.Second)
}

func TestLeaseSpendDoesNotAllocate(t *testing.T) {
	l, now := leaseFull()
	refused := id{3, 4}
	s := l.spend(refused, leaseMinute, 1, now, 1)
	l.fill(refused, s, &store.Take{Rule: leaseMinute, Least: 1, Wait: time.Second}, now, now)
	if n := testing.AllocsPerRun(1000, func() {
		l.spend(leaseKey, leaseMinute, 1, now, 4)
		l.look(leaseKey, leaseMinute, 1, now)
		l.giveBack(leaseKey, l.spend(leaseKey, leaseMinute, 1, now, 4), now)
		if l.spend(refused, leaseMinute, 1, now, 4).state != leaseExceeded {
			t.Error("not refused")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkLeaseSpend(b *testing.B) {
	l, now := leaseFull()
	b.ReportAllocs()
	for b.Loop() {
		l.spend(leaseKey, leaseMinute, 1, now, 4)
	}
}

func BenchmarkLeaseExceeded(b *testing.B) {
	l := newLeases(1000)
	now := l.start
	s := l.spend(leaseKey, leaseMinute, 1, now, 1)
	l.fill(leaseKey, s, &store.Take{Rule: leaseMinute, Least: 1, Wait: time.Second}, now, now)
	b.ReportAllocs()
	for b.Loop() {
		l.spend(leaseKey, leaseMinute, 1, now, 4)
	}
}
