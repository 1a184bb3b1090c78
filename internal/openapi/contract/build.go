package contract

import (
	"slices"
	"strconv"
	"strings"

	"yett/internal/openapi"
	"yett/internal/problem"
)

// builder compiles the schemas of a document, each node once.
type builder struct {
	d        *openapi.Document
	byNode   map[*openapi.Node]*schema
	all      []*schema
	patterns map[string]*pattern // nil for those that can't be compiled
	problems problem.List
	// path are the names down to what is being compiled.
	path []string
}

func newBuilder(d *openapi.Document) *builder {
	return &builder{d: d, byNode: map[*openapi.Node]*schema{}, patterns: map[string]*pattern{}}
}

// note adds a problem at a node.
func (b *builder) note(n *openapi.Node, what, hint string) {
	if len(b.problems) < maxProblems {
		b.problems = append(b.problems, b.d.Problem(n, b.where(), what, hint))
	}
}

// maxProblems is how many problems of one document are told.
const maxProblems = 500

// where is the path as a JSON pointer. A reference is followed by starting anew.
func (b *builder) where() string {
	from := 0
	for i, name := range b.path {
		if strings.HasPrefix(name, "#") {
			from = i
		}
	}
	var text strings.Builder
	for i, name := range b.path[from:] {
		if i == 0 && strings.HasPrefix(name, "#") {
			text.WriteString(name[1:])
			continue
		}
		text.WriteString("/" + openapi.Escape(name))
	}
	return text.String()
}

// below does something with names added to the path.
func (b *builder) below(do func(), names ...string) {
	n := len(b.path)
	b.path = append(b.path, names...)
	do()
	b.path = b.path[:n]
}

// schema compiles a node and what hangs on it. It returns nil for nil, which takes
// everything.
func (b *builder) schema(n *openapi.Node, names ...string) *schema {
	if n == nil {
		return nil
	}
	if s := b.byNode[n]; s != nil {
		return s
	}
	s := &schema{id: len(b.all), node: n}
	b.byNode[n] = s
	b.all = append(b.all, s)
	b.below(func() { b.fill(s) }, names...)
	return s
}

func (b *builder) fill(s *schema) {
	switch {
	case s.node.Is(openapi.Bool):
		s.never = s.node.Text == "false"
		return
	case !s.node.Is(openapi.Object):
		s.passed = true
		b.note(s.node, "a schema is an object, true or false, not a "+s.node.Kind.String(), "it is passed over")
		return
	}
	for _, m := range s.node.Members {
		b.keyword(s, m.Name, m.Value)
	}
	if o := s.obj; o != nil {
		b.index(s, o)
	}
}

// index adds the names of required to the properties, and makes the map of many.
func (b *builder) index(s *schema, o *objectRule) {
	if len(o.props)+len(o.names) > manyProps {
		o.byName = make(map[string]int, len(o.props)+len(o.names))
	}
	for i := range o.props {
		o.note(i)
	}
	for _, name := range o.names {
		if o.find(name, 0) < 0 {
			o.props = append(o.props, property{name: name})
			o.note(len(o.props) - 1)
		}
	}
	if len(o.props) > 64 { // of a mask
		s.unsureIn = true
	}
}

// note puts one of the properties into the map, where there is one.
func (o *objectRule) note(i int) {
	if o.byName != nil {
		o.byName[o.props[i].name] = i
	}
}

// keyword compiles one keyword. What is no keyword, or says nothing about values, is
// passed over silently.
func (b *builder) keyword(s *schema, name string, v *openapi.Node) {
	ok := true
	switch name {
	case "$ref":
		ok = b.reference(s, v)
	case "$dynamicRef", "$recursiveRef":
		ok = b.drop(s, name, v, "is not supported", "refer to the schema by $ref")
	case "type":
		ok = b.types(s, v)
	case "enum":
		ok = b.enum(s, v)
	case "const":
		ok = b.constant(s, v)
	case "format":
		ok = b.format(s, v)
	case "allOf", "anyOf", "oneOf", "prefixItems":
		ok = b.list(s, name, v)
	case "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf":
		ok = b.bound(s, name, v)
	case "minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties", "minContains", "maxContains":
		ok = b.count(s, name, v)
	case "pattern":
		ok = b.pattern(s, v)
	case "required":
		ok = b.required(s, v)
	case "properties", "patternProperties", "dependentSchemas":
		ok = b.named(s, name, v)
	case "additionalProperties", "items":
		b.nested(s, name, v)
	case "not", "if", "then", "else", "contains", "propertyNames", "unevaluatedProperties", "unevaluatedItems":
		b.other(s, name, v)
	case "uniqueItems":
		ok = b.unique(s, v)
	case "dependentRequired":
		ok = b.dependent(s, v)
	}
	if !ok {
		s.dropped = append(s.dropped, name)
	}
}

