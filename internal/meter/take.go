package meter

import (
	"context"
	"time"

	"yett/internal/store"
)

// Look finds claims that are exceeded as far as this node knows, without asking
// anybody over the network: those get their verdict, the others stay as they are where
// that is not known here. Nothing is counted.
func (m *Meter) Look(c *Call, now time.Time) {
	switch {
	case m.shared != nil && m.guard.lost():
		for i := range c.Claims {
			if cl := &c.Claims[i]; cl.Kind != Flight {
				cl.loseStore()
			}
		}
		m.here(c, now, store.Look, m.nodes.live())
	default:
		m.exceeded(c, now)
		m.leasesExceeded(c, now)
	}
	if c.refused() {
		m.note(c, now)
	}
}

// Take counts all claims, or none when one of them refuses. It waits for the store
// within its budget, and for other requests of the same caller where an After has to.
func (m *Meter) Take(w Waiter, c *Call, now time.Time) {
	for i := range c.Claims {
		c.Claims[i].Verdict, c.Claims[i].skip = Unknown, false // what Look has found is old
	}
	if m.enter(w, c, &now) {
		m.count(c, now)
	}
	if c.refused() {
		m.leave(c)
	}
	m.note(c, now)
}

// Count counts the claims of Kind Rate as far as they fit, for a request that was
// refused by somebody else already, and which Take has not seen.
func (m *Meter) Count(c *Call, now time.Time) {
	for i := range c.Claims {
		cl := &c.Claims[i]
		cl.Verdict, cl.skip, cl.lenient = Unknown, false, true
	}
	m.count(c, now)
	m.note(c, now)
}

// open tells whether it is still to be found out what comes of a claim.
func (cl *Claim) open() bool { return cl.Verdict == Unknown && !cl.skip }

// rate tells whether a claim is still to be counted before the request is served.
func (cl *Claim) rate() bool { return cl.Kind == Rate && cl.open() }

// count counts the claims of Kind Rate in the store that is to be asked now.
func (m *Meter) count(c *Call, now time.Time) {
	switch {
	case m.shared == nil:
		m.here(c, now, m.action(), 1)
		for i := range c.Claims {
			if cl := &c.Claims[i]; !m.Peek && cl.Kind == Rate {
				m.remember(cl, now)
			}
		}
	case m.guard.lost():
		m.alone(c, now, true)
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
	if m.known.nothing(now) {
		return false
	}
	for i := range c.Claims {
		cl := &c.Claims[i]
		if cl.Kind == Flight || cl.Verdict != Unknown {
			continue
		}
		if m.isKnown(cl, now) {
			refuses = refuses || cl.Refuses()
		}
	}
	return refuses
}

// isKnown gives a claim its verdict, if it is known to be exceeded.
func (m *Meter) isKnown(cl *Claim, now time.Time) bool {
	left, more, wait, ok := m.known.exceeded(m.id(cl), cl.Cost, cl.Rule.Limit, cl.Rule.Size(), now)
	if ok {
		cl.Verdict, cl.Left, cl.More, cl.Wait = Exceeded, left, more, wait
	}
	return ok
}

// remember notes that a claim is exceeded, or would be the next time, so that Look knows. When a
// larger cost than 1 would fit is known only when it has been refused.
func (m *Meter) remember(cl *Claim, now time.Time) {
	switch {
	case cl.Verdict == Exceeded:
		m.known.note(m.id(cl), refusalOf(cl, now), now)
	case cl.Verdict == Fits && cl.Left == 0 && cl.Cost == 1:
		m.usedUp(cl, now)
	}
}

// usedUp notes that what is left is less than a claim's cost, until it grows.
func (m *Meter) usedUp(cl *Claim, now time.Time) {
	r := refusalOf(cl, now)
	r.until = r.more
	m.known.note(m.id(cl), r, now)
}

// here counts on this node, with its share of the limits. A Look is for claims of Kind
// After too.
func (m *Meter) here(c *Call, now time.Time, action store.Action, nodes int64) {
	n := 0
	for i := range c.Claims {
		cl := &c.Claims[i]
		if !cl.rate() && (cl.Kind != After || !cl.open() || action != store.Look) {
			continue
		}
		c.take(n, i, action)
		divide(&c.takes[n], nodes)
		n++
	}
	if n > 0 {
		_ = m.Here.Take(context.Background(), now, c.takes[:n]) // memory has no errors
		c.results(n)
	}
}

// take makes the take at place n of the claim at place i.
func (c *Call) take(n, i int, action store.Action) {
	cl, t := &c.Claims[i], &c.takes[n]
	t.Name, t.Key, t.Rule, t.Action, t.Cost = cl.Name, cl.Key, cl.Rule, action, cl.Cost
	t.Least, t.Ahead, t.Soft = 0, 0, cl.Soft || cl.lenient // field by field, as copying all of it at once is dearer
	t.Fits, t.Granted, t.Left, t.More, t.Wait = false, 0, 0, 0, 0
	c.index[n] = uint8(i)
}

// results gives the claims what came of the first n takes.
func (c *Call) results(n int) {
	for i := range c.takes[:n] {
		c.Claims[c.index[i]].result(&c.takes[i])
	}
}

func (cl *Claim) result(t *store.Take) {
	cl.Verdict = Fits
	if !t.Fits {
		cl.Verdict = Exceeded
	}
	cl.Left, cl.More, cl.Wait = t.Left, t.More, t.Wait
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

// id returns the claim's id.
func (m *Meter) id(cl *Claim) id {
	if cl.id == (id{}) {
		cl.id = m.ids.of(cl.Name, cl.Key)
	}
	return cl.id
}

// note tells what came of a call to whoever looks at limits.
func (m *Meter) note(c *Call, now time.Time) {
	if m.Peek {
		return
	}
	lost, refused := m.shared != nil && m.guard.lost(), c.refused()
	for i := range c.Claims {
		cl := &c.Claims[i]
		switch {
		case cl.Verdict == Unknown || refused && !cl.Refuses():
			continue // nobody asked, or it was not counted
		case lost:
			m.top.count(cl, asWhileLost)
		}
		m.top.count(cl, cl.outcome())
		over := cl.Verdict != Fits
		if over || cl.Left <= cl.Rule.Size()-cl.Left {
			until := now.Add(max(cl.More, cl.Wait))
			m.top.seen(cl.Name, cl.Key, m.id(cl), cl.Rule.Size(), cl.Left, over && !cl.Soft, until, now)
		}
	}
}

func (cl *Claim) outcome() outcome {
	switch {
	case cl.Verdict == Fits:
		return asAllowed
	case cl.Soft:
		return asObserved
	}
	return asRefused
}

// spread spreads callers over counters.
func (cl *Claim) spread() byte {
	if cl.Key == "" {
		return 0
	}
	return cl.Key[len(cl.Key)-1] % countShards
}
