package token

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"reflect"
	"strings"
	"testing"
	"time"

	"yett/internal/config"
	"yett/internal/exchange"
)

func hmacSigned(signed string) string { return hmacWith([]byte(secret), signed) }

func hmacSum(key []byte, signed string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(signed))
	return mac.Sum(nil)
}

func TestEveryAlgorithm(t *testing.T) {
	w := newWallet(t)
	v := verifier(t, issuers(w, nil), nil)
	want := exchange.Identity{
		Subject: "u-1", Email: "ada@example.org", Role: "technician", Roles: []string{"technician"}, Tenant: "t-1",
		Permissions: []string{"all", "read"}, Scopes: []string{"a", "b"}, Issuer: "platform", TokenID: "id-1", Expires: now.Add(time.Minute),
	}
	for _, alg := range []string{"HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"} {
		token := sign(t, alg, w.key(alg), good(), nil)
		for _, when := range []string{"first", "again"} {
			got, reason, detail := v.Verify(token, now)
			if reason != nil {
				t.Fatalf("%s, %s: %v %s", alg, when, reason, detail)
			}
			id := got.Identity
			id.Expires = id.Expires.UTC()
			if !reflect.DeepEqual(id, want) || got.Algorithm != alg {
				t.Errorf("%s: %+v", alg, got)
			}
		}
	}
}

// The key decides: without a word of the configuration, each is for one
// algorithm.
func TestDefaultAlgorithms(t *testing.T) {
	w := newWallet(t)
	v := verifier(t, issuers(w, func(is *config.Issuer) { is.Keys[0].Algorithms, is.Keys[1].Algorithms = nil, nil }), nil)
	for alg, passes := range map[string]bool{
		"HS256": true, "HS384": false, "HS512": false, "RS256": true, "RS384": false, "RS512": false, "PS256": false, "PS384": false, "PS512": false,
		"ES256": true, "ES384": true, "ES512": true, "EdDSA": true,
	} {
		got := refusal(v, sign(t, alg, w.key(alg), good(), nil))
		if passes && got != "" || !passes && got != "token_algorithm" {
			t.Errorf("%s: %q", alg, got)
		}
	}
}

