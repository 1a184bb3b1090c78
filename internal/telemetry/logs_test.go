package telemetry

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"yett/internal/telemetry/logfile"
)

// Errors stand in both logs, everything else in one. Lines that come written
// already keep their place between them.
func TestLogs(t *testing.T) {
	all, failed := &sink{}, &sink{}
	l := Logs{All: open(t, all.open, Options{Flush: time.Hour}), Errors: open(t, failed.open, Options{Flush: time.Hour})}
	l.Log(&Record{Path: "/good", Status: 200})
	l.Log(&Record{Path: "/bad", Status: 502, Failed: true})
	fmt.Fprintln(l.Errors, `{"path":"own"}`)
	l.Log(&Record{Path: "/cut", Status: 200, Failed: true})
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
		l.Log(&Record{Path: "/bad", Failed: true})
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
	l := Logs{All: open(t, ToFile(app, logfile.Options{}), Options{}), Errors: open(t, ToFile(failed, logfile.Options{}), Options{})}
	for _, gone := range []string{app, filepath.Dir(failed)} {
		if err := os.Rename(gone, gone+".1"); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Reopen(); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), failed) {
		t.Errorf("Reopen: %v", err)
	}
	l.Log(&Record{Path: "/bad", Failed: true})
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

// Logs are replaced while many requests are logged: each record is in one of them, once.
func TestSwapLosesNothing(t *testing.T) {
	var c Current
	c.Log(&Record{Path: "/to nobody", Failed: true})
	var outs []*sink
	next := func() Logs {
		all, failed := &sink{}, &sink{}
		outs = append(outs, all, failed)
		return Logs{All: open(t, all.open, Options{Flush: time.Millisecond}), Errors: open(t, failed.open, Options{})}
	}
	c.Swap(next())
	var own Slot
	const writers, swaps, each = 4, 50, 1000 // lines of one log, about: no more wait than there is room for
	var logged, allowed atomic.Int64
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			r := realistic()
			r.Failed = true
			for {
				select {
				case <-stop:
					return
				default:
				}
				if logged.Load() > allowed.Load() {
					runtime.Gosched()
					continue
				}
				c.Log(&r)
				logged.Add(2)
				if _, err := own.Write([]byte("{}\n")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	var dropped uint64
	for range swaps {
		before := logged.Load()
		allowed.Store(before + each)
		for logged.Load() < before+100 {
			time.Sleep(10 * time.Microsecond)
		}
		old := c.Swap(next())
		if err := old.Close(); err != nil {
			t.Error(err)
		}
		dropped += old.Dropped()
	}
	close(stop)
	wg.Wait()
	last := c.Swap(Logs{})
	if err := errors.Join(last.Flush(), last.Close()); err != nil {
		t.Error(err)
	}
	n := int64(0)
	for _, out := range outs {
		n += int64(strings.Count(out.text(), "\n"))
	}
	if dropped += last.Dropped(); n != logged.Load() || dropped != 0 {
		t.Errorf("%d of %d records are there, %d dropped", n, logged.Load(), dropped)
	}
}

// A log that was closed for good counts what comes later.
func TestSlotOfAClosedLog(t *testing.T) {
	out := &sink{}
	l := open(t, out.open, Options{})
	var s Slot
	s.Swap(l)
	closeLog(t, l)
	s.Log(&Record{})
	fmt.Fprintln(&s, "late")
	if l.Dropped() != 2 || out.text() != "" {
		t.Errorf("%d dropped, %q written", l.Dropped(), out.text())
	}
}

func TestCurrentDoesNotAllocate(t *testing.T) {
	var c Current
	l := open(t, ToStream(io.Discard), Options{Flush: time.Millisecond})
	c.Swap(Logs{All: l})
	defer closeLog(t, l)
	r := realistic()
	if n := testing.AllocsPerRun(2000, func() { c.Log(&r) }); n != 0 {
		t.Errorf("%v allocations for each line", n)
	}
}

func BenchmarkCurrent(b *testing.B) {
	l, err := NewAccessLog(ToStream(io.Discard), Options{Flush: 50 * time.Millisecond})
	if err != nil {
		b.Fatal(err)
	}
	var c Current
	logs := Logs{All: l}
	c.Swap(logs)
	r := realistic()
	for name, log := range map[string]func(*Record){"logs": logs.Log, "current": c.Log} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				r.Time = r.Time.Add(50 * time.Microsecond)
				log(&r)
				if i%64 == 0 {
					runtime.Gosched()
				}
			}
		})
	}
	if err := l.Close(); err != nil || l.Dropped() > 0 {
		b.Fatal(err, l.Dropped())
	}
}
