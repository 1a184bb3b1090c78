package diff

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"yett/internal/openapi"
)

// servers compares the path below which all others are. Where it has moved into the paths
// of the document or out of them, requests are the same: most operations are found by their
// whole paths then.
func (c *comparison) servers() {
	a, b := c.old.BasePath(), c.new.BasePath()
	if a == b {
		return
	}
	before, after := c.old.Operations(), c.new.Operations()
	whole := inBoth(before, after, wholeKey)
	if whole > 0 && whole >= inBoth(before, after, writtenKey) {
		return
	}
	c.key = writtenKey
	c.note(Breaking, "base-path-changed", c.old.Root.Get("servers"), c.new.Root.Get("servers"),
		"the path of the first server was %q and is %q: all paths have changed", a, b)
}

// inBoth counts the operations that are found by their keys.
func inBoth(before, after []openapi.Operation, key func(*openapi.Operation) string) (count int) {
	known := make(map[string]bool, len(after))
	for i := range after {
		known[key(&after[i])] = true
	}
	for i := range before {
		if known[key(&before[i])] {
			count++
		}
	}
	return count
}

// schemes compares how security schemes of the same name work.
func (c *comparison) schemes() {
	after := c.new.Root.At("components", "securitySchemes")
	for _, m := range c.old.Root.At("components", "securitySchemes").Pairs() {
		a, b := c.old.Deref(m.Value), c.new.Deref(after.Get(m.Name))
		if a == nil || b == nil {
			continue // operations that use it tell
		}
		for _, key := range []string{"type", "scheme", "in", "name"} {
			if was, is := a.Str(key), b.Str(key); !strings.EqualFold(was, is) {
				c.note(Breaking, "security-scheme-changed", a, b, "the security scheme %q had %s and has %s", m.Name, valued(key, was), valued(key, is))
				if key == "type" {
					break // no other key means the same
				}
			}
		}
	}
}

// valued is a key with its value, in words.
func valued(key, value string) string {
	if value == "" {
		return "no " + key
	}
	return fmt.Sprintf("%s %q", key, value)
}

// wholeKey is what operations are matched by: names of path parameters do not matter. The
// writtenKey leaves out the path of the server.
func wholeKey(o *openapi.Operation) string   { return o.Method + " " + openapi.Shape(o.Path) }
func writtenKey(o *openapi.Operation) string { return o.Method + " " + openapi.Shape(o.Written) }

// names are those of the parameters in a path.
func names(path string) (all []string) {
	for {
		_, after, ok := strings.Cut(path, "{")
		if !ok {
			return all
		}
		name, rest, _ := strings.Cut(after, "}")
		all, path = append(all, name), rest
	}
}

func (c *comparison) operations() {
	after := c.new.Operations()
	at := make(map[string]int, len(after))
	for i := range after {
		if _, twice := at[c.key(&after[i])]; !twice {
			at[c.key(&after[i])] = i
		}
	}
	known := make(map[string]bool)
	for _, a := range c.old.Operations() {
		if known[c.key(&a)] {
			continue // the linter tells
		}
		known[c.key(&a)] = true
		c.operation, c.index = a.Method+" "+a.Written, len(c.roots)
		c.roots = append(c.roots, nil)
		i, still := at[c.key(&a)]
		if !still {
			c.note(Breaking, "operation-removed", a.Node, c.new.Root.Get("paths"), "the operation is not there any more")
			continue
		}
		c.same(&a, &after[i])
		c.drain()
	}
	for _, b := range after {
		if !known[c.key(&b)] {
			known[c.key(&b)] = true
			c.operation = b.Method + " " + b.Written
			c.note(Info, "operation-added", c.old.Root.Get("paths"), b.Node, "the operation is new")
		}
	}
}

