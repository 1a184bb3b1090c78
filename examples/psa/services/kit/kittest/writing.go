package kittest

import (
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// writing is a document as it is written, and compilers of the schemas in it.
type writing struct {
	value    any
	requests *jsonschema.Compiler // as it is written
	answers  *jsonschema.Compiler // refuses members that are not documented
}

func newWriting(text []byte) (*writing, error) {
	value, err := parseJSON(text)
	if err != nil {
		return nil, err
	}
	w := &writing{value: nullable(value)}
	if w.requests, err = compiler(w.value); err != nil {
		return nil, err
	}
	again, err := parseJSON(text) // a copy to change
	if err != nil {
		return nil, err
	}
	w.answers, err = compiler(closeAnswers(nullable(again)))
	return w, err
}

func compiler(document any) (*jsonschema.Compiler, error) {
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	return c, c.AddResource("document.json", document)
}

// nullable writes what OpenAPI 3.0 says of null in JSON Schema's words, as 3.1 does.
func nullable(value any) any {
	switch value := value.(type) {
	case map[string]any:
		for name, member := range value {
			value[name] = nullable(member)
		}
		if kind, ok := value["type"].(string); ok && value["nullable"] == true {
			value["type"] = []any{kind, "null"}
			delete(value, "nullable")
		}
	case []any:
		for i, element := range value {
			value[i] = nullable(element)
		}
	}
	return value
}

// closeAnswers makes schemas refuse members that they do not name, so that an answer with more than is documented shows.
func closeAnswers(document any) any {
	walk(document, func(object map[string]any) {
		content, ok := object["content"].(map[string]any)
		if !ok {
			return
		}
		for _, media := range content {
			if media, ok := media.(map[string]any); ok {
				closeSchema(media["schema"])
			}
		}
	})
	components, _ := document.(map[string]any)["components"].(map[string]any)
	schemas, _ := components["schemas"].(map[string]any)
	for _, schema := range schemas {
		closeWithin(schema)
	}
	return document
}

func walk(value any, visit func(map[string]any)) {
	switch value := value.(type) {
	case map[string]any:
		visit(value)
		for _, member := range value {
			walk(member, visit)
		}
	case []any:
		for _, element := range value {
			walk(element, visit)
		}
	}
}

// closeSchema closes a schema that stands for a whole value. What it refers to may be a part of another value too, and
// so stays open itself.
func closeSchema(schema any) {
	if object, ok := schema.(map[string]any); ok {
		closeWithin(object)
		object["unevaluatedProperties"] = false
	}
}

func closeWithin(schema any) {
	object, ok := schema.(map[string]any)
	if !ok {
		return
	}
	properties, _ := object["properties"].(map[string]any)
	for _, property := range properties {
		closeSchema(property)
	}
	closeSchema(object["items"])
	for _, keyword := range []string{"allOf", "anyOf", "oneOf"} {
		parts, _ := object[keyword].([]any)
		for _, part := range parts {
			closeWithin(part)
		}
	}
}

// place is a value of the document and where it stands; what is not there has the value nil.
type place struct {
	w       *writing
	pointer string
	value   any
}

func (w *writing) root() place { return place{w: w, value: w.value} }

// get returns a member. References are followed.
func (p place) get(name string) place {
	object, _ := p.value.(map[string]any)
	return p.step(name, object[name])
}

// here is the location of a member itself, also where it is a reference: beside one may stand that the value is closed.
func (p place) here(name string) string {
	return p.location() + "/" + name
}

func (p place) step(name string, value any) place {
	escaped := strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
	next := place{w: p.w, pointer: p.pointer + "/" + escaped, value: value}
	object, _ := value.(map[string]any)
	reference, ok := object["$ref"].(string)
	if !ok {
		return next
	}
	next = p.w.root()
	for _, segment := range strings.Split(strings.TrimPrefix(reference, "#/"), "/") {
		next = next.get(strings.NewReplacer("~1", "/", "~0", "~").Replace(segment))
	}
	return next
}

func (p place) members() iter.Seq2[string, place] {
	return func(yield func(string, place) bool) {
		object, _ := p.value.(map[string]any)
		for name := range maps.Keys(object) {
			if !yield(name, p.get(name)) {
				return
			}
		}
	}
}

func (p place) elements() []place {
	array, _ := p.value.([]any)
	var all []place
	for i, element := range array {
		all = append(all, p.step(strconv.Itoa(i), element))
	}
	return all
}

func (p place) text(name string) string {
	text, _ := p.get(name).value.(string)
	return text
}

// number returns a member that is a whole number.
func (p place) number(name string) (int, bool) {
	value, ok := p.get(name).value.(json.Number)
	if !ok {
		return 0, false
	}
	number, err := value.Int64()
	return int(number), err == nil
}

// location is the place as a compiler takes it.
func (p place) location() string { return fmt.Sprintf("document.json#%s", p.pointer) }
