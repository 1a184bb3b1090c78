package contract

import (
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"yett/internal/jsontext"
)

// library adds what the library has found, in plain words.
func (f *findings) library(e *jsonschema.ValidationError) {
	switch k := e.ErrorKind.(type) {
	case *kind.Schema, *kind.Group, *kind.Reference, *kind.AllOf:
		f.causes(e.Causes)
	case *kind.AnyOf:
		f.alternatives(e, len(e.Causes))
	case *kind.OneOf:
		if len(k.Subschemas) == 2 {
			f.add(pointer(e.InstanceLocation), fmt.Sprintf("fits more than one of the alternatives: number %d and number %d", k.Subschemas[0]+1, k.Subschemas[1]+1))
			return
		}
		f.alternatives(e, len(e.Causes))
	case *kind.Required:
		f.missing(e.InstanceLocation, k.Missing, "is missing")
	case *kind.DependentRequired:
		f.missing(e.InstanceLocation, k.Missing, "is missing, as "+quoted(k.Prop)+" is there")
	case *kind.AdditionalProperties:
		f.missing(e.InstanceLocation, k.Properties, "is not known here")
	case *kind.PropertyNames:
		f.add(pointer(append(slices.Clone(e.InstanceLocation), k.Property)), "has a name that is not allowed")
	default:
		f.add(pointer(e.InstanceLocation), f.words(k))
	}
}

func (f *findings) causes(list []*jsonschema.ValidationError) {
	for _, c := range list {
		if len(f.list) >= maxFound {
			return
		}
		f.library(c)
	}
}

func (f *findings) missing(at, names []string, what string) {
	for _, name := range names {
		if len(f.list) >= maxFound {
			return
		}
		f.add(pointer(append(slices.Clone(at), name)), what)
	}
}

// alternatives tells what is wrong with the alternative that was meant, where that can be
// seen: the only one of this type, or the only one whose constants fit.
func (f *findings) alternatives(e *jsonschema.ValidationError, n int) {
	depth := len(e.InstanceLocation)
	meant := slices.DeleteFunc(slices.Clone(e.Causes), func(c *jsonschema.ValidationError) bool { return misses(c, depth, depth) })
	if len(meant) > 1 {
		meant = slices.DeleteFunc(meant, func(c *jsonschema.ValidationError) bool { return misses(c, depth+1, depth) })
	}
	switch {
	case len(meant) == 1:
		f.library(meant[0])
	case len(meant) == 0 && allTypes(e.Causes):
		f.add(pointer(e.InstanceLocation), "has to be "+join(wanted(e.Causes), "or"))
	default:
		f.add(pointer(e.InstanceLocation), fmt.Sprintf("fits none of the %d alternatives", n))
	}
}

// misses tells whether a value is of another kind than an alternative: by its type, or by
// constants, of the value itself or of its members.
func misses(e *jsonschema.ValidationError, at, top int) bool {
	switch e.ErrorKind.(type) {
	case *kind.Type:
		return len(e.InstanceLocation) == top
	case *kind.Const, *kind.Enum:
		return len(e.InstanceLocation) == at
	case *kind.Group, *kind.Reference, *kind.AllOf:
		return slices.ContainsFunc(e.Causes, func(c *jsonschema.ValidationError) bool { return misses(c, at, top) })
	}
	return false
}

func allTypes(list []*jsonschema.ValidationError) bool {
	return len(list) > 0 && !slices.ContainsFunc(list, func(c *jsonschema.ValidationError) bool {
		_, is := c.ErrorKind.(*kind.Type)
		return !is
	})
}

func wanted(list []*jsonschema.ValidationError) (names []string) {
	for _, c := range list {
		for _, t := range c.ErrorKind.(*kind.Type).Want {
			if n := typeWords(t); !slices.Contains(names, n) {
				names = append(names, n)
			}
		}
	}
	return names
}

func typeWords(name string) string {
	switch name {
	case "null":
		return name
	case "integer":
		return "a whole number"
	case "boolean":
		return "true or false"
	case "string":
		return "a text"
	case "array", "object":
		return "an " + name
	}
	return "a " + name
}

