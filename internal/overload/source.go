package overload

import (
	"runtime/metrics"
	"time"
)

// runtimeSource reads what the Go runtime says of itself. Reading allocates once.
type runtimeSource struct {
	memory  []metrics.Sample
	queue   []metrics.Sample
	waiting latencies
}

func newRuntimeSource(s Settings) *runtimeSource {
	r := new(runtimeSource)
	if s.Memory > 0 {
		r.memory = []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	}
	if s.RunQueue > 0 {
		r.queue = []metrics.Sample{{Name: "/sched/latencies:seconds"}}
	}
	return r
}

func (r *runtimeSource) read() (memory int64, queue time.Duration, known bool) {
	if r.memory != nil {
		metrics.Read(r.memory)
		memory = int64(r.memory[0].Value.Uint64() - r.memory[1].Value.Uint64())
	}
	if r.queue != nil {
		metrics.Read(r.queue)
		h := r.queue[0].Value.Float64Histogram()
		queue, known = r.waiting.since(h)
	}
	return memory, queue, known
}

const (
	// enough is how many waits are a window. The runtime measures one in eight. Of fewer
	// the quantile says little, and a processor that is busy with a few long tasks shows few.
	enough = 20
	// longest is how many intervals a window takes at most.
	longest = 10
	// quantile is high enough to see that most are well, and low enough not to jump at what happens
	// to the few: the one in a hundred that is met by a collection, or by a neighbour on the same
	// machine, waits for 30 ms at 30 % load already.
	quantile = 0.9
)

// latencies turns a histogram that only grows into the quantile of each window.
type latencies struct {
	before    []uint64
	intervals int
}

// since returns the quantile since the last window, and false when this one is not complete.
func (l *latencies) since(h *metrics.Float64Histogram) (time.Duration, bool) {
	if l.before == nil {
		l.before = append(l.before, h.Counts...)
		return 0, false
	}
	total := uint64(0)
	for i, n := range h.Counts {
		total += n - l.before[i]
	}
	l.intervals++
	if total < enough && l.intervals < longest {
		return 0, false
	}
	value := l.quantile(h, total)
	copy(l.before, h.Counts)
	l.intervals = 0
	return value, true
}

// quantile returns the lower end of the bucket in which the quantile lies, so that
// a value is beyond a bound only if it really is.
func (l *latencies) quantile(h *metrics.Float64Histogram, total uint64) time.Duration {
	rest := uint64(float64(total) * (1 - quantile)) // that may wait for longer
	for i := len(h.Counts) - 1; i > 0; i-- {
		n := h.Counts[i] - l.before[i]
		if n > rest {
			return time.Duration(h.Buckets[i] * float64(time.Second))
		}
		rest -= n
	}
	return 0
}
