//go:build linux

package e2e

import (
	"fmt"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The tests of limits send real requests until a real gateway refuses them: that
// is what nothing has ever tested before (D55, D56, D57).

// setLimitedStage is setStage with the limits that the example has by itself.
func setLimitedStage(t *testing.T, answers map[string]http.HandlerFunc, env ...string) *stage {
	t.Helper()
	return setLimitedStageOf(t, exampleConfig, answers, env...)
}

// setLimitedStageOf does it with another configuration.
func setLimitedStageOf(t *testing.T, config string, answers map[string]http.HandlerFunc, env ...string) *stage {
	t.Helper()
	return setStageOf(t, config, answers, append([]string{"RATE_LIMIT_GLOBAL_MAX=", "RATE_LIMIT_AUTH_MAX="}, env...)...)
}

// from is the stage for somebody at another address of this machine.
func (s *stage) from(t *testing.T, ip string) *stage {
	t.Helper()
	other := *s
	other.client = newClient(t)
	transport := other.client.Transport.(*http.Transport)
	transport.MaxIdleConnsPerHost = 20
	transport.DialContext = (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}}).DialContext
	return &other
}

// http2 is the stage for somebody who speaks HTTP/2.
func (s *stage) http2(t *testing.T) *stage {
	t.Helper()
	other := *s
	other.client = newClient(t)
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	other.client.Transport.(*http.Transport).Protocols = protocols
	return &other
}

// status answers with a status, and nothing else.
func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// failedLogins are the answers of an auth service whose logins fail, but for one.
func failedLogins() map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{"/api/v1/auth/login": status(401), "/api/v1/auth/good": status(200)}
}

// told is what an answer says about limits by the names of always: "100;w=900 99".
// It is empty where it says nothing, and ends with ! where the fields disagree.
func told(a answer) string {
	text, limit := a.Header.Get("RateLimit-Policy"), a.Header.Get("RateLimit-Limit")
	reset, err := strconv.Atoi(a.Header.Get("RateLimit-Reset"))
	all := 0
	for name, values := range a.Header {
		if name = strings.ToLower(name); name == "ratelimit" || strings.HasPrefix(name, "ratelimit-") || strings.HasPrefix(name, "x-ratelimit") {
			all += len(values)
		}
	}
	switch window := windowOf(text); {
	case all == 0:
		return ""
	case all != 4, !strings.HasPrefix(text, limit+";w="), err != nil, reset < 0, reset > window:
		text += "!"
	}
	return text + " " + a.Header.Get("RateLimit-Remaining")
}

// windowOf is the window of "100;w=900", in seconds.
func windowOf(rule string) int {
	_, window, _ := strings.Cut(rule, ";w=")
	n, _ := strconv.Atoi(window)
	return n
}

// limited checks all that the refusal by a limit says, and returns in how many seconds
// there is more. The rule is what RateLimit-Policy says; one that clients are not told
// about has none, but a window: ";w=60".
func limited(t *testing.T, a answer, rule string) (wait int) {
	t.Helper()
	refused(t, a, 429, "RATE_LIMIT_EXCEEDED")
	wait, err := strconv.Atoi(a.Header.Get("Retry-After"))
	if err != nil || wait < 1 || wait > windowOf(rule) {
		t.Errorf("Retry-After is %q, with the rule %s", a.Header.Values("Retry-After"), rule)
	}
	limit, _, _ := strings.Cut(rule, ";w=")
	want := map[string]string{"RateLimit-Policy": rule, "RateLimit-Limit": limit, "RateLimit-Remaining": "0", "RateLimit-Reset": strconv.Itoa(wait)}
	if limit == "" {
		want = nil
	}
	for _, field := range []string{"RateLimit-Policy", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset", "RateLimit"} {
		if got := a.Header.Values(field); strings.Join(got, "|") != want[field] {
			t.Errorf("%s is %q, want %q", field, got, want[field])
		}
	}
	for field, want := range helmet() {
		if got := a.Header.Values(field); !slices.Equal(got, []string{want}) {
			t.Errorf("%s is %q, want %q", field, got, want)
		}
	}
	return wait
}

