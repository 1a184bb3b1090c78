package meter

import (
	"context"
	"time"

	"yett/internal/store"
)

// beside is the store of the workers of this node, where nodes share another one that does not
// count what runs. Together the workers have the node's part of a limit.
type beside struct {
	store store.Store
	guard guard
	// workers are those of this node; they are among the nodes of the other store, each by itself.
	workers *nodes
}

// ShareBeside makes the Meter count what runs in a store of this node's workers, after Share has
// named one that does not, and before the Meter is used for the first time. s is a store.Flights
// too. lost is why it can't be asked as yet, or nil.
func (m *Meter) ShareBeside(s store.Store, lost error) {
	b := &beside{store: s, workers: newNodes(m.nodes.own)}
	b.guard.ctx, b.guard.since = m.guard.ctx, time.Now()
	b.guard.changed = func(lost bool, why error, lasted time.Duration) {
		if lost {
			m.Log.Warn("this worker goes on by itself: breakers that no other node shares, and what runs at once, are its own until the store of the node's workers is back",
				"store", s.Name(), "error", why.Error())
			return
		}
		m.Log.Info("this worker is one with the node's others again", "store", s.Name(), "alone_for", lasted.Round(time.Millisecond).String())
	}
	b.guard.probe = func(ctx context.Context, writes []store.Take) error { return s.Take(ctx, time.Now(), writes) }
	b.workers.gone = func(err error) { b.guard.lose(err, nil) }
	m.beside = b
	m.flying, _ = s.(store.Flights)
	if lost != nil {
		b.guard.lose(lost, nil)
	}
	m.begin(func() { b.workers.follow(m.guard.ctx, s) })
}

// flyingGuard knows whether the store that counts what runs can be asked.
func (m *Meter) flyingGuard() *guard {
	if m.beside != nil {
		return &m.beside.guard
	}
	return &m.guard
}

// together is how many may run where the store counts them: all, or this node's part.
func (m *Meter) together(limit int64) int64 {
	if m.beside == nil {
		return limit
	}
	all := m.nodes.live()
	here := min(m.beside.workers.live(), all)
	return max(1, limit/all*here+limit%all*here/all)
}
