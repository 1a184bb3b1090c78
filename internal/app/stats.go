package app

import (
	"cmp"
	"context"
	"slices"
	"time"

	"yett/internal/admin"
	"yett/internal/control"
	"yett/internal/meter"
	"yett/internal/telemetry"
	"yett/internal/upstream"
	"yett/internal/usage"
)

// Stats tells what has been served since the start, as control.Instance wants it. It never
// fails.
func (a *App) Stats(context.Context) (telemetry.Stats, error) {
	s := a.counters.Stats(time.Now())
	s.Refused, s.Observed = a.tally.Counts()
	s.Limits = limitStats(a.meter.State().Limits)
	for _, sv := range a.gateway.Snapshot().Services() {
		st := sv.Stats()
		s.InFlight += st.InFlight + st.Waiting
		s.Breakers = append(s.Breakers, breakerStats(sv.Name(), st.Breaker)...)
	}
	slices.SortFunc(s.Breakers, func(a, b telemetry.BreakerStats) int { return cmp.Compare(a.Service, b.Service) })
	return s, nil
}

func limitStats(all []meter.LimitState) (rows []telemetry.LimitStats) {
	for _, l := range all {
		keys := make(map[string]bool, len(l.Nearest)+len(l.Refusals))
		for _, k := range slices.Concat(l.Nearest, l.Refusals) {
			keys[k.Key] = true
		}
		rows = append(rows, telemetry.LimitStats{
			Name: l.Name, Allowed: uint64(l.Allowed), Refused: uint64(l.Refused), Observed: uint64(l.Observed), Keys: len(keys),
		})
	}
	return rows
}

// breakerStats returns the row of a service that has a breaker.
func breakerStats(service string, b *upstream.BreakerStats) []telemetry.BreakerStats {
	if b == nil {
		return nil
	}
	return []telemetry.BreakerStats{{Service: service, State: b.State}}
}

// Usage tells what this process uses.
func (a *App) Usage() control.Usage {
	u := control.Usage{}
	self := usage.Self()
	u.CPU, u.Memory = self.CPU, self.Memory
	for _, l := range a.listeners.all() {
		u.Connections += l.Connections()
	}
	return u
}

// Gathered implements admin.Metered. Whoever asks reaches any of the workers, and counts that come
// from one and then from another make no sense.
func (a *App) Gathered(ctx context.Context) []admin.Worker {
	own := admin.Worker{ID: a.o.Worker}
	own.Stats, _ = a.Stats(ctx)   // which never fails
	own.Status, _ = a.Status(ctx) // nor does this
	if a.o.Peers == nil {
		return []admin.Worker{own}
	}
	return append(a.o.Peers(ctx), own)
}
