package upstream

import (
	"sync/atomic"
	"time"

	"yett/internal/exchange"
)

// stats counts what became of the requests to a service.
type stats struct {
	requests, failures       atomic.Int64
	lastSuccess, lastFailure atomic.Int64 // Unix nanoseconds
	lastReason               atomic.Pointer[exchange.Reason]
}

// record notes how a request ended. What the client did is no failure of the
// service.
func (s *stats) record(r *exchange.Reason, status int, now time.Time) {
	s.requests.Add(1)
	switch {
	case r == nil && status < 500:
		s.lastSuccess.Store(now.UnixNano())
	case r == nil || r.Status >= 500:
		s.failures.Add(1)
		s.lastFailure.Store(now.UnixNano())
		s.lastReason.Store(r)
	}
}

// Stats is what is known about a service at one moment.
type Stats struct {
	Targets                  []string
	Requests, Failures       int64
	Idle                     int // connections
	LastSuccess, LastFailure time.Time
	LastReason               string // of the last failure; "" for an answer of 500 and above
}

// Stats returns what is known about the service.
func (s *Service) Stats() Stats {
	out := Stats{
		Requests: s.stats.requests.Load(), Failures: s.stats.failures.Load(), Idle: s.Idle(),
		LastSuccess: moment(s.stats.lastSuccess.Load()), LastFailure: moment(s.stats.lastFailure.Load()),
	}
	if r := s.stats.lastReason.Load(); r != nil {
		out.LastReason = r.Name
	}
	for _, t := range s.targets {
		out.Targets = append(out.Targets, t.name)
	}
	return out
}

func moment(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns)
}
