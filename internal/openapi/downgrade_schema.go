package openapi

import (
	"math/big"
	"slices"
	"strings"
)

// keywords30 are those of a schema in 3.0 (section 4.7.24). All others are left out.
var keywords30 = func() map[string]bool {
	known := make(map[string]bool)
	for _, name := range []string{"$ref", "title", "multipleOf", "maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum", "maxLength", "minLength", "pattern",
		"maxItems", "minItems", "uniqueItems", "maxProperties", "minProperties", "required", "enum", "type", "allOf", "oneOf", "anyOf", "not", "items",
		"properties", "additionalProperties", "description", "format", "default", "nullable", "discriminator", "readOnly", "writeOnly", "xml",
		"externalDocs", "example", "deprecated"} {
		known[name] = true
	}
	return known
}()

func (g *downgrade) schema(n *Node) {
	if g.made[n] {
		return
	}
	n.Delete("nullable") // which says nothing in 3.1
	g.negation(n)
	g.alternatives(n)
	downgradeTuple(n)
	downgradePatterns(n)
	downgradeValues(n)
	downgradeBound(n, "minimum", "exclusiveMinimum", 1)
	downgradeBound(n, "maximum", "exclusiveMaximum", -1)
	downgradeContent(n)
	g.types(n)
	if required := n.Get("required"); required != nil {
		if required.Items = uniqueStrings(required.Elements()); len(required.Items) == 0 {
			n.Delete("required")
		}
	}
	n.Members = slices.DeleteFunc(n.Members, func(m Member) bool {
		return !keywords30[m.Name] && !strings.HasPrefix(m.Name, "x-")
	})
	downgradeReference(n)
}

func uniqueStrings(items []*Node) (unique []*Node) {
	met := make(map[string]bool)
	for _, item := range items {
		if item.Kind == String && !met[item.Text] {
			met[item.Text] = true
			unique = append(unique, item)
		}
	}
	return unique
}

// negation leaves out the negation of something that takes more than it did: it would
// take less.
func (g *downgrade) negation(n *Node) {
	if g.lossy[n.Get("not")] {
		n.Delete("not")
	}
}

// alternatives lets several of the alternatives be right where one takes more than it did:
// a second one may be right now.
func (g *downgrade) alternatives(n *Node) {
	list := n.Get("oneOf")
	if !slices.ContainsFunc(list.Elements(), func(s *Node) bool { return g.lossy[s] }) {
		return
	}
	if n.Get("anyOf") == nil {
		n.rename("oneOf", "anyOf", list)
		return
	}
	n.Delete("oneOf")
	n.also(NewObject("anyOf", list))
}

// also adds a schema that has to be kept as well.
func (n *Node) also(schema *Node) {
	if all := n.Get("allOf"); all.Is(Array) {
		all.Append(schema)
		return
	}
	n.Set("allOf", NewArray(schema))
}

// downgradeTuple lets each item be what any of a tuple's may be.
func downgradeTuple(n *Node) {
	tuple := n.Get("prefixItems").Elements()
	if len(tuple) == 0 {
		return
	}
	rest := n.Get("items")
	switch {
	case rest == nil || rest.Is(Bool) && rest.Text == "true":
		n.Set("items", NewObject())
		return
	case isFalse(rest):
		if most := NewInt(int64(len(tuple))); !n.Get("maxItems").Is(Number) || compareNumbers(n.Get("maxItems").Text, most.Text) > 0 {
			n.Set("maxItems", most)
		}
	default:
		tuple = append(slices.Clone(tuple), rest)
	}
	booleanSchemas(NewArray(tuple...), list)
	n.Set("items", NewObject("anyOf", NewArray(tuple...)))
}

// isFalse tells whether a schema takes nothing; true and false are objects already.
func isFalse(schema *Node) bool {
	not := schema.Get("not")
	return schema.Is(Bool) && schema.Text == "false" || len(schema.Pairs()) == 1 && not.Is(Object) && len(not.Members) == 0
}

