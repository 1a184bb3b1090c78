package engine

import (
	"errors"
	"testing"
	"time"

	"yett/internal/exchange"
)

func TestWriteTime(t *testing.T) {
	for size, want := range map[int]time.Duration{0: 30 * time.Second, 4095: 30 * time.Second, 64 << 10: 46 * time.Second} {
		if got := WriteTime(30*time.Second, size); got != want {
			t.Errorf("%d bytes: %v, want %v", size, got, want)
		}
	}
}

func TestPace(t *testing.T) {
	for _, tc := range []struct {
		name    string
		pace    Pace
		wait    time.Duration
		n       int
		tooSlow bool
	}{
		{"no least rate", Pace{Grace: time.Second}, time.Hour, 0, false},
		{"within the grace", Pace{Rate: 100, Grace: 10 * time.Second}, 10 * time.Second, 0, false},
		{"after the grace", Pace{Rate: 100, Grace: 10 * time.Second}, 11 * time.Second, 1099, true},
		{"fast enough", Pace{Rate: 100, Grace: 10 * time.Second}, 11 * time.Second, 1100, false},
	} {
		if got := tc.pace.Note(tc.wait, tc.n); got != tc.tooSlow {
			t.Errorf("%s: too slow is %v", tc.name, got)
		}
	}
	p := Pace{Rate: 100, Grace: 10 * time.Second}
	for range 11 { // waits and bytes add up
		p.Note(time.Second, 99)
	}
	if !p.Note(0, 0) {
		t.Error("99 bytes a second are fast enough for 100")
	}
}

func TestCut(t *testing.T) {
	var x exchange.Exchange
	Cut(&x, errors.New("broke off"))
	if x.Reason != exchange.UpstreamCut || x.Detail != "broke off" {
		t.Errorf("%v %q", x.Reason, x.Detail)
	}
	x.Abort(exchange.ClientGone)
	Cut(&x, errors.New("broke off"))
	if x.Reason != exchange.ClientGone || x.Detail != "" {
		t.Errorf("%v %q", x.Reason, x.Detail)
	}
}
