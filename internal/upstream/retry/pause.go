package retry

import (
	"math"
	"math/rand/v2"
	"strings"
	"time"
)

// Backoff makes pauses between attempts: random ones, so that those who failed together don't
// come back together, within a bound that doubles.
type Backoff struct {
	// Base is the bound of the first pause, Most that of all. Without one of them there
	// are no pauses.
	Base, Most time.Duration
	// Random returns a number in [0, n). nil is math/rand/v2.
	Random func(n int64) int64
}

// Pause returns how long to wait before retry n, which counts from 0: a random time in
// [0, min(Most, Base·2ⁿ)].
func (b Backoff) Pause(n int) time.Duration {
	bound := b.bound(n)
	if bound <= 0 {
		return 0
	}
	random := b.Random
	if random == nil {
		random = rand.Int64N
	}
	return time.Duration(random(min(int64(bound), math.MaxInt64-1) + 1))
}

func (b Backoff) bound(n int) time.Duration {
	if b.Base <= 0 || b.Most <= 0 {
		return 0
	}
	n = max(n, 0)
	if b.Base > b.Most>>n { // doubled so often it would be above, or overflow
		return b.Most
	}
	return b.Base << n
}

// MostAfter is the longest time that After returns.
const MostAfter = 24 * time.Hour

// After reads the value of a Retry-After field (RFC 9110 section 10.2.3): seconds, or a date. It
// returns how long to wait from now on, up to MostAfter, and 0 for a date that is over. ok is
// false for anything else.
func After(value string, now time.Time) (wait time.Duration, ok bool) {
	value = strings.Trim(value, " \t")
	if value == "" {
		return 0, false
	}
	if value[0] >= '0' && value[0] <= '9' {
		return seconds(value)
	}
	t, ok := date(value, now)
	if !ok {
		return 0, false
	}
	return min(max(t.Sub(now), 0), MostAfter), true
}

func seconds(digits string) (time.Duration, bool) {
	n := time.Duration(0)
	for i := range len(digits) {
		c := digits[i]
		if c < '0' || c > '9' {
			return 0, false
		}
		n = min(n*10+time.Duration(c-'0'), MostAfter/time.Second)
	}
	return n * time.Second, true
}

const (
	imfFixdate = "Mon, 02 Jan 2006 15:04:05 GMT"
	rfc850     = "Monday, 02-Jan-06 15:04:05 GMT"
	asctime    = "Mon Jan _2 15:04:05 2006"
)

// date reads the three forms of RFC 9110 section 5.6.7. time.Parse takes fractions of seconds,
// which those have not. The three have different lengths.
func date(value string, now time.Time) (time.Time, bool) {
	fraction := strings.ContainsAny(value[strings.LastIndexByte(value, ':')+1:], ".,")
	layout := rfc850
	switch len(value) {
	case len(imfFixdate):
		layout = imfFixdate
	case len(asctime):
		layout = asctime
	}
	t, err := time.Parse(layout, value)
	if err != nil || fraction {
		return time.Time{}, false
	}
	if layout == rfc850 {
		t = century(t, now)
	}
	return t, true
}

// century puts a year of two digits where RFC 9110 wants it: no more than 50 years ahead.
func century(t, now time.Time) time.Time {
	year := now.UTC().Year()
	t = t.AddDate(year-year%100-t.Year()+t.Year()%100, 0, 0)
	switch {
	case t.After(now.AddDate(50, 0, 0)):
		return t.AddDate(-100, 0, 0)
	case t.Before(now.AddDate(-50, 0, 0)):
		return t.AddDate(100, 0, 0)
	}
	return t
}
