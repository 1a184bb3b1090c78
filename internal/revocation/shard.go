package revocation

import (
	"slices"
	"sync"
)

// shard is a part of the list. Readers of different shards don't meet, and
// those of one share its lock.
type shard struct {
	mu       sync.RWMutex
	ids      map[string]mark
	sums     map[[32]byte]mark
	subjects map[string][]cut
	_        [64]byte // the next shard's lock is in another cache line
}

// mark says how long an entry counts, and in which pass the store has told it
// last.
type mark struct {
	until int64
	told  uint64
}

// cut is a mark for what was issued before a moment. A subject has several
// when one of an earlier moment counts longer.
type cut struct {
	before int64
	mark
}

func (s *shard) init() {
	s.ids, s.sums, s.subjects = make(map[string]mark), make(map[[32]byte]mark), make(map[string][]cut)
}

// merge returns the later of both in each respect.
func (m mark) merge(other mark) mark {
	switch {
	case other.until > m.until:
		return other
	case other.until == m.until:
		m.told = max(m.told, other.told)
	}
	return m
}

// put notes a record. It returns by how many entries there are more, and
// whether a token may be revoked now that was not before.
func (s *shard) put(r record, told uint64, now int64) (more int, isNew bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, had := mark{r.until, told}, len(s.ids)+len(s.sums)
	switch r.kind {
	case ByID:
		old, ok := s.ids[r.id]
		s.ids[r.id], isNew = old.merge(m), !ok || old.until <= now
	case BySum:
		old, ok := s.sums[r.sum]
		s.sums[r.sum], isNew = old.merge(m), !ok || old.until <= now
	case BySubject:
		return s.putCut(r.id, cut{r.before, m}, now)
	}
	return len(s.ids) + len(s.sums) - had, isNew
}

// putCut leaves out what another cut says already: one that concerns as much
// and counts as long.
func (s *shard) putCut(subject string, c cut, now int64) (more int, isNew bool) {
	cuts := s.subjects[subject]
	if i := slices.IndexFunc(cuts, func(o cut) bool { return o.before == c.before }); i >= 0 {
		isNew = cuts[i].until <= now
		cuts[i].mark = cuts[i].merge(c.mark)
		return 0, isNew
	}
	if slices.ContainsFunc(cuts, func(o cut) bool { return o.covers(c) }) {
		return 0, false
	}
	left := append(slices.DeleteFunc(cuts, c.covers), c)
	s.subjects[subject] = left
	return len(left) - len(cuts), true
}

func (c cut) covers(o cut) bool { return c.before >= o.before && c.until >= o.until }

func (s *shard) hasID(id string) (until int64) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.ids[id].until
}

func (s *shard) hasSum(sum [32]byte) (until int64) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.sums[sum].until
}

// hasSubject returns how long tokens of a subject are revoked that were issued
// at that time; MinInt64 for those that don't say.
func (s *shard) hasSubject(subject string, issued int64) (until int64) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, c := range s.subjects[subject] {
		if issued < c.before {
			until = max(until, c.until)
		}
	}
	return until
}

// sweep removes what has ended, and returns how many entries that were.
func (s *shard) sweep(now int64) (removed int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, m := range s.ids {
		if m.until <= now {
			delete(s.ids, id)
			removed++
		}
	}
	for sum, m := range s.sums {
		if m.until <= now {
			delete(s.sums, sum)
			removed++
		}
	}
	for subject, cuts := range s.subjects {
		left := slices.DeleteFunc(cuts, func(c cut) bool { return c.until <= now })
		removed += len(cuts) - len(left)
		s.subjects[subject] = left
		if len(left) == 0 {
			delete(s.subjects, subject)
		}
	}
	return removed
}

// each calls f, which must not use the list, for all entries.
func (s *shard) each(f func(record, mark)) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for id, m := range s.ids {
		f(record{kind: ByID, id: id, until: m.until}, m)
	}
	for sum, m := range s.sums {
		f(record{kind: BySum, sum: sum, until: m.until}, m)
	}
	for subject, cuts := range s.subjects {
		for _, c := range cuts {
			f(record{kind: BySubject, id: subject, before: c.before, until: c.until}, c.mark)
		}
	}
}
