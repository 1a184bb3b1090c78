package sample

import (
	"errors"
	"fmt"
	"strings"

	"yett/internal/openapi"
)

// Direction says for whom a value is meant.
type Direction uint8

const (
	// ForAnswer leaves out what is writeOnly.
	ForAnswer Direction = iota
	// ForRequest leaves out what is readOnly.
	ForRequest
)

// hides names the keyword of properties that a value has not got.
func (d Direction) hides() string {
	if d == ForRequest {
		return "readOnly"
	}
	return "writeOnly"
}

// Why no value can be made.
var (
	// ErrEndless is for a schema that wants a value within a value without end.
	ErrEndless = errors.New("the schema requires itself, so its values can't end; make one of the properties optional or nullable")
	// ErrTooLarge is for a schema whose values are larger than anybody wants to see, or
	// take too long to find.
	ErrTooLarge = errors.New("a value of the schema is too large, or takes too long to find; give it an example")
	// ErrNone is for a schema whose parts contradict each other, or that asks for what
	// can't be found by trying.
	ErrNone = errors.New("no value was found that fits the schema; give it an example")
)

// What a value may be at most.
const (
	maxNodes = 10_000
	maxText  = 100_000 // bytes of one text
	maxSteps = 40_000  // values that are tried while one is made
	maxDepth = 100
	maxOpen  = 3 // how often a schema may be within itself
)

// rootAt is where the schema itself is among those that values are checked by.
const rootAt = "/x-sample"

// Value makes a value that is valid by a schema of a document of version 3.1, formats
// included. Properties that are hidden in that direction are left out, also where they are
// required. What authors have written is taken first: example, examples, default, const
// and enum, as far as it is valid. The value may share nodes with the document, so it must
// not be changed.
//
// The error wraps ErrEndless, ErrTooLarge or ErrNone, or says what is wrong with the schema.
func Value(d *openapi.Document, schema *openapi.Node, dir Direction) (*openapi.Node, error) {
	v, _, err := make1(d, schema, dir)
	return v, err
}

// make1 is Value that also returns the generator, which can check other values.
func make1(d *openapi.Document, schema *openapi.Node, dir Direction) (*openapi.Node, *generator, error) {
	if schema == nil {
		return nil, nil, fmt.Errorf("there is no schema")
	}
	g, err := newGenerator(d, schema, dir)
	if err != nil {
		return nil, nil, err
	}
	v, err := g.value(g.parts(schema, rootAt), 0)
	switch {
	case g.fatal != nil:
		return nil, nil, g.fatal
	case err != nil:
		return nil, nil, err
	case !g.holds(rootAt, v):
		return nil, nil, g.none()
	case size(v) > maxNodes:
		return nil, nil, ErrTooLarge
	}
	return v, g, nil
}

// size counts the nodes of a value, up to one more than allowed.
func size(v *openapi.Node) int {
	n := 0
	v.Walk(func(*openapi.Node) bool {
		n++
		return n <= maxNodes
	})
	return n
}

// generator makes values of one schema.
type generator struct {
	doc   *openapi.Document
	dir   Direction
	check *checker
	steps int
	depth int
	// open counts how often a schema is being made use of, one within the other.
	open map[*openapi.Node]int
	// lean tells that nothing is made that need not be there.
	lean bool
	// fatal is why nothing further needs to be tried.
	fatal error
}

func newGenerator(d *openapi.Document, schema *openapi.Node, dir Direction) (*generator, error) {
	check, err := newChecker(d, schema, dir)
	if err != nil {
		return nil, err
	}
	return &generator{doc: d, dir: dir, check: check, open: make(map[*openapi.Node]int)}, nil
}

// spend counts work, and tells whether there may be more.
func (g *generator) spend(n int) bool {
	if g.steps += n; g.steps > maxSteps && g.fatal == nil {
		g.fatal = ErrTooLarge
	}
	return g.fatal == nil
}

// holds tells whether a value is valid by the schema at a place.
func (g *generator) holds(at string, v *openapi.Node) bool {
	if at == "" {
		return true
	}
	if !g.spend(size(v)) {
		return false
	}
	ok, err := g.check.valid(at, v)
	if err != nil {
		g.fatal = err
	}
	return ok
}