// readable checks that pages of the origin may read an answer, and what it says about
// limits.
func readable(t *testing.T, a answer, origin, expose string) {
	t.Helper()
	for field, want := range map[string]string{
		"Access-Control-Allow-Origin": origin, "Access-Control-Allow-Credentials": "true", "Access-Control-Expose-Headers": expose,
	} {
		if got := a.Header.Values(field); !slices.Equal(got, []string{want}) {
			t.Errorf("%s is %q, want %q", field, got, want)
		}
	}
}

// spend sends as many requests as a limit lets pass. Each has to pass, and say how much is left.
func spend(t *testing.T, rule string, want int, ask func() answer) {
	t.Helper()
	limit, _, _ := strings.Cut(rule, ";w=")
	n, _ := strconv.Atoi(limit)
	for i := range n {
		got := ask().want(t, want)
		if says, want := told(got), fmt.Sprint(rule, " ", n-1-i); says != want {
			t.Fatalf("request %d of %s is told %q, want %q", i+1, got.Request.URL.Path, says, want)
		}
	}
}

// Every tier has its number and its window, tells them, and then refuses. D55: the
// answer is looked at, all of it.
func TestContractTiers(t *testing.T) {
	t.Parallel()
	s := setLimitedStage(t, failedLogins(), "ALLOWED_ORIGINS="+allowedOrigin)
	for i, tt := range []struct {
		tier, rule, method string
		paths              []string // in turn
		token              string
		status             int
		http2              bool
	}{
		{"global", "100;w=900", "GET", []string{"/", "/nowhere"}, "", 0, false},
		{"auth", "5;w=900", "POST", []string{"/api/v1/auth/login"}, "", 401, false},
		{"auth, whatever the token", "5;w=900", "POST", []string{"/api/v1/auth/login"}, tokenWith(t, claims{"sub": "a"}), 401, false},
		{"user", "1000;w=900", "GET", []string{"/api/v1/customers", "/api/v1/protected/profile"}, tokenWith(t, claims{"sub": "b"}), 200, false},
		{"api", "60;w=60", "GET", []string{"/api/v1/public/status", "/api/v1/public/info"}, "", 200, false},
		{"api of somebody known", "60;w=60", "GET", []string{"/api/v1/public/info"}, tokenWith(t, claims{"sub": "c"}), 200, false},
		{"admin", "20;w=60", "GET", []string{"/api/v1/protected/admin", "/api/v1/protected/system"}, tokenWith(t, claims{"sub": "d", "role": "system_admin"}), 200, false},
		{"admin of who may not", "20;w=60", "GET", []string{"/api/v1/protected/admin"}, tokenWith(t, claims{"sub": "e"}), 403, false},
		{"global over HTTP/2", "100;w=900", "GET", []string{"/"}, "", 200, true},
	} {
		t.Run(tt.tier, func(t *testing.T) {
			t.Parallel()
			one := s.from(t, fmt.Sprintf("127.0.1.%d", i+1))
			if tt.http2 {
				one = s.http2(t)
			}
			turn := 0
			ask := func() answer {
				turn++
				got := one.ask(t, tt.method, tt.paths[turn%len(tt.paths)], tt.token, "Origin", allowedOrigin)
				if tt.status == 0 && got.StatusCode != 429 {
					got.StatusCode = 0
				}
				return got
			}
			spend(t, tt.rule, tt.status, ask)
			for range 3 {
				got := ask()
				limited(t, got, tt.rule)
				readable(t, got, allowedOrigin, exposed)
				if got.ProtoMajor == 2 != tt.http2 {
					t.Errorf("it came over %s", got.Proto)
				}
			}
			if got := one.ask(t, "HEAD", tt.paths[0], tt.token); tt.method == "GET" && (got.StatusCode != 429 || got.body != "") {
				t.Errorf("HEAD: status %d, %q", got.StatusCode, got.body)
			}
		})
	}
}

