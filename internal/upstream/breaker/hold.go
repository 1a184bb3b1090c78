package breaker

import "time"

// Hold makes a Breaker Open or Closed, whatever becomes of the requests, until a time, or
// until Reset when that is zero. Held open it refuses all, held closed it counts nothing.
// At its end it is automatic again, and closed. by is who wants that, and may be empty.
// Nobody can hold it HalfOpen: that does nothing. A hold whose end is over is a Reset.
func (b *Breaker) Hold(to State, until time.Time, by string, now time.Time) {
	if to != Open && to != Closed {
		return
	}
	if !until.IsZero() && !until.After(now) {
		b.Reset(by, now)
		return
	}
	verb := "closed"
	if to == Open {
		verb = "opened"
	}
	b.mu.Lock()
	defer b.unlock()
	b.settle(now)
	cause := byHand(verb, by)
	b.hold(to, until, cause, now)
	b.announceHold(cause, now)
}

func (b *Breaker) announceHold(cause string, now time.Time) {
	n := notice{kind: heldClosed, cause: cause}
	if b.state == Open {
		n.kind = heldOpen
	}
	if !b.heldUntil.IsZero() {
		n.until = max(b.heldUntil.UnixMilli(), 1)
	}
	b.announce(n, now)
}

// Reset makes a Breaker automatic and closed, with nothing counted. by is who wants that,
// and may be empty.
func (b *Breaker) Reset(by string, now time.Time) {
	b.mu.Lock()
	defer b.unlock()
	b.settle(now)
	cause := byHand("reset", by)
	b.close(cause, now)
	b.announce(notice{kind: reset, cause: cause}, now)
}

func byHand(verb, by string) string {
	if by == "" {
		return verb + " by hand"
	}
	return verb + " by hand (" + by + ")"
}

func (b *Breaker) hold(to State, until time.Time, cause string, now time.Time) {
	failures := b.failures
	b.failures, b.pause = 0, 0
	b.clear()
	b.held, b.heldUntil = true, until
	if !until.IsZero() {
		b.setNext(now.Add(until.Sub(now))) // which no longer depends on the wall clock
	}
	b.becomeAfter(failures, to, cause, now)
}

// settle ends a hold that is over.
func (b *Breaker) settle(now time.Time) {
	if b.held && b.ns(now) >= b.next.Load() {
		b.close("the hold is over", now)
	}
}

// Status is what is known about a Breaker at one moment.
type Status struct {
	// State is Open also when the pause is over and nobody has come since to probe.
	State State
	// Held is "open" or "closed" while it is held, and "" while it is automatic.
	// HeldUntil is when that ends, zero when it does not by itself.
	Held      string
	HeldUntil time.Time
	// Failures are those in a row; once it has opened they stay what they were, until it
	// closes. Successes are those of probes in this half-open period.
	Failures, Successes int
	// Since is when the state began, and Cause why; "" when it never changed.
	Since time.Time
	Cause string
	// NextAttempt is when an open one lets a probe through, or when its hold ends; zero
	// where nothing of that happens.
	NextAttempt time.Time
	// Trips is how often it has opened since it was made, after a half-open period and
	// because another node has told it too, but not by hand.
	Trips int64
}

// Status returns what is known about the Breaker.
func (b *Breaker) Status(now time.Time) Status {
	b.mu.Lock()
	defer b.unlock()
	b.settle(now)
	s := Status{
		State: b.state, HeldUntil: b.heldUntil, Failures: b.failures, Successes: b.successes,
		Since: b.since, Cause: b.cause, Trips: b.trips,
	}
	if b.state == Open {
		s.NextAttempt = b.until
	}
	if b.held {
		s.Held = "closed"
		if b.state == Open {
			s.Held = "open"
		}
	}
	return s
}