// wrong notes that a keyword has a value that it can't have. It returns false.
func (b *builder) wrong(s *schema, name string, v *openapi.Node, want string) bool {
	return b.drop(s, name, v, "has to be "+want, "it is passed over")
}

func (b *builder) drop(s *schema, name string, v *openapi.Node, what, hint string) bool {
	b.below(func() { b.note(v, what, hint) }, name)
	return false
}

func (b *builder) reference(s *schema, v *openapi.Node) bool {
	if !v.Is(openapi.String) {
		return b.wrong(s, "$ref", v, "a text")
	}
	target, err := b.d.Resolve(v.Text)
	if err != nil {
		return b.drop(s, "$ref", v, err.Error(), "it is passed over")
	}
	s.ref = b.schema(target, v.Text)
	return true
}

func (b *builder) types(s *schema, v *openapi.Node) bool {
	list := v.Elements()
	if v.Is(openapi.String) {
		list = []*openapi.Node{v}
	}
	var set kinds
	for _, t := range list {
		k, ok := kindOf(t.Text)
		if !t.Is(openapi.String) || !ok {
			set = 0
			break
		}
		set |= k
	}
	if set == 0 {
		return b.wrong(s, "type", v, "one of null, boolean, integer, number, string, array and object, or a list of them")
	}
	if v.Is(openapi.Array) && hasTwins(v.Strings()) {
		return b.wrong(s, "type", v, "a list in which each type is once")
	}
	s.types = set
	return true
}

func hasTwins(list []string) bool {
	sorted := slices.Sorted(slices.Values(list))
	return len(slices.Compact(sorted)) < len(list)
}

func (b *builder) enum(s *schema, v *openapi.Node) bool {
	if !v.Is(openapi.Array) {
		return b.wrong(s, "enum", v, "a list of values")
	}
	if !reckonable(v) {
		return b.wrong(s, "enum", v, "a list without numbers that are too large to reckon with")
	}
	s.listed = choose(v.Items)
	s.enums = append(s.enums, s.listed)
	return true
}

func (b *builder) constant(s *schema, v *openapi.Node) bool {
	if !reckonable(v) {
		return b.wrong(s, "const", v, "a value without numbers that are too large to reckon with")
	}
	s.enums = append(s.enums, choose([]*openapi.Node{v}))
	return true
}

// reckonable tells whether no number in the value is too large.
func reckonable(v *openapi.Node) bool {
	good := true
	v.Walk(func(n *openapi.Node) bool {
		good = good && (!n.Is(openapi.Number) || isNumber(n.Text) && countable(n.Text))
		return good
	})
	return good
}

