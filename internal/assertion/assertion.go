package assertion

import (
	"crypto/ed25519"
	"encoding/json"
	"time"

	"github.com/go-jose/go-jose/v4"

	"yett/internal/config"
	"yett/internal/exchange"
	"yett/internal/problem"
)

// Type is the header typ of an assertion, by which a service tells it from any
// other token (RFC 8725 section 3.11).
const Type = "gateway-assertion+jwt"

// Signer makes assertions. Its methods may be called from many goroutines.
type Signer struct {
	issuer   string
	lifetime time.Duration
	signer   jose.Signer
	jwks     []byte
	issued   cache
}

// claims is the content of an assertion. What is not known of the caller is
// left out; an anonymous one has nothing but the first four.
type claims struct {
	Issuer      string   `json:"iss"`
	Audience    string   `json:"aud"`
	IssuedAt    int64    `json:"iat"` // seconds since 1970, as exp
	Expires     int64    `json:"exp"`
	Subject     string   `json:"sub,omitempty"`
	Email       string   `json:"email,omitempty"`
	Role        string   `json:"role,omitempty"` // of a caller with one role
	Roles       []string `json:"roles,omitempty"`
	Tenant      string   `json:"tenant,omitempty"`
	Plan        string   `json:"plan,omitempty"`
	Permissions []string `json:"permissions,omitempty"`
	Scopes      []string `json:"scopes,omitempty"`
	TokenIssuer string   `json:"token_iss,omitempty"`
	TokenID     string   `json:"token_jti,omitempty"`
}

// New loads the keys. resolve returns the place of a file that the
// configuration names. Paths of problems begin with "assertion". The Signer is
// never nil, but must not be used when there are problems.
func New(c config.Assertion, gateway string, resolve func(string) string) (*Signer, problem.List) {
	s := &Signer{issuer: c.Issuer, lifetime: time.Duration(c.Lifetime)}
	if s.issuer == "" {
		s.issuer = gateway
	}
	s.issued.init()
	var problems problem.List
	if c.Key == "" {
		problems.Add("assertion", "there is no key to sign with", makeOne)
		return s, problems
	}
	key := privateKey(&problems, "assertion.key", resolve(c.Key))
	public := previousKeys(&problems, c.PreviousKeys, resolve)
	if len(problems) > 0 {
		return s, problems
	}
	if err := s.use(key, public); err != nil {
		problems.Add("assertion.key", "using the key: "+err.Error(), "")
	}
	return s, problems
}

// use makes the signer of a key, and the set of all public ones.
func (s *Signer) use(key ed25519.PrivateKey, previous []ed25519.PublicKey) error {
	own, err := webKey(key.Public().(ed25519.PublicKey))
	if err != nil {
		return err
	}
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{own}}
	for _, p := range previous {
		k, err := webKey(p)
		if err != nil {
			return err
		}
		if len(set.Key(k.KeyID)) == 0 {
			set.Keys = append(set.Keys, k)
		}
	}
	if s.jwks, err = json.Marshal(set); err != nil {
		return err
	}
	s.signer, err = jose.NewSigner(
		jose.SigningKey{Algorithm: jose.EdDSA, Key: jose.JSONWebKey{Key: key, KeyID: own.KeyID}},
		(&jose.SignerOptions{}).WithType(Type))
	return err
}

// JWKS returns the public keys as a JSON Web Key Set (RFC 7517): the own one
// first, then the previous ones. It must not be changed.
func (s *Signer) JWKS() []byte { return s.jwks }

// Sign returns an assertion about the exchange's caller for a service, whose
// name must be no view. The assertion is no view either, and good for at least
// half of the lifetime, if the caller's token is. It is "" in the case that
// can't be, that signing fails: the service then knows nobody.
func (s *Signer) Sign(x *exchange.Exchange, service string) string {
	now := x.Now.UnixNano() // by the wall clock, as the claims are
	set := s.issued.set(&x.Identity, service)
	if e := set.find(&x.Identity, service); e != nil && s.fresh(e, now) {
		return e.text
	}
	text, err := s.issue(s.claims(x, service))
	if err != nil {
		return ""
	}
	if len(text) <= maxKept {
		set.put(&entry{service: service, identity: x.Identity, issued: now, text: text})
	}
	return text
}

// issue signs claims. It leaves out jwt.Builder, which would make a map of them
// first, at half of the cost of the whole.
func (s *Signer) issue(c claims) (string, error) {
	payload, err := json.Marshal(c)
	if err != nil {
		return "", err
	}
	signed, err := s.signer.Sign(payload)
	if err != nil {
		return "", err
	}
	return signed.CompactSerialize()
}

// slack is how much later than an exchange an assertion that it uses may have
// been made: requests overtake each other.
const slack = int64(time.Second)

// fresh tells whether an assertion can be used again. The end of the caller's
// token does not matter: a new assertion would have the same.
func (s *Signer) fresh(e *entry, now int64) bool {
	age := now - e.issued
	return age < int64(s.lifetime/2) && age > -slack
}

func (s *Signer) claims(x *exchange.Exchange, service string) claims {
	id := &x.Identity
	c := claims{
		Issuer: s.issuer, Audience: service,
		IssuedAt: x.Now.Unix(), Expires: x.Now.Add(s.lifetime).Unix(),
		Subject: id.Subject, Email: id.Email, Roles: id.Roles, Tenant: id.Tenant, Plan: id.Plan,
		Permissions: id.Permissions, Scopes: id.Scopes,
		TokenIssuer: id.Issuer, TokenID: id.TokenID,
	}
	if len(id.Roles) == 1 {
		c.Role = id.Roles[0]
	}
	if !id.Expires.IsZero() { // nothing outlives the caller's token
		c.Expires = min(c.Expires, id.Expires.Unix())
	}
	return c
}
