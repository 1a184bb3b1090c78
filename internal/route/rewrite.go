package route

import (
	"fmt"
	"slices"
	"strings"

	"yett/internal/exchange"
	"yett/internal/problem"
)

// Rewrite says what path a service sees. The zero Rewrite forwards the path
// that was matched.
type Rewrite struct {
	unchanged bool
	strip     string // in match form, without a slash at the end
	parts     []part // of the replacement
}

// part is a piece of a replacement: a literal, or the name of a path value.
type part struct{ text, name string }

// CompileRewrite makes a Rewrite for a route with these path patterns, or
// returns all that is wrong. The Path of a problem is relative to the route,
// such as "forward.replace". Patterns that can't be read are passed over:
// Compile reports them.
//
// unchanged forwards the path byte for byte as it came. stripPrefix removes
// whole segments from the front of the normalised path; a path without them
// is forwarded whole. replace is the whole new path, with {name} for path
// values and, as the last segment, {**} for what stood for **.
func CompileRewrite(stripPrefix, replace string, unchanged bool, patterns []string) (*Rewrite, problem.List) {
	c := rewriteCompiler{unchanged: unchanged}
	for _, text := range patterns {
		if p, f := parsePattern(text); f == nil {
			c.patterns = append(c.patterns, p)
		}
	}
	r := &Rewrite{unchanged: unchanged}
	if stripPrefix != "" {
		r.strip = c.stripPrefix(stripPrefix)
	}
	if replace != "" {
		r.parts = c.replacement(replace)
		if stripPrefix != "" {
			c.bad(replaceField, "replace and strip_prefix exclude each other", "replace gives the whole path")
		}
	}
	if len(c.problems) > 0 {
		return nil, c.problems
	}
	return r, nil
}

const (
	stripField   = "forward.strip_prefix"
	replaceField = "forward.replace"
)

type rewriteCompiler struct {
	unchanged bool
	patterns  []pattern
	problems  problem.List
}

func (c *rewriteCompiler) bad(field, what, hint string) { c.problems.Add(field, what, hint) }

// checkUnchanged reports a field that path: unchanged makes void.
func (c *rewriteCompiler) checkUnchanged(field string) {
	if c.unchanged {
		c.bad(field, "the path is forwarded unchanged", "remove this, or path: unchanged")
	}
}

func (c *rewriteCompiler) stripPrefix(text string) string {
	c.checkUnchanged(stripField)
	p, f := parsePattern(text)
	if n := len(p.segments); n > 0 && p.segments[n-1].text == "" {
		p.segments = p.segments[:n-1] // a slash at the end makes no difference here
	}
	switch {
	case text == "/":
		c.bad(stripField, "the prefix / has no segment to remove", "leave it out")
	case f != nil:
		c.bad(stripField, f.what, f.hint)
	case !p.literal() || text == "*":
		c.bad(stripField, fmt.Sprintf("the prefix %q has wildcards", text), "use replace, such as /{**}")
	case !c.startsSomePattern(p):
		c.bad(stripField, fmt.Sprintf("no path of the route starts with %q", text), "so it would never be removed")
	}
	return p.String()
}

func (c *rewriteCompiler) startsSomePattern(prefix pattern) bool {
	var segments []string
	for _, s := range prefix.segments {
		segments = append(segments, s.text)
	}
	return len(c.patterns) == 0 || slices.ContainsFunc(c.patterns, func(p pattern) bool {
		return p.canStartWith(segments)
	})
}

