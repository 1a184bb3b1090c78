package openapi

import "strings"

// Part says which object of OpenAPI a Node is.
type Part uint8

// The objects of OpenAPI (3.1.1 section 4.8) that hold references or schemas.
const (
	PartOther Part = iota
	PartDocument
	PartComponents
	PartPathItem
	PartOperation
	PartParameter
	PartHeader
	PartRequestBody
	PartMediaType
	PartEncoding
	PartResponse
	PartCallback
	PartExample
	PartLink
	PartSecurityScheme
	PartSchema
	PartDiscriminator
)

// String returns what messages call the part.
func (p Part) String() string {
	return [...]string{"value", "document", "list of components", "path item", "operation", "parameter", "header", "request body", "media type",
		"encoding", "response", "callback", "example", "link", "security scheme", "schema", "discriminator"}[p]
}

// Section returns under which name of components a part is kept, "" if it is not.
func (p Part) Section() string {
	for name, f := range partFields(PartComponents) {
		if f.part == p {
			return name
		}
	}
	return ""
}

// holds says how a member holds parts.
type holds uint8

const (
	one      holds = iota
	list           // in an Array
	named          // in an Object, under any name
	patterns       // in an Object, under any name that is no extension
)

type partField struct {
	part Part
	how  holds
}

var parts = map[Part]map[string]partField{
	PartDocument: {"paths": {PartPathItem, patterns}, "webhooks": {PartPathItem, named}, "components": {PartComponents, one}},
	PartComponents: {"schemas": {PartSchema, named}, "responses": {PartResponse, named}, "parameters": {PartParameter, named}, "examples": {PartExample, named},
		"requestBodies": {PartRequestBody, named}, "headers": {PartHeader, named}, "securitySchemes": {PartSecurityScheme, named}, "links": {PartLink, named},
		"callbacks": {PartCallback, named}, "pathItems": {PartPathItem, named}},
	PartPathItem: {"get": {PartOperation, one}, "put": {PartOperation, one}, "post": {PartOperation, one}, "delete": {PartOperation, one}, "options": {PartOperation, one},
		"head": {PartOperation, one}, "patch": {PartOperation, one}, "trace": {PartOperation, one}, "parameters": {PartParameter, list}},
	PartOperation:   {"parameters": {PartParameter, list}, "requestBody": {PartRequestBody, one}, "responses": {PartResponse, patterns}, "callbacks": {PartCallback, named}},
	PartParameter:   {"schema": {PartSchema, one}, "content": {PartMediaType, named}, "examples": {PartExample, named}},
	PartHeader:      {"schema": {PartSchema, one}, "content": {PartMediaType, named}, "examples": {PartExample, named}},
	PartRequestBody: {"content": {PartMediaType, named}},
	PartMediaType:   {"schema": {PartSchema, one}, "examples": {PartExample, named}, "encoding": {PartEncoding, named}},
	PartEncoding:    {"headers": {PartHeader, named}},
	PartResponse:    {"headers": {PartHeader, named}, "content": {PartMediaType, named}, "links": {PartLink, named}},
	PartSchema: {"properties": {PartSchema, named}, "patternProperties": {PartSchema, named}, "$defs": {PartSchema, named}, "definitions": {PartSchema, named},
		"dependentSchemas": {PartSchema, named}, "items": {PartSchema, one}, "prefixItems": {PartSchema, list}, "allOf": {PartSchema, list}, "anyOf": {PartSchema, list},
		"oneOf": {PartSchema, list}, "not": {PartSchema, one}, "if": {PartSchema, one}, "then": {PartSchema, one}, "else": {PartSchema, one},
		"additionalProperties": {PartSchema, one}, "contains": {PartSchema, one}, "propertyNames": {PartSchema, one}, "unevaluatedItems": {PartSchema, one},
		"unevaluatedProperties": {PartSchema, one}, "contentSchema": {PartSchema, one}, "discriminator": {PartDiscriminator, one}},
}

// partFields returns which members of a part hold parts. Those of a callback are path
// items, whatever their names.
func partFields(p Part) map[string]partField { return parts[p] }

