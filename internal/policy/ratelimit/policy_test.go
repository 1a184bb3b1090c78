package ratelimit

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"yett/internal/exchange"
	"yett/internal/meter"
	"yett/internal/policy"
	"yett/internal/policy/policytest"
	"yett/internal/store"
)

func TestPolicy(t *testing.T) {
	policytest.Run(t, fakeKind(), policytest.NeedsConfig("it has to be said which limits count"))
}

// pass takes a request through a chain as the gateway does, faults too, up to its answer's
// head.
func pass(c *policytest.Call, chain policy.Chain, x *exchange.Exchange) {
	defer func() {
		if recover() == nil {
			return
		}
		x.Refuse(exchange.Internal)
		x.Response.Reset()
		for i := x.Ran() - 1; i >= 0; i-- {
			func() {
				defer func() { _ = recover() }()
				chain[i].Policy.Response(x, x.Slot(i))
			}()
		}
	}()
	if chain.Request(x) == exchange.Continue {
		c.Answer(x)
	} else if x.Reason != nil {
		x.Response.Reset()
	}
	chain.Response(x)
}

func end(chain policy.Chain, x *exchange.Exchange) {
	defer func() { _ = recover() }()
	chain.End(x)
}

// run takes a request through the world, and returns what the meter was asked, and the
// outcome: status, reason, and what was observed.
func (w *world) run(t *testing.T, request, answer string) (asked, outcome string) {
	t.Helper()
	w.meter.notes, w.meter.log = true, nil
	c := policytest.NewCall(t, request, answer)
	x := c.Start()
	defer c.Finish(x)
	chain := w.chain()
	pass(c, chain, x)
	outcome = fmt.Sprint(x.Status)
	if x.Reason != nil {
		outcome += " " + x.Reason.Name
	}
	if x.RetryAfter > 0 {
		outcome += fmt.Sprintf(" after %d", x.RetryAfter)
	}
	for _, o := range x.Observed() {
		outcome += ", observed " + o.Reason.Name + " by " + o.Detail
	}
	end(chain, x)
	if n := w.meter.open.Load(); n != 0 {
		t.Errorf("%d calls were not ended, or twice", n)
	}
	if x.Limits != nil {
		t.Error("the tab is still there")
	}
	return strings.Join(w.meter.log, "; "), outcome
}

const (
	withToken  = "GET / HTTP/1.1\nAuthorization: u-1\n"
	withBad    = "GET / HTTP/1.1\nAuthorization: bad\n"
	inQuery    = "GET /?u-1 HTTP/1.1\n"
	otherQuery = "GET /?page=1 HTTP/1.1\n"
	nobody     = "GET / HTTP/1.1\n"
	preflight  = "OPTIONS / HTTP/1.1\nOrigin: https://a.example\nAccess-Control-Request-Method: PUT\n"
)

func limitsOfTests() (ip, anonymous, user, login, running *fakeLimit) {
	return &fakeLimit{name: "ip"}, &fakeLimit{name: "anon", anonymous: true}, &fakeLimit{name: "user", asks: true},
		&fakeLimit{name: "login", kind: meter.After, counts: 401}, &fakeLimit{name: "running", kind: meter.Flight}
}

