package openapi

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/big"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"yett/internal/problem"
)

func readYAML(data []byte, most Limits) (*Node, problem.List) {
	top, p := parseYAML(data)
	if p != nil {
		return nil, problem.List{*p}
	}
	r := &yamlReader{most: most, sizes: make(map[*yaml.Node]extent)}
	if r.measure(top, 0); len(r.problems) > 0 {
		return nil, r.problems
	}
	root := r.value(top)
	return root, r.problems
}

// parseYAML returns the value of the only document. Should the library panic on odd
// input, that must not take the gateway down.
func parseYAML(data []byte) (top *yaml.Node, p *problem.Problem) {
	defer func() {
		if trouble := recover(); trouble != nil {
			top, p = nil, &problem.Problem{Line: 1, Column: 1, What: fmt.Sprintf("the YAML reader failed: %v", trouble), Hint: "is this an OpenAPI document?"}
		}
	}()
	in := yaml.NewDecoder(bytes.NewReader(data))
	var doc, second yaml.Node
	if err := in.Decode(&doc); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, &problem.Problem{Line: 1, Column: 1, What: "the document is empty", Hint: "write OpenAPI 3.1 or 3.0 as JSON or YAML"}
		}
		return nil, yamlProblem(err)
	}
	switch err := in.Decode(&second); {
	case err == nil:
		return nil, &problem.Problem{Line: second.Line, Column: second.Column, What: "there is more than one YAML document", Hint: "take out what stands from the second --- on"}
	case !errors.Is(err, io.EOF):
		return nil, yamlProblem(err)
	}
	return doc.Content[0], nil
}

// yamlProblem gives an error of the library its place, of which it knows the line at best.
func yamlProblem(err error) *problem.Problem {
	p := &problem.Problem{Line: 1, Column: 1, Hint: "is the indentation right, and is there a blank after each colon and dash?"}
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	if m := regexp.MustCompile(`^line (\d+): `).FindStringSubmatch(text); m != nil {
		p.Line, _ = strconv.Atoi(m[1])
		text = text[len(m[0]):]
	}
	p.What = "not valid YAML: " + text
	switch {
	case strings.Contains(text, "mapping values are not allowed"):
		p.Hint = `put a text that contains ": " into quotes, and look at the indentation`
	case strings.Contains(text, "unknown anchor"):
		p.Hint = "quote a text that begins with *"
	case strings.Contains(text, "cannot start any token"):
		p.Hint = "indent with spaces, and put a text that begins with such a character into quotes"
	case strings.Contains(text, "max depth"):
		p.Hint = "use references"
	case strings.Contains(text, "unexpected end of stream"):
		p.Hint = "close the quotes or brackets"
	case strings.Contains(text, "escape"):
		p.Hint = `write \\ for a backslash, or use single quotes`
	}
	return p
}

// yamlReader turns the library's nodes into ours, with what aliases stand for in their
// place.
type yamlReader struct {
	most     Limits
	sizes    map[*yaml.Node]extent // of what has an anchor
	problems problem.List
}

// extent is what a value needs, its aliases expanded.
type extent struct {
	values, bytes, depth int
	open                 bool // it is still being measured
}

func (r *yamlReader) add(n *yaml.Node, what, hint string) {
	if len(r.problems) < maxProblems {
		r.problems = append(r.problems, problem.Problem{Line: n.Line, Column: n.Column, What: what, Hint: hint})
	}
}

