// Package jsontext appends JSON text (RFC 8259) to buffers of the caller, for
// the places where encoding/json would allocate: error answers, fixed answers
// and access log lines.
package jsontext

import (
	"time"
	"unicode/utf8"
)

// plain tells which bytes stand in a JSON string as they are. Bytes of
// multi-byte characters are not among them: they have to be checked.
var plain = func() (set [256]bool) {
	for c := ' '; c < utf8.RuneSelf; c++ {
		set[c] = c != '"' && c != '\\'
	}
	return set
}()

// AppendQuoted appends s as a JSON string with its quotes.
func AppendQuoted(dst []byte, s string) []byte {
	dst = append(dst, '"')
	dst = AppendEscaped(dst, s)
	return append(dst, '"')
}

// AppendEscaped appends what stands between the quotes of a JSON string: s
// with quotes, backslashes and control characters escaped, and each byte that
// is not UTF-8 replaced by U+FFFD.
func AppendEscaped(dst []byte, s string) []byte {
	n := plainPrefix(s)
	dst = append(dst, s[:n]...)
	if n == len(s) {
		return dst
	}
	return appendMixed(dst, s[n:])
}

// plainPrefix returns how many bytes at the front of s are plain. It looks at
// eight at a time: most strings are short, plain, and in every log line. The
// last eight overlap those before, so that no rest is walked byte by byte.
func plainPrefix(s string) int {
	i := 0
	for ; i+8 <= len(s); i += 8 {
		if !plainWord(word(s[i:])) {
			return i + plainBytes(s[i:])
		}
	}
	if i > 0 && plainWord(word(s[len(s)-8:])) {
		return len(s)
	}
	return i + plainBytes(s[i:])
}

// word returns the first eight bytes of s, of which there are as many at least.
func word(s string) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// plainWord tells whether eight bytes are plain. The high bit of a byte is set
// in each term when the byte is below a space, a quote, a backslash, or not
// ASCII. A borrow may set it for the byte above such a one as well, which
// changes nothing.
func plainWord(w uint64) bool {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	quote, backslash := w^ones*'"', w^ones*'\\'
	return ((w-ones*' ')|(quote-ones)|(backslash-ones)|w)&highs == 0
}

func plainBytes(s string) int {
	for i := range len(s) {
		if !plain[s[i]] {
			return i
		}
	}
	return len(s)
}

func appendMixed(dst []byte, s string) []byte {
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case plain[c]:
			dst = append(dst, c)
			i++
		case c < utf8.RuneSelf:
			dst = appendEscape(dst, c)
			i++
		default:
			r, n := utf8.DecodeRuneInString(s[i:])
			dst = utf8.AppendRune(dst, r) // RuneError for a broken byte
			i += n
		}
	}
	return dst
}

func appendEscape(dst []byte, c byte) []byte {
	const hexDigits = "0123456789abcdef"
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	}
	return append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&0xf])
}

// MaxEscaped returns a number of bytes that AppendEscaped(s) never exceeds:
// len(s) for ordinary text, six times as many else.
func MaxEscaped(s string) int {
	if plainPrefix(s) < len(s) {
		return 6 * len(s) // \u00XX for a control character is the worst
	}
	return len(s)
}

// TimeLen is the length of what AppendTime appends for the years 0 to 9999.
const TimeLen = len("2006-01-02T15:04:05.000Z")

// AppendTime appends t in UTC with milliseconds, as RFC 3339 and ISO 8601
// write it, without quotes.
func AppendTime(dst []byte, t time.Time) []byte {
	return t.UTC().AppendFormat(dst, "2006-01-02T15:04:05.000Z")
}
