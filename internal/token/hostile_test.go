package token

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"yett/internal/config"
)

// hostile is a token that somebody might try.
type hostile struct {
	name, token string
	// want is the reason, "" where any will do.
	want string
}

// hostileTokens makes them. lure is a server that must never be asked.
func hostileTokens(t testing.TB, w *wallet, lure string) []hostile {
	at := func(d time.Duration) int64 { return now.Add(d).Unix() }
	hs := func(claims map[string]any) string { return sign(t, "HS256", w.key("HS256"), claims, nil) }
	head := func(h string) string { return raw(t, h, text(good())) }
	body := func(p string) string { return raw(t, `{"alg":"HS256","typ":"JWT"}`, p) }
	valid := hs(good())
	parts := strings.Split(valid, ".")
	rs := sign(t, "RS256", w.rsa, good(), nil)
	es := sign(t, "ES256", w.p256, good(), nil)
	ed := sign(t, "EdDSA", w.ed, good(), nil)
	unsigned := func(alg string) string {
		return seg(`{"alg":"`+alg+`","typ":"JWT"}`) + "." + seg(text(good())) + "."
	}
	claim := func(name, value string) string {
		return body(strings.TrimSuffix(text(with(map[string]any{name: nil})), "}") + `,"` + name + `":` + value + `}`)
	}
	publicJWK := func(k any) string {
		b, err := (&jose.JSONWebKey{Key: k, KeyID: "own"}).MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	confused := func(key []byte) string {
		return sign(t, "HS256", key, good(), nil)
	}
	list := []hostile{
		// The algorithm none, in every spelling.
		{"none", unsigned("none"), "token_algorithm"},
		{"None", unsigned("None"), "token_algorithm"},
		{"NONE", unsigned("NONE"), "token_algorithm"},
		{"nOnE", unsigned("nOnE"), "token_algorithm"},
		{"none with a blank", unsigned("none "), "token_algorithm"},
		{"none with NUL", unsigned(`none\u0000`), "token_algorithm"},
		{"none with a signature", unsigned("none") + parts[2], "token_algorithm"},
		{"none, two segments", strings.TrimSuffix(unsigned("none"), "."), "token_malformed"},
		{"empty algorithm", unsigned(""), "token_malformed"},
		{"no algorithm", head(`{"typ":"JWT"}`), "token_malformed"},
		{"algorithm is null", head(`{"alg":null}`), "token_malformed"},
		{"algorithm is a list", head(`{"alg":["HS256"]}`), "token_malformed"},
		{"algorithm is a number", head(`{"alg":256}`), "token_malformed"},
		{"algorithm in lower case", head(`{"alg":"hs256"}`), "token_algorithm"},
		{"unknown algorithm", head(`{"alg":"HS1"}`), "token_algorithm"},
		{"algorithm twice", head(`{"alg":"none","alg":"HS256"}`), "token_malformed"},
		{"algorithm twice, escaped", head(`{"alg":"HS256","\u0061lg":"none"}`), "token_malformed"},
		// A public key as a secret, and other mixed up kinds.
		{"RSA PEM as secret", confused(publicPEM(t, w.rsa)), "token_signature"},
		{"RSA PEM as secret, without the last line end", confused([]byte(strings.TrimSpace(string(publicPEM(t, w.rsa))))), "token_signature"},
		{"RSA modulus as secret", confused(w.rsa.N.Bytes()), "token_signature"},
		{"EC PEM as secret", confused(publicPEM(t, w.p256)), "token_signature"},
		{"JWK as secret", confused([]byte(publicJWK(w.rsa.Public()))), "token_signature"},
		{"empty secret", hmacWith(nil, parts[0]+"."+parts[1]), "token_signature"},
		{"one byte as secret", hmacWith([]byte{0}, parts[0]+"."+parts[1]), "token_signature"},
		{"RS256 token that says PS256", swapAlg(rs, "PS256"), "token_signature"},
		{"RS256 token that says HS256", swapAlg(rs, "HS256"), "token_signature"},
		{"HS256 token that says RS256", swapAlg(valid, "RS256"), "token_signature"},
		{"HS256 token that says ES256", swapAlg(valid, "ES256"), "token_signature"},
		{"ES256 token that says ES384", swapAlg(es, "ES384"), "token_signature"},
		{"EdDSA token that says ES256", swapAlg(ed, "ES256"), "token_signature"},
		{"signed by another RSA key", sign(t, "RS256", w.stranger, good(), nil), "token_signature"},
		{"signed by another EC key", sign(t, "ES256", w.strangerEC, good(), nil), "token_signature"},
		{"signed by another Ed25519 key", sign(t, "EdDSA", w.strangerEd, good(), nil), "token_signature"},
		// The header leads somewhere.
		{"jku", sign(t, "RS256", w.stranger, good(), map[string]any{"jku": lure}), "token_signature"},
		{"x5u", sign(t, "RS256", w.stranger, good(), map[string]any{"x5u": lure}), "token_signature"},
		{"jwk", sign(t, "RS256", w.stranger, good(), map[string]any{"jwk": map[string]any{}}), "token_signature"},
		{"own jwk", embedded(t, w), "token_signature"},
		{"x5c", sign(t, "RS256", w.stranger, good(), map[string]any{"x5c": []string{"AAAA"}}), "token_signature"},
		{"kid is a path", sign(t, "RS256", w.stranger, good(), map[string]any{"kid": "../../../../dev/null"}), "token_signature"},
		{"kid is SQL", sign(t, "HS256", []byte(strings.Repeat("k", 32)), good(), map[string]any{"kid": "' UNION SELECT 'k'; --"}), "token_signature"},
		{"kid is a URL", sign(t, "RS256", w.stranger, good(), map[string]any{"kid": lure}), "token_signature"},
		{"kid is a number", head(`{"alg":"HS256","kid":1}`), "token_malformed"},
		{"kid is an object", head(`{"alg":"HS256","kid":{"a":1}}`), "token_malformed"},
		{"kid twice", head(`{"alg":"HS256","kid":"a","kid":"b"}`), "token_malformed"},
		{"crit", head(`{"alg":"HS256","crit":["exp"]}`), "token_malformed"},
		{"crit, empty", head(`{"alg":"HS256","crit":[]}`), "token_malformed"},
		{"crit names an extension", head(`{"alg":"HS256","crit":["x"],"x":1}`), "token_malformed"},
		{"crit is null", head(`{"alg":"HS256","crit":null}`), "token_malformed"},
		{"b64", head(`{"alg":"HS256","b64":false}`), "token_malformed"},
		{"b64 and crit", head(`{"alg":"HS256","b64":false,"crit":["b64"]}`), "token_malformed"},
		{"zip", head(`{"alg":"HS256","zip":"DEF"}`), "token_malformed"},
		{"encrypted", "eyJhbGciOiJSU0EtT0FFUCIsImVuYyI6IkEyNTZHQ00ifQ.AAAA.AAAA.AAAA.AAAA", "token_malformed"},
		// Forms that are none.
		{"empty", "", "token_malformed"},
		{"dots", "..", "token_malformed"},
		{"one segment", parts[0], "token_malformed"},
		{"two segments", parts[0] + "." + parts[1], "token_malformed"},
		{"four segments", valid + ".AAAA", "token_malformed"},
		{"a dot behind", valid + ".", "token_malformed"},
		{"JSON serialisation", `{"protected":"` + parts[0] + `","payload":"` + parts[1] + `","signature":"` + parts[2] + `"}`, "token_malformed"},
		{"blank behind", valid + " ", "token_malformed"},
		{"line end behind", valid + "\n", "token_malformed"},
		{"line end inside", parts[0] + "\n." + parts[1] + "." + parts[2], "token_malformed"},
		{"garbage behind", valid + "!", "token_malformed"},
		{"letters behind", valid + "AAAA", "token_signature"},
		{"padding", valid + "=", "token_malformed"},
		{"padded header", base64.URLEncoding.EncodeToString([]byte(`{"alg":"HS256" }`)) + "=." + parts[1] + "." + parts[2], "token_malformed"},
		{"ordinary base64", strings.NewReplacer("-", "+", "_", "/").Replace(es) + "+/", "token_malformed"},
		{"signature is missing", parts[0] + "." + parts[1] + ".", "token_signature"},
		{"signature is cut", valid[:len(valid)-4], ""},
		{"signature is cut by a letter", valid[:len(valid)-1], ""},
		{"stray bits at the end", strayBits(valid), "token_malformed"},
		{"other payload", parts[0] + "." + seg(text(with(map[string]any{"role": "system_admin"}))) + "." + parts[2], "token_signature"},
		{"other header", seg(`{"typ":"JWT","alg":"HS256"}`) + "." + parts[1] + "." + parts[2], "token_signature"},
		{"RSA signature with a zero before", extended(t, rs), "token_signature"},
		{"ECDSA signature in DER", derSignature(t, w), "token_signature"},
		{"ECDSA signature of zeros", zeroed(es), "token_signature"},
		{"ECDSA r and s of the order", orderSignature(es), "token_signature"},
		{"Ed25519 signature with a large s", largeS(t, ed), "token_signature"},
		{"Ed25519 signature of zeros", zeroed(ed), "token_signature"},
		// Payloads.
		{"payload is a list", body(`[]`), "token_malformed"},
		{"payload is a text", body(`"a"`), "token_malformed"},
		{"payload is null", body(`null`), "token_malformed"},
		{"payload is empty", body(``), "token_malformed"},
		{"payload with something behind", body(text(good()) + `{}`), "token_malformed"},
		{"payload is no UTF-8", body(strings.Replace(text(good()), "u-1", "u-\xff", 1)), "token_malformed"},
		{"payload with a byte order mark", body("\xef\xbb\xbf" + text(good())), "token_malformed"},
		{"payload with a comment", body(text(good()) + "//"), "token_malformed"},
		{"deeply nested", claim("deep", strings.Repeat("[", 3000)+strings.Repeat("]", 3000)), ""},
		{"deeply nested, open", claim("deep", strings.Repeat("[", 3000)), "token_malformed"},
		{"deeply nested header", head(`{"alg":"HS256","a":` + strings.Repeat(`{"a":`, 2000) + "1" + strings.Repeat("}", 2001)), ""},
		{"sub twice", body(`{"sub":"admin",` + text(good())[1:]), "token_malformed"},
		{"exp twice", body(strings.TrimSuffix(text(good()), "}") + fmt.Sprintf(`,"exp":%d}`, at(time.Hour))), "token_malformed"},
		{"a permission twice", claim("permissions", `{"a":false,"a":true}`), "token_malformed"},
		// Types of claims.
		{"exp is a text", claim("exp", fmt.Sprintf(`"%d"`, at(time.Hour))), "token_malformed"},
		{"exp is true", claim("exp", "true"), "token_malformed"},
		{"exp is null", claim("exp", "null"), ""},
		{"exp is a list", claim("exp", fmt.Sprintf("[%d]", at(time.Hour))), "token_malformed"},
		{"exp is huge", claim("exp", "1e308"), "token_malformed"},
		{"exp is too huge", claim("exp", "1e400"), "token_malformed"},
		{"exp is beyond times", claim("exp", "9223372036854775807"), "token_malformed"},
		{"exp is negative", claim("exp", "-1"), "token_malformed"},
		{"exp is in milliseconds", claim("exp", fmt.Sprint(at(time.Hour)*1000)), "token_malformed"},
		{"exp is hexadecimal", claim("exp", "0xffffffff"), "token_malformed"},
		{"EXP", claim("exp", "0"), "token_expired"},
		{"nbf is a text", claim("nbf", `"0"`), "token_malformed"},
		{"iat is an object", claim("iat", `{}`), "token_malformed"},
		{"iss is a list", claim("iss", `["psa-platform"]`), "token_malformed"},
		{"aud is an object", claim("aud", `{"psa-api":1}`), "token_malformed"},
		{"aud is true", claim("aud", `true`), "token_malformed"},
		{"aud with a number", claim("aud", `["psa-api",1]`), "token_malformed"},
		{"sub is a number", claim("sub", `1`), "token_claims"},
		{"sub is a list", claim("sub", `["u-1"]`), "token_claims"},
		{"role is an object", claim("role", `{"system_admin":true}`), "token_claims"},
		{"role is a number", claim("role", `100`), "token_claims"},
		{"role with a list in its list", claim("role", `[["system_admin"]]`), "token_claims"},
		{"email is a list", claim("email", `["a"]`), "token_claims"},
		{"permissions with a number", claim("permissions", `{"a":1}`), "token_claims"},
		{"permissions are a number", claim("permissions", `7`), "token_claims"},
		{"jti is a number", claim("jti", `7`), "token_claims"},
		// What a token of somebody else, or of another time, says.
		{"expired by a second", hs(with(map[string]any{"exp": at(-time.Second)})), "token_expired"},
		{"expired at this moment", hs(with(map[string]any{"exp": at(0)})), "token_expired"},
		{"expired long ago", hs(with(map[string]any{"exp": 1})), "token_expired"},
		{"without exp", hs(with(map[string]any{"exp": nil})), "token_claims"},
		{"without anything", body(`{}`), "token_issuer"},
		{"from the future", hs(with(map[string]any{"nbf": at(time.Hour)})), "token_not_active"},
		{"issued in the future", hs(with(map[string]any{"iat": at(time.Hour)})), "token_not_active"},
		{"other issuer", hs(with(map[string]any{"iss": "https://evil.example"})), "token_issuer"},
		{"issuer with a slash", hs(with(map[string]any{"iss": "psa-platform/"})), "token_issuer"},
		{"other audience", hs(with(map[string]any{"aud": "other-api"})), "token_audience"},
		{"audience is a longer one", hs(with(map[string]any{"aud": "psa-api.evil"})), "token_audience"},
	}
	return list
}

// TestHostile: none passes, none crashes, none makes the gateway fetch
// anything, and none is remembered.
func TestHostile(t *testing.T) {
	var asked atomic.Int32
	lure := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer lure.Close()
	w := newWallet(t)
	v := verifier(t, issuers(w, func(is *config.Issuer) { is.Claims.Role = "role" }), nil)
	list := hostileTokens(t, w, lure.URL)
	if len(list) < 60 {
		t.Errorf("only %d tokens", len(list))
	}
	for _, h := range list {
		for range 2 { // the second time it could be remembered
			got, reason, detail := v.Verify(h.token, now)
			switch {
			case reason == nil && !strings.HasPrefix(h.name, "deeply nested"):
				t.Errorf("%s passes as %+v", h.name, got.Identity)
			case h.want != "" && name(reason) != h.want:
				t.Errorf("%s: %s (%s), want %s", h.name, name(reason), detail, h.want)
			}
		}
	}
	if n := asked.Load(); n > 0 {
		t.Errorf("the server that a token names was asked %d times", n)
	}
	if got := refusal(v, sign(t, "HS256", w.key("HS256"), good(), nil)); got != "" {
		t.Errorf("a good token afterwards: %s", got)
	}
}

// A reader of details sees neither the token nor more than a line.
func TestDetailsShowNoToken(t *testing.T) {
	w := newWallet(t)
	v := verifier(t, issuers(w, nil), nil)
	for _, h := range hostileTokens(t, w, "http://127.0.0.1:1/") {
		_, _, detail := v.Verify(h.token, now)
		if strings.ContainsAny(detail, "\r\n") && !strings.Contains(detail, "is no text") || len(detail) > 400 {
			t.Errorf("%s: %q", h.name, detail)
		}
		if i := strings.LastIndex(h.token, "."); len(h.token) > i+20 && strings.Contains(detail, h.token[i+1:]) {
			t.Errorf("%s: %q", h.name, detail)
		}
	}
}

func hmacWith(key []byte, signed string) string {
	b := hmacSum(key, signed)
	return signed + "." + base64.RawURLEncoding.EncodeToString(b)
}

// swapAlg lets a token say another algorithm, with its own signature.
func swapAlg(token, alg string) string {
	parts := strings.Split(token, ".")
	return seg(`{"alg":"`+alg+`","typ":"JWT"}`) + "." + parts[1] + "." + parts[2]
}

// embedded is signed with a key that stands in its header.
func embedded(t testing.TB, w *wallet) string {
	t.Helper()
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: w.stranger}, &jose.SignerOptions{EmbedJWK: true})
	if err != nil {
		t.Fatal(err)
	}
	jws, err := s.Sign([]byte(text(good())))
	if err != nil {
		t.Fatal(err)
	}
	compact, err := jws.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return compact
}

