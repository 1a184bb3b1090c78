//go:build race

package retry

// raceDetector tells that what is measured is the detector.
const raceDetector = true
