package balance

import "time"

// Change is that a target has become something else.
type Change struct {
	Node     string // the name
	From, To string // Up and so on
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
