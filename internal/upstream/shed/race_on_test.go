//go:build race

package shed

// raceDetector tells that everything is slower, and that allocations can't be counted.
const raceDetector = true