// same compares what the documents say of one operation.
func (c *comparison) same(a, b *openapi.Operation) {
	if a.ID != "" && a.ID != b.ID {
		c.note(Warning, "operation-id-changed", a.Node.Get("operationId"), cmp.Or(b.Node.Get("operationId"), b.Node),
			"the operationId was %q and is %q: generated clients call it by that", a.ID, b.ID)
	}
	if !a.Node.True("deprecated") && b.Node.True("deprecated") {
		c.note(Info, "operation-deprecated", a.Node, b.Node, "the operation is deprecated now")
	}
	c.parameters(a, b)
	c.body(a.Node, b.Node)
	c.answers(a.Node.Get("responses"), b.Node.Get("responses"))
	c.security(a, b)
	c.gateway(a, b)
}

// parameterKey is what parameters are matched by: those of the path stand in its order.
func parameterKey(o *openapi.Operation, p *openapi.Node) [2]string {
	name, in := p.Str("name"), p.Str("in")
	switch in {
	case "path":
		if i := slices.Index(names(o.Written), name); i >= 0 {
			name = strings.Repeat("{}", i)
		}
	case "header":
		name = strings.ToLower(name)
	}
	return [2]string{in, name}
}

func (c *comparison) parameters(a, b *openapi.Operation) {
	before, after := parametersOf(c.old, a), parametersOf(c.new, b)
	for _, p := range before.list {
		if q := after.at[parameterKey(a, p)]; q != nil {
			c.parameter(p, q)
			continue
		}
		if q := before.moved(p, after); q != nil {
			c.note(Breaking, "parameter-moved", p, q, "the parameter %q was in %s and is in %s: nobody looks any more where clients put it", p.Str("name"), p.Str("in"), q.Str("in"))
			c.compare(valueSchema(p), valueSchema(q), request, q.Str("in")+" parameter "+q.Str("name"))
			continue
		}
		c.note(Warning, "parameter-removed", p, b.Node, "the %s parameter %q is not there any more: it may be ignored or refused", p.Str("in"), p.Str("name"))
	}
	for _, q := range after.list {
		switch {
		case before.at[parameterKey(b, q)] != nil, after.moved(q, before) != nil:
		case q.True("required"):
			c.note(Breaking, "required-parameter-added", a.Node, q, "the %s parameter %q is new, and required", q.Str("in"), q.Str("name"))
		default:
			c.note(Info, "parameter-added", a.Node, q, "the %s parameter %q is new", q.Str("in"), q.Str("name"))
		}
	}
}

// parameters are those of an operation: as they stand there, by what they are matched by,
// and by their names in lower case.
type parameters struct {
	of    *openapi.Operation
	list  []*openapi.Node
	at    map[[2]string]*openapi.Node
	named map[string][]*openapi.Node
}

func parametersOf(d *openapi.Document, o *openapi.Operation) *parameters {
	all := &parameters{of: o, list: d.Parameters(o), at: make(map[[2]string]*openapi.Node), named: make(map[string][]*openapi.Node)}
	for _, p := range all.list {
		all.at[parameterKey(o, p)] = p
		if name := strings.ToLower(p.Str("name")); p.Str("in") != "path" {
			all.named[name] = append(all.named[name], p)
		}
	}
	return all
}

// moved finds where a parameter is that is not at its place in others: one of its name that
// is not here. It is nil for none, and for those of the path, which has changed with them.
func (ps *parameters) moved(p *openapi.Node, others *parameters) *openapi.Node {
	if p.Str("in") == "path" {
		return nil
	}
	for _, q := range others.named[strings.ToLower(p.Str("name"))] {
		if q.Str("in") != p.Str("in") && ps.at[parameterKey(others.of, q)] == nil {
			return q
		}
	}
	return nil
}

func (c *comparison) parameter(p, q *openapi.Node) {
	in, name := p.Str("in"), p.Str("name")
	where := in + " parameter " + name
	switch was, is := p.True("required"), q.True("required"); {
	case !was && is:
		c.note(Breaking, "parameter-became-required", p, q, "the %s parameter %q is required now", in, name)
	case was && !is:
		c.note(Info, "parameter-became-optional", p, q, "the %s parameter %q is optional now", in, name)
	}
	scalar := c.scalar(c.old, valueSchema(p)) && c.scalar(c.new, valueSchema(q))
	if a, b := styleOf(p, scalar), styleOf(q, scalar); a != b {
		c.note(Breaking, "parameter-style-changed", p, q, "the %s parameter %q was written in style %s and is in %s", in, name, a, b)
	}
	c.compare(valueSchema(p), valueSchema(q), request, where)
}

