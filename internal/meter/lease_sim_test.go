package meter

import (
	"container/heap"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"yett/internal/store"
)

// leaseSim is nodes with their leases, and one store, on a clock of its own. It is one
// goroutine: what happens is a queue of events.
type leaseSim struct {
	rand   *rand.Rand
	now    time.Duration
	queue  leaseEvents
	store  *leaseModel
	nodes  []*leaseNode
	rule   store.Rule
	delay  func() time.Duration // one way to the store
	log    []leaseUse           // what was admitted
	all    int
	seq    int
	forgot time.Duration // when all was forgotten the last time
	errs   []error       // what was over the limit before

	// What goes wrong, as parts of all calls or requests.
	lost, failed, died, backed float64
}

type leaseUse struct {
	at   int64 // ns
	cost int64
}

type leaseNode struct {
	leases  *leases
	waiting []leaseParked
	gone    bool
}

type leaseParked struct {
	done <-chan struct{}
	cost int64
}

type leaseEvent struct {
	at  time.Duration
	seq int
	do  func()
}

type leaseEvents []leaseEvent

func (e leaseEvents) Len() int { return len(e) }
func (e leaseEvents) Less(i, j int) bool {
	return e[i].at < e[j].at || e[i].at == e[j].at && e[i].seq < e[j].seq
}
func (e leaseEvents) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *leaseEvents) Push(x any)   { *e = append(*e, x.(leaseEvent)) }
func (e *leaseEvents) Pop() any {
	old := *e
	last := old[len(old)-1]
	*e = old[:len(old)-1]
	return last
}

var leaseEpoch = time.Unix(1_700_000_000, 0)

func newLeaseSim(seed uint64, rule store.Rule, nodes int, slowest time.Duration) *leaseSim {
	s := &leaseSim{rand: rand.New(rand.NewPCG(seed, 1)), rule: rule, store: newLeaseModel(), now: time.Hour}
	s.delay = func() time.Duration {
		if slowest == 0 {
			return 0
		}
		return time.Duration(s.rand.Int64N(int64(slowest)/2) + 1)
	}
	for range nodes {
		s.join()
	}
	return s
}

func (s *leaseSim) join() *leaseNode {
	l := newLeases(64)
	l.start = leaseEpoch
	n := &leaseNode{leases: l}
	s.nodes = append(s.nodes, n)
	return n
}

// leave ends a node with all that it has, and what it has asked.
func (s *leaseSim) leave(i int) {
	s.nodes[i].gone = true
	s.nodes = slices.Delete(s.nodes, i, i+1)
}

func (s *leaseSim) after(d time.Duration, do func()) {
	s.seq++
	heap.Push(&s.queue, leaseEvent{s.now + d, s.seq, do})
}

func (s *leaseSim) run(until time.Duration) {
	for len(s.queue) > 0 && s.queue[0].at <= until {
		e := heap.Pop(&s.queue).(leaseEvent)
		s.now = e.at
		e.do()
	}
	s.now = until
}

func (s *leaseSim) clock() time.Time { return leaseEpoch.Add(s.now) }

var leaseKey = id{1, 2}

// request is one request to a node.
func (s *leaseSim) request(n *leaseNode, cost int64) {
	s.all++
	s.try(n, cost)
}

func (s *leaseSim) try(n *leaseNode, cost int64) {
	got := n.leases.spend(leaseKey, s.rule, cost, s.clock(), len(s.nodes))
	switch got.state {
	case leaseSpent:
		if got.refill {
			s.call(n, got)
		}
		if s.chance(s.backed) {
			s.after(s.delay(), func() { n.leases.giveBack(leaseKey, got, s.clock()) })
			return
		}
		s.admit(s.now, cost)
	case leaseWait:
		n.waiting = append(n.waiting, leaseParked{got.done, cost})
	case leaseAsk:
		s.call(n, got)
	}
}

func (s *leaseSim) chance(part float64) bool { return part > 0 && s.rand.Float64() < part }

func (s *leaseSim) admit(at time.Duration, cost int64) {
	s.log = append(s.log, leaseUse{int64(at), cost})
}

// call asks the store.
func (s *leaseSim) call(n *leaseNode, got spending) {
	asked := s.clock()
	if s.chance(s.lost) { // before the store has heard of it
		s.after(s.delay(), func() { s.fail(n, got) })
		return
	}
	s.after(s.delay(), func() {
		t := store.Take{Rule: s.rule}
		got.into(&t)
		at := s.now.Truncate(time.Microsecond)
		s.store.take(at.Microseconds(), &t)
		s.after(s.delay(), func() { s.answer(n, got, &t, at, asked) })
	})
}

