package role

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"yett/internal/config"
	"yett/internal/problem"
)

// Compile checks the roles. Paths of problems begin with "roles". Where there
// are problems the Set knows all names and levels and nothing else, so that
// whoever asks for a role does not report the same mistake again.
func Compile(c config.Mapping[config.Role]) (*Set, problem.List) {
	b := newBuilder(c)
	for _, e := range c {
		b.checkName(e.Name)
	}
	b.resolve()
	b.checkCycles()
	b.checkLadder()
	if len(b.problems) == 0 {
		b.close()
	}
	return b.set, b.problems
}

// include is one include of a role.
type include struct {
	to int // the bit of the role that is included
	at int // its place in the list
}

type builder struct {
	conf     config.Mapping[config.Role]
	set      *Set
	includes [][]include // by bit, those that make sense
	cyclic   Mask        // roles of a cycle that was reported
	problems problem.List
}

func newBuilder(c config.Mapping[config.Role]) *builder {
	b := &builder{
		conf: c, includes: make([][]include, len(c)), cyclic: newMask(len(c)),
		set: &Set{names: c.Names(), levels: make([]int, len(c)), bits: make(map[string]int, len(c)), also: make([]Mask, len(c))},
	}
	for i, e := range c {
		b.set.levels[i] = e.Value.Level
		b.set.bits[e.Name] = i
	}
	return b
}

// name returns the name of a bit.
func (b *builder) name(bit int) string { return b.set.names[bit] }

// chain writes roles as a message shows how one leads to the next.
func (b *builder) chain(bits []int) string {
	names := make([]string, len(bits))
	for i, bit := range bits {
		names[i] = b.name(bit)
	}
	return strings.Join(names, " -> ")
}

// failInclude reports a problem with an include.
func (b *builder) failInclude(of, at int, what, hint string) {
	b.problems.Add(fmt.Sprintf("roles.%s.includes[%d]", b.name(of), at), what, hint)
}

// checkName refuses what could not be told from two names where a caller's
// roles are shown in a header, with commas between.
func (b *builder) checkName(name string) {
	wrong := func(r rune) bool { return r == ',' || unicode.IsSpace(r) || unicode.IsControl(r) }
	if name == "" || strings.ContainsFunc(name, wrong) {
		b.problems.Addf("roles."+name, "a name has no blank, comma or control character, and is not empty",
			"%q can't be the name of a role", name)
	}
}

// resolve finds the roles that are included.
func (b *builder) resolve() {
	for bit, e := range b.conf {
		for at, name := range e.Value.Includes {
			to, ok := b.set.bits[name]
			switch {
			case !ok:
				b.failInclude(bit, at, fmt.Sprintf("there is no role %q", name), problem.DidYouMean(name, b.others(bit)))
			case to == bit:
				b.failInclude(bit, at, name+" includes itself", "remove it: every role is itself")
			default:
				b.includes[bit] = append(b.includes[bit], include{to, at})
			}
		}
	}
}

// others returns all names but one.
func (b *builder) others(bit int) []string {
	return slices.Delete(slices.Clone(b.set.names), bit, bit+1)
}

// checkCycles reports roles that include each other.
func (b *builder) checkCycles() {
	w := walk{builder: b, done: newMask(len(b.conf)), step: make([]int, len(b.conf))}
	for bit := range b.conf {
		w.visit(bit)
	}
}

// walk follows includes in depth.
type walk struct {
	*builder
	path []int // from where the walk began
	step []int // by bit: its place in path, counted from 1; 0 when it isn't there
	done Mask
}

func (w *walk) visit(bit int) {
	if w.done.Has(bit) {
		return
	}
	w.path = append(w.path, bit)
	w.step[bit] = len(w.path)
	for _, inc := range w.includes[bit] {
		if first := w.step[inc.to]; first > 0 {
			w.reportCycle(w.path[first-1:], inc)
		} else {
			w.visit(inc.to)
		}
	}
	w.path = w.path[:len(w.path)-1]
	w.step[bit] = 0
	w.done.add(bit)
}

// reportCycle reports the cycle that an include of its last role closes.
func (w *walk) reportCycle(cycle []int, closing include) {
	for _, bit := range cycle {
		w.cyclic.add(bit)
	}
	last := cycle[len(cycle)-1]
	w.failInclude(last, closing.at, "roles include each other: "+w.chain(append(slices.Clone(cycle), closing.to)),
		"remove one of these includes, or make them one role")
}

// checkLadder reports roles that include one above themselves on the ladder,
// themselves or through roles without a level: that one is also this one by its
// level, so both would be the same, and so would be all between them. One on the
// same level is the same anyway, but what has no level must not become it.
func (b *builder) checkLadder() {
	for bit, level := range b.set.levels {
		if level >= 1 && !b.cyclic.Has(bit) {
			c := climb{builder: b, level: level, seen: newMask(len(b.conf))}
			c.from(bit)
		}
	}
}

// climb looks for roles above a level behind the includes of one role.
type climb struct {
	*builder
	level int
	path  []int
	first int // the place of the include with which the path begins
	seen  Mask
}

func (c *climb) from(bit int) {
	c.path = append(c.path, bit)
	for _, inc := range c.includes[bit] {
		if len(c.path) == 1 {
			c.first = inc.at
		}
		if c.seen.Has(inc.to) {
			continue
		}
		c.seen.add(inc.to)
		switch level := c.set.levels[inc.to]; {
		case level > c.level, level == c.level && len(c.path) > 1:
			c.report(inc.to)
		case level == 0:
			c.from(inc.to)
		}
	}
	c.path = c.path[:len(c.path)-1]
}

func (c *climb) report(above int) {
	low, high := c.name(c.path[0]), c.name(above)
	c.failInclude(c.path[0], c.first,
		fmt.Sprintf("%s has level %d and would be %s with level %d, which is %s by its level: %s",
			low, c.level, high, c.set.levels[above], low, c.chain(append(slices.Clone(c.path), above, c.path[0]))),
		"remove the include, or change a level")
}

// close works out what each role also is.
func (b *builder) close() {
	var ladder []int // the roles that have a level, lowest first
	for bit, level := range b.set.levels {
		if level >= 1 {
			ladder = append(ladder, bit)
		}
	}
	slices.SortStableFunc(ladder, func(x, y int) int { return cmp.Compare(b.set.levels[x], b.set.levels[y]) })
	for bit := range b.conf {
		b.set.also[bit] = b.reach(bit, ladder)
	}
}

// reach returns a role and all that it also is.
func (b *builder) reach(bit int, ladder []int) Mask {
	m := newMask(len(b.conf))
	m.add(bit)
	next := []int{bit}
	meet := func(other int) {
		if !m.Has(other) {
			m.add(other)
			next = append(next, other)
		}
	}
	climbed := 0 // how much of the ladder is met
	for len(next) > 0 {
		at := next[len(next)-1]
		next = next[:len(next)-1]
		for _, inc := range b.includes[at] {
			meet(inc.to)
		}
		for climbed < len(ladder) && b.set.levels[ladder[climbed]] <= b.set.levels[at] {
			meet(ladder[climbed])
			climbed++
		}
	}
	return m
}
