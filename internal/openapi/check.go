package openapi

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"yett/internal/problem"
)

func itoa(i int) string { return strconv.Itoa(i) }

// checker looks for what would make a document useless or dangerous to those who read it:
// its frame and its references. Whether it is right in everything is the linter's business.
type checker struct {
	d        *Document
	walker   *walker
	bounds   *bounds
	problems problem.List
}

func (c *checker) add(n *Node, path, what, hint string) {
	if len(c.problems) < maxProblems {
		c.problems = append(c.problems, c.d.Problem(n, path, what, hint))
	}
}

// check returns what makes a document useless: what is wrong with the frame, and what stands
// for more than anybody should have to work through. Where there is nothing of that, it returns
// what is wrong with the references.
func (d *Document) check(most Limits) (problem.List, *Broken) {
	c, broken := &checker{d: d}, new(Broken)
	c.bounds = &bounds{c: c, most: most}
	if c.frame(); len(c.problems) > 0 {
		return c.problems, broken
	}
	c.walker = &walker{d: d, f: c.visit}
	c.walker.run()
	for _, ref := range c.walker.refs {
		if len(c.problems) < maxProblems { // a miss is costly
			c.reference(ref)
		}
	}
	if broken.Costly = len(c.problems) >= maxProblems; !broken.Costly {
		before := len(c.problems)
		c.circles()
		broken.Endless = len(c.problems) > before
	}
	if len(c.bounds.problems) == 0 && !broken.Costly {
		c.bounds.expanded()
	}
	if len(c.bounds.problems) > 0 {
		c.bounds.problems.Sort()
		return c.bounds.problems, broken
	}
	c.problems.Sort()
	broken.Problems = c.problems
	return nil, broken
}

// frame checks the version, which it notes, and that there is something to describe.
func (c *checker) frame() {
	root := c.d.Root
	if !root.Is(Object) {
		c.add(root, "", fmt.Sprintf("the document is %s, not an object", aOrAn(root.Kind)), "write openapi, info and paths")
		return
	}
	if c.version(); len(c.problems) > 0 {
		return
	}
	filled := false
	for _, name := range []string{"paths", "webhooks", "components"} {
		v := root.Get(name)
		if v != nil && !v.Is(Object) {
			c.add(v, "#/"+name, fmt.Sprintf("%s is %s, not an object", name, aOrAn(v.Kind)), "write a name and an object for each of its entries")
		}
		filled = filled || v != nil && (name == "paths" || c.d.Version == Version31)
	}
	if !filled {
		hint := "write paths: {} if there are none"
		if c.d.Version == Version31 {
			hint = "write paths, webhooks or components"
		}
		c.add(root, "", "the document has no paths", hint)
	}
}

func (c *checker) version() {
	root := c.d.Root
	v := root.Get("openapi")
	switch {
	case v == nil && root.Get("swagger") != nil:
		c.add(root.Get("swagger"), "#/swagger", "this is Swagger 2.0, which is not read here", "convert it to OpenAPI 3, for example with swagger2openapi")
	case v == nil:
		c.add(root, "", "the document does not say that it is OpenAPI", `write openapi: "3.1.0" at its top`)
	case v.Is(Number):
		c.add(v, "#/openapi", "openapi is a number, not a text", `write "3.1.0" or "3.0.3", in quotes and with three parts`)
	case !v.Is(String):
		c.add(v, "#/openapi", fmt.Sprintf("openapi is %s, not a text", aOrAn(v.Kind)), `write "3.1.0" or "3.0.3"`)
	case isVersion(v.Text, Version30):
		c.d.Version = Version30
	case isVersion(v.Text, Version31):
		c.d.Version = Version31
	default:
		c.add(v, "#/openapi", fmt.Sprintf("OpenAPI %s is not read here", quote(v.Text)), "OpenAPI 3.0 and 3.1 are: write 3.1.0 if it uses nothing newer")
	}
}

// aOrAn puts an article before what something is.
func aOrAn(what fmt.Stringer) string {
	name := what.String()
	switch {
	case name == "null":
		return name
	case strings.ContainsRune("aeiou", rune(name[0])):
		return "an " + name
	}
	return "a " + name
}

