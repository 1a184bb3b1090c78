//go:build !race

package manners

const raceDetector = false
