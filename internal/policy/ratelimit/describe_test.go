package ratelimit

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"yett/internal/config"
	"yett/internal/exchange"
	"yett/internal/limit"
	"yett/internal/policy"
	"yett/internal/policy/policytest"
)

const describedLimits = `limits:
  user: {limit: 1000, window: 15m, by: user}
  login: {limit: 60, window: 1m, by: ip, counts: [401, 403-599], cost: 2}
  hidden: {limit: 5, window: 1s, by: ip, fields: false}
  soft: {limit: 5, window: 1s, by: ip, mode: observe}
  running: {concurrent: 5, by: [api_key, path.id]}
  closed: {limit: 5, window: 90m, by: everyone, on_store_failure: closed}
  known: {limit: 5, window: 1h, by: tenant, for: known}
`

// chainOf is all parts of the policy, as a route with that auth has them.
func chainOf(t *testing.T, yaml, auth string, fields map[string]string) policy.Chain {
	t.Helper()
	node, err := config.ParseNode("limits.yaml", []byte(describedLimits), nil)
	if err != nil {
		t.Fatal(err)
	}
	var c struct {
		Limits config.Mapping[config.Limit] `yaml:"limits"`
	}
	problems := node.Decode(&c)
	set, more := limit.Compile(c.Limits, nil, nil)
	if problems = append(problems, more...); len(problems) > 0 {
		t.Fatal(problems)
	}
	d := policytest.Deps()
	d.Limits, d.RateLimitFields, d.Route = set, fields, policy.Route{Auth: auth, Params: []string{"id"}}
	var chain policy.Chain
	for _, k := range []*policy.Kind{Preflights, Kind, Callers} {
		if p := policytest.BuildWith(t, k, yaml, d); p != nil {
			chain = append(chain, policy.Link{Kind: k, Policy: p})
		}
	}
	return chain
}

func TestDescribe(t *testing.T) {
	for _, tt := range []struct {
		config, auth string
		limits       []policy.LimitNote
		refusals     []*exchange.Reason
		headers      string
		retry        []int
	}{
		{"limits: [user, login]", "required", []policy.LimitNote{
			{Name: "user", Rule: "1000 in 15 minutes for each user"},
			{Name: "login", Rule: "60 in 1 minute for each address; only answers 401 or 403-599 count; each request costs 2"},
		}, []*exchange.Reason{rateLimited}, "RateLimit-Policy RateLimit-Limit RateLimit-Remaining RateLimit-Reset", []int{429}},
		{"{limits: user, cost: 3}", "none", []policy.LimitNote{{Name: "user", Rule: "1000 in 15 minutes for each user; each request costs 3"}},
			[]*exchange.Reason{rateLimited}, "RateLimit-Policy RateLimit-Limit RateLimit-Remaining RateLimit-Reset", []int{429}},
		{"limits: hidden", "required", nil, []*exchange.Reason{rateLimited}, "", []int{429}},
		{"limits: soft", "required", nil, nil, "", nil},
		{"limits: running", "required", []policy.LimitNote{{Name: "running", Rule: "5 at once for each API key and {id} of the path"}}, []*exchange.Reason{rateLimited}, "", []int{429}},
		{"limits: [soft, closed]", "required", []policy.LimitNote{{Name: "closed", Rule: "5 in 1 hour and 30 minutes for all callers together"}},
			[]*exchange.Reason{rateLimited, limitsUnavailable}, "RateLimit-Policy RateLimit-Limit RateLimit-Remaining RateLimit-Reset", []int{429, 503}},
		{"limits: known", "none", nil, nil, "", nil},
		{"limits: known", "optional", []policy.LimitNote{{Name: "known", Rule: "5 in 1 hour for each tenant; only for callers who are known"}},
			[]*exchange.Reason{rateLimited}, "RateLimit-Policy RateLimit-Limit RateLimit-Remaining RateLimit-Reset", []int{429}},
		{"{limits: [user, closed], mode: observe}", "required", nil, nil, "", nil},
	} {
		d := chainOf(t, tt.config, tt.auth, nil).Describe()
		names, retry := headersOf(d)
		if !reflect.DeepEqual(d.Limits, tt.limits) || !slices.Equal(d.Refusals, tt.refusals) || names != tt.headers || !slices.Equal(retry, tt.retry) {
			t.Errorf("%s on %s:\nlimits %q\nrefusals %v, headers %s, retry %v", tt.config, tt.auth, d.Limits, d.Refusals, names, retry)
		}
	}
}

// headersOf returns the names of the headers but for Retry-After, and its statuses.
func headersOf(d *policy.Description) (names string, retry []int) {
	var all []string
	for _, h := range d.ResponseHeaders {
		if h.Name == "Retry-After" {
			retry = h.Only
		} else {
			all = append(all, h.Name)
		}
	}
	return strings.Join(all, " "), retry
}

func TestDescribeFields(t *testing.T) {
	const old = "RateLimit-Policy RateLimit-Limit RateLimit-Remaining RateLimit-Reset"
	for _, tt := range []struct {
		fields map[string]string
		want   string
	}{
		{nil, old},
		{map[string]string{"a": "legacy", "b": "legacy"}, old},
		{map[string]string{"a": "structured"}, "RateLimit-Policy RateLimit"},
		{map[string]string{"a": "off", "b": "off"}, ""},
		{map[string]string{"a": "off", "b": "structured"}, "RateLimit-Policy RateLimit"},
		{map[string]string{"a": "legacy", "b": "structured"}, old + " RateLimit"},
		{map[string]string{"a": "off", "b": "legacy"}, old},
	} {
		if got, _ := headersOf(chainOf(t, "limits: user", "required", tt.fields).Describe()); got != tt.want {
			t.Errorf("%v: %s, want %s", tt.fields, got, tt.want)
		}
	}
}
