package breaker

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// model is a Breaker written to be read: it keeps all that has happened since the last
// transition as a list, and reckons everything from that, each time.
type model struct {
	s          Settings // with nothing too low
	random     func() float64
	epoch      time.Time
	generation int
	state      State
	held       bool
	heldUntil  time.Time
	until      time.Time // pause or hold; zero for none
	since      time.Time
	cause      string
	trips      int64
	frozen     int             // failures when it opened
	periods    []time.Duration // pauses since it was closed
	events     []event         // of this generation
	changes    []Change
}

// event is an outcome while closed, or a probe while half-open.
type event struct {
	at      time.Time // of the outcome, or when the probe was let through
	outcome Outcome
	slow    bool
	ended   bool // of a probe
	lost    bool // its place
}

// modelTicket is a Ticket; probe is an index, -1 for none.
type modelTicket struct{ generation, probe int }

func (m *model) become(to State, cause string, now time.Time, failures int) {
	c := Change{From: m.state, To: to, Cause: cause, At: now, Failures: failures}
	if to == Open {
		c.Until = m.until
	}
	m.changes = append(m.changes, c)
	m.generation++
	m.state, m.cause, m.since, m.events = to, cause, now, nil
}

func (m *model) failures() (n int) {
	if m.state != Closed {
		return m.frozen
	}
	for _, e := range slices.Backward(m.events) {
		if e.outcome != Failure {
			break
		}
		n++
	}
	return n
}

func (m *model) successes() (n int) {
	if m.state != HalfOpen {
		return 0
	}
	for _, e := range m.events {
		if e.ended && (e.outcome == Success || e.outcome == Alive) {
			n++
		}
	}
	return n
}

func (m *model) settle(now time.Time) {
	if m.held && !m.heldUntil.IsZero() && !now.Before(m.until) {
		m.closeNow("the hold is over", now)
	}
}

func (m *model) closeNow(cause string, now time.Time) {
	failures := m.failures()
	m.held, m.heldUntil, m.until, m.periods, m.frozen = false, time.Time{}, time.Time{}, nil, 0
	m.become(Closed, cause, now, failures)
}

func (m *model) trip(cause string, now time.Time) {
	pause := m.s.OpenFor
	for range m.periods {
		pause = min(2*pause, m.s.OpenMost)
	}
	m.periods = append(m.periods, pause)
	m.frozen = m.failures()
	m.until = now.Add(pause + time.Duration(m.random()*float64(pause)/5))
	m.trips++
	m.become(Open, cause, now, m.frozen)
}

func (m *model) hold(to State, until time.Time, now time.Time) {
	if to == HalfOpen {
		return
	}
	m.settle(now)
	if !until.IsZero() && !until.After(now) {
		m.reset(now)
		return
	}
	failures := m.failures()
	m.held, m.heldUntil, m.until, m.periods, m.frozen = true, until, until, nil, 0
	m.become(to, map[State]string{Open: "opened", Closed: "closed"}[to]+" by hand", now, failures)
}

func (m *model) reset(now time.Time) {
	m.settle(now)
	m.closeNow("reset by hand", now)
}

// free tells whether one more probe may be let through. Where there is no place, those
// are lost that are held for too long.
func (m *model) free(now time.Time) bool {
	if m.places() {
		return true
	}
	for i := range m.events {
		e := &m.events[i]
		e.lost = e.lost || now.Sub(e.at) >= m.s.ProbeTime
	}
	return m.places()
}

func (m *model) places() bool {
	out := 0
	for _, e := range m.events {
		if !e.ended && !e.lost {
			out++
		}
	}
	return out < m.s.Probes && out+m.successes() < max(m.s.Probes, m.s.Successes)
}

func (m *model) ready(now time.Time) bool {
	m.settle(now)
	switch m.state {
	case Closed:
		return true
	case Open:
		return !m.held && !now.Before(m.until)
	}
	return m.free(now)
}