// strayBits sets bits of the last letter that belong to no byte.
func strayBits(token string) string {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(letters, token[len(token)-1])
	return token[:len(token)-1] + string(letters[last^1])
}

func resign(token string, change func([]byte) []byte) string {
	i := strings.LastIndexByte(token, '.')
	b, _ := base64.RawURLEncoding.DecodeString(token[i+1:])
	return token[:i+1] + base64.RawURLEncoding.EncodeToString(change(b))
}

func zeroed(token string) string {
	return resign(token, func(b []byte) []byte { return make([]byte, len(b)) })
}

func extended(t testing.TB, token string) string {
	t.Helper()
	return resign(token, func(b []byte) []byte { return append([]byte{0}, b...) })
}

func derSignature(t testing.TB, w *wallet) string {
	t.Helper()
	token := sign(t, "ES256", w.p256, good(), nil)
	signed := token[:strings.LastIndexByte(token, '.')]
	sum := sha256.Sum256([]byte(signed))
	der, err := ecdsa.SignASN1(rand.Reader, w.p256, sum[:])
	if err != nil {
		t.Skip(err)
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(der)
}

func orderSignature(token string) string {
	n := elliptic.P256().Params().N.Bytes()
	return resign(token, func([]byte) []byte { return append(append([]byte(nil), n...), n...) })
}

// largeS adds the order of the group to s, which is the same number to those
// who don't look closely (RFC 8032 section 5.1.7).
func largeS(t testing.TB, token string) string {
	t.Helper()
	order, _ := new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
	return resign(token, func(b []byte) []byte {
		s := make([]byte, 32)
		for i := range s {
			s[i] = b[63-i] // little endian
		}
		sum := new(big.Int).Add(new(big.Int).SetBytes(s), order)
		if sum.BitLen() > 256 {
			t.Skip("does not fit")
		}
		sum.FillBytes(s)
		out := append([]byte(nil), b[:32]...)
		for i := range s {
			out = append(out, s[31-i])
		}
		return out
	})
}

// twinOf writes a token's signature (r, s) as (r, n-s).
func twinOf(token string, k *ecdsa.PrivateKey) string {
	return resign(token, func(b []byte) []byte {
		out := append([]byte(nil), b...)
		new(big.Int).Sub(k.Params().N, new(big.Int).SetBytes(b[len(b)/2:])).FillBytes(out[len(b)/2:])
		return out
	})
}

// The twin of an ECDSA signature can't be told from it, so that it passes; but
// it is the same token to the list of revoked ones.
func TestTwinSignatures(t *testing.T) {
	w := newWallet(t)
	v := verifier(t, issuers(w, nil), nil)
	for _, alg := range []string{"ES256", "ES384", "ES512"} {
		token := sign(t, alg, w.key(alg), good(), nil)
		twin := twinOf(token, w.key(alg).(*ecdsa.PrivateKey))
		one, reason, _ := v.Verify(token, now)
		two, reason2, _ := v.Verify(twin, now)
		if reason != nil || reason2 != nil {
			t.Fatal(alg, reason, reason2)
		}
		if token == twin || one.revoked.Sums[0] != two.revoked.Sums[1] || one.revoked.Sums[1] != two.revoked.Sums[0] {
			t.Errorf("%s: %x and %x", alg, one.revoked.Sums, two.revoked.Sums)
		}
	}
}
