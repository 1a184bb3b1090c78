package lint

import (
	"errors"
	"fmt"
	"mime"
	"regexp"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"yett/internal/openapi"
	"yett/internal/problem"
)

// documentURL is what the compiler knows the document by.
const documentURL = "mem:///document"

// schemas are those of a document, as OpenAPI 3.1 writes them.
type schemas struct {
	d        *openapi.Document // a copy of the linter's where that is older
	of       map[openapi.Part][]*openapi.Node
	at       map[*openapi.Node]string // JSON pointers
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
	s := &schemas{d: d, compiler: newCompiler(), compiled: make(map[*openapi.Node]compiled)}
	var parts map[*openapi.Node]openapi.Part
	parts, s.of = partsOf(d)
	s.at = pointers(d.Root, parts)
	s.compiler.DefaultDraft(jsonschema.Draft2020)
	if err := s.compiler.AddResource(documentURL, d.Root.Any()); err != nil {
		panic(err) // the name is ours, and new
	}
	l.schemas = s
	return s
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

// compileAt compiles what is at a pointer. A fault of the compiler costs that schema alone.
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
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.IndexByte("-._~/", c) >= 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

func checkSchemas(l *linter) {
	s := l.inSchemas()
	for _, n := range s.of[openapi.PartSchema] {
		if l.full() {
			return
		}
		if _, err := s.compile(n); err != nil {
			l.uncompiled(s, n, err)
		}
	}
}

// uncompiled says why a schema can't be compiled.
func (l *linter) uncompiled(s *schemas, n *openapi.Node, err error) {
	wrong, ok := errors.AsType[*jsonschema.SchemaValidationError](err)
	if !ok {
		l.add(n, "", "the schema can't be compiled: %s", strings.ReplaceAll(err.Error(), documentURL, ""))
		return
	}
	invalid, ok := errors.AsType[*jsonschema.ValidationError](wrong.Err)
	if !ok {
		l.add(n, "", "the schema can't be compiled: %s", strings.ReplaceAll(wrong.Err.Error(), documentURL, ""))
		return
	}
	around := n
	if _, pointer, _ := strings.Cut(wrong.URL, "#"); pointer != "" {
		if found, err := s.d.Resolve("#" + pointer); err == nil {
			around = found
		}
	}
	for _, leaf := range leavesOf(invalid) {
		at, name := locate(around, leaf.InstanceLocation)
		what, hint := words(leaf)
		l.add(at, hint, "%s%s", called(name), what)
	}
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
				all = s.examplesOf(all, m.Value, m.Value.Get("schema"), isJSON(m.Name))
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

func isJSON(contentType string) bool {
	t, _, err := mime.ParseMediaType(contentType)
	return err == nil && (t == "application/json" || strings.HasSuffix(t, "+json"))
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
	_, pointer, _ := strings.Cut(leaf.SchemaURL, "#")
	n, err := s.d.Resolve("#" + pointer)
	if err != nil {
		return false
	}
	return !slices.ContainsFunc(k.Missing, func(name string) bool {
		p := n.At("properties", name)
		return !p.True("readOnly") && !p.True("writeOnly") && !s.d.Deref(p).True("readOnly") && !s.d.Deref(p).True("writeOnly")
	})
}

func checkRequired(l *linter) {
	for _, n := range l.of[openapi.PartSchema] {
		closed := n.Get("additionalProperties")
		if !closed.Is(openapi.Bool) || closed.Text != "false" || n.Get("patternProperties") != nil {
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
	n = l.d.Deref(n)
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
