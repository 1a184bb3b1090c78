package contract

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"yett/internal/openapi"
)

// library has the schemas of a document as the library compiles them: each when it is
// needed for the first time, which is when the quick path is unsure of a value.
//
// Every schema that is used by itself or referred to is a resource of its own for the
// library, which its loader makes from the compiled schemas; it knows nothing else, so that
// nothing comes from outside. A reference is compiled when a value gets there for the first
// time, because the schemas of a platform hang together, and the time that the library
// takes grows with the square of what it compiles at once.
type library struct {
	byNode   map[*openapi.Node]*schema
	all      []*schema
	patterns map[string]*pattern

	mu       sync.Mutex
	compiler *jsonschema.Compiler
	refs     map[checkKey]*check
	enums    map[*choices]*listed
}

// scheme is that of the resources' addresses.
const scheme = "yett://"

func (l *library) address(s *schema, mode int) string {
	return scheme + strconv.Itoa(mode) + "/" + strconv.Itoa(s.id)
}

// Load makes the resource of an address.
func (l *library) Load(url string) (any, error) {
	s, mode, err := l.at(url)
	if err != nil {
		return nil, err
	}
	return l.resource(s, mode), nil
}

// at returns the schema at an address.
func (l *library) at(url string) (s *schema, mode int, err error) {
	first, second, _ := strings.Cut(strings.TrimPrefix(url, scheme), "/")
	mode, errMode := strconv.Atoi(first)
	id, errID := strconv.Atoi(second)
	if err := errors.Join(errMode, errID); err != nil || !strings.HasPrefix(url, scheme) || mode < 0 || mode >= modes || id < 0 || id >= len(l.all) {
		return nil, 0, fmt.Errorf("%s is not in the document", url)
	}
	return l.all[id], mode, nil
}

// compile returns what the library makes of a schema. Build has let pass only what it
// takes, so that an error is not expected.
func (l *library) compile(s *schema, mode int) (*jsonschema.Schema, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.compiler == nil {
		l.compiler = l.newCompiler()
	}
	return l.compiler.Compile(l.address(s, mode))
}

func (l *library) newCompiler() *jsonschema.Compiler {
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat()
	c.UseLoader(l)
	c.UseRegexpEngine(l.regexp)
	c.RegisterVocabulary(&jsonschema.Vocabulary{URL: lazyRef, Compile: l.compileReference})
	c.RegisterVocabulary(&jsonschema.Vocabulary{URL: lazyEnum, Compile: l.compileEnum})
	c.RegisterVocabulary(&jsonschema.Vocabulary{URL: lazyDependents, Compile: l.compileDependents})
	c.AssertVocabs()
	for _, name := range []string{"int32", "int64"} {
		c.RegisterFormat(&jsonschema.Format{Name: name, Validate: checkInt(name)})
	}
	return c
}

func (l *library) regexp(pattern string) (jsonschema.Regexp, error) {
	if p := l.patterns[pattern]; p != nil {
		return p.re, nil
	}
	return regexp.Compile(pattern) // the library's own patterns
}

// lazyRef is the keyword that stands for $ref in what the library gets.
const lazyRef = scheme + "ref"

// reference is a $ref that is compiled when it is needed.
type reference struct{ check *check }

// compileReference implements the keyword lazyRef. It is called with the lock held.
func (l *library) compileReference(_ *jsonschema.CompilerContext, schema map[string]any) (jsonschema.SchemaExt, error) {
	address, ok := schema[lazyRef].(string)
	if !ok {
		return nil, nil
	}
	s, mode, err := l.at(address)
	if err != nil {
		return nil, err
	}
	return reference{l.inside(s, mode)}, nil
}

// inside returns the check for a schema that stands somewhere in others. It is called with the
// lock held.
func (l *library) inside(s *schema, mode int) *check {
	key := checkKey{s, mode}
	if l.refs == nil {
		l.refs = make(map[checkKey]*check)
	}
	if l.refs[key] == nil {
		l.refs[key] = &check{library: l, schema: s, mode: mode}
	}
	return l.refs[key]
}

// part returns the check for a schema that stands somewhere in others.
func (l *library) part(s *schema, mode int) *check {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.inside(s, mode)
}

// Validate implements jsonschema.SchemaExt.
func (r reference) Validate(ctx *jsonschema.ValidatorContext, v any) {
	if s := r.check.compile(); s != nil {
		ctx.AddErr(ctx.Validate(s, v, nil))
	}
}

// resource writes a schema for the library, with the schemas below it and without what was
// dropped, says nothing about values, or leads elsewhere.
func (l *library) resource(s *schema, mode int) any {
	switch {
	case s.passed:
		return true
	case s.node.Is(openapi.Bool):
		return !s.never
	}
	out := map[string]any{}
	for _, m := range s.node.Members {
		if !s.isDropped(m.Name) {
			l.keyword(out, s, m.Name, m.Value, mode)
		}
	}
	l.rest(out, s, mode)
	return out
}

