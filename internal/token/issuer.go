package token

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"yett/internal/config"
	"yett/internal/exchange"
	"yett/internal/problem"
)

// maxTries is how many keys are tried for a token that names none: each costs
// what verifying a signature costs.
const maxTries = 8

// issuer is one whose tokens are believed.
type issuer struct {
	place       int
	name, iss   string
	conf        config.Issuer
	types       []string
	sources     []*source
	names       claimNames
	leeway      time.Duration
	skew        time.Duration
	maxLifetime time.Duration
	own         *signer // see SelfTrust
}

func newIssuer(place int, name string, c config.Issuer, deps Deps, at string, problems *problem.List) *issuer {
	is := &issuer{
		place: place, name: name, iss: c.Issuer, conf: c, names: newClaimNames(c.Claims),
		leeway: time.Duration(c.Leeway), skew: time.Duration(c.Skew), maxLifetime: time.Duration(c.MaxLifetime),
	}
	if name == "" || strings.ContainsAny(name, ", ") {
		problems.Addf(at, "use letters, digits and dashes", "%q can't be the name of an issuer", name)
	}
	for _, t := range c.Types {
		is.types = append(is.types, mediaType(t))
	}
	for i, k := range c.Keys {
		is.sources = append(is.sources, newSource(k, deps, fmt.Sprintf("%s.keys[%d]", at, i), problems))
	}
	if c.Claims.Subject == "" {
		problems.Add(at+".claims.subject", "is empty", "name the claim that says who calls; sub is usual")
	}
	return is
}

// mediaType is how typ is compared: in lower case, without the prefix that may
// be left out (RFC 7515 section 4.1.9).
func mediaType(s string) string { return strings.TrimPrefix(strings.ToLower(s), "application/") }

// find returns the key that a token is signed with. When there is none that
// it could mean, the sets behind URLs are looked at once more.
func (is *issuer) find(ctx context.Context, p *parsed) (*key, *exchange.Reason, string) {
	k, reason, named := is.search(p)
	if k != nil {
		return k, nil, ""
	}
	if (named && p.header.KeyID != "") || !asymmetric(p.header.Algorithm) {
		return nil, reason, is.words(p)
	}
	return is.findAnew(ctx, p, reason)
}

// findAnew looks at the sets behind URLs once more.
func (is *issuer) findAnew(ctx context.Context, p *parsed, reason *exchange.Reason) (*key, *exchange.Reason, string) {
	asked, unsure := false, false
	for _, s := range is.sources {
		if s.remote == nil {
			continue
		}
		asked = true
		how := s.remote.ask(ctx)
		if how == joined { // that fetch may have begun before the token's key was there
			if k, _, _ := is.search(p); k != nil {
				return k, nil, ""
			}
			how = s.remote.ask(ctx)
		}
		unsure = unsure || how == crowded || s.remote.failing()
	}
	if !asked {
		return nil, reason, is.words(p)
	}
	k, reason, _ := is.search(p)
	switch {
	case k != nil:
		return k, nil, ""
	case unsure:
		return nil, Unavailable, is.words(p)
	case p.header.KeyID != "":
		return nil, UnknownKey, is.words(p)
	}
	return nil, reason, is.words(p)
}

// words describe a token for the log.
func (is *issuer) words(p *parsed) string {
	return fmt.Sprintf("issuer %s, alg %s, kid %s", is.name, quote(p.header.Algorithm), quote(p.header.KeyID))
}

// search goes over the keys that are there. named tells whether one has the ID
// that the token names.
func (is *issuer) search(p *parsed) (found *key, reason *exchange.Reason, named bool) {
	reason = UnknownKey
	tries := 0
	for _, s := range is.sources {
		for _, k := range s.all() {
			if !k.fits(p.header.KeyID) {
				continue
			}
			named = named || k.id == p.header.KeyID
			switch {
			case !k.allows(p.header.Algorithm):
				if reason == UnknownKey {
					reason = Algorithm
				}
			case tries == maxTries:
			case k.verify(p):
				return k, nil, true
			default:
				tries++
				reason = Signature
			}
		}
	}
	return nil, reason, named
}

// asymmetric tells whether a public key set could have a key for the
// algorithm.
func asymmetric(alg string) bool {
	return slices.Contains([]string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}, alg)
}

// accept checks what a token with a good signature says.
func (is *issuer) accept(p *parsed, k *key, now time.Time) (*Verified, *exchange.Reason, string) {
	if len(is.types) > 0 && !slices.Contains(is.types, mediaType(p.header.Type)) {
		return nil, Claims, "typ is " + quote(p.header.Type)
	}
	times, err := readTimes(p.claims)
	if err != nil {
		return nil, Malformed, err.Error()
	}
	if reason, detail := is.checkTimes(times, now); reason != nil {
		return nil, reason, detail
	}
	if reason, detail := is.checkAudience(p.claims); reason != nil {
		return nil, reason, detail
	}
	for _, name := range is.conf.RequiredClaims {
		if missing(lookup(p.claims, path(name))) {
			return nil, Claims, fmt.Sprintf("claim %s is missing", quote(name))
		}
	}
	t := &Verified{Issuer: is.place, Algorithm: p.header.Algorithm, KeyID: p.header.KeyID, key: k}
	if t.Identity, err = is.names.identity(p.claims); err != nil {
		return nil, Claims, err.Error()
	}
	t.Identity.Issuer, t.Identity.Expires = is.name, times.expires
	t.until = times.expires.Add(is.leeway).UnixMilli()
	t.raw = strings.Clone(p.raw)
	t.revoked.ID, t.revoked.Subject = t.Identity.TokenID, t.Identity.Subject
	t.revoked.IssuedAt, t.revoked.Sums = times.issued, sums(p, k)
	return t, nil, ""
}

// checkTimes compares the token's times with the moment when it came (RFC 7519
// sections 4.1.4 to 4.1.6). A token is over at exp, not after it.
func (is *issuer) checkTimes(t times, now time.Time) (*exchange.Reason, string) {
	switch {
	case t.expires.IsZero():
		return Claims, "exp is missing"
	case !now.Before(t.expires.Add(is.leeway)):
		return Expired, fmt.Sprintf("%s ago", now.Sub(t.expires).Truncate(time.Second))
	case t.notBefore.After(now.Add(is.skew)):
		return NotActive, fmt.Sprintf("nbf is %s ahead", t.notBefore.Sub(now).Truncate(time.Millisecond))
	case t.issued.After(now.Add(is.skew)):
		return NotActive, fmt.Sprintf("iat is %s ahead", t.issued.Sub(now).Truncate(time.Millisecond))
	case is.maxLifetime == 0:
		return nil, ""
	case t.issued.IsZero():
		return Claims, "iat is missing, which max_lifetime needs"
	case t.expires.Sub(t.issued) > is.maxLifetime:
		return Claims, fmt.Sprintf("it lives for %s", t.expires.Sub(t.issued))
	}
	return nil, ""
}

// checkAudience wants one of the configured audiences (RFC 7519 section
// 4.1.3).
func (is *issuer) checkAudience(claims map[string]any) (*exchange.Reason, string) {
	audience, err := texts(claims["aud"], "aud")
	if err != nil {
		return Malformed, err.Error()
	}
	if len(is.conf.Audience) == 0 {
		return nil, ""
	}
	for _, a := range audience {
		if slices.Contains(is.conf.Audience, a) {
			return nil, ""
		}
	}
	return Audience, fmt.Sprintf("aud is %.200q", audience)
}
