package gateway

import (
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"yett/internal/exchange"
	"yett/internal/policy"
	"yett/internal/snapshot"
	"yett/internal/upstream"
)

// Who refuses, and who answers.
const (
	byEngine   = "engine"
	byRoutes   = "routes"
	byLimits   = "limits"
	byService  = "service"
	byEndpoint = "endpoint"
	byPolicy   = "policy"
	byGateway  = "gateway"
)

// mostBody is how much of an answer's body a Walk shows, in bytes.
const mostBody = 4 << 10

// walker takes notes on the way of one exchange. The nil walker takes none.
type walker struct {
	out     Walk
	before  []exchange.Field // the header as it came
	refused string           // who refuses, if it is no policy
	stopped string           // the policy that replied, or failed
	replied bool             // it did, with an answer and not a refusal
	pretend bool             // nobody has answered yet who knows the answer
	added   []Field          // fields of the answer, and who added them
}

// comes notes the request as the engine gives it to the gateway.
func (w *walker) comes(x *exchange.Exchange, refused *exchange.Reason) {
	if w == nil {
		return
	}
	w.before = slices.Clone(x.Request.Fields())
	if refused != nil {
		w.refused = byEngine
	}
}

// entered notes what the door has done to the request.
func (w *walker) entered(x *exchange.Exchange) {
	if w == nil {
		return
	}
	w.out.Client = Client{Address: x.Client.String(), Peer: x.Peer.Addr().String(), Proxy: x.PeerTrusted, How: w.how(x)}
	after := x.Request.Fields()
	for _, f := range w.before {
		if len(after) > 0 && after[0] == f {
			after = after[1:]
			continue
		}
		w.out.Dropped = append(w.out.Dropped, Dropped{strings.Clone(f.Name), w.why(f)})
	}
}

// how says how the client's address was found.
func (w *walker) how(x *exchange.Exchange) string {
	source := ""
	for _, k := range []struct {
		key  exchange.Key
		name string
	}{{exchange.KeyXForwardedFor, "X-Forwarded-For"}, {exchange.KeyForwarded, "Forwarded"}} {
		if source == "" && slices.ContainsFunc(w.before, func(f exchange.Field) bool { return f.Key == k.key }) {
			source = k.name
		}
	}
	switch {
	case source == "":
		return "the other end of the connection"
	case !x.PeerTrusted:
		return "the other end of the connection: it is not in trusted_proxies, so " + source + " is not believed"
	case x.Client == x.Peer.Addr().WithZone(""):
		return "the other end of the connection, a listed proxy: its " + source + " names no address"
	}
	return source + " from right to left, up to the first that is not in trusted_proxies"
}

// why says why a field was dropped.
func (w *walker) why(f exchange.Field) string {
	named := slices.ContainsFunc(w.before, func(c exchange.Field) bool {
		return c.Key == exchange.KeyConnection && exchange.HasToken(c.Value, f.Name)
	})
	switch {
	case f.Key.HopByHop() || named:
		return "it is about this connection alone"
	case f.Key != exchange.KeyOther || strings.HasPrefix(strings.ToLower(f.Name), "x-forwarded-"):
		return "only a listed proxy may say it"
	}
	return "only the gateway may say it"
}

// matched notes the route, and has the links of its chain watched.
func (w *walker) matched(x *exchange.Exchange, s *snapshot.Snapshot, r *snapshot.Route, refused *exchange.Reason) *snapshot.Route {
	if w == nil {
		return r
	}
	if refused != nil && w.refused == "" {
		w.refused = byRoutes
	}
	if w.refused != byEngine {
		w.notice(x, s, refused)
	}
	watched := *r
	watched.Chain = make(policy.Chain, len(r.Chain))
	for i, l := range r.Chain {
		_, observes := policy.Unwrap(l.Policy)
		step := Step{Policy: l.Kind.Name, Part: l.Kind.Part, Verdict: NotReached}
		if observes {
			step.Mode = string(policy.Observe)
		}
		w.out.Policies = append(w.out.Policies, step)
		watched.Chain[i] = policy.Link{Kind: l.Kind, Policy: &watch{Policy: l.Policy, w: w, i: i}}
	}
	if r.Endpoint != nil {
		w.out.Answers.Kind = byEndpoint
		watched.Endpoint = standIn{w}
	}
	return &watched
}

