package contract

import (
	"encoding/json"
	"unicode/utf8"

	"yett/internal/exchange"
)

// plain holds a text that is no JSON against the schema. What it is goes by what the
// schema takes: with several readings, one has to be good.
func (c *check) plain(text string, k kinds, f *findings) {
	switch {
	case !utf8.ValidString(text):
		f.add("", notUTF8)
		return
	case c.trivial() || c.quickPlain(text, k, &f.tried):
		return
	case f.brief:
		f.doubt = true
		return
	}
	var said findings
	for _, kind := range [...]kinds{kindNumber, kindBool, kindNull, kindString} {
		if !readable(text, k, kind) {
			continue
		}
		if kind == kindNumber && !countable(text) {
			f.add("", "has too many digits, or too large an exponent")
			return
		}
		said = findings{in: f.in, base: f.base, spent: f.spent}
		c.value(reading(text, kind), &said)
		if f.spent = said.spent; len(said.list) == 0 {
			return
		}
		if k&kindString == 0 {
			break
		}
	}
	f.list = append(f.list, said.list...)
}

// quickPlain tells whether a text surely has a reading that is good. It adds the effort of
// patterns.
func (c *check) quickPlain(text string, k kinds, effort *int) bool {
	for _, kind := range [...]kinds{kindNumber, kindBool, kindNull, kindString} {
		if !readable(text, k, kind) {
			continue
		}
		v := scalar{kind: kind, text: text, effort: *effort}
		switch kind {
		case kindNumber:
			v.num, v.exact = parseDecimal(text)
		case kindString:
			v.runes = utf8.RuneCountInString(text)
		}
		r := c.schema.scalar(&v)
		if *effort = v.effort; r == yes {
			return true
		}
	}
	return false
}

// readable tells whether a text can be read as a kind where the schema takes k. Where it
// can be nothing that is taken, it is a string.
func readable(text string, k, kind kinds) bool {
	switch kind {
	case kindNumber:
		return k&(kindNumber|kindInteger) != 0 && text != "" && isNumber(text)
	case kindBool:
		return k&kindBool != 0 && (text == "true" || text == "false")
	case kindNull:
		return k&kindNull != 0 && k&kindString == 0 && (text == "null" || text == "")
	}
	return k&kindString != 0 ||
		!readable(text, k, kindNumber) && !readable(text, k, kindBool) && !readable(text, k, kindNull)
}

func reading(text string, kind kinds) any {
	switch kind {
	case kindNumber:
		return json.Number(text)
	case kindBool:
		return text == "true"
	case kindNull:
		return nil
	}
	return text
}

// coerce returns the first reading of a text.
func coerce(text string, k kinds) any {
	for _, kind := range [...]kinds{kindNumber, kindBool, kindNull} {
		if readable(text, k, kind) && (kind != kindNumber || countable(text)) {
			return reading(text, kind)
		}
	}
	return text
}

// cut is strings.Cut for one byte.
func cut(s string, sep byte) (before, after string, found bool) {
	for i := range len(s) {
		if s[i] == sep {
			return s[:i], s[i+1:], true
		}
	}
	return s, "", false
}

// nextPair takes the first pair off a query.
func nextPair(query string) (name, value, rest string) {
	pair, rest, _ := cut(query, '&')
	name, value, _ = cut(pair, '=')
	return name, value, rest
}

// sameName tells whether a name of a query, raw, is one of the document.
func sameName(raw, name string) bool {
	i := 0
	for j := 0; j < len(raw); j++ {
		c := raw[j]
		switch {
		case c == '+':
			c = ' '
		case c == '%' && j+2 < len(raw):
			high, ok1 := hexDigit(raw[j+1])
			low, ok2 := hexDigit(raw[j+2])
			if ok1 && ok2 {
				c = high<<4 | low
				j += 2
			}
		}
		if i == len(name) || name[i] != c {
			return false
		}
		i++
	}
	return i == len(name)
}

// decodeText takes percent-encoding off a text, and plus signs that are blanks. The result
// is memory of x, or of its own where x is nil.
func decodeText(x *exchange.Exchange, raw string, plus bool) (string, bool) {
	i := 0
	for i < len(raw) && raw[i] != '%' && (raw[i] != '+' || !plus) {
		i++
	}
	if i == len(raw) {
		return raw, true
	}
	var b []byte
	if x != nil {
		b = x.Bytes(len(raw))[:0]
	} else {
		b = make([]byte, 0, len(raw))
	}
	b = append(b, raw[:i]...)
	for ; i < len(raw); i++ {
		c := raw[i]
		switch {
		case c == '+' && plus:
			c = ' '
		case c == '%':
			if i+2 >= len(raw) {
				return "", false
			}
			high, ok1 := hexDigit(raw[i+1])
			low, ok2 := hexDigit(raw[i+2])
			if !ok1 || !ok2 {
				return "", false
			}
			c = high<<4 | low
			i += 2
		}
		b = append(b, c)
	}
	return exchange.View(b), true
}
