package supervisor

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strconv"
	"time"

	"yett/internal/control"
)

// memoryOf returns what a process has resident, in bytes, or 0 where that can't be told.
func memoryOf(pid int) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0
	}
	fields := bytes.Fields(text)
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseInt(string(fields[1]), 10, 64)
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}

// ticks is how many of the kernel's ticks a second has in /proc, on every Linux that Go knows.
const ticks = 100

// cpuOf returns the processor time that a process has used, or 0 where that can't be told.
func cpuOf(pid int) time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	const user, system = 11, 12 // behind the name
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	if len(fields) <= system {
		return 0
	}
	u, _ := strconv.ParseInt(string(fields[user]), 10, 64)
	k, _ := strconv.ParseInt(string(fields[system]), 10, 64)
	return time.Duration(u+k) * (time.Second / ticks)
}

func usageOf(pid int) control.Usage {
	return control.Usage{CPU: cpuOf(pid), Memory: memoryOf(pid)}
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
		if used := memoryOf(w.pid()); used > s.o.MaxMemory {
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
