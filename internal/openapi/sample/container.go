package sample

import (
	"fmt"
	"slices"
	"strconv"

	"yett/internal/openapi"
)

// maxOptionalDepth is from which depth on nothing is added that need not be there.
const maxOptionalDepth = 12

// array makes the nth array.
func (g *generator) array(parts []part, nth int, how manner) (*openapi.Node, error) {
	least, most := limits(parts, "minItems", "maxItems")
	if least > maxNodes {
		return nil, ErrTooLarge
	}
	out := openapi.NewArray()
	musts := g.contained(parts)
	want := g.length(parts, least, most, len(musts), how)
	unique := slices.ContainsFunc(parts, func(p part) bool { return p.node.True("uniqueItems") })
	first := prefixLength(parts)
	for i := range want {
		asked, allowed := g.item(parts, i)
		if !allowed {
			break
		}
		if k := i - max(0, min(first, want-len(musts))); k >= 0 && k < len(musts) {
			for _, p := range musts[k] {
				asked = g.flatten(asked, p.node, p.at)
			}
		}
		v, err := g.distinctItem(out.Items, asked, nth, unique)
		if err != nil {
			if g.fatal == nil && i >= least && i >= len(musts) {
				break
			}
			return nil, err
		}
		out.Append(v)
	}
	if len(out.Items) < least {
		return nil, ErrNone
	}
	return out, nil
}

// length returns how many items there shall be: one where there may be some.
func (g *generator) length(parts []part, least, most, musts int, how manner) int {
	want := max(least, musts)
	if how == rich {
		want++
	}
	if how != lean && g.depth < maxOptionalDepth {
		want = max(want, prefixLength(parts))
		asked, allowed := g.item(parts, 0)
		if want == 0 && allowed && len(asked) > 0 && !g.isOpen(asked) {
			want = 1
		}
	}
	if most >= 0 {
		want = min(want, most)
	}
	return want
}

func prefixLength(parts []part) int {
	n := 0
	for _, p := range parts {
		n = max(n, len(p.node.Get("prefixItems").Elements()))
	}
	return n
}

// contained returns what single items have to be by contains.
func (g *generator) contained(parts []part) [][]part {
	var musts [][]part
	for _, p := range parts {
		n := p.node.Get("contains")
		if n == nil {
			continue
		}
		times := 1
		if c := count(p.node.Get("minContains")); c >= 0 {
			times = min(c, maxNodes)
		}
		for range times {
			musts = append(musts, g.parts(n, below(p.at, "contains")))
		}
	}
	return musts
}

// maxDistinct is how many values are tried to find one that is not there yet.
const maxDistinct = 60

// distinctItem makes an item, other than those before where all have to be different.
func (g *generator) distinctItem(before []*openapi.Node, parts []part, nth int, unique bool) (*openapi.Node, error) {
	if !unique {
		return g.value(parts, nth)
	}
	for n := range maxDistinct {
		v, err := g.value(parts, nth+len(before)+n)
		if err != nil {
			return nil, err
		}
		if !hasEqual(before, v) {
			return v, nil
		}
	}
	return nil, ErrNone
}

// members is an object on its way.
type members struct {
	g     *generator
	parts []part
	nth   int
	// required are the names that have to be there, most is how many there may be, -1 for
	// any number.
	required []string
	most     int
	lean     bool
	out      *openapi.Node
}

// object makes the nth object.
func (g *generator) object(parts []part, nth int, how manner) (*openapi.Node, error) {
	m := &members{g: g, parts: parts, nth: nth, lean: how == lean, out: openapi.NewObject()}
	var least int
	least, m.most = limits(parts, "minProperties", "maxProperties")
	if least > maxNodes {
		return nil, ErrTooLarge
	}
	m.required = g.required(parts)
	names := g.names(parts)
	for _, name := range names {
		if err := m.add(name); err != nil {
			return nil, err
		}
	}
	for i := 0; i < len(m.required); i++ {
		if name := m.required[i]; m.out.Get(name) == nil {
			if err := m.add(name); err != nil {
				return nil, err
			}
		}
	}
	if how == rich {
		least = max(least, len(m.out.Members)+1)
	}
	if err := m.fill(least); err != nil {
		return nil, err
	}
	return m.out, nil
}

// names returns the properties that the parts know, in their order.
func (g *generator) names(parts []part) []string {
	seen := make(map[string]bool)
	var names []string
	for _, p := range parts {
		for _, m := range p.node.Get("properties").Pairs() {
			if !seen[m.Name] {
				seen[m.Name] = true
				names = append(names, m.Name)
			}
		}
	}
	return names
}