// D16: preflights are limited too, by flood alone, which counts whoever it is and whatever
// for, and is not told. Health pages have a share of their own.
func TestD16FloodCountsPreflights(t *testing.T) {
	t.Parallel()
	s := setLimitedStage(t, nil, "ALLOWED_ORIGINS="+allowedOrigin)
	here := s.from(t, "127.0.2.1")
	preflight := func(path string) answer {
		return here.ask(t, "OPTIONS", path, "", "Origin", allowedOrigin, "Access-Control-Request-Method", "GET")
	}
	for i := range 2990 {
		if got := preflight("/api/v1/customers").want(t, 204); told(got) != "" {
			t.Fatalf("preflight %d is told %q", i+1, told(got))
		}
	}
	if got := told(here.ask(t, "GET", "/", "")); got != "100;w=900 99" {
		t.Errorf("after so many preflights, global says %q", got)
	}
	if got := told(here.ask(t, "GET", "/api/v1/customers", tokenOf(t, "technician"))); got != "1000;w=900 999" {
		t.Errorf("after so many preflights, user says %q", got)
	}
	for range 8 {
		preflight("/nowhere").want(t, 204)
	}
	limited(t, preflight("/api/v1/customers"), ";w=60") // which no browser shows to a page
	got := here.ask(t, "GET", "/", "", "Origin", allowedOrigin)
	refused(t, got, 429, "RATE_LIMIT_EXCEEDED")
	readable(t, got, allowedOrigin, exposed)
	if told(got) != "100;w=900 99" { // for what flood refuses is not counted
		t.Errorf("what flood refuses is told %q of global", told(got))
	}
	limited(t, here.ask(t, "GET", "/api/v1/customers", tokenWith(t, claims{"sub": "new"})), ";w=60")
	limited(t, here.ask(t, "GET", "/api/v1/customers", "garbage"), ";w=60")
	here.ask(t, "GET", "/health", "").want(t, 200)
	here.ask(t, "OPTIONS", "/health", "", "Origin", allowedOrigin, "Access-Control-Request-Method", "GET").want(t, 204)
	s.from(t, "127.0.2.2").ask(t, "GET", "/", "").want(t, 200)
	if n := s.stubs["crm"].requests.Load(); n != 1 {
		t.Errorf("the service was asked %d times", n)
	}
}

// D56: health pages are not limited as others are, tried with more than any of those
// lets pass. Their own share is large, and theirs alone.
func TestD56HealthHasItsOwnShare(t *testing.T) {
	t.Parallel()
	s := setLimitedStage(t, nil)
	here, paths := s.from(t, "127.0.3.1"), []string{"/health", "/health/ready", "/health/detailed"}
	for i := range 3000 {
		if got := here.ask(t, "GET", paths[i%3], "").want(t, 200); told(got) != "" || got.Header.Get("Retry-After") != "" {
			t.Fatalf("%s is told %q", paths[i%3], told(got))
		}
	}
	for _, path := range paths {
		limited(t, here.ask(t, "GET", path, ""), ";w=60")
	}
	if got := told(here.ask(t, "GET", "/", "").want(t, 200)); got != "100;w=900 99" {
		t.Errorf("after so many of them, another page says %q", got)
	}
	s.from(t, "127.0.3.2").ask(t, "GET", "/health", "").want(t, 200)
	// And the other way round, when an address may nothing else any more.
	other := s.from(t, "127.0.3.3")
	spend(t, "100;w=900", 200, func() answer { return other.ask(t, "GET", "/", "") })
	limited(t, other.ask(t, "GET", "/", ""), "100;w=900")
	other.ask(t, "GET", "/health", "").want(t, 200)
}