// words says what is wrong with a value.
func (f *findings) words(k jsonschema.ErrorKind) string {
	switch k := k.(type) {
	case *kind.Type:
		return f.typeWords(k)
	case *kind.Enum:
		return "has to be one of " + join(literals(k.Want), "")
	case *kind.Const:
		return "has to be " + literal(k.Want)
	case *kind.Format:
		return "is not " + formatWords(k.Want)
	case *kind.Pattern:
		return "does not match the pattern " + clip(k.Want, 120)
	case *kind.Minimum, *kind.Maximum, *kind.ExclusiveMinimum, *kind.ExclusiveMaximum, *kind.MultipleOf:
		return f.numberWords(k)
	case *kind.Not:
		return "is what it must not be"
	case *kind.FalseSchema:
		return "is not allowed"
	}
	return countWords(k)
}

func (f *findings) typeWords(k *kind.Type) string {
	var names []string
	for _, t := range k.Want {
		names = append(names, typeWords(t))
	}
	want := "has to be " + join(names, "or")
	if !f.json || k.Got == "number" {
		return want
	}
	return want + ", not " + typeWords(k.Got)
}

func (f *findings) numberWords(k jsonschema.ErrorKind) string {
	var got, want *big.Rat
	var text string
	switch k := k.(type) {
	case *kind.Minimum:
		got, want, text = k.Got, k.Want, "the least is %s"
	case *kind.Maximum:
		got, want, text = k.Got, k.Want, "the most is %s"
	case *kind.ExclusiveMinimum:
		got, want, text = k.Got, k.Want, "it has to be more than %s"
	case *kind.ExclusiveMaximum:
		got, want, text = k.Got, k.Want, "it has to be less than %s"
	case *kind.MultipleOf:
		got, want, text = k.Got, k.Want, "it has to be a multiple of %s"
	}
	rule := fmt.Sprintf(text, number(want))
	if f.quiet() {
		return "is out of range: " + rule
	}
	return "is " + number(got) + ", " + rule
}

// number writes a number in few characters.
func number(r *big.Rat) string {
	if r.IsInt() && r.Num().BitLen() < 64 {
		return r.Num().String()
	}
	n, _ := r.Float64()
	return strconv.FormatFloat(n, 'g', -1, 64)
}

func countWords(k jsonschema.ErrorKind) string {
	switch k := k.(type) {
	case *kind.MinLength:
		return fmt.Sprintf("has %s, the least is %d", plural(k.Got, "character"), k.Want)
	case *kind.MaxLength:
		return fmt.Sprintf("has %s, the most is %d", plural(k.Got, "character"), k.Want)
	case *kind.MinItems:
		return fmt.Sprintf("has %s, the least is %d", plural(k.Got, "item"), k.Want)
	case *kind.MaxItems:
		return fmt.Sprintf("has %s, the most is %d", plural(k.Got, "item"), k.Want)
	case *kind.MinProperties:
		return fmt.Sprintf("has %s, the least is %d", plural(k.Got, "member"), k.Want)
	case *kind.MaxProperties:
		return fmt.Sprintf("has %s, the most is %d", plural(k.Got, "member"), k.Want)
	case *kind.UniqueItems:
		return fmt.Sprintf("has the same item at %d and %d", k.Duplicates[0], k.Duplicates[1])
	case *kind.Contains:
		return "lacks an item of the kind that has to be there"
	case *kind.MinContains:
		return fmt.Sprintf("has %s of the kind that has to be there, the least is %d", plural(len(k.Got), "item"), k.Want)
	case *kind.MaxContains:
		return fmt.Sprintf("has %s of the kind that has to be there, the most is %d", plural(len(k.Got), "item"), k.Want)
	}
	return "is not what the document says"
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}

// literals writes values of the document, the first few of many.
func literals(values []any) (texts []string) {
	const few = 12
	for _, v := range values[:min(len(values), few)] {
		texts = append(texts, literal(v))
	}
	if len(values) > few {
		texts = append(texts, "...")
	}
	return texts
}

// literal writes a value of the document: texts that are words as they are.
func literal(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case string:
		return quoted(v)
	case bool:
		return strconv.FormatBool(v)
	case json.Number:
		return clip(string(v), maxToken)
	case []any:
		return "an array"
	}
	return "an object"
}

// quoted writes a text as it is when it is a word, else as JSON does.
func quoted(s string) string {
	s = clip(s, maxToken)
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`",'\`, c) >= 0 {
			return string(jsontext.AppendQuoted(nil, s))
		}
	}
	if s == "" {
		return `""`
	}
	return s
}

// join makes a list of words, with a word before the last one if that is not empty.
func join(list []string, last string) string {
	if last == "" || len(list) < 2 {
		return strings.Join(list, ", ")
	}
	return strings.Join(list[:len(list)-1], ", ") + " " + last + " " + list[len(list)-1]
}
