package sample

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"yett/internal/openapi"
)

// checker tells whether values are valid by a schema and what it refers to.
type checker struct {
	compiler *jsonschema.Compiler
	compiled map[string]*jsonschema.Schema // by place
	// hides tells that some property is hidden in the direction.
	hides bool
}

// base is the address of the schemas, under which nothing can be fetched.
const base = "https://document.invalid/"

// nowhere refuses whatever leads out of the document.
type nowhere struct{}

func (nowhere) Load(url string) (any, error) {
	return nil, fmt.Errorf("the reference %q leads out of the document", url)
}

func newChecker(d *openapi.Document, schema *openapi.Node, dir Direction) (*checker, error) {
	b := bundle{doc: d, dir: dir, refs: make(map[string]any)}
	root := b.all(schema)
	if b.err != nil {
		return nil, b.err
	}
	k := &checker{compiler: jsonschema.NewCompiler(), compiled: make(map[string]*jsonschema.Schema), hides: b.hides}
	k.compiler.UseLoader(nowhere{})
	k.compiler.DefaultDraft(jsonschema.Draft2020)
	k.compiler.AssertFormat()
	k.compiler.UseRegexpEngine(regexpOf)
	if err := k.compiler.AddResource(base, root); err != nil {
		return nil, err
	}
	if _, err := k.schema(rootAt); err != nil {
		return nil, err
	}
	return k, nil
}

// anything stands for a pattern of ECMA-262 that can't be had here, such as one with a
// lookahead: authors may give examples that only they can judge.
type anything string

func (a anything) String() string        { return string(a) }
func (anything) MatchString(string) bool { return true }

func regexpOf(pattern string) (jsonschema.Regexp, error) {
	re, err := regexp.Compile(pattern)
	if err != nil {
		return anything(pattern), nil
	}
	return re, nil
}

func (k *checker) schema(at string) (*jsonschema.Schema, error) {
	s := k.compiled[at]
	if s != nil {
		return s, nil
	}
	s, err := k.compiler.Compile(base + "#" + at)
	if err != nil {
		return nil, fmt.Errorf("the schema can't be used: %s", firstLine(err))
	}
	k.compiled[at] = s
	return s, nil
}

// firstLine is the message of an error without the addresses and details below it.
func firstLine(err error) string {
	var wrong *jsonschema.SchemaValidationError
	if errors.As(err, &wrong) {
		err = wrong.Err
	}
	text := strings.ReplaceAll(err.Error(), base, "")
	if i := strings.LastIndexByte(text, '\n'); i >= 0 { // the last one is about the innermost cause
		text = strings.TrimLeft(text[i+1:], " -")
	}
	return text
}

func (k *checker) valid(at string, v *openapi.Node) (bool, error) {
	s, err := k.schema(at)
	if err != nil {
		return false, err
	}
	return s.Validate(v.Any()) == nil, nil
}

// bundle gathers a schema and all that it refers to, as one document of nothing but schemas.
type bundle struct {
	doc   *openapi.Document
	dir   Direction
	refs  map[string]any // by the reference's pointer
	queue []string
	hides bool
	err   error
}

// The keywords that hold schemas, and those that are taken as they are. All others say
// nothing about what is valid, or would make references mean something else than they do
// in the document, as $id does.
var (
	oneSchema   = []string{"items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames", "unevaluatedItems", "unevaluatedProperties"}
	listSchemas = []string{"allOf", "anyOf", "oneOf", "prefixItems"}
	mapSchemas  = []string{"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"}
	asTheyAre   = []string{
		"type", "enum", "const", "multipleOf", "maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum",
		"maxLength", "minLength", "pattern", "format", "maxItems", "minItems", "uniqueItems", "maxContains", "minContains",
		"maxProperties", "minProperties", "required", "dependentRequired",
	}
)