// downgradePatterns lets further properties be what those of a pattern may be.
func downgradePatterns(n *Node) {
	patterns, rest := n.Get("patternProperties").Pairs(), n.Get("additionalProperties")
	if len(patterns) == 0 || rest == nil || rest.Is(Bool) && rest.Text == "true" {
		return
	}
	any := NewArray()
	for _, m := range patterns {
		any.Append(m.Value)
	}
	if !isFalse(rest) {
		any.Append(rest)
	}
	n.Set("additionalProperties", NewObject("anyOf", any))
}

func downgradeValues(n *Node) {
	if v := n.Get("const"); v != nil {
		n.Delete("enum")
		n.rename("const", "enum", NewArray(v))
	}
	if enum := n.Get("enum"); enum != nil && len(enum.Elements()) == 0 {
		n.Delete("enum")
	}
	if list := n.Get("examples").Elements(); len(list) > 0 && n.Get("example") == nil {
		n.rename("examples", "example", list[0])
	}
}

// downgradeBound writes an exclusive bound as a flag, unless the other bound is narrower.
// Sign is 1 for what is narrower when it is larger.
func downgradeBound(n *Node, bound, exclusive string, sign int) {
	limit, other := n.Get(exclusive), n.Get(bound)
	if limit == nil {
		return
	}
	n.Delete(exclusive)
	if !limit.Is(Number) || other.Is(Number) && sign*compareNumbers(other.Text, limit.Text) > 0 {
		return
	}
	n.Set(bound, limit)
	n.Set(exclusive, NewBool(true))
}

func compareNumbers(a, b string) int {
	x, okX := new(big.Rat).SetString(a)
	y, okY := new(big.Rat).SetString(b)
	if !okX || !okY {
		return 0
	}
	return x.Cmp(y)
}

// downgradeContent names the formats that 3.0 has for bytes.
func downgradeContent(n *Node) {
	if n.Get("format") != nil || !n.Get("type").holds("string") {
		return
	}
	switch {
	case strings.EqualFold(n.Str("contentEncoding"), "base64"):
		n.Set("format", NewString("byte"))
	case n.Get("contentEncoding") == nil && n.Str("contentMediaType") == "application/octet-stream":
		n.Set("format", NewString("binary"))
	}
}

// types writes null as a flag, and several types as alternatives.
func (g *downgrade) types(n *Node) {
	t := n.Get("type")
	names := t.Strings()
	if t.Is(String) {
		names = []string{t.Text}
	}
	null := slices.Contains(names, "null")
	names = slices.DeleteFunc(names, func(s string) bool { return s == "null" })
	switch {
	case t == nil:
	case len(names) == 0 && null: // nothing but null
		n.Delete("enum")
		n.Set("type", NewString("object")) // nullable says nothing without a type
		n.Set("nullable", NewBool(true))
		n.Set("enum", NewArray(&Node{Kind: Null}))
	case len(names) == 0:
		n.Delete("type")
	case len(names) == 1:
		n.Set("type", NewString(names[0]))
		if null {
			n.Set("nullable", NewBool(true))
		}
		if names[0] == "array" && n.Get("items") == nil {
			n.Set("items", NewObject())
		}
	default:
		n.Delete("type")
		g.anyType(n, names, null)
	}
}

func (g *downgrade) anyType(n *Node, names []string, null bool) {
	any := NewArray()
	for _, name := range names {
		schema := NewObject("type", name)
		if name == "array" {
			schema.Set("items", NewObject())
		}
		if null {
			schema.Set("nullable", NewBool(true))
		}
		g.made[schema] = true
		any.Append(schema)
	}
	if n.Get("anyOf") == nil {
		n.Set("anyOf", any)
		return
	}
	n.also(NewObject("anyOf", any))
}

// downgradeReference puts a reference that something stands beside among the schemas that
// have to be kept.
func downgradeReference(n *Node) {
	ref := n.Get("$ref")
	if ref == nil || len(n.Members) == 1 {
		return
	}
	n.Delete("$ref")
	n.also(NewObject("$ref", ref))
}
