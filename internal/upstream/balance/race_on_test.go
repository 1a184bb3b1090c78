//go:build race

package balance

// raceDetector tells that allocations can't be counted, and that everything is slow.
const raceDetector = true