func (s *schema) isDropped(keyword string) bool {
	for _, d := range s.dropped {
		if d == keyword {
			return true
		}
	}
	return false
}

func (l *library) keyword(out map[string]any, s *schema, name string, v *openapi.Node, mode int) {
	switch name {
	case "dependentRequired":
		out[lazyDependents] = l.address(s, mode)
	case "enum":
		if len(s.listed.values) > manyChoices {
			out[lazyEnum] = l.address(s, mode)
			return
		}
		out[name] = v.Any()
	case "$ref":
		out[lazyRef] = l.address(s.ref, mode)
	case "type", "const", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf",
		"minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties", "minContains", "maxContains",
		"pattern", "uniqueItems":
		out[name] = v.Any()
	case "format":
		if formatWords(v.Text) != "" {
			out[name] = v.Text
		}
	case "required":
		out[name] = anySlice(s.requires(mode))
	case "properties":
		props := map[string]any{}
		for _, m := range v.Members {
			props[m.Name] = l.resource(l.byNode[m.Value], mode)
		}
		out[name] = props
	case "allOf", "anyOf", "oneOf":
		list := make([]any, len(v.Items))
		for i, n := range v.Items {
			list[i] = l.resource(l.byNode[n], mode)
		}
		out[name] = list
	case "items", "additionalProperties":
		out[name] = l.resource(l.byNode[v], mode)
	}
}

// rest writes the keywords whose schemas only the library knows.
func (l *library) rest(out map[string]any, s *schema, mode int) {
	for i := range s.rest {
		sub := &s.rest[i]
		written := l.resource(sub.schema, mode)
		switch {
		case sub.name == "":
			out[sub.keyword] = written
		case sub.keyword == "prefixItems":
			list, _ := out[sub.keyword].([]any)
			out[sub.keyword] = append(list, written)
		default:
			named, _ := out[sub.keyword].(map[string]any)
			if named == nil {
				named = map[string]any{}
				out[sub.keyword] = named
			}
			named[sub.name] = written
		}
	}
}

func anySlice(list []string) []any {
	out := make([]any, len(list))
	for i, s := range list {
		out[i] = s
	}
	return out
}

// check is a schema where it is used, for one mode.
type check struct {
	library *library
	schema  *schema // nil for anything
	mode    int
	// compiled is nil until the library is needed; broken when it can't compile it.
	compiled atomic.Pointer[jsonschema.Schema]
	broken   atomic.Bool
}

// trivial tells that every value is good.
func (c *check) trivial() bool { return c == nil || c.schema.trivial() }

// text holds JSON against the schema.
func (c *check) text(src string, f *findings) {
	switch {
	case quickJSON(src, c.schema, c.mode) == yes:
		return
	case f.brief:
		f.doubt = true
		return
	}
	f.json = true
	if wrong := skimJSON(src); wrong != nil {
		f.add(wrong.Pointer, wrong.Message)
		return
	}
	if !c.trivial() {
		c.walk(src, f)
	}
}

// value holds a value, made as encoding/json does with UseNumber, against the schema.
func (c *check) value(v any, f *findings) {
	switch {
	case c.trivial():
		return
	case f.brief:
		f.doubt = true
		return
	}
	spent := f.spent // by itself, so that findings stay where they are
	spent.add(c.schema, v)
	units, weight := spent.units-f.spent.units, spent.weight()-f.spent.weight()
	f.spent = spent
	room := f.room
	if room == 0 {
		room = roomFor("")
	}
	switch {
	case f.spent.units > maxWork, units*roomUnit > room:
		f.add("", tooLarge)
		return
	case f.spent.effort > maxEffort:
		f.add("", "is too long to be checked against a pattern")
		return
	}
	if compiled := c.compile(); compiled != nil {
		f.hold(v, compiled, weight)
	}
}

// hold has the library look at a value whose faults may have so much weight.
func (f *findings) hold(v any, compiled *jsonschema.Schema, weight int) {
	if f.spent.told+weight > maxTold {
		// What is in a not is only found to be good or bad.
		opposite := &jsonschema.Schema{DraftVersion: compiled.DraftVersion, Not: compiled}
		if opposite.Validate(v) == nil {
			f.add("", "is too far from what is documented to say more")
		}
		return
	}
	var wrong *jsonschema.ValidationError
	if errors.As(compiled.Validate(v), &wrong) {
		f.spent.told += weight
		f.library(wrong)
	}
}

func (c *check) compile() *jsonschema.Schema {
	if s := c.compiled.Load(); s != nil || c.broken.Load() {
		return s
	}
	s, err := c.library.compile(c.schema, c.mode)
	if err != nil {
		c.broken.Store(true)
		return nil
	}
	c.compiled.Store(s)
	return s
}
