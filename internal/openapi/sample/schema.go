package sample

import (
	"net/url"
	"regexp"
	"slices"
	"strconv"

	"yett/internal/openapi"
)

// part is one of the schemas that have to hold for a value.
type part struct {
	node *openapi.Node
	// at is its place among the schemas that values are checked by, as a JSON pointer in a
	// fragment. It is "" for one that stands in no document.
	at string
	// tells is a property that tells which branch was chosen, with its value.
	tells, name string
}

// takes tells whether a value has the name of the branch, if it has to.
func (p part) takes(v *openapi.Node) bool {
	if p.tells == "" || !v.Is(openapi.Object) {
		return true
	}
	return v.Str(p.tells) == p.name
}

// below returns a place below another one.
func below(at string, tokens ...string) string {
	if at == "" {
		return ""
	}
	for _, t := range tokens {
		at += "/" + url.PathEscape(openapi.Escape(t))
	}
	return at
}

// parts returns a schema and all that it asks for by references and allOf.
func (g *generator) parts(n *openapi.Node, at string) []part { return g.flatten(nil, n, at) }

func (g *generator) flatten(into []part, n *openapi.Node, at string) []part {
	if n == nil || n.Kind != openapi.Object && n.Kind != openapi.Bool || hasNode(into, n) || !g.spend(1) {
		return into
	}
	into = append(into, part{node: n, at: at})
	if ref := n.Get("$ref"); ref.Is(openapi.String) {
		target, err := g.doc.Resolve(ref.Text)
		if err != nil {
			g.fatal = err
			return into
		}
		into = g.flatten(into, target, ref.Text[1:])
	}
	for i, m := range n.Get("allOf").Elements() {
		into = g.flatten(into, m, below(at, "allOf", strconv.Itoa(i)))
	}
	return into
}

func hasNode(parts []part, n *openapi.Node) bool {
	return slices.ContainsFunc(parts, func(p part) bool { return p.node == n })
}

// choice is a keyword of a part that leaves a choice: oneOf, anyOf or if.
type choice struct {
	part    part
	keyword string
}

func nextChoice(parts []part, done []choice) (choice, bool) {
	for _, p := range parts {
		for _, keyword := range []string{"oneOf", "anyOf", "if"} {
			c := choice{p, keyword}
			if p.node.Get(keyword) != nil && !slices.Contains(done, c) {
				return c, true
			}
		}
	}
	return choice{}, false
}

// branches returns what each branch of a choice asks for. Those that only take null come last.
func (g *generator) branches(c choice) [][]part {
	if c.keyword == "if" {
		return g.conditional(c.part)
	}
	var out, nulls [][]part
	for i, n := range c.part.node.Get(c.keyword).Elements() {
		more := g.parts(n, below(c.part.at, c.keyword, strconv.Itoa(i)))
		if kinds := typesOf(more); len(kinds) == 1 && kinds[0] == "null" {
			nulls = append(nulls, more)
			continue
		}
		if tell, ok := discriminator(c.part.node, n); ok {
			out = append(out, append(more[:len(more):len(more)], tell))
		}
		out = append(out, more)
	}
	return append(out, nulls...)
}

func (g *generator) conditional(p part) [][]part {
	then := g.flatten(g.parts(p.node.Get("if"), below(p.at, "if")), p.node.Get("then"), below(p.at, "then"))
	return [][]part{then, g.parts(p.node.Get("else"), below(p.at, "else"))}
}

// discriminator returns what a branch asks for by the name that the discriminator gives it.
// No keyword of JSON Schema does that.
func discriminator(of, branch *openapi.Node) (part, bool) {
	d := of.Get("discriminator")
	property, ref := d.Str("propertyName"), branch.Str("$ref")
	if property == "" || ref == "" {
		return part{}, false
	}
	name := lastToken(ref)
	for _, m := range d.Get("mapping").Pairs() {
		if m.Value.Is(openapi.String) && (m.Value.Text == ref || m.Value.Text == name) {
			name = m.Name
			break
		}
	}
	schema := openapi.NewObject("properties", openapi.NewObject(property, openapi.NewObject("const", name)))
	return part{node: schema, tells: property, name: name}, true
}

func lastToken(ref string) string {
	for i := len(ref) - 1; i >= 0; i-- {
		if ref[i] == '/' {
			return ref[i+1:]
		}
	}
	return ref
}