func (m *model) admit(now time.Time) (modelTicket, bool) {
	if !m.ready(now) {
		return modelTicket{}, false
	}
	if m.state == Open {
		m.until = time.Time{}
		m.become(HalfOpen, "the pause is over", now, m.frozen)
	}
	if m.state == Closed {
		return modelTicket{m.generation, -1}, true
	}
	m.events = append(m.events, event{at: now})
	return modelTicket{m.generation, len(m.events) - 1}, true
}

func (m *model) record(t modelTicket, o Outcome, took time.Duration, now time.Time) {
	if t.generation != m.generation || m.held {
		return
	}
	slow := m.s.SlowCall > 0 && m.s.SlowRatio > 0 && took > m.s.SlowCall
	if t.probe >= 0 {
		m.probed(t.probe, o, slow, now)
		return
	}
	if o != Success && o != Failure {
		return
	}
	at := now
	if n := len(m.events); n > 0 && m.events[n-1].at.After(now) {
		at = m.events[n-1].at
	}
	m.events = append(m.events, event{at: at, outcome: o, slow: slow})
	m.judge(now)
}

func (m *model) probed(probe int, o Outcome, slow bool, now time.Time) {
	e := &m.events[probe]
	e.ended, e.outcome = true, o
	switch {
	case o == Failure:
		m.trip("a probe failed", now)
	case o == Success && slow:
		m.trip("a probe took longer than "+text(m.s.SlowCall), now)
	case m.successes() >= m.s.Successes:
		m.closeNow(plural(m.s.Successes, "probe")+" succeeded", now)
	}
}

// judge trips when the events say so.
func (m *model) judge(now time.Time) {
	tick := func(t time.Time) int64 {
		return int64(math.Floor(float64(t.Sub(m.epoch)) / float64(m.s.Window/buckets)))
	}
	last := m.events[len(m.events)-1]
	counted, failed, slow := 0, 0, 0
	for _, e := range m.events {
		if tick(e.at) > tick(last.at)-buckets {
			counted++
			if e.outcome == Failure {
				failed++
			}
			if e.slow {
				slow++
			}
		}
	}
	share := func(part int, ratio float64) bool {
		return ratio > 0 && counted >= m.s.MinRequests && part > 0 && float64(part)/float64(counted) >= ratio
	}
	switch {
	case last.outcome == Failure && m.s.ConsecutiveFailures > 0 && m.failures() >= m.s.ConsecutiveFailures:
		m.trip(plural(m.failures(), "failure")+" in a row", now)
	case share(failed, m.s.FailureRatio):
		m.trip(percent(failed, counted, "request")+" failed within "+text(m.s.Window), now)
	case m.s.SlowCall > 0 && share(slow, m.s.SlowRatio):
		m.trip(percent(slow, counted, "call")+" took longer than "+text(m.s.SlowCall), now)
	}
}

func (m *model) status(now time.Time) Status {
	m.settle(now)
	s := Status{State: m.state, HeldUntil: m.heldUntil, Failures: m.failures(), Successes: m.successes(), Since: m.since, Cause: m.cause, Trips: m.trips}
	if m.state == Open {
		s.NextAttempt = m.until
	}
	if m.held {
		s.Held = strings.ToLower(m.state.String())
	}
	return s
}

// schedule runs a Breaker and a model side by side. Several goroutines do what there is
// to do, one after the other.
type schedule struct {
	t       *testing.T
	seed    uint64
	step    int
	random  *rand.Rand
	b       *Breaker
	m       *model
	changes []Change
	out     []flight
	workers []chan func()
	done    chan struct{}
	log     []string // of the last steps
}

// flight is a request that is under way.
type flight struct {
	real  Ticket
	model modelTicket
}

