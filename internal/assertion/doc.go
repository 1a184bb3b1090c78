// Package assertion signs who calls, so that a service can prove that a call
// came through the gateway, and for whom. docs/identity.md says what an
// assertion holds and how a service verifies it.
//
// An assertion is a JSON Web Token (RFC 7519) with an Ed25519 signature (RFC
// 8037) that lives for seconds. Signing takes longer than all else that the
// gateway does with a request, so an assertion is used again for the same
// caller and service for half of its lifetime. For that reason it has no jti:
// it tells who calls, not that the call is a new one.
package assertion
