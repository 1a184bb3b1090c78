// Package ratelimit is the policy ratelimit: how much a caller may ask for. It names
// limits, which stand under limits at the top of the configuration, and say who is
// counted together, by which numbers.
//
// A request passes when each of its limits has enough left, and then counts in all of
// them; one that is refused, with 429, counts in none. A route's list stands in place
// of the global one, and ratelimit: off is none at all.
//
// The policy has three parts, because a limit has to stand before what it guards and
// behind what it has to know:
//
//   - before cors: CORS preflights that cors answers, for limits with preflights: true;
//   - before jwt: limits that need not know who calls. Where others follow, it only looks
//     whether those are known to be used up, and refuses before a token is verified;
//   - behind jwt: limits that ask who calls. Here all are counted at once.
//
// A request that is refused between the last two, because its token is bad, counts in the
// limits of the second part, and in those for anonymous callers.
//
// Each answer tells what is left, as ratelimit_fields of the listener says. What a service
// says in fields of these names is dropped.
//
// With mode: observe nothing is refused, and what would have been is logged and counted.
// A limit has a mode of its own too.
//
//	policies:
//	  ratelimit:
//	    limits: [flood, global, user]
//	    cost: 2
//	    mode: enforce
package ratelimit