func randomSettings(r *rand.Rand) Settings {
	pick := func(n ...int) int { return n[r.IntN(len(n))] }
	return Settings{
		ConsecutiveFailures: pick(0, 1, 2, 3, 5, 10),
		FailureRatio:        []float64{0, 0, 0.1, 0.5, 0.75, 1}[r.IntN(6)],
		SlowCall:            time.Duration(pick(0, 1, 1)) * time.Second,
		SlowRatio:           []float64{0, 0.2, 0.5}[r.IntN(3)],
		Window:              time.Duration(pick(100, 1000, 10_000)) * time.Millisecond,
		MinRequests:         pick(1, 2, 5, 20),
		OpenFor:             time.Duration(pick(1, 100, 1000)) * time.Millisecond,
		OpenMost:            time.Duration(pick(1, 150, 3000)) * time.Millisecond,
		Probes:              pick(1, 1, 2, 3, 7),
		Successes:           pick(1, 2, 3, 7),
		ProbeTime:           time.Duration(pick(0, 10, 1000)) * time.Millisecond,
	}
}

func newSchedule(t *testing.T, seed uint64) *schedule {
	s := &schedule{t: t, seed: seed, random: rand.New(rand.NewPCG(seed, 1)), done: make(chan struct{})}
	settings, now := randomSettings(s.random), time.Now()
	s.b = newAt(settings, now, rand.New(rand.NewPCG(seed, 2)).Float64, func(c Change) { s.changes = append(s.changes, c) })
	s.m = &model{s: settings.raised(), random: rand.New(rand.NewPCG(seed, 2)).Float64, epoch: now, since: now, generation: 1}
	for range 4 {
		work := make(chan func())
		s.workers = append(s.workers, work)
		go func() {
			for do := range work {
				do()
				s.done <- struct{}{}
			}
		}()
	}
	return s
}

func (s *schedule) close() {
	for _, w := range s.workers {
		close(w)
	}
}

// by lets one of the goroutines do something to the Breaker.
func (s *schedule) by(do func()) {
	s.workers[s.random.IntN(len(s.workers))] <- do
	<-s.done
}

func (s *schedule) run(steps int) {
	defer s.close()
	for s.step = range steps {
		if s.random.IntN(3) == 0 {
			time.Sleep(s.pause())
		}
		now := time.Now()
		if s.random.IntN(20) == 0 { // a caller who has looked at the clock before others
			now = now.Add(-time.Duration(s.random.IntN(20)) * time.Millisecond)
		}
		s.one(now)
		s.compare(now)
	}
}

// pause is often to just where something begins or ends.
func (s *schedule) pause() time.Duration {
	switch s.random.IntN(20) {
	case 0, 1, 2:
		if left := time.Until(s.m.until); left > 0 && left < time.Hour {
			return left - time.Duration(s.random.IntN(2))
		}
	case 3:
		return s.m.s.ProbeTime
	case 4:
		return s.m.s.Window
	case 5, 6:
		return s.m.s.Window / buckets
	case 7:
		return time.Duration(s.random.Int64N(int64(10 * time.Second)))
	}
	return time.Duration(s.random.Int64N(int64(20 * time.Millisecond)))
}

// note keeps what was done, for who has to find out why it went wrong.
func (s *schedule) note(format string, args ...any) {
	if len(s.log) >= 40 {
		s.log = s.log[20:]
	}
	s.log = append(s.log, fmt.Sprintf(format, args...))
}

// fail ends the test.
func (s *schedule) fail(format string, args ...any) {
	s.t.Fatalf("seed %d, step %d, %+v:\n%s\n%s", s.seed, s.step, s.m.s, strings.Join(s.log, "\n"), fmt.Sprintf(format, args...))
}

func (s *schedule) one(now time.Time) {
	switch n := s.random.IntN(1000); {
	case n < 450 && len(s.out) < 50:
		s.admit(now)
	case n < 980:
		s.record(now)
	case n < 985:
		s.hold(now)
	case n < 988:
		s.note("reset")
		s.by(func() { s.b.Reset("", now) })
		s.m.reset(now)
	default:
		var wait time.Duration
		s.by(func() { wait = s.b.Wait(now) })
		if wait <= 0 {
			s.fail("wait %v", wait)
		}
		if s.m.settle(now); s.m.state == HalfOpen {
			s.m.free(now)
		}
	}
}

