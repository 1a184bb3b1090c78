package contract

import (
	"strings"

	"yett/internal/exchange"
	"yett/internal/openapi"
)

// mediaKind is how the bytes of a body are read.
type mediaKind uint8

const (
	opaqueMedia mediaKind = iota
	jsonMedia
	formMedia
	multipartMedia
	textMedia
)

// mediaType cuts parameters and blanks off a content type, such as "; charset=utf-8".
func mediaType(contentType string) string {
	t, _, _ := cut(contentType, ';')
	return strings.Trim(t, " \t")
}

// mediaKindOf tells how a media type, with or without parameters, is read.
func mediaKindOf(contentType string) mediaKind {
	t := mediaType(contentType)
	major, _, _ := cut(t, '/')
	switch {
	case openapi.IsJSON(t):
		return jsonMedia
	case exchange.EqualFold(t, "application/x-www-form-urlencoded"):
		return formMedia
	case exchange.EqualFold(t, "multipart/form-data"):
		return multipartMedia
	case exchange.EqualFold(major, "text"):
		return textMedia
	}
	return opaqueMedia
}

func hasSuffixFold(s, suffix string) bool {
	return len(s) >= len(suffix) && exchange.EqualFold(s[len(s)-len(suffix):], suffix)
}

// media is one media type, or a range of them, that a body can have.
type media struct {
	// name is as written; major and minor are in lower case, "*" for any.
	name, major, minor string
	check              *check
	fields             map[string]field
	// fixed tells that the type is no range, so that kind is known.
	fixed bool
	kind  mediaKind
}

// fits returns how well a media type fits: 0 for not at all.
func (m *media) fits(major, minor string) int {
	switch {
	case m.major == "*":
		return 1
	case !exchange.EqualFold(m.major, major):
		return 0
	case m.minor == "*":
		return 2
	case strings.HasPrefix(m.minor, "*+"):
		if hasSuffixFold(minor, m.minor[1:]) {
			return 3
		}
		return 0
	case exchange.EqualFold(m.minor, minor):
		return 4
	}
	return 0
}

// content is what a body can be.
type content struct {
	required bool
	media    []media
	accepted string // the types, for people
	reads    bool
}

func (b *compiler) requestBody(n *openapi.Node) *content {
	body := b.d.Deref(n)
	if body == nil {
		b.note(n, "the body refers to nothing", "it is passed over")
		return nil
	}
	c := b.bodies[body]
	if c == nil {
		c = b.content(body.Get("content"), inRequest)
		c.required = body.True("required")
		b.bodies[body] = c
	}
	return c
}

func (b *compiler) content(n *openapi.Node, mode int) *content {
	c := new(content)
	for _, m := range n.Pairs() {
		major, minor, ok := strings.Cut(strings.ToLower(mediaType(m.Name)), "/")
		if !ok || major == "" || minor == "" {
			b.note(m.Value, quoted(m.Name)+" is no media type", "it is passed over")
			continue
		}
		item := media{name: mediaType(m.Name), major: major, minor: minor, kind: mediaKindOf(m.Name), fixed: !strings.Contains(major+minor, "*")}
		item.check = b.check(m.Value.Get("schema"), mode, "content", m.Name, "schema")
		item.fields = fieldsOf(m.Value.Get("encoding"))
		c.media = append(c.media, item)
	}
	return c
}

// settle finds out which bytes have to be read.
func (c *content) settle() {
	if c == nil {
		return
	}
	var names []string
	for i := range c.media {
		m := &c.media[i]
		names = append(names, m.name)
		switch {
		case !m.fixed:
			c.reads = true
		case m.kind == textMedia || m.kind == formMedia:
			c.reads = c.reads || !m.check.trivial()
		case m.kind != opaqueMedia:
			c.reads = true
		}
	}
	c.accepted = join(names, "or")
}

// find returns the media type that fits best, nil for none.
func (c *content) find(contentType string) *media {
	major, minor, _ := cut(mediaType(contentType), '/')
	var best *media
	most := 0
	for i := range c.media {
		if n := c.media[i].fits(major, minor); n > most {
			best, most = &c.media[i], n
		}
	}
	return best
}

// check holds a body against what it can be. body is free of any content coding, nil when it
// is not to be read; there tells whether there is one.
func (c *content) check(h *exchange.Header, body []byte, there bool, f *findings) {
	if !there || body != nil && len(body) == 0 {
		if c.required {
			f.at("body", "").add("", missing)
		}
		return
	}
	if len(c.media) == 0 {
		return
	}
	given, has := h.LookupKey(exchange.KeyContentType)
	m := c.find(given)
	switch {
	case m == nil && !has:
		f.at("header", "/Content-Type").add("", "is missing; it can be "+c.accepted)
		return
	case isTwice(h): // services differ in which one counts
		f.at("header", "/Content-Type").add("", twice)
		return
	case m == nil:
		f.at("header", "/Content-Type").add("", "has to be "+c.accepted)
		return
	case mediaKindOf(given) == jsonMedia && otherCharset(given):
		f.at("header", "/Content-Type").add("", "has a charset that JSON can't be in: it is UTF-8")
		return
	case body == nil:
		return
	}
	f.at("body", "")
	switch mediaKindOf(given) {
	case jsonMedia:
		m.check.text(exchange.View(body), f)
	case formMedia:
		if !otherCharset(given) { // see Foreign
			m.form(exchange.View(body), f)
		}
	case multipartMedia:
		if f.brief { // parts are never read at a glance
			f.doubt = true
			return
		}
		m.multipart(body, given, f)
	case textMedia:
		m.plain(exchange.View(body), given, f)
	}
}

// isTwice tells whether a message has more than one Content-Type.
func isTwice(h *exchange.Header) bool {
	fields, n := h.Fields(), 0
	for i := range fields {
		if fields[i].Key == exchange.KeyContentType {
			n++
		}
	}
	return n > 1
}

// isEncoded tells whether a body is compressed, so that nobody can look into it here.
func isEncoded(h *exchange.Header) bool {
	e, ok := h.Lookup("Content-Encoding")
	return ok && e != "" && !exchange.EqualFold(e, "identity")
}

// plain checks a text, if it is in UTF-8 as far as it says.
func (m *media) plain(body, contentType string, f *findings) {
	if m.check.trivial() || otherCharset(contentType) { // see Foreign
		return
	}
	m.check.plain(body, m.check.schema.takes(), f)
}

// isUTF8 takes the names of UTF-8 and of what is part of it.
func isUTF8(charset string) bool {
	return exchange.EqualFold(charset, "utf-8") || exchange.EqualFold(charset, "utf8") || exchange.EqualFold(charset, "us-ascii")
}

// otherCharset tells whether a text is said to be in something else than UTF-8.
func otherCharset(contentType string) bool {
	_, params, _ := cut(contentType, ';')
	for params != "" {
		var p string
		p, params, _ = cut(params, ';')
		name, value, _ := cut(p, '=')
		if exchange.EqualFold(strings.Trim(name, " \t"), "charset") && !isUTF8(strings.Trim(value, " \t\"")) {
			return true
		}
	}
	return false
}