// isVersion tells whether the text is the version with a third part.
func isVersion(text, version string) bool {
	patch, ok := strings.CutPrefix(text, version+".")
	patch, _, _ = strings.Cut(patch, "-") // 3.1.0-rc1
	return ok && patch != "" && strings.Trim(patch, "0123456789") == ""
}

// visit checks what can be told of one part by itself.
func (c *checker) visit(n *Node, p Part, _ []string) bool {
	if n.Kind != Object {
		return true
	}
	c.bounds.visit(n, p)
	if ref := n.Get("$ref"); ref != nil && !ref.Is(String) && p.takesReference() {
		c.add(ref, c.walker.pointer("$ref"), fmt.Sprintf("a reference is %s, not a text", aOrAn(ref.Kind)), "write it as #/components/...")
	}
	switch p {
	case PartDiscriminator:
		for _, m := range n.Get("mapping").Pairs() {
			c.mapping(m.Value, m.Name)
		}
	case PartSchema:
		if c.d.Version == Version31 {
			c.identifiers(n)
		}
	}
	return true
}

// mapping checks a value of a discriminator's mapping: the name of a schema, or a reference.
func (c *checker) mapping(v *Node, name string) {
	switch {
	case len(c.problems) >= maxProblems: // a miss is costly
	case !v.Is(String):
		c.add(v, c.walker.pointer("mapping", name), fmt.Sprintf("the schema is %s, not a text", aOrAn(v.Kind)), "write a schema's name or #/components/schemas/name")
	case strings.HasPrefix(v.Text, "#"):
		c.walker.refs = append(c.walker.refs, found{v, PartSchema, c.walker.pointer("mapping", name), nil})
	case c.d.step(c.d.Root.At("components", "schemas"), v.Text) != nil:
	default:
		c.add(v, c.walker.pointer("mapping", name), fmt.Sprintf("there is no schema %s among the components", quote(v.Text)), "write a schema's name or #/components/schemas/name; references out of the document are not followed, bundle it first")
	}
}

// identifiers refuses references that go by anchors.
func (c *checker) identifiers(n *Node) {
	for _, keyword := range []string{"$dynamicRef", "$recursiveRef"} {
		if v := n.Get(keyword); v != nil {
			c.add(v, c.walker.pointer(keyword), keyword+" is not supported", "use $ref with #/components/schemas/...")
		}
	}
}

const hintBundle = "references out of the document are not followed: bundle it into one, for example with redocly bundle"

func (c *checker) reference(ref found) {
	text := ref.ref.Text
	if ref.base != nil && c.d.Version == Version31 { // the same reference would mean another place to others
		c.add(ref.base, "", "a schema has an $id of its own and references below it, which would not start from the document", "take out the $id")
		return
	}
	if !strings.HasPrefix(text, "#") {
		c.add(ref.ref, ref.path, fmt.Sprintf("the reference %s leads out of the document", quote(text)), hintBundle)
		return
	}
	if len(text) > 1 && text[1] != '/' {
		c.add(ref.ref, ref.path, fmt.Sprintf("the reference %s is no JSON pointer", quote(text)), "write it as #/components/...; anchors are not supported")
		return
	}
	target, err := c.d.Resolve(text)
	if err != nil {
		c.add(ref.ref, ref.path, fmt.Sprintf("the reference %s leads nowhere", quote(text)), c.nearest(text))
		return
	}
	if p, known := c.walker.met[target]; known && p != ref.part {
		c.add(ref.ref, ref.path, fmt.Sprintf("the reference %s leads to %s where %s should stand", quote(text), aOrAn(p), aOrAn(ref.part)), "refer to something in #/components/"+ref.part.Section())
		return
	}
	if target.Kind != Object && (ref.part != PartSchema || target.Kind != Bool) {
		c.add(ref.ref, ref.path, fmt.Sprintf("the reference %s leads to %s where %s should stand", quote(text), aOrAn(target.Kind), aOrAn(ref.part)), "refer to something in #/components/"+ref.part.Section())
	}
}

