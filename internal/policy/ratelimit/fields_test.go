package ratelimit

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"yett/internal/exchange"
	"yett/internal/meter"
	"yett/internal/policy/policytest"
	"yett/internal/store"
)

func TestFields(t *testing.T) {
	minute := func(n int64) store.Rule { return store.Rule{Limit: n, Window: time.Minute} }
	user := &fakeLimit{name: "user", asks: true, rule: store.Rule{Limit: 1000, Window: 15 * time.Minute}}
	api := &fakeLimit{name: "api", rule: minute(60)}
	hidden := &fakeLimit{name: "hidden", hidden: true}
	soft := &fakeLimit{name: "soft", soft: true}
	running := &fakeLimit{name: "running", kind: meter.Flight}
	login := &fakeLimit{name: "login", kind: meter.After, counts: 401, rule: minute(5)}
	bucket := &fakeLimit{name: "bucket", rule: store.Rule{Algorithm: store.TokenBucket, Limit: 100, Burst: 10, Window: 1500 * time.Millisecond}}
	deep := &fakeLimit{name: "deep", rule: store.Rule{Algorithm: store.TokenBucket, Limit: 7, Burst: 100, Window: time.Minute}}
	deepest := &fakeLimit{name: "deepest", rule: store.Rule{Algorithm: store.TokenBucket, Limit: 1, Burst: 1e9, Window: 744 * time.Hour}}
	fits := func(left int64, more time.Duration) outcome { return outcome{meter.Fits, left, more, 0} }
	tests := []struct {
		name         string
		limits       []limiter
		outcomes     map[string]outcome
		request      string
		answer       string
		legacy, both string
	}{
		{"several", []limiter{user, api}, map[string]outcome{"user": fits(999, 15*time.Minute), "api": fits(59, time.Minute)}, withToken, "",
			"60;w=60|60|59|60", `"user";q=1000;w=900, "api";q=60;w=60|"user";r=999;t=900, "api";r=59;t=60`},
		{"written order is not that of the claims", []limiter{user, api}, map[string]outcome{"user": fits(100, time.Second), "api": fits(59, time.Minute)}, withToken, "",
			"1000;w=900|1000|100|1", `"user";q=1000;w=900, "api";q=60;w=60|"user";r=100;t=1, "api";r=59;t=60`},
		{"a tie", []limiter{user, api}, map[string]outcome{"user": fits(500, time.Second), "api": fits(30, time.Second)}, withToken, "",
			"1000;w=900|1000|500|1", `"user";q=1000;w=900, "api";q=60;w=60|"user";r=500;t=1, "api";r=30;t=1`},
		{"a tie, the other way round", []limiter{api, user}, map[string]outcome{"user": fits(500, time.Second), "api": fits(30, time.Second)}, withToken, "",
			"60;w=60|60|30|1", `"api";q=60;w=60, "user";q=1000;w=900|"api";r=30;t=1, "user";r=500;t=1`},
		{"rounded up", []limiter{api}, map[string]outcome{"api": fits(1, 1001*time.Millisecond)}, withToken, "",
			"60;w=60|60|1|2", `"api";q=60;w=60|"api";r=1;t=2`},
		{"nothing is counted", []limiter{api}, map[string]outcome{"api": fits(60, 0)}, withToken, "",
			"60;w=60|60|60|0", `"api";q=60;w=60|"api";r=60;t=0`},
		{"less than nothing", []limiter{api}, map[string]outcome{"api": fits(-3, time.Second)}, withToken, "",
			"60;w=60|60|0|1", `"api";q=60;w=60|"api";r=0;t=1`},
		{"a bucket", []limiter{api, bucket}, map[string]outcome{"api": fits(50, time.Second), "bucket": fits(1, time.Millisecond)}, withToken, "",
			"100;w=2|100|1|1", `"api";q=60;w=60, "bucket";q=100;w=2|"api";r=50;t=1, "bucket";r=1;t=1`},
		{"a bucket of more than its limit", []limiter{deep}, map[string]outcome{"deep": fits(99, time.Second)}, withToken, "",
			"100;w=858|100|99|1", `"deep";q=100;w=858|"deep";r=99;t=1`},
		{"the deepest bucket", []limiter{deepest}, map[string]outcome{"deepest": fits(1e9, 744*time.Hour)}, withToken, "",
			"1000000000;w=999999999999999|1000000000|1000000000|2678400", `"deepest";q=1000000000;w=999999999999999|"deepest";r=1000000000;t=2678400`},
		{"a bucket, beside another limit", []limiter{deep, api}, map[string]outcome{"deep": fits(49, time.Second), "api": fits(30, time.Second)}, withToken, "",
			"100;w=858|100|49|1", `"deep";q=100;w=858, "api";q=60;w=60|"deep";r=49;t=1, "api";r=30;t=1`},
		{"refused", []limiter{api, user}, map[string]outcome{"api": fits(0, 5*time.Second), "user": {meter.Exceeded, 7, 3 * time.Second, 9 * time.Second}}, withToken, "",
			"1000;w=900|1000|7|3", `"api";q=60;w=60, "user";q=1000;w=900|"api";r=0;t=5, "user";r=7;t=3`},
		{"refused, with less left of another", []limiter{api, user}, map[string]outcome{"api": {meter.Exceeded, 3, time.Second, 9 * time.Second}, "user": fits(0, time.Second)}, withToken, "",
			"60;w=60|60|3|1", `"api";q=60;w=60, "user";q=1000;w=900|"api";r=3;t=1, "user";r=0;t=1`},
		{"refused by two", []limiter{api, user}, map[string]outcome{"api": {meter.Exceeded, 0, time.Second, time.Second}, "user": {meter.Exceeded, 0, time.Minute, time.Minute}}, withToken, "",
			"1000;w=900|1000|0|60", `"api";q=60;w=60, "user";q=1000;w=900|"api";r=0;t=1, "user";r=0;t=60`},
		{"refused by a hidden one", []limiter{api, hidden}, map[string]outcome{"api": fits(59, time.Second), "hidden": {verdict: meter.Exceeded}}, withToken, "",
			"60;w=60|60|59|1", `"api";q=60;w=60|"api";r=59;t=1`},
		{"refused by jwt", []limiter{api, user}, map[string]outcome{"api": fits(59, time.Second)}, withBad, "",
			"60;w=60|60|59|1", `"api";q=60;w=60|"api";r=59;t=1`},
		{"the answer counts", []limiter{login}, map[string]outcome{"login": fits(4, time.Minute)}, withToken, "HTTP/1.1 401 Unauthorized\n",
			"5;w=60|5|3|60", `"login";q=5;w=60|"login";r=3;t=60`},
		{"the answer does not count", []limiter{login}, map[string]outcome{"login": fits(4, time.Minute)}, withToken, "",
			"5;w=60|5|4|60", `"login";q=5;w=60|"login";r=4;t=60`},
		{"none is told", []limiter{hidden, soft, running}, map[string]outcome{"soft": {verdict: meter.Exceeded}}, withToken, "", "", ""},
		{"none is known", []limiter{api, login}, map[string]outcome{"api": {}, "login": {verdict: meter.Lost}}, withToken, "", "", ""},
		{"soft, and refused by jwt", []limiter{soft, user}, nil, withBad, "", "", ""},
		{"the service's words", []limiter{hidden}, nil, withToken, "HTTP/1.1 200 OK\nRateLimit: a\nratelimit-policy: a\nRATELIMIT-LIMIT: 1\nRateLimit-Remaining: 1\nRateLimit-Reset: 1\n" +
			"X-RateLimit-Limit: 1\nx-ratelimit-reset-requests: 1\nETag: 1\nRateLimit-Other: 1\nX-RateLimits: 1\nRateLimited: 1\nX-Rate: 1\nRetry-After: 1\n",
			"ETag=1 RateLimit-Other=1 X-RateLimits=1 RateLimited=1 X-Rate=1 Retry-After=1", "ETag=1 RateLimit-Other=1 X-RateLimits=1 RateLimited=1 X-Rate=1 Retry-After=1"},
	}
	for _, tt := range tests {
		for setting, want := range map[string]string{"legacy": tt.legacy, "structured": tt.both, "off": "", "": tt.legacy} {
			if setting == "off" && strings.HasPrefix(tt.name, "the service") {
				want = tt.legacy
			}
			w := &world{meter: &fakeMeter{outcomes: tt.outcomes}, limits: tt.limits}
			if setting != "" {
				w.fields = map[string]string{"": setting}
			}
			if got := w.fieldsOf(t, tt.request, tt.answer, ""); got != want {
				t.Errorf("%s, %s:\n got %s\nwant %s", tt.name, setting, got, want)
			}
		}
	}
}

