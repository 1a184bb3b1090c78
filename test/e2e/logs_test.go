//go:build linux

package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"yett/internal/telemetry/logfile"
)

// wide makes a path that fills a log soon.
func wide(i int) string { return fmt.Sprintf("/%d/%s", i, strings.Repeat("x", 3000)) }

// sendMany sends requests over one connection. Each has to be answered.
func sendMany(t *testing.T, url string, n int, path func(int) string) {
	t.Helper()
	client := newClient(t)
	for i := range n {
		resp, err := client.Get(url + path(i))
		if err != nil {
			t.Errorf("request %d: %v", i, err)
			return
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Errorf("request %d: %s", i, resp.Status)
			return
		}
	}
}

// Two gateways write one file and rotate it all the time. Until both have ended by SIGTERM, each
// request has left its line, whole, in one of the files; and yett logs shows them all.
func TestProcessesShareAFile(t *testing.T) {
	backend := startApp(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "access.log")
	conf := write(t, "yett.yaml", appConfig+"\nlog: {access: {output: "+file+", flush: 1ms}, rotate: {size: 100KB, keep: 0}}\n")
	const requests, clients = 150, 2
	var wg sync.WaitGroup
	var gateways []*gateway
	for g := range 2 {
		gateways = append(gateways, run(t, conf, "APP="+backend.URL))
		for c := range clients {
			wg.Go(func() {
				sendMany(t, gateways[g].url, requests, func(i int) string { return fmt.Sprintf("/%d-%d%s", g, c, wide(i)) })
			})
		}
	}
	wg.Wait()
	for _, g := range gateways {
		g.signal(sigterm)
	}
	for _, g := range gateways {
		if code := g.exit(); code != 0 {
			t.Errorf("exit code %d", code)
		}
	}
	backups, err := logfile.Backups(file)
	if err != nil || len(backups) < 10 {
		t.Errorf("only %d old files: %v", len(backups), err)
	}
	code, stdout, stderr := yett(t, []string{"APP=" + backend.URL, "YETT_STATE=" + dir}, "logs", "-c", conf, "-n", "-1")
	if code != 0 || stderr != "" {
		t.Fatalf("yett logs: exit code %d, %s", code, stderr)
	}
	seen := map[string]int{}
	for line := range strings.Lines(stdout) {
		var e logged
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Errorf("a torn line: %.80q", line)
		}
		if e.Host != startupHost {
			seen[strings.TrimRight(e.Path, "x")]++
		}
	}
	if len(seen) != 2*clients*requests {
		t.Errorf("%d of %d requests are in the log", len(seen), 2*clients*requests)
	}
	for path, n := range seen {
		if n != 1 {
			t.Errorf("%s is there %d times", path, n)
		}
	}
}

// A full disk costs no request, and no line while 2 MB of them can wait. Both logs say what happens.
func TestFullDiskKeepsNobodyWaiting(t *testing.T) {
	backend := startApp(t)
	file := filepath.Join(t.TempDir(), "access.log")
	g := run(t, write(t, "yett.yaml", appConfig+"  - {name: detailed, path: /health/detailed, auth: none, endpoint: health_detailed}\nlog: {access: {output: "+file+", flush: 0s}}\n"), "APP="+backend.URL)
	full := func(size uint64) {
		t.Helper()
		limit := unix.Rlimit{Cur: size, Max: unix.RLIM_INFINITY}
		if err := unix.Prlimit(g.cmd.Process.Pid, unix.RLIMIT_FSIZE, &limit, nil); err != nil {
			t.Fatal(err)
		}
	}
	dropped := func() uint64 {
		t.Helper()
		var page struct{ LogLinesDropped *uint64 }
		if err := json.Unmarshal([]byte(send(t, newClient(t), "GET", g.url+"/health/detailed", "", nil).body), &page); err != nil || page.LogLinesDropped == nil {
			t.Fatalf("%v, %v", page, err)
		}
		return *page.LogLinesDropped
	}
	full(20_000)
	sendMany(t, g.url, 20, wide)
	g.stderr.wait(t, "the failure", func(line string) bool {
		return strings.Contains(line, "writing the access log failed") && strings.Contains(line, "file too large")
	})
	full(unix.RLIM_INFINITY)
	g.stderr.wait(t, "the recovery", func(line string) bool {
		return strings.Contains(line, "the access log can be written again") && strings.Contains(line, `"dropped":0`)
	})
	eventually(t, "all lines are there", func() bool { return contains(file, `"path":"/19/xxx`) })
	if n := dropped(); n != 0 {
		t.Errorf("%d lines dropped", n)
	}
	full(0)
	sendMany(t, g.url, 1000, wide)
	if n := dropped(); n < 100 {
		t.Errorf("%d lines dropped", n)
	}
	full(unix.RLIM_INFINITY)
	eventually(t, "a line for those that are missing", func() bool { return contains(file, `"msg":"access log lines dropped","dropped":`) })
	g.signal(sigterm)
	if code := g.exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	for i, path := range loggedPaths(t, file) { // which looks that each line is whole
		if i < 20 && !strings.HasPrefix(path, fmt.Sprintf("/%d/", i)) {
			t.Errorf("line %d is of %.20s", i, path)
		}
	}
}