// answer is what the store has said at a time, or nothing. What a request asks for itself
// counts when the store counts it, as with exact limits.
func (s *leaseSim) answer(n *leaseNode, got spending, t *store.Take, at time.Duration, asked time.Time) {
	if n.gone || s.chance(s.died) {
		return
	}
	if s.chance(s.failed) {
		s.fail(n, got)
		return
	}
	out := n.leases.fill(leaseKey, got, t, asked, s.clock())
	if got.state == leaseAsk && out.state == leaseSpent {
		if s.chance(s.backed) {
			n.leases.giveBack(leaseKey, out, s.clock())
		} else if at >= s.forgot {
			s.admit(at, got.cost)
		}
	}
	s.wake(n)
}

// forget lets the store and all nodes forget.
func (s *leaseSim) forget() {
	s.errs = append(s.errs, s.over())
	s.now = s.now.Truncate(time.Microsecond) + time.Microsecond // what was counted before is told apart
	s.forgot, s.log, s.store = s.now, nil, newLeaseModel()
	for _, n := range s.nodes {
		n.leases.forget(leaseKey)
		s.wake(n)
	}
}

func (s *leaseSim) fail(n *leaseNode, got spending) {
	n.leases.failed(leaseKey, got)
	s.wake(n)
}

// wake lets those go on who have waited.
func (s *leaseSim) wake(n *leaseNode) {
	parked := n.waiting
	n.waiting = nil
	for _, p := range parked {
		select {
		case <-p.done:
			s.try(n, p.cost)
		default:
			n.waiting = append(n.waiting, p)
		}
	}
}

// offer sends requests at random times, rate of them a second, to the node that pick says.
func (s *leaseSim) offer(rate float64, cost func() int64, pick func() *leaseNode) {
	var next func()
	next = func() {
		s.request(pick(), cost())
		s.after(time.Duration(s.rand.ExpFloat64()/rate*1e9), next)
	}
	s.after(0, next)
}

func (s *leaseSim) even() *leaseNode { return s.nodes[s.rand.IntN(len(s.nodes))] }

func (s *leaseSim) skewed() *leaseNode {
	if len(s.nodes) == 1 || s.rand.Float64() < 0.9 {
		return s.nodes[0]
	}
	return s.nodes[1+s.rand.IntN(len(s.nodes)-1)]
}

func leaseOne() int64 { return 1 }

// sorted returns what was admitted in the order of time.
func (s *leaseSim) sorted() []leaseUse {
	slices.SortFunc(s.log, func(a, b leaseUse) int { return int(a.at - b.at) })
	return s.log
}

// over says where more was admitted than the rule allows.
func (s *leaseSim) over() error {
	log := s.sorted()
	switch s.rule.Algorithm {
	case store.SlidingWindow:
		return leaseOverSliding(log, s.rule)
	case store.FixedWindow:
		return leaseOverFixed(log, s.rule, s.store.opened)
	}
	return leaseOverBucket(log, s.rule)
}

// leaseOverSliding looks at all windows, wherever they begin.
func leaseOverSliding(log []leaseUse, r store.Rule) error {
	sum, first := int64(0), 0
	for _, u := range log {
		sum += u.cost
		for log[first].at+int64(r.Window) <= u.at {
			sum -= log[first].cost
			first++
		}
		if sum > r.Limit {
			return fmt.Errorf("%d of %d within a window that ends at %v", sum, r.Limit, time.Duration(u.at))
		}
	}
	return nil
}

func leaseOverFixed(log []leaseUse, r store.Rule, opened []int64) error {
	i := 0
	for _, first := range opened {
		from := first * 1000
		to := from + int64(r.Window)
		if i < len(log) && log[i].at < from {
			return fmt.Errorf("something at %v, which is in no window", time.Duration(log[i].at))
		}
		sum := int64(0)
		for ; i < len(log) && log[i].at < to; i++ {
			sum += log[i].cost
		}
		if sum > r.Limit {
			return fmt.Errorf("%d of %d within the window that began at %v", sum, r.Limit, time.Duration(from))
		}
	}
	if i < len(log) {
		return fmt.Errorf("something at %v, after the last window", time.Duration(log[i].at))
	}
	return nil
}

// leaseOverBucket allows for a microsecond, in which the store counts.
func leaseOverBucket(log []leaseUse, r store.Rule) error {
	level, at, rate := 0.0, int64(0), float64(r.Limit)/float64(r.Window)
	for _, u := range log {
		level = max(0, level-float64(u.at-at)*rate) + float64(u.cost)
		at = u.at
		if level > float64(r.Burst)+1000*rate+1e-3 {
			return fmt.Errorf("%.3f in a bucket of %d at %v", level, r.Burst, time.Duration(at))
		}
	}
	return nil
}