// scalar tells whether all values of a schema are texts, numbers and the like.
func (c *comparison) scalar(d *openapi.Document, schema *openapi.Node) bool {
	types := c.view(d, schema).types
	return len(types) > 0 && !slices.Contains(types, "array") && !slices.Contains(types, "object")
}

// styleOf is how a parameter is written, in words. Scalars are written alike in all styles
// but those that put something before them.
func styleOf(p *openapi.Node, scalar bool) string {
	if content := p.Get("content").Pairs(); len(content) > 0 {
		return content[0].Name
	}
	style := map[string]string{"path": "simple", "header": "simple"}[p.Str("in")]
	style = cmp.Or(p.Str("style"), style, "form")
	if scalar {
		if style == "label" || style == "matrix" {
			return style
		}
		return "plain"
	}
	explode := style == "form"
	if e := p.Get("explode"); e.Is(openapi.Bool) {
		explode = e.Text == "true"
	}
	if explode {
		return style + ", exploded"
	}
	return style
}

// valueSchema is the schema of a parameter or header.
func valueSchema(p *openapi.Node) *openapi.Node {
	if content := p.Get("content").Pairs(); len(content) > 0 {
		return content[0].Value.Get("schema")
	}
	return p.Get("schema")
}

func (c *comparison) body(a, b *openapi.Node) {
	was, is := c.old.Deref(a.Get("requestBody")), c.new.Deref(b.Get("requestBody"))
	switch {
	case was == nil && is == nil:
		return
	case was == nil && is.True("required"):
		c.note(Breaking, "required-body-added", a, is, "a body is required now")
		return
	case was == nil:
		c.note(Info, "body-added", a, is, "a body can be sent now")
		return
	case is == nil:
		c.note(Breaking, "body-removed", was, b, "no body is taken any more")
		return
	case !was.True("required") && is.True("required"):
		c.note(Breaking, "body-became-required", was, is, "the body is required now")
	case was.True("required") && !is.True("required"):
		c.note(Info, "body-became-optional", was, is, "the body is optional now")
	}
	c.content(was, is, request, "request body")
}

// content compares the media types of a body.
func (c *comparison) content(a, b *openapi.Node, d direction, where string) {
	before, after := a.Get("content"), b.Get("content")
	for _, m := range before.Pairs() {
		n := mediaType(after, m.Name)
		if n == nil {
			c.note(Breaking, "media-type-removed", m.Value, cmp.Or(after, b), "%s: %s is not there any more", where, m.Name)
			continue
		}
		inside := where
		if len(before.Pairs()) > 1 {
			inside += " (" + m.Name + ")"
		}
		c.compare(m.Value.Get("schema"), n.Get("schema"), d, inside)
	}
	for _, m := range after.Pairs() {
		if mediaType(before, m.Name) == nil {
			c.note(Info, "media-type-added", cmp.Or(before, a), m.Value, "%s: %s is new", where, m.Name)
		}
	}
}

// mediaType finds one by its name, whatever its parameters and case.
func mediaType(content *openapi.Node, name string) *openapi.Node {
	if n := content.Get(name); n != nil {
		return n
	}
	for _, m := range content.Pairs() {
		if bare(m.Name) == bare(name) {
			return m.Value
		}
	}
	return nil
}

func bare(mediaType string) string {
	name, _, _ := strings.Cut(mediaType, ";")
	return strings.ToLower(strings.TrimSpace(name))
}

func (c *comparison) answers(a, b *openapi.Node) {
	for _, m := range a.Pairs() {
		if strings.HasPrefix(m.Name, "x-") {
			continue
		}
		was, is := c.old.Deref(m.Value), c.new.Deref(answer(b, m.Name))
		if is == nil {
			level := Warning
			if strings.HasPrefix(m.Name, "2") || strings.HasPrefix(m.Name, "3") {
				level = Breaking
			}
			c.note(level, "status-removed", m.Value, b, "the answer %s is not there any more", m.Name)
			continue
		}
		where := "answer " + m.Name
		c.headers(was, is, where)
		c.content(was, is, response, where)
	}
	for _, m := range b.Pairs() {
		if !strings.HasPrefix(m.Name, "x-") && answer(a, m.Name) == nil {
			c.note(Info, "status-added", a, m.Value, "the answer %s is new", m.Name)
		}
	}
}

