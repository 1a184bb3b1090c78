package main

import (
	"math/bits"
	"time"
)

// Durations are counted in classes that are at most 1/subClasses wide,
// relative to their value: exact below subClasses nanoseconds, then subClasses
// for each power of two.
const (
	subBits    = 7
	subClasses = 1 << subBits
	maxClasses = (64 - subBits) * subClasses
)

// histogram counts durations with a relative error of at most 1/subClasses.
type histogram struct {
	counts [maxClasses]uint64
	total  uint64
}

func (h *histogram) add(d time.Duration) {
	h.counts[classOf(uint64(max(d, 0)))]++
	h.total++
}

// quantile returns the duration that the share q (0..1) of all counted ones
// does not exceed, 0 when none was counted.
func (h *histogram) quantile(q float64) time.Duration {
	rank := uint64(q * float64(h.total))
	var seen uint64
	for class, n := range h.counts {
		seen += n
		if n > 0 && seen > min(rank, h.total-1) {
			return time.Duration(floorOf(class))
		}
	}
	return 0
}

func classOf(v uint64) int {
	if v < subClasses {
		return int(v)
	}
	shift := bits.Len64(v) - subBits - 1
	return shift*subClasses + int(v>>shift)
}

// floorOf returns the smallest value of a class.
func floorOf(class int) uint64 {
	if class < subClasses {
		return uint64(class)
	}
	shift := class/subClasses - 1
	return uint64(class-shift*subClasses) << shift
}
