package wire

import "encoding/binary"

// tokenSet is the set of tchar (RFC 9110 section 5.6.2) as two 64-bit words.
// Bytes from 0x80 are never part of a token.
const (
	tokenLow  uint64 = 0x03ff6cfa00000000 // ! # $ % & ' * + - . 0-9
	tokenHigh uint64 = 0x57ffffffc7fffffe // A-Z ^ _ ` a-z | ~
)

func isToken(c byte) bool {
	switch {
	case c < 64:
		return tokenLow>>c&1 == 1
	case c < 128:
		return tokenHigh>>(c-64)&1 == 1
	default:
		return false
	}
}

// tokenLen returns how many of the first bytes are tchar.
func tokenLen(b []byte) int {
	for i, c := range b {
		if !isToken(c) {
			return i
		}
	}
	return len(b)
}

// ValidToken tells whether s is a token: a method or a field name (RFC 9110
// section 5.6.2).
func ValidToken(s string) bool {
	for i := range len(s) {
		if !isToken(s[i]) {
			return false
		}
	}
	return len(s) > 0
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// validValue tells whether b can be a field value: visible characters, blanks,
// tabs and bytes from 0x80 (RFC 9110 section 5.5). It takes eight bytes at a
// time, because values are most of what a header is.
func validValue(b []byte) bool {
	for len(b) >= 8 {
		v := binary.LittleEndian.Uint64(b)
		control := (v - ones*0x20) & ^v & highs // a byte below 0x20
		del := v ^ ones*0x7f
		del = (del - ones) & ^del & highs // a byte equal to 0x7f
		if control|del != 0 && !validSlow(b[:8]) {
			return false
		}
		b = b[8:]
	}
	return validSlow(b)
}

func validSlow(b []byte) bool {
	for _, c := range b {
		if (c < ' ' && c != '\t') || c == 0x7f {
			return false
		}
	}
	return true
}

func trimOWS(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}
