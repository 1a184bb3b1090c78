package meter

import (
	"context"
	"time"

	"yett/internal/store"
)

// ask asks the store that is shared about all claims at once, but for what is leased
// here.
func (m *Meter) ask(c *Call, now time.Time) {
	n := 0
	for i := range c.Claims {
		cl := &c.Claims[i]
		if cl.skip || cl.Kind == Flight {
			continue
		}
		t := &c.takes[n]
		*t = store.Take{Name: cl.Name, Key: cl.Key, Rule: cl.Rule, Action: m.action(), Cost: cl.Cost, Soft: cl.Soft}
		if cl.Kind == After {
			t.Action = store.Look
		}
		c.index[n] = uint8(i)
		n++
	}
	_ = n
	_ = context.Background
}
