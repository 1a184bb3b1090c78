//go:build linux

package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"yett/internal/store/redis/redistest"
)

// D13: of logins that all succeed none is refused, however many run at once.
func TestD13GoodLoginsAreNotRefused(t *testing.T) {
	t.Parallel()
	for name, env := range stores(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var running, most atomic.Int64
			slow := func(w http.ResponseWriter, _ *http.Request) {
				n := running.Add(1)
				defer running.Add(-1)
				for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
				}
				time.Sleep(20 * time.Millisecond) // what comparing a password takes
				w.WriteHeader(200)
			}
			s := setLimitedStage(t, map[string]http.HandlerFunc{"/api/v1/auth/good": slow, "/api/v1/auth/login": status(401)}, append(env, "RATE_LIMIT_GLOBAL_MAX=10000")...)
			together(make([]int, 50), func(int) {
				if got := s.ask(t, "POST", "/api/v1/auth/good", ""); got.StatusCode != 200 {
					t.Errorf("status %d: %s", got.StatusCode, got.body)
				}
			})
			t.Logf("up to %d at once", most.Load())
			spend(t, "5;w=900", 401, func() answer { return s.ask(t, "POST", "/api/v1/auth/login", "") }) // all are left
		})
	}
}

// D13: of logins that all fail as many reach the service as may fail, however many run at once.
func TestD13FailedLoginsAreLimited(t *testing.T) {
	t.Parallel()
	for name, env := range stores(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			slow := func(w http.ResponseWriter, _ *http.Request) {
				time.Sleep(20 * time.Millisecond) // what comparing a password takes
				w.WriteHeader(401)
			}
			s := setLimitedStage(t, map[string]http.HandlerFunc{"/api/v1/auth/login": slow}, env...)
			var failed, refusedOnes atomic.Int64
			together(make([]int, 50), func(int) {
				switch got := s.ask(t, "POST", "/api/v1/auth/login", ""); got.StatusCode {
				case 401:
					failed.Add(1)
				case 429:
					refusedOnes.Add(1)
					limited(t, got, "5;w=900")
				default:
					t.Errorf("status %d: %s", got.StatusCode, got.body)
				}
			})
			if n := s.stubs["auth"].requests.Load(); n != 5 || failed.Load() != 5 || refusedOnes.Load() != 45 {
				t.Errorf("%d have reached the service, %d failed and %d were refused", n, failed.Load(), refusedOnes.Load())
			}
		})
	}
}

// A client that leaves before the answer has used up one try for each that reached the service:
// else it could try as often as it likes. By HTTP/2 leaving is a frame.
func TestLeavingIsNoWayRoundALimit(t *testing.T) {
	t.Parallel()
	for _, protocol := range []string{"http1", "h2c"} {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			arrived := make(chan struct{}, 100)
			waits := func(_ http.ResponseWriter, r *http.Request) {
				arrived <- struct{}{}
				<-r.Context().Done()
			}
			s := setLimitedStage(t, map[string]http.HandlerFunc{"/api/v1/auth/waits": waits, "/api/v1/auth/login": status(401)}, "RATE_LIMIT_GLOBAL_MAX=10000")
			if protocol == "h2c" {
				s = s.http2(t)
			}
			ctx, leave := context.WithCancel(t.Context())
			left := make(chan error, 5)
			for range 5 { // which are all that are let in at once
				req, err := http.NewRequestWithContext(ctx, "POST", s.url+"/api/v1/auth/waits", nil)
				if err != nil {
					t.Fatal(err)
				}
				go func() {
					resp, err := s.client.Do(req)
					if err == nil {
						resp.Body.Close()
					}
					left <- err
				}()
			}
			for range 5 {
				receive(t, arrived, "a login at the service")
			}
			leave()
			for range 5 {
				if receive(t, left, "the client's end") == nil {
					t.Error("a client that has left got an answer")
				}
			}
			// Until it shows that they have left, this one waits for its turn.
			limited(t, s.ask(t, "POST", "/api/v1/auth/login", ""), "5;w=900")
			if n := s.stubs["auth"].requests.Load(); n != 5 {
				t.Errorf("%d have reached the service", n)
			}
		})
	}
}

