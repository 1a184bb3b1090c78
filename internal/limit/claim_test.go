package limit

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"yett/internal/exchange"
	"yett/internal/meter"
	"yett/internal/store"
)

// request is an exchange as a policy gets it: known callers have a subject.
func request(subject string) *exchange.Exchange {
	x := &exchange.Exchange{Method: "GET", Host: "api.example.org", Route: "orders", Client: netip.MustParseAddr("203.0.113.7")}
	x.Identity.Subject = subject
	return x
}

// claim returns what a request asks of a limit, and nil for nothing.
func claim(l *Limit, x *exchange.Exchange) *meter.Claim {
	var c meter.Call
	if !l.Claim(&c, x, 1) {
		if len(c.Claims)+len(c.Keys) > 0 {
			panic("a claim, and nothing is asked")
		}
		return nil
	}
	if c := &c.Claims[0]; c.Rule != l.Rules()[c.Tier] {
		panic("the claim's numbers are not those of its tier")
	}
	return &c.Claims[0]
}

func TestWho(t *testing.T) {
	nobody, user, admin, technician := request(""), request("u"), request("ada"), request("tom")
	admin.Identity.Roles, technician.Identity.Roles = []string{"other", "admin"}, []string{"technician"}
	gold, tenant, scope := request("g"), request("t"), request("s")
	gold.Identity.Plan, tenant.Identity.Tenant, scope.Identity.Scopes = "gold", "t-1", []string{"x", "big"}
	everyone := []*exchange.Exchange{nobody, user, admin, technician, gold, tenant, scope}
	for _, tt := range []struct {
		who  string
		want []*exchange.Exchange
	}{
		{`all`, everyone},
		{`anonymous`, everyone[:1]},
		{`known`, everyone[1:]},
		{`"role:technician"`, []*exchange.Exchange{technician}},
		{`"min_role:technician"`, []*exchange.Exchange{admin, technician}},
		{`["plan:gold", "tenant:t-1"]`, []*exchange.Exchange{gold, tenant}},
		{`["scope:big", anonymous]`, []*exchange.Exchange{nobody, scope}},
		{`["role:admin", "role:technician"]`, []*exchange.Exchange{admin, technician}},
	} {
		l := one(t, `limit: 10, window: 1m, by: ip, for: `+tt.who)
		for _, x := range everyone {
			if got := claim(l, x) != nil; got != slices.Contains(tt.want, x) {
				t.Errorf("%s: %q counts: %v", tt.who, x.Identity.Subject, got)
			}
		}
	}
	nobody.Identity.Plan, nobody.Identity.Roles = "gold", []string{"admin"} // which nobody has verified
	if l := one(t, `limit: 10, window: 1m, by: ip, for: ["plan:gold", "role:admin"]`); claim(l, nobody) != nil {
		t.Error("a caller whom nobody knows has a plan")
	}
}