// Each request is counted by one call, where it has to be known who calls behind jwt, and
// what is refused by others counts too.
func TestFlow(t *testing.T) {
	ip, anonymous, user, login, running := limitsOfTests()
	flood := &fakeLimit{name: "flood", preflights: true}
	known := &fakeLimit{name: "known", asks: true, knownOnly: true}
	tests := []struct {
		name, auth     string
		limits         []limiter
		request        string
		asked, outcome string
	}{
		{"no caller asked", "", []limiter{ip}, withToken, "take ip:ip", "200"},
		{"no caller asked, bad token", "", []limiter{ip}, withBad, "take ip:ip", "401 bad_token"},
		{"caller", "", []limiter{user, ip}, withToken, "look ip:ip; take ip:ip user:u-1", "200"},
		{"caller alone", "", []limiter{user}, withToken, "take user:u-1", "200"},
		{"caller alone, bad token", "", []limiter{user}, withBad, "", "401 bad_token"},
		{"known caller among anonymous", "", []limiter{ip, anonymous, user}, withToken, "look ip:ip; take ip:ip user:u-1", "200"},
		{"known caller, for anonymous", "", []limiter{anonymous}, withToken, "", "200"},
		{"bad token", "", []limiter{ip, anonymous, user}, withBad, "look ip:ip; count ip:ip anon:ip", "401 bad_token"},
		{"bad token, for anonymous", "", []limiter{anonymous, user}, withBad, "count anon:ip", "401 bad_token"},
		{"no token", "", []limiter{ip, anonymous, user}, nobody, "look ip:ip anon:ip; count ip:ip anon:ip", "401 bad_token"},
		{"no token, no caller asked", "", []limiter{ip, anonymous}, nobody, "take ip:ip anon:ip", "401 bad_token"},
		{"refused behind", "", []limiter{ip, user}, "GET / HTTP/1.1\nAuthorization: u-forbidden\n", "look ip:ip; take ip:ip user:u-forbidden", "403 forbidden"},
		{"cookies may be a token", "", []limiter{anonymous}, "GET / HTTP/1.1\nCookie: a=b\n", "count anon:ip", "401 bad_token"},
		{"a query may be a token", "", []limiter{anonymous, user}, inQuery, "take user:u-1", "200"},

		{"optional, nobody", "optional", []limiter{ip, anonymous, user}, nobody, "look ip:ip anon:ip; take ip:ip anon:ip user:ip", "200"},
		{"optional, nobody, known only", "optional", []limiter{ip, anonymous, known}, nobody, "look ip:ip anon:ip; take ip:ip anon:ip", "200"},
		{"optional, nobody, no caller asked", "optional", []limiter{ip, anonymous}, nobody, "take ip:ip anon:ip", "200"},
		{"optional, a query", "optional", []limiter{ip, anonymous, user}, otherQuery, "look ip:ip; take ip:ip user:ip anon:ip", "200"},
		{"optional, a token", "optional", []limiter{ip, anonymous, user}, withToken, "look ip:ip; take ip:ip user:u-1", "200"},

		{"open", "none", []limiter{user, anonymous, ip, known}, withToken, "take user:ip anon:ip ip:ip", "200"},
		{"open, known only", "none", []limiter{known}, withToken, "", "200"},

		{"login fails", "none", []limiter{login, ip}, "GET /401 HTTP/1.1\n", "take login:ip ip:ip; settle login:ip", "401"},
		{"login works", "none", []limiter{login, ip}, nobody, "take login:ip ip:ip; settle", "200"},
		{"login fails at jwt", "", []limiter{login, user}, withBad, "look login:ip; count; settle login:ip", "401 bad_token"},
		{"login, refused behind", "", []limiter{login, user}, "GET / HTTP/1.1\nAuthorization: u-forbidden\n", "look login:ip; take login:ip user:u-forbidden; settle", "403 forbidden"},
		{"running", "", []limiter{running}, withToken, "take running:ip", "200"},

		{"preflight", "", []limiter{ip, user, flood}, preflight, "take flood:ip", "204"},
		{"preflight, not counted", "", []limiter{ip, user}, preflight, "", "204"},
		{"preflight, open", "none", []limiter{ip, flood}, preflight, "take flood:ip", "204"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			answer := ""
			if strings.Contains(tt.request, "/401") {
				answer = "HTTP/1.1 401 Unauthorized\n"
			}
			w := &world{meter: &fakeMeter{}, limits: tt.limits, auth: tt.auth}
			if asked, outcome := w.run(t, tt.request, answer); asked != tt.asked || outcome != tt.outcome {
				t.Errorf("asked %q, outcome %q\nwant  %q, outcome %q", asked, outcome, tt.asked, tt.outcome)
			}
		})
	}
}

