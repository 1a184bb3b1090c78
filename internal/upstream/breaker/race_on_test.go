//go:build race

package breaker

// raceDetector tells that allocations can't be counted.
const raceDetector = true
