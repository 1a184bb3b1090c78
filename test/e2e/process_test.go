//go:build linux

package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	_ "yett/internal/cli" // so that go test knows on what the result depends, and does not show an old one
)

// patience is how long anything that has to happen may take. It ends a test
// that would hang, and measures nothing.
const patience = 20 * time.Second

// binary is the program under test. TestMain builds it.
var binary string

func TestMain(m *testing.M) {
	if name := os.Getenv(workerVariable); name != "" { // this process is to be a service, see worker
		os.Exit(serveAsWorker(name))
	}
	os.Exit(buildAndRun(m))
}

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "yett-e2e-")
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
	return m.Run()
}

// lines takes what a process writes, and lets a test wait for a line.
type lines struct {
	mu      sync.Mutex
	partial string
	all     []string
	more    chan struct{} // closed when there is a new line
}

func newLines() *lines { return &lines{more: make(chan struct{})} }

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	parts := strings.Split(l.partial+string(b), "\n")
	l.partial = parts[len(parts)-1]
	if len(parts) > 1 {
		l.all = append(l.all, parts[:len(parts)-1]...)
		close(l.more)
		l.more = make(chan struct{})
	}
	return len(b), nil
}

// snapshot returns the lines so far, and what to wait on for more.
func (l *lines) snapshot() ([]string, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.all), l.more
}

func (l *lines) String() string {
	all, _ := l.snapshot()
	return strings.Join(all, "\n")
}

// wait returns the first line for which is holds, once it was written.
func (l *lines) wait(t *testing.T, what string, is func(line string) bool) string {
	t.Helper()
	timeout := time.After(patience)
	for {
		all, more := l.snapshot()
		if i := slices.IndexFunc(all, is); i >= 0 {
			return all[i]
		}
		select {
		case <-more:
		case <-timeout:
			t.Fatalf("no line with %s among\n%s", what, strings.Join(all, "\n"))
		}
	}
}

// process is a running yett.
type process struct {
	t              *testing.T
	cmd            *exec.Cmd
	stdout, stderr *lines
	ended          chan struct{}
}

// start starts yett with a clean environment and the variables given. It is
// killed at the end of the test when it still runs.
func start(t *testing.T, env []string, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command(binary, args...), stdout: newLines(), stderr: newLines(), ended: make(chan struct{})}
	p.cmd.Env = append(slices.Clone(env), "YETT_STATE="+stateDir(t))
	p.cmd.Stdout, p.cmd.Stderr = p.stdout, p.stderr
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // also when the test itself is killed
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.ended)
		_ = p.cmd.Wait() // exit reads the state
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.ended
		if t.Failed() {
			t.Logf("yett %s wrote\n%s\n%s", strings.Join(args, " "), p.stdout, p.stderr)
		}
	})
	return p
}

// stateDir is a directory for the sockets of one process. Their paths have to be short.
func stateDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "y")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatalf("sending %s: %v", s, err)
	}
}

// exit waits for the end and returns the exit code, -1 after a signal that
// killed.
func (p *process) exit() int {
	p.t.Helper()
	select {
	case <-p.ended:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		p.t.Fatal("yett does not end")
		return 0
	}
}

// yett runs a verb that ends by itself.
func yett(t *testing.T, env []string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	p := start(t, env, args...)
	code = p.exit()
	return code, p.stdout.String(), p.stderr.String()
}

// gateway is a yett that serves.
type gateway struct {
	*process
	addr, url string
}

// startupHost is the host that run asks for readiness, so that log can leave
// those lines out.
const startupHost = "startup.test"

// run starts a gateway whose configuration has /health/ready, and waits until
// it is ready.
func run(t *testing.T, config string, env ...string) *gateway {
	t.Helper()
	g := &gateway{process: start(t, env, "run", "-c", config)}
	line := g.stderr.wait(t, `"msg":"listening"`, func(line string) bool {
		return strings.Contains(line, `"msg":"listening"`) || strings.HasPrefix(line, "yett:") // it has failed
	})
	var entry struct{ Address string }
	if err := json.Unmarshal([]byte(line), &entry); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	g.addr = strings.Replace(entry.Address, "[::]", "127.0.0.1", 1)
	g.url = "http://" + g.addr
	client := newClient(t)
	eventually(t, "the gateway is ready", func() bool {
		req, err := http.NewRequestWithContext(t.Context(), "GET", g.url+"/health/ready", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = startupHost
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	return g
}

// logged is a line of the access log.
type logged struct {
	Time      time.Time
	Msg       string
	RequestID string `json:"request_id"`
	Host      string
	Method    string
	Path      string
	Query     string
	Route     string
	Service   string
	Status    int
	Reason    string
	BytesIn   int64 `json:"bytes_in"`
	BytesOut  int64 `json:"bytes_out"`
}

// log returns the access log so far, without what run asked. Every line has to
// be one.
func (g *gateway) log() []logged {
	g.t.Helper()
	all, _ := g.stdout.snapshot()
	var entries []logged
	for _, line := range all {
		var e logged
		if err := json.Unmarshal([]byte(line), &e); err != nil || e.Msg != "request" || e.Time.IsZero() {
			g.t.Errorf("this is no line of the access log: %q (%v)", line, err)
		}
		if e.Host != startupHost {
			entries = append(entries, e)
		}
	}
	return entries
}

// waitLog waits for the line of a path.
func (g *gateway) waitLog(path string) logged {
	g.t.Helper()
	line := g.stdout.wait(g.t, path, func(line string) bool { return strings.Contains(line, `"path":"`+path+`"`) })
	var e logged
	if err := json.Unmarshal([]byte(line), &e); err != nil {
		g.t.Errorf("%q: %v", line, err)
	}
	return e
}

// write puts a file into a folder of the test's own and returns its name.
func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// newClient returns a client with connections of its own, which doesn't follow
// redirects and doesn't ask for compression.
func newClient(t *testing.T) *http.Client {
	t.Helper()
	transport := &http.Transport{DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{
		Transport: transport, Timeout: time.Minute,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