// answer finds that of a status, or of its range.
func answer(all *openapi.Node, status string) *openapi.Node {
	if n := all.Get(status); n != nil || len(status) != len("200") {
		return n
	}
	return all.Get(status[:1] + "XX")
}

func (c *comparison) headers(a, b *openapi.Node, where string) {
	before, after := byName(a.Get("headers")), byName(b.Get("headers"))
	for _, m := range a.Get("headers").Pairs() {
		was, is := c.old.Deref(m.Value), c.new.Deref(after[strings.ToLower(m.Name)])
		switch {
		case is == nil && was.True("required"):
			c.note(Breaking, "required-header-removed", was, b, "%s: the header %s is not there any more", where, m.Name)
			continue
		case is == nil:
			c.note(Warning, "header-removed", was, b, "%s: the header %s is not there any more", where, m.Name)
			continue
		case was.True("required") && !is.True("required"):
			c.note(Breaking, "header-became-optional", was, is, "%s: the header %s may be missing now", where, m.Name)
		}
		c.compare(valueSchema(was), valueSchema(is), response, where+" header "+m.Name)
	}
	for _, m := range b.Get("headers").Pairs() {
		if before[strings.ToLower(m.Name)] == nil {
			c.note(Info, "header-added", a, m.Value, "%s: the header %s is new", where, m.Name)
		}
	}
}

func byName(headers *openapi.Node) map[string]*openapi.Node {
	all := make(map[string]*openapi.Node)
	for _, m := range headers.Pairs() {
		all[strings.ToLower(m.Name)] = m.Value
	}
	return all
}

// security compares what is asked of callers. Each alternative that was enough has to be
// enough still.
func (c *comparison) security(a, b *openapi.Operation) {
	was, is := security(c.old, a), security(c.new, b)
	at, now := cmp.Or(a.Node.Get("security"), a.Node), cmp.Or(b.Node.Get("security"), b.Node)
	narrowed := false
	for _, one := range was {
		if slices.ContainsFunc(is, func(other *openapi.Node) bool { return within(other, one) }) {
			continue
		}
		narrowed = true
		if len(one.Pairs()) == 0 {
			c.note(Breaking, "security-added", at, now, "callers have to say who they are now")
		} else {
			c.note(Breaking, "security-narrowed", at, now, "%s is not enough any more", schemesIn(one))
		}
	}
	for _, one := range is {
		if !narrowed && !slices.ContainsFunc(was, func(other *openapi.Node) bool { return within(other, one) }) {
			c.note(Info, "security-relaxed", at, now, "%s is enough now", schemesIn(one))
		}
	}
}

// security returns the alternatives, an empty one where nothing is asked.
func security(d *openapi.Document, o *openapi.Operation) []*openapi.Node {
	list := o.Node.Get("security")
	if list == nil {
		list = d.Root.Get("security")
	}
	if len(list.Elements()) == 0 {
		return []*openapi.Node{openapi.NewObject()}
	}
	return list.Elements()
}

// within tells whether what one alternative asks for is in the other.
func within(one, other *openapi.Node) bool {
	for _, m := range one.Pairs() {
		granted := other.Get(m.Name)
		if granted == nil {
			return false
		}
		for _, scope := range m.Value.Strings() {
			if !slices.Contains(granted.Strings(), scope) {
				return false
			}
		}
	}
	return true
}

func schemesIn(alternative *openapi.Node) string {
	var all []string
	for _, m := range alternative.Pairs() {
		text := m.Name
		if scopes := m.Value.Strings(); len(scopes) > 0 {
			text += " with " + strings.Join(scopes, ", ")
		}
		all = append(all, text)
	}
	if len(all) == 0 {
		return "saying nothing"
	}
	return strings.Join(all, " and ")
}
