// Package lint says what is wrong with an OpenAPI document, and what to do about it: whether
// it is what the specification wants, and whether those who read it, people and generators,
// will get what they need.
package lint

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	"yett/internal/openapi"
	"yett/internal/problem"
)

// Severity says how bad a finding is.
type Severity uint8

// An Error makes the document wrong, a Warning makes it less useful than it could be.
const (
	Error Severity = iota
	Warning
)

// String returns "error" or "warning".
func (s Severity) String() string { return [...]string{"error", "warning"}[s] }

// MarshalText writes it as String does.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Finding is one thing that a rule has found. Path is a JSON pointer to it.
type Finding struct {
	problem.Problem
	Rule     string
	Severity Severity
}

// String returns "file:line:column: severity: what, hint (rule)".
func (f Finding) String() string {
	p := f.Problem
	if p.Line > 0 {
		p.Path = ""
	}
	p.What = f.Severity.String() + ": " + p.What
	return fmt.Sprintf("%s (%s)", p, f.Rule)
}

// Rule is what is looked for.
type Rule struct {
	Name     string
	Severity Severity
	// Finds says what it finds, Remedy what to do about it.
	Finds, Remedy string
}

// rule is a Rule with its check, which reports to the linter.
type rule struct {
	Rule
	check func(*linter)
	needs needs
}

// needs is what a rule asks of the references of a document.
type needs uint8

const (
	nothing   needs = iota
	resolving       // that looking for what they lead to ends soon
	following       // that following them from one schema into the next ends
)

// metBy tells whether the references are good enough.
func (n needs) metBy(b *openapi.Broken) bool {
	return n == nothing || !b.Costly && (n == resolving || !b.Endless)
}

// Most is how many errors, and how many warnings, are told of one document.
const Most = 500

// The names of rules that others know: More tells how many findings were left out, Reference
// looks at references, structure holds the document against the official schema.
const (
	More      = "more"
	Reference = "reference"
	structure = "structure"
)

// Rules returns all rules, in the order in which they are looked for.
func Rules() []Rule {
	var all []Rule
	for _, r := range rules() {
		all = append(all, r.Rule)
	}
	return all
}

// Lint returns what is wrong with a document, as it stands there from top to bottom, by all
// rules but those that are named. The document is not changed. Where there is more than Most
// of a severity, a last finding of the rule More says how many were left out.
func Lint(d *openapi.Document, without ...string) []Finding {
	return lint(d, new(openapi.Broken), without)
}

// Text is Lint for a text in JSON or YAML, which may have references that openapi.Parse
// refuses: they are findings of the rule Reference. An error is a problem.List that says why
// the text is no document.
func Text(file string, data []byte, most openapi.Limits, without ...string) ([]Finding, error) {
	d, broken, err := openapi.Read(file, data, most)
	if err != nil {
		return nil, err
	}
	return lint(d, broken, without), nil
}

func lint(d *openapi.Document, broken *openapi.Broken, without []string) []Finding {
	l := newLinter(d, !broken.Costly)
	for _, r := range rules() {
		l.rule = r.Rule
		switch {
		case slices.Contains(without, r.Name):
		case r.Name == Reference && len(broken.Problems) > 0:
			l.take(broken.Problems)
		case r.needs.metBy(broken):
			r.check(l)
		}
	}
	return l.findings()
}

// take reports problems as they are.
func (l *linter) take(problems problem.List) {
	l.counts[l.rule.Severity] += len(problems) // fewer than Most
	for _, p := range problems {
		l.ready = append(l.ready, Finding{p, l.rule.Name, l.rule.Severity})
	}
}

// linter is the work on one document.
type linter struct {
	d          *openapi.Document
	operations []openapi.Operation
	parts      map[*openapi.Node]openapi.Part
	of         map[openapi.Part][]*openapi.Node // in the order of the document
	schemas    *schemas                         // made by the first rule that needs it
	rule       Rule                             // that is being looked for
	found      []found
	ready      []Finding
	told       map[found]bool
	counts     [2]int // for each severity
}

