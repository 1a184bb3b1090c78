package token

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/base64"
	"math/big"
)

// sums returns the SHA-256 of every form in which a token can be written with
// a good signature, so that none of them escapes its revocation. An ECDSA
// signature (r, s) has a twin (r, n-s) that anybody can compute; the other
// algorithms have one form only, since base64 is read strictly and Ed25519
// refuses a large s.
func sums(p *parsed, k *key) [][32]byte {
	all := [][32]byte{sha256.Sum256([]byte(p.raw))}
	public, ok := k.public.(*ecdsa.PublicKey)
	if !ok {
		return all
	}
	half := len(p.sig) / 2
	s := new(big.Int).SetBytes(p.sig[half:])
	s.Sub(public.Curve.Params().N, s)
	twin := append([]byte(nil), p.sig...)
	s.FillBytes(twin[half:])
	return append(all, sha256.Sum256([]byte(p.signed+"."+base64.RawURLEncoding.EncodeToString(twin))))
}
