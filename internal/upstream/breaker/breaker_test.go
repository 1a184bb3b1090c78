package breaker

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// desk is a Breaker with a clock that stands still, and no chance in its pauses.
type desk struct {
	*Breaker
	t       *testing.T
	now     time.Time
	changes []string
}

func newDesk(t *testing.T, s Settings) *desk {
	d := &desk{t: t, now: time.Unix(1_700_000_000, 0)}
	d.Breaker = newAt(s, d.now, func() float64 { return 0 }, func(c Change) {
		d.changes = append(d.changes, fmt.Sprintf("%v %v %s", c.From, c.To, c.Cause))
	})
	return d
}

func (d *desk) sleep(pause time.Duration) { d.now = d.now.Add(pause) }

func (d *desk) state() State { return d.Status(d.now).State }

// admit wants a request to be let through.
func (d *desk) admit() Ticket {
	d.t.Helper()
	if !d.Ready(d.now) {
		d.t.Error("is not ready")
	}
	t, ok := d.Admit(d.now)
	if !ok {
		d.t.Fatalf("refused: %+v", d.Status(d.now))
	}
	return t
}

// refuses wants a request to be refused, and returns how long to wait.
func (d *desk) refuses() time.Duration {
	d.t.Helper()
	if d.Ready(d.now) {
		d.t.Error("is ready")
	}
	if _, ok := d.Admit(d.now); ok {
		d.t.Fatalf("let through: %+v", d.Status(d.now))
	}
	wait := d.Wait(d.now)
	if wait <= 0 {
		d.t.Errorf("refused, to wait for %v", wait)
	}
	return wait
}

func (d *desk) end(t Ticket, o Outcome, took time.Duration) { d.Record(t, o, took, d.now) }

// does lets requests through, one for each letter, which end as it says: s success, f
// failure, a alive, i ignored, l success after long, and L failure after long. Ones that
// are refused do not end.
func (d *desk) does(letters string) {
	for _, letter := range letters {
		t, ok := d.Admit(d.now)
		if !ok {
			continue
		}
		switch letter {
		case 's':
			d.end(t, Success, time.Millisecond)
		case 'f':
			d.end(t, Failure, time.Millisecond)
		case 'a':
			d.end(t, Alive, time.Hour)
		case 'i':
			d.end(t, Ignored, time.Hour)
		case 'l':
			d.end(t, Success, 2*time.Second+1)
		case 'L':
			d.end(t, Failure, 2*time.Second+1)
		}
	}
}

func (d *desk) want(state State, changes ...string) {
	d.t.Helper()
	if got := d.state(); got != state {
		d.t.Errorf("%v, want %v", got, state)
	}
	if got, want := strings.Join(d.changes, "\n"), strings.Join(changes, "\n"); got != want {
		d.t.Errorf("changes:\n%s\nwant:\n%s", got, want)
	}
	d.changes = nil
}

