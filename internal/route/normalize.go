package route

import (
	"bytes"
	"strings"

	"yett/internal/exchange"
)

// Sets of bytes as two words, for bytes below 64 and below 128. No byte from
// 0x80 is in any of them.
const (
	unreservedLow  uint64 = 0x3ff<<'0' | 1<<'-' | 1<<'.'
	unreservedHigh uint64 = 0x3ffffff<<('A'-64) | 0x3ffffff<<('a'-64) | 1<<('_'-64) | 1<<('~'-64)

	segmentLow uint64 = unreservedLow | 1<<'!' | 1<<'$' | 1<<'&' | 1<<'\'' | 1<<'(' | 1<<')' |
		1<<'*' | 1<<'+' | 1<<',' | 1<<';' | 1<<'=' | 1<<':'
	segmentHigh uint64 = unreservedHigh | 1<<('@'-64)
)

func inSet(low, high uint64, c byte) bool {
	if c < 64 {
		return low>>c&1 == 1
	}
	return c < 128 && high>>(c-64)&1 == 1
}

// isUnreserved takes what means the same with and without percent-encoding
// (RFC 3986 section 2.3).
func isUnreserved(c byte) bool { return inSet(unreservedLow, unreservedHigh, c) }

// isSegment takes what may stand in a segment as it is: pchar without '%'
// (RFC 3986 section 3.3).
func isSegment(c byte) bool { return inSet(segmentLow, segmentHigh, c) }

// Normalize sets x.Path to the normal form of x.RawPath, and EncodedSlash and
// EncodedNUL to whether that holds %2F or %00. It returns BadPath when there
// is no normal form. The normal form (RFC 3986 sections 6.2.2 and 5.2.4) has
// no dot segments and no doubled slashes; unreserved characters are decoded,
// all else that can't stand in a path is percent-encoded in upper case, and
// reserved characters stay as they came.
//
// Beside broken percent-encoding and paths that leave the root it refuses what
// services are known to read in more than one way: raw backslashes, blanks and
// control characters, and dot segments behind an encoded slash or backslash or
// before a semicolon ("..%2F", "..%5C", "/..;/").
//
// x.Path is x.RawPath itself when that is normal, else memory of x that is
// valid until Release. The asterisk form is its own normal form.
func Normalize(x *exchange.Exchange) *exchange.Reason {
	raw := x.RawPath
	x.EncodedSlash, x.EncodedNUL = false, false
	if isPlain(raw) || raw == "*" {
		x.Path = raw
		return nil
	}
	normal, ok := appendNormal(x.Bytes(maxNormal(raw))[:0], raw)
	if !ok {
		x.Path = ""
		return exchange.BadPath
	}
	x.Path = exchange.View(normal)
	if x.Path == raw {
		x.Path = raw
	}
	x.EncodedSlash = strings.Contains(x.Path, "%2F")
	x.EncodedNUL = strings.Contains(x.Path, "%00")
	return nil
}

// What a byte of a path is to isPlain, 0 for one that is never normal as it is.
const (
	plainByte = iota + 1
	slashByte
	dotByte
)

// kinds has that for each byte.
var kinds = func() (set [256]uint8) {
	for c := range set {
		if isSegment(byte(c)) {
			set[c] = plainByte
		}
	}
	set['/'], set['.'] = slashByte, dotByte
	return set
}()

// isPlain tells whether raw surely is normal: no segment is empty, or begins with a dot. A false
// answer means nothing.
func isPlain(raw string) bool {
	if raw == "" || raw[0] != '/' {
		return false
	}
	before := uint8(slashByte)
	for i := 1; i < len(raw); i++ {
		kind := kinds[raw[i]]
		if kind == 0 || before == slashByte && kind != plainByte {
			return false
		}
		before = kind
	}
	return true
}

// maxNormal returns how long the normal form of raw can be.
func maxNormal(raw string) int {
	n := len(raw)
	for i := range len(raw) {
		if !isSegment(raw[i]) {
			n += 2
		}
	}
	return n
}

// appendNormal appends the normal form of raw to dst, which must be empty.
func appendNormal(dst []byte, raw string) ([]byte, bool) {
	if raw == "" || raw[0] != '/' {
		return nil, false
	}
	n := normalizer{out: append(dst, '/'), start: 1}
	for i := 1; i < len(raw); i++ {
		c, ok := raw[i], true
		switch {
		case isSegment(c):
			n.out = append(n.out, c)
		case c == '/':
			ok = n.slash()
		case c == '%':
			if c, ok = unhex(raw[i:]); ok {
				n.escaped(c)
			}
			i += 2
		default:
			ok = n.encode(c)
		}
		if !ok {
			return nil, false
		}
	}
	return n.out, n.endSegment()
}

