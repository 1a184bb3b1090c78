// Package token verifies the tokens that callers bring: signed JSON Web Tokens
// (RFC 7519) in their compact form, as RFC 8725 wants it done.
//
// Which algorithm a token may be signed with is a property of the key, from
// the configuration or the key itself; what the token says only has to agree.
// A token is never followed anywhere: jku, x5u, jwk and x5c in its header are
// not looked at. What two readers could understand differently does not pass:
// padding, stray bits at the end of a segment, blanks, names that occur twice.
//
// A Verifier remembers what it has verified, so that a caller's next request
// costs a look into a table. What it remembers dies with the token, its key,
// or its revocation.
package token
