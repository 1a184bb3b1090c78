package contract

// The quick path holds JSON against schemas while it reads it once, without making values
// of it. It answers yes only for what the library would find good, and no only for what
// the library would find bad, as long as the rest of the text is well-formed; everything
// that costs much or is seldom is unsure. Good bodies pass by it, everything else goes on
// to the library, which says what is wrong.

// verdict is what the quick path says.
type verdict uint8

const (
	unsure verdict = iota
	yes
	no
)

func verdictOf(good bool) verdict {
	if good {
		return yes
	}
	return no
}

// and joins what two schemas say about one value.
func (v verdict) and(w verdict) verdict {
	switch {
	case v == no || w == no:
		return no
	case v == yes && w == yes:
		return yes
	}
	return unsure
}

// maxNames is how many names that no schema has are remembered, to find those that are
// there twice.
const maxNames = 64

// quick reads one text.
type quick struct {
	src  string
	pos  int
	mode int
	// depth is how many arrays and objects are open. budget is how many bytes may still be
	// read, about: what several schemas are about is read again.
	depth, budget int
	effort        int // steps of patterns taken so far, see maxEffort
	names         [maxNames]string
	named         int
}

// quickJSON holds a text against a schema.
func quickJSON(src string, s *schema, mode int) verdict {
	q := quick{src: src, mode: mode, budget: 4096 + 8*len(src)}
	v := q.value(s)
	if v == yes && skipSpace(src, q.pos) < len(src) {
		return unsure
	}
	return v
}

// value reads one value. Where it returns yes, it has read all of it.
func (q *quick) value(s *schema) verdict {
	q.pos = skipSpace(q.src, q.pos)
	if q.budget--; q.budget < 0 || q.pos == len(q.src) {
		return unsure
	}
	if c := q.src[q.pos]; c == '{' || c == '[' {
		return q.container(s)
	}
	v := scalar{effort: q.effort}
	if !q.scan(&v) {
		return unsure
	}
	r := s.scalar(&v)
	q.effort = v.effort
	return r
}

// scalar is a value that has no others in it.
type scalar struct {
	kind kinds
	// text is the word or number as written, or the string if it is not escaped.
	text    string
	runes   int
	escaped bool
	num     decimal
	exact   bool // num is the number
	effort  int  // steps of patterns taken so far, see maxEffort
}

// afford tells whether a pattern can be looked for, and counts that.
func (v *scalar) afford(p *pattern) bool {
	v.effort += p.effort(len(v.text))
	return v.effort <= maxEffort
}

// scan reads a scalar.
func (q *quick) scan(v *scalar) bool {
	switch c := q.src[q.pos]; {
	case c == '"':
		text, end, fault := scanString(q.src, q.pos)
		if fault != faultNone {
			return false
		}
		v.kind, v.text, v.runes, v.escaped = kindString, text.raw, text.runes, text.escaped
		q.pos = end
		return true
	case c == '-' || '0' <= c && c <= '9':
		end, exponent, ok := scanNumber(q.src, q.pos)
		if !ok || exponent || end-q.pos > maxNumber {
			return false
		}
		v.kind, v.text = kindNumber, q.src[q.pos:end]
		v.num, v.exact = parseDecimal(v.text)
		q.pos = end
		return true
	case c == 't':
		return q.word(v, "true", kindBool)
	case c == 'f':
		return q.word(v, "false", kindBool)
	case c == 'n':
		return q.word(v, "null", kindNull)
	}
	return false
}

func (q *quick) word(v *scalar, word string, k kinds) bool {
	if len(q.src)-q.pos < len(word) || q.src[q.pos:q.pos+len(word)] != word {
		return false
	}
	v.kind, v.text = k, word
	q.pos += len(word)
	return true
}

// scalar holds a scalar against a schema and all that say more about it.
func (s *schema) scalar(v *scalar) verdict {
	switch {
	case s == nil || s.passed:
		return yes
	case s.never:
		return no
	case s.unsure:
		return unsure
	}
	r := s.own(v)
	if r == no {
		return no
	}
	if s.ref != nil {
		r = r.and(s.ref.scalar(v))
	}
	for _, sub := range s.allOf {
		r = r.and(sub.scalar(v))
	}
	if s.anyOf != nil {
		r = r.and(anyScalar(s.anyOf, v))
	}
	if s.oneOf != nil {
		r = r.and(oneScalar(s.oneOf, v))
	}
	return r
}

