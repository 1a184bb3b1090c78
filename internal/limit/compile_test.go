package limit

import (
	"strings"
	"testing"

	"yett/internal/config"
	"yett/internal/problem"
	"yett/internal/role"
)

const top = `
listeners: [{address: ":0"}]
routes: [{name: a, path: /, auth: none, endpoint: health}]
roles: {admin: {level: 90}, technician: {level: 50}, guest: {}}
limits:
`

// compile compiles limits that a test has written.
func compile(tb testing.TB, limits string, issuers ...string) (*Set, problem.List) {
	tb.Helper()
	c, err := config.Parse("yett.yaml", []byte(top+"  "+strings.ReplaceAll(strings.TrimSpace(limits), "\n", "\n  ")+"\n"), nil)
	if err != nil {
		tb.Fatal(err)
	}
	roles, problems := role.Compile(c.Roles)
	if len(problems) > 0 {
		tb.Fatal(problems)
	}
	s, problems := Compile(c.Limits, roles, issuers)
	return s, c.Source.Locate(problems)
}

// one compiles a limit that has to be good.
func one(tb testing.TB, body string, issuers ...string) *Limit {
	tb.Helper()
	s, problems := compile(tb, "a: {"+body+"}", issuers...)
	if len(problems) > 0 {
		tb.Fatalf("%s:\n%v", body, problems)
	}
	return s.Lookup("a")
}

func TestExplain(t *testing.T) {
	for body, want := range map[string]string{
		`limit: 100, window: 15m, by: ip`:                                                                                                                        `100 in 15m for each ip`,
		`limit: 100, window: 1h, by: everyone, cost: 2, fields: false`:                                                                                           `100 in 1h for all together, each request costs 2`,
		`limit: 60, window: 1m, algorithm: token_bucket, by: [user, route]`:                                                                                      `60 in 1m (bucket of 60) for each user and route`,
		`limit: 60, window: 1m, algorithm: token_bucket, burst: 5, by: header.X-Shop, mode: observe`:                                                             `60 in 1m (bucket of 5) for each header x-shop; only observed`,
		`limit: 5, window: 1m, algorithm: fixed_window, by: [ip, path.id], ipv4_prefix: 24, ipv6_prefix: 56`:                                                     `5 in 1m (fixed window) for each ip/24 (IPv6 /56) and {id} of the path`,
		`limit: 5, window: 15m, by: ip, counts: [401, 500-599], except: [10.0.0.0/8, "::1"], preflights: true`:                                                   `5 in 15m for each ip, only answers with status 401 or 500-599, none from 10.0.0.0/8 and ::1, CORS preflights too`,
		`limit: 5, window: 15m, by: api_key, for: known, callers: [{for: "plan:gold", unlimited: true}, {for: ["min_role:technician", "scope:big"], limit: 50}]`: `5 in 15m for each API key, of callers: known; plan:gold: unlimited; min_role:technician or scope:big: 50 in 15m`,
		`concurrent: 3, by: tenant, callers: [{for: "role:admin", concurrent: 30}]`:                                                                              `3 at once for each tenant; role:admin: 30 at once`,
		`limit: 9, window: 10s, by: [role, service, host, method]`:                                                                                               `9 in 10s for each role, service, host and method`,
	} {
		if got := one(t, body).Explain(); got != want {
			t.Errorf("%s\ngot  %s\nwant %s", body, got, want)
		}
	}
}

