package apidocs

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"yett/internal/catalog"
	"yett/internal/exchange"
	"yett/internal/openapi"
	"yett/internal/policy"
	"yett/internal/snapshot"
)

// facts is what the gateway adds to every operation of a route.
type facts struct {
	*policy.Description
	// refusals are the reasons for which a call may be refused, by status.
	refusals map[int][]*exchange.Reason
	// text is what people are told, in Markdown.
	text string
	// bodyLimit is the largest request body in bytes, 0 for any.
	bodyLimit int64
}

func newFacts(m *merger, r *snapshot.Route, d *policy.Description) *facts {
	c := r.Config()
	f := &facts{Description: d, refusals: make(map[int][]*exchange.Reason)}
	f.refuse(d.Refusals...)
	if c.Service != "" && d.Answer == nil && !answersInstead(r) {
		f.refuse(exchange.ConnectFailed, exchange.UpstreamReset, exchange.UpstreamBad)
		f.refuse(exchange.NoTarget, exchange.PoolExhausted, exchange.BreakerOpen, exchange.ServiceOverloaded)
		f.refuse(exchange.ConnectTimeout, exchange.UpstreamTimeout)
	}
	if c.Limits.Body != nil {
		f.bodyLimit = int64(*c.Limits.Body)
	} else {
		f.bodyLimit = leastBody(m.in.Snapshot)
	}
	f.text = f.words(c.Auth, c.Limits.Body != nil)
	return f
}

// answersInstead tells whether a policy answers in place of the service.
func answersInstead(r *snapshot.Route) bool {
	return slices.ContainsFunc(r.Chain, func(l policy.Link) bool { return l.Kind.Answers })
}

// leastBody is the bound of the listeners, the least where they differ.
func leastBody(s *snapshot.Snapshot) (least int64) {
	for _, l := range s.Listeners {
		if b := int64(l.Limits.Body); b > 0 && (least == 0 || b < least) {
			least = b
		}
	}
	return least
}

func (f *facts) refuse(reasons ...*exchange.Reason) {
	for _, r := range reasons {
		if !slices.Contains(f.refusals[r.Status], r) {
			f.refusals[r.Status] = append(f.refusals[r.Status], r)
		}
	}
}

// words says who may call, and how often.
func (f *facts) words(auth string, ownBody bool) string {
	var lines []string
	switch {
	case len(f.Schemes) == 0 && auth == "none":
	case f.Anonymous:
		lines = append(lines, "**Who may call**: anybody. A token is welcome, but it has to be good.")
	case len(f.Schemes) > 0:
		lines = append(lines, "**Who may call**: "+strings.Join(append([]string{"callers with a token"}, f.Rules...), "; ")+".")
	}
	var limits []string
	for _, l := range f.Limits {
		limits = append(limits, l.Rule)
	}
	if len(limits) > 0 {
		lines = append(lines, "**Limits**:\n\n- "+strings.Join(limits, "\n- "))
	}
	if ownBody && f.bodyLimit > 0 {
		lines = append(lines, fmt.Sprintf("**Body**: at most %d bytes.", f.bodyLimit))
	}
	return strings.Join(append(lines, f.Notes...), "\n\n")
}

// tell adds the words to an operation's description.
func (f *facts) tell(op *openapi.Node) {
	if f.text == "" {
		return
	}
	text := f.text
	if own := strings.TrimRight(op.Str("description"), "\n "); own != "" {
		text = own + "\n\n" + text
	}
	op.Set("description", openapi.NewString(text))
}

// extension is the same for programs.
func (f *facts) extension(r *snapshot.Route) *openapi.Node {
	n := openapi.NewObject("route", r.Name)
	for _, list := range []struct {
		name  string
		texts []string
	}{{"roles", f.Roles}, {"scopes", f.Scopes}, {"permissions", f.Permissions}} {
		if len(list.texts) > 0 {
			n.Set(list.name, openapi.NewStrings(list.texts...))
		}
	}
	if len(f.Limits) > 0 {
		limits := openapi.NewArray()
		for _, l := range f.Limits {
			limits.Append(openapi.NewObject("name", l.Name, "rule", l.Rule))
		}
		n.Set("limits", limits)
	}
	if f.bodyLimit > 0 {
		n.Set("maxBodyBytes", openapi.NewInt(f.bodyLimit))
	}
	return n
}

