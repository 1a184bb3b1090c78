//go:build linux

package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"yett/internal/store/redis/redistest"
)

const (
	// nodesLimit is what passes in each nodesWindow, by the limits that nodesConfig has.
	nodesLimit  = 200
	nodesWindow = time.Second
	// nodesRate is how many requests a second come to all nodes together: ten times as many.
	nodesRate = 10 * nodesLimit
)

const nodesConfig = quietConfig + `
  - {name: detailed, path: /health/detailed, auth: none, endpoint: health_detailed}
  - {name: exact, path: /exact, auth: none, service: app, policies: {ratelimit: {limits: [exact]}}}
  - {name: leased, path: /leased, auth: none, service: app, policies: {ratelimit: {limits: [leased]}}}
  - {name: fixed, path: /fixed, auth: none, service: app, policies: {ratelimit: {limits: [fixed]}}}
  - {name: bucket, path: /bucket, auth: none, service: app, policies: {ratelimit: {limits: [bucket]}}}
limits:
  exact: {limit: 200, window: 1s, by: ip}
  leased: {limit: 200, window: 1s, by: ip, precision: leased}
  fixed: {limit: 200, window: 1s, by: ip, algorithm: fixed_window}
  bucket: {limit: 200, window: 1s, by: ip, algorithm: token_bucket, burst: 20}
store:
  required: ${REQUIRED:-true}
  redis: {host: 127.0.0.1, port: "${REDIS_PORT}"}
`

// nodes are gateways that share a store.
type nodes struct {
	t        *testing.T
	server   *redistest.Server
	config   string
	env      []string
	gateways []*gateway
	client   *http.Client
}

func startNodes(t *testing.T, n int) *nodes {
	t.Helper()
	s := &nodes{t: t, server: redistest.Start(t), config: write(t, "yett.yaml", nodesConfig), client: newClient(t)}
	s.env = []string{"APP=" + startApp(t).URL, fmt.Sprint("REDIS_PORT=", s.server.Port)}
	for range n {
		s.join()
	}
	s.waitAll()
	return s
}

func (s *nodes) join() *gateway {
	s.t.Helper()
	g := run(s.t, s.config, append(s.env, "REQUIRED=false")...)
	s.gateways = append(s.gateways, g)
	return g
}

// waitAll waits until all nodes know of all.
func (s *nodes) waitAll() {
	s.t.Helper()
	waitNodes(s.client, s.gateways, int64(len(s.gateways)))
}

// even and skewed are which part of all requests the nodes get.
var (
	even   = []float64{0.25, 0.25, 0.25, 0.25}
	skewed = []float64{0.85, 0.1, 0.05, 0}
)

// offer lets callers ask for a path.
func (s *nodes) offer(load *callers, path string, parts []float64) {
	for i, part := range parts {
		if part > 0 {
			load.call(i, s.gateways[i], path, max(1, int(part*12)), part*nodesRate, nil)
		}
	}
}

// during offers requests for a while, and returns those that passed.
func (s *nodes) during(path string, parts []float64, windows float64) []shot {
	s.t.Helper()
	load := startCallers(s.t)
	s.offer(load, path, parts)
	time.Sleep(time.Duration(windows * float64(nodesWindow)))
	load.end()
	return s.judgeAnswers(load.since(time.Time{}), windows)
}

// judgeAnswers wants all answers to be 200 or 429, and returns those that passed.
func (s *nodes) judgeAnswers(all []shot, windows float64) []shot {
	s.t.Helper()
	for i := range all {
		if a := &all[i]; a.err != nil || (a.status != 200 && a.status != 429) {
			s.t.Errorf("node %d answers %d after %v (%v)", a.node, a.status, a.took(), a.err)
		}
	}
	some := which(all, passed)
	s.t.Logf("%.1f times the limit offered, %d passed in %.1f windows, at most %d for certain in one; p50 %v, p99 %v",
		float64(len(all))/windows/nodesLimit, len(some), windows, most(all, nodesWindow), percentile(all, 0.5), percentile(all, 0.99))
	return some
}

// within counts those that passed within some windows from the first one on: for certain, and
// at most.
func within(some []shot, windows int) (certain, maybe int) {
	if len(some) == 0 {
		return 0, 0
	}
	first := some[0]
	for i := range some {
		if some[i].got.Before(first.got) {
			first.got = some[i].got
		}
	}
	span := time.Duration(windows) * nodesWindow
	for i := range some {
		if some[i].got.Before(first.sent.Add(span)) {
			certain++
		}
		if some[i].sent.Before(first.got.Add(span)) {
			maybe++
		}
	}
	return certain, maybe
}

