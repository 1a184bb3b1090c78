package cors

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"yett/internal/exchange"
	"yett/internal/policy"
	"yett/internal/problem"
)

// OriginNotAllowed refuses a preflight.
var OriginNotAllowed = &exchange.Reason{
	Name: "origin_not_allowed", Code: "ORIGIN_NOT_ALLOWED", Status: 403,
	Message: "Pages of this origin may not call this service",
	Help:    "A CORS preflight came from an origin that is not in `origins` of the policy cors; the detail names it.",
}

// Kind describes the policy.
var Kind = policy.Dressing(policy.AnsweringPreflights(policy.Define("cors", defaults, build, OriginNotAllowed)))

// cors is the policy. All is settled when it is built: an answer costs one
// pass over what the service sent, and one copy of ready-made fields.
type cors struct {
	policy.NoEnd
	origins              origins
	observes             bool
	public               bool // answers are the same for all, so that caches may keep one
	anyMethod, anyHeader bool
	answer               [3][]exchange.Field // on every answer that is not for a refused origin, by what it tells about limits
	preflight            []exchange.Field    // on the answer to a good preflight
}

func build(c Config, _ policy.Deps) (policy.Policy, problem.List) {
	list, problems := c.compile()
	if len(problems) > 0 {
		return nil, problems
	}
	p := &cors{
		origins: list, observes: c.Mode == policy.Observe, public: list.all,
		anyMethod: has(c.Methods, "*"), anyHeader: has(c.Headers, "*"),
	}
	var common []exchange.Field
	if p.public {
		common = append(common, field(allowOrigin, "*"))
	}
	if c.Credentials {
		common = append(common, field("Access-Control-Allow-Credentials", "true"))
	}
	for told := range p.answer {
		p.answer[told] = appendList(common[:len(common):len(common)], "Access-Control-Expose-Headers", c.exposed(told))
	}
	p.preflight = common[:len(common):len(common)]
	if !p.anyMethod {
		p.preflight = appendList(p.preflight, allowMethods, c.Methods)
	}
	if !p.anyHeader {
		p.preflight = appendList(p.preflight, allowHeaders, c.Headers)
	}
	p.preflight = append(p.preflight,
		field("Access-Control-Max-Age", strconv.FormatInt(int64(time.Duration(c.MaxAge)/time.Second), 10)),
		field("Vary", "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"))
	return p, nil
}

const (
	allowOrigin  = "Access-Control-Allow-Origin"
	allowMethods = "Access-Control-Allow-Methods"
	allowHeaders = "Access-Control-Allow-Headers"
	askedHeaders = "Access-Control-Request-Headers"
)

func field(name, value string) exchange.Field {
	return exchange.Field{Name: name, Value: value, Key: exchange.KeyOf(name)}
}

// appendList appends a field unless there is nothing to say.
func appendList(to []exchange.Field, name string, values []string) []exchange.Field {
	if len(values) == 0 {
		return to
	}
	return append(to, field(name, strings.Join(values, ", ")))
}

// What Request notes for Response in the slot's Int. The zero value is a
// request whose origin is not known to be allowed.
const (
	refused int64 = iota
	noOrigin
	allowed   // the slot's Text is the origin
	preflight // the same, and the gateway answers
)

// Request finds out whether the origin is allowed, and answers preflights.
func (p *cors) Request(x *exchange.Exchange, s *exchange.Slot) exchange.Verdict {
	text, n := originOf(x)
	if n == 0 {
		s.Int = noOrigin
		return exchange.Continue
	}
	s.Text = text
	asks := policy.IsPreflight(x)
	x.PassPreflight = asks && p.observes
	switch ok := n == 1 && p.allows(x, text); {
	case ok && (p.observes || !asks):
		s.Int = allowed
		return exchange.Continue
	case ok:
		s.Int = preflight
		x.Status = 204
		return exchange.Reply
	case p.observes, asks:
		return x.RefuseWith(OriginNotAllowed, detail(text, n))
	}
	return exchange.Continue
}

// originOf returns the origin and how many there are.
func originOf(x *exchange.Exchange) (origin string, n int) {
	fields := x.Request.Fields()
	for i := range fields {
		if fields[i].Key == exchange.KeyOrigin {
			origin = fields[i].Value
			n++
		}
	}
	return origin, n
}

// detail names the origin in the log.
func detail(text string, n int) string {
	switch {
	case n > 1:
		return "several Origin fields"
	case text == "":
		return "an empty Origin"
	}
	return text
}

// allows tells whether an origin may read answers. Nearly all are found as they
// came.
func (p *cors) allows(x *exchange.Exchange, text string) bool {
	if _, ok := p.origins.exact[text]; ok {
		return true
	}
	o, ok := split(lower(x, text))
	return ok && (p.origins.find(&o) != "" || isOwn(x, &o))
}

// isOwn tells whether an origin is the gateway's own. Browsers send it even
// with requests that need no permission.
func isOwn(x *exchange.Exchange, o *origin) bool {
	scheme, port := "http", ":80"
	if x.Secure {
		scheme, port = "https", ":443"
	}
	return o.scheme == scheme && exchange.EqualFold(o.authority(), strings.TrimSuffix(x.Authority, port))
}

// lower returns s in lower case, valid until Release.
func lower(x *exchange.Exchange, s string) string {
	for i := range len(s) {
		if c := s[i]; 'A' <= c && c <= 'Z' {
			return lowered(x, s)
		}
	}
	return s
}

func lowered(x *exchange.Exchange, s string) string {
	b := x.Bytes(len(s))
	for i := range len(s) {
		b[i] = s[i]
		if c := s[i]; 'A' <= c && c <= 'Z' {
			b[i] += 'a' - 'A'
		}
	}
	return exchange.View(b)
}