// Each mistake is one problem, at its place, with what to do about it.
func TestProblems(t *testing.T) {
	const rate = "limit: 10, window: 1m, by: ip"
	tests := []struct{ name, body, want string }{
		{"nothing", `by: ip`, `limits.a: there is nothing that a caller could have at most, write limit and window, or concurrent`},
		{"no window", `limit: 1, by: ip`, `limits.a.limit: there is a limit, and no window within which it counts, add window, such as 1m`},
		{"no limit", `window: 1m, by: ip`, `limits.a.window: there is a window, and nothing that a caller could spend within it, add limit`},
		{"odd window", `limit: 1, window: 10.0001ms, by: ip`, `limits.a.window: windows count in whole microseconds, round it`},
		{"burst", rate + `, burst: 5`, `limits.a.burst: only a token_bucket has a burst, write algorithm: token_bucket, or remove it`},
		{"both", rate + `, concurrent: 5`, `limits.a.limit: concurrent counts requests that run, limit and window those of a time: a limit is one of both, make two limits of it`},
		{"burst at once", `concurrent: 5, by: ip, burst: 3`, `limits.a.burst: requests that run have no burst, remove it, or concurrent`},
		{"algorithm at once", `concurrent: 5, by: ip, algorithm: fixed_window`, `limits.a.algorithm: requests that run are just counted, remove it, or concurrent`},
		{"counts at once", `concurrent: 5, by: ip, counts: 401`, `limits.a.counts: a request runs before anybody knows its answer, remove it, or concurrent`},
		{"cost at once", `concurrent: 5, by: ip, cost: 2`, `limits.a.cost: each request that runs is one, remove it, or concurrent`},
		{"leased at once", `concurrent: 5, by: ip, precision: leased`, `limits.a.precision: requests that run are counted on each node by itself, remove it, or concurrent`},
		{"loss at once", `concurrent: 5, by: ip, on_store_failure: open`, `limits.a.on_store_failure: requests that run are counted on each node by itself, remove it, or concurrent`},
		{"cost of nearly a whole leased bucket", `limit: 600, window: 1m, by: ip, algorithm: token_bucket, precision: leased, cost: 595`, `limits.a.cost: a request costs 595, and there are never more than 589, so none would pass, lower it, or raise limit or burst`},
		{"counts leased", rate + `, counts: 401, precision: leased`, `limits.a.counts: leased takes from the store before requests come, and whether one counts is known only after it was answered, write precision: exact, or count all requests`},
		{"counts nothing", rate + `, counts: []`, `limits.a.counts: is an empty list, name statuses, or remove it: all requests count then`},
		{"class", rate + `, counts: 4xx`, `limits.a.counts[0]: "4xx" is no status and no range of them, write 400-499`},
		{"status", rate + `, counts: [401, 99]`, `limits.a.counts[1]: "99" is no status and no range of them, write one such as 401, or from-to such as 400-599; statuses are 100 to 599`},
		{"high status", rate + `, counts: 400-600`, `limits.a.counts[0]: "400-600" is no status and no range of them, write one such as 401, or from-to such as 400-599; statuses are 100 to 599`},
		{"signed status", rate + `, counts: "+40"`, `limits.a.counts[0]: "+40" is no status and no range of them, write one such as 401, or from-to such as 400-599; statuses are 100 to 599`},
		{"backward", rate + `, counts: 599-400`, `limits.a.counts[0]: "599-400" is no status and no range of them, write 400-599`},
		{"status twice", rate + `, counts: [400-499, 401]`, `limits.a.counts[1]: 401 is among those before it, remove it`},
		{"cost", rate + `, cost: 11`, `limits.a.cost: a request costs 11, and there are never more than 10, so none would pass, lower it, or raise limit or burst`},
		{"cost of burst", rate + `, algorithm: token_bucket, burst: 2, cost: 3`, `limits.a.cost: a request costs 3, and there are never more than 2, so none would pass, lower it, or raise limit or burst`},
		{"cost of callers", rate + `, cost: 5, callers: [{for: known, limit: 4}]`, `limits.a.callers[0]: a request costs 5, and these callers never have more than 4, so none of theirs would pass, raise it, or lower cost of the limit`},
		{"by slip", `limit: 1, window: 1m, by: usr`, `limits.a.by[0]: nothing counts by "usr", did you mean "user"?`},
		{"by colon", `limit: 1, window: 1m, by: "header:X-A"`, `limits.a.by[0]: nothing counts by "header:X-A", write header.NAME`},
		{"by a header", `limit: 1, window: 1m, by: headers`, `limits.a.by[0]: nothing counts by "headers", write header.NAME`},
		{"by header", `limit: 1, window: 1m, by: header`, `limits.a.by[0]: nothing counts by "header", write header.NAME`},
		{"by header of nothing", `limit: 1, window: 1m, by: header.`, `limits.a.by[0]: "" can't be the name of a header, a name consists of`},
		{"by header with a blank", `limit: 1, window: 1m, by: "header.X A"`, `limits.a.by[0]: "X A" can't be the name of a header, a name consists of`},
		{"by host", `limit: 1, window: 1m, by: header.host`, `limits.a.by[0]: Host is more than a header, write host`},
		{"D9", `limit: 1, window: 1m, by: header.X-Forwarded-For`, `limits.a.by[0]: anybody can send X-Forwarded-For, so it says nothing about who calls, write ip, and list your proxies under trusted_proxies`},
		{"by hop", `limit: 1, window: 1m, by: header.Proxy-Authorization`, `limits.a.by[0]: Proxy-Authorization concerns the connection, and is dropped when a request comes, count by something else`},
		{"by path", `limit: 1, window: 1m, by: "path.{id}"`, `limits.a.by[0]: "{id}" can't be the name of a value of a path, write the name without braces`},
		{"by rest", `limit: 1, window: 1m, by: "path.**"`, `limits.a.by[0]: ** is any number of segments, name a single value`},
		{"by twice", `limit: 1, window: 1m, by: [header.X-A, ip, header.x-a]`, `limits.a.by[2]: header.x-a is there twice, remove it`},
		{"by everyone", `limit: 1, window: 1m, by: [ip, everyone]`, `limits.a.by[1]: everyone is counted together, so nothing can stand beside it, write everyone alone, or remove it`},
		{"for nobody", rate + `, for: []`, `limits.a.for: is an empty list, write all, or whose requests count`},
		{"for slip", rate + `, for: anonimous`, `limits.a.for[0]: "anonimous" is no word for callers, did you mean "anonymous"?`},
		{"for a slip with value", rate + `, for: "minrole:admin"`, `limits.a.for[0]: "minrole:admin" is no word for callers, did you mean "min_role:ROLE"?`},
		{"for a role", rate + `, for: admin`, `limits.a.for[0]: "admin" is no word for callers, write role:admin, or min_role:admin for those above too`},
		{"for an unknown role", rate + `, for: "role:admn"`, `limits.a.for[0]: there is no role "admn", did you mean "admin"?`},
		{"for no role", rate + `, for: "min_role:"`, `limits.a.for[0]: min_role needs a value, write min_role:ROLE`},
		{"for known ones", rate + `, for: "known:x"`, `limits.a.for[0]: known takes no value, write known`},
		{"for all and more", rate + `, for: [known, all]`, `limits.a.for[1]: all is everybody, so nothing can stand beside it, write all alone, or remove it`},
		{"for all in two words", rate + `, for: [known, anonymous]`, `limits.a.for: those who are anonymous or known are everybody, write all`},
		{"for twice", rate + `, for: ["min_role:technician", "role:admin"]`, `limits.a.for[1]: role:admin adds nobody to those before it, remove it`},
		{"anonymous users", `limit: 1, window: 1m, by: [ip, user], for: anonymous`, `limits.a.by[1]: only anonymous callers count here, and they have no user, write ip`},
		{"known preflights", rate + `, for: known, preflights: true`, `limits.a.preflights: a CORS preflight can't say who calls, and only known callers count here, remove it, or let anonymous callers count`},
		{"no address", `limit: 1, window: 1m, by: host, ipv4_prefix: 24`, `limits.a.ipv4_prefix: nothing here counts by address, remove it, or count by ip`},
		{"no address 6", `limit: 1, window: 1m, by: host, ipv6_prefix: 48`, `limits.a.ipv6_prefix: nothing here counts by address, remove it, or count by ip`},
		{"except nobody", rate + `, except: []`, `limits.a.except: is an empty list, name networks, or remove it`},
		{"except all", rate + `, except: [0.0.0.0/0]`, `limits.a.except[0]: 0.0.0.0/0 is every address, so nobody's requests would count, name networks of your own, or remove the limit`},
		{"except twice", rate + `, except: [10.0.0.0/8, 10.1.0.0/16]`, `limits.a.except[1]: 10.1.0.0/16 is within a network before it, remove it`},
		{"no callers", rate + `, callers: []`, `limits.a.callers: is an empty list, remove it`},
		{"nothing but for", rate + `, callers: [{for: known}]`, `limits.a.callers[0]: says nothing about those callers, add numbers, or unlimited: true`},
		{"unlimited and more", rate + `, callers: [{for: known, unlimited: true, limit: 5}]`, `limits.a.callers[0].unlimited: who is not limited has no numbers, keep one of both`},
		{"callers at once", rate + `, callers: [{for: known, concurrent: 5}]`, `limits.a.callers[0].concurrent: the limit has a window, and does not count requests that run, write limit, or make two limits of it`},
		{"callers in time", `concurrent: 5, by: ip, callers: [{for: known, limit: 5}]`, `limits.a.callers[0]: the limit counts requests that run, so there is no limit or burst here, write concurrent`},
		{"burst of callers", rate + `, callers: [{for: known, burst: 5}]`, `limits.a.callers[0].burst: only a token_bucket has a burst, write algorithm: token_bucket, or remove it`},
		{"same callers", rate + `, callers: [{for: "plan:a", limit: 5}, {for: "plan:a", limit: 6}]`, `limits.a.callers[1].for: plan:a: all of them have the numbers of entries before it, remove the entry, or put it in front`},
		{"callers above", rate + `, callers: [{for: "min_role:technician", limit: 5}, {for: "min_role:admin", limit: 6}]`, `limits.a.callers[1].for: min_role:admin: all of them have the numbers of entries before it, remove the entry, or put it in front`},
		{"callers of two", rate + `, callers: [{for: "plan:a", limit: 5}, {for: "scope:b", limit: 6}, {for: ["plan:a", "scope:b"], limit: 6}]`, `limits.a.callers[2].for: plan:a or scope:b: all of them have`},
		{"anonymous callers of known", rate + `, for: "role:admin", callers: [{for: anonymous, limit: 5}]`, `limits.a.callers[0].for: anonymous: only role:admin count here, remove the entry, or change for of the limit`},
		{"known callers of anonymous", rate + `, for: anonymous, callers: [{for: "plan:a", limit: 5}]`, `limits.a.callers[0].for: plan:a: only anonymous count here, remove the entry, or change for of the limit`},
		{"callers are all", rate + `, callers: [{for: all, limit: 5}]`, `limits.a.callers[0].for: with all every caller has an entry, so the limit's own numbers never count, change the limit's own numbers instead`},
		{"callers are all in the end", rate + `, callers: [{for: anonymous, limit: 5}, {for: known, limit: 6}]`, `limits.a.callers[1].for: with known every caller has an entry, so`},
	}
	for _, tt := range tests {
		_, problems := compile(t, "a: {"+tt.body+"}")
		if len(problems) != 1 {
			t.Errorf("%s: %d problems\n%v", tt.name, len(problems), problems)
			continue
		}
		p := problems[0]
		if p.File, p.Line, p.Column = "", p.Line-6, 0; p.Line != 0 || !strings.HasPrefix(p.String(), tt.want) {
			t.Errorf("%s: line %d\ngot  %s\nwant %s", tt.name, p.Line, p, tt.want)
		}
	}
}

