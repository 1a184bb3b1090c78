package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// rules are what tags say about a value, beyond its type.
type rules struct {
	required bool
	enum     []string
	min, max string
}

// fieldInfo is one key of a struct.
type fieldInfo struct {
	index int
	name  string
	doc   string
	typ   reflect.Type
	rules rules
}

// fieldsOf returns the keys of a struct type in the order of its fields.
func fieldsOf(t reflect.Type) []fieldInfo {
	var fields []fieldInfo
	for i := range t.NumField() {
		f := t.Field(i)
		name := f.Tag.Get("yaml")
		if !f.IsExported() || name == "" || name == "-" {
			continue
		}
		info := fieldInfo{index: i, name: name, doc: f.Tag.Get("doc"), typ: f.Type}
		info.rules = rules{required: f.Tag.Get("required") == "true", min: f.Tag.Get("min"), max: f.Tag.Get("max")}
		if enum := f.Tag.Get("enum"); enum != "" {
			info.rules.enum = strings.Split(enum, ",")
		}
		fields = append(fields, info)
	}
	return fields
}

// optional tells whether a type is a mapping in which no key has to be there.
func optional(t reflect.Type) bool {
	if t.Kind() != reflect.Struct {
		return false
	}
	fields := fieldsOf(t)
	return len(fields) > 0 && !slices.ContainsFunc(fields, func(f fieldInfo) bool { return f.rules.required })
}

// names returns the keys alone.
func names(fields []fieldInfo) []string {
	all := make([]string, len(fields))
	for i, f := range fields {
		all[i] = f.name
	}
	return all
}

// asShaped returns a fresh value of the type when it is written as a word.
func asShaped(t reflect.Type) (Shaped, bool) {
	s, ok := reflect.New(t).Interface().(Shaped)
	return s, ok
}

// or lists words as a sentence does: "a, b or c".
func or(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return fmt.Sprintf("%s or %s", strings.Join(words[:len(words)-1], ", "), words[len(words)-1])
}
