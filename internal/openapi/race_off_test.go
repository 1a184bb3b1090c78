//go:build !race

package openapi

const raceDetector = false
