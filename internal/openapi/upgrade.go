package openapi

import (
	"slices"
	"strings"
)

// Upgrade turns a document of version 3.0 into one of 3.1 that means the same, in place.
// One of 3.1 stays as it is.
func (d *Document) Upgrade() {
	if d.Version != Version30 {
		return
	}
	held := d.hold()
	d.Walk(func(n *Node, p Part) bool {
		if p == PartSchema && n.Kind == Object {
			upgradeSchema(n)
		}
		return true
	})
	d.Walk(func(n *Node, p Part) bool {
		if ref := n.Get("$ref"); ref.Is(String) && p.takesReference() && p != PartPathItem {
			n.Members = []Member{n.Members[n.index("$ref")]} // what stood beside it never counted
		}
		return true
	})
	d.Root.Set("openapi", NewString("3.1.0"))
	d.Version = Version31
	held.restore()
}

func upgradeSchema(n *Node) {
	upgradeNullable(n)
	upgradeBound(n, "minimum", "exclusiveMinimum")
	upgradeBound(n, "maximum", "exclusiveMaximum")
	if v := n.Get("example"); v != nil {
		if n.Get("examples") == nil {
			n.rename("example", "examples", NewArray(v))
		} else {
			n.Delete("example")
		}
	}
	if !n.Get("type").holds("string") {
		return
	}
	switch n.Str("format") {
	case "byte":
		n.rename("format", "contentEncoding", NewString("base64"))
	case "binary":
		n.rename("format", "contentMediaType", NewString("application/octet-stream"))
	}
}

// holds tells whether a type is or has that one.
func (n *Node) holds(name string) bool {
	return n.Is(String) && n.Text == name || slices.Contains(n.Strings(), name)
}

// rename gives a member another name and value in the same place.
func (n *Node) rename(name, to string, v *Node) {
	n.Delete(to)
	i := n.index(name)
	n.Members[i].Name, n.Members[i].Value = to, v
}

// upgradeNullable lets null into the type, and into the list of values, where people
// often forget it. Where there is no type it has no effect by the letter, but is meant to.
func upgradeNullable(n *Node) {
	nullable := n.True("nullable")
	n.Delete("nullable")
	if !nullable || n.Get("$ref") != nil {
		return
	}
	if enum := n.Get("enum"); enum.Is(Array) && !slices.ContainsFunc(enum.Items, func(v *Node) bool { return v.Kind == Null }) {
		enum.Append(&Node{Kind: Null})
	}
	switch t := n.Get("type"); {
	case t.Is(String) && t.Text != "null":
		n.Set("type", NewStrings(t.Text, "null"))
	case t.Is(Array) && !t.holds("null"):
		t.Append(NewString("null"))
	case t == nil && (n.Get("allOf") != nil || n.Get("anyOf") != nil || n.Get("oneOf") != nil):
		orNull(n)
	}
}

// orNull puts all of a schema but its annotations into one of two alternatives.
func orNull(n *Node) {
	annotations := []string{"title", "description", "deprecated", "readOnly", "writeOnly", "default", "example", "externalDocs", "xml"}
	inner := NewObject()
	var outer []Member
	for _, m := range n.Members {
		if slices.Contains(annotations, m.Name) || len(m.Name) > 1 && m.Name[:2] == "x-" {
			outer = append(outer, m)
		} else {
			inner.Members = append(inner.Members, m)
		}
	}
	inner.Line, inner.Column = n.Line, n.Column
	if all := inner.Get("allOf").Elements(); len(inner.Members) == 1 && len(all) == 1 {
		inner = all[0]
	}
	n.Members = append(outer, Member{Name: "anyOf", Value: NewArray(inner, NewObject("type", "null"))})
}

// upgradeBound turns a bound that is said to be exclusive into an exclusive bound.
func upgradeBound(n *Node, bound, exclusive string) {
	flag := n.Get(exclusive)
	if !flag.Is(Bool) {
		return
	}
	limit := n.Get(bound)
	if flag.Text == "true" && limit.Is(Number) {
		n.Set(exclusive, limit)
		n.Delete(bound)
		return
	}
	n.Delete(exclusive)
}

// held remembers what each reference leads to while a document is changed.
type held struct {
	d       *Document
	refs    []found
	targets []*Node
}

func (d *Document) hold() *held {
	w := walker{d: d}
	w.f = func(n *Node, p Part, _ []string) bool {
		if p == PartDiscriminator {
			for _, m := range n.Get("mapping").Pairs() {
				if m.Value.Is(String) && len(m.Value.Text) > 0 && m.Value.Text[0] == '#' {
					w.refs = append(w.refs, found{ref: m.Value, part: PartSchema})
				}
			}
		}
		return true
	}
	w.run()
	h := &held{d: d, refs: w.refs}
	for _, ref := range w.refs {
		target, _ := d.Resolve(ref.ref.Text)
		h.targets = append(h.targets, target)
	}
	return h
}

// restore makes components of what references don't find any more.
func (h *held) restore() {
	m := mover{d: h.d}
	for i, ref := range h.refs {
		if h.targets[i] == nil {
			continue
		}
		if now, err := h.d.Resolve(ref.ref.Text); err != nil || now != h.targets[i] {
			m.move(h.targets[i], ref)
		}
	}
}

// mover makes components of parts that stand elsewhere.
type mover struct {
	d     *Document
	moved map[*Node]string          // where they are now, as references
	used  map[string]map[string]int // names by section, with how many were made of each
}

// move makes a component of what a reference leads to, leaves a reference in its place
// and changes the first one. Path items stay where they are.
func (m *mover) move(n *Node, ref found) {
	section := ref.part.Section()
	if section == "" || ref.part == PartPathItem {
		return
	}
	if m.moved == nil {
		m.moved, m.used = make(map[*Node]string), make(map[string]map[string]int)
	}
	if m.moved[n] == "" {
		components := m.d.Root.object("components").object(section)
		name := m.name(section, components, ref.ref.Text)
		inner := *n
		components.Members = append(components.Members, Member{Name: name, Line: n.Line, Column: n.Column, Value: &inner})
		m.moved[n] = "#/components/" + section + "/" + name
		*n = Node{Kind: Object, Line: n.Line, Column: n.Column, Members: []Member{{Name: "$ref", Value: NewString(m.moved[n])}}}
	}
	ref.ref.Text = m.moved[n]
}

// object returns the Object under a name, which it makes where there is none.
func (n *Node) object(name string) *Node {
	if v := n.Get(name); v.Is(Object) {
		return v
	}
	v := NewObject()
	n.Set(name, v)
	return v
}

// name makes a name that is free of the last token of a pointer.
func (m *mover) name(section string, components *Node, pointer string) string {
	used := m.used[section]
	if used == nil {
		used = make(map[string]int)
		for _, c := range components.Members {
			used[c.Name] = 1
		}
		m.used[section] = used
	}
	base := componentName(Unescape(pointer[strings.LastIndexByte(pointer, '/')+1:]))
	name := base
	for used[name] > 0 {
		used[base]++
		name = base + "_" + itoa(used[base])
	}
	used[name] = 1
	return name
}

// componentName replaces what a name of a component can't have.
func componentName(s string) string {
	base := []byte(s)
	for i, c := range base {
		if (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' {
			base[i] = '_'
		}
	}
	if len(base) == 0 {
		return "moved"
	}
	return string(base[:min(len(base), 100)])
}
