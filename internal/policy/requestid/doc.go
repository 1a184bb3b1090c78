// Package requestid is the policy request_id: every request gets an ID, which
// the caller reads in the answer, the service in the request, and the operator
// in the log.
//
// The ID is a UUID version 4. One that came with the request is kept when a
// trusted proxy sent it and it is well formed, 8 to 128 letters, digits, dots,
// underscores and dashes, so that a trace goes through several proxies. What a
// service answers under the same name is replaced.
//
//	policies:
//	  request_id:
//	    header: X-Request-ID
//	    trust_inbound: true
package requestid
