//go:build linux

package e2e

import (
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"yett/examples/psa/services/kit"
	"yett/internal/store/redis/redistest"
)

// breakerRate is how many requests a second are offered in these tests.
const breakerRate = 200

// breakerApp tries nothing again, so that what reaches the service is what the breaker
// lets through. A brace is left open for more.
const breakerApp = "retries: {most: 0}, ejection: {failures: 0}, breaker: {consecutive_failures: 5, failure_ratio: 0%, open_for: 500ms, probes: 2, successes: 2"

// service is a service with one target, and clients.
type service struct {
	*load
	w      *worker
	client *http.Client
}

func startService(t *testing.T, app string, m manner) *service {
	t.Helper()
	s := &service{w: startWorker(t, "a", m), client: newClient(t)}
	s.load = startLoad(t, guard(t, fmt.Sprintf("services:\n  app: {targets: %s, %s}\n", targets([]*worker{s.w}), app)))
	return s
}

// refusals are the answers of an open breaker.
func refusals(all []shot) []shot {
	return which(all, func(s *shot) bool { return s.code == "SERVICE_UNAVAILABLE" })
}

// judgeRefusals wants them to say when to come again, in the field and the body, and to
// come at once.
func (l *load) judgeRefusals(all []shot, most int) {
	t := l.t
	t.Helper()
	if len(all) == 0 {
		t.Error("nothing was refused")
	}
	for i := range all {
		if s := &all[i]; s.status != 503 || s.retryIn < 1 || s.retryIn > most || s.retryAfter != fmt.Sprint(s.retryIn) {
			t.Errorf("a refusal has status %d, Retry-After %q, and retryAfter %d", s.status, s.retryAfter, s.retryIn)
		}
	}
	if p50 := percentile(all, 0.5); p50 > 50*time.Millisecond {
		l.tooSlow("refusals typically take %v", p50)
	}
}

// A service that has gone is not called after five failures. When it is back, two requests
// find out, and it gets what is offered and not more.
func TestGuardsOutage(t *testing.T) {
	t.Parallel()
	s := startService(t, breakerApp+"}", manner{})
	s.offer(breakerRate, "GET", "/app/get")
	time.Sleep(500 * time.Millisecond)
	killed := time.Now()
	s.w.kill()
	open := s.g.waitBreaker("app", "OPEN", killed)
	page := s.g.services(s.client)
	if c := page.CircuitBreakers["app"]; page.code != 503 || page.Status != "degraded" || c.State != "OPEN" || c.NextAttempt == nil || page.Summary.OpenCircuits != 1 {
		t.Errorf("while it is open the page has status %d, %+v", page.code, page)
	}
	s.w.start(manner{Status: 500}) // it is there, and not well
	begun := time.Now()
	again := s.g.waitTurn("it opens again", func(o turned) bool { return o.From == "HALF_OPEN" && o.To == "OPEN" && o.Time.After(begun) })
	s.w.behave(manner{Delay: 300 * time.Millisecond})
	half := s.g.waitBreaker("app", "HALF_OPEN", again.Time.Add(time.Millisecond)) // it may have opened within one
	page = s.g.services(s.client)
	if c := page.CircuitBreakers["app"]; page.code != 200 || page.Status != "warning" || c.State != "HALF_OPEN" || page.Summary.HalfOpenCircuits != 1 {
		t.Errorf("while it is half open the page has status %d, %+v", page.code, page)
	}
	shut := s.g.waitBreaker("app", "CLOSED", half.Time)
	s.w.behave(manner{})
	page = s.g.services(s.client)
	if c := page.CircuitBreakers["app"]; page.code != 200 || page.Status != "healthy" || c.State != "CLOSED" || c.NextAttempt != nil || page.Summary.ClosedCircuits != 1 {
		t.Errorf("when it has closed the page has status %d, %+v", page.code, page)
	}
	time.Sleep(1200 * time.Millisecond)
	s.end()
	s.judgeOutage(killed, open, half, shut)
}

