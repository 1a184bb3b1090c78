package lint

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"yett/internal/openapi"
	"yett/internal/problem"
)

// documentURL is what the compiler knows the schemas by.
const documentURL = "mem:///schemas"

// schemas are those of a document, as OpenAPI 3.1 writes them. The compiler gets them as one
// list of definitions: it takes long to find schemas in something that is none itself.
type schemas struct {
	d     *openapi.Document // a copy of the linter's where that is older
	parts map[*openapi.Node]openapi.Part
	of    map[openapi.Part][]*openapi.Node
	// tops are the schemas that are in no other, at says where each schema is in the list.
	tops     []*openapi.Node
	at       map[*openapi.Node]string
	bad      map[int]bool // those of tops that can't be compiled
	compiler *jsonschema.Compiler
	compiled map[*openapi.Node]compiled
}

type compiled struct {
	schema *jsonschema.Schema
	err    error
}

// inSchemas returns the schemas, made once.
func (l *linter) inSchemas() *schemas {
	if l.schemas != nil {
		return l.schemas
	}
	d := l.d
	if d.Version == openapi.Version30 {
		d = &openapi.Document{File: l.d.File, Version: l.d.Version, Root: l.d.Root.Clone()}
		d.Upgrade()
	}
	s := &schemas{d: d, bad: make(map[int]bool), at: make(map[*openapi.Node]string)}
	s.parts, s.of = partsOf(d)
	s.number()
	s.reset()
	l.schemas = s
	return s
}

// number puts the schemas into a list.
func (s *schemas) number() {
	inner := make(map[*openapi.Node]bool)
	for _, n := range s.of[openapi.PartSchema] { // those around others come before them
		if inner[n] {
			continue
		}
		name := fmt.Sprintf("#/$defs/%d", len(s.tops))
		s.tops = append(s.tops, n)
		for within, pointer := range pointers(n, s.parts) {
			inner[within] = true
			s.at[within] = name + strings.TrimPrefix(pointer, "#")
		}
	}
}

// reset gives the compiler all schemas that are not bad.
func (s *schemas) reset() {
	s.compiler, s.compiled = newCompiler(), make(map[*openapi.Node]compiled)
	s.compiler.DefaultDraft(jsonschema.Draft2020)
	defs := make(map[string]any, len(s.tops))
	for i, n := range s.tops {
		if defs[strconv.Itoa(i)] = any(true); !s.bad[i] {
			defs[strconv.Itoa(i)] = s.value(n)
		}
	}
	if err := s.compiler.AddResource(documentURL, map[string]any{"$defs": defs}); err != nil {
		panic(err) // the name is ours, and new
	}
}

// value is a schema with references into the list.
func (s *schemas) value(n *openapi.Node) any {
	switch {
	case n.Is(openapi.Array):
		items := make([]any, len(n.Items))
		for i, item := range n.Items {
			items[i] = s.value(item)
		}
		return items
	case !n.Is(openapi.Object):
		return n.Any()
	}
	members := make(map[string]any, len(n.Members))
	for _, m := range n.Members {
		members[m.Name] = s.value(m.Value)
	}
	if s.parts[n] == openapi.PartSchema {
		s.place(n, members)
	}
	return members
}

// place lets a reference lead into the list, and takes out what schemas call themselves:
// references by that are not known here, and twice the same would be a fault of all.
func (s *schemas) place(n *openapi.Node, members map[string]any) {
	for _, name := range []string{"$id", "$anchor", "$dynamicAnchor", "$schema", "$dynamicRef", "$vocabulary"} {
		delete(members, name)
	}
	ref := n.Get("$ref")
	if !ref.Is(openapi.String) {
		return
	}
	delete(members, "$ref")
	if target, err := s.d.Resolve(ref.Text); err == nil && s.at[target] != "" {
		members["$ref"] = "#" + fragment(strings.TrimPrefix(s.at[target], "#"))
	}
}

// find returns the schema at a place in the list, or what is around it there, and its name.
func (s *schemas) find(path []string) (*openapi.Node, string) {
	if len(path) < 2 {
		return s.d.Root, ""
	}
	i := index(path[1])
	if i < 0 || i >= len(s.tops) {
		return s.d.Root, ""
	}
	return locate(s.tops[i], path[2:])
}