// measure returns what a value needs, and refuses what is too much before anything is
// made of it.
func (r *yamlReader) measure(n *yaml.Node, depth int) extent {
	if n.Kind == yaml.AliasNode {
		return r.measureAlias(n)
	}
	if len(r.problems) > 0 {
		return extent{}
	}
	container := n.Kind != yaml.ScalarNode
	if container {
		depth++
	}
	if depth > r.most.Depth {
		r.add(n, tooDeep(r.most.Depth), "use references")
		return extent{}
	}
	if n.Anchor != "" {
		r.sizes[n] = extent{open: true}
	}
	e := extent{values: 1, bytes: len(n.Value)}
	for i, c := range n.Content {
		inner := r.measure(c, depth)
		if n.Kind == yaml.MappingNode && i%2 == 0 {
			inner.values = 0 // a key
		}
		e.values += inner.values
		e.bytes += inner.bytes
		e.depth = max(e.depth, inner.depth)
	}
	if container {
		e.depth++
	}
	if n.Anchor != "" {
		r.sizes[n] = e
	}
	r.limit(n, e)
	return e
}

func (r *yamlReader) measureAlias(n *yaml.Node) extent {
	e := r.sizes[n.Alias]
	if e.open {
		r.add(n, fmt.Sprintf("the alias *%s stands inside its own anchor", n.Value), "use a reference")
	}
	return e
}

// limit compares after each step, so that sums can't overflow.
func (r *yamlReader) limit(n *yaml.Node, e extent) {
	const hint = "use fewer aliases, or references"
	switch {
	case len(r.problems) > 0:
	case e.values > r.most.Values:
		r.add(n, fmt.Sprintf("the document has more than %d values, aliases expanded", r.most.Values), hint)
	case int64(e.bytes) > 2*r.most.Bytes: // an escape may be shorter than what it means
		r.add(n, fmt.Sprintf("the texts are longer than %s, aliases expanded", size(2*r.most.Bytes)), hint)
	case e.depth > r.most.Depth:
		r.add(n, tooDeep(r.most.Depth)+", aliases expanded", hint)
	}
}

func (r *yamlReader) value(n *yaml.Node) *Node {
	switch n.Kind {
	case yaml.AliasNode:
		return r.value(n.Alias)
	case yaml.MappingNode:
		return r.mapping(n)
	case yaml.SequenceNode:
		v := &Node{Kind: Array, Line: n.Line, Column: n.Column}
		r.checkTag(n, "!!seq")
		if len(n.Content) > 0 {
			v.Items = make([]*Node, len(n.Content))
		}
		for i, c := range n.Content {
			v.Items[i] = r.value(c)
		}
		return v
	}
	return r.scalar(n)
}

func (r *yamlReader) checkTag(n *yaml.Node, right string) {
	if n.Style&yaml.TaggedStyle != 0 && n.Tag != right {
		r.add(n, fmt.Sprintf("the tag %s is not used here", quote(n.Tag)), "take it out")
	}
}

func (r *yamlReader) mapping(n *yaml.Node) *Node {
	r.checkTag(n, "!!map")
	v := &Node{Kind: Object, Line: n.Line, Column: n.Column}
	if len(n.Content) > 0 {
		v.Members = make([]Member, 0, len(n.Content)/2)
	}
	var names names
	var merged []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if isMerge(key) {
			merged = append(merged, value)
			continue
		}
		name, ok := r.name(key)
		if !ok {
			continue
		}
		if line, twice := names.twice(v.Members, name); twice {
			r.add(key, duplicate(name), fmt.Sprintf("it stands on line %d already", line))
			continue
		}
		v.Members = append(v.Members, Member{Name: name, Line: key.Line, Column: key.Column, Value: r.value(value)})
	}
	for _, m := range merged {
		r.merge(v, m, &names)
	}
	return v
}

func isMerge(key *yaml.Node) bool {
	return key.Kind == yaml.ScalarNode && key.Value == "<<" && key.Tag == "!!merge"
}

// name returns a key as it is written: 200 is the text "200".
func (r *yamlReader) name(key *yaml.Node) (string, bool) {
	at := key
	if key.Kind == yaml.AliasNode {
		key = key.Alias
	}
	if key.Kind != yaml.ScalarNode {
		r.add(at, "a name must be a text", "write name: value")
		return "", false
	}
	return key.Value, true
}

