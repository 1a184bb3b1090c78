package app

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"yett/internal/config"
	"yett/internal/telemetry"
)

func TestErrorsOutput(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe.log")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct{ output, errors, want string }{
		{"stdout", "off", "off"},
		{"app.log", "off", "off"},
		{"app.log", "auto", "app-error.log"},
		{"/var/log/app", "auto", "/var/log/app-error.log"},
		{"/var/log.d/app", "auto", "/var/log.d/app-error.log"},
		{"logs/app.log.json", "auto", "logs/app.log-error.json"},
		{".app", "auto", ".app-error.log"},
		{"stdout", "auto", "off"},
		{"stderr", "auto", "off"},
		{"off", "auto", "off"},
		{pipe, "auto", "off"},
		{"stdout", "stderr", "stderr"},
		{"stdout", "bad.log", "bad.log"},
	}
	for _, tt := range tests {
		c := config.Defaults()
		if got := errorsOutput(&c, tt.output, tt.errors); got != tt.want {
			t.Errorf("output %s, errors %s: %s, want %s", tt.output, tt.errors, got, tt.want)
		}
	}
}

// opened makes the logs of a configuration, and uses them.
func opened(t *testing.T, c *config.Config, o Options) *logs {
	t.Helper()
	l, err := newLogs(c, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	use(t, l, c)
	return l
}

func use(t *testing.T, l *logs, c *config.Config) {
	t.Helper()
	next, err := l.open(c)
	if err != nil {
		t.Fatal(err)
	}
	if before := l.use(next); before != nil {
		if err := l.gone(before); err != nil {
			t.Fatal(err)
		}
	}
}

func text(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Error(err)
	}
	return string(b)
}

// The gateway's own errors go to its log and to the file of errors, and to no
// stream a second time. Nothing else does.
func TestOwnErrors(t *testing.T) {
	for _, errors := range []string{"errors.log", "stderr", "off"} {
		t.Run(errors, func(t *testing.T) {
			t.Chdir(t.TempDir())
			c := config.Defaults()
			c.Log.Access.Output, c.Log.Access.Errors = "off", errors
			var stderr bytes.Buffer
			l, err := newLogs(&c, Options{Stderr: &stderr})
			if err != nil {
				t.Fatal(err)
			}
			l.log.Error("too early for the file")
			use(t, l, &c)
			l.log.With("a", "b").Error("broken")
			l.log.Warn("strange")
			l.access.Log(&telemetry.Record{Path: "/bad", Failed: true})
			if err := l.Close(); err != nil {
				t.Error(err)
			}
			if got := stderr.String(); strings.Count(got, "broken") != 1 || strings.Count(got, "strange") != 1 || strings.Count(got, "too early") != 1 || strings.Contains(got, "/bad") != (errors == "stderr") {
				t.Errorf("stderr has\n%s", got)
			}
			if errors != "errors.log" {
				return
			}
			if text := text(t, "errors.log"); strings.Count(text, "\n") != 2 || !strings.Contains(text, `"msg":"broken","a":"b"`) || !strings.Contains(text, "/bad") {
				t.Errorf("the file has\n%s", text)
			}
		})
	}
}

