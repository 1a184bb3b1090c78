package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// tick is the step of times in /proc: USER_HZ is 100 on every Linux that Go runs on.
const tick = 10 * time.Millisecond

// cpuTime returns the CPU time that processes have used since they started, in
// user and kernel mode, in all their threads, ended ones included.
func cpuTime(pids []int) (time.Duration, error) {
	var sum time.Duration
	for _, pid := range pids {
		// clock_getcpuclockid(3): the clock of a process is made from its pid.
		const wholeProcess = 2
		var ts unix.Timespec
		if err := unix.ClockGettime(int32(^pid<<3|wholeProcess), &ts); err != nil {
			return 0, fmt.Errorf("read CPU clock of process %d: %w", pid, err)
		}
		sum += time.Duration(ts.Nano())
	}
	return sum, nil
}

// splitTime returns the CPU time that processes have used in user and in kernel
// mode. The kernel gives it in steps of 10 ms.
func splitTime(pids []int) (user, system time.Duration, err error) {
	for _, pid := range pids {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			return 0, 0, fmt.Errorf("read times of process %d: %w", pid, err)
		}
		u, s, err := parseSplit(data)
		if err != nil {
			return 0, 0, fmt.Errorf("read times of process %d: %w", pid, err)
		}
		user, system = user+u, system+s
	}
	return user, system, nil
}

// parseSplit reads utime and stime from /proc/<pid>/stat.
func parseSplit(data []byte) (user, system time.Duration, err error) {
	const utime = 11 // behind the command's name
	fields := bytes.Fields(data[bytes.LastIndexByte(data, ')')+1:])
	if len(fields) < utime+2 {
		return 0, 0, errors.New("parse times: too few fields")
	}
	var times [2]time.Duration
	for i := range times {
		n, err := strconv.ParseInt(string(fields[utime+i]), 10, 64)
		if err != nil {
			return 0, 0, fmt.Errorf("parse times: %w", err)
		}
		times[i] = time.Duration(n) * tick
	}
	return times[0], times[1], nil
}

// idleTime returns how long cores have been idle, together, since they started.
// The kernel gives it in steps of 10 ms.
func idleTime(cores []int) (time.Duration, error) {
	data, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, fmt.Errorf("read core times: %w", err)
	}
	var sum time.Duration
	for _, core := range cores {
		idle, err := parseIdle(data, core)
		if err != nil {
			return 0, fmt.Errorf("read times of core %d: %w", core, err)
		}
		sum += idle
	}
	return sum, nil
}

// parseIdle reads the idle time of a core from /proc/stat.
func parseIdle(data []byte, core int) (time.Duration, error) {
	_, line, found := bytes.Cut(data, fmt.Appendf(nil, "\ncpu%d ", core))
	line, _, _ = bytes.Cut(line, []byte("\n"))
	fields := bytes.Fields(line) // user nice system idle iowait ...
	if !found || len(fields) < 5 {
		return 0, errors.New("no such core in /proc/stat")
	}
	var idle time.Duration
	for _, field := range fields[3:5] {
		n, err := strconv.ParseInt(string(field), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("parse idle time: %w", err)
		}
		idle += time.Duration(n) * tick
	}
	return idle, nil
}

// processTree returns the process and its descendants.
func processTree(root int) ([]int, error) {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	children := make(map[int][]int)
	for _, name := range stats {
		data, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended meanwhile
		}
		pid, parent, err := parseStat(data)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		children[parent] = append(children[parent], pid)
	}
	tree := []int{root}
	for i := 0; i < len(tree); i++ {
		tree = append(tree, children[tree[i]]...)
	}
	return tree, nil
}

// parseStat reads the pid and the parent's pid from /proc/<pid>/stat. The
// command name between them may contain spaces and parentheses.
func parseStat(data []byte) (pid, parent int, err error) {
	first, _, _ := bytes.Cut(data, []byte(" "))
	if pid, err = strconv.Atoi(string(first)); err != nil {
		return 0, 0, fmt.Errorf("parse pid: %w", err)
	}
	fields := bytes.Fields(data[bytes.LastIndexByte(data, ')')+1:])
	if len(fields) < 2 {
		return 0, 0, errors.New("parse parent: too few fields")
	}
	if parent, err = strconv.Atoi(string(fields[1])); err != nil {
		return 0, 0, fmt.Errorf("parse parent: %w", err)
	}
	return pid, parent, nil
}

// residentBytes returns the sum of the processes' resident memory. Pages that
// they share count once for each.
func residentBytes(pids []int) (int64, error) {
	var sum int64
	for _, pid := range pids {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if errors.Is(err, fs.ErrNotExist) {
			return 0, fmt.Errorf("process %d has ended", pid)
		}
		if err != nil {
			return 0, fmt.Errorf("read memory of process %d: %w", pid, err)
		}
		kb, err := parseResident(data)
		if err != nil {
			return 0, fmt.Errorf("read memory of process %d: %w", pid, err)
		}
		sum += kb << 10
	}
	return sum, nil
}

// parseResident reads VmRSS, in KB, from /proc/<pid>/status.
func parseResident(status []byte) (int64, error) {
	_, rest, found := bytes.Cut(status, []byte("\nVmRSS:"))
	fields := bytes.Fields(rest)
	if !found || len(fields) == 0 {
		return 0, errors.New("no VmRSS in status")
	}
	kb, err := strconv.ParseInt(string(fields[0]), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("parse VmRSS: %w", err)
	}
	return kb, nil
}

// raiseFileLimit tries to allow want open files, for this process and those it
// starts, and returns how many are allowed then.
func raiseFileLimit(want uint64) (uint64, error) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0, fmt.Errorf("read open file limit: %w", err)
	}
	raised := unix.Rlimit{Cur: want, Max: max(want, limit.Max)}
	if limit.Max >= want || unix.Setrlimit(unix.RLIMIT_NOFILE, &raised) != nil {
		// Only a privileged process may go above the hard limit.
		raised = unix.Rlimit{Cur: min(want, limit.Max), Max: limit.Max}
	}
	// Setting it, even to the same value, makes children inherit it: the Go
	// runtime gives them the limit from before the program started otherwise.
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &raised); err != nil {
		return 0, fmt.Errorf("raise open file limit to %d: %w", raised.Cur, err)
	}
	return raised.Cur, nil
}