// What trips a closed Breaker, and what does not.
func TestTrips(t *testing.T) {
	row := Settings{ConsecutiveFailures: 3}
	ratio := Settings{FailureRatio: 0.5, Window: 10 * time.Second, MinRequests: 10}
	slow := Settings{SlowCall: 2 * time.Second, SlowRatio: 0.3, Window: time.Minute, MinRequests: 10}
	for _, test := range []struct {
		name     string
		settings Settings
		requests string // see does
		cause    string // "" when it stays closed
	}{
		{"three in a row", row, "sfff", "3 failures in a row"},
		{"one is enough", Settings{ConsecutiveFailures: 1}, "f", "1 failure in a row"},
		{"two in a row", row, "ffsffsff", ""},
		{"alive is no success", row, "fafaf", "3 failures in a row"},
		{"ignored is no success", row, "fifif", "3 failures in a row"},
		{"alive and ignored are no failures", row, strings.Repeat("ai", 100), ""},
		{"0 is never", Settings{FailureRatio: 1, MinRequests: 1000, Window: time.Second}, strings.Repeat("f", 999), ""},
		{"nothing trips it", Settings{}, strings.Repeat("fL", 1000), ""},
		{"half of ten", ratio, "sfsfsfsfsf", "50 % of 10 requests failed within 10s"},
		{"too few", ratio, "fffffffff", ""},
		{"a success makes them enough", ratio, "fffffffffs", "90 % of 10 requests failed within 10s"},
		{"less than half", ratio, strings.Repeat("sfsfs", 20), ""},
		{"alive and ignored do not dilute", ratio, strings.Repeat("a", 50) + strings.Repeat("i", 50) + "sfsfsfsfsf", "50 % of 10 requests failed within 10s"},
		{"just the share", Settings{FailureRatio: 0.07, MinRequests: 100, Window: time.Minute}, strings.Repeat("s", 93) + strings.Repeat("f", 7), "7 % of 100 requests failed within 1m"},
		{"all", Settings{FailureRatio: 1, MinRequests: 3, Window: time.Hour}, "fff", "100 % of 3 requests failed within 1h"},
		{"slow ones", slow, "sssssssll" + "l", "30 % of 10 calls took longer than 2s"},
		{"slow failures too", slow, "sssssssLLL", "30 % of 10 calls took longer than 2s"},
		{"few slow ones", slow, strings.Repeat("ssssssssll", 10), ""},
		{"no slow call is known", Settings{SlowRatio: 0.1, MinRequests: 1, Window: time.Minute}, "llll", ""},
		{"whichever comes first", Settings{ConsecutiveFailures: 9, FailureRatio: 0.5, Window: time.Minute, MinRequests: 4}, "ssff", "50 % of 4 requests failed within 1m"},
		{"a ratio that can't be", Settings{FailureRatio: 1.5, Window: time.Minute}, strings.Repeat("f", 99), ""},
		{"no window", Settings{FailureRatio: 0.5}, "f", "100 % of 1 request failed within 10ns"},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := newDesk(t, test.settings)
			d.does(test.requests)
			if test.cause == "" {
				d.want(Closed)
				return
			}
			d.want(Open, "CLOSED OPEN "+test.cause)
			if s := d.Status(d.now); s.Cause != test.cause || s.Trips != 1 || !s.Since.Equal(d.now) {
				t.Errorf("%+v", s)
			}
		})
	}
}

// What is older than the window does not count, neither failures nor successes.
func TestWindow(t *testing.T) {
	s := Settings{FailureRatio: 0.5, Window: 10 * time.Second, MinRequests: 4, OpenFor: time.Hour}
	d := newDesk(t, s)
	d.does("fff")
	d.sleep(10 * time.Second)
	d.does("s")
	d.want(Closed)
	d.does("sf")
	d.sleep(9 * time.Second) // all but the oldest tenth
	d.does("f")
	d.want(Open, "CLOSED OPEN 50 % of 4 requests failed within 10s")

	d = newDesk(t, s)
	d.does("ssssssss")
	for range 12 { // the successes leave one after the other
		d.sleep(time.Second)
		d.does("f")
	}
	d.want(Open, "CLOSED OPEN 50 % of 16 requests failed within 10s")

	d = newDesk(t, s)
	d.does("fff")
	d.sleep(1000 * time.Hour)
	d.does("sss")
	d.sleep(-1000*time.Hour - time.Minute) // clocks of callers need not agree
	d.does("ff")
	d.want(Closed)
}

// A trip's answers are counted anew after it has closed.
func TestCountsBeginAnew(t *testing.T) {
	d := newDesk(t, Settings{ConsecutiveFailures: 3, FailureRatio: 0.5, Window: time.Hour, MinRequests: 6, OpenFor: time.Second, Probes: 1, Successes: 1})
	d.does("fff")
	d.want(Open, "CLOSED OPEN 3 failures in a row")
	d.sleep(time.Second)
	d.does("s")
	d.want(Closed, "OPEN HALF_OPEN the pause is over", "HALF_OPEN CLOSED 1 probe succeeded")
	d.does("ff")
	d.want(Closed)
	d.does("s")
	d.does("ssf") // 3 of 6 since
	d.want(Open, "CLOSED OPEN 50 % of 6 requests failed within 1h")
}

// The pause, and how it grows.
func TestPause(t *testing.T) {
	d := newDesk(t, Settings{ConsecutiveFailures: 1, OpenFor: time.Second, OpenMost: 5 * time.Second, Probes: 1, Successes: 1})
	open := func(pause time.Duration) {
		t.Helper()
		d.does("f")
		if wait := d.refuses(); wait != pause {
			t.Errorf("wait %v, want %v", wait, pause)
		}
		if s := d.Status(d.now); s.State != Open || !s.NextAttempt.Equal(d.now.Add(pause)) {
			t.Errorf("%+v", s)
		}
		d.sleep(pause - 1)
		if wait := d.refuses(); wait != time.Millisecond {
			t.Errorf("at the end wait %v", wait)
		}
		d.sleep(1)
		if !d.Ready(d.now) || d.state() != Open {
			t.Error("after the pause")
		}
	}
	for _, pause := range []time.Duration{1, 2, 4, 5, 5} {
		open(pause * time.Second)
	}
	d.does("s")
	open(time.Second)
}

