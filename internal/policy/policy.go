// Package policy is the contract between the gateway and its policies: what
// a policy is (Policy), how one is described (Kind), and how several run one
// after the other (Chain). A policy itself is a folder below this one.
package policy

import (
	"yett/internal/assertion"
	"yett/internal/exchange"
	"yett/internal/limit"
	"yett/internal/meter"
	"yett/internal/openapi/source"
	"yett/internal/problem"
	"yett/internal/role"
	"yett/internal/route"
	"yett/internal/token"
)

// Policy is one rule that every exchange of a route passes. A Policy is built
// once for a snapshot and serves many exchanges at the same time, so it holds
// no state of a single one: that goes into the slot.
type Policy interface {
	// Request runs before the route's service is called, in the order of the
	// catalogue. Reply stops the chain; the policy has then set the answer,
	// mostly by x.Refuse.
	Request(x *exchange.Exchange, s *exchange.Slot) exchange.Verdict
	// Response runs when the answer's head is known, in reverse order, and only
	// for links whose Request ran. The body has not been sent yet.
	Response(x *exchange.Exchange, s *exchange.Slot)
	// End runs when body or tunnel are finished, in reverse order, and only for
	// links whose Request ran. Headers must not be read any more.
	End(x *exchange.Exchange, s *exchange.Slot)
}

// Base is embedded by policies for the phases that they skip.
type Base struct{}

// Request lets the exchange pass.
func (Base) Request(*exchange.Exchange, *exchange.Slot) exchange.Verdict { return exchange.Continue }

// Response changes nothing.
func (Base) Response(*exchange.Exchange, *exchange.Slot) {}

// End does nothing.
func (Base) End(*exchange.Exchange, *exchange.Slot) {}

// Phases are those that a policy has, a bit for each.
type Phases uint8

// The phases, in their order.
const (
	OnRequest Phases = 1 << iota
	OnResponse
	OnEnd
)

// Phased is a policy that says which phases it has: a chain skips the others, which costs less
// than calling what does nothing. One that says nothing is called in all.
type Phased interface{ Phases() Phases }

// RequestOnly is embedded, instead of Base, by a policy that has a Request and nothing else.
type RequestOnly struct{ Base }

// Phases implements Phased.
func (RequestOnly) Phases() Phases { return OnRequest }

// ResponseOnly is embedded, instead of Base, by a policy that has a Response and nothing else.
type ResponseOnly struct{ Base }

// Phases implements Phased.
func (ResponseOnly) Phases() Phases { return OnResponse }

// NoEnd is embedded, instead of Base, by a policy that has both others.
type NoEnd struct{ Base }

// Phases implements Phased.
func (NoEnd) Phases() Phases { return OnRequest | OnResponse }

// Deps is what a policy may use beside its configuration. It is filled by
// the composition root, so that a policy needs no global.
type Deps struct {
	// Gateway is the configured name of the gateway, Version its build.
	Gateway, Version string
	// Tokens verifies tokens of the configured issuers, of which there may be
	// none.
	Tokens *token.Verifier
	// Roles are the configured roles, of which there may be none.
	Roles *role.Set
	// Limits are the configured limits, of which there may be none. Those of a
	// Kind that is built for each route know the service.
	Limits *limit.Set
	// Meter counts what callers use of them. It is nil where a configuration is
	// only checked, so no policy asks it before it has a request.
	Meter *meter.Meter
	// RateLimitFields is how answers of a listener tell what is left of limits, by
	// its name: legacy, structured or off. It is legacy for one that is not there.
	RateLimitFields map[string]string
	// Assertion signs who calls, nil where it is not configured.
	Assertion *assertion.Signer
	// Documents knows the documents of services.
	Documents Documents
	// Route is the route for which the policy is built, zero for a Kind that
	// is built once for all.
	Route Route
}

// Documents knows the OpenAPI documents of services.
type Documents interface {
	// Of returns where a service's document comes from, nil where the configuration names
	// none for it.
	Of(service string) *source.Source
}

