package memory

import (
	"encoding/binary"
	"math"

	"yett/internal/store"
)

// Times are in whole microseconds since the Store was made, and may be before that.

// stamp is a time in 48 bits, of about 2 years before to 6 years after the Store was
// made. What is beyond counts as the first or last of them.
type stamp [6]byte

const (
	bias      = 1 << 46
	lastStamp = 1<<48 - 1
)

func (s *stamp) set(t int64) {
	v := uint64(min(max(t+bias, 0), lastStamp))
	binary.LittleEndian.PutUint32(s[:4], uint32(v))
	binary.LittleEndian.PutUint16(s[4:], uint16(v>>32))
}

func (s *stamp) time() int64 {
	return int64(binary.LittleEndian.Uint32(s[:4])) + int64(binary.LittleEndian.Uint16(s[4:]))<<32 - bias
}

// entry is a number that was spent up to a time. It is written without gaps, so that
// three fit into a record.
type entry struct {
	last stamp
	n    [4]byte
}

func (e *entry) set(last int64, n uint32) {
	e.last.set(last)
	binary.LittleEndian.PutUint32(e.n[:], n)
}

func (e *entry) count() int64 { return int64(binary.LittleEndian.Uint32(e.n[:])) }

// add counts n more, and returns how much of it there was room for. Four times the
// highest limit fits.
func (e *entry) add(n int64) int64 {
	old := e.count()
	sum := min(old+min(n, math.MaxUint32), math.MaxUint32)
	binary.LittleEndian.PutUint32(e.n[:], uint32(sum))
	return sum - old
}

const (
	// inline is how many entries a record holds itself, maxEntries how many a block.
	inline     = 3
	maxEntries = 64
)

// block holds the entries of a record that has more than inline.
type block [maxEntries]entry

// record is what is counted under a key: a cache line.
type record struct {
	id id
	// first is when the newest entry began, when a fixed window began, or when a
	// bucket was last looked at.
	first stamp
	// end is when nothing counts any more.
	end stamp
	// share is how much of the limit was used when it was counted last: all of it is
	// math.MaxUint16.
	share uint16
	// kind is 0 in a record that is not used, and the algorithm + 1 otherwise.
	kind uint8
	// n is how many entries there are, head is where the first is in their ring.
	n, head uint8
	// dumped tells that it is as Dump has written it.
	dumped bool
	// slots are the entries, when they are not more than inline. See the methods for
	// what is there otherwise.
	slots [inline]entry
}

// hasBlock tells whether the entries are in a block.
func (r *record) hasBlock() bool { return r.kind == uint8(store.SlidingWindow)+1 && r.n > inline }

// block is which block has the entries, and total what they sum up to.
func (r *record) block() uint32     { return binary.LittleEndian.Uint32(r.slots[0].n[:]) }
func (r *record) setBlock(i uint32) { binary.LittleEndian.PutUint32(r.slots[0].n[:], i) }
func (r *record) total() int64      { return r.slots[1].last.time() }
func (r *record) setTotal(n int64)  { r.slots[1].last.set(n) }

// number is the count of a fixed window, or the bits of what is spent of a bucket.
func (r *record) number() uint64 {
	return uint64(binary.LittleEndian.Uint32(r.slots[0].n[:])) | uint64(binary.LittleEndian.Uint32(r.slots[1].n[:]))<<32
}

func (r *record) setNumber(v uint64) {
	binary.LittleEndian.PutUint32(r.slots[0].n[:], uint32(v))
	binary.LittleEndian.PutUint32(r.slots[1].n[:], uint32(v>>32))
}
