package main

import (
	"os"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestParseStat(t *testing.T) {
	tests := []struct {
		line        string
		pid, parent int
		bad         bool
	}{
		{line: "42 (nginx) S 41 42 42 0 -1", pid: 42, parent: 41},
		{line: "42 (a) b (c) S 7 42 42 0 -1", pid: 42, parent: 7},
		{line: "x (nginx) S 41", bad: true},
		{line: "42 (nginx) S", bad: true},
		{line: "42 (nginx) S x", bad: true},
	}
	for _, test := range tests {
		pid, parent, err := parseStat([]byte(test.line))
		if (err != nil) != test.bad {
			t.Errorf("parseStat(%q): error %v", test.line, err)
		}
		if err == nil && (pid != test.pid || parent != test.parent) {
			t.Errorf("parseStat(%q) = %d, %d, want %d, %d", test.line, pid, parent, test.pid, test.parent)
		}
	}
}

func TestParseResident(t *testing.T) {
	kb, err := parseResident([]byte("Name:\tnginx\nVmHWM:\t  9000 kB\nVmRSS:\t  8123 kB\nThreads:\t1\n"))
	if err != nil || kb != 8123 {
		t.Errorf("parseResident = %d, %v, want 8123", kb, err)
	}
	for _, bad := range []string{"", "Name:\tx\n", "Name:\tx\nVmRSS:", "Name:\tx\nVmRSS:\tmany kB\n"} {
		if _, err := parseResident([]byte(bad)); err == nil {
			t.Errorf("parseResident(%q): no error", bad)
		}
	}
}

func TestParseIdle(t *testing.T) {
	data := []byte("cpu  9 9 9 9 9 9 9\ncpu0 1 2 3 40 5 6 7\ncpu1 1 2 3 100 20 6 7\ncpu10 1 2 3 7 0 6 7\nintr 1\n")
	for core, want := range map[int]time.Duration{
		0:  450 * time.Millisecond,
		1:  1200 * time.Millisecond,
		10: 70 * time.Millisecond,
	} {
		if got, err := parseIdle(data, core); err != nil || got != want {
			t.Errorf("parseIdle(core %d) = %v, %v, want %v", core, got, err, want)
		}
	}
	if _, err := parseIdle(data, 2); err == nil {
		t.Error("parseIdle of a missing core: no error")
	}
}

func TestCPUTimeOfSelf(t *testing.T) {
	self := []int{os.Getpid()}
	// Reading the clock is mostly time in the kernel, which has to count.
	for used(t).system < 50*time.Millisecond {
		if _, err := cpuTime(self); err != nil {
			t.Fatal(err)
		}
	}
	before := used(t)
	got, err := cpuTime(self)
	if err != nil {
		t.Fatal(err)
	}
	after := used(t)
	const rounding = time.Millisecond
	if low, high := before.user+before.system-rounding, after.user+after.system+rounding; got < low || got > high {
		t.Errorf("CPU time %v, want %v to %v", got, low, high)
	}
	if twice, err := cpuTime([]int{self[0], self[0]}); err != nil || twice < 2*got {
		t.Errorf("CPU time of both = %v, %v, want at least twice %v", twice, err, got)
	}
}

func TestParseSplit(t *testing.T) {
	user, system, err := parseSplit([]byte("42 (a) b (c) S 7 42 42 0 -1 4194304 1 2 3 4 120 45 9 9 20 0 1 0 5"))
	if err != nil || user != 1200*time.Millisecond || system != 450*time.Millisecond {
		t.Errorf("parseSplit = %v, %v, %v, want 1.2 s and 450 ms", user, system, err)
	}
	for _, bad := range []string{"", "42 (x) S 7 42", "42 (x) S 7 42 42 0 -1 4194304 1 2 3 4 a 45 9"} {
		if _, _, err := parseSplit([]byte(bad)); err == nil {
			t.Errorf("parseSplit(%q): no error", bad)
		}
	}
}

// The parts are those of the whole, give or take a step of their clocks.
func TestSplitTimeOfSelf(t *testing.T) {
	before, err := cpuTime([]int{os.Getpid()})
	if err != nil {
		t.Fatal(err)
	}
	user, system, err := splitTime([]int{os.Getpid()})
	if err != nil {
		t.Fatal(err)
	}
	after, err := cpuTime([]int{os.Getpid()})
	if err != nil {
		t.Fatal(err)
	}
	if sum := user + system; sum < before-2*tick || sum > after+2*tick {
		t.Errorf("%v in user and %v in kernel mode, want %v to %v together", user, system, before, after)
	}
}

type usage struct{ user, system time.Duration }

// used is this process's CPU time, from another source than cpuTime.
func used(t *testing.T) usage {
	t.Helper()
	var r unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &r); err != nil {
		t.Fatal(err)
	}
	return usage{user: time.Duration(r.Utime.Nano()), system: time.Duration(r.Stime.Nano())}
}

func TestProcessTreeAndMemoryOfSelf(t *testing.T) {
	tree, err := processTree(os.Getppid())
	if err != nil {
		t.Fatal(err)
	}
	if tree[0] != os.Getppid() || !slices.Contains(tree, os.Getpid()) {
		t.Errorf("tree of the parent %d is %v, without the child %d", os.Getppid(), tree, os.Getpid())
	}
	resident, err := residentBytes([]int{os.Getpid()})
	if err != nil || resident < 1<<20 {
		t.Errorf("residentBytes = %d, %v, want at least 1 MB", resident, err)
	}
}

func TestForeignShare(t *testing.T) {
	begin := time.Now()
	before := reading{at: begin, subjects: []spent{{cpu: 5 * time.Second}, {cpu: time.Second}}, cores: 2}
	after := reading{
		at:       begin.Add(time.Second),
		subjects: []spent{{cpu: 5500 * time.Millisecond}, {cpu: 1200 * time.Millisecond}},
		harness:  600 * time.Millisecond,
		idle:     400 * time.Millisecond,
		cores:    2,
	}
	// Of two core seconds 0.7 went to subjects, 0.6 to the harness, 0.4 to nobody.
	if got := foreignShare(before, after); got < 0.299 || got > 0.301 {
		t.Errorf("foreignShare = %v, want 0.3", got)
	}
	after.idle = 2 * time.Second // the counters are coarse
	if got := foreignShare(before, after); got != 0 {
		t.Errorf("foreignShare = %v, want 0", got)
	}
}

func TestFileLimit(t *testing.T) {
	for _, conns := range []int{1, 1000, 10000} {
		if got := connsFor(filesFor(conns)); got != conns {
			t.Errorf("connsFor(filesFor(%d)) = %d", conns, got)
		}
	}
	if got := connsFor(10); got != 1 {
		t.Errorf("connsFor(10) = %d, want 1", got)
	}
}
