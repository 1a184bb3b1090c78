package ratelimit

import (
	"time"

	"yett/internal/exchange"
	"yett/internal/limit"
	"yett/internal/meter"
	"yett/internal/policy"
	"yett/internal/problem"
	"yett/internal/store"
)

// Why the policy refuses.
var (
	rateLimited       = &exchange.Reason{Name: "rate_limited", Code: "RATE_LIMIT_EXCEEDED", Status: 429, Message: "Too many requests", Help: "A limit of the policy ratelimit is used up; the log's detail names it, and Retry-After says when there is enough again. `yett explain` shows the limits of a request, and what is left of them."}
	limitsUnavailable = &exchange.Reason{Name: "limits_unavailable", Code: "SERVICE_UNAVAILABLE", Status: 503, Message: "The service is unavailable", Help: "The store that counts requests is lost, and the limit that the log's detail names says `on_store_failure: closed`."}
)

// The parts of the policy. Kind, which stands before jwt, is the one with the
// configuration; the others stand before cors and behind jwt.
var (
	Kind       = kind()
	Preflights = policy.GuardingPreflights(policy.PartOf(Kind, "before cors", buildPreflights))
	Callers    = policy.PartOf(Kind, "behind jwt", buildCallers)
)

func kind() *policy.Kind {
	k := policy.ForRoutes(policy.Define("ratelimit", defaults, build, rateLimited, limitsUnavailable))
	k.Part = "before jwt"
	return k
}

// limiter is a limit, see limit.Limit.
type limiter interface {
	Name() string
	AsksCaller() bool
	ForAnonymous() bool
	Claim(c *meter.Call, x *exchange.Exchange, cost int64) bool
	Counts(x *exchange.Exchange) bool
	Shown() bool
	Rules() []store.Rule
	Explain() string
	Facts(cost int64) limit.Facts
}

// counter counts, see meter.Meter.
type counter interface {
	Call() *meter.Call
	Look(c *meter.Call, now time.Time)
	Take(w meter.Waiter, c *meter.Call, now time.Time)
	Count(c *meter.Call, now time.Time)
	Settle(c *meter.Call, now time.Time)
	End(c *meter.Call)
}

// build makes the part before jwt.
func build(c Config, deps policy.Deps) (policy.Policy, problem.List) {
	p, problems := c.plan(deps)
	if len(problems) > 0 || len(p.all) == 0 {
		return nil, problems
	}
	return &limits{plan: p}, nil
}

// buildCallers makes the part behind jwt, where there is something left for it.
func buildCallers(c Config, deps policy.Deps) (policy.Policy, problem.List) {
	p, problems := c.plan(deps)
	if len(problems) > 0 || !p.later {
		return nil, problems
	}
	return &callers{plan: p}, nil
}

// buildPreflights makes the part before cors.
func buildPreflights(c Config, deps policy.Deps) (policy.Policy, problem.List) {
	p, problems := c.plan(deps)
	if len(problems) > 0 || len(p.all) == 0 {
		return nil, problems
	}
	return &preflights{plan: p}, nil
}

func (c Config) plan(deps policy.Deps) (*plan, problem.List) {
	found, problems := c.find(deps)
	p := newPlan(found, deps.Meter, c.Cost, deps.Route.Auth == "none")
	p.observes = c.Mode == policy.Observe
	p.readFields(deps.RateLimitFields)
	return p, problems
}

// opened is noted in the slot of the part that has opened the tab, and has to close it.
const opened = 1

// preflights is the part before cors.
type preflights struct {
	policy.Base
	*plan
}

// Request counts preflights, and nothing else. It stands only before a policy that
// answers them.
func (p *preflights) Request(x *exchange.Exchange, s *exchange.Slot) exchange.Verdict {
	if !policy.IsPreflight(x) {
		return exchange.Continue
	}
	t := p.open(x, s)
	x.PassPreflight = true // what it is for limits: it is cors that has not looked at it yet
	p.claim(x, t, p.all)
	x.PassPreflight = false
	return p.take(x, t)
}

// Response tells what is left.
func (p *preflights) Response(x *exchange.Exchange, s *exchange.Slot) {
	if s.Int == opened {
		p.answer(x, tabOf(x))
	}
}

// End gives back what is held.
func (p *preflights) End(x *exchange.Exchange, s *exchange.Slot) { p.close(x, s) }

// limits is the part before jwt.
type limits struct{ *plan }

// Request counts by limits that need not know who calls, if no others follow. Otherwise
// it only looks at them.
func (p *limits) Request(x *exchange.Exchange, s *exchange.Slot) exchange.Verdict {
	if x.Limits != nil { // a preflight, which was counted before cors
		return exchange.Continue
	}
	t := p.open(x, s)
	if x.PassPreflight || !p.later {
		p.claim(x, t, p.all)
		return p.take(x, t)
	}
	p.claim(x, t, p.early)
	if surelyAnonymous(x) {
		p.claimAnonymous(x, t)
		if len(p.asking) == 0 {
			return p.take(x, t)
		}
	}
	return p.look(x, t)
}

// surelyAnonymous tells that nothing in a request can say who calls, so that it needs no
// look at its token to know: jwt finds tokens in these places alone.
func surelyAnonymous(x *exchange.Exchange) bool {
	return x.Query == "" && !x.Request.Has(exchange.KeyAuthorization) && !x.Request.Has(exchange.KeyCookie)
}

// Response counts what was refused behind this part, and tells what is left.
func (p *limits) Response(x *exchange.Exchange, s *exchange.Slot) {
	if s.Int != opened {
		return
	}
	t := tabOf(x)
	if !t.noted(counted | refused) {
		p.claimAnonymous(x, t)
		p.count(x, t)
	}
	p.answer(x, t)
}

// End gives back what is held.
func (p *limits) End(x *exchange.Exchange, s *exchange.Slot) { p.close(x, s) }

// callers is the part behind jwt.
type callers struct {
	policy.RequestOnly
	*plan
}

// Request counts by all limits at once, unless the part before jwt has.
func (p *callers) Request(x *exchange.Exchange, _ *exchange.Slot) exchange.Verdict {
	t := tabOf(x)
	if t.noted(counted) {
		return exchange.Continue
	}
	p.claim(x, t, p.asking)
	p.claimAnonymous(x, t) // which asks nothing of a known caller
	return p.take(x, t)
}
