package route

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"yett/internal/exchange"
)

// restName is the name under which what ** stood for is found.
const restName = "**"

// fault is what is wrong with a word of a rule.
type fault struct{ what, hint string }

// segment is one piece of a path pattern: a literal in match form, or a value.
type segment struct {
	text  string // the literal, or the value's name
	value bool
}

// pattern is a path pattern. The pattern * has neither segments nor rest.
type pattern struct {
	segments []segment
	rest     bool
}

// parsePattern reads a path pattern. Literals go through the same normaliser
// as requests, so that they may be written in Unicode or percent-encoded.
func parsePattern(text string) (pattern, *fault) {
	switch {
	case text == "*":
		return pattern{}, nil
	case !strings.HasPrefix(text, "/"):
		return pattern{}, &fault{fmt.Sprintf("path %q does not start with /", text), slashHint(text)}
	case strings.Contains(text, "?"):
		return pattern{}, &fault{fmt.Sprintf("path %q has a query", text), "conditions on the query go under query; a literal ? is %3F"}
	}
	var p pattern
	pieces := strings.Split(text[1:], "/")
	for i, piece := range pieces {
		if f := p.add(piece, i == len(pieces)-1); f != nil {
			f.what = fmt.Sprintf("path %q: %s", text, f.what)
			return pattern{}, f
		}
	}
	if n := len(p.names()); n > exchange.MaxParams {
		return pattern{}, &fault{fmt.Sprintf("path %q has %d values", text, n),
			fmt.Sprintf("there can be %d, ** included", exchange.MaxParams)}
	}
	return p, nil
}

// slashHint is the remedy for a path without a slash in front. What holds
// characters of regular expressions, or of the rules of other gateways, needs
// more than that.
func slashHint(text string) string {
	if strings.ContainsAny(text, " ~^=|+*$()[]\\`") {
		return "paths have {name} and /**, no regular expressions"
	}
	return fmt.Sprintf("write %q", "/"+text)
}

func (p *pattern) add(piece string, last bool) *fault {
	switch {
	case piece == restName:
		p.rest = true
		if !last {
			return &fault{"** is not at the end", "** is everything below; use {name} for one segment"}
		}
	case strings.HasPrefix(piece, "{") && strings.HasSuffix(piece, "}"):
		return p.addValue(piece[1 : len(piece)-1])
	case strings.ContainsAny(piece, "{}*"):
		return &fault{fmt.Sprintf("%q mixes a wildcard with other characters", piece),
			"a wildcard is a whole segment: {name}, or ** at the end; literally, {, } and * are %7B, %7D and %2A"}
	case strings.HasPrefix(piece, ":"):
		return &fault{fmt.Sprintf("%q begins with a colon", piece), fmt.Sprintf("write {%s}; a literal colon at the front is %%3A", nameIn(piece[1:]))}
	case piece == "" && !last:
		return &fault{"a slash is doubled", "requests never have that after normalisation"}
	default:
		return p.addLiteral(piece)
	}
	return nil
}

func (p *pattern) addValue(name string) *fault {
	if !validName(name) {
		return &fault{fmt.Sprintf("%q is no name for a value", name), "names are letters, digits and _, such as {user_id}"}
	}
	if slices.Contains(p.names(), name) {
		return &fault{fmt.Sprintf("the value {%s} is there twice", name), "give each value a name of its own"}
	}
	p.segments = append(p.segments, segment{name, true})
	return nil
}

func (p *pattern) addLiteral(piece string) *fault {
	normal, ok := appendNormal(nil, "/"+piece)
	if !ok || len(normal) == 1 && piece != "" {
		return &fault{fmt.Sprintf("no request has a segment %q", piece),
			"dot segments are resolved before; blanks, control characters, # and \\ have to be percent-encoded"}
	}
	p.segments = append(p.segments, segment{string(appendMatchForm(nil, string(normal[1:]))), false})
	return nil
}

// nameIn returns the name of a value that a text begins with, and some name
// when it begins with none.
func nameIn(text string) string {
	n := len(text)
	for n > 0 && !validName(text[:n]) {
		n--
	}
	return cmp.Or(text[:n], "name")
}

func validName(name string) bool {
	for i := range len(name) {
		c := name[i]
		letter := 'a' <= c|0x20 && c|0x20 <= 'z' || c == '_'
		if !letter && (i == 0 || c < '0' || '9' < c) {
			return false
		}
	}
	return name != ""
}

// names returns the names of the values in order, ** last.
func (p *pattern) names() []string {
	var names []string
	for _, s := range p.segments {
		if s.value {
			names = append(names, s.text)
		}
	}
	if p.rest {
		names = append(names, restName)
	}
	return names
}

// literal tells whether the pattern is one exact path.
func (p *pattern) literal() bool { return len(p.names()) == 0 }

// String returns the pattern as an operator would write it.
func (p *pattern) String() string {
	return p.format(func(name string) string { return "{" + name + "}" }, restName)
}

// shape is equal for patterns that match the same paths. Literals have no
// braces, so they can't be taken for wildcards.
func (p *pattern) shape() string {
	return p.format(func(string) string { return anyValue }, anyRest)
}

// The wildcards of a shape.
const (
	anyValue = "{}"
	anyRest  = "{**}"
)

func (p *pattern) format(value func(name string) string, rest string) string {
	if len(p.segments) == 0 && !p.rest {
		return "*"
	}
	var b strings.Builder
	for _, s := range p.segments {
		b.WriteByte('/')
		if s.value {
			b.WriteString(value(s.text))
		} else {
			b.WriteString(s.text)
		}
	}
	if p.rest {
		b.WriteString("/" + rest)
	}
	return b.String()
}

// holds tells whether some literal of the pattern has the escape e.
func (p *pattern) holds(e string) bool {
	return slices.ContainsFunc(p.segments, func(s segment) bool {
		return !s.value && strings.Contains(s.text, e)
	})
}

// canStartWith tells whether a path that the pattern matches can start with
// these segments.
func (p *pattern) canStartWith(prefix []string) bool {
	for i, text := range prefix {
		if i >= len(p.segments) {
			return p.rest
		}
		if s := p.segments[i]; !s.value && s.text != text {
			return false
		}
	}
	return true
}