// found is a finding whose place is not known yet. The name is that of the member of node
// where it is, "" for node itself.
type found struct {
	node             *openapi.Node
	name, what, hint string
	rule             string
	severity         Severity
}

// newLinter prepares the work. The operations are left out where looking for what references
// lead to would take too long.
func newLinter(d *openapi.Document, operations bool) *linter {
	l := &linter{d: d, told: make(map[found]bool)}
	if operations {
		l.operations = d.Operations()
	}
	l.parts, l.of = partsOf(d)
	return l
}

func partsOf(d *openapi.Document) (map[*openapi.Node]openapi.Part, map[openapi.Part][]*openapi.Node) {
	parts, of := make(map[*openapi.Node]openapi.Part), make(map[openapi.Part][]*openapi.Node)
	d.Walk(func(n *openapi.Node, p openapi.Part) bool {
		parts[n] = p
		of[p] = append(of[p], n)
		return true
	})
	return parts, of
}

// add reports what is wrong with a node. An empty hint stands for the rule's remedy.
func (l *linter) add(n *openapi.Node, hint, format string, args ...any) {
	l.addAt(n, "", hint, format, args...)
}

// addAt reports what is wrong with a member of a node.
func (l *linter) addAt(n *openapi.Node, name, hint, format string, args ...any) {
	f := found{node: n, name: name, what: fmt.Sprintf(format, args...), hint: cmp.Or(hint, l.rule.Remedy), rule: l.rule.Name, severity: l.rule.Severity}
	if l.told[f] {
		return
	}
	if l.counts[f.severity]++; l.counts[f.severity] <= Most {
		l.told[f] = true
		l.found = append(l.found, f)
	}
}

// full tells whether nothing more of the rule's severity would be told.
func (l *linter) full() bool { return l.counts[l.rule.Severity] > Most }

func (l *linter) findings() []Finding {
	places := l.places()
	all := slices.Clone(l.ready)
	for _, f := range l.found {
		p := l.d.Problem(f.node, places[f.node], f.what, f.hint)
		if f.name != "" {
			p.Path += "/" + openapi.Escape(f.name)
			for _, m := range f.node.Pairs() {
				if m.Name == f.name && m.Line > 0 {
					p.Line, p.Column = m.Line, m.Column
				}
			}
		}
		all = append(all, Finding{p, f.rule, f.severity})
	}
	slices.SortStableFunc(all, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Severity, b.Severity), cmp.Compare(a.Rule, b.Rule))
	})
	for s, n := range l.counts {
		if n > Most {
			p := l.d.Problem(nil, "", fmt.Sprintf("and %d more of this kind", n-Most), "mend these first")
			all = append(all, Finding{p, More, Severity(s)})
		}
	}
	return all
}

// places returns JSON pointers to the nodes of all findings.
func (l *linter) places() map[*openapi.Node]string {
	wanted := make(map[*openapi.Node]bool)
	for _, f := range l.found {
		wanted[f.node] = true
	}
	at := pointers(l.d.Root, wanted)
	if l.schemas != nil && l.schemas.d != l.d {
		for n, p := range pointers(l.schemas.d.Root, wanted) {
			at[n] = p
		}
	}
	return at
}

// pointers returns JSON pointers, as fragments of an address, to those nodes that are
// wanted.
func pointers[T any](root *openapi.Node, wanted map[*openapi.Node]T) map[*openapi.Node]string {
	at := make(map[*openapi.Node]string)
	path := []byte("#")
	var visit func(n *openapi.Node)
	visit = func(n *openapi.Node) {
		if n == nil {
			return
		}
		if _, ok := wanted[n]; ok {
			if _, again := at[n]; !again {
				at[n] = string(path)
			}
		}
		length := len(path)
		for i, item := range n.Items {
			path = strconv.AppendInt(append(path[:length], '/'), int64(i), 10)
			visit(item)
		}
		for _, m := range n.Members {
			path = append(append(path[:length], '/'), openapi.Escape(m.Name)...)
			visit(m.Value)
		}
		path = path[:length]
	}
	visit(root)
	return at
}
