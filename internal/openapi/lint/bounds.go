package lint

import (
	"slices"
	"strconv"

	"yett/internal/openapi"
)

// ranges are keywords of which the first must not be above the second. Exclusive tells that
// they must not be the same either.
var ranges = []struct {
	least, most string
	exclusive   bool
}{
	{"minimum", "maximum", false}, {"exclusiveMinimum", "maximum", true}, {"minimum", "exclusiveMaximum", true}, {"exclusiveMinimum", "exclusiveMaximum", true},
	{"minLength", "maxLength", false}, {"minItems", "maxItems", false}, {"minProperties", "maxProperties", false}, {"minContains", "maxContains", false},
}

// checkBounds looks for ranges that nothing is in.
func checkBounds(l *linter) {
	for _, n := range l.of[openapi.PartSchema] {
		for _, r := range ranges {
			least, hasLeast := numberOf(n.Get(r.least))
			most, hasMost := numberOf(n.Get(r.most))
			// OpenAPI 3.0 says true for exclusive ones.
			exclusive := r.exclusive || r.least == "minimum" && r.most == "maximum" && (n.True("exclusiveMinimum") || n.True("exclusiveMaximum"))
			if hasLeast && hasMost && (least > most || exclusive && least == most) {
				l.add(n.Get(r.least), "", "%s is %s and %s is %s: no value is within", r.least, n.Get(r.least).Text, r.most, n.Get(r.most).Text)
			}
		}
	}
}

func numberOf(n *openapi.Node) (float64, bool) {
	if !n.Is(openapi.Number) {
		return 0, false
	}
	f, err := strconv.ParseFloat(n.Text, 64)
	return f, err == nil
}

// besides are keywords that may describe properties elsewhere.
var besides = []string{"$ref", "oneOf", "anyOf", "if", "not", "dependentSchemas", "patternProperties", "discriminator"}

// checkUndescribed looks for required properties that a schema takes, but says nothing of. A
// schema that is a part of another one is left out: the other may describe them.
func checkUndescribed(l *linter) {
	part := l.partsOfOthers()
	for _, n := range l.of[openapi.PartSchema] {
		if part[n] || forbids(n) || slices.ContainsFunc(besides, func(name string) bool { return n.Get(name) != nil }) {
			continue
		}
		for _, name := range n.Get("required").Elements() {
			if !name.Is(openapi.String) {
				continue
			}
			if described, _ := l.property(n, name.Text, 0); !described {
				l.add(name, "", "the property %q is required and not described", name.Text)
			}
		}
	}
}

// forbids tells whether a schema refuses properties that it does not describe.
func forbids(n *openapi.Node) bool {
	closed := n.Get("additionalProperties")
	return closed.Is(openapi.Bool) && closed.Text == "false"
}

// partsOfOthers returns the schemas that others apply to the same value.
func (l *linter) partsOfOthers() map[*openapi.Node]bool {
	part := make(map[*openapi.Node]bool)
	mark := func(n *openapi.Node) {
		part[n] = true
		if target := l.d.Deref(n); target != nil {
			part[target] = true
		}
	}
	for _, n := range l.of[openapi.PartSchema] {
		for _, name := range []string{"allOf", "anyOf", "oneOf"} {
			for _, inner := range n.Get(name).Elements() {
				mark(inner)
			}
		}
		for _, name := range []string{"not", "if", "then", "else"} {
			if inner := n.Get(name); inner != nil {
				mark(inner)
			}
		}
		for _, m := range n.Get("dependentSchemas").Pairs() {
			mark(m.Value)
		}
	}
	return part
}
