package apidocs

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"yett/internal/config"
	"yett/internal/exchange"
	"yett/internal/openapi"
	"yett/internal/policy"
	"yett/internal/snapshot"
)

// facts is what the gateway adds to every operation of a route.
type facts struct {
	*policy.Description
	route config.Route
	// refusals are the reasons for which a call may be refused, by status; ofBodies those
	// for which one that takes a body may be.
	refusals map[int][]*exchange.Reason
	ofBodies []*exchange.Reason
	// text is what people are told, in Markdown.
	text string
	// bodyLimit is the largest request body in bytes, 0 for any.
	bodyLimit int64
	// headerRefs are references to ResponseHeaders, refused and joined the names of answers,
	// once they have become components. said is what refusalWords says.
	headerRefs    []string
	refused, said map[refusalKey]string
	joined        map[joinedKey]string
	answers       map[answerKey]string
}

func newFacts(s *snapshot.Snapshot, r *snapshot.Route) *facts {
	c := r.Config()
	f := &facts{
		Description: r.Chain.Describe(), route: c, refusals: make(map[int][]*exchange.Reason),
		refused: make(map[refusalKey]string), said: make(map[refusalKey]string), joined: make(map[joinedKey]string), answers: make(map[answerKey]string),
	}
	f.refuse(f.Refusals...)
	if c.Service != "" && f.Answer == nil && !answersInstead(r) {
		f.called()
	}
	f.bodyLimit = leastBody(s)
	if c.Limits.Body != nil {
		f.bodyLimit = int64(*c.Limits.Body)
	}
	if f.bodyLimit > 0 {
		f.ofBodies = append(f.ofBodies, exchange.BodyTooLarge)
	}
	if c.Limits.RequireLength {
		f.ofBodies = append(f.ofBodies, exchange.LengthRequired)
	}
	f.headerRefs = make([]string, len(f.ResponseHeaders))
	f.text = f.words()
	return f
}

// called adds what may come of calling a service. What a policy says of the same field counts.
func (f *facts) called() {
	f.refuse(exchange.ConnectFailed, exchange.UpstreamReset, exchange.UpstreamBad)
	f.refuse(exchange.NoTarget, exchange.PoolExhausted, exchange.BreakerOpen, exchange.ServiceOverloaded)
	f.refuse(exchange.ConnectTimeout, exchange.UpstreamTimeout)
	f.ResponseHeaders = slices.Insert(slices.Clone(f.ResponseHeaders), 0, policy.HeaderNote{
		Name: "Retry-After", Description: "Seconds after which to try again.",
		Schema: openapi.NewObject("type", "integer", "minimum", 1), Only: []int{http.StatusServiceUnavailable},
	})
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

// words says who may call, how often, and what leads a request here.
func (f *facts) words() string {
	var lines []string
	switch {
	case f.Anonymous:
		lines = append(lines, "**Who may call**: anybody. A token is welcome, but it has to be good.")
	case len(f.Schemes) > 0:
		lines = append(lines, "**Who may call**: "+strings.Join(append([]string{"callers with a token"}, f.Rules...), "; ")+".")
	}
	if hosts := f.route.Host; len(hosts) > 0 {
		lines = append(lines, "**Host**: "+strings.Join(hosts, ", ")+".")
	}
	var limits []string
	for _, l := range f.Limits {
		limits = append(limits, l.Rule)
	}
	if len(limits) > 0 {
		lines = append(lines, "**Limits**:\n\n- "+strings.Join(limits, "\n- "))
	}
	if f.route.Limits.Body != nil && f.bodyLimit > 0 {
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
func (f *facts) extension() *openapi.Node {
	n := openapi.NewObject("route", f.route.Name)
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
func (f *facts) parameters() (list []*openapi.Node) {
	c := f.route
	for _, where := range []struct {
		in     string
		wanted map[string]string
	}{{"header", c.Headers}, {"query", c.Query}} {
		for _, name := range sortedKeys(where.wanted) {
			text := "Without it the request goes elsewhere."
			if where.wanted[name] != "*" {
				text = "Without the right value the request goes elsewhere." // which may be a secret
			}
			list = append(list, openapi.NewObject("name", name, "in", where.in, "required", true,
				"description", text, "schema", openapi.NewObject("type", "string")))
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
