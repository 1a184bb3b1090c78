package meter

import (
	"time"

	"yett/internal/store"
)

// divide makes of a take what one of several nodes may spend by itself.
func divide(t *store.Take, nodes int64) {
	if nodes <= 1 {
		return
	}
	t.Rule.Limit = max(1, t.Rule.Limit/nodes)
	if t.Rule.Algorithm == store.TokenBucket {
		t.Rule.Burst = max(1, t.Rule.Burst/nodes)
	}
	t.Cost = min(t.Cost, t.Rule.Size()) // or it could never pass
}

// alone counts on this node, by its share, what the store did not: while that is lost each claim
// does what it says, and after a single failure all count here, so that nobody opens a
// limit by making the store slow. What is spent here is counted in the store later, unless
// owed is false: the store may have counted it.
func (m *Meter) alone(c *Call, now time.Time, owed bool) {
	lost := m.guard.lost()
	for i := range c.Claims {
		cl := &c.Claims[i]
		switch {
		case cl.Kind != Rate || cl.spentLease():
		case lost:
			cl.loseStore()
		default:
			cl.Verdict = Unknown
		}
	}
	if !c.refused() {
		m.here(c, now, m.action(), m.nodes.live())
	}
	if m.Peek {
		return
	}
	if c.refused() {
		m.returnLeases(c, time.Now())
		return
	}
	for i := range c.Claims {
		if cl := &c.Claims[i]; owed && cl.Kind == Rate && cl.Verdict == Fits && !cl.spentLease() {
			m.debts.add(cl.Name, cl.Key, cl.Rule, cl.Cost)
		}
	}
}

// spentLease tells that a claim was spent from what the store has counted already.
func (cl *Claim) spentLease() bool {
	return cl.Leased && cl.Kind == Rate && cl.lease != nil && cl.lease.state == leaseSpent && cl.Verdict == Fits
}

// loseStore does what the claim says for a store that is lost. What the store has said
// before about it, or a lease, counts no more.
func (cl *Claim) loseStore() {
	cl.Verdict = Unknown
	switch cl.OnLoss {
	case Open:
		cl.skip = true
	case Closed:
		cl.skip, cl.Verdict = true, Lost
	}
}
