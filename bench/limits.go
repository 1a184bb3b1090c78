package main

import (
	"fmt"
	"time"
)

// quota is how much is allowed within a window.
type quota struct {
	limit  int64
	window time.Duration
}

// never is a limit that nobody reaches.
const never = 1_000_000_000

// usedUp is a quota that the first request uses up, for as long as anybody measures.
func usedUp() quota { return quota{1, 24 * time.Hour} }

// tiers are the limits that the example platform counts every call in.
type tiers struct {
	flood, global, user quota  // of an address, of one without a token, of a caller
	precision           string // how a store is asked
	floodTold           bool   // of what is left of flood
}

// within is the tiers with the windows that they have there, and refuses nobody.
func within() tiers {
	return tiers{
		flood: quota{never, time.Minute}, global: quota{never, 15 * time.Minute}, user: quota{never, 15 * time.Minute},
		precision: "exact",
	}
}

// yettLimits is the chain of the example platform with its limits, counted in
// Redis or in memory.
func yettLimits(t tiers, redis bool) conf {
	c := yettChain()
	c.Top += "\n  ratelimit: {limits: [flood, global, user]}\nlimits:"
	for _, l := range []struct {
		name string
		quota
		who string
	}{
		{"flood", t.flood, fmt.Sprintf("by: ip, preflights: true, fields: %t", t.floodTold)},
		{"global", t.global, "by: ip, for: anonymous"},
		{"user", t.user, "by: user, for: known"},
	} {
		c.Top += fmt.Sprintf("\n  %s: {limit: %d, window: %s, %s, precision: %s}",
			l.name, l.limit, l.window, l.who, t.precision)
	}
	c.Redis = redis
	return c
}

// limitsCase is what counting adds to the chain, and the whole of it against
// gateways that do the same and proxies that do nothing.
func limitsCase() benchCase {
	counted, leased := within(), within()
	leased.precision = "leased"
	plain := bare()
	return benchCase{
		Name: "limits", About: "the whole chain: that of the case chain, and three rate limits", Quick: true,
		Request: chainRequest(), Want: ok(200),
		Conf: map[string]conf{"yett": yettLimits(counted, false), "haproxy": haproxyLimits(counted), "express": expressLimits(counted)},
		Variants: []variant{
			{Of: "yett", Name: "no limits", Conf: yettChain()},
			{Of: "yett", Name: "redis exact", Conf: yettLimits(counted, true)},
			{Of: "yett", Name: "redis leased", Conf: yettLimits(leased, true)},
			{Of: "nginx", Name: "plain", Conf: plain["nginx"]},
			{Of: "caddy", Name: "plain", Conf: plain["caddy"]},
			{Of: "express", Name: "as documented", Conf: expressDocumented(counted)},
		},
		Targets: []target{
			{"yett", "yett (no limits)", 1.08},
			{"yett (redis exact)", "yett", 1.5},
			{"yett (redis leased)", "yett", 1.1},
			{"yett", "nginx (plain)", 1},
			{"yett", "haproxy", 0.5},
			{"yett", "caddy (plain)", 0.15},
			{"yett", "express", 1.0 / 80},
		},
	}
}

// limitedCase is the chain met by a caller who has used up a limit, and what it
// costs to serve that request. Who floods has to find the refusal much the
// cheaper one.
func limitedCase() benchCase {
	address, user := within(), within()
	address.flood, user.user = usedUp(), usedUp()
	address.floodTold = true // writing the fields is part of a refusal's cost
	refused := answer{Status: 429, Body: anySize}
	return benchCase{
		Name: "refused-429", About: "a flood of requests by somebody who has used up a limit",
		Request: chainRequest(), Want: refused,
		Conf: map[string]conf{"yett": unprobed(yettLimits(address, false)), "haproxy": unprobed(haproxyLimits(address))},
		Variants: []variant{
			{Of: "yett", Name: "redis", Conf: unprobed(yettLimits(address, true))},
			{Of: "yett", Name: "by user", Conf: unprobed(yettLimits(user, false))},
			{Of: "yett", Name: "limits", Conf: yettLimits(within(), false), Want: ok(200)},
			{Of: "yett", Name: "plain", Conf: bare()["yett"], Want: ok(200)},
			// About the least that an answer of one's own can cost.
			{Of: "nginx", Name: "return", Conf: conf{Top: bare()["nginx"].Top, Route: "return 429;"}},
		},
		Targets: []target{{"yett", "yett (plain)", 0.33}, {"yett", "yett (limits)", 0.33}, {"yett (redis)", "yett", 1.1}, {"yett", "haproxy", 1}},
	}
}

// unprobed is for who refuses before it looks at tokens, good or bad.
func unprobed(c conf) conf {
	c.Guarded = false
	return c
}

// haproxyLimits has HAProxy count the same. Its windows slide in one step, and
// refused requests count too.
func haproxyLimits(t tiers) conf {
	over := func(name string, counter int, limit int64) string {
		return fmt.Sprintf(`http-request deny deny_status 429 hdr Retry-After %.0f content-type application/json `+
			`string '{"error":{"code":"RATE_LIMIT_EXCEEDED","message":"Too many requests"}}' if { sc_http_req_rate(%d,%s) gt %d }`,
			t.flood.window.Seconds(), counter, name, limit)
	}
	first := []string{
		"http-request track-sc0 src table flood",
		over("flood", 0, t.flood.limit),
		"http-request track-sc1 src table global unless { var(txn.token) -m found }",
		over("global", 1, t.global.limit),
	}
	window := t.user.window.Seconds()
	known := []string{
		"http-request track-sc2 var(txn.claims),json_query('$.sub') table user",
		over("user", 2, t.user.limit),
		"http-request set-var(txn.used) sc_http_req_rate(2,user)",
		fmt.Sprintf("http-response set-header RateLimit-Policy %d;w=%.0f", t.user.limit, window),
		fmt.Sprintf("http-response set-header RateLimit-Limit %d", t.user.limit),
		fmt.Sprintf("http-response set-header RateLimit-Remaining %%[int(%d),sub(txn.used)]", t.user.limit),
		fmt.Sprintf("http-response set-header RateLimit-Reset %.0f", window/60),
	}
	c := haproxyChainWith(first, known)
	for _, s := range []struct {
		name, key string
		window    time.Duration
	}{{"flood", "ip", t.flood.window}, {"global", "ip", t.global.window}, {"user", "string len 64", t.user.window}} {
		c.Tables += fmt.Sprintf("\nbackend %[1]s\n    stick-table type %[2]s size 100k expire %[3]ds store http_req_rate(%[3]ds)\n",
			s.name, s.key, int(s.window.Seconds()))
	}
	return c
}