func TestNames(t *testing.T) {
	long := strings.Repeat("x", 33)
	for name, good := range map[string]bool{"a": true, "per_user-2": true, long[1:]: true, long: false, "A": false, "a b": false, "ä": false, `"a.b"`: false, `"a|b"`: false, `""`: false} {
		_, problems := compile(t, name+": {limit: 1, window: 1m, by: ip}")
		if (len(problems) == 0) != good || !good && !strings.Contains(problems.Error(), "can't be the name of a limit, names are lower-case letters, digits, _ and -, at most 32") {
			t.Errorf("%s: %v", name, problems)
		}
	}
}

// Everything that is wrong is said at once.
func TestAllProblemsAtOnce(t *testing.T) {
	_, problems := compile(t, `
A: {limit: 1, window: 1m, by: ip}
b: {limit: 1, by: [usr, tenant], for: nobody, counts: 1, burst: 2}
c: {concurrent: 1, by: ip, callers: [{for: "role:nobody"}]}`)
	var paths []string
	for _, p := range problems {
		paths = append(paths, p.Path)
	}
	if got, want := strings.Join(paths, " "), "limits.A limits.b.limit limits.b.burst limits.b.counts[0] limits.b.by[0] limits.b.for[0] limits.c.callers[0].for[0] limits.c.callers[0]"; got != want {
		t.Errorf("got  %s\nwant %s\n%v", got, want, problems)
	}
}

