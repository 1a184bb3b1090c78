package meter

import (
	"container/heap"
	"fmt"
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
	store  leaseModel
	nodes  []*leaseNode
	rule   store.Rule
	delay  func() time.Duration // one way to the store
	log    []leaseUse           // what was admitted
	asked  int                  // what was asked of the limit, in costs
	waits  int                  // requests that have waited for another's ask
	direct int                  // requests that have asked themselves
	all    int
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
	s := &leaseSim{rand: rand.New(rand.NewPCG(seed, 1)), rule: rule, store: leaseModel{rule: rule}, now: time.Hour}
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
	heap.Push(&s.queue, leaseEvent{s.now + d, s.asked + len(s.log), do})
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
	s.asked += int(cost)
	s.try(n, cost)
}

func (s *leaseSim) try(n *leaseNode, cost int64) {
	got := n.leases.spend(leaseKey, s.rule, cost, s.clock(), len(s.nodes))
	switch got.state {
	case leaseSpent:
		s.admit(s.now, cost)
		if got.refill {
			s.call(n, got)
		}
	case leaseWait:
		s.waits++
		n.waiting = append(n.waiting, leaseParked{got.done, cost})
	case leaseAsk:
		s.direct++
		s.call(n, got)
	}
}

func (s *leaseSim) admit(at time.Duration, cost int64) {
	s.log = append(s.log, leaseUse{int64(at), cost})
}

// call asks the store. What a request asks for itself counts when the store
// counts it, as with exact limits.
func (s *leaseSim) call(n *leaseNode, got spending) {
	asked := s.clock()
	s.after(s.delay(), func() {
		t := store.Take{Rule: s.rule}
		got.into(&t)
		at := s.now.Truncate(time.Microsecond)
		s.store.take(at.Microseconds(), &t)
		if got.state == leaseAsk && t.Fits && !n.gone {
			s.admit(at, got.cost)
		}
		s.after(s.delay(), func() {
			if n.gone {
				return
			}
			n.leases.fill(leaseKey, got, &t, asked, s.clock())
			s.wake(n)
		})
	})
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

// used tells which part of the limit was used, from the first that was admitted to the
// beginning of the last burst, so that a burst is not counted half.
func (s *leaseSim) used() float64 {
	log := s.sorted()
	if len(log) < 2 {
		return 0
	}
	from, to, sum := log[0].at, log[len(log)-1].at, int64(0)
	for i := len(log) - 1; i > len(log)/2; i-- {
		if log[i].at-log[i-1].at > int64(s.rule.Window)/10 {
			to = log[i].at
			break
		}
	}
	for _, u := range log {
		if u.at < to {
			sum += u.cost
		}
	}
	allowed := float64(to-from) * float64(s.rule.Limit) / float64(s.rule.Window)
	return float64(sum) / allowed
}

var leaseRules = map[string]store.Rule{
	"sliding 50/s":        {Limit: 50, Window: time.Second},
	"sliding 200/s":       {Limit: 200, Window: time.Second},
	"sliding 1000/s":      {Limit: 1000, Window: time.Second},
	"sliding 3000/min":    {Limit: 3000, Window: time.Minute},
	"fixed 1000/s":        {Algorithm: store.FixedWindow, Limit: 1000, Window: time.Second},
	"fixed 300/min":       {Algorithm: store.FixedWindow, Limit: 300, Window: time.Minute},
	"bucket 1000/s 1000":  {Algorithm: store.TokenBucket, Limit: 1000, Window: time.Second, Burst: 1000},
	"bucket 100/s 300":    {Algorithm: store.TokenBucket, Limit: 100, Window: time.Second, Burst: 300},
	"bucket 600/min 50":   {Algorithm: store.TokenBucket, Limit: 600, Window: time.Minute, Burst: 50},
	"bucket 5000/s 20000": {Algorithm: store.TokenBucket, Limit: 5000, Window: time.Second, Burst: 20000},
}

func (s *leaseSim) rate() float64 { return float64(s.rule.Limit) / s.rule.Window.Seconds() }

// TestLeaseUses fails when leases give more than the limit, or less than 95 % of it to
// those who want ten times as much.
func TestLeaseUses(t *testing.T) {
	for name, rule := range leaseRules {
		for _, nodes := range []int{1, 4, 8} {
			for _, skew := range []bool{false, true} {
				for _, slowest := range []time.Duration{0, time.Millisecond, 5 * time.Millisecond} {
					t.Run(fmt.Sprintf("%s, %d nodes, skewed %t, %v", name, nodes, skew, slowest), func(t *testing.T) {
						t.Parallel()
						s := newLeaseSim(uint64(nodes), rule, nodes, slowest)
						pick := s.even
						if skew {
							pick = s.skewed
						}
						s.offer(10*s.rate(), leaseOne, pick)
						s.run(s.now + 20*rule.Window)
						if err := s.over(); err != nil {
							t.Error(err)
						}
						if used := s.used(); used < 0.95 {
							t.Errorf("%.1f %% of the limit used", 100*used)
						}
						t.Logf("%.1f %% used, %d admitted of %d, %d calls, %d asked, %d waited", 100*s.used(), len(s.log), s.all, s.store.calls, s.direct, s.waits)
					})
				}
			}
		}
	}
}
