package respond

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"yett/internal/config"
	"yett/internal/exchange"
	"yett/internal/policy"
	"yett/internal/problem"
)

// Config is what an operator can write.
type Config struct {
	Status      int                    `yaml:"status" min:"200" max:"599" doc:"Status of the answer."`
	JSON        *config.Node           `yaml:"json" doc:"Content as any value, sent as JSON. Its strings may hold placeholders."`
	Text        *string                `yaml:"text" doc:"Content as text, which may hold placeholders."`
	ContentType string                 `yaml:"content_type" doc:"Content-Type; application/json for json and text/plain; charset=utf-8 for text when empty."`
	Headers     config.Mapping[string] `yaml:"headers" doc:"Further headers. Their values may hold placeholders."`
}

// maxContent is how large a content can be in bytes, before placeholders are
// filled in: a gateway is no file server.
const maxContent = 64 << 10

func defaults() Config { return Config{Status: http.StatusOK} }

// compile checks the configuration and makes the policy.
func (c Config) compile(deps policy.Deps) (*respond, problem.List) {
	b := compiler{deps: deps}
	p := &respond{status: c.Status, json: c.JSON, deps: deps}
	c.checkContent(&b.problems)
	for _, e := range c.Headers {
		p.headers = append(p.headers, b.header(e.Name, e.Value))
	}
	switch {
	case c.Text != nil:
		b.path = "text"
		p.contentType = orElse(c.ContentType, "text/plain; charset=utf-8")
		p.body = b.text(*c.Text, escapingFor(p.contentType))
	case c.JSON != nil:
		p.contentType = orElse(c.ContentType, "application/json")
		b.path = "json"
		p.body = b.json(*c.JSON)
	}
	if p.body.fixed > maxContent {
		b.problems.Addf(b.path, "larger content belongs into a service", "the content has more than %d KB", maxContent>>10)
	}
	return p, b.problems
}