// Chance lengthens a pause by up to a fifth, and never shortens it.
func TestChance(t *testing.T) {
	least, most := time.Hour, time.Duration(0)
	for range 1000 {
		now := time.Now()
		b := New(Settings{ConsecutiveFailures: 1, OpenFor: 10 * time.Second}, nil)
		ticket, _ := b.Admit(now)
		b.Record(ticket, Failure, 0, now)
		wait := b.Wait(now)
		least, most = min(least, wait), max(most, wait)
	}
	if least < 10*time.Second || least > 10100*time.Millisecond || most > 12*time.Second || most < 11900*time.Millisecond {
		t.Errorf("from %v to %v", least, most)
	}
}

// The longest of all pauses stays a pause.
func TestHugePauses(t *testing.T) {
	d := newDesk(t, Settings{ConsecutiveFailures: 1, OpenFor: 1<<63 - 1, OpenMost: 1<<63 - 1})
	d.random = func() float64 { return 1 }
	d.does("f")
	for range 3 {
		if wait := d.refuses(); wait < longest {
			t.Fatal(wait)
		}
		d.sleep(d.Wait(d.now))
		d.does("f")
	}
}

// half returns a Breaker of which a probe is let through.
func half(t *testing.T, probes, successes int) *desk {
	d := newDesk(t, Settings{ConsecutiveFailures: 1, OpenFor: time.Second, Probes: probes, Successes: successes, ProbeTime: time.Minute})
	d.does("f")
	d.sleep(time.Second)
	d.changes = nil
	return d
}

// All probes out, and what each outcome does.
func TestProbes(t *testing.T) {
	const halfOpen, again = "OPEN HALF_OPEN the pause is over", "HALF_OPEN OPEN a probe failed"
	t.Run("as many as there are places", func(t *testing.T) {
		d := half(t, 3, 2)
		out := []Ticket{d.admit(), d.admit(), d.admit()}
		if wait := d.refuses(); wait != time.Second {
			t.Errorf("wait %v", wait)
		}
		d.end(out[0], Success, 0)
		d.refuses() // what is still needed is under way
		d.end(out[1], Success, 0)
		d.want(Closed, halfOpen, "HALF_OPEN CLOSED 2 probes succeeded")
		d.end(out[2], Failure, 0)
		d.want(Closed)
	})
	t.Run("more as earlier ones succeed", func(t *testing.T) {
		d := half(t, 1, 3)
		for i := range 3 {
			if got := d.Status(d.now).Successes; got != i {
				t.Errorf("%d successes, want %d", got, i)
			}
			ticket := d.admit()
			d.refuses()
			d.end(ticket, Success, 0)
		}
		d.want(Closed, halfOpen, "HALF_OPEN CLOSED 3 probes succeeded")
	})
	t.Run("not more than are needed", func(t *testing.T) {
		d := half(t, 2, 3)
		one, two := d.admit(), d.admit()
		d.end(one, Success, 0)
		three := d.admit()
		d.end(two, Success, 0)
		d.refuses()
		d.end(three, Success, 0)
		d.want(Closed, halfOpen, "HALF_OPEN CLOSED 3 probes succeeded")
	})
	t.Run("the first failure opens", func(t *testing.T) {
		d := half(t, 3, 2)
		out := []Ticket{d.admit(), d.admit(), d.admit()}
		d.end(out[0], Success, 0)
		d.end(out[1], Failure, 0)
		d.want(Open, halfOpen, again)
		d.end(out[2], Success, 0)
		if s := d.Status(d.now); s.Successes != 0 || s.State != Open {
			t.Errorf("%+v", s)
		}
	})
	t.Run("alive is a success", func(t *testing.T) {
		d := half(t, 1, 2)
		d.does("aa")
		d.want(Closed, halfOpen, "HALF_OPEN CLOSED 2 probes succeeded")
	})
	t.Run("ignored gives its place back", func(t *testing.T) {
		d := half(t, 1, 1)
		d.does("iiiiii")
		d.want(HalfOpen, halfOpen)
		d.admit()
		d.refuses()
	})
	t.Run("a slow one", func(t *testing.T) {
		s := Settings{ConsecutiveFailures: 1, SlowCall: 2 * time.Second, SlowRatio: 0.5, Window: time.Minute, MinRequests: 10}
		d := newDesk(t, s)
		d.does("f")
		d.sleep(time.Second)
		d.does("l")
		d.want(Open, "CLOSED OPEN 1 failure in a row", halfOpen, "HALF_OPEN OPEN a probe took longer than 2s")
		d.sleep(time.Second)
		d.does("a")
		d.want(Closed, halfOpen, "HALF_OPEN CLOSED 1 probe succeeded")
	})
}

