package breaker

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// Change is a transition of a Breaker.
type Change struct {
	From, To State
	// Cause is for people, such as "5 failures in a row".
	Cause string
	At    time.Time
	// Until is when an open one lets a probe through, or when its hold ends. It is zero
	// for other states, and when the hold has no end.
	Until time.Time
	// Failures is how many there were in a row.
	Failures int
}

// unlock unlocks mu, and tells of the transitions that were made under it. One goroutine
// does that, for all others too, so that they are told in order.
func (b *Breaker) unlock() {
	tell := len(b.untold) > 0 && !b.telling
	if tell {
		b.telling = true
	}
	b.mu.Unlock()
	if tell {
		b.tell()
	}
}

func (b *Breaker) tell() {
	over := false
	defer func() {
		if !over { // changed has panicked; the next transition tells the rest
			b.mu.Lock()
			b.telling = false
			b.mu.Unlock()
		}
	}()
	for !over {
		b.mu.Lock()
		var c Change
		if over = len(b.untold) == 0; over {
			b.untold, b.telling = nil, false
		} else {
			c, b.untold = b.untold[0], b.untold[1:]
		}
		b.mu.Unlock()
		if !over {
			b.changed(c)
		}
	}
}

// plural is "1 probe", or "2 probes".
func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return strconv.Itoa(n) + " " + word + "s"
}

// percent is like "52 % of 40 requests".
func percent(part, all int, word string) string {
	return strconv.Itoa(int(math.Round(100*float64(part)/float64(all)))) + " % of " + plural(all, word)
}

// text is a duration without the units that are 0: 1m instead of 1m0s.
func text(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
