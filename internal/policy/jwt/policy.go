package jwt

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"yett/internal/exchange"
	"yett/internal/policy"
	"yett/internal/problem"
	"yett/internal/token"
)

// Why the policy refuses, beside the reasons of package token.
var (
	noToken   = &exchange.Reason{Name: "no_token", Code: "NO_TOKEN", Status: 401, Message: "An access token is required", Help: "The route says `auth: required`, and the request has no `Authorization: Bearer` with a token, nor one where the policy jwt looks beside that."}
	ambiguous = &exchange.Reason{Name: "token_ambiguous", Code: "INVALID_TOKEN", Status: 401, Message: "The request has more than one access token", Help: "Authorization came twice, or the cookie or the query parameter did with different values: a service might read the other one."}
)

// Kind describes the policy.
var Kind = policy.Authenticating(policy.Define("jwt", defaults, build, append([]*exchange.Reason{noToken, ambiguous}, token.Reasons()...)...))

// retryAfter is when a caller should try again whose token names a key that
// can't be had at the moment.
const retryAfter = 5

type jwt struct {
	policy.RequestOnly
	tokens   *token.Verifier
	believed []bool // by place of the issuer
	required bool
	service  bool // the route has one, which can answer a preflight
	finder   finder
	maxSize  int
	strip    bool
	// challenges are the WWW-Authenticate of each reason (RFC 6750 section 3).
	challenges map[*exchange.Reason]string
}

func build(c Config, deps policy.Deps) (policy.Policy, problem.List) {
	if problems := c.check(deps); len(problems) > 0 {
		return nil, problems
	}
	p := &jwt{
		tokens: deps.Tokens, required: deps.Route.Auth == "required", service: deps.Route.Service != "", finder: finder{c.Cookie, c.Query},
		maxSize: int(c.MaxSize), strip: !c.ForwardToken,
		challenges: challenges(cmp.Or(c.Realm, policy.Realm(deps.Gateway))),
	}
	for _, name := range deps.Tokens.Names() {
		p.believed = append(p.believed, len(c.Issuers) == 0 || slices.Contains(c.Issuers, name))
	}
	return p, nil
}

// challenges says for each reason what the caller reads. One without a token
// is told nothing more than that there has to be one (RFC 6750 section 3.1).
func challenges(realm string) map[*exchange.Reason]string {
	all := map[*exchange.Reason]string{noToken: fmt.Sprintf("Bearer realm=%q", realm)}
	for _, r := range append(token.Reasons(), ambiguous) {
		if r.Status == 401 {
			all[r] = fmt.Sprintf("Bearer realm=%q, error=\"invalid_token\", error_description=%q", realm, r.Message)
		}
	}
	return all
}

// Request finds out who calls.
func (p *jwt) Request(x *exchange.Exchange, s *exchange.Slot) exchange.Verdict {
	raw, reason := p.finder.find(x)
	switch {
	case x.PassPreflight && p.service:
		return exchange.Continue
	case reason != nil:
		return p.refuse(x, reason, "")
	case raw == "" && p.required:
		return p.refuse(x, noToken, "")
	case raw == "":
		return exchange.Continue
	case len(raw) > p.maxSize:
		return p.refuse(x, token.TooLarge, "")
	}
	t, reason, detail := p.tokens.Verify(raw, now(x))
	switch {
	case reason != nil:
		return p.refuse(x, reason, detail)
	case !p.believed[t.Issuer]:
		return p.refuse(x, token.Issuer, "not believed on this route")
	}
	x.Identity = t.Identity
	s.Any = t
	if p.strip {
		p.finder.remove(x, "")
	} else if p.finder.places() {
		p.finder.remove(x, raw)
	}
	return exchange.Continue
}

// now is when the request came. An exchange that no engine has filled has no
// time, at which no token would have expired.
func now(x *exchange.Exchange) time.Time {
	if x.Now.IsZero() {
		return time.Now()
	}
	return x.Now
}

func (p *jwt) refuse(x *exchange.Exchange, r *exchange.Reason, detail string) exchange.Verdict {
	x.Challenge = p.challenges[r]
	if r.Status == 503 {
		x.RetryAfter = retryAfter
	}
	return x.RefuseWith(r, detail)
}

// Explain implements policy.Explainer.
func (p *jwt) Explain(x *exchange.Exchange, s *exchange.Slot) []string {
	t, ok := s.Any.(*token.Verified)
	if !ok {
		switch {
		case x.Reason != nil:
			return []string{x.Reason.Message}
		case len(x.Observed()) > 0: // which is shown already
			return nil
		}
		return []string{"no token: the caller is nobody"}
	}
	id := t.Identity
	lines := []string{
		fmt.Sprintf("token of the issuer %s, signed with %s, key %q", id.Issuer, t.Algorithm, t.KeyID),
		fmt.Sprintf("it ends in %s, at %s", id.Expires.Sub(now(x)).Truncate(time.Second), id.Expires.UTC().Format(time.RFC3339)),
		fmt.Sprintf("subject %q, role %q, tenant %q, email %q", id.Subject, id.Role, id.Tenant, id.Email),
	}
	if len(id.Permissions) > 0 {
		lines = append(lines, fmt.Sprintf("permissions %s", strings.Join(id.Permissions, ", ")))
	}
	if len(id.Scopes) > 0 {
		lines = append(lines, fmt.Sprintf("scopes %s", strings.Join(id.Scopes, ", ")))
	}
	return lines
}
