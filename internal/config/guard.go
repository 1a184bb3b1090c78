package config

import (
	"bytes"
	"fmt"
	"unicode"
	"unicode/utf8"

	"github.com/goccy/go-yaml/token"

	"yett/internal/problem"
)

// Bounds of a document. They are far above what a gateway needs: a file with
// ten thousand routes fits.
const (
	maxFile     = 1 << 20 // bytes
	maxElements = 100_000 // values, aliases expanded
	maxDepth    = 64      // values inside one another
	maxKeys     = 4096    // keys of one mapping
)

// The YAML library is not linear in everything, recurses without a bound, and
// keeps the path of every value. What follows refuses, before the library can
// meet it, what no configuration needs and what would cost seconds, gigabytes
// or the stack. The numbers are from measurements at 1 MB.
const (
	maxTokens     = 300_000
	maxBlankLines = 100      // each is copied with the block text before it
	maxAngles     = 100      // each < of a run looks at all that follow
	maxEmpty      = 2000     // each shifts all tokens behind it
	maxPathBytes  = 64 << 20 // paths of all values together
)

// checkText refuses characters that no configuration needs.
func checkText(data []byte) (problems problem.List) {
	add := func(offset int, what, hint string) {
		at := placeOf(data, offset)
		problems = append(problems, problem.Problem{Line: at.line, Column: at.column, What: what, Hint: hint})
	}
	if i := invalidUTF8(data); i >= 0 {
		add(i, fmt.Sprintf("byte 0x%02X is not UTF-8", data[i]), "save the file as UTF-8")
		return problems
	}
	if i := bytes.IndexFunc(data, isForbidden); i >= 0 {
		r, _ := utf8.DecodeRune(data[i:])
		add(i, fmt.Sprintf("control character %U", r), `in a text, write it as an escape inside double quotes`)
	}
	if i := bytes.IndexByte(data, '\t'); i >= 0 {
		what := "tab character"
		if n := bytes.Count(data, []byte("\t")); n > 1 {
			what = fmt.Sprintf("tab character, the first of %d", n)
		}
		add(i, what, `indent with spaces; in a text, write \t inside double quotes`)
	}
	if i := blankRun(data); i >= 0 {
		add(i, fmt.Sprintf("more than %d empty lines in a row", maxBlankLines), "remove some")
	}
	if i := bytes.Index(data, bytes.Repeat([]byte("<"), maxAngles+1)); i >= 0 {
		add(i, fmt.Sprintf("more than %d < in a row", maxAngles), "remove some")
	}
	return problems
}

