package respond

import (
	"yett/internal/config"
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
	// json is what body is made of, nil for a text, and deps what with; for Describe.
	json *config.Node
	deps policy.Deps
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

// The order matters: from requestID on a value can be empty, from subject on it
// is the caller's, and from roles on it is a list.
const (
	literal value = iota
	gatewayName
	gatewayVersion
	now
	method
	path
	clientIP
	requestID
	host
	query
	pathParam
	subject
	email
	role
	tenant
	roles
	permissions
	scopes
)

func (v value) canBeEmpty() bool { return v >= requestID }
func (v value) ofIdentity() bool { return v >= subject }
func (v value) isList() bool     { return v >= roles }

// escaping says what a value must not do to what stands around it.
type escaping uint8

const (
	asIs      escaping = iota
	forJSON            // within the quotes of a JSON string
	wholeJSON          // a whole value of JSON: a string, or an array of strings
	forMarkup          // HTML or XML
	forHeader
)

// segment is a piece of a template: a literal, or a placeholder.
type segment struct {
	value    value
	escaping escaping
	text     []byte // the literal, or what stands for an empty value, escaped already
	name     string // of a path value
	// hasOtherwise tells that the operator wrote what stands for an empty value.
	hasOtherwise bool
}

// whole returns the placeholder as a whole value of JSON.
func (s segment) whole() segment {
	s.escaping, s.text = wholeJSON, []byte("null")
	if s.value.isList() {
		s.text = []byte("[]")
	}
	return s
}

// template is a text that is compiled once and filled in for each request.
type template struct {
	segments []segment
	fixed    int // bytes of the literals, and of what stands for empty values
}

// add appends a segment, and joins neighbouring literals. What a placeholder
// has for an empty value counts as fixed: it is all there is then.
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

// most returns how many bytes a placeholder can take at most, beside its text
// for an empty value.
func (s *segment) most(x *exchange.Exchange) int {
	switch {
	case s.value == literal:
		return 0
	case s.value == now:
		return jsontext.TimeLen
	case s.value == clientIP:
		return maxAddr
	case !s.value.isList():
		return mostEscaped(s.of(x), s.escaping)
	}
	n := len("[]")
	for _, v := range s.list(x) {
		n += mostEscaped(v, s.escaping) + len(",")
	}
	return n
}

// mostEscaped returns a number of bytes that appendEscaped never exceeds.
func mostEscaped(s string, esc escaping) int {
	switch esc {
	case forJSON:
		return jsontext.MaxEscaped(s)
	case wholeJSON:
		return jsontext.MaxEscaped(s) + len(`""`)
	case forMarkup:
		return 5 * len(s)
	case forHeader:
		return 3 * len(s)
	}
	return len(s)
}

func (s *segment) append(dst []byte, x *exchange.Exchange) []byte {
	switch {
	case s.value == literal:
		return append(dst, s.text...)
	case s.value == now:
		return jsontext.AppendTime(dst, x.Now)
	case s.value == clientIP:
		return x.Client.Unmap().WithZone("").AppendTo(dst)
	case s.value.isList():
		return s.appendList(dst, s.list(x))
	}
	v := s.of(x)
	if v == "" {
		return append(dst, s.text...)
	}
	return appendEscaped(dst, v, s.escaping)
}

// appendList appends texts with commas between, as an array where the whole
// value is JSON.
func (s *segment) appendList(dst []byte, list []string) []byte {
	if len(list) == 0 {
		return append(dst, s.text...)
	}
	if s.escaping == wholeJSON {
		dst = append(dst, '[')
	}
	for i, v := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendEscaped(dst, v, s.escaping)
	}
	if s.escaping == wholeJSON {
		dst = append(dst, ']')
	}
	return dst
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

// list returns the value of a placeholder that is several texts.
func (s *segment) list(x *exchange.Exchange) []string {
	switch s.value {
	case roles:
		return x.Identity.Roles
	case permissions:
		return x.Identity.Permissions
	case scopes:
		return x.Identity.Scopes
	}
	return nil
}

func appendEscaped(dst []byte, s string, esc escaping) []byte {
	switch esc {
	case forJSON:
		return jsontext.AppendEscaped(dst, s)
	case wholeJSON:
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
