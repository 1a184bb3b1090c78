package route

import (
	"cmp"
	"slices"
	"strings"
)

// Row is one host and path of a rule, for people to read.
type Row struct {
	// Name and Index are the rule's.
	Name  string
	Index int
	// Host is a pattern in lower case, "" for every host.
	Host string
	// Path is the pattern, with literals as they are matched.
	Path string
	// Methods are those that the rule names, sorted; nil for all.
	Methods []string
	// Conditions are such as "header x-version=2" and "query debug=*", sorted.
	Conditions []string
}

func (s *spot) row() Row {
	r := Row{Name: s.rule.Name, Index: s.rule.Index, Host: s.host, Path: s.path.String(),
		Methods: slices.Sorted(slices.Values(s.rule.Methods))}
	for _, c := range s.conditions {
		r.Conditions = append(r.Conditions, c.String())
	}
	return r
}

// compareSpots is the order of the package comment: of two spots that fit a
// request, the lesser one takes it.
func compareSpots(a, b *spot) int {
	return cmp.Or(
		compareHosts(a.host, b.host),
		comparePaths(&a.path, &b.path),
		cmp.Compare(len(b.conditions), len(a.conditions)),
		cmp.Compare(b.nvalues, a.nvalues),
		cmp.Compare(a.methodRank(), b.methodRank()),
		cmp.Compare(a.rule.Name, b.rule.Name),
		cmp.Compare(a.index, b.index),
	)
}

// methodRank puts routes that name methods before those for all. Where GET
// brings HEAD with it, a route that names HEAD comes first.
func (s *spot) methodRank() int {
	switch {
	case s.named == allMethods:
		return 2
	case s.named != s.methods:
		return 1
	default:
		return 0
	}
}

func compareHosts(a, b string) int {
	return cmp.Or(
		cmp.Compare(hostRank(a), hostRank(b)),
		cmp.Compare(hostLength(b), hostLength(a)),
		cmp.Compare(a, b),
	)
}

func hostRank(host string) int {
	switch {
	case host == "":
		return 2
	case strings.HasPrefix(host, "*."):
		return 1
	default:
		return 0
	}
}

// hostLength counts for wildcards only: the longer one is within the shorter.
func hostLength(host string) int {
	if hostRank(host) != 1 {
		return 0
	}
	return len(host)
}

func comparePaths(a, b *pattern) int {
	for i := 0; ; i++ {
		textA, rankA := a.at(i)
		textB, rankB := b.at(i)
		if d := cmp.Or(cmp.Compare(rankA, rankB), cmp.Compare(textA, textB)); d != 0 || rankA == ended || rankA == rest {
			return d
		}
	}
}

// The ranks of what may stand at one place of a path.
const (
	ended = iota
	literal
	value
	rest
)

func (p *pattern) at(i int) (text string, rank int) {
	switch {
	case i < len(p.segments) && p.segments[i].value:
		return "", value
	case i < len(p.segments):
		return p.segments[i].text, literal
	case p.rest:
		return "", rest
	default:
		return "", ended
	}
}
