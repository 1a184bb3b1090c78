package app

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"yett/examples/psa/services/kit"
	"yett/internal/config"
	"yett/internal/revocation"
	"yett/internal/store/local"
	"yett/internal/store/memory"
)

// roleVariable makes this program something else than a test: a store, or a worker that shares it.
const roleVariable = "YETT_TEST_ROLE"

const workersSecret = "a-secret-of-at-least-thirty-two-bytes"

const workersConfig = `
listeners: [{address: "127.0.0.1:0"}]
store: {required: %v, redis: {timeout: "%v"}}
shutdown: {grace: 2s}
log: {access: {output: off}}
services:
  app: {targets: ["${APP}"], retries: {most: 0}, breaker: {consecutive_failures: 5, open_for: 1m}}
  both: {targets: ["${APP}"], retries: {most: 0}, breaker: {consecutive_failures: 5, open_for: 1m, shared: true}}
issuers:
  psa: {issuer: psa-platform, audience: psa-api, keys: [{secret: "${JWT_SECRET}"}]}
limits:
  hundred: {limit: 100, window: 1h, by: ip}
  forty: {limit: 40, window: 1h, by: ip}
  one: {concurrent: 1, by: ip}
routes:
  - {name: health, path: /health/detailed, auth: none, endpoint: health_detailed}
  - {name: limited, path: /limited, auth: none, service: app, policies: {ratelimit: {limits: [hundred]}}}
  - {name: outage, path: /outage, auth: none, service: app, policies: {ratelimit: {limits: [forty]}}}
  - {name: slow, path: /slow, auth: none, service: app, policies: {ratelimit: {limits: [one]}}}
  - {name: own, path: /own, auth: required, service: app, policies: {jwt: {}}}
  - {name: both, path: /both, auth: none, service: both}
  - {name: rest, path: /**, auth: none, service: app}
`

// play does what the role says, until its input ends.
func play(role string) error {
	path := os.Getenv("SOCKET")
	switch role {
	case "store":
		l, err := local.Listen(path)
		if err != nil {
			return err
		}
		m := memory.New(memory.Options{})
		s := local.Serve(l, m, slog.Default())
		fmt.Println("ready")
		_, _ = io.Copy(io.Discard, os.Stdin)
		m.Close()
		return s.Close()
	default:
		a, err := New(workerOptions(path, os.Getenv("APP"), true, patient, os.Stderr))
		if err != nil {
			return err
		}
		if err := a.Start(context.Background()); err != nil {
			return err
		}
		fmt.Println(a.Addr(0))
		_, _ = io.Copy(io.Discard, os.Stdin)
		return a.Stop(context.Background())
	}
}

// patient is a budget that a busy machine keeps.
const patient = time.Second

func workerOptions(socket, app string, required bool, timeout time.Duration, log io.Writer) Options {
	env := config.MapEnv(map[string]string{"APP": app, "JWT_SECRET": workersSecret})
	return Options{File: "yett.yaml", Source: fmt.Appendf(nil, workersConfig, required, timeout), Env: env, Store: socket, Stdout: io.Discard, Stderr: log}
}

// actor is a process that plays a role.
type actor struct {
	cmd  *exec.Cmd
	said string // its first line
}

func act(t *testing.T, role, socket, app string) *actor {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleVariable+"="+role, "SOCKET="+socket, "APP="+app)
	// It ends with its input, and so with this process.
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	a := &actor{cmd: cmd}
	t.Cleanup(func() { _ = in.Close(); a.kill() })
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		t.Fatalf("%s says nothing", role)
	}
	a.said = lines.Text()
	return a
}

func (a *actor) kill() { _ = a.cmd.Process.Kill(); _ = a.cmd.Wait() }

// workers are two gateways that share a store, whose service fails when told so.
type workers struct {
	t      *testing.T
	store  *actor
	socket string
	urls   []string
	apps   []*App // in this process
	client *http.Client
	fails  atomic.Bool
	inside chan chan struct{} // what runs under /slow, until it is closed
	calls  atomic.Int64
	server *httptest.Server
}

