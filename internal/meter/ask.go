package meter

import (
	"context"
	"strings"
	"time"

	"yett/internal/store"
)

// leaseBudget bounds how long a request waits for another one that asks the store for both.
// That one has a budget of its own, in the store.
const leaseBudget = 100 * time.Millisecond

// ask counts in the store that is shared: all at once, but for what is leased here already.
func (m *Meter) ask(c *Call, now time.Time) {
	n, ok := m.gather(c)
	if ok && n > 0 {
		if err := m.shared.Take(context.Background(), now, c.takes[:n]); err != nil {
			m.guard.failed(err, c.takes[:n])
			m.giveUp(c, n)
			m.alone(c, now, !late(err))
			return
		}
		m.guard.worked()
		m.answers(c, n, now)
	}
	if c.refused() {
		m.returnLeases(c, time.Now())
		return
	}
	m.shadow(c, now)
}

// gather makes the takes with which the store is to be asked, and spends what is leased. ok is
// false when one of the claims is refused by that already.
func (m *Meter) gather(c *Call) (n int, ok bool) {
	for i := range c.Claims {
		cl := &c.Claims[i]
		if !cl.rate() {
			continue
		}
		c.take(n, i, m.action())
		if cl.Leased && !m.Peek {
			cl.lease = &c.leases[i]
			if !m.lease(cl) {
				cl.lease.into(&c.takes[n])
				n++
			} else if cl.Refuses() {
				m.giveUp(c, n)
				m.returnLeases(c, time.Now())
				return 0, false
			}
			continue
		}
		n++
	}
	return n, true
}

// leasesExceeded looks for leased claims of which it is known that they are exceeded.
func (m *Meter) leasesExceeded(c *Call, now time.Time) {
	for i := range c.Claims {
		cl := &c.Claims[i]
		if !cl.Leased || !cl.rate() {
			continue
		}
		if s := m.leases.look(m.id(cl), cl.Rule, cl.Cost, now); s.state == leaseExceeded {
			cl.Verdict, cl.Left, cl.More, cl.Wait = Exceeded, s.left, s.more, s.wait
		}
	}
}

// lease spends what is leased here. It returns false when the store has to be asked.
func (m *Meter) lease(cl *Claim) bool {
	id, nodes, until := m.id(cl), int(m.nodes.live()), time.Time{}
	for {
		now := time.Now()
		*cl.lease = m.leases.spend(id, cl.Rule, cl.Cost, now, nodes)
		switch cl.lease.state {
		case leaseSpent:
			cl.Verdict, cl.Left, cl.More, cl.Wait = Fits, cl.lease.left, cl.lease.more, 0
			if cl.lease.refill {
				m.refill(cl)
			}
			return true
		case leaseExceeded:
			cl.Verdict, cl.Left, cl.More, cl.Wait = Exceeded, cl.lease.left, cl.lease.more, cl.lease.wait
			return true
		case leaseAsk:
			return false
		}
		if until.IsZero() {
			until = now.Add(leaseBudget)
		}
		if !now.Before(until) || m.guard.lost() {
			*cl.lease = leaseBeside(cl.Rule, cl.Cost)
			return false
		}
		await(cl.lease.done, until.Sub(now))
	}
}

// leaseBeside asks for one request alone, whatever others do.
func leaseBeside(r store.Rule, cost int64) spending {
	return spending{state: leaseAsk, cost: cost, want: cost, ahead: leaseAhead(r, leaseLife(r), cost, cost)}
}

// await waits until done is closed, and not longer.
func await(done <-chan struct{}, longest time.Duration) {
	timer := time.NewTimer(longest)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	}
}

// refill takes from the store, while requests go on, what later ones will want.
func (m *Meter) refill(cl *Claim) {
	t := store.Take{Name: cl.Name, Key: strings.Clone(cl.Key), Rule: cl.Rule} // names are the configuration's
	s, id := *cl.lease, cl.id
	s.into(&t)
	begun := m.begin(func() {
		asked := time.Now()
		takes := []store.Take{t}
		if err := m.shared.Take(context.Background(), asked, takes); err != nil {
			m.guard.failed(err, takes)
			m.leases.failed(id, s)
			return
		}
		m.guard.worked()
		m.leases.fill(id, s, &takes[0], asked, time.Now())
	})
	if !begun {
		m.leases.failed(id, s)
	}
}

// answers gives the claims what the store has said to the first n takes.
func (m *Meter) answers(c *Call, n int, asked time.Time) {
	for i := range c.takes[:n] {
		t, cl := &c.takes[i], &c.Claims[c.index[i]]
		cl.result(t)
		switch {
		case cl.Leased && !m.Peek:
			*cl.lease = m.leases.fill(m.id(cl), *cl.lease, t, asked, time.Now())
			cl.Left, cl.More, cl.Wait = cl.lease.left, cl.lease.more, cl.lease.wait
		case !t.Fits:
			m.remember(cl, asked) // it was meant from before it has come back
		}
	}
}

// giveUp lets those go who wait for what the first n takes were to ask.
func (m *Meter) giveUp(c *Call, n int) {
	for i := range c.takes[:n] {
		if cl := &c.Claims[c.index[i]]; cl.Leased && !m.Peek {
			m.leases.failed(m.id(cl), *cl.lease)
		}
	}
}

// returnLeases gives back what a refused request has spent of leases.
func (m *Meter) returnLeases(c *Call, now time.Time) {
	for i := range c.Claims {
		if cl := &c.Claims[i]; cl.spentLease() {
			m.leases.giveBack(m.id(cl), *cl.lease, now)
			*cl.lease = spending{}
		}
	}
}

// shadow counts on this node what the store has counted, so that it knows what it has let
// pass when it has to go on alone.
func (m *Meter) shadow(c *Call, now time.Time) {
	n := 0
	for i := range c.Claims {
		if cl := &c.Claims[i]; cl.Kind == Rate && cl.Verdict == Fits && !m.Peek {
			c.take(n, i, store.Charge)
			n++
		}
	}
	if n > 0 {
		_ = m.Here.Take(context.Background(), now, c.takes[:n]) // memory has no errors
	}
}
