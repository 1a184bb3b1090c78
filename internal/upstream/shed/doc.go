// Package shed bounds the requests in flight to one service, so that a service that is
// offered more than it can do keeps doing its best.
//
// A Limiter has places. Who gets none waits in a queue, for so long, or is refused. The number of
// places is fixed, or found by measuring latency (see adapter).
//
// # The queue
//
// Urgent requests come first, and otherwise whoever came first. While the queue stands,
// which is when it has not been empty for longer than anybody may wait, the newest comes first:
// a queue that is served in order would then serve only those who have waited nearly as long as they may.
// A newcomer then takes the place of the oldest when the queue is full, which
// has the least hope.
//
// That was chosen by simulation: 10 places, 20 ms each, exponential, a queue of 100 for up to 500 ms,
// clients that wait for a second. Goodput in parts of the capacity, and the 99th percentile of what was accepted:
//
//	                                     at 1.05 times the capacity      at 5 times
//	first come, first served             1.00  277 ms                    1.02  296 ms
//	the same, waiting cut to a tenth     0.99  120 ms                    1.02  140 ms
//	newest first                         0.99  189 ms                    1.02   92 ms
//	newest first, cut to a tenth         0.96   98 ms                    1.02   92 ms
//
// At 80 % of the capacity the 99th percentile is 98 ms. A service of 4 places and 300 ms shows more: first come
// serves 72 % of the capacity in time at 5 times the load, and newest first 94 %. Cutting the wait (CoDel's way) costs goodput where a
// queue would soon have drained, 64 instead of 73 % there at 80 % load, and adds nothing to newest first.
// To see the queue stand sooner than after QueueTime adds nothing either, and turns short bursts around.
package shed
