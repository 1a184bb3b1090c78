package storetest

import (
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"yett/internal/store"
)

// Model answers takes as a store has to, without any of a store's concerns: it is
// the arithmetic of limits, written to be read. It never lets go of what has ended,
// and is used by one goroutine.
type Model struct{ states map[counted]state }

// counted is whose spendings a state is.
type counted struct{ name, key string }

// state is what is counted under a name and key. It is a value: changes make a new one.
type state struct {
	// rule is the one by which it was counted last.
	rule store.Rule
	// entries are those of a SlidingWindow, the oldest first.
	entries []spending
	// first is when the newest of the entries began, when a FixedWindow began, or when
	// spent of a TokenBucket was right, in microseconds.
	first int64
	count int64   // FixedWindow
	spent float64 // TokenBucket
}

// spending is an entry: a number spent up to last.
type spending struct{ last, count int64 }

// maxEntries is how many entries there are at most.
const maxEntries = 64

// NewModel returns a Model that has counted nothing.
func NewModel() *Model { return &Model{make(map[counted]state)} }

// Forget lets a limit forget all that it has counted under a key.
func (m *Model) Forget(name, key string) { delete(m.states, counted{name, key}) }

// Take answers takes at a time.
func (m *Model) Take(now time.Time, takes []store.Take) {
	clock := now.UnixMicro()
	before := maps.Clone(m.states)
	for i := range takes {
		m.judge(&takes[i], clock)
	}
	if store.Refuser(takes) != nil {
		m.states = before
		for i := range takes {
			m.anyway(&takes[i], clock)
		}
	}
	for i := range takes {
		t := &takes[i]
		s, at := m.settled(t, clock)
		t.Left, t.More = s.left(t.Rule), duration(s.more(t.Rule, at))
	}
}

// judge answers a take as if none were refused.
func (m *Model) judge(t *store.Take, clock int64) {
	t.Fits, t.Granted, t.Wait = true, 0, 0
	if t.Action == store.Charge || t.Action == store.Return {
		m.anyway(t, clock)
		return
	}
	s, now := m.settled(t, clock)
	free, need := s.free(t), t.Cost
	if t.Least > 0 {
		need = t.Least
	}
	switch {
	case free < need:
		t.Fits, t.Wait = false, duration(s.wait(t, need, now))
	case t.Action == store.Spend:
		t.Granted = min(t.Cost, free)
		m.keep(t, s.plus(t, t.Granted, now))
	}
}

// anyway does what is done even if the call is refused.
func (m *Model) anyway(t *store.Take, clock int64) {
	s, now := m.settled(t, clock)
	t.Granted = 0
	switch {
	case t.Action == store.Charge:
		t.Granted = t.Cost
		m.keep(t, s.plus(t, t.Cost, now))
	case t.Action == store.Return && !s.nothing():
		s, t.Granted = s.minus(t.Cost)
		m.keep(t, s)
	}
}

// keep makes s the state that t is about. Nothing leaves no state.
func (m *Model) keep(t *store.Take, s state) {
	s.rule = t.Rule
	if s.nothing() {
		m.Forget(t.Name, t.Key)
		return
	}
	m.states[counted{strings.Clone(t.Name), strings.Clone(t.Key)}] = s
}

// Ended tells whether nothing counts any more under a name and key at a time, by the
// rule by which it was counted. A store may have let go of that already.
func (m *Model) Ended(now time.Time, name, key string) bool {
	t := store.Take{Name: name, Key: key, Rule: m.states[counted{name, key}].rule}
	s, _ := m.settled(&t, now.UnixMicro())
	return s.nothing()
}

// settled returns the state without what has ended, and the time that counts: a clock
// never goes behind what it has counted.
func (m *Model) settled(t *store.Take, clock int64) (s state, now int64) {
	s = m.states[counted{t.Name, t.Key}]
	if s.nothing() || s.rule.Algorithm != t.Rule.Algorithm {
		return state{rule: t.Rule}, clock
	}
	switch t.Rule.Algorithm {
	case store.SlidingWindow:
		for len(s.entries) > 0 && s.entries[0].last+window(t.Rule) <= clock {
			s.entries = s.entries[1:]
		}
	case store.FixedWindow:
		if clock >= s.first+window(t.Rule) {
			s.count = 0
		}
	case store.TokenBucket:
		now = max(clock, s.first)
		s.spent = max(0, s.spent-float64(float64(now-s.first)*rate(t.Rule)))
		s.first = now
	}
	if s.nothing() {
		return state{rule: t.Rule}, clock
	}
	return s, max(clock, s.first)
}

