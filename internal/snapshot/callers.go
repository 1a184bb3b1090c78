package snapshot

import (
	"reflect"

	"yett/internal/assertion"
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
	if signer := b.keptSigner(); signer != nil {
		b.out.signer, b.deps.Policy.Assertion = signer, signer
		return
	}
	signer, problems := assertion.New(*b.c.Assertion, b.c.Name, resolve)
	b.note(b.c.Source.Locate(problems))
	b.out.signer, b.deps.Policy.Assertion = signer, signer
}

// keptSigner returns the running one when it would be the same, so that what it has signed can
// be used again, or nil.
func (b *builder) keptSigner() *assertion.Signer {
	c := b.c.Assertion
	same := b.follow(append([]string{c.Key}, c.PreviousKeys...)...)
	if !same || b.previous.Config.Name != b.c.Name || !reflect.DeepEqual(b.previous.Config.Assertion, c) {
		return nil
	}
	return b.previous.signer
}

// verifier returns the running one when the issuers and their files are the same, so that
// keys and verified tokens survive.
func (b *builder) verifier() (*token.Verifier, problem.List) {
	if b.follow(filesOf(b.c.Issuers)...) && reflect.DeepEqual(b.previous.Config.Issuers, b.c.Issuers) {
		return b.previous.tokens, nil
	}
	deps := token.Deps{Revoked: b.deps.Revoked, Resolve: b.c.Source.Resolve, Log: b.deps.Log}
	if b.previous != nil {
		deps.Previous = b.previous.tokens
	}
	return token.New(b.c.Issuers, deps)
}
