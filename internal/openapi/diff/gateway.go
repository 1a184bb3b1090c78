package diff

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"yett/internal/openapi"
)

// What a gateway adds to a document: of an operation who may call it and how often, of the
// document which services it was made of.
const (
	extension        = "x-yett"
	sourcesExtension = "x-yett-sources"
)

// gateway compares what the gateway says of one operation. Which route leads to it is of no
// consequence to callers.
func (c *comparison) gateway(a, b *openapi.Operation) {
	was, is := a.Node.Get(extension), b.Node.Get(extension)
	at, now := cmp.Or(was, a.Node), cmp.Or(is, b.Node)
	c.roles(at, now, was.Get("roles").Strings(), is.Get("roles").Strings())
	for _, list := range []struct{ key, one string }{{"scopes", "scope"}, {"permissions", "permission"}} {
		before, after := was.Get(list.key).Strings(), is.Get(list.key).Strings()
		if come := missing(after, before); len(come) > 0 {
			c.note(Breaking, list.one+"-added", at, now, "callers have to have the %s %s now", list.one, strings.Join(come, ", "))
		}
		if gone := missing(before, after); len(gone) > 0 {
			c.note(Info, list.one+"-removed", at, now, "callers need not have the %s %s any more", list.one, strings.Join(gone, ", "))
		}
	}
	c.limits(at, now, was.Get("limits"), is.Get("limits"))
	c.bodyLimit(at, now, was.Get("maxBodyBytes"), is.Get("maxBodyBytes"))
}

// roles compares who passes. No roles at all let pass whatever their role is.
func (c *comparison) roles(at, now *openapi.Node, was, is []string) {
	switch {
	case len(was) == 0 && len(is) == 0:
	case len(was) == 0:
		c.note(Breaking, "roles-added", at, now, "only callers of some roles pass now: %s", strings.Join(is, ", "))
	case len(is) == 0:
		c.note(Info, "roles-removed", at, now, "roles alone do not decide any more who passes; it was %s", strings.Join(was, ", "))
	default:
		if gone := missing(was, is); len(gone) > 0 {
			c.note(Breaking, "roles-narrowed", at, now, "callers of the role %s do not pass any more", strings.Join(gone, ", "))
		}
		if come := missing(is, was); len(come) > 0 {
			c.note(Info, "roles-relaxed", at, now, "callers of the role %s pass now", strings.Join(come, ", "))
		}
	}
}

// missing returns what is in one list and not in the other.
func missing(from, in []string) (rest []string) {
	for _, s := range from {
		if !slices.Contains(in, s) && !slices.Contains(rest, s) {
			rest = append(rest, s)
		}
	}
	return rest
}

// limits compares how often may be called. The rules are words: which of two allows less is
// not known.
func (c *comparison) limits(at, now, was, is *openapi.Node) {
	before, after := rules(was), rules(is)
	told := make(map[string]bool)
	for _, l := range slices.Concat(was.Elements(), is.Elements()) {
		name := l.Str("name")
		if told[name] {
			continue
		}
		told[name] = true
		gone, come := missing(before[name], after[name]), missing(after[name], before[name])
		switch {
		case len(gone) > 0 && len(come) > 0:
			c.note(Warning, "limit-changed", at, now, "the limit %q was %s and is %s", name, strings.Join(gone, "; "), strings.Join(come, "; "))
		case len(come) > 0:
			c.note(Warning, "limit-added", at, now, "the limit %q is new: %s", name, strings.Join(come, "; "))
		case len(gone) > 0:
			c.note(Info, "limit-removed", at, now, "the limit %q is not there any more: %s", name, strings.Join(gone, "; "))
		}
	}
}

// rules are those of limits by their names, of which one may have several.
func rules(limits *openapi.Node) map[string][]string {
	all := make(map[string][]string)
	for _, l := range limits.Elements() {
		if !l.Is(openapi.Object) {
			continue
		}
		all[l.Str("name")] = append(all[l.Str("name")], l.Str("rule"))
	}
	return all
}

// bodyLimit compares how many bytes a body may have. What is no number bounds nothing.
func (c *comparison) bodyLimit(at, now, was, is *openapi.Node) {
	before, after := bytesOf(was), bytesOf(is)
	switch {
	case before == after:
	case after != 0 && (before == 0 || after < before):
		c.note(Warning, "body-limit-lowered", at, now, "bodies could have %s, and can have %s now", most(before), most(after))
	default:
		c.note(Info, "body-limit-raised", at, now, "bodies could have %s, and can have %s now", most(before), most(after))
	}
}

func bytesOf(n *openapi.Node) int64 {
	if !n.Is(openapi.Number) {
		return 0
	}
	count, err := strconv.ParseInt(n.Text, 10, 64)
	if err != nil {
		return 0
	}
	return max(count, 0)
}

func most(bytes int64) string {
	if bytes == 0 {
		return "any number of bytes"
	}
	return fmt.Sprintf("at most %d bytes", bytes)
}

// stateGood is that of a service whose document is there, and as new as can be.
const stateGood = "good"

// sources compares the services that a gateway's document was made of. One whose document
// could not be had is worth a warning: it explains why operations are gone.
func (c *comparison) sources() {
	was, is := c.old.Root.Get(sourcesExtension), c.new.Root.Get(sourcesExtension)
	if was == nil || is == nil {
		return // one of them is no gateway's
	}
	at, now := states(was), states(is)
	for _, s := range was.Elements() {
		name, before := s.Str("service"), s.Str("state")
		after, still := now[name]
		switch {
		case !still:
			c.note(Info, "source-removed", s, is, "the service %q is not among those that the document is made of any more", name)
		case before == after.Str("state"):
		case before == stateGood:
			c.note(Warning, "source-state-changed", s, after, "the document of the service %q was good and is %s: what the gateway's says of it may be old or missing", name, after.Str("state"))
		default:
			c.note(Info, "source-state-changed", s, after, "the document of the service %q was %s and is %s", name, before, after.Str("state"))
		}
	}
	for _, s := range is.Elements() {
		if at[s.Str("service")] == nil {
			c.note(Info, "source-added", was, s, "the service %q is new among those that the document is made of", s.Str("service"))
		}
	}
}

// states are the sources by the names of their services.
func states(sources *openapi.Node) map[string]*openapi.Node {
	all := make(map[string]*openapi.Node)
	for _, s := range sources.Elements() {
		all[s.Str("service")] = s
	}
	return all
}
