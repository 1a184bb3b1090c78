package memory

import (
	"math"
	"slices"
	"sync"

	"yett/internal/store"
)

// id is what is known of a name and key: a hash of both, under a seed that nobody else knows.
type id struct{ high, low uint64 }

const (
	chunkSize = 64
	// slotBits is how much of a word of the index says which record, the others are
	// bits of the id, so that hardly any record is looked at in vain.
	slotBits = 20
	slotMask = 1<<slotBits - 1
	// swept is how many records are looked at when one is made, and when a block is
	// missing, so that what has ended leaves.
	swept = 2
	// judged is how many records are looked at to find one to drop.
	judged = 8
	// late is how much longer than it counts something is kept, in microseconds: callers
	// come in another order than they have read the clock.
	late = 1_000_000
)

// shard is a part of all records. All is guarded by mu.
type shard struct {
	mu sync.Mutex
	// index is a hash table with open addressing: 0, or the bits of an id and the
	// number of a record.
	index []uint32
	// chunks are the records, number 1 being the first. free is the first record that is not
	// used any more; its id.high is the next.
	chunks []*[chunkSize]record
	free   uint32
	// made is how many numbers were given, used how many are in use, and most how many
	// may be.
	made, used, most uint32
	hand             uint32 // the record looked at last
	// blocks are up to mostBlocks, idle those that no record has.
	blocks     []*block
	idle       []uint32
	mostBlocks int
	// scratch is for copies of entries.
	scratch *block
	dropped int64
	_       [104]byte // nothing that another core writes is in the same cache line
}

// at returns a record by its number.
func (s *shard) at(slot uint32) *record { return &s.chunks[(slot-1)/chunkSize][(slot-1)%chunkSize] }

// word is how a record is written in the index.
func word(i id, slot uint32) uint32 { return uint32(i.low>>(32+slotBits))<<slotBits | slot }

// find returns the number of a record, 0 when there is none.
func (s *shard) find(i id) uint32 {
	if len(s.index) == 0 {
		return 0
	}
	mask := uint64(len(s.index) - 1)
	for at := i.low & mask; ; at = (at + 1) & mask {
		w := s.index[at]
		if w == 0 {
			return 0
		}
		if w&^slotMask == word(i, 0) && s.at(w&slotMask).id == i {
			return w & slotMask
		}
	}
}

// insert makes an empty record, and returns its number. Those of the ids in use are not dropped
// for it.
func (s *shard) insert(i id, clock int64, inUse []id) uint32 {
	s.sweep(clock, inUse)
	if s.used >= s.most {
		s.dropOne(clock, inUse)
	}
	if int(s.used+1)*4 > len(s.index)*3 {
		s.grow()
	}
	slot := s.newSlot()
	*s.at(slot) = record{id: i, kind: 1}
	s.put(i, slot)
	s.used++
	return slot
}

// newSlot returns the number of a record that is not used.
func (s *shard) newSlot() uint32 {
	if slot := s.free; slot > 0 {
		s.free = uint32(s.at(slot).id.high)
		return slot
	}
	if s.made%chunkSize == 0 {
		s.chunks = append(s.chunks, new([chunkSize]record))
	}
	s.made++
	return s.made
}

// put writes a record into the index, in which there is room.
func (s *shard) put(i id, slot uint32) {
	mask := uint64(len(s.index) - 1)
	at := i.low & mask
	for s.index[at] != 0 {
		at = (at + 1) & mask
	}
	s.index[at] = word(i, slot)
}

// grow doubles the index.
func (s *shard) grow() {
	old := s.index
	s.index = make([]uint32, max(16, 2*len(old)))
	for _, w := range old {
		if w != 0 {
			s.put(s.at(w&slotMask).id, w&slotMask)
		}
	}
}

// remove lets a record go, with its block.
func (s *shard) remove(slot uint32) {
	r := s.at(slot)
	if r.hasBlock() {
		s.idle = append(s.idle, r.block())
	}
	s.unlink(r.id, slot)
	*r = record{id: id{high: uint64(s.free)}}
	s.free = slot
	s.used--
}

// unlink takes a record out of the index. Those behind it move up to where find looks
// for them.
func (s *shard) unlink(i id, slot uint32) {
	mask := uint64(len(s.index) - 1)
	gap := i.low & mask
	for s.index[gap]&slotMask != slot {
		gap = (gap + 1) & mask
	}
	for at := (gap + 1) & mask; s.index[at] != 0; at = (at + 1) & mask {
		home := s.at(s.index[at]&slotMask).id.low & mask
		if (at-home)&mask >= (at-gap)&mask {
			s.index[gap] = s.index[at]
			gap = at
		}
	}
	s.index[gap] = 0
}

// next moves the hand to the next number.
func (s *shard) next() *record {
	if s.hand++; s.hand > s.made {
		s.hand = 1
	}
	return s.at(s.hand)
}