// Four nodes that are offered ten times the limit let exactly the limit pass, but for what
// nodes that lease have taken and not used.
func TestLimitsOfFourNodes(t *testing.T) {
	s := startNodes(t, 4)
	for name, parts := range map[string][]float64{"even": even, "skewed": skewed} {
		for _, path := range []string{"/exact", "/leased"} {
			t.Run(path[1:]+" "+name, func(t *testing.T) {
				s := &nodes{t: t, gateways: s.gateways}
				const windows = 4
				some := s.during(path, parts, windows+0.2)
				if n := most(some, nodesWindow); n > nodesLimit {
					t.Errorf("%d passed within a window", n)
				}
				certain, maybe := within(some, windows)
				least := windows * nodesLimit
				if path == "/leased" {
					least = least * 95 / 100
				}
				if certain > windows*nodesLimit || maybe < least {
					t.Errorf("%d to %d passed in %d windows, want %d to %d", certain, maybe, windows, least, windows*nodesLimit)
				}
				t.Logf("%d to %d of %d passed in %d windows", certain, maybe, windows*nodesLimit, windows)
				time.Sleep(nodesWindow)
			})
		}
	}
	t.Run("fixed window", func(t *testing.T) {
		s := &nodes{t: t, gateways: s.gateways}
		some := s.during("/fixed", even, 3.2)
		certain, maybe := within(some, 3)
		if certain > 3*nodesLimit || maybe < 3*nodesLimit || most(some, nodesWindow) > 2*nodesLimit {
			t.Errorf("%d to %d passed in 3 windows, want %d", certain, maybe, 3*nodesLimit)
		}
	})
	t.Run("token bucket", func(t *testing.T) {
		s := &nodes{t: t, gateways: s.gateways}
		some := s.during("/bucket", skewed, 3.2)
		certain, maybe := within(some, 3)
		if most := 3*nodesLimit + 20; certain > most || maybe < most*99/100 {
			t.Errorf("%d to %d passed in 3 windows, want %d", certain, maybe, most)
		}
	})
}

// Nodes that come and go make no difference, whether they say so or not, and nobody gets
// anything but an answer from those that stay.
func TestLimitsWhileNodesComeAndGo(t *testing.T) {
	s := startNodes(t, 4)
	load, leaving := startCallers(t), new(atomic.Bool)
	for _, path := range []string{"/exact", "/leased"} {
		for i, g := range s.gateways {
			of := leaving
			if i < 2 {
				of = nil
			}
			load.call(i, g, path, 2, nodesRate/8, of)
		}
	}
	time.Sleep(nodesWindow)
	g := s.join()
	for _, path := range []string{"/exact", "/leased"} {
		load.call(4, g, path, 2, nodesRate/8, nil)
	}
	time.Sleep(nodesWindow)
	leaving.Store(true)
	s.gateways[2].signal(sigterm)
	time.Sleep(nodesWindow / 2)
	s.gateways[3].signal(syscall.SIGKILL)
	s.gateways = append(s.gateways[:2], g)
	s.waitAll()
	time.Sleep(nodesWindow)
	load.end()
	all := load.since(time.Time{})
	for _, path := range []string{"/exact", "/leased"} {
		of := which(all, func(a *shot) bool { return a.path == path })
		windows := of[len(of)-1].got.Sub(of[0].sent).Seconds() / nodesWindow.Seconds()
		some := s.judgeAnswers(of, windows)
		if n := most(some, nodesWindow); n > nodesLimit {
			t.Errorf("%d passed %s within a window", n, path)
		}
		whole := int(windows)
		certain, maybe := within(some, whole)
		least := whole * nodesLimit * 98 / 100 // those that went took answers with them
		if path == "/leased" {
			least = whole * nodesLimit * 93 / 100 // and what they had leased
		}
		if certain > whole*nodesLimit || maybe < least {
			t.Errorf("%d to %d passed %s in %d windows, want %d to %d", certain, maybe, path, whole, least, whole*nodesLimit)
		}
	}
}

