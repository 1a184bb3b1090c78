//go:build linux

package soak

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	_ "yett/internal/cli" // so that go test knows on what the result depends, and does not show an old one
	"yett/internal/control"
)

// patience is how long anything that has to happen may take.
const patience = 30 * time.Second

// binary is the program under test. TestMain builds it.
var binary string

// full tells that the numbers are to be those that are promised, not those for a quick look.
var full = os.Getenv("YETT_SOAK") != ""

// times is how often something is done.
func times(few, many int) int {
	if full {
		return many
	}
	return few
}

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "yett-soak-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "yett")
	// Like `make build`, so that nothing is compiled anew, and the tests see what is released.
	build := exec.Command("go", "build", "-pgo=off", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", binary, "yett/cmd/yett")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "building yett:", err)
		return 1
	}
	if !full { // they mostly wait
		flag.Parse()
		if err := flag.Set("test.parallel", "5"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return m.Run()
}

// The two configurations that take turns. They differ in routes, services, limits and a
// listener's timeouts; the routes that are used are in both.
const (
	common = `
name: a
shutdown: {grace: 20s, tunnels: 1s}
reload: {watch: "off"}
log: {access: {output: "off"}}
routes:
  - {name: detailed, path: /health/detailed, auth: none, endpoint: health_detailed}
  - {name: ready, path: /health/ready, auth: none, endpoint: ready}
  - {name: app, path: /**, auth: none, service: app}
  - {name: limited, path: /limited, auth: none, service: app, policies: {ratelimit: {limits: [hundred]}}}
`
	even = common + `
  - {name: version, path: /version, auth: none, policies: {respond: {text: even}}}
listeners:
  - {address: "127.0.0.1:${PORT}", protocols: [http1, h2c]}
services:
  app: {targets: ["${APP}"]}
limits:
  hundred: {limit: 100, window: 60s, by: ip}
`
	odd = common + `
  - {name: version, path: /version, auth: none, policies: {respond: {text: odd}}}
  - {name: more, path: /more/**, auth: none, service: more, policies: {ratelimit: {limits: [many]}}}
listeners:
  - {address: "127.0.0.1:${PORT}", protocols: [http1, h2c], timeouts: {idle: 50s}}
services:
  app: {targets: ["${APP}"]}
  more: {targets: ["${APP}"]}
limits:
  hundred: {limit: 100, window: 60s, by: ip}
  many: {limit: 1000, window: 10s, by: ip}
`
)

// gateway is a running yett, of one process or many, in a directory of its own.
type gateway struct {
	t       *testing.T
	root    string // the state directory of all
	dir     string // that of this one
	file    string
	program string // a copy of the program, which tests replace
	url     string
	env     []string
	service *service
}

// newGateway starts nothing. A quick look is at several at once, which mostly wait.
func newGateway(t *testing.T) *gateway {
	t.Helper()
	if !full {
		t.Parallel()
	}
	root, err := os.MkdirTemp("", "y")
	if err != nil {
		t.Fatal(err)
	}
	g := &gateway{t: t, root: root, dir: filepath.Join(root, "a"), file: filepath.Join(root, "yett.yaml"), program: filepath.Join(root, "yett"), service: startService(t)}
	g.install(binary)
	port := freePort(t)
	g.url = "http://127.0.0.1:" + port
	g.env = []string{"YETT_STATE=" + root, "APP=" + g.service.URL, "PORT=" + port, "PATH=" + os.Getenv("PATH"), "HOME=" + root}
	g.write(even)
	t.Cleanup(func() {
		if t.Failed() {
			g.logs()
		}
		g.killAll()
		_ = os.Chmod(root, 0o700)
		_ = os.RemoveAll(root)
	})
	return g
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// logs shows what the processes have written.
func (g *gateway) logs() {
	files, _ := filepath.Glob(filepath.Join(g.dir, "logs", "*.log"))
	for _, f := range append(files, filepath.Join(g.root, "run.log")) {
		text, err := os.ReadFile(f)
		if err == nil {
			g.t.Logf("%s:\n%s", f, text[max(0, len(text)-4000):])
		}
	}
}

func (g *gateway) write(config string) {
	g.t.Helper()
	// Whole or not at all: nobody may read half of it.
	err := os.WriteFile(g.file+"~", []byte(config), 0o600)
	if err == nil {
		err = os.Rename(g.file+"~", g.file)
	}
	if err != nil {
		g.t.Fatal(err)
	}
}

// install puts another program in the place of this gateway's.
func (g *gateway) install(from string) {
	g.t.Helper()
	// A link: what was just written can't be run while another test starts something.
	next := g.program + ".next"
	err := os.Link(from, next)
	if err == nil {
		err = os.Rename(next, g.program)
	}
	if err != nil {
		g.t.Fatal(err)
	}
}

func (g *gateway) installText(text []byte, mode os.FileMode) {
	g.t.Helper()
	next := g.program + ".next"
	err := os.WriteFile(next, text, 0o600)
	if err == nil {
		err = os.Chmod(next, mode)
	}
	if err == nil {
		err = os.Rename(next, g.program)
	}
	if err != nil {
		g.t.Fatal(err)
	}
}

// result is what a verb has done.
type result struct {
	code        int
	out, stderr string
	took        time.Duration
}

func (r result) String() string {
	return fmt.Sprintf("exit code %d after %v\n%s%s", r.code, r.took, r.out, r.stderr)
}

// do runs a verb, as somebody would who has the untouched program.
func (g *gateway) do(args ...string) result {
	g.t.Helper()
	return g.doWith(binary, args...)
}

func (g *gateway) doWith(program string, args ...string) (r result) {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = g.env
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	begun := time.Now()
	err := cmd.Run()
	r = result{out: out.String(), stderr: stderr.String(), took: time.Since(begun)}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		r.code = exit.ExitCode()
	} else if err != nil {
		g.t.Errorf("yett %s: %v", strings.Join(args, " "), err)
		r.code = -1
	}
	return r
}

// must runs a verb that has to succeed.
func (g *gateway) must(args ...string) result {
	g.t.Helper()
	r := g.do(args...)
	if r.code != 0 {
		g.t.Fatalf("yett %s: %s", strings.Join(args, " "), r)
	}
	return r
}

// start starts a cluster.
func (g *gateway) start(workers int) *gateway {
	g.t.Helper()
	r := g.doWith(g.program, "start", "-c", g.file, "-i", strconv.Itoa(workers))
	if r.code != 0 {
		g.t.Fatalf("yett start: %s", r)
	}
	return g
}

// run starts a gateway of one process, and returns its number.
func (g *gateway) run(args ...string) *exec.Cmd {
	g.t.Helper()
	out, err := os.OpenFile(filepath.Join(g.root, "run.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		g.t.Fatal(err)
	}
	defer out.Close()
	cmd := exec.Command(g.program, append([]string{"run", "-c", g.file}, args...)...)
	cmd.Env, cmd.Stdout, cmd.Stderr = g.env, out, out
	if err := cmd.Start(); err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	g.eventually("it serves", func() bool { st, err := g.status(); return err == nil && st.State == control.Ready })
	return cmd
}

func (g *gateway) status() (control.Status, error) {
	r := g.do("status", "--json", "a")
	var all []control.Status
	if err := json.Unmarshal([]byte(r.out), &all); err != nil || len(all) != 1 {
		return control.Status{}, fmt.Errorf("%v: %s", err, r)
	}
	return all[0], nil
}

func (g *gateway) mustStatus() control.Status {
	g.t.Helper()
	st, err := g.status()
	if err != nil {
		g.t.Fatal(err)
	}
	return st
}

// workers are the numbers of the workers that are ready.
func (g *gateway) workers() (pids []int) {
	g.t.Helper()
	for _, w := range g.mustStatus().Workers {
		if w.State == control.Ready {
			pids = append(pids, w.PID)
		}
	}
	return pids
}

// storePID is the number of the process that keeps what workers share.
func (g *gateway) storePID() int {
	for pid, words := range g.processes() {
		if slices.Contains(words, "store-server") {
			return pid
		}
	}
	g.t.Fatal("there is no process of the store")
	return 0
}

// processes are all of this gateway, by what the kernel says of their environment.
func (g *gateway) processes() map[int][]string {
	found := make(map[int][]string)
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, d := range dirs {
		env, err := os.ReadFile(d + "/environ")
		if err != nil || !slices.Contains(strings.Split(string(env), "\x00"), "YETT_STATE="+g.root) {
			continue
		}
		text, err := os.ReadFile(d + "/cmdline")
		if pid, _ := strconv.Atoi(filepath.Base(d)); err == nil && pid != os.Getpid() {
			found[pid] = strings.Split(strings.TrimRight(string(text), "\x00"), "\x00")
		}
	}
	return found
}

func (g *gateway) killAll() {
	for pid := range g.processes() {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}

func (g *gateway) eventually(what string, is func() bool) time.Duration {
	g.t.Helper()
	begun := time.Now()
	for !is() {
		if time.Since(begun) > patience {
			g.t.Fatalf("not within %v: %s", patience, what)
		}
		time.Sleep(5 * time.Millisecond)
	}
	return time.Since(begun)
}

// get asks over a new connection.
func (g *gateway) get(path string) (status int, body string, err error) {
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	resp, err := c.Get(g.url + path)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text), err
}

func (g *gateway) want(path, body string) {
	g.t.Helper()
	status, got, err := g.get(path)
	if err != nil || status != 200 || got != body {
		g.t.Errorf("%s: status %d, %q, %v; want %q", path, status, got, err, body)
	}
}

// revision is what the configuration is called that a process answers with.
func (g *gateway) revision() string {
	g.t.Helper()
	_, text, err := g.get("/health/detailed")
	var page struct {
		Configuration struct {
			Revision string `json:"revision"`
		} `json:"configuration"`
	}
	if err == nil {
		err = json.Unmarshal([]byte(text), &page)
	}
	if err != nil || page.Configuration.Revision == "" {
		g.t.Fatalf("%v: %s", err, text)
	}
	return page.Configuration.Revision
}

// size is what a process has.
type size struct{ memory, files, threads int }

func (s size) String() string {
	return fmt.Sprintf("%.1f MB, %d files, %d threads", float64(s.memory)/1e6, s.files, s.threads)
}

func sizeOf(t *testing.T, pid int) (s size) {
	t.Helper()
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	s.files = len(files)
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(line, ":")
		number, _ := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(value), " kB"))
		switch key {
		case "VmRSS":
			s.memory = number << 10
		case "Threads":
			s.threads = number
		}
	}
	return s
}
