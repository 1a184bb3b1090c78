package lint

import (
	_ "embed" // the schemas of OpenAPI
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"yett/internal/openapi"
	"yett/internal/problem"
)

//go:embed oas/3.0.json
var text30 string

//go:embed oas/3.1.json
var text31 string

// official is a published schema of OpenAPI: compiled, and as it was read.
type official struct {
	schema *jsonschema.Schema
	raw    any
}

var official30 = sync.OnceValue(func() official { return compileOfficial("https://spec.openapis.org/oas/3.0", text30) })

var official31 = sync.OnceValue(func() official { return compileOfficial("https://spec.openapis.org/oas/3.1", text31) })

func compileOfficial(url, text string) official {
	raw, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		panic(err) // what is embedded is tested
	}
	c := newCompiler()
	if err := c.AddResource(url, raw); err != nil {
		panic(err)
	}
	return official{c.MustCompile(url), raw}
}

// newCompiler returns a compiler that loads nothing and lets pass what a regular expression
// says that is not known here.
func newCompiler() *jsonschema.Compiler {
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	c.UseLoader(noLoader{})
	c.UseRegexpEngine(leniently)
	return c
}

type noLoader struct{}

func (noLoader) Load(url string) (any, error) {
	return nil, fmt.Errorf("%s is not loaded: nothing outside of the document is", url)
}

// expression is a regular expression that is known, or one that takes everything.
type expression struct {
	text  string
	known *regexp.Regexp
}

func (e expression) MatchString(s string) bool { return e.known == nil || e.known.MatchString(s) }
func (e expression) String() string            { return e.text }

func leniently(text string) (jsonschema.Regexp, error) {
	known, err := regexp.Compile(text)
	if err != nil {
		known = nil
	}
	return expression{text, known}, nil
}

// checkStructure holds the document against the official schema.
func checkStructure(l *linter) {
	o := official31()
	if l.d.Version == openapi.Version30 {
		o = official30()
	}
	err := o.schema.Validate(withSlashes(l.d.Root).Any())
	invalid, ok := errors.AsType[*jsonschema.ValidationError](err)
	if !ok {
		return
	}
	leaves := leavesOf(invalid)
	for _, leaf := range leaves {
		l.asWritten(leaf.InstanceLocation)
	}
	for _, leaf := range leaves {
		if l.full() {
			return
		}
		if !saidElsewhere(leaf) {
			l.misshaped(o, leaf, leaves)
		}
	}
}

// withSlashes returns the document with a slash before all paths, so that what is below one
// without is looked at too: a rule of its own tells of those.
func withSlashes(root *openapi.Node) *openapi.Node {
	written := root.Get("paths")
	if !slices.ContainsFunc(written.Pairs(), func(m openapi.Member) bool { return slashless(m.Name) }) {
		return root
	}
	paths := openapi.NewObject()
	for _, m := range written.Pairs() {
		if slashless(m.Name) {
			if m.Name = "/" + m.Name; written.Get(m.Name) != nil {
				continue
			}
		}
		paths.Members = append(paths.Members, m)
	}
	root = &openapi.Node{Kind: root.Kind, Members: slices.Clone(root.Members)}
	root.Set("paths", paths)
	return root
}

// asWritten makes a place in what withSlashes returns one of the document.
func (l *linter) asWritten(place []string) {
	if len(place) < 2 || place[0] != "paths" {
		return
	}
	paths := l.d.Root.Get("paths")
	if name := strings.TrimPrefix(place[1], "/"); paths.Get(place[1]) == nil && paths.Get(name) != nil {
		place[1] = name
	}
}

// saidElsewhere tells whether a rule of its own says it better: that of path parameters
// which are not required.
func saidElsewhere(leaf *jsonschema.ValidationError) bool {
	at := leaf.InstanceLocation
	switch k := leaf.ErrorKind.(type) {
	case *kind.Required:
		return slices.Equal(k.Missing, []string{"required"})
	case *kind.Const, *kind.Enum:
		return len(at) > 0 && at[len(at)-1] == "required"
	}
	return false
}

// misshaped reports one leaf.
func (l *linter) misshaped(o official, leaf *jsonschema.ValidationError, all []*jsonschema.ValidationError) {
	n, name := locate(l.d.Root, leaf.InstanceLocation)
	switch k := leaf.ErrorKind.(type) {
	case *kind.AdditionalProperties:
		known := o.known(leaf.SchemaURL)
		for _, name := range k.Properties {
			if ofResponses(leaf.SchemaURL) {
				l.noStatus(n, name)
			} else {
				l.unknown(n, name, known)
			}
		}
	case *kind.FalseSchema:
		around, _ := locate(l.d.Root, leaf.InstanceLocation[:max(len(leaf.InstanceLocation)-1, 0)])
		known := o.known(leaf.SchemaURL)
		if ofResponses(leaf.SchemaURL) && !status.MatchString(name) {
			l.noStatus(around, name)
		} else if !slices.Contains(known, name) && !ofResponses(leaf.SchemaURL) {
			l.unknown(around, name, known)
		} else if !explained(leaf, all) {
			l.addAt(around, name, "take it out, or see what the other keys here ask for", "the key %q does not belong here", name)
		}
	default:
		what, hint := words(leaf)
		if l.isPlace(leaf.InstanceLocation) {
			what, hint = placeWords(n)
		}
		l.add(n, hint, "%s%s", called(name), what)
	}
}

