package config

import (
	"fmt"
	"strings"
)

// place is a line and a column, both counted from 1, columns in characters.
type place struct{ line, column int }

type kind uint8

const (
	// broken stands for what could not be read; the problem is reported, and
	// the decoder passes over it.
	broken kind = iota
	null
	word
	list
	mapping
)

// element is one value of a document, freed of YAML: aliases are followed,
// merge keys applied, and variables put in. An aliased element is shared, so
// nobody may change one after it was read.
type element struct {
	kind kind
	at   place

	// text is what a word says. It may be read as a number or as true or false
	// unless it was quoted; what came from a variable may always be.
	text   string
	quoted bool
	// secret is the variable whose value is part of text. Such a text is never
	// shown.
	secret string
	// variable tells that a ${VARIABLE} stands in the word, also one whose default is taken.
	variable bool
	// whole tells that the word was one ${VARIABLE} and nothing else.
	whole bool

	fields []field
	items  []*element

	// size and height count this element and all below it, aliases expanded.
	size, height int
}

// field is one key of a mapping.
type field struct {
	name  string
	at    place
	value *element
	// shared tells that the value stands elsewhere: it is an alias, or the whole key came
	// by a merge key.
	shared bool
}

// seal computes size and height when all children are known.
func (e *element) seal() *element {
	e.size, e.height = 1, 1
	add := func(c *element) {
		e.size += c.size
		e.height = max(e.height, c.height+1)
	}
	for _, f := range e.fields {
		add(f.value)
	}
	for _, c := range e.items {
		add(c)
	}
	return e
}

// get returns the value of a key, or nil.
func (e *element) get(name string) *element {
	for _, f := range e.fields {
		if f.name == name {
			return f.value
		}
	}
	return nil
}

// got describes the element in the words of a problem, as what stands where
// something else was wanted. Values of variables are not shown.
func (e *element) got() string {
	switch {
	case e.secret != "":
		return fmt.Sprintf("but ${%s} holds something else", e.secret)
	case e.kind == list:
		return "got a list"
	case e.kind == mapping:
		return "got a mapping"
	case e.quoted || !isBare(e.text):
		return fmt.Sprintf("got %q", clip(e.text))
	}
	return "got " + clip(e.text)
}

// isBare tells whether a text is a number or true or false, which read better
// without quotes.
func isBare(s string) bool {
	return s == "true" || s == "false" || s != "" && strings.Trim(s, "0123456789.-") == ""
}

// clip shortens a text so that a problem stays on one line.
func clip(s string) string {
	const most = 60
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "..."
	}
	return s
}

// join returns the path of a key below a path.
func join(path, key string) string {
	switch {
	case path == "":
		return key
	case key == "" || strings.HasPrefix(key, "["):
		return path + key
	}
	return path + "." + key
}

// index returns the path of a list's item.
func index(path string, i int) string { return fmt.Sprintf("%s[%d]", path, i) }