// Whoever reads standard output and error may stop reading, or leave. Requests are answered all the same,
// and the gateway ends when it is told to.
func TestNobodyReadsTheLogs(t *testing.T) {
	for _, tt := range []struct {
		name  string
		leave bool
	}{{"stuck", false}, {"left", true}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			backend := startApp(t)
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			conf := write(t, "yett.yaml", appConfig+"\nlog: {access: {output: stdout, errors: stderr, flush: 0s}}\n")
			p := &process{t: t, cmd: exec.Command(binary, "run", "-c", conf), ended: make(chan struct{})}
			p.cmd.Env = []string{"APP=" + backend.URL}
			p.cmd.Stdout, p.cmd.Stderr = w, w
			p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
			if err := p.cmd.Start(); err != nil {
				t.Fatal(err)
			}
			w.Close()
			go func() { defer close(p.ended); _ = p.cmd.Wait() }()
			t.Cleanup(func() { _ = p.cmd.Process.Kill(); <-p.ended })
			line, err := bufio.NewReader(r).ReadString('\n')
			var entry struct{ Address string }
			if err := json.Unmarshal([]byte(line), &entry); err != nil || entry.Address == "" {
				t.Fatalf("%q: %v, %v", line, err, entry)
			}
			if err != nil {
				t.Fatal(err)
			}
			if tt.leave {
				r.Close()
			}
			sendMany(t, "http://"+entry.Address, 1200, wide) // 3.6 MB
			p.signal(syscall.SIGUSR1)
			sendMany(t, "http://"+entry.Address, 10, wide)
			p.signal(sigterm)
			if code := p.exit(); code != 1 && !tt.leave {
				t.Errorf("exit code %d", code)
			}
		})
	}
}

// SIGUSR1 opens the files again, as SIGHUP does, for whoever moves them.
func TestReopenBySignal(t *testing.T) {
	backend := startApp(t)
	file := filepath.Join(t.TempDir(), "access.log")
	g := run(t, write(t, "yett.yaml", appConfig+"\nlog: {access: {output: "+file+"}}\n"), "APP="+backend.URL)
	if err := os.Rename(file, file+".1"); err != nil {
		t.Fatal(err)
	}
	g.signal(syscall.SIGUSR1)
	eventually(t, "a new file", func() bool { return exists(file) })
}

// logrotate may move the file and send a signal, or copy and empty it. Where it moves, no line is lost.
func TestLogrotate(t *testing.T) {
	if _, err := exec.LookPath("logrotate"); err != nil {
		t.Skip("logrotate is not installed")
	}
	for _, how := range []string{"create 0640\nsharedscripts\npostrotate\nkill -USR1 PID\nendscript", "nocreate", "copytruncate"} {
		t.Run(strings.Fields(how)[0], func(t *testing.T) {
			backend := startApp(t)
			dir := t.TempDir()
			file := filepath.Join(dir, "access.log")
			g := run(t, write(t, "yett.yaml", appConfig+"\nlog: {access: {output: "+file+", flush: 1ms}}\n"), "APP="+backend.URL)
			rules := file + " {\nrotate 1000\nsize 1\nmissingok\n" + strings.ReplaceAll(how, "PID", fmt.Sprint(g.cmd.Process.Pid)) + "\n}\n"
			conf := write(t, "logrotate.conf", rules)
			if err := os.Chmod(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			const requests = 400
			done := make(chan struct{})
			go func() {
				defer close(done)
				sendMany(t, g.url, requests, func(i int) string { return fmt.Sprintf("/%d", i) })
			}()
			for busy := true; busy; {
				select {
				case <-done:
					busy = false
				default:
				}
				out, err := exec.Command("logrotate", "-s", filepath.Join(dir, "state"), conf).CombinedOutput()
				if err != nil {
					t.Fatalf("logrotate: %v\n%s", err, out)
				}
			}
			g.signal(sigterm)
			if code := g.exit(); code != 0 {
				t.Errorf("exit code %d", code)
			}
			files, err := filepath.Glob(file + "*")
			if err != nil || len(files) < 3 {
				t.Fatalf("files %q %v", files, err)
			}
			var paths []string
			for _, f := range files {
				paths = append(paths, loggedPaths(t, f)...)
			}
			slices.Sort(paths)
			if n := len(slices.Compact(paths)); n != requests && how != "copytruncate" || n > requests || n == 0 {
				t.Errorf("%d of %d requests are in %d files", n, requests, len(files))
			}
		})
	}
}

// Both logs for people, in files: no colours, and what is needed to filter.
func TestConsoleFormat(t *testing.T) {
	backend := startApp(t)
	file := filepath.Join(t.TempDir(), "access.log")
	g := &gateway{process: start(t, []string{"APP=" + backend.URL}, "run", "-c", write(t, "yett.yaml", appConfig+"\nlog: {format: console, access: {output: "+file+", format: console}}\n"))}
	line := g.stderr.wait(t, "listening", func(line string) bool { return strings.Contains(line, "INFO  listening ") })
	_, address, _ := strings.Cut(line, "address=")
	address, _, _ = strings.Cut(address, " ")
	send(t, newClient(t), "GET", "http://"+address+"/good?secret=1", "", nil).want(t, 200)
	g.signal(sigterm)
	if code := g.exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	text, err := os.ReadFile(file)
	if err != nil || !strings.Contains(string(text), "Z INFO  200 GET /good?secret=*** ") || strings.Contains(string(text), "\x1b") || strings.Count(string(text), "\n") != 1 {
		t.Errorf("%v\n%s", err, text)
	}
}
