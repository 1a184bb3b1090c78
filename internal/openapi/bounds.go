package openapi

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"

	"yett/internal/problem"
)

// A document that is small as a file can stand for very much: what is written once is
// referred to from many places, and whoever compiles or copies an operation does so for
// each of them. These bounds hold for what it stands for, far from what people write.
const (
	maxServer       = 2 << 10 // bytes of a server's URL, with its variables and without
	maxVariables    = 100     // of one server
	maxParameters   = 500     // of one operation, those of its path included
	maxAlternatives = 100     // in one list of security
	maxTogether     = 100     // names in one alternative
	maxCompared     = 20_000_000
	maxTags         = 100 // of one operation
	maxHeaders      = 200 // of one response
	maxResponses    = 200 // of one operation
	maxMappings     = 100_000
	maxPattern      = 10_000    // bytes of one regular expression
	maxInstructions = 1_000_000 // of all distinct regular expressions
	maxOperations   = 50_000
	maxPathBytes    = 64 << 20
	maxID           = 1000 // bytes of an operationId
)

// bounds looks for what is more than those bounds.
type bounds struct {
	c        *checker
	most     Limits
	problems problem.List
	patterns map[string]bool
	compiled int     // instructions of patterns
	bases    []found // schemas with a discriminator
}

func (b *bounds) add(n *Node, path, what, hint string) {
	if len(b.problems) < maxProblems {
		b.problems = append(b.problems, b.c.d.Problem(n, path, what, hint))
	}
}

// many refuses a value of the part that is walked if it has more than most members.
func (b *bounds) many(n *Node, name string, most int, what, hint string) {
	v := n.Get(name)
	if v != nil && len(v.Items)+len(v.Members) > most {
		b.add(v, b.c.walker.pointer(name), fmt.Sprintf("%s has more than %d %s", what, most, name), hint)
	}
}

// visit looks at one part.
func (b *bounds) visit(n *Node, p Part) {
	switch p {
	case PartDocument:
		b.servers(n)
		b.security(n)
	case PartPathItem:
		b.servers(n)
		b.parameters(n)
	case PartOperation:
		b.servers(n)
		b.security(n)
		if id := n.Get("operationId"); len(id.TextOf()) > maxID {
			b.add(id, b.c.walker.pointer("operationId"), fmt.Sprintf("the operationId is longer than %d bytes", maxID), "write a name, and the rest as its description")
		}
		b.many(n, "tags", maxTags, "the operation", "keep those by which people look for it")
		b.many(n, "responses", maxResponses, "the operation", "put the statuses that are alike under 4XX, 5XX or default")
	case PartResponse:
		b.many(n, "headers", maxHeaders, "the response", "describe those that callers need")
	case PartSchema:
		b.schema(n)
	}
}

func (b *bounds) servers(n *Node) {
	for i, server := range n.Get("servers").Elements() {
		variables := server.Get("variables").Pairs()
		path := func() string { return b.c.walker.pointer("servers", itoa(i)) }
		switch {
		case len(server.Str("url")) > maxServer:
			b.add(server, path(), fmt.Sprintf("the URL of the server is longer than %s", size(maxServer)), "write the address below which the paths are")
		case len(variables) > maxVariables:
			b.add(server, path(), fmt.Sprintf("the server has more than %d variables", maxVariables), "write several servers, or the address as it is")
		case len(serverURL(server)) > maxServer:
			b.add(server, path(), fmt.Sprintf("the URL of the server with the defaults of its variables is longer than %s", size(maxServer)), "use fewer variables in it, or shorter defaults")
		}
	}
}

func (b *bounds) parameters(item *Node) {
	const hint = "pass what belongs together in the body, or in one parameter of style deepObject"
	ofPath := len(item.Get("parameters").Elements())
	if ofPath > maxParameters {
		b.add(item.Get("parameters"), b.c.walker.pointer("parameters"), fmt.Sprintf("the path has more than %d parameters", maxParameters), hint)
		return
	}
	for _, method := range Methods() {
		own := item.At(method, "parameters")
		if n := len(own.Elements()); n > 0 && n+ofPath > maxParameters {
			b.add(own, b.c.walker.pointer(method, "parameters"), fmt.Sprintf("the operation and its path have more than %d parameters", maxParameters), hint)
		}
	}
}

func (b *bounds) security(n *Node) {
	list := n.Get("security").Elements()
	const hint = "keep what callers really use"
	if len(list) > maxAlternatives {
		b.add(n.Get("security"), b.c.walker.pointer("security"), fmt.Sprintf("there are more than %d alternatives in one list of security", maxAlternatives), hint)
		return
	}
	for i, alternative := range list {
		if len(alternative.Pairs()) > maxTogether {
			b.add(alternative, b.c.walker.pointer("security", itoa(i)), fmt.Sprintf("more than %d names have to be met together", maxTogether), hint)
		}
	}
}