// The first entry that fits counts.
func TestRules(t *testing.T) {
	l := one(t, `limit: 10, window: 1m, by: ip, algorithm: token_bucket, cost: 2, precision: leased, on_store_failure: closed, mode: observe, callers: [{for: "plan:free", burst: 5}, {for: "scope:big", unlimited: true}, {for: "role:admin", limit: 30}]`)
	base, free, big, admin, both := request("u"), request("f"), request("b"), request("a"), request("ab")
	free.Identity.Plan = "free"
	big.Identity.Scopes, both.Identity.Scopes = []string{"big"}, []string{"big"}
	admin.Identity.Roles, both.Identity.Roles = []string{"admin"}, []string{"admin"}
	for x, want := range map[*exchange.Exchange]store.Rule{
		base:  {Algorithm: store.TokenBucket, Limit: 10, Window: time.Minute, Burst: 10},
		free:  {Algorithm: store.TokenBucket, Limit: 10, Window: time.Minute, Burst: 5},
		admin: {Algorithm: store.TokenBucket, Limit: 30, Window: time.Minute, Burst: 30},
	} {
		got := claim(l, x)
		if got == nil || got.Rule != want || got.Name != "a" || got.Kind != meter.Rate || got.Cost != 2 || !got.Leased || got.OnLoss != meter.Closed || !got.Soft {
			t.Errorf("%s: %+v", x.Identity.Subject, got)
		}
	}
	if claim(l, big) != nil || claim(l, both) != nil {
		t.Error("who is unlimited is limited")
	}
	var c meter.Call
	if l.Claim(&c, base, 3); c.Claims[0].Cost != 6 {
		t.Errorf("the cost is %d", c.Claims[0].Cost)
	}
	for multiple, good := range map[int64]bool{1: true, 2: true, 3: false} {
		if err := l.CheckCost(multiple); (err == nil) != good { // 5 is the least that somebody has
			t.Errorf("%d times 2: %v", multiple, err)
		}
	}
	l = one(t, `concurrent: 3, by: ip, on_store_failure: local, callers: [{for: known, concurrent: 7}]`)
	if a, b := claim(l, request("")), claim(l, base); a.Kind != meter.Flight || a.Rule.Limit != 3 || b.Rule.Limit != 7 || !l.Concurrent() || l.CheckCost(2) == nil || l.CheckCost(1) != nil {
		t.Errorf("%+v, %+v", a, b)
	}
	l = one(t, `limit: 3, window: 1s, by: ip, algorithm: fixed_window, on_store_failure: open`)
	if a := claim(l, base); a.OnLoss != meter.Open || a.Rule.Algorithm != store.FixedWindow || a.Soft || a.Leased || l.Concurrent() {
		t.Errorf("%+v", a)
	}
}

func TestExcept(t *testing.T) {
	l := one(t, `limit: 10, window: 1m, by: ip, except: [10.0.0.0/8, "2001:db8::/32", "fe80::/10"]`)
	for addr, counts := range map[string]bool{
		"10.1.2.3": false, "::ffff:10.1.2.3": false, "11.0.0.1": true, "2001:db8::1": false, "2001:db9::1": true, "fe80::1%eth0": false,
	} {
		x := request("")
		x.Client = netip.MustParseAddr(addr)
		if got := claim(l, x) != nil; got != counts {
			t.Errorf("%s counts: %v", addr, got)
		}
	}
	x := request("")
	x.PassPreflight = true
	if claim(l, x) != nil || claim(one(t, `limit: 10, window: 1m, by: ip, preflights: true`), x) == nil {
		t.Error("preflights")
	}
}

func TestAsks(t *testing.T) {
	for body, want := range map[string][2]bool{ // whether it asks for the caller, and is for anonymous ones
		`by: ip`:                                {false, false},
		`by: [ip, route, api_key]`:              {false, false},
		`by: ip, for: all`:                      {false, false},
		`by: ip, for: anonymous`:                {false, true},
		`by: user`:                              {true, false},
		`by: tenant`:                            {true, false},
		`by: [route, role]`:                     {true, false},
		`by: ip, for: known`:                    {true, false},
		`by: ip, for: [anonymous, "plan:free"]`: {true, false},
		`by: ip, callers: [{for: anonymous, limit: 1}]`: {true, false},
	} {
		l := one(t, "limit: 10, window: 1m, "+body)
		if got := [2]bool{l.AsksCaller(), l.ForAnonymous()}; got != want {
			t.Errorf("%s: %v", body, got)
		}
	}
	l := one(t, "limit: 10, window: 1m, by: [path.id, ip, path.org], fields: false")
	if !slices.Equal(l.Params(), []string{"id", "org"}) || l.Shown() || !one(t, "limit: 1, window: 1m, by: ip").Shown() {
		t.Errorf("%v, %v", l.Params(), l.Shown())
	}
}

