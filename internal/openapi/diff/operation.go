package diff

import (
	"cmp"
	"slices"
	"strings"

	"yett/internal/openapi"
)

// servers compares the path below which all others are.
func (c *comparison) servers() {
	if a, b := c.old.BasePath(), c.new.BasePath(); a != b {
		c.note(Breaking, "base-path-changed", c.old.Root.Get("servers"), c.new.Root.Get("servers"),
			"the path of the first server was %q and is %q: all paths have changed", a, b)
	}
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
				c.note(Breaking, "security-scheme-changed", a, b, "the security scheme %q had %s %q and has %q", m.Name, key, was, is)
			}
		}
	}
}

// key is what operations are matched by: names of path parameters do not matter.
func key(o *openapi.Operation) string { return o.Method + " " + shape(o.Written) }

// shape is a path without the names of its parameters.
func shape(path string) string {
	var b strings.Builder
	for {
		before, after, ok := strings.Cut(path, "{")
		b.WriteString(before)
		if !ok {
			return b.String()
		}
		b.WriteString("{}")
		_, path, _ = strings.Cut(after, "}")
	}
}

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
		if _, twice := at[key(&after[i])]; !twice {
			at[key(&after[i])] = i
		}
	}
	known := make(map[string]bool)
	for _, a := range c.old.Operations() {
		if known[key(&a)] {
			continue // the linter tells
		}
		known[key(&a)] = true
		c.operation, c.index = a.Method+" "+a.Written, len(c.roots)
		c.roots = append(c.roots, nil)
		i, still := at[key(&a)]
		if !still {
			c.note(Breaking, "operation-removed", a.Node, c.new.Root.Get("paths"), "the operation is not there any more")
			continue
		}
		c.same(&a, &after[i])
		c.drain()
	}
	for _, b := range after {
		if !known[key(&b)] {
			known[key(&b)] = true
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
	after := make(map[[2]string]*openapi.Node)
	for _, p := range c.new.Parameters(b) {
		after[parameterKey(b, p)] = p
	}
	known := make(map[[2]string]bool)
	for _, p := range c.old.Parameters(a) {
		k := parameterKey(a, p)
		known[k] = true
		if q := after[k]; q != nil {
			c.parameter(p, q)
		} else {
			c.note(Warning, "parameter-removed", p, b.Node, "the %s parameter %q is not there any more: it may be ignored or refused", p.Str("in"), p.Str("name"))
		}
	}
	for _, q := range c.new.Parameters(b) {
		if known[parameterKey(b, q)] {
			continue
		}
		if q.True("required") {
			c.note(Breaking, "required-parameter-added", a.Node, q, "the %s parameter %q is new, and required", q.Str("in"), q.Str("name"))
		} else {
			c.note(Info, "parameter-added", a.Node, q, "the %s parameter %q is new", q.Str("in"), q.Str("name"))
		}
	}
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
	if a, b := styleOf(p), styleOf(q); a != b {
		c.note(Breaking, "parameter-style-changed", p, q, "the %s parameter %q was written in style %s and is in %s", in, name, a, b)
	}
	c.compare(valueSchema(p), valueSchema(q), request, where)
}

// styleOf is how a parameter is written, in words.
func styleOf(p *openapi.Node) string {
	if content := p.Get("content").Pairs(); len(content) > 0 {
		return content[0].Name
	}
	style := map[string]string{"path": "simple", "header": "simple"}[p.Str("in")]
	style = cmp.Or(p.Str("style"), style, "form")
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
