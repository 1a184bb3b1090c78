// Package diff says what has changed between two versions of an OpenAPI document, and which
// of it breaks clients that were written for the older one.
package diff

import (
	"errors"
	"fmt"

	"yett/internal/openapi"
)

// Level says what a change means for clients.
type Level uint8

const (
	// Info is what no client notices that does not look for it.
	Info Level = iota
	// Warning is what breaks clients that took the older document by its word, such as a
	// value of an enum in answers that was not there.
	Warning
	// Breaking is what breaks clients that did all they were told.
	Breaking
)

// String returns "info", "warning" or "breaking".
func (l Level) String() string { return [...]string{"info", "warning", "breaking"}[l] }

// MarshalText writes it as String does.
func (l Level) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// Place is where something is written. Line is 0 where that is not known.
type Place struct {
	File   string `json:"file"`
	Line   int    `json:"line"`
	Column int    `json:"column"`
}

// String returns "file:line:column", as editors and terminals link it.
func (p Place) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// Change is one thing that is different.
type Change struct {
	Level Level `json:"level"`
	// Operation is its method and path, "" for the whole document. More is how many further
	// operations have the same change, because they share a schema.
	Operation string `json:"operation,omitempty"`
	More      int    `json:"more,omitempty"`
	// ID is the name of the rule, such as "property-removed".
	ID   string `json:"id"`
	Text string `json:"text"`
	// Old and New are where it is in the documents. What was added or removed has the place
	// of what it was added to or removed from.
	Old Place `json:"old"`
	New Place `json:"new"`
}

// Breaking tells whether clients break.
func (c *Change) Breaking() bool { return c.Level == Breaking }

// Result is what has changed.
type Result struct {
	// Changes are in the order of the older document's operations, then the newer one's. There
	// are at most Most of a level; Counts has all of each Level.
	Changes []Change
	Counts  [3]int
}

// Most is how many changes of one level are told.
const Most = 1000

// fewPairs and pairsOfEach bound how many schemas are compared with each other: documents that
// were made for it could otherwise have each compared with each.
const (
	fewPairs    = 50_000
	pairsOfEach = 4
)

// errTooMuch is what comparing such documents ends with.
var errTooMuch = errors.New("the documents are too entangled to compare: their schemas refer to each other in too many ways; compare parts of them")

// Compare returns what has changed from old to new. The documents may be of different
// versions of OpenAPI, and are not changed.
func Compare(old, new *openapi.Document) (*Result, error) {
	c := &comparison{old: upgraded(old), new: upgraded(new), pairs: make(map[pair]*step), views: make(map[*openapi.Node]*view), key: wholeKey}
	c.maxPairs = fewPairs + pairsOfEach*(schemasIn(c.old)+schemasIn(c.new))
	c.servers()
	c.schemes()
	c.sources()
	c.operations()
	if c.tooMuch {
		return nil, errTooMuch
	}
	c.spread()
	return &c.result, nil
}

// upgraded returns the document as OpenAPI 3.1 has it.
func upgraded(d *openapi.Document) *openapi.Document {
	if d.Version == openapi.Version31 {
		return d
	}
	d = &openapi.Document{File: d.File, Version: d.Version, Root: d.Root.Clone()}
	d.Upgrade()
	return d
}

// schemasIn counts the schemas of a document.
func schemasIn(d *openapi.Document) (count int) {
	d.Walk(func(_ *openapi.Node, p openapi.Part) bool {
		if p == openapi.PartSchema {
			count++
		}
		return true
	})
	return count
}

// comparison is the work on two documents.
type comparison struct {
	old, new *openapi.Document
	// key is what operations are matched by.
	key       func(*openapi.Operation) string
	operation string
	index     int // of the operation
	result    Result
	pairs     map[pair]*step
	views     map[*openapi.Node]*view
	queue     []*step
	roots     [][]*step // of each operation, what its schemas begin with
	maxPairs  int
	tooMuch   bool
}

// note adds a change. What belongs to schemas remembers them.
func (c *comparison) note(l Level, id string, old, new *openapi.Node, format string, args ...any) int {
	if c.result.Counts[l]++; c.result.Counts[l] > Most {
		return -1
	}
	c.result.Changes = append(c.result.Changes, Change{
		Level: l, Operation: c.operation, ID: id, Text: fmt.Sprintf(format, args...), Old: place(c.old, old), New: place(c.new, new),
	})
	return len(c.result.Changes) - 1
}

func place(d *openapi.Document, n *openapi.Node) Place {
	p := Place{File: d.File}
	if n != nil {
		p.Line, p.Column = n.Line, n.Column
	}
	return p
}

// maxSteps bounds how long operations that share a change are counted.
const maxSteps = 20_000_000

// spread counts for each change in a schema which other operations have it too.
func (c *comparison) spread() {
	c.markChanged()
	steps := 0
	for i, roots := range c.roots {
		todo := append([]*step(nil), roots...)
		for len(todo) > 0 && steps < maxSteps {
			s := todo[len(todo)-1]
			todo = todo[:len(todo)-1]
			if steps++; !s.changed || s.seen == i+1 {
				continue
			}
			s.seen = i + 1
			for _, at := range s.changes {
				if s.operation != i {
					c.result.Changes[at].More++
				}
			}
			todo = append(todo, s.next...)
		}
	}
}

// markChanged marks the steps at or below which there is a change.
func (c *comparison) markChanged() {
	above := make(map[*step][]*step)
	var todo []*step
	for _, s := range c.pairs {
		for _, n := range s.next {
			above[n] = append(above[n], s)
		}
		if len(s.changes) > 0 {
			s.changed = true
			todo = append(todo, s)
		}
	}
	for len(todo) > 0 {
		s := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, a := range above[s] {
			if !a.changed {
				a.changed = true
				todo = append(todo, a)
			}
		}
	}
}
