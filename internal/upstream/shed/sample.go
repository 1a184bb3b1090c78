package shed

import (
	"math/bits"
	"time"
)

// sampleBits is how many bits of Limiter.samples are a count. The others are the sum of the logarithms.
const sampleBits = 24

// sample is what one answer adds to Limiter.samples: one to the count, and the logarithm of its
// latency to the sum. So one addition does both, and of two values of samples the difference is
// exact, even when count or sum have run over in between: see mean.
//
// Logarithms, because the mean of latencies is a matter of the few that are longest. Simulated with a tail like
// that of many services, the adaptive limit wandered twice as far by the mean of latencies as by that of
// their logarithms.
func sample(took time.Duration) uint64 { return 1 + logarithm(took)<<sampleBits }

// mean returns how many samples a difference of two values stands for, and their geometric mean in
// nanoseconds.
func mean(difference uint64) (n, latency float64) {
	n = float64(difference & (1<<sampleBits - 1))
	if n == 0 {
		return 0, 0
	}
	return n, exponential(float64(difference>>sampleBits) / n)
}

// logarithm returns 256 times the binary logarithm of a duration in nanoseconds, by a straight
// line from each power of two to the next.
func logarithm(d time.Duration) uint64 {
	n := uint64(max(d, 1))
	exp := bits.Len64(n) - 1
	return uint64(exp)<<8 | n<<(63-exp)>>55&0xff
}

// exponential is the inverse of logarithm.
func exponential(log float64) float64 {
	exp := min(uint64(log/256), 62)
	return float64(uint64(1)<<exp) * (1 + log/256 - float64(exp))
}
