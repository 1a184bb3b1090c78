//go:build race

package overload

// raceDetector tells that allocations can't be counted.
const raceDetector = true
