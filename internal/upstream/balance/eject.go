package balance

import (
	"fmt"
	"time"
)

// Outcome is what an attempt says about its target.
type Outcome uint8

const (
	// OK: the target has answered as it should.
	OK Outcome = iota
	// Failed: it has not, and it is the target's fault.
	Failed
	// Ignored: nothing is known, as when the client has left.
	Ignored
	// Late: it had not answered yet when somebody else's answer was taken, so that its
	// own would have taken longer than latency. That tells how slow it is, and nothing
	// about its failures.
	Late
)

// Record notes how an attempt ended. latency is the time until the head of the answer, 0
// when there is none, and with Late how long it was waited for. It is to be called once for
// each attempt. What began before the target went out or came back counts for nothing.
func (b *Balancer) Record(a Attempt, o Outcome, latency time.Duration, now time.Time) {
	v := b.current(now)
	n := a.node
	if o == Ignored || n.spell.Load() != a.spell {
		return
	}
	if o == Failed {
		failures := n.failures.Add(1)
		if b.set.ejectsFailed() && int(failures) >= b.set.EjectFailures && v.room {
			b.ejectFailed(a, int(failures), b.ticks(now))
		}
		return
	}
	if o == OK && n.failures.Load() != 0 {
		n.failures.Store(0)
	}
	if b.set.ejectsSlow() {
		if latency > 0 {
			n.times.add(latency)
		}
		b.lookAt(b.ticks(now))
	}
}

// ejectFailed ejects a target for failures, unless it has been meanwhile.
func (b *Balancer) ejectFailed(a Attempt, failures int, t int64) {
	b.mu.Lock()
	defer b.unlock()
	if a.node.spell.Load() == a.spell && b.eject(a.node, fmt.Sprint(failures, " failures in a row"), t) {
		b.refresh(t)
	}
}

// eject takes a target out for a time, if it is in and one more may be. It must be called
// with the lock held, and refresh afterwards when it returns true.
func (b *Balancer) eject(n *Node, cause string, t int64) bool {
	if !n.well() || !b.isKnown(n) {
		return false
	}
	targets, ejected := b.counts()
	if ejected >= b.set.mayEject(targets) {
		return false
	}
	n.ejections = n.inRow(t, b.set.EjectFor) + 1
	n.ejected, n.warming = true, false
	n.since, n.until = t, t+int64(b.set.ejectedFor(n.ejections))
	n.ejectCause, n.news = cause, cause
	n.turn()
	return true
}

// counts returns how many targets there are, and how many are ejected. It must be called
// with the lock held.
func (b *Balancer) counts() (targets, ejected int) {
	for _, n := range b.nodes {
		targets += count(!n.draining)
		ejected += count(n.ejected)
	}
	return targets, ejected
}

// spare ends ejections when more are out than may be, because there are fewer targets
// now: those that would end next. It must be called with the lock held.
func (b *Balancer) spare(t int64) {
	targets, ejected := b.counts()
	for ; ejected > b.set.mayEject(targets); ejected-- {
		var next *Node
		for _, n := range b.nodes {
			if n.ejected && (next == nil || n.until < next.until) {
				next = n
			}
		}
		next.until = t
		next.step(t, b.set.SlowStart)
		next.news = "too few other targets are left"
	}
}