func (c *rewriteCompiler) replacement(text string) []part {
	c.checkUnchanged(replaceField)
	if _, name, found := strings.Cut(text, "/:"); found {
		name, _, _ = strings.Cut(name, "/")
		c.bad(replaceField, fmt.Sprintf("%q begins with a colon", ":"+name), fmt.Sprintf("write {%s}; a literal colon at the front is %%3A", nameIn(name)))
	}
	var parts []part
	sample, rest := "", text
	for rest != "" {
		literal, tail, found := strings.Cut(rest, "{")
		sample += literal
		parts = append(parts, part{text: literal})
		if !found {
			break
		}
		name, after, closed := strings.Cut(tail, "}")
		if !closed {
			c.bad(replaceField, fmt.Sprintf("%q has a { without a }", text), "literal braces are %7B and %7D")
			return nil
		}
		if name == restName && (after != "" || !strings.HasSuffix(literal, "/")) {
			c.bad(replaceField, "{**} is not the last segment", "write it as in /v2/{**}")
		}
		c.checkName(name)
		sample += "x"
		parts = append(parts, part{name: name})
		rest = after
	}
	c.checkSample(text, sample)
	return parts
}

// checkName reports a value that some path of the route does not have.
func (c *rewriteCompiler) checkName(name string) {
	if name != restName && !validName(name) {
		c.bad(replaceField, fmt.Sprintf("%q is no name of a value", name), "names are as in the path: {id}, or {**}")
		return
	}
	for _, p := range c.patterns {
		if names := p.names(); !slices.Contains(names, name) {
			hint := problem.DidYouMean(name, names)
			if hint == "" {
				hint = "that path has no values"
			}
			c.bad(replaceField, fmt.Sprintf("path %q has no value {%s}", &p, name), hint)
			return
		}
	}
}

// checkSample reports a replacement that is not in normal form. In the sample
// each value is an x: values are never empty and never dot segments, so they
// can't change that.
func (c *rewriteCompiler) checkSample(text, sample string) {
	normal, ok := appendNormal(nil, sample)
	if !ok || string(normal) != sample {
		c.bad(replaceField, fmt.Sprintf("%q is no normal path", text),
			"it starts with /, has no dot segments, doubled slashes or query, and all but plain ASCII is percent-encoded")
	}
}

// Normal returns the path to forward in the normal form, in which documents are compared with
// it: the normalised one where it is forwarded as it came. r may be nil. It is valid until Release.
func (r *Rewrite) Normal(x *exchange.Exchange) string {
	if r == nil || r.strip == "" && r.parts == nil {
		return x.Path
	}
	return exchange.View(r.Append(x.Bytes(len(x.Path) + 64)[:0], x))
}

// Append appends the path to forward, without query, to dst. It starts with a
// slash, but for the asterisk form, which stays "*" unless it is replaced.
// A path value stays within its segment: what could end a segment or a path,
// and ';', is percent-encoded.
func (r *Rewrite) Append(dst []byte, x *exchange.Exchange) []byte {
	switch {
	case r.unchanged:
		return append(dst, x.RawPath...)
	case r.strip != "":
		return r.appendStripped(dst, x)
	case r.parts != nil:
		return r.appendReplaced(dst, x)
	default:
		return append(dst, x.Path...)
	}
}

func (r *Rewrite) appendStripped(dst []byte, x *exchange.Exchange) []byte {
	rest, ok := strings.CutPrefix(matchForm(x, x.Path), r.strip)
	switch {
	case !ok || rest != "" && rest[0] != '/':
		return append(dst, x.Path...)
	case rest == "":
		return append(dst, '/')
	}
	dst = append(dst, '/')
	return append(dst, afterSlashes(x.Path, strings.Count(r.strip, "/")+1)...)
}

func (r *Rewrite) appendReplaced(dst []byte, x *exchange.Exchange) []byte {
	for _, p := range r.parts {
		switch p.name {
		case "":
			dst = append(dst, p.text...)
		case restName:
			dst = append(dst, x.Param(restName)...)
		default:
			dst = appendValue(dst, x.Param(p.name))
		}
	}
	return dst
}

func appendValue(dst []byte, value string) []byte {
	for i := range len(value) {
		if c := value[i]; isSegment(c) && c != ';' {
			dst = append(dst, c)
		} else {
			dst = appendEscape(dst, c)
		}
	}
	return dst
}