func newWorkers(t *testing.T) *workers {
	t.Helper()
	dir, err := os.MkdirTemp("", "y")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	w := &workers{t: t, socket: filepath.Join(dir, "store.sock"), inside: make(chan chan struct{})}
	w.server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.calls.Add(1)
		if r.URL.Path == "/slow" {
			end := make(chan struct{})
			w.inside <- end
			<-end
		}
		if w.fails.Load() {
			rw.WriteHeader(500)
		}
	}))
	t.Cleanup(w.server.Close)
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	t.Cleanup(transport.CloseIdleConnections)
	w.client = &http.Client{Transport: transport, Timeout: 10 * time.Second}
	w.store = act(t, "store", w.socket, "")
	return w
}

// here starts two in this process, apart starts them as processes of their own.
func (w *workers) here(timeout time.Duration) *workers {
	w.t.Helper()
	for range 2 {
		a, err := New(workerOptions(w.socket, w.server.URL, true, timeout, io.Discard))
		if err != nil {
			w.t.Fatal(err)
		}
		start(w.t, a)
		w.apps, w.urls = append(w.apps, a), append(w.urls, "http://"+a.Addr(0).String())
	}
	return w
}

func (w *workers) apart() *workers {
	w.t.Helper()
	for range 2 {
		w.urls = append(w.urls, "http://"+act(w.t, "worker", w.socket, w.server.URL).said)
	}
	return w
}

// ask asks a worker, and returns the status and how long that took.
func (w *workers) ask(worker int, path, token string) (status int, took time.Duration) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), "GET", w.urls[worker]+path, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	begun := time.Now()
	resp, err := w.client.Do(req)
	if err != nil {
		w.t.Error(err)
		return 0, 0
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	return resp.StatusCode, time.Since(begun)
}

// until waits until a worker answers with a status.
func (w *workers) until(worker int, path, token string, want int) {
	w.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		got, _ := w.ask(worker, path, token)
		if got == want {
			return
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("worker %d still answers %d", worker, got)
		}
	}
}

// hammer asks both from 64 goroutines, and returns how many passed, how many were refused, and
// the longest that one took.
func (w *workers) hammer(path string, each int) (passed, refused int64, longest time.Duration) {
	w.t.Helper()
	var ok, limited, most atomic.Int64
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			for range each {
				status, took := w.ask(i%2, path, "")
				switch status {
				case 200:
					ok.Add(1)
				case 429:
					limited.Add(1)
				default:
					w.t.Errorf("%s is answered by %d", path, status)
				}
				for old := most.Load(); int64(took) > old && !most.CompareAndSwap(old, int64(took)); old = most.Load() {
				}
			}
		})
	}
	wg.Wait()
	return ok.Load(), limited.Load(), time.Duration(most.Load())
}

// Two workers are one node: their limits together, their breakers, and what is revoked.
func TestWorkersAreOneNode(t *testing.T) {
	for name, started := range map[string]func(*workers) *workers{"in one process": func(w *workers) *workers { return w.here(patient) }, "as processes": (*workers).apart} {
		t.Run(name, func(t *testing.T) {
			w := started(newWorkers(t))
			if passed, refused, _ := w.hammer("/limited", 10); passed != 100 || refused != 540 {
				t.Errorf("%d passed, %d were refused", passed, refused)
			}
			w.runsOne()
			w.revokes()
			w.breaks()
		})
	}
}

// runsOne wants that of a limit of one that runs the other worker knows.
func (w *workers) runsOne() {
	w.t.Helper()
	for worker := range 2 {
		var running sync.WaitGroup
		running.Go(func() { w.ask(worker, "/slow", "") })
		end := <-w.inside
		for other := range 2 {
			if status, _ := w.ask(other, "/slow", ""); status != 429 {
				w.t.Errorf("one runs on worker %d, and another on worker %d is answered by %d", worker, other, status)
			}
		}
		close(end)
		running.Wait()
	}
}

