package openapi

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"yett/internal/problem"
)

// jsonReader reads JSON (RFC 8259) strictly in one pass. Texts are parts of one copy of
// the input, nodes come from blocks: a large document costs few allocations.
type jsonReader struct {
	text      string
	pos       int
	line      int
	lineStart int // where the line begins
	wide      int // bytes of the line before pos that continue a character
	depth     int
	values    int
	most      Limits
	failed    *problem.Problem

	block   []Node
	items   []*Node  // of the arrays that are open
	members []Member // of the objects that are open
}

func readJSON(data []byte, most Limits) (*Node, *problem.Problem) {
	r := &jsonReader{text: string(data), line: 1, most: most}
	n := r.value()
	if r.failed == nil {
		r.space()
		if r.pos < len(r.text) {
			r.fail("not valid JSON: something follows the end of the document", "a document is one object")
		}
	}
	if r.failed != nil {
		return nil, r.failed
	}
	return n, nil
}

func (r *jsonReader) column() int { return r.pos - r.lineStart - r.wide + 1 }

// fail notes the first problem, at the place where the reader is.
func (r *jsonReader) fail(what, hint string) {
	if r.failed == nil {
		r.failed = &problem.Problem{Line: r.line, Column: r.column(), What: what, Hint: hint}
	}
}

func (r *jsonReader) failAt(line, column int, what, hint string) {
	if r.failed == nil {
		r.failed = &problem.Problem{Line: line, Column: column, What: what, Hint: hint}
	}
}

// space skips what may stand between values.
func (r *jsonReader) space() {
	for r.pos < len(r.text) {
		switch r.text[r.pos] {
		case ' ', '\t', '\r':
		case '\n':
			r.line++
			r.lineStart, r.wide = r.pos+1, 0
		default:
			return
		}
		r.pos++
	}
}

// peek returns the next byte that is no space, 0 at the end.
func (r *jsonReader) peek() byte {
	r.space()
	if r.pos == len(r.text) {
		return 0
	}
	return r.text[r.pos]
}

func (r *jsonReader) node(k Kind) *Node {
	if r.values++; r.values > r.most.Values {
		r.fail(fmt.Sprintf("the document has more than %d values", r.most.Values), "split it, or publish less of it")
	}
	if len(r.block) == 0 {
		r.block = make([]Node, 256)
	}
	n := &r.block[0]
	r.block = r.block[1:]
	n.Kind, n.Line, n.Column = k, r.line, r.column()
	return n
}

func (r *jsonReader) value() *Node {
	switch c := r.peek(); {
	case c == '{':
		return r.object()
	case c == '[':
		return r.array()
	case c == '"':
		n := r.node(String)
		n.Text = r.str()
		return n
	case c == '-' || c >= '0' && c <= '9':
		return r.number()
	case c == 't':
		return r.word("true", Bool)
	case c == 'f':
		return r.word("false", Bool)
	case c == 'n':
		return r.word("null", Null)
	}
	r.unexpected("a value")
	return nil
}

// unexpected says what is there instead of what is wanted.
func (r *jsonReader) unexpected(wanted string) {
	if r.pos >= len(r.text) {
		r.fail("not valid JSON: it ends in the middle, "+wanted+" should follow", "is it complete?")
		return
	}
	c, _ := utf8.DecodeRuneInString(r.text[r.pos:])
	hint := "write JSON (RFC 8259)"
	switch c {
	case '}', ']', ',':
		hint = "is a comma too much before it?"
	case '\'':
		hint = "texts and names are in double quotes"
	case '/', '#':
		hint = "JSON has no comments"
	}
	r.fail(fmt.Sprintf("not valid JSON: %q where %s should stand", c, wanted), hint)
}

func (r *jsonReader) word(word string, k Kind) *Node {
	if !strings.HasPrefix(r.text[r.pos:], word) {
		r.unexpected("a value")
		return nil
	}
	n := r.node(k)
	if k == Bool {
		n.Text = word
	}
	r.pos += len(word)
	return n
}

func (r *jsonReader) number() *Node {
	n := r.node(Number)
	length := numberLength(r.text[r.pos:])
	if length == 0 {
		r.fail("not valid JSON: a number is written wrong", "write it as 0, -1, 2.5 or 1e3")
		return nil
	}
	n.Text = r.text[r.pos : r.pos+length]
	if what := numberTrouble(n.Text); what != "" {
		r.fail(what, "write a smaller one")
	}
	r.pos += length
	return n
}

// numberLength returns how long the number at the beginning of s is, 0 if there is none.
func numberLength(s string) int {
	i := 0
	digits := func() bool {
		from := i
		for i < len(s) && s[i] >= '0' && s[i] <= '9' {
			i++
		}
		return i > from
	}
	if strings.HasPrefix(s, "-") {
		i++
	}
	first := i
	if !digits() || s[first] == '0' && i > first+1 {
		return 0
	}
	if i < len(s) && s[i] == '.' {
		i++
		if !digits() {
			return 0
		}
	}
	if i < len(s) && s[i]|0x20 == 'e' {
		i++
		if i < len(s) && (s[i] == '+' || s[i] == '-') {
			i++
		}
		if !digits() {
			return 0
		}
	}
	return i
}

// enter counts what stands inside one another.
func (r *jsonReader) enter() {
	if r.depth++; r.depth > r.most.Depth {
		r.fail(tooDeep(r.most.Depth), "use references")
	}
}

func tooDeep(depth int) string {
	return fmt.Sprintf("values stand more than %d deep inside one another", depth)
}

