package main

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func testSubject(t *testing.T, handler http.HandlerFunc) loadTarget {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return loadTarget{
		traffic: traffic{Request: request{Method: "GET", Path: "/"}.bytes()},
		Address: netip.MustParseAddrPort(server.Listener.Addr().String()),
		PIDs:    []int{os.Getpid()}, Want: ok(5),
	}
}

func hello(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }

func testSpec(t *testing.T, subjects ...loadTarget) loadSpec {
	t.Helper()
	at, err := choosePlaces(0)
	if err != nil {
		t.Fatal(err)
	}
	return loadSpec{
		Conns: 2, Subjects: subjects,
		Rounds: 3, Duration: 20 * time.Millisecond, Warmup: 5 * time.Millisecond, Cores: at.cores(),
	}
}

// A subject that fails, at the start or later, costs the others nothing.
func TestContestGoesOnWithoutWhoFails(t *testing.T) {
	var served atomic.Int64
	late := testSubject(t, func(w http.ResponseWriter, r *http.Request) {
		if served.Add(1) > 200 {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		hello(w, r)
	})
	gone := loadTarget{Address: loopback(1), PIDs: []int{os.Getpid()}, Want: ok(5)}
	for _, rate := range []float64{0, 5000} {
		served.Store(0)
		spec := testSpec(t, testSubject(t, hello), gone, late)
		spec.Rate, spec.Rounds, spec.Warmup = rate, 20, time.Millisecond
		found, err := runLoad(spec)
		if err != nil {
			t.Fatal(err)
		}
		if len(found.Windows[0]) != spec.Rounds || found.Failures[0] != "" {
			t.Errorf("rate %v: the good one has %d rounds and failure %q", rate, len(found.Windows[0]), found.Failures[0])
		}
		for i, want := range map[int]string{1: "connect", 2: "502"} {
			if len(found.Windows[i]) > 0 || !strings.Contains(found.Failures[i], want) {
				t.Errorf("rate %v: subject %d has %d rounds and failure %q, want one with %q", rate, i, len(found.Windows[i]), found.Failures[i], want)
			}
		}
	}
}

func TestContestCounts(t *testing.T) {
	s := testSubject(t, hello)
	socket := allocsSocket(t, "41")
	s.Allocs = socket
	spec := testSpec(t, s)
	spec.Count = true
	found, err := runLoad(spec)
	if err != nil || found.Failures[0] != "" {
		t.Fatal(err, found.Failures)
	}
	for _, w := range found.Windows[0] {
		if w.Allocs != 0 { // it always tells the same
			t.Errorf("%d allocations, want none", w.Allocs)
		}
		if m := newCallMeter([]int{os.Getpid()}); m != nil && w.Syscalls < 2*w.Requests {
			t.Errorf("%d system calls for %d requests, want at least two for each", w.Syscalls, w.Requests)
		} else {
			m.close()
		}
	}
}

// allocsSocket tells everybody who connects the same.
func allocsSocket(t *testing.T, text string) string {
	t.Helper()
	l, err := net.Listen("unix", "@"+t.Name()+t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, text)
			conn.Close()
		}
	}()
	return l.Addr().String()
}

func TestAskAllocs(t *testing.T) {
	if n, err := askAllocs(allocsSocket(t, "12345")); err != nil || n != 12345 {
		t.Errorf("askAllocs = %d, %v", n, err)
	}
	if _, err := askAllocs(allocsAddress(os.Getpid())); err == nil {
		t.Error("nobody is there: no error")
	}
}

func TestCallMeter(t *testing.T) {
	m := newCallMeter([]int{os.Getpid()})
	if m == nil {
		t.Skip("the kernel does not let this process count system calls")
	}
	defer m.close()
	before, err := m.read()
	if err != nil {
		t.Fatal(err)
	}
	const calls = 1000
	for range calls {
		unix.Getppid()
	}
	after, err := m.read()
	if n := after - before; err != nil || n < calls || n > 3*calls {
		t.Errorf("%d system calls, %v, want about %d", n, err, calls)
	}
}

// The file that Yett is built with besides has to compile with it.
func TestBuildCounting(t *testing.T) {
	if testing.Short() {
		t.Skip("builds yett")
	}
	path, err := buildWith(t.Context(), t.TempDir(), "allocs", allocsSource)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode()&0o100 == 0 {
		t.Errorf("%s can't be executed: %v", path, err)
	}
}

// A case that fails is noted, the others are measured, and all of it is saved
// before the next begins.
func TestRunGoesOnAfterAFailure(t *testing.T) {
	file := filepath.Join(t.TempDir(), "results.ndjson")
	b := &bench{options: options{json: file}, log: io.Discard, report: &report{}, fresh: make(map[string]bool)}
	var saved []int
	step := func(do func() error) func(context.Context, benchCase) error {
		return func(context.Context, benchCase) error {
			if r, err := readReport(file); err == nil {
				saved = append(saved, len(r.Cases))
			}
			return do()
		}
	}
	good := func() error {
		b.current.Results = []caseResult{{Subject: "yett"}}
		return nil
	}
	err := b.runAll(t.Context(), []work{
		{benchCase{Name: "a"}, step(good)},
		{benchCase{Name: "b"}, step(func() error { return errors.New("no luck\nthe end of its log") })},
		{benchCase{Name: "c"}, step(good)},
	})
	if err != nil {
		t.Fatal(err)
	}
	r, err := readReport(file)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Cases) != 3 || len(r.Cases[0].Results) != 1 || len(r.Cases[2].Results) != 1 {
		t.Fatalf("saved are %+v", r.Cases)
	}
	if f := r.failures(); len(f) != 1 || f[0] != "b: no luck" {
		t.Errorf("failures are %q", f)
	}
	if len(saved) != 2 || saved[0] != 1 || saved[1] != 2 {
		t.Errorf("saved before the later cases were %v cases, want 1 and 2", saved)
	}
}

// Who stops the run has not made a case fail.
func TestRunStops(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	b := &bench{log: io.Discard, report: &report{}, fresh: make(map[string]bool)}
	err := b.runAll(ctx, []work{
		{benchCase{Name: "a"}, func(context.Context, benchCase) error { stop(); return errors.New("killed") }},
		{benchCase{Name: "b"}, func(context.Context, benchCase) error { t.Error("b was begun"); return nil }},
	})
	if !errors.Is(err, context.Canceled) || len(b.report.Cases) > 0 {
		t.Errorf("error %v, %d cases", err, len(b.report.Cases))
	}
}

// Cases measured anew replace older ones; the others stay.
func TestOnto(t *testing.T) {
	file := filepath.Join(t.TempDir(), "results.ndjson")
	first, err := beginReport(options{}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	first.put(caseReport{Name: "a", About: "old"})
	first.put(caseReport{Name: "b"})
	if err := first.save(file); err != nil {
		t.Fatal(err)
	}
	second, err := beginReport(options{onto: file}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	second.put(caseReport{Name: "a", About: "new"})
	if len(second.Cases) != 2 || second.Cases[0].About != "new" || second.Cases[1].Name != "b" {
		t.Errorf("cases are %+v", second.Cases)
	}
	first.Machine.CPU = "Abacus 3000"
	if err := first.save(file); err != nil {
		t.Fatal(err)
	}
	if _, err := beginReport(options{onto: file}, time.Now()); err == nil {
		t.Error("results of another machine: no error")
	}
}
