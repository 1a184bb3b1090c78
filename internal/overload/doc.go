// Package overload tells whether the gateway itself has too much to do, and refuses a share of
// the requests while it has.
//
// Two things are watched, ten times a second:
//
//   - memory: what the runtime has from the system and has not given back, as GOMEMLIMIT counts it.
//   - run queue: how long goroutines that could run wait for one of the process's own processors
//     (GOMAXPROCS), of which nine in ten waited less. That is the gateway's own queue: what other
//     processes take of the machine hardly shows here.
//
// Both move a share of refusals (see controller): up while the value is beyond its bound, at most to 95 %,
// and down when it is not. So a gateway that does a tenth too much refuses about a tenth, and one that can do hardly anything still
// serves somebody. The greater share counts.
//
// Memory beyond its bound does nothing else: no collection is forced, nothing is closed, and a single look beyond it
// changes nothing. Garbage counts as memory. So set GOMEMLIMIT lower than the bound:
// then garbage goes before anybody is refused, and the bound is reached only by what is in use.
package overload
