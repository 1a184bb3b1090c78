package contract

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"yett/internal/openapi"
)

// maxValues is how many values of a body are decoded for the library.
const maxValues = 100_000

// decoder makes values of JSON as encoding/json does with UseNumber, but is stricter, as
// services read differently what it refuses: names that are there twice, what is not
// UTF-8, halves of surrogate pairs. It bounds depth, values and the size of numbers.
type decoder struct {
	src    string
	pos    int
	values int
	path   []string
	err    *Violation
}

// decodeJSON returns the only value of a text, or what is wrong with it, In not set.
func decodeJSON(src string) (any, *Violation) {
	d := decoder{src: src}
	v := d.value()
	if d.err == nil {
		if d.pos = skipSpace(src, d.pos); d.pos < len(src) {
			d.syntax("has something behind its end")
		}
	}
	return v, d.err
}

// syntax notes that the text is no JSON, with the place in bytes from 0.
func (d *decoder) syntax(what string) {
	if d.err == nil {
		d.err = &Violation{Message: fmt.Sprintf("is not JSON: it %s, at byte %d", what, d.pos)}
	}
}

// refuse notes what is JSON and still not taken.
func (d *decoder) refuse(what string) {
	if d.err == nil {
		d.err = &Violation{Pointer: pointer(d.path), Message: what}
	}
}

func (d *decoder) value() any {
	if d.values++; d.values > maxValues {
		d.path = nil
		d.refuse(fmt.Sprintf("holds more than %d values", maxValues))
		return nil
	}
	d.pos = skipSpace(d.src, d.pos)
	if d.pos == len(d.src) {
		d.syntax("ends where a value has to stand")
		return nil
	}
	switch c := d.src[d.pos]; {
	case c == '{':
		return d.object()
	case c == '[':
		return d.array()
	case c == '"':
		return d.text()
	case c == '-' || '0' <= c && c <= '9':
		return d.number()
	}
	return d.word()
}

func (d *decoder) word() any {
	rest := d.src[d.pos:]
	switch {
	case strings.HasPrefix(rest, "null"):
		d.pos += len("null")
		return nil
	case strings.HasPrefix(rest, "true"):
		d.pos += len("true")
		return true
	case strings.HasPrefix(rest, "false"):
		d.pos += len("false")
		return false
	}
	d.syntax("has no value")
	return nil
}

func (d *decoder) number() any {
	end, _, ok := scanNumber(d.src, d.pos)
	if !ok {
		d.pos = end
		d.syntax("has a wrong number")
		return nil
	}
	lit := d.src[d.pos:end]
	if !countable(lit) {
		d.refuse("has too many digits, or too large an exponent")
		return nil
	}
	d.pos = end
	return json.Number(lit)
}

func (d *decoder) text() string {
	text, end, fault := scanString(d.src, d.pos)
	d.pos = end
	if fault != faultNone {
		d.syntax(fault)
		return ""
	}
	if !text.escaped {
		return text.raw
	}
	return unescapeText(text.raw)
}

// unescapeText returns what a string stands for that scanString has taken.
func unescapeText(raw string) string {
	var b strings.Builder
	b.Grow(len(raw))
	for i := 0; i < len(raw); {
		if raw[i] != '\\' {
			b.WriteByte(raw[i])
			i++
			continue
		}
		n, _ := scanEscape(raw[i:])
		b.WriteRune(escaped(raw[i : i+n]))
		i += n
	}
	return b.String()
}

func escaped(esc string) rune {
	switch esc[1] {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	case 'u':
		r, _ := unicodeEscape(esc)
		if len(esc) == 12 {
			low, _ := unicodeEscape(esc[6:])
			return 0x10000 + (r-0xd800)<<10 + (low - 0xdc00)
		}
		return r
	}
	return rune(esc[1])
}

// into goes one deeper, if that is not too deep.
func (d *decoder) into() bool {
	if len(d.path) >= maxDepth {
		d.path = nil
		d.refuse(fmt.Sprintf("goes deeper than %d arrays and objects", maxDepth))
		return false
	}
	d.path = append(d.path, "")
	d.pos++
	return true
}

func (d *decoder) out() { d.path = d.path[:max(len(d.path)-1, 0)] }

// next tells whether another element follows; it takes the comma or the closing bracket.
func (d *decoder) next(first bool, closing byte) bool {
	d.pos = skipSpace(d.src, d.pos)
	switch {
	case d.err != nil:
	case d.pos == len(d.src):
		d.syntax("ends too early")
	case d.src[d.pos] == closing && first:
		d.pos++
	case first:
		return true
	case d.src[d.pos] == closing:
		d.pos++
	case d.src[d.pos] == ',':
		d.pos++
		return true
	default:
		d.syntax("lacks a comma or a closing bracket")
	}
	return false
}

func (d *decoder) array() any {
	if !d.into() {
		return nil
	}
	defer d.out()
	items := []any{}
	for d.next(len(items) == 0, ']') {
		d.path[len(d.path)-1] = fmt.Sprint(len(items))
		items = append(items, d.value())
	}
	return items
}

func (d *decoder) object() any {
	if !d.into() {
		return nil
	}
	defer d.out()
	members := map[string]any{}
	for first := true; d.next(first, '}'); first = false {
		d.member(members)
	}
	return members
}

func (d *decoder) member(members map[string]any) {
	d.pos = skipSpace(d.src, d.pos)
	if d.pos == len(d.src) || d.src[d.pos] != '"' {
		d.syntax("lacks a name")
		return
	}
	name := d.text()
	d.pos = skipSpace(d.src, d.pos)
	if d.err == nil && (d.pos == len(d.src) || d.src[d.pos] != ':') {
		d.syntax("lacks a colon behind a name")
	}
	if d.err != nil {
		return
	}
	d.pos++
	d.path[len(d.path)-1] = name
	if _, twice := members[name]; twice {
		d.refuse("is there more than once")
		return
	}
	members[name] = d.value()
}

// Texts of the caller in answers and logs are no longer than this, in bytes.
const (
	maxToken   = 64
	maxPointer = 300
)

// pointer returns a JSON pointer (RFC 6901). Names that a caller made up are cut.
func pointer(tokens []string) string {
	var b strings.Builder
	for _, t := range tokens {
		if b.Len() > maxPointer {
			b.WriteString("/...")
			break
		}
		b.WriteByte('/')
		b.WriteString(openapi.Escape(clip(t, maxToken)))
	}
	return b.String()
}

// clip cuts a text at n bytes, between characters, and makes it UTF-8.
func clip(s string, n int) string {
	if len(s) > n {
		for n > 0 && !utf8.RuneStart(s[n]) {
			n--
		}
		s = s[:n] + "..."
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}
