//go:build race

package redis

// raceDetector tells that sync.Pool forgets objects at random, so that
// allocations can't be counted.
const raceDetector = true
