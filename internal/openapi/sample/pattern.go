package sample

import (
	"regexp"
	"regexp/syntax"
	"strings"
	"unicode"
	"unicode/utf8"
)

// How much is tried to find a text for a pattern.
const (
	maxMatchLength = 4096 // bytes of one text
	maxAlternates  = 12
	maxLengthening = 300
)

// matching looks for the nth text that a pattern matches and that also fits otherwise: the
// shortest first, then with more repetitions, then with other alternatives.
func (t *texts) matching(re *regexp.Regexp, nth int) (string, bool) {
	tree, err := syntax.Parse(re.String(), syntax.Perl)
	if err != nil {
		return "", false
	}
	tree = tree.Simplify()
	for alternate := range maxAlternates {
		last := ""
		for extra := range max(4, min(t.least, maxLengthening)+1) {
			e := expander{extra: extra, choice: nth + alternate}
			e.write(tree)
			s := e.out.String()
			if e.failed || extra > 0 && s == last {
				break
			}
			last = s
			if t.fits(s) {
				return s, true
			}
			if missing := t.least - utf8.RuneCountInString(s); missing > 0 { // where the pattern has no end
				pad := strings.Repeat("a", missing)
				if t.fits(s + pad) {
					return s + pad, true
				}
				if t.fits(pad + s) {
					return pad + s, true
				}
			}
		}
	}
	return "", false
}

// expander writes a text that a pattern matches, but for what stands around it.
type expander struct {
	out strings.Builder
	// extra is how often more than necessary everything is repeated. choice is a number
	// whose digits, in the base of each choice, say what is taken.
	extra, choice int
	failed        bool
}

// digit takes one of n possibilities.
func (e *expander) digit(n int) int {
	d := e.choice % n
	e.choice /= n
	return d
}

func (e *expander) write(re *syntax.Regexp) {
	if e.out.Len() > maxMatchLength {
		e.failed = true
	}
	if e.failed {
		return
	}
	switch re.Op {
	case syntax.OpLiteral:
		e.out.WriteString(string(re.Rune))
	case syntax.OpCharClass:
		e.class(re.Rune)
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		e.class([]rune{' ', '~'})
	case syntax.OpCapture, syntax.OpConcat:
		for _, sub := range re.Sub {
			e.write(sub)
		}
	case syntax.OpAlternate:
		e.write(re.Sub[e.digit(len(re.Sub))])
	case syntax.OpStar:
		e.repeat(re.Sub[0], 0, -1)
	case syntax.OpPlus:
		e.repeat(re.Sub[0], 1, -1)
	case syntax.OpQuest:
		e.repeat(re.Sub[0], 0, 1)
	case syntax.OpRepeat:
		e.repeat(re.Sub[0], re.Min, re.Max)
	case syntax.OpNoMatch:
		e.failed = true
	}
}

func (e *expander) repeat(re *syntax.Regexp, least, most int) {
	n := least + e.extra
	if most >= 0 {
		n = min(n, most)
	}
	for range n {
		e.write(re)
	}
}

// liked are the characters that are taken first.
const liked = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_. "

// class writes a character of a class, given as pairs of first and last.
func (e *expander) class(pairs []rune) {
	in := func(r rune) bool {
		for i := 0; i+1 < len(pairs); i += 2 {
			if r >= pairs[i] && r <= pairs[i+1] {
				return true
			}
		}
		return false
	}
	var good []rune
	for _, r := range liked {
		if in(r) {
			good = append(good, r)
		}
	}
	if len(good) == 0 {
		for i := 0; i+1 < len(pairs) && len(good) == 0; i += 2 {
			if r := pairs[i]; utf8.ValidRune(r) && (unicode.IsPrint(r) || pairs[i] == pairs[i+1]) {
				good = append(good, r)
			} else if utf8.ValidRune(pairs[i+1]) {
				good = append(good, pairs[i+1])
			}
		}
	}
	if len(good) == 0 {
		e.failed = true
		return
	}
	e.out.WriteRune(good[e.digit(len(good))])
}

// nameFor returns the nth name of a property that a pattern matches.
func nameFor(pattern string, nth int) (string, bool) {
	re, err := regexp.Compile(pattern)
	if err != nil {
		return "", false
	}
	t := texts{most: -1, patterns: []*regexp.Regexp{re}}
	return t.matching(re, nth)
}
