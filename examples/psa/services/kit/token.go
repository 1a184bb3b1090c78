package kit

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// What every access token of the platform says about where it comes from and whom it is for.
const (
	Issuer   = "psa-platform"
	Audience = "psa-api"
)

const (
	minSecretBytes = 32 // RFC 7518, section 3.2: the key is at least as long as the hash
	clockLeeway    = 5 * time.Second
)

// Identity is who calls, as a verified access token says it.
type Identity struct {
	UserID      string
	Email       string
	Role        string
	TenantID    string // empty when the token names no tenant
	Permissions map[string]bool
	SessionID   string    // the login that the token comes from; empty in tokens made elsewhere
	TokenID     string    // jti
	ExpiresAt   time.Time // when the token stops being good
}

// Require answers 403 unless the identity holds the permission.
func (i Identity) Require(permission string) error {
	if i.Permissions[permission] {
		return nil
	}
	return Forbidden(CodeInsufficient, fmt.Sprintf("This needs the permission %q, which your role %q does not have.", permission, i.Role))
}

// privateClaims are the claims beside the registered ones.
type privateClaims struct {
	Email       string          `json:"email,omitempty"`
	Role        string          `json:"role,omitempty"`
	TenantID    string          `json:"tenantId,omitempty"`
	Permissions map[string]bool `json:"permissions,omitempty"`
	SessionID   string          `json:"sid,omitempty"`
}

// signedClaims writes aud as one string, as the platform's other token makers do.
type signedClaims struct {
	privateClaims
	Audience string `json:"aud"`
}

// Tokens signs and verifies access tokens: HS256 only, whatever a token's header says.
type Tokens struct {
	key     []byte
	signer  jose.Signer
	revoked *Revocations
}

// NewTokens refuses a secret shorter than 32 bytes. A nil revoked stands for a list of its own.
func NewTokens(secret string, revoked *Revocations) (*Tokens, error) {
	if len(secret) < minSecretBytes {
		return nil, fmt.Errorf("JWT_SECRET has %d bytes, and HS256 needs at least %d", len(secret), minSecretBytes)
	}
	key := []byte(secret)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: key}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return nil, fmt.Errorf("make the HS256 signer from JWT_SECRET: %w", err)
	}
	if revoked == nil {
		revoked = NewRevocations()
	}
	return &Tokens{key: key, signer: signer, revoked: revoked}, nil
}

// Sign makes an access token that is good for ttl from now. TokenID and ExpiresAt of id are not read: they are new.
func (t *Tokens) Sign(id Identity, ttl time.Duration) (string, error) {
	return t.SignFrom(id, time.Time{}, ttl)
}

// SignFrom is Sign for a token that says it was issued at from, when that is still to come.
func (t *Tokens) SignFrom(id Identity, from time.Time, ttl time.Duration) (string, error) {
	now := time.Now()
	if from.After(now) {
		now = from
	}
	token, err := jwt.Signed(t.signer).
		Claims(jwt.Claims{
			Issuer: Issuer, Subject: id.UserID, ID: NewID(),
			IssuedAt: jwt.NewNumericDate(now), Expiry: jwt.NewNumericDate(now.Add(ttl)),
		}).
		Claims(signedClaims{
			privateClaims: privateClaims{id.Email, id.Role, id.TenantID, id.Permissions, id.SessionID},
			Audience:      Audience,
		}).
		Serialize()
	if err != nil {
		return "", fmt.Errorf("sign the access token of user %s: %w", id.UserID, err)
	}
	return token, nil
}

// Verify checks signature, issuer, audience, time and revocation. Its errors are 401 Problems.
func (t *Tokens) Verify(token string) (Identity, error) {
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.HS256})
	if err != nil {
		return Identity{}, Unauthorized(CodeInvalidToken, "The token is not a JWT signed with HS256.")
	}
	var registered jwt.Claims
	var private privateClaims
	if err := parsed.Claims(t.key, &registered, &private); err != nil {
		return Identity{}, Unauthorized(CodeInvalidToken, "The token's signature or claims are not right.")
	}
	if err := checkClaims(registered); err != nil {
		return Identity{}, err
	}
	id := Identity{
		UserID: registered.Subject, Email: private.Email, Role: private.Role, TenantID: private.TenantID,
		Permissions: private.Permissions, SessionID: private.SessionID,
		TokenID: registered.ID, ExpiresAt: registered.Expiry.Time(),
	}
	if t.Revoked(id) {
		return Identity{}, Unauthorized(CodeTokenRevoked, "The token has been revoked; log in again.")
	}
	return id, nil
}

