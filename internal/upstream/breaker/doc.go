// Package breaker is the circuit breaker of a service: it counts how requests
// end, and when too many fail or take too long, no more are sent for a while.
//
// A Breaker has no goroutine and no timer. Who sends a request asks Admit, and
// tells with Record how it ended. Each transition begins a new generation, and
// an answer to a request of an earlier one counts for nothing: what was sent
// before a trip is no probe, however late it comes.
//
// A Board tells the breakers of all nodes of each other's transitions.
package breaker
