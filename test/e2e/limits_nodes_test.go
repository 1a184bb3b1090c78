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
	// clockSlack is by how much shorter a window is looked at: the store counts by the time of day,
	// which a machine sets by some milliseconds now and then, and the test by a clock that it doesn't.
	clockSlack = 5 * time.Millisecond
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
  redis: {host: 127.0.0.1, port: "${REDIS_PORT}", timeout: 250ms} # so that a busy machine is no loss
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

func startNodes(t *testing.T, n int, config string) *nodes {
	t.Helper()
	s := &nodes{t: t, server: redistest.Start(t), config: write(t, "yett.yaml", config), client: newClient(t)}
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
func (s *nodes) offer(load *callers, path string, parts []float64, rate float64) {
	for i, part := range parts {
		if part > 0 {
			load.call(i, s.gateways[i], path, max(1, int(part*12)), part*rate, nil)
		}
	}
}

// during offers requests for a while, and returns those that passed.
func (s *nodes) during(path string, parts []float64, windows float64) []shot {
	s.t.Helper()
	load := startCallers(s.t)
	s.offer(load, path, parts, nodesRate)
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
	s := startNodes(t, 4, nodesConfig)
	for name, parts := range map[string][]float64{"even": even, "skewed": skewed} {
		for _, path := range []string{"/exact", "/leased"} {
			t.Run(path[1:]+" "+name, func(t *testing.T) {
				s := &nodes{t: t, gateways: s.gateways}
				const windows = 3
				some := s.during(path, parts, windows+0.2)
				if n := most(some, nodesWindow-clockSlack); n > nodesLimit {
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
		some := s.during("/fixed", even, 2.2)
		certain, maybe := within(some, 2)
		if certain > 2*nodesLimit || maybe < 2*nodesLimit || most(some, nodesWindow) > 2*nodesLimit {
			t.Errorf("%d to %d passed in 2 windows, want %d", certain, maybe, 2*nodesLimit)
		}
	})
	t.Run("token bucket", func(t *testing.T) {
		s := &nodes{t: t, gateways: s.gateways}
		some := s.during("/bucket", skewed, 2.2)
		certain, maybe := within(some, 2)
		if most := 2*nodesLimit + 20; certain > most || maybe < most*99/100 {
			t.Errorf("%d to %d passed in 2 windows, want %d", certain, maybe, most)
		}
	})
}

// Nodes that come and go make no difference, whether they say so or not, and nobody gets
// anything but an answer from those that stay.
func TestLimitsWhileNodesComeAndGo(t *testing.T) {
	s := startNodes(t, 4, nodesConfig)
	load, leaving := startCallers(t), new(atomic.Bool)
	for _, path := range []string{"/exact", "/leased"} {
		for i, g := range s.gateways {
			of := leaving
			if i < 2 {
				of = nil
			}
			load.call(i, g, path, 2, nodesRate/4, of)
		}
	}
	time.Sleep(nodesWindow)
	g := s.join()
	for _, path := range []string{"/exact", "/leased"} {
		load.call(4, g, path, 2, nodesRate/4, nil)
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
		if n := most(some, nodesWindow-clockSlack); n > nodesLimit {
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

// Without the store each of four nodes has a quarter. What they have let pass is counted when the store is back.
func TestLimitsOfFourNodesAlone(t *testing.T) {
	t.Parallel()
	s := startNodes(t, 4, nodesConfig)
	load := startCallers(t)
	s.offer(load, "/exact", even, nodesRate/4)
	s.offer(load, "/leased", even, nodesRate/4)
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
		if overlap > nodesLimit*7/4 {
			t.Errorf("%s: over the return, %d passed in a window", path, overlap)
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

// A node that is started while the store is lost knows of nobody, and lets all of the limit
// pass; others keep to their share. When the store is back they count together.
func TestLimitsOfNodeStartedAlone(t *testing.T) {
	t.Parallel()
	s := startNodes(t, 2, nodesConfig)
	s.server.Kill()
	old := s.gateways[1]
	old.signal(syscall.SIGKILL)
	old.exit()
	s.gateways = s.gateways[:1]
	s.join()
	load := startCallers(t)
	half := []float64{0.5, 0.5}
	s.offer(load, "/exact", half, 4*nodesLimit)
	time.Sleep(3 * nodesWindow / 2)
	alone := load.since(time.Time{})
	for node, share := range []int{nodesLimit / 2, nodesLimit} {
		of := which(alone, func(a *shot) bool { return a.node == node })
		if n := most(of, nodesWindow); n > share || n < share*9/10 {
			t.Errorf("node %d let %d pass in a window, want %d", node, n, share)
		}
	}
	s.server.Start()
	s.waitAll()
	back := time.Now()
	time.Sleep(5 * nodesWindow / 2)
	load.end()
	if n := most(load.since(back), nodesWindow); n > nodesLimit || n < nodesLimit*9/10 {
		t.Errorf("afterwards, %d passed in a window", n)
	}
	s.judgeAnswers(load.since(time.Time{}), time.Since(back).Seconds())
}

// What yett limits reset says counts on all nodes within a second, whatever they hold.
func TestLimitsAreResetOnAllNodes(t *testing.T) {
	t.Parallel()
	s := startNodes(t, 4, strings.ReplaceAll(nodesConfig, "window: 1s", "window: 1h"))
	load := startCallers(t)
	s.offer(load, "/exact", even, 4*nodesLimit)
	s.offer(load, "/leased", even, 4*nodesLimit)
	// all tells whether every node has given that answer on both routes since a time.
	all := func(from time.Time, status int) func() bool {
		return func() bool {
			time.Sleep(5 * time.Millisecond)
			seen := make(map[string]bool)
			for _, a := range which(load.since(from), func(a *shot) bool { return a.status == status }) {
				seen[fmt.Sprint(a.node, a.path)] = true
			}
			return len(seen) == 8
		}
	}
	eventually(t, "all refuse", all(time.Now(), http.StatusTooManyRequests))
	time.Sleep(nodesWindow / 4)
	refusing := time.Now()
	time.Sleep(nodesWindow / 4)
	if n := len(which(load.since(refusing), passed)); n > 0 {
		t.Errorf("%d passed a limit that is used up", n)
	}
	code, stdout, stderr := yett(t, s.env, "limits", "reset", "ip:127.0.0.1", "-c", s.config)
	begun := time.Now()
	if code != 0 || !strings.HasPrefix(stdout, "forgot ip:127.0.0.1 ") {
		t.Fatalf("exit code %d, %q, %q", code, stdout, stderr)
	}
	eventually(t, "all let pass again", all(refusing, http.StatusOK))
	took := time.Since(begun)
	if t.Logf("all let pass again after %v", took); took > time.Second {
		t.Errorf("it took %v", took)
	}
	time.Sleep(nodesWindow / 2)
	load.end()
	for _, path := range []string{"/exact", "/leased"} {
		if n := len(which(load.since(refusing), func(a *shot) bool { return a.path == path && passed(a) })); n > nodesLimit {
			t.Errorf("%d passed %s after it", n, path)
		}
	}
}
