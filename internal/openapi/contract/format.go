package contract

import (
	"encoding/json"
	"errors"
	"math/big"
	"strings"
)

// format is a format of texts, as far as the quick path knows it.
type format uint8

const (
	noFormat format = iota
	formatUUID
	formatDate
	formatDateTime
	formatEmail
	// formatOther is one that only the library knows.
	formatOther
)

// formatOf returns noFormat for formats that nobody checks, such as password.
func formatOf(name string) format {
	switch name {
	case "uuid":
		return formatUUID
	case "date":
		return formatDate
	case "date-time":
		return formatDateTime
	case "email":
		return formatEmail
	}
	if formatWords(name) != "" {
		return formatOther
	}
	return noFormat
}

// formatWords says what a format is to people, "" for one that is not checked. What a
// pattern of another dialect is (regex) can't be told here.
func formatWords(name string) string {
	switch name {
	case "uuid":
		return "a UUID"
	case "date":
		return "a date, such as 2026-01-31"
	case "date-time":
		return "a time of RFC 3339, such as 2026-01-31T13:45:00Z"
	case "time":
		return "a time of day, such as 13:45:00Z"
	case "duration":
		return "a duration of ISO 8601, such as PT15M"
	case "email":
		return "a mail address"
	case "uri", "iri":
		return "a whole URI"
	case "uri-reference", "iri-reference":
		return "a URI reference"
	case "uri-template":
		return "a URI template"
	case "ipv4":
		return "an IPv4 address"
	case "ipv6":
		return "an IPv6 address"
	case "hostname":
		return "a host name"
	case "json-pointer":
		return "a JSON pointer"
	case "relative-json-pointer":
		return "a relative JSON pointer"
	case "int32":
		return "a whole number of 32 bits"
	case "int64":
		return "a whole number of 64 bits"
	}
	return ""
}

// intRange returns the least and the largest number of int32 or int64. Those of 64 bits
// have 19 digits, more than parseDecimal takes, and fit all the same.
func intRange(name string) [2]decimal {
	if name == "int32" {
		return [2]decimal{{mant: 1 << 31, neg: true}, {mant: 1<<31 - 1}}
	}
	return [2]decimal{{mant: 1 << 63, neg: true}, {mant: 1<<63 - 1}}
}

var errRange = errors.New("out of range")

// checkInt is the format int32 or int64 for the library.
func checkInt(name string) func(any) error {
	limits := intRange(name)
	return func(v any) error {
		lit, ok := v.(json.Number)
		if !ok {
			return nil
		}
		r, ok := new(big.Rat).SetString(string(lit))
		if !ok || !r.IsInt() {
			return errRange
		}
		n := r.Num()
		least := new(big.Int).Neg(new(big.Int).SetUint64(limits[0].mant))
		if n.Cmp(least) < 0 || n.Cmp(new(big.Int).SetUint64(limits[1].mant)) > 0 {
			return errRange
		}
		return nil
	}
}

// certainly tells whether a text surely has the format. A false answer means nothing.
func (f format) certainly(s string) bool {
	switch f {
	case noFormat:
		return true
	case formatUUID:
		return isUUID(s)
	case formatDate:
		return isDate(s)
	case formatDateTime:
		return len(s) >= len("2006-01-02T15:04:05Z") && isDate(s[:10]) && s[10] == 'T' && isTime(s[11:])
	case formatEmail:
		return isPlainEmail(s)
	}
	return false
}

func isUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		switch i {
		case 8, 13, 18, 23:
			if s[i] != '-' {
				return false
			}
		default:
			if _, ok := hexDigit(s[i]); !ok {
				return false
			}
		}
	}
	return true
}

// twoDigits returns the number at s[i:i+2], -1 for none.
func twoDigits(s string, i int) int {
	a, b := s[i]-'0', s[i+1]-'0'
	if a > 9 || b > 9 {
		return -1
	}
	return 10*int(a) + int(b)
}

// isDate takes dates of the years 0001 to 9999. The 29th of February is left to the
// library.
func isDate(s string) bool {
	if len(s) != 10 || s[4] != '-' || s[7] != '-' || s[:4] == "0000" {
		return false
	}
	century, year, month, day := twoDigits(s, 0), twoDigits(s, 2), twoDigits(s, 5), twoDigits(s, 8)
	if century < 0 || year < 0 || month < 1 || month > 12 || day < 1 {
		return false
	}
	const days = "\x1f\x1c\x1f\x1e\x1f\x1e\x1f\x1f\x1e\x1f\x1e\x1f"
	return day <= int(days[month-1])
}

// isTime takes a time of day with its zone, without leap seconds.
func isTime(s string) bool {
	if len(s) < 9 || s[2] != ':' || s[5] != ':' || !below(twoDigits(s, 0), 24) || !below(twoDigits(s, 3), 60) || !below(twoDigits(s, 6), 60) {
		return false
	}
	s = s[8:]
	if s[0] == '.' {
		n := digits(s, 1)
		if n == 1 || n == len(s) {
			return false
		}
		s = s[n:]
	}
	if s == "Z" {
		return true
	}
	return len(s) == 6 && (s[0] == '+' || s[0] == '-') && s[3] == ':' && below(twoDigits(s, 1), 24) && below(twoDigits(s, 4), 60)
}

func below(n, limit int) bool { return n >= 0 && n < limit }

// isPlainEmail takes addresses such as first.last+tag@mail.example.com.
func isPlainEmail(s string) bool {
	local, domain, ok := strings.Cut(s, "@")
	if !ok || len(s) > 254 || len(local) > 64 || !dotted(local, "_+-") {
		return false
	}
	for rest, more := domain, true; more; {
		var label string
		label, rest, more = strings.Cut(rest, ".")
		if len(label) > 63 || !dotted(label, "-") || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
	}
	return true
}

// dotted tells whether s has letters, digits and some other characters, and dots between
// them only.
func dotted(s, also string) bool {
	dot := true
	for i := range len(s) {
		c := s[i]
		switch {
		case c == '.':
			if dot {
				return false
			}
		case 'a' <= c|0x20 && c|0x20 <= 'z', '0' <= c && c <= '9', strings.IndexByte(also, c) >= 0:
		default:
			return false
		}
		dot = c == '.'
	}
	return !dot
}
