// Package meter counts what callers use of their limits, on the store that all
// nodes share, and on this node alone while that is lost. It knows limits by
// name and callers by key, and nothing of requests.
//
// A Call is what one request asks of all its limits. Look answers from what is
// known here, Take counts, Settle counts what depends on the answer, and End
// gives back what was held. None of them waits for the store longer than its
// budget, and none of them fails: each Claim says what to do when the store is
// lost.
package meter
