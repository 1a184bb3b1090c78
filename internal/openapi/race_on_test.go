//go:build race

package openapi

// raceDetector tells that everything takes about ten times as long.
const raceDetector = true
