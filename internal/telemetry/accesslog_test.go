package telemetry

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"yett/internal/telemetry/logfile"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sink is an output that notes each write, and can be stuck or broken.
type sink struct {
	mu     sync.Mutex
	writes [][]byte
	gate   chan struct{} // when not nil, each write takes one from it first
	fail   func(p []byte) (int, error)
	closed int
}

// set changes what the output does from now on.
func (s *sink) set(fail func([]byte) (int, error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = fail
}

func (s *sink) Write(p []byte) (int, error) {
	if s.gate != nil {
		<-s.gate
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := len(p), error(nil)
	if s.fail != nil {
		n, err = s.fail(p)
	}
	s.writes = append(s.writes, bytes.Clone(p[:n]))
	return n, err
}

func (s *sink) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed++
	return nil
}

func (s *sink) open() (io.WriteCloser, error) { return s, nil }

func (s *sink) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.writes)
}

func (s *sink) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return string(bytes.Join(s.writes, nil))
}

func open(t *testing.T, o Opener, opt Options) *AccessLog {
	t.Helper()
	l, err := NewAccessLog(o, opt)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func closeLog(t *testing.T, l *AccessLog) {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

// paths returns the path of each line, and "dropped N" for a note.
func paths(t *testing.T, text string) []string {
	t.Helper()
	var out []string
	for line := range strings.Lines(text) {
		var v struct {
			Path    string
			Dropped int
		}
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatalf("line %q: %v", line, err)
		}
		if v.Dropped > 0 {
			v.Path = fmt.Sprintf("dropped %d", v.Dropped)
		}
		out = append(out, v.Path)
	}
	return out
}

func TestLinesWaitForFlush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &sink{}
		l := open(t, out.open, Options{Flush: 50 * time.Millisecond})
		l.Log(&Record{Path: "/1"})
		time.Sleep(30 * time.Millisecond)
		l.Log(&Record{Path: "/2"})
		time.Sleep(19 * time.Millisecond)
		synctest.Wait()
		if n := out.count(); n != 0 {
			t.Fatalf("%d writes before the time was over", n)
		}
		time.Sleep(time.Millisecond)
		synctest.Wait()
		if got := paths(t, out.text()); out.count() != 1 || len(got) != 2 {
			t.Fatalf("%d writes of %q, want one with both", out.count(), got)
		}
		l.Log(&Record{Path: "/3"}) // the timer has to be armed again
		time.Sleep(50 * time.Millisecond)
		synctest.Wait()
		if n := out.count(); n != 2 {
			t.Errorf("%d writes, want 2", n)
		}
		closeLog(t, l)
		if out.count() != 2 || out.closed != 1 {
			t.Errorf("%d writes and %d closes after Close", out.count(), out.closed)
		}
	})
}

func TestFullBatchDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &sink{}
		l := open(t, out.open, Options{Flush: time.Hour})
		r := realistic()
		e := encoder{}
		for range batch/len(e.append(nil, &r)) + 1 {
			synctest.Wait()
			if n := out.count(); n != 0 {
				t.Fatalf("%d writes before the batch was full", n)
			}
			l.Log(&r)
		}
		synctest.Wait()
		if n := out.count(); n != 1 {
			t.Errorf("%d writes, want 1", n)
		}
		closeLog(t, l)
	})
}

func TestZeroFlushWritesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &sink{}
		l := open(t, out.open, Options{})
		for i := range 3 {
			l.Log(&Record{Path: "/"})
			synctest.Wait()
			if n := out.count(); n != i+1 {
				t.Fatalf("%d writes after %d lines", n, i+1)
			}
		}
		closeLog(t, l)
	})
}

func TestCloseWritesWhatWaits(t *testing.T) {
	out := &sink{}
	l := open(t, out.open, Options{Flush: time.Hour})
	l.Log(&Record{Path: "/1"})
	closeLog(t, l)
	closeLog(t, l)
	l.Log(&Record{Path: "/late"})
	if got := out.text(); !strings.Contains(got, "/1") || strings.Contains(got, "/late") || out.closed != 1 {
		t.Errorf("wrote %q and closed %d times", got, out.closed)
	}
	if n := l.Dropped(); n != 1 {
		t.Errorf("Dropped() = %d, want 1", n)
	}
}

func TestStuckOutputCostsLinesNotTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &sink{gate: make(chan struct{})}
		l := open(t, out.open, Options{})
		l.Log(&Record{Path: "/first"})
		synctest.Wait() // its write is stuck now

		wide := Record{Path: "/" + strings.Repeat("x", 8<<10)}
		kept := 0
		for l.Dropped() == 0 {
			l.Log(&wide)
			kept++
		}
		kept--
		for range 9 {
			l.Log(&wide)
		}
		l.mu.Lock()
		size := len(l.buf)
		l.mu.Unlock()
		if size < maxWaiting || size > maxWaiting+16<<10 {
			t.Errorf("%d bytes wait, want about %d", size, maxWaiting)
		}
		if err := l.Close(); err == nil || !strings.Contains(err.Error(), "takes nothing") {
			t.Errorf("Close of a stuck output: %v", err)
		}
		close(out.gate)
		<-l.done

		got := paths(t, out.text())
		if len(got) != 1+kept+1 || got[0] != "/first" || got[len(got)-1] != "dropped 10" {
			t.Errorf("%d lines, the last is %q, want %d and a note of 10", len(got), got[len(got)-1], 1+kept+1)
		}
		if n := l.Dropped(); n != 10 {
			t.Errorf("Dropped() = %d, want 10", n)
		}
		if cap(l.spare) > keepBuffer {
			t.Errorf("a buffer of %d bytes was kept", cap(l.spare))
		}
	})
}

// What an output did not take it gets later, where it stopped. It is told once that it fails, and once
// that it doesn't any more.
func TestFailuresAreTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		full := errors.New("disk full")
		out := &sink{}
		var told []string
		l := open(t, out.open, Options{
			OnError:   func(err error) { told = append(told, err.Error()) },
			OnRecover: func(n uint64) { told = append(told, fmt.Sprintf("recovered, %d dropped", n)) },
		})
		log := func(path string, fail func([]byte) (int, error)) {
			out.set(fail)
			l.Log(&Record{Path: path})
			time.Sleep(retryEvery + time.Millisecond)
			synctest.Wait()
		}
		broken := func([]byte) (int, error) { return 0, full }
		cut := func([]byte) (int, error) { return 5, full }
		log("/1", broken)
		log("/2", broken)
		log("/3", nil)
		log("/4", cut)
		log("/5", broken)
		log("/6", nil)
		want := []string{"write the access log: disk full", "recovered, 0 dropped", "write the access log: disk full", "recovered, 0 dropped"}
		if !slices.Equal(told, want) {
			t.Errorf("told %q", told)
		}
		if got := strings.Join(paths(t, out.text()), " "); got != "/1 /2 /3 /4 /5 /6" || l.Dropped() != 0 {
			t.Errorf("%q written, %d dropped", got, l.Dropped())
		}
		closeLog(t, l)
	})
}

// While an output fails only so much waits. It is told how many lines that has cost, and the log says so too.
func TestLongFailureCostsLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &sink{}
		var recovered uint64
		l := open(t, out.open, Options{Name: "log of lemons", OnRecover: func(n uint64) { recovered = n }})
		out.set(func([]byte) (int, error) { return 0, errors.New("disk full") })
		wide := Record{Path: "/" + strings.Repeat("x", 8<<10)}
		for l.Dropped() < 10 {
			l.Log(&wide)
		}
		out.set(nil)
		time.Sleep(retryEvery)
		synctest.Wait()
		got := paths(t, out.text())
		if recovered != 10 || got[len(got)-1] != "dropped 10" || !strings.Contains(out.text(), `"msg":"log of lemons lines dropped"`) {
			t.Errorf("recovered with %d dropped; the last line is %s", recovered, got[len(got)-1])
		}
		closeLog(t, l)
	})
}

