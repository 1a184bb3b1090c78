package token

import (
	"crypto/sha256"
	"testing"
	"time"

	"yett/internal/revocation"
)

// A token is refused from the moment on when it is on the list, also one that
// was remembered as good; and what else is on the list does not matter.
func TestRevoked(t *testing.T) {
	w := newWallet(t)
	end := time.Now().Add(time.Hour)
	for _, alg := range []string{"HS256", "RS256", "ES256", "EdDSA"} {
		token := sign(t, alg, w.key(alg), good(), nil)
		for name, entry := range map[string]revocation.Entry{
			"jti":          {Kind: revocation.ByID, ID: "id-1", Expires: end},
			"token_sha256": {Kind: revocation.BySum, Sum: sha256.Sum256([]byte(token)), Expires: end},
			"subject":      {Kind: revocation.BySubject, ID: "u-1", Before: now, Expires: end},
		} {
			list := revocation.New()
			v := verifier(t, issuers(w, nil), list)
			for _, other := range []revocation.Entry{
				{Kind: revocation.ByID, ID: "u-1", Expires: end},
				{Kind: revocation.BySum, Sum: sha256.Sum256([]byte("x")), Expires: end},
				{Kind: revocation.BySubject, ID: "id-1", Before: now, Expires: end},
				{Kind: revocation.BySubject, ID: "u-1", Before: now.Add(-time.Hour), Expires: end},
			} {
				add(t, list, other)
				if got := refusal(v, token); got != "" {
					t.Fatalf("%s, %s: %s", alg, name, got)
				}
			}
			add(t, list, entry)
			for range 2 {
				if got := refusal(v, token); got != "token_revoked" {
					t.Errorf("%s by %s: %q", alg, name, got)
				}
			}
			v.cache.forget()
			if got := refusal(v, token); got != "token_revoked" {
				t.Errorf("%s by %s, not seen before: %q", alg, name, got)
			}
		}
	}
}

// add puts an entry on a list that follows no store, which it says.
func add(t *testing.T, list *revocation.List, e revocation.Entry) {
	t.Helper()
	if err := list.Add(t.Context(), e); err == nil {
		t.Fatal("there is no store, and no error")
	}
}

// Who has a revoked token can't make another one of it by writing its ECDSA
// signature in the other way.
func TestTwinIsRevokedToo(t *testing.T) {
	w := newWallet(t)
	list := revocation.New()
	v := verifier(t, issuers(w, nil), list)
	token := sign(t, "ES256", w.p256, good(), nil)
	add(t, list, revocation.Entry{Kind: revocation.BySum, Sum: sha256.Sum256([]byte(token)), Expires: time.Now().Add(time.Hour)})
	if got := refusal(v, twinOf(token, w.p256)); got != "token_revoked" {
		t.Errorf("the twin: %q", got)
	}
}
