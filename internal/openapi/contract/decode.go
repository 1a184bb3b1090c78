package contract

import (
	"encoding/json"
	"fmt"
	"slices"
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
	path   []step
	err    *Violation
	// skim tells that no values are to be made, taken that the text has been found good.
	skim, taken bool
	// names are those of the objects that are open, as long as those have few.
	names []string
	// room is how much memory the values may still take, in bytes, about.
	room int
}

// roomFor is the room for the values of a body, and for what the library makes of them.
func roomFor(src string) int { return 6<<20 + 8*len(src) }

// What values take of the memory, in bytes: an item of an array that grows, an object, the
// first few members of one, each of many, and a text or number; and what the library takes for
// each schema that it applies.
const (
	roomItem    = 36
	roomObject  = 48
	roomMembers = 288
	roomMember  = 80
	roomText    = 16
	roomUnit    = 128
)

// take notes that a value needs memory.
func (d *decoder) take(n int) {
	if d.room -= n; d.room < 0 && !d.skim {
		d.path = nil
		d.refuse("holds more values than can be checked")
	}
}

// decodeJSON returns the only value of a text, or what is wrong with it, In not set.
func decodeJSON(src string) (any, *Violation) {
	d := decoder{src: src, room: roomFor(src)}
	return d.only(), d.err
}

// skimJSON returns what is wrong with a text, as decodeJSON does, but takes any number of
// values, because it makes none of them.
func skimJSON(src string) *Violation {
	d := decoder{src: src, skim: true}
	d.only()
	return d.err
}

// only returns the only value of the text.
func (d *decoder) only() any {
	v := d.value()
	if d.err == nil {
		if d.pos = skipSpace(d.src, d.pos); d.pos < len(d.src) {
			d.syntax("has something behind its end")
		}
	}
	return v
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
		d.err = &Violation{Pointer: pointer(tokens(d.path)), Message: what}
	}
}

func (d *decoder) value() any {
	if d.values++; d.values > maxValues && !d.skim {
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
	if d.pos = end; d.skim {
		return nil
	}
	d.take(roomText)
	return json.Number(lit)
}

// text reads a string as a value.
func (d *decoder) text() any {
	text, ok := d.span()
	switch {
	case d.skim || !ok:
		return nil
	case text.escaped:
		d.take(roomText + len(text.raw))
		return unescapeText(text.raw)
	}
	d.take(roomText)
	return text.raw
}

// name reads the name of a member, which nobody needs in what is only skimmed again.
func (d *decoder) name() string {
	text, _ := d.span()
	if text.escaped && (!d.skim || !d.taken) {
		return unescapeText(text.raw)
	}
	return text.raw
}

func (d *decoder) span() (text span, ok bool) {
	text, end, fault := scanString(d.src, d.pos)
	if d.pos = end; fault != faultNone {
		d.syntax(fault)
		return span{}, false
	}
	return text, true
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
	d.path = append(d.path, step{})
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
	for n := 0; d.next(n == 0, ']'); n++ {
		d.path[len(d.path)-1] = step{index: n}
		if v := d.value(); !d.skim {
			d.take(roomItem)
			items = append(items, v)
		}
	}
	return items
}

func (d *decoder) object() any {
	if !d.into() {
		return nil
	}
	defer d.out()
	m := object{base: len(d.names)}
	if !d.skim {
		d.take(roomObject)
		m.members = map[string]any{}
	}
	for d.next(m.n == 0, '}') {
		d.member(&m)
		m.n++
	}
	d.names = d.names[:m.base]
	return m.members
}

// object is an object that is being read.
type object struct {
	members map[string]any
	n       int
	base    int                 // where its names begin in those of the decoder
	many    map[string]struct{} // its names, when they are many
}

// manyNames is from where on the names of an object are looked up in a map.
const manyNames = 32

// isTwin tells whether a name of an object has been there before.
func (d *decoder) isTwin(m *object, name string) bool {
	switch {
	case d.taken:
		return false
	case m.members != nil:
		_, twice := m.members[name]
		return twice
	case m.many != nil:
		_, twice := m.many[name]
		m.many[name] = struct{}{}
		return twice
	case slices.Contains(d.names[m.base:], name):
		return true
	}
	if d.names = append(d.names, name); m.n >= manyNames {
		m.many = setOf(d.names[m.base:])
	}
	return false
}

func (d *decoder) member(m *object) {
	d.pos = skipSpace(d.src, d.pos)
	if d.pos == len(d.src) || d.src[d.pos] != '"' {
		d.syntax("lacks a name")
		return
	}
	name := d.name()
	d.pos = skipSpace(d.src, d.pos)
	if d.err == nil && (d.pos == len(d.src) || d.src[d.pos] != ':') {
		d.syntax("lacks a colon behind a name")
	}
	if d.err != nil {
		return
	}
	d.pos++
	d.path[len(d.path)-1] = step{name, -1}
	if d.isTwin(m, name) {
		d.refuse("is there more than once")
		return
	}
	v := d.value()
	if m.members == nil {
		return
	}
	switch {
	case m.n == 0:
		d.take(roomMembers)
	case m.n >= 8:
		d.take(roomMember)
	}
	m.members[name] = v
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
