//go:build linux

package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestCheckPrintsAllProblems(t *testing.T) {
	config := write(t, "yett.yaml", `listeners:
  - address: ":99999"
    colour: blue
services:
  app: {targets: ["127.0.0.1:80"]}
routes:
  - name: app
    path: app
    auth: maybe
    service: ap
`)
	code, stdout, stderr := yett(t, nil, "check", "-c", config)
	if code != 1 || stdout != "" {
		t.Errorf("exit code %d, stdout %q", code, stdout)
	}
	reported := strings.Split(stderr, "\n")
	last := len(reported) - 1
	for _, line := range reported[:last] {
		var lineNumber, column int
		rest, found := strings.CutPrefix(line, config)
		if n, err := fmt.Sscanf(rest, ":%d:%d:", &lineNumber, &column); !found || n != 2 || lineNumber == 0 || column == 0 {
			t.Errorf("%q has no place: %v", line, err)
		}
	}
	if want := fmt.Sprintf("%d problems; this configuration would not start", last); last < 2 || reported[last] != want {
		t.Errorf("it ends with %q, want %q", reported[last], want)
	}
	if code, _, again := yett(t, nil, "run", "-c", config); code != 1 || !strings.HasSuffix(again, "nothing was started") {
		t.Errorf("run: exit code %d, %q", code, again)
	}
}

// What can be read and makes no sense is found as one too, each at its place.
func TestProblemsOfMeaningHavePlaces(t *testing.T) {
	config := write(t, "yett.yaml", `listeners:
  - address: ":99999"
services:
  app: {targets: ["127.0.0.1:80"]}
  idle: {targets: ["http://127.0.0.1:80"]}
routes:
  - {name: app, path: /app, auth: none, service: ap}
  - {name: app, path: app, auth: required, service: app}
  - {name: nothing, path: /nothing, auth: none}
`)
	code, _, stderr := yett(t, nil, "check", "-c", config)
	for _, place := range []string{":2:14: ", ":4:", ":5:", ":7:", ":8:", ":9:"} {
		if !strings.Contains(stderr, config+place) {
			t.Errorf("no problem at %s", place)
		}
	}
	if code != 1 {
		t.Errorf("exit code %d", code)
	}
}

func TestBusyPort(t *testing.T) {
	backend := startApp(t)
	config := write(t, "yett.yaml", appConfig)
	first := run(t, config, "APP="+backend.URL)
	_, port, err := net.SplitHostPort(first.addr)
	if err != nil {
		t.Fatal(err)
	}
	code, _, stderr := yett(t, []string{"APP=" + backend.URL, "PORT=" + port}, "run", "-c", config)
	want := fmt.Sprintf("yett: port %s on 127.0.0.1 is in use by yett (pid %d); choose another with PORT=", port, first.cmd.Process.Pid)
	if code != 1 || !strings.HasPrefix(stderr, want) {
		t.Errorf("exit code %d, %q, want %q", code, stderr, want)
	}
}

func TestHealthVerb(t *testing.T) {
	backend := startApp(t)
	config := write(t, "yett.yaml", appConfig)
	g := run(t, config, "APP="+backend.URL, "DELAY=1m")
	_, port, err := net.SplitHostPort(g.addr)
	if err != nil {
		t.Fatal(err)
	}
	env := []string{"APP=" + backend.URL, "PORT=" + port}
	if code, stdout, _ := yett(t, env, "health", "-c", config); code != 0 || !strings.HasPrefix(stdout, "healthy: ") {
		t.Errorf("while it serves: exit code %d, %q", code, stdout)
	}
	g.signal(sigterm)
	g.stderr.wait(t, "draining", func(line string) bool { return strings.Contains(line, `"msg":"draining"`) })
	if code, _, stderr := yett(t, env, "health", "--url", g.url+"/health/ready"); code != 1 || !strings.Contains(stderr, "503") {
		t.Errorf("while it drains: exit code %d, %q", code, stderr)
	}
	g.signal(syscall.SIGKILL)
	g.exit()
	if code, _, stderr := yett(t, env, "health", "-c", config); code != 1 || !strings.Contains(stderr, "refused") {
		t.Errorf("when it has ended: exit code %d, %q", code, stderr)
	}
}

