// Package jwt is the policy jwt: it finds out who calls, from a token that an
// issuer of the configuration has signed.
//
// Issuers and their keys stand at the top of the configuration, because all
// routes share them. The policy says which of them are believed and where the
// token is looked for. Whether a caller needs one is what the route says:
// auth: required refuses who has none, optional lets callers without a token
// pass as nobody, and with none the policy does not run. A token that does not
// pass is refused in both cases, never taken for no token.
//
//	issuers:
//	  platform:
//	    issuer: psa-platform
//	    audience: psa-api
//	    keys:
//	      - secret: ${JWT_SECRET}
//	      - jwks_url: https://login.example.org/keys
//	policies:
//	  jwt:
//	    issuers: [platform]
//	    cookie: session
//	    query: access_token
//	    max_size: 8KB
//	    forward_token: true
//
// The token is the one in Authorization: Bearer, with the scheme in any case
// (RFC 9110 section 11.1); where that is not there, the cookie, then the query
// parameter, if they are configured. Browsers can't send Authorization when
// they open a WebSocket or an event stream. A page of another site can make a
// browser send its cookies, so set SameSite on a cookie with a token in it; a
// token in a query ends up in histories and logs, so keep it short-lived.
// Yett's own log hides it.
package jwt
