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
		c.Log.Access.Output, c.Log.Access.Errors = tt.output, tt.errors
		if got := errorsOutput(&c); got != tt.want {
			t.Errorf("output %s, errors %s: %s, want %s", tt.output, tt.errors, got, tt.want)
		}
	}
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
			var own errorLines
			log := slog.New(newHandler("info", &stderr, &own))
			log.Error("too early for the file")
			logs, err := openLogs(&c, Options{Stderr: &stderr}, log)
			own.use(&c, logs)
			if err != nil {
				t.Fatal(err)
			}
			log.With("a", "b").Error("broken")
			log.Warn("strange")
			if logs != nil {
				logs.Log(telemetry.Record{Path: "/bad", Failed: true})
				if err := logs.Close(); err != nil {
					t.Error(err)
				}
			}
			if (logs == nil) != (errors == "off") {
				t.Errorf("logs are %v", logs)
			}
			if got := stderr.String(); strings.Count(got, "broken") != 1 || strings.Count(got, "strange") != 1 || strings.Count(got, "too early") != 1 {
				t.Errorf("stderr has\n%s", got)
			}
			if errors != "errors.log" {
				return
			}
			text, err := os.ReadFile("errors.log")
			if err != nil || strings.Count(string(text), "\n") != 2 || !strings.Contains(string(text), `"msg":"broken","a":"b"`) || !strings.Contains(string(text), "/bad") {
				t.Errorf("the file has %v\n%s", err, text)
			}
		})
	}
}

// Both logs write times and levels in one way.
func TestOwnLogIsLikeTheAccessLog(t *testing.T) {
	var own, failed bytes.Buffer
	log := slog.New(newHandler("debug", &own, &failed))
	at := time.Date(2026, 1, 2, 3, 4, 5, 678999999, time.FixedZone("east", 3600))
	for _, level := range []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError} {
		r := slog.NewRecord(at, level, "m", 0)
		r.Add("level", "mine", "n", 1)
		if err := log.Handler().Handle(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	line := func(level string) string {
		return `{"time":"2026-01-02T02:04:05.678Z","level":"` + level + `","msg":"m","level":"mine","n":1}` + "\n"
	}
	if want := line("debug") + line("info") + line("warn") + line("error"); own.String() != want {
		t.Errorf("got\n%s\nwant\n%s", own.String(), want)
	}
	if failed.String() != line("error") {
		t.Errorf("errors have %s", failed.String())
	}
}

// When one of the files can't be opened, the other is not left behind.
func TestErrorsCantBeOpened(t *testing.T) {
	t.Chdir(t.TempDir())
	c := config.Defaults()
	c.Log.Access.Output, c.Log.Access.Errors = "app.log", "none/errors.log"
	var own errorLines
	if logs, err := openLogs(&c, Options{}, slog.New(newHandler("info", os.Stderr, &own))); err == nil || logs != nil || !strings.Contains(err.Error(), "none/errors.log") {
		t.Errorf("%v, %v", logs, err)
	}
}