// fieldsOf returns the fields about limits of the answer in their order, with | between,
// and others with their names.
func (w *world) fieldsOf(t *testing.T, request, answer, listener string) string {
	c := policytest.NewCall(t, request, answer)
	x := c.Start()
	defer c.Finish(x)
	x.Listener = listener
	chain := w.chain()
	defer chain.End(x)
	pass(c, chain, x)
	var ours, others []string
	for _, f := range x.Response.Fields() {
		if f.Key != exchange.KeyOf(f.Name) {
			t.Errorf("%s has the key of another field", f.Name)
		}
		if isRateLimit(&f) {
			ours = append(ours, f.Value)
		} else {
			others = append(others, f.Name+"="+f.Value)
		}
	}
	return strings.TrimSpace(strings.Join(ours, "|") + " " + strings.Join(others, " "))
}

// Names of legacy fields stand in the order in which most servers send them.
func TestFieldNames(t *testing.T) {
	for setting, want := range map[string]string{
		"legacy":     "RateLimit-Policy RateLimit-Limit RateLimit-Remaining RateLimit-Reset",
		"structured": "RateLimit-Policy RateLimit",
	} {
		w := &world{meter: &fakeMeter{}, limits: []limiter{&fakeLimit{name: "a"}}, fields: map[string]string{"": setting}}
		c := policytest.NewCall(t, withToken, "")
		x := c.Start()
		chain := w.chain()
		pass(c, chain, x)
		var names []string
		for _, f := range x.Response.Fields() {
			names = append(names, f.Name)
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%s: %s", setting, got)
		}
		chain.End(x)
		c.Finish(x)
	}
}

