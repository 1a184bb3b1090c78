package supervisor

import (
	"context"
	"os"
	"sync"

	"yett/internal/control"
	"yett/internal/telemetry"
)

// member is a worker as Status and Stats see it.
type member struct {
	w     *worker // nil where the place is empty
	shown control.Worker
}

// members returns the workers of all places, and behind them those that leave.
func (s *Supervisor) members() (all []member) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sl := range s.slots {
		m := member{w: sl.worker, shown: control.Worker{ID: sl.id, State: sl.state, Restarts: sl.restarts, Why: sl.why}}
		all = append(all, m)
	}
	for w := range s.leaving {
		all = append(all, member{w: w, shown: control.Worker{ID: w.id, State: control.Draining}})
	}
	return all
}

// ask completes what is shown of a worker by what it says and what the kernel knows.
func (m *member) ask(ctx context.Context) (st control.Status, ok bool) {
	if m.w == nil {
		return st, false
	}
	m.shown.PID, m.shown.Started = m.w.pid(), m.w.started
	m.shown.Usage = usageOf(m.w.pid())
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	c, err := m.w.call()
	if err == nil {
		st, err = c.Status(ctx)
	}
	if err != nil {
		if m.shown.State == control.Ready {
			m.shown.Why = "it doesn't answer: " + err.Error()
		}
		return st, false
	}
	m.shown.Version, m.shown.Revision, m.shown.Connections = st.Version, st.Revision.ID, st.Connections
	return st, true
}

// Status implements control.Instance.
func (s *Supervisor) Status(ctx context.Context) (control.Status, error) {
	all := s.members()
	answers := make([]control.Status, len(all))
	answered := make([]bool, len(all))
	var asked sync.WaitGroup
	for i := range all {
		asked.Go(func() { answers[i], answered[i] = all[i].ask(ctx) })
	}
	asked.Wait()
	s.mu.Lock()
	st := control.Status{
		Name: s.o.Name, Version: s.o.Version, PID: os.Getpid(), Started: s.started, State: s.state(), Env: s.o.Env,
		File: s.o.File, Refused: s.refused, Usage: usageOf(os.Getpid()),
	}
	s.mu.Unlock()
	for i, m := range all {
		st.Workers = append(st.Workers, m.shown)
		st.CPU += m.shown.CPU
		st.Memory += m.shown.Memory
		st.Connections += m.shown.Connections
		st.Dropped += answers[i].Dropped
		if answered[i] && st.Listeners == nil {
			st.Listeners, st.Revision = answers[i].Listeners, answers[i].Revision
		}
	}
	return st, nil
}

// state is called with the lock held.
func (s *Supervisor) state() string {
	if s.ending() {
		return control.Draining
	}
	state := control.Failing
	for _, sl := range s.slots {
		if sl.worker != nil {
			return control.Ready
		}
		if sl.state == control.Starting {
			state = control.Starting
		}
	}
	return state
}

// Stats implements control.Instance. Workers that have ended take their counts along.
func (s *Supervisor) Stats(ctx context.Context) (telemetry.Stats, error) {
	all := s.members()
	parts := make([]*telemetry.Stats, len(all))
	var asked sync.WaitGroup
	for i, m := range all {
		if m.w == nil {
			continue
		}
		asked.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, answerTime)
			defer cancel()
			c, err := m.w.call()
			if err != nil {
				return
			}
			if st, err := c.Stats(ctx); err == nil {
				parts[i] = &st
			}
		})
	}
	asked.Wait()
	var sum telemetry.Stats
	for _, p := range parts {
		if p != nil {
			sum = sum.Add(*p)
		}
	}
	return sum, nil
}
