package config

import (
	"encoding"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// referenceHead is what holds for every key.
const referenceHead = `# Configuration

Generated from the types that read the configuration.

A configuration is one YAML file. It is read strictly: an unknown key, a value of the wrong type and a key written twice
are errors, and all of them are reported at once, with file, line and column.

- **duration**: a number with a unit, such as ` + "`500ms`, `30s`, `15m` or `1h30m`" + `.
- **size**: bytes, or a whole number with KB, MB or GB in any case, such as ` + "`512`, `64KB` or `10MB`" + `. 1KB is 1024 bytes.
- **network**: CIDR such as ` + "`10.0.0.0/8`" + `, or a single address.
- **texts**: a list of texts, or a single one. A text that is wholly one ` + "`${NAME}`" + ` is split at commas.
- **variables**: ` + "`${NAME}`, `${NAME:-default}` (used when NAME is not set or empty) and `${NAME:?message}`" + ` (an error when it is
  not set or empty) may stand in every value, but not in keys; ` + "`$${`" + ` is a literal ` + "`${`" + `. They are put in after the YAML was read,
  so that a value can't add structure. Variables come from the environment, and from a file ` + "`.env`" + ` beside the configuration
  where the environment does not have them.
- Anchors (` + "`&name`), aliases (`*name`) and merge keys (`<<: *name`)" + ` work. Tags, several documents and tab characters do not.
- **on and off** are plain words here (` + "`retries.on`, `mode: off`" + `), and booleans for tools that write YAML 1.1: have those quote them, as in
  ` + "`\"on\": [connect]` and `mode: \"off\"`" + `.
- What is written for a list or a mapping of names replaces its default; sections are laid over theirs key by key.
`

// Reference returns the reference of a configuration as Markdown. policies
// maps the name of each policy to a pointer to its default configuration.
func Reference(policies map[string]any) string {
	var r referencer
	r.b.WriteString(referenceHead)
	r.section("##", "Top level", "", reflect.ValueOf(Defaults()), 0)
	r.b.WriteString("\n## Policies\n\nUnder `policies` and `routes[].policies`, by name. A policy's value is its configuration, nothing for its defaults, or `off`.\n")
	for _, name := range slices.Sorted(maps.Keys(policies)) {
		v := reflect.Indirect(reflect.ValueOf(policies[name]))
		if v.Kind() == reflect.Struct {
			r.section("###", "`"+name+"`", "policies."+name, v, 0)
		}
	}
	return r.b.String()
}

type referencer struct{ b strings.Builder }

// section writes the table of one struct, then those of the structs in it.
func (r *referencer) section(level, title, path string, v reflect.Value, depth int) {
	if depth > maxNesting {
		return
	}
	fields := fieldsOf(v.Type())
	fmt.Fprintf(&r.b, "\n%s %s\n\n", level, title)
	if len(fields) == 0 {
		r.b.WriteString("Has nothing to configure.\n")
		return
	}
	r.b.WriteString("| key | type | default | meaning |\n|---|---|---|---|\n")
	for _, f := range fields {
		meaning := prose(f.doc + boundsText(f.rules))
		fmt.Fprintf(&r.b, "| `%s` | %s | %s | %s |\n", f.name, cell(typeName(f.typ, f.rules)), defaultCell(f, v.Field(f.index)), meaning)
	}
	for _, f := range fields {
		if inner, suffix, ok := innerStruct(v.Field(f.index)); ok {
			below := join(path, f.name) + suffix
			r.section("###", "`"+below+"`", below, inner, depth+1)
		}
	}
}

// innerStruct finds the struct that a field holds, itself or in each element,
// with its defaults, and how an element is written in a path.
func innerStruct(v reflect.Value) (inner reflect.Value, suffix string, ok bool) {
	t := v.Type()
	for {
		if isWord(t) {
			return inner, suffix, false
		}
		switch {
		case t.Kind() == reflect.Struct && t == v.Type():
			return v, suffix, true
		case t.Kind() == reflect.Struct:
			inner = reflect.New(t).Elem()
			setDefaults(inner)
			return inner, suffix, true
		case reflect.PointerTo(t).Implements(reflect.TypeFor[anyMapping]()):
			t, suffix = t.Elem().Field(1).Type, suffix+".<name>"
		case t.Kind() == reflect.Map:
			t, suffix = t.Elem(), suffix+".<name>"
		case t.Kind() == reflect.Slice:
			t, suffix = t.Elem(), suffix+"[]"
		case t.Kind() == reflect.Pointer:
			t = t.Elem()
		default:
			return inner, suffix, false
		}
	}
}

// isWord tells whether a type has no section of its own though it may be a
// struct or a list in Go.
func isWord(t reflect.Type) bool {
	switch reflect.New(t).Interface().(type) {
	case *Node, *Policies, *StringList, encoding.TextUnmarshaler:
		return true
	}
	return false
}

// typeName says in a word or two what is written for a type.
func typeName(t reflect.Type, r rules) string {
	if shaped, ok := asShaped(t); ok {
		return shaped.Shape().Name
	}
	switch reflect.New(t).Interface().(type) {
	case *Node:
		return "anything"
	case *Policies:
		return "[policies](#policies)"
	case *StringList:
		return "texts" + enumText(r)
	case anyMapping:
		return "name to " + typeName(t.Elem().Field(1).Type, r)
	case encoding.TextUnmarshaler:
		return "text"
	}
	switch t.Kind() {
	case reflect.Pointer:
		return typeName(t.Elem(), r)
	case reflect.Struct:
		return "section"
	case reflect.Slice:
		return "list of " + typeName(t.Elem(), r)
	case reflect.Map:
		return "name to " + typeName(t.Elem(), r)
	case reflect.String:
		if len(r.enum) > 0 {
			return strings.TrimPrefix(enumText(r), ": ")
		}
		return "text"
	case reflect.Bool:
		return "true or false"
	case reflect.Float32, reflect.Float64:
		return "number"
	}
	return "whole number"
}

func enumText(r rules) string {
	if len(r.enum) == 0 {
		return ""
	}
	return ": `" + strings.Join(r.enum, "`, `") + "`"
}

func defaultCell(f fieldInfo, v reflect.Value) string {
	if f.rules.required {
		return "**required**"
	}
	d, ok := jsonDefault(v, f.rules)
	if !ok {
		return ""
	}
	if s, ok := d.(fmt.Stringer); ok {
		return "`" + cell(s.String()) + "`"
	}
	if v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.String {
		words := make([]string, v.Len())
		for i := range words {
			words[i] = "`" + cell(v.Index(i).String()) + "`"
		}
		return strings.Join(words, ", ")
	}
	return "`" + cell(fmt.Sprint(d)) + "`"
}

// prose escapes what Markdown would take for emphasis or HTML.
func prose(s string) string {
	return strings.NewReplacer("*", `\*`, "<", "&lt;").Replace(cell(s))
}

// cell escapes what would end a cell of a table.
func cell(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(s, "\n", " "), "|", `\|`)
}
