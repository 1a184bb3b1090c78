package openapi

import (
	"slices"
	"strings"
)

// Downgrade returns a copy of the document as OpenAPI 3.0.3. What 3.0 can't say is left
// out: schemas take what they took before, and maybe more, never less. A document of
// version 3.0 is copied as it is.
func (d *Document) Downgrade() *Document {
	c := &Document{File: d.File, Version: d.Version, Root: d.Root.Clone()}
	if d.Version == Version30 {
		return c
	}
	g := &downgrade{d: c, made: make(map[*Node]bool)}
	g.pathItems()
	g.moveTargets()
	g.lossy = c.lossySchemas()
	c.Walk(func(n *Node, p Part) bool {
		g.part(n, p)
		return true
	})
	g.security()
	g.root()
	c.Version = Version30
	return c
}

type downgrade struct {
	d     *Document
	lossy map[*Node]bool // schemas of which something is lost
	made  map[*Node]bool // schemas that are of version 3.0 from the beginning
}

// root takes away what 3.0 has no place for at the top.
func (g *downgrade) root() {
	root := g.d.Root
	root.Set("openapi", NewString("3.0.3"))
	for _, name := range []string{"webhooks", "jsonSchemaDialect"} {
		root.Delete(name)
	}
	root.Get("info").drop("summary")
	root.At("info", "license").drop("identifier")
	root.Get("components").drop("pathItems")
	if root.Get("paths") == nil {
		root.Set("paths", NewObject())
	}
}

// drop is Delete for what may not be there.
func (n *Node) drop(name string) {
	if n.Is(Object) {
		n.Delete(name)
	}
}

// pathItems puts path items where they are referred to, because 3.0 doesn't keep them
// among the components. The first place gets the item itself, further paths a copy while
// there are not too many, and everything else a reference to the first place.
func (g *downgrade) pathItems() {
	homes := make(map[*Node]string)
	for _, m := range g.d.Root.Get("paths").Pairs() {
		if m.Value.Get("$ref") == nil {
			homes[m.Value] = "#/paths/" + Escape(m.Name)
		}
	}
	budget := DefaultLimits().Values / 4
	w := walker{d: g.d}
	w.f = func(n *Node, p Part, path []string) bool {
		ref := n.Get("$ref")
		switch {
		case p == PartPathItem && (len(path) == 2 && path[0] == "webhooks" || len(path) == 3 && path[1] == "pathItems"):
			return false // they are met where they are referred to
		case p != PartPathItem || !ref.Is(String) || strings.HasPrefix(ref.Text, "#/paths/"):
			return true
		}
		target := g.d.Deref(n)
		if target == nil || target == n {
			return true
		}
		switch home := homes[target]; {
		case home == "":
			homes[target] = w.pointer()
			n.inline(target)
		case len(path) == 2 && path[0] == "paths" && budget > 0:
			copied := target.Clone()
			budget -= copied.count()
			n.inline(copied)
		default:
			ref.Text = home
		}
		return true
	}
	w.run()
}

// inline replaces a reference by what it leads to. What stands beside the reference stays.
func (n *Node) inline(target *Node) {
	own := n.Members
	n.Members = nil
	for _, m := range own {
		if m.Name != "$ref" {
			n.Members = append(n.Members, m)
		}
	}
	for _, m := range target.Pairs() {
		if n.index(m.Name) < 0 {
			n.Members = append(n.Members, m)
		}
	}
}

// count returns how many values there are.
func (n *Node) count() (total int) {
	n.Walk(func(*Node) bool { total++; return true })
	return total
}

// moveTargets makes components of everything else that is referred to, wherever it stands:
// 3.0 may have no such place.
func (g *downgrade) moveTargets() {
	held := g.d.hold()
	m := mover{d: g.d}
	for i, ref := range held.refs {
		name, kept := strings.CutPrefix(ref.ref.Text, "#/components/"+ref.part.Section()+"/")
		if held.targets[i] != nil && (!kept || strings.Contains(name, "/")) {
			m.move(held.targets[i], ref)
		}
	}
}

