package limit

import (
	"strings"
	"testing"
	"time"

	"yett/internal/config"
	"yett/internal/role"
)

func TestSay(t *testing.T) {
	const text = `
roles: {boss: {level: 9}}
limits:
  a: {limit: 1000, window: 15m, by: user}
  b: {limit: 60, window: 1m, by: ip, counts: [400-599], for: anonymous, ipv4_prefix: 24, except: [10.0.0.0/8]}
  c: {concurrent: 5, by: everyone, callers: [{for: min_role:boss, unlimited: true}, {for: ['plan:gold', 'scope:bulk'], concurrent: 50}]}
  d: {limit: 10, window: 1s, burst: 50, algorithm: token_bucket, by: [api_key, method, header.X-Shop, path.id]}
  e: {limit: 1, window: 24h, by: tenant, for: ['tenant:acme', 'tenant:globex', 'role:boss'], callers: [{for: tenant:acme, limit: 7}]}
`
	node, err := config.ParseNode("yett.yaml", []byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	var c struct {
		Roles  config.Mapping[config.Role]  `yaml:"roles"`
		Limits config.Mapping[config.Limit] `yaml:"limits"`
	}
	problems := node.Decode(&c)
	roles, more := role.Compile(c.Roles)
	set, last := Compile(c.Limits, roles, nil)
	if problems = append(append(problems, more...), last...); len(problems) > 0 {
		t.Fatal(problems)
	}
	for name, want := range map[string]string{
		"a": "1000 in 15 minutes for each user",
		"b": "60 in 1 minute for each address; only for callers who are not known; only answers 400-599 count",
		"c": "5 at once for all callers together; for role boss or above unlimited; for plan gold or scope bulk 50 at once",
		"d": "10 in 1 second, up to 50 at once, for each API key, method, value of the header x-shop and {id} of the path",
		"e": "1 in 1 day for each tenant; only for some tenants or role boss; for some tenants 7 in 1 day",
	} {
		f := set.Lookup(name).Facts(1)
		if f.Rule != want {
			t.Errorf("%s: %q, want %q", name, f.Rule, want)
		}
		if strings.Contains(f.Rule, "acme") {
			t.Errorf("%s names a customer: %s", name, f.Rule)
		}
		if got, want := f.Anonymous, name != "e"; got != want {
			t.Errorf("%s counts anonymous callers: %v", name, got)
		}
		if got, want := f.Fields, name != "c"; got != want {
			t.Errorf("%s is told: %v", name, got)
		}
	}
}

func TestSayTime(t *testing.T) {
	for d, want := range map[time.Duration]string{
		time.Second: "1 second", 90 * time.Second: "1 minute and 30 seconds", 25 * time.Hour: "1 day and 1 hour", 744 * time.Hour: "31 days",
		1500 * time.Millisecond: "1 second and 500 milliseconds", 10500 * time.Microsecond: "10.5ms",
	} {
		if got := sayTime(d); got != want {
			t.Errorf("%s: %q, want %q", d, got, want)
		}
	}
}
