package upstream

import (
	"context"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"yett/internal/exchange"
	"yett/internal/upstream/balance"
	"yett/internal/upstream/breaker"
)

// stats counts what became of the requests to a service.
type stats struct {
	requests, failures       atomic.Int64
	refused, fallbacks       atomic.Int64
	retries, hedges          atomic.Int64
	lastSuccess, lastFailure atomic.Int64 // Unix nanoseconds
	lastReason               atomic.Pointer[exchange.Reason]
}

// record notes how a request ended. What the client did is no failure of the
// service.
func (s *stats) record(r *exchange.Reason, status int, now time.Time) {
	s.requests.Add(1)
	switch {
	case r == nil && status < 500:
		s.lastSuccess.Store(now.UnixNano())
	case r == nil || r.Status >= 500:
		s.failures.Add(1)
		s.lastFailure.Store(now.UnixNano())
		s.lastReason.Store(r)
	}
}

// Stats is what is known about a service at one moment.
type Stats struct {
	// Targets has a row too for each name of the configuration of which nothing is known.
	Targets []TargetStats
	// Panics tells that so few targets are well that all are used.
	Panics bool
	// Breaker is nil where the service has none.
	Breaker *BreakerStats
	// Requests are those that were sent, or would have been; Failures those that came to
	// nothing or got a status of 500 or above; Refused those that the breaker or the bound
	// of requests in flight kept away, Fallbacks those of them that got a fallback.
	Requests, Failures, Refused, Fallbacks int64
	// Retries and Hedges are tries that were added, BudgetLeft how many more there could be
	// at this moment.
	Retries, Hedges int64
	BudgetLeft      int
	// InFlight are requests that are with the service, Waiting those that wait for a place.
	// Limit is how many may be in flight, 0 for any number.
	InFlight, Waiting, Limit int
	Idle                     int // connections
	// P50 and P99 are times to the answer's head, of the last seconds, in which Recent
	// answers came.
	P50, P99                 time.Duration
	Recent                   int
	LastSuccess, LastFailure time.Time
	LastReason               string // of the last failure; "" for an answer of 500 and above
}

// TargetStats is what is known about one target.
type TargetStats struct {
	Name string
	// State is up, down (by checks), ejected, warming (after its return), draining, or
	// unknown: a name that could not be looked up yet.
	State string
	// Cause says why it is down, ejected or unknown, Until when an ejection ends.
	Cause string
	Until time.Time
	// Note says that its name could not be looked up the last time, so that what was known
	// is kept; else "".
	Note     string
	Weight   int
	InFlight int
	Failures int // in a row
	P50, P99 time.Duration
	Recent   int
	// Checked is when the last check ended, zero where there are none.
	Checked time.Time
}

// BreakerStats is how a breaker stands.
type BreakerStats struct {
	Mode string // enforce or observe
	// State is CLOSED, OPEN or HALF_OPEN; Held is open or closed where somebody holds it so by
	// hand, until HeldUntil when that is not zero.
	State, Held string
	HeldUntil   time.Time
	// Failures are those in a row, Successes those of probes in this half-open period.
	Failures, Successes int
	Since, NextAttempt  time.Time
	Cause               string // of the last transition
	Trips               int64
	Shared              bool
}

// Stats returns what is known about the service.
func (s *Service) Stats() Stats {
	now := time.Now()
	out := Stats{
		Requests: s.stats.requests.Load(), Failures: s.stats.failures.Load(), Idle: s.Idle(),
		Refused: s.stats.refused.Load(), Fallbacks: s.stats.fallbacks.Load(),
		Retries: s.stats.retries.Load(), Hedges: s.stats.hedges.Load(), BudgetLeft: s.budget.Left(now),
		LastSuccess: moment(s.stats.lastSuccess.Load()), LastFailure: moment(s.stats.lastFailure.Load()),
	}
	out.P50, out.Recent = s.latency.Quantile(0.5, now)
	out.P99, _ = s.latency.Quantile(0.99, now)
	if r := s.stats.lastReason.Load(); r != nil {
		out.LastReason = r.Name
	}
	out.Targets = s.targetStats(now)
	for i := range out.Targets {
		out.InFlight += out.Targets[i].InFlight
	}
	out.Panics = s.balancer.Panics(now)
	if s.limiter != nil {
		st := s.limiter.State()
		out.InFlight, out.Waiting, out.Limit = st.InFlight, st.Queued, st.Limit
	}
	if s.breaker != nil {
		out.Breaker = s.breakerStats(now)
	}
	return out
}

