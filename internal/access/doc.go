// Package access is tables of who may do what: requests, callers, and what is
// expected of the gateway for each pair. They are kept beside a configuration
// and held against it without a running gateway.
//
// Callers are real to the gateway: they bring tokens that the verifier
// verifies, signed with a key that is made for the occasion.
package access
