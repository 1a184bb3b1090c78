package main

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// place is where and how eagerly a process runs.
type place struct {
	core int
	nice int // 0 is the ordinary priority, negative is more
}

// enter puts the calling thread there. The caller has locked it.
func (p place) enter() (restore func() error, err error) {
	var before, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return nil, fmt.Errorf("read CPU affinity: %w", err)
	}
	one.Set(p.core)
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		return nil, fmt.Errorf("bind to core %d: %w", p.core, err)
	}
	if p.nice != 0 {
		if err := unix.Setpriority(unix.PRIO_PROCESS, 0, p.nice); err != nil {
			return nil, fmt.Errorf("set priority %d: %w", p.nice, err)
		}
	}
	return func() error { return p.leave(&before) }, nil
}

func (p place) leave(before *unix.CPUSet) error {
	if p.nice != 0 {
		if err := unix.Setpriority(unix.PRIO_PROCESS, 0, 0); err != nil {
			return fmt.Errorf("restore priority: %w", err)
		}
	}
	if err := unix.SchedSetaffinity(0, before); err != nil {
		return fmt.Errorf("restore CPU affinity: %w", err)
	}
	return nil
}

// places says where the processes run: the subject alone on one core, what
// drives it on another.
type places struct{ subject, load place }

// cores names each core once.
func (p places) cores() []int {
	if p.subject.core == p.load.core {
		return []int{p.subject.core}
	}
	return []int{p.subject.core, p.load.core}
}

// choosePlaces takes the last two cores that this process may use. With one
// core alone everything shares it.
func choosePlaces(nice int) (places, error) {
	var allowed unix.CPUSet
	if err := unix.SchedGetaffinity(0, &allowed); err != nil {
		return places{}, fmt.Errorf("read CPU affinity: %w", err)
	}
	var usable []int
	for core := range len(allowed) * 64 {
		if allowed.IsSet(core) {
			usable = append(usable, core)
		}
	}
	if len(usable) == 0 {
		return places{}, errors.New("read CPU affinity: no core allowed")
	}
	last := len(usable) - 1
	return places{
		subject: place{core: usable[last], nice: nice},
		load:    place{core: usable[max(0, last-1)], nice: nice},
	}, nil
}