// notice notes the route, and others whose path fits.
func (w *walker) notice(x *exchange.Exchange, s *snapshot.Snapshot, refused *exchange.Reason) {
	if x.Route != "" && refused != nil {
		w.out.Route = &Route{Name: strings.Clone(x.Route), Preflight: true}
	}
	for _, n := range s.Near(x) {
		if n.Miss != "" {
			w.out.Near = append(w.out.Near, Near{n.Name, n.Path, n.Miss})
			continue
		}
		conf := s.RouteConfig(n.Index)
		w.out.Route = &Route{Name: n.Name, Host: n.Host, Path: n.Path, Methods: n.Methods, Conditions: n.Conditions, Auth: conf.Auth}
		w.out.Answers.Name = conf.Endpoint
		if conf.Priority == "high" {
			w.out.Route.Priority = conf.Priority
		}
		for _, p := range x.Params() {
			w.out.Route.Values = append(w.out.Route.Values, Value{strings.Clone(p.Name), public(p.Value)})
		}
	}
}

// chosen returns the service that gets the request, and notes how it is chosen. A walk leaves
// nothing to chance: without a key it shows what most requests get.
func (w *walker) chosen(x *exchange.Exchange, r *snapshot.Route) *upstream.Service {
	if w == nil || r.Split == nil {
		return r.Choose(x)
	}
	to := r.Split.Bound(x)
	w.out.Split = &Split{By: r.Split.By(), Bound: to != nil}
	var most upstream.Portion
	for _, p := range r.Split.Portions() {
		w.out.Split.Shares = append(w.out.Split.Shares, Share{p.Service.Name(), p.Share().String()})
		if p.Parts >= most.Parts {
			most = p
		}
	}
	if to == nil {
		return most.Service
	}
	return to
}

// sent notes what the service would be sent, in place of sending it.
func (w *walker) sent(x *exchange.Exchange, r *snapshot.Route, to *upstream.Service) *exchange.Reason {
	w.out.Answers = Answerer{Kind: byService, Name: to.Name(), Targets: to.Targets()}
	if m := r.Mirror; m != nil {
		w.out.Mirror = &Mirror{m.Service().Name(), m.Share().String(), m.Methods(), m.Refuses(x, to)}
	}
	target, head, reason := to.Preview(x)
	if reason != nil {
		w.refused = byService
		return reason
	}
	w.out.Sent = readHead(target, head)
	w.pretend, x.Status = true, http.StatusOK
	return nil
}

// readHead takes the head of a request apart again.
func readHead(target string, head []byte) *Sent {
	lines := strings.Split(strings.TrimSuffix(string(head), "\r\n\r\n"), "\r\n")
	method, rest, _ := strings.Cut(lines[0], " ")
	path, version, _ := strings.Cut(rest, " ")
	sent := &Sent{Target: target, Line: method + " " + publicTarget(path) + " " + version}
	for _, line := range lines[1:] {
		name, value, _ := strings.Cut(line, ": ")
		sent.Fields = append(sent.Fields, Field{Name: name, Value: publicValue(name, value)})
	}
	return sent
}

func publicTarget(target string) string {
	path, query, has := strings.Cut(target, "?")
	if !has {
		return public(path)
	}
	return public(path) + "?" + publicQuery(query)
}

// standIn answers instead of a page of the gateway.
type standIn struct{ w *walker }

// Serve implements snapshot.Endpoint.
func (p standIn) Serve(x *exchange.Exchange) {
	p.w.pretend, x.Status = true, http.StatusOK
}

// watch is a link of the chain, seen at work.
type watch struct {
	policy.Policy
	w *walker
	i int
}

// Request lets the policy decide, and notes what it does.
func (p *watch) Request(x *exchange.Exchange, s *exchange.Slot) exchange.Verdict {
	step := &p.w.out.Policies[p.i]
	request, response := slices.Clone(x.Request.Fields()), slices.Clone(x.Response.Fields())
	observed := len(x.Observed())
	p.w.stopped = step.Policy // should it fail
	verdict := p.Policy.Request(x, s)
	switch {
	case verdict != exchange.Continue && x.Reason != nil:
		step.Verdict = Refuses
		step.Refusal = refusal(x.Reason, x.Detail, byPolicy+" "+step.Policy)
	case verdict != exchange.Continue:
		step.Verdict, p.w.replied = Answers, true
		p.w.out.Answers = Answerer{Kind: byPolicy, Name: step.Policy}
	case len(x.Observed()) > observed:
		o := x.Observed()[len(x.Observed())-1]
		step.Verdict = WouldRefuse
		step.Refusal = refusal(o.Reason, o.Detail, byPolicy+" "+step.Policy)
	default:
		step.Verdict = Passes
	}
	if verdict == exchange.Continue {
		p.w.stopped = ""
	}
	p.explain(x, s, step)
	step.Sets, step.Removes = changes(request, x.Request.Fields())
	p.note(response, x)
	return verdict
}

