package memory

import (
	"math"

	"yett/internal/store"
)

// loaded is a record that was dumped, with times of the store that loads it.
type loaded struct {
	id         id
	kind       uint8
	share      uint16
	first, end int64
	number     uint64
	spent      [2 * maxEntries]spending
	n          int
}

// spending is an entry.
type spending struct{ last, n int64 }

// loadRecords merges records, or puts them in the place of what is here. dumped is when they
// were dumped.
func (l *limits) loadRecords(p payload, dumped, clock int64, replace bool) error {
	var r loaded
	for p.more() {
		if r.read(&p, dumped); p.bad {
			return errCorrupt
		}
		if r.end+late > clock {
			l.shard(r.id).merge(&r, clock, replace)
		}
	}
	return p.err()
}

// read reads a record, and refuses what no store writes.
func (r *loaded) read(p *payload, dumped int64) {
	i := readSeed(p.bytes(16))
	r.id, r.kind, r.share = id{i.a, i.b}, p.bytes(1)[0], uint16(min(p.uvarint(), math.MaxUint16))
	r.first, r.end, r.number, r.n = p.time(dumped), p.time(dumped), 0, 0
	switch {
	case r.kind == 0 || r.kind > uint8(store.TokenBucket)+1:
		p.bad = true
	case r.kind == uint8(store.SlidingWindow)+1:
		r.readEntries(p, dumped)
	default:
		r.number = p.uvarint()
		p.bad = p.bad || !r.counts()
	}
}

// counts tells whether the number is one that windows and buckets have.
func (r *loaded) counts() bool {
	if r.kind == uint8(store.FixedWindow)+1 {
		return r.number > 0 && r.number <= most
	}
	spent := math.Float64frombits(r.number)
	return spent > 0 && !math.IsInf(spent, 0)
}

func (r *loaded) readEntries(p *payload, dumped int64) {
	n := p.uvarint()
	if n == 0 || n > maxEntries {
		p.bad = true
		return
	}
	for r.n < int(n) {
		e := spending{p.time(dumped), int64(min(p.uvarint(), math.MaxUint32))}
		if p.bad || e.n == 0 || r.n > 0 && e.last < r.spent[r.n-1].last {
			p.bad = true
			return
		}
		r.spent[r.n] = e
		r.n++
	}
}

// time reads a time.
func (p *payload) time(dumped int64) int64 {
	return min(max(p.varint(), -lastStamp), lastStamp) + dumped
}

// merge counts what a record has, or what is here already of the same key, whichever is more,
// unless that is to be replaced.
func (s *shard) merge(r *loaded, clock int64, replace bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ids := [...]id{r.id}
	slot := s.find(r.id)
	switch {
	case slot == 0:
		s.write(s.insert(r.id, clock, ids[:]), r, clock)
		return
	case replace:
		s.rewrite(slot, r, clock)
		return
	}
	own := s.at(slot)
	switch ownEnd := own.end.time(); {
	case own.kind != r.kind: // the limit counts in another way since: that which counts longer stays
		if r.end > ownEnd {
			s.rewrite(slot, r, clock)
		}
		return
	case r.kind == uint8(store.SlidingWindow)+1:
		s.mergeEntries(slot, r)
	case r.kind == uint8(store.FixedWindow)+1:
		r.mergeWindow(own)
	case ownEnd >= r.end: // of two buckets the one that is full later has less in it
		return
	}
	if r.kind != uint8(store.TokenBucket)+1 {
		r.first = max(r.first, own.first.time())
	}
	r.end, r.share = max(r.end, own.end.time()), max(r.share, own.share)
	s.rewrite(slot, r, clock)
}

// mergeWindow takes the larger count, if both windows are about the same time. The later one
// stays otherwise.
func (r *loaded) mergeWindow(own *record) {
	switch {
	case own.first.time() >= r.end:
		r.number = own.number()
	case r.first < own.end.time():
		r.number = max(r.number, own.number())
	}
}

// mergeEntries makes of both lists one that has spent, since any time, as much as that which has
// spent more since then.
func (s *shard) mergeEntries(slot uint32, r *loaded) {
	var st state
	s.load(&st, slot)
	var all [2 * maxEntries]spending
	at, i, j := len(all), st.n-1, r.n-1
	var own, theirs, sum int64
	for i >= 0 || j >= 0 {
		last := int64(math.MinInt64)
		if i >= 0 {
			last = st.entry(i).last.time()
		}
		if j >= 0 {
			last = max(last, r.spent[j].last)
		}
		for ; i >= 0 && st.entry(i).last.time() == last; i-- {
			own += st.entry(i).count()
		}
		for ; j >= 0 && r.spent[j].last == last; j-- {
			theirs += r.spent[j].n
		}
		if more := max(own, theirs) - sum; more > 0 {
			at--
			all[at], sum = spending{last, more}, sum+more
		}
	}
	r.n = copy(r.spent[:], all[at:])
	for r.n > maxEntries {
		r.join()
	}
}

// join counts two neighbours together, as if both had come with the later, where it makes the
// least difference.
func (r *loaded) join() {
	best, least := 0, math.Inf(1)
	for i := range r.n - 1 {
		if later := float64(r.spent[i+1].last-r.spent[i].last) * float64(r.spent[i].n); later < least {
			best, least = i, later
		}
	}
	r.spent[best+1].n += r.spent[best].n
	copy(r.spent[best:], r.spent[best+1:r.n])
	r.n--
}

// rewrite puts what was merged in the place of a record.
func (s *shard) rewrite(slot uint32, r *loaded, clock int64) {
	own := s.at(slot)
	if own.hasBlock() {
		s.idle = append(s.idle, own.block())
	}
	own.n = 0
	s.write(slot, r, clock)
}

// write fills a record that has no block.
func (s *shard) write(slot uint32, r *loaded, clock int64) {
	own := s.at(slot)
	st := state{algorithm: store.Algorithm(r.kind - 1), entries: own.slots[:], first: r.first}
	switch st.algorithm {
	case store.FixedWindow:
		st.total = int64(r.number)
	case store.TokenBucket:
		st.spent = math.Float64frombits(r.number)
	default:
		if r.n > inline && !s.enterBlock(&st, clock, []id{r.id}) {
			for r.n > inline {
				r.join()
			}
		}
		for i, e := range r.spent[:r.n] {
			st.n++
			st.entry(i).set(e.last, 0)
			st.total += st.entry(i).add(e.n)
		}
	}
	own.kind, own.n, own.head, own.share = r.kind, uint8(st.n), 0, r.share
	own.keep(&st)
	own.end.set(r.end)
}