func TestCounts(t *testing.T) {
	l := one(t, `limit: 10, window: 1m, by: ip, counts: [401, 500-599]`)
	if c := claim(l, request("")); c.Kind != meter.After || c.Counts {
		t.Errorf("%+v", c)
	}
	for status, want := range map[int]bool{200: false, 400: false, 401: true, 402: false, 499: false, 500: true, 599: true, 600: false} {
		x := request("")
		if x.Status = status; l.Counts(x) != want {
			t.Errorf("%d counts: %v", status, !want)
		}
	}
	x := request("")
	x.Refuse(exchange.NoTarget)
	if !l.Counts(x) {
		t.Error("an answer of the gateway itself does not count")
	}
}

// Who gives up what its service may have seen has used up a try: else it could try as often as
// it likes, and leave before each answer. Before that it counts nowhere (D13).
func TestCountsOfWhoLeaves(t *testing.T) {
	l := one(t, `limit: 10, window: 1m, by: ip, counts: 401`)
	for _, tt := range []struct {
		reason *exchange.Reason
		sent   bool
		want   bool
	}{
		{exchange.ClientGone, false, false},
		{exchange.ClientGone, true, true},
		{exchange.BadChunk, true, true}, // a body that ends so that it leaves too
		{exchange.TruncatedBody, true, true},
		{exchange.TruncatedBody, false, false},
		{exchange.UpstreamTimeout, true, false},
		{exchange.ShuttingDown, true, false},
		{nil, true, false},
	} {
		x := request("")
		x.Sent, x.Status = tt.sent, 200
		if tt.reason != nil {
			x.Refuse(tt.reason)
		}
		if l.Counts(x) != tt.want {
			t.Errorf("%v, sent: %v: it counts: %v", tt.reason, tt.sent, !tt.want)
		}
	}
	for reason, want := range map[*exchange.Reason]bool{exchange.ClientGone: false, exchange.TruncatedBody: false, exchange.BadChunk: true} {
		x := request("") // where statuses count that the gateway's own answers have
		x.Refuse(reason)
		if got := one(t, `limit: 10, window: 1m, by: ip, counts: 400-499`).Counts(x); got != want {
			t.Errorf("%v, not sent: it counts: %v", reason, got)
		}
	}
}