func (g *generator) required(parts []part) []string {
	var names []string
	for _, p := range parts {
		for _, name := range p.node.Get("required").Strings() {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

// add adds a property, if there is to be one.
func (m *members) add(name string) error {
	must := slices.Contains(m.required, name)
	asked, allowed := m.g.property(m.parts, name)
	if m.g.hidden(asked) {
		return nil
	}
	if !must && (!allowed || m.lean || m.full() || m.g.depth >= maxOptionalDepth || m.g.isOpen(asked)) {
		return nil
	}
	if !allowed {
		return fmt.Errorf("the property %q is required and not allowed: %w", name, ErrNone)
	}
	v, err := m.g.value(asked, m.nth)
	switch {
	case m.g.fatal != nil:
		return m.g.fatal
	case err != nil && must:
		return err
	case err != nil:
		return nil
	}
	m.out.Members = append(m.out.Members, openapi.Member{Name: name, Value: v})
	for _, p := range m.parts {
		m.require(p.node.Get("dependentRequired").Get(name).Strings())
	}
	m.depending(name)
	return nil
}

// depending has the schemas that depend on a property hold for the whole object.
func (m *members) depending(name string) {
	for _, p := range m.parts[:len(m.parts):len(m.parts)] {
		if n := p.node.Get("dependentSchemas").Get(name); n != nil {
			m.parts = m.g.flatten(m.parts[:len(m.parts):len(m.parts)], n, below(p.at, "dependentSchemas", name))
			m.require(m.g.required(m.parts))
		}
	}
}

// require has further properties be there.
func (m *members) require(names []string) {
	for _, name := range names {
		if !slices.Contains(m.required, name) {
			m.required = append(m.required, name)
		}
	}
}

// full tells whether what is not required has no place any more.
func (m *members) full() bool {
	if m.most < 0 {
		return false
	}
	open := 0
	for _, name := range m.required {
		if m.out.Get(name) == nil {
			open++
		}
	}
	return len(m.out.Members)+open >= m.most
}

// fill adds properties under made-up names: as many as there have to be, and one where the
// object is nothing but a map.
func (m *members) fill(least int) error {
	if len(m.out.Members) == 0 && least == 0 && !m.lean && !m.full() && m.isMap() {
		least = 1
	}
	for i := 0; len(m.out.Members) < least; i++ {
		if i > least+maxDistinct {
			return ErrNone
		}
		name, ok := m.freeName(i)
		if !ok || m.out.Get(name) != nil {
			continue
		}
		asked, allowed := m.g.property(m.parts, name)
		if !allowed {
			continue
		}
		v, err := m.g.value(asked, m.nth)
		if err != nil {
			if m.g.fatal == nil && m.isMap() && len(m.required) == 0 && least == 1 {
				return nil
			}
			return err
		}
		m.out.Members = append(m.out.Members, openapi.Member{Name: name, Value: v})
	}
	return nil
}

// isMap tells whether the parts say what values under any name are, that is worth to be shown.
func (m *members) isMap() bool {
	for _, p := range m.parts {
		if more := p.node.Get("additionalProperties"); more.Is(openapi.Object) && !m.g.isOpen(m.g.parts(more, below(p.at, "additionalProperties"))) {
			return true
		}
		if len(p.node.Get("patternProperties").Pairs()) > 0 {
			return true
		}
	}
	return false
}

// freeName makes up the ith name: by propertyNames, by a pattern, or any.
func (m *members) freeName(i int) (string, bool) {
	for _, p := range m.parts {
		if n := p.node.Get("propertyNames"); n.Is(openapi.Object) {
			v, err := m.g.value(m.g.flatten([]part{{node: openapi.NewObject("type", "string")}}, n, below(p.at, "propertyNames")), i)
			if err != nil {
				return "", false
			}
			return v.Text, v.Kind == openapi.String
		}
	}
	for _, p := range m.parts {
		if patterns := p.node.Get("patternProperties").Pairs(); len(patterns) > 0 {
			name, ok := nameFor(patterns[i%len(patterns)].Name, i/len(patterns))
			if ok && m.out.Get(name) != nil { // where the pattern has no end
				name += strconv.Itoa(i)
			}
			if ok {
				return name, true
			}
		}
	}
	return "property" + strconv.Itoa(i+1), true
}