func anyScalar(list []*schema, v *scalar) verdict {
	r := no
	for _, sub := range list {
		switch sub.scalar(v) {
		case yes:
			return yes
		case unsure:
			r = unsure
		}
	}
	return r
}

func oneScalar(list []*schema, v *scalar) verdict {
	good := 0
	for _, sub := range list {
		switch sub.scalar(v) {
		case yes:
			good++
		case unsure:
			return unsure
		}
	}
	return verdictOf(good == 1)
}

// own holds a scalar against what the schema itself says.
func (s *schema) own(v *scalar) verdict {
	r := s.typed(v)
	for _, c := range s.enums {
		r = r.and(c.has(v))
	}
	switch {
	case r == no:
	case v.kind == kindNumber && s.num != nil:
		r = r.and(s.num.take(v))
	case v.kind == kindString && s.text != nil:
		r = r.and(s.text.take(v))
	}
	return r
}

func (s *schema) typed(v *scalar) verdict {
	switch {
	case s.types == 0 || s.types&v.kind != 0:
		return yes
	case v.kind != kindNumber || s.types&kindInteger == 0:
		return no
	case v.exact:
		return verdictOf(v.num.isInt())
	}
	return unsure
}

func (n *numberRule) take(v *scalar) verdict {
	d := v.num
	switch {
	case n.unsure || !v.exact:
		return unsure
	case n.whole && !d.isInt(),
		n.min != nil && d.compare(*n.min) < 0,
		n.max != nil && d.compare(*n.max) > 0,
		n.above != nil && d.compare(*n.above) <= 0,
		n.below != nil && d.compare(*n.below) >= 0:
		return no
	case n.multiple != nil:
		return d.multipleOf(*n.multiple)
	}
	return yes
}

func (t *textRule) take(v *scalar) verdict {
	switch {
	case t.min >= 0 && v.runes < t.min, t.max >= 0 && v.runes > t.max:
		return no
	case t.pattern == nil && t.format == noFormat:
		return yes
	case v.escaped, !v.afford(t.pattern):
		return unsure
	case t.pattern != nil && !t.pattern.re.MatchString(v.text):
		return no
	case t.format.certainly(v.text):
		return yes
	}
	return unsure
}

// container reads an array or object, once for each schema that is about it.
func (q *quick) container(s *schema) verdict {
	start := q.pos
	k := kindArray
	if q.src[start] == '{' {
		k = kindObject
	}
	switch {
	case s == nil || s.passed:
		return q.inside(k, nil)
	case s.never || s.types != 0 && s.types&k == 0:
		return no
	case s.unsure || s.unsureIn:
		return unsure
	}
	if len(s.enums) > 0 {
		return unsure
	}
	if s.ref == nil && s.allOf == nil && s.anyOf == nil && s.oneOf == nil {
		return q.inside(k, s)
	}
	return q.several(s, k, start)
}

// several reads a value for a schema and all that say more about it.
func (q *quick) several(s *schema, k kinds, start int) verdict {
	r := yes
	read := func(v verdict) bool {
		r = r.and(v)
		return r == yes
	}
	if s.obj != nil && k == kindObject || s.arr != nil && k == kindArray {
		if !read(q.inside(k, s)) {
			return r
		}
	}
	if s.ref != nil && !read(q.again(s.ref, start)) {
		return r
	}
	for _, sub := range s.allOf {
		if !read(q.again(sub, start)) {
			return r
		}
	}
	if s.anyOf != nil && !read(q.anyOf(s.anyOf, start)) {
		return r
	}
	if s.oneOf != nil {
		read(q.oneOf(s.oneOf, start))
	}
	return r
}

// again reads the value at start for another schema.
func (q *quick) again(s *schema, start int) verdict {
	depth, named := q.depth, q.named
	q.pos = start
	v := q.value(s)
	q.budget -= 1 + q.pos - start
	q.depth, q.named = depth, named
	return v
}

