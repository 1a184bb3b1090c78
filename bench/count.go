package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// callMeter counts the system calls of processes. The kernel does it, by an
// event that costs far less than strace: that slows a process down tenfold, and
// whatever it does by the clock would count ten times for each request.
type callMeter struct{ events []int } // descriptors

// newCallMeter counts from here on. Where the kernel doesn't allow it, or has no
// such event, it returns nil, which counts nothing.
func newCallMeter(pids []int) *callMeter {
	event, err := callEvent()
	if err != nil {
		return nil
	}
	m := &callMeter{}
	for _, pid := range pids {
		threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/[0-9]*", pid))
		if err != nil || m.watch(event, threads) != nil {
			m.close()
			return nil
		}
	}
	return m
}

// callEvent is the kernel's number for the begin of a system call.
func callEvent() (uint64, error) {
	data, err := os.ReadFile("/sys/kernel/tracing/events/raw_syscalls/sys_enter/id")
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(strings.TrimSpace(string(data)), 10, 64)
}

func (m *callMeter) watch(event uint64, threads []string) error {
	for _, thread := range threads {
		id, err := strconv.Atoi(filepath.Base(thread))
		if err != nil {
			return err
		}
		attr := unix.PerfEventAttr{
			Type: unix.PERF_TYPE_TRACEPOINT, Config: event,
			Size: uint32(unsafe.Sizeof(unix.PerfEventAttr{})),
			Bits: unix.PerfBitInherit, // threads that come later count too
		}
		fd, err := unix.PerfEventOpen(&attr, id, -1, -1, unix.PERF_FLAG_FD_CLOEXEC)
		if errors.Is(err, unix.ESRCH) {
			continue // it has ended
		}
		if err != nil {
			return err
		}
		m.events = append(m.events, fd)
	}
	return nil
}

func (m *callMeter) read() (int64, error) {
	if m == nil {
		return 0, nil
	}
	var sum int64
	for _, fd := range m.events {
		var count [8]byte
		if _, err := unix.Read(fd, count[:]); err != nil {
			return 0, fmt.Errorf("read system calls: %w", err)
		}
		sum += int64(binary.NativeEndian.Uint64(count[:]))
	}
	return sum, nil
}

func (m *callMeter) close() {
	if m == nil {
		return
	}
	for _, fd := range m.events {
		_ = unix.Close(fd)
	}
}

// allocsAddress is where a Yett that was built to count says what it has
// allocated: a socket without a file.
func allocsAddress(pid int) string { return fmt.Sprintf("@yett-bench-allocs-%d", pid) }

// askAllocs returns how many objects the program has allocated so far.
func askAllocs(address string) (int64, error) {
	conn, err := net.DialTimeout("unix", address, time.Second)
	if err != nil {
		return 0, fmt.Errorf("ask for allocations: %w", err)
	}
	defer conn.Close()
	text, err := io.ReadAll(conn)
	if err != nil {
		return 0, fmt.Errorf("ask for allocations: %w", err)
	}
	n, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("ask for allocations: %w", err)
	}
	return n, nil
}
