package usage

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// Self returns what this process uses.
func Self() Usage {
	var r unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &r) // which can only fail for other arguments
	memory, _ := resident("self")            // 0 where there is no /proc
	return Usage{CPU: time.Duration(r.Utime.Nano() + r.Stime.Nano()), Memory: memory}
}

// Of returns what another process uses. Its time is known to a hundredth of a second. The error
// says that it is gone, as a rule.
func Of(pid int) (u Usage, err error) {
	if u.CPU, err = cpu(pid); err == nil {
		u.Memory, err = resident(strconv.Itoa(pid))
	}
	if err != nil {
		return Usage{}, fmt.Errorf("what process %d uses can't be read: %w", pid, err)
	}
	return u, nil
}

// tick is the unit of times in /proc, on all of Linux.
const tick = 10 * time.Millisecond

var errUnknown = errors.New("/proc has another form")

// cpu reads the times of a process.
func cpu(pid int) (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The second field is the name, in which there may be anything.
	fields := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	if len(fields) < 13 {
		return 0, errUnknown
	}
	user, err1 := strconv.ParseInt(string(fields[11]), 10, 64)
	system, err2 := strconv.ParseInt(string(fields[12]), 10, 64)
	if err1 != nil || err2 != nil {
		return 0, errUnknown
	}
	return time.Duration(user+system) * tick, nil
}

// resident reads how much memory a process has.
func resident(pid string) (int64, error) {
	b, err := os.ReadFile("/proc/" + pid + "/statm")
	if err != nil {
		return 0, err
	}
	fields := bytes.Fields(b)
	if len(fields) < 2 {
		return 0, errUnknown
	}
	pages, err := strconv.ParseInt(string(fields[1]), 10, 64)
	if err != nil {
		return 0, errUnknown
	}
	return pages * int64(os.Getpagesize()), nil
}