// A probe that tells nothing does not block the Breaker, and still counts when it does.
func TestProbeTime(t *testing.T) {
	d := half(t, 1, 2)
	slow := d.admit()
	d.sleep(time.Minute - 1)
	d.refuses()
	d.sleep(1)
	quick := d.admit()
	d.end(slow, Success, 0)
	if s := d.Status(d.now); s.Successes != 1 {
		t.Errorf("%+v", s)
	}
	d.refuses() // the place that it had lost is not free by that
	d.end(quick, Success, 0)
	if d.state() != Closed {
		t.Error(d.state())
	}

	d = half(t, 1, 2)
	slow = d.admit()
	d.sleep(time.Minute)
	d.admit()
	d.end(slow, Ignored, 0)
	d.refuses()
	d = half(t, 1, 2)
	slow = d.admit()
	d.sleep(time.Minute)
	d.admit()
	d.end(slow, Failure, 0)
	if d.state() != Open {
		t.Error(d.state())
	}
}

// Half of all requests fail, in turn: the successes in between must not hide that. Nor
// may answers that the service gives to bad requests.
func TestD20SuccessesHideNothing(t *testing.T) {
	d := newDesk(t, Settings{ConsecutiveFailures: 2, FailureRatio: 0.5, Window: 10 * time.Second, MinRequests: 20, OpenFor: time.Minute})
	for range 40 {
		d.does("sf")
		d.sleep(100 * time.Millisecond)
	}
	d.want(Open, "CLOSED OPEN 50 % of 20 requests failed within 10s")
	d = newDesk(t, Settings{ConsecutiveFailures: 2, FailureRatio: 0.5, Window: 10 * time.Second, MinRequests: 20, OpenFor: time.Minute})
	d.does("faaaf")
	d.want(Open, "CLOSED OPEN 2 failures in a row")
}

// Answers to requests from before the trip are no probes, close nothing, and count
// nothing, whether it is open, half-open or closed again.
func TestD21LateAnswers(t *testing.T) {
	d := newDesk(t, Settings{ConsecutiveFailures: 2, FailureRatio: 0.5, Window: time.Hour, MinRequests: 4, OpenFor: time.Second, Probes: 2, Successes: 2})
	var old []Ticket
	for range 40 {
		old = append(old, d.admit())
	}
	late := func(o Outcome) {
		for range 5 {
			d.end(old[0], o, time.Hour)
			old = old[1:]
		}
	}
	d.does("ff")
	before := d.Status(d.now)
	late(Failure)
	late(Success)
	if got := d.Status(d.now); got != before || got.Failures != 2 {
		t.Errorf("while open:\n got %+v\nwant %+v", got, before)
	}
	d.sleep(time.Second)
	probe := d.admit()
	before = d.Status(d.now)
	late(Success)
	late(Failure)
	if got := d.Status(d.now); got != before || got.State != HalfOpen {
		t.Errorf("while half-open:\n got %+v\nwant %+v", got, before)
	}
	d.end(probe, Success, 0)
	d.does("s")
	before = d.Status(d.now)
	late(Failure)
	late(Success)
	if got := d.Status(d.now); got != before || got.State != Closed {
		t.Errorf("closed again:\n got %+v\nwant %+v", got, before)
	}
	d.end(Ticket{}, Failure, 0)
	d.end(Ticket{}, Failure, 0)
	if d.state() != Closed {
		t.Error("the zero Ticket counts")
	}
}

// Late probes of an earlier half-open period are no probes of this one.
func TestD21LateProbes(t *testing.T) {
	d := half(t, 2, 1)
	slow, quick := d.admit(), d.admit()
	d.end(quick, Failure, 0)
	d.sleep(time.Minute)
	d.admit()
	d.end(slow, Success, 0)
	if s := d.Status(d.now); s.State != HalfOpen || s.Successes != 0 {
		t.Errorf("%+v", s)
	}
	d.admit()
	d.refuses()
}