// revokes wants that a token which one refuses is refused by the other.
func (w *workers) revokes() {
	w.t.Helper()
	tokens, err := kit.NewTokens(workersSecret, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	token, err := tokens.Sign(kit.Identity{UserID: "42", Role: "technician"}, time.Hour)
	if err != nil {
		w.t.Fatal(err)
	}
	for worker := range 2 {
		if status, _ := w.ask(worker, "/own", token); status != 200 {
			w.t.Fatalf("a good token is answered by %d", status)
		}
	}
	s, err := local.Open(w.t.Context(), local.Options{Path: w.socket})
	if err != nil {
		w.t.Fatal(err)
	}
	defer s.Close()
	e := revocation.Entry{Kind: revocation.BySubject, ID: "42", Before: time.Now().Add(time.Second), Expires: time.Now().Add(time.Hour)}
	if err := revocation.Write(w.t.Context(), s, e); err != nil {
		w.t.Fatal(err)
	}
	for worker := range 2 {
		w.until(worker, "/own", token, 401)
	}
}

// breaks wants that a breaker which opens in one is open in the other.
func (w *workers) breaks() {
	w.t.Helper()
	w.fails.Store(true)
	for range 5 {
		w.ask(0, "/", "")
	}
	w.until(0, "/", "", 503)
	w.until(1, "/", "", 503)
	before := w.calls.Load()
	w.ask(1, "/", "")
	if w.calls.Load() != before {
		w.t.Error("a service is called whose breaker is open")
	}
}

// The store is killed under load: no request fails or waits longer than its budget, each worker
// goes on with its share, and all is as before when there is a store again.
func TestWorkersGoOnWithoutTheirStore(t *testing.T) {
	w := newWorkers(t).here(25 * time.Millisecond)
	for deadline := time.Now().Add(10 * time.Second); w.apps[0].Limits().Meter.Nodes != 2 || w.apps[1].Limits().Meter.Nodes != 2; time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the workers don't know each other")
		}
	}
	if name := w.apps[0].Store().Name; name != "memory (shared)" {
		t.Errorf("the store is called %s", name)
	}
	killed := time.AfterFunc(50*time.Millisecond, func() { _ = w.store.cmd.Process.Kill() })
	passed, refused, longest := w.hammer("/outage", 40)
	killed.Stop()
	_ = w.store.cmd.Wait()
	// Before it was killed up to 40 may have passed, of which each worker knows its own.
	if passed < 40 || passed > 60 || passed+refused != 64*40 {
		t.Errorf("%d passed, %d were refused", passed, refused)
	}
	t.Logf("%d passed; the longest took %v", passed, longest)
	if longest > 2*time.Second { // a busy machine; the budget is 25 ms
		t.Errorf("one took %v", longest)
	}
	for _, a := range w.apps {
		waitLost(t, a, true)
	}
	w.store = act(t, "store", w.socket, "")
	for _, a := range w.apps {
		waitLost(t, a, false)
	}
	w.until(0, "/outage", "", 429) // what was spent is known
	w.breaks()
}

// Without its store a worker starts only where that is not required, and says what it misses.
func TestWorkerWantsItsStore(t *testing.T) {
	dir, err := os.MkdirTemp("", "y")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	socket := filepath.Join(dir, "store.sock")
	for _, required := range []bool{true, false} {
		log := new(output)
		a, err := New(workerOptions(socket, "http://127.0.0.1:1", required, patient, log))
		if err != nil {
			t.Fatal(err)
		}
		if required {
			err := a.Start(t.Context())
			if err == nil || !strings.Contains(err.Error(), "the store of this gateway's workers at "+socket+" can't be used: connect: no such file or directory; its supervisor") || strings.Contains(err.Error(), "\n") {
				t.Error(err)
			}
			if err := a.Close(); err != nil {
				t.Error(err)
			}
			continue
		}
		start(t, a)
		if err := a.FlushLog(); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(log.String(), "started without the store") {
			t.Error(log.String())
		}
		act(t, "store", socket, "")
		waitLost(t, a, false)
	}
}
