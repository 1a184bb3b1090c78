package memory

import (
	"math"
	"time"

	"yett/internal/store"
)

// state is what is counted under a key, as the arithmetic sees it. It is changed
// without changing the record, except for the entries, which stay where they are: only
// add and giveBack write them.
type state struct {
	algorithm store.Algorithm
	// entries is a ring, in which n are used from head on: of the record, or of its
	// block, which is number block-1.
	entries []entry
	head, n int
	block   uint32
	first   int64   // as in record
	total   int64   // what the entries sum up to, or the count of a fixed window
	spent   float64 // of a bucket
}

// entry returns the entry i of n.
func (s *state) entry(i int) *entry {
	if i += s.head; i >= len(s.entries) {
		i -= len(s.entries)
	}
	return &s.entries[i]
}

// moveTo copies the entries to b, where they are changed from now on.
func (s *state) moveTo(b *block) {
	for i := range s.n {
		b[i] = *s.entry(i)
	}
	s.entries, s.head = b[:], 0
}

func (s *state) tail() *entry { return s.entry(s.n - 1) }

func (s *state) nothing() bool { return s.total == 0 && s.spent == 0 }

// clear makes a state of which nothing counts.
func (s *state) clear(a store.Algorithm) {
	*s = state{algorithm: a, entries: s.entries, block: s.block}
}

// settle lets go of what has ended, and returns the time that counts: a clock never
// goes behind what it has counted.
func (s *state) settle(r *store.Rule, clock int64) (now int64) {
	if s.algorithm != r.Algorithm {
		s.clear(r.Algorithm)
	}
	switch r.Algorithm {
	case store.FixedWindow:
		if clock >= s.first+window(r) {
			s.total = 0
		}
	case store.TokenBucket:
		if s.spent > 0 {
			now = max(clock, s.first)
			s.spent = max(0, s.spent-float64(float64(now-s.first)*rate(r)))
			s.first = now
		}
	default:
		s.expire(clock - window(r))
	}
	if s.nothing() {
		s.clear(r.Algorithm)
		return clock
	}
	return max(clock, s.first)
}

// expire drops the entries up to a time.
func (s *state) expire(until int64) {
	for s.n > 0 {
		e := s.entry(0)
		if e.last.time() > until {
			return
		}
		s.total -= e.count()
		s.n--
		if s.head++; s.head == len(s.entries) {
			s.head = 0
		}
	}
}

// judge tells whether the take fits, and how much of it is to be counted.
func (s *state) judge(t *store.Take, now int64) {
	t.Fits, t.Granted, t.Wait = true, 0, 0
	switch t.Action {
	case store.Charge:
		t.Granted = t.Cost
		return
	case store.Return:
		return
	}
	free, need := s.free(&t.Rule, t.Ahead), t.Cost
	if t.Least > 0 {
		need = t.Least
	}
	if free < need {
		t.Fits, t.Wait = false, s.wait(t, need, now)
		return
	}
	if t.Action == store.Spend {
		t.Granted = min(t.Cost, free)
	}
}

// show tells what is left.
func (s *state) show(t *store.Take, now int64) {
	t.Left, t.More = s.free(&t.Rule, 0), s.more(&t.Rule, now)
}

// free is how much may be spent.
func (s *state) free(r *store.Rule, ahead time.Duration) int64 {
	if r.Algorithm == store.TokenBucket {
		return max(0, int64(math.Floor(size(r, ahead)-s.spent+1e-6)))
	}
	return max(0, r.Limit-s.total)
}

// wait is how long it takes until need is free.
func (s *state) wait(t *store.Take, need, now int64) time.Duration {
	switch r := &t.Rule; r.Algorithm {
	case store.FixedWindow:
		return s.more(r, now)
	case store.TokenBucket:
		return duration((s.spent + float64(need) - size(r, t.Ahead)) / rate(r))
	}
	if s.n == 0 {
		return 0
	}
	left := s.total
	for i := range s.n - 1 {
		e := s.entry(i)
		if left -= e.count(); t.Rule.Limit-left >= need {
			return micros(e.last.time() + window(&t.Rule) - now)
		}
	}
	return micros(s.tail().last.time() + window(&t.Rule) - now)
}