// RATE_LIMIT_*: what they change, and which of two names wins.
func TestContractRateLimitVariables(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		env          []string
		global, auth string
	}{
		{nil, "100;w=900", "5;w=900"},
		{[]string{"RATE_LIMIT_GLOBAL_MAX=17"}, "17;w=900", "5;w=900"},
		{[]string{"RATE_LIMIT_MAX_REQUESTS=18"}, "18;w=900", "5;w=900"},
		{[]string{"RATE_LIMIT_MAX_REQUESTS=18", "RATE_LIMIT_GLOBAL_MAX=17"}, "17;w=900", "5;w=900"},
		{[]string{"RATE_LIMIT_AUTH_MAX=3"}, "100;w=900", "3;w=900"},
		{[]string{"RATE_LIMIT_AUTH_ENDPOINTS=4"}, "100;w=900", "4;w=900"},
		{[]string{"RATE_LIMIT_AUTH_MAX=3", "RATE_LIMIT_AUTH_ENDPOINTS=4"}, "100;w=900", "3;w=900"},
		{[]string{"RATE_LIMIT_WINDOW_MS=60000"}, "100;w=60", "5;w=60"},
		{[]string{"RATE_LIMIT_WINDOW_MS=1500", "RATE_LIMIT_GLOBAL_MAX=9", "RATE_LIMIT_AUTH_MAX=2"}, "9;w=2", "2;w=2"}, // whole seconds, rounded up
	} {
		t.Run(strings.Join(tt.env, " "), func(t *testing.T) {
			t.Parallel()
			s := setLimitedStage(t, failedLogins(), tt.env...)
			policy := func(a answer) string { return a.Header.Get("RateLimit-Policy") }
			token := tokenWith(t, claims{"role": "tenant_admin"})
			for path, want := range map[string]string{
				"/": tt.global, "/api/v1/auth/login": tt.auth, "/api/v1/customers": "1000;w=900", "/api/v1/protected/admin": "20;w=60",
			} {
				if got := policy(s.ask(t, "GET", path, map[bool]string{true: token}[strings.Contains(want, "000") || strings.HasPrefix(want, "20;")])); got != want {
					t.Errorf("%s has the limit %q, want %q", path, got, want)
				}
			}
			other := s.from(t, "127.0.4.1")
			if windowOf(tt.global) > 10 { // else it may be over before all are sent
				spend(t, tt.auth, 401, func() answer { return other.ask(t, "POST", "/api/v1/auth/login", "") })
				limited(t, other.ask(t, "POST", "/api/v1/auth/login", ""), tt.auth)
			}
		})
	}
}

// D3: values that can't be meant are refused where they are used, by the name of the variable.
func TestD3RateLimitVariablesAreChecked(t *testing.T) {
	t.Parallel()
	const place = `examples/psa/yett\.yaml:\d+:\d+: limits\.`
	for env, want := range map[string]string{
		"RATE_LIMIT_GLOBAL_MAX=many":        place + `global\.limit: want a whole number, .*\$\{RATE_LIMIT_GLOBAL_MAX\}`,
		"RATE_LIMIT_GLOBAL_MAX=-1":          place + `global\.limit: want at least 1, .*\$\{RATE_LIMIT_GLOBAL_MAX\}`,
		"RATE_LIMIT_GLOBAL_MAX=0":           place + `global\.limit: want at least 1, .*\$\{RATE_LIMIT_GLOBAL_MAX\}`,
		"RATE_LIMIT_GLOBAL_MAX=1e3":         place + `global\.limit: want a whole number`,
		"RATE_LIMIT_GLOBAL_MAX=99999999999": place + `global\.limit: want at most 1000000000`,
		"RATE_LIMIT_MAX_REQUESTS=1.5":       place + `global\.limit: want a whole number, .*\$\{RATE_LIMIT_MAX_REQUESTS\}`,
		"RATE_LIMIT_AUTH_MAX=five":          place + `auth\.limit: want a whole number, .*\$\{RATE_LIMIT_AUTH_MAX\}`,
		"RATE_LIMIT_AUTH_ENDPOINTS=0":       place + `auth\.limit: want at least 1, .*\$\{RATE_LIMIT_AUTH_ENDPOINTS\}`,
		"RATE_LIMIT_WINDOW_MS=15m":          place + `global\.window: want a duration`,
		"RATE_LIMIT_WINDOW_MS=-5":           place + `auth\.window: want a duration`,
		"RATE_LIMIT_WINDOW_MS=0":            place + `global\.window: want at least 10ms`,
		"RATE_LIMIT_WINDOW_MS=9000000000":   place + `global\.window: want at most 744h`,
	} {
		for verb, end := range map[string]string{"check": "this configuration would not start", "run": "nothing was started"} {
			code, _, stderr := yett(t, []string{"PORT=0", "JWT_SECRET=" + exampleSecret, env}, verb, "-c", exampleConfig)
			if code != 1 || !regexp.MustCompile(want).MatchString(stderr) || !strings.HasSuffix(stderr, end) {
				t.Errorf("%s %s: exit code %d, %s", verb, env, code, stderr)
			}
		}
	}
}

