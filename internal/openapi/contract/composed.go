package contract

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"yett/internal/exchange"
)

// maxPieces is how many items or members a parameter may be made of.
const maxPieces = 1000

// list is an array of plain items, as most array parameters are, for which no value has to
// be made.
type list struct {
	rule  *arrayRule
	items *check
	kinds kinds
}

// asList returns nil for a schema that says more than a list checks.
func asList(c *check) *list {
	s := c.schema
	for s != nil && s.ref != nil && !s.passed && s.types == 0 && s.enums == nil && s.num == nil && s.text == nil && s.obj == nil &&
		s.arr == nil && s.allOf == nil && s.anyOf == nil && s.oneOf == nil && s.rest == nil && !s.unsure && !s.unsureIn {
		s = s.ref
	}
	if s == nil || s.passed || s.never || s.unsure || s.unsureIn || s.types&kindArray == 0 || s.enums != nil || s.arr == nil ||
		s.ref != nil || s.allOf != nil || s.anyOf != nil || s.oneOf != nil {
		return nil
	}
	return &list{rule: s.arr, items: &check{library: c.library, schema: s.arr.items, mode: c.mode}, kinds: s.arr.items.takes()}
}

func (l *list) good(text string, f *findings) bool {
	return utf8.ValidString(text) && (l.items.trivial() || l.items.quickPlain(text, l.kinds, &f.tried))
}

func (l *list) fits(n int) bool {
	return (l.rule.min < 0 || n >= l.rule.min) && (l.rule.max < 0 || n <= l.rule.max)
}

// quickSplit tells whether a text is surely a good list.
func (l *list) quickSplit(x *exchange.Exchange, raw string, sep separator, plus bool, f *findings) bool {
	n := 0
	for more := raw != ""; more; n++ {
		var piece string
		piece, raw, more = sep.cut(raw)
		text, ok := decodeText(x, piece, plus)
		if !ok || !l.good(text, f) {
			return false
		}
	}
	return n <= maxPieces && l.fits(n)
}

// quickPairs tells whether the pairs of a query with that name are surely a good list.
func (l *list) quickPairs(x *exchange.Exchange, query, name string, f *findings) bool {
	n := 0
	for query != "" {
		var key, raw string
		if key, raw, query = nextPair(query); !sameName(key, name) {
			continue
		}
		text, ok := decodeText(x, raw, true)
		if !ok || !l.good(text, f) {
			return false
		}
		n++
	}
	return n > 0 && n <= maxPieces && l.fits(n)
}

// separator is what stands between items: a byte, and how it is encoded.
type separator struct {
	char    byte
	encoded string // "%20", in upper case
}

func (s separator) cut(raw string) (piece, rest string, more bool) {
	for i := range len(raw) {
		if raw[i] == s.char || s.char == ' ' && raw[i] == '+' {
			return raw[:i], raw[i+1:], true
		}
		if raw[i] == '%' && s.encoded != "" && len(raw)-i >= 3 && strings.EqualFold(raw[i:i+3], s.encoded) {
			return raw[:i], raw[i+3:], true
		}
	}
	return raw, "", false
}

func (s separator) split(raw string) (pieces []string) {
	for more := raw != ""; more && len(pieces) <= maxPieces; {
		var piece string
		piece, raw, more = s.cut(raw)
		pieces = append(pieces, piece)
	}
	return pieces
}

func (p *param) separator() separator {
	switch {
	case p.style == styleSpace:
		return separator{' ', "%20"}
	case p.style == stylePipe:
		return separator{'|', "%7C"}
	case p.style == styleLabel && p.explode:
		return separator{char: '.'}
	case p.style == styleMatrix && p.explode:
		return separator{char: ';'}
	}
	return separator{char: ','}
}

// parts takes a value of a path or cookie apart.
func (p *param) parts(raw string) []string {
	if p.style != styleMatrix || !p.explode {
		return p.separator().split(p.unnamed(raw))
	}
	pieces := p.separator().split(raw)
	if p.kinds&kindArray != 0 {
		for i := range pieces {
			pieces[i] = p.unnamed(pieces[i])
		}
	}
	return pieces
}

