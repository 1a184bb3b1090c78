package openapi

import (
	"net/url"
	"strings"
)

// Unescape reads a token of a JSON pointer in a reference (RFC 6901 sections 4 and 6). What is
// not percent-encoded as it should be is taken as it stands. Escape is the other way round.
func Unescape(token string) string {
	if plain, err := url.PathUnescape(token); err == nil {
		token = plain
	}
	return strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")
}

// Escape writes a name as a token of a JSON pointer (RFC 6901 section 3).
func Escape(name string) string {
	return strings.ReplaceAll(strings.ReplaceAll(name, "~", "~0"), "/", "~1")
}