func (s *schedule) admit(now time.Time) {
	var f flight
	var ok bool
	s.by(func() { f.real, ok = s.b.Admit(now) })
	var want bool
	f.model, want = s.m.admit(now)
	s.note("%v admit %v %v", now.Sub(s.m.epoch), f, ok)
	if ok != want {
		s.fail("let through: %v, want %v", ok, want)
	}
	if ok && (f.real.probe != 0) != (f.model.probe >= 0) {
		s.fail("is a probe: %v, want %v", f.real, f.model)
	}
	if ok {
		s.out = append(s.out, f)
	}
}

// record ends a request, often one of the latest.
func (s *schedule) record(now time.Time) {
	if len(s.out) == 0 {
		return
	}
	i := s.random.IntN(len(s.out))
	if s.random.IntN(2) == 0 {
		i = len(s.out) - 1
	}
	f := s.out[i]
	s.out = slices.Delete(s.out, i, i+1)
	o := []Outcome{Success, Success, Success, Success, Failure, Failure, Alive, Ignored}[s.random.IntN(8)]
	if s.step/1000%3 == 0 && o == Failure { // there are good times too
		o = Success
	}
	took := time.Duration(s.random.IntN(4)) * 500 * time.Millisecond
	s.note("%v record %v outcome %d after %v", now.Sub(s.m.epoch), f, o, took)
	s.by(func() { s.b.Record(f.real, o, took, now) })
	s.m.record(f.model, o, took, now)
}

func (s *schedule) hold(now time.Time) {
	to, until := State(s.random.IntN(3)), time.Time{}
	if s.random.IntN(4) > 0 {
		until = now.Add(time.Duration(s.random.Int64N(int64(5*time.Second))) - time.Second/4)
	}
	s.note("hold %v until %v", to, until)
	s.by(func() { s.b.Hold(to, until, "", now) })
	s.m.hold(to, until, now)
}

// compare wants both to be the same in all that can be seen.
func (s *schedule) compare(now time.Time) {
	var ready bool
	var got Status
	if s.random.IntN(4) == 0 {
		s.by(func() { ready, got = s.b.Ready(now), s.b.Status(now) })
		if want := s.m.ready(now); ready != want {
			s.fail("ready: %v, want %v", ready, want)
		}
		if want := s.m.status(now); !sameStatus(got, want) {
			s.fail("got  %+v\nwant %+v", got, want)
		}
	}
	if len(s.changes) != len(s.m.changes) {
		s.fail("changes: %v\nwant     %v", s.changes, s.m.changes)
	}
	for i, c := range s.changes {
		if !sameChange(c, s.m.changes[i]) {
			s.fail("change: %+v\nwant    %+v", c, s.m.changes[i])
		}
	}
	s.changes, s.m.changes = s.changes[:0], s.m.changes[:0]
}

func sameStatus(a, b Status) bool {
	same := a.Since.Equal(b.Since) && a.NextAttempt.Equal(b.NextAttempt) && a.HeldUntil.Equal(b.HeldUntil)
	a.Since, a.NextAttempt, a.HeldUntil = b.Since, b.NextAttempt, b.HeldUntil
	return same && a == b
}

func sameChange(a, b Change) bool {
	same := a.At.Equal(b.At) && a.Until.Equal(b.Until)
	a.At, a.Until = b.At, b.Until
	return same && a == b
}

// Whatever happens, a Breaker does what the model does. YETT_LONG=1 makes it millions of
// steps.
func TestModel(t *testing.T) {
	schedules := 60
	if os.Getenv("YETT_LONG") == "1" {
		schedules = 4000
	}
	seed, states := rand.Uint64(), make(map[State]int)
	for i := range schedules {
		synctest.Test(t, func(t *testing.T) {
			s := newSchedule(t, seed+uint64(i))
			s.run(2000)
			states[s.m.state]++
		})
		if t.Failed() {
			return
		}
	}
	t.Logf("%d schedules from seed %d, which ended %v", schedules, seed, states)
}
