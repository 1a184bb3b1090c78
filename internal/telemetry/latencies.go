package telemetry

import (
	"math"
	"math/bits"
	"time"
)

// Buckets are as wide as a sixteenth of where their octave begins, so that a time is known to
// within about 6 %, from Shortest to 100 seconds.
const (
	// Shortest is where the first bucket ends: what took less is not told apart.
	Shortest = 10 * time.Microsecond

	perOctave = 16
	step      = uint64(Shortest) / perOctave
	octaves   = 23
	// Buckets is how many there are. The last has no end.
	Buckets = 1 + octaves*perOctave + 4 + 1
)

// Latencies is how many requests took how long.
type Latencies struct {
	// Counts of buckets; which ends where, Bound tells. Those behind the last that is not 0
	// are left out.
	Counts []uint64 `json:"counts"`
	// Sum is how long all of them took together, in nanoseconds.
	Sum uint64 `json:"sum_ns"`
}

// Bound returns where a bucket ends: what took as long is in the next one.
func Bound(bucket int) time.Duration {
	if bucket >= Buckets-1 {
		return math.MaxInt64
	}
	if bucket <= 0 {
		return Shortest
	}
	octave, place := (bucket-1)/perOctave, (bucket-1)%perOctave
	return time.Duration(step * uint64(perOctave+1+place) << octave)
}

// bucketOf returns the bucket of a time.
func bucketOf(took time.Duration) int {
	if took < Shortest {
		return 0
	}
	steps := uint64(took) / step
	octave := bits.Len64(steps) - bits.Len64(perOctave)
	return min(1+octave*perOctave+int(steps>>octave)-perOctave, Buckets-1)
}

// Total returns how many requests were timed.
func (l Latencies) Total() (n uint64) {
	for _, c := range l.Counts {
		n += c
	}
	return n
}

// Quantile returns the time that a share of the requests took at most, such as 0.99 of them:
// between the ends of the bucket of the one whose turn it is. It is 0 when there are none.
func (l Latencies) Quantile(share float64) time.Duration {
	total := l.Total()
	if total == 0 {
		return 0
	}
	rank := uint64(math.Ceil(min(max(share, 0), 1) * float64(total)))
	rank = min(max(rank, 1), total)
	for i, n := range l.Counts {
		if rank <= n {
			return within(i, float64(rank)-0.5, float64(n))
		}
		rank -= n
	}
	return 0 // total is the sum of Counts
}

// within is where in a bucket the one stands that has so many of n below it.
func within(bucket int, below, n float64) time.Duration {
	if bucket >= Buckets-1 {
		return Bound(Buckets - 2)
	}
	from := time.Duration(0)
	if bucket > 0 {
		from = Bound(bucket - 1)
	}
	return from + time.Duration(below/n*float64(Bound(bucket)-from))
}

// Mean returns how long a request took on the average, or 0 when there are none.
func (l Latencies) Mean() time.Duration { return mean(l.Sum, l.Total()) }

func mean(sum, n uint64) time.Duration {
	if n == 0 {
		return 0
	}
	return time.Duration(sum / n)
}

// add returns the counts of both.
func (l Latencies) add(o Latencies) Latencies {
	out := Latencies{Counts: make([]uint64, max(len(l.Counts), len(o.Counts))), Sum: l.Sum + o.Sum}
	copy(out.Counts, l.Counts)
	for i, n := range o.Counts {
		out.Counts[i] += n
	}
	return out
}

// sub returns what was counted since before.
func (l Latencies) sub(before Latencies) Latencies {
	counts := make([]uint64, len(l.Counts))
	copy(counts, l.Counts)
	for i := range min(len(counts), len(before.Counts)) {
		counts[i] = since(counts[i], before.Counts[i])
	}
	return Latencies{Counts: trimmed(counts), Sum: since(l.Sum, before.Sum)}
}

// trimmed leaves out the zeros at the end.
func trimmed(counts []uint64) []uint64 {
	n := len(counts)
	for n > 0 && counts[n-1] == 0 {
		n--
	}
	return counts[:n]
}
