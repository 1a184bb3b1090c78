package meter

import (
	"context"
	"math"
	"time"

	"yett/internal/store"
)

const (
	// patience is how long a request waits for what becomes of others of the same caller, and
	// tryAgain what it is told then.
	patience = 10 * time.Second
	tryAgain = time.Second
)

// enter takes places for claims of Kind After and Flight. It moves now forward when it had to
// wait. It returns false when one of them refuses. Nobody holds a place while it waits for
// another one, so that whom a wide limit counts does not wait for those of a narrow one.
func (m *Meter) enter(w Waiter, c *Call, now *time.Time) bool {
	if !c.waits() {
		return true
	}
	blocked, turn := m.enterGates(c, *now)
	if blocked != nil {
		m.waitForGates(w, c, blocked, turn)
		*now = time.Now()
	}
	if c.refused() {
		return false
	}
	for i := range c.Claims {
		if cl := &c.Claims[i]; cl.Kind == Flight {
			if m.enterFlight(cl); cl.Refuses() {
				return false
			}
		}
	}
	return true
}

// waits tells whether a claim is of a Kind that takes places, which most are not.
func (c *Call) waits() bool {
	for i := range c.Claims {
		if c.Claims[i].Kind != Rate {
			return true
		}
	}
	return false
}

// enterFlight takes a place: one of those that a store counts, of all nodes or of this one's
// workers, or one of the share of this process.
func (m *Meter) enterFlight(cl *Claim) {
	cl.Verdict = Fits
	together := m.flying != nil && !m.flyingGuard().lost()
	switch {
	case m.Peek && together:
		cl.Left = m.together(cl.Rule.Limit)
		return
	case m.Peek:
		cl.Left = m.flightShare(cl)
		return
	case !together || !m.enterTogether(cl):
		cl.held, cl.Left = m.flights.enter(m.id(cl), m.flightShare(cl))
	}
	if !cl.held {
		cl.Verdict, cl.Wait = Exceeded, tryAgain
	}
}

// flightShare is how many may run here where each process counts by itself.
func (m *Meter) flightShare(cl *Claim) int64 {
	if m.shared == nil {
		return cl.Rule.Limit
	}
	return max(1, cl.Rule.Limit/m.nodes.live())
}

// enterTogether asks the store for a place, and tells whether it has answered. This node counts
// it too, to know what runs when it has to go on alone.
func (m *Meter) enterTogether(cl *Claim) bool {
	ok, left, err := m.flying.Enter(context.Background(), cl.Name, cl.Key, m.together(cl.Rule.Limit))
	if err != nil {
		m.flyingGuard().failed(err, nil)
		return false
	}
	m.flyingGuard().worked()
	if cl.held, cl.away, cl.Left = ok, ok, left; ok {
		m.flights.enter(m.id(cl), math.MaxInt64)
	}
	return true
}

// enterGates takes places at all gates that are not held. Where one of them is full it returns
// the claim with its place in the queue.
func (m *Meter) enterGates(c *Call, now time.Time) (blocked *Claim, t turn) {
	for i := range c.Claims {
		cl := &c.Claims[i]
		if cl.Kind != After || cl.held {
			continue
		}
		mark := m.gates.mark(m.id(cl))
		left := m.left(c, cl, now)
		if cl.Refuses() {
			return nil, turn{}
		}
		if cl.Soft || m.Peek || cl.Verdict != Fits {
			continue // it refuses nobody: of the verdicts, because the store is lost and the claim is Open
		}
		if cl.held, t = m.gates.enter(m.id(cl), mark, cl.Cost, left); !cl.held {
			return cl, t
		}
	}
	return nil, turn{}
}

// waitForGates waits until all gates have a place, or refuses.
func (m *Meter) waitForGates(w Waiter, c *Call, blocked *Claim, t turn) {
	ctx, until := w.Context(), time.Now().Add(patience)
	for blocked != nil {
		m.leave(c)
		if !m.waitTurn(ctx, c, blocked, t, until) {
			return
		}
		blocked, t = m.enterGates(c, time.Now())
	}
}