// Hashes are what sha256sum says, the first 128 bits in base64url.
func TestKeys(t *testing.T) {
	ada := request("ada|x y%{}ä\n")
	ada.Identity.Tenant, ada.Identity.Role = "t-1", "admin,other"
	ada.AddParam("id", "7/8")
	ada.AddParam("invite_key", "sesame")
	for _, f := range [][2]string{{"X-API-Key", "sesame"}, {"x-shop", "one"}, {"X-Shop", "two, three"}, {"Authorization", "Bearer abc"}, {"X-Empty", ""},
		{"Cookie", "a=1"}, {"Cookie", "b=2"}, {"X-Auth-Token", "sesame"}, {"X-Functions-Key", "sesame"}, {"X-Long", strings.Repeat("x", 40)}, {"X-Long", strings.Repeat("y", 40)}, {"X-Tilde", "~a"}, {"X-Dash", "-"}} {
		ada.Request.Add(f[0], f[1])
	}
	six, mapped, none := request(""), request(""), request("")
	six.Client, mapped.Client, none.Client = netip.MustParseAddr("2001:db8:1:2:3:4:5:6%eth0"), netip.MustParseAddr("::ffff:203.0.113.9"), netip.Addr{}
	none.Route, none.Host = "", ""
	for _, tt := range []struct {
		by   string
		x    *exchange.Exchange
		want string
	}{
		{`by: ip`, ada, `ip:203.0.113.7`},
		{`by: ip, ipv4_prefix: 24`, ada, `ip:203.0.113.0/24`},
		{`by: ip`, mapped, `ip:203.0.113.9`},
		{`by: ip, ipv4_prefix: 24`, mapped, `ip:203.0.113.0/24`},
		{`by: ip`, six, `ip:2001:db8:1:2::/64`},
		{`by: ip, ipv6_prefix: 128`, six, `ip:2001:db8:1:2:3:4:5:6`},
		{`by: ip`, none, `ip:-`},
		{`by: user`, ada, `user:ada%7Cx%20y%25%7B%7D%C3%A4%0A`},
		{`by: user`, six, `ip:2001:db8:1:2::/64`},
		{`by: user`, request(strings.Repeat("a", 64)), `user:` + strings.Repeat("a", 64)},
		{`by: user`, request(strings.Repeat("a", 65)), `user:~Y1NhxIu56rFBmOduqKt_Gg`},
		{`by: user`, request("-"), `user:%2D`},
		{`by: user`, request("~"), `user:%7E`},
		{`by: tenant`, ada, `tenant:t-1`},
		{`by: tenant`, request("u"), `user:u`},
		{`by: tenant`, six, `ip:2001:db8:1:2::/64`},
		{`by: role`, ada, `role:admin,other`},
		{`by: role`, six, `role:-`},
		{`by: api_key`, ada, `api_key:0MBPSxlR5K6q7IIj7SA55Q`},
		{`by: api_key`, six, `ip:2001:db8:1:2::/64`},
		{`by: header.X-API-Key`, ada, `header.x-api-key:0MBPSxlR5K6q7IIj7SA55Q`},
		{`by: header.X-Auth-Token`, ada, `header.x-auth-token:0MBPSxlR5K6q7IIj7SA55Q`},
		{`by: header.X-Auth-Token`, six, `header.x-auth-token:-`},
		{`by: header.X-Functions-Key`, ada, `header.x-functions-key:0MBPSxlR5K6q7IIj7SA55Q`},
		{`by: path.invite_key`, ada, `path.invite_key:0MBPSxlR5K6q7IIj7SA55Q`},
		{`by: path.invite_key`, six, `path.invite_key:-`},
		{`by: header.X-SHOP`, ada, `header.x-shop:one,two,%20three`},
		{`by: header.X-Empty`, ada, `header.x-empty:`},
		{`by: header.X-None`, ada, `header.x-none:-`},
		{`by: header.X-Tilde`, ada, `header.x-tilde:%7Ea`},
		{`by: header.X-Dash`, ada, `header.x-dash:%2D`},
		{`by: "header.a|b"`, ada, `header.a%7Cb:-`},
		{`by: [path.id, path.org]`, ada, `path.id:7/8|path.org:-`},
		{`by: [route, service, host, method]`, ada, `route:orders|service:-|host:api.example.org|method:GET`},
		{`by: [route, host]`, none, `route:-|host:-`},
		{`by: everyone`, ada, `everyone`},
	} {
		got := claim(one(t, "limit: 1, window: 1m, "+tt.by), tt.x).Key
		if got != tt.want {
			t.Errorf("%s\ngot  %s\nwant %s", tt.by, got, tt.want)
		}
	}
	for _, by := range []string{"header.Authorization", "header.Cookie", "header.X-Long"} {
		got := claim(one(t, "limit: 1, window: 1m, by: "+by), ada).Key
		plain := map[string]string{"header.Authorization": "Bearer abc", "header.Cookie": "a=1; b=2", "header.X-Long": strings.Repeat("x", 40) + "," + strings.Repeat("y", 40)}[by]
		mark := ":"
		if by == "header.X-Long" {
			mark = ":~"
		}
		if want := strings.ToLower(by) + mark + string(appendHash(nil, plain)); got != want {
			t.Errorf("%s: %s, want %s", by, got, want)
		}
	}
}

// The service is that of the route, since the exchange does not know it yet.
func TestServiceOfRoute(t *testing.T) {
	s, _ := compile(t, "a: {limit: 1, window: 1m, by: [service, ip]}")
	for _, service := range []string{"crm", "auth"} {
		if got := claim(s.For(service).Lookup("a"), request("")).Key; got != "service:"+service+"|ip:203.0.113.7" {
			t.Error(got)
		}
	}
}

