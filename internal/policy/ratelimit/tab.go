package ratelimit

import (
	"strconv"
	"time"

	"yett/internal/exchange"
	"yett/internal/meter"
	"yett/internal/policy"
)

// plan is the limits of a policy, as each of its parts has them.
type plan struct {
	meter    counter
	limits   []limiter // in the order in which they are written
	cost     int64
	observes bool
	// unknown tells that nobody finds out who calls.
	unknown bool
	// all, and those of them that need not know who calls, that are for anonymous
	// callers, and that ask who calls; by their place in limits.
	all, early, anonymous, asking []int
	// later tells that a part behind jwt follows.
	later  bool
	fields fieldsByListener
	quoted []string // names of limits, as the structured fields have them
	told   [][]told // by limit and tier
}

// newPlan makes the plan of a route. On one that is open nobody finds out who calls.
func newPlan(list []limiter, m counter, cost int64, open bool) *plan {
	p := &plan{meter: m, limits: list, cost: cost, unknown: open}
	for i, l := range list {
		p.all = append(p.all, i)
		p.quoted = append(p.quoted, `"`+policy.Realm(l.Name())+`"`)
		p.told = append(p.told, tellRules(l.Rules()))
		switch {
		case l.ForAnonymous():
			p.anonymous = append(p.anonymous, i)
		case l.AsksCaller():
			p.asking = append(p.asking, i)
		default:
			p.early = append(p.early, i)
		}
	}
	p.later = !open && len(p.early) < len(p.all)
	return p
}

// tab is what a request asks of its limits, on its way through the parts. It is in
// Exchange.Limits. The place of the limit that a claim is of is its Of.
type tab struct{ *meter.Call }

// What is noted in a tab.
const (
	askedAnonymous uint8 = 1 << iota // limits for anonymous callers were asked
	counted                          // all were
	refused                          // one of them has refused
	settled                          // it is known whether the answer counts
)

func (t tab) note(what uint8)       { t.Notes |= what }
func (t tab) noted(what uint8) bool { return t.Notes&what != 0 }

func tabOf(x *exchange.Exchange) tab { return tab{x.Limits.(*meter.Call)} }

// open begins the tab of a request. The part whose slot it is closes it.
func (p *plan) open(x *exchange.Exchange, s *exchange.Slot) tab {
	t := tab{p.meter.Call()}
	x.Limits, s.Int = t.Call, opened
	return t
}

// close gives back what the request holds, if the part has opened its tab.
func (p *plan) close(x *exchange.Exchange, s *exchange.Slot) {
	if s.Int != opened {
		return
	}
	t := tabOf(x)
	x.Limits = nil
	p.meter.End(t.Call)
}

// claim adds what the request asks of some limits.
func (p *plan) claim(x *exchange.Exchange, t tab, which []int) {
	for _, i := range which {
		if !p.limits[i].Claim(t.Call, x, p.cost) {
			continue
		}
		c := &t.Claims[len(t.Claims)-1]
		c.Of, c.Soft = uint8(i), c.Soft || p.observes
	}
}

// claimAnonymous adds, once, what it asks of those for anonymous callers.
func (p *plan) claimAnonymous(x *exchange.Exchange, t tab) {
	if !t.noted(askedAnonymous) {
		t.note(askedAnonymous)
		p.claim(x, t, p.anonymous)
	}
}

// look refuses what is known to be used up, and counts nothing.
func (p *plan) look(x *exchange.Exchange, t tab) exchange.Verdict {
	if len(t.Claims) == 0 {
		return exchange.Continue
	}
	p.meter.Look(t.Call, now(x))
	if t.refuser() == nil {
		return exchange.Continue
	}
	return p.judge(x, t)
}

// take counts all claims, or refuses. A small body is read before the request holds a place
// that others wait for: they would wait for a client that takes its time.
func (p *plan) take(x *exchange.Exchange, t tab) exchange.Verdict {
	t.note(counted)
	if len(t.Claims) == 0 {
		return exchange.Continue
	}
	if t.Has(meter.After) && !x.RequestBody.Empty() {
		if p.meter.Look(t.Call, now(x)); t.refuser() != nil {
			return p.judge(x, t)
		}
		if err := x.RequestBody.Gather(); err != nil {
			return x.Refuse(exchange.BodyReason(err))
		}
	}
	p.meter.Take(x, t.Call, now(x))
	return p.judge(x, t)
}

// count counts a request that somebody else has refused.
func (p *plan) count(x *exchange.Exchange, t tab) {
	t.note(counted)
	if len(t.Claims) > 0 {
		p.meter.Count(t.Call, now(x))
	}
}

