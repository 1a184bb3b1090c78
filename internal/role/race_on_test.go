//go:build race

package role

// raceDetector tells that everything takes about ten times as long.
const raceDetector = true
