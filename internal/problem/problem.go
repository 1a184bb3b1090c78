// Package problem is how the gateway tells an operator what is wrong with
// what they wrote: where, what, and what to do about it. Everything that
// checks a configuration reports all problems at once.
package problem

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one mistake. Path is where it is in the document, such as
// "routes[2].service"; File, Line and Column are where that was written, and
// are filled in by whoever knows the file.
type Problem struct {
	File   string `json:"file,omitempty"`
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
	Path   string `json:"path,omitempty"`
	What   string `json:"what"`
	Hint   string `json:"hint,omitempty"`
}

// String returns "file:line:column: what, hint", as editors and terminals
// link it.
func (p Problem) String() string {
	var b strings.Builder
	if p.File != "" {
		b.WriteString(p.File)
		if p.Line > 0 {
			fmt.Fprintf(&b, ":%d:%d", p.Line, p.Column)
		}
		b.WriteString(": ")
	}
	if p.Path != "" {
		b.WriteString(p.Path)
		b.WriteString(": ")
	}
	b.WriteString(p.What)
	if p.Hint != "" {
		b.WriteString(", ")
		b.WriteString(p.Hint)
	}
	return b.String()
}

// List is every problem of one document. As an error it reads as one line
// for each.
type List []Problem

// Add appends a problem.
func (l *List) Add(path, what, hint string) {
	*l = append(*l, Problem{Path: path, What: what, Hint: hint})
}

// Addf appends a problem whose words are formatted.
func (l *List) Addf(path, hint, format string, args ...any) {
	l.Add(path, fmt.Sprintf(format, args...), hint)
}

// Error returns all problems, one to a line.
func (l List) Error() string {
	lines := make([]string, len(l))
	for i, p := range l {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// Err returns the list as an error, or nil when it is empty.
func (l List) Err() error {
	if len(l) == 0 {
		return nil
	}
	return l
}

// Sort orders the problems as they stand in the files.
func (l List) Sort() {
	slices.SortStableFunc(l, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
}

// Nearest returns the candidate that is most like the word, or "" when none
// is near enough to be a likely slip of the keyboard.
func Nearest(word string, candidates []string) string {
	best, bestAt := "", 1+max(len(word)/3, 1)
	for _, c := range candidates {
		if d := distance(strings.ToLower(word), strings.ToLower(c)); d < bestAt {
			best, bestAt = c, d
		}
	}
	return best
}

// DidYouMean returns a hint for a misspelt word: the nearest candidate, or
// all of them when they are few.
func DidYouMean(word string, candidates []string) string {
	if near := Nearest(word, candidates); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	if len(candidates) == 0 {
		return ""
	}
	sorted := slices.Sorted(slices.Values(candidates))
	if len(sorted) > 12 {
		sorted = append(sorted[:12], "...")
	}
	return "known here: " + strings.Join(sorted, ", ")
}

// distance is the optimal string alignment distance: insertions, deletions,
// substitutions and swaps of neighbours cost one each.
func distance(a, b string) int {
	prev2, prev, cur := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				cur[j] = min(cur[j], prev2[j-2]+1)
			}
		}
		prev2, prev, cur = prev, cur, prev2
	}
	return prev[len(b)]
}
