package balance

import (
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Balancer picks targets of one service. Its methods may be called from many goroutines,
// and none of them waits for anything but a computation.
type Balancer struct {
	set     Settings
	start   time.Time // ticks are nanoseconds since then
	changed func(Change)
	view    atomic.Pointer[view]
	turn    atomic.Uint32 // RoundRobin: whose turn it is
	look    atomic.Int64  // when latencies are judged next

	updating sync.Mutex // held by Update, around mu

	mu      sync.Mutex // guards what follows, and parts of the nodes
	nodes   []*Node
	ring    *ring // for Hash
	pending []Change
	telling bool

	panicTold bool
}

// never is later than all ticks.
const never = math.MaxInt64

// New returns a Balancer without targets. changed is called for each change of a target's
// state, and when a panic begins or ends, one at a time and without locks, by whoever noticed:
// it may ask the Balancer, and should not take long. It may be nil.
func New(set Settings, changed func(Change)) *Balancer {
	b := &Balancer{set: set, start: time.Now(), changed: changed}
	b.view.Store(&view{until: never})
	b.turn.Store(rand.Uint32()) // not all nodes of a cluster begin with the first
	return b
}

func (b *Balancer) ticks(t time.Time) int64   { return int64(t.Sub(b.start)) }
func (b *Balancer) moment(t int64) time.Time  { return b.start.Add(time.Duration(t)) }
func (b *Balancer) isKnown(n *Node) (ok bool) { return slices.Contains(b.nodes, n) }
func (b *Balancer) algorithm(keyed bool) Algorithm {
	if b.set.Algorithm == Hash && !keyed {
		return LeastRequests
	}
	return b.set.Algorithm
}

// Update sets the targets. Those that stay keep all that is known about them; those that
// are gone are draining for good, also when they are named again: a target that comes
// back is a new Node. Names should be distinct.
func (b *Balancer) Update(nodes []*Node, now time.Time) {
	b.updating.Lock()
	defer b.updating.Unlock()
	nodes = distinct(nodes)
	var r *ring
	if b.set.Algorithm == Hash {
		r = newRing(nodes)
	}
	t := b.ticks(now)
	b.mu.Lock()
	defer b.unlock()
	running := len(b.nodes) > 0
	for _, n := range b.nodes {
		if !slices.Contains(nodes, n) {
			b.drain(n, "no longer a target", t)
		}
	}
	for _, n := range nodes {
		if !n.joined && !n.Settled && running && n.well() {
			n.back(t, b.set.SlowStart)
			n.news = "added to the targets"
		}
		if !n.joined {
			n.told = n.state()
		}
		n.joined = true
	}
	b.nodes, b.ring = nodes, r
	b.refresh(t)
}

// distinct copies the list, each node once.
func distinct(nodes []*Node) []*Node {
	out := make([]*Node, 0, len(nodes))
	seen := make(map[*Node]bool, len(nodes))
	for _, n := range nodes {
		if n != nil && !seen[n] {
			seen[n] = true
			out = append(out, n)
		}
	}
	return out
}

// Pick returns the target for a request. key, when keyed, is for Hash. Targets in tried are
// avoided as long as there is another that may be used. It returns nil only when there are
// no targets at all, or all are draining.
func (b *Balancer) Pick(key uint64, keyed bool, tried []*Node, now time.Time) *Node {
	v := b.current(now)
	switch len(v.slots) {
	case 0:
		return nil
	case 1:
		return v.slots[0].node
	}
	switch b.algorithm(keyed) {
	case Hash:
		return v.byHash(key, tried)
	case RoundRobin:
		if len(tried) == 0 {
			return v.inTurn(b.turn.Add(1))
		}
		// A further try is out of turn: else the first ones would go to the same target of two.
	}
	return v.leastRequests(tried)
}

// Usable tells whether a target may be picked now.
func (b *Balancer) Usable(n *Node, now time.Time) bool {
	b.current(now)
	return n.usable.Load()
}

// Panics tells whether so few targets are well that those which are out are used too.
func (b *Balancer) Panics(now time.Time) bool { return b.current(now).panics }

// SetHealthy tells what the health checks think of a target, and why. Only what is new
// matters.
func (b *Balancer) SetHealthy(n *Node, healthy bool, cause string, now time.Time) {
	b.mu.Lock()
	defer b.unlock()
	if n.down == !healthy || n.draining {
		return
	}
	t := b.ticks(now)
	n.step(t, b.set.SlowStart)
	n.down, n.warming, n.since, n.news = !healthy, false, t, cause
	n.turn()
	if !healthy {
		n.downCause = cause
	} else if n.well() {
		n.back(t, b.set.SlowStart)
	}
	b.refresh(t)
}

// Drain takes a target out for good.
func (b *Balancer) Drain(n *Node, cause string, now time.Time) {
	b.mu.Lock()
	defer b.unlock()
	t := b.ticks(now)
	b.drain(n, cause, t)
	b.refresh(t)
}

// drain must be called with the lock held.
func (b *Balancer) drain(n *Node, cause string, t int64) {
	if n.draining {
		return
	}
	n.draining, n.ejected, n.warming, n.since, n.news = true, false, false, t, cause
	n.turn()
	n.usable.Store(false)
	b.note(n)
}

// State returns what is known about a target.
func (b *Balancer) State(n *Node, now time.Time) State {
	b.mu.Lock()
	defer b.unlock()
	t := b.ticks(now)
	if t >= b.view.Load().until {
		b.refresh(t)
	}
	share, _ := n.share(t, b.set.SlowStart)
	s := State{
		Name: n.Name, State: n.state(), Used: n.usable.Load(), Weight: n.Weight(),
		Share: float64(share) / wholeShare, InFlight: n.InFlight(),
		Failures: int(n.failures.Load()), Ejections: n.inRow(t, b.set.EjectFor),
	}
	s.Cause = n.cause(s.State)
	if s.Cause != "" {
		s.Since = b.moment(n.since)
	}
	if s.State == Ejected {
		s.Until = b.moment(n.until)
	}
	return s
}

// current returns the view of now. When somebody else is computing it the last one
// has to do, for that moment.
func (b *Balancer) current(now time.Time) *view {
	v := b.view.Load()
	if v.until == never || b.ticks(now) < v.until || !b.mu.TryLock() {
		return v
	}
	if t := b.ticks(now); t >= b.view.Load().until {
		b.refresh(t)
	}
	b.unlock()
	return b.view.Load()
}

// refresh computes the view anew, and notes what has changed. It must be called with the
// lock held.
func (b *Balancer) refresh(t int64) {
	for _, n := range b.nodes {
		n.step(t, b.set.SlowStart)
	}
	b.spare(t)
	for _, n := range b.nodes {
		b.note(n)
	}
	v := newView(&b.set, b.nodes, b.ring, t)
	b.view.Store(v)
	b.notePanic(v.panics, t)
}
