// Package limit is the configured limits: whose requests each of them counts, together with
// which others, and by which numbers. Counting itself is done by package meter.
package limit

import (
	"fmt"
	"net/netip"
	"slices"

	"yett/internal/config"
	"yett/internal/exchange"
	"yett/internal/meter"
	"yett/internal/store"
)

// Set is the limits of a configuration. It never changes. The nil Set has none.
type Set struct {
	limits []*Limit // in the order of the file
	byName map[string]*Limit
}

func newSet(limits []*Limit) *Set {
	s := &Set{limits: limits, byName: make(map[string]*Limit, len(limits))}
	for _, l := range limits {
		s.byName[l.name] = l
	}
	return s
}

// Lookup returns the limit of that name, or nil.
func (s *Set) Lookup(name string) *Limit {
	if s == nil {
		return nil
	}
	return s.byName[name]
}

// Names returns the names in the order of the file. The slice is the caller's.
func (s *Set) Names() []string {
	if s == nil {
		return nil
	}
	names := make([]string, len(s.limits))
	for i, l := range s.limits {
		names[i] = l.name
	}
	return names
}

// For returns the limits as they are for requests to that service, "" for none: an
// exchange knows its service only when it is forwarded, which is after it was counted.
// Limits that do not count by service are the same objects.
func (s *Set) For(service string) *Set {
	if s == nil || service == "" || !slices.ContainsFunc(s.limits, (*Limit).countsService) {
		return s
	}
	limits := slices.Clone(s.limits)
	for i, l := range limits {
		if l.countsService() {
			bound := *l
			bound.service = service
			limits[i] = &bound
		}
	}
	return newSet(limits)
}

// Limit is one of them. It never changes.
type Limit struct {
	name     string
	kind     meter.Kind
	rule     store.Rule
	cost     int64
	leased   bool
	soft     bool
	shown    bool
	watch    *meter.Watch
	onLoss   meter.OnLoss
	statuses []config.Statuses // those that count, for meter.After

	who        matcher
	except     []netip.Prefix
	preflights bool
	tiers      []tier

	parts    []part
	issuers  []string // that keys of users and tenants hold; nil where there is only one
	ip4, ip6 network
	service  string // of the requests, where it is known
	explain  string
	said     string // for callers, but for what a request costs
}

// tier is other numbers for some callers.
type tier struct {
	who       matcher
	rule      store.Rule
	unlimited bool
}

// Name returns its name.
func (l *Limit) Name() string { return l.name }

// AsksCaller tells whether it has to be known who calls: whom it counts, or by which
// numbers, depends on that. A limit for anonymous callers alone does not ask.
func (l *Limit) AsksCaller() bool {
	if l.ForAnonymous() {
		return false
	}
	return !l.who.everybody() || len(l.tiers) > 0 || slices.ContainsFunc(l.parts, func(p part) bool { return p.kind.asksCaller() })
}

// ForAnonymous tells that only requests count whose caller is not known.
func (l *Limit) ForAnonymous() bool { return l.who.anonymous && !l.who.anyKnown() }

// Concurrent tells that requests count while they run.
func (l *Limit) Concurrent() bool { return l.kind == meter.Flight }

// Params returns the names of the path's values that it counts by. The slice is the
// caller's.
func (l *Limit) Params() []string {
	var names []string
	for _, p := range l.parts {
		if p.kind == byPath {
			names = append(names, p.name)
		}
	}
	return names
}

// Shown tells whether clients are told about it.
func (l *Limit) Shown() bool { return l.shown }

// Explain says for people whose requests it counts, such as "100 in 15m for each ip".
func (l *Limit) Explain() string { return l.explain }

// size is how much of a rule one request can have. Of a bucket that is leased a part is kept
// back, for what nodes have taken and use later; those below store.Steps are not leased.
func (l *Limit) size(r *store.Rule) int64 {
	if l.leased && r.Algorithm == store.TokenBucket && r.Burst >= store.Steps {
		return r.Burst - r.Burst/store.Steps - 1
	}
	return r.Size()
}

// CheckCost tells what is wrong with a multiple of the limit's cost, from 1 on: a
// request that costs more than some caller can ever have would never pass.
func (l *Limit) CheckCost(multiple int64) error {
	if l.kind == meter.Flight && multiple != 1 {
		return fmt.Errorf("limit %q counts requests that run, and each is one", l.name)
	}
	least := l.size(&l.rule)
	for _, t := range l.tiers {
		if !t.unlimited {
			least = min(least, l.size(&t.rule))
		}
	}
	if multiple > least/l.cost {
		return fmt.Errorf("a request would cost %d times %d, and there are callers who have %d of limit %q, so none of theirs would pass", multiple, l.cost, least, l.name)
	}
	return nil
}

// Claim adds to c what a request asks of the limit, and tells whether it asks anything.
// Cost is a multiple of the limit's own, from 1 on, that CheckCost has seen. Claim does
// not allocate, once c.Keys has grown to its size. The keys are in c.Keys: when that grows, those
// of earlier claims stay where they were, and nobody writes there any more.
func (l *Limit) Claim(c *meter.Call, x *exchange.Exchange, cost int64) bool {
	tier, limited := l.tierFor(x)
	if !limited {
		return false
	}
	rule := &l.rule
	if tier > 0 {
		rule = &l.tiers[tier-1].rule
	}
	at := len(c.Keys)
	c.Keys = l.appendKey(c.Keys, x)
	c.Claims = append(c.Claims, meter.Claim{
		Name: l.name, Key: exchange.View(c.Keys[at:]), Kind: l.kind, Rule: *rule, Cost: l.cost * cost,
		Leased: l.leased, OnLoss: l.onLoss, Soft: l.soft, Watch: l.watch, Tier: uint32(tier),
	})
	return true
}

// tierFor returns the place in Rules of the numbers that count for a request, and false where it
// does not count.
func (l *Limit) tierFor(x *exchange.Exchange) (tier int, limited bool) {
	if x.PassPreflight && !l.preflights || !l.who.fits(&x.Identity) || l.excepts(x.Client) {
		return 0, false
	}
	for i := range l.tiers {
		if t := &l.tiers[i]; t.who.fits(&x.Identity) {
			return i + 1, !t.unlimited
		}
	}
	return 0, true
}

// Rules returns the numbers of the limit, and those of its tiers behind them. The slice is the
// caller's.
func (l *Limit) Rules() []store.Rule {
	rules := []store.Rule{l.rule}
	for i := range l.tiers {
		rules = append(rules, l.tiers[i].rule)
	}
	return rules
}

func (l *Limit) excepts(client netip.Addr) bool {
	if len(l.except) == 0 {
		return false
	}
	client = client.Unmap().WithZone("") // a network holds no address with a zone
	for _, p := range l.except {
		if p.Contains(client) {
			return true
		}
	}
	return false
}

// Counts tells whether an answer counts, for a limit that asks for statuses. It has to be
// asked when the answer's head is known, or that there is none: a client that leaves later
// has had its answer. One that gives up before counts if the service may have seen the
// request, and else nowhere: it could try as often as it likes, and leave each time.
func (l *Limit) Counts(x *exchange.Exchange) bool {
	switch {
	case x.Sent && x.Reason != nil && x.Reason.Status < 500: // it broke off on the client's side
		return true
	case x.Reason == exchange.ClientGone, x.Reason == exchange.TruncatedBody:
		return false
	}
	for _, s := range l.statuses {
		if s.Has(x.Status) {
			return true
		}
	}
	return false
}