// A mistake in the roles is not reported again by each limit that asks for them.
func TestBrokenRoles(t *testing.T) {
	roles, problems := role.Compile(config.Mapping[config.Role]{{Name: "a", Value: config.Role{Includes: config.StringList{"b"}}}, {Name: "b", Value: config.Role{Includes: config.StringList{"a"}}}})
	if len(problems) == 0 {
		t.Fatal("no problem")
	}
	var c config.Limit
	c.SetDefaults()
	c.Limit, c.Window, c.By, c.For = 1, config.Duration(1e9), config.StringList{"ip"}, config.StringList{"min_role:a", "min_role:b"}
	if _, problems := Compile(config.Mapping[config.Limit]{{Name: "x", Value: c}}, roles, nil); len(problems) > 0 {
		t.Error(problems)
	}
	_, problems = Compile(config.Mapping[config.Limit]{{Name: "x", Value: c}}, nil, nil)
	if len(problems) != 2 || problems[0].Hint != "define it under roles, at the top level" {
		t.Error(problems)
	}
}

func TestSet(t *testing.T) {
	s, problems := compile(t, "b: {limit: 1, window: 1m, by: service}\na: {limit: 1, window: 1m, by: ip}")
	if len(problems) > 0 || strings.Join(s.Names(), " ") != "b a" || s.Lookup("a").Name() != "a" || s.Lookup("c") != nil {
		t.Errorf("%v, %v", s.Names(), problems)
	}
	bound := s.For("crm")
	if bound.Lookup("a") != s.Lookup("a") || bound.Lookup("b") == s.Lookup("b") || s.For("") != s {
		t.Error("not the limits of a service")
	}
	var none *Set
	if none.Lookup("a") != nil || len(none.Names()) != 0 || none.For("crm") != nil {
		t.Error("the nil Set has something")
	}
}
