//go:build linux

package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"yett/internal/store/redis/redistest"
)

// failing is a handler that answers with a status while that is not 0.
type failing struct{ status atomic.Int64 }

func (f *failing) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	if status := f.status.Load(); status != 0 {
		w.WriteHeader(int(status))
	}
	_, _ = io.WriteString(w, "{}")
}

// at are the answers of stubs that have it at a path.
func (f *failing) at(path string) map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{path: f.ServeHTTP}
}

// brokenPath is where crm has a failing handler in these tests.
const brokenPath = "/api/v1/customers/broken"

// unavailable checks that an answer is that of an open circuit, and returns in how many
// seconds to come again.
func unavailable(t *testing.T, a answer, least, most int) {
	t.Helper()
	refused(t, a, 503, "SERVICE_UNAVAILABLE")
	after := decode[refusal](t, a).Error.RetryAfter
	if after < least || after > most || a.Header.Get("Retry-After") != strconv.Itoa(after) {
		t.Errorf("retryAfter is %d, want %d to %d, and Retry-After %q", after, least, most, a.Header.Get("Retry-After"))
	}
}

// circuitOf asks /health/detailed, and wants its verdict to be so.
func circuitOf(t *testing.T, s *stage, service string, code int, status string) circuit {
	t.Helper()
	page := s.services(s.client)
	if page.code != code || page.Status != status {
		t.Errorf("/health/detailed has %d %s, want %d %s", page.code, page.Status, code, status)
	}
	sum := page.Summary
	if sum.TotalCircuits != len(page.CircuitBreakers) || sum.OpenCircuits+sum.HalfOpenCircuits+sum.ClosedCircuits != sum.TotalCircuits || sum.TotalCircuits < len(serviceNames()) {
		t.Errorf("/health/detailed has %d circuits, and the summary %+v", len(page.CircuitBreakers), sum)
	}
	return page.CircuitBreakers[service]
}

// Five failures open a circuit: 503 at once, with when to come again, and only for that
// service.
func TestContractCircuitOpens(t *testing.T) {
	t.Parallel()
	var broken failing
	broken.status.Store(500)
	s := setStage(t, broken.at(brokenPath))
	token := tokenOf(t, "technician")
	for range 5 {
		s.ask(t, "GET", brokenPath, token).want(t, 500)
	}
	for _, path := range []string{brokenPath, "/api/v1/customers", "/api/v1/contacts/7"} {
		unavailable(t, s.ask(t, "GET", path, token), 25, 36)
		unavailable(t, s.ask(t, "POST", path, token), 25, 36)
	}
	if n := s.stubs["crm"].requests.Load(); n != 5 { // D17
		t.Errorf("the service was asked %d times", n)
	}
	reached(t, s.ask(t, "GET", "/api/v1/tickets", token))
	s.judgeDetailed(t)
}

// judgeDetailed wants the page to have what monitors read, while the circuit of crm is open.
func (s *stage) judgeDetailed(t *testing.T) {
	t.Helper()
	c := circuitOf(t, s, "crm", 503, "degraded")
	if c.State != "OPEN" || c.Failures != 5 || c.Successes != 0 || c.TotalRequests != 5 || c.LastSuccessTime != nil {
		t.Errorf("crm: %+v", c)
	}
	for name, at := range map[string]*string{"lastFailureTime": c.LastFailureTime, "nextAttempt": c.NextAttempt} {
		if at == nil {
			t.Errorf("%s is null", name)
		} else if _, err := time.Parse("2006-01-02T15:04:05.000Z", *at); err != nil {
			t.Error(err)
		}
	}
	if c := circuitOf(t, s, "tickets", 503, "degraded"); c.State != "CLOSED" || c.TotalRequests != 1 || c.LastFailureTime != nil || c.LastSuccessTime == nil || c.NextAttempt != nil {
		t.Errorf("tickets: %+v", c)
	}
	page := decode[struct {
		CircuitBreakers map[string]map[string]json.RawMessage
		Summary         map[string]int
	}](t, s.ask(t, "GET", "/health/detailed", ""))
	for name, one := range page.CircuitBreakers {
		for _, key := range []string{"state", "failures", "successes", "totalRequests", "lastFailureTime", "lastSuccessTime", "nextAttempt"} {
			if _, there := one[key]; !there {
				t.Errorf("%s has no %s", name, key)
			}
		}
	}
	if keys := slices.Sorted(maps.Keys(page.Summary)); !slices.Equal(keys, []string{"closedCircuits", "halfOpenCircuits", "openCircuits", "totalCircuits"}) {
		t.Errorf("the summary has %q", keys)
	}
}

