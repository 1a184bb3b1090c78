package admin

import (
	"net/http"

	"yett/internal/assertion"
	"yett/internal/exchange"
)

// Signing is who has the key of assertions.
type Signing interface {
	// Signer returns the Signer of the current snapshot, nil where assertions
	// are not configured.
	Signer() *assertion.Signer
}

// Keys makes the page with the keys by which services verify assertions.
type Keys struct{ State Signing }

// keysFor is how long services may keep the page. A new key has to be shown for
// that long before it signs, and an old one while something that it signed is
// still good.
const keysFor = "public, max-age=300"

// JWKS answers with the JSON Web Key Set of the current snapshot (RFC 7517
// section 5).
func (k *Keys) JWKS(x *exchange.Exchange) {
	s := k.State.Signer()
	if s == nil { // the configuration has changed since the request was matched
		x.RefuseWith(exchange.NoRoute, "there are no keys any more")
		return
	}
	x.Status = http.StatusOK
	x.Response.Add("Content-Type", "application/jwk-set+json")
	x.Response.Add("Cache-Control", keysFor)
	x.ResponseBody.SetBytes(s.JWKS())
}
