package retry

import (
	"math"
	"testing"
	"time"
)

func TestPauseBound(t *testing.T) {
	const ms = time.Millisecond
	for _, c := range []struct {
		base, most time.Duration
		n          int
		bound      time.Duration
	}{
		{25 * ms, 250 * ms, 0, 25 * ms},
		{25 * ms, 250 * ms, 1, 50 * ms},
		{25 * ms, 250 * ms, 3, 200 * ms},
		{25 * ms, 250 * ms, 4, 250 * ms},
		{25 * ms, 250 * ms, -3, 25 * ms},
		{300 * ms, 250 * ms, 0, 250 * ms},
		{25 * ms, 250 * ms, 62, 250 * ms},
		{25 * ms, 250 * ms, 63, 250 * ms},
		{25 * ms, 250 * ms, 64, 250 * ms},
		{25 * ms, 250 * ms, math.MaxInt, 250 * ms},
		{1, math.MaxInt64, 62, 1 << 62},
		{1, math.MaxInt64, 63, math.MaxInt64 - 1},
		{0, 250 * ms, 3, 0},
		{25 * ms, 0, 3, 0},
		{-1, -1, 3, 0},
	} {
		highest := Backoff{Base: c.base, Most: c.most, Random: func(n int64) int64 { return n - 1 }}
		if got := highest.Pause(c.n); got != c.bound {
			t.Errorf("base %v most %v retry %d: at most %v, want %v", c.base, c.most, c.n, got, c.bound)
		}
		lowest := Backoff{Base: c.base, Most: c.most, Random: func(int64) int64 { return 0 }}
		if got := lowest.Pause(c.n); got != 0 {
			t.Errorf("retry %d: at least %v", c.n, got)
		}
	}
}

func TestPauseIsSpread(t *testing.T) {
	b, below := Backoff{Base: time.Second, Most: time.Minute}, 0
	for range 1000 {
		switch p := b.Pause(2); {
		case p < 0 || p > 4*time.Second:
			t.Fatalf("a pause of %v", p)
		case p < 2*time.Second:
			below++
		}
	}
	if below < 400 || below > 600 {
		t.Errorf("%d of 1000 in the lower half", below)
	}
}

func TestAfter(t *testing.T) {
	now := time.Date(1994, time.November, 6, 8, 49, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"0":                               0,
		"120":                             2 * time.Minute,
		" 3\t":                            3 * time.Second,
		"0000000000000000000000000000007": 7 * time.Second,
		"86401":                           MostAfter,
		"99999999999999999999999999":      MostAfter,
		"Sun, 06 Nov 1994 08:49:37 GMT":   37 * time.Second,
		"Sunday, 06-Nov-94 08:49:37 GMT":  37 * time.Second,
		"Sun Nov  6 08:49:37 1994":        37 * time.Second,
		"Sun, 06 Nov 1994 08:48:37 GMT":   0,
		"Fri, 31 Dec 9999 23:59:59 GMT":   MostAfter,
		"Sunday, 06-Nov-95 08:49:37 GMT":  MostAfter,
		"Sunday, 06-Nov-45 08:49:37 GMT":  0, // 2045 would be more than 50 years ahead
	} {
		if got, ok := After(value, now); !ok || got != want {
			t.Errorf("%q: got %v %v, want %v", value, got, ok, want)
		}
	}
}

// A year of two digits is at most 50 years ahead.
func TestAfterYear(t *testing.T) {
	for _, c := range []struct {
		now   int
		value string
		want  time.Duration
	}{
		{2026, "Sunday, 06-Nov-70 08:49:37 GMT", MostAfter}, // what is 1970 to Go
		{2026, "Sunday, 06-Nov-77 08:49:37 GMT", 0},
		{2026, "Sunday, 06-Nov-25 08:49:37 GMT", 0},
		{1994, "Sunday, 06-Nov-10 08:49:37 GMT", MostAfter},
		{2099, "Sunday, 06-Nov-01 08:49:37 GMT", MostAfter},
	} {
		if got, ok := After(c.value, time.Date(c.now, 1, 1, 0, 0, 0, 0, time.UTC)); !ok || got != c.want {
			t.Errorf("%s in %d: got %v %v, want %v", c.value, c.now, got, ok, c.want)
		}
	}
}

func TestAfterMalformed(t *testing.T) {
	for _, value := range []string{
		"", " ", "-1", "+1", "1.5", "1s", "12 0", "0x10", "１", "soon", "1, 2",
		"Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 CET", "Sun, 36 Nov 1994 08:49:37 GMT",
		"Sun, 06 Nov 1994 08:49:37.5 GMT", "Sunday, 06-Nov-94 08:49:37.25 GMT", "Sunday, 06-Nov-94 08:49:37,25 GMT",
		"Sun Nov  6 08:49:37.0 1994", "1994-11-06T08:49:37Z", "Sun, 6 Nov 1994 08:49:37 GMT",
	} {
		if got, ok := After(value, time.Now()); ok || got != 0 {
			t.Errorf("%q: got %v", value, got)
		}
	}
}

func TestAfterAllocatesNothing(t *testing.T) {
	if raceDetector {
		t.Skip("not with the race detector")
	}
	now := time.Now()
	if n := testing.AllocsPerRun(100, func() { After("120", now) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestMethods(t *testing.T) {
	for method, want := range map[string][2]bool{
		"GET": {true, true}, "HEAD": {true, true}, "OPTIONS": {true, true}, "TRACE": {true, true},
		"PUT": {true, false}, "DELETE": {true, false},
		"POST": {}, "PATCH": {}, "CONNECT": {}, "get": {}, "": {}, "GETT": {},
	} {
		if got := [2]bool{Idempotent(method), Safe(method)}; got != want {
			t.Errorf("%q: idempotent and safe are %v, want %v", method, got, want)
		}
	}
}