// explain asks the policy for its own words.
func (p *watch) explain(x *exchange.Exchange, s *exchange.Slot, step *Step) {
	inner, _ := policy.Unwrap(p.Policy)
	e, ok := inner.(policy.Explainer)
	if !ok {
		return
	}
	for _, line := range e.Explain(x, s) {
		step.Says = append(step.Says, public(line))
	}
}

// Response notes what the policy adds to the answer.
func (p *watch) Response(x *exchange.Exchange, s *exchange.Slot) {
	response := slices.Clone(x.Response.Fields())
	p.Policy.Response(x, s)
	p.note(response, x)
}

func (p *watch) note(before []exchange.Field, x *exchange.Exchange) {
	added, _ := changes(before, x.Response.Fields())
	for _, f := range added {
		f.By = p.w.out.Policies[p.i].Policy
		p.w.added = append(p.w.added, f)
	}
}

// changes says what is in the second header and not in the first, and the names
// of what the first alone has.
func changes(before, after []exchange.Field) (added []Field, removed []string) {
	before = slices.Clone(before)
	for _, f := range after {
		if i := slices.Index(before, f); i >= 0 {
			before = slices.Delete(before, i, i+1)
			continue
		}
		added = append(added, Field{Name: strings.Clone(f.Name), Value: publicValue(f.Name, f.Value)})
	}
	for _, f := range before {
		if !slices.ContainsFunc(added, func(a Field) bool { return exchange.EqualFold(a.Name, f.Name) }) {
			removed = append(removed, strings.Clone(f.Name))
		}
	}
	return added, removed
}

// finish notes how it has ended.
func (w *walker) finish(x *exchange.Exchange) *Walk {
	target := x.RawPath
	if x.HasQuery {
		target += "?" + x.Query
	}
	w.out.Request = Request{Method: public(x.Method), Target: publicTarget(target), Path: public(x.Path), Host: public(x.Authority),
		Version: x.Version.String(), Listener: strings.Clone(x.Listener), TLS: x.Secure}
	if id := &x.Identity; id.Known() {
		w.out.Caller = &Caller{Subject: public(id.Subject), Email: public(id.Email), Tenant: public(id.Tenant), Plan: public(id.Plan), Roles: slices.Clone(id.Roles),
			Permissions: slices.Clone(id.Permissions), Scopes: slices.Clone(id.Scopes), Issuer: id.Issuer, Expires: id.Expires}
	}
	if x.Reason != nil {
		if w.replied && w.refused != "" { // the answer did not count
			w.stopped = ""
		}
		w.out.Refusal = refusal(x.Reason, x.Detail, w.refuser())
		w.out.Answers = w.answerer()
		w.pretend = false
	}
	w.answer(x)
	return &w.out
}

// refuser says who has refused the exchange.
func (w *walker) refuser() string {
	switch {
	case w.stopped != "":
		return byPolicy + " " + w.stopped
	case w.refused != "":
		return w.refused
	case w.pretend:
		return byGateway // a fault
	}
	return byLimits // all else has left its note
}

func (w *walker) answerer() Answerer {
	if w.stopped != "" {
		return Answerer{Kind: byPolicy, Name: w.stopped}
	}
	return Answerer{Kind: byGateway}
}

// answer notes what the client gets.
func (w *walker) answer(x *exchange.Exchange) {
	for _, f := range x.Response.Fields() {
		out := Field{Name: strings.Clone(f.Name), Value: publicValue(f.Name, f.Value)}
		for _, a := range w.added {
			if exchange.EqualFold(a.Name, out.Name) && a.Value == out.Value {
				out.By = a.By
			}
		}
		w.out.Answer.Fields = append(w.out.Answer.Fields, out)
	}
	if w.pretend {
		return
	}
	w.out.Answer.Status = x.Status
	if body, ok := x.ResponseBody.Whole(); ok && utf8.Valid(body) {
		text := public(string(body))
		w.out.Answer.Body = strings.ToValidUTF8(text[:min(len(text), mostBody)], "") // the cut may go through a character
	}
}

func refusal(r *exchange.Reason, detail, by string) *Refusal {
	return &Refusal{By: by, Status: r.Status, Code: r.Code, Reason: r.Name, Message: r.Message, Detail: public(detail), Help: r.Help}
}