func TestClaims(t *testing.T) {
	w := newWallet(t)
	at := func(d time.Duration) int64 { return now.Add(d).Unix() }
	tests := []struct {
		name   string
		conf   func(*config.Issuer)
		claims map[string]any
		want   string
	}{
		{"good", nil, nil, ""},
		{"exp now", nil, map[string]any{"exp": at(0)}, "token_expired"},
		{"exp a second ago", nil, map[string]any{"exp": at(-time.Second)}, "token_expired"},
		{"exp with a fraction", nil, map[string]any{"exp": float64(at(0)) + 0.5}, ""},
		{"exp in a second", nil, map[string]any{"exp": at(time.Second)}, ""},
		{"no exp", nil, map[string]any{"exp": nil}, "token_claims"},
		{"exp within the leeway", func(is *config.Issuer) { is.Leeway = config.Duration(2 * time.Second) }, map[string]any{"exp": at(-time.Second)}, ""},
		{"exp beyond the leeway", func(is *config.Issuer) { is.Leeway = config.Duration(2 * time.Second) }, map[string]any{"exp": at(-2 * time.Second)}, "token_expired"},
		{"nbf within the skew", nil, map[string]any{"nbf": at(5 * time.Second)}, ""},
		{"nbf beyond the skew", nil, map[string]any{"nbf": at(6 * time.Second)}, "token_not_active"},
		{"iat within the skew", nil, map[string]any{"iat": at(5 * time.Second)}, ""},
		{"iat beyond the skew", nil, map[string]any{"iat": at(6 * time.Second)}, "token_not_active"},
		{"no skew", func(is *config.Issuer) { is.Skew = 0 }, map[string]any{"iat": at(time.Second)}, "token_not_active"},
		{"no iat", nil, map[string]any{"iat": nil}, ""},
		{"other issuer", nil, map[string]any{"iss": "other"}, "token_issuer"},
		{"no issuer", nil, map[string]any{"iss": nil}, "token_issuer"},
		{"issuer in another case", nil, map[string]any{"iss": "PSA-Platform"}, "token_issuer"},
		{"any issuer", func(is *config.Issuer) { is.Issuer = "" }, map[string]any{"iss": "other"}, ""},
		{"other audience", nil, map[string]any{"aud": "other"}, "token_audience"},
		{"no audience", nil, map[string]any{"aud": nil}, "token_audience"},
		{"audience is a prefix", nil, map[string]any{"aud": "psa-api-2"}, "token_audience"},
		{"one of several audiences", nil, map[string]any{"aud": []string{"x", "psa-api"}}, ""},
		{"none of several audiences", nil, map[string]any{"aud": []string{"x", "y"}}, "token_audience"},
		{"empty list of audiences", nil, map[string]any{"aud": []string{}}, "token_audience"},
		{"audience not looked at", func(is *config.Issuer) { is.Audience = nil }, map[string]any{"aud": nil}, ""},
		{"a plan that is no text", nil, map[string]any{"plan": []string{"gold"}}, "token_claims"},
		{"no subject", nil, map[string]any{"sub": nil}, "token_claims"},
		{"empty subject", nil, map[string]any{"sub": ""}, "token_claims"},
		{"nothing but a subject", nil, map[string]any{"email": nil, "role": nil, "tenantId": nil, "permissions": nil, "scope": nil, "jti": nil}, ""},
		{"lives too long", func(is *config.Issuer) { is.MaxLifetime = config.Duration(time.Minute) }, nil, "token_claims"},
		{"lives long enough", func(is *config.Issuer) { is.MaxLifetime = config.Duration(2 * time.Minute) }, nil, ""},
		{"lifetime without iat", func(is *config.Issuer) { is.MaxLifetime = config.Duration(time.Hour) }, map[string]any{"iat": nil}, "token_claims"},
		{"required claim", func(is *config.Issuer) { is.RequiredClaims = config.StringList{"jti", "tenantId"} }, nil, ""},
		{"required claim is missing", func(is *config.Issuer) { is.RequiredClaims = config.StringList{"tenantId"} }, map[string]any{"tenantId": nil}, "token_claims"},
		{"required claim is empty", func(is *config.Issuer) { is.RequiredClaims = config.StringList{"jti"} }, map[string]any{"jti": ""}, "token_claims"},
		{"type", func(is *config.Issuer) { is.Types = config.StringList{"application/JWT"} }, nil, ""},
		{"other type", func(is *config.Issuer) { is.Types = config.StringList{"at+jwt"} }, nil, "token_claims"},
	}
	for _, tt := range tests {
		v := verifier(t, issuers(w, tt.conf), nil)
		if got := refusal(v, sign(t, "HS256", w.key("HS256"), with(tt.claims), nil)); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// A token that hardly ever ends passes the second time as the first.
func TestFarExpiry(t *testing.T) {
	w := newWallet(t)
	v := verifier(t, issuers(w, nil), nil)
	for _, exp := range []int64{9999999999, 20000000000, maxSeconds} {
		token := sign(t, "HS256", w.key("HS256"), with(map[string]any{"exp": exp}), nil)
		for range 2 {
			if got := refusal(v, token); got != "" {
				t.Errorf("exp %d: %s", exp, got)
			}
		}
	}
}

// A token that names no key is tried with a few of them, not with all that
// there are.
func TestTriesAreBounded(t *testing.T) {
	w := newWallet(t)
	var pems []byte
	for range maxTries {
		_, k, _ := ed25519.GenerateKey(nil)
		pems = append(pems, publicPEM(t, k)...)
	}
	v := verifier(t, issuers(w, func(is *config.Issuer) {
		is.Keys[1].PEM = w.write(t, "many.pem", append(pems, publicPEM(t, w.ed)...))
	}), nil)
	token := sign(t, "EdDSA", w.ed, good(), nil)
	if got := refusal(v, token); got != "token_signature" {
		t.Errorf("key number %d was tried: %q", maxTries+1, got)
	}
	v = verifier(t, issuers(w, func(is *config.Issuer) {
		is.Keys[1].PEM = w.write(t, "few.pem", append(pems[:len(pems)-len(publicPEM(t, w.ed))], publicPEM(t, w.ed)...))
	}), nil)
	if got := refusal(v, token); got != "" {
		t.Errorf("key number %d was not tried: %q", maxTries, got)
	}
}

// Claims are found by the names that the issuer uses.
func TestClaimNames(t *testing.T) {
	w := newWallet(t)
	v := verifier(t, issuers(w, func(is *config.Issuer) {
		is.Claims = config.ClaimNames{Subject: "uid", Email: "contact.mail", Role: "realm_access.roles", Tenant: "https://example.org/tenant",
			Plan: "billing.plan", Permissions: "perms", Scopes: "scp"}
	}), nil)
	got, reason, detail := v.Verify(sign(t, "HS256", w.key("HS256"), with(map[string]any{
		"uid": "u-2", "contact": map[string]any{"mail": "m@example.org"}, "realm_access": map[string]any{"roles": []string{"one", "two"}},
		"https://example.org/tenant": "t-2", "perms": "x y", "scp": []string{"s"}, "billing": map[string]any{"plan": "gold"},
	}), nil), now)
	if reason != nil {
		t.Fatal(reason, detail)
	}
	want := exchange.Identity{Subject: "u-2", Email: "m@example.org", Role: "one,two", Roles: []string{"one", "two"}, Tenant: "t-2", Plan: "gold",
		Permissions: []string{"x", "y"}, Scopes: []string{"s"}, Issuer: "platform", TokenID: "id-1", Expires: got.Identity.Expires}
	if !reflect.DeepEqual(got.Identity, want) {
		t.Errorf("%+v", got.Identity)
	}
}

// Several issuers stand side by side, each with its own keys: a token of one
// signed with the key of another does not pass.
func TestSeveralIssuers(t *testing.T) {
	w := newWallet(t)
	c := issuers(w, func(is *config.Issuer) { is.Keys = is.Keys[:1] })
	other := issuers(w, func(is *config.Issuer) { is.Issuer, is.Keys = "other", is.Keys[1:] })
	c = append(c, config.Entry[config.Issuer]{Name: "other", Value: other[0].Value})
	v := verifier(t, c, nil)
	for _, tt := range []struct{ alg, iss, want string }{
		{"HS256", "psa-platform", ""}, {"RS256", "other", ""},
		{"HS256", "other", "token_algorithm"}, {"RS256", "psa-platform", "token_algorithm"},
	} {
		if got := refusal(v, sign(t, tt.alg, w.key(tt.alg), with(map[string]any{"iss": tt.iss}), nil)); got != tt.want {
			t.Errorf("%s of %s: %q, want %q", tt.alg, tt.iss, got, tt.want)
		}
	}
}

func TestProblems(t *testing.T) {
	w := newWallet(t)
	private := w.write(t, "private.pem", []byte("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"))
	empty := w.write(t, "empty.pem", []byte("nothing"))
	badSet := w.write(t, "bad.json", []byte(`{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"}]}`))
	tests := []struct {
		name string
		conf func(*config.Issuer)
		want string
	}{
		{"no source", func(is *config.Issuer) { is.Keys[0].Secret = "" }, "issuers.platform.keys[0]: there is no key"},
		{"two sources", func(is *config.Issuer) { is.Keys[0].PEM = "a" }, "issuers.platform.keys[0]: secret and pem stand in one entry"},
		{"short secret", func(is *config.Issuer) { is.Keys[0].Secret = "short" }, "issuers.platform.keys[0].secret: the secret has 5 bytes, and HS256 needs at least 32"},
		{"secret too short for the algorithm", func(is *config.Issuer) {
			is.Keys[0].Secret, is.Keys[0].Algorithms = secret[:32], config.StringList{"HS512"}
		},
			"issuers.platform.keys[0].secret: a secret of 32 bytes can't be used with [HS512]"},
		{"sample", func(is *config.Issuer) { is.Keys[0].Secret = "change-me-to-32-bytes-or-more-please" }, "the secret is a sample that everybody knows"},
		{"one letter", func(is *config.Issuer) { is.Keys[0].Secret = strings.Repeat("x", 40) }, "the secret is a sample that everybody knows"},
		{"public key as secret", func(is *config.Issuer) { is.Keys[0].Secret = string(publicPEM(t, w.rsa)) }, "a public key as a secret would let everybody sign"},
		{"not hex", func(is *config.Issuer) { is.Keys[0].SecretEncoding = "hex" }, ""},
		{"not base64", func(is *config.Issuer) { is.Keys[0].Secret, is.Keys[0].SecretEncoding = "%%%", "base64" }, "the secret is not base64"},
		{"no file", func(is *config.Issuer) { is.Keys[1].PEM = "none.pem" }, "issuers.platform.keys[1].pem: reading keys: open none.pem"},
		{"private key", func(is *config.Issuer) { is.Keys[1].PEM = private }, "there is a private key in the file"},
		{"no key", func(is *config.Issuer) { is.Keys[1].PEM = empty }, "there is no key in the file"},
		{"kid for many", func(is *config.Issuer) { is.Keys[1].KeyID = "k" }, "there are several keys in the file, and one kid"},
		{"wrong algorithm", func(is *config.Issuer) { is.Keys[1].PEM, is.Keys[1].Algorithms = w.rsaPEM, config.StringList{"ES256"} }, "an RSA key can't be used with [ES256]"},
		{"short RSA key", func(is *config.Issuer) { is.Keys[1].PEM, is.Keys[1].JWKSFile = "", badSet }, "an RSA key of 17 bits is too short"},
		{"kid beside a set", func(is *config.Issuer) { is.Keys[1].PEM, is.Keys[1].JWKSFile, is.Keys[1].KeyID = "", badSet, "k" }, "a key set has the IDs in itself"},
		{"plain URL", func(is *config.Issuer) { is.Keys[1].PEM, is.Keys[1].JWKSURL = "", "http://login.example.org/keys" }, "keys that come without TLS can be anybody's"},
		{"password in the URL", func(is *config.Issuer) {
			is.Keys[1].PEM, is.Keys[1].JWKSURL = "", "https://u:hidden@login.example.org/keys"
		}, "user and password have no place in it"},
		{"no URL", func(is *config.Issuer) { is.Keys[1].PEM, is.Keys[1].JWKSURL = "", "ftp://a" }, "this is no URL of a key set"},
		{"no subject", func(is *config.Issuer) { is.Claims.Subject = "" }, "issuers.platform.claims.subject: is empty"},
	}
	for _, tt := range tests {
		v, problems := New(issuers(w, tt.conf), Deps{Resolve: func(f string) string { return f }})
		v.Close()
		text := problems.Error()
		if tt.want != "" && !strings.Contains(text, tt.want) || tt.want == "" && text != "" {
			t.Errorf("%s: %q, want %q", tt.name, text, tt.want)
		}
		for _, hidden := range []string{secret[:32], "hidden", "%%%"} {
			if strings.Contains(text, hidden) {
				t.Errorf("%s: a secret is shown: %s", tt.name, text)
			}
		}
	}
	twice := append(issuers(w, nil), issuers(w, nil)...)
	twice[1].Name = "again"
	if _, problems := New(twice, Deps{Resolve: func(f string) string { return f }}); !strings.Contains(problems.Error(), `"psa-platform" is the issuer of platform too`) {
		t.Error(problems)
	}
}

func TestSecretEncodings(t *testing.T) {
	w := newWallet(t)
	for encoding, text := range map[string]string{
		"hex": "30313233343536373839616263646566" + "30313233343536373839414243444546", "base64": base64.StdEncoding.EncodeToString([]byte(secret[:32])),
	} {
		v := verifier(t, issuers(w, func(is *config.Issuer) {
			is.Keys = is.Keys[:1]
			is.Keys[0].Secret, is.Keys[0].SecretEncoding, is.Keys[0].Algorithms = text, encoding, nil
		}), nil)
		if got := refusal(v, sign(t, "HS256", []byte(secret[:32]), good(), nil)); got != "" {
			t.Errorf("%s: %s", encoding, got)
		}
	}
}

// What Sign makes of Claims passes, and says the same.
func TestSignedByUs(t *testing.T) {
	w := newWallet(t)
	for _, trust := range []bool{false, true} {
		v := verifier(t, issuers(w, func(is *config.Issuer) {
			is.RequiredClaims, is.Types = config.StringList{"sid"}, config.StringList{"at+jwt"}
			is.Claims.Role = "realm.roles"
		}), nil)
		if trust {
			if err := v.SelfTrust(); err != nil {
				t.Fatal(err)
			}
		}
		id := exchange.Identity{Subject: "u", Email: "e", Tenant: "t", Plan: "g", Roles: []string{"a", "b"}, Role: "a,b", Permissions: []string{"p"}, Scopes: []string{"x", "y"}, TokenID: "j"}
		claims, err := v.Claims("platform", id, now, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		token, err := v.Sign("platform", claims)
		if err != nil {
			t.Fatal(err)
		}
		got, reason, detail := v.Verify(token, now)
		if reason != nil {
			t.Fatal(reason, detail)
		}
		id.Issuer, id.Expires = "platform", got.Identity.Expires
		if !reflect.DeepEqual(got.Identity, id) || trust != (got.Algorithm == "EdDSA") {
			t.Errorf("%+v", got)
		}
	}
	v := verifier(t, issuers(w, func(is *config.Issuer) { is.Keys = is.Keys[1:] }), nil)
	if _, err := v.Sign("platform", good()); err == nil || !strings.Contains(err.Error(), "signs with a private key that the gateway does not have") {
		t.Error(err)
	}
}

func TestDecode(t *testing.T) {
	w := newWallet(t)
	header, claims, err := Decode(sign(t, "RS256", w.stranger, good(), map[string]any{"kid": "k"}))
	if err != nil || header["kid"] != "k" || header["alg"] != "RS256" || claims["sub"] != "u-1" {
		t.Error(header, claims, err)
	}
	if _, _, err := Decode("a.b"); err == nil {
		t.Error("two segments are a token")
	}
}