// fieldParts takes all fields of a header apart.
func (p *param) fieldParts(h *exchange.Header, key exchange.Key) (pieces []string) {
	fields := h.Fields()
	for i := range fields {
		if fields[i].Key != key || key == exchange.KeyOther && !exchange.EqualFold(fields[i].Name, p.name) {
			continue
		}
		for _, piece := range (separator{char: ','}).split(fields[i].Value) {
			pieces = append(pieces, strings.Trim(piece, " \t"))
		}
	}
	return pieces
}

// composed checks an array or object whose pieces are raw.
func (p *param) composed(pieces []string, f *findings) {
	if f.brief {
		f.doubt = true
		return
	}
	if len(pieces) > maxPieces {
		f.add("", fmt.Sprintf("has more than %d parts", maxPieces))
		return
	}
	if p.in != "header" {
		for i := range pieces {
			if !p.explode || p.kinds&kindArray != 0 {
				text, ok := decodeText(nil, pieces[i], p.in == "query")
				if !ok {
					f.add("", encoding)
					return
				}
				pieces[i] = text
			}
		}
	}
	for _, piece := range pieces {
		if !utf8.ValidString(piece) {
			f.add("", notUTF8)
			return
		}
	}
	if p.kinds&kindArray != 0 {
		p.check.value(p.items(pieces), f)
		return
	}
	p.object(pieces, f)
}

func (p *param) items(texts []string) []any {
	k := p.check.schema.item().takes()
	items := make([]any, len(texts))
	for i, t := range texts {
		items[i] = coerce(t, k)
	}
	return items
}

// object checks an object whose pieces are name=value, or names and values in turn.
func (p *param) object(pieces []string, f *findings) {
	m := members{schema: p.check.schema, of: map[string]any{}}
	for i := 0; i < len(pieces); i++ {
		name, value := pieces[i], ""
		if p.explode {
			name, value, _ = strings.Cut(name, "=")
			if p.in != "header" {
				var ok1, ok2 bool
				name, ok1 = decodeText(nil, name, false)
				if value, ok2 = decodeText(nil, value, false); !ok1 || !ok2 {
					f.add("", encoding)
					return
				}
			}
		} else if i++; i < len(pieces) {
			value = pieces[i]
		} else {
			f.add("", "lacks the value of its last member")
			return
		}
		m.set(name, value)
	}
	m.check(p.check, f)
}

// members collects those of an object that is written as text.
type members struct {
	schema *schema
	of     map[string]any
	twice  []string
	broken bool // not UTF-8
}

func (m *members) set(name, text string) {
	m.broken = m.broken || !utf8.ValidString(name) || !utf8.ValidString(text)
	if m.of == nil {
		m.of = map[string]any{}
	}
	s := m.schema.member(name)
	k := s.takes()
	old, there := m.of[name]
	switch {
	case k&^containers == 0 && k&kindArray != 0:
		items, _ := old.([]any)
		m.of[name] = append(items, coerce(text, s.item().takes()))
	case there:
		m.twice = append(m.twice, name)
	default:
		m.of[name] = coerce(text, k)
	}
}

func (m *members) check(c *check, f *findings) {
	if m.broken {
		f.add("", notUTF8)
		return
	}
	for _, name := range m.twice {
		f.add(pointer([]string{name}), twice)
	}
	c.value(m.of, f)
}

// queryComposed checks an array or object of a query.
func (p *param) queryComposed(query string, f *findings) {
	switch {
	case p.kinds&kindArray != 0:
		p.queryArray(query, f)
	case p.style == styleDeep:
		p.deepObject(query, f)
	case p.explode:
		p.spread(query, f)
	default:
		raw, n := lookup(query, p.name)
		switch {
		case n == 0:
			p.absent(f)
		case n > 1:
			f.add("", twice)
		default:
			p.composed(p.separator().split(raw), f)
		}
	}
}

// lookup returns the first value of a name in a query, and how many there are.
func lookup(query, name string) (raw string, n int) {
	for query != "" {
		var key, v string
		if key, v, query = nextPair(query); sameName(key, name) {
			if n == 0 {
				raw = v
			}
			n++
		}
	}
	return raw, n
}

