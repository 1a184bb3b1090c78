package token

import (
	"encoding/json"
	"testing"
	"time"
	"unicode/utf8"

	"yett/internal/config"
)

// FuzzVerify: of what is not exactly a token that was signed, nothing passes.
// The algorithms of these have one form for a token only.
func FuzzVerify(f *testing.F) {
	w := newWallet(f)
	v := verifier(f, issuers(w, nil), nil)
	signed := make(map[string]bool)
	for _, alg := range []string{"HS256", "RS256", "PS256", "EdDSA"} {
		token := sign(f, alg, w.key(alg), good(), nil)
		signed[token] = true
		f.Add(token)
	}
	for _, h := range hostileTokens(f, w, "http://127.0.0.1:1/") {
		if refusal(v, h.token) == "" {
			signed[h.token] = true
		}
		f.Add(h.token)
	}
	f.Fuzz(func(t *testing.T, token string) {
		v.cache.forget()
		got, reason, _ := v.Verify(token, now)
		if reason == nil && !signed[token] {
			t.Errorf("passes as %+v", got.Identity)
		}
		if reason == nil && refusal(v, token) != "" {
			t.Error("does not pass a second time")
		}
	})
}

// FuzzClaims: a payload that its issuer has signed is understood as
// encoding/json does, or not at all.
func FuzzClaims(f *testing.F) {
	w := newWallet(f)
	v := verifier(f, issuers(w, func(is *config.Issuer) { is.Issuer, is.Audience, is.Claims.Role = "", nil, "a.b" }), nil)
	f.Add(`{"alg":"HS256"}`, text(good()))
	f.Add(`{"alg":"HS256","typ":"JWT","kid":"x"}`, `{"exp":1e10,"sub":"x","a":{"b":["c"]},"a.b":"d"}`)
	f.Add(`{"alg":"HS256"}`, `{"exp":99999999999.5,"sub":"\u0000\ud800","permissions":{"":true},"scope":" a  b "}`)
	f.Add(`{"ALG":"HS256","alg":"none"}`, `{"Sub":"x","sub":"y","exp":9e9}`)
	f.Fuzz(func(t *testing.T, header, payload string) {
		v.cache.forget()
		got, reason, _ := v.Verify(raw(t, header, payload), now)
		if reason != nil {
			return
		}
		var h, c map[string]any
		if json.Unmarshal([]byte(header), &h) != nil || json.Unmarshal([]byte(payload), &c) != nil || !utf8.ValidString(payload) {
			t.Fatal("what is no JSON passes")
		}
		if h["alg"] != "HS256" || c["sub"] != got.Identity.Subject || got.Identity.Subject == "" {
			t.Errorf("%v %v: %+v", h, c, got.Identity)
		}
		exp, ok := c["exp"].(float64)
		if !ok || exp <= float64(now.Unix()) || got.Identity.Expires.Sub(time.Unix(int64(exp), 0)).Abs() > time.Second {
			t.Errorf("exp is %v, and was understood as %s", c["exp"], got.Identity.Expires)
		}
	})
}
