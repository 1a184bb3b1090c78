package cli

import (
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"yett/internal/config"
	"yett/internal/handover"
)

func TestRunStartsAndDrains(t *testing.T) {
	var stdout, stderr output
	code := Main(cancelled(t), Process{
		Args: []string{"run", "-c", file(t, small)}, Stdout: &stdout, Stderr: &stderr, Env: config.MapEnv(nil),
	})
	if code != exitOK {
		t.Errorf("exit code %d", code)
	}
	listening, draining := strings.Index(stderr.String(), `"msg":"listening"`), strings.Index(stderr.String(), `"msg":"draining"`)
	if listening < 0 || draining < listening {
		t.Errorf("the log says\n%s", stderr.String())
	}
}

// A pipe can be read only once, whoever needs it.
func TestRunFromPipe(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	go func() { _ = os.WriteFile(pipe, []byte(small), 0) }()
	root, err := os.MkdirTemp("", "y")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(root)
	var stdout, stderr output
	done := make(chan int, 1)
	go func() {
		done <- Main(cancelled(t), Process{
			Args: []string{"run", "-c", pipe}, Stdout: &stdout, Stderr: &stderr, Env: config.MapEnv(env{"YETT_STATE": root}),
			Started: handover.Program{Path: "/nowhere", Args: []string{"yett"}},
		})
	}()
	select {
	case code := <-done:
		if code != exitOK || !strings.Contains(stderr.String(), `"msg":"listening"`) {
			t.Errorf("exit code %d, %s", code, stderr.String())
		}
	case <-time.After(10 * time.Second):
		t.Error("it waits for the pipe")
	}
}

func TestRunOnBusyPort(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, port, _ := net.SplitHostPort(taken.Addr().String())
	got := call(t, env{"PORT": port}, "run", "-c", file(t, small))
	for _, want := range []string{"port " + port + " on 127.0.0.1 is in use by cli.test (pid ", "choose another with PORT=", "or listeners[0].address"} {
		if got.code != exitFail || !strings.Contains(got.stderr, want) {
			t.Errorf("exit code %d, %q does not say %q", got.code, got.stderr, want)
		}
	}
}

func TestDemo(t *testing.T) {
	var stdout, stderr output
	code := Main(cancelled(t), Process{
		Args: []string{"demo"}, Stdout: &stdout, Stderr: &stderr,
		Env: config.MapEnv(env{"PORT": "0", "AUTH_PORT": "0", "CRM_PORT": "0", "TICKETS_PORT": "0", "DEMO_PASSWORD": "it's a \"secret\""}),
	})
	if code != exitOK || stderr.String() != "" {
		t.Errorf("exit code %d, %q", code, stderr.String())
	}
	for _, want := range []string{"gateway   http://localhost:", `"password":"it'\''s a \"secret\""}'`, "Ctrl-C stops everything"} {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("no %q in\n%s", want, stdout.String())
		}
	}
}

// The demo logs no more than what is wrong, unless it is told to.
func TestDemoLogLevel(t *testing.T) {
	for level, says := range map[string]bool{"info": true, "warn": false, "error": false} {
		var stdout, stderr output
		code := Main(cancelled(t), Process{
			Args: []string{"demo"}, Stdout: &stdout, Stderr: &stderr,
			Env: config.MapEnv(env{"PORT": "0", "AUTH_PORT": "0", "CRM_PORT": "0", "TICKETS_PORT": "0", "LOG_LEVEL": level}),
		})
		if said := strings.Contains(stderr.String(), `"msg":"listening"`); code != exitOK || said != says {
			t.Errorf("%s: exit code %d, %q", level, code, stderr.String())
		}
	}
	for level, want := range map[string]slog.Level{"": slog.LevelWarn, "loud": slog.LevelWarn, "debug": slog.LevelDebug, "error": slog.LevelError} {
		if got := (Process{Env: config.MapEnv(env{"LOG_LEVEL": level})}).demoLevel(); got != want {
			t.Errorf("%q: %v", level, got)
		}
	}
}

func TestDemoRefuses(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, port, _ := net.SplitHostPort(taken.Addr().String())
	free := func(more env) env {
		out := env{"PORT": "0", "AUTH_PORT": "0", "CRM_PORT": "0", "TICKETS_PORT": "0"}
		for k, v := range more {
			out[k] = v
		}
		return out
	}
	for _, test := range []struct {
		name string
		env  env
		args []string
		want string
	}{
		{"a busy port of a service", free(env{"CRM_PORT": port}), nil, "port " + port + " on 127.0.0.1 is in use by cli.test"},
		{"a busy port of the gateway", free(env{"PORT": port}), nil, "choose another with PORT="},
		{"no port", free(env{"AUTH_PORT": "http"}), nil, "AUTH_PORT"},
		{"a short secret", free(env{"JWT_SECRET": "short"}), nil, "JWT_SECRET"},
		{"a wrong value", free(env{"LOG_LEVEL": "loud"}), nil, "examples/psa/yett.yaml:"},
		{"a file with mistakes", free(nil), []string{"-c", file(t, wrong)}, "2 problems; nothing was started"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := call(t, test.env, append([]string{"demo"}, test.args...)...)
			if got.code != exitFail || !strings.Contains(got.stderr, test.want) || got.stdout != "" {
				t.Errorf("%+v, want %q", got, test.want)
			}
		})
	}
}
