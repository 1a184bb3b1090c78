package config

import (
	"path/filepath"
	"strings"

	"yett/internal/problem"
)

// Source knows where each value of a document was written. A path is made of
// keys and indexes, such as "routes[2].service" or "services.auth.targets[0]".
// The nil Source, of a configuration that was not read, knows no place.
type Source struct {
	name   string
	values map[string]place
	keys   map[string]place
	fixed  map[string]bool // of keys and items, see Wrote
	filled map[string]bool // of words, see Filled
}

// newSource walks the document. A word has its own place; a mapping, a list or
// nothing has that of its key, which is what an operator looks for.
func newSource(name string, root *element) *Source {
	s := &Source{name: name, values: make(map[string]place), keys: make(map[string]place), fixed: make(map[string]bool), filled: make(map[string]bool)}
	s.add("", root, root.at, true)
	return s
}

// add notes an element and all below. own tells that it stands where the path says.
func (s *Source) add(path string, e *element, at place, own bool) {
	s.values[path] = at
	s.fixed[path] = own && !e.variable
	if e.secret != "" {
		s.filled[path] = true
	}
	for _, f := range e.fields {
		below := join(path, f.name)
		s.keys[below] = f.at
		at := f.at
		if f.value.kind == word {
			at = f.value.at
		}
		s.add(below, f.value, at, own && !f.shared)
	}
	for i, item := range e.items {
		s.add(index(path, i), item, item.at, own)
	}
}

// Has tells whether a key or an item of a list stands in the document, in whatever way.
func (s *Source) Has(path string) bool {
	if s == nil {
		return false
	}
	_, ok := s.values[path]
	return ok
}

// Wrote tells whether it stands there for this place alone, as a fixed value. What comes by an
// alias or a merge key may be meant for others, and what comes by a variable for another
// day: neither is a mistake when it has no effect here.
func (s *Source) Wrote(path string) bool { return s != nil && s.fixed[path] }

// Filled tells whether the value of a variable is part of the text there, or of a text within. Such a
// text may be a secret, whatever it is for.
func (s *Source) Filled(path string) bool {
	if s == nil {
		return false
	}
	for at := range s.filled {
		if rest, below := strings.CutPrefix(at, path); below && (rest == "" || rest[0] == '.' || rest[0] == '[') {
			return true
		}
	}
	return false
}

// Name returns the name of the file.
func (s *Source) Name() string {
	if s == nil {
		return ""
	}
	return s.name
}

// Resolve returns the place of a file that the configuration names: relative
// names start at the folder of the configuration.
func (s *Source) Resolve(file string) string {
	if s == nil || filepath.IsAbs(file) {
		return file
	}
	return filepath.Join(filepath.Dir(s.name), file)
}

// Problem returns a problem at the value of a path, or at its nearest parent
// when the path itself was not written.
func (s *Source) Problem(path, what, hint string) problem.Problem {
	if s == nil {
		return problem.Problem{Path: path, What: what, Hint: hint}
	}
	return s.at(s.find(s.values, path), path, what, hint)
}

// KeyProblem returns a problem at the key of a path, for what is wrong with
// the name and not with what it stands for.
func (s *Source) KeyProblem(path, what, hint string) problem.Problem {
	if s == nil {
		return s.Problem(path, what, hint)
	}
	if at, ok := s.keys[path]; ok {
		return s.at(at, path, what, hint)
	}
	return s.Problem(path, what, hint)
}

// Locate fills in the place of each problem that has none, by its path.
func (s *Source) Locate(problems problem.List) problem.List {
	for i, p := range problems {
		if p.Line == 0 {
			problems[i] = s.Problem(p.Path, p.What, p.Hint)
		}
	}
	return problems
}

func (s *Source) at(at place, path, what, hint string) problem.Problem {
	return problem.Problem{File: s.name, Line: at.line, Column: at.column, Path: path, What: what, Hint: hint}
}

// find returns the place of the path or of its nearest known parent.
func (s *Source) find(places map[string]place, path string) place {
	for path != "" {
		if at, ok := places[path]; ok {
			return at
		}
		path = path[:max(strings.LastIndexAny(path, ".["), 0)]
	}
	return places[""]
}