// D13: a client that goes away before the service has seen its request, or when its answer has
// begun, has not failed, and holds nothing.
func TestD13AbortsCountNowhere(t *testing.T) {
	t.Parallel()
	begins := func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(200)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}
	s := setLimitedStage(t, map[string]http.HandlerFunc{"/api/v1/auth/begins": begins, "/api/v1/auth/login": status(401)}, "RATE_LIMIT_GLOBAL_MAX=10000")
	for range 4 {
		for range 5 { // which are all that are let in at once
			conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprint(conn, "POST /api/v1/auth/login HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{")
			conn.Close()
		}
		for range 5 {
			ctx, leave := context.WithCancel(t.Context())
			req, err := http.NewRequestWithContext(ctx, "POST", s.url+"/api/v1/auth/begins", nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := s.client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != 200 {
				t.Fatalf("status %d", resp.StatusCode)
			}
			leave()
			resp.Body.Close()
		}
	}
	spend(t, "5;w=900", 401, func() answer { return s.ask(t, "POST", "/api/v1/auth/login", "") })
	limited(t, s.ask(t, "POST", "/api/v1/auth/login", ""), "5;w=900")
}

// D14: what is begun in one window and succeeds in the next gives nobody credit there, and
// nothing stays in the store for ever.
func TestD14NoCreditFromTheLastWindow(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	for name, env := range map[string][]string{
		"in memory": nil,
		"in Redis":  {"REDIS_HOST=" + server.Host, "REDIS_PORT=" + strconv.Itoa(server.Port)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			arrived, release := make(chan struct{}, 10), make(chan struct{})
			slow := func(w http.ResponseWriter, _ *http.Request) {
				arrived <- struct{}{}
				<-release
				w.WriteHeader(200)
			}
			answers := failedLogins()
			answers["/api/v1/auth/slow"] = slow
			const window = time.Second
			s := setLimitedStage(t, answers, append(env, "RATE_LIMIT_WINDOW_MS="+strconv.FormatInt(window.Milliseconds(), 10))...)
			done := make(chan int, 3)
			for range 3 {
				go func() { done <- s.ask(t, "POST", "/api/v1/auth/slow", "").StatusCode }()
				receive(t, arrived, "a login at the service")
			}
			s.ask(t, "POST", "/api/v1/auth/login", "").want(t, 401)
			over := time.Now().Add(window)
			time.Sleep(time.Until(over) + 50*time.Millisecond) // the window itself
			close(release)
			for range 3 {
				if code := receive(t, done, "the end of a slow login"); code != 200 {
					t.Errorf("a slow login: status %d", code)
				}
			}
			before := s.stubs["auth"].requests.Load()
			together(make([]int, 40), func(int) { s.ask(t, "POST", "/api/v1/auth/login", "") })
			if n := s.stubs["auth"].requests.Load() - before; n != 5 {
				t.Errorf("%d failing logins have reached the service, want 5", n)
			}
			if name == "in memory" {
				return
			}
			for _, key := range server.Do("KEYS", "yett:limit:*") {
				if !strings.HasPrefix(key, "yett:") {
					continue // the length
				}
				if ttl := server.Do("PTTL", key); strings.Contains(ttl[0], "-1") {
					t.Errorf("%s never ends", key)
				}
			}
			eventually(t, "all keys end", func() bool {
				return !strings.Contains(strings.Join(server.Do("KEYS", "yett:limit:auth*"), " "), "limit")
			})
		})
	}
}

// few is the example's configuration with other numbers for users.
func few(t *testing.T, limit int) string {
	t.Helper()
	return changed(t, "    limit: 1000\n    window: 15m\n    by: user\n", fmt.Sprintf("    limit: %d\n    window: 15m\n    by: user\n", limit))
}

