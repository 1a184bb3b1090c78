package policy

import "strings"

// Realm makes a text of a gateway's name that can stand between the quotes of
// WWW-Authenticate as it is (RFC 9110 section 5.6.4).
func Realm(name string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' || r == '"' || r == '\\' {
			return '_'
		}
		return r
	}, name)
}
