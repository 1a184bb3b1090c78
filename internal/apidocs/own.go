package apidocs

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"yett/internal/catalog"
	"yett/internal/config"
	"yett/internal/exchange"
	"yett/internal/openapi"
	"yett/internal/policy"
	"yett/internal/policy/validate"
	"yett/internal/snapshot"
)

// pages adds what the gateway answers itself, and tells whether there is anything.
func (m *merger) pages() (any bool) {
	for _, r := range m.in.Snapshot.Routes() {
		m.budget.look()
		c := r.Config()
		if c.Docs == "hidden" || c.Service != "" {
			continue
		}
		for _, pattern := range c.Path {
			if pattern != "*" { // which is no path
				item := m.answered(c, pattern, m.factsOf(r).Answer)
				m.own.know(item)
				any = m.page(r, item, pattern) || any
			}
		}
	}
	return any
}

// nameCodes says what codes there are, where the document has the shape of refusals.
func (m *merger) nameCodes() {
	schemas := m.parts.sections["schemas"]
	if codes := schemas.Get(codesOf); codes.Is(openapi.Object) {
		codes.Set("enum", openapi.NewStrings(refusalCodes()...))
	}
}

// codesOf is the schema of the codes in the shape of refusals.
const codesOf = "GatewayErrorCode"

// refusalCodes are those of all refusals, whichever policies there are: a client that asks
// for one that never comes is told so when it is compiled, and a configuration that changes
// makes no other clients.
func refusalCodes() (all []string) {
	for _, r := range catalog.Reasons() {
		if r.Status != exchange.ClientGone.Status && r != validate.AnswerInvalid { // which only logs see
			all = append(all, r.Code)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// ownPage describes a page under a path of it, which may end in what the page is written as.
func (m *merger) ownPage(endpoint, pattern string) *openapi.Node {
	if as := path.Ext(pattern); as == ".json" || as == ".yaml" {
		if item := m.in.Own(endpoint + as); item != nil {
			return item
		}
	}
	return m.in.Own(endpoint)
}

// answered is what a route without a service answers under one of its paths, as a path item.
// It is empty where that is not known.
func (m *merger) answered(c config.Route, pattern string, a *policy.AnswerNote) *openapi.Node {
	switch {
	case c.Endpoint != "" && m.in.Own != nil:
		item := m.ownPage(c.Endpoint, pattern)
		if item == nil {
			break
		}
		item.Members = slices.DeleteFunc(item.Members, func(op openapi.Member) bool {
			return slices.Contains(openapi.Methods(), op.Name) && len(c.Methods) > 0 && !slices.Contains(c.Methods, strings.ToUpper(op.Name))
		})
		return item
	case a != nil:
		return answeredByPolicy(c.Methods, a)
	}
	return openapi.NewObject()
}

func answeredByPolicy(methods []string, a *policy.AnswerNote) *openapi.Node {
	answer := openapi.NewObject("description", "What the gateway answers.")
	if len(a.Headers) > 0 {
		answer.Set("headers", headersOf(a.Headers))
	}
	if a.ContentType != "" {
		answer.Set("content", openapi.NewObject(a.ContentType, openapi.NewObject("schema", a.Schema, "example", a.Example)))
	}
	if len(methods) == 0 {
		methods = []string{"GET"} // it answers whatever is asked, which says nothing
	}
	item := openapi.NewObject()
	for _, method := range methods {
		item.Set(strings.ToLower(method), openapi.NewObject("responses", openapi.NewObject(strconv.Itoa(a.Status), answer)))
	}
	return item
}

// page adds what the gateway answers under a pattern, unless another route takes the path.
func (m *merger) page(r *snapshot.Route, item *openapi.Node, pattern string) (any bool) {
	path := strings.TrimSuffix(pattern, "/**")
	if path == "" {
		path = "/"
	}
	for _, member := range item.Pairs() {
		method := strings.ToUpper(member.Name)
		if !slices.Contains(openapi.Methods(), member.Name) {
			continue
		}
		key, ok := m.tracer.arrives(r, method, path)
		if !ok || m.taken[method+" "+key] != "" {
			continue
		}
		m.taken[method+" "+key] = r.Name
		at := m.item(path, key)
		o := &openapi.Operation{Method: method, Path: path, Written: path, ID: member.Value.Str("operationId"), Node: member.Value, Item: item}
		at.node.Set(member.Name, m.pageOperation(r, o, at.path))
		any = true
	}
	return any
}

func (m *merger) pageOperation(r *snapshot.Route, o *openapi.Operation, path string) *openapi.Node {
	f := m.factsOf(r)
	op := openapi.NewObject("tags", openapi.NewStrings(m.gatewayTag()))
	summary, id := o.Node.Str("summary"), o.ID
	if id == "" { // a policy answers: the route is all that is known
		summary, id = "Route "+r.Name, routeID(r.Name, o.Method)
	}
	op.Set("summary", openapi.NewString(summary))
	if text := o.Node.Str("description"); text != "" {
		op.Set("description", openapi.NewString(text))
	}
	f.tell(op)
	op.Set("operationId", openapi.NewString(m.ids.unique(id)))
	if list := m.parameters(m.own, o, o.Path, path, f); len(list.Items) > 0 {
		op.Set("parameters", list)
	}
	if body := o.Node.Get("requestBody"); body != nil {
		op.Set("requestBody", m.own.copy(body))
	}
	op.Set("responses", m.responses(m.own, o, f))
	op.Set("security", m.security(m.own, o, f))
	op.Set("x-yett", f.extension())
	return op
}

// routeID makes an operationId of a route's name.
func routeID(name, method string) string {
	id := "gateway"
	for _, word := range strings.FieldsFunc(name, func(r rune) bool { return !plain(r) || r == '-' || r == '_' }) {
		id += strings.ToUpper(word[:1]) + word[1:]
	}
	if method != "GET" {
		id += method[:1] + strings.ToLower(method[1:])
	}
	return id
}