func (b *bounds) schema(n *Node) {
	if n.Get("discriminator").Is(Object) {
		b.bases = append(b.bases, found{ref: n, path: b.c.walker.pointer("discriminator")})
	}
	if p := n.Get("pattern"); p.Is(String) {
		b.pattern(p, p.Text, "pattern")
	}
	for _, m := range n.Get("patternProperties").Pairs() {
		b.pattern(m.Value, m.Name, "patternProperties", m.Name)
	}
}

func (b *bounds) pattern(n *Node, text string, names ...string) {
	if b.patterns[text] || b.compiled > maxInstructions { // which was told
		return
	}
	if len(text) > maxPattern {
		b.add(n, b.c.walker.pointer(names[:1]...), fmt.Sprintf("a regular expression is longer than %d bytes", maxPattern), "write a shorter one, or enum for a list of texts")
		return
	}
	if b.patterns == nil {
		b.patterns = make(map[string]bool)
	}
	b.patterns[text] = true
	if b.compiled += instructions(text); b.compiled > maxInstructions {
		b.add(n, b.c.walker.pointer(names...), fmt.Sprintf("the regular expressions of the document take more than %d instructions together, up to this one", maxInstructions), "use fewer, or smaller numbers in {...}; minLength and maxLength bound a text as well")
	}
}

var unicodeEscapes = regexp.MustCompile(`(?s)\\u[0-9A-Fa-f]{4}|\\.`)

// instructions returns about how many instructions a pattern of ECMA-262 has when it is
// compiled as RE2, without doing that; 0 for one that can't be.
func instructions(pattern string) int {
	if strings.Contains(pattern, `\u`) {
		pattern = unicodeEscapes.ReplaceAllStringFunc(pattern, func(e string) string {
			if len(e) != 6 {
				return e
			}
			return `\x{` + e[2:] + `}`
		})
	}
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return 0
	}
	return steps(re) + ranges(re)/10 // an instruction takes as much memory as ten ends of ranges
}

// steps counts the instructions of an expression, in which {n} is written out. syntax.Parse
// bounds the number to a few millions.
func steps(re *syntax.Regexp) (n int) {
	for _, sub := range re.Sub {
		n += steps(sub)
	}
	switch re.Op {
	case syntax.OpLiteral:
		return len(re.Rune)
	case syntax.OpRepeat:
		if re.Max < 0 {
			return max(re.Min, 1)*n + 2
		}
		return re.Max*n + re.Max - re.Min
	}
	return n + 1 + len(re.Sub)
}

// ranges counts the ends of all ranges of characters. Those that are repeated share them.
func ranges(re *syntax.Regexp) (n int) {
	if re.Op == syntax.OpCharClass {
		n = len(re.Rune)
	}
	for _, sub := range re.Sub {
		n += ranges(sub)
	}
	return n
}

// mappings counts how many schemas each discriminator chooses from by what extends its
// schema, which somebody who writes them out has to name. It returns nil if they are too many.
func (b *bounds) mappings() map[*Node]int {
	if len(b.bases) == 0 {
		return map[*Node]int{}
	}
	heirs := b.heirs()
	counts, total := make(map[*Node]int), 0
	for _, base := range b.bases {
		n := extending(heirs, base.ref, maxMappings-total)
		counts[base.ref] = n
		if total += n; total > maxMappings {
			b.add(base.ref.Get("discriminator"), base.path, fmt.Sprintf("the discriminators choose from more than %d schemas together, up to this one", maxMappings), "let fewer schemas with a discriminator be extended by allOf, or write oneOf and a mapping")
			return nil
		}
	}
	return counts
}

// heirs are the schemas among the components that extend one by allOf, with their names.
func (b *bounds) heirs() map[*Node][]Member {
	heirs := make(map[*Node][]Member)
	for _, m := range b.c.d.Root.At("components", "schemas").Pairs() {
		for _, base := range m.Value.Get("allOf").Elements() {
			if base.Get("$ref").Is(String) {
				base = b.c.d.Deref(base)
				heirs[base] = append(heirs[base], m)
			}
		}
	}
	return heirs
}

// extending counts on how many ways a schema is extended, up to a number above most. Long
// names count as several.
func extending(heirs map[*Node][]Member, base *Node, most int) (n int) {
	todo, seen := []*Node{base}, map[*Node]bool{base: true}
	for len(todo) > 0 && n <= most {
		next := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, heir := range heirs[next] {
			n += 1 + len(heir.Name)/textOfValue
			if !seen[heir.Value] {
				seen[heir.Value] = true
				todo = append(todo, heir.Value)
			}
		}
	}
	return n
}