// all returns the document of schemas, with the first one at rootAt.
func (b *bundle) all(schema *openapi.Node) map[string]any {
	root := map[string]any{rootAt[1:]: b.schema(schema, nil)}
	for len(b.queue) > 0 && b.err == nil {
		ref := b.queue[0]
		b.queue = b.queue[1:]
		target, err := b.doc.Resolve(ref)
		if err != nil {
			b.err = err
			break
		}
		b.refs[ref] = b.schema(target, nil)
	}
	order := slices.SortedFunc(maps.Keys(b.refs), func(x, y string) int { return len(x) - len(y) })
	for _, ref := range order { // what stands within another one is there already
		place(root, ref, b.refs[ref])
	}
	return root
}

// place puts a schema where its reference looks for it.
func place(at map[string]any, ref string, schema any) {
	tokens := strings.Split(strings.TrimPrefix(ref, "#/"), "/")
	for i, t := range tokens {
		name := openapi.Unescape(t)
		if i == len(tokens)-1 {
			if at[name] == nil {
				at[name] = schema
			}
			return
		}
		if at[name] == nil {
			at[name] = make(map[string]any)
		}
		next, ok := at[name].(map[string]any)
		if !ok {
			return // an array of a schema that is there
		}
		at = next
	}
}

// schema copies a schema. Properties in hidden need not be there.
func (b *bundle) schema(n *openapi.Node, hidden []string) any {
	if !n.Is(openapi.Object) {
		return n.Any()
	}
	hidden = append(hidden[:len(hidden):len(hidden)], b.hidden(n, nil)...)
	out := make(map[string]any, len(n.Members))
	for _, m := range n.Members {
		switch {
		case m.Name == "$ref" && m.Value.Is(openapi.String):
			out["$ref"] = m.Value.Text
			b.refer(m.Value.Text)
		case slices.Contains(oneSchema, m.Name):
			out[m.Name] = b.schema(m.Value, nil)
		case m.Name == "allOf":
			out[m.Name] = b.list(m.Value, hidden)
		case slices.Contains(listSchemas, m.Name):
			out[m.Name] = b.list(m.Value, hidden)
		case slices.Contains(mapSchemas, m.Name) && m.Value.Is(openapi.Object):
			below := make(map[string]any, len(m.Value.Members))
			for _, p := range m.Value.Members {
				below[p.Name] = b.schema(p.Value, nil)
			}
			out[m.Name] = below
		case m.Name == "required" && m.Value.Is(openapi.Array):
			out[m.Name] = required(m.Value, hidden)
		case slices.Contains(asTheyAre, m.Name):
			out[m.Name] = m.Value.Any()
		}
	}
	return out
}

func (b *bundle) list(n *openapi.Node, hidden []string) any {
	if !n.Is(openapi.Array) {
		return n.Any()
	}
	out := make([]any, len(n.Items))
	for i, item := range n.Items {
		out[i] = b.schema(item, hidden)
	}
	return out
}

// required returns the names that have to be there in the direction, each once: that one
// stands there twice is wrong, and no reason to do without values.
func required(n *openapi.Node, hidden []string) any {
	out := make([]any, 0, len(n.Items))
	for _, item := range n.Items {
		if v := item.Any(); item.Kind != openapi.String || !slices.Contains(hidden, item.Text) && !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	return out
}

func (b *bundle) refer(ref string) {
	if _, known := b.refs[ref]; !known {
		b.refs[ref] = nil
		b.queue = append(b.queue, ref)
	}
}

// hidden returns the properties of a schema, and of what it is made of, that are hidden.
func (b *bundle) hidden(n *openapi.Node, seen []*openapi.Node) []string {
	if n == nil || slices.Contains(seen, n) || len(seen) > maxDepth {
		return nil
	}
	seen = append(seen, n)
	var names []string
	for _, p := range n.Get("properties").Pairs() {
		if p.Value.True(b.dir.hides()) || b.doc.Deref(p.Value).True(b.dir.hides()) {
			b.hides = true
			names = append(names, p.Name)
		}
	}
	for _, m := range n.Get("allOf").Elements() {
		names = append(names, b.hidden(m, seen)...)
	}
	if n.Get("$ref") != nil {
		names = append(names, b.hidden(b.doc.Deref(n), seen)...)
	}
	return names
}