func (q *quick) anyOf(list []*schema, start int) verdict {
	r := no
	for _, sub := range list {
		switch q.again(sub, start) {
		case yes:
			return yes
		case unsure:
			r = unsure
		}
	}
	return r
}

func (q *quick) oneOf(list []*schema, start int) verdict {
	end := -1
	for _, sub := range list {
		switch q.again(sub, start) {
		case unsure:
			return unsure
		case yes:
			if end >= 0 {
				return no
			}
			end = q.pos
		}
	}
	if end < 0 {
		return no
	}
	q.pos = end
	return yes
}

// inside reads an array or object for what the schema itself says, nil for nothing.
func (q *quick) inside(k kinds, s *schema) verdict {
	if q.depth++; q.depth > maxDepth {
		return unsure
	}
	q.pos++
	var v verdict
	if k == kindArray {
		var rule *arrayRule
		if s != nil {
			rule = s.arr
		}
		v = q.array(rule)
	} else {
		var rule *objectRule
		if s != nil {
			rule = s.obj
		}
		v = q.object(rule)
	}
	q.depth--
	return v
}

// next takes the comma before another element, or the closing bracket. ok is false for
// anything else.
func (q *quick) next(first bool, closing byte) (more, ok bool) {
	q.pos = skipSpace(q.src, q.pos)
	if q.pos == len(q.src) {
		return false, false
	}
	switch c := q.src[q.pos]; {
	case c == closing:
		q.pos++
		return false, true
	case first:
		return true, true
	case c == ',':
		q.pos++
		return true, true
	}
	return false, false
}

func (q *quick) array(rule *arrayRule) verdict {
	var items *schema
	if rule != nil {
		items = rule.items
	}
	n, r := 0, yes
	for {
		more, ok := q.next(n == 0, ']')
		if !ok {
			return unsure
		}
		if !more {
			break
		}
		n++
		if r = q.value(items); r != yes {
			return r
		}
	}
	if rule != nil && (rule.min >= 0 && n < rule.min || rule.max >= 0 && n > rule.max) {
		return no
	}
	return yes
}

func (q *quick) object(rule *objectRule) verdict {
	var seen uint64
	n, hint, base := 0, 0, q.named
	for {
		more, ok := q.next(n == 0, '}')
		if !ok {
			return unsure
		}
		if !more {
			break
		}
		n++
		name, ok := q.name()
		if !ok {
			return unsure
		}
		at := -1
		if rule != nil {
			at = rule.find(name, hint)
		}
		if at >= 0 {
			if seen>>at&1 == 1 {
				return unsure
			}
			seen |= 1 << at
			hint = at + 1
		} else if !q.remember(name, base) {
			return unsure
		}
		if r := q.member(rule, at); r != yes {
			return r
		}
	}
	q.named = base
	return rule.complete(n, seen, q.mode)
}

// name reads the name of a member and the colon.
func (q *quick) name() (string, bool) {
	q.pos = skipSpace(q.src, q.pos)
	if q.pos == len(q.src) || q.src[q.pos] != '"' {
		return "", false
	}
	text, end, fault := scanString(q.src, q.pos)
	if fault != faultNone || text.escaped {
		return "", false
	}
	q.pos = skipSpace(q.src, end)
	if q.pos == len(q.src) || q.src[q.pos] != ':' {
		return "", false
	}
	q.pos++
	return text.raw, true
}

// remember notes a name that no schema has; false when it is there twice, or one too many.
func (q *quick) remember(name string, base int) bool {
	if q.named == maxNames {
		return false
	}
	for _, other := range q.names[base:q.named] {
		if other == name {
			return false
		}
	}
	q.names[q.named] = name
	q.named++
	return true
}

func (q *quick) member(rule *objectRule, at int) verdict {
	switch {
	case rule == nil:
		return q.value(nil)
	case at >= 0 && rule.props[at].schema != nil:
		return q.value(rule.props[at].schema)
	case rule.closed:
		return no
	}
	return q.value(rule.more)
}

// complete tells whether an object has what it has to.
func (o *objectRule) complete(n int, seen uint64, mode int) verdict {
	if o == nil {
		return yes
	}
	missing := o.required[mode]&^seen != 0
	return verdictOf(!missing && (o.min < 0 || n >= o.min) && (o.max < 0 || n <= o.max))
}