// sweep looks whether the next few records have ended.
func (s *shard) sweep(clock int64, inUse []id) {
	for range min(swept, s.made) {
		r := s.next()
		if r.kind > 0 && r.end.time()+late <= clock && !slices.Contains(inUse, r.id) {
			s.remove(s.hand)
		}
	}
}

// dropOne drops the least useful of a few records.
func (s *shard) dropOne(clock int64, inUse []id) {
	var worst uint32
	for seen, looked := 0, uint32(0); looked < s.made && (seen < judged || worst == 0); looked++ {
		r := s.next()
		if r.kind == 0 || slices.Contains(inUse, r.id) {
			continue
		}
		seen++
		if r.end.time() <= clock {
			s.remove(s.hand)
			return
		}
		if worst == 0 || r.lessUseful(s.at(worst)) {
			worst = s.hand
		}
	}
	if worst > 0 {
		s.remove(worst)
		s.dropped++
	}
}

// lessUseful tells whether less is lost with r than with o.
func (r *record) lessUseful(o *record) bool {
	if r.share != o.share {
		return r.share < o.share
	}
	return r.end.time() < o.end.time()
}

// load reads what is counted in a record, 0 being none, into st, which is zero.
func (s *shard) load(st *state, slot uint32) {
	if slot == 0 {
		return
	}
	r := s.at(slot)
	st.algorithm = store.Algorithm(r.kind - 1)
	st.entries, st.head, st.n = r.slots[:], int(r.head), int(r.n)
	st.first = r.first.time()
	switch {
	case st.algorithm == store.FixedWindow:
		st.total = int64(r.number())
	case st.algorithm == store.TokenBucket:
		st.spent = math.Float64frombits(r.number())
	case r.hasBlock():
		st.block = r.block() + 1
		st.entries, st.total = s.blocks[r.block()][:], r.total()
	default:
		for i := range st.n {
			st.total += st.entry(i).count()
		}
	}
}

// save writes what load has read and was changed since, or lets the record go when
// nothing is left.
func (s *shard) save(slot uint32, st *state, rule *store.Rule) {
	r := s.at(slot)
	if st.block > 0 && st.n <= inline {
		s.leaveBlock(r, st)
	}
	r.kind, r.n, r.head = uint8(st.algorithm)+1, uint8(st.n), uint8(st.head)
	if st.nothing() {
		s.remove(slot)
		return
	}
	r.keep(st)
	r.end.set(st.ends(rule))
	r.share = st.share(rule)
}

// keep writes the times and numbers of st, whose entries are where they belong already.
func (r *record) keep(st *state) {
	r.first.set(st.first)
	r.dumped = false
	switch {
	case st.algorithm == store.FixedWindow:
		r.setNumber(uint64(st.total))
	case st.algorithm == store.TokenBucket:
		r.setNumber(math.Float64bits(st.spent))
	case st.block > 0:
		r.setBlock(st.block - 1)
		r.setTotal(st.total)
	}
}

// leaveBlock gives a block back of which few entries are left.
func (s *shard) leaveBlock(r *record, st *state) {
	for i := range st.n {
		r.slots[i] = *st.entry(i)
	}
	s.idle = append(s.idle, st.block-1)
	st.entries, st.head, st.block = r.slots[:], 0, 0
}

// enterBlock moves the entries into a block, if there is one.
func (s *shard) enterBlock(st *state, clock int64, inUse []id) bool {
	if len(s.idle) == 0 && len(s.blocks) >= s.mostBlocks {
		s.sweep(clock, inUse)
	}
	switch {
	case len(s.idle) > 0:
		st.block = s.idle[len(s.idle)-1] + 1
		s.idle = s.idle[:len(s.idle)-1]
	case len(s.blocks) < s.mostBlocks:
		s.blocks = append(s.blocks, new(block))
		st.block = uint32(len(s.blocks))
	default:
		return false
	}
	st.moveTo(s.blocks[st.block-1])
	return true
}

// copyEntries lets st have entries of its own, as long as the shard is locked.
func (s *shard) copyEntries(st *state) {
	if s.scratch == nil {
		s.scratch = new(block)
	}
	st.moveTo(s.scratch)
}

// change does what a judged take asks for. The record is slot, unless that is 0, and st is
// what is in it; both stay right.
func (s *shard) change(st *state, slot uint32, i id, t *store.Take, now, clock int64, inUse []id) {
	switch {
	case t.Action == store.Return:
		if st.nothing() {
			return
		}
		t.Granted = st.giveBack(t.Cost)
	case t.Granted > 0:
		if slot == 0 {
			slot = s.insert(i, clock, inUse)
			st.entries = s.at(slot).slots[:]
		}
		for !st.add(t, t.Granted, now) {
			if !s.enterBlock(st, clock, inUse) {
				st.squeeze(now + t.Ahead.Microseconds())
			}
		}
	default:
		return
	}
	s.save(slot, st, &t.Rule)
}
