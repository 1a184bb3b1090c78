package balance

import (
	"sync/atomic"
	"time"
)

// MostWeight is the largest weight of a target.
const MostWeight = 1000

// Node is what is known about one target. It belongs to one Balancer from the first
// Update that names it.
type Node struct {
	// Name tells targets apart, also on other nodes of a cluster. It is not to be
	// changed.
	Name string
	// Owner is for whoever made the Node, to find what belongs to it. It is not to be
	// changed once the Node is in use.
	Owner any
	// Settled tells that it has been there for as long as the others, though it is added
	// later: no slow start then. It is not to be changed once the Node is in use.
	Settled bool

	weight   atomic.Int64
	inFlight atomic.Int64
	failures atomic.Int32  // in a row
	spell    atomic.Uint32 // changes whenever it goes out or comes back
	usable   atomic.Bool   // what the view says
	times    times         // latencies since the last look

	// What follows is guarded by the Balancer's mu. Moments are ticks.
	joined, down, ejected, warming, draining bool

	until     int64 // when the last ejection has ended, or will
	ejections int   // in a row, as of the last one
	warm      int64 // when warming has begun
	since     int64 // when it became what it is
	told      string
	news      string // why it became what it is

	ejectCause, downCause string

	gathered, recent       tally // of latencies: what comes together, and what was judged
	gatheredFrom, recentAt int64
}

// NewNode returns a target that is well. A weight out of 1 to MostWeight is moved there.
func NewNode(name string, weight int) *Node {
	n := &Node{Name: name, told: Up}
	n.SetWeight(weight)
	return n
}

// SetWeight changes the weight, from the next Update on. One out of 1 to MostWeight is moved
// there.
func (n *Node) SetWeight(weight int) { n.weight.Store(int64(min(max(weight, 1), MostWeight))) }

// Weight returns the weight, without regard to slow start.
func (n *Node) Weight() int { return int(n.weight.Load()) }

// InFlight returns how many attempts have begun and not ended.
func (n *Node) InFlight() int { return int(n.inFlight.Load()) }

// Attempt is one request on its way to a target. The zero value is none.
type Attempt struct {
	node  *Node
	spell uint32
}

// Begin counts a request as in flight, until End.
func (n *Node) Begin() Attempt {
	n.inFlight.Add(1)
	return Attempt{n, n.spell.Load()}
}

// End has to be called once for each Begin, whatever became of the request.
// For the zero value it does nothing.
func (a Attempt) End() {
	if a.node != nil {
		a.node.inFlight.Add(-1)
	}
}

// Node returns the target of the attempt.
func (a Attempt) Node() *Node { return a.node }

// turn begins a new spell: what began before it says nothing about what is now, and the
// count begins anew.
func (n *Node) turn() {
	n.spell.Add(1)
	n.failures.Store(0)
	n.times.drain(nil)
	n.gathered, n.recent, n.recentAt = tally{}, tally{}, 0
}

// well tells whether the target is to be used without need.
func (n *Node) well() bool { return !n.down && !n.ejected && !n.draining }

// back begins the slow start of a target that has just become well.
func (n *Node) back(at int64, slowStart time.Duration) {
	n.since = at
	n.warm, n.warming = at, slowStart > 0
}

// step lets end what has ended by time.
func (n *Node) step(t int64, slowStart time.Duration) {
	if n.ejected && t >= n.until {
		n.ejected = false
		n.turn()
		n.news = "the ejection has ended"
		if n.well() {
			n.back(n.until, slowStart)
		}
	}
	if n.warming && t >= n.warm+int64(slowStart) {
		n.warming = false
		n.since = n.warm + int64(slowStart)
		if n.told == Warming {
			n.news = "the slow start has ended"
		}
	}
}

// Weights are counted in twentieths, so that slow start has steps: a tenth is the first.
const (
	wholeShare = 20
	firstShare = 2
)

// share returns how many twentieths of its weight a target has, and when it has more.
func (n *Node) share(t int64, slowStart time.Duration) (share, next int64) {
	if !n.warming {
		return wholeShare, never
	}
	const steps = wholeShare - firstShare
	whole := int64(slowStart)
	step := min(max((t-n.warm)*steps/whole, 0), steps-1)
	return firstShare + step, n.warm + ((step+1)*whole+steps-1)/steps
}

// inRow returns how many ejections in a row count at a moment.
func (n *Node) inRow(t int64, ejectFor time.Duration) int {
	if n.ejected || ejectFor <= 0 || t <= n.until {
		return n.ejections
	}
	return int(max(0, int64(n.ejections)-(t-n.until)/int64(ejectFor)))
}

// What a target can be.
const (
	Up       = "up"
	Warming  = "warming"  // up, and its share still grows
	Ejected  = "ejected"  // for a time, for failures or slowness
	Down     = "down"     // by its health checks
	Draining = "draining" // no longer a target
)

func (n *Node) state() string {
	switch {
	case n.draining:
		return Draining
	case n.down:
		return Down
	case n.ejected:
		return Ejected
	case n.warming:
		return Warming
	}
	return Up
}

// cause tells why a target is out, or why it last became what it is.
func (n *Node) cause(state string) string {
	switch state {
	case Down:
		return n.downCause
	case Ejected:
		return n.ejectCause
	}
	return n.news
}

// State is what is known about a target at one moment.
type State struct {
	Name, State string
	Cause       string    // why it is in this state; "" when it has never been in another
	Since       time.Time // zero when it has never been in another
	Until       time.Time // when the ejection ends, else zero
	Used        bool      // whether it may be picked: in need, targets that are out are
	Weight      int
	Share       float64 // how much of its weight it has: below 1 in slow start
	InFlight    int
	Failures    int // in a row
	Ejections   int // in a row: the next one lasts longer
}