// Where cors does not answer a preflight, the service does, if it observes; without cors it
// is a request as any other.
func TestPreflightsThatPass(t *testing.T) {
	ip, _, user, _, _ := limitsOfTests()
	flood := &fakeLimit{name: "flood", preflights: true}
	list := []limiter{ip, user, flood}
	observing := &world{meter: &fakeMeter{}, limits: list, corsObserves: true}
	if asked, outcome := observing.run(t, preflight, ""); asked != "take flood:ip" || outcome != "200" {
		t.Errorf("cors observes: %q, %q", asked, outcome)
	}
	without := &world{meter: &fakeMeter{}, limits: list, auth: "optional", noCORS: true}
	if asked, outcome := without.run(t, preflight, ""); asked != "look ip:ip flood:ip; take ip:ip flood:ip user:ip" || outcome != "200" {
		t.Errorf("no cors: %q, %q", asked, outcome)
	}
}

func TestRefusals(t *testing.T) {
	ip, anonymous, user, login, running := limitsOfTests()
	soft := &fakeLimit{name: "soft", soft: true}
	softUser := &fakeLimit{name: "softuser", asks: true, soft: true}
	failing := &fakeLimit{name: "login", kind: meter.After, counts: 429}
	over := func(wait time.Duration) outcome { return outcome{meter.Exceeded, 0, wait, wait} }
	lost := outcome{verdict: meter.Lost}
	tests := []struct {
		name           string
		world          world
		knows          bool
		outcomes       map[string]outcome
		request        string
		asked, outcome string
	}{
		{"known to be used up", world{limits: []limiter{ip, user}}, true, map[string]outcome{"ip": over(90 * time.Second)}, withToken,
			"look ip:ip", "429 rate_limited after 90"},
		{"known to be used up, bad token", world{limits: []limiter{ip, anonymous, user}}, true, map[string]outcome{"ip": over(time.Millisecond)}, withBad,
			"look ip:ip", "429 rate_limited after 1"},
		{"used up", world{limits: []limiter{ip, user}}, false, map[string]outcome{"ip": over(1001 * time.Millisecond)}, withToken,
			"look ip:ip; take ip:ip user:u-1", "429 rate_limited after 2"},
		{"several, the longest", world{limits: []limiter{user, ip, anonymous}, auth: "none"}, false,
			map[string]outcome{"user": over(time.Second), "ip": over(time.Minute), "anon": over(3 * time.Second)}, nobody, "take user:ip ip:ip anon:ip", "429 rate_limited after 60"},
		{"lost", world{limits: []limiter{ip}}, false, map[string]outcome{"ip": lost}, withToken, "take ip:ip", "503 limits_unavailable after 1"},
		{"lost and used up", world{limits: []limiter{ip, user}}, false, map[string]outcome{"ip": lost, "user": over(time.Minute)}, withToken,
			"look ip:ip; take ip:ip user:u-1", "429 rate_limited after 60"},
		{"running", world{limits: []limiter{running}}, false, map[string]outcome{"running": {verdict: meter.Exceeded}}, withToken, "take running:ip", "429 rate_limited after 1"},
		{"nothing counts that is refused here", world{limits: []limiter{failing, user}}, false, map[string]outcome{"user": over(time.Second)}, withToken,
			"look login:ip; take login:ip user:u-1", "429 rate_limited after 1"},
		{"a failed login is used up", world{limits: []limiter{login}, auth: "none"}, false, map[string]outcome{"login": over(time.Second)}, withToken,
			"take login:ip", "429 rate_limited after 1"},

		{"soft", world{limits: []limiter{soft, ip}}, false, map[string]outcome{"soft": over(time.Second)}, withToken,
			"take soft:ip ip:ip", "200, observed rate_limited by limit soft: 10 in 1m, used up for 1s"},
		{"soft, known at once", world{limits: []limiter{soft, user}}, true, map[string]outcome{"soft": over(time.Second)}, withToken,
			"look soft:ip; take soft:ip user:u-1", "200, observed rate_limited by limit soft: 10 in 1m, used up for 1s"},
		{"soft, lost", world{limits: []limiter{softUser}}, false, map[string]outcome{"softuser": lost}, withToken,
			"take softuser:u-1", "200, observed limits_unavailable by limit softuser: 10 in 1m, and the store is lost"},
		{"soft, and another refuses", world{limits: []limiter{soft, user}}, false, map[string]outcome{"soft": over(time.Second), "user": over(time.Minute)}, withToken,
			"look soft:ip; take soft:ip user:u-1", "429 rate_limited after 60, observed rate_limited by limit soft: 10 in 1m, used up for 1s"},
		{"soft, and jwt refuses", world{limits: []limiter{soft, user}}, false, map[string]outcome{"soft": over(time.Second)}, withBad,
			"look soft:ip; count soft:ip", "401 bad_token"},
		{"mode observe", world{limits: []limiter{ip, user}, observes: true}, true, map[string]outcome{"ip": over(time.Second), "user": over(time.Minute)}, withToken,
			"look ip:ip; take ip:ip user:u-1", "200, observed rate_limited by limit ip: 10 in 1m, used up for 1s, observed rate_limited by limit user: 10 in 1m, used up for 1m"},

		{"preflight", world{limits: []limiter{&fakeLimit{name: "flood", preflights: true}}}, false, map[string]outcome{"flood": over(time.Second)}, preflight,
			"take flood:ip", "429 rate_limited after 1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.world.meter = &fakeMeter{knows: tt.knows, outcomes: tt.outcomes}
			if asked, outcome := tt.world.run(t, tt.request, ""); asked != tt.asked || outcome != tt.outcome {
				t.Errorf("asked %q, outcome %q\nwant  %q, outcome %q", asked, outcome, tt.asked, tt.outcome)
			}
		})
	}
}

