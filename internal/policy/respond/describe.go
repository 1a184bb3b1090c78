package respond

import (
	"encoding/json"
	"slices"
	"strings"

	"yett/internal/config"
	"yett/internal/openapi"
	"yett/internal/policy"
)

// Describe implements policy.Describer. What stands before this policy has been described
// already, so it is known whether anybody knows the caller. Where only some may call, the
// words of the answer are not for everybody who reads the document: it tells their shape.
func (p *respond) Describe(d *policy.Description) {
	s := shower{p: p, known: len(d.Schemes) > 0, words: len(d.Schemes) == 0 || d.Anonymous}
	a := &policy.AnswerNote{Status: p.status, ContentType: p.contentType}
	for i := range p.headers {
		a.Headers = append(a.Headers, s.header(&p.headers[i]))
	}
	switch {
	case p.contentType == "":
	case escapingFor(p.contentType) != forJSON:
		a.Schema, a.Example = openapi.NewObject("type", "string"), openapi.NewString(s.sample(p.body))
	case p.json != nil:
		a.Schema, a.Example = s.json(*p.json)
	}
	if !s.words && s.quotes {
		a.Example = nil
	}
	d.Answer = a
}

// shower makes schemas and examples of templates.
type shower struct {
	p *respond
	// known tells that somebody finds out who calls, words that examples may have what the
	// operator wrote.
	known, words bool
	// quotes tells that something of that is in the example.
	quotes bool
}

func (s *shower) header(h *header) policy.HeaderNote {
	note := policy.HeaderNote{Name: h.field.Name, Schema: openapi.NewObject("type", "string")}
	if s.words {
		note.Schema.Set("examples", openapi.NewStrings(s.sample(h.value)))
	}
	return note
}

// json returns the schema of a value, and an example.
func (s *shower) json(n config.Node) (schema, example *openapi.Node) {
	switch v := n.Value().(type) {
	case bool:
		s.quotes, example = true, openapi.NewBool(v)
		schema = openapi.NewObject("type", "boolean")
	case json.Number:
		s.quotes, example = true, &openapi.Node{Kind: openapi.Number, Text: v.String()}
		schema = openapi.NewObject("type", numberType(v))
	case string:
		return s.text(v)
	case config.Mapping[config.Node]:
		return s.object(v)
	case []config.Node:
		return s.array(v)
	default:
		return openapi.NewObject("type", "null"), new(openapi.Node)
	}
	s.exemplify(schema, example)
	return schema, example
}

// numberType is integer for what JSON Schema takes for one: 1.0 and 1e3 too, but those are
// written by who means numbers.
func numberType(n json.Number) string {
	if strings.ContainsAny(n.String(), ".eE") {
		return "number"
	}
	return "integer"
}

func (s *shower) exemplify(schema, example *openapi.Node) {
	if s.words {
		schema.Set("examples", openapi.NewArray(example.Clone()))
	}
}

func (s *shower) object(members config.Mapping[config.Node]) (schema, example *openapi.Node) {
	properties, example := openapi.NewObject(), openapi.NewObject()
	for _, m := range members {
		property, value := s.json(m.Value)
		properties.Set(m.Name, property)
		example.Set(m.Name, value)
	}
	schema = openapi.NewObject("type", "object")
	if len(members) > 0 {
		schema.Set("properties", properties)
		schema.Set("required", openapi.NewStrings(members.Names()...))
	}
	return schema, example
}

// array takes for the items' schema what all of them have, or any of what they have.
func (s *shower) array(items []config.Node) (schema, example *openapi.Node) {
	example = openapi.NewArray()
	var kinds []*openapi.Node
	for _, item := range items {
		kind, value := s.json(item)
		example.Append(value)
		kind.Delete("examples") // they are in the whole
		if !slices.ContainsFunc(kinds, kind.Equal) {
			kinds = append(kinds, kind)
		}
	}
	schema = openapi.NewObject("type", "array")
	switch len(kinds) {
	case 0:
	case 1:
		schema.Set("items", kinds[0])
	default:
		schema.Set("items", openapi.NewObject("anyOf", openapi.NewArray(kinds...)))
	}
	return schema, example
}

// text returns what a string of JSON becomes, see compiler.appendString.
func (s *shower) text(text string) (schema, example *openapi.Node) {
	b := compiler{deps: s.p.deps}
	t := b.text(text, asIs)
	if len(t.segments) == 1 && t.segments[0].value.ofIdentity() && !t.segments[0].hasOtherwise {
		return s.whole(&t.segments[0])
	}
	schema, example = openapi.NewObject("type", "string"), openapi.NewString(s.sample(t))
	switch {
	case len(t.segments) == 1 && t.segments[0].value == now:
		schema.Set("format", openapi.NewString("date-time"))
	case len(t.segments) == 0 || len(t.segments) == 1 && t.segments[0].value == literal:
		s.exemplify(schema, example)
	}
	return schema, example
}

// whole is a placeholder that is a whole value of JSON.
func (s *shower) whole(g *segment) (schema, example *openapi.Node) {
	if g.value.isList() {
		schema, example = openapi.NewObject("type", "array", "items", openapi.NewObject("type", "string")), openapi.NewArray()
		if s.known {
			example.Append(openapi.NewString(sampleOf(g)))
		}
		return schema, example
	}
	schema, example = openapi.NewObject("type", openapi.NewStrings("string", "null")), new(openapi.Node)
	if s.known {
		example = openapi.NewString(sampleOf(g))
	}
	return schema, example
}

// sample fills a template in.
func (s *shower) sample(t template) string {
	var b strings.Builder
	for i := range t.segments {
		switch g := &t.segments[i]; {
		case g.value == literal, g.value.ofIdentity() && !s.known:
			s.quotes = s.quotes || strings.TrimSpace(string(g.text)) != ""
			b.Write(g.text)
		default:
			b.Write(appendEscaped(nil, sampleOf(g), g.escaping))
		}
	}
	return b.String()
}

// sampleOf is what a placeholder might stand for.
func sampleOf(g *segment) string {
	switch g.value {
	case requestID:
		return "0b0e7a5c-6f3f-4d0c-9a55-3d2f0a6c1e77"
	case now:
		return "2026-01-31T09:30:00.000Z"
	case method:
		return "GET"
	case host:
		return "api.example.com"
	case path:
		return "/path"
	case query:
		return "page=1"
	case clientIP:
		return "203.0.113.7"
	case subject:
		return "42"
	case email:
		return "ann@example.com"
	case tenant:
		return "example"
	case role, roles:
		return "user"
	case permissions:
		return "items.read"
	case scopes:
		return "items"
	}
	return g.name // of a value of the path
}
