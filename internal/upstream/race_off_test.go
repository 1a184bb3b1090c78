//go:build !race

package upstream

// raceDetector: see race_on_test.go.
const raceDetector = false
