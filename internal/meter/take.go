package meter

import (
	"context"
	"time"

	"yett/internal/store"
)

// Look finds claims that are exceeded as far as this node knows, without asking
// anybody over the network: those get their verdict, the others stay Unknown where
// that is not known here. Nothing is counted.
func (m *Meter) Look(c *Call, now time.Time) {
	switch {
	case m.shared == nil:
		m.here(c, now, store.Look, 1)
	case m.guard.lost():
		m.here(c, now, store.Look, m.nodes.live())
	default:
		m.exceeded(c, now)
	}
}

// Take counts all claims, or none when one of them refuses. It waits for the store
// within its budget, and for other requests of the same caller where an After has to.
func (m *Meter) Take(w Waiter, c *Call, now time.Time) {
	if m.enter(w, c, now) {
		m.count(c, now)
	}
	if c.refused() {
		m.leave(c, true)
	}
	m.note(c, now)
}

// Count counts the claims of Kind Rate as far as they fit, for a request that was
// refused by somebody else already, and which Take has not seen.
func (m *Meter) Count(c *Call, now time.Time) {
	for i := range c.Claims {
		cl := &c.Claims[i]
		cl.Soft = true
		cl.skip = cl.Kind != Rate
	}
	m.count(c, now)
	m.note(c, now)
}

// Settle counts the claims of Kind After whose answer Counts, and lets those pass that
// wait for it.
func (m *Meter) Settle(c *Call, now time.Time) {
	n := 0
	for i := range c.Claims {
		if cl := &c.Claims[i]; cl.Kind == After && cl.Counts && !m.Peek {
			c.takes[n] = store.Take{Name: cl.Name, Key: cl.Key, Rule: cl.Rule, Action: store.Charge, Cost: cl.Cost}
			c.index[n] = uint8(i)
			n++
		}
	}
	if n > 0 {
		m.charge(c, n, now)
	}
	m.leave(c, false)
}

// charge counts the first n takes, whatever is left.
func (m *Meter) charge(c *Call, n int, now time.Time) {
	takes := c.takes[:n]
	shared := m.shared != nil && !m.guard.lost()
	if shared {
		if err := m.shared.Take(context.Background(), now, takes); err != nil {
			m.guard.failed(err)
			shared = false
		} else {
			m.guard.worked()
			m.results(c, n, now, now)
		}
	}
	for i := range takes {
		t := &takes[i]
		if m.shared != nil && !shared {
			m.debts.add(t.Name, t.Key, t.Rule, t.Cost, now)
		}
	}
	_ = m.Here.Take(context.Background(), now, takes) // memory has no errors
	if !shared {
		m.results(c, n, now, now)
	}
}

// count counts in the store that is to be asked now, if any.
func (m *Meter) count(c *Call, now time.Time) {
	switch {
	case m.shared == nil:
		m.here(c, now, m.action(), 1)
	case m.guard.lost():
		m.alone(c, now)
	case m.exceeded(c, now):
	default:
		m.ask(c, now)
	}
}

// action is what a Take does with what it counts.
func (m *Meter) action() store.Action {
	if m.Peek {
		return store.Look
	}
	return store.Spend
}

// exceeded looks for claims of which it is known that they are exceeded, and tells whether one
// of them refuses the request.
func (m *Meter) exceeded(c *Call, now time.Time) (refuses bool) {
	for i := range c.Claims {
		cl := &c.Claims[i]
		if cl.skip || cl.Kind == Flight {
			continue
		}
		wait, ok := m.known.exceeded(m.ids.of(cl.Name, cl.Key), cl.Cost, cl.Rule.Limit, now)
		if !ok {
			continue
		}
		cl.Verdict, cl.Left, cl.More, cl.Wait = Exceeded, 0, wait, wait
		refuses = refuses || !cl.Soft
	}
	return refuses
}

// here counts on this node, with its share of the limits.
func (m *Meter) here(c *Call, now time.Time, action store.Action, nodes int64) {
	n := 0
	for i := range c.Claims {
		cl := &c.Claims[i]
		if cl.skip || cl.Kind == Flight {
			continue
		}
		t := &c.takes[n]
		*t = store.Take{Name: cl.Name, Key: cl.Key, Rule: cl.Rule, Action: action, Cost: cl.Cost, Soft: cl.Soft}
		if cl.Kind == After {
			t.Action = store.Look
		}
		if nodes > 1 {
			t.Rule = share(cl.Rule, nodes)
			t.Cost = min(t.Cost, t.Rule.Size()) // or it could never pass
		}
		c.index[n] = uint8(i)
		n++
	}
	if n == 0 {
		return
	}
	_ = m.Here.Take(context.Background(), now, c.takes[:n]) // memory has no errors
	m.results(c, n, now, now)
}

// share is what one of several nodes may spend by itself.
func share(r store.Rule, nodes int64) store.Rule {
	r.Limit = max(1, r.Limit/nodes)
	if r.Algorithm == store.TokenBucket {
		r.Burst = max(1, r.Burst/nodes)
	}
	return r
}

// alone does for each claim what it says while the store is lost. What is spent is counted
// in the store later.
func (m *Meter) alone(c *Call, now time.Time) {
	for i := range c.Claims {
		cl := &c.Claims[i]
		if cl.Kind == Flight {
			continue
		}
		switch cl.OnLoss {
		case Open:
			cl.skip, cl.Verdict = true, Unknown
		case Closed:
			cl.skip, cl.Verdict = true, Lost
		}
	}
	if c.refused() {
		return
	}
	m.here(c, now, m.action(), m.nodes.live())
	if c.refused() || m.Peek {
		return
	}
	for i := range c.Claims {
		if cl := &c.Claims[i]; cl.Kind == Rate && !cl.skip && cl.Verdict == Fits {
			m.debts.add(cl.Name, cl.Key, cl.Rule, cl.Cost, now)
		}
	}
}

// results gives the claims what came of the first n takes, which were asked for at that
// time.
func (m *Meter) results(c *Call, n int, asked, now time.Time) {
	since := now.Sub(asked)
	for i := range c.takes[:n] {
		t, cl := &c.takes[i], &c.Claims[c.index[i]]
		cl.Verdict = Fits
		if !t.Fits {
			cl.Verdict = Exceeded
		}
		cl.Left, cl.More, cl.Wait = t.Left, max(0, t.More-since), max(0, t.Wait-since)
	}
}

// refused tells whether a claim refuses the request.
func (c *Call) refused() bool {
	for i := range c.Claims {
		if c.Claims[i].Refuses() {
			return true
		}
	}
	return false
}

// note tells what came of a call to whoever looks at limits.
func (m *Meter) note(c *Call, now time.Time) {
	refused := c.refused()
	lost := m.shared != nil && m.guard.lost()
	for i := range c.Claims {
		cl := &c.Claims[i]
		if cl.Verdict == Unknown && refused {
			continue // nobody asked
		}
		m.top.seen(cl, m.ids, lost, now)
	}
}