// used tells which part of the limit was used, from the second window on, or from the first
// burst to the beginning of the last, so that none is counted half.
func (s *leaseSim) used() float64 {
	log := s.sorted()
	if len(log) < 2 {
		return 0
	}
	from, to, sum := log[0].at, log[len(log)-1].at, int64(0)
	if s.rule.Algorithm == store.TokenBucket {
		from += int64(s.rule.Window) + int64(float64(s.rule.Burst)/s.rate()*1e9) // without the burst
	}
	for i := len(log) - 1; i > len(log)/2; i-- {
		if log[i].at-log[i-1].at > int64(s.rule.Window)/10 {
			to = log[i].at
			break
		}
	}
	for _, u := range log {
		if from <= u.at && u.at < to {
			sum += u.cost
		}
	}
	return float64(sum) / (float64(to-from) * s.rate() / 1e9)
}

func (s *leaseSim) rate() float64 { return float64(s.rule.Limit) / s.rule.Window.Seconds() }

var leaseRules = map[string]store.Rule{
	"sliding 50 in 1s":            {Limit: 50, Window: time.Second},
	"sliding 200 in 1s":           {Limit: 200, Window: time.Second},
	"sliding 1000 in 1s":          {Limit: 1000, Window: time.Second},
	"sliding 1200 in 1m":          {Limit: 1200, Window: time.Minute},
	"sliding 1000 in 1h":          {Limit: 1000, Window: time.Hour},
	"sliding 40 in 100ms":         {Limit: 40, Window: 100 * time.Millisecond},
	"fixed 1000 in 1s":            {Algorithm: store.FixedWindow, Limit: 1000, Window: time.Second},
	"fixed 300 in 1m":             {Algorithm: store.FixedWindow, Limit: 300, Window: time.Minute},
	"bucket 1000 in 1s, 1000":     {Algorithm: store.TokenBucket, Limit: 1000, Window: time.Second, Burst: 1000},
	"bucket 100 in 1s, burst 300": {Algorithm: store.TokenBucket, Limit: 100, Window: time.Second, Burst: 300},
	"bucket 600 in 1m, burst 50":  {Algorithm: store.TokenBucket, Limit: 600, Window: time.Minute, Burst: 50},
	"bucket 500 in 1s, burst 2000": {
		Algorithm: store.TokenBucket, Limit: 500, Window: time.Second, Burst: 2000},
}

// leaseRuleNames returns the rules to try. The detector makes a simulation, which is one goroutine,
// ten times as slow, and finds nothing in it: there, the rules of few requests have to do.
func leaseRuleNames() []string {
	names := slices.Sorted(maps.Keys(leaseRules))
	if raceDetector {
		names = slices.DeleteFunc(names, func(name string) bool { return leaseRules[name].Limit > 300 })
	}
	return names
}

// leaseWindows is how long the nodes are watched.
const leaseWindows = 10

var leaseDelays = []time.Duration{0, time.Millisecond, 5 * time.Millisecond}

// TestLeaseUses fails when leases give more than the limit, or less than 95 % of it to
// those who want ten times as much.
func TestLeaseUses(t *testing.T) {
	seed := 0
	for _, name := range leaseRuleNames() {
		rule := leaseRules[name]
		for _, nodes := range []int{1, 4, 8} {
			for _, skew := range []bool{false, true} {
				if seed++; nodes == 1 && skew {
					continue
				}
				slowest := leaseDelays[seed%len(leaseDelays)]
				t.Run(fmt.Sprintf("%s/%d nodes/skewed %t/%v", name, nodes, skew, slowest), func(t *testing.T) {
					t.Parallel()
					s := newLeaseSim(uint64(seed), rule, nodes, slowest)
					s.offer(10*s.rate(), leaseOne, s.pick(skew))
					s.run(s.now + leaseWindows*rule.Window)
					s.check(t, 0.95)
				})
			}
		}
	}
}

func (s *leaseSim) pick(skew bool) func() *leaseNode {
	if skew {
		return s.skewed
	}
	return s.even
}

func (s *leaseSim) check(t *testing.T, least float64) {
	t.Helper()
	if err := s.over(); err != nil {
		t.Error(err)
	}
	used := s.used()
	if used < least {
		t.Errorf("%.1f %% of the limit used", 100*used)
	}
	t.Logf("%.1f %% of the limit used by %d of %d requests, with %d calls", 100*used, len(s.log), s.all, s.store.calls)
}

// TestLeaseUsesWhileNodesComeAndGo has between two and six nodes, of which one comes or goes
// in every second window, with all that it has leased.
func TestLeaseUsesWhileNodesComeAndGo(t *testing.T) {
	seed := 0
	for _, name := range leaseRuleNames() {
		rule := leaseRules[name]
		for _, skew := range []bool{false, true} {
			seed++
			slowest := leaseDelays[seed%len(leaseDelays)]
			t.Run(fmt.Sprintf("%s/skewed %t/%v", name, skew, slowest), func(t *testing.T) {
				t.Parallel()
				s := newLeaseSim(uint64(seed), rule, 4, slowest)
				s.offer(10*s.rate(), leaseOne, s.pick(skew))
				s.churn(2 * rule.Window)
				s.run(s.now + leaseWindows*rule.Window)
				s.check(t, 0.95)
			})
		}
	}
}

