package balance

import "time"

// Algorithm is how one of the usable targets is chosen.
type Algorithm uint8

const (
	// LeastRequests draws two targets by weight and takes the one with fewer
	// requests in flight for its weight.
	LeastRequests Algorithm = iota
	// RoundRobin takes one after the other, those of more weight more often, evenly
	// spread.
	RoundRobin
	// Hash gives the same key to the same target, as long as that one has not more
	// than its share. What has no key goes by LeastRequests.
	Hash
)

// Settings is how a Balancer chooses. The zero value is LeastRequests, and nobody is
// ejected. Values are taken as they are: 0 is never turned into a default.
type Settings struct {
	Algorithm Algorithm

	// LoadFactor is for Hash: with a key, a target gets at most this times its fair share of
	// the requests in flight on usable targets, rounded up; then it is the next one's
	// turn. 1.25 is usual, 0 is without such a bound, and anything else below 1 is as 1.
	LoadFactor float64

	// SlowStart is for how long the share of a target grows, from a tenth to all of
	// its weight, after it has come back or was added to others. 0: it has all at once.
	SlowStart time.Duration

	// MostOut is which part of the targets may be ejected at once, rounded down. The
	// only target is never ejected.
	MostOut float64

	// Panic: when a smaller part of the targets than this is well, all are used that
	// are not draining. When none is well they are used even with 0.
	Panic float64

	// EjectFailures is how many failures in a row eject a target, 0 for none.
	EjectFailures int

	// EjectSlow ejects a target whose typical latency is more than this times that of
	// the others, and at least EjectSlowLeast. Typical is the median of the last
	// second, or, with less than 20 answers in it, of as many seconds as those took,
	// up to ten. 0 ejects nobody.
	EjectSlow      float64
	EjectSlowLeast time.Duration

	// EjectFor is how long an ejection lasts, times how often it has happened in a row, up to
	// EjectMost. For each EjectFor that a target is back, one is forgotten. With an
	// EjectFor of 0 nobody is ejected. An EjectMost below EjectFor is as EjectFor.
	EjectFor, EjectMost time.Duration
}

// ejectsFailed tells whether failures in a row eject, ejectsSlow whether slowness does.
func (s *Settings) ejectsFailed() bool { return s.EjectFailures > 0 && s.EjectFor > 0 }
func (s *Settings) ejectsSlow() bool   { return s.EjectSlow > 0 && s.EjectFor > 0 }

// ejectedFor is how long the nth ejection in a row lasts.
func (s *Settings) ejectedFor(nth int) time.Duration {
	most := max(s.EjectMost, s.EjectFor)
	if time.Duration(nth) > most/s.EjectFor {
		return most
	}
	return s.EjectFor * time.Duration(nth)
}

// mayEject is how many of so many targets may be ejected at once.
func (s *Settings) mayEject(targets int) int {
	if targets < 2 {
		return 0
	}
	return min(targets, int(s.MostOut*float64(targets)+rounding))
}

// panics tells whether so few targets are well that all are to be used.
func (s *Settings) panics(well, targets int) bool {
	return well < targets && (well == 0 || float64(well) < s.Panic*float64(targets)-rounding)
}

// rounding is more than what is lost when a part like 0.6 is multiplied.
const rounding = 1e-9