func (s *service) judgeOutage(killed time.Time, open, half, shut turned) {
	t, all := s.t, s.since(time.Time{})
	t.Helper()
	const ms = time.Millisecond // that is how exact the log is
	if open.Cause != "5 failures in a row" || open.Failures != 5 || shut.Cause != "2 probes succeeded" {
		t.Errorf("it opened for %q, and closed for %q", open.Cause, shut.Cause)
	}
	s.judgeTurns()
	refused := refusals(all)
	s.judgeRefusals(refused, 4)
	failed := which(all, func(s *shot) bool { return badly(s) && s.code != "SERVICE_UNAVAILABLE" })
	// Five, those that were in flight, and one or two for each time that it was probed.
	if n := len(sentWithin(failed, killed.Add(-100*ms), open.Time.Add(50*ms))); n < 5 || n > 5+30 {
		t.Errorf("%d requests failed before it opened", n)
	}
	for at := range s.openTimes() {
		if n := len(s.w.got(at[0].Add(50*ms), at[1])); n > 0 {
			t.Errorf("%d requests reached the service while it was open", n)
		}
	}
	if n := len(s.w.got(half.Time.Add(-5*ms), shut.Time)); n != 2 {
		t.Errorf("%d requests reached the service while it was half open, want 2", n)
	}
	first := len(s.w.got(shut.Time, shut.Time.Add(time.Second)))
	if first > breakerRate*13/10 || first < breakerRate/2 {
		t.Errorf("%d requests reached the service in the first second, %d were offered", first, breakerRate)
	}
	if bad := which(sentWithin(all, shut.Time.Add(5*ms), time.Now()), badly); len(bad) > 0 {
		t.Errorf("after it has closed: %v", outcomes(bad))
	}
	s.show("before", sentWithin(all, time.Time{}, killed))
	s.show("refusals", refused)
	s.show("afterwards", sentWithin(all, shut.Time.Add(5*ms), time.Now()))
	t.Logf("opened %v after the kill, %d failed; in the first second after it has closed %d reached the service", open.Time.Sub(killed), len(failed), first)
}

// judgeTurns wants the log to have the way of a breaker, without a gap.
func (s *service) judgeTurns() {
	s.t.Helper()
	is := "CLOSED"
	for _, o := range s.g.turns() {
		if o.Msg != "circuit breaker" {
			continue
		}
		may := map[string][]string{"CLOSED": {"OPEN"}, "OPEN": {"HALF_OPEN"}, "HALF_OPEN": {"OPEN", "CLOSED"}}[is]
		if o.From != is || !slices.Contains(may, o.To) || o.Cause == "" || o.Service != "app" {
			s.t.Errorf("the log has %+v where it is %s", o, is)
		}
		is = o.To
	}
	if is != "CLOSED" {
		s.t.Errorf("at last it is %s", is)
	}
}

// openTimes are from when to when the breaker was open.
func (s *service) openTimes() func(yield func([2]time.Time) bool) {
	return func(yield func([2]time.Time) bool) {
		var from time.Time
		for _, o := range s.g.turns() {
			if o.Msg == "circuit breaker" && o.From == "OPEN" && !yield([2]time.Time{from, o.Time}) {
				return
			}
			if o.To == "OPEN" {
				from = o.Time
			}
		}
	}
}

// D17: while it is open nothing reaches the service, which is there.
func TestD17OpenMeansNotCalled(t *testing.T) {
	t.Parallel()
	s := startService(t, strings.Replace(breakerApp, "500ms", "1m", 1)+"}", manner{Status: 500})
	for i := range 40 {
		one := s.one("GET", "/app/get")
		if want := map[bool]int{true: 500, false: 503}[i < 5]; one.status != want {
			t.Errorf("request %d got status %d %s", i, one.status, one.code)
		}
	}
	if n := len(s.w.got(time.Time{}, time.Now())); n != 5 {
		t.Errorf("%d requests reached the service", n)
	}
}

