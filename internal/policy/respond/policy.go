package respond

import (
	"yett/internal/exchange"
	"yett/internal/jsontext"
	"yett/internal/policy"
	"yett/internal/problem"
)

// Kind describes the policy. It refuses nothing: its answer is what the
// operator wants.
var Kind = policy.Answering(policy.Define("respond", defaults, build))

type respond struct {
	policy.Base
	status      int
	contentType string
	headers     []header
	body        template
}

type header struct {
	field exchange.Field // without its value
	value template
}

func build(c Config, deps policy.Deps) (policy.Policy, problem.List) {
	p, problems := c.compile(deps)
	if len(problems) > 0 {
		return nil, problems
	}
	return p, nil
}

// Request answers.
func (p *respond) Request(x *exchange.Exchange, _ *exchange.Slot) exchange.Verdict {
	x.Status = p.status
	if p.contentType != "" {
		x.Response.AddField(exchange.Field{Name: "Content-Type", Value: p.contentType, Key: exchange.KeyContentType})
	}
	for i := range p.headers {
		f := p.headers[i].field
		f.Value = exchange.View(p.headers[i].value.render(x))
		x.Response.AddField(f)
	}
	x.ResponseBody.SetBytes(p.body.render(x))
	return exchange.Reply
}

// value is what a placeholder stands for.
type value uint8

const (
	literal value = iota
	gatewayName
	gatewayVersion
	requestID
	now
	method
	host
	path
	query
	clientIP
	pathParam
	subject
	email
	role
	tenant
)

func (v value) ofIdentity() bool { return v >= subject }

// escaping says what a value must not do to what stands around it.
type escaping uint8

const (
	asIs          escaping = iota
	forJSON                // within the quotes of a JSON string
	forJSONOrNull          // a whole JSON string, or null when it is empty
	forMarkup              // HTML or XML
	forHeader
)

// segment is a piece of a template: a literal, or a placeholder.
type segment struct {
	value    value
	escaping escaping
	text     []byte // of a literal
	name     string // of a path value
}

// template is a text that is compiled once and filled in for each request.
type template struct {
	segments []segment
	fixed    int // bytes of the literals
}

// add appends a segment, and joins neighbouring literals.
func (t *template) add(s segment) {
	last := len(t.segments) - 1
	t.fixed += len(s.text)
	switch {
	case s.value == literal && len(s.text) == 0:
	case s.value == literal && last >= 0 && t.segments[last].value == literal:
		t.segments[last].text = append(t.segments[last].text, s.text...)
	default:
		t.segments = append(t.segments, s)
	}
}

// addText appends what the operator wrote. It is escaped only for JSON: in
// other texts their markup is meant.
func (t *template) addText(s string, esc escaping) {
	if esc != forJSON {
		esc = asIs
	}
	t.addValue(s, esc)
}

// addValue appends a value that is known already.
func (t *template) addValue(s string, esc escaping) {
	t.add(segment{text: appendEscaped(nil, s, esc)})
}

// render fills the template in. The result is valid until Release, and must
// not be changed: a template without placeholders has only one text for all.
func (t *template) render(x *exchange.Exchange) []byte {
	switch {
	case len(t.segments) == 0:
		return nil
	case len(t.segments) == 1 && t.segments[0].value == literal:
		return t.segments[0].text
	}
	most := t.fixed
	for i := range t.segments {
		most += t.segments[i].most(x)
	}
	dst := x.Bytes(most)[:0]
	for i := range t.segments {
		dst = t.segments[i].append(dst, x)
	}
	return dst
}

// maxAddr is the longest text of an address without its zone.
const maxAddr = len("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255")

// most returns how many bytes a placeholder can take at most.
func (s *segment) most(x *exchange.Exchange) int {
	const quotes, null = 2, 4
	switch s.value {
	case literal:
		return 0
	case now:
		return jsontext.TimeLen
	case clientIP:
		return maxAddr
	}
	v := s.of(x)
	switch s.escaping {
	case forJSON:
		return jsontext.MaxEscaped(v)
	case forJSONOrNull:
		return jsontext.MaxEscaped(v) + quotes + null
	case forMarkup:
		return 5 * len(v)
	case forHeader:
		return 3 * len(v)
	}
	return len(v)
}

func (s *segment) append(dst []byte, x *exchange.Exchange) []byte {
	switch s.value {
	case literal:
		return append(dst, s.text...)
	case now:
		return jsontext.AppendTime(dst, x.Now)
	case clientIP:
		return x.Client.Unmap().WithZone("").AppendTo(dst)
	}
	return appendEscaped(dst, s.of(x), s.escaping)
}

// of returns the value of a placeholder that is a text already.
func (s *segment) of(x *exchange.Exchange) string {
	switch s.value {
	case requestID:
		return x.RequestID
	case method:
		return x.Method
	case host:
		return x.Host
	case path:
		return x.Path
	case query:
		return x.Query
	case pathParam:
		return x.Param(s.name)
	case subject:
		return x.Identity.Subject
	case email:
		return x.Identity.Email
	case role:
		return x.Identity.Role
	case tenant:
		return x.Identity.Tenant
	}
	return ""
}

func appendEscaped(dst []byte, s string, esc escaping) []byte {
	switch esc {
	case forJSON:
		return jsontext.AppendEscaped(dst, s)
	case forJSONOrNull:
		if s == "" {
			return append(dst, "null"...)
		}
		return jsontext.AppendQuoted(dst, s)
	case forMarkup:
		return appendMarkup(dst, s)
	case forHeader:
		return appendPercent(dst, s)
	}
	return append(dst, s...)
}

// appendMarkup appends s so that it is text in HTML and XML, within an
// attribute too.
func appendMarkup(dst []byte, s string) []byte {
	for i := range len(s) {
		switch c := s[i]; c {
		case '&':
			dst = append(dst, "&amp;"...)
		case '<':
			dst = append(dst, "&lt;"...)
		case '>':
			dst = append(dst, "&gt;"...)
		case '"':
			dst = append(dst, "&#34;"...)
		case '\'':
			dst = append(dst, "&#39;"...)
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

// appendPercent appends s with everything percent-encoded that isn't visible
// ASCII, so that a value can't end its header (RFC 9110 section 5.5).
func appendPercent(dst []byte, s string) []byte {
	const hexDigits = "0123456789ABCDEF"
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f {
			dst = append(dst, '%', hexDigits[c>>4], hexDigits[c&0xf])
		} else {
			dst = append(dst, c)
		}
	}
	return dst
}
