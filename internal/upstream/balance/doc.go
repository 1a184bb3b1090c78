// Package balance picks one of the targets of a service, and keeps what the
// choice depends on: requests in flight, weights, who is out, who has just
// come back.
//
// A target is out in one of three ways. It is down when its health checks say
// so, ejected for a time when its answers do, and draining for good when it is
// no longer a target. Never so many are ejected that too few are left, and
// when too few are left all the same, those that are out are used as well:
// a bad target is better than none.
//
// What Pick needs is computed whenever something changes, into a view that is
// never written again. A request loads it, draws, and is done: no lock, no
// allocation. There are no goroutines and no timers: what ends by time is seen
// to have ended by the next Pick, Usable, State or Record.
//
// Times come in as time.Time and are compared by the monotonic clock when they
// have its reading, as those of time.Now do. A clock that is set back makes no
// ejection longer. Times given by different goroutines may be out of order by
// as much as requests are.
package balance
