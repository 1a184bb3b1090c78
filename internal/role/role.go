// Package role is the roles of a configuration: who is also whom.
//
// A role is also each role that it includes, and each that is as high as it on
// the ladder of levels, or lower; and all that those are, in turn. A role without
// a level is nobody's by level. Includes have no cycles and do not lead up the
// ladder. What they make is closed when it is built: asking costs a look-up and
// a bit.
package role

import "slices"

// Set is the roles. It never changes. The nil and the zero Set have none, so
// that nobody is anything.
type Set struct {
	names  []string // by bit, in the order of the file
	levels []int
	bits   map[string]int
	also   []Mask // by bit: the role itself, and all that it also is
}

// Len returns how many roles there are.
func (s *Set) Len() int { return len(s.Names()) }

// Names returns the names in the order of the file. The slice must not be
// changed.
func (s *Set) Names() []string {
	if s == nil {
		return nil
	}
	return s.names
}

// Known tells whether a role is configured.
func (s *Set) Known(name string) bool {
	_, ok := s.Bit(name)
	return ok
}

// Bit returns the place of a role in every Mask of the Set. It does not
// allocate.
func (s *Set) Bit(name string) (bit int, ok bool) {
	if s == nil {
		return 0, false
	}
	bit, ok = s.bits[name]
	return bit, ok
}

// Level returns the place of a role on the ladder, 0 when it has none or is
// not configured.
func (s *Set) Level(name string) int {
	if bit, ok := s.Bit(name); ok {
		return s.levels[bit]
	}
	return 0
}

// Closure returns the names of all that a role also is, sorted, without the
// role itself. The slice is the caller's.
func (s *Set) Closure(name string) []string {
	bit, ok := s.Bit(name)
	if !ok {
		return nil
	}
	var names []string
	for i, n := range s.names {
		if i != bit && s.also[bit].Has(i) {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	return names
}

// Exactly returns the roles of these names. A name that is not configured adds
// nothing.
func (s *Set) Exactly(names ...string) Mask {
	m := newMask(s.Len())
	for _, name := range names {
		if bit, ok := s.Bit(name); ok {
			m.add(bit)
		}
	}
	return m
}

// AtLeast returns the roles that are one of these names, or also are one of
// them. A name that is not configured adds nothing.
func (s *Set) AtLeast(names ...string) Mask {
	wanted, m := s.Exactly(names...), newMask(s.Len())
	for bit := range s.Len() {
		if s.also[bit].meets(wanted) {
			m.add(bit)
		}
	}
	return m
}

// Mask is some roles of a Set, a bit for each. The nil Mask is none.
type Mask []uint64

func newMask(n int) Mask { return make(Mask, (n+63)/64) }

// Has tells whether the role with that bit is among them.
func (m Mask) Has(bit int) bool {
	word := uint(bit) / 64
	return word < uint(len(m)) && m[word]>>(uint(bit)%64)&1 == 1
}

func (m Mask) add(bit int) { m[bit/64] |= 1 << (bit % 64) }

// meets tells whether the two have a role in common.
func (m Mask) meets(other Mask) bool {
	for i := range min(len(m), len(other)) {
		if m[i]&other[i] != 0 {
			return true
		}
	}
	return false
}