// more is how long it takes until more is free.
func (s *state) more(r *store.Rule, now int64) time.Duration {
	switch {
	case r.Algorithm == store.TokenBucket:
		if left := s.free(r, 0); left < r.Burst {
			return duration((s.spent - float64(r.Burst-left-1)) / rate(r))
		}
	case s.n > 0:
		return micros(s.entry(0).last.time() + window(r) - now)
	case s.total > 0:
		return micros(s.first + window(r) - now)
	}
	return 0
}

// add counts n, unless that needs room for one more entry.
func (s *state) add(t *store.Take, n, now int64) bool {
	switch t.Rule.Algorithm {
	case store.FixedWindow:
		if s.total == 0 {
			s.first = now
		}
		s.total = min(s.total+min(n, most), most)
	case store.TokenBucket:
		s.spent += float64(n)
		s.first = now
	default:
		return s.append(t, n, now)
	}
	return true
}

// most is what a fixed window counts at most. It is far above any limit.
const most = 1 << 53

// append counts n in the newest entry, or in one of its own.
func (s *state) append(t *store.Take, n, now int64) bool {
	grain, at := int64(0), now+t.Ahead.Microseconds()
	if t.Rule.Limit > store.Steps {
		grain = window(&t.Rule) / store.Steps
	}
	if s.n > 0 {
		e := s.tail()
		last := e.last.time()
		at = max(at, last)
		if now-s.first < grain || at == last || s.n == maxEntries {
			e.last.set(at)
			s.total += e.add(n)
			return true
		}
	}
	if s.n == len(s.entries) {
		return false
	}
	s.n++
	s.first = now
	e := s.tail()
	e.set(at, 0)
	s.total += e.add(n)
	return true
}

// squeeze lets add succeed where the record can't get a block: an entry is counted with
// the one after it, or the newest with what comes at a time. That is chosen which makes
// the least difference.
func (s *state) squeeze(at int64) {
	best, least := 0, math.Inf(1)
	for i := range s.n {
		e, next := s.entry(i), at
		if i < s.n-1 {
			next = s.entry(i + 1).last.time()
		}
		if later := float64(next-e.last.time()) * float64(e.count()); later < least {
			best, least = i, later
		}
	}
	if best == s.n-1 {
		s.tail().last.set(max(at, s.tail().last.time()))
		return
	}
	e, next := s.entry(best), s.entry(best+1)
	s.total += next.add(e.count()) - e.count()
	for i := best; i < s.n-1; i++ {
		*s.entry(i) = *s.entry(i + 1)
	}
	s.n--
}

// giveBack takes off up to n, of what was counted last, and returns how much it was.
func (s *state) giveBack(n int64) int64 {
	if s.algorithm == store.TokenBucket {
		taken := min(float64(n), s.spent)
		s.spent -= taken
		return int64(taken)
	}
	taken := min(n, s.total)
	s.total -= taken
	for left := taken; left > 0 && s.n > 0; {
		e := s.tail()
		off := min(left, e.count())
		left -= off
		if e.add(-off); e.count() == 0 {
			s.n--
		}
	}
	return taken
}

// ends is when nothing counts any more.
func (s *state) ends(r *store.Rule) int64 {
	switch {
	case r.Algorithm == store.TokenBucket:
		return s.first + 1 + int64(min(math.Ceil(s.spent/rate(r)), lastStamp))
	case s.n > 0:
		return s.tail().last.time() + window(r)
	}
	return s.first + window(r)
}

// share is how much of the limit is used.
func (s *state) share(r *store.Rule) uint16 {
	used := min((float64(s.total)+s.spent)/float64(r.Size()), 1)
	return uint16(used * math.MaxUint16)
}

// window is in microseconds, rate is what a bucket gets in each.
func window(r *store.Rule) int64 { return r.Window.Microseconds() }

func rate(r *store.Rule) float64 { return float64(r.Limit) / float64(window(r)) }

// size is how much a bucket holds for what is used that much later.
func size(r *store.Rule, ahead time.Duration) float64 {
	return float64(r.Burst) - float64(float64(ahead.Microseconds())*rate(r))
}

// micros is that many microseconds.
func micros(n int64) time.Duration { return time.Duration(n) * time.Microsecond }

// longest is what duration tells at most: others may be added to it.
const longest = math.MaxInt64 / 2

// duration is that many microseconds, at least one, and longest where they are more.
func duration(n float64) time.Duration {
	n = max(1, math.Ceil(n))
	if n >= longest/1000 {
		return longest
	}
	return micros(int64(n))
}