// lossySchemas returns the schemas that take more once they are written in 3.0, because of
// what they say or because of a schema below them or behind a reference.
func (d *Document) lossySchemas() map[*Node]bool {
	lossy := make(map[*Node]bool)
	around := make(map[*Node][]*Node)
	var todo []*Node
	d.Walk(func(n *Node, p Part) bool {
		if p != PartSchema {
			return true
		}
		for _, inner := range d.innerSchemas(n) {
			around[inner] = append(around[inner], n)
		}
		if losesByItself(n) {
			lossy[n] = true
			todo = append(todo, n)
		}
		return true
	})
	for len(todo) > 0 {
		n := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, outer := range around[n] {
			if !lossy[outer] {
				lossy[outer] = true
				todo = append(todo, outer)
			}
		}
	}
	return lossy
}

// innerSchemas returns the schemas right below one, and the one that it refers to.
func (d *Document) innerSchemas(n *Node) (inner []*Node) {
	for _, m := range n.Pairs() {
		field, known := partFields(PartSchema)[m.Name]
		switch {
		case m.Name == "$ref" && m.Value.Is(String):
			if target, err := d.Resolve(m.Value.Text); err == nil {
				inner = append(inner, target)
			}
		case !known || field.part != PartSchema:
		case field.how == one:
			inner = append(inner, m.Value)
		case field.how == list:
			inner = append(inner, m.Value.Elements()...)
		default:
			for _, s := range m.Value.Pairs() {
				inner = append(inner, s.Value)
			}
		}
	}
	return inner
}

// losesByItself tells whether a schema says something that is left out.
func losesByItself(n *Node) bool {
	for _, m := range n.Pairs() {
		switch m.Name {
		case "if", "dependentSchemas", "dependentRequired", "unevaluatedItems", "unevaluatedProperties", "contains", "propertyNames", "patternProperties", "prefixItems":
			return true
		case "enum":
			if len(m.Value.Elements()) == 0 {
				return true
			}
		}
	}
	return false
}

// part changes what is not a document's frame.
func (g *downgrade) part(n *Node, p Part) {
	for _, m := range n.Pairs() {
		if field, ok := partFields(p)[m.Name]; ok && field.part == PartSchema && m.Name != "additionalProperties" {
			booleanSchemas(m.Value, field.how)
		}
	}
	switch {
	case n.Kind != Object:
	case p == PartSchema:
		g.schema(n)
	case p.takesReference() && p != PartPathItem && n.Get("$ref").Is(String):
		n.Members = []Member{n.Members[n.index("$ref")]}
	case p == PartOperation:
		answers := n.object("responses")
		if !slices.ContainsFunc(answers.Members, func(m Member) bool { return !strings.HasPrefix(m.Name, "x-") }) {
			answers.Set("default", NewObject("description", "No answers are described."))
		}
	}
}

// booleanSchemas writes the schemas true and false as objects.
func booleanSchemas(n *Node, how holds) {
	switch {
	case how == one && n.Is(Bool):
		replaced := Node{Kind: Object, Line: n.Line, Column: n.Column}
		if n.Text == "false" {
			replaced.Set("not", NewObject())
		}
		*n = replaced
	case how == list:
		for _, item := range n.Elements() {
			booleanSchemas(item, one)
		}
	case how == named:
		for _, m := range n.Pairs() {
			booleanSchemas(m.Value, one)
		}
	}
}

// security takes out schemes that 3.0 doesn't know, and roles where it allows scopes only.
func (g *downgrade) security() {
	schemes := g.d.Root.At("components", "securitySchemes")
	scoped := make(map[string]bool)
	var gone []string
	for _, m := range schemes.Pairs() {
		switch g.d.Deref(m.Value).Str("type") {
		case "oauth2", "openIdConnect":
			scoped[m.Name] = true
		case "mutualTLS":
			gone = append(gone, m.Name)
		}
	}
	clean := func(list *Node) {
		for _, requirement := range list.Elements() {
			for _, name := range gone {
				requirement.drop(name)
			}
			for _, m := range requirement.Pairs() {
				if !scoped[m.Name] && m.Value.Is(Array) {
					m.Value.Items = nil
				}
			}
		}
	}
	for _, name := range gone {
		schemes.Delete(name)
	}
	clean(g.d.Root.Get("security"))
	g.d.Walk(func(n *Node, p Part) bool {
		if p == PartOperation {
			clean(n.Get("security"))
		}
		return p != PartSchema
	})
}