// lasts spends all of a limit, asks on without a break until it is let in again, and checks
// that this is when the window has passed since the first, neither earlier nor later; and
// that Retry-After has said so.
func lasts(t *testing.T, rule string, window time.Duration, ask func() answer) {
	t.Helper()
	first := time.Now() // before it is counted
	spend(t, rule, 200, ask)
	spent := time.Now() // after all were
	slowest := time.Duration(0)
	for refusals := 0; ; refusals++ {
		asked := time.Now()
		got := ask()
		answered := time.Now()
		slowest = max(slowest, answered.Sub(asked))
		if got.StatusCode == 200 {
			if answered.Before(first.Add(window)) {
				t.Errorf("%s: it passes after %v", rule, answered.Sub(first))
			}
			if refusals == 0 {
				t.Errorf("%s: nothing was refused", rule)
			}
			return
		}
		wait := time.Duration(limited(t, got, rule)) * time.Second
		switch {
		case asked.After(spent.Add(window)):
			t.Fatalf("%s: what is asked after %v is refused", rule, asked.Sub(spent))
		case answered.Add(wait + slowest).Before(first.Add(window)): // what is remembered of the store's answer is as old as its call
			t.Fatalf("%s: after %v it is told to wait %v, which is too short", rule, answered.Sub(first), wait)
		case asked.Add(wait - time.Second).After(spent.Add(window)):
			t.Fatalf("%s: after %v it is told to wait %v, which is too long", rule, asked.Sub(first), wait)
		case t.Failed():
			t.FailNow()
		}
	}
}

// D5: a caller that hammers is let in at the moment that Retry-After says; what is refused
// prolongs nothing.
func TestD5HammeringProlongsNothing(t *testing.T) {
	t.Parallel()
	for name, env := range stores(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := setLimitedStageOf(t, patient(t), nil, append(env, "RATE_LIMIT_WINDOW_MS=3000", "RATE_LIMIT_GLOBAL_MAX=4")...)
			lasts(t, "4;w=3", 3*time.Second, func() answer { return s.ask(t, "GET", "/", "") })
		})
	}
}

// D6: each limit has a window of its own, and keeps it, whatever other limits of a request have.
func TestD6EachWindowLasts(t *testing.T) {
	t.Parallel()
	for name, env := range stores(t) {
		s := setLimitedStageOf(t, patient(t,
			"  api:\n    limit: 60\n    window: 1m\n", "  api:\n    limit: 3\n    window: 1s\n",
			"  admin:\n    limit: 20\n    window: 1m\n", "  admin:\n    limit: 2\n    window: 4s\n"), nil, env...)
		t.Run("api "+name, func(t *testing.T) {
			t.Parallel()
			lasts(t, "3;w=1", time.Second, func() answer { return s.from(t, "127.0.5.1").ask(t, "GET", "/api/v1/public/status", "") })
		})
		t.Run("admin "+name, func(t *testing.T) {
			t.Parallel()
			token := tokenOf(t, "system_admin")
			lasts(t, "2;w=4", 4*time.Second, func() answer { return s.ask(t, "GET", "/api/v1/protected/system", token) })
		})
	}
}
