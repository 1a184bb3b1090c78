//go:build !race

package balance

const raceDetector = false
