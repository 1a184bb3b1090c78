package contract

import (
	"errors"
	"regexp"
	"regexp/syntax"
	"slices"
)

// pattern is a regular expression, and what it costs to look for it.
type pattern struct {
	re *regexp.Regexp
	// steps are taken for each byte of a text, at most. Looking for a pattern takes time in
	// proportion to its length as well as to that of the text, but for those of which each
	// character of the text can only be in one place.
	steps int
}

// maxSteps is how long a pattern may be: its repetitions written out, in characters and
// operators, about. Longer ones are not compiled.
const maxSteps = 10_000

// maxEffort is how many steps may be taken for all patterns and texts of one message, which
// is about a tenth of a second. It lets a pattern of twelve characters see 250 KB, and most of
// those that begin with ^ and end with $ see 3 MB.
const maxEffort = 3_000_000

// effort is how many steps it takes at most to look for the pattern in a text of n bytes.
func (p *pattern) effort(n int) int {
	if p == nil {
		return 0
	}
	return min(p.steps*(n+1), maxEffort+1)
}

// compilePattern compiles a pattern of RE2. what is why it can't be checked.
func compilePattern(text string) (p *pattern, what string) {
	tree, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return nil, err.Error() + hintOf(err)
	}
	p = &pattern{steps: length(tree)}
	if p.steps > maxSteps {
		return nil, "it is too long with its repetitions written out"
	}
	if p.re, err = regexp.Compile(text); err != nil {
		return nil, err.Error()
	}
	if prog, err := syntax.Compile(tree.Simplify()); err == nil && oneWay(prog) {
		p.steps = 1
	}
	return p, ""
}

// hintOf says more of what RE2 does not have.
func hintOf(err error) string {
	fault, ok := errors.AsType[*syntax.Error](err)
	if ok && (fault.Code == syntax.ErrInvalidPerlOp || fault.Code == syntax.ErrInvalidEscape) {
		return "; lookaround and references back have no place in RE2"
	}
	return ""
}

// length is how many characters and operators a pattern has with its repetitions written out,
// up to a number above maxSteps.
func length(tree *syntax.Regexp) int {
	n := 1
	switch tree.Op {
	case syntax.OpLiteral:
		n = len(tree.Rune)
	case syntax.OpAlternate:
		n = len(tree.Sub)
	}
	for _, sub := range tree.Sub {
		n += min(length(sub), maxSteps+1)
	}
	if tree.Op == syntax.OpRepeat {
		n *= max(tree.Min+1, tree.Max)
	}
	return min(n, maxSteps+1)
}

// oneWay tells whether each character of a text can only be in one place of a pattern that
// begins with the text, so that looking for it takes one step for each. It may miss some.
func oneWay(prog *syntax.Prog) bool {
	start := prog.Inst[prog.Start]
	if len(prog.Inst) > 1000 || start.Op != syntax.InstEmptyWidth || syntax.EmptyOp(start.Arg)&syntax.EmptyBeginText == 0 {
		return false
	}
	for i := range prog.Inst {
		inst := &prog.Inst[i]
		if inst.Op != syntax.InstAlt && inst.Op != syntax.InstAltMatch {
			continue
		}
		var left, right ways
		if !left.follow(prog, inst.Out) || !right.follow(prog, inst.Arg) || left.meets(&right) {
			return false
		}
	}
	return true
}

// ways are the characters that can be next from a place of a pattern.
type ways struct {
	seen   []uint32
	ranges [][2]rune
}

// maxWays is how many places are looked at from one on.
const maxWays = 200

// follow adds what can be next from a place. It returns false when that can't be told.
func (w *ways) follow(prog *syntax.Prog, at uint32) bool {
	if slices.Contains(w.seen, at) {
		return true
	}
	if w.seen = append(w.seen, at); len(w.seen) > maxWays {
		return false
	}
	inst := &prog.Inst[at]
	switch inst.Op {
	case syntax.InstAlt, syntax.InstAltMatch:
		return w.follow(prog, inst.Out) && w.follow(prog, inst.Arg)
	case syntax.InstCapture, syntax.InstNop, syntax.InstEmptyWidth:
		return w.follow(prog, inst.Out)
	case syntax.InstRune1:
		w.ranges = append(w.ranges, [2]rune{inst.Rune[0], inst.Rune[0]})
	case syntax.InstRune:
		if len(inst.Rune)%2 == 1 || syntax.Flags(inst.Arg)&syntax.FoldCase != 0 {
			return false // one rune, and those that differ from it in case
		}
		for i := 0; i < len(inst.Rune); i += 2 {
			w.ranges = append(w.ranges, [2]rune{inst.Rune[i], inst.Rune[i+1]})
		}
	case syntax.InstRuneAny, syntax.InstRuneAnyNotNL:
		w.ranges = append(w.ranges, [2]rune{0, 0x10ffff})
	}
	return true
}

// meets tells whether two ways have a character in common, or too many to tell.
func (w *ways) meets(other *ways) bool {
	if len(w.ranges)*len(other.ranges) > maxSteps {
		return true
	}
	for _, a := range w.ranges {
		for _, b := range other.ranges {
			if a[0] <= b[1] && b[0] <= a[1] {
				return true
			}
		}
	}
	return false
}