// Holds and resets.
func TestByHand(t *testing.T) {
	s := Settings{ConsecutiveFailures: 2, OpenFor: 2 * time.Second}
	t.Run("open until reset", func(t *testing.T) {
		d := newDesk(t, s)
		old := d.admit()
		d.does("f")
		d.Hold(Open, time.Time{}, "", d.now)
		d.sleep(1000 * time.Hour)
		if wait := d.refuses(); wait != 2*time.Second {
			t.Errorf("wait %v", wait)
		}
		d.end(old, Failure, 0)
		if got := d.Status(d.now); got.Held != "open" || !got.HeldUntil.IsZero() || !got.NextAttempt.IsZero() || got.Failures != 0 || got.Trips != 0 {
			t.Errorf("%+v", got)
		}
		d.Reset("ann", d.now)
		d.want(Closed, "CLOSED OPEN opened by hand", "OPEN CLOSED reset by hand (ann)")
		d.end(old, Failure, 0)
		d.does("f")
		d.want(Closed)
	})
	t.Run("open for a while", func(t *testing.T) {
		d := newDesk(t, s)
		until := d.now.Add(time.Minute)
		d.Hold(Open, until, "ann", d.now)
		if got := d.Status(d.now); got.Held != "open" || !got.HeldUntil.Equal(until) || !got.NextAttempt.Equal(until) {
			t.Errorf("%+v", got)
		}
		d.sleep(time.Minute - 1)
		if wait := d.refuses(); wait != time.Millisecond {
			t.Errorf("wait %v", wait)
		}
		d.sleep(1)
		if ticket := d.admit(); ticket.probe != 0 {
			t.Error("after a hold there are no probes")
		}
		d.want(Closed, "CLOSED OPEN opened by hand (ann)", "OPEN CLOSED the hold is over")
		if got := d.Status(d.now); got.Held != "" || !got.HeldUntil.IsZero() {
			t.Errorf("%+v", got)
		}
	})
	t.Run("closed for a while", func(t *testing.T) {
		d := newDesk(t, s)
		d.does("ff")
		d.Hold(Closed, d.now.Add(time.Minute), "", d.now)
		d.does("fffff")
		late := d.admit()
		d.want(Closed, "CLOSED OPEN 2 failures in a row", "OPEN CLOSED closed by hand")
		if got := d.Status(d.now); got.Held != "closed" || got.Failures != 0 {
			t.Errorf("%+v", got)
		}
		d.sleep(time.Minute)
		d.end(late, Failure, 0)
		d.does("f")
		d.end(late, Failure, 0)
		d.want(Closed, "CLOSED CLOSED the hold is over")
		d.does("f")
		d.want(Open, "CLOSED OPEN 2 failures in a row")
	})
	t.Run("closed until reset", func(t *testing.T) {
		d := newDesk(t, s)
		d.Hold(Closed, time.Time{}, "", d.now)
		d.does("fffff")
		d.sleep(1000 * time.Hour)
		d.does("fffff")
		d.want(Closed, "CLOSED CLOSED closed by hand")
		d.Reset("", d.now)
		d.does("ff")
		d.want(Open, "CLOSED CLOSED reset by hand", "CLOSED OPEN 2 failures in a row")
	})
	t.Run("half-open or over", func(t *testing.T) {
		d := newDesk(t, s)
		d.Hold(HalfOpen, time.Time{}, "", d.now)
		d.want(Closed)
		d.does("ff")
		d.Hold(Open, d.now, "", d.now)
		d.want(Closed, "CLOSED OPEN 2 failures in a row", "OPEN CLOSED reset by hand")
	})
	t.Run("whoever looks first ends it", func(t *testing.T) {
		for name, look := range map[string]func(*desk){
			"Admit":  func(d *desk) { d.Admit(d.now) },
			"Ready":  func(d *desk) { d.Ready(d.now) },
			"Wait":   func(d *desk) { d.Wait(d.now) },
			"Status": func(d *desk) { d.Status(d.now) },
		} {
			for _, to := range []State{Open, Closed} {
				d := newDesk(t, s)
				d.Hold(to, d.now.Add(time.Second), "", d.now)
				d.sleep(time.Second)
				look(d)
				if len(d.changes) != 2 {
					t.Errorf("%s of one held %v: %q", name, to, d.changes)
				}
			}
		}
	})
}

