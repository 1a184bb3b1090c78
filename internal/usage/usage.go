// Package usage tells what processes use: of the processors and of memory.
package usage

import "time"

// Usage is what a process uses.
type Usage struct {
	CPU    time.Duration // since it was started, on all processors together
	Memory int64         // resident, bytes
}
