// Package revocation is the list of tokens that are no longer good.
package revocation

import "time"

// Token is what is known of a verified token.
type Token struct {
	// ID is its jti, Subject its subject; both may be empty.
	ID, Subject string
	// Sums are the SHA-256 of all forms in which the token can be written.
	Sums [][32]byte
	// IssuedAt is its iat, zero when it has none.
	IssuedAt time.Time
}

// List is the list.
type List struct{}

// New returns an empty list.
func New() *List { return &List{} }

// Generation changes whenever something was added to the list, so that who
// has asked about a token need not ask again while it stays the same.
func (l *List) Generation() uint64 { return 1 }

// Revoked tells whether a token is on the list.
func (l *List) Revoked(t *Token) bool { return false }
