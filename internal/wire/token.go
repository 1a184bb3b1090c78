package wire

import (
	"encoding/binary"
	"math/bits"
)

// isToken has a bit for each tchar (RFC 9110 section 5.6.2). Bytes from 0x80
// are never part of a token.
var isToken = setOf("!#$%&'*+-.^_`|~" + letters + digits)

const (
	letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	digits  = "0123456789"
)

func setOf(chars string) (set [256]bool) {
	for _, c := range []byte(chars) {
		set[c] = true
	}
	return set
}

// tokenLen returns how many of the first bytes are tchar.
func tokenLen(b []byte) int {
	for i, c := range b {
		if !isToken[c] {
			return i
		}
	}
	return len(b)
}

// ValidToken tells whether s is a token: a method or a field name (RFC 9110
// section 5.6.2).
func ValidToken(s string) bool {
	for i := range len(s) {
		if !isToken[s[i]] {
			return false
		}
	}
	return len(s) > 0
}

const (
	ones  = 0x0101010101010101
	lows  = 0x7f7f7f7f7f7f7f7f
	highs = 0x8080808080808080
)

// valueLen returns how many of the first bytes can be part of a field value:
// visible characters, blanks, tabs and bytes from 0x80 (RFC 9110 section 5.5).
// It takes 16 and then 8 bytes at a time, because values are most of what a
// header is.
func valueLen(b []byte) int {
	at := visiblePairs(b)
	for ; at <= len(b)-8; at += 8 {
		for m := ^visible(word(b, at)) & highs; m != 0; m &= m - 1 {
			if i := at + bits.TrailingZeros64(m)/8; b[i] != '\t' {
				return i
			}
		}
	}
	for at < len(b) && isValue(b[at]) {
		at++
	}
	return at
}

// visiblePairs returns the length of the pairs of words at the start of b that
// have visible bytes only, which is how values go on as a rule.
func visiblePairs(b []byte) int {
	at := 0
	for at <= len(b)-16 && visible(word(b, at))&visible(word(b, at+8))&highs == highs {
		at += 16
	}
	return at
}

func word(b []byte, at int) uint64 { return binary.LittleEndian.Uint64(b[at : at+8]) }

// visible has the high bit of each byte of v set that is neither below 0x20
// nor equal to 0x7f. The high bits are left out of the sums, so that none
// carries into the next byte.
func visible(v uint64) uint64 {
	next := v&lows + ones // 0x7f becomes 0x80, whose low bits are the least of all
	return next&lows + ones*(0x80-0x21) | v
}

func isValue(c byte) bool { return c >= ' ' && c != 0x7f || c == '\t' }

// validValue tells whether b can be a field value.
func validValue(b []byte) bool { return valueLen(b) == len(b) }

func trimOWS(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}