// checkClaims asks for exp and sub by itself, because the library checks only the claims that are there.
func checkClaims(claims jwt.Claims) error {
	if claims.Expiry == nil || claims.Subject == "" {
		return Unauthorized(CodeInvalidToken, "The token lacks exp or sub.")
	}
	err := claims.ValidateWithLeeway(jwt.Expected{
		Issuer: Issuer, AnyAudience: jwt.Audience{Audience}, Time: time.Now(),
	}, clockLeeway)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, jwt.ErrExpired):
		return Unauthorized(CodeTokenExpired, "The token has expired.")
	case errors.Is(err, jwt.ErrNotValidYet), errors.Is(err, jwt.ErrIssuedInTheFuture):
		return Unauthorized(CodeTokenNotActive, "The token is not valid yet.")
	default:
		return Unauthorized(CodeInvalidToken, "The token is not meant for this platform.")
	}
}

// Revoke ends the token or the session with this ID. until is when the last token that it concerns runs out.
func (t *Tokens) Revoke(id string, until time.Time) { t.revoked.Add(id, until) }

// Revoked reports whether the token of id, or the session that it comes from, has been ended since it was verified.
func (t *Tokens) Revoked(id Identity) bool {
	return t.revoked.Has(id.TokenID) || t.revoked.Has(id.SessionID)
}

// bearer finds the one bearer token of a request.
func bearer(r *http.Request) (string, error) {
	values := r.Header.Values("Authorization")
	if len(values) > 1 {
		return "", Unauthorized(CodeInvalidToken, "There is more than one Authorization header.")
	}
	if len(values) == 0 {
		return "", Unauthorized(CodeNoToken, "This needs an access token: Authorization: Bearer <token>.")
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	token = strings.TrimSpace(token)
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return "", Unauthorized(CodeNoToken, "The Authorization header holds no bearer token.")
	}
	return token, nil
}

// tokenFromQuery takes the token of a request without Authorization from access_token (RFC 6750, section 2.3).
func tokenFromQuery(r *http.Request) {
	token := r.URL.Query().Get("access_token")
	if token != "" && len(r.Header.Values("Authorization")) == 0 {
		r.Header.Set("Authorization", "Bearer "+token)
	}
}

// Revocations is a list of token and session IDs that are no longer good, each kept only as long as a token that it
// concerns could still be. Services in one process share one list, so that a logout counts everywhere at once.
type Revocations struct {
	mu    sync.RWMutex
	until map[string]time.Time
	swept time.Time
}

// NewRevocations returns an empty list.
func NewRevocations() *Revocations {
	return &Revocations{until: map[string]time.Time{}, swept: time.Now()}
}

// Add puts an ID on the list until the given time. The empty ID, which a token without one has, is never added.
func (r *Revocations) Add(id string, until time.Time) {
	if id == "" {
		return
	}
	until = until.Add(clockLeeway) // a token is accepted that much longer, so its revocation lasts that much longer
	r.mu.Lock()
	defer r.mu.Unlock()
	if until.After(r.until[id]) {
		r.until[id] = until
	}
	r.sweep(time.Now())
}

// sweep forgets what has run out, at most once a minute so that adding stays cheap.
func (r *Revocations) sweep(now time.Time) {
	if now.Sub(r.swept) < time.Minute {
		return
	}
	r.swept = now
	for id, until := range r.until {
		if now.After(until) {
			delete(r.until, id)
		}
	}
}

// Has reports whether the ID is on the list.
func (r *Revocations) Has(id string) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	until, found := r.until[id]
	return found && !time.Now().After(until)
}
