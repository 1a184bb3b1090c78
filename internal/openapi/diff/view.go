package diff

import (
	"math"
	"slices"
	"strconv"

	"yett/internal/openapi"
)

// view is what a schema says, with what allOf adds to it.
type view struct {
	node *openapi.Node
	// types are none for any.
	types    []string
	format   string
	enum     []*openapi.Node // nil for anything
	hasEnum  bool
	bounds   map[string]bound
	pattern  string
	unique   bool
	names    []string
	property map[string]*openapi.Node
	required map[string]bool
	// closed schemas take no other properties, others are of the schema additional.
	closed       bool
	additional   *openapi.Node
	items        *openapi.Node
	prefix       []*openapi.Node
	alternatives []*openapi.Node
	keyword      string                   // oneOf or anyOf
	rest         map[string]*openapi.Node // what is compared by being the same
	value        *openapi.Node            // the default
}

// bound is the end of a range.
type bound struct {
	at        float64
	exclusive bool
}

// upper and lower are the keywords of bounds: those that come in two forms share one.
var (
	upper = map[string]string{"maximum": "maximum", "exclusiveMaximum": "maximum", "maxLength": "maxLength", "maxItems": "maxItems", "maxProperties": "maxProperties"}
	lower = map[string]string{"minimum": "minimum", "exclusiveMinimum": "minimum", "minLength": "minLength", "minItems": "minItems", "minProperties": "minProperties"}
)

// maxParts is how many schemas a view is made of, those around one another in allOf.
const maxParts = 1000

// view returns what a schema of a document says. Nil is a schema that takes anything.
func (c *comparison) view(d *openapi.Document, n *openapi.Node) *view {
	if v := c.views[n]; v != nil {
		return v
	}
	v := &view{node: n, bounds: make(map[string]bound), property: make(map[string]*openapi.Node), required: make(map[string]bool), rest: make(map[string]*openapi.Node)}
	parts := maxParts
	v.add(d, n, &parts)
	if n != nil {
		c.views[n] = v
	}
	return v
}

// add adds what a schema says to a view.
func (v *view) add(d *openapi.Document, n *openapi.Node, parts *int) {
	if *parts--; *parts < 0 {
		return
	}
	if n.Is(openapi.Bool) && n.Text == "false" {
		v.types = []string{"nothing"}
		return
	}
	for _, m := range n.Pairs() {
		v.keywordOf(d, m.Name, m.Value, parts)
	}
}

// keywordOf adds one keyword.
func (v *view) keywordOf(d *openapi.Document, name string, value *openapi.Node, parts *int) {
	switch name {
	case "$ref":
		if target, err := d.Resolve(value.Text); err == nil && value.Is(openapi.String) {
			v.add(d, target, parts)
		}
	case "allOf":
		for _, part := range value.Elements() {
			v.add(d, part, parts)
		}
	case "type":
		v.typesOf(value)
	case "format":
		v.format = value.Text
	case "pattern":
		v.pattern = value.Text
	case "uniqueItems":
		v.unique = value.Is(openapi.Bool) && value.Text == "true"
	case "enum":
		v.enum, v.hasEnum = value.Elements(), true
	case "const":
		v.enum, v.hasEnum = []*openapi.Node{value}, true
	case "default":
		v.value = value
	case "items":
		v.items = value
	case "prefixItems":
		v.prefix = value.Elements()
	case "oneOf", "anyOf":
		v.alternativesOf(d, name, value.Elements(), parts)
	case "properties", "required", "additionalProperties":
		v.object(name, value)
	case "not", "if", "then", "else", "dependentRequired", "dependentSchemas", "patternProperties", "propertyNames", "contains", "unevaluatedProperties", "unevaluatedItems", "discriminator", "multipleOf":
		v.rest[name] = value
	default:
		v.boundOf(name, value)
	}
}

func (v *view) object(name string, value *openapi.Node) {
	switch name {
	case "properties":
		for _, p := range value.Pairs() {
			if v.property[p.Name] == nil {
				v.names = append(v.names, p.Name)
			}
			v.property[p.Name] = p.Value
		}
	case "required":
		for _, r := range value.Strings() {
			v.required[r] = true
		}
	default:
		if value.Is(openapi.Bool) {
			v.closed = v.closed || value.Text == "false"
		} else {
			v.additional = value
		}
	}
}

func (v *view) typesOf(value *openapi.Node) {
	types := value.Strings()
	if value.Is(openapi.String) {
		types = []string{value.Text}
	}
	if len(v.types) == 0 {
		v.types = types
		return
	}
	var both []string
	for _, t := range types {
		if slices.Contains(v.types, t) {
			both = append(both, t)
		}
	}
	if v.types = both; len(both) == 0 {
		v.types = []string{"nothing"}
	}
}

// alternativesOf takes an alternative of nothing but null for what it means: that the others
// may be null too.
func (v *view) alternativesOf(d *openapi.Document, keyword string, list []*openapi.Node, parts *int) {
	var others []*openapi.Node
	for _, n := range list {
		if len(n.Pairs()) != 1 || n.Str("type") != "null" {
			others = append(others, n)
		}
	}
	if len(others) == 1 && len(list) == 2 {
		inner := &view{bounds: v.bounds, property: v.property, required: v.required, rest: v.rest, names: v.names}
		inner.add(d, others[0], parts)
		inner.node = v.node
		if len(inner.types) > 0 {
			inner.types = append(slices.Clone(inner.types), "null")
		}
		*v = *inner
		return
	}
	v.alternatives, v.keyword = append(v.alternatives, list...), keyword
}

func (v *view) boundOf(name string, value *openapi.Node) {
	at, err := strconv.ParseFloat(value.Text, 64)
	if err != nil || math.IsNaN(at) {
		return
	}
	b := bound{at, name == "exclusiveMaximum" || name == "exclusiveMinimum"}
	if key := upper[name]; key != "" {
		if was, ok := v.bounds[key]; !ok || tighter(b, was, 1) {
			v.bounds[key] = b
		}
	}
	if key := lower[name]; key != "" {
		if was, ok := v.bounds[key]; !ok || tighter(b, was, -1) {
			v.bounds[key] = b
		}
	}
}

// tighter tells whether a bound allows less than another: upper ones have the sign 1, lower
// ones -1.
func tighter(a, b bound, sign float64) bool {
	if a.at != b.at {
		return a.at*sign < b.at*sign
	}
	return a.exclusive && !b.exclusive
}
