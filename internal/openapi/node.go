package openapi

import (
	"encoding/json"
	"slices"
	"strconv"
)

// Kind says what a Node is.
type Kind uint8

// The kinds of JSON.
const (
	Null Kind = iota
	Bool
	Number
	String
	Array
	Object
)

// String returns the kind as JSON Schema calls it.
func (k Kind) String() string {
	return [...]string{"null", "boolean", "number", "string", "array", "object"}[k]
}

// Node is one value of a document, with the place where it was written. A nil *Node
// stands for what is not there, and every method that reads takes one. Members keep
// their order, so that what people have arranged stays so.
type Node struct {
	Kind Kind
	// Text is the value of a Bool ("true", "false"), a Number (as JSON has it) or a
	// String.
	Text string
	// Line and Column count from 1, columns in characters. Both are 0 for what was made
	// and not read.
	Line, Column int
	// Items are those of an Array, Members those of an Object, each name once.
	Items   []*Node
	Members []Member
}

// Member is a name of an Object and its value.
type Member struct {
	Name         string
	Line, Column int // of the name
	Value        *Node
}

// NewString makes a String.
func NewString(s string) *Node { return &Node{Kind: String, Text: s} }

// NewInt makes a Number.
func NewInt(n int64) *Node { return &Node{Kind: Number, Text: strconv.FormatInt(n, 10)} }

// NewBool makes a Bool.
func NewBool(b bool) *Node { return &Node{Kind: Bool, Text: strconv.FormatBool(b)} }

// NewArray makes an Array of these items, which it holds from now on.
func NewArray(items ...*Node) *Node { return &Node{Kind: Array, Items: items} }

// NewStrings makes an Array of Strings.
func NewStrings(texts ...string) *Node {
	n := &Node{Kind: Array}
	for _, s := range texts {
		n.Items = append(n.Items, NewString(s))
	}
	return n
}

// NewObject makes an Object of alternating names and values: a *Node, a string, an int or
// a bool. A nil *Node is left out with its name.
func NewObject(pairs ...any) *Node {
	n := &Node{Kind: Object}
	for i := 0; i+1 < len(pairs); i += 2 {
		if v := nodeOf(pairs[i+1]); v != nil {
			n.Set(pairs[i].(string), v)
		}
	}
	return n
}

func nodeOf(v any) *Node {
	switch v := v.(type) {
	case *Node:
		return v
	case string:
		return NewString(v)
	case bool:
		return NewBool(v)
	case int:
		return NewInt(int64(v))
	}
	panic("openapi: no node can be made of that")
}

// Is tells whether the node is there and of that kind.
func (n *Node) Is(k Kind) bool { return n != nil && n.Kind == k }

// Get returns the value of a name, nil where there is none or n is no Object.
func (n *Node) Get(name string) *Node {
	if i := n.index(name); i >= 0 {
		return n.Members[i].Value
	}
	return nil
}

// At follows names one below the other.
func (n *Node) At(names ...string) *Node {
	for _, name := range names {
		n = n.Get(name)
	}
	return n
}

// TextOf returns the text of a String, "" for anything else.
func (n *Node) TextOf() string {
	if n.Is(String) {
		return n.Text
	}
	return ""
}

// Str returns the text of a String under that name, "" where there is none.
func (n *Node) Str(name string) string {
	return n.Get(name).TextOf()
}

// True tells whether the name has the value true.
func (n *Node) True(name string) bool {
	v := n.Get(name)
	return v.Is(Bool) && v.Text == "true"
}

// Elements returns the items of an Array, nil for anything else.
func (n *Node) Elements() []*Node {
	if !n.Is(Array) {
		return nil
	}
	return n.Items
}

// Pairs returns the members of an Object, nil for anything else.
func (n *Node) Pairs() []Member {
	if !n.Is(Object) {
		return nil
	}
	return n.Members
}

// Strings returns the texts of the Strings in an Array.
func (n *Node) Strings() (texts []string) {
	for _, item := range n.Elements() {
		if item.Kind == String {
			texts = append(texts, item.Text)
		}
	}
	return texts
}

func (n *Node) index(name string) int {
	if !n.Is(Object) {
		return -1
	}
	return slices.IndexFunc(n.Members, func(m Member) bool { return m.Name == name })
}

// Set gives a name of an Object its value, at the end where it is new.
func (n *Node) Set(name string, v *Node) {
	if i := n.index(name); i >= 0 {
		n.Members[i].Value = v
		return
	}
	n.Members = append(n.Members, Member{Name: name, Value: v})
}

// Delete takes a name out of an Object.
func (n *Node) Delete(name string) {
	if i := n.index(name); i >= 0 {
		n.Members = slices.Delete(n.Members, i, i+1)
	}
}

// Append adds an item to an Array.
func (n *Node) Append(v *Node) { n.Items = append(n.Items, v) }

// Clone returns a deep copy with the same places.
func (n *Node) Clone() *Node {
	if n == nil {
		return nil
	}
	c := *n
	if n.Items != nil {
		c.Items = make([]*Node, len(n.Items))
		for i, item := range n.Items {
			c.Items[i] = item.Clone()
		}
	}
	if n.Members != nil {
		c.Members = slices.Clone(n.Members)
		for i := range c.Members {
			c.Members[i].Value = c.Members[i].Value.Clone()
		}
	}
	return &c
}

// Any returns the value as encoding/json decodes it with UseNumber: map[string]any, []any,
// json.Number, string, bool, nil.
func (n *Node) Any() any {
	switch {
	case n == nil || n.Kind == Null:
		return nil
	case n.Kind == Bool:
		return n.Text == "true"
	case n.Kind == Number:
		return json.Number(n.Text)
	case n.Kind == String:
		return n.Text
	case n.Kind == Array:
		items := make([]any, len(n.Items))
		for i, item := range n.Items {
			items[i] = item.Any()
		}
		return items
	}
	members := make(map[string]any, len(n.Members))
	for _, m := range n.Members {
		members[m.Name] = m.Value.Any()
	}
	return members
}

// Equal tells whether two values are the same, wherever they were written. Members may
// come in another order.
func (n *Node) Equal(other *Node) bool {
	if n == nil || other == nil {
		return n == other
	}
	if n.Kind != other.Kind || n.Text != other.Text || len(n.Members) != len(other.Members) {
		return false
	}
	for i, m := range n.Members {
		v := other.Members[i].Value
		if other.Members[i].Name != m.Name {
			v = other.Get(m.Name)
		}
		if !m.Value.Equal(v) {
			return false
		}
	}
	return slices.EqualFunc(n.Items, other.Items, (*Node).Equal)
}

// Walk calls f with the node and all below it, from the top, until f returns false for
// those below one.
func (n *Node) Walk(f func(*Node) bool) {
	if n == nil || !f(n) {
		return
	}
	for _, item := range n.Items {
		item.Walk(f)
	}
	for _, m := range n.Members {
		m.Value.Walk(f)
	}
}
