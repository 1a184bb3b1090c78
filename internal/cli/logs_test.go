package cli

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"yett/internal/config"
)

// logsPlace is a working directory with an instance named api, whose configuration is yett.yaml.
func logsPlace(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	t.Chdir(dir)
	at := func(min, level, msg, more string) string {
		return fmt.Sprintf(`{"time":"2026-01-31T09:%s:00.000Z","level":"%s","msg":"%s"%s}`+"\n", min, level, msg, more)
	}
	for name, text := range map[string]string{
		"yett.yaml": "name: api\nlisteners: [{address: \":0\"}]\nroutes: [{name: a, path: /, auth: none, endpoint: health}]\n" +
			"log: {access: {output: logs/access.log, errors: auto}}\n",
		"logs/access.log": at("01", "info", "request", `,"method":"GET","path":"/1","status":200,"route":"a","duration_ms":1.000`) +
			at("03", "error", "request", `,"method":"GET","path":"/3","status":502,"route":"b","duration_ms":1.000`),
		"logs/access-error.log": at("03", "error", "request", `,"path":"/3","status":502`) + at("04", "error", "own error", ""),
		"api/logs/yett.log":     at("00", "info", "listening", "") + at("02", "warn", "odd", ""),
		"other/logs/yett.log":   at("00", "info", "other", ""),
	} {
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// runLogs runs yett logs with the working directory as that of instances.
func runLogs(ctx context.Context, args ...string) (code int, out, err string) {
	var stdout, stderr bytes.Buffer
	dir, _ := os.Getwd()
	code = Main(ctx, Process{
		Args: append([]string{"logs"}, args...), Stdout: &stdout, Stderr: &stderr,
		Env: config.MapEnv(map[string]string{"YETT_STATE": dir}),
	})
	return code, stdout.String(), stderr.String()
}

func TestLogsAreShown(t *testing.T) {
	logsPlace(t)
	for _, tt := range []struct{ args, want string }{
		{"", "listening /1 odd /3"},
		{"-n 2", "odd /3"},
		{"-n 0", ""},
		{"-n -1", "listening /1 odd /3"},
		{"api", "listening /1 odd /3"},
		{"other", "other"},
		{"-c yett.yaml --level warn", "odd /3"},
		{"--errors", "/3 own error"},
		{"other --errors", ""},
		{"--since 2026-01-31T09:02Z", "odd /3"},
		{"--since 2026-01-31T09:00Z --until 2026-01-31T09:01:30Z --json", "listening /1"},
		{"--since 2026-01-31T09:00Z -n 1", "/3"},
		{"--since 10m", ""},
		{"--status 5xx,404", "/3"},
		{"--route a", "/1"},
		{"--request-id none", ""},
	} {
		code, out, err := runLogs(t.Context(), strings.Fields(tt.args)...)
		var got []string
		for line := range strings.Lines(out) {
			for _, what := range []string{"listening", `"/1"`, "odd", `"/3"`, "own error", `"other"`} {
				if strings.Contains(line, what) {
					got = append(got, strings.Trim(what, `"`))
				}
			}
			if !strings.HasPrefix(line, `{"time":`) {
				t.Errorf("%s: a line that is not as in the file: %s", tt.args, line)
			}
		}
		if code != 0 || err != "" || strings.Join(got, " ") != tt.want {
			t.Errorf("yett logs %s: exit code %d, %q, %s", tt.args, code, got, err)
		}
	}
}

func TestLogsMistakes(t *testing.T) {
	logsPlace(t)
	for _, tt := range []struct {
		args string
		code int
		want string
	}{
		{"none", 1, "there is no"},
		{"../other", 1, "can't be the name of an instance"},
		{"a b", 2, "one instance"},
		{"-c none.yaml", 1, "name the file with --config"},
		{"--since yesterday", 2, "--since: \"yesterday\" is no time; write how long ago"},
		{"--until x", 2, "--until"},
		{"--level loud", 2, "--level: \"loud\" is no level"},
		{"--status 9xx", 2, "--status"},
		{"-n -2", 2, "-n -2"},
	} {
		code, out, err := runLogs(t.Context(), strings.Fields(tt.args)...)
		if code != tt.code || !strings.Contains(err, tt.want) || out != "" {
			t.Errorf("yett logs %s: exit code %d, %s%s", tt.args, code, out, err)
		}
	}
	if err := os.Remove("yett.yaml"); err != nil {
		t.Fatal(err)
	}
	if code, _, err := runLogs(t.Context()); code != 1 || !strings.Contains(err, "api, other") {
		t.Errorf("without a configuration: exit code %d, %s", code, err)
	}
	if err := os.RemoveAll("other"); err != nil {
		t.Fatal(err)
	}
	if code, out, err := runLogs(t.Context()); code != 0 || !strings.Contains(out, "listening") {
		t.Errorf("with one instance: exit code %d, %s%s", code, out, err)
	}
}

// Where lines go to no file, it is said where they are.
func TestLogsOfNoFile(t *testing.T) {
	logsPlace(t)
	text, err := os.ReadFile("yett.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("plain.yaml", bytes.ReplaceAll(text, []byte("logs/access.log"), []byte("stdout")), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll("api"); err != nil {
		t.Fatal(err)
	}
	code, _, stderr := runLogs(t.Context(), "-c", "plain.yaml", "-f")
	if code != 1 || !strings.Contains(stderr, "plain.yaml has its lines go to no file (log.access.output: stdout)") || !strings.Contains(stderr, "journalctl") {
		t.Errorf("exit code %d, %s", code, stderr)
	}
}

// watchedBuffer tells when something was written.
type watchedBuffer struct {
	mu   sync.Mutex
	text strings.Builder
	more chan struct{}
}

func (b *watchedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.text.Write(p)
	select {
	case b.more <- struct{}{}:
	default:
	}
	return len(p), nil
}

func TestLogsFollow(t *testing.T) {
	logsPlace(t)
	out := &watchedBuffer{more: make(chan struct{}, 1)}
	ctx, end := context.WithCancel(t.Context())
	done := make(chan int, 1)
	go func() {
		done <- Main(ctx, Process{
			Args: []string{"logs", "-c", "yett.yaml", "-f", "-n", "1"}, Stdout: out, Stderr: t.Output(), Env: config.MapEnv(map[string]string{"YETT_STATE": "."}),
		})
	}()
	await := func(what string) {
		t.Helper()
		for {
			select {
			case <-out.more:
			case <-time.After(20 * time.Second):
				t.Fatalf("never %s", what)
			}
			out.mu.Lock()
			text := out.text.String()
			out.mu.Unlock()
			if strings.Contains(text, what) {
				return
			}
		}
	}
	await(`"/3"`)
	f, err := os.OpenFile("logs/access.log", os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	fmt.Fprintln(f, `{"time":"2026-01-31T09:10:00.000Z","level":"info","msg":"came"}`)
	await("came")
	end()
	if code := <-done; code != 0 {
		t.Errorf("exit code %d", code)
	}
	if n := strings.Count(out.text.String(), "\n"); n != 2 {
		t.Errorf("%d lines", n)
	}
}

func TestPointInTime(t *testing.T) {
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.FixedZone("east", 3600))
	for text, want := range map[string]string{
		"10m": "2026-01-31T11:50:00+01:00", "3d": "2026-01-28T12:00:00+01:00", "1h30m": "2026-01-31T10:30:00+01:00", "0s": "2026-01-31T12:00:00+01:00",
		"09:30": "2026-01-31T09:30:00+01:00", "09:30:15": "2026-01-31T09:30:15+01:00", "2026-01-30": "2026-01-30T00:00:00+01:00",
		"2026-01-30T09:30": "2026-01-30T09:30:00+01:00", "2026-01-30 09:30:15": "2026-01-30T09:30:15+01:00", "2026-01-30T09:30Z": "2026-01-30T09:30:00Z",
		"2026-01-30T09:30:15.5Z": "2026-01-30T09:30:15Z", "2026-01-30T09:30:15-02:00": "2026-01-30T09:30:15-02:00",
	} {
		if got, err := pointInTime(text, now); err != nil || got.Format(time.RFC3339) != want {
			t.Errorf("%s: %s %v", text, got.Format(time.RFC3339), err)
		}
	}
	for _, text := range []string{"", "10", "-10m", "25:00", "yesterday", "d", "2026-13-01", "200000d"} {
		if got, err := pointInTime(text, now); err == nil {
			t.Errorf("%q is %s", text, got)
		}
	}
}
