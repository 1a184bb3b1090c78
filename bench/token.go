package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"time"
)

// tokenSecret signs the callers' tokens. It guards nothing but this benchmark.
const tokenSecret = "a-secret-for-the-benchmark-and-nothing-else"

const (
	tokenIssuer   = "psa-platform"
	tokenAudience = "psa-api"
)

// claims is what the example platform's access tokens say.
type claims struct {
	Subject     string          `json:"sub"`
	Email       string          `json:"email"`
	Role        string          `json:"role"`
	Tenant      string          `json:"tenantId"`
	Permissions map[string]bool `json:"permissions"`
	Issuer      string          `json:"iss"`
	Audience    string          `json:"aud"`
	IssuedAt    int64           `json:"iat"`
	Expires     int64           `json:"exp"`
	ID          string          `json:"jti"`
}

// technician is a caller that may pass, for the next hours.
func technician(now time.Time) claims {
	return claims{
		Subject: "3f0b8c1e-6a44-4c1b-9d61-2f0b8f1f6a10",
		Email:   "tech@example.com",
		Role:    "technician",
		Tenant:  "9a6d1c52-7e0f-4b7a-8f5e-0c2a9be8d311",
		Permissions: map[string]bool{
			"customers:read": true, "customers:write": false, "tickets:read": true,
			"tickets:write": true, "reports:read": false,
		},
		Issuer: tokenIssuer, Audience: tokenAudience,
		IssuedAt: now.Unix(), Expires: now.Add(12 * time.Hour).Unix(),
		ID: "b7c2d9f4-1a35-4e8c-a6d0-5e9f3c7b2a18",
	}
}

// customer is a caller whose role is not enough for the chain.
func customer(now time.Time) claims {
	c := technician(now)
	c.Role = "customer_user"
	return c
}

// lowRole is the request by such a caller.
func (r request) lowRole() request {
	r = r.badToken()
	r.Authorization = "Bearer " + customer(time.Now()).sign(tokenSecret)
	return r
}

// sign returns the claims as a JSON Web Token with HS256 (RFC 7519, RFC 7515).
func (c claims) sign(secret string) string {
	return c.signWith("HS256", func(text []byte) []byte {
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write(text)
		return mac.Sum(nil)
	})
}

// signRS256 returns the claims as a token with RS256.
func (c claims) signRS256(key *rsaKey) string { return c.signWith("RS256", key.sign) }

func (c claims) signWith(algorithm string, sign func(text []byte) []byte) string {
	payload, err := json.Marshal(c)
	if err != nil {
		panic(err) // texts and numbers only
	}
	base64url := base64.RawURLEncoding.EncodeToString
	text := base64url([]byte(`{"alg":"`+algorithm+`","typ":"JWT"}`)) + "." + base64url(payload)
	return text + "." + base64url(sign([]byte(text)))
}