// typesOf returns the types that all parts allow, null last. Where none of them says,
// it goes by the other keywords.
func typesOf(parts []part) []string {
	var out []string
	said := false
	for _, p := range parts {
		own := typeNames(p.node)
		switch {
		case own == nil:
		case !said:
			out, said = own, true
		default:
			out = common(out, own)
		}
	}
	if !said {
		out = append(suggested(parts), "string", "object", "integer", "array", "boolean", "null")
	}
	slices.SortStableFunc(out, func(a, b string) int { return isNull(a) - isNull(b) })
	return out
}

func isNull(kind string) int {
	if kind == "null" {
		return 1
	}
	return 0
}

func typeNames(n *openapi.Node) []string {
	t := n.Get("type")
	if t.Is(openapi.String) {
		return []string{t.Text}
	}
	return t.Strings()
}

// common returns the types in both lists. An integer is a number.
func common(a, b []string) []string {
	var out []string
	for _, kind := range a {
		switch {
		case slices.Contains(b, kind):
			out = append(out, kind)
		case kind == "integer" && slices.Contains(b, "number"), kind == "number" && slices.Contains(b, "integer"):
			out = append(out, "integer")
		}
	}
	return out
}

// suggested returns the types that the other keywords are about.
func suggested(parts []part) []string {
	var out []string
	for _, hint := range hints {
		has := func(p part) bool {
			return slices.ContainsFunc(hint.keywords, func(k string) bool { return p.node.Get(k) != nil })
		}
		if slices.ContainsFunc(parts, has) {
			out = append(out, hint.kind)
		}
	}
	return out
}

var hints = [...]struct {
	kind     string
	keywords []string
}{
	{"object", []string{"properties", "required", "additionalProperties", "patternProperties", "propertyNames", "minProperties", "maxProperties", "dependentRequired", "dependentSchemas", "unevaluatedProperties"}},
	{"array", []string{"items", "prefixItems", "minItems", "maxItems", "uniqueItems", "contains", "unevaluatedItems"}},
	{"string", []string{"pattern", "minLength", "maxLength", "format", "contentEncoding", "contentMediaType"}},
	{"number", []string{"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}},
}

// hardParts returns the parts of which it can't be known in advance whether they hold.
func hardParts(parts []part) []part {
	var hard []part
	for _, p := range parts {
		isHard := slices.ContainsFunc(p.node.Pairs(), func(m openapi.Member) bool { return slices.Contains(hardKeywords, m.Name) })
		bound := p.node.Get("pattern") != nil || p.node.Get("minLength") != nil || p.node.Get("maxLength") != nil
		if isHard || p.tells != "" || bound && formatOf(parts) != "" {
			hard = append(hard, p)
		}
		if bound && formatOf([]part{p}) == "" && formatOf(parts) != "" {
			hard = append(hard, parts...)
		}
	}
	return hard
}

var hardKeywords = []string{
	"not", "contains", "propertyNames", "dependentSchemas", "dependentRequired", "patternProperties",
	"unevaluatedProperties", "unevaluatedItems", "prefixItems",
}

// property returns what is asked of the value of a name, and whether there may be one.
func (g *generator) property(parts []part, name string) (all []part, allowed bool) {
	allowed = true
	for _, p := range parts {
		known := false
		if n := p.node.Get("properties").Get(name); n != nil {
			known, all = true, g.flatten(all, n, below(p.at, "properties", name))
		}
		for _, m := range p.node.Get("patternProperties").Pairs() {
			if re, err := regexp.Compile(m.Name); err == nil && re.MatchString(name) {
				known, all = true, g.flatten(all, m.Value, below(p.at, "patternProperties", m.Name))
			}
		}
		if more := p.node.Get("additionalProperties"); !known && more != nil {
			allowed = allowed && !isFalse(more)
			all = g.flatten(all, more, below(p.at, "additionalProperties"))
		}
	}
	return all, allowed
}

// item returns what is asked of the item at a place, and whether there may be one.
func (g *generator) item(parts []part, i int) (all []part, allowed bool) {
	allowed = true
	for _, p := range parts {
		n, at := p.node.Get("items"), below(p.at, "items")
		if prefix := p.node.Get("prefixItems").Elements(); i < len(prefix) {
			n, at = prefix[i], below(p.at, "prefixItems", strconv.Itoa(i))
		}
		allowed = allowed && !isFalse(n)
		all = g.flatten(all, n, at)
	}
	return all, allowed
}

func isFalse(n *openapi.Node) bool { return n.Is(openapi.Bool) && n.Text == "false" }

// hidden tells whether a property with these parts has no place in the value.
func (g *generator) hidden(parts []part) bool {
	return slices.ContainsFunc(parts, func(p part) bool { return p.node.True(g.dir.hides()) })
}