// Whatever breaks on the way, a call is counted and ended once.
func TestFaults(t *testing.T) {
	ip, _, user, login, running := limitsOfTests()
	for fault, want := range map[string]string{
		"cors":     "",
		"jwt":      "look ip:ip login:ip running:ip; count ip:ip; settle",
		"rbac":     "look ip:ip login:ip running:ip; take ip:ip login:ip running:ip user:u-1; settle",
		"response": "look ip:ip login:ip running:ip; take ip:ip login:ip running:ip user:u-1; settle",
		"end":      "look ip:ip login:ip running:ip; take ip:ip login:ip running:ip user:u-1; settle",
	} {
		w := &world{meter: &fakeMeter{}, limits: []limiter{ip, login, running, user}, fault: fault}
		if asked, _ := w.run(t, withToken, ""); asked != want {
			t.Errorf("%s: asked %q, want %q", fault, asked, want)
		}
	}
}

// A client that leaves before the answer has a call that ends too.
func TestAborted(t *testing.T) {
	ip, _, user, _, running := limitsOfTests()
	w := &world{meter: &fakeMeter{}, limits: []limiter{ip, user, running}}
	c := policytest.NewCall(t, withToken, "")
	x := c.Start()
	defer c.Finish(x)
	chain := w.chain()
	chain.Request(x)
	x.Abort(exchange.ClientGone)
	chain.End(x)
	if n := w.meter.open.Load(); n != 0 {
		t.Errorf("%d calls are open", n)
	}
}

func TestCostIsAMultiple(t *testing.T) {
	ip, _, _, _, _ := limitsOfTests()
	w := &world{meter: &fakeMeter{outcomes: map[string]outcome{"ip": {meter.Exceeded, 3, time.Second, 7 * time.Second}}}, limits: []limiter{ip}, cost: 5, observes: true}
	if _, got := w.run(t, withToken, ""); got != "200, observed rate_limited by limit ip: 10 in 1m, 3 left for a cost of 5 for 7s" {
		t.Error(got)
	}
}