// normalizer holds the normal form so far. out always starts with a slash;
// start is where its last segment begins.
type normalizer struct {
	out   []byte
	start int
}

func (n *normalizer) escaped(c byte) {
	if isUnreserved(c) {
		n.out = append(n.out, c)
		return
	}
	n.out = appendEscape(n.out, c)
}

// encode takes a raw byte that can't stand in a path: refused where it would
// end a path or could be read as something else, percent-encoded otherwise.
func (n *normalizer) encode(c byte) bool {
	if c <= ' ' || c == 0x7f || c == '\\' || c == '?' || c == '#' {
		return false
	}
	n.out = appendEscape(n.out, c)
	return true
}

func (n *normalizer) slash() bool {
	if !n.endSegment() {
		return false
	}
	if len(n.out) > n.start {
		n.out = append(n.out, '/')
		n.start = len(n.out)
	}
	return true
}

// endSegment carries the last segment out if it is a dot segment.
func (n *normalizer) endSegment() bool {
	segment := n.out[n.start:]
	switch {
	case !isDots(segment):
		return !hidesDots(segment)
	case len(segment) == 2 && n.start == 1:
		return false
	case len(segment) == 2:
		n.start = 1 + bytes.LastIndexByte(n.out[:n.start-1], '/')
	}
	n.out = n.out[:n.start]
	return true
}

func isDots(segment []byte) bool {
	return string(segment) == "." || string(segment) == ".."
}

// hidesDots tells whether a service that takes %2F or %5C for a separator, or
// cuts parameters off at a semicolon, would find a dot segment in here.
func hidesDots(segment []byte) bool {
	for len(segment) > 0 {
		part, rest := cutEncoded(segment)
		name, _, _ := bytes.Cut(part, []byte(";"))
		if isDots(name) {
			return true
		}
		segment = rest
	}
	return false
}

// cutEncoded splits off what comes before the first %2F or %5C.
func cutEncoded(segment []byte) (part, rest []byte) {
	for i := 0; i+2 < len(segment); i++ {
		if e := string(segment[i : i+3]); e == "%2F" || e == "%5C" {
			return segment[:i], segment[i+3:]
		}
	}
	return segment, nil
}

// matchForm returns the normal form with reserved characters decoded where
// they may stand in a segment as they are. Services differ in whether "%40me"
// is "@me", so a route for one has to match the other; what is forwarded keeps
// the difference. The result has as many slashes as path, and is path itself
// or memory of x.
func matchForm(x *exchange.Exchange, path string) string {
	if strings.IndexByte(path, '%') < 0 {
		return path
	}
	return exchange.View(appendMatchForm(x.Bytes(len(path))[:0], path))
}

func appendMatchForm(dst []byte, path string) []byte {
	for i := 0; i < len(path); i++ {
		if path[i] == '%' {
			if c, ok := unhex(path[i:]); ok && isSegment(c) {
				dst = append(dst, c)
				i += 2
				continue
			}
		}
		dst = append(dst, path[i])
	}
	return dst
}

// unescape decodes all percent-encoding of s, which is s itself or memory
// of x.
func unescape(x *exchange.Exchange, s string) string {
	if strings.IndexByte(s, '%') < 0 {
		return s
	}
	out := x.Bytes(len(s))[:0]
	for i := 0; i < len(s); i++ {
		c := s[i]
		if d, ok := unhex(s[i:]); ok {
			c = d
			i += 2
		}
		out = append(out, c)
	}
	return exchange.View(out)
}

// unhex decodes the percent-encoded byte at the start of s, if there is one.
func unhex(s string) (byte, bool) {
	if len(s) < 3 || s[0] != '%' {
		return 0, false
	}
	high, ok1 := hexDigit(s[1])
	low, ok2 := hexDigit(s[2])
	return high<<4 | low, ok1 && ok2
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return c | 0x20 - 'a' + 10, true
	}
	return 0, false
}

func appendEscape(dst []byte, c byte) []byte {
	const digits = "0123456789ABCDEF"
	return append(dst, '%', digits[c>>4], digits[c&15])
}
