package snapshot

import (
	"reflect"

	"yett/internal/assertion"
	"yett/internal/config"
	"yett/internal/problem"
	"yett/internal/role"
	"yett/internal/token"
)

// callers loads what callers are told apart by: issuers of tokens, roles, and
// the key with which the gateway tells services about them.
func (b *builder) callers() {
	resolve := b.c.Source.Resolve
	tokens, problems := b.verifier()
	b.note(b.c.Source.Locate(problems))
	b.out.tokens, b.deps.Policy.Tokens = tokens, tokens
	roles, problems := role.Compile(b.c.Roles)
	b.note(b.c.Source.Locate(problems))
	b.deps.Policy.Roles = roles
	if b.c.Assertion == nil {
		return
	}
	signer, problems := assertion.New(*b.c.Assertion, b.c.Name, resolve)
	b.note(b.c.Source.Locate(problems))
	b.out.signer, b.deps.Policy.Assertion = signer, signer
}

// verifier returns the running one when the issuers are the same, so that
// keys and verified tokens survive. Files are read again.
func (b *builder) verifier() (*token.Verifier, problem.List) {
	if b.previous != nil && reflect.DeepEqual(b.previous.Config.Issuers, b.c.Issuers) && !namesFiles(b.c.Issuers) {
		return b.previous.tokens, nil
	}
	deps := token.Deps{Revoked: b.deps.Revoked, Resolve: b.c.Source.Resolve, Log: b.deps.Log}
	if b.previous != nil {
		deps.Previous = b.previous.tokens
	}
	return token.New(b.c.Issuers, deps)
}

func namesFiles(issuers config.Mapping[config.Issuer]) bool {
	for _, e := range issuers {
		for _, k := range e.Value.Keys {
			if k.PEM != "" || k.JWKSFile != "" || k.CA != "" {
				return true
			}
		}
	}
	return false
}
