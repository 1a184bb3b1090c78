package token

import (
	"slices"

	"yett/internal/exchange"
)

// Why a token does not pass.
var (
	TooLarge    = &exchange.Reason{Name: "token_too_large", Code: "INVALID_TOKEN", Status: 401, Message: "The access token is too large", Help: "The token has more bytes than `max_size` of the policy jwt."}
	Malformed   = &exchange.Reason{Name: "token_malformed", Code: "INVALID_TOKEN", Status: 401, Message: "The access token is malformed", Help: "It is no signed JSON Web Token in compact form (RFC 7519): not three base64url segments, no JSON, a name that occurs twice, a claim of the wrong type, an extension that has to be understood (crit)."}
	Issuer      = &exchange.Reason{Name: "token_issuer", Code: "INVALID_TOKEN", Status: 401, Message: "The access token comes from an unknown issuer", Help: "No issuer of the configuration has the token's iss, or the route does not believe that issuer; see `issuers`."}
	Algorithm   = &exchange.Reason{Name: "token_algorithm", Code: "INVALID_TOKEN", Status: 401, Message: "The access token is signed with an algorithm that is not accepted", Help: "The algorithm of a token has to be one that its key is for; see `algorithms` of the issuer's keys."}
	UnknownKey  = &exchange.Reason{Name: "token_key", Code: "INVALID_TOKEN", Status: 401, Message: "The access token is signed with an unknown key", Help: "The issuer has no key with the token's kid, also after a look at its `jwks_url`."}
	Signature   = &exchange.Reason{Name: "token_signature", Code: "INVALID_TOKEN", Status: 401, Message: "The signature of the access token is not right", Help: "The token was changed, or signed with another key. Issuer and gateway must have the same secret."}
	Audience    = &exchange.Reason{Name: "token_audience", Code: "INVALID_TOKEN", Status: 401, Message: "The access token is meant for somebody else", Help: "The token's aud holds none of the issuer's `audience`."}
	Claims      = &exchange.Reason{Name: "token_claims", Code: "INVALID_TOKEN", Status: 401, Message: "The access token lacks something that it must say", Help: "exp or the subject is missing, a claim of `required_claims` is, the token lives longer than `max_lifetime`, or its typ is none of `types`. The log has the details."}
	NotActive   = &exchange.Reason{Name: "token_not_active", Code: "TOKEN_NOT_ACTIVE", Status: 401, Message: "The access token is not valid yet", Help: "nbf or iat is further in the future than `skew` of the issuer allows: check both clocks."}
	Expired     = &exchange.Reason{Name: "token_expired", Code: "TOKEN_EXPIRED", Status: 401, Message: "The access token has expired", Help: "exp is in the past; the caller has to get a new token. `leeway` of the issuer forgives a little."}
	Revoked     = &exchange.Reason{Name: "token_revoked", Code: "TOKEN_REVOKED", Status: 401, Message: "The access token has been revoked", Help: "The token, or all of its subject up to a moment, was revoked: by a logout, or by `yett revoke`."}
	Unavailable = &exchange.Reason{Name: "token_keys_unavailable", Code: "SERVICE_UNAVAILABLE", Status: 503, Message: "The access token can not be verified at the moment", Help: "The token names a key that the gateway does not have, and the issuer's `jwks_url` can't be fetched. The gateway's log says why; tokens with known keys pass."}
)

// Reasons returns all reasons of this package, in the order of the reference.
func Reasons() []*exchange.Reason {
	return []*exchange.Reason{TooLarge, Malformed, Issuer, Algorithm, UnknownKey, Signature, Audience, Claims, NotActive, Expired, Revoked, Unavailable}
}

// Reasons returns those for which a token may not pass by what is configured, in the order
// of the reference. TooLarge, which depends on who asks, is among them, and so is Revoked:
// every gateway that serves has a list. The slice is the caller's.
func (v *Verifier) Reasons() []*exchange.Reason {
	never := make(map[*exchange.Reason]bool)
	_, never[Issuer] = v.byName[""] // which takes whatever no other issuer does
	never[UnknownKey] = !slices.ContainsFunc(v.issuers, (*issuer).namesKeys)
	never[Audience] = !slices.ContainsFunc(v.issuers, func(is *issuer) bool { return len(is.conf.Audience) > 0 })
	never[Unavailable] = len(v.remotes()) == 0
	return slices.DeleteFunc(Reasons(), func(r *exchange.Reason) bool { return never[r] })
}

// namesKeys tells whether a token can name a key that the issuer does not have. A key
// without an ID of its own is tried whatever a token says, but a look at a URL asks for the
// one that is named.
func (is *issuer) namesKeys() bool {
	nameless := false
	for _, s := range is.sources {
		if s.remote != nil {
			return true
		}
		nameless = nameless || slices.ContainsFunc(s.all(), func(k *key) bool { return k.id == "" })
	}
	return !nameless
}
