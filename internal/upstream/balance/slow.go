package balance

import (
	"cmp"
	"fmt"
	"math/bits"
	"slices"
	"sync/atomic"
	"time"
)

const (
	// lookEvery is how often latencies are judged at most.
	lookEvery = time.Second
	// leastAnswers is how many answers of a target, and of the others together, are
	// needed to know what is typical.
	leastAnswers = 20
	// longest is how long they may take to come together, and how old those of the
	// others may be.
	longest = 10 * time.Second
)

// Latencies are counted in classes: eight for each power of two, from 65 µs to 68 s.
const (
	perPower = 8
	finer    = 3 // bits
	firstBit = 16
	classes  = 20 * perPower
)

// times counts latencies, from many goroutines.
type times [classes]atomic.Uint32

// tally is such counts, for one goroutine.
type tally [classes]uint32

func class(d time.Duration) int {
	e := bits.Len64(uint64(d)) - 1 - firstBit
	if e < 0 {
		return 0
	}
	return min(e*perPower+int(d>>(e+firstBit-finer))%perPower, classes-1)
}

// from is the least latency of a class, and of the first one beyond all.
func from(class int) time.Duration {
	return time.Duration(perPower+class%perPower) << (class/perPower + firstBit - finer)
}

func (s *times) add(d time.Duration) { s[class(d)].Add(1) }

// drain moves all counts, into nothing when that is nil.
func (s *times) drain(into *tally) {
	for i := range s {
		if s[i].Load() == 0 {
			continue
		}
		if n := s[i].Swap(0); into != nil {
			into[i] += n
		}
	}
}

func (s *tally) add(o *tally) {
	for i := range s {
		s[i] += o[i]
	}
}

func (s *tally) total() (n int) {
	for i := range s {
		n += int(s[i])
	}
	return n
}

// medianWithout returns the median of what is counted here and not in o, as if latencies
// of a class were spread evenly, and how many there are.
func (s *tally) medianWithout(o *tally) (time.Duration, int) {
	all := s.total() - o.total()
	before := 0
	for i := range s {
		n := int(s[i] - o[i])
		if n > 0 && 2*(before+n) >= all {
			part := float64(all-2*before) / float64(2*n)
			return from(i) + time.Duration(part*float64(from(i+1)-from(i))), all
		}
		before += n
	}
	return 0, all
}

// lookAt judges the latencies, when it is time to.
func (b *Balancer) lookAt(t int64) {
	due := b.look.Load()
	if t < due || !b.look.CompareAndSwap(due, t+int64(lookEvery)) {
		return
	}
	b.mu.Lock()
	defer b.unlock()
	ejected := false
	for _, s := range b.slow(t) {
		ejected = b.eject(s.node, s.cause(), t) || ejected
	}
	if ejected {
		b.refresh(t)
	}
}

// slowness is what was found of a slow target.
type slowness struct {
	node        *Node
	its, theirs time.Duration
	timesTheirs float64
}

func (s slowness) cause() string {
	return fmt.Sprintf("%.1f times slower than the others (%v to %v)", s.timesTheirs, short(s.its), short(s.theirs))
}

// short leaves two or three digits of a latency.
func short(d time.Duration) time.Duration {
	for unit := time.Second; unit > time.Microsecond; unit /= 10 {
		if d >= 100*unit {
			return d.Round(unit)
		}
	}
	return d.Round(time.Microsecond)
}

// slow returns the targets that are slower than they should be, the slowest first. It
// must be called with the lock held.
func (b *Balancer) slow(t int64) []slowness {
	var all, none tally
	var judged []*Node
	for _, n := range b.nodes {
		if n.gather(t) && n.well() {
			judged = append(judged, n)
		}
		if n.recentAt > t-int64(longest) {
			all.add(&n.recent)
		}
	}
	var out []slowness
	for _, n := range judged {
		its, _ := n.recent.medianWithout(&none)
		theirs, answers := all.medianWithout(&n.recent)
		if answers < leastAnswers || its < b.set.EjectSlowLeast || float64(its) <= b.set.EjectSlow*float64(theirs) {
			continue
		}
		out = append(out, slowness{n, its, theirs, float64(its) / float64(theirs)})
	}
	slices.SortFunc(out, func(a, b slowness) int { return cmp.Compare(b.timesTheirs, a.timesTheirs) })
	return out
}

// gather takes over what has been counted, and tells whether there is enough to judge.
func (n *Node) gather(t int64) bool {
	n.times.drain(&n.gathered)
	enough := n.gathered.total() >= leastAnswers
	if enough {
		n.recent, n.recentAt = n.gathered, t
	}
	if enough || t-n.gatheredFrom > int64(longest) {
		n.gathered, n.gatheredFrom = tally{}, t
	}
	return enough
}
