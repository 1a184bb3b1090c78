// Package identity is the policy identity: a service is told who calls, in
// request headers, and with an assertion that the gateway has signed.
//
// headers says which header carries what. One is sent only when the caller has
// that value: X-Tenant-ID only when the token names a tenant, and nothing for
// a caller whom nobody knows. All values come from the verified identity. What
// a client sends under one of these names is dropped on every route, whether
// the policy runs there or not, in any case and with any other character in
// place of the dashes.
//
// A byte of a value that is no visible ASCII character, and the character %,
// are percent-encoded, so that nothing in a token can break a header and
// decoding gives back exactly what the token said. role, permissions and scopes
// are lists: roles have commas between, the others blanks; a comma within an
// element is encoded too.
//
// assertion names the header that carries the assertion, which a service can
// verify where anybody within the network could write a header. It needs the
// section assertion of the configuration, and callers whom nobody knows have
// one too, without a subject. docs/identity.md is for those who write services.
//
//	policies:
//	  identity:
//	    headers:
//	      X-User-ID: subject
//	      X-User-Role: role
//	      X-User-Scopes: scopes
//	    assertion: X-Gateway-Assertion
package identity