// The log says which limit it was, by which numbers, and until when.
func TestDetail(t *testing.T) {
	tests := []struct {
		claim meter.Claim
		want  string
	}{
		{meter.Claim{Name: "a", Rule: store.Rule{Limit: 1000, Window: 15 * time.Minute}, Verdict: meter.Exceeded, Cost: 1, Wait: 11_001 * time.Millisecond}, "limit a: 1000 in 15m, used up for 12s"},
		{meter.Claim{Name: "a", Rule: store.Rule{Algorithm: store.TokenBucket, Limit: 60, Burst: 10, Window: 90 * time.Second}, Verdict: meter.Exceeded, Cost: 1}, "limit a: 60 in 1m30s, burst 10, used up for 1s"},
		{meter.Claim{Name: "a", Rule: store.Rule{Limit: 5}, Kind: meter.Flight, Verdict: meter.Exceeded, Cost: 1}, "limit a: 5 at once, and as many run"},
		{meter.Claim{Name: "a", Rule: store.Rule{Limit: 5, Window: 1500 * time.Millisecond}, Verdict: meter.Lost, Cost: 1}, "limit a: 5 in 1500ms, and the store is lost"},
		{meter.Claim{Name: strings.Repeat("n", 32), Rule: store.Rule{Algorithm: store.TokenBucket, Limit: 1e9, Burst: 1e9 - 1, Window: 743*time.Hour + 59*time.Minute + 59*time.Second}, Verdict: meter.Exceeded, Cost: 1e9, Left: 1e9 - 1, Wait: 743*time.Hour + 59*time.Minute + 59*time.Second},
			"limit " + strings.Repeat("n", 32) + ": 1000000000 in 743h59m59s, burst 999999999, 999999999 left for a cost of 1000000000 for 743h59m59s"},
	}
	for _, tt := range tests {
		var x exchange.Exchange
		if got := detail(&x, &tt.claim); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}

func TestExplain(t *testing.T) {
	ip, anonymous, user, _, running := limitsOfTests()
	list := []limiter{user, ip, anonymous, running}
	over := map[string]outcome{"ip": {meter.Exceeded, 0, 12 * time.Second, 12 * time.Second}}
	const so = "so many for each "
	tests := []struct {
		name    string
		world   world
		request string
		want    map[string][]string // by part
	}{
		{"a caller", world{limits: list, cost: 2}, withToken, map[string][]string{
			"before cors": {"no CORS preflight"},
			"before jwt": {"limit ip, " + so + "ip: ip:ip has 10 in 1m, this costs 2, counted behind jwt", "limit running, " + so + "running: running:ip has 10 at once, this costs 2, counted behind jwt",
				"limit anon, " + so + "anon: has to know who calls", "limit user, " + so + "user: has to know who calls"},
			"behind jwt": {"limit user, " + so + "user: user:u-1 has 10 in 1m, this costs 2, 9 left, more in 42s", "limit ip, " + so + "ip: ip:ip has 10 in 1m, this costs 2, 9 left, more in 42s",
				"limit anon, " + so + "anon: does not count this request", "limit running, " + so + "running: running:ip has 10 at once, this costs 2, 9 left, more in 42s"},
		}},
		{"open", world{limits: []limiter{ip, user}, auth: "none", meter: &fakeMeter{outcomes: over}}, nobody, map[string][]string{
			"before cors": {"no CORS preflight"},
			"before jwt":  {"limit ip, " + so + "ip: ip:ip has 10 in 1m, used up for 12s", "limit user, " + so + "user: user:ip has 10 in 1m, 9 left, more in 42s"},
		}},
		{"observed", world{limits: []limiter{ip}, auth: "none", observes: true, meter: &fakeMeter{outcomes: over}}, nobody, map[string][]string{
			"before cors": {"no CORS preflight"},
			"before jwt":  {"limit ip, " + so + "ip: ip:ip has 10 in 1m, used up for 12s (only observed)"},
		}},
		{"the store is lost", world{limits: []limiter{ip}, auth: "none", meter: &fakeMeter{outcomes: map[string]outcome{"ip": {}}}}, nobody, map[string][]string{
			"before cors": {"no CORS preflight"},
			"before jwt":  {"limit ip, " + so + "ip: ip:ip has 10 in 1m, nobody knows what is left: the store is lost, and it is open then"},
		}},
		{"preflight", world{limits: []limiter{ip, &fakeLimit{name: "flood", preflights: true}}}, preflight, map[string][]string{
			"before cors": {"limit ip, " + so + "ip: does not count preflights, or not of this caller", "limit flood, " + so + "flood: flood:ip has 10 in 1m, 9 left, more in 42s"},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.world.meter == nil {
				tt.world.meter = &fakeMeter{}
			}
			c := policytest.NewCall(t, tt.request, "")
			x := c.Start()
			defer c.Finish(x)
			chain := tt.world.chain()
			said := map[string][]string{}
			for i, l := range chain {
				x.SetRan(i + 1)
				verdict := l.Policy.Request(x, x.Slot(i))
				if e, ok := l.Policy.(policy.Explainer); ok {
					said[l.Kind.Part] = e.Explain(x, x.Slot(i))
				}
				if verdict != exchange.Continue {
					break
				}
			}
			chain.End(x)
			for part, want := range tt.want {
				if !slices.Equal(said[part], want) {
					t.Errorf("%s says\n%s\nwant\n%s", part, strings.Join(said[part], "\n"), strings.Join(want, "\n"))
				}
			}
			if len(said) != len(tt.want) {
				t.Errorf("parts that spoke: %v", said)
			}
		})
	}
}

// lives are what most requests are.
func lives() map[string]struct {
	world   world
	request string
} {
	ip, anonymous, user, login, running := limitsOfTests()
	over := &fakeMeter{outcomes: map[string]outcome{"user": {meter.Exceeded, 0, time.Second, time.Second}}}
	list := []limiter{ip, anonymous, user}
	all := map[string]string{"": "structured"}
	return map[string]struct {
		world   world
		request string
	}{
		"caller":     {world{meter: &fakeMeter{}, limits: list}, withToken},
		"structured": {world{meter: &fakeMeter{}, limits: list, fields: all}, withToken},
		"open":       {world{meter: &fakeMeter{}, limits: list, auth: "none"}, nobody},
		"bad token":  {world{meter: &fakeMeter{}, limits: list}, withBad},
		"refused":    {world{meter: over, limits: list}, withToken},
		"observed":   {world{meter: over, limits: list, observes: true}, withToken},
		"login":      {world{meter: &fakeMeter{}, limits: []limiter{login, running}, auth: "none"}, nobody},
		"preflight":  {world{meter: &fakeMeter{}, limits: list}, preflight},
	}
}

// chained is a chain as a policy.
type chained struct{ policy.Chain }

func (c chained) Request(x *exchange.Exchange, _ *exchange.Slot) exchange.Verdict {
	return c.Chain.Request(x)
}
func (c chained) Response(x *exchange.Exchange, _ *exchange.Slot) { c.Chain.Response(x) }
func (c chained) End(x *exchange.Exchange, _ *exchange.Slot)      { c.Chain.End(x) }

func TestNoAllocation(t *testing.T) {
	for name, life := range lives() {
		c := policytest.NewCall(t, life.request, "HTTP/1.1 200 OK\nRateLimit-Limit: 1\nETag: 1\n")
		if n := c.Allocs(t, chained{life.world.chain()}); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// BenchmarkPolicy is all parts of the policy, with a meter and limits that do nothing, and
// with the start and the end of the exchange, which are in BenchmarkNothing.
func BenchmarkPolicy(b *testing.B) {
	for name, life := range lives() {
		b.Run(name, func(b *testing.B) { benchmark(b, chained{life.world.chain()}, life.request) })
	}
}

func BenchmarkNothing(b *testing.B) {
	w := world{meter: &fakeMeter{}}
	chain := slices.DeleteFunc(w.chain(), func(l policy.Link) bool { return l.Kind.Name == "ratelimit" })
	benchmark(b, chained{chain}, withToken)
}

func benchmark(b *testing.B, p policy.Policy, request string) {
	c := policytest.NewCall(b, request, "HTTP/1.1 200 OK\nContent-Type: application/json\nContent-Length: 2\nETag: 1\n\n{}")
	b.ReportAllocs()
	for b.Loop() {
		c.Run(p)
	}
}
