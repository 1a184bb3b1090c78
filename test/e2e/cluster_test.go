//go:build linux

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// gang is a cluster in the background, as yett start leaves it.
type gang struct {
	t    *testing.T
	dir  string // of the configuration
	root string // of the instances
	port string
	url  string
}

const gangConfig = `name: gang
listeners: [{name: main, address: "127.0.0.1:%s"}]
services:
  app: {targets: ["%s"]}
limits:
  ten: {limit: 10, window: 1h, by: ip}
shutdown: {grace: 5s}
routes:
  - {name: limited, path: /limited, auth: none, service: app, policies: {ratelimit: {limits: [ten]}}}
  - {name: all, path: /**, auth: none, service: app}
  - {name: ready, path: /health/ready, auth: none, endpoint: ready}
`

// startGang starts a cluster in front of a service that takes a moment to answer.
func startGang(t *testing.T, flags ...string) *gang {
	t.Helper()
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		time.Sleep(2 * time.Millisecond) // so that requests are under way
		_, _ = w.Write(body)
	}))
	t.Cleanup(service.Close)
	g := &gang{t: t, dir: t.TempDir(), root: stateDir(t), port: freePort(t)}
	g.url = "http://127.0.0.1:" + g.port
	g.write(fmt.Sprintf(gangConfig, g.port, service.URL))
	t.Cleanup(func() {
		if out, code := g.yett("delete", "gang", "--yes"); code != 0 {
			t.Errorf("delete: %d, %s", code, out)
		}
	})
	if out, code := g.yett(append([]string{"start", "-c", g.dir + "/yett.yaml"}, flags...)...); code != 0 {
		t.Fatalf("start: %d, %s", code, out)
	}
	return g
}

func (g *gang) write(config string) {
	g.t.Helper()
	if err := os.WriteFile(filepath.Join(g.dir, "yett.yaml"), []byte(config), 0o600); err != nil {
		g.t.Fatal(err)
	}
}

// yett runs a verb. What it starts in the background lives on.
func (g *gang) yett(args ...string) (out string, code int) {
	g.t.Helper()
	return g.run(binary, args...)
}

func (g *gang) run(program string, args ...string) (out string, code int) {
	g.t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Env = []string{"YETT_STATE=" + g.root}
	text, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		g.t.Fatal(err)
	}
	return string(text), cmd.ProcessState.ExitCode()
}

func (g *gang) must(args ...string) string {
	g.t.Helper()
	out, code := g.yett(args...)
	if code != 0 {
		g.t.Fatalf("yett %s: %d, %s", strings.Join(args, " "), code, out)
	}
	return out
}

// gangStatus is what yett status --json prints of one.
type gangStatus struct {
	PID        int
	State      string
	Supervised bool
	Remedy     string
	Started    time.Time
	Revision   struct{ ID string }
	Workers    []struct {
		PID             int
		State, Revision string
		Restarts        int
	}
}

func (g *gang) status() (s gangStatus) {
	g.t.Helper()
	out, _ := g.yett("status", "gang", "--json")
	var all []gangStatus
	if err := json.Unmarshal([]byte(out), &all); err != nil || len(all) != 1 {
		g.t.Fatalf("status: %v, %s", err, out)
	}
	return all[0]
}

func (s gangStatus) pids() (all []int) {
	for _, w := range s.Workers {
		if w.State == "ready" {
			all = append(all, w.PID)
		}
	}
	return all
}

// pressure posts all the time, over kept and over new connections. Posts are not repeated by the
// client, so that each failure is seen.
type pressure struct {
	quit          chan struct{}
	all           sync.WaitGroup
	asked, failed atomic.Int64
	mu            sync.Mutex
	why           map[string]int
}

func (g *gang) press(kept, fresh int) *pressure {
	p := &pressure{quit: make(chan struct{}), why: make(map[string]int)}
	for i := range kept + fresh {
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: i >= kept}, Timeout: 10 * time.Second}
		p.all.Go(func() {
			defer client.CloseIdleConnections()
			for {
				select {
				case <-p.quit:
					return
				default:
					p.ask(client, g.url+"/echo")
				}
			}
		})
	}
	return p
}

