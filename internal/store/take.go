package store

import "time"

// Algorithm is how a Rule counts.
type Algorithm uint8

const (
	// SlidingWindow counts what was spent within the last Window. In no Window,
	// wherever it begins, more than Limit is spent. Up to Steps spendings are
	// remembered each by itself; where a Limit is higher, those within a Steps-th
	// part of the Window are remembered together, as if all had come with the last,
	// so that a caller may wait that much longer, and never gets more.
	SlidingWindow Algorithm = iota
	// FixedWindow begins a Window with the first spending after the last one has
	// ended, and holds Limit in each. Over the border of two up to twice of it
	// may be spent within a Window.
	FixedWindow
	// TokenBucket holds Burst, and fills at an even pace of Limit for each Window.
	TokenBucket
)

// Steps is how finely a SlidingWindow remembers.
const Steps = 60

// Rule is the arithmetic of a limit. Times count in whole microseconds.
type Rule struct {
	Algorithm Algorithm
	// Limit is from 1 on, up to 1e9.
	Limit  int64
	Window time.Duration
	// Burst is the size of a TokenBucket, from 1 on; other algorithms have none.
	Burst int64
}

// Size is the most that can be spent at once.
func (r Rule) Size() int64 {
	if r.Algorithm == TokenBucket {
		return r.Burst
	}
	return r.Limit
}

// Action is what a Take does with what is counted under its key.
type Action uint8

const (
	// Spend counts Cost, when it fits and so does everything else in the call.
	Spend Action = iota
	// Look counts nothing, and tells whether Cost would fit.
	Look
	// Charge counts Cost in any case, beyond the limit too.
	Charge
	// Return gives Cost back, of what was spent last: never more than is counted,
	// and a key of which nothing is counted stays away.
	Return
)

// Take asks one limit about one caller. A slice of them is answered at once: when
// a Spend or Look does not fit, and is not Soft, nothing is spent by any of the
// slice. What is refused changes and prolongs nothing.
type Take struct {
	// Name is the limit's, Key is who is counted. They are views: the store keeps
	// neither.
	Name, Key string
	Rule      Rule
	Action    Action
	// Cost is from 1 on, and not above the rule's Size.
	Cost int64
	// Least, unless 0, is with how little a Spend is content: it then gets what is
	// left, up to Cost.
	Least int64
	// Ahead counts a Spend as if it came that much later, for who spends now what
	// is used until then.
	Ahead time.Duration
	// Soft tells that others may be counted even if this one does not fit.
	Soft bool

	// What came of it. Fits tells whether Cost, or Least, fits or would fit; it is
	// true for Charge and Return. Granted is what was counted.
	Fits    bool
	Granted int64
	// Left is what may still be spent, after all of the call.
	Left int64
	// More is how long it takes until Left grows, 0 when nothing is counted. Wait is
	// how long until what did not fit would, if nobody else spends; 0 when it fits.
	More, Wait time.Duration
}

// Refuser returns the first of the takes that keeps the others from being
// counted, or nil.
func Refuser(takes []Take) *Take {
	for i := range takes {
		if t := &takes[i]; !t.Fits && !t.Soft {
			return t
		}
	}
	return nil
}
