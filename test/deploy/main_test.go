//go:build linux

package deploy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	_ "yett/internal/cli" // so that go test knows on what the result depends, and does not show an old one
)

// patience is how long anything that has to happen may take. It ends a test that would hang, and
// measures nothing.
const patience = 30 * time.Second

// binary is the program as make build makes it: static.
var binary string

func TestMain(m *testing.M) {
	if os.Getenv(launchVariable) != "" { // this process is to become a service, see launch
		fmt.Fprintln(os.Stderr, launch())
		os.Exit(127)
	}
	os.Exit(buildAndRun(m))
}

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "yd")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	// Others than this user run it.
	if err := os.Chmod(dir, 0o755); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	binary = filepath.Join(dir, "yett")
	build := exec.Command("go", "build", "-pgo=off", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", binary, "yett/cmd/yett")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "building yett:", err)
		return 1
	}
	if err := copySelf(filepath.Join(dir, "launch")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	// Processes that are left by their parents become ours, so that their exit codes can be seen.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// launcher is this program where every user can run it.
func launcher() string { return filepath.Join(filepath.Dir(binary), "launch") }

func copySelf(path string) error {
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		return err
	}
	return os.WriteFile(path, self, 0o755)
}

// heavy skips a test that takes long, unless somebody asks for it.
func heavy(t *testing.T) {
	t.Helper()
	if os.Getenv("YETT_DEPLOY") == "" {
		t.Skip("takes long; YETT_DEPLOY=1 or make deploy-test runs it")
	}
}

// need skips a test where a tool is missing.
func need(t *testing.T, tool string) string {
	t.Helper()
	path, err := exec.LookPath(tool)
	if err != nil {
		t.Skipf("%s is not installed", tool)
	}
	return path
}

// root is the repository's.
func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// output runs a command that has to succeed, and returns what it wrote.
func output(t *testing.T, env []string, name string, args ...string) string {
	t.Helper()
	text, err := try(t, env, name, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, text)
	}
	return text
}

// try runs a command, and returns all that it wrote. A nil env is the one of this process.
func try(t *testing.T, env []string, name string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = env
	text, err := cmd.CombinedOutput()
	return string(text), err
}

// tempDir is a short one, for sockets, into which every user may look.
func tempDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "y")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// eventually waits until is says yes.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if is() {
			return
		}
	}
	t.Fatalf("%s: not within %v", what, patience)
}

// status is what yett status --json says of the only gateway under state.
func status(t *testing.T, state string) (s struct {
	State     string
	PID       int
	Listeners []struct{ Address string }
	Workers   []struct {
		PID   int
		State string
	}
},
) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary, "status", "--json")
	cmd.Env = []string{"YETT_STATE=" + state}
	cmd.Dir = state
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	text, err := cmd.Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	all := []*struct {
		State     string
		PID       int
		Listeners []struct{ Address string }
		Workers   []struct {
			PID   int
			State string
		}
	}{}
	if json.Unmarshal(text, &all) != nil || len(all) != 1 {
		t.Logf("yett status says %s %s", text, &complaint)
		return s
	}
	return *all[0]
}

// killAtEnd kills a process that was started here, when it still runs at the end of the test.
func killAtEnd(t *testing.T, pid int) {
	t.Cleanup(func() {
		if line, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline"); err == nil && bytes.Contains(line, []byte("yett")) {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
	})
}

// reap waits for the end of a process that is a child of this one, or has become one, and
// returns its exit code.
func reap(t *testing.T, pid int) int {
	t.Helper()
	code := -1
	eventually(t, fmt.Sprintf("process %d ends", pid), func() bool {
		var ws unix.WaitStatus
		got, err := unix.Wait4(pid, &ws, unix.WNOHANG, nil)
		if got == pid {
			code = ws.ExitStatus()
		}
		return got == pid || err != nil && !errors.Is(err, unix.EINTR) && !errors.Is(err, unix.ECHILD)
	})
	return code
}
