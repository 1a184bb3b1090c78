package exchange

import "strings"

// SecretName tells whether what has that name, a header field, a query value or a value
// of a path, is likely to be a secret. That a name is none is never certain.
func SecretName(name string) bool {
	plain := strings.ReplaceAll(strings.ToLower(name), "_", "-")
	if strings.HasPrefix(plain, "access-control-") { // -allow-credentials is none
		return false
	}
	if plain == "code" { // an authorization code, while a country-code is none
		return true
	}
	for _, word := range []string{"token", "secret", "passw", "credential", "signature", "assertion", "session", "authorization", "api-key", "apikey", "access-key"} {
		if strings.Contains(plain, word) {
			return true
		}
	}
	return secretWord(name)
}

// secretWord tells whether one of the words that a name consists of means a secret. Words
// end at what is no letter, and where a capital follows a small one: X-Functions-Key, shareKey.
func secretWord(name string) bool {
	from := 0
	for i := range len(name) + 1 {
		switch {
		case i == len(name), !letter(name[i]):
		case i > from && small(name[i-1]) && !small(name[i]):
		default:
			continue
		}
		switch strings.ToLower(name[from:i]) {
		case "key", "auth", "jwt", "sig", "pwd", "sid", "pin":
			return true
		}
		if from = i; i < len(name) && !letter(name[i]) {
			from++
		}
	}
	return false
}

func letter(c byte) bool { return small(c | 0x20) }

func small(c byte) bool { return 'a' <= c && c <= 'z' }