// Route is what a policy may know of its route when it is built.
type Route struct {
	// Auth is none, optional or required.
	Auth string
	// Service is the name of the route's service, "" when it has none.
	Service string
	// Rewrite makes the path that the service sees, nil where it is the normalised one.
	Rewrite *route.Rewrite
	// Params are the names that every path of the route has a value for.
	Params []string
	// Nowhere tells that there is no route: what matches none passes the global
	// policies.
	Nowhere bool
}

// LimitUser is the configuration of a policy that counts by configured limits.
type LimitUser interface {
	// UsesLimits returns their names.
	UsesLimits() []string
}

// Reserver is a policy that sets request headers which no client may send, on
// any route.
type Reserver interface {
	// Reserves returns the names.
	Reserves() []string
}

// Explainer is a policy that can say more about a request than its verdict.
type Explainer interface {
	// Explain returns lines for people about what Request, which has just run,
	// has looked at and found. It returns no secret.
	Explain(x *exchange.Exchange, s *exchange.Slot) []string
}

// Decoder fills a policy's configuration from what the operator wrote,
// strictly. Problems carry the place in the file.
type Decoder interface {
	Decode(into any) problem.List
}

// Kind describes a policy: its name in the configuration, how it is built,
// and every reason for which it may refuse.
type Kind struct {
	// Name is the key in the configuration and what logs show.
	Name string
	// Of is nil, but for a further part of a policy, which stands at a place of its
	// own: it is the Kind whose name and configuration the part shares. Part says
	// for people which part this is, "" for a policy of one part.
	Of   *Kind
	Part string
	// Answers tells that the policy always replies, so that a route which has
	// it needs no service.
	Answers bool
	// Instead tells that the policy answers instead of the route's service, by its
	// document, so that it stands beside a service and needs one.
	Instead bool
	// PerRoute tells that the policy has to know its route, so that it is built
	// for each one, a global one too.
	PerRoute bool
	// Authenticates tells that the policy finds out who calls, Authorizes that
	// it refuses by who calls. Neither runs on a route with auth: none.
	Authenticates, Authorizes bool
	// Preflights tells that the policy answers CORS preflights, so that it gets
	// those of a route that does not serve the method OPTIONS.
	Preflights bool
	// GuardsPreflights tells that the part only concerns preflights which a policy
	// behind it answers, so that it is left out where none does.
	GuardsPreflights bool
	// Dresses tells that what the policy adds belongs to every answer, also to the
	// refusals of a gateway that has too much to do and runs nothing else. It is
	// quick and asks nobody.
	Dresses bool
	// NeedsDocument tells that the policy goes by the document of the route's service. It
	// has to know its route.
	NeedsDocument bool
	// Reasons is the closed list of its refusals. Those of further parts are in the
	// list of the first.
	Reasons []*exchange.Reason

	defaults func() any
	build    func(Decoder, Deps) (Policy, problem.List)
}

// Define makes a Kind from a configuration type. defaults returns the
// configuration before the operator's words are laid over it. build checks
// all of it, reporting every problem with a Path relative to the policy's
// configuration, and makes the policy. It returns neither where there is nothing
// wrong and nothing to do.
func Define[C any](name string, defaults func() C, build func(C, Deps) (Policy, problem.List), reasons ...*exchange.Reason) *Kind {
	return &Kind{
		Name:     name,
		Reasons:  reasons,
		defaults: func() any { c := defaults(); return &c },
		build:    decoding(defaults, build),
	}
}

// PartOf makes a further part of a policy whose configuration is a C. part names it
// for people. build finds the same mistakes as the policy's own, or fewer.
func PartOf[C any](of *Kind, part string, build func(C, Deps) (Policy, problem.List)) *Kind {
	defaults := func() C { return *of.defaults().(*C) }
	return &Kind{Name: of.Name, Of: of, Part: part, PerRoute: of.PerRoute, defaults: of.defaults, build: decoding(defaults, build)}
}