// Response replaces what the service says about CORS by what the gateway does.
func (p *cors) Response(x *exchange.Exchange, s *exchange.Slot) {
	if p.observes {
		return
	}
	varies, told := false, nothing
	x.Response.Filter(func(f *exchange.Field) bool {
		if f.Name == "" {
			return true
		}
		switch f.Name[0] | 0x20 { // tells nearly all fields from those that matter
		case 'a':
			return !isAccessControl(f)
		case 'r':
			if about := tells(f); about != nothing {
				told = about
			}
		case 'v':
			varies = varies || isVary(f)
		}
		return true
	})
	if s.Int == preflight && x.Reason == nil {
		p.answerPreflight(x, s.Text)
		return
	}
	if s.Int != refused {
		p.addOrigin(x, s)
		x.Response.AddFields(p.answer[told])
		if p.public {
			return
		}
	}
	if !varies {
		x.Response.AddField(exchange.Field{Name: "Vary", Value: "Origin"})
		return
	}
	addVary(x)
}

// addOrigin names the origin that may read the answer. Where all may, it is
// among the ready-made fields.
func (p *cors) addOrigin(x *exchange.Exchange, s *exchange.Slot) {
	if s.Int != noOrigin && !p.public {
		x.Response.AddField(exchange.Field{Name: allowOrigin, Value: s.Text})
	}
}

func (p *cors) answerPreflight(x *exchange.Exchange, origin string) {
	if !p.public {
		x.Response.AddField(exchange.Field{Name: allowOrigin, Value: origin})
	}
	x.Response.AddFields(p.preflight)
	if asked := policy.AskedMethod(x); p.anyMethod && exchange.ValidName(asked) {
		x.Response.AddField(exchange.Field{Name: allowMethods, Value: asked})
	}
	if asked := x.Request.Get(askedHeaders); p.anyHeader && isList(asked) {
		x.Response.AddField(exchange.Field{Name: allowHeaders, Value: asked})
	}
}

// isList tells whether something is a list of header names, so that it can be
// given back.
func isList(s string) bool {
	for name := range strings.SplitSeq(s, ",") {
		if !exchange.ValidName(strings.Trim(name, " \t")) {
			return false
		}
	}
	return true
}

// What an answer tells about rate limits.
const (
	nothing = iota
	nearest // the one that is nearest to its end
	all
)

// tells returns what a field tells about rate limits, by which of the names only one way
// to tell has.
func tells(f *exchange.Field) int {
	switch {
	case len(f.Name) == len("RateLimit") && exchange.EqualFold(f.Name, "RateLimit"):
		return all
	case len(f.Name) == len("RateLimit-Remaining") && exchange.EqualFold(f.Name, "RateLimit-Remaining"):
		return nearest
	}
	return nothing
}

// exposed is what pages may read of an answer, by what that tells about limits. An empty
// list stays empty: nothing is meant to be read then.
func (c Config) exposed(told int) []string {
	list := slices.Clone(c.Expose)
	if len(list) == 0 || has(list, "*") {
		return list
	}
	names := [...][]string{
		nearest: {"RateLimit-Policy", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"},
		all:     {"RateLimit-Policy", "RateLimit"},
	}
	for _, name := range names[told] {
		if !slices.ContainsFunc(list, func(s string) bool { return exchange.EqualFold(s, name) }) {
			list = append(list, name)
		}
	}
	return list
}

func isVary(f *exchange.Field) bool {
	return len(f.Name) == len("Vary") && exchange.EqualFold(f.Name, "vary")
}

func isAccessControl(f *exchange.Field) bool {
	const family = "access-control-"
	return len(f.Name) > len(family) && exchange.EqualFold(f.Name[:len(family)], family)
}

// addVary tells caches that the answer depends on the origin (RFC 9110 section
// 12.5.5), behind what the service says about that.
func addVary(x *exchange.Exchange) {
	last := -1
	fields := x.Response.Fields()
	for i := range fields {
		if !isVary(&fields[i]) {
			continue
		}
		if exchange.HasToken(fields[i].Value, "*") || exchange.HasToken(fields[i].Value, "Origin") {
			return
		}
		last = i
	}
	fields[last].Value = joined(x, fields[last].Value)
}

// joined returns a list with Origin behind it, valid until Release.
func joined(x *exchange.Exchange, list string) string {
	if list == "" {
		return "Origin"
	}
	b := x.Bytes(len(list) + len(", Origin"))
	copy(b[copy(b, list):], ", Origin")
	return exchange.View(b)
}

// Explain implements policy.Explainer.
func (p *cors) Explain(x *exchange.Exchange, _ *exchange.Slot) []string {
	text, n := originOf(x)
	if n == 0 {
		return []string{"no Origin: no page of another site asks"}
	}
	kind := "request"
	if policy.IsPreflight(x) {
		kind = "preflight for " + policy.AskedMethod(x)
	}
	return []string{fmt.Sprintf("%s of origin %q: %s", kind, text, p.why(x, text, n))}
}

// why tells why an origin passes or not.
func (p *cors) why(x *exchange.Exchange, text string, n int) string {
	o, ok := split(strings.ToLower(text))
	switch by := p.origins.find(&o); {
	case n > 1:
		return "refused, there are several Origin fields"
	case strings.EqualFold(text, "null"):
		return "refused, null is never allowed"
	case !ok:
		return "refused, this is no origin"
	case by != "":
		return "allowed by " + by
	case isOwn(x, &o):
		return "allowed, it is the gateway's own"
	}
	return fmt.Sprintf("refused, it is none of the %d in origins", len(p.origins.exact)+len(p.origins.patterns))
}