// none is that nothing was found, or what kept it from being found.
func (g *generator) none() error {
	if g.fatal != nil {
		return g.fatal
	}
	return ErrNone
}

// value makes the nth value, from 0 on, for which all parts hold. Different numbers give
// different values as far as there are some.
func (g *generator) value(parts []part, nth int) (*openapi.Node, error) {
	if !g.spend(1) {
		return nil, g.fatal
	}
	if g.depth >= maxDepth {
		return nil, ErrEndless
	}
	for _, p := range parts {
		if g.open[p.node] >= maxOpen {
			return nil, ErrEndless
		}
	}
	g.depth++
	for _, p := range parts {
		g.open[p.node]++
	}
	v, err := g.choose(parts, 0, nil, nth)
	for _, p := range parts {
		g.open[p.node]--
	}
	g.depth--
	return v, err
}

// isOpen tells whether one of the parts is being made use of already.
func (g *generator) isOpen(parts []part) bool {
	for _, p := range parts {
		if g.open[p.node] > 0 {
			return true
		}
	}
	return false
}

// choose takes what authors have written, or else the first branch of each choice that
// leads to something. Parts before fresh have been asked for what is written already.
func (g *generator) choose(parts []part, fresh int, done []choice, nth int) (*openapi.Node, error) {
	for _, p := range parts {
		if p.node.Kind == openapi.Bool && p.node.Text == "false" {
			return nil, ErrNone
		}
	}
	v, closed, left := g.written(parts, fresh, nth)
	if v != nil {
		return v, nil
	}
	if closed {
		return nil, g.none()
	}
	next, ok := nextChoice(parts, done)
	if !ok {
		return g.plain(parts, left)
	}
	return g.branch(parts, next, append(done[:len(done):len(done)], next), left)
}

// branch tries one branch of a choice after the other: first with all that values may have,
// and as that can make a second branch fit too, then with what they must have.
func (g *generator) branch(parts []part, c choice, done []choice, nth int) (*openapi.Node, error) {
	v, err := g.anyBranch(parts, c, done, nth)
	if err == nil || g.lean || g.fatal != nil || errors.Is(err, ErrEndless) {
		return v, err
	}
	g.lean = true
	defer func() { g.lean = false }()
	return g.anyBranch(parts, c, done, nth)
}

func (g *generator) anyBranch(parts []part, c choice, done []choice, nth int) (*openapi.Node, error) {
	var first error
	for _, more := range g.branches(c) {
		all := parts[:len(parts):len(parts)]
		for _, p := range more {
			if !hasNode(all, p.node) {
				all = append(all, p)
			}
		}
		v, err := g.within(all[len(parts):], func() (*openapi.Node, error) { return g.choose(all, len(parts), done, nth) })
		if err == nil && g.holds(c.part.at, v) {
			return v, nil
		}
		if g.fatal != nil {
			return nil, g.fatal
		}
		if first == nil {
			first = err
		}
	}
	if first == nil {
		first = ErrNone
	}
	return nil, first
}

// within runs f while further parts are open. One that is so too often already leads nowhere.
func (g *generator) within(parts []part, f func() (*openapi.Node, error)) (*openapi.Node, error) {
	for _, p := range parts {
		if g.open[p.node] >= maxOpen {
			return nil, ErrEndless
		}
	}
	for _, p := range parts {
		g.open[p.node]++
	}
	v, err := f()
	for _, p := range parts {
		g.open[p.node]--
	}
	return v, err
}

// written returns the nth of the values that authors have written and that are valid. closed
// tells that there can be no others. left is what remains of nth for values that are made.
func (g *generator) written(parts []part, fresh, nth int) (v *openapi.Node, closed bool, left int) {
	var good []*openapi.Node
	for _, p := range parts[fresh:] {
		for _, c := range candidates(p.node) {
			if c = g.prune(parts, c, 0); g.spend(1) && !hasEqual(good, c) && g.fits(parts, c) {
				good = append(good, c)
			}
		}
		closed = closed || p.node.Get("const") != nil || p.node.Get("enum") != nil
	}
	switch {
	case nth < len(good):
		return good[nth], closed, 0
	case closed && len(good) > 0:
		return good[nth%len(good)], closed, 0
	}
	return nil, closed, nth - len(good)
}

