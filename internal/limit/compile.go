package limit

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"yett/internal/config"
	"yett/internal/exchange"
	"yett/internal/meter"
	"yett/internal/problem"
	"yett/internal/role"
	"yett/internal/store"
)

// Compile checks the limits. Paths of problems begin with "limits". The issuers are the
// names of all that vouch for callers: where there are several, keys of users and tenants
// hold them, because each issuer gives subjects as it likes.
func Compile(c config.Mapping[config.Limit], roles *role.Set, issuers []string) (*Set, problem.List) {
	var limits []*Limit
	var problems problem.List
	for i := range c {
		b := builder{conf: &c[i].Value, roles: roles, at: "limits." + c[i].Name, out: &Limit{name: c[i].Name, watch: new(meter.Watch)}}
		if len(issuers) > 1 {
			b.out.issuers = issuers
		}
		b.build()
		limits = append(limits, b.out)
		problems = append(problems, b.problems...)
	}
	return newSet(limits), problems
}

// builder checks one limit and makes its running form.
type builder struct {
	conf     *config.Limit
	roles    *role.Set
	at       string
	out      *Limit
	problems problem.List
}

// fail reports a problem with a key of the limit, "" for the limit itself.
func (b *builder) fail(key, hint, format string, args ...any) {
	path := b.at
	if key != "" {
		path += "." + key
	}
	b.problems.Addf(path, hint, format, args...)
}

func (b *builder) build() {
	b.checkName()
	b.behaviour()
	b.numbers()
	b.statuses()
	b.parts()
	whoOK := b.whom()
	b.networks()
	if b.callers() && whoOK {
		b.checkReach()
	}
	if len(b.problems) == 0 {
		b.checkCosts()
		b.out.explain, b.out.said = b.explain(), b.say()
	}
}

// longestName keeps names short where they stand in headers and keys.
const longestName = 32

func (b *builder) checkName() {
	wrong := func(r rune) bool { return !('a' <= r && r <= 'z' || '0' <= r && r <= '9' || r == '_' || r == '-') }
	if name := b.out.name; name == "" || len(name) > longestName || strings.ContainsFunc(name, wrong) {
		b.fail("", fmt.Sprintf("names are lower-case letters, digits, _ and -, at most %d, because headers and keys hold them", longestName),
			"%q can't be the name of a limit", name)
	}
}

// behaviour takes over what needs no check, because package config has checked it.
func (b *builder) behaviour() {
	c, l := b.conf, b.out
	l.cost, l.shown, l.preflights = c.Cost, c.Fields, c.Preflights
	l.soft, l.leased = c.Mode == "observe", c.Precision == "leased"
	switch c.OnStoreFailure {
	case "open":
		l.onLoss = meter.Open
	case "closed":
		l.onLoss = meter.Closed
	}
}

// numbers finds out what the limit counts, and checks that the rest fits to it.
func (b *builder) numbers() {
	c := b.conf
	if c.Concurrent > 0 {
		b.out.kind = meter.Flight
		b.besideConcurrent()
		b.out.rule = store.Rule{Limit: c.Concurrent}
		return
	}
	switch {
	case c.Limit == 0 && c.Window == 0:
		b.fail("", "write limit and window, or concurrent", "there is nothing that a caller could have at most")
	case c.Limit == 0:
		b.fail("window", "add limit", "there is a window, and nothing that a caller could spend within it")
	case c.Window == 0:
		b.fail("limit", "add window, such as 1m", "there is a limit, and no window within which it counts")
	case time.Duration(c.Window)%time.Microsecond != 0:
		b.fail("window", "round it", "windows count in whole microseconds")
	}
	if c.Burst > 0 && !b.isBucket() {
		b.noBurst("burst")
	}
	b.out.rule = b.rule(c.Limit, c.Burst)
}

func (b *builder) isBucket() bool { return b.conf.Algorithm == "token_bucket" }

func (b *builder) noBurst(key string) {
	b.fail(key, "write algorithm: token_bucket, or remove it", "only a token_bucket has a burst")
}