// parameters are those that the route or a policy of the gateway looks at.
func (f *facts) parameters(r *snapshot.Route) (list []*openapi.Node) {
	c := r.Config()
	for _, where := range []struct {
		in     string
		wanted map[string]string
	}{{"header", c.Headers}, {"query", c.Query}} {
		for _, name := range sortedKeys(where.wanted) {
			schema := openapi.NewObject("type", "string")
			if v := where.wanted[name]; v != "*" {
				schema.Set("enum", openapi.NewStrings(v))
			}
			list = append(list, openapi.NewObject("name", name, "in", where.in, "required", true,
				"description", "Without it the request goes elsewhere.", "schema", schema))
		}
	}
	for _, h := range f.RequestHeaders {
		list = append(list, openapi.NewObject("name", h.Name, "in", "header", "description", h.Description, "schema", schemaOf(h)))
	}
	return list
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func schemaOf(h policy.HeaderNote) *openapi.Node {
	if h.Schema == nil {
		return openapi.NewObject("type", "string")
	}
	return h.Schema.Clone()
}

func headersOf(notes []policy.HeaderNote) *openapi.Node {
	n := openapi.NewObject()
	for _, h := range notes {
		n.Set(h.Name, openapi.NewObject("description", h.Description, "schema", schemaOf(h)))
	}
	return n
}

// responses are those of the service and the refusals of the gateway, with the fields that
// the gateway adds.
func (m *merger) responses(im *importer, o *openapi.Operation, f *facts) *openapi.Node {
	out := openapi.NewObject()
	refusals := refusalsOf(o, f)
	for _, r := range o.Node.Get("responses").Pairs() {
		own := im.copy(im.from.Deref(r.Value))
		if own == nil {
			continue
		}
		m.dress(own, f, r.Name)
		if status, err := strconv.Atoi(r.Name); err == nil && len(refusals[status]) > 0 {
			m.joinRefusal(im, own, r.Value, refusals[status])
			delete(refusals, status)
		}
		out.Set(r.Name, own)
	}
	for _, status := range sortedStatuses(refusals) {
		out.Set(strconv.Itoa(status), m.refusal(f, status, refusals[status]))
	}
	if out.Get("default") == nil {
		out.Set("default", m.refusal(f, 0, nil))
	}
	slices.SortStableFunc(out.Members, func(a, b openapi.Member) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// refusalsOf are the refusals that an operation can meet. What the bound of bodies refuses is
// for those that take one.
func refusalsOf(o *openapi.Operation, f *facts) map[int][]*exchange.Reason {
	all := make(map[int][]*exchange.Reason, len(f.refusals)+1)
	for status, reasons := range f.refusals {
		all[status] = reasons
	}
	if f.bodyLimit > 0 && o.Node.Get("requestBody") != nil {
		all[http.StatusRequestEntityTooLarge] = append(slices.Clone(all[http.StatusRequestEntityTooLarge]), exchange.BodyTooLarge)
	}
	return all
}

func sortedStatuses(m map[int][]*exchange.Reason) []int {
	keys := make([]int, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// dress adds the fields that the gateway sets on an answer. Where the service sets the same
// one, the gateway's wins.
func (m *merger) dress(response *openapi.Node, f *facts, status string) {
	var headers *openapi.Node
	for _, h := range f.ResponseHeaders {
		if len(h.Only) > 0 && !slices.ContainsFunc(h.Only, func(s int) bool { return strconv.Itoa(s) == status }) {
			continue
		}
		if headers = response.Get("headers"); headers == nil {
			headers = openapi.NewObject()
			response.Set("headers", headers)
		}
		headers.Members = slices.DeleteFunc(headers.Members, func(own openapi.Member) bool { return strings.EqualFold(own.Name, h.Name) })
		headers.Set(h.Name, openapi.NewObject("$ref", m.header(h)))
	}
}

// header makes a component of a field, and returns the reference to it.
func (m *merger) header(h policy.HeaderNote) string {
	section := m.section("headers")
	if !m.headers[h.Name] {
		m.headers[h.Name] = true
		section.Set(h.Name, openapi.NewObject("description", h.Description, "schema", schemaOf(h)))
	}
	return componentsRef + "headers/" + openapi.Escape(h.Name)
}

func (m *merger) section(kind string) *openapi.Node {
	s := m.parts.Get(kind)
	if s == nil {
		s = openapi.NewObject()
		m.parts.Set(kind, s)
	}
	return s
}

const errorRef = componentsRef + "schemas/GatewayError"

// codesOf is the schema of the codes in the shape of refusals.
const codesOf = "GatewayErrorCode"

// bringError brings the shape of refusals along, with the codes that there are: a client
// that asks for one that never comes is told so when it is compiled.
func (m *merger) bringError(im *importer) {
	im.reference(errorRef)
	if schema := m.section("schemas").Get(codesOf); schema.Is(openapi.Object) {
		schema.Set("enum", openapi.NewStrings(codes()...))
	}
}

// codes are those of all refusals, whichever policies there are: so that a configuration
// that changes makes no other clients.
func codes() (all []string) {
	for _, r := range catalog.Reasons() {
		if r.Status != exchange.ClientGone.Status { // which only logs see
			all = append(all, r.Code)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// refusal is the answer of the gateway itself with a status, 0 for any other.
func (m *merger) refusal(f *facts, status int, reasons []*exchange.Reason) *openapi.Node {
	node := openapi.NewObject("description", refusalWords(reasons))
	m.dress(node, f, strconv.Itoa(status))
	content := openapi.NewObject("schema", openapi.NewObject("$ref", errorRef))
	if len(reasons) > 0 {
		content.Set("examples", refusalExamples(reasons))
	}
	node.Set("content", openapi.NewObject("application/json", content))
	key := string(node.AppendJSON(nil, ""))
	name := m.refusals[key]
	if name == "" {
		name = "Gateway" + strconv.Itoa(status)
		if status == 0 {
			name = "GatewayDefault"
		}
		for n, base := 2, name; m.section("responses").Get(name) != nil; n++ {
			name = base + "Variant" + strconv.Itoa(n) // generators drop an underscore: Gateway4012 would be a strange status
		}
		m.refusals[key] = name
		m.section("responses").Set(name, node)
	}
	return openapi.NewObject("$ref", componentsRef+"responses/"+name)
}

// refusalWords says what codes there are. What is behind one that stands for several reasons
// is for the message to say.
func refusalWords(reasons []*exchange.Reason) string {
	if len(reasons) == 0 {
		return "Any other refusal of the gateway."
	}
	var words []string
	for _, r := range reasons {
		same := func(other *exchange.Reason) bool { return other.Code == r.Code && other.Message != r.Message }
		text := fmt.Sprintf("`%s`: %s.", r.Code, strings.TrimSuffix(r.Message, "."))
		if slices.ContainsFunc(reasons, same) {
			text = fmt.Sprintf("`%s`: the message says why.", r.Code)
		}
		if !slices.Contains(words, text) {
			words = append(words, text)
		}
	}
	return strings.Join(words, " ")
}

// refusalExamples has an error of each code.
func refusalExamples(reasons []*exchange.Reason) *openapi.Node {
	n := openapi.NewObject()
	for _, r := range reasons {
		if n.Get(r.Code) == nil {
			n.Set(r.Code, openapi.NewObject("summary", r.Message, "value", errorExample(r)))
		}
	}
	return n
}

func errorExample(r *exchange.Reason) *openapi.Node {
	e := openapi.NewObject("code", r.Code, "message", r.Message, "status", r.Status,
		"timestamp", "2026-01-31T09:30:00.000Z", "request_id", "6f1d1f0e-4b7c-4f6e-9d2a-1c3b5a7e9f00")
	if r.Status == http.StatusServiceUnavailable {
		e.Set("retryAfter", openapi.NewInt(30))
	}
	return openapi.NewObject("error", e)
}

// joinRefusal says that an answer which the service documents may be the gateway's as well.
func (m *merger) joinRefusal(im *importer, response, written *openapi.Node, reasons []*exchange.Reason) {
	text := strings.TrimSpace(response.Str("description"))
	response.Set("description", openapi.NewString(strings.TrimSpace(text+" From the gateway: "+refusalWords(reasons))))
	content := response.Get("content")
	if content == nil {
		content = openapi.NewObject()
		response.Set("content", content)
	}
	own := content.Get("application/json")
	if own == nil {
		content.Set("application/json", openapi.NewObject("schema", openapi.NewObject("$ref", errorRef)))
		return
	}
	if m.covers(im, written, reasons) {
		return
	}
	schema := own.Get("schema")
	if schema == nil {
		return // it may be anything
	}
	own.Set("schema", openapi.NewObject("anyOf", openapi.NewArray(schema, openapi.NewObject("$ref", errorRef))))
}

// security says what callers have to bring: what the gateway asks for, and what the service
// asks for beside that.
func (m *merger) security(im *importer, o *openapi.Operation, f *facts) *openapi.Node {
	gateway := openapi.NewArray()
	for _, s := range f.Schemes {
		gateway.Append(openapi.NewObject(m.scheme(s), openapi.NewArray()))
	}
	if f.Anonymous || len(gateway.Items) == 0 {
		gateway.Append(openapi.NewObject())
	}
	own := o.Node.Get("security")
	if own == nil && im.prefix != "" {
		own = im.from.Root.Get("security")
	}
	if len(own.Elements()) == 0 {
		if len(f.Schemes) == 0 {
			return openapi.NewArray()
		}
		return gateway
	}
	out := openapi.NewArray()
	for _, g := range gateway.Items {
		for _, s := range own.Items {
			both := g.Clone()
			for _, requirement := range s.Pairs() {
				if name := m.serviceScheme(im, requirement.Name, f); both.Get(name) == nil {
					both.Set(name, requirement.Value.Clone())
				}
			}
			out.Append(both)
		}
	}
	out.Items = least(out.Items)
	return out
}

// least leaves out alternatives that ask for all that another one does, and more.
func least(all []*openapi.Node) (kept []*openapi.Node) {
	includes := func(n, other *openapi.Node) bool {
		return !slices.ContainsFunc(other.Members, func(m openapi.Member) bool { return n.Get(m.Name) == nil })
	}
	for i, n := range all {
		more := func(j int, other *openapi.Node) bool {
			return i != j && includes(n, other) && (len(other.Members) < len(n.Members) || j < i)
		}
		superfluous := false
		for j, other := range all {
			superfluous = superfluous || more(j, other)
		}
		if !superfluous {
			kept = append(kept, n)
		}
	}
	return kept
}

// bearerScheme is the name of the scheme that nearly everybody uses.
const bearerScheme = "bearerAuth"

// scheme makes a component of a way to say who calls, and returns its name.
func (m *merger) scheme(s policy.Scheme) string {
	name, node := bearerScheme, openapi.NewObject("type", "http", "scheme", "bearer", "bearerFormat", "JWT")
	if s.In != "header" {
		name = s.In + "_" + componentName(s.Name)
		node = openapi.NewObject("type", "apiKey", "in", s.In, "name", s.Name, "description", "The access token.")
	}
	m.section("securitySchemes").Set(name, node)
	return name
}

// serviceScheme is what a scheme of the service is called in the gateway's document: a token
// in the same place is the one that the gateway looks at.
func (m *merger) serviceScheme(im *importer, own string, f *facts) string {
	node := im.from.Deref(im.from.Root.At("components", "securitySchemes", own))
	if strings.EqualFold(node.Str("scheme"), "bearer") && node.Str("type") == "http" {
		return m.scheme(policy.Scheme{In: "header"})
	}
	same := policy.Scheme{In: node.Str("in"), Name: node.Str("name")}
	if node.Str("type") == "apiKey" && slices.Contains(f.Schemes, same) {
		return m.scheme(same)
	}
	name := im.name(own)
	if node != nil {
		m.section("securitySchemes").Set(name, im.copy(node))
	}
	return name
}