// What was not written at the end is counted.
func TestCloseOfABrokenOutput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &sink{}
		l := open(t, out.open, Options{})
		out.set(func([]byte) (int, error) { return 0, errors.New("disk full") })
		l.Log(&Record{Path: "/1"})
		synctest.Wait()
		l.Log(&Record{Path: "/2"})
		l.Log(&Record{Path: "/3"})
		closeLog(t, l)
		if n := l.Dropped(); n != 3 || out.text() != "" {
			t.Errorf("Dropped() = %d; written %q", n, out.text())
		}
	})
}

// A line of which the old output has a part is in the new one as a whole.
func TestReopenWithinALine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old, next := &sink{}, &sink{}
		outs := []*sink{old, next}
		l := open(t, func() (io.WriteCloser, error) {
			out := outs[0]
			outs = outs[1:]
			return out, nil
		}, Options{Flush: time.Second})
		l.Log(&Record{Path: "/1"})
		l.Log(&Record{Path: "/2"})
		old.set(func(p []byte) (int, error) { return bytes.IndexByte(p, '\n') + 10, errors.New("disk full") })
		time.Sleep(time.Second)
		synctest.Wait()
		if err := l.Reopen(); err != nil {
			t.Fatal(err)
		}
		closeLog(t, l)
		if got := paths(t, next.text()); len(got) != 1 || got[0] != "/2" {
			t.Errorf("the new output has %q", got)
		}
	})
}

func TestFlush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &sink{}
		l := open(t, out.open, Options{Flush: time.Hour})
		l.Log(&Record{Path: "/1"})
		if err := l.Flush(); err != nil || out.count() != 1 {
			t.Errorf("%d writes, %v", out.count(), err)
		}
		out.gate = make(chan struct{})
		l.Log(&Record{Path: "/2"})
		for range 2 {
			if err := l.Flush(); err == nil || !strings.Contains(err.Error(), "takes nothing") {
				t.Errorf("Flush of a stuck output: %v", err)
			}
		}
		close(out.gate)
		closeLog(t, l)
		if err := l.Flush(); err != nil {
			t.Error(err)
		}
	})
}

// A stuck output keeps nobody from opening a new one, which gets all that comes after.
func TestReopenOfAStuckOutput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stuck, next := &sink{gate: make(chan struct{})}, &sink{}
		outs := []*sink{stuck, next, next}
		l := open(t, func() (io.WriteCloser, error) {
			out := outs[0]
			outs = outs[1:]
			return out, nil
		}, Options{})
		l.Log(&Record{Path: "/1"})
		synctest.Wait()
		if err := errors.Join(l.Reopen(), l.Reopen()); err != nil {
			t.Error(err)
		}
		l.Log(&Record{Path: "/2"})
		close(stuck.gate)
		closeLog(t, l)
		if got := paths(t, next.text()); len(got) != 1 || got[0] != "/2" || stuck.closed != 1 || next.closed != 2 {
			t.Errorf("the new output has %q; closed %d and %d times", got, stuck.closed, next.closed)
		}
	})
}

func TestFormat(t *testing.T) {
	out := &sink{}
	l := open(t, out.open, Options{Format: func(dst, line []byte) []byte { return fmt.Appendf(dst, "%d\n", len(line)) }})
	fmt.Fprintln(l, "1234")
	fmt.Fprintln(l, "123")
	closeLog(t, l)
	if out.text() != "5\n4\n" {
		t.Errorf("written %q", out.text())
	}
}

func TestReopenFollowsRotation(t *testing.T) {
	name := filepath.Join(t.TempDir(), "access.log")
	l := open(t, ToFile(name, logfile.Options{}), Options{Flush: time.Hour})
	l.Log(&Record{Path: "/old"})
	if err := l.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(name, name+".1"); err != nil {
		t.Fatal(err)
	}
	if err := l.Reopen(); err != nil {
		t.Fatal(err)
	}
	l.Log(&Record{Path: "/new"})
	closeLog(t, l)
	for file, want := range map[string]string{name + ".1": "/old", name: "/new"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if got := paths(t, string(text)); len(got) != 1 || got[0] != want {
			t.Errorf("%s holds %q, want %s", filepath.Base(file), got, want)
		}
	}
	if info, err := os.Stat(name); err != nil || info.Mode().Perm()&0o007 != 0 {
		t.Errorf("others may read the log: %v %v", info.Mode(), err)
	}
}

