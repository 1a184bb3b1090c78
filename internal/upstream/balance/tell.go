package balance

import (
	"fmt"
	"time"
)

// Change is that a target has become something else, or that a panic has begun or ended.
type Change struct {
	Node     string // the name; "" for a panic, which is of all of them
	From, To string // Up and so on, Calm and Panic where Node is ""
	Cause    string
	At       time.Time
	Until    time.Time // when an ejection ends, else zero
}

// note remembers to tell what a target has become. It must be called with the lock held.
func (b *Balancer) note(n *Node) {
	is := n.state()
	if is == n.told {
		return
	}
	c := Change{Node: n.Name, From: n.told, To: is, Cause: n.cause(is), At: b.moment(n.since)}
	if is == Ejected {
		c.Until = b.moment(n.until)
	}
	n.told = is
	if b.changed != nil {
		b.pending = append(b.pending, c)
	}
}

// What a Balancer can be as a whole.
const (
	Calm  = "calm"
	Panic = "panic" // so few targets are well that all are used
)

// notePanic remembers to tell that a panic has begun or ended. It must be called with the lock
// held, behind note for each target: what they have become is why.
func (b *Balancer) notePanic(panics bool, t int64) {
	if panics == b.panicTold {
		return
	}
	b.panicTold = panics
	if b.changed == nil {
		return
	}
	c := Change{From: Panic, To: Calm, At: b.moment(t)}
	if panics {
		c.From, c.To = Calm, Panic
	}
	targets, well := 0, 0
	for _, n := range b.nodes {
		targets += count(!n.draining)
		well += count(n.well())
	}
	c.Cause = fmt.Sprintf("targets that are well: %d of %d", well, targets)
	b.pending = append(b.pending, c)
}

// unlock gives back the lock and tells what has changed, one after the other and in
// order: when somebody else is telling, that one goes on with it.
func (b *Balancer) unlock() {
	if b.telling {
		b.mu.Unlock()
		return
	}
	b.telling = true
	for len(b.pending) > 0 {
		changes := b.pending
		b.pending = nil
		b.mu.Unlock()
		for _, c := range changes {
			b.changed(c)
		}
		b.mu.Lock()
	}
	b.telling = false
	b.mu.Unlock()
}