func (p *param) queryArray(query string, f *findings) {
	if p.explode {
		var pieces []string
		for query != "" && len(pieces) <= maxPieces {
			var key, raw string
			if key, raw, query = nextPair(query); sameName(key, p.name) {
				pieces = append(pieces, raw)
			}
		}
		if len(pieces) == 0 {
			p.absent(f)
			return
		}
		p.composed(pieces, f)
		return
	}
	raw, n := lookup(query, p.name)
	switch {
	case n == 0:
		p.absent(f)
	case n > 1:
		f.add("", twice)
	default:
		p.composed(p.separator().split(raw), f)
	}
}

// quickQuery tells whether a query surely has a good array under the parameter's name, or
// lacks one that it may lack.
func (p *param) quickQuery(x *exchange.Exchange, query string, f *findings) bool {
	raw, n := lookup(query, p.name)
	switch {
	case n == 0:
		return !p.required
	case p.list == nil:
		return false
	case p.explode:
		return p.list.quickPairs(x, query, p.name, f)
	}
	return n == 1 && p.list.quickSplit(x, raw, p.separator(), true, f)
}

// spread checks an object whose members are pairs of the query. Others may be too, so only
// what its schema names is taken.
func (p *param) spread(query string, f *findings) {
	m := members{schema: p.check.schema}
	for name := range p.check.schema.propertyNames {
		for rest, n := query, 0; rest != "" && n <= maxPieces; {
			var key, raw string
			if key, raw, rest = nextPair(rest); !sameName(key, name) {
				continue
			}
			n++
			text, ok := decodeText(nil, raw, true)
			if !ok {
				f.add(pointer([]string{name}), encoding)
				return
			}
			m.set(name, text)
		}
	}
	if len(m.of) == 0 {
		p.absent(f)
		return
	}
	m.check(p.check, f)
}

// deepObject checks name[member]=value. Members of members are name[member][other].
func (p *param) deepObject(query string, f *findings) {
	d := deep{schema: p.check.schema}
	n := 0
	for query != "" {
		var key, raw string
		if key, raw, query = nextPair(query); len(key) <= len(p.name) {
			continue
		}
		name, ok1 := decodeText(nil, key, true)
		inside, ours := strings.CutPrefix(name, p.name+"[")
		if !ok1 || !ours {
			continue
		}
		text, ok := decodeText(nil, raw, true)
		if n++; !ok || n > maxPieces || !utf8.ValidString(inside) || !utf8.ValidString(text) {
			f.add("", "can't be read: it is too large, not UTF-8, or has a wrong percent-encoding")
			return
		}
		if what := d.set(strings.Split(inside, "["), text); what != "" {
			f.add("", what)
			return
		}
	}
	if n == 0 {
		p.absent(f)
		return
	}
	p.check.value(d.of, f)
}

// deep collects the members of a deepObject.
type deep struct {
	schema *schema
	of     map[string]any
}

// maxBrackets is how deep a deepObject may be.
const maxBrackets = 5

// set puts a text where brackets say. It returns what is wrong with them.
func (d *deep) set(path []string, text string) string {
	if len(path) > maxBrackets {
		return fmt.Sprintf("has more than %d pairs of brackets", maxBrackets)
	}
	if d.of == nil {
		d.of = map[string]any{}
	}
	at, s := d.of, d.schema
	for i, token := range path {
		name, after, closed := strings.Cut(token, "]")
		if !closed || after != "" {
			return "has brackets that are not closed"
		}
		s = s.member(name)
		if i < len(path)-1 && path[i+1] != "]" {
			below, _ := at[name].(map[string]any)
			if below == nil {
				below = map[string]any{}
				at[name] = below
			}
			at = below
			continue
		}
		return put(at, name, s, text, i < len(path)-1)
	}
	return ""
}

// put sets a member, or adds to it where it is an array.
func put(at map[string]any, name string, s *schema, text string, item bool) string {
	k := s.takes()
	old, there := at[name]
	if item || k&^containers == 0 && k&kindArray != 0 {
		items, _ := old.([]any)
		at[name] = append(items, coerce(text, s.item().takes()))
		return ""
	}
	if there {
		return twice
	}
	at[name] = coerce(text, k)
	return ""
}
