package config

import (
	"bytes"
	"encoding"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// object is a part of a JSON document; its keys are written in alphabetical
// order.
type object = map[string]any

// maxNesting bounds the depth of configuration types, so that one which
// contains itself is an error and not an endless loop.
const maxNesting = 32

// variable is where in the schema a text with a variable is described, which
// may stand for any word.
const variable = "#/$defs/variable"

// Schema returns the JSON Schema (draft 2020-12) of a configuration, the same
// bytes for the same types. policies maps the name of each policy to a pointer
// to its default configuration. It fails when a key has no doc tag or a tag
// doesn't fit its type.
func Schema(policies map[string]any) ([]byte, error) {
	s := schemer{defs: object{}}
	root := s.structure(reflect.ValueOf(Defaults()), "", 0)
	s.policies(policies)
	s.defs["variable"] = object{
		"type":        "string",
		"pattern":     `\$\{`,
		"description": "A text with variables: ${NAME}, ${NAME:-default} or ${NAME:?message}.",
	}
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["title"] = "Configuration of the Yett API gateway"
	root["$defs"] = s.defs
	if s.err != nil {
		return nil, fmt.Errorf("build the schema: %w", s.err)
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(root); err != nil {
		return nil, fmt.Errorf("write the schema: %w", err)
	}
	return b.Bytes(), nil
}

// schemer builds a schema and keeps the first error.
type schemer struct {
	defs object
	err  error
}

func (s *schemer) fail(format string, args ...any) {
	if s.err == nil {
		s.err = fmt.Errorf(format, args...)
	}
}

// policies describes the mapping of policies, which stands at two places.
func (s *schemer) policies(kinds map[string]any) {
	properties := object{}
	for _, name := range slices.Sorted(maps.Keys(kinds)) {
		v := reflect.ValueOf(kinds[name])
		if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
			s.fail("policy %s: its configuration is no pointer to a struct", name)
			continue
		}
		s.defs["policy_"+name] = s.structure(v.Elem(), name, 0)
		choices := []any{
			object{"$ref": "#/$defs/policy_" + name},
			object{"enum": []any{"off", false}},
			object{"$ref": variable},
		}
		if !demands(v.Elem().Type()) {
			choices = append(choices, object{"type": "null"})
		}
		properties[name] = object{"anyOf": choices}
	}
	s.defs["policies"] = object{"type": "object", "properties": properties, "additionalProperties": false}
}

// demands tells whether a struct has a required key.
func demands(t reflect.Type) bool {
	return slices.ContainsFunc(fieldsOf(t), func(f fieldInfo) bool { return f.rules.required })
}

// structure describes a struct. v holds the defaults.
func (s *schemer) structure(v reflect.Value, path string, depth int) object {
	properties, required := object{}, []string{}
	for f := range v.Type().Fields() {
		if f.IsExported() && f.Tag.Get("yaml") == "" {
			s.fail("%s: no yaml tag", join(path, f.Name))
		}
	}
	for _, f := range fieldsOf(v.Type()) {
		below := join(path, f.name)
		s.checkField(f, v.Field(f.index), below)
		p := s.value(v.Field(f.index), f.rules, below, depth+1)
		p["description"] = f.doc + boundsText(f.rules)
		if f.rules.required {
			required = append(required, f.name)
			notEmpty(p, f.typ)
		} else if d, ok := jsonDefault(v.Field(f.index), f.rules); ok {
			p["default"] = d
		}
		properties[f.name] = p
	}
	o := object{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		o["required"] = required
	}
	return o
}

// value describes one value. v holds the default.
func (s *schemer) value(v reflect.Value, r rules, path string, depth int) object {
	t := v.Type()
	if depth > maxNesting {
		s.fail("%s: types stand too deep inside one another", path)
		return object{}
	}
	if shaped, ok := asShaped(t); ok {
		return shapeSchema(shaped.Shape())
	}
	switch reflect.New(t).Interface().(type) {
	case *Node:
		return object{}
	case *Policies:
		return object{"$ref": "#/$defs/policies"}
	case *StringList:
		item := wordSchema(r)
		return object{"anyOf": []any{item, object{"type": "array", "items": item}}}
	case anyMapping:
		return object{"type": "object", "additionalProperties": s.fresh(t.Elem().Field(1).Type, r, path, depth)}
	case encoding.TextUnmarshaler:
		return wordSchema(rules{})
	}
	return s.plain(v, r, path, depth)
}

// plain describes Go's own kinds.
func (s *schemer) plain(v reflect.Value, r rules, path string, depth int) object {
	t := v.Type()
	switch t.Kind() {
	case reflect.Pointer:
		return s.fresh(t.Elem(), r, path, depth)
	case reflect.Struct:
		return s.structure(v, path, depth)
	case reflect.Slice:
		return object{"type": "array", "items": s.fresh(t.Elem(), r, path, depth)}
	case reflect.Map:
		if t.Key().Kind() != reflect.String {
			s.fail("%s: the type %s can't be configured", path, t)
		}
		return object{"type": "object", "additionalProperties": s.fresh(t.Elem(), r, path, depth)}
	case reflect.String:
		return wordSchema(r)
	case reflect.Bool:
		return orVariable(object{"type": "boolean"})
	}
	if _, ok := wantNumber(t.Kind()); !ok {
		s.fail("%s: the type %s can't be configured", path, t)
	}
	return orVariable(numberSchema(t, r))
}

// fresh describes an element, which starts from the defaults of its type.
func (s *schemer) fresh(t reflect.Type, r rules, path string, depth int) object {
	v := reflect.New(t).Elem()
	setDefaults(v)
	return s.value(v, r, path, depth+1)
}

// checkField fails on a key without documentation, on bounds that its type
// can't have, and on a default outside of them.
func (s *schemer) checkField(f fieldInfo, v reflect.Value, path string) {
	if f.doc == "" {
		s.fail("%s: no doc tag", path)
	}
	t := f.typ
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
		t = t.Elem()
	}
	for _, l := range f.rules.limits() {
		if _, err := parseBound(t, l.text); err != nil {
			s.fail("%s: %w", path, err)
		}
	}
	if !f.rules.required && !v.IsZero() && !withinBounds(v, f.rules) {
		s.fail("%s: the default %v is out of bounds", path, v)
	}
}