// decoding decodes the configuration before it builds.
func decoding[C any](defaults func() C, build func(C, Deps) (Policy, problem.List)) func(Decoder, Deps) (Policy, problem.List) {
	return func(d Decoder, deps Deps) (Policy, problem.List) {
		c := defaults()
		if problems := d.Decode(&c); len(problems) > 0 {
			return nil, problems
		}
		p, problems := build(c, deps)
		if m, ok := any(c).(Moded); ok && m.PolicyMode() == Observe && p != nil && len(problems) == 0 {
			p = observed{p}
		}
		return p, problems
	}
}

// Answering marks a Kind whose policy always replies by itself.
func Answering(k *Kind) *Kind {
	k.Answers = true
	return k
}

// AnsweringInstead marks a Kind whose policy always replies, instead of the route's
// service, by its document.
func AnsweringInstead(k *Kind) *Kind {
	k.Answers, k.Instead = true, true
	return NeedingDocument(k)
}

// Authenticating marks a Kind whose policy finds out who calls.
func Authenticating(k *Kind) *Kind {
	k.Authenticates, k.PerRoute = true, true
	return k
}

// Authorizing marks a Kind whose policy refuses by who calls.
func Authorizing(k *Kind) *Kind {
	k.Authorizes, k.PerRoute = true, true
	return k
}

// ForRoutes marks a Kind whose policy has to know its route.
func ForRoutes(k *Kind) *Kind {
	k.PerRoute = true
	return k
}

// NeedingDocument marks a Kind whose policy goes by the document of the route's service.
func NeedingDocument(k *Kind) *Kind {
	k.NeedsDocument, k.PerRoute = true, true
	return k
}

// AnsweringPreflights marks a Kind whose policy answers CORS preflights.
func AnsweringPreflights(k *Kind) *Kind {
	k.Preflights = true
	return k
}

// Dressing marks a Kind whose policy adds what belongs to every answer.
func Dressing(k *Kind) *Kind {
	k.Dresses = true
	return k
}

// GuardingPreflights marks a part that only concerns preflights which a policy
// behind it answers.
func GuardingPreflights(k *Kind) *Kind {
	k.GuardsPreflights = true
	return k
}

// Build decodes the configuration and makes the policy, which is nil where it has
// nothing to do.
func (k *Kind) Build(d Decoder, deps Deps) (Policy, problem.List) { return k.build(d, deps) }

// Defaults returns a pointer to a fresh default configuration, from which the
// schema and the reference are generated.
func (k *Kind) Defaults() any { return k.defaults() }

// Link is one policy of a chain.
type Link struct {
	Kind   *Kind
	Policy Policy
	skips  Phases
}

// NewLink makes a link that is called only in the phases which its policy has. Other links are
// called in all.
func NewLink(k *Kind, p Policy) Link {
	l := Link{Kind: k, Policy: p}
	if one, ok := p.(Phased); ok {
		l.skips = ^one.Phases()
	}
	return l
}

// Chain is the policies that a request passes, in order. It is built at
// compile time and never changed.
type Chain []Link

// Request runs the links forward until one replies.
func (c Chain) Request(x *exchange.Exchange) exchange.Verdict {
	for i := range c {
		x.SetRan(i + 1)
		if c[i].skips&OnRequest == 0 && c[i].Policy.Request(x, x.Slot(i)) != exchange.Continue {
			return exchange.Reply
		}
	}
	return exchange.Continue
}

// Response runs the links that ran, backward.
func (c Chain) Response(x *exchange.Exchange) {
	for i := x.Ran() - 1; i >= 0; i-- {
		if c[i].skips&OnResponse == 0 {
			c[i].Policy.Response(x, x.Slot(i))
		}
	}
}

// End runs the links that ran, backward. A fault in one of them does not keep the
// others from giving back what they hold; it goes on to the caller.
func (c Chain) End(x *exchange.Exchange) { c[:x.Ran()].end(x) }

func (c Chain) end(x *exchange.Exchange) {
	i := len(c) - 1
	defer func() {
		if i >= 0 {
			c[:i].end(x)
		}
	}()
	for ; i >= 0; i-- {
		if c[i].skips&OnEnd == 0 {
			c[i].Policy.End(x, x.Slot(i))
		}
	}
}
