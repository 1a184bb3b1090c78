//go:build linux

package e2e

import (
	"bytes"
	"encoding/json"
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
)

// lineage is a gateway of one process after the other. All of them write to the same pipes, so
// that the test sees the end of each process by itself.
type lineage struct {
	t      *testing.T
	first  *exec.Cmd
	ended  chan struct{} // the first has
	stderr *lines
	pids   []int
	url    string
	addr   string
}

// startLineage starts the program at path. Whatever is left at the end of the test is killed.
func startLineage(t *testing.T, path string, env []string, args ...string) *lineage {
	t.Helper()
	l := &lineage{t: t, ended: make(chan struct{}), stderr: newLines()}
	state, err := os.MkdirTemp("", "y")
	if err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	l.first = exec.Command(path, args...)
	l.first.Env = append(slices.Clone(env), "YETT_STATE="+state)
	l.first.Stderr = w
	if err := l.first.Start(); err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	l.pids = []int{l.first.Process.Pid}
	go func() {
		defer close(l.ended)
		_ = l.first.Wait() // exit reads the state
	}()
	over := make(chan struct{})
	go func() {
		defer close(over)
		_, _ = io.Copy(l.stderr, r)
	}()
	t.Cleanup(func() {
		l.kill(path)
		<-over // all have closed the pipe
		_ = os.RemoveAll(state)
		if t.Failed() {
			t.Logf("yett wrote\n%s", l.stderr)
		}
	})
	return l
}

// kill kills what has been started and still runs.
func (l *lineage) kill(path string) {
	_ = l.first.Process.Kill()
	for _, e := range l.entries("a new process is starting") {
		pid := int(e["pid"].(float64))
		if line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)); err == nil && bytes.Contains(line, []byte(path)) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

// entries are the lines of the log with a message, so far.
func (l *lineage) entries(msg string) (all []map[string]any) {
	texts, _ := l.stderr.snapshot()
	for _, text := range texts {
		var e map[string]any
		if json.Unmarshal([]byte(text), &e) == nil && e["msg"] == msg {
			all = append(all, e)
		}
	}
	return all
}

// entry waits for the line number n, from 1 on, with a message.
func (l *lineage) entry(n int, msg string) map[string]any {
	l.t.Helper()
	timeout := time.After(patience)
	for {
		_, more := l.stderr.snapshot()
		if all := l.entries(msg); len(all) >= n {
			return all[n-1]
		}
		select {
		case <-more:
		case <-timeout:
			l.t.Fatalf("no %q number %d", msg, n)
		}
	}
}

// serving waits until the first process serves.
func (l *lineage) serving() *lineage {
	l.t.Helper()
	l.addr = l.entry(1, "listening")["address"].(string)
	l.url = "http://" + l.addr
	return l
}

func (l *lineage) now() int { return l.pids[len(l.pids)-1] }

func (l *lineage) signal(s syscall.Signal) {
	l.t.Helper()
	if err := syscall.Kill(l.now(), s); err != nil {
		l.t.Fatalf("sending %s: %v", s, err)
	}
}

// upgrade has the process replaced, and returns when the new one serves.
func (l *lineage) upgrade() {
	l.t.Helper()
	n := len(l.pids)
	l.signal(syscall.SIGUSR2)
	l.pids = append(l.pids, int(l.entry(n, "a new process serves")["pid"].(float64)))
}

// gone waits for the end of a process that is no child of the test.
func (l *lineage) gone(pid int) {
	l.t.Helper()
	eventually(l.t, "process "+strconv.Itoa(pid)+" ends", func() bool {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		return err != nil || bytes.Contains(text, []byte(") Z ")) // nobody waits for it in some containers
	})
}

// stop ends the last process.
func (l *lineage) stop() {
	l.t.Helper()
	l.signal(sigterm)
	l.gone(l.now())
}

// exit waits for the end of the first process.
func (l *lineage) exit() int {
	l.t.Helper()
	receive(l.t, l.ended, "the end of the first process")
	return l.first.ProcessState.ExitCode()
}