// rule makes a rule. A bucket without a size has that of its limit.
func (b *builder) rule(limit, burst int64) store.Rule {
	r := store.Rule{Limit: limit, Window: time.Duration(b.conf.Window)}
	switch b.conf.Algorithm {
	case "fixed_window":
		r.Algorithm = store.FixedWindow
	case "token_bucket":
		r.Algorithm, r.Burst = store.TokenBucket, burst
		if burst == 0 {
			r.Burst = limit
		}
	}
	return r
}

// besideConcurrent refuses what has no meaning for requests that run. What is written
// as it is by default can't be told from what is not written.
func (b *builder) besideConcurrent() {
	c := b.conf
	if c.Limit > 0 || c.Window > 0 {
		key := "limit"
		if c.Limit == 0 {
			key = "window"
		}
		b.fail(key, "make two limits of it", "concurrent counts requests that run, limit and window those of a time: a limit is one of both")
	}
	const here = "requests that run are counted on each node by itself"
	for _, f := range []struct {
		there    bool
		key, why string
	}{
		{c.Burst > 0, "burst", "requests that run have no burst"},
		{c.Algorithm != "sliding_window", "algorithm", "requests that run are just counted"},
		{len(c.Counts) > 0, "counts", "a request runs before anybody knows its answer"},
		{c.Cost != 1, "cost", "each request that runs is one"},
		{c.Precision != "exact", "precision", here},
		{c.OnStoreFailure != "local", "on_store_failure", here},
	} {
		if f.there {
			b.fail(f.key, "remove it, or concurrent", "%s", f.why)
		}
	}
}

// statuses reads which answers count.
func (b *builder) statuses() {
	c := b.conf
	if c.Counts == nil {
		return
	}
	if len(c.Counts) == 0 {
		b.fail("counts", "name statuses, or remove it: all requests count then", "is an empty list")
	}
	if c.Precision == "leased" && c.Concurrent == 0 {
		b.fail("counts", "write precision: exact, or count all requests",
			"leased takes from the store before requests come, and whether one counts is known only after it was answered")
	}
	for i, text := range c.Counts {
		at := fmt.Sprintf("counts[%d]", i)
		s, hint := config.ParseStatuses(text)
		switch {
		case hint != "":
			b.fail(at, hint, "%q is no status and no range of them", text)
		case slices.ContainsFunc(b.out.statuses, func(o config.Statuses) bool { return o.Has(s.From) && o.Has(s.To) }):
			b.fail(at, "remove it", "%s is among those before it", text)
		default:
			b.out.statuses = append(b.out.statuses, s)
		}
	}
	if c.Concurrent == 0 {
		b.out.kind = meter.After
	}
}

// whom reads whose requests count.
func (b *builder) whom() bool {
	who, ok := b.who("for", b.conf.For)
	b.out.who = who
	if !ok {
		return false
	}
	if !who.anonymous && b.conf.Preflights {
		b.fail("preflights", "remove it, or let anonymous callers count", "a CORS preflight can't say who calls, and only known callers count here")
	}
	if b.out.ForAnonymous() {
		for i, text := range b.conf.By {
			if kind, _ := kindOf(text); kind.asksCaller() {
				b.fail(fmt.Sprintf("by[%d]", i), "write ip", "only anonymous callers count here, and they have no %s", text)
			}
		}
	}
	return true
}

// networks takes over how much of an address counts, and whose requests do not.
func (b *builder) networks() {
	c := b.conf
	b.out.ip4, b.out.ip6 = newNetwork(c.IPv4Prefix, 32), newNetwork(c.IPv6Prefix, 128)
	if !slices.ContainsFunc(b.out.parts, func(p part) bool { return p.kind.looksAtIP() }) && len(b.out.parts) == len(c.By) {
		if c.IPv4Prefix != 32 {
			b.fail("ipv4_prefix", "remove it, or count by ip", "nothing here counts by address")
		}
		if c.IPv6Prefix != 64 {
			b.fail("ipv6_prefix", "remove it, or count by ip", "nothing here counts by address")
		}
	}
	if c.Except != nil && len(c.Except) == 0 {
		b.fail("except", "name networks, or remove it", "is an empty list")
	}
	for i, p := range c.Except {
		b.exceptNetwork(fmt.Sprintf("except[%d]", i), p.Prefix)
	}
}

