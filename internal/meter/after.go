package meter

import (
	"context"
	"time"

	"yett/internal/store"
)

const (
	// patience is how long a request waits for what becomes of others of the same caller, and
	// tryAgain what it is told then.
	patience = 10 * time.Second
	tryAgain = time.Second
)

// enter takes places for claims of Kind Flight and After. It moves now forward when it had to
// wait. It returns false when one of them refuses.
func (m *Meter) enter(w Waiter, c *Call, now *time.Time) bool {
	after := 0
	for i := range c.Claims {
		switch cl := &c.Claims[i]; cl.Kind {
		case After:
			after++
		case Flight:
			if m.enterFlight(cl); cl.Refuses() {
				return false
			}
		}
	}
	for name := ""; after > 0; after-- {
		cl := c.nextAfter(name)
		if m.enterGate(w, cl, now); cl.Refuses() {
			return false
		}
		name = cl.Name
	}
	return true
}

// nextAfter returns the claim of Kind After whose name is next. In this order all requests
// enter their gates, so that none of them wait for each other.
func (c *Call) nextAfter(name string) (next *Claim) {
	for i := range c.Claims {
		cl := &c.Claims[i]
		if cl.Kind == After && cl.Name > name && (next == nil || cl.Name < next.Name) {
			next = cl
		}
	}
	return next
}

// enterFlight takes one of this node's share of places.
func (m *Meter) enterFlight(cl *Claim) {
	limit := cl.Rule.Limit
	if m.shared != nil {
		limit = max(1, limit/m.nodes.live())
	}
	cl.Verdict = Fits
	if m.Peek {
		cl.Left = limit
		return
	}
	cl.held, cl.Left = m.flights.enter(m.id(cl), limit)
	if !cl.held {
		cl.Verdict, cl.Wait = Exceeded, tryAgain
	}
}

// enterGate takes one of the places that are left, and waits for it when others have them.
func (m *Meter) enterGate(w Waiter, cl *Claim, now *time.Time) {
	id := m.id(cl)
	mark := m.gates.mark(id)
	left := m.left(cl, *now)
	if cl.Soft || m.Peek || cl.Verdict != Fits {
		return
	}
	entered, turn := m.gates.enter(id, mark, cl.Cost, left)
	if !entered {
		defer turn.quit()
		entered = m.waitTurn(w, cl, turn)
		*now = time.Now()
	}
	cl.held = entered && cl.Verdict == Fits // not where the store is lost, and whoever comes passes
	if !entered && cl.Verdict == Fits {
		cl.Verdict, cl.Wait = Exceeded, tryAgain
	}
}

// waitTurn waits until it is cl's turn. It returns false when that does not come, or when
// nothing is left then.
func (m *Meter) waitTurn(w Waiter, cl *Claim, turn turn) bool {
	ctx, until := w.Context(), time.Now().Add(patience)
	for turn.wait(ctx, until) == nil {
		left := m.left(cl, time.Now())
		if cl.Verdict != Fits {
			return cl.Verdict == Unknown // the store is lost, and whoever comes passes
		}
		if turn.enter(left) {
			return true
		}
	}
	return false
}

// left looks how much is left of a claim of Kind After, and returns how much of that is
// this node's.
func (m *Meter) left(cl *Claim, now time.Time) int64 {
	nodes := int64(1)
	if m.shared != nil {
		nodes = m.nodes.live()
		if !m.guard.lost() && m.askLeft(cl, now) {
			return max(cl.Cost, cl.Left/nodes)
		}
		if cl.loseStore(); cl.skip {
			return 0
		}
	}
	takes := [1]store.Take{{Name: cl.Name, Key: cl.Key, Rule: cl.Rule, Action: store.Look, Cost: cl.Cost}}
	divide(&takes[0], nodes)
	_ = m.Here.Take(context.Background(), now, takes[:]) // memory has no errors
	cl.result(&takes[0])
	return cl.Left
}

// askLeft asks the store that is shared, and tells whether it has answered.
func (m *Meter) askLeft(cl *Claim, now time.Time) bool {
	id := m.id(cl)
	if wait, ok := m.known.exceeded(id, cl.Cost, cl.Rule.Limit, now); ok {
		cl.Verdict, cl.Left, cl.More, cl.Wait = Exceeded, 0, wait, wait
		return true
	}
	takes := [1]store.Take{{Name: cl.Name, Key: cl.Key, Rule: cl.Rule, Action: store.Look, Cost: cl.Cost}}
	if err := m.shared.Take(context.Background(), now, takes[:]); err != nil {
		m.guard.failed(err, takes[:])
		return false
	}
	m.guard.worked()
	if cl.result(&takes[0]); cl.Verdict == Exceeded {
		m.known.note(id, cl.Cost, cl.Rule.Limit, time.Now().Add(cl.Wait))
	}
	return true
}

// Settle counts the claims of Kind After whose answer Counts, and lets those pass that
// wait for it.
func (m *Meter) Settle(c *Call, now time.Time) {
	n := 0
	for i := range c.Claims {
		if cl := &c.Claims[i]; cl.Kind == After && cl.Counts && !m.Peek {
			c.take(n, i, store.Charge)
			n++
		}
	}
	if n > 0 {
		m.charge(c, n, now)
	}
	for i := range c.Claims {
		if cl := &c.Claims[i]; cl.Kind == After && cl.held {
			cl.held = false
			m.gates.leave(m.id(cl), cl.Cost, cl.Counts)
		}
	}
}

// charge counts the first n takes, whatever is left. This node counts them in any case, for
// when it has to go on alone.
func (m *Meter) charge(c *Call, n int, now time.Time) {
	takes := c.takes[:n]
	_ = m.Here.Take(context.Background(), now, takes) // memory has no errors
	if m.shared != nil && !m.chargeShared(takes, now) {
		for i := range takes {
			t := &takes[i]
			m.debts.add(t.Name, t.Key, t.Rule, t.Cost)
		}
	}
	for i := range takes {
		cl := &c.Claims[c.index[i]]
		cl.Left, cl.More = takes[i].Left, takes[i].More
	}
	if m.shared == nil {
		m.remember(c, now)
	}
}

func (m *Meter) chargeShared(takes []store.Take, now time.Time) bool {
	if m.guard.lost() {
		return false
	}
	if err := m.shared.Take(context.Background(), now, takes); err != nil {
		m.guard.failed(err, takes)
		return false
	}
	m.guard.worked()
	return true
}

// leave gives back all places that a call holds.
func (m *Meter) leave(c *Call) {
	for i := range c.Claims {
		cl := &c.Claims[i]
		if !cl.held {
			continue
		}
		cl.held = false
		if cl.Kind == Flight {
			m.flights.leave(m.id(cl))
		} else {
			m.gates.leave(m.id(cl), cl.Cost, false)
		}
	}
}