// withinBounds tells whether a default satisfies the bounds. Outside of them,
// a zero means "not set".
func withinBounds(v reflect.Value, r rules) bool {
	if _, ok := wantNumber(v.Kind()); !ok {
		return true
	}
	for _, l := range r.limits() {
		if c, err := compareBound(v, l.text); err == nil && c == l.wrong {
			return false
		}
	}
	return true
}

// orVariable lets a text with a variable stand in the place of a word.
func orVariable(o object) object {
	return object{"anyOf": []any{o, object{"$ref": variable}}}
}

func shapeSchema(shape Shape) object {
	pattern := "^(" + shape.Pattern + ")$"
	if shape.Pattern == "" {
		pattern = ""
	}
	choices := []any{object{"type": "string", "pattern": pattern}}
	if shape.Number {
		choices = append(choices, object{"type": "integer", "minimum": 0})
	}
	return object{"anyOf": append(choices, object{"$ref": variable})}
}

// wordSchema describes a text. YAML reads 1.2 and true as other types, which
// are taken as they are written.
func wordSchema(r rules) object {
	if len(r.enum) == 0 {
		return object{"type": []any{"string", "number", "boolean"}}
	}
	var words []any
	for _, word := range r.enum {
		words = append(words, word)
		if word == "true" || word == "false" {
			words = append(words, word == "true")
		} else if strings.Trim(word, "0123456789.") == "" {
			words = append(words, json.Number(word))
		}
	}
	return orVariable(object{"enum": words})
}

func numberSchema(t reflect.Type, r rules) object {
	o := object{"type": "integer"}
	if t.Kind() == reflect.Float32 || t.Kind() == reflect.Float64 {
		o["type"] = "number"
	}
	if r.min != "" {
		o["minimum"] = json.Number(r.min)
	} else if strings.HasPrefix(t.Kind().String(), "uint") {
		o["minimum"] = 0
	}
	if r.max != "" {
		o["maximum"] = json.Number(r.max)
	}
	return o
}

// notEmpty says of a required key what the decoder demands: something in it.
func notEmpty(o object, t reflect.Type) {
	switch {
	case t == reflect.TypeFor[StringList]():
		o["minItems"], o["minLength"] = 1, 1
	case t.Kind() == reflect.String:
		o["minLength"] = 1
	case reflect.PointerTo(t).Implements(reflect.TypeFor[anyMapping]()), t.Kind() == reflect.Map:
		o["minProperties"] = 1
	case t.Kind() == reflect.Slice:
		o["minItems"] = 1
	}
}

// boundsText says the bounds in words, as the schema can't for durations and
// sizes.
func boundsText(r rules) string {
	if r.min == "0" || r.min == "0s" {
		r.min = ""
	}
	switch {
	case r.min != "" && r.max != "":
		return fmt.Sprintf(" From %s to %s.", r.min, r.max)
	case r.min != "":
		return fmt.Sprintf(" At least %s.", r.min)
	case r.max != "":
		return fmt.Sprintf(" At most %s.", r.max)
	}
	return ""
}

// jsonDefault returns a default worth showing. Empty texts, lists and pointers
// say nothing, nor does a zero that may not be written, and structs show theirs
// key by key.
func jsonDefault(v reflect.Value, r rules) (any, bool) {
	if !withinBounds(v, r) {
		return nil, false
	}
	if _, ok := asShaped(v.Type()); ok {
		return v.Interface(), v.Kind() != reflect.Struct
	}
	switch v.Kind() {
	case reflect.Struct, reflect.Pointer:
		return nil, false
	case reflect.String, reflect.Slice, reflect.Map:
		return v.Interface(), v.Len() > 0
	}
	return v.Interface(), true
}
