package access

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"yett/internal/config"
	"yett/internal/exchange"
	"yett/internal/problem"
	"yett/internal/token"
)

// Caller is somebody who brings a token.
type Caller struct {
	Issuer      string                      `yaml:"issuer" doc:"Name of the issuer in the configuration; the only one when empty."`
	Subject     string                      `yaml:"subject" doc:"Who it is; the caller's name when empty."`
	Email       string                      `yaml:"email" doc:"Email address."`
	Role        config.StringList           `yaml:"role" doc:"Role, or a list of them."`
	Tenant      string                      `yaml:"tenant" doc:"Tenant."`
	Plan        string                      `yaml:"plan" doc:"Plan that the caller pays for."`
	Permissions config.StringList           `yaml:"permissions" doc:"Permissions that the token grants."`
	Scopes      config.StringList           `yaml:"scopes" doc:"Scopes that the token grants."`
	Expires     Span                        `yaml:"expires" doc:"When the token ends, from now on; -1m for one that ended a minute ago. 15m when empty."`
	Claims      config.Mapping[config.Node] `yaml:"claims" doc:"Claims with any values, instead of those that follow from the rest. One without a value is left out of the token."`
	Forged      bool                        `yaml:"forged" doc:"Whether the token is signed with a key that nobody believes."`
	Token       string                      `yaml:"token" doc:"Token as it is, instead of one that is made."`
}

// ParseCaller reads a caller as YAML writes it, such as {role: technician}.
func ParseCaller(text string) (*Caller, error) {
	node, err := config.ParseNode("caller", []byte(text), nil)
	if err != nil {
		return nil, err
	}
	var c Caller
	return &c, node.Decode(&c).Err()
}

// Check reports what the configuration does not know of a caller.
func (c *Caller) Check(conf *config.Config) error { return c.check(conf).Err() }

// check returns problems whose paths are relative to the caller. A role that
// nobody knows has to be meant: as a claim it may be anything.
func (c *Caller) check(conf *config.Config) problem.List {
	var problems problem.List
	if c.Token != "" {
		return nil
	}
	if _, err := Issuer(conf, c.Issuer); err != nil {
		hint := ""
		if which, ok := errors.AsType[WhichIssuer](err); ok {
			hint = "say which, as in issuer: " + which[0]
		}
		problems.Add("issuer", err.Error(), hint)
	}
	roles := conf.Roles.Names()
	for _, r := range c.Role {
		if len(roles) > 0 && !slices.Contains(roles, r) {
			problems.Addf("role", problem.DidYouMean(r, roles), "there is no role %q", r)
		}
	}
	return problems
}

// WhichIssuer are the names of several issuers, where none was named.
type WhichIssuer []string

// Error implements error.
func (w WhichIssuer) Error() string { return "which issuer? There are " + strings.Join(w, ", ") }

// Issuer returns the name of an issuer: the one that is named, or the only one.
func Issuer(conf *config.Config, name string) (string, error) {
	names := conf.Issuers.Names()
	switch {
	case len(names) == 0:
		return "", errors.New("the configuration has no issuers, so there are no tokens")
	case name == "" && len(names) == 1:
		return names[0], nil
	case name == "":
		return "", WhichIssuer(names)
	case !slices.Contains(names, name):
		return "", fmt.Errorf("there is no issuer %q, %s", name, problem.DidYouMean(name, names))
	}
	return name, nil
}

// Mint makes tokens. Those of NewMint are believed by one verifier, without
// any secret of its issuers.
type Mint struct {
	conf *config.Config
	own  *token.Verifier
	// stranger has the same issuers and another key.
	stranger *token.Verifier
}

// NewMint has the verifier of a configuration believe the tokens that the Mint
// makes. It must not serve anybody.
func NewMint(conf *config.Config, v *token.Verifier) (*Mint, error) {
	if err := v.SelfTrust(); err != nil {
		return nil, fmt.Errorf("making a key for tokens: %w", err)
	}
	return &Mint{conf: conf, own: v}, nil
}

// Token makes the token of a caller. The nil Mint knows those that are written
// as they are.
func (m *Mint) Token(name string, c *Caller, now time.Time) (string, error) {
	if c.Token != "" {
		return c.Token, nil
	}
	issuer, err := Issuer(m.conf, c.Issuer)
	if err != nil {
		return "", err
	}
	v := m.own
	if c.Forged {
		if v, err = m.forger(); err != nil {
			return "", err
		}
	}
	subject := c.Subject
	if subject == "" {
		subject = name
	}
	id := exchange.Identity{Subject: subject, Email: c.Email, Tenant: c.Tenant, Plan: c.Plan, Roles: c.Role, Role: strings.Join(c.Role, ","),
		Permissions: c.Permissions, Scopes: c.Scopes}
	from, lifetime := m.times(issuer, time.Duration(c.Expires), now)
	return Sign(v, issuer, id, from, lifetime, c.overrides())
}

// usual is how long a token lives when nobody says.
const usual = 15 * time.Minute

// times returns when a token that ends then was made, and how long it lives: a
// token that is over once was good.
func (m *Mint) times(issuer string, expires time.Duration, now time.Time) (from time.Time, lifetime time.Duration) {
	lifetime = usual
	if conf, _ := m.conf.Issuers.Get(issuer); conf.MaxLifetime > 0 {
		lifetime = min(lifetime, time.Duration(conf.MaxLifetime))
	}
	switch {
	case expires > 0:
		return now, expires
	case expires < 0:
		return now.Add(expires - lifetime), lifetime
	}
	return now, lifetime
}

// forger returns a verifier whose key the real one does not know.
func (m *Mint) forger() (*token.Verifier, error) {
	if m.stranger != nil {
		return m.stranger, nil
	}
	v, problems := token.New(m.conf.Issuers, token.Deps{Resolve: m.conf.Source.Resolve})
	if len(problems) > 0 {
		return nil, problems
	}
	if err := v.SelfTrust(); err != nil {
		return nil, fmt.Errorf("making a key for forged tokens: %w", err)
	}
	m.stranger = v
	return v, nil
}

// overrides returns the claims that replace others.
func (c *Caller) overrides() map[string]any {
	claims := make(map[string]any, len(c.Claims))
	for _, e := range c.Claims {
		claims[e.Name] = plain(e.Value)
	}
	return claims
}

// plain turns a part of a document into what JSON can write.
func plain(n config.Node) any {
	switch v := n.Value().(type) {
	case []config.Node:
		list := make([]any, len(v))
		for i, item := range v {
			list[i] = plain(item)
		}
		return list
	case config.Mapping[config.Node]:
		object := make(map[string]any, len(v))
		for _, e := range v {
			object[e.Name] = plain(e.Value)
		}
		return object
	default:
		return v
	}
}

// Sign makes a token by which an issuer says that id calls. overrides replace
// claims; one that is nil is left out.
func Sign(v *token.Verifier, issuer string, id exchange.Identity, now time.Time, lifetime time.Duration, overrides map[string]any) (string, error) {
	claims, err := v.Claims(issuer, id, now, lifetime)
	if err != nil {
		return "", err
	}
	maps.Copy(claims, overrides)
	maps.DeleteFunc(claims, func(_ string, value any) bool { return value == nil })
	return v.Sign(issuer, claims)
}
