package ratelimit

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"yett/internal/exchange"
	"yett/internal/limit"
	"yett/internal/meter"
	"yett/internal/policy"
	"yett/internal/problem"
	"yett/internal/store"
)

// fakeLimit is a limit of 10 in a minute, unless rule says otherwise.
type fakeLimit struct {
	name                                      string
	asks, anonymous, preflights, hidden, soft bool
	knownOnly                                 bool // with asks: counts nobody who is not known
	kind                                      meter.Kind
	rule                                      store.Rule
	counts                                    int // the status that counts, for After
}

func (l *fakeLimit) Name() string       { return l.name }
func (l *fakeLimit) AsksCaller() bool   { return l.asks }
func (l *fakeLimit) ForAnonymous() bool { return l.anonymous }
func (l *fakeLimit) Shown() bool        { return !l.hidden }
func (l *fakeLimit) Rules() []store.Rule {
	if l.rule.Limit == 0 {
		return []store.Rule{{Limit: 10, Window: time.Minute}}
	}
	return []store.Rule{l.rule}
}

func (l *fakeLimit) Explain() string { return "so many for each " + l.name }

func (l *fakeLimit) Facts(int64) limit.Facts {
	return limit.Facts{Rule: l.Explain(), Enforced: !l.soft, Shown: !l.hidden, Fields: !l.hidden && !l.soft && l.kind != meter.Flight, Anonymous: !l.knownOnly}
}

func (l *fakeLimit) Counts(x *exchange.Exchange) bool { return x.Status == l.counts }

func (l *fakeLimit) Claim(c *meter.Call, x *exchange.Exchange, cost int64) bool {
	known := x.Identity.Known()
	if x.PassPreflight && !l.preflights || l.anonymous && known || l.knownOnly && !known {
		return false
	}
	who := "ip"
	if l.asks && known {
		who = x.Identity.Subject
	}
	at := len(c.Keys)
	c.Keys = append(append(append(c.Keys, l.name...), ':'), who...)
	c.Claims = append(c.Claims, meter.Claim{Name: l.name, Key: exchange.View(c.Keys[at:]), Kind: l.kind, Rule: l.Rules()[0], Cost: cost, Soft: l.soft})
	return true
}

// fakeMeter gives the verdicts of a test.
type fakeMeter struct {
	outcomes map[string]outcome // by the limit's name; others fit, with 9 left
	knows    bool               // Look knows all of it
	notes    bool

	mu   sync.Mutex
	log  []string
	open atomic.Int32
	pool sync.Pool
}

type outcome struct {
	verdict    meter.Verdict
	left       int64
	more, wait time.Duration
}