func (b *builder) exceptNetwork(at string, p netip.Prefix) {
	within := func(o netip.Prefix) bool { return o.Bits() <= p.Bits() && o.Contains(p.Addr()) }
	switch {
	case p.Bits() == 0:
		b.fail(at, "name networks of your own, or remove the limit", "%s is every address, so nobody's requests would count", p)
	case slices.ContainsFunc(b.out.except, within):
		b.fail(at, "remove it", "%s is within a network before it", p)
	default:
		b.out.except = append(b.out.except, p)
	}
}

// callers reads other numbers for some callers. It is ok when all words for callers are.
func (b *builder) callers() bool {
	if b.conf.Callers != nil && len(b.conf.Callers) == 0 {
		b.fail("callers", "remove it", "is an empty list")
	}
	ok := true
	for i := range b.conf.Callers {
		at := fmt.Sprintf("callers[%d]", i)
		who, good := b.who(at+".for", b.conf.Callers[i].For)
		ok = ok && good
		t := b.tier(at, &b.conf.Callers[i])
		t.who = who
		b.out.tiers = append(b.out.tiers, t)
	}
	return ok
}

// tier checks the numbers of some callers.
func (b *builder) tier(at string, c *config.CallerLimit) tier {
	concurrent := b.conf.Concurrent > 0
	has := c.Limit > 0 || c.Burst > 0 || c.Concurrent > 0
	switch {
	case c.Unlimited && has:
		b.fail(at+".unlimited", "keep one of both", "who is not limited has no numbers")
	case c.Unlimited:
		return tier{unlimited: true}
	case !has:
		b.fail(at, "add numbers, or unlimited: true", "says nothing about those callers")
	case concurrent && (c.Limit > 0 || c.Burst > 0):
		b.fail(at, "write concurrent", "the limit counts requests that run, so there is no limit or burst here")
	case !concurrent && c.Concurrent > 0:
		b.fail(at+".concurrent", "write limit, or make two limits of it", "the limit has a window, and does not count requests that run")
	case c.Burst > 0 && !b.isBucket():
		b.noBurst(at + ".burst")
	}
	if concurrent {
		return tier{rule: store.Rule{Limit: c.Concurrent}}
	}
	limit, burst := b.conf.Limit, b.conf.Burst
	if c.Limit > 0 {
		limit = c.Limit
	}
	if c.Burst > 0 {
		burst = c.Burst
	}
	return tier{rule: b.rule(limit, burst)}
}

// checkReach reports numbers that never count, because their callers do not, or have
// others already.
func (b *builder) checkReach() {
	var before matcher
	for i := range b.out.tiers {
		at := fmt.Sprintf("callers[%d].for", i)
		who := &b.out.tiers[i].who
		switch {
		case !who.meets(&b.out.who):
			b.fail(at, "remove the entry, or change for of the limit", "%s: only %s count here", who.text, b.out.who.text)
		case before.covers(who):
			b.fail(at, "remove the entry, or put it in front", "%s: all of them have the numbers of entries before it", who.text)
		default:
			before.add(who)
			if before.covers(&b.out.who) {
				b.fail(at, "change the limit's own numbers instead", "with %s every caller has an entry, so the limit's own numbers never count", who.text)
				return
			}
		}
	}
}

// checkCosts reports what costs more than a caller can ever have.
func (b *builder) checkCosts() {
	l := b.out
	if size := l.size(&l.rule); l.cost > size {
		b.fail("cost", "lower it, or raise limit or burst", "a request costs %d, and there are never more than %d, so none would pass", l.cost, size)
	}
	for i, t := range l.tiers {
		if !t.unlimited && l.cost > l.size(&t.rule) {
			b.fail(fmt.Sprintf("callers[%d]", i), "raise it, or lower cost of the limit", "a request costs %d, and these callers never have more than %d, so none of theirs would pass",
				l.cost, l.size(&t.rule))
		}
	}
}

