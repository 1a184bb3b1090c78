package exchange

import "strings"

// SecretName tells whether what has that name, a header field or a query
// value, is likely to be a secret.
func SecretName(name string) bool {
	name = strings.ReplaceAll(strings.ToLower(name), "_", "-")
	if strings.HasPrefix(name, "access-control-") { // -allow-credentials is none
		return false
	}
	switch name {
	case "key", "code", "sig", "auth", "jwt", "pwd", "sid":
		return true
	}
	for _, word := range []string{"token", "secret", "passw", "credential", "signature", "assertion", "session", "authorization", "api-key", "apikey", "access-key"} {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}
