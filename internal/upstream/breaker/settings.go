package breaker

import (
	"strconv"
	"time"
)

// Settings say when a Breaker opens, and how it closes again. They can be compared.
type Settings struct {
	// ConsecutiveFailures is how many failures in a row trip it; 0 is never.
	ConsecutiveFailures int
	// FailureRatio, from 0 to 1, trips it when that share of the requests counted in
	// Window has failed, once there are MinRequests of them; 0 is never.
	FailureRatio float64
	// SlowCall and SlowRatio do the same for calls that took longer than SlowCall,
	// whether they failed or not; either of them 0 is never. Where they can trip it, a
	// probe that takes longer is a failed one.
	SlowCall  time.Duration
	SlowRatio float64
	// Window is how far back the ratios look. It moves by a tenth of itself, so that
	// between nine tenths and all of it is counted.
	Window      time.Duration
	MinRequests int
	// OpenFor is the pause before half-open, a millisecond at least. It doubles with
	// each half-open period that failed, up to OpenMost, and is OpenFor again once the
	// breaker has closed. Each pause is lengthened by up to a fifth, at random, so that
	// not all breakers probe at the same time.
	OpenFor, OpenMost time.Duration
	// Probes is how many requests at most are under way while half-open, Successes how
	// many of them have to succeed until it closes. Both are at least 1.
	Probes, Successes int
	// ProbeTime is after how long a probe that has told nothing gives its place to
	// another one; its outcome still counts when it comes. 0 stands for OpenFor: a
	// breaker must not wait for a probe that never tells.
	ProbeTime time.Duration
}

// longest is what a pause is at most, so that sums of times stay in range.
const longest = 100 * 365 * 24 * time.Hour

// raised returns the settings with what is too low to work raised to the least that
// does.
func (s Settings) raised() Settings {
	s.OpenFor = min(max(s.OpenFor, time.Millisecond), longest)
	s.OpenMost = min(max(s.OpenMost, s.OpenFor), longest)
	s.Window = max(s.Window, buckets)
	s.MinRequests = max(s.MinRequests, 1)
	s.Probes, s.Successes = max(s.Probes, 1), max(s.Successes, 1)
	if s.ProbeTime <= 0 {
		s.ProbeTime = s.OpenFor
	}
	return s
}

// countsRatios tells whether a ratio can trip it.
func (s *Settings) countsRatios() bool { return s.FailureRatio > 0 || s.countsSlow() }

func (s *Settings) countsSlow() bool { return s.SlowCall > 0 && s.SlowRatio > 0 }

// slow tells whether a call that took that long is a slow one.
func (s *Settings) slow(took time.Duration) bool { return s.countsSlow() && took > s.SlowCall }

// State is what a Breaker does with requests.
type State uint8

// The states of a Breaker.
const (
	Closed   State = iota // all pass
	Open                  // none passes
	HalfOpen              // probes pass
)

// String returns "CLOSED", "OPEN" or "HALF_OPEN".
func (s State) String() string {
	switch s {
	case Closed:
		return "CLOSED"
	case Open:
		return "OPEN"
	case HalfOpen:
		return "HALF_OPEN"
	}
	return "State(" + strconv.Itoa(int(s)) + ")"
}

// Outcome is how a request ended, as far as it concerns the service's health.
type Outcome uint8

// The outcomes of a request.
const (
	// Success tells that the service did what it should.
	Success Outcome = iota
	// Failure tells that it did not.
	Failure
	// Alive tells that the service answered, and that the answer says nothing about its
	// health, such as 404. While closed it is not counted at all, and while half-open it
	// is a success.
	Alive
	// Ignored tells nothing: the client has left, or the request was refused before it
	// was sent. Where it was a probe, its place is free again.
	Ignored
)
