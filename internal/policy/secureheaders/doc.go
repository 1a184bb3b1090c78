// Package secureheaders is the policy security_headers: what browsers are told
// about how to treat an answer.
//
// A preset chooses the headers: helmet sends what Express' helmet 7 sends
// without a content security policy, api a small modern set for answers that
// are never shown as a page, none nothing. set adds headers or gives them
// another value, remove keeps headers out of the answer. For each of these
// headers the gateway decides alone: what a service sends under the same name
// is replaced or dropped. An answer of the gateway itself, such as the page of
// the API's documentation or what respond says, keeps the
// Content-Security-Policy that it brings, unless remove names it.
//
// Strict-Transport-Security is sent only where the request came over TLS, or
// a trusted proxy says so, because RFC 6797 section 7.2 forbids it elsewhere;
// hsts changes that.
//
//	policies:
//	  security_headers:
//	    preset: helmet
//	    hsts: secure
//	    set:
//	      Cross-Origin-Resource-Policy: cross-origin
//	      Permissions-Policy: geolocation=()
//	    remove: [X-Powered-By, Server]
package secureheaders
