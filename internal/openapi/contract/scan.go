package contract

import "unicode/utf8"

// maxDepth is how many arrays and objects of a body may stand inside each other.
const maxDepth = 100

// Numbers that are written with more bytes, or a larger exponent, are not looked at:
// reckoning with them exactly would take a caller's word for how much to work.
const (
	maxNumber   = 400
	maxExponent = 400
)

// isSpace takes what may stand between the tokens of JSON.
func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\t' || c == '\r' }

func skipSpace(s string, i int) int {
	for i < len(s) && isSpace(s[i]) {
		i++
	}
	return i
}

// span is a string as it stands in JSON, between its quotes.
type span struct {
	raw   string
	runes int // characters, of what it stands for
	// escaped tells that raw is not what it stands for.
	escaped bool
}

// Faults of strings and numbers.
const (
	faultNone = ""
	faultEnd  = "ends in the middle of a text"
	faultByte = "has a control character in a text"
	faultUTF8 = "is not UTF-8"
	faultEsc  = "has a wrong escape in a text"
	faultHalf = "has half of a surrogate pair in a text"
)

// plainText has the bytes that stand in a string as they are.
var plainText = func() (set [256]bool) {
	for c := ' '; c < utf8.RuneSelf; c++ {
		set[c] = c != '"' && c != '\\'
	}
	return set
}()

// scanString reads the string whose opening quote is at i. It returns where it ends, or
// the place of a fault.
func scanString(s string, i int) (text span, end int, fault string) {
	i++
	start := i
	for i < len(s) {
		c := s[i]
		switch {
		case plainText[c]:
			i++
			text.runes++
		case c == '"':
			text.raw = s[start:i]
			return text, i + 1, faultNone
		case c == '\\':
			n, fault := scanEscape(s[i:])
			if fault != faultNone {
				return text, i, fault
			}
			i += n
			text.runes++
			text.escaped = true
		case c < utf8.RuneSelf:
			return text, i, faultByte
		default:
			r, n := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && n == 1 {
				return text, i, faultUTF8
			}
			i += n
			text.runes++
		}
	}
	return text, i, faultEnd
}

// scanEscape returns the length of the escape at the front of s, which is one character: a
// pair of surrogates counts as one, and half of one as a fault.
func scanEscape(s string) (n int, fault string) {
	if len(s) < 2 {
		return 0, faultEnd
	}
	if s[1] != 'u' {
		switch s[1] {
		case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			return 2, faultNone
		}
		return 0, faultEsc
	}
	r, ok := unicodeEscape(s)
	switch {
	case !ok:
		return 0, faultEsc
	case r < 0xd800 || r > 0xdfff:
		return 6, faultNone
	}
	low, ok := unicodeEscape(s[6:])
	if r > 0xdbff || !ok || low < 0xdc00 || low > 0xdfff {
		return 0, faultHalf
	}
	return 12, faultNone
}

// unicodeEscape reads \uXXXX at the front of s.
func unicodeEscape(s string) (r rune, ok bool) {
	if len(s) < 6 || s[0] != '\\' || s[1] != 'u' {
		return 0, false
	}
	for i := 2; i < 6; i++ {
		d, ok := hexDigit(s[i])
		if !ok {
			return 0, false
		}
		r = r<<4 | rune(d)
	}
	return r, true
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

// scanNumber returns where the number that starts at i ends, and whether it has an
// exponent; ok is false where there is none by the grammar of JSON.
func scanNumber(s string, i int) (end int, exponent, ok bool) {
	if i < len(s) && s[i] == '-' {
		i++
	}
	switch {
	case i < len(s) && s[i] == '0':
		i++
	default:
		n := digits(s, i)
		if n == i {
			return i, false, false
		}
		i = n
	}
	if i < len(s) && s[i] == '.' {
		n := digits(s, i+1)
		if n == i+1 {
			return n, false, false
		}
		i = n
	}
	if i < len(s) && s[i]|0x20 == 'e' {
		i++
		if i < len(s) && (s[i] == '+' || s[i] == '-') {
			i++
		}
		n := digits(s, i)
		return n, true, n > i
	}
	return i, false, true
}

func digits(s string, i int) int {
	for i < len(s) && '0' <= s[i] && s[i] <= '9' {
		i++
	}
	return i
}

// isNumber tells whether a text is a number as JSON writes it.
func isNumber(s string) bool {
	end, _, ok := scanNumber(s, 0)
	return ok && end == len(s)
}

// countable tells whether a number is small enough to reckon with: see maxNumber.
func countable(lit string) bool {
	if len(lit) > maxNumber {
		return false
	}
	for i := range len(lit) {
		if lit[i]|0x20 == 'e' {
			n := 0
			for _, c := range []byte(lit[i+1:]) {
				if '0' <= c && c <= '9' && n <= maxExponent {
					n = 10*n + int(c-'0')
				}
			}
			return n <= maxExponent
		}
	}
	return true
}
