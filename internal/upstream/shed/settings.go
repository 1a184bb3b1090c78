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
	// Adaptive finds the limit by measuring latency, from Least, or 4 when that is 0, to
	// Max, or MostAdaptive.
	Adaptive bool
	Least    int
}

// MostAdaptive is the highest that an adaptive limit goes where no Max is set.
const MostAdaptive = 1000

const (
	usualLeast = 4
	// tolerance is how many times the latency without a queue answers may take before the
	// adaptive limit falls, leastTolerance what is no more than noise.
	tolerance, leastTolerance = 1.5, 1.1
)

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
	case s.Least < 0:
		return fmt.Errorf("an adaptive limit from %d: let it be 1 or more, or 0 for what is usual", s.Least)
	}
	if least, most := s.span(); least > most {
		return fmt.Errorf("an adaptive limit of at least %d and at most %d: raise max, or lower least", least, most)
	}
	return nil
}

// span is the lowest and the highest that an adaptive limit goes.
func (s Settings) span() (least, most int) {
	most = s.Max
	if most == 0 {
		most = max(MostAdaptive, s.Least)
	}
	least = s.Least
	if least == 0 {
		least = min(usualLeast, most)
	}
	return least, most
}