// open connects to the gateway.
func open(t *testing.T, addr string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// readOne reads one answer, and leaves the connection as it is.
func readOne(t *testing.T, in *bufio.Reader) answer {
	t.Helper()
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	resp.Request, _ = http.NewRequest("POST", "/an-upload", nil)
	return answer{resp, string(body)}
}

// D16: limits come before bodies. What is over its limit is refused without waiting for a body,
// and without passing any of it on.
func TestD16LimitsComeBeforeBodies(t *testing.T) {
	t.Parallel()
	s := setLimitedStageOf(t, few(t, 2), nil)
	token := tokenOf(t, "technician")
	head := func(more string) string {
		return "POST /api/v1/customers HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer " + token + "\r\n" + more + "\r\n"
	}
	spend(t, "2;w=900", 200, func() answer { return s.ask(t, "GET", "/api/v1/customers", token) })
	for name, text := range map[string]string{
		"a length":          head("Content-Length: 1000000\r\n"),
		"chunks":            head("Transfer-Encoding: chunked\r\n"),
		"100-continue":      head("Content-Length: 1000000\r\nExpect: 100-continue\r\n"),
		"some of it":        head("Content-Length: 1000000\r\n") + strings.Repeat("x", 20_000),
		"more than allowed": head("Content-Length: 9000000\r\n"),
	} {
		conn := open(t, s.addr)
		if _, err := io.WriteString(conn, text); err != nil {
			t.Fatal(err)
		}
		got := readOne(t, bufio.NewReader(conn)) // though the body never comes
		limited(t, got, "2;w=900")
		if !got.Close && name != "100-continue" {
			t.Errorf("%s: the connection goes on, and a body is still to come", name)
		}
	}
	// So is one whose body is small, and the connection goes on behind that.
	conn := open(t, s.addr)
	in := bufio.NewReader(conn)
	for _, text := range []string{head("Content-Length: 1000\r\n"), strings.Repeat("x", 1000) + head("Content-Length: 1000\r\n")} {
		if _, err := io.WriteString(conn, text); err != nil {
			t.Fatal(err)
		}
		limited(t, readOne(t, in), "2;w=900")
	}
	// A client that sends all of it before it looks reads why, too.
	limited(t, send(t, s.client, "POST", s.url+"/api/v1/customers", strings.Repeat("x", 1_000_000), as(token)), "2;w=900")
	limited(t, send(t, s.http2(t).client, "POST", s.url+"/api/v1/customers", strings.Repeat("x", 1_000_000), as(token)), "2;w=900")
	if n := s.stubs["crm"].requests.Load(); n != 2 {
		t.Errorf("the service was asked %d times", n)
	}
}

// A refusal that leaves nothing unread keeps the connection: the next request on it is answered,
// with and without a body.
func TestContractRefusalsKeepConnections(t *testing.T) {
	t.Parallel()
	s := setLimitedStageOf(t, few(t, 1), nil)
	token := tokenOf(t, "technician")
	s.ask(t, "GET", "/api/v1/customers", token).want(t, 200)
	conn := open(t, s.addr)
	in := bufio.NewReader(conn)
	for _, body := range []string{"", "some content", "", strings.Repeat("x", 2000)} {
		text := "POST /api/v1/customers HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer " + token + "\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body
		if _, err := io.WriteString(conn, text); err != nil {
			t.Fatal(err)
		}
		if got := readOne(t, in); limited(t, got, "1;w=900") == 0 || got.Close {
			t.Errorf("with a body of %d bytes: %v", len(body), got.Header)
		}
	}
	if _, err := io.WriteString(conn, "GET /health HTTP/1.1\r\nHost: h\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	readOne(t, in).want(t, 200)
}

// item is one of a structured field: a text with parameters.
type item struct {
	name   string
	params map[string]int64
}

// parseItems reads a list of strings whose parameters are whole numbers, as RFC 9651 has it, and
// takes nothing else.
func parseItems(t *testing.T, field string) (items []item) {
	t.Helper()
	whole := regexp.MustCompile(`^"((?:[ !#-\[\]-~]|\\["\\])*)"((?:; *[a-z*][a-z0-9_.*-]*=-?[0-9]{1,15})*)(?:[ \t]*,[ \t]*("[^\r\n]*)|)$`)
	for rest := field; rest != ""; {
		m := whole.FindStringSubmatch(rest)
		if m == nil {
			t.Fatalf("%q is no list of strings", field)
		}
		one := item{strings.NewReplacer(`\"`, `"`, `\\`, `\`).Replace(m[1]), map[string]int64{}}
		for pair := range strings.SplitSeq(strings.TrimPrefix(m[2], ";"), ";") {
			name, value, _ := strings.Cut(strings.TrimLeft(pair, " "), "=")
			one.params[name], _ = strconv.ParseInt(value, 10, 64)
		}
		items, rest = append(items, one), m[3]
	}
	return items
}

// A listener may tell all limits at once, as the current draft has it, or none.
func TestContractStructuredFields(t *testing.T) {
	t.Parallel()
	with := func(fields string) *stage {
		return setLimitedStageOf(t, changed(t, "    protocols: [http1, h2c]\n", "    protocols: [http1, h2c]\n    ratelimit_fields: "+fields+"\n"), nil, "ALLOWED_ORIGINS="+allowedOrigin)
	}
	s := with("structured")
	check := func(got answer, policy, left string) {
		t.Helper()
		for field, want := range map[string]string{"RateLimit-Policy": policy, "RateLimit": left} {
			values := got.Header.Values(field)
			if len(values) != 1 {
				t.Errorf("%s is %q", field, values)
				continue
			}
			if items := fmt.Sprint(parseItems(t, values[0])); items != want {
				t.Errorf("%s is %s, want %s", field, items, want)
			}
		}
		for _, old := range []string{"RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"} {
			if got.Header.Get(old) != "" {
				t.Errorf("%s is there too", old)
			}
		}
	}
	const both = "[{global map[q:100 w:900]} {api map[q:60 w:60]}]"
	first := s.ask(t, "GET", "/api/v1/public/status", "", "Origin", allowedOrigin).want(t, 200)
	check(first, both, "[{global map[r:99 t:900]} {api map[r:59 t:60]}]")
	readable(t, first, allowedOrigin, "X-Request-ID, Retry-After, RateLimit-Policy, RateLimit")
	check(s.http2(t).ask(t, "GET", "/api/v1/protected/admin", tokenOf(t, "tenant_admin")), "[{user map[q:1000 w:900]} {admin map[q:20 w:60]}]",
		"[{user map[r:999 t:900]} {admin map[r:19 t:60]}]")
	for range 59 {
		s.ask(t, "GET", "/api/v1/public/status", "").want(t, 200)
	}
	got := s.ask(t, "GET", "/api/v1/public/status", "", "Origin", allowedOrigin)
	refused(t, got, 429, "RATE_LIMIT_EXCEEDED")
	readable(t, got, allowedOrigin, "X-Request-ID, Retry-After, RateLimit-Policy, RateLimit")
	left := parseItems(t, got.Header.Get("RateLimit"))
	if len(left) != 2 || left[0].params["r"] != 40 || left[1].params["r"] != 0 || strconv.FormatInt(left[1].params["t"], 10) != got.Header.Get("Retry-After") {
		t.Errorf("RateLimit is %v, Retry-After %s", left, got.Header.Get("Retry-After"))
	}

	s = with("off")
	for range 60 {
		if got := s.ask(t, "GET", "/api/v1/public/status", "").want(t, 200); told(got) != "" {
			t.Fatalf("it is told %q", told(got))
		}
	}
	got = s.ask(t, "GET", "/api/v1/public/status", "", "Origin", allowedOrigin)
	limited(t, got, ";w=60")
	readable(t, got, allowedOrigin, "X-Request-ID, Retry-After")
}

// What a service says about limits is of no limit of the gateway's: its fields go, but for
// its own 429 and Retry-After.
func TestContractServicesHaveLimitsToo(t *testing.T) {
	t.Parallel()
	busy := func(w http.ResponseWriter, _ *http.Request) {
		for name, value := range map[string]string{"Retry-After": "7", "RateLimit-Limit": "1", "RateLimit-Remaining": "0", "ratelimit": `"a";r=0;t=7`, "X-RateLimit-Reset": "7"} {
			w.Header()[name] = []string{value, value}
		}
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(429)
		_, _ = io.WriteString(w, "the service's own words")
	}
	s := setLimitedStage(t, map[string]http.HandlerFunc{"/api/v1/customers": busy})
	got := s.ask(t, "GET", "/api/v1/customers", tokenOf(t, "technician"))
	if got.StatusCode != 429 || got.body != "the service's own words" || !slices.Equal(got.Header.Values("Retry-After"), []string{"7"}) || told(got) != "1000;w=900 999" {
		t.Errorf("status %d, %q, %v", got.StatusCode, got.body, got.Header)
	}
	free := setLimitedStageOf(t, changed(t, "    service: crm\n", "    service: crm\n    policies: {ratelimit: off}\n"), map[string]http.HandlerFunc{"/api/v1/customers": busy})
	if got := free.ask(t, "GET", "/api/v1/customers", tokenOf(t, "technician")); got.Header.Get("RateLimit-Limit") != "1" {
		t.Errorf("where nothing is limited, the service's word is %v", got.Header)
	}
}

// A request may cost more than one.
func TestContractCost(t *testing.T) {
	t.Parallel()
	s := setLimitedStageOf(t, changed(t, "    service: reports\n", "    service: reports\n    policies: {ratelimit: {limits: [flood, user], cost: 300}}\n"), nil)
	token := tokenOf(t, "technician")
	for i, want := range []string{"1000;w=900 700", "1000;w=900 400", "1000;w=900 100"} {
		if got := told(s.ask(t, "GET", "/api/v1/reports", token).want(t, 200)); got != want {
			t.Errorf("report %d is told %q, want %q", i+1, got, want)
		}
	}
	got := s.ask(t, "GET", "/api/v1/reports", token)
	refused(t, got, 429, "RATE_LIMIT_EXCEEDED")
	if told(got) != "1000;w=900 100" || got.Header.Get("Retry-After") == "" {
		t.Errorf("one more is told %q", told(got))
	}
	if got := told(s.ask(t, "GET", "/api/v1/customers", token).want(t, 200)); got != "1000;w=900 99" {
		t.Errorf("what costs less is told %q", got)
	}
}

// detailed is what /health/detailed says about limits.
type detailed struct {
	Limits struct {
		State                      string
		Allowed, Refused, Observed map[string]int64
	}
	Refusals, Observed map[string]int64
}

// mode: observe of a limit, or of the policy, refuses nothing and tells clients nothing; it is
// logged, and counted.
func TestContractObservedLimits(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		file string
		says string // about the limits that are no observed ones
	}{
		"a limit": {changed(t, "    by: ip\n    for: anonymous\n", "    by: ip\n    for: anonymous\n    mode: observe\n"), "60;w=60 "},
		"the policy": {changed(t, "    limits: [flood, global, user]\n  jwt:", "    limits: [flood, global, user]\n    mode: observe\n  jwt:",
			"  - name: public-status\n    path: /api/v1/public/status\n    methods: GET\n    auth: none\n    policies:\n      ratelimit: {limits: [flood, global, user, api]}\n",
			"  - name: public-status\n    path: /api/v1/public/status\n    methods: GET\n    auth: none\n    policies:\n"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := setLimitedStageOf(t, tt.file, nil, "RATE_LIMIT_GLOBAL_MAX=3")
			for i := range 10 {
				got := s.ask(t, "GET", "/api/v1/public/status", "").want(t, 200)
				if says := told(got); got.Header.Get("Retry-After") != "" || tt.says == "" && says != "" || tt.says != "" && says != fmt.Sprint(tt.says, 59-i) {
					t.Errorf("it is told %q", says)
				}
			}
			page := decode[detailed](t, s.ask(t, "GET", "/health/detailed", ""))
			if page.Limits.Observed["global"] != 7 || page.Limits.Refused["global"] != 0 || page.Limits.Allowed["global"] != 3 || page.Observed["rate_limited"] != 7 || page.Refusals["rate_limited"] != 0 {
				t.Errorf("counted is %+v", page)
			}
			s.signal(sigterm)
			s.exit()
			all, _ := s.stdout.snapshot()
			var observed []string
			for _, line := range all {
				if strings.Contains(line, `"observed"`) {
					observed = append(observed, line)
				}
			}
			if len(observed) != 7 || !strings.Contains(observed[0], "rate_limited") || !strings.Contains(observed[0], `"status":200`) || !strings.Contains(observed[0], "limit global: 3 in 15m") {
				t.Errorf("%d lines say what would have been refused: %v", len(observed), observed)
			}
		})
	}
}

// What is refused is logged with its limit, and counted.
func TestContractRefusedByLimitsIsLogged(t *testing.T) {
	t.Parallel()
	s := setLimitedStage(t, failedLogins(), "RATE_LIMIT_AUTH_MAX=2")
	spend(t, "2;w=900", 401, func() answer { return s.ask(t, "POST", "/api/v1/auth/login", "") })
	limited(t, s.ask(t, "POST", "/api/v1/auth/login", ""), "2;w=900")
	page := decode[detailed](t, s.ask(t, "GET", "/health/detailed", ""))
	if page.Limits.State != "memory" || page.Limits.Refused["auth"] != 1 || page.Limits.Allowed["auth"] != 2 || page.Refusals["rate_limited"] != 1 {
		t.Errorf("counted is %+v", page)
	}
	line := s.stdout.wait(t, "the refusal", func(line string) bool { return strings.Contains(line, `"rate_limited"`) })
	var entry struct {
		Status                int
		Reason, Detail, Route string
	}
	if err := json.Unmarshal([]byte(line), &entry); err != nil || entry.Status != 429 || entry.Route != "auth" || !strings.HasPrefix(entry.Detail, "limit auth: 2 in 15m, used up for ") {
		t.Errorf("logged is %s", line)
	}
}

// except names networks that don't count.
func TestContractExceptedNetworks(t *testing.T) {
	t.Parallel()
	s := setLimitedStageOf(t, changed(t, "    by: ip\n    for: anonymous\n", "    by: ip\n    for: anonymous\n    except: [127.0.8.0/24, \"2001:db8::/32\"]\n"), nil)
	monitor := s.from(t, "127.0.8.77")
	for range 150 {
		if got := monitor.ask(t, "GET", "/", "").want(t, 200); told(got) != "" {
			t.Fatalf("who is excepted is told %q", told(got))
		}
	}
	if got := told(s.from(t, "127.0.9.77").ask(t, "GET", "/", "")); got != "100;w=900 99" {
		t.Errorf("somebody else is told %q", got)
	}
}

// Requests that run at once are limited too: slow ones, WebSockets and event streams, which
// free their place when they end, however they do.
func TestContractConcurrentRequests(t *testing.T) {
	t.Parallel()
	arrived, release := make(chan struct{}, 10), make(chan struct{})
	slow := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_ = http.NewResponseController(w).Flush()
		arrived <- struct{}{}
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}
	chat := func(w http.ResponseWriter, r *http.Request) {
		if conn, err := websocket.Accept(w, r, nil); err == nil {
			_, _, _ = conn.Read(r.Context()) // until it is closed
			conn.CloseNow()
		}
	}
	s := setLimitedStageOf(t, changed(t, "  flood: #", "  running: {concurrent: 2, by: user}\n  flood: #",
		"    service: crm\n", "    service: crm\n    policies: {ratelimit: {limits: [flood, global, user, running]}}\n"),
		map[string]http.HandlerFunc{"/api/v1/customers/slow": slow, "/api/v1/customers/chat": chat})
	token, other := tokenOf(t, "technician"), tokenWith(t, claims{"sub": "other"})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	stream := func() (end func()) {
		t.Helper()
		one, leave := context.WithCancel(ctx)
		req, err := http.NewRequestWithContext(one, "GET", s.url+"/api/v1/customers/slow", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header = as(token)
		resp, err := s.client.Do(req)
		if err != nil || resp.StatusCode != 200 {
			t.Fatalf("%v, %v", resp, err)
		}
		receive(t, arrived, "the stream")
		return func() { leave(); resp.Body.Close() }
	}
	full := func(what string) {
		t.Helper()
		got := s.ask(t, "GET", "/api/v1/customers", token)
		refused(t, got, 429, "RATE_LIMIT_EXCEEDED")
		if got.Header.Get("Retry-After") != "1" || strings.HasPrefix(told(got), "2;") {
			t.Errorf("%s: %v", what, got.Header)
		}
		s.ask(t, "GET", "/api/v1/customers", other).want(t, 200)
		s.ask(t, "GET", "/api/v1/tickets", token).want(t, 200) // where it is not limited
	}
	free := func(what string) {
		t.Helper()
		eventually(t, what, func() bool { return s.ask(t, "GET", "/api/v1/customers", token).StatusCode == 200 })
	}
	endFirst := stream()
	s.ask(t, "GET", "/api/v1/customers", token).want(t, 200)
	endSecond := stream()
	full("two streams")
	endFirst()
	free("one has left")
	socket, resp, err := websocket.Dial(ctx, s.url+"/api/v1/customers/chat", &websocket.DialOptions{HTTPHeader: as(token)})
	if err != nil {
		t.Fatal(err, resp)
	}
	full("a stream and a WebSocket")
	if _, resp, err := websocket.Dial(ctx, s.url+"/api/v1/customers/chat", &websocket.DialOptions{HTTPHeader: as(token)}); err == nil || resp == nil || resp.StatusCode != 429 {
		t.Errorf("a third WebSocket: %v, %v", resp, err)
	}
	if err := socket.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Error(err)
	}
	free("the WebSocket is closed")
	endFirst = stream()
	full("two streams again")
	close(release) // the service ends them
	free("the service has ended both")
	endFirst()
	endSecond()
	for range 20 { // one after the other, none is in the way of the next
		free("nothing runs")
	}
}

// Gateways that share a store count together.
func TestContractLimitsAreShared(t *testing.T) {
	t.Parallel()
	env := stores(t)["in Redis"]
	nodes := []*stage{setLimitedStage(t, failedLogins(), env...), setLimitedStage(t, failedLogins(), env...)}
	turn := 0
	ask := func(method, path string) func() answer {
		return func() answer {
			turn++
			return nodes[turn%2].ask(t, method, path, "")
		}
	}
	spend(t, "100;w=900", 200, ask("GET", "/"))
	limited(t, ask("GET", "/")(), "100;w=900")
	limited(t, ask("GET", "/")(), "100;w=900")
	for _, s := range nodes {
		s.ask(t, "GET", "/api/v1/customers", tokenOf(t, "technician")).want(t, 200)
		if page := decode[detailed](t, s.ask(t, "GET", "/health/detailed", "")); page.Limits.State != "shared" {
			t.Errorf("limits are %+v", page.Limits)
		}
	}
}

// What docs/store.md says about the store is so: the user of an access control list that it
// shows may do all that the gateway needs, and nothing is in the store that it does not name.
func TestContractStoreIsAsDocumented(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/store.md")
	if err != nil {
		t.Fatal(err)
	}
	user := regexp.MustCompile(`(?m)^ACL SETUSER .*$`).FindString(string(page))
	server := redistest.Start(t)
	if got := server.Do(strings.Fields(user)...); got[0] != "+OK" {
		t.Fatalf("%s: %q", user, got)
	}
	file := changed(t, "    password: \"${REDIS_PASSWORD:-}\"\n", "    password: \"${REDIS_PASSWORD:-}\"\n    username: gateway\n",
		"  admin:\n    limit: 20\n", "  admin:\n    precision: leased\n    limit: 20\n")
	s := setLimitedStageOf(t, file, failedLogins(), "REDIS_HOST="+server.Host, "REDIS_PORT="+strconv.Itoa(server.Port), "REDIS_PASSWORD=secret")
	admin := tokenOf(t, "system_admin")
	for range 8 {
		s.ask(t, "POST", "/api/v1/auth/login", "")
		s.ask(t, "GET", "/api/v1/protected/admin", admin).want(t, 200)
		s.ask(t, "GET", "/", "").want(t, 200)
	}
	send(t, s.client, "POST", s.url+"/internal/revocations", `{"subject":"somebody"}`, jsonAs(admin)).want(t, 202)
	s.ask(t, "DELETE", "/internal/limits?key=ip:127.0.0.1&limit=auth", admin).want(t, 200)
	s.ask(t, "POST", "/api/v1/auth/login", "").want(t, 401)
	eventually(t, "the node says that it is there", func() bool { return slices.Contains(server.Do("KEYS", "*"), "yett:{nodes}") })
	for _, key := range server.Do("KEYS", "*") {
		name, ours := strings.CutPrefix(key, "yett:")
		if strings.HasPrefix(name, "limit:") {
			name = "limit:NAME:{KEY}"
		}
		if documented := "`PREFIX" + name + "`"; ours && !strings.Contains(string(page), documented) || !ours && !strings.ContainsAny(key[:1], "*$") {
			t.Errorf("the store has %s, of which docs/store.md says nothing", key)
		}
	}
	if refusals := server.Do("ACL", "LOG"); len(refusals) > 1 {
		t.Errorf("the server has refused %q", refusals)
	}
	if page := decode[detailed](t, s.ask(t, "GET", "/health/detailed", "")); page.Limits.State != "shared" {
		t.Errorf("limits are %+v", page.Limits)
	}
}
