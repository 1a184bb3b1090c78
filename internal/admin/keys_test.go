package admin

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"yett/internal/assertion"
	"yett/internal/config"
	"yett/internal/exchange"
)

// signing is a gateway whose snapshot changes.
type signing struct{ current *assertion.Signer }

func (s *signing) Signer() *assertion.Signer { return s.current }

// signer returns one with a key of its own.
func signer(t *testing.T) *assertion.Signer {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	s, problems := assertion.New(config.Assertion{Key: file}, "gate", func(name string) string { return name })
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return s
}

// The page shows the keys of the snapshot that is current when it is asked.
func TestJWKS(t *testing.T) {
	state := &signing{}
	page := Endpoint((&Keys{State: state}).JWKS)
	for range 2 {
		state.current = signer(t)
		x := new(exchange.Pool).Get()
		page.Serve(x)
		if x.Status != 200 || x.Response.Get("Content-Type") != "application/jwk-set+json" || x.Response.Get("Cache-Control") != "public, max-age=300" {
			t.Errorf("%d %v", x.Status, x.Response.Fields())
		}
		var set jose.JSONWebKeySet
		body, _ := x.ResponseBody.Whole()
		if err := json.Unmarshal(body, &set); err != nil || len(set.Keys) != 1 || !set.Keys[0].IsPublic() || string(body) != string(state.current.JWKS()) {
			t.Errorf("%v in %s", err, body)
		}
	}
	state.current = nil
	x := new(exchange.Pool).Get()
	page.Serve(x)
	if x.Reason != exchange.NoRoute {
		t.Errorf("without keys: %v", x.Reason)
	}
}