// A success resets the count; what a client did wrong is no failure.
func TestContractCircuitCountsInARow(t *testing.T) {
	t.Parallel()
	var broken failing
	s := setStage(t, broken.at(brokenPath))
	token := tokenOf(t, "technician")
	for _, status := range []int{500, 502, 503, 504, 200, 500, 500, 500, 500, 200, 404, 400, 404, 400, 404, 400} {
		broken.status.Store(int64(status))
		s.ask(t, "GET", brokenPath, token).want(t, status)
	}
	if c := circuitOf(t, s, "crm", 200, "healthy"); c.State != "CLOSED" || c.Failures != 0 || c.TotalRequests != 16 {
		t.Errorf("%+v", c)
	}
}

// CIRCUIT_BREAKER_RESET_TIMEOUT is after what time a request finds out. Two that succeed
// close the circuit, one that fails opens it again.
func TestContractCircuitResetTimeout(t *testing.T) {
	t.Parallel()
	var broken failing
	broken.status.Store(500)
	s := setStage(t, broken.at(brokenPath), "CIRCUIT_BREAKER_RESET_TIMEOUT=400")
	token := tokenOf(t, "technician")
	for range 5 {
		s.ask(t, "GET", brokenPath, token).want(t, 500)
	}
	opened := time.Now()
	unavailable(t, s.ask(t, "GET", brokenPath, token), 1, 1)
	until := func(status int) {
		t.Helper()
		eventually(t, fmt.Sprint("the service answers ", status), func() bool {
			time.Sleep(5 * time.Millisecond)
			return s.ask(t, "GET", brokenPath, token).StatusCode == status
		})
	}
	until(500)
	if took := time.Since(opened); took < 350*time.Millisecond || took > 2*time.Second {
		t.Errorf("asked again after %v", took)
	}
	unavailable(t, s.ask(t, "GET", brokenPath, token), 1, 1)
	broken.status.Store(0)
	until(200)
	if c := circuitOf(t, s, "crm", 200, "warning"); c.State != "HALF_OPEN" || c.Successes != 1 || c.NextAttempt != nil {
		t.Errorf("after one success: %+v", c)
	}
	s.ask(t, "GET", brokenPath, token).want(t, 200)
	if c := circuitOf(t, s, "crm", 200, "healthy"); c.State != "CLOSED" || c.Failures != 0 || c.LastSuccessTime == nil {
		t.Errorf("after two: %+v", c)
	}
	transitions := func() int64 { return s.said(`"msg":"circuit breaker"`, `"service":"crm"`) }
	eventually(t, "the log tells of the last transition", func() bool { return transitions() >= 5 }) // it does so a moment later
	if n := transitions(); n != 5 {
		t.Errorf("the log tells of %d transitions\n%s", n, s.stderr)
	}
}

// CIRCUIT_BREAKER_ERROR_THRESHOLD is which share of the requests has to fail.
func TestContractCircuitErrorThreshold(t *testing.T) {
	t.Parallel()
	for threshold, open := range map[string]bool{"25": true, "": false} {
		t.Run("at "+threshold, func(t *testing.T) {
			var broken failing
			env := []string{}
			if threshold != "" {
				env = append(env, "CIRCUIT_BREAKER_ERROR_THRESHOLD="+threshold)
			}
			s := setStage(t, broken.at(brokenPath), env...)
			token, asked := tokenOf(t, "technician"), 0
			for ; asked < 30; asked++ {
				broken.status.Store(int64([]int{0, 0, 500}[asked%3]))
				if s.ask(t, "GET", brokenPath, token).StatusCode == 503 {
					break
				}
			}
			if want := map[bool]int{true: 20, false: 30}[open]; asked < want || asked > want+1 {
				t.Errorf("open after %d requests of which a third failed, want %d", asked, want)
			}
		})
	}
}