// Without the store each of four nodes has a quarter. One that was started again meanwhile knows
// of nobody, and has all. What they have let pass is counted when the store is back.
func TestLimitsOfFourNodesAlone(t *testing.T) {
	s := startNodes(t, 4)
	load := startCallers(t)
	s.offer(load, "/exact", even)
	s.offer(load, "/leased", even)
	time.Sleep(nodesWindow)
	s.server.Kill()
	for _, g := range s.gateways {
		g.waitLimits(s.client, "alone", func(h limitsHealth) bool { return h.State == "alone" })
	}
	lost := time.Now()
	time.Sleep(5 * time.Second / 2)
	found := time.Now()
	s.server.Start()
	for _, g := range s.gateways {
		g.waitLimits(s.client, "found", func(h limitsHealth) bool { return h.State == "shared" })
	}
	back := time.Now()
	time.Sleep(5 * nodesWindow / 2)
	load.end()
	all := load.since(time.Time{})
	for _, path := range []string{"/exact", "/leased"} {
		of := which(all, func(a *shot) bool { return a.path == path })
		alone, after := between(of, lost, found), between(of, back, time.Now())
		overlap := most(between(of, found.Add(-nodesWindow), back.Add(nodesWindow)), nodesWindow)
		t.Logf("%s: alone at most %d in a window, afterwards %d, over the return %d, back after %v", path, most(alone, nodesWindow), most(after, nodesWindow), overlap, back.Sub(found))
		if n := most(alone, nodesWindow); n > nodesLimit || n < nodesLimit*9/10 {
			t.Errorf("%s: alone, %d passed in a window", path, n)
		}
		if n := most(after, nodesWindow); n > nodesLimit || n < nodesLimit*9/10 {
			t.Errorf("%s: afterwards, %d passed in a window", path, n)
		}
		for node := range s.gateways {
			if n := most(which(alone, func(a *shot) bool { return a.node == node }), nodesWindow); n > nodesLimit/4 {
				t.Errorf("%s: alone, node %d let %d pass in a window", path, node, n)
			}
		}
	}
}

// A node that is started while the store is lost knows of nobody, and has all of the limit.
func TestLimitsOfNodeStartedAlone(t *testing.T) {
	s := startNodes(t, 2)
	s.server.Kill()
	old := s.gateways[1]
	old.signal(syscall.SIGKILL)
	old.exit()
	g := s.join()
	if h := g.limits(s.client); h.State != "alone" || h.Nodes != 1 {
		t.Errorf("%+v", h)
	}
	s.gateways = []*gateway{s.gateways[0], g}
	for _, g := range s.gateways {
		g.waitLimits(s.client, "alone", func(h limitsHealth) bool { return h.State == "alone" || strings.Contains(g.url, "x") })
	}
}

// What yett limits reset says counts on all nodes within a second, whatever they hold.
func TestLimitsAreResetOnAllNodes(t *testing.T) {
	s := startNodes(t, 4)
	config := write(t, "yett.yaml", strings.ReplaceAll(nodesConfig, "window: 1s", "window: 1h"))
	var gateways []*gateway
	for range 4 {
		gateways = append(gateways, run(t, config, append(s.env, "REQUIRED=true")...))
	}
	load := startCallers(t)
	for i, g := range gateways {
		load.call(i, g, "/exact", 1, 200, nil)
		load.call(i, g, "/leased", 1, 200, nil)
	}
	refused := func(from time.Time, status int) func() bool {
		return func() bool {
			time.Sleep(10 * time.Millisecond)
			seen := make(map[string]bool)
			for _, a := range which(load.since(from), func(a *shot) bool { return a.status == status }) {
				seen[fmt.Sprint(a.node, a.path)] = true
			}
			return len(seen) == 8
		}
	}
	eventually(t, "all refuse", refused(time.Now(), 429))
	time.Sleep(nodesWindow / 4)
	begun := time.Now()
	code, stdout, stderr := yett(t, s.env, "limits", "reset", "ip:127.0.0.1", "-c", config)
	if code != 0 {
		t.Fatalf("exit code %d, %q, %q", code, stdout, stderr)
	}
	eventually(t, "all let pass again", refused(begun, 200))
	took := time.Since(begun)
	if t.Logf("after %v all let pass again: %s", took, stdout); took > time.Second {
		t.Errorf("it took %v", took)
	}
	load.end()
	if n := most(which(load.since(begun), func(a *shot) bool { return a.path == "/exact" }), time.Hour); n > nodesLimit {
		t.Errorf("%d passed after it", n)
	}
}