func (l *lineage) get(path string) int {
	l.t.Helper()
	resp, err := newClient(l.t).Get(l.url + path)
	if err != nil {
		l.t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

// copyBinary puts the program where a test may replace it.
func copyBinary(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "yett")
	if err := os.Link(binary, path); err != nil {
		text, err := os.ReadFile(binary)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, text, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// replace puts another program in its place, as a package manager does.
func replace(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// A program that can't take over changes nothing, and the old process says why.
func TestUpgradeFails(t *testing.T) {
	for _, tt := range []struct {
		name, program string
		mode          os.FileMode
		msg, why      string
	}{
		{"ends", "#!/bin/sh\nexit 7\n", 0o700, "the new process did not become ready; this one goes on", "exit status 7"},
		{"crashes after a while", "#!/bin/sh\nsleep 0.5\nkill -SEGV $$\n", 0o700, "the new process did not become ready; this one goes on", "segmentation fault"},
		{"hangs", "#!/bin/sh\nexec sleep 60\n", 0o700, "the new process did not become ready; this one goes on", "was not ready within 1s (--ready-timeout)"},
		{"can't be run", "", 0o600, "no new process takes the place of this one", "permission denied"},
		{"is no program", "nonsense", 0o700, "no new process takes the place of this one", "exec format error"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			backend := startApp(t)
			path := copyBinary(t)
			l := startLineage(t, path, []string{"APP=" + backend.URL}, "run", "-c", write(t, "yett.yaml", appConfig), "--ready-timeout", "1s").serving()
			replace(t, path, tt.program, tt.mode)
			l.signal(syscall.SIGUSR2)
			if why := fmt.Sprint(l.entry(1, tt.msg)["error"]); !strings.Contains(why, tt.why) {
				t.Errorf("it says %q, want %q", why, tt.why)
			}
			if status := l.get("/after"); status != 200 {
				t.Errorf("status %d", status)
			}
			l.signal(sigterm)
			if code := l.exit(); code != 0 {
				t.Errorf("exit code %d", code)
			}
		})
	}
}

// The new process says itself what is wrong, and once that is put right, it takes over.
func TestUpgradeWithMistake(t *testing.T) {
	backend := startApp(t)
	config := write(t, "yett.yaml", appConfig)
	l := startLineage(t, binary, []string{"APP=" + backend.URL}, "run", "-c", config).serving()
	if err := os.WriteFile(config, []byte(strings.Replace(appConfig, "grace:", "grays:", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	l.signal(syscall.SIGUSR2)
	if why := fmt.Sprint(l.entry(1, "the new process did not become ready; this one goes on")["error"]); !strings.Contains(why, "grays") {
		t.Errorf("it says %q", why)
	}
	if status := l.get("/after"); status != 200 {
		t.Errorf("status %d", status)
	}
	if err := os.WriteFile(config, []byte(appConfig), 0o600); err != nil {
		t.Fatal(err)
	}
	l.upgrade()
	if code := l.exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if status := l.get("/after"); status != 200 {
		t.Errorf("status %d", status)
	}
	l.stop()
}

// While a new process starts, another one is refused, and a signal to stop ends both.
func TestStopWithinUpgrade(t *testing.T) {
	backend := startApp(t)
	path := copyBinary(t)
	l := startLineage(t, path, []string{"APP=" + backend.URL}, "run", "-c", write(t, "yett.yaml", appConfig)).serving()
	replace(t, path, "#!/bin/sh\nexec sleep 60\n", 0o700)
	l.signal(syscall.SIGUSR2)
	child := int(l.entry(1, "a new process is starting")["pid"].(float64))
	l.signal(syscall.SIGUSR2)
	if why := fmt.Sprint(l.entry(1, "no new process takes the place of this one")["error"]); !strings.Contains(why, "is about to take the place") {
		t.Errorf("it says %q", why)
	}
	l.signal(sigterm)
	if code := l.exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	l.gone(child)
}

// Listeners may be others in the new process, and may overlap with those before.
func TestUpgradeChangesListeners(t *testing.T) {
	backend := startApp(t)
	probe, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(probe.Addr().String())
	_ = probe.Close()
	config := write(t, "yett.yaml", strings.Replace(appConfig, `"127.0.0.1:${PORT:-0}"`, `":`+port+`"`, 1))
	l := startLineage(t, binary, []string{"APP=" + backend.URL}, "run", "-c", config).serving()
	next := strings.Replace(appConfig, `  - address: "127.0.0.1:${PORT:-0}"`, `  - address: "127.0.0.1:`+port+`"
  - {name: more, address: "127.0.0.1:0"}`, 1)
	if err := os.WriteFile(config, []byte(next), 0o600); err != nil {
		t.Fatal(err)
	}
	l.upgrade()
	l.exit()
	l.url = "http://127.0.0.1:" + port
	if status := l.get("/after"); status != 200 {
		t.Errorf("status %d", status)
	}
	if more := l.entry(3, "listening"); more["listener"] != "more" {
		t.Errorf("%v", more)
	}
	l.stop()
}

// What is kept in memory goes along.
func TestUpgradeKeepsLimits(t *testing.T) {
	backend := startApp(t)
	config := appConfig + `limits:
  few: {by: ip, limit: 4, window: 1h}
`
	config = strings.Replace(config, "policies:\n", "policies:\n  ratelimit: {limits: [few]}\n", 1)
	l := startLineage(t, binary, []string{"APP=" + backend.URL}, "run", "-c", write(t, "yett.yaml", config)).serving()
	var got []int
	for range 3 {
		got = append(got, l.get("/counted"), l.get("/counted"))
		l.upgrade()
	}
	if want := []int{200, 200, 200, 200, 429, 429}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	l.stop()
}

// systemd hears who is the main process, and never that the service stops when one process does.
func TestUpgradeTellsSystemd(t *testing.T) {
	dir, err := os.MkdirTemp("", "y")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	at := &net.UnixAddr{Name: filepath.Join(dir, "notify"), Net: "unixgram"}
	conn, err := net.ListenUnixgram("unixgram", at)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	next := func(want string) {
		t.Helper()
		b := make([]byte, 4096)
		n, err := conn.Read(b)
		if got := strings.ReplaceAll(string(b[:n]), "\n", " "); err != nil || !strings.HasPrefix(got, want) {
			t.Errorf("systemd hears %q, %v, want %q", got, err, want)
		}
	}
	backend := startApp(t)
	l := startLineage(t, binary, []string{"APP=" + backend.URL, "NOTIFY_SOCKET=" + at.Name}, "run", "-c", write(t, "yett.yaml", appConfig)).serving()
	next(fmt.Sprintf("READY=1 MAINPID=%d", l.now()))
	l.signal(syscall.SIGHUP)
	next("RELOADING=1 MONOTONIC_USEC=")
	next("READY=1")
	l.upgrade()
	next(fmt.Sprintf("MAINPID=%d", l.now()))
	l.exit()
	l.signal(syscall.SIGHUP)
	next("RELOADING=1")
	next("READY=1")
	l.stop()
	next("STOPPING=1")
}

// systemd may hold the sockets, and hands them over.
func TestSocketActivation(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	f, err := ln.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	backend := startApp(t)
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	state, err := os.MkdirTemp("", "y")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(state)
	cmd := exec.Command("/bin/sh", "-c", `LISTEN_PID=$$ exec "$0" "$@"`, binary, "run", "-c", write(t, "yett.yaml", appConfig))
	cmd.Env = []string{"APP=" + backend.URL, "PORT=" + port, "LISTEN_FDS=1", "LISTEN_FDNAMES=web", "YETT_STATE=" + state}
	cmd.ExtraFiles, cmd.Stderr = []*os.File{f}, os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill() }()
	resp, err := newClient(t).Get("http://" + ln.Addr().String() + "/waits-until-it-is-served")
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%+v, %v", resp, err)
	}
	resp.Body.Close()
	_ = cmd.Process.Signal(sigterm)
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}