// kindOf names the parts that are a single word.
func kindOf(word string) (partKind, bool) {
	i := slices.Index(plainParts(), word)
	return partKind(i), i >= 0
}

// plainParts are those words, in the order of partKind.
func plainParts() []string {
	return []string{"everyone", "ip", "user", "tenant", "role", "api_key", "route", "service", "host", "method"}
}

// parts reads who is counted together.
func (b *builder) parts() {
	by := b.conf.By
	for i, text := range by {
		at := fmt.Sprintf("by[%d]", i)
		p, ok := b.part(at, text)
		switch {
		case !ok:
		case slices.ContainsFunc(b.out.parts, func(o part) bool { return o.label == p.label }):
			b.fail(at, "remove it", "%s is there twice", text)
		case p.kind == byEveryone && len(by) > 1:
			b.fail(at, "write everyone alone, or remove it", "everyone is counted together, so nothing can stand beside it")
		default:
			b.out.parts = append(b.out.parts, p)
		}
	}
}

func (b *builder) part(at, text string) (p part, ok bool) {
	if kind, ok := kindOf(text); ok {
		p = part{kind: kind, label: text + ":"}
		switch kind {
		case byEveryone:
			p.label = text
		case byAPIKey:
			p.name, p.secret = apiKeyHeader, true
		}
		return p, true
	}
	word, name, hasName := strings.Cut(text, ".")
	switch {
	case word == "header" && hasName:
		return b.headerPart(at, name)
	case word == "path" && hasName:
		return b.pathPart(at, name)
	}
	known := append(plainParts(), "header.NAME", "path.NAME")
	hint := problem.DidYouMean(text, known)
	word, _, _ = strings.Cut(word, ":")
	if near := problem.Nearest(word, append(plainParts(), "header", "path")); near == "header" || near == "path" {
		hint = fmt.Sprintf("write %s.NAME", near)
	}
	b.fail(at, hint, "nothing counts by %q", text)
	return p, false
}

// headerPart checks the name of a header. Some fields never get here: what concerns the
// connection is dropped when a request comes, and what only proxies may say is believed
// only from those that are listed, which is what ip looks at.
func (b *builder) headerPart(at, name string) (p part, ok bool) {
	lower := strings.ToLower(name)
	key := exchange.KeyOther
	if exchange.ValidName(name) {
		key = exchange.KeyOf(name)
	}
	switch {
	case !exchange.ValidName(name):
		b.fail(at, "a name consists of letters, digits and !#$%&'*+-.^_`|~ (RFC 9110 section 5.1)", "%q can't be the name of a header", name)
	case key == exchange.KeyHost:
		b.fail(at, "write host", "Host is more than a header")
	case key == exchange.KeyForwarded, key == exchange.KeyXRealIP, strings.HasPrefix(lower, "x-forwarded-"):
		b.fail(at, "write ip, and list your proxies under trusted_proxies", "anybody can send %s, so it says nothing about who calls", name)
	case key.HopByHop():
		b.fail(at, "count by something else", "%s concerns the connection, and is dropped when a request comes", name)
	default:
		return part{kind: byHeader, name: lower, label: string(appendEscaped([]byte("header."), lower)) + ":", field: key, secret: secretField(lower)}, true
	}
	return p, false
}

// pathPart checks the name of a value of the path. Whether the routes have it is known to
// who knows the routes.
func (b *builder) pathPart(at, name string) (p part, ok bool) {
	letter := func(r rune) bool { return 'a' <= r|0x20 && r|0x20 <= 'z' || r == '_' }
	wrong := func(r rune) bool { return !letter(r) && (r < '0' || '9' < r) }
	switch {
	case name == "**":
		b.fail(at, "name a single value, such as path.id for /users/{id}", "** is any number of segments")
	case name == "" || strings.ContainsFunc(name, wrong) || !letter(rune(name[0])):
		b.fail(at, "write the name without braces, such as path.id for /users/{id}", "%q can't be the name of a value of a path", name)
	default:
		return part{kind: byPath, name: name, label: "path." + name + ":", secret: exchange.SecretName(name)}, true
	}
	return p, false
}
