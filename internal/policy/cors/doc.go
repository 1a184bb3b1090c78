// Package cors is the policy cors: which other sites' pages may read answers
// (https://fetch.spec.whatwg.org/#http-cors-protocol).
//
// An origin is listed exactly, by a name and everything below it
// (https://*.example.org), or by a pattern: within a label a * stands for one
// or more letters, digits and dashes, as a port for any port. A single *
// stands for all, and is possible without credentials only. The gateway's own
// origin passes without being listed; the origin null never does.
//
// A preflight is answered by the gateway, before anything authenticates, and
// behind those limits alone that count preflights: with 204 for an allowed
// origin, with 403 for another. Any
// other request gets its ordinary answer, refusals too, with the fields that
// let the page read it, or without. What a service says in Access-Control-*
// is always replaced. Where an answer tells what is left of rate limits, those
// fields are exposed beside the ones that are listed.
//
// With mode: observe nothing is refused, what services say about CORS is left
// alone, and origins that would have been refused are noted.
//
//	policies:
//	  cors:
//	    origins:
//	      - https://app.example.org
//	      - https://*.example.com
//	      - https://pr-*.preview.example.org
//	      - http://localhost:*
//	    headers: [Content-Type, Authorization]
//	    max_age: 10m
package cors
