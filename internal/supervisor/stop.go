package supervisor

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall"

	"yett/internal/control"
	"yett/internal/instance"
)

// Stop implements control.Instance. Done tells when all has ended.
func (s *Supervisor) Stop(context.Context) error {
	s.stopOnce.Do(func() {
		close(s.stopping)
		s.waiting.Stopping()
		go s.end()
	})
	return nil
}

// end drains all workers at once, and ends everything.
func (s *Supervisor) end() {
	defer close(s.stopped)
	s.log.Info("stopping", "workers", len(s.places()))
	var all sync.WaitGroup
	for _, sl := range s.places() {
		all.Go(func() {
			sl.turn.Lock() // whoever starts a worker now gives up, and leaves none
			defer sl.turn.Unlock()
			s.mu.Lock()
			w := sl.worker
			s.mu.Unlock()
			if w != nil {
				s.drain(w)
			}
		})
	}
	all.Wait()
	_ = s.drained(context.Background()) // which has no end
	s.mu.Lock()
	keeper := s.store
	s.mu.Unlock()
	if keeper != nil {
		keeper.stop()
	}
	s.work.Wait()
	s.watcher.Close()
	s.mu.Lock()
	outcome := s.outcome()
	s.mu.Unlock()
	s.save(outcome)
	_ = s.control.Close()
	s.closeSockets()
	s.log.Info("stopped", "outcome", outcome)
	_ = s.lock.Unlock()
}

// Unfinished is that not all that ran had finished when it stopped.
type Unfinished struct{ What string }

// Error says what was cut off.
func (e *Unfinished) Error() string { return "stopped, but not all had finished: " + e.What }

// Result is nil when everything was drained, else an *Unfinished. It is valid after Done.
func (s *Supervisor) Result() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.killed+s.cut == 0 {
		return nil
	}
	return &Unfinished{What: s.outcome()}
}

// outcome is called with the lock held.
func (s *Supervisor) outcome() string {
	switch {
	case s.killed > 0:
		return fmt.Sprintf("%d workers did not end in their time and were killed", s.killed)
	case s.cut > 0:
		return fmt.Sprintf("%d workers have ended requests or tunnels that took longer than they may", s.cut)
	}
	return "all workers have drained"
}

// StopOrphans drains the workers of an instance that has no supervisor, and ends what they share.
// ctx bounds how long that may take. It returns how many there were.
func StopOrphans(ctx context.Context, d instance.Dir) (int, error) {
	lock, err := d.Lock()
	if err != nil {
		return 0, err
	}
	defer func() { _ = lock.Unlock() }()
	found, err := Find(ctx, d)
	if err != nil {
		return 0, err
	}
	var st State
	if err := d.LoadState(&st); err == nil && st.Store != nil && st.Store.Alive() {
		defer func() { _ = end(context.WithoutCancel(ctx), *st.Store, false) }()
	}
	errs := make([]error, len(found))
	var all sync.WaitGroup
	for i, f := range found {
		all.Go(func() { errs[i] = end(ctx, f.Process, f.Status.State == control.Draining) })
	}
	all.Wait()
	return len(found), errors.Join(errs...)
}

// end has a process drain, unless it has been told to already, and waits for its end.
func end(ctx context.Context, p instance.Process, told bool) error {
	h, err := p.Open()
	if errors.Is(err, instance.ErrGone) {
		return nil
	}
	if err != nil {
		return err
	}
	defer h.Close()
	if !told { // a second time would cut off what it serves
		if err := h.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, instance.ErrGone) {
			return err
		}
	}
	if err := h.Wait(ctx); err != nil {
		return fmt.Errorf("process %d still drains: %w", p.PID, err)
	}
	return nil
}