func (s state) nothing() bool { return len(s.entries) == 0 && s.count == 0 && s.spent == 0 }

func (s state) total() (n int64) {
	for _, e := range s.entries {
		n += e.count
	}
	return n + s.count
}

// free is how much the take may spend.
func (s state) free(t *store.Take) int64 {
	if t.Rule.Algorithm == store.TokenBucket {
		return max(0, int64(math.Floor(size(t)-s.spent+1e-6)))
	}
	return max(0, t.Rule.Limit-s.total())
}

// left is how much may be spent.
func (s state) left(r store.Rule) int64 {
	return s.free(&store.Take{Rule: r})
}

// wait is how many microseconds it takes until need is free.
func (s state) wait(t *store.Take, need, now int64) float64 {
	if t.Rule.Algorithm == store.TokenBucket {
		return max(1, math.Ceil((s.spent+float64(need)-size(t))/rate(t.Rule)))
	}
	if len(s.entries) == 0 {
		return s.more(t.Rule, now)
	}
	gone, i := int64(0), 0
	for ; i < len(s.entries)-1; i++ {
		gone += s.entries[i].count
		if t.Rule.Limit-(s.total()-gone) >= need {
			break
		}
	}
	return float64(s.entries[i].last + window(t.Rule) - now)
}

// more is how many microseconds it takes until left grows.
func (s state) more(r store.Rule, now int64) float64 {
	left := s.left(r)
	switch {
	case r.Algorithm == store.TokenBucket && left < r.Burst:
		return max(1, math.Ceil((s.spent-float64(r.Burst-left-1))/rate(r)))
	case len(s.entries) > 0:
		return float64(s.entries[0].last + window(r) - now)
	case s.count > 0:
		return float64(s.first + window(r) - now)
	}
	return 0
}

// plus counts n.
func (s state) plus(t *store.Take, n, now int64) state {
	switch t.Rule.Algorithm {
	case store.SlidingWindow:
		return s.append(t, n, now)
	case store.FixedWindow:
		if s.count == 0 {
			s.first = now
		}
		s.count += n
	case store.TokenBucket:
		s.spent += float64(n)
		s.first = now
	}
	return s
}

// append counts n in the newest entry, or in one of its own.
func (s state) append(t *store.Take, n, now int64) state {
	grain := int64(0)
	if t.Rule.Limit > store.Steps {
		grain = window(t.Rule) / store.Steps
	}
	at := now + t.Ahead.Microseconds()
	s.entries = slices.Clone(s.entries)
	if l := len(s.entries); l > 0 {
		tail := &s.entries[l-1]
		at = max(at, tail.last)
		if now-s.first < grain || at == tail.last || l == maxEntries {
			tail.last, tail.count = at, tail.count+n
			return s
		}
	}
	s.entries, s.first = append(s.entries, spending{at, n}), now
	return s
}

// minus takes off n, of what was counted last, and tells how much that was.
func (s state) minus(n int64) (state, int64) {
	if s.rule.Algorithm == store.TokenBucket {
		taken := min(float64(n), s.spent)
		s.spent -= taken
		return s, int64(taken)
	}
	taken := min(n, s.total())
	if s.rule.Algorithm == store.FixedWindow {
		s.count -= taken
		return s, taken
	}
	s.entries = slices.Clone(s.entries)
	for left := taken; left > 0; {
		tail := &s.entries[len(s.entries)-1]
		off := min(left, tail.count)
		tail.count, left = tail.count-off, left-off
		if tail.count == 0 {
			s.entries = s.entries[:len(s.entries)-1]
		}
	}
	return s, taken
}

// window is in microseconds, rate is what a bucket gets in each.
func window(r store.Rule) int64 { return r.Window.Microseconds() }

func rate(r store.Rule) float64 { return float64(r.Limit) / float64(window(r)) }

// size is how much a bucket holds for a take.
func size(t *store.Take) float64 {
	return float64(t.Rule.Burst) - float64(float64(t.Ahead.Microseconds())*rate(t.Rule))
}

// longest is what a store tells to wait at most: others may be added to it.
const longest = math.MaxInt64 / 2

// duration turns microseconds into a Duration, longest where they are more.
func duration(µs float64) time.Duration {
	if µs >= longest/1000 {
		return longest
	}
	return time.Duration(µs) * time.Microsecond
}
