//go:build race

package memory

// raceDetector tells that allocations are the detector's too, so that they can't be
// counted.
const raceDetector = true