// tokens returns those of a JSON pointer in the fragment of an address.
func tokens(address string) []string {
	_, pointer, _ := strings.Cut(address, "#")
	if plain, err := url.PathUnescape(pointer); err == nil {
		pointer = plain
	}
	parts := strings.Split(strings.TrimPrefix(pointer, "/"), "/")
	for i, p := range parts {
		parts[i] = strings.ReplaceAll(strings.ReplaceAll(p, "~1", "/"), "~0", "~")
	}
	return parts
}

// compile returns a schema for checking values, or why there is none.
func (s *schemas) compile(n *openapi.Node) (*jsonschema.Schema, error) {
	c, done := s.compiled[n]
	if !done {
		c.schema, c.err = s.compileAt(s.at[n])
		s.compiled[n] = c
	}
	return c.schema, c.err
}

// compileAt compiles what is at a place in the list. A fault of the compiler costs that
// schema alone.
func (s *schemas) compileAt(pointer string) (schema *jsonschema.Schema, err error) {
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("the compiler fails: %v", fault)
		}
	}()
	return s.compiler.Compile(documentURL + "#" + fragment(strings.TrimPrefix(pointer, "#")))
}

// fragment writes a JSON pointer as the fragment of an address (RFC 6901 section 6).
func fragment(pointer string) string {
	var b strings.Builder
	for _, c := range []byte(pointer) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.IndexByte("-._~/$", c) >= 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// checkSchemas compiles all schemas. What is wrong is told of all at once, and the others
// are compiled without those.
func checkSchemas(l *linter) {
	s := l.inSchemas()
	if len(s.tops) == 0 {
		return
	}
	_, err := s.compile(s.tops[0])
	if wrong, ok := errors.AsType[*jsonschema.SchemaValidationError](err); ok {
		l.miswritten(s, wrong.Err)
		s.reset()
	}
	for _, n := range s.tops {
		if _, err := s.compile(n); err != nil && !l.full() {
			l.add(n, "", "the schema can't be compiled: %s", strings.ReplaceAll(err.Error(), documentURL, ""))
		}
	}
}

// miswritten reports what is wrong with schemas, and notes which ones.
func (l *linter) miswritten(s *schemas, err error) {
	invalid, ok := errors.AsType[*jsonschema.ValidationError](err)
	if !ok {
		return
	}
	for _, leaf := range leavesOf(invalid) {
		if len(leaf.InstanceLocation) >= 2 {
			s.bad[index(leaf.InstanceLocation[1])] = true
		}
		at, name := s.find(leaf.InstanceLocation)
		what, hint := words(leaf)
		if what = called(name) + what; !l.saidBy(structure, at, what) {
			l.add(at, hint, "%s", what)
		}
	}
}

// saidBy tells whether another rule has said the same of the same place.
func (l *linter) saidBy(rule string, n *openapi.Node, what string) bool {
	return slices.ContainsFunc(l.found, func(f found) bool {
		return f.rule == rule && f.what == what && f.node.Line == n.Line && f.node.Column == n.Column
	})
}

// sample is a value that should fit a schema.
type sample struct {
	value, schema *openapi.Node
	what          string
}

func checkExamples(l *linter) {
	s := l.inSchemas()
	for _, one := range s.examples() {
		l.fits(s, one)
	}
	for _, n := range s.of[openapi.PartSchema] {
		l.fits(s, sample{n.Get("example"), n, "the example"})
		for _, v := range n.Get("examples").Elements() {
			l.fits(s, sample{v, n, "the example"})
		}
	}
}

// examples returns those of parameters, headers and media types.
func (s *schemas) examples() (all []sample) {
	for _, part := range []openapi.Part{openapi.PartParameter, openapi.PartHeader} {
		for _, n := range s.of[part] {
			all = s.examplesOf(all, n, n.Get("schema"), true)
		}
	}
	for _, part := range []openapi.Part{openapi.PartParameter, openapi.PartHeader, openapi.PartRequestBody, openapi.PartResponse} {
		for _, n := range s.of[part] {
			for _, m := range n.Get("content").Pairs() {
				all = s.examplesOf(all, m.Value, m.Value.Get("schema"), openapi.IsJSON(m.Name))
			}
		}
	}
	return all
}

// examplesOf adds the examples of one object. A text in another format than JSON is written
// as it would be sent, which no schema can tell anything about.
func (s *schemas) examplesOf(all []sample, n, schema *openapi.Node, json bool) []sample {
	add := func(v *openapi.Node, what string) {
		if schema != nil && v != nil && (json || !v.Is(openapi.String)) {
			all = append(all, sample{v, schema, what})
		}
	}
	add(n.Get("example"), "the example")
	for _, m := range n.Get("examples").Pairs() {
		add(s.d.Deref(m.Value).Get("value"), fmt.Sprintf("the example %q", m.Name))
	}
	return all
}

func checkDefaults(l *linter) {
	s := l.inSchemas()
	for _, n := range s.of[openapi.PartSchema] {
		l.fits(s, sample{n.Get("default"), n, "the default"})
	}
}

// fits reports a sample that does not fit. What can't be compiled is reported elsewhere.
func (l *linter) fits(s *schemas, one sample) {
	if one.value == nil || l.full() {
		return
	}
	schema, err := s.compile(one.schema)
	if err != nil {
		return
	}
	invalid, _ := errors.AsType[*jsonschema.ValidationError](schema.Validate(one.value.Any()))
	if invalid == nil {
		return
	}
	for _, leaf := range leavesOf(invalid) {
		if s.oneWay(leaf) {
			continue
		}
		at, _ := locate(one.value, leaf.InstanceLocation)
		name := ""
		if len(leaf.InstanceLocation) > 0 {
			name = strings.Join(leaf.InstanceLocation, ".") + " "
		}
		what, _ := words(leaf)
		l.add(at, "", "%s does not fit its schema: %s%s", one.what, name, what)
	}
}

// oneWay tells whether all that is missing is only sent in one direction, so that an example
// of the other has it not.
func (s *schemas) oneWay(leaf *jsonschema.ValidationError) bool {
	k, ok := leaf.ErrorKind.(*kind.Required)
	if !ok {
		return false
	}
	n, _ := s.find(tokens(leaf.SchemaURL))
	return !slices.ContainsFunc(k.Missing, func(name string) bool {
		p := n.At("properties", name)
		return !p.True("readOnly") && !p.True("writeOnly") && !s.d.Deref(p).True("readOnly") && !s.d.Deref(p).True("writeOnly")
	})
}

func checkRequired(l *linter) {
	for _, n := range l.of[openapi.PartSchema] {
		if !forbids(n) || n.Get("patternProperties") != nil {
			continue
		}
		for _, name := range n.Get("required").Elements() {
			if name.Is(openapi.String) && n.At("properties", name.Text) == nil {
				l.add(name, "", "the property %q is required but not allowed", name.Text)
			}
		}
	}
}

func checkEnumDuplicates(l *linter) {
	for _, n := range l.of[openapi.PartSchema] {
		seen := make(map[string]bool)
		for _, v := range n.Get("enum").Elements() {
			key := fmt.Sprint(v.Kind, ":", string(v.AppendJSON(nil, "")))
			if seen[key] {
				l.add(v, "", "the value %s is twice in the enum", short(v.Any()))
			}
			seen[key] = true
		}
	}
}

func checkEnumTypes(l *linter) {
	for _, n := range l.of[openapi.PartSchema] {
		types := n.Get("type").Strings()
		if t := n.Get("type"); t.Is(openapi.String) {
			types = []string{t.Text}
		}
		if len(types) == 0 {
			continue
		}
		for _, v := range n.Get("enum").Elements() {
			if !isOf(v, types) && (v.Kind != openapi.Null || !n.True("nullable")) {
				l.add(v, "", "the value %s of the enum is of type %s, not %s", short(v.Any()), v.Kind, strings.Join(types, " or "))
			}
		}
	}
}

// isOf tells whether a value is of one of these types.
func isOf(v *openapi.Node, types []string) bool {
	return slices.ContainsFunc(types, func(t string) bool {
		if t == "integer" && v.Kind == openapi.Number {
			return !strings.ContainsAny(strings.TrimSuffix(v.Text, ".0"), ".eE")
		}
		return t == v.Kind.String()
	})
}

func checkItems(l *linter) {
	if l.d.Version != openapi.Version30 {
		return
	}
	for _, n := range l.of[openapi.PartSchema] {
		if n.Str("type") == "array" && n.Get("items") == nil {
			l.add(n, "", "the array has no items")
		}
	}
}

// checkDiscriminators looks for the property in the schema itself, and in each of its
// alternatives.
func checkDiscriminators(l *linter) {
	for _, n := range l.of[openapi.PartSchema] {
		name := n.At("discriminator").Str("propertyName")
		if name == "" {
			continue
		}
		alternatives := slices.Concat(n.Get("oneOf").Elements(), n.Get("anyOf").Elements())
		if l.demands(n, name, 0) {
			continue
		}
		if len(alternatives) == 0 {
			l.addAt(n, "discriminator", "", "the schema does not require and describe the property %q of its discriminator", name)
		}
		for _, a := range alternatives {
			if !l.demands(a, name, 0) {
				l.add(a, "", "this alternative does not require and describe the property %q of the discriminator", name)
			}
		}
	}
}

// maxAround is how many schemas are looked into for a property.
const maxAround = 20

// demands tells whether a schema both describes and requires a property.
func (l *linter) demands(n *openapi.Node, name string, deep int) bool {
	described, required := l.property(n, name, deep)
	return described && required
}

func (l *linter) property(n *openapi.Node, name string, deep int) (described, required bool) {
	if deep > maxAround {
		return true, true
	}
	if n = l.d.Deref(n); n == nil {
		return true, true // the reference is what is wrong
	}
	described = n.At("properties", name) != nil
	required = slices.Contains(n.Get("required").Strings(), name)
	for _, part := range n.Get("allOf").Elements() {
		if described && required {
			break
		}
		d, r := l.property(part, name, deep+1)
		described, required = described || d, required || r
	}
	return described, required
}

func checkPatterns(l *linter) {
	for _, n := range l.of[openapi.PartSchema] {
		if p := n.Get("pattern"); p.Is(openapi.String) {
			if _, err := regexp.Compile(p.Text); err != nil {
				l.add(p, "", "RE2 does not know the regular expression %q", p.Text)
			}
		}
		patterns := n.Get("patternProperties")
		for _, m := range patterns.Pairs() {
			if _, err := regexp.Compile(m.Name); err != nil {
				l.addAt(patterns, m.Name, "", "RE2 does not know the regular expression %q", m.Name)
			}
		}
	}
}

// keywords are those of schemas in OpenAPI 3.1: JSON Schema 2020-12 and OpenAPI's own.
var keywords = strings.Fields(`$schema $id $ref $anchor $dynamicRef $dynamicAnchor $defs $comment $vocabulary definitions type enum const multipleOf
	maximum exclusiveMaximum minimum exclusiveMinimum maxLength minLength pattern maxItems minItems uniqueItems maxContains minContains
	maxProperties minProperties required dependentRequired dependentSchemas dependencies properties patternProperties additionalProperties
	propertyNames unevaluatedProperties unevaluatedItems items prefixItems additionalItems contains allOf anyOf oneOf not if then else format
	contentEncoding contentMediaType contentSchema title description default deprecated readOnly writeOnly examples example nullable
	discriminator externalDocs xml`)

// checkKeywords looks for what is nearly a keyword. In OpenAPI 3.0 any unknown one is an
// error of the structure.
func checkKeywords(l *linter) {
	if l.d.Version != openapi.Version31 {
		return
	}
	for _, n := range l.of[openapi.PartSchema] {
		for _, m := range n.Pairs() {
			if strings.HasPrefix(m.Name, "x-") || slices.Contains(keywords, m.Name) {
				continue
			}
			if near := problem.Nearest(m.Name, keywords); near != "" {
				l.addAt(n, m.Name, fmt.Sprintf("did you mean %q?", near), "the keyword %q is unknown and ignored", m.Name)
			}
		}
	}
}