func truth(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (b *builder) format(s *schema, v *openapi.Node) bool {
	if !v.Is(openapi.String) {
		return b.wrong(s, "format", v, "a text")
	}
	switch v.Text {
	case "int32", "int64":
		n := s.number()
		n.whole = true
		limits := intRange(v.Text)
		n.tighten(&limits[0], &limits[1])
	default:
		if f := formatOf(v.Text); f != noFormat {
			s.string().format = f
		}
	}
	return true
}

// tighten adds bounds to those that are there.
func (n *numberRule) tighten(min, max *decimal) {
	if n.min == nil || min != nil && n.min.compare(*min) < 0 {
		n.min = min
	}
	if n.max == nil || max != nil && n.max.compare(*max) > 0 {
		n.max = max
	}
}

func (b *builder) bound(s *schema, name string, v *openapi.Node) bool {
	if !v.Is(openapi.Number) || !isNumber(v.Text) || !countable(v.Text) {
		return b.wrong(s, name, v, "a number")
	}
	d, ok := parseDecimal(v.Text)
	if name == "multipleOf" && !positive(v.Text) {
		return b.wrong(s, name, v, "a number above 0")
	}
	n := s.number()
	n.unsure = n.unsure || !ok
	switch name {
	case "minimum":
		n.tighten(&d, n.max)
	case "maximum":
		n.tighten(n.min, &d)
	case "exclusiveMinimum":
		n.above = &d
	case "exclusiveMaximum":
		n.below = &d
	case "multipleOf":
		n.multiple = &d
	}
	return true
}

// positive tells whether a number that is one by its grammar is above 0.
func positive(lit string) bool {
	mantissa, _, _ := strings.Cut(strings.ToLower(lit), "e")
	return lit[0] != '-' && strings.ContainsAny(mantissa, "123456789")
}

func (b *builder) count(s *schema, name string, v *openapi.Node) bool {
	d, ok := decimal{}, false
	if v.Is(openapi.Number) && isNumber(v.Text) {
		d, ok = parseDecimal(v.Text)
	}
	if !ok || d.neg || !d.isInt() {
		return b.wrong(s, name, v, "a whole number from 0")
	}
	n := int(d.mant / pow10[d.scale])
	switch name {
	case "minLength":
		s.string().min = n
	case "maxLength":
		s.string().max = n
	case "minItems":
		s.array().min = n
	case "maxItems":
		s.array().max = n
	case "minProperties":
		s.object().min = n
	case "maxProperties":
		s.object().max = n
	}
	return true
}

func (b *builder) pattern(s *schema, v *openapi.Node) bool {
	if !v.Is(openapi.String) {
		return b.wrong(s, "pattern", v, "a text")
	}
	p := b.compiled(v)
	if p == nil {
		s.dropped = append(s.dropped, "pattern")
		return true
	}
	s.string().pattern = p
	return true
}

// compiled compiles a pattern, once for each text. It returns nil and notes why where that
// can't be.
func (b *builder) compiled(v *openapi.Node) *pattern {
	p, known := b.patterns[v.Text]
	if !known {
		var what string
		if p, what = compilePattern(toRE2(v.Text)); p == nil {
			b.below(func() { b.note(v, "the pattern can't be checked here: "+what, "it is passed over") }, "pattern")
		}
		b.patterns[v.Text] = p
	}
	return p
}

// toRE2 writes \uXXXX of ECMA-262 as RE2 has it.
func toRE2(pattern string) string {
	if !strings.Contains(pattern, `\u`) {
		return pattern
	}
	var b strings.Builder
	for i := 0; i < len(pattern); {
		if _, ok := unicodeEscape(pattern[i:]); ok {
			b.WriteString(`\x{` + pattern[i+2:i+6] + `}`)
			i += 6
			continue
		}
		n := 1
		if pattern[i] == '\\' && i+1 < len(pattern) {
			n = 2
		}
		b.WriteString(pattern[i : i+n])
		i += n
	}
	return b.String()
}

func (b *builder) required(s *schema, v *openapi.Node) bool {
	if !v.Is(openapi.Array) || len(v.Strings()) != len(v.Items) || hasTwins(v.Strings()) {
		return b.wrong(s, "required", v, "a list of names, each once")
	}
	s.object().names = v.Strings()
	return true
}

func (b *builder) unique(s *schema, v *openapi.Node) bool {
	if !v.Is(openapi.Bool) {
		return b.wrong(s, "uniqueItems", v, "true or false")
	}
	s.unique = v.Text == "true"
	s.unsureIn = s.unsureIn || s.unique
	return true
}

func (b *builder) dependent(s *schema, v *openapi.Node) bool {
	good := v.Is(openapi.Object)
	for _, m := range v.Pairs() {
		good = good && m.Value.Is(openapi.Array) && len(m.Value.Strings()) == len(m.Value.Items) && !hasTwins(m.Value.Strings())
	}
	if !good {
		return b.wrong(s, "dependentRequired", v, "an object of lists of names, each once")
	}
	s.unsureIn = true
	s.dependents = make(map[string][]string, len(v.Members))
	for _, m := range v.Members {
		s.dependents[m.Name] = m.Value.Strings()
	}
	return true
}

func (b *builder) list(s *schema, name string, v *openapi.Node) bool {
	if len(v.Elements()) == 0 {
		return b.wrong(s, name, v, "a list of schemas, not empty")
	}
	for i, n := range v.Items {
		sub := b.schema(n, name, strconv.Itoa(i))
		switch name {
		case "allOf":
			sub.parent = s
			s.allOf = append(s.allOf, sub)
		case "anyOf":
			s.anyOf = append(s.anyOf, sub)
		case "oneOf":
			s.oneOf = append(s.oneOf, sub)
		default:
			s.unsureIn = true
			s.rest = append(s.rest, subschema{name, strconv.Itoa(i), sub, nil})
		}
	}
	return true
}

func (b *builder) named(s *schema, name string, v *openapi.Node) bool {
	if !v.Is(openapi.Object) {
		return b.wrong(s, name, v, "an object of schemas")
	}
	for _, m := range v.Members {
		var p *pattern
		if name == "patternProperties" {
			if p = b.compiled(&openapi.Node{Kind: openapi.String, Text: m.Name, Line: m.Line, Column: m.Column}); p == nil {
				continue
			}
		}
		sub := b.schema(m.Value, name, m.Name)
		if name == "properties" {
			s.object().props = append(s.object().props, property{name: m.Name, schema: sub})
			continue
		}
		s.unsureIn = true
		s.rest = append(s.rest, subschema{name, m.Name, sub, p})
	}
	return true
}

func (b *builder) nested(s *schema, name string, v *openapi.Node) {
	sub := b.schema(v, name)
	if name == "items" {
		s.array().items = sub
		return
	}
	s.object().more = sub
	s.object().closed = sub.never
}

func (b *builder) other(s *schema, name string, v *openapi.Node) {
	sub := b.schema(v, name)
	s.rest = append(s.rest, subschema{keyword: name, schema: sub})
	switch name {
	case "contains", "propertyNames", "unevaluatedProperties", "unevaluatedItems":
		s.unsureIn = true
	default:
		s.unsure = true
	}
}
