package config

import (
	"reflect"

	"yett/internal/problem"
)

// Node is a part of a document that was not decoded yet: its text, and where
// it stands. The zero Node is an empty mapping without a place.
type Node struct {
	source *Source
	path   string
	value  *element
}

// Path returns where in the document the node stands, such as
// "routes[2].policies.cors".
func (n Node) Path() string { return n.path }

// Decode lays what was written over into, which points to a struct that holds
// the defaults. Lists and mappings replace those of the defaults, structs are
// laid over key by key. It is strict, and returns all problems with their
// places; into is half filled then. An empty node changes nothing.
func (n Node) Decode(into any) problem.List {
	d := decoder{source: n.source}
	v := reflect.ValueOf(into)
	if v.Kind() != reflect.Pointer || v.IsNil() {
		return problem.List{n.Problem("", "can't be decoded into "+v.Kind().String(), "this is a fault of the gateway")}
	}
	e := n.value
	if e == nil || e.kind == null {
		e = &element{kind: mapping}
	}
	d.value(e, n.path, v.Elem(), rules{})
	return d.problems
}

// Problem returns a problem at a path relative to the node, "" for the node
// itself.
func (n Node) Problem(path, what, hint string) problem.Problem {
	return n.source.Problem(join(n.path, path), what, hint)
}

// Locate fills in the place of each problem that has none; its path is taken
// as relative to the node.
func (n Node) Locate(problems problem.List) problem.List {
	for i, p := range problems {
		if p.Line == 0 {
			problems[i] = n.Problem(p.Path, p.What, p.Hint)
		}
	}
	return problems
}