func (p *pressure) ask(client *http.Client, url string) {
	p.asked.Add(1)
	resp, err := client.Post(url, "text/plain", strings.NewReader("hello"))
	var body []byte
	if err == nil {
		body, err = io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err == nil && (resp.StatusCode != 200 || !bytes.Equal(body, []byte("hello"))) {
			err = fmt.Errorf("status %d, %s", resp.StatusCode, body)
		}
	}
	if err != nil {
		p.failed.Add(1)
		p.mu.Lock()
		p.why[err.Error()]++
		p.mu.Unlock()
	}
}

// stop ends it, and fails the test when more than allowed have failed.
func (p *pressure) stop(t *testing.T, allowed int64) {
	t.Helper()
	close(p.quit)
	p.all.Wait()
	t.Logf("%d requests, %d failed", p.asked.Load(), p.failed.Load())
	if p.failed.Load() > allowed || p.asked.Load() < 100 {
		t.Errorf("%d of %d failed, at most %d may: %v", p.failed.Load(), p.asked.Load(), allowed, p.why)
	}
}

// eventually waits until something is so.
func (g *gang) eventually(what string, is func() bool) time.Duration {
	g.t.Helper()
	since := time.Now()
	for !is() {
		if time.Since(since) > patience {
			g.t.Fatalf("not in time: %s", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
	return time.Since(since)
}

// What an operator does to a cluster drops nothing.
func TestClusterUnderLoad(t *testing.T) {
	g := startGang(t)
	first := g.status()
	if len(first.pids()) != 2 || !first.Supervised {
		t.Fatalf("%+v", first)
	}
	if out, code := g.yett("start", "-c", g.dir+"/yett.yaml"); code != 1 || !strings.Contains(out, fmt.Sprintf("is run by process %d", first.PID)) {
		t.Errorf("started twice: %d, %s", code, out)
	}
	p := g.press(4, 2)
	g.must("restart", "gang")
	g.must("scale", "+1", "gang")
	config, err := os.ReadFile(g.dir + "/yett.yaml")
	if err != nil {
		t.Fatal(err)
	}
	g.write(strings.Replace(string(config), "limit: 10,", "limit: 11,", 1))
	if out := g.must("reload", "gang"); !strings.Contains(out, "10 → 11") {
		t.Error(out)
	}
	changed := g.status()
	for _, w := range changed.Workers {
		if w.Revision == first.Revision.ID || w.Revision != changed.Revision.ID {
			t.Errorf("%+v, before %+v", changed, first)
		}
	}
	g.write(strings.Replace(string(config), "limit: 10,", "limt: 10,", 1))
	if out, code := g.yett("reload", "gang"); code != 1 || !strings.Contains(out, "yett.yaml:6:") {
		t.Errorf("a mistake: %d, %s", code, out)
	}
	g.write(string(config))
	g.must("scale", "2", "gang")
	g.must("upgrade", "gang")
	after := g.status()
	if after.PID != first.PID || len(after.pids()) != 2 {
		t.Errorf("%+v, before %+v", after, first)
	}
	for _, pid := range after.pids() {
		if slices.Contains(first.pids(), pid) {
			t.Errorf("worker %d was never replaced", pid)
		}
	}
	p.stop(t, 0)
	if out := g.must("stop", "gang"); !strings.Contains(out, "all workers have drained") {
		t.Error(out)
	}
}

// Of a worker that is killed only what ran on it fails, and soon another is there.
func TestClusterWorkerKilled(t *testing.T) {
	g := startGang(t)
	const clients = 6
	p := g.press(4, 2)
	for range 3 {
		before := g.status()
		if err := syscall.Kill(before.pids()[0], syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		took := g.eventually("two workers are ready", func() bool {
			now := g.status().pids()
			return len(now) == 2 && !slices.Contains(now, before.pids()[0])
		})
		if took > 2*time.Second {
			t.Errorf("ready again after %v", took)
		}
		t.Logf("ready again after %v", took)
	}
	// What was on its connections, and what waited in them to be accepted.
	p.stop(t, 3*clients)
	if s := g.status(); s.Workers[0].Restarts != 3 {
		t.Errorf("%+v", s)
	}
}

// Nothing fails when the supervisor is killed, nor when the next one takes the workers over.
func TestClusterSupervisorKilled(t *testing.T) {
	g := startGang(t)
	before := g.status()
	p := g.press(4, 2)
	if err := syscall.Kill(before.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	g.eventually("the supervisor is gone", func() bool { return !g.status().Supervised })
	gone := g.status()
	if !slices.Equal(gone.pids(), before.pids()) || !strings.Contains(gone.Remedy, "yett start --name gang") {
		t.Errorf("%+v", gone)
	}
	g.must("start", "-c", g.dir+"/yett.yaml")
	now := g.status()
	if !slices.Equal(now.pids(), before.pids()) || now.PID == before.PID || !now.Supervised {
		t.Errorf("%+v, before %+v", now, before)
	}
	g.must("restart", "gang")
	p.stop(t, 0)
}

// Two workers don't double a limit, and it outlives them and their supervisor.
func TestClusterSharesLimits(t *testing.T) {
	g := startGang(t)
	passed := 0
	ask := func() int {
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		resp, err := client.Get(g.url + "/limited")
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		return resp.StatusCode
	}
	for i := range 30 {
		if i == 6 {
			g.must("restart", "gang")
		}
		if i == 8 {
			if err := syscall.Kill(g.status().PID, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			g.eventually("the supervisor is gone", func() bool { return !g.status().Supervised })
			g.must("start", "-c", g.dir+"/yett.yaml")
		}
		if i == 9 {
			g.must("upgrade", "gang")
		}
		if ask() == 200 {
			passed++
		}
	}
	if passed != 10 {
		t.Errorf("%d passed of a limit of 10", passed)
	}
}

// A start that can't work says why, and leaves nothing behind.
func TestClusterStartFails(t *testing.T) {
	g := &gang{t: t, dir: t.TempDir(), root: stateDir(t), port: freePort(t)}
	file := g.dir + "/yett.yaml"
	g.write("name: gang\nlisteners: [{addres: x}]\n")
	if out, code := g.yett("start", "-c", file); code != 1 || !strings.Contains(out, "yett.yaml:2:14: listeners[0]: unknown key") {
		t.Errorf("a mistake: %d, %s", code, out)
	}
	taken := httptest.NewServer(http.NotFoundHandler())
	defer taken.Close()
	g.write(fmt.Sprintf(gangConfig, taken.URL[strings.LastIndex(taken.URL, ":")+1:], taken.URL))
	if out, code := g.yett("start", "-c", file); code != 1 || !strings.Contains(out, "yett.yaml:2:") || !strings.Contains(out, "is in use by") {
		t.Errorf("an address that is taken: %d, %s", code, out)
	}
	if left, _ := filepath.Glob(g.root + "/gang/*.sock*"); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if out, code := g.yett("status"); code != 1 || !strings.Contains(out, "no gateway runs here") {
		t.Errorf("%d, %s", code, out)
	}
}

// A supervisor in the foreground follows signals, and its exit code says how it ended.
func TestClusterForeground(t *testing.T) {
	g := &gang{t: t, dir: t.TempDir(), root: stateDir(t), port: freePort(t)}
	service := httptest.NewServer(http.NotFoundHandler())
	defer service.Close()
	g.write(fmt.Sprintf(gangConfig, g.port, service.URL))
	p := start(t, nil, "start", "--foreground", "-c", g.dir+"/yett.yaml", "-i", "1")
	for _, entry := range p.cmd.Env {
		if root, ok := strings.CutPrefix(entry, "YETT_STATE="); ok {
			g.root = root
		}
	}
	t.Cleanup(func() { g.yett("delete", "gang", "--yes") }) // workers outlive a supervisor that fails
	p.stderr.wait(t, "worker is ready", func(line string) bool { return strings.Contains(line, "worker is ready") })
	var before gangStatus
	g.eventually("it answers", func() bool { before = g.status(); return before.Supervised })
	p.signal(syscall.SIGUSR2)
	g.eventually("worker and supervisor were replaced", func() bool {
		now := g.status()
		return now.Supervised && now.PID == before.PID && now.Started.After(before.Started) && len(now.pids()) == 1 && now.pids()[0] != before.pids()[0]
	})
	g.write("nonsense: [")
	p.signal(syscall.SIGHUP)
	p.stderr.wait(t, "a refusal", func(line string) bool { return strings.Contains(line, "the configuration was refused") })
	p.signal(syscall.SIGTERM)
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}