// merge adds the members that a merge key brings in and that are not there yet.
func (r *yamlReader) merge(v *Node, from *yaml.Node, names *names) {
	source := r.value(from)
	sources := []*Node{source}
	if source.Kind == Array {
		sources = source.Items
	}
	for _, s := range sources {
		if s.Kind != Object {
			r.add(from, "<< wants a mapping or a list of mappings", "write <<: *name")
			return
		}
		for _, m := range s.Members {
			if _, twice := names.twice(v.Members, m.Name); !twice {
				v.Members = append(v.Members, m)
			}
		}
	}
}

func (r *yamlReader) scalar(n *yaml.Node) *Node {
	v := &Node{Kind: String, Text: n.Value, Line: n.Line, Column: n.Column}
	const quoted = yaml.SingleQuotedStyle | yaml.DoubleQuotedStyle | yaml.LiteralStyle | yaml.FoldedStyle
	tag := ""
	if n.Style&yaml.TaggedStyle != 0 {
		tag = n.Tag
	}
	switch {
	case tag == "!!str", tag == "" && n.Style&quoted != 0:
		return v
	case tag == "", tag == "!!null", tag == "!!bool", tag == "!!int", tag == "!!float":
		r.resolve(n, v, tag)
	default:
		r.add(n, fmt.Sprintf("the tag %s is not used here", quote(tag)), "take it out")
	}
	return v
}

// Scalars of the core schema (YAML 1.2.2 section 10.3.2).
var (
	coreInt   = regexp.MustCompile(`^[-+]?[0-9]+$`)
	coreBased = regexp.MustCompile(`^0(o[0-7]+|x[0-9a-fA-F]+)$`)
	coreFloat = regexp.MustCompile(`^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`)
	coreOther = regexp.MustCompile(`^([-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))$`)
)

// resolve finds out what a plain scalar is.
func (r *yamlReader) resolve(n *yaml.Node, v *Node, tag string) {
	switch v.Text {
	case "", "~", "null", "Null", "NULL":
		v.Kind, v.Text = Null, ""
	case "true", "True", "TRUE", "false", "False", "FALSE":
		v.Kind, v.Text = Bool, strings.ToLower(v.Text)
	default:
		r.resolveNumber(n, v)
	}
	if is := map[Kind]string{Null: "!!null", Bool: "!!bool", Number: "!!int"}[v.Kind]; tag != "" && tag != is && (tag != "!!float" || v.Kind != Number) {
		r.add(n, fmt.Sprintf("the value is no %s", tag), "take the tag out")
	}
}

func (r *yamlReader) resolveNumber(n *yaml.Node, v *Node) {
	text := v.Text
	if c := text[0]; c > '9' || c < '+' || c == ',' || c == '/' {
		return
	}
	switch {
	case coreInt.MatchString(text), coreFloat.MatchString(text):
		text = jsonNumber(text)
	case coreBased.MatchString(text):
		if len(text) > maxDigits {
			break
		}
		number, _ := new(big.Int).SetString(text, 0)
		text = number.String()
	case coreOther.MatchString(text):
		r.add(n, "JSON has no number "+text, "put it into quotes if it is a text")
		return
	default:
		return
	}
	v.Kind, v.Text = Number, text
	if what := numberTrouble(text); what != "" {
		r.add(n, what, "write a smaller one, or put it into quotes if it is a text")
	}
}

// jsonNumber writes a number of YAML as JSON does: without a plus sign or zeros in front,
// with digits on both sides of a point.
func jsonNumber(s string) string {
	sign := ""
	if s[0] == '-' {
		sign = "-"
	}
	s = strings.TrimLeft(s, "+-")
	end := strings.IndexFunc(s, func(c rune) bool { return c < '0' || c > '9' })
	if end < 0 {
		end = len(s)
	}
	whole, rest := strings.TrimLeft(s[:end], "0"), s[end:]
	if whole == "" {
		whole = "0"
	}
	if strings.HasPrefix(rest, ".") && (len(rest) == 1 || rest[1]|0x20 == 'e') {
		rest = rest[1:]
	}
	return sign + whole + rest
}
