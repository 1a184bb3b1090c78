package instance

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

// Process is one process and no other: numbers are given again, but not together with the moment
// of the start.
type Process struct {
	PID int `json:"pid"`
	// Start is when it was started, in ticks of the kernel since the boot.
	Start uint64 `json:"start"`
	// Boot is which boot that was.
	Boot string `json:"boot,omitempty"`
}

// ErrGone is the error of a process that has ended.
var ErrGone = errors.New("the process has ended")

// Self is this process.
func Self() (Process, error) {
	p, err := Find(os.Getpid())
	if errors.Is(err, ErrGone) {
		return p, errors.New("this process is not in /proc; mount that")
	}
	return p, err
}

// Find returns the process that has a number now. The error is ErrGone where none has.
func Find(pid int) (Process, error) {
	start, err := startOf(pid)
	if err != nil {
		return Process{}, err
	}
	return Process{PID: pid, Start: start, Boot: boot()}, nil
}

// Alive tells whether it runs. One that has ended but is still waited for does not.
func (p Process) Alive() bool {
	if p.PID <= 0 {
		return false
	}
	now, err := Find(p.PID)
	return err == nil && now == p
}

// String is the number.
func (p Process) String() string { return fmt.Sprint(p.PID) }

// boot is the identity of the running kernel, empty where it tells none.
func boot() string {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}