func (s *leaseSim) churn(every time.Duration) {
	s.after(time.Duration(s.rand.ExpFloat64()*float64(every)), func() {
		if n := len(s.nodes); n > 2 && (n == 6 || s.rand.IntN(2) == 0) {
			s.leave(s.rand.IntN(n))
		} else {
			s.join()
		}
		s.churn(every)
	})
}

// TestLeaseRefusesNobodyBelowTheLimit fails when what some nodes keep is missed by others.
func TestLeaseRefusesNobodyBelowTheLimit(t *testing.T) {
	for _, name := range leaseRuleNames() {
		rule := leaseRules[name]
		if rule.Limit < 200 {
			continue // there chance alone goes beyond it
		}
		for _, skew := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/skewed %t", name, skew), func(t *testing.T) {
				t.Parallel()
				s := newLeaseSim(1, rule, 4, time.Millisecond)
				s.offer(0.7*s.rate(), leaseOne, s.pick(skew))
				s.run(s.now + leaseWindows*rule.Window)
				s.run(s.now + time.Second/100)
				if refused := s.all - len(s.log); refused > s.all/500 {
					t.Errorf("%d of %d refused", refused, s.all)
				}
				t.Logf("%d calls for %d requests, %d refused", s.store.calls, s.all, s.all-len(s.log))
			})
		}
	}
}

// TestLeaseSavesCalls fails when nodes nibble at what becomes free, or ask for what they
// know, or each time.
func TestLeaseSavesCalls(t *testing.T) {
	for name, most := range map[string]float64{ // of the admitted requests
		"sliding 1000 in 1s":      0.25,
		"sliding 1200 in 1m":      0.25,
		"fixed 1000 in 1s":        0.15,
		"bucket 1000 in 1s, 1000": 0.8,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newLeaseSim(1, leaseRules[name], 4, time.Millisecond)
			s.offer(10*s.rate(), leaseOne, s.even)
			s.run(s.now + 10*s.rule.Window)
			part := float64(s.store.calls) / float64(len(s.log))
			if part > most {
				t.Errorf("%.2f calls for each that was admitted", part)
			}
			t.Logf("%.2f calls for each of %d that were admitted, of %d", part, len(s.log), s.all)
		})
	}
}

// TestLeaseNeverOver does everything at random: rules, loads, costs, nodes, delays, and what
// goes wrong.
func TestLeaseNeverOver(t *testing.T) {
	seeds := uint64(120)
	if raceDetector { // see leaseRuleNames
		seeds = 20
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(seed, 2))
			rule := leaseRandomRule(r)
			s := newLeaseSim(seed, rule, 1+r.IntN(6), time.Duration(r.Int64N(int64(40*time.Millisecond))))
			if r.IntN(2) == 0 {
				s.lost, s.failed, s.died, s.backed = 0.1*r.Float64(), 0.1*r.Float64(), 0.02*r.Float64(), 0.3*r.Float64()
			}
			most := 1 + r.Int64N(max(1, min(rule.Limit, rule.Burst*59/60, 50)))
			if rule.Algorithm != store.TokenBucket {
				most = 1 + r.Int64N(min(rule.Limit, 50))
			}
			cost := func() int64 { return 1 + int64(float64(most)*r.Float64()*r.Float64()*r.Float64()) }
			s.offer(s.rate()*6*r.Float64()*r.Float64()+0.1, cost, s.pick(r.IntN(2) == 0))
			s.churn(2 * rule.Window)
			s.after(time.Duration(r.Int64N(int64(10*rule.Window))), s.forget)
			s.run(s.now + 10*rule.Window)
			if err := errors.Join(append(s.errs, s.over())...); err != nil {
				t.Errorf("%v, with %+v", err, rule)
			}
		})
	}
}

func leaseRandomRule(r *rand.Rand) store.Rule {
	windows := []time.Duration{50 * time.Millisecond, 150 * time.Millisecond, time.Second, 10 * time.Second, time.Minute}
	rule := store.Rule{Algorithm: store.Algorithm(r.IntN(3)), Limit: 1 + r.Int64N(1+r.Int64N(1000)),
		Window: windows[r.IntN(len(windows))] + time.Duration(r.IntN(1000))*time.Microsecond}
	if rule.Algorithm == store.TokenBucket {
		rule.Burst = 1 + r.Int64N(2*rule.Limit)
	}
	return rule
}
