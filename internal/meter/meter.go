package meter

import (
	"context"
	"sync"
	"time"

	"yett/internal/store"
)

// Meter counts. Its methods may be called from many goroutines.
type Meter struct {
	calls sync.Pool
	ids   ids
}

// Call returns an empty Call, which End gives back.
func (m *Meter) Call() *Call {
	if c, ok := m.calls.Get().(*Call); ok {
		return c
	}
	c := &Call{Keys: make([]byte, 0, 256)}
	c.Claims = c.claims[:0]
	return c
}

// Look finds claims that are exceeded as far as this node knows, without asking
// anybody over the network: those get their verdict, the others stay Unknown where
// that is not known here. Nothing is counted.
func (m *Meter) Look(c *Call, now time.Time) {}

// Take counts all claims, or none when one of them refuses. It waits for the store
// within its budget, and for other requests of the same caller where an After has to.
func (m *Meter) Take(w Waiter, c *Call, now time.Time) {}

// Count counts the claims of Kind Rate that Take has not seen, as far as they fit, for
// a request that was refused by somebody else already.
func (m *Meter) Count(c *Call, now time.Time) {}

// Settle counts the claims of Kind After whose answer Counts, and lets those pass that
// wait for it.
func (m *Meter) Settle(c *Call, now time.Time) {}

// End gives back what a call still holds, and the call itself, once. Its keys are views
// no longer.
func (m *Meter) End(c *Call) {}

// Forget lets a limit forget what it has counted under a key, on all nodes.
func (m *Meter) Forget(ctx context.Context, name, key string) error { return nil }

var _ store.Rule
