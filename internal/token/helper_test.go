package token

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"yett/internal/config"
	"yett/internal/exchange"
	"yett/internal/revocation"
)

// secret is long enough for every HMAC.
const secret = "0123456789abcdef0123456789ABCDEF0123456789abcdef0123456789ABCDEF"

// now is when the tests' tokens come.
var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// wallet holds a key of every kind.
type wallet struct {
	rsa              *rsa.PrivateKey
	p256, p384, p521 *ecdsa.PrivateKey
	ed               ed25519.PrivateKey
	stranger         *rsa.PrivateKey
	strangerEC       *ecdsa.PrivateKey
	strangerEd       ed25519.PrivateKey
	dir, pem, rsaPEM string
}

func newWallet(t testing.TB) *wallet {
	t.Helper()
	ec := func(c elliptic.Curve) *ecdsa.PrivateKey {
		k, err := ecdsa.GenerateKey(c, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	_, ed, _ := ed25519.GenerateKey(rand.Reader)
	_, strange, _ := ed25519.GenerateKey(rand.Reader)
	own, foreign := rsaKeys()
	w := &wallet{rsa: own, stranger: foreign, p256: ec(elliptic.P256()), p384: ec(elliptic.P384()), p521: ec(elliptic.P521()),
		ed: ed, strangerEC: ec(elliptic.P256()), strangerEd: strange, dir: t.TempDir()}
	var all []byte
	for _, k := range []crypto.Signer{w.rsa, w.p256, w.p384, w.p521, w.ed} {
		all = append(all, publicPEM(t, k)...)
	}
	w.pem = w.write(t, "all.pem", all)
	w.rsaPEM = w.write(t, "rsa.pem", publicPEM(t, w.rsa))
	return w
}

// rsaKeys takes its time, so the keys are made once.
var rsaKeys = sync.OnceValues(func() (own, foreign *rsa.PrivateKey) {
	make := func() *rsa.PrivateKey {
		k, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		return k
	}
	return make(), make()
})

func publicPEM(t testing.TB, k crypto.Signer) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(k.Public())
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

func (w *wallet) write(t testing.TB, name string, data []byte) string {
	t.Helper()
	file := filepath.Join(w.dir, name)
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// key returns what signs with an algorithm.
func (w *wallet) key(alg string) any {
	switch {
	case strings.HasPrefix(alg, "HS"):
		return []byte(secret)
	case alg == "ES256":
		return w.p256
	case alg == "ES384":
		return w.p384
	case alg == "ES512":
		return w.p521
	case alg == "EdDSA":
		return w.ed
	}
	return w.rsa
}

// good are the claims of a token that passes.
func good() map[string]any {
	return map[string]any{
		"iss": "psa-platform", "aud": "psa-api", "sub": "u-1", "email": "ada@example.org", "role": "technician",
		"tenantId": "t-1", "permissions": map[string]any{"read": true, "write": false, "all": true}, "scope": "a b",
		"jti": "id-1", "iat": now.Add(-time.Minute).Unix(), "exp": now.Add(time.Minute).Unix(),
	}
}

// with returns claims with some of them changed; nil removes one.
func with(changes map[string]any) map[string]any {
	c := good()
	for name, value := range changes {
		if value == nil {
			delete(c, name)
		} else {
			c[name] = value
		}
	}
	return c
}

func sign(t testing.TB, alg string, key any, claims any, header map[string]any) string {
	t.Helper()
	o := (&jose.SignerOptions{}).WithType("JWT")
	for name, value := range header {
		o = o.WithHeader(jose.HeaderKey(name), value)
	}
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(alg), Key: key}, o)
	if err != nil {
		t.Fatal(err)
	}
	text, err := jwt.Signed(s).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// raw signs any bytes with any header text, with HMAC-SHA256 under the secret.
func raw(t testing.TB, header, payload string) string {
	t.Helper()
	return hmacSigned(seg(header) + "." + seg(payload))
}

func seg(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

func text(v any) string {
	b, _ := json.Marshal(v) // claims of tests always have a form
	return string(b)
}

// issuers is one issuer with the secret and all public keys.
func issuers(w *wallet, change func(*config.Issuer)) config.Mapping[config.Issuer] {
	is := defaultIssuer()
	is.Issuer, is.Audience = "psa-platform", config.StringList{"psa-api"}
	s, p := defaultSource(), defaultSource()
	s.Secret, s.Algorithms = secret, config.StringList{"HS256", "HS384", "HS512"}
	p.PEM, p.Algorithms = w.pem, config.StringList{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
	is.Keys = []config.KeySource{s, p}
	if change != nil {
		change(&is)
	}
	return config.Mapping[config.Issuer]{{Name: "platform", Value: is}}
}

func defaultIssuer() (is config.Issuer) {
	is.SetDefaults()
	is.Claims.SetDefaults()
	return is
}

func defaultSource() (s config.KeySource) {
	s.SetDefaults()
	return s
}

func verifier(t testing.TB, c config.Mapping[config.Issuer], revoked *revocation.List) *Verifier {
	t.Helper()
	v, problems := New(c, Deps{Revoked: revoked, Resolve: func(f string) string { return f }})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	t.Cleanup(v.Close)
	return v
}

// refusal returns the name of the reason, "" for a token that passes.
func refusal(v *Verifier, token string) string {
	_, r, _ := v.Verify(token, now)
	return name(r)
}

func name(r *exchange.Reason) string {
	if r == nil {
		return ""
	}
	return r.Name
}