// D20: half of all fail, never five in a row: that opens it too, and 404s between them
// don't keep it closed.
func TestD20HalfOfAllFailing(t *testing.T) {
	t.Parallel()
	s := startService(t, "retries: {most: 0}, breaker: {consecutive_failures: 5, failure_ratio: 50%, min_requests: 20, window: 10s}", manner{})
	turn := []int{200, 500, 404, 500}
	for i := range 100 {
		s.w.behave(manner{Status: turn[i%len(turn)]})
		if one := s.one("GET", "/app/get"); one.code == "SERVICE_UNAVAILABLE" {
			// Those with 404 count on neither side.
			if o := s.g.waitBreaker("app", "OPEN", time.Time{}); !strings.HasSuffix(o.Cause, "failed within 10s") || i < 20 || i > 40 {
				t.Errorf("it opened after %d requests, for %q", i, o.Cause)
			}
			return
		}
	}
	t.Error("it has not opened")
}

// D18, D19: a timeout is a failure, and its client is told so with 504.
func TestD18TimeoutsAreFailures(t *testing.T) {
	t.Parallel()
	s := startService(t, "timeouts: {response: 50ms}, "+breakerApp+"}", manner{Delay: 10 * time.Second})
	for i := range 5 {
		if one := s.one("GET", "/app/get"); one.status != 504 || one.code != "GATEWAY_TIMEOUT" {
			t.Errorf("request %d: status %d %s (%v)", i, one.status, one.code, one.err)
		}
	}
	if one := s.one("GET", "/app/get"); one.code != "SERVICE_UNAVAILABLE" {
		t.Errorf("after five timeouts: status %d %s", one.status, one.code)
	}
}

// D21: half open, as many as probes are let through, however many come at once; what was
// sent before it opened says nothing about how the service is now.
func TestD21ProbesAreCounted(t *testing.T) {
	t.Parallel()
	s := startService(t, strings.Replace(breakerApp, "500ms", "700ms", 1)+"}", manner{Delay: 1100 * time.Millisecond, Status: 500})
	s.ended.Go(func() { s.add(s.one("GET", "/app/early")) })
	eventually(t, "the early request has come", func() bool {
		time.Sleep(time.Millisecond)
		return len(s.w.got(time.Time{}, time.Now())) == 1
	})
	s.w.behave(manner{Status: 500})
	for range 5 {
		s.one("GET", "/app/get")
	}
	open := s.g.waitBreaker("app", "OPEN", time.Time{})
	s.w.behave(manner{Delay: 600 * time.Millisecond}) // the early one is answered meanwhile
	s.offer(500, "GET", "/app/get")
	shut := s.g.waitBreaker("app", "CLOSED", open.Time)
	s.end()
	early := which(s.since(time.Time{}), func(one *shot) bool { return one.path == "/app/early" })
	if n := len(s.w.got(open.Time.Add(time.Millisecond), shut.Time)); n != 2 {
		t.Errorf("%d requests reached it before it closed, want 2", n)
	}
	if turns := s.g.turns(); len(turns) != 3 {
		t.Errorf("the log has %+v", turns)
	}
	if len(early) != 1 || early[0].status != 500 || !early[0].got.Before(shut.Time) {
		t.Errorf("the early request: %+v", early)
	}
}