// The commands that the demo prints do what it says they do.
func TestDemoCommandsWork(t *testing.T) {
	for _, tool := range []string{"bash", "curl", "sed"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed", tool)
		}
	}
	p := start(t, []string{"PORT=0", "AUTH_PORT=0", "CRM_PORT=0", "TICKETS_PORT=0"}, "demo")
	p.stdout.wait(t, "the end of the text", func(line string) bool { return strings.HasPrefix(line, "Ctrl-C stops everything") })
	_, commands, found := strings.Cut(p.stdout.String(), "Copy these into another terminal:\n")
	commands, _, ended := strings.Cut(commands, "Ctrl-C stops everything")
	if !found || !ended {
		t.Fatalf("no commands in\n%s", p.stdout)
	}
	shell := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", commands)
	shell.Env = []string{"PATH=" + os.Getenv("PATH")} // and no proxy
	out, err := shell.CombinedOutput()
	if err != nil {
		t.Fatalf("the commands failed: %v\n%s", err, out)
	}
	rest := string(out)
	for _, want := range []string{
		`"items":[`, `"subject":"The printer is on fire"`, `"role":"technician"`, "HTTP/1.1 401 ", `"NO_TOKEN"`, "HTTP/1.1 403 ", `"INSUFFICIENT_PERMISSIONS"`,
		"HTTP/1.1 404 ", `"NOT_FOUND"`, "HTTP/1.1 405 ", `"METHOD_NOT_ALLOWED"`,
		"RateLimit-Policy: 60;w=60", "RateLimit-Remaining: 59", "HTTP/1.1 429 ", "Retry-After: ", `"RATE_LIMIT_EXCEEDED"`, `"status":"healthy"`,
		`"held":"open"`, "HTTP/1.1 503 ", "Retry-After: ", `"SERVICE_UNAVAILABLE"`, `"state":"CLOSED"`, "HTTP/1.1 401 ", `"TOKEN_REVOKED"`,
	} {
		var there bool
		if _, rest, there = strings.Cut(rest, want); !there {
			t.Fatalf("after what came before there is no %s in\n%s", want, out)
		}
	}
	p.signal(syscall.SIGINT)
	code := p.exit()
	for line := range strings.Lines(p.stderr.String()) {
		if !strings.Contains(line, "breaker") { // which the commands have switched
			t.Errorf("the demo says %s", line)
		}
	}
	if code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// When the demo is stopped while something runs, it says for what it waits, and
// how to wait no longer.
func TestDemoSaysThatRequestsRun(t *testing.T) {
	backend := startApp(t)
	p := start(t, []string{"AUTH_PORT=0", "CRM_PORT=0", "TICKETS_PORT=0", "APP=" + backend.URL, "GRACE=10m"}, "demo", "-c", write(t, "yett.yaml", appConfig))
	_, port, _ := strings.Cut(p.stdout.wait(t, "the gateway's address", func(line string) bool { return strings.HasPrefix(line, "  gateway ") }), "localhost:")
	client := newClient(t)
	go func() { // until the connection breaks
		if resp, err := client.Get("http://127.0.0.1:" + port + "/wait/stream"); err == nil {
			resp.Body.Close()
		}
	}()
	receive(t, backend.arrived, "the request at the service")
	p.signal(syscall.SIGINT)
	p.stderr.wait(t, "what is waited for", func(line string) bool {
		return line == "stopping: requests still run, at most 10m; Ctrl-C again ends at once"
	})
	p.signal(syscall.SIGINT)
	if code := p.exit(); code != 1 || !strings.Contains(p.stderr.String(), "second signal") {
		t.Errorf("exit code %d, %s", code, p.stderr)
	}
}

// A file .env beside the configuration counts, and real variables win.
func TestDotenv(t *testing.T) {
	config := write(t, "yett.yaml", strings.Replace(appConfig, "127.0.0.1:${PORT:-0}", "${HOST:?name it}:0", 1))
	dotenv := []byte("HOST=127.0.0.1\nAPP=http://127.0.0.1:1\n")
	if err := os.WriteFile(filepath.Join(filepath.Dir(config), ".env"), dotenv, 0o600); err != nil {
		t.Fatal(err)
	}
	g := run(t, config)
	if !strings.HasPrefix(g.addr, "127.0.0.1:") {
		t.Errorf("it listens on %s", g.addr)
	}
	if g := run(t, config, "HOST=127.0.0.2"); !strings.HasPrefix(g.addr, "127.0.0.2:") {
		t.Errorf("it listens on %s", g.addr)
	}
}