// isPlace tells whether something is the place of a parameter: the schema of one version has
// an alternative for each, of which one alone would be told.
func (l *linter) isPlace(location []string) bool {
	last := len(location) - 1
	if last < 0 || location[last] != "in" {
		return false
	}
	around, _ := locate(l.d.Root, location[:last])
	return l.parts[around] == openapi.PartParameter
}

func placeWords(n *openapi.Node) (what, hint string) {
	if !n.Is(openapi.String) {
		return "is " + short(n.Any()), "write path, query, header or cookie"
	}
	hint = "write path, query, header or cookie"
	if near := problem.Nearest(n.Text, []string{"path", "query", "header", "cookie"}); near != "" {
		hint = fmt.Sprintf("did you mean %q?", near)
	} else if n.Text == "body" || n.Text == "formData" { // as Swagger 2.0 has it
		hint += "; bodies are described by requestBody of the operation"
	}
	return fmt.Sprintf("is %s, which is none of the known values", short(n.Text)), hint
}

// status are the keys of answers.
var status = regexp.MustCompile(`^([1-5]([0-9]{2}|XX)|default)$`)

func (l *linter) noStatus(answers *openapi.Node, name string) {
	l.addAt(answers, name, "write one from 100 to 599, a range such as 4XX, or default", "%q is no status of an answer", name)
}

// called names a value for people.
func called(name string) string {
	if name == "" {
		return ""
	}
	return name + " "
}

// ofResponses tells whether the schema at a place is that of the answers of an operation.
func ofResponses(url string) bool {
	url = strings.TrimSuffix(strings.TrimSuffix(url, "/unevaluatedProperties"), "/additionalProperties")
	return strings.HasSuffix(strings.ToLower(url), "/responses")
}

func (l *linter) unknown(around *openapi.Node, name string, known []string) {
	hint := problem.DidYouMean(name, known)
	switch {
	case strings.HasPrefix(hint, "did"):
	case hint == "":
		hint = "names of your own start with x-"
	default:
		hint = "names of your own start with x-; " + hint
	}
	l.addAt(around, name, hint, "unknown key %q", name)
}

// explained tells whether there is another leaf at or below the object around a key that is
// known but was refused: the schema refuses all keys of an object when one is wrong.
func explained(leaf *jsonschema.ValidationError, all []*jsonschema.ValidationError) bool {
	around := leaf.InstanceLocation[:len(leaf.InstanceLocation)-1]
	for _, other := range all {
		if _, same := other.ErrorKind.(*kind.FalseSchema); same {
			continue
		}
		if len(other.InstanceLocation) >= len(around) && slices.Equal(other.InstanceLocation[:len(around)], around) {
			return true
		}
	}
	return false
}

// locate returns the node at a place, as far as there is one, and its name, "" for an item
// and the root.
func locate(root *openapi.Node, path []string) (n *openapi.Node, name string) {
	n = root
	for _, token := range path {
		next := n.Get(token)
		name = token
		if n.Is(openapi.Array) {
			i := index(token)
			if i < 0 || i >= len(n.Items) {
				return n, ""
			}
			next, name = n.Items[i], ""
		}
		if next == nil {
			return n, name
		}
		n = next
	}
	return n, name
}

// index reads the index of an item, -1 for none.
func index(token string) int {
	i := 0
	for _, c := range []byte(token) {
		if c < '0' || c > '9' || i > 1<<30 {
			return -1
		}
		i = i*10 + int(c-'0')
	}
	return i
}

// known returns the keys that the schema at a place knows.
func (o official) known(url string) []string {
	_, pointer, _ := strings.Cut(url, "#")
	pointer = strings.TrimSuffix(pointer, "/unevaluatedProperties")
	at := o.raw
	for token := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		if object, ok := at.(map[string]any); ok && token != "" {
			at = object[token]
		}
	}
	var names []string
	gather(at, &names)
	slices.Sort(names)
	return slices.Compact(names)
}

// gather adds the names of properties of a schema and of what applies to the same value.
func gather(schema any, names *[]string) {
	object, _ := schema.(map[string]any)
	for keyword, v := range object {
		switch v := v.(type) {
		case map[string]any:
			switch keyword {
			case "properties":
				for name := range v {
					*names = append(*names, name)
				}
			case "patternProperties":
				for pattern := range v {
					if inner, ok := strings.CutPrefix(pattern, "^("); ok && strings.HasSuffix(inner, ")$") {
						*names = append(*names, strings.Split(strings.TrimSuffix(inner, ")$"), "|")...)
					}
				}
			case "then", "else":
				gather(v, names)
			case "dependentSchemas", "$defs":
				if _, top := object["$id"]; top {
					continue
				}
				for _, s := range v {
					gather(s, names)
				}
			}
		case []any:
			if keyword == "allOf" || keyword == "anyOf" || keyword == "oneOf" {
				for _, s := range v {
					gather(s, names)
				}
			}
		}
	}
}