func (c Config) checkContent(problems *problem.List) {
	content := c.JSON != nil || c.Text != nil
	switch {
	case c.JSON != nil && c.Text != nil:
		problems.Add("text", "stands beside json", "keep one of them")
	case content && (c.Status == 204 || c.Status == 205 || c.Status == 304):
		problems.Addf("status", "leave json and text out, or choose another status", "an answer with status %d has no content", c.Status)
	case !content && c.ContentType != "":
		problems.Add("content_type", "there is no content", "add json or text")
	}
	if !exchange.ValidValue(c.ContentType) {
		problems.Addf("content_type", "", "%q can't be the value of a header", c.ContentType)
	}
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// escapingFor returns how values have to be escaped within a text.
func escapingFor(contentType string) escaping {
	media, _, _ := strings.Cut(strings.ToLower(contentType), ";")
	switch {
	case strings.Contains(media, "html"), strings.Contains(media, "xml"):
		return forMarkup
	case strings.Contains(media, "json"):
		return forJSON
	}
	return asIs
}

// placeholders are the names that may stand in braces, beside path.NAME.
func placeholders() map[string]value {
	return map[string]value{
		"gateway.name": gatewayName, "gateway.version": gatewayVersion,
		"request_id": requestID, "time": now,
		"method": method, "host": host, "path": path, "query": query, "client.ip": clientIP,
		"identity.subject": subject, "identity.email": email, "identity.role": role, "identity.tenant": tenant,
		"identity.roles": roles, "identity.permissions": permissions, "identity.scopes": scopes,
	}
}

// compiler turns what the operator wrote into templates, and notes every
// problem at the path that it is working on.
type compiler struct {
	deps     policy.Deps
	path     string
	problems problem.List
}

// header compiles a header whose value may hold placeholders.
func (b *compiler) header(name, value string) header {
	b.path = "headers." + name
	k := exchange.KeyOf(name)
	config.CheckField(&b.problems, b.path, name, value)
	if k == exchange.KeyContentType {
		b.problems.Add(b.path, "Content-Type can't stand here", "use content_type")
	}
	return header{field: exchange.Field{Name: name, Key: k}, value: b.text(value, forHeader)}
}

// text compiles a text with placeholders.
func (b *compiler) text(s string, esc escaping) template {
	var t template
	b.appendText(&t, s, esc)
	return t
}

func (b *compiler) appendText(t *template, s string, esc escaping) {
	for {
		i := strings.IndexByte(s, '{')
		if i < 0 {
			t.addText(s, esc)
			return
		}
		t.addText(s[:i], esc)
		s = s[i+1:]
		if strings.HasPrefix(s, "{") {
			t.addText("{", esc)
			s = s[1:]
			continue
		}
		name, rest, closed := strings.Cut(s, "}")
		if !closed {
			b.problems.Add(b.path, "a { has no } after it", "write {{ for a literal brace")
			return
		}
		b.appendPlaceholder(t, name, esc)
		s = rest
	}
}

// appendPlaceholder compiles what stands in braces: a name, and after a bar
// what to write when there is no such value.
func (b *compiler) appendPlaceholder(t *template, inner string, esc escaping) {
	name, otherwise, hasOtherwise := strings.Cut(inner, "|")
	s := segment{escaping: esc, hasOtherwise: hasOtherwise}
	if !b.lookup(name, &s) {
		return
	}
	switch {
	case hasOtherwise && !s.value.canBeEmpty():
		b.problems.Addf(b.path, "remove |"+otherwise, "{%s} is never empty", name)
	case strings.Contains(otherwise, "{"):
		b.problems.Addf(b.path, "write plain text after the |", "{%s} has a placeholder within", inner)
	case s.value == gatewayName:
		t.addValue(b.deps.Gateway, esc)
	case s.value == gatewayVersion:
		t.addValue(b.deps.Version, esc)
	default:
		s.text = appendEscaped(nil, otherwise, esc)
		t.add(s)
	}
}

// lookup fills in what a name stands for, or notes that it is no placeholder.
func (b *compiler) lookup(name string, s *segment) bool {
	if param, ok := strings.CutPrefix(name, "path."); ok && param != "" {
		s.value, s.name = pathParam, param
		return true
	}
	known := placeholders()
	v, ok := known[name]
	if !ok {
		names := append(slices.Sorted(maps.Keys(known)), "path.NAME")
		b.problems.Addf(b.path, problem.DidYouMean(name, names)+"; write {{ for a literal brace", "{%s} is no placeholder", name)
	}
	s.value = v
	return ok
}

// json compiles a value to the text of its JSON. Keys keep their order.
func (b *compiler) json(n config.Node) template {
	var t template
	b.appendJSON(&t, n)
	return t
}

func (b *compiler) appendJSON(t *template, n config.Node) {
	switch v := n.Value().(type) {
	case nil:
		t.addText("null", asIs)
	case bool:
		t.addText(strconv.FormatBool(v), asIs)
	case json.Number:
		t.addText(v.String(), asIs)
	case string:
		b.appendString(t, v)
	case config.Mapping[config.Node]:
		b.appendObject(t, v)
	case []config.Node:
		b.appendArray(t, v)
	}
}

func (b *compiler) appendObject(t *template, members config.Mapping[config.Node]) {
	parent := b.path
	defer func() { b.path = parent }()
	t.addText("{", asIs)
	for i, m := range members {
		if i > 0 {
			t.addText(",", asIs)
		}
		b.path = parent + "." + m.Name
		t.addText(`"`, asIs)
		t.addText(m.Name, forJSON)
		t.addText(`":`, asIs)
		b.appendJSON(t, m.Value)
	}
	t.addText("}", asIs)
}

func (b *compiler) appendArray(t *template, items []config.Node) {
	parent := b.path
	defer func() { b.path = parent }()
	t.addText("[", asIs)
	for i, item := range items {
		if i > 0 {
			t.addText(",", asIs)
		}
		b.path = fmt.Sprintf("%s[%d]", parent, i)
		b.appendJSON(t, item)
	}
	t.addText("]", asIs)
}

// appendString compiles a string of a JSON value. One that is nothing but an
// identity placeholder is what readers can work with: a list is an array, and a
// value that is not there is null. Text after a bar makes it a string again.
func (b *compiler) appendString(t *template, s string) {
	inner := b.text(s, forJSON)
	if len(inner.segments) == 1 && inner.segments[0].value.ofIdentity() && !inner.segments[0].hasOtherwise {
		t.add(inner.segments[0].whole())
		return
	}
	t.addText(`"`, asIs)
	for _, s := range inner.segments {
		t.add(s)
	}
	t.addText(`"`, asIs)
}