// Changes are told in order and with what belongs to them, and who is told may do all
// there is to do.
func TestChanges(t *testing.T) {
	now := time.Now()
	var got []Change
	var b *Breaker
	b = newAt(Settings{ConsecutiveFailures: 2, OpenFor: time.Second}, now, func() float64 { return 0.5 }, func(c Change) {
		got = append(got, c)
		b.Status(now)
		if c.To == Open && len(got) == 1 {
			b.Hold(Closed, time.Time{}, "", now)
			b.Reset("", now)
			if len(got) != 1 {
				t.Error("told of a change in the middle of another")
			}
		}
	})
	for range 2 {
		ticket, _ := b.Admit(now)
		b.Record(ticket, Failure, 0, now)
	}
	want := []Change{
		{Closed, Open, "2 failures in a row", now, now.Add(1100 * time.Millisecond), 2},
		{Open, Closed, "closed by hand", now, time.Time{}, 2},
		{Closed, Closed, "reset by hand", now, time.Time{}, 0},
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

// One who is told and panics keeps nobody from being told later.
func TestChangedPanics(t *testing.T) {
	told := 0
	b := New(Settings{}, func(Change) {
		if told++; told == 1 {
			panic("oh")
		}
	})
	func() {
		defer func() { _ = recover() }()
		b.Reset("", time.Now())
	}()
	b.Reset("", time.Now())
	if told != 2 {
		t.Errorf("told %d times", told)
	}
}

func TestTexts(t *testing.T) {
	for d, want := range map[time.Duration]string{
		10 * time.Second: "10s", time.Minute: "1m", 90 * time.Second: "1m30s", time.Hour: "1h", 90 * time.Minute: "1h30m",
		time.Hour + time.Second: "1h0m1s", 1500 * time.Millisecond: "1.5s", 0: "0s",
	} {
		if got := text(d); got != want {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
	}
	if got := fmt.Sprint(Closed, Open, HalfOpen, State(9)); got != "CLOSED OPEN HALF_OPEN State(9)" {
		t.Error(got)
	}
}

// Probes whose clients say how long they are under way have places of their own, for a
// second: they keep nobody from finding out how the service is.
func TestLooseProbes(t *testing.T) {
	d := newDesk(t, Settings{ConsecutiveFailures: 1, OpenFor: 30 * time.Second, OpenMost: 30 * time.Second, Probes: 2, Successes: 2})
	loose := func(want bool) Ticket {
		t.Helper()
		got, ok := d.AdmitLoose(d.now)
		if ok != want {
			t.Fatalf("a loose probe: %v, want %v", ok, want)
		}
		return got
	}
	d.does("f")
	loose(false)
	d.sleep(30 * time.Second)
	first := loose(true)
	loose(true)
	loose(false)
	one, two := d.admit(), d.admit()
	d.refuses()
	d.Loosen(one, d.now) // its answer is there: another second, and its place is free
	d.refuses()
	d.sleep(time.Second - 1)
	d.refuses()
	d.sleep(1)
	d.admit()
	d.refuses()
	for range 3 { // those before have had their second, and there may be eight in all
		loose(true)
		loose(true)
		loose(false)
		d.sleep(time.Second)
	}
	loose(false)
	d.end(first, Success, 0) // late, and still counted
	loose(true)
	d.end(two, Success, 0)
	if d.state() != Closed {
		t.Errorf("%+v", d.Status(d.now))
	}
	d.Loosen(two, d.now)
	d.Loosen(Ticket{}, d.now)
	if _, ok := d.AdmitLoose(d.now); !ok {
		t.Error("refused while closed")
	}
}

// A loose probe that fails opens it, as any other.
func TestLooseProbeFails(t *testing.T) {
	d := newDesk(t, Settings{ConsecutiveFailures: 1, OpenFor: time.Second, OpenMost: time.Second, Probes: 1, Successes: 1})
	d.does("f")
	d.sleep(time.Second)
	probe, ok := d.AdmitLoose(d.now)
	if !ok || d.state() != HalfOpen {
		t.Fatalf("%v, %+v", ok, d.Status(d.now))
	}
	d.end(probe, Failure, 0)
	if d.state() != Open {
		t.Errorf("%+v", d.Status(d.now))
	}
}
