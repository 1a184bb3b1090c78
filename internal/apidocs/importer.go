package apidocs

import (
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"yett/internal/openapi"
)

// importer copies parts of a service's document into the merged one. What they refer to
// comes along under a name with the service's in front, so that services can't clash,
// whichever of them is there; nothing else of the document does.
type importer struct {
	from   *openapi.Document
	prefix string // "" keeps names
	// into is the section components of the merged document.
	into *openapi.Node
	done map[string]bool // components that were brought, shared by all importers
	// schemas compiles schemas of the document, nil until one is asked for.
	schemas *jsonschema.Compiler
}

const componentsRef = "#/components/"

// name returns what a component is called in the merged document.
func (im *importer) name(own string) string {
	if im.prefix == "" {
		return own
	}
	return im.prefix + "." + own
}

// namedMaps are keys whose value has names of the author's as keys.
func namedMaps() []string {
	return []string{"properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "responses", "headers", "content", "links", "callbacks", "encoding"}
}

// verbatim are keys whose value is an example or the like: nothing in it is a reference.
func verbatim() []string { return []string{"example", "default", "enum", "const", "value"} }

// copy returns a copy of a node, with what it refers to under its new name.
func (im *importer) copy(n *openapi.Node) *openapi.Node {
	if n == nil {
		return nil
	}
	c := *n
	c.Items = nil
	for _, item := range n.Items {
		c.Items = append(c.Items, im.copy(item))
	}
	c.Members = make([]openapi.Member, 0, len(n.Members))
	for _, m := range n.Members {
		m.Value = im.member(m.Name, m.Value)
		c.Members = append(c.Members, m)
	}
	im.discriminate(n, &c)
	return &c
}

// member copies the value of a keyword.
func (im *importer) member(key string, v *openapi.Node) *openapi.Node {
	switch {
	case key == "$ref" && v.Is(openapi.String):
		return openapi.NewString(im.reference(v.Text))
	case key == "operationId" && v.Is(openapi.String): // of a link
		return openapi.NewString(im.name(v.Text))
	case slices.Contains(verbatim(), key), strings.HasPrefix(key, "x-"), key == "examples" && v.Is(openapi.Array):
		return v.Clone()
	case slices.Contains(namedMaps(), key) && v.Is(openapi.Object):
		c := *v
		c.Members = nil
		for _, m := range v.Members {
			m.Value = im.copy(m.Value)
			c.Members = append(c.Members, m)
		}
		return &c
	}
	return im.copy(v)
}

// reference brings along what a reference stands for, and returns the new one.
func (im *importer) reference(ref string) string {
	kind, rest, ok := strings.Cut(strings.TrimPrefix(ref, componentsRef), "/")
	if !ok || !strings.HasPrefix(ref, componentsRef) {
		return im.elsewhere(ref)
	}
	own, deeper, isDeeper := strings.Cut(rest, "/")
	target, err := im.from.Resolve(componentsRef + kind + "/" + own)
	if err != nil {
		return ref // Parse has seen that there is one
	}
	plain := unescapeName(own)
	im.bring(kind, im.name(plain), target)
	ref = componentsRef + kind + "/" + openapi.Escape(im.name(plain))
	if isDeeper {
		ref += "/" + deeper
	}
	return ref
}

func unescapeName(token string) string {
	return strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")
}

// elsewhere gives a part that is no component a name among the schemas, which is what such
// references are for.
func (im *importer) elsewhere(ref string) string {
	target, err := im.from.Resolve(ref)
	if err != nil {
		return ref
	}
	name := im.name("at" + strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' {
			return r
		}
		return '-'
	}, strings.TrimPrefix(ref, "#")))
	im.bring("schemas", name, target)
	return componentsRef + "schemas/" + name
}

// bring copies a component, unless that has been done or is under way.
func (im *importer) bring(kind, name string, target *openapi.Node) {
	section := im.into.Get(kind)
	if section == nil {
		section = openapi.NewObject()
		im.into.Set(kind, section)
	}
	key := kind + "/" + name
	if im.done[key] {
		return
	}
	im.done[key] = true
	at := len(section.Members)
	section.Members = append(section.Members, openapi.Member{Name: name})
	section.Members[at].Value = im.copy(target)
}

// discriminate keeps the values of a discriminator, which are names of schemas where no
// others are given.
func (im *importer) discriminate(n, c *openapi.Node) {
	d := c.Get("discriminator")
	if !d.Is(openapi.Object) || d.Str("propertyName") == "" {
		return
	}
	mapping := d.Get("mapping")
	if mapping == nil {
		mapping = openapi.NewObject()
	}
	for _, m := range n.At("discriminator", "mapping").Pairs() {
		mapping.Set(m.Name, openapi.NewString(im.mapped(m.Value.Text)))
	}
	for _, list := range []string{"oneOf", "anyOf"} {
		for _, item := range n.Get(list).Elements() {
			own, isComponent := strings.CutPrefix(item.Str("$ref"), componentsRef+"schemas/")
			if name := unescapeName(own); isComponent && !mapsTo(n, item.Str("$ref"), name) {
				mapping.Set(name, openapi.NewString(im.reference(item.Str("$ref"))))
			}
		}
	}
	if len(mapping.Members) > 0 {
		d.Set("mapping", mapping)
	}
}

// mapsTo tells whether a discriminator names a value for a schema itself.
func mapsTo(n *openapi.Node, ref, name string) bool {
	return slices.ContainsFunc(n.At("discriminator", "mapping").Pairs(), func(m openapi.Member) bool {
		return m.Value.Text == ref || m.Value.Text == name
	})
}

// mapped is the value of a mapping: a reference, or the name of a schema.
func (im *importer) mapped(text string) string {
	if strings.HasPrefix(text, "#") {
		return im.reference(text)
	}
	if _, err := im.from.Resolve(componentsRef + "schemas/" + openapi.Escape(text)); err == nil {
		return im.reference(componentsRef + "schemas/" + openapi.Escape(text))
	}
	return text
}
