//go:build race

package app

// raceDetector tells that everything takes about ten times as long.
const raceDetector = true
