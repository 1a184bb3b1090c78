package openapi

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"

	"yett/internal/problem"
)

// The versions of OpenAPI that are read and written.
const (
	Version30 = "3.0"
	Version31 = "3.1"
)

// Document is one OpenAPI document. References in it go to places within it, and never
// in a circle of nothing but references.
type Document struct {
	// File is what messages call it.
	File string
	// Version is Version30 or Version31.
	Version string
	Root    *Node

	mu    sync.Mutex
	named map[*Node]map[string]int // where members of large objects stand, made on demand
}

// Shape is a path without the names of its parameters. It is equal for templates that match
// the same paths.
func Shape(path string) string {
	var b strings.Builder
	for {
		before, after, ok := strings.Cut(path, "{")
		b.WriteString(before)
		if !ok {
			return b.String()
		}
		b.WriteString("{}")
		_, path, _ = strings.Cut(after, "}")
	}
}

// Methods are the methods that a path of a document can have, as its keys.
func Methods() []string {
	return []string{"get", "put", "post", "delete", "options", "head", "patch", "trace"}
}

// Operation is what a document says of one method of one path.
type Operation struct {
	// Method is in upper case. Path is the template as requests have it: below the path of
	// the document's first server. Written is the template as it stands in the document.
	Method, Path, Written string
	ID                    string
	// Node is the operation, Item the path around it.
	Node, Item *Node
}

// BasePath returns the path of the document's first server without a slash at the end,
// "" for none. Variables have their defaults.
func (d *Document) BasePath() string {
	servers := d.Root.Get("servers").Elements()
	if len(servers) == 0 {
		return ""
	}
	return serverPath(servers[0])
}

// serverURL returns the URL of a server with the defaults of its variables, in which further
// ones mean nothing.
func serverURL(server *Node) string {
	text, variables := server.Str("url"), server.Get("variables")
	var b strings.Builder
	for {
		end := strings.IndexByte(text, '}')
		start := strings.LastIndexByte(text[:max(end, 0)], '{')
		if end < 0 {
			b.WriteString(text)
			return b.String()
		}
		if v := variables.Get(text[start+1 : end]); start >= 0 && v != nil {
			b.WriteString(text[:start])
			b.WriteString(v.Str("default"))
		} else {
			b.WriteString(text[:end+1])
		}
		text = text[end+1:]
	}
}

func serverPath(server *Node) string {
	u, err := url.Parse(serverURL(server))
	if err != nil {
		return ""
	}
	p := strings.TrimRight(u.EscapedPath(), "/") // as requests have it
	if p == "" || p[0] == '/' {
		return p
	}
	return "/" + p
}

// Operations returns all operations in the document's order.
func (d *Document) Operations() []Operation {
	var all []Operation
	base := d.BasePath()
	for _, p := range d.Root.Get("paths").Pairs() {
		item := d.Deref(p.Value)
		for _, m := range item.Pairs() {
			if !slices.Contains(Methods(), m.Name) || !m.Value.Is(Object) {
				continue
			}
			below := base
			if own := firstServer(m.Value, item); own != nil {
				below = serverPath(own)
			}
			all = append(all, Operation{Method: strings.ToUpper(m.Name), Path: below + p.Name, Written: p.Name, ID: m.Value.Str("operationId"), Node: m.Value, Item: item})
		}
	}
	return all
}

// firstServer returns the first server that an operation or its path names itself, or nil.
func firstServer(nodes ...*Node) *Node {
	for _, n := range nodes {
		if s := n.Get("servers").Elements(); len(s) > 0 {
			return s[0]
		}
	}
	return nil
}

// Parameters returns the parameters of an operation, those of its path included unless it
// has one of the same name and place itself. References are followed.
func (d *Document) Parameters(o *Operation) []*Node {
	var all []*Node
	seen := make(map[[2]string]bool)
	for _, list := range []*Node{o.Node.Get("parameters"), o.Item.Get("parameters")} {
		for _, p := range list.Elements() {
			p = d.Deref(p)
			if key := [2]string{p.Str("name"), p.Str("in")}; !seen[key] {
				seen[key] = true
				all = append(all, p)
			}
		}
	}
	return all
}

// Deref follows references from a node until there is none. It returns nil where one
// leads nowhere.
func (d *Document) Deref(n *Node) *Node {
	for range maxReferences {
		ref := n.Get("$ref")
		if !ref.Is(String) {
			return n
		}
		n, _ = d.Resolve(ref.Text)
	}
	return nil
}

// maxReferences is how many references may stand one behind the other.
const maxReferences = 100

// Resolve returns what a reference such as "#/components/schemas/Ticket" stands for.
func (d *Document) Resolve(ref string) (*Node, error) {
	pointer, local := strings.CutPrefix(ref, "#")
	if !local {
		return nil, fmt.Errorf("the reference %q leads out of the document", ref)
	}
	if pointer == "" {
		return d.Root, nil
	}
	if pointer[0] != '/' {
		return nil, fmt.Errorf("the reference %q is no JSON pointer (RFC 6901)", ref)
	}
	n := d.Root
	for _, token := range strings.Split(pointer[1:], "/") {
		if n = d.step(n, Unescape(token)); n == nil {
			return nil, fmt.Errorf("the reference %q leads nowhere: there is no %q", ref, Unescape(token))
		}
	}
	return n, nil
}

// manyMembers is from where on an object is looked up by a map.
const manyMembers = 16

func (d *Document) step(n *Node, name string) *Node {
	if n.Is(Array) {
		if i, err := strconv.Atoi(name); err == nil && i >= 0 && i < len(n.Items) {
			return n.Items[i]
		}
		return nil
	}
	if len(n.Pairs()) < manyMembers {
		return n.Get(name)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if i, ok := d.named[n][name]; ok && i < len(n.Members) && n.Members[i].Name == name {
		return n.Members[i].Value
	}
	if len(d.named[n]) != len(n.Members) {
		d.index(n)
		if i, ok := d.named[n][name]; ok {
			return n.Members[i].Value
		}
	}
	return n.Get(name) // it may have been renamed since
}

func (d *Document) index(n *Node) {
	at := make(map[string]int, len(n.Members))
	for i, m := range n.Members {
		at[m.Name] = i
	}
	if d.named == nil {
		d.named = make(map[*Node]map[string]int)
	}
	d.named[n] = at
}

// Problem makes a problem at the place of a node.
func (d *Document) Problem(n *Node, path, what, hint string) problem.Problem {
	p := problem.Problem{File: d.File, Path: path, What: what, Hint: hint}
	if n != nil {
		p.Line, p.Column = n.Line, n.Column
	}
	return p
}