func (r *jsonReader) array() *Node {
	n := r.node(Array)
	r.enter()
	r.pos++
	from := len(r.items)
	if r.peek() == ']' {
		r.pos++
		r.depth--
		return n
	}
	for r.failed == nil {
		v := r.value()
		r.items = append(r.items, v)
		if !r.more(']', "a comma or ]") {
			break
		}
	}
	n.Items = append(make([]*Node, 0, len(r.items)-from), r.items[from:]...)
	r.items = r.items[:from]
	r.depth--
	return n
}

// more reads what follows a value: a comma, or the end.
func (r *jsonReader) more(end byte, wanted string) bool {
	switch r.peek() {
	case ',':
		r.pos++
		return r.failed == nil
	case end:
		r.pos++
		return false
	}
	r.unexpected(wanted)
	return false
}

func (r *jsonReader) object() *Node {
	n := r.node(Object)
	r.enter()
	r.pos++
	from := len(r.members)
	if r.peek() == '}' {
		r.pos++
		r.depth--
		return n
	}
	var names names
	for r.failed == nil {
		r.member(from, &names)
		if r.failed != nil || !r.more('}', "a comma or }") {
			break
		}
	}
	n.Members = append(make([]Member, 0, len(r.members)-from), r.members[from:]...)
	r.members = r.members[:from]
	r.depth--
	return n
}

func (r *jsonReader) member(from int, names *names) {
	if r.peek() != '"' {
		r.unexpected(`a name in double quotes`)
		return
	}
	m := Member{Line: r.line, Column: r.column()}
	m.Name = r.str()
	if first, twice := names.twice(r.members[from:], m.Name); twice {
		r.failAt(m.Line, m.Column, duplicate(m.Name), fmt.Sprintf("it stands on line %d already", first))
		return
	}
	if r.peek() != ':' {
		r.unexpected("a colon")
		return
	}
	r.pos++
	m.Value = r.value()
	r.members = append(r.members, m)
}

func duplicate(name string) string { return fmt.Sprintf("the name %s is there twice", quote(name)) }

// quote puts a text that may be long into a message.
func quote(s string) string {
	if utf8.RuneCountInString(s) > 80 {
		s = string([]rune(s)[:77]) + "..."
	}
	return strconv.Quote(s)
}

// names knows the names of one object: few are compared, many looked up.
type names struct{ lines map[string]int }

// twice tells whether the name is among the members, and on which line. It has to be
// called for each name.
func (s *names) twice(members []Member, name string) (line int, twice bool) {
	if len(members) < manyMembers {
		for i := range members {
			if members[i].Name == name {
				return members[i].Line, true
			}
		}
		return 0, false
	}
	if s.lines == nil {
		s.lines = make(map[string]int, 4*len(members))
	}
	for i := len(s.lines); i < len(members); i++ {
		s.lines[members[i].Name] = members[i].Line
	}
	line, twice = s.lines[name]
	return line, twice
}

// str reads a string, at whose quotation mark the reader is.
func (r *jsonReader) str() string {
	r.pos++
	from := r.pos
	for r.pos < len(r.text) {
		switch c := r.text[r.pos]; {
		case c == '"':
			s := r.text[from:r.pos]
			r.pos++
			return s
		case c == '\\':
			return r.escaped(r.text[from:r.pos])
		case c < ' ':
			r.control()
			return ""
		case c&0xC0 == 0x80:
			r.wide++
		}
		r.pos++
	}
	r.unexpected("the end of a text")
	return ""
}

func (r *jsonReader) control() {
	r.fail(fmt.Sprintf("not valid JSON: control character %U in a text", rune(r.text[r.pos])), `write it as an escape, such as \n, and close each text with a double quotation mark`)
}

// escaped reads the rest of a string from its first escape on.
func (r *jsonReader) escaped(before string) string {
	b := append(make([]byte, 0, 2*len(before)+32), before...)
	for r.pos < len(r.text) && r.failed == nil {
		switch c := r.text[r.pos]; {
		case c == '"':
			r.pos++
			return string(b)
		case c == '\\':
			b = r.escape(b)
			continue
		case c < ' ':
			r.control()
			return ""
		default:
			if c&0xC0 == 0x80 {
				r.wide++
			}
			b = append(b, c)
		}
		r.pos++
	}
	r.unexpected("the end of a text")
	return ""
}

func (r *jsonReader) escape(b []byte) []byte {
	rest := r.text[r.pos:]
	if len(rest) < 2 {
		r.pos = len(r.text)
		return b
	}
	const letters, meant = `"\/bfnrt`, "\"\\/\b\f\n\r\t"
	if i := strings.IndexByte(letters, rest[1]); i >= 0 {
		r.pos += 2
		return append(b, meant[i])
	}
	c, ok := hex4(rest)
	if !ok {
		r.fail("not valid JSON: an escape is written wrong", `write \\ for a backslash`)
		return b
	}
	r.pos += 6
	if utf16.IsSurrogate(c) {
		low, _ := hex4(r.text[r.pos:])
		if c = utf16.DecodeRune(c, low); c == utf8.RuneError {
			r.pos -= 6
			r.fail("not valid JSON: half of a pair of surrogates", `write both halves, or the character itself`)
			return b
		}
		r.pos += 6
	}
	return utf8.AppendRune(b, c)
}

// hex4 reads an escape such as \u00e4.
func hex4(s string) (rune, bool) {
	if len(s) < 6 || s[0] != '\\' || s[1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(s[2:6], 16, 16)
	return rune(n), err == nil
}