// targetStats returns those that requests go to, in the order of the configuration, then
// the names of which nothing is known, then what drains.
func (s *Service) targetStats(now time.Time) (all []TargetStats) {
	set := s.tidy()
	unknown, notes := s.unsure()
	for _, t := range set.list {
		st := t.stats(now)
		st.Note = notes[t.place]
		all = append(all, st)
	}
	all = append(all, unknown...)
	for _, t := range set.draining {
		all = append(all, t.stats(now))
	}
	return all
}

func (t *target) stats(now time.Time) TargetStats {
	st := t.service.balancer.State(t.node, now)
	out := TargetStats{
		Name: t.name, State: st.State, Until: st.Until,
		Weight: st.Weight, InFlight: st.InFlight, Failures: st.Failures, Checked: moment(t.checked.Load()),
	}
	if st.State != balance.Up {
		out.Cause = st.Cause
	}
	out.P50, out.Recent = t.latency.Quantile(0.5, now)
	out.P99, _ = t.latency.Quantile(0.99, now)
	return out
}

func (s *Service) breakerStats(now time.Time) *BreakerStats {
	st := s.breaker.Status(now)
	return &BreakerStats{
		Mode: s.conf.Breaker.Mode, State: st.State.String(), Held: st.Held, HeldUntil: st.HeldUntil,
		Failures: st.Failures, Successes: st.Successes, Since: st.Since, NextAttempt: st.NextAttempt,
		Cause: st.Cause, Trips: int64(st.Trips), Shared: s.conf.Breaker.Shared,
	}
}

func moment(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns)
}

// SetBreaker holds the service's breaker open ("open") or closed ("close"),
// until that time or, when it is zero, until it is told otherwise, or lets it go
// by itself again ("reset"). by is who wants it, for the cause that people see, and for
// the logs of other nodes; here the caller logs what was done. It returns false where
// the service has no breaker.
func (s *Service) SetBreaker(to string, until time.Time, by string) bool {
	if s.breaker == nil {
		return false
	}
	switch now := time.Now(); to {
	case "open":
		s.breaker.Hold(breaker.Open, until, by, now)
	case "close":
		s.breaker.Hold(breaker.Closed, until, by, now)
	default:
		s.breaker.Reset(by, now)
	}
	return true
}

// breakerChanged logs a transition of the breaker. What was done by hand here is logged by
// who called SetBreaker, who knows more, and when nothing has changed by it too; what was done
// so on another node is as urgent as an open breaker.
func (s *Service) breakerChanged(c breaker.Change) {
	here, byHand := handWork(c.Cause)
	if s.deps.Log == nil || here {
		return
	}
	args := []any{"service", s.name, "from", c.From.String(), "to", c.To.String(), "cause", c.Cause, "failures", c.Failures}
	if !c.Until.IsZero() {
		args = append(args, "until", c.Until.UTC())
	}
	level := slog.LevelInfo
	if c.To == breaker.Open || byHand {
		level = slog.LevelWarn
	}
	s.deps.Log.Log(context.Background(), level, "circuit breaker", args...)
}

// handWork tells by the cause of a transition whether it was made by hand, and whether that
// was on this node.
func handWork(cause string) (here, byHand bool) {
	const by = " by hand"
	verb, _, byHand := strings.Cut(cause, by)
	return byHand && !strings.Contains(verb, " "), byHand
}

// targetChanged logs a transition of a target, or the begin and the end of a panic. That a
// target is none any more is logged with the others that are gone.
func (s *Service) targetChanged(c balance.Change) {
	switch {
	case s.deps.Log == nil || c.To == balance.Draining:
		return
	case c.To == balance.Panic:
		s.deps.Log.Warn("panic: too few targets are well, so all are used", "service", s.name, "cause", c.Cause)
		return
	case c.From == balance.Panic:
		s.deps.Log.Info("the panic is over: enough targets are well", "service", s.name, "cause", c.Cause)
		return
	}
	args := []any{"service", s.name, "target", c.Node, "from", c.From, "to", c.To, "cause", c.Cause}
	if !c.Until.IsZero() {
		args = append(args, "until", c.Until.UTC())
	}
	level := slog.LevelInfo
	if c.To == balance.Down || c.To == balance.Ejected {
		level = slog.LevelWarn
	}
	s.deps.Log.Log(context.Background(), level, "target", args...)
}
