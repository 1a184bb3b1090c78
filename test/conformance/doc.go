// Package conformance holds a whole gateway against RFC 9110 and RFC 9112,
// over raw sockets on both of its sides. It has tests only.
//
// A case is a script of steps, each for one side, in the order in which they
// happen; see step_test.go for the words. Nothing sleeps: a step that waits,
// waits for an event, and fails after ten seconds.
package conformance
