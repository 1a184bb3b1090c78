package token

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"yett/internal/exchange"
)

// named returns the issuer of a name.
func (v *Verifier) named(name string) (*issuer, error) {
	for _, is := range v.issuers {
		if is.name == name {
			return is, nil
		}
	}
	return nil, fmt.Errorf("there is no issuer %q", name)
}

// Claims returns the claims by which an issuer says that id calls, from now
// for that long: the registered ones, those by the issuer's claim names, and a
// filling for each claim that it requires. Parts of id that are empty are left
// out.
func (v *Verifier) Claims(issuer string, id exchange.Identity, now time.Time, lifetime time.Duration) (map[string]any, error) {
	is, err := v.named(issuer)
	if err != nil {
		return nil, err
	}
	c := map[string]any{"iat": now.Unix(), "exp": now.Add(lifetime).Unix(), "jti": rand.Text()}
	if id.TokenID != "" {
		c["jti"] = id.TokenID
	}
	if is.iss != "" {
		c["iss"] = is.iss
	}
	if len(is.conf.Audience) > 0 {
		c["aud"] = is.conf.Audience[0]
	}
	n := is.names
	for _, t := range []struct {
		at    claimPath
		value string
	}{{n.subject, id.Subject}, {n.email, id.Email}, {n.tenant, id.Tenant}, {n.plan, id.Plan}, {n.scopes, strings.Join(id.Scopes, " ")}} {
		if t.value != "" {
			place(c, t.at, t.value)
		}
	}
	switch {
	case len(id.Roles) > 1:
		place(c, n.role, id.Roles)
	case len(id.Roles) == 1:
		place(c, n.role, id.Roles[0])
	case id.Role != "":
		place(c, n.role, id.Role)
	}
	if len(id.Permissions) > 0 {
		granted := make(map[string]bool)
		for _, p := range id.Permissions {
			granted[p] = true
		}
		place(c, n.permissions, granted)
	}
	for _, name := range is.conf.RequiredClaims {
		if missing(lookup(c, path(name))) {
			place(c, path(name), "filled-in")
		}
	}
	return c, nil
}

// place puts a claim where lookup finds it: within objects when its name has
// dots, but whole when it is a URL, as names of private claims often are.
func place(claims map[string]any, p claimPath, value any) {
	if p.steps == nil || strings.Contains(p.name, "/") {
		claims[p.name] = value
		return
	}
	at := claims
	for _, step := range p.steps[:len(p.steps)-1] {
		next, ok := at[step].(map[string]any)
		if !ok {
			next = make(map[string]any)
			at[step] = next
		}
		at = next
	}
	at[p.steps[len(p.steps)-1]] = value
}

// signer is a key that can sign.
type signer struct {
	alg jose.SignatureAlgorithm
	key any
	id  string
}

// Sign signs claims as the issuer would: with the key that SelfTrust has made,
// or else with its secret.
func (v *Verifier) Sign(issuer string, claims map[string]any) (string, error) {
	is, err := v.named(issuer)
	if err != nil {
		return "", err
	}
	with, err := is.signer()
	if err != nil {
		return "", err
	}
	typ := "JWT"
	if len(is.conf.Types) > 0 {
		typ = is.conf.Types[0]
	}
	options := (&jose.SignerOptions{}).WithType(jose.ContentType(typ))
	if with.id != "" {
		options = options.WithHeader("kid", with.id)
	}
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: with.alg, Key: with.key}, options)
	if err != nil {
		return "", fmt.Errorf("making a signer for the issuer %s: %w", issuer, err)
	}
	text, err := signed(s, claims)
	if err != nil {
		return "", fmt.Errorf("signing a token of the issuer %s: %w", issuer, err)
	}
	return text, nil
}

// signed signs claims. They are written here, because the library would make
// texts of numbers that are a json.Number.
func signed(s jose.Signer, claims map[string]any) (string, error) {
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	object, err := s.Sign(payload)
	if err != nil {
		return "", err
	}
	return object.CompactSerialize()
}

func (is *issuer) signer() (signer, error) {
	if is.own != nil {
		return *is.own, nil
	}
	for _, s := range is.sources {
		for _, k := range s.all() {
			if secret, ok := k.public.([]byte); ok {
				return signer{k.algs[0], secret, k.id}, nil
			}
		}
	}
	return signer{}, fmt.Errorf("the issuer %s signs with a private key that the gateway does not have", is.name)
}

// SelfTrust gives each issuer one more key, made on the spot, with which Sign
// signs from then on. It is for trying a configuration out, never for serving.
func (v *Verifier) SelfTrust() error {
	for _, is := range v.issuers {
		public, private, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return fmt.Errorf("making a key: %w", err)
		}
		id := "self-" + rand.Text()
		k, err := newKey(id, public, "", nil)
		if err != nil {
			return err
		}
		is.own = &signer{jose.EdDSA, private, id}
		s := &source{}
		s.replace([]*key{k})
		is.sources = append(is.sources, s)
	}
	return nil
}
