//go:build !linux

package usage

import (
	"errors"
	"runtime/metrics"
	"time"

	"golang.org/x/sys/unix"
)

// Self returns what this process uses. Its memory is what Go's runtime has, which is nearly all.
func Self() Usage {
	var r unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &r) // which can only fail for other arguments
	memory := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(memory)
	return Usage{
		CPU:    time.Duration(r.Utime.Nano() + r.Stime.Nano()),
		Memory: int64(memory[0].Value.Uint64() - memory[1].Value.Uint64()),
	}
}

// Of is known on Linux alone.
func Of(int) (Usage, error) {
	return Usage{}, errors.New("what another process uses is known on Linux alone")
}
