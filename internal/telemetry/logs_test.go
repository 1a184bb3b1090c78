package telemetry

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Errors stand in both logs, everything else in one. Lines that come written
// already keep their place between them.
func TestLogs(t *testing.T) {
	all, failed := &sink{}, &sink{}
	l := Logs{All: open(t, all.open, Options{Flush: time.Hour}), Errors: open(t, failed.open, Options{Flush: time.Hour})}
	l.Log(Record{Path: "/good", Status: 200})
	l.Log(Record{Path: "/bad", Status: 502, Failed: true})
	fmt.Fprintln(l.Errors, `{"path":"own"}`)
	l.Log(Record{Path: "/cut", Status: 200, Failed: true})
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if got := strings.Join(paths(t, all.text()), " "); got != "/good /bad /cut" {
		t.Errorf("the access log has %q", got)
	}
	if got := strings.Join(paths(t, failed.text()), " "); got != "/bad own /cut" {
		t.Errorf("the log of errors has %q", got)
	}
	if strings.Count(all.text(), `"level":"error"`) != 2 || strings.Count(all.text(), `"level":"info"`) != 1 {
		t.Errorf("levels in\n%s", all.text())
	}
}

func TestEitherLogAlone(t *testing.T) {
	for name, log := range map[string]func(*AccessLog) Logs{
		"all":    func(l *AccessLog) Logs { return Logs{All: l} },
		"errors": func(l *AccessLog) Logs { return Logs{Errors: l} },
	} {
		out := &sink{}
		l := log(open(t, out.open, Options{Flush: time.Hour}))
		l.Log(Record{Path: "/bad", Failed: true})
		if err := errors.Join(l.Reopen(), l.Close()); err != nil {
			t.Error(err)
		}
		if got := paths(t, out.text()); len(got) != 1 {
			t.Errorf("%s: lines %q", name, got)
		}
	}
}

// Both files follow a rotation, and one that can't be opened does not keep the
// other from it.
func TestLogsReopen(t *testing.T) {
	dir := t.TempDir()
	app, failed := filepath.Join(dir, "app.log"), filepath.Join(dir, "errors", "app.log")
	if err := os.Mkdir(filepath.Dir(failed), 0o700); err != nil {
		t.Fatal(err)
	}
	l := Logs{All: open(t, ToFile(app), Options{}), Errors: open(t, ToFile(failed), Options{})}
	for _, gone := range []string{app, filepath.Dir(failed)} {
		if err := os.Rename(gone, gone+".1"); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Reopen(); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), failed) {
		t.Errorf("Reopen: %v", err)
	}
	l.Log(Record{Path: "/bad", Failed: true})
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	for _, file := range []string{app, filepath.Join(dir, "errors.1", "app.log")} {
		if text, err := os.ReadFile(file); err != nil || len(paths(t, string(text))) != 1 {
			t.Errorf("%s: %q %v", file, text, err)
		}
	}
}

// A line that comes written already is subject to the same limits.
func TestWriteAfterClose(t *testing.T) {
	out := &sink{}
	l := open(t, out.open, Options{})
	closeLog(t, l)
	if n, err := l.Write([]byte("late\n")); n != 5 || err != nil {
		t.Errorf("Write: %d %v", n, err)
	}
	if l.Dropped() != 1 || out.text() != "" {
		t.Errorf("%d dropped, %q written", l.Dropped(), out.text())
	}
}