// Walk calls f for every object of the document that is a known part, from the top, until
// f returns false for those below one. What a reference leads to outside of the known
// parts, such as a schema in an extension, is walked as what the reference wants. What is
// no such object, such as the value of an example, is left out. Each is met once. A
// reference is met as the part it stands for.
func (d *Document) Walk(f func(n *Node, p Part) bool) {
	w := walker{d: d, f: func(n *Node, p Part, _ []string) bool { return f(n, p) }}
	w.run()
}

// walker walks over the parts of a document.
type walker struct {
	d    *Document
	f    func(n *Node, p Part, path []string) bool
	met  map[*Node]Part
	path []string
	base *Node   // the $id of the innermost schema around that has one
	refs []found // references in the order in which they were met
}

// found is a reference, the part that it stands for, its place as a JSON pointer, and the
// $id around it.
type found struct {
	ref  *Node
	part Part
	path string
	base *Node
}

func (w *walker) run() {
	w.met = make(map[*Node]Part)
	w.visit(w.d.Root, PartDocument)
	missing := 0
	for i := 0; i < len(w.refs); i++ { // grows
		ref := w.refs[i]
		target, err := w.d.Resolve(ref.ref.Text)
		if err != nil {
			if missing++; missing > maxProblems { // none of a document that Parse has taken
				return
			}
			continue
		}
		if _, known := w.met[target]; known {
			continue
		}
		w.path = strings.Split(strings.TrimPrefix(ref.ref.Text, "#/"), "/")
		w.visit(target, ref.part)
	}
}

func (w *walker) visit(n *Node, p Part) {
	if n == nil {
		return
	}
	if _, again := w.met[n]; again {
		return
	}
	w.met[n] = p
	if id := n.Get("$id"); id != nil && p == PartSchema {
		defer func(outer *Node) { w.base = outer }(w.base)
		w.base = id
	}
	if ref := n.Get("$ref"); ref.Is(String) && p.takesReference() {
		w.refs = append(w.refs, found{ref, p, w.pointer("$ref"), w.base})
	}
	if !w.f(n, p, w.path) {
		return
	}
	if p == PartCallback {
		w.members(n, partField{PartPathItem, patterns})
		return
	}
	fields := partFields(p)
	if fields == nil {
		return
	}
	for i := 0; i < len(n.Members); i++ { // f may have changed them
		m := n.Members[i]
		if field, ok := fields[m.Name]; ok {
			w.path = append(w.path, m.Name)
			w.below(m.Value, field)
			w.path = w.path[:len(w.path)-1]
		}
	}
}

func (w *walker) below(n *Node, field partField) {
	switch {
	case n == nil:
	case field.how == one && n.Kind == Array, field.how == list: // items was a list once
		for i, item := range n.Elements() {
			w.path = append(w.path, itoa(i))
			w.visit(item, field.part)
			w.path = w.path[:len(w.path)-1]
		}
	case field.how == one:
		w.visit(n, field.part)
	default:
		w.members(n, field)
	}
}

func (w *walker) members(n *Node, field partField) {
	for _, m := range n.Pairs() {
		if field.how == patterns && (strings.HasPrefix(m.Name, "x-") || m.Name == "$ref") {
			continue
		}
		w.path = append(w.path, m.Name)
		w.visit(m.Value, field.part)
		w.path = w.path[:len(w.path)-1]
	}
}

// takesReference tells whether $ref is a reference in this part.
func (p Part) takesReference() bool {
	switch p {
	case PartPathItem, PartParameter, PartHeader, PartRequestBody, PartResponse, PartCallback, PartExample, PartLink, PartSecurityScheme, PartSchema:
		return true
	}
	return false
}

// pointer returns the place that is walked, or the member of that name there, as a JSON
// pointer.
func (w *walker) pointer(names ...string) string {
	var b strings.Builder
	b.WriteByte('#')
	for _, list := range [][]string{w.path, names} {
		for _, name := range list {
			b.WriteByte('/')
			b.WriteString(Escape(name))
		}
	}
	return b.String()
}
