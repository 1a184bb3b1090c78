//go:build linux

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// What follows is the example of docs/identity.md, word for word.

// Caller is who calls, as the gateway says.
type Caller struct {
	jwt.Claims           // Subject is empty for a caller whom nobody knows
	Email       string   `json:"email"`
	Tenant      string   `json:"tenant"`
	Roles       []string `json:"roles"`
	Permissions []string `json:"permissions"`
	Scopes      []string `json:"scopes"`
}

// Verify returns who calls. issuer is the gateway, audience the service itself.
func Verify(r *http.Request, keys jose.JSONWebKeySet, issuer, audience string) (*Caller, error) {
	values := r.Header.Values("X-Gateway-Assertion")
	if len(values) != 1 {
		return nil, fmt.Errorf("%d assertions, want one", len(values))
	}
	token, err := jwt.ParseSigned(values[0], []jose.SignatureAlgorithm{jose.EdDSA})
	if err != nil {
		return nil, err
	}
	if token.Headers[0].ExtraHeaders[jose.HeaderType] != "gateway-assertion+jwt" {
		return nil, errors.New("another kind of token")
	}
	var c Caller
	if err := token.Claims(keys, &c); err != nil { // by the key that kid names
		return nil, err
	}
	if c.Expiry == nil {
		return nil, errors.New("an assertion without an end")
	}
	want := jwt.Expected{Issuer: issuer, AnyAudience: jwt.Audience{audience}, Time: time.Now()}
	if err := c.ValidateWithLeeway(want, 5*time.Second); err != nil {
		return nil, err
	}
	return &c, nil
}

// Fetch gets the gateway's keys.
func Fetch(ctx context.Context, url string) (keys jose.JSONWebKeySet, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return keys, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return keys, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return keys, fmt.Errorf("%s answers %s", url, resp.Status)
	}
	return keys, json.NewDecoder(resp.Body).Decode(&keys)
}