// However bad all targets are, tries that are added stay within their budget.
func TestGuardsRetryBudget(t *testing.T) {
	t.Parallel()
	const share, floor, rate, offered = 0.2, 3.0, 400.0, 1500 * time.Millisecond
	for _, tt := range []struct{ name, on string }{{"connections refused", "connect"}, {"all answer 503", "503"}} {
		t.Run(tt.name, func(t *testing.T) {
			workers := startWorkers(t, 3, manner{Status: 503})
			g := guard(t, fmt.Sprintf("services:\n  app: {targets: %s, retries: {most: 3, on: [%s], backoff: 5ms, budget: 20%%, floor: 3}, breaker: {mode: off}}\n", targets(workers), tt.on))
			if tt.on == "connect" {
				for _, w := range workers {
					w.kill()
				}
			}
			l, client := startLoad(t, g), newClient(t)
			begun := time.Now()
			l.offer(rate, "GET", "/app/get")
			time.Sleep(offered)
			l.end()
			took := time.Since(begun)
			all := l.since(time.Time{})
			page := l.g.services(client).Services["app"]
			most := int(math.Ceil(share*float64(len(all)) + floor*(took.Seconds()+1)))
			if reached := len(arrivals(workers, time.Time{}, time.Now())); tt.on != "connect" && reached != len(all)+int(page.Retries) {
				t.Errorf("%d requests reached the services, %d were sent and %d added", reached, len(all), page.Retries)
			}
			if page.Requests != int64(len(all)) || int(page.Retries) > most || int(page.Retries) < int(share*float64(len(all)))*8/10 {
				t.Errorf("%d requests, %d tries were added, want up to %d", page.Requests, page.Retries, most)
			}
			if n := outcomes(all); len(n) != 1 || n["503"]+n["502 BAD_GATEWAY"] != len(all) {
				t.Errorf("%v", n)
			}
			l.show(tt.name, all)
			t.Logf("%d tries were added to %d requests: %.1f %%", page.Retries, len(all), 100*float64(page.Retries)/float64(len(all)))
		})
	}
}

// adminToken is one of who may switch breakers, by guardsConfig.
func adminToken(t *testing.T) string {
	t.Helper()
	return signed(t, jose.HS256, []byte("0123456789abcdef0123456789abcdef"), claims{"sub": "op", "role": "admin", "exp": time.Now().Add(time.Hour).Unix(), "jti": kit.NewID()})
}

// command runs a verb against a gateway, as an operator does, and returns what it printed.
func (g *gateway) command(args ...string) string {
	g.t.Helper()
	code, stdout, stderr := yett(g.t, []string{"YETT_TOKEN=" + adminToken(g.t)}, append(args, "--url", g.url+"/internal/services")...)
	if code != 0 {
		g.t.Errorf("yett %s: exit code %d, %s", strings.Join(args, " "), code, stderr)
	}
	return stdout
}

// What operators type does what it says.
func TestGuardsCommands(t *testing.T) {
	t.Parallel()
	s := startService(t, strings.Replace(breakerApp, "500ms", "1m", 1)+"}", manner{})
	want := func(when string, status int) {
		t.Helper()
		if one := s.one("GET", "/app/get"); one.status != status {
			t.Errorf("%s: status %d %s", when, one.status, one.code)
		}
	}
	want("before", 200)
	if text := s.g.command("breaker", "open", "app", "--for", "10m"); !strings.HasPrefix(text, "app is held open until ") {
		t.Error(text)
	}
	want("held open", 503)
	if text := s.g.command("services"); !strings.Contains(text, "open") || !strings.Contains(text, s.w.address) {
		t.Error(text)
	}
	if text := s.g.command("breaker", "close", "app"); !strings.HasPrefix(text, "app is held closed") {
		t.Error(text)
	}
	s.w.behave(manner{Status: 500})
	for range 10 {
		want("held closed", 500)
	}
	if text := s.g.command("breaker", "reset", "app"); !strings.HasPrefix(text, "the breaker of app is closed and goes by itself again") {
		t.Error(text)
	}
	for range 5 {
		want("reset", 500)
	}
	want("opened by itself", 503)
	if text := s.g.command("services", "app", "--json"); !strings.Contains(text, `"state": "OPEN"`) || !strings.Contains(text, "5 failures in a row") {
		t.Error(text)
	}
	s.w.behave(manner{})
	s.g.command("breaker", "reset", "app")
	want("reset again", 200)
	if code, _, stderr := yett(t, nil, "breaker", "open", "app", "--url", s.g.url+"/internal/services"); code != 1 || !strings.Contains(stderr, "nothing was changed") || !strings.Contains(stderr, "401") {
		t.Errorf("without a token: exit code %d, %s", code, stderr)
	}
	want("without a token", 200)
}

