package contract

import (
	"hash/maphash"
	"strconv"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// walker finds what is wrong with a text of JSON, which skimJSON has taken, in pieces. It goes
// into arrays and objects itself as long as their schemas say nothing but what it knows: types,
// items, properties, what is required, and how many there may be. All else is a piece: good
// ones pass by the quick path, and only of the others values are made for the library, so that
// a large body with few faults takes little memory. It stops when enough is found.
type walker struct {
	check *check
	f     findings // by itself, so that those of the caller stay where they are
	src   string
	pos   int
	path  []step
	// left is how many bytes may still be read, about: what several schemas are about is read
	// again.
	left int
	done bool
	q    quick
	// tried is the effort of patterns on the quick path, see maxEffort.
	tried int
	// seen are the properties that the objects which are open have, by depth.
	seen [][]uint64
}

// step is a step down into a value: an item by its index, or a member by its name.
type step struct {
	name  string
	index int // -1 for a member
}

func tokens(path []step) []string {
	list := make([]string, len(path))
	for i, s := range path {
		if list[i] = s.name; s.index >= 0 {
			list[i] = strconv.Itoa(s.index)
		}
	}
	return list
}

const tooLarge = "is too large, or has too many alternatives in each other, to be checked"

// walk finds what is wrong with a text that skimJSON has taken.
func (c *check) walk(src string, f *findings) {
	w := walker{check: c, f: *f, src: src, left: 4<<20 + 8*len(src)}
	w.value(c.schema)
	*f = w.f
}

// value goes over one value for a schema. Unless it is done, it has read all of it.
func (w *walker) value(s *schema) {
	w.pos = skipSpace(w.src, w.pos)
	if s == nil || s.passed {
		w.skip()
		return
	}
	k := kindString // or another one of those that have nothing in them
	switch w.src[w.pos] {
	case '[':
		k = kindArray
	case '{':
		k = kindObject
	}
	if w.left -= 8 + s.cost; w.left < 0 {
		w.stop(tooLarge)
		return
	}
	if k&containers != 0 && s.splits(k) {
		w.split(s, k)
		return
	}
	w.piece(s)
}

// splits tells whether a walker can go over an array or object by itself.
func (s *schema) splits(k kinds) bool {
	return !s.never && !s.unsure && s.rest == nil && s.dependents == nil && s.enums == nil &&
		(s.anyOf == nil || only(s.anyOf, k) != nil) && (s.oneOf == nil || only(s.oneOf, k) != nil)
}

// only returns the one of several alternatives that values of a kind can be, nil for none or
// more.
func only(list []*schema, k kinds) (one *schema) {
	for _, sub := range list {
		if sub.takes()&k == 0 {
			continue
		}
		if one != nil {
			return nil
		}
		one = sub
	}
	return one
}

// stop adds what ends the walk.
func (w *walker) stop(message string) {
	w.f.add(pointer(tokens(w.path)), message)
	w.done = true
}

// found adds what is wrong with the value where the walker is.
func (w *walker) found(k jsonschema.ErrorKind) {
	w.f.library(&jsonschema.ValidationError{InstanceLocation: tokens(w.path), ErrorKind: k})
	w.enough()
}

func (w *walker) enough() { w.done = w.done || len(w.f.list) >= MaxViolations || w.f.spent.over() }

// skip reads a value of which nothing is known.
func (w *walker) skip() {
	start := w.pos
	d := decoder{src: w.src, pos: start, skim: true, taken: true}
	d.value()
	w.pos = d.pos
	w.left -= w.pos - start
}

// split goes over an array or object for a schema and all that say more about it.
func (w *walker) split(s *schema, k kinds) {
	start := w.pos
	if s.types != 0 && s.types&k == 0 {
		w.found(&kind.Type{Got: kindName(k), Want: kindNames(s.types)})
		w.skip()
		return
	}
	switch {
	case k == kindArray && (s.arr != nil || s.unique):
		w.array(s.arr, s.unique)
	case k == kindObject && s.obj != nil:
		w.object(s.obj)
	case s.ref == nil && s.allOf == nil && s.anyOf == nil && s.oneOf == nil:
		w.skip()
	}
	w.again(s.ref, start)
	for _, sub := range s.allOf {
		w.again(sub, start)
	}
	w.again(only(s.anyOf, k), start)
	w.again(only(s.oneOf, k), start)
}

// again goes over the value at start for another schema, nil for none.
func (w *walker) again(s *schema, start int) {
	if s != nil && !w.done {
		w.pos = start
		w.value(s)
	}
}

// next tells whether there is another element, whose first byte it finds.
func (w *walker) next() bool {
	w.pos = skipSpace(w.src, w.pos)
	switch w.src[w.pos] {
	case ',':
		w.pos = skipSpace(w.src, w.pos+1)
		return true
	case ']', '}':
		w.pos++
		return false
	}
	return true
}

// inside goes over an element.
func (w *walker) inside(at step, s *schema) {
	w.path = append(w.path, at)
	w.value(s)
	w.path = w.path[:len(w.path)-1]
}

func (w *walker) array(rule *arrayRule, unique bool) {
	var items *schema
	if rule != nil {
		items = rule.items
	}
	var known *twins
	if unique {
		known = &twins{first: map[uint64]int{}, seed: maphash.MakeSeed()}
	}
	n := 0
	for w.pos++; !w.done && w.next(); n++ {
		start := w.pos
		w.inside(step{index: n}, items)
		if known != nil && !w.done {
			w.twin(known, start, n)
		}
	}
	switch {
	case w.done || rule == nil:
	case rule.min >= 0 && n < rule.min:
		w.found(&kind.MinItems{Got: n, Want: rule.min})
	case rule.max >= 0 && n > rule.max:
		w.found(&kind.MaxItems{Got: n, Want: rule.max})
	}
}

// twins has the first index of each item of an array, by a hash that no caller can foresee.
type twins struct {
	first map[uint64]int
	seed  maphash.Seed
	found bool
	text  []byte
}

// twin looks whether the item of number n, which is from start to where the walker is, has been
// there before, until one has.
func (w *walker) twin(known *twins, start, n int) {
	if known.found {
		return
	}
	w.left -= 4 * (w.pos - start)
	d := decoder{src: w.src, pos: start, room: roomFor(w.src), taken: true}
	v := d.value()
	if d.err != nil {
		w.stop(d.err.Message)
		return
	}
	known.text, _ = appendCanonical(known.text[:0], v, -1)
	hash := maphash.Bytes(known.seed, known.text)
	first, twice := known.first[hash]
	if !twice {
		known.first[hash] = n
		return
	}
	known.found = true
	w.found(&kind.UniqueItems{Duplicates: [2]int{first, n}})
}

func (w *walker) object(rule *objectRule) {
	seen := w.unseen(len(rule.props))
	n, hint, needed := 0, 0, 0
	for w.pos++; !w.done && w.next(); n++ {
		name := w.name()
		at := rule.find(name, hint)
		if at >= 0 {
			seen[at/64] |= 1 << (at % 64)
			hint = at + 1
			if rule.props[at].needed[w.check.mode] {
				needed++
			}
		}
		w.member(rule, at, name)
	}
	if !w.done && needed < rule.needed[w.check.mode] {
		w.missing(rule, seen)
	}
	switch {
	case w.done:
	case rule.min >= 0 && n < rule.min:
		w.found(&kind.MinProperties{Got: n, Want: rule.min})
	case rule.max >= 0 && n > rule.max:
		w.found(&kind.MaxProperties{Got: n, Want: rule.max})
	}
}

// unseen returns a set of n places at this depth, empty.
func (w *walker) unseen(n int) []uint64 {
	for len(w.seen) <= len(w.path) {
		w.seen = append(w.seen, nil)
	}
	words := (n + 63) / 64
	w.left -= words
	set := &w.seen[len(w.path)]
	if cap(*set) < words {
		*set = make([]uint64, words)
	}
	*set = (*set)[:words]
	clear(*set)
	return *set
}

// name reads the name of a member and the colon.
func (w *walker) name() string {
	text, end, _ := scanString(w.src, w.pos)
	w.pos = skipSpace(w.src, end) + 1
	if text.escaped {
		return unescapeText(text.raw)
	}
	return text.raw
}

func (w *walker) member(rule *objectRule, at int, name string) {
	more := rule.more
	switch {
	case at >= 0 && rule.props[at].schema != nil:
		more = rule.props[at].schema
	case rule.closed:
		w.found(&kind.AdditionalProperties{Properties: []string{name}})
		more = nil
	}
	if !w.done {
		w.inside(step{name, -1}, more)
	}
}

// missing adds the names that an object lacks, as far as they are told.
func (w *walker) missing(rule *objectRule, seen []uint64) {
	var names []string
	for i := range rule.props {
		p := &rule.props[i]
		if p.needed[w.check.mode] && seen[i/64]>>(i%64)&1 == 0 && len(names) < MaxViolations {
			names = append(names, p.name)
		}
	}
	w.found(&kind.Required{Missing: names})
}

// piece holds a value against a schema as a whole.
func (w *walker) piece(s *schema) {
	start, q := w.pos, &w.q
	*q = quick{src: w.src, pos: start, mode: w.check.mode, budget: min(w.left, 4096+8*len(w.src)), effort: w.tried}
	before := q.budget
	r := q.value(s)
	w.tried = q.effort
	w.left -= before - max(q.budget, 0) + max(q.pos-start, 0)
	if r == yes {
		w.pos = q.pos
		return
	}
	d := decoder{src: w.src, pos: start, room: roomFor(w.src), taken: true}
	v := d.value()
	if d.err != nil {
		w.stop(d.err.Message)
		return
	}
	w.pos = d.pos
	w.left -= 4 * (w.pos - start)
	base := w.f.base
	w.f.room = max(d.room, 1)
	w.f.base += pointer(tokens(w.path))
	w.check.library.part(s, w.check.mode).value(v, &w.f)
	w.f.base = base
	w.enough()
}

func kindName(k kinds) string { return kindNames(k)[0] }

// kindNames returns the names of types in the order of the library.
func kindNames(set kinds) (names []string) {
	for _, name := range []string{"null", "boolean", "number", "integer", "string", "array", "object"} {
		if k, _ := kindOf(name); set&k != 0 {
			names = append(names, name)
		}
	}
	return names
}