// judge notes what would have been refused, and refuses if something does.
func (p *plan) judge(x *exchange.Exchange, t tab) exchange.Verdict {
	for i := range t.Claims {
		if c := &t.Claims[i]; c.Soft && (c.Verdict == meter.Exceeded || c.Verdict == meter.Lost) {
			refuse(x, c)
			x.Observe()
		}
	}
	c := t.refuser()
	if c == nil {
		return exchange.Continue
	}
	t.note(refused)
	return refuse(x, c)
}

// refuser returns the claim that keeps the request away for longest, nil when none does.
// One that is exceeded goes before one of which nobody knows.
func (t tab) refuser() *meter.Claim {
	var worst *meter.Claim
	for i := range t.Claims {
		c := &t.Claims[i]
		switch {
		case !c.Refuses():
		case worst == nil, c.Verdict == meter.Exceeded && (worst.Verdict != meter.Exceeded || c.Wait > worst.Wait):
			worst = c
		}
	}
	return worst
}

func refuse(x *exchange.Exchange, c *meter.Claim) exchange.Verdict {
	if c.Verdict == meter.Lost {
		x.RetryAfter = 1
		return x.RefuseWith(limitsUnavailable, detail(x, c))
	}
	x.RetryAfter = int(waitOf(c))
	return x.RefuseWith(rateLimited, detail(x, c))
}

// waitOf is after how many seconds a request should come again, from 1 on.
func waitOf(c *meter.Claim) int64 { return max(1, seconds(c.Wait)) }

// seconds are whole ones, rounded up.
func seconds(d time.Duration) int64 {
	if d <= 0 {
		return 0
	}
	return int64((d-1)/time.Second) + 1 // d+time.Second could overflow
}

// detail is what the log says. It does not say who was counted, which the log has anyway.
func detail(x *exchange.Exchange, c *meter.Claim) string {
	b := x.Bytes(len(c.Name) + 128)[:0]
	b = append(append(b, "limit "...), c.Name...)
	b = append(b, ": "...)
	return exchange.View(appendState(appendRule(b, c), c))
}

// appendState appends why a claim does not fit.
func appendState(b []byte, c *meter.Claim) []byte {
	switch {
	case c.Verdict == meter.Lost:
		return append(b, ", and the store is lost"...)
	case c.Kind == meter.Flight:
		return append(b, ", and as many run"...)
	case c.Left > 0 && c.Left < c.Cost:
		b = strconv.AppendInt(append(b, ", "...), c.Left, 10)
		b = strconv.AppendInt(append(b, " left for a cost of "...), c.Cost, 10)
	default:
		b = append(b, ", used up"...)
	}
	return appendDuration(append(b, " for "...), time.Duration(waitOf(c))*time.Second)
}

// appendRule appends a limit's numbers: "100 in 15m".
func appendRule(b []byte, c *meter.Claim) []byte {
	b = strconv.AppendInt(b, c.Rule.Limit, 10)
	if c.Kind == meter.Flight {
		return append(b, " at once"...)
	}
	b = appendDuration(append(b, " in "...), c.Rule.Window)
	if size := c.Rule.Size(); size != c.Rule.Limit {
		b = strconv.AppendInt(append(b, ", burst "...), size, 10)
	}
	return b
}

// appendDuration appends a duration as configurations have it: 15m, 1h30m, 250ms.
func appendDuration(b []byte, d time.Duration) []byte {
	if d < time.Second || d%time.Second != 0 {
		return append(strconv.AppendInt(b, d.Milliseconds(), 10), "ms"...)
	}
	for _, u := range [...]struct {
		unit time.Duration
		name byte
	}{{time.Hour, 'h'}, {time.Minute, 'm'}, {time.Second, 's'}} {
		if n := int64(d / u.unit); n > 0 {
			b = append(strconv.AppendInt(b, n, 10), u.name)
		}
		d %= u.unit
	}
	return b
}

// answer says whether the answer counts, where that matters, and tells the client what is
// left. It may come again for the answer to a fault.
func (p *plan) answer(x *exchange.Exchange, t tab) {
	p.settle(x, t)
	removeFields(&x.Response)
	p.tell(x, t)
}

// settle counts by limits for which it depends on the answer, once. What was refused here
// counts nowhere.
func (p *plan) settle(x *exchange.Exchange, t tab) {
	if t.noted(settled | refused) {
		return
	}
	t.note(settled)
	after := false
	for i := range t.Claims {
		if c := &t.Claims[i]; c.Kind == meter.After {
			c.Counts = p.limits[c.Of].Counts(x)
			after = true
		}
	}
	if after {
		p.meter.Settle(t.Call, answered(x))
	}
}

// now is when the request came. An exchange that no engine has filled has no time.
func now(x *exchange.Exchange) time.Time {
	if x.Now.IsZero() {
		return time.Now()
	}
	return x.Now
}

// answered is when its answer is there.
func answered(x *exchange.Exchange) time.Time {
	t := now(x)
	return t.Add(time.Since(t))
}
