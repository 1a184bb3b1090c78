package config

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"

	"yett/internal/problem"
)

// maxVariables bounds all texts of a document together, variables put in.
const maxVariables = 16 << 20

// read turns a document into an element, with every problem that can be told
// without knowing what is wanted. The element is nil when there is nothing to
// look at further.
func read(name string, data []byte, env Env, keyless *Keyless) (*element, problem.List) {
	root, problems := readDocument(data, env, keyless)
	for i := range problems {
		problems[i].File = name
	}
	return root, problems
}

func readDocument(data []byte, env Env, keyless *Keyless) (*element, problem.List) {
	if len(data) > maxFile {
		return nil, problem.List{{Line: 1, Column: 1, What: "the file is larger than 1MB", Hint: "split what it serves over several gateways"}}
	}
	data = bytes.TrimPrefix(data, []byte("\uFEFF"))
	data = bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n"))
	if problems := checkText(data); len(problems) > 0 {
		return nil, problems
	}
	body, problems := parse(data)
	if len(problems) > 0 {
		return nil, problems
	}
	if body == nil {
		return &element{kind: null, at: place{1, 1}, size: 1, height: 1}, nil
	}
	r := reader{env: env, keyless: keyless, anchors: make(map[string]*element)}
	root := r.read(body, "")
	return root, r.problems
}

// parse returns the body of the only document. Should the library panic on odd
// input, that must not take the gateway down.
func parse(data []byte) (body ast.Node, problems problem.List) {
	defer func() {
		if p := recover(); p != nil {
			body, problems = nil, problem.List{{Line: 1, Column: 1, What: fmt.Sprintf("the YAML reader failed: %v", p), Hint: "is this a configuration?"}}
		}
	}()
	tokens := lexer.Tokenize(string(data))
	if tokens.InvalidToken() == nil {
		if problems := checkTokens(tokens); len(problems) > 0 {
			return nil, problems
		}
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return nil, problem.List{syntaxProblem(err, data)}
	}
	if len(file.Docs) == 0 {
		return nil, nil
	}
	return file.Docs[0].Body, nil
}

// syntaxProblem puts an error of the library into a problem with a hint that
// fits the line.
func syntaxProblem(err error, data []byte) problem.Problem {
	p := problem.Problem{Line: 1, Column: 1}
	var located yaml.Error
	if errors.As(err, &located) { // whose Error would print the whole document
		at := placeOfToken(located.GetToken())
		p.Line, p.Column, p.What = at.line, at.column, located.GetMessage()
	} else {
		p.What = err.Error()
	}
	p.What = "not valid YAML: " + strings.ReplaceAll(p.What, "\n", " ")
	lines := bytes.Split(data, []byte("\n"))
	p.Line = min(p.Line, len(lines))
	line := string(lines[p.Line-1])
	switch {
	case strings.Contains(line, "${"):
		p.Hint = `put the text with ${...} into double quotes`
	case strings.Contains(p.What, "end character"):
		p.Hint = "close the quotes"
	case strings.Contains(p.What, "escape character"):
		p.Hint = `write \\ for a backslash, or use single quotes`
	case strings.Contains(p.What, "reserved character"):
		p.Hint = "put the text into double quotes"
	case strings.Contains(p.What, "mapping value is not allowed"):
		p.Hint = `put a text that contains ": " into double quotes`
	default:
		p.Hint = "is the indentation right, and is there a blank after each colon and dash?"
	}
	return p
}

// reader turns the library's nodes into elements.
type reader struct {
	env      Env
	keyless  *Keyless
	problems problem.List
	// anchors holds what each name stands for; nil while that is being read.
	anchors map[string]*element
	// expanded is the length of all texts so far.
	expanded int
	depth    int
}

// add reports a problem and returns the element that takes its place.
func (r *reader) add(at place, path, what, hint string) *element {
	r.problems = append(r.problems, problem.Problem{Line: at.line, Column: at.column, Path: path, What: what, Hint: hint})
	return &element{kind: broken, at: at, size: 1, height: 1}
}

func (r *reader) read(n ast.Node, path string) *element {
	r.depth++
	defer func() { r.depth-- }()
	at := placeOfNode(n)
	if r.depth > 2*maxDepth {
		return r.add(at, path, fmt.Sprintf("values stand more than %d deep inside one another", maxDepth), "")
	}
	switch n := n.(type) {
	case *ast.MappingNode:
		if !n.IsFlowStyle && len(n.Values) > 0 {
			at = placeOfNode(n.Values[0].Key)
		}
		return r.mapping(n.Values, at, path)
	case *ast.MappingValueNode:
		return r.mapping([]*ast.MappingValueNode{n}, placeOfNode(n.Key), path)
	case *ast.SequenceNode:
		return r.list(n.Values, at, path)
	case *ast.AnchorNode:
		return r.anchor(n, path)
	case *ast.AliasNode:
		return r.alias(n, path)
	case *ast.NullNode:
		return (&element{kind: null, at: at}).seal()
	case *ast.StringNode:
		return r.word(n.Value, at, path, n.Token.Indicator != 0)
	case *ast.LiteralNode:
		return r.word(n.Value.Value, at, path, true)
	case ast.ScalarNode:
		return r.word(n.GetToken().Value, at, path, false)
	}
	return r.add(at, path, "this part of YAML is not used here", "write a text, a list or a mapping")
}