func (m *fakeMeter) note(what string, c *meter.Call, which func(*meter.Claim) bool) {
	if !m.notes {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range c.Claims {
		if cl := &c.Claims[i]; which == nil || which(cl) {
			what += " " + strings.Clone(cl.Key)
		}
	}
	m.log = append(m.log, what)
}

func (m *fakeMeter) Call() *meter.Call {
	m.open.Add(1)
	if c, ok := m.pool.Get().(*meter.Call); ok {
		return c
	}
	return &meter.Call{Keys: make([]byte, 0, 256), Claims: make([]meter.Claim, 0, meter.MaxClaims)}
}

func (m *fakeMeter) End(c *meter.Call) {
	m.open.Add(-1)
	c.Claims, c.Keys, c.Notes = c.Claims[:0], c.Keys[:0], 0
	m.pool.Put(c)
}

func (m *fakeMeter) fill(c *meter.Call) {
	for i := range c.Claims {
		cl := &c.Claims[i]
		o, ok := m.outcomes[cl.Name]
		if !ok {
			o = outcome{meter.Fits, 9, 42 * time.Second, 0}
		}
		cl.Verdict, cl.Left, cl.More, cl.Wait = o.verdict, o.left, o.more, o.wait
	}
}

func (m *fakeMeter) Look(c *meter.Call, _ time.Time) {
	m.note("look", c, nil)
	if m.knows {
		m.fill(c)
	}
}

func (m *fakeMeter) Take(_ meter.Waiter, c *meter.Call, _ time.Time) {
	m.note("take", c, nil)
	m.fill(c)
}

func (m *fakeMeter) Count(c *meter.Call, _ time.Time) {
	m.note("count", c, func(cl *meter.Claim) bool { return cl.Kind == meter.Rate })
	m.fill(c)
}

func (m *fakeMeter) Settle(c *meter.Call, _ time.Time) {
	m.note("settle", c, func(cl *meter.Claim) bool { return cl.Kind == meter.After && cl.Counts })
	for i := range c.Claims {
		if cl := &c.Claims[i]; cl.Kind == meter.After && cl.Counts {
			cl.Verdict, cl.Left = meter.Fits, cl.Left-cl.Cost
		}
	}
}

// world is a chain with all parts of the policy, and with what stands between them.
type world struct {
	meter  *fakeMeter
	limits []limiter
	auth   string // required when empty
	cost   int64
	observes, corsObserves,
	noCORS bool
	fields map[string]string
	fault  string // in which part of the chain there is one: "jwt", "rbac response", "rbac end"
}

func (w *world) plan() *plan {
	p := newPlan(w.limits, w.meter, max(1, w.cost), w.auth == "none")
	p.observes = w.observes
	p.readFields(w.fields)
	return p
}

// chain is what the catalogue makes of it.
func (w *world) chain() policy.Chain {
	var c policy.Chain
	add := func(k *policy.Kind, p policy.Policy) { c = append(c, policy.Link{Kind: k, Policy: p}) }
	if !w.noCORS {
		if !w.corsObserves {
			add(Preflights, &preflights{plan: w.plan()})
		}
		add(&policy.Kind{Name: "cors"}, &between{w: w, name: "cors"})
	}
	add(Kind, &limits{plan: w.plan()})
	if w.auth == "none" {
		return c
	}
	add(&policy.Kind{Name: "jwt"}, &between{w: w, name: "jwt"})
	if p := w.plan(); p.later {
		add(Callers, &callers{plan: p})
	}
	add(&policy.Kind{Name: "rbac"}, &between{w: w, name: "rbac"})
	return c
}

var (
	badToken  = &exchange.Reason{Name: "bad_token", Code: "INVALID_TOKEN", Status: 401}
	forbidden = &exchange.Reason{Name: "forbidden", Code: "FORBIDDEN", Status: 403}
)

// between stands for cors, jwt and rbac.
type between struct {
	policy.Base
	w    *world
	name string
}

func (b *between) Request(x *exchange.Exchange, _ *exchange.Slot) exchange.Verdict {
	if b.w.fault == b.name {
		panic("a fault in " + b.name)
	}
	token := x.Request.Get("Authorization") + x.Query
	switch {
	case b.name == "cors" && policy.IsPreflight(x) && b.w.corsObserves:
		x.PassPreflight = true
	case b.name == "cors" && policy.IsPreflight(x):
		x.Status = 204
		return exchange.Reply
	case b.name == "jwt" && (token == "bad" || token == "" && b.w.auth != "optional" && !x.PassPreflight):
		return x.Refuse(badToken)
	case b.name == "jwt" && strings.HasPrefix(token, "u-"):
		x.Identity.Subject = token
	case b.name == "rbac" && x.Identity.Subject == "u-forbidden":
		return x.Refuse(forbidden)
	}
	return exchange.Continue
}

func (b *between) Response(*exchange.Exchange, *exchange.Slot) {
	if b.w.fault == b.name+" response" {
		panic("a fault in Response")
	}
}

func (b *between) End(*exchange.Exchange, *exchange.Slot) {
	if b.w.fault == b.name+" end" {
		panic("a fault in End")
	}
}

// fakes are the limits of the example in doc.go.
func fakes(names []string) []limiter {
	all := []limiter{
		&fakeLimit{name: "flood", preflights: true},
		&fakeLimit{name: "global", anonymous: true},
		&fakeLimit{name: "user", asks: true},
	}
	return slices.DeleteFunc(all, func(l limiter) bool { return !slices.Contains(names, l.Name()) })
}

// fakeKind is the Kind with fakes in place of limits and meter.
func fakeKind() *policy.Kind {
	return policy.Define("ratelimit", defaults, func(c Config, _ policy.Deps) (policy.Policy, problem.List) {
		if len(c.Limits) == 0 {
			return nil, problem.List{{Path: "limits", What: "is missing"}}
		}
		return &limits{plan: newPlan(fakes(c.Limits), &fakeMeter{}, c.Cost, true)}, nil
	}, rateLimited, limitsUnavailable)
}