// waitTurn waits until it is cl's turn. It returns false when the claim refuses then.
func (m *Meter) waitTurn(ctx context.Context, c *Call, cl *Claim, t turn, until time.Time) bool {
	defer t.quit()
	for t.wait(ctx, until) == nil {
		left := m.left(c, cl, time.Now())
		if cl.Verdict != Fits {
			return !cl.Refuses() // the store is lost, and whoever comes passes
		}
		if t.enter(left) {
			cl.held = true
			return true
		}
	}
	if cl.Verdict == Fits {
		cl.Verdict, cl.Wait = Exceeded, tryAgain
	}
	return false
}

// left looks how much is left of a claim of Kind After, and returns how much of that is
// this node's.
func (m *Meter) left(c *Call, cl *Claim, now time.Time) int64 {
	takes, nodes := c.takes[:1], int64(1) // nobody else uses them while places are taken
	takes[0] = store.Take{Name: cl.Name, Key: cl.Key, Rule: cl.Rule, Action: store.Look, Cost: cl.Cost}
	if m.shared != nil {
		nodes = m.nodes.live()
		if !m.guard.lost() && m.askLeft(takes, cl, now) {
			return max(cl.Cost, cl.Left/nodes)
		}
		if cl.loseStore(); cl.skip {
			return 0
		}
	}
	divide(&takes[0], nodes)
	_ = m.Here.Take(context.Background(), now, takes) // memory has no errors
	cl.result(&takes[0])
	return cl.Left
}

// askLeft asks the store that is shared, and tells whether it has answered.
func (m *Meter) askLeft(takes []store.Take, cl *Claim, now time.Time) bool {
	if m.isKnown(cl, now) {
		return true
	}
	if err := m.shared.Take(context.Background(), now, takes); err != nil {
		m.guard.failed(err, takes)
		return false
	}
	m.guard.worked()
	if cl.result(&takes[0]); cl.Verdict == Exceeded {
		m.remember(cl, now)
	}
	return true
}

// Settle counts the claims of Kind After whose answer Counts, and lets those pass that
// wait for it. One that holds no place, because its request was refused by somebody else
// or would only be observed, counts as far as it fits.
func (m *Meter) Settle(c *Call, now time.Time) {
	n := 0
	for i := range c.Claims {
		cl := &c.Claims[i]
		if cl.Kind != After || !cl.Counts || cl.skip || m.Peek {
			continue
		}
		c.take(n, i, store.Charge)
		if !cl.held {
			c.takes[n].Action, c.takes[n].Soft = store.Spend, true
		}
		n++
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

// charge counts the first n takes. This node counts them in any case, for when it has to go
// on alone.
func (m *Meter) charge(c *Call, n int, now time.Time) {
	takes := c.takes[:n]
	_ = m.Here.Take(context.Background(), now, takes) // memory has no errors
	shared, known := m.shared != nil, true
	if shared {
		known = m.chargeShared(takes, now)
	}
	for i := range takes {
		t, cl := &takes[i], &c.Claims[c.index[i]]
		cl.Left, cl.More = t.Left, t.More
		if shared && !known { // of which this node has its share only
			whole := t.Rule.Size()
			divide(t, m.nodes.live())
			cl.Left = max(0, cl.Left-(whole-t.Rule.Size()))
			continue
		}
		if cl.Left < cl.Cost { // of requests that others refuse, nobody else would learn it
			m.usedUp(cl, now)
		}
	}
}

// chargeShared counts in the store, now or, when that is lost, later. It tells whether the
// takes have its answer.
func (m *Meter) chargeShared(takes []store.Take, now time.Time) bool {
	if !m.guard.lost() {
		err := m.shared.Take(context.Background(), now, takes)
		if err == nil {
			m.guard.worked()
			return true
		}
		if m.guard.failed(err, takes); late(err) {
			return false
		}
	}
	for i := range takes {
		t := &takes[i]
		m.debts.add(t.Name, t.Key, t.Rule, t.Cost)
	}
	return false
}

// leave gives back all places that a call holds.
func (m *Meter) leave(c *Call) {
	for i := range c.Claims {
		cl := &c.Claims[i]
		if !cl.held {
			continue
		}
		cl.held = false
		if cl.away {
			cl.away = false
			m.flying.Leave(cl.Name, cl.Key)
		}
		if cl.Kind == Flight {
			m.flights.leave(m.id(cl))
		} else {
			m.gates.leave(m.id(cl), cl.Cost, false)
		}
	}
}
