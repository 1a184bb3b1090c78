package main

import (
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// The token is one for others too, not only for the function that writes it.
func TestToken(t *testing.T) {
	now := time.Now()
	text := technician(now).sign(tokenSecret)
	if len(text) < 450 || len(text) > 650 {
		t.Errorf("a token of %d bytes is not like the platform's", len(text))
	}
	token, err := jwt.ParseSigned(text, []jose.SignatureAlgorithm{jose.HS256})
	if err != nil {
		t.Fatal(err)
	}
	var standard jwt.Claims
	var own claims
	if err := token.Claims([]byte(tokenSecret), &standard, &own); err != nil {
		t.Fatal(err)
	}
	if err := standard.Validate(jwt.Expected{Issuer: "psa-platform", AnyAudience: jwt.Audience{"psa-api"}, Time: now}); err != nil {
		t.Error(err)
	}
	if own.Role != "technician" || len(own.Permissions) != 5 || own.ID == "" || own.Tenant == "" || own.Email == "" {
		t.Errorf("%+v", own)
	}
	if err := token.Claims([]byte("another secret of at least 32 bytes"), &standard); err == nil {
		t.Error("any secret fits")
	}
}
