package app

import (
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"yett/internal/control"
)

// usage returns what this process uses.
func usage() control.Usage {
	u := control.Usage{Memory: resident()}
	var r syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &r) == nil {
		u.CPU = time.Duration(r.Utime.Nano() + r.Stime.Nano())
	}
	return u
}

// resident returns how much memory of this process is resident, in bytes, 0 where the system
// does not tell.
func resident() int64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}