// candidates are the values that a schema names itself, in the order in which they are liked.
func candidates(n *openapi.Node) []*openapi.Node {
	var all []*openapi.Node
	if v := n.Get("example"); v != nil {
		all = append(all, v)
	}
	all = append(all, n.Get("examples").Elements()...)
	if v := n.Get("default"); v != nil && v.Kind != openapi.Null {
		all = append(all, v)
	}
	if v := n.Get("const"); v != nil {
		all = append(all, v)
	}
	enum := n.Get("enum").Elements()
	for _, v := range enum { // null says the least
		if v.Kind != openapi.Null {
			all = append(all, v)
		}
	}
	for _, v := range enum {
		if v.Kind == openapi.Null {
			all = append(all, v)
		}
	}
	return all
}

func hasEqual(list []*openapi.Node, v *openapi.Node) bool {
	for _, other := range list {
		if v.Equal(other) {
			return true
		}
	}
	return false
}

// fits tells whether a value is valid by all parts.
func (g *generator) fits(parts []part, v *openapi.Node) bool {
	for _, p := range parts {
		if !g.holds(p.at, v) || !p.takes(v) {
			return false
		}
	}
	return true
}

// prune takes what is hidden out of a value that an author has written.
func (g *generator) prune(parts []part, v *openapi.Node, depth int) *openapi.Node {
	if !g.check.hides || depth > maxDepth {
		return v
	}
	switch v.Kind {
	case openapi.Object:
		out := &openapi.Node{Kind: openapi.Object, Line: v.Line, Column: v.Column}
		for _, m := range v.Members {
			below, _ := g.property(parts, m.Name)
			if !g.hidden(below) {
				m.Value = g.prune(below, m.Value, depth+1)
				out.Members = append(out.Members, m)
			}
		}
		return out
	case openapi.Array:
		out := &openapi.Node{Kind: openapi.Array, Line: v.Line, Column: v.Column}
		for i, item := range v.Items {
			below, _ := g.item(parts, i)
			out.Items = append(out.Items, g.prune(below, item, depth+1))
		}
		return out
	}
	return v
}

// plain makes a value of the first type that works.
func (g *generator) plain(parts []part, nth int) (*openapi.Node, error) {
	var first error
	for _, kind := range typesOf(parts) {
		v, err := g.typed(kind, parts, nth)
		if err == nil {
			return v, nil
		}
		if g.fatal != nil {
			return nil, g.fatal
		}
		if first == nil {
			first = err
		}
	}
	if first == nil {
		first = ErrNone
	}
	return nil, first
}

// attempts are how a value is tried to be made: with all that it may have, then with what it
// must, then other ones.
var attempts = [...]struct {
	how  manner
	more int
}{{usual, 0}, {lean, 0}, {rich, 0}, {usual, 1}, {lean, 1}, {usual, 2}, {usual, 3}}

// manner is how much goes into a value.
type manner uint8

const (
	usual manner = iota
	lean         // nothing but what has to be there
	rich         // one more than usual
)

// typed makes a value of a type. What is hard to know in advance is checked, and tried again.
func (g *generator) typed(kind string, parts []part, nth int) (*openapi.Node, error) {
	hard := hardParts(parts)
	var first error
	for _, a := range attempts {
		v, err := g.make(kind, parts, nth+a.more, a.how)
		switch {
		case g.fatal != nil:
			return nil, g.fatal
		case err == nil && g.fits(hard, v):
			return v, nil
		case first == nil && err != nil:
			first = err
		}
		if len(hard) == 0 {
			break
		}
	}
	if first == nil {
		first = ErrNone
	}
	return nil, first
}

func (g *generator) make(kind string, parts []part, nth int, how manner) (*openapi.Node, error) {
	if g.lean && how == usual {
		how = lean
	}
	switch kind {
	case "null":
		return new(openapi.Node), nil
	case "boolean":
		return openapi.NewBool(nth%2 == 0), nil
	case "integer", "number":
		return number(parts, kind == "integer", nth)
	case "string":
		return text(parts, nth)
	case "array":
		return g.array(parts, nth, how)
	case "object":
		return g.object(parts, nth, how)
	}
	return nil, fmt.Errorf("there is no type %q: %w", strings.ToValidUTF8(kind, "?"), ErrNone)
}