// CIRCUIT_BREAKER_TIMEOUT is how long a call may take before it counts as slow.
func TestContractCircuitSlowCalls(t *testing.T) {
	t.Parallel()
	slow := func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(40 * time.Millisecond)
		_, _ = io.WriteString(w, "{}")
	}
	s := setStage(t, map[string]http.HandlerFunc{"/api/v1/customers/slow": slow}, "CIRCUIT_BREAKER_TIMEOUT=30")
	token := tokenOf(t, "technician")
	for range 20 {
		s.ask(t, "GET", "/api/v1/customers/slow", token).want(t, 200)
	}
	unavailable(t, s.ask(t, "GET", "/api/v1/customers/slow", token), 25, 36)
}

// D18, D19: a service that does not answer in time is a failure, and its client gets 504.
// D24: an answer that breaks off is one too, and the client is not left waiting.
func TestD18D24WhatIsAFailure(t *testing.T) {
	t.Parallel()
	hang := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	broken := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100000")
		_, _ = w.Write(make([]byte, 50_000))
		panic(http.ErrAbortHandler)
	}
	config := changed(t, "http://localhost:3002}\"]\n    openapi: *openapi\n    timeouts:\n      response: 5s", "http://localhost:3002}\"]\n    timeouts:\n      response: 100ms")
	s := setStageOf(t, config, map[string]http.HandlerFunc{"/api/v1/customers/hang": hang, "/api/v1/tickets/broken": broken})
	token := tokenOf(t, "technician")
	for range 5 {
		refused(t, s.ask(t, "GET", "/api/v1/customers/hang", token), 504, "GATEWAY_TIMEOUT")
	}
	unavailable(t, s.ask(t, "GET", "/api/v1/customers", token), 25, 36)
	for range 5 {
		begun := time.Now()
		req, err := http.NewRequestWithContext(t.Context(), "GET", s.url+"/api/v1/tickets/broken", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header = as(token)
		resp, err := s.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if resp.StatusCode != 200 || err == nil || time.Since(begun) > 3*time.Second {
			t.Errorf("a broken answer has status %d, and ends after %v with %v", resp.StatusCode, time.Since(begun), err)
		}
	}
	unavailable(t, s.ask(t, "GET", "/api/v1/tickets", token), 25, 36)
}

// D22: users fail, and logins, which the same service answers, don't.
func TestD22FailingUsersDoNotLockOut(t *testing.T) {
	t.Parallel()
	var broken failing
	broken.status.Store(500)
	s := setStage(t, broken.at("/api/v1/users/broken"))
	token := tokenOf(t, "tenant_admin")
	for range 5 {
		s.ask(t, "GET", "/api/v1/users/broken", token).want(t, 500)
	}
	unavailable(t, s.ask(t, "GET", "/api/v1/users/7", token), 25, 36)
	for range 20 {
		reached(t, send(t, s.client, "POST", s.url+"/api/v1/auth/login", `{}`, jsonAs("")))
	}
	if c := circuitOf(t, s, "auth", 503, "degraded"); c.State != "CLOSED" {
		t.Errorf("auth: %+v", c)
	}
}

// D23: all instances say the same of a circuit.
func TestD23InstancesAgree(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	var broken failing
	broken.status.Store(500)
	redis := []string{"REDIS_HOST=127.0.0.1", fmt.Sprint("REDIS_PORT=", server.Port)}
	one := setStage(t, broken.at(brokenPath), redis...)
	other := &stage{gateway: run(t, exampleConfig, one.environ(redis...)...), client: one.client, stubs: one.stubs}
	token := tokenOf(t, "technician")
	for range 5 {
		one.ask(t, "GET", brokenPath, token).want(t, 500)
	}
	begun := time.Now()
	eventually(t, "the other knows", func() bool {
		time.Sleep(2 * time.Millisecond)
		return other.services(other.client).CircuitBreakers["crm"].State == "OPEN"
	})
	if took := time.Since(begun); took > time.Second {
		t.Errorf("the other knows after %v", took)
	}
	for _, s := range []*stage{one, other} {
		// The other one takes a part by chance off what it was told, so that not all come at once.
		unavailable(t, s.ask(t, "GET", "/api/v1/customers", token), 24, 37)
		if c := circuitOf(t, s, "crm", 503, "degraded"); c.State != "OPEN" {
			t.Errorf("%+v", c)
		}
	}
	if n := one.stubs["crm"].requests.Load(); n != 5 {
		t.Errorf("the service was asked %d times", n)
	}
}