// Keys of earlier claims stay as they are when the memory for keys grows, and while
// secrets and long values are hashed behind them.
func TestKeysStay(t *testing.T) {
	var m meter.Meter
	c := m.Call()
	c.Keys = make([]byte, 0, 8)
	x := request(strings.Repeat("u", 60))
	x.Request.Add("X-API-Key", strings.Repeat("k", 300))
	x.Request.Add("X-Long", strings.Repeat("x", 100))
	x.Request.Add("X-Long", strings.Repeat("y", 100))
	var want []string
	for _, by := range []string{"ip", "api_key", "user", "header.X-Long", "[user, ip]", "host", "header.x-api-key", "route", "[header.X-Long, user]"} {
		l := one(t, "limit: 1, window: 1m, by: "+by)
		want = append(want, claim(l, x).Key)
		l.Claim(c, x, 1)
	}
	for i, cl := range c.Claims {
		if cl.Key != want[i] {
			t.Errorf("key %d is %s, want %s", i, cl.Key, want[i])
		}
	}
	if got := strings.Join(want, ""); got != string(c.Keys) {
		t.Errorf("the keys are\n%s, want\n%s", c.Keys, got)
	}
}

func TestClaimAllocs(t *testing.T) {
	if raceDetector {
		t.Skip("allocations can't be counted under the race detector")
	}
	limits := []*Limit{
		one(t, `limit: 1, window: 1m, by: ip, except: [10.0.0.0/8]`),
		one(t, `limit: 9, window: 1m, by: [user, route, service, host, method, path.id], callers: [{for: ["scope:a", "plan:b", "min_role:technician"], limit: 5}]`),
		one(t, `limit: 1, window: 1m, by: [api_key, header.Authorization, header.X-Shop, header.X-One], counts: 401`),
		one(t, `concurrent: 1, by: [tenant, role], for: known`),
	}
	x := request("ada lovelace|" + strings.Repeat("x", 70))
	x.Client = netip.MustParseAddr("2001:db8:1:2:3:4:5:6")
	x.Identity.Roles, x.Identity.Role = []string{"guest", "technician"}, "guest,technician"
	x.AddParam("id", "7 8")
	for _, f := range [][2]string{{"X-API-Key", "sesame"}, {"X-Shop", "one"}, {"X-Shop", "two|"}, {"Authorization", strings.Repeat("t", 900)}, {"X-One", strings.Repeat("o", 99)}} {
		x.Request.Add(f[0], f[1])
	}
	var m meter.Meter
	c := m.Call()
	claims := c.Claims
	if n := testing.AllocsPerRun(500, func() {
		c.Claims, c.Keys = claims[:0], c.Keys[:0]
		for _, l := range limits {
			if !l.Claim(c, x, 1) || l.Counts(x) {
				t.Fatal("no claim")
			}
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkClaim(b *testing.B) {
	x := request("bbd1e0c4-284c-48b5-b7ae-477e8237382e")
	six := request("bbd1e0c4-284c-48b5-b7ae-477e8237382e")
	six.Client = netip.MustParseAddr("2001:db8:1:2:3:4:5:6")
	x.Identity.Roles = []string{"technician"}
	x.AddParam("id", "4711")
	key := request("")
	key.Request.Add("X-API-Key", "0123456789abcdef0123456789abcdef")
	for _, bench := range []struct {
		name, body string
		x          *exchange.Exchange
	}{
		{"ip", `by: ip`, x},
		{"ip6", `by: ip`, six},
		{"user", `by: user`, x},
		{"mix", `by: [user, route, method]`, x},
		{"callers", `by: user, for: known, callers: [{for: "plan:gold", limit: 5}, {for: "min_role:technician", limit: 20}]`, x},
		{"api_key", `by: api_key`, key},
	} {
		b.Run(bench.name, func(b *testing.B) {
			l := one(b, "limit: 10, window: 1m, "+bench.body)
			var m meter.Meter
			c := m.Call()
			claims := c.Claims
			b.ReportAllocs()
			for b.Loop() {
				c.Claims, c.Keys = claims[:0], c.Keys[:0]
				l.Claim(c, bench.x, 1)
			}
		})
	}
}
