package main

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// Others verify what the key of many primes signs as they do with any key.
func TestRSAKey(t *testing.T) {
	k := newRSAKey()
	block, _ := pem.Decode([]byte(k.public()))
	if block == nil {
		t.Fatalf("no PEM: %q", k.public())
	}
	public, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	key, ok := public.(*rsa.PublicKey)
	if !ok || key.N.BitLen() != rsaBits || key.E != rsaExponent {
		t.Fatalf("%T of %d bits with exponent %d", public, key.N.BitLen(), key.E)
	}
	for _, text := range []string{"", "a", "another text", strings.Repeat("long ", 1000)} {
		hash := sha256.Sum256([]byte(text))
		if err := rsa.VerifyPKCS1v15(key, crypto.SHA256, hash[:], k.sign([]byte(text))); err != nil {
			t.Errorf("%.20q: %v", text, err)
		}
	}
	hash := sha256.Sum256([]byte("one"))
	if err := rsa.VerifyPKCS1v15(key, crypto.SHA256, hash[:], k.sign([]byte("other"))); err == nil {
		t.Error("any signature fits")
	}
	token, err := jwt.ParseSigned(technician(time.Now()).signRS256(k), []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		t.Fatal(err)
	}
	var own claims
	if err := token.Claims(key, &own); err != nil || own.Role != "technician" {
		t.Errorf("%+v (%v)", own, err)
	}
}

// No token comes twice before all have come, or Yett would know it.
func TestManyTokensDiffer(t *testing.T) {
	tokens := slices.Clone(manyHS256())
	slices.Sort(tokens)
	if n := len(slices.Compact(tokens)); n != manyTokens {
		t.Errorf("%d tokens differ, want %d", n, manyTokens)
	}
}
