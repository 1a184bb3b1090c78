package supervisor

import (
	"context"
	"fmt"
	"time"

	"yett/internal/control"
	"yett/internal/usage"
)

// usageOf is zero where it can't be told, such as of a process that has just ended.
func usageOf(pid int) control.Usage {
	u, err := usage.Of(pid)
	if err != nil {
		return control.Usage{}
	}
	return control.Usage{CPU: u.CPU, Memory: u.Memory}
}

// calm is how long a worker serves at least before it is replaced for its memory again.
const calm = 30 * time.Second

// watchMemory replaces the workers that have become too large, one at a time.
func (s *Supervisor) watchMemory() {
	if s.o.MaxMemory <= 0 {
		return
	}
	for _, sl := range s.places() {
		s.mu.Lock()
		w, recent := sl.worker, time.Since(sl.replaced) < calm
		s.mu.Unlock()
		if w == nil || recent {
			continue
		}
		if used := usageOf(w.pid()).Memory; used > s.o.MaxMemory {
			s.replaceLarge(sl, used)
		}
	}
}

func (s *Supervisor) replaceLarge(sl *slot, used int64) {
	done, err := s.take(context.Background())
	if err != nil {
		return
	}
	defer done()
	why := fmt.Sprintf("it had %d MB of memory, more than %d", used>>20, s.o.MaxMemory>>20)
	s.log.Warn("a worker is replaced", "worker", sl.id, "why", why)
	s.mu.Lock()
	sl.replaced = time.Now()
	revision := s.current
	s.mu.Unlock()
	var env []string
	if revision != "" {
		env = append(env, RevisionVariable+"="+revision)
	}
	err = s.occupy(context.Background(), sl, s.o.Running, env...)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		sl.why = why + ", and no other could be started: " + err.Error()
		s.log.Error("the worker could not be replaced and goes on", "worker", sl.id, "error", err)
		return
	}
	sl.restarts++
	sl.why = why
}