// nearest says what a reference may have meant.
func (c *checker) nearest(ref string) string {
	cut := strings.LastIndexByte(ref, '/')
	if cut < 0 {
		return "write it as #/components/..."
	}
	around, err := c.d.Resolve(ref[:cut])
	if err != nil || len(around.Pairs()) == 0 || len(around.Pairs()) > 1000 {
		return "is its target missing, or is it misspelt?"
	}
	known := make([]string, len(around.Members))
	for i, m := range around.Members {
		known[i] = m.Name
	}
	return problem.DidYouMean(Unescape(ref[cut+1:]), known)
}

// What stands in one place of a value is bounded: references behind one another, schemas
// around one another (allOf in allOf ...), and how many of them apply to one value.
const (
	maxNesting = 500
	maxApplied = 100_000
)

// circles refuses circles of nothing but references, and schemas that contain themselves
// in one place, on which nobody who follows them would ever come to an end.
func (c *checker) circles() {
	applied := applied{c: c, done: make(map[*Node]int)}
	chains := chains{d: c.d, done: make(map[*Node]int)}
	for _, ref := range c.walker.refs {
		target, _ := c.d.Resolve(ref.ref.Text)
		switch n := chains.count(target, 1); {
		case n == endless:
			c.add(ref.ref, ref.path, "the references go in a circle", "let one of them lead to something")
		case n > maxReferences:
			c.add(ref.ref, ref.path, fmt.Sprintf("more than %d references stand one behind the other", maxReferences), "refer to the last one")
		case ref.part == PartSchema:
			applied.count(target, ref)
		}
	}
}

// chains counts the references that stand one behind the other.
type chains struct {
	d    *Document
	done map[*Node]int // from this node on; endless while it is being counted
}

const endless = math.MaxInt / 2

func (c *chains) count(n *Node, deep int) int {
	next := n.Get("$ref")
	if !next.Is(String) {
		return 1
	}
	if total, counted := c.done[n]; counted {
		return total
	}
	if deep > maxReferences {
		return maxReferences + 1
	}
	c.done[n] = endless
	target, _ := c.d.Resolve(next.Text)
	c.done[n] = min(c.count(target, deep+1)+1, endless)
	return c.done[n]
}

// applied counts the schemas that apply to the same value as one does, itself included.
type applied struct {
	c    *checker
	done map[*Node]int // -1 while it is being counted
	deep int
}

// count returns the number, and reports at the reference what has none.
func (a *applied) count(n *Node, ref found) int {
	total, counted := a.done[n]
	switch {
	case total < 0:
		a.c.add(ref.ref, ref.path, "the schema contains itself in the same place, so that nothing could ever be checked against it", "let it contain itself by properties or items only, not by allOf, anyOf, oneOf, not or a plain reference")
		return 1
	case counted:
		return total
	case a.deep > maxNesting:
		a.c.add(ref.ref, ref.path, fmt.Sprintf("more than %d schemas stand around one another in the same place", maxNesting), "use fewer of allOf, anyOf, oneOf and references")
		return 1
	}
	a.done[n] = -1
	a.deep++
	total = 1
	for _, inner := range a.c.d.inPlace(n) {
		total += a.count(inner, ref)
	}
	a.deep--
	if total > maxApplied {
		a.c.add(ref.ref, ref.path, fmt.Sprintf("more than %d schemas would have to be tried for one value", maxApplied), "use fewer of allOf, anyOf, oneOf and references")
		total = 1
	}
	a.done[n] = total
	return total
}

// inPlace returns the schemas inside of one that apply to the same value.
func (d *Document) inPlace(n *Node) (inner []*Node) {
	for _, m := range n.Pairs() {
		switch m.Name {
		case "$ref":
			if target, err := d.Resolve(m.Value.Text); err == nil && m.Value.Is(String) {
				inner = append(inner, target)
			}
		case "allOf", "anyOf", "oneOf":
			inner = append(inner, m.Value.Elements()...)
		case "not", "if", "then", "else":
			inner = append(inner, m.Value)
		case "dependentSchemas":
			for _, s := range m.Value.Pairs() {
				inner = append(inner, s.Value)
			}
		}
	}
	return inner
}
