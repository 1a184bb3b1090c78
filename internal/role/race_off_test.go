//go:build !race

package role

const raceDetector = false