// limit refuses an element that has grown too large by its aliases.
func (r *reader) limit(e *element, path string) *element {
	e.seal()
	switch {
	case e.size > maxElements:
		return r.add(e.at, path, fmt.Sprintf("more than %d values, aliases expanded", maxElements), "use fewer aliases")
	case e.height > maxDepth:
		return r.add(e.at, path, fmt.Sprintf("values stand more than %d deep inside one another, aliases expanded", maxDepth), "")
	}
	return e
}

func (r *reader) list(nodes []ast.Node, at place, path string) *element {
	e := &element{kind: list, at: at}
	for i, n := range nodes {
		e.items = append(e.items, r.read(n, index(path, i)))
	}
	return r.limit(e, path)
}

func (r *reader) mapping(nodes []*ast.MappingValueNode, at place, path string) *element {
	e := &element{kind: mapping, at: at}
	written := make(map[string]place, len(nodes))
	var merged []*element
	for _, n := range nodes {
		name, keyAt, ok := r.key(n.Key, path, written)
		if !ok {
			continue
		}
		if _, ok := n.Key.(*ast.MergeKeyNode); ok {
			merged = append(merged, r.merge(n.Value, path)...)
			continue
		}
		_, shared := n.Value.(*ast.AliasNode)
		e.fields = append(e.fields, field{name: name, at: keyAt, value: r.read(n.Value, join(path, name)), shared: shared})
	}
	addMerged(e, merged)
	return r.limit(e, path)
}

// key returns a key as it is written, if it is right and the first of its
// name. Variables are not put into keys.
func (r *reader) key(n ast.Node, path string, written map[string]place) (name string, at place, ok bool) {
	at = placeOfNode(n)
	switch k := n.(type) {
	case *ast.StringNode:
		name = k.Value
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode, *ast.MappingKeyNode:
		r.add(at, path, "a key must be a plain text", "write key: value")
		return "", at, false
	default:
		name = n.GetToken().Value
	}
	if first, ok := written[name]; ok {
		r.add(at, path, fmt.Sprintf("duplicate key %q", clip(name)), fmt.Sprintf("it stands on line %d already", first.line))
		return "", at, false
	}
	written[name] = at
	return name, at, true
}

// merge returns the mappings that a merge key brings in.
func (r *reader) merge(n ast.Node, path string) []*element {
	e := r.read(n, join(path, "<<"))
	sources := []*element{e}
	if e.kind == list {
		sources = e.items
	}
	var merged []*element
	for _, s := range sources {
		switch s.kind {
		case mapping:
			merged = append(merged, s)
		case broken:
		default:
			r.add(placeOfNode(n), path, "<< wants a mapping or a list of mappings", "write <<: *name")
		}
	}
	return merged
}

// addMerged adds the merged keys that the mapping does not have itself; what
// comes first in a list of mappings wins.
func addMerged(e *element, merged []*element) {
	if len(merged) == 0 {
		return
	}
	have := make(map[string]bool)
	for _, f := range e.fields {
		have[f.name] = true
	}
	for _, m := range merged {
		for _, f := range m.fields {
			if !have[f.name] {
				have[f.name], f.shared = true, true
				e.fields = append(e.fields, f)
			}
		}
	}
}

func (r *reader) anchor(n *ast.AnchorNode, path string) *element {
	name := nameOf(n.Name)
	r.anchors[name] = nil
	e := r.read(n.Value, path)
	r.anchors[name] = e
	return e
}

func (r *reader) alias(n *ast.AliasNode, path string) *element {
	at, name := placeOfNode(n), nameOf(n.Value)
	e, ok := r.anchors[name]
	switch {
	case !ok:
		var known []string
		for k := range r.anchors {
			known = append(known, k)
		}
		slices.Sort(known)
		hint := problem.DidYouMean(name, known)
		if hint == "" {
			hint = "quote a text that begins with *"
		}
		return r.add(at, path, fmt.Sprintf("the alias *%s has no anchor &%s before it", clip(name), clip(name)), hint)
	case e == nil:
		return r.add(at, path, fmt.Sprintf("the alias *%s stands inside its own anchor", clip(name)), "")
	}
	return e
}

func nameOf(n ast.Node) string {
	if n == nil || n.GetToken() == nil {
		return ""
	}
	return n.GetToken().Value
}

// word puts variables into a text.
func (r *reader) word(text string, at place, path string, quoted bool) *element {
	e := &element{kind: word, at: at, text: text, quoted: quoted}
	if strings.Contains(text, "${") {
		e.variable = true
		x := expand(text, r.env)
		if text, ok := r.keyless.standIn(path, x); ok {
			e.text, e.secret, e.quoted = text, x.unset[0], false
			return e.seal()
		}
		for _, m := range x.mistakes {
			e = r.add(at, path, m.what, m.hint)
		}
		if e.kind == broken {
			return e
		}
		e.text, e.secret, e.whole, e.quoted = x.out.String(), x.secret, x.whole, false
	}
	r.expanded += len(e.text)
	if r.expanded > maxVariables {
		return r.add(at, path, "the texts grow too long", "at most 16MB together after variables are put in")
	}
	return e.seal()
}

func placeOfNode(n ast.Node) place {
	if n == nil {
		return place{1, 1}
	}
	return placeOfToken(n.GetToken())
}
