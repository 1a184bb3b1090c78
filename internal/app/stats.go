package app

import (
	"cmp"
	"context"
	"slices"
	"time"

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

// Gathered implements admin.Metered.
func (a *App) Gathered(ctx context.Context) (telemetry.Stats, control.Status) {
	stats, _ := a.Stats(ctx)   // which never fails
	status, _ := a.Status(ctx) // nor does this
	return a.withPeers(ctx, stats, status)
}

// withPeers adds what the other workers of a cluster have served: whoever asks for the page
// reaches any of them, and counts that come from one and then from another make no sense. One that
// doesn't answer in time is left out, as if it had been started again.
func (a *App) withPeers(ctx context.Context, stats telemetry.Stats, status control.Status) (telemetry.Stats, control.Status) {
	if a.o.Peers == nil {
		return stats, status
	}
	for _, p := range a.o.Peers(ctx) {
		stats = stats.Add(p.Stats)
		status.Connections += p.Status.Connections
		status.Memory += p.Status.Memory
		status.CPU += p.Status.CPU
		status.Dropped += p.Status.Dropped
	}
	return stats, status
}
