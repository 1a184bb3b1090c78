package identity

import (
	"yett/internal/assertion"
	"yett/internal/exchange"
	"yett/internal/policy"
	"yett/internal/problem"
)

// Kind describes the policy. It refuses nothing. It is built for each route,
// because an assertion is for one service.
var Kind = policy.ForRoutes(policy.Define("identity", defaults, build))

// identity is the policy. It only adds: what clients have sent under its names
// was dropped at the door, on every route, because the gateway reserves them.
type identity struct {
	policy.RequestOnly
	headers   []header
	assertion string // name of its header, "" for none
	signer    *assertion.Signer
	service   string // "" where nothing is forwarded
}

// header is a request header and what it carries.
type header struct {
	name  string
	value value
}

func build(c Config, deps policy.Deps) (policy.Policy, problem.List) {
	if problems := c.check(deps.Assertion != nil); len(problems) > 0 {
		return nil, problems
	}
	p := &identity{assertion: c.Assertion, signer: deps.Assertion, service: deps.Route.Service}
	for _, e := range c.Headers {
		p.headers = append(p.headers, header{e.Name, valueOf(e.Value)})
	}
	return p, nil
}

// Reserves implements policy.Reserver.
func (p *identity) Reserves() []string {
	var names []string
	for _, h := range p.headers {
		names = append(names, h.name)
	}
	if p.assertion != "" {
		names = append(names, p.assertion)
	}
	return names
}

// Request tells the service who calls.
func (p *identity) Request(x *exchange.Exchange, _ *exchange.Slot) exchange.Verdict {
	if p.service == "" {
		return exchange.Continue
	}
	if x.Identity.Known() {
		for i := range p.headers {
			add(x, p.headers[i].name, p.headers[i].value(x))
		}
	}
	if p.assertion != "" {
		add(x, p.assertion, p.signer.Sign(x, p.service))
	}
	return exchange.Continue
}

// add adds a field that has a value. No field of this policy has a Key.
func add(x *exchange.Exchange, name, value string) {
	if value != "" {
		x.Request.AddField(exchange.Field{Name: name, Value: value})
	}
}

// Explain implements policy.Explainer. The assertion is not shown: whoever has
// it can use it until it ends.
func (p *identity) Explain(x *exchange.Exchange, _ *exchange.Slot) []string {
	if p.service == "" {
		return []string{"nothing is forwarded here, so nobody is told who calls"}
	}
	var lines []string
	for i := range p.headers {
		if v := p.headers[i].value(x); v != "" && x.Identity.Known() {
			lines = append(lines, p.headers[i].name+": "+v)
		}
	}
	if len(lines) == 0 {
		lines = append(lines, "no header tells who calls")
	}
	if p.assertion != "" {
		lines = append(lines, p.assertion+": an assertion for "+p.service+", "+about(x))
	}
	return lines
}

func about(x *exchange.Exchange) string {
	if x.Identity.Known() {
		return "about " + text(x, x.Identity.Subject)
	}
	return "about nobody in particular"
}