// Each listener tells in its own way, and one that is not known in the old one.
func TestFieldsByListener(t *testing.T) {
	w := &world{meter: &fakeMeter{}, limits: []limiter{&fakeLimit{name: "a"}}, fields: map[string]string{"public": "structured", "quiet": "off", "": "legacy"}}
	for listener, want := range map[string]string{
		"public": `"a";q=10;w=60|"a";r=9;t=42`, "quiet": "", "": "10;w=60|10|9|42", "another": "10;w=60|10|9|42",
	} {
		if got := w.fieldsOf(t, withToken, "", listener); got != want {
			t.Errorf("%q: %s, want %s", listener, got, want)
		}
	}
}

// An answer after a fault, whose header was made anew, has the fields once.
func TestFieldsAfterAFault(t *testing.T) {
	for _, fault := range []string{"jwt", "rbac", "jwt response", "cors response"} {
		w := &world{meter: &fakeMeter{}, limits: []limiter{&fakeLimit{name: "a"}}, fault: fault}
		if got := w.fieldsOf(t, withToken, "", ""); got != "10;w=60|10|9|42" {
			t.Errorf("%s: %s", fault, got)
		}
	}
}

// The largest numbers fit into what is taken for them.
func TestLargestNumbers(t *testing.T) {
	most := store.Rule{Limit: 1e9, Window: 744 * time.Hour}
	var list []limiter
	outcomes := map[string]outcome{}
	for i := range meter.MaxClaims {
		l := &fakeLimit{name: fmt.Sprintf("%s-%02d", strings.Repeat("n", 29), i), rule: most}
		list = append(list, l)
		outcomes[l.name] = outcome{meter.Fits, 1e9, 1 << 62, 0}
	}
	for _, setting := range []string{"legacy", "structured"} {
		w := &world{meter: &fakeMeter{outcomes: outcomes}, limits: list, fields: map[string]string{"": setting}}
		got := w.fieldsOf(t, withToken, "", "")
		if n := strings.Count(got, "1000000000"); setting == "legacy" && n != 3 || setting == "structured" && n != 2*meter.MaxClaims {
			t.Errorf("%s: %s", setting, got)
		}
	}
}

// The longest wait is rounded up too, and does not overflow.
func TestSeconds(t *testing.T) {
	for d, want := range map[time.Duration]int64{
		-1: 0, 0: 0, 1: 1, time.Second: 1, time.Second + 1: 2, math.MaxInt64: 9223372037, math.MaxInt64 - 1e9: 9223372036, math.MinInt64: 0,
	} {
		if got := seconds(d); got != want {
			t.Errorf("%d ns are %d s, want %d", d, got, want)
		}
	}
	if got := waitOf(&meter.Claim{Wait: math.MaxInt64}); got != 9223372037 {
		t.Errorf("the longest wait is %d", got)
	}
}
