package telemetry

import (
	"sync/atomic"

	"yett/internal/exchange"
)

// Tally counts refusals by their reason, those that were meant and those that
// were only observed. The list of reasons is closed, so a Tally never grows.
type Tally struct{ byReason map[*exchange.Reason]*Count }

// Count is how often a reason came up.
type Count struct{ Refused, Observed atomic.Int64 }

// NewTally makes a Tally of the reasons.
func NewTally(reasons []*exchange.Reason) *Tally {
	t := &Tally{byReason: make(map[*exchange.Reason]*Count, len(reasons))}
	for _, r := range reasons {
		t.byReason[r] = &Count{}
	}
	return t
}

// Add counts an exchange that is over. The nil Tally counts nothing.
func (t *Tally) Add(x *exchange.Exchange) {
	if t == nil {
		return
	}
	if c := t.byReason[x.Reason]; c != nil {
		c.Refused.Add(1)
	}
	for _, o := range x.Observed() {
		if c := t.byReason[o.Reason]; c != nil {
			c.Observed.Add(1)
		}
	}
}

// Counts returns how often each reason was refused and observed, by name,
// without those that never were.
func (t *Tally) Counts() (refused, observed map[string]int64) {
	refused, observed = make(map[string]int64), make(map[string]int64)
	if t == nil {
		return refused, observed
	}
	for r, c := range t.byReason {
		if n := c.Refused.Load(); n > 0 {
			refused[r.Name] = n
		}
		if n := c.Observed.Load(); n > 0 {
			observed[r.Name] = n
		}
	}
	return refused, observed
}
