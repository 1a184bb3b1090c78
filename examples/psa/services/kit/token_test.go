package kit_test

import (
	"encoding/base64"
	"fmt"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"yett/examples/psa/services/kit"
	"yett/examples/psa/services/kit/kittest"
)

// sign makes a token out of any claims, with any algorithm and secret.
func sign(t *testing.T, algorithm jose.SignatureAlgorithm, secret string, claims map[string]any) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: []byte(secret)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	token, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// claimsWith are good claims with one of them changed, or left out when value is nil.
func claimsWith(name string, value any) map[string]any {
	now := time.Now().Unix()
	claims := map[string]any{"sub": "u", "iss": kit.Issuer, "aud": kit.Audience, "iat": now, "exp": now + 60, "jti": "j"}
	claims[name] = value
	if value == nil {
		delete(claims, name)
	}
	return claims
}

func TestVerifyClaims(t *testing.T) {
	now := time.Now().Unix()
	for _, test := range []struct {
		claim string
		value any
		code  string
	}{
		{"sub", "somebody", ""},
		{"aud", []string{"other", kit.Audience}, ""},
		{"unknown", "claim", ""},
		{"sub", nil, kit.CodeInvalidToken},
		{"exp", nil, kit.CodeInvalidToken},
		{"exp", now - 60, kit.CodeTokenExpired},
		{"exp", "soon", kit.CodeInvalidToken},
		{"nbf", now + 60, kit.CodeTokenNotActive},
		{"iat", now + 60, kit.CodeTokenNotActive},
		{"iss", "other", kit.CodeInvalidToken},
		{"iss", nil, kit.CodeInvalidToken},
		{"aud", "other", kit.CodeInvalidToken},
		{"aud", nil, kit.CodeInvalidToken},
	} {
		t.Run(fmt.Sprintf("%s %v", test.claim, test.value), func(t *testing.T) {
			wantVerified(t, sign(t, jose.HS256, kittest.Secret, claimsWith(test.claim, test.value)), test.code)
		})
	}
}

func TestVerifySignature(t *testing.T) {
	good := claimsWith("sub", "u")
	signed := sign(t, jose.HS256, kittest.Secret, good)
	payload := strings.Split(signed, ".")[1]
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`))
	for name, token := range map[string]string{
		"not a token":     "abc",
		"other secret":    sign(t, jose.HS256, strings.Repeat("x", 32), good),
		"other algorithm": sign(t, jose.HS512, kittest.Secret, good),
		"no algorithm":    none + "." + payload + ".",
		"no signature":    strings.Split(signed, ".")[0] + "." + payload + ".",
	} {
		t.Run(name, func(t *testing.T) { wantVerified(t, token, kit.CodeInvalidToken) })
	}
}

func TestShortSecretIsRefused(t *testing.T) {
	if _, err := kit.NewTokens(strings.Repeat("x", 31), nil); err == nil || !strings.Contains(err.Error(), "JWT_SECRET has 31 bytes") {
		t.Errorf("err = %v", err)
	}
}

func TestAuthorizationHeader(t *testing.T) {
	token := kittest.Token(t, "technician", "a", "u")
	for _, test := range []struct {
		name   string
		values []string
		code   string
	}{
		{"usual", []string{"Bearer " + token}, ""},
		{"lower case", []string{"bearer " + token}, ""},
		{"none", nil, kit.CodeNoToken},
		{"empty", []string{""}, kit.CodeNoToken},
		{"no token", []string{"Bearer "}, kit.CodeNoToken},
		{"basic", []string{"Basic " + token}, kit.CodeNoToken},
		{"two", []string{"Bearer " + token, "Bearer " + token}, kit.CodeInvalidToken},
	} {
		t.Run(test.name, func(t *testing.T) {
			request := httptest.NewRequest("GET", "/private", nil)
			request.Header["Authorization"] = test.values
			answer := kittest.Send(newRouter(t), request)
			if test.code == "" {
				answer.Want(t, 200)
				return
			}
			answer.WantError(t, 401, test.code, "")
			if got := answer.Header.Get("WWW-Authenticate"); !strings.HasPrefix(got, "Bearer ") {
				t.Errorf("WWW-Authenticate = %q", got)
			}
		})
	}
}

func TestSignedClaimsComeBack(t *testing.T) {
	tokens, err := kit.NewTokens(kittest.Secret, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := kit.Identity{
		UserID: "u", Email: "u@example.com", Role: "technician", TenantID: "a", SessionID: "s",
		Permissions: map[string]bool{kit.PermTimeWrite: true},
	}
	token, err := tokens.Sign(want, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	got, err := tokens.Verify(token)
	if err != nil {
		t.Fatal(err)
	}
	if !kit.ValidID(got.TokenID) || time.Until(got.ExpiresAt) > time.Minute {
		t.Errorf("token ID %q, expires %v", got.TokenID, got.ExpiresAt)
	}
	want.TokenID, want.ExpiresAt = got.TokenID, got.ExpiresAt
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	if err != nil || !strings.Contains(string(payload), `"aud":"psa-api"`) {
		t.Errorf("payload = %s (%v), want aud as one string", payload, err)
	}
}

func TestRevocationsLastAsLongAsTheToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		revoked := kit.NewRevocations()
		revoked.Add("", time.Now().Add(time.Hour))
		revoked.Add("a", time.Now().Add(10*time.Minute))
		revoked.Add("a", time.Now().Add(time.Minute)) // a shorter one does not cut the longer one short
		if revoked.Has("") || !revoked.Has("a") || revoked.Has("b") {
			t.Fatal("wrong list")
		}
		time.Sleep(10 * time.Minute)
		if !revoked.Has("a") {
			t.Error("forgotten while a token is still accepted within the leeway")
		}
		time.Sleep(time.Minute)
		revoked.Add("b", time.Now().Add(time.Minute)) // sweeps
		if revoked.Has("a") || !revoked.Has("b") {
			t.Error("the list did not move on")
		}
	})
}

func wantVerified(t *testing.T, token, code string) {
	t.Helper()
	answer := kittest.Client{Handler: newRouter(t), Token: token}.Do(t, "GET", "/private", "")
	if code == "" {
		answer.Want(t, 200)
		return
	}
	answer.WantError(t, 401, code, "")
	if got := answer.Header.Get("WWW-Authenticate"); got != `Bearer realm="psa-platform", error="invalid_token"` {
		t.Errorf("WWW-Authenticate = %q", got)
	}
}