func invalidUTF8(data []byte) int {
	for i := 0; i < len(data); {
		r, n := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return -1
}

func isForbidden(r rune) bool {
	return r != '\n' && r != '\t' && (unicode.IsControl(r) || r == '\uFEFF' || r == '\uFFFE' || r == '\uFFFF' || r == '\u2028' || r == '\u2029')
}

// blankRun returns the offset of the first run of too many blank lines, or -1.
func blankRun(data []byte) int {
	run, start := 0, 0
	for offset := 0; offset < len(data); {
		line, _, _ := bytes.Cut(data[offset:], []byte("\n"))
		switch {
		case len(bytes.TrimSpace(line)) > 0:
			run = 0
		case run == 0:
			run, start = 1, offset
		default:
			run++
		}
		if run > maxBlankLines {
			return start
		}
		offset += len(line) + 1
	}
	return -1
}

// placeOf returns the line and column of an offset.
func placeOf(data []byte, offset int) place {
	before := data[:offset]
	line := bytes.LastIndexByte(before, '\n') + 1
	return place{line: 1 + bytes.Count(before, []byte("\n")), column: 1 + utf8.RuneCount(before[line:])}
}

// guard walks the tokens before they are parsed.
type guard struct {
	tokens   []*token.Token
	problems problem.List
	levels   []level
	// names is the length of all names in levels, paths the sum of it over all
	// tokens: about what the library will keep.
	names, paths int
	empty        int
}

// level is a mapping or list that the next token may stand in.
type level struct {
	form   form
	column int
	keys   int
	name   int
	// keyed tells, in brackets, that a key came since the last comma.
	keyed bool
}

type form uint8

const (
	inBrackets form = iota
	blockList
	blockMapping
)

// checkTokens refuses parts of YAML that have no use here, and too much of the
// rest. It stops at the first problem.
func checkTokens(tokens token.Tokens) problem.List {
	var g guard
	for _, t := range tokens {
		if t.Type != token.CommentType {
			g.tokens = append(g.tokens, t)
		}
	}
	if len(g.tokens) > maxTokens {
		g.refuse(g.tokens[maxTokens], "the file has too many values", "split what it serves over several gateways")
	}
	for i, t := range g.tokens {
		if len(g.problems) > 0 {
			break
		}
		g.refuseUnused(i, t)
		g.enter(i, t)
		g.countEmpty(i, t)
	}
	return g.problems
}

// typeAt returns the type of a token, UnknownType outside the document.
func (g *guard) typeAt(i int) token.Type {
	if i < 0 || i >= len(g.tokens) {
		return token.UnknownType
	}
	return g.tokens[i].Type
}

func (g *guard) refuse(t *token.Token, what, hint string) {
	at := placeOfToken(t)
	g.problems = append(g.problems, problem.Problem{Line: at.line, Column: at.column, What: what, Hint: hint})
}

// refuseUnused refuses tags, directives, complex keys and further documents.
// The library would pass over a second document in some cases.
func (g *guard) refuseUnused(i int, t *token.Token) {
	switch t.Type {
	case token.TagType:
		g.refuse(t, fmt.Sprintf("the tag %q is not used here", clip(t.Value)), "remove it; quote a text that begins with !")
	case token.DirectiveType:
		g.refuse(t, "a YAML directive is not used here", "remove it; quote a text that begins with %")
	case token.MappingKeyType:
		g.refuse(t, "a complex key is not used here", "write key: value")
	case token.DocumentHeaderType:
		if i > 0 {
			g.refuse(t, "a second document begins here", "a configuration is one document: remove the ---")
		}
	case token.DocumentEndType:
		if i+1 < len(g.tokens) {
			g.refuse(g.tokens[i+1], "a second document begins here", "a configuration is one document: remove the ...")
		}
	case token.AnchorType:
		if g.typeAt(i+2) == token.AnchorType {
			g.refuse(g.tokens[i+2], "an anchor follows an anchor", "name a value once")
		}
	}
}

// enter keeps account of where in the document a token stands.
func (g *guard) enter(i int, t *token.Token) {
	isKey := g.typeAt(i+1) == token.MappingValueType
	switch {
	case t.Type == token.MappingStartType || t.Type == token.SequenceStartType:
		g.push(t, level{form: inBrackets})
	case t.Type == token.MappingEndType || t.Type == token.SequenceEndType:
		if g.inFlow() {
			g.pop()
		}
	case t.Type == token.CollectEntryType && g.inFlow():
		g.levels[len(g.levels)-1].keyed = false
	case t.Type == token.SequenceEntryType && g.inFlow():
		g.refuse(t, "a dash stands inside brackets", "separate with commas there, or quote it")
	case t.Type == token.SequenceEntryType:
		g.block(t, blockList)
	case isKey && g.inFlow():
		g.flowKey(t)
	case isKey:
		g.block(t, blockMapping)
	}
	g.paths += g.names
	if g.paths > maxPathBytes {
		g.refuse(t, "too many values below long keys", "shorten the keys")
	}
}

// block notes a key or a list entry outside brackets.
func (g *guard) block(t *token.Token, f form) {
	column := placeOfToken(t).column
	for len(g.levels) > 0 {
		top := g.top()
		if top.column < column || top.column == column && (top.form == f || f == blockList) {
			break
		}
		g.pop()
	}
	if top := g.top(); len(g.levels) == 0 || top.form != f || top.column != column {
		g.push(t, level{form: f, column: column})
	}
	g.key(t)
}

// flowKey notes a key in brackets.
func (g *guard) flowKey(t *token.Token) {
	top := &g.levels[len(g.levels)-1]
	if top.keyed {
		g.refuse(t, "a comma is missing before this key", "separate with commas in brackets")
	}
	top.keyed = true
	g.key(t)
}

// key counts a key or list entry of the innermost level.
func (g *guard) key(t *token.Token) {
	top := &g.levels[len(g.levels)-1]
	g.names += len(t.Value) - top.name
	top.name = len(t.Value)
	if top.form != blockList {
		top.keys++
	}
	if top.keys > maxKeys {
		g.refuse(t, fmt.Sprintf("more than %d keys in one mapping", maxKeys), "")
	}
}

// countEmpty counts the places where a value is left out.
func (g *guard) countEmpty(i int, t *token.Token) {
	if !g.lacksValue(i, t) {
		return
	}
	if g.empty++; g.empty > maxEmpty {
		g.refuse(t, fmt.Sprintf("more than %d keys or list entries without a value", maxEmpty), "")
	}
}

// lacksValue tells whether a dash, a colon or a bare key in braces is not
// followed by a value.
func (g *guard) lacksValue(i int, t *token.Token) bool {
	if i+1 >= len(g.tokens) {
		return false
	}
	next := g.tokens[i+1]
	closes := next.Type == token.CollectEntryType || next.Type == token.MappingEndType
	switch t.Type {
	case token.SequenceEntryType:
		return next.Type == token.SequenceEntryType && next.Position.Column <= t.Position.Column
	case token.MappingValueType:
		outside := next.Position.Line > t.Position.Line && next.Position.Column <= g.top().column
		return closes || outside && next.Type != token.SequenceEntryType
	}
	before := g.typeAt(i - 1)
	return closes && g.inFlow() && (before == token.MappingStartType || before == token.CollectEntryType)
}

func (g *guard) inFlow() bool { return len(g.levels) > 0 && g.top().form == inBrackets }

// top returns the innermost level, or none at the beginning.
func (g *guard) top() level {
	if len(g.levels) == 0 {
		return level{}
	}
	return g.levels[len(g.levels)-1]
}

func (g *guard) push(t *token.Token, l level) {
	g.levels = append(g.levels, l)
	if len(g.levels) > maxDepth {
		g.refuse(t, fmt.Sprintf("values stand more than %d deep inside one another", maxDepth), "")
	}
}

func (g *guard) pop() {
	g.names -= g.top().name
	g.levels = g.levels[:len(g.levels)-1]
}

func placeOfToken(t *token.Token) place {
	if t == nil || t.Position == nil {
		return place{1, 1}
	}
	return place{max(t.Position.Line, 1), max(t.Position.Column, 1)}
}
