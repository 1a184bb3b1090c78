package shed

import (
	"fmt"
	"time"
)

// Settings is how requests to one service are bounded.
type Settings struct {
	// Max is how many may be in flight at once, 0 without a fixed bound.
	Max int
	// Queue is how many may wait for a place, 0 for nobody, and QueueTime how long.
	Queue     int
	QueueTime time.Duration
	// Adaptive finds the limit by measuring latency, between Least and Most; Max, where it is
	// set, is the highest limit too. 0 is DefaultLeast and DefaultMost.
	Adaptive    bool
	Least, Most int
	// Tolerance is how many times the latency without a queue answers may take before the
	// adaptive limit falls, from 1.1 to 4. 0 is DefaultTolerance.
	Tolerance float64
}

// What an adaptive limit uses for settings that are 0.
const (
	DefaultLeast     = 4
	DefaultMost      = 1000
	DefaultTolerance = 1.5
)

const leastTolerance, mostTolerance = 1.1, 4

// Check returns what is wrong with settings and what to do, or nil.
func (s Settings) Check() error {
	switch {
	case s.Max < 0 || s.Max >= unbounded:
		return fmt.Errorf("max is %d: say how many requests may be in flight at once, or 0 for no fixed bound", s.Max)
	case s.Queue < 0 || s.Queue >= unbounded:
		return fmt.Errorf("queue is %d: say how many requests may wait, or 0 for none", s.Queue)
	case s.QueueTime < 0 || s.Queue > 0 && s.QueueTime == 0:
		return fmt.Errorf("queue time is %v with a queue of %d: say how long a request may wait, for instance 1s", s.QueueTime, s.Queue)
	case !s.Adaptive:
		return nil
	case s.Least < 0 || s.Most < 0 || s.Most >= unbounded:
		return fmt.Errorf("an adaptive limit from %d to %d: let both be 1 or more, or 0 for what is usual", s.Least, s.Most)
	case s.Tolerance != 0 && !(s.Tolerance >= leastTolerance && s.Tolerance <= mostTolerance):
		return fmt.Errorf("tolerance is %v: say how many times its latency without a queue a service may take, from %v to %v", s.Tolerance, leastTolerance, mostTolerance)
	}
	if d := s.withDefaults(); d.Least > d.Most {
		return fmt.Errorf("an adaptive limit of at least %d and at most %d: raise most (and max), or lower least", d.Least, d.Most)
	}
	return nil
}

// withDefaults fills in what is 0.
func (s Settings) withDefaults() Settings {
	if s.Most == 0 {
		s.Most = max(DefaultMost, s.Max, s.Least)
	}
	if s.Max > 0 {
		s.Most = min(s.Most, s.Max)
	}
	if s.Least == 0 {
		s.Least = min(DefaultLeast, s.Most)
	}
	if s.Tolerance == 0 {
		s.Tolerance = DefaultTolerance
	}
	return s
}
