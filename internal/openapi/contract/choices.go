package contract

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"yett/internal/openapi"
)

// choices is an enum, or a const.
type choices struct {
	values  []*openapi.Node
	words   kinds // null, and bool where both are in the list
	truth   [2]bool
	texts   []string
	nums    []decimal
	complex bool // has arrays, objects or numbers that are no decimals
	// textSet and numSet are made for many.
	textSet map[string]struct{}
	numSet  map[decimal]struct{}
}

// manyChoices is from where on choices are looked up in a map.
const manyChoices = 12

func choose(list []*openapi.Node) *choices {
	c := &choices{values: list}
	for _, v := range list {
		switch v.Kind {
		case openapi.Null:
			c.words |= kindNull
		case openapi.Bool:
			c.words |= kindBool
			c.truth[truth(v.Text == "true")] = true
		case openapi.String:
			c.texts = append(c.texts, v.Text)
		case openapi.Number:
			if d, ok := parseDecimal(v.Text); ok {
				c.nums = append(c.nums, d.shortest())
				break
			}
			c.complex = true
		default:
			c.complex = true
		}
	}
	if len(c.texts) > manyChoices {
		c.textSet = setOf(c.texts)
	}
	if len(c.nums) > manyChoices {
		c.numSet = setOf(c.nums)
	}
	return c
}

func setOf[T comparable](list []T) map[T]struct{} {
	set := make(map[T]struct{}, len(list))
	for _, v := range list {
		set[v] = struct{}{}
	}
	return set
}

// has tells whether a scalar is among the choices.
func (c *choices) has(v *scalar) verdict {
	switch v.kind {
	case kindNull:
		return verdictOf(c.words&kindNull != 0)
	case kindBool:
		return verdictOf(c.truth[truth(v.text == "true")])
	case kindString:
		if v.escaped {
			return unsure
		}
		return verdictOf(hasOne(c.texts, c.textSet, v.text))
	}
	switch {
	case !v.exact:
		return unsure
	case hasOne(c.nums, c.numSet, v.num.shortest()):
		return yes
	case c.complex:
		return unsure
	}
	return no
}

func hasOne[T comparable](list []T, set map[T]struct{}, v T) bool {
	if set == nil {
		return slices.Contains(list, v)
	}
	_, ok := set[v]
	return ok
}

// lazyEnum is the keyword that stands for an enum of many choices in what the library gets,
// which would go through all of them for each value.
const lazyEnum = scheme + "enum"

// listed is such an enum. It has the canonical text of each value.
type listed struct {
	values  []any
	texts   map[string]struct{}
	longest int
}

// compileEnum implements the keyword lazyEnum. It is called with the lock held.
func (l *library) compileEnum(_ *jsonschema.CompilerContext, schema map[string]any) (jsonschema.SchemaExt, error) {
	address, ok := schema[lazyEnum].(string)
	if !ok {
		return nil, nil
	}
	s, _, err := l.at(address)
	if err != nil {
		return nil, err
	}
	if l.enums == nil {
		l.enums = make(map[*choices]*listed)
	}
	if l.enums[s.listed] == nil {
		l.enums[s.listed] = newListed(s.listed)
	}
	return l.enums[s.listed], nil
}

func newListed(c *choices) *listed {
	e := &listed{values: make([]any, len(c.values)), texts: make(map[string]struct{}, len(c.values))}
	for i, n := range c.values {
		e.values[i] = n.Any()
		text, _ := appendCanonical(nil, e.values[i], -1)
		e.texts[string(text)] = struct{}{}
		e.longest = max(e.longest, len(text))
	}
	return e
}

// Validate implements jsonschema.SchemaExt.
func (e *listed) Validate(ctx *jsonschema.ValidatorContext, v any) {
	var room [128]byte
	text, ok := appendCanonical(room[:0], v, e.longest)
	if ok {
		_, ok = e.texts[string(text)]
	}
	if !ok {
		ctx.AddError(&kind.Enum{Got: v, Want: e.values})
	}
}

// appendCanonical appends a text that two values have in common only when they are the same:
// whatever the order of their members is, and however their numbers are written. It gives up
// behind most bytes, about, and never for -1.
func appendCanonical(b []byte, v any, most int) ([]byte, bool) {
	ok := true
	switch v := v.(type) {
	case nil:
		b = append(b, 'n')
	case bool:
		b = strconv.AppendBool(b, v)
	case json.Number:
		b = appendNumber(b, string(v))
	case string:
		if most >= 0 && len(v) > most {
			return b, false
		}
		b = appendSized(b, v)
	case []any:
		b = append(b, '[')
		for i := 0; ok && i < len(v); i++ {
			b, ok = appendCanonical(b, v[i], most)
		}
		b = append(b, ']')
	case map[string]any:
		b, ok = appendMembers(append(b, '{'), v, most)
	}
	return b, ok && (most < 0 || len(b) <= most)
}

func appendMembers(b []byte, members map[string]any, most int) ([]byte, bool) {
	if most >= 0 && len(members) > most {
		return b, false
	}
	names := make([]string, 0, len(members))
	for name := range members {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		var ok bool
		if b, ok = appendCanonical(appendSized(b, name), members[name], most); !ok {
			return b, false
		}
	}
	return append(b, '}'), true
}

// appendSized appends a text with its length before it.
func appendSized(b []byte, s string) []byte {
	b = strconv.AppendInt(append(b, '"'), int64(len(s)), 10)
	return append(append(b, ':'), s...)
}

// appendNumber appends the digits of a number, which is countable, without zeros at either
// end, and its exponent.
func appendNumber(b []byte, lit string) []byte {
	lit, negative := strings.CutPrefix(lit, "-")
	digits, exponent := lit, 0
	if i := strings.IndexAny(lit, "eE"); i >= 0 {
		digits = lit[:i]
		exponent, _ = strconv.Atoi(lit[i+1:])
	}
	whole, part, _ := strings.Cut(digits, ".")
	digits = whole + part
	exponent -= len(part)
	short := strings.TrimRight(digits, "0")
	exponent += len(digits) - len(short)
	short = strings.TrimLeft(short, "0")
	if short == "" {
		return append(b, '0', ';')
	}
	if negative {
		b = append(b, '-')
	}
	b = append(append(b, short...), 'e')
	return append(strconv.AppendInt(b, int64(exponent), 10), ';')
}