// shared are two gateways that tell each other of their breakers, before one worker each,
// so that one of them can fail alone.
type shared struct {
	t      *testing.T
	server *redistest.Server
	nodes  []*load
	w      []*worker
}

func startShared(t *testing.T) *shared {
	t.Helper()
	s := &shared{t: t, server: redistest.Start(t), w: startWorkers(t, 2, manner{})}
	config := write(t, "yett.yaml", guardsConfig+fmt.Sprintf(`
services:
  app: {targets: ["${APP}"], retries: {most: 0}, breaker: {consecutive_failures: 5, open_for: 1m, shared: true}}
store: {required: true, redis: {host: 127.0.0.1, port: %d, timeout: 250ms}}
`, s.server.Port))
	for _, w := range s.w {
		s.nodes = append(s.nodes, startLoad(t, run(t, config, "APP=http://"+w.address)))
	}
	return s
}

// calls tells whether a node calls the service.
func (s *shared) calls(node int) bool {
	s.t.Helper()
	one := s.nodes[node].one("GET", "/app/get")
	if one.err != nil || one.status == 503 && one.code != "SERVICE_UNAVAILABLE" {
		s.t.Fatalf("node %d answers %d %s (%v)", node, one.status, one.code, one.err)
	}
	return one.status != 503
}

// until waits until a node calls, or does not, and returns how long that took.
func (s *shared) until(node int, calls bool) time.Duration {
	s.t.Helper()
	begun := time.Now()
	eventually(s.t, fmt.Sprintf("node %d: it calls is %v", node, calls), func() bool {
		time.Sleep(2 * time.Millisecond)
		return s.calls(node) == calls
	})
	return time.Since(begun)
}

// fail lets a node's breaker open by itself.
func (s *shared) fail(node int) {
	s.t.Helper()
	s.w[node].behave(manner{Status: 500})
	for range 5 {
		s.calls(node)
	}
	if s.calls(node) {
		s.t.Errorf("node %d has not opened", node)
	}
	s.w[node].behave(manner{})
}

// Nodes with shared breakers agree, while they have a store, and again when they have it
// back; each goes on by itself without.
func TestGuardsSharedBreakers(t *testing.T) {
	t.Parallel()
	s := startShared(t)
	soon := func(what string, took time.Duration) {
		t.Helper()
		if t.Logf("%s after %v", what, took); took > time.Second {
			t.Errorf("%s after %v", what, took)
		}
	}
	s.fail(0)
	soon("the other has opened", s.until(1, false))
	s.nodes[1].g.command("breaker", "reset", "app")
	soon("reset on one, the other calls", s.until(0, true))
	s.nodes[0].g.command("breaker", "open", "app")
	if s.calls(0) {
		t.Error("held open, it calls")
	}
	soon("held on one, the other is", s.until(1, false))
	s.nodes[0].g.command("breaker", "reset", "app")
	soon("the hold is over on the other", s.until(1, true))

	s.server.Kill()
	s.fail(0)
	alone := time.Now()
	for time.Since(alone) < 500*time.Millisecond {
		if !s.calls(1) || s.calls(0) {
			t.Fatal("without a store one opens, and the other does or the first calls")
		}
		time.Sleep(10 * time.Millisecond)
	}
	s.server.Start()
	took := s.until(1, false)
	if t.Logf("the store is back: they agree after %v", took); took > 5*time.Second {
		t.Errorf("they agree after %v", took)
	}
	s.nodes[1].g.command("breaker", "reset", "app")
	soon("reset, the other calls", s.until(0, true))
}