func TestReopenKeepsTheOldOutputOnFailure(t *testing.T) {
	out := &sink{}
	refuse := errors.New("no such directory")
	calls := 0
	l := open(t, func() (io.WriteCloser, error) {
		if calls++; calls > 1 {
			return nil, refuse
		}
		return out, nil
	}, Options{Flush: time.Hour})
	if err := l.Reopen(); !errors.Is(err, refuse) {
		t.Errorf("Reopen: %v", err)
	}
	l.Log(&Record{Path: "/1"})
	closeLog(t, l)
	if got := paths(t, out.text()); len(got) != 1 {
		t.Errorf("lines: %q", got)
	}
}

func TestOpenFails(t *testing.T) {
	if _, err := NewAccessLog(ToFile(filepath.Join(t.TempDir(), "none", "access.log"), logfile.Options{}), Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("err = %v", err)
	}
}

func TestStreamStaysOpen(t *testing.T) {
	out := &sink{}
	l := open(t, ToStream(out), Options{})
	l.Log(&Record{})
	closeLog(t, l)
	if out.closed != 0 || out.count() != 1 {
		t.Errorf("%d closes, %d writes", out.closed, out.count())
	}
}

func TestManyWriters(t *testing.T) {
	out := &sink{}
	l := open(t, out.open, Options{Flush: time.Millisecond})
	const writers, each = 8, 500
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			r := realistic()
			for range each {
				l.Log(&r)
			}
		})
	}
	wg.Go(func() {
		for range 20 {
			if err := l.Reopen(); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Wait()
	closeLog(t, l)
	if n := len(paths(t, out.text())); n != writers*each || l.Dropped() != 0 {
		t.Errorf("%d lines and %d dropped, want %d and 0", n, l.Dropped(), writers*each)
	}
}

func TestLogDoesNotAllocate(t *testing.T) {
	l := open(t, ToStream(io.Discard), Options{Flush: time.Millisecond})
	defer closeLog(t, l)
	r := realistic()
	targets, next := []string{"10.0.0.1:80", "10.0.0.2:80", "10.0.0.31:80", "10.0.0.1:3080"}, 0
	if n := testing.AllocsPerRun(2000, func() {
		next++
		r.Target, r.Status = targets[next%len(targets)], 200+next/4%2
		r.Time = r.Time.Add(300 * time.Millisecond)
		l.Log(&r)
	}); n != 0 {
		t.Errorf("%v allocations for each line", n)
	}
}

func BenchmarkLog(b *testing.B) {
	l, err := NewAccessLog(ToStream(io.Discard), Options{Flush: 50 * time.Millisecond})
	if err != nil {
		b.Fatal(err)
	}
	r := realistic()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		r.Time = r.Time.Add(50 * time.Microsecond)
		l.Log(&r)
		if i%64 == 0 { // requests wait for sockets now and then, a benchmark doesn't
			runtime.Gosched()
		}
	}
	if err := l.Close(); err != nil || l.Dropped() > 0 {
		b.Fatal(err, l.Dropped())
	}
}

func BenchmarkEncode(b *testing.B) {
	e := encoder{}
	full, least := realistic(), Record{Method: "GET", Path: "/health", Version: "HTTP/1.1", Status: 200}
	hostile := realistic()
	hostile.Path = "/größe/\x01\"x\""
	buf := make([]byte, 0, 4096)
	for name, r := range map[string]*Record{"realistic": &full, "least": &least, "hostile": &hostile} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r.Time = r.Time.Add(50 * time.Microsecond)
				buf = e.append(buf[:0], r)
			}
		})
	}
}
