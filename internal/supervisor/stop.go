package supervisor

import (
	"context"
	"fmt"
	"sync"
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
	s.mu.Lock()
	outcome := s.outcome()
	s.mu.Unlock()
	s.save(outcome)
	_ = s.control.Close()
	s.closeSockets()
	s.log.Info("stopped", "killed", s.killed)
	_ = s.lock.Unlock()
}

// Result is nil when everything was drained. It is valid after Done.
func (s *Supervisor) Result() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.killed == 0 {
		return nil
	}
	return fmt.Errorf("%s: what ran on them has been cut off", s.outcome())
}

// outcome is called with the lock held.
func (s *Supervisor) outcome() string {
	if s.killed == 0 {
		return "all workers have drained"
	}
	return fmt.Sprintf("%d workers had not drained in time and were killed", s.killed)
}
