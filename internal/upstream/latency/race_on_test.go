//go:build race

package latency

// raceDetector tells that what is measured is the detector.
const raceDetector = true