// Both logs write times and levels in one way.
func TestOwnLogIsLikeTheAccessLog(t *testing.T) {
	c := config.Defaults()
	t.Chdir(t.TempDir())
	c.Log.Level, c.Log.Access.Output, c.Log.Access.Errors = "debug", "off", "errors.log"
	var own bytes.Buffer
	l := opened(t, &c, Options{Stderr: &own})
	at := time.Date(2026, 1, 2, 3, 4, 5, 678999999, time.FixedZone("east", 3600))
	for _, level := range []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError} {
		r := slog.NewRecord(at, level, "m", 0)
		r.Add("level", "mine", "n", 1)
		if err := l.log.Handler().Handle(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Flush(); err != nil {
		t.Fatal(err)
	}
	line := func(level string) string {
		return `{"time":"2026-01-02T02:04:05.678Z","level":"` + level + `","msg":"m","level":"mine","n":1}` + "\n"
	}
	if want := line("debug") + line("info") + line("warn") + line("error"); own.String() != want {
		t.Errorf("got\n%s\nwant\n%s", own.String(), want)
	}
	if got := text(t, "errors.log"); got != line("error") {
		t.Errorf("errors have %s", got)
	}
}

// When one of the files can't be opened, the others are not left behind, and what is in use stays.
func TestErrorsCantBeOpened(t *testing.T) {
	t.Chdir(t.TempDir())
	c := config.Defaults()
	c.Log.Access.Output = "off"
	var stderr bytes.Buffer
	l := opened(t, &c, Options{Stderr: &stderr})
	bad := c
	bad.Log.Access.Output, bad.Log.Access.Errors = "app.log", "none/errors.log"
	if next, err := l.open(&bad); err == nil || next != nil || !strings.Contains(err.Error(), "none/errors.log") {
		t.Errorf("%v, %v", next, err)
	}
	l.log.Warn("goes on")
	if err := l.Flush(); err != nil || !strings.Contains(stderr.String(), "goes on") {
		t.Errorf("%v; stderr has %q", err, stderr.String())
	}
}

// Everything about logs can be replaced while they are used: outputs, levels, formats.
func TestLogsAreReplaced(t *testing.T) {
	t.Chdir(t.TempDir())
	first, second := config.Defaults(), config.Defaults()
	first.Log.Access.Output, first.Log.Access.Errors = "a.log", "auto"
	second.Log.Access.Output, second.Log.Access.Errors, second.Log.Access.Format = "b.log", "auto", "console"
	second.Log.Level, second.Log.Format = "debug", "console"
	var stderr bytes.Buffer
	l := opened(t, &first, Options{Stderr: &stderr})
	say := func(path string) {
		l.log.Debug("debug " + path)
		l.log.Error("error " + path)
		l.access.Log(&telemetry.Record{Time: time.Now(), Method: "GET", Path: path, Status: 500, Failed: true})
	}
	say("/first")
	use(t, l, &second)
	say("/second")
	if err := l.Flush(); err != nil {
		t.Fatal(err)
	}
	if got := text(t, "a.log"); strings.Count(got, "\n") != 1 || !strings.Contains(got, `"path":"/first"`) {
		t.Errorf("a.log has\n%s", got)
	}
	if got := text(t, "b.log"); strings.Count(got, "\n") != 1 || !strings.Contains(got, "INFO  500 GET /second 0.000ms") && !strings.Contains(got, "ERROR 500 GET /second 0.000ms") {
		t.Errorf("b.log has\n%s", got)
	}
	if got := text(t, "b-error.log"); strings.Count(got, "\n") != 2 || !strings.Contains(got, "ERROR error /second") {
		t.Errorf("b-error.log has\n%s", got)
	}
	if got := stderr.String(); strings.Count(got, "\n") != 3 || !strings.Contains(got, `"msg":"error /first"`) || !strings.Contains(got, "Z DEBUG debug /second\n") {
		t.Errorf("stderr has\n%s", got)
	}
	if l.Dropped() != 0 {
		t.Errorf("%d lines dropped", l.Dropped())
	}
}

// Where there is a directory for logs, everything goes there that would go to stdout and stderr, and
// nothing that has a file already.
func TestLogDir(t *testing.T) {
	for _, tt := range []struct{ output, errors, all, failed string }{
		{"stdout", "off", "own /good /bad", ""},
		{"stdout", "auto", "own /good /bad", "own /bad"},
		{"stderr", "stdout", "own /good /bad", "own /bad"},
		{"off", "stderr", "own", "own /bad"},
		{"elsewhere.log", "auto", "own", ""},
	} {
		dir := filepath.Join(t.TempDir(), "state", "logs")
		c := config.Defaults()
		t.Chdir(t.TempDir())
		c.Log.Access.Output, c.Log.Access.Errors = tt.output, tt.errors
		var streams bytes.Buffer
		l := opened(t, &c, Options{Stdout: &streams, Stderr: &streams, LogDir: dir})
		l.log.Error("own")
		if err := l.Flush(); err != nil {
			t.Fatal(err)
		}
		l.access.Log(&telemetry.Record{Path: "/good"})
		l.access.Log(&telemetry.Record{Path: "/bad", Failed: true})
		if err := l.Flush(); err != nil {
			t.Fatal(err)
		}
		for file, want := range map[string]string{"yett.log": tt.all, "yett-error.log": tt.failed} {
			b, err := os.ReadFile(filepath.Join(dir, file))
			var got []string
			for line := range strings.Lines(string(b)) {
				for _, what := range []string{`"own"`, `"/good"`, `"/bad"`} {
					if strings.Contains(line, what) {
						got = append(got, strings.Trim(what, `"`))
					}
				}
			}
			if strings.Join(got, " ") != want || (err != nil) != (want == "") {
				t.Errorf("output %s, errors %s: %s has %q (%v), want %q", tt.output, tt.errors, file, got, err, want)
			}
		}
		if streams.Len() > 0 {
			t.Errorf("streams have %s", &streams)
		}
	}
}

// stuck is an output that takes nothing until it is let go.
type stuck struct{ gate chan struct{} }

func (s *stuck) Write(b []byte) (int, error) { <-s.gate; return len(b), nil }

// A stuck stderr keeps nobody waiting who logs, and its lines are counted.
func TestStuckStderr(t *testing.T) {
	c := config.Defaults()
	c.Log.Access.Output = "off"
	out := &stuck{make(chan struct{})}
	l := opened(t, &c, Options{Stderr: out})
	wide := strings.Repeat("x", 8<<10)
	for l.Dropped() < 5 {
		l.log.Info(wide)
	}
	if err := l.Reopen(); err != nil {
		t.Error(err)
	}
	close(out.gate)
}

func TestLogFiles(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe.log")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ output, errors, all, failed string }{
		{"/a/b.log", "auto", "/a/b.log", "/a/b-error.log"}, {"/a/b.log", "off", "/a/b.log", ""}, {"stdout", "/a/e.log", "", "/a/e.log"},
		{"stdout", "auto", "", ""}, {"off", "stderr", "", ""}, {pipe, "auto", "", ""}, {"/dev/stdout", "/dev/full", "", ""},
	} {
		c := config.Defaults()
		c.Log.Access.Output, c.Log.Access.Errors = tt.output, tt.errors
		all, failed := LogFiles(&c)
		if strings.Join(all, " ") != tt.all || strings.Join(failed, " ") != tt.failed {
			t.Errorf("%s, %s: %q and %q", tt.output, tt.errors, all, failed)
		}
	}
}
