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

// alone does for each claim what it says while the store is lost. What is spent here is
// counted in the store later.
func (m *Meter) alone(c *Call, now time.Time) {
	for i := range c.Claims {
		if cl := &c.Claims[i]; cl.Kind == Rate {
			cl.loseStore()
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
		if cl := &c.Claims[i]; cl.Kind == Rate && cl.Verdict == Fits {
			m.debts.add(cl.Name, cl.Key, cl.Rule, cl.Cost)
		}
	}
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
