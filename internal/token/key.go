package token

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/go-jose/go-jose/v4"
)

// minRSABits is the shortest RSA key that is believed (RFC 7518 section 3.3).
const minRSABits = 2048

// key is a key with what it may be used for.
type key struct {
	id     string
	algs   []jose.SignatureAlgorithm
	public any // []byte for a secret
	// print tells the same key in another set, with the same use.
	print string
	// retired is set when the key's source has it no more. Tokens that were
	// verified with it have to be verified again.
	retired atomic.Bool
}

// fits tells whether a token that names a key by id may mean this one. Keys
// without an ID, and tokens that name none, fit any.
func (k *key) fits(id string) bool { return id == "" || k.id == "" || k.id == id }

// allows tells whether the key is for an algorithm.
func (k *key) allows(alg string) bool { return slices.Contains(k.algs, jose.SignatureAlgorithm(alg)) }

// verify tells whether the token is signed with this key.
func (k *key) verify(p *parsed) bool {
	jws, err := jose.ParseSignedCompact(p.raw, k.algs)
	if err != nil {
		return false
	}
	_, err = jws.Verify(k.public)
	return err == nil
}

// newKey makes a key for the algorithms that are configured, or its own.
func newKey(id string, public any, named string, configured []string) (*key, error) {
	possible, usual, err := algorithmsOf(public)
	if err != nil {
		return nil, err
	}
	algs := configured
	switch {
	case named != "" && len(configured) > 0 && !slices.Contains(configured, named):
		return nil, fmt.Errorf("the key is for %s, which is not among algorithms", named)
	case named != "":
		algs = []string{named}
	case len(configured) == 0:
		algs = []string{usual}
	}
	k := &key{id: id, public: public}
	for _, a := range algs {
		if slices.Contains(possible, a) {
			k.algs = append(k.algs, jose.SignatureAlgorithm(a))
		}
	}
	if len(k.algs) == 0 {
		return nil, fmt.Errorf("%s can't be used with %v", describe(public), algs)
	}
	k.print, err = fingerprint(k)
	return k, err
}

// algorithmsOf returns the algorithms that a key can be used with, and the one
// that is meant when nobody says anything.
func algorithmsOf(public any) (possible []string, usual string, err error) {
	switch p := public.(type) {
	case []byte:
		return secretAlgorithms(len(p)), "HS256", nil
	case *rsa.PublicKey:
		if p.N.BitLen() < minRSABits {
			return nil, "", fmt.Errorf("an RSA key of %d bits is too short: RFC 7518 section 3.3 asks for %d", p.N.BitLen(), minRSABits)
		}
		return []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}, "RS256", nil
	case *ecdsa.PublicKey:
		for bits, alg := range map[int]string{256: "ES256", 384: "ES384", 521: "ES512"} {
			if p.Curve.Params().BitSize == bits {
				return []string{alg}, alg, nil
			}
		}
		return nil, "", fmt.Errorf("the curve %s is not supported", p.Curve.Params().Name)
	case ed25519.PublicKey:
		return []string{"EdDSA"}, "EdDSA", nil
	}
	return nil, "", errors.New("a key of this kind is not supported")
}

// secretAlgorithms returns what a secret of n bytes is long enough for (RFC
// 7518 section 3.2).
func secretAlgorithms(n int) []string {
	all := []string{"HS256", "HS384", "HS512"}
	switch {
	case n >= 64:
		return all
	case n >= 48:
		return all[:2]
	case n >= 32:
		return all[:1]
	}
	return nil
}

func describe(public any) string {
	switch p := public.(type) {
	case []byte:
		return fmt.Sprintf("a secret of %d bytes", len(p))
	case *rsa.PublicKey:
		return "an RSA key"
	case *ecdsa.PublicKey:
		return "a key on the curve " + p.Curve.Params().Name
	}
	return "an Ed25519 key"
}

// fingerprint is the same for the same key with the same ID and use.
func fingerprint(k *key) (string, error) {
	var sum []byte
	if secret, ok := k.public.([]byte); ok {
		s := sha256.Sum256(secret)
		sum = s[:]
	} else {
		var err error
		if sum, err = (&jose.JSONWebKey{Key: k.public}).Thumbprint(sha256Hash); err != nil {
			return "", fmt.Errorf("the key's fingerprint: %w", err)
		}
	}
	return fmt.Sprintf("%s %v %s", k.id, k.algs, base64.RawURLEncoding.EncodeToString(sum)), nil
}
