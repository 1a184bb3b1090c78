package gateway

import (
	"fmt"
	"regexp"
	"strings"

	"yett/internal/exchange"
)

// hidden stands where a secret was.
const hidden = "***"

// tokenShape is what a signed token looks like wherever it stands: three parts
// in base64url with dots between, the first a JSON object (RFC 7515 section
// 7.1).
var tokenShape = regexp.MustCompile(`eyJ[\w-]{6,}\.[\w-]+\.[\w-]*`)

// public copies a text without the tokens in it.
func public(text string) string {
	return tokenShape.ReplaceAllString(strings.Clone(text), hidden)
}

// WithoutTokens copies a text without what looks like a token in it.
func WithoutTokens(text string) string { return public(text) }

// publicValue copies a field's value without what only its receiver may know.
// What kind of credentials it held, and the names of cookies, are left.
func publicValue(name, value string) string {
	switch k := exchange.KeyOf(name); {
	case k == exchange.KeyAuthorization, k == exchange.KeyProxyAuthorization:
		scheme, rest, ok := strings.Cut(value, " ")
		if !ok {
			return hidden
		}
		return fmt.Sprintf("%s %s (%d bytes)", public(scheme), hidden, len(rest))
	case k == exchange.KeyCookie:
		return hideValues(value, "; ", func(string) bool { return true })
	case exchange.EqualFold(name, "Set-Cookie"):
		pair, attributes, _ := strings.Cut(value, ";")
		return hideValues(pair, ";", func(string) bool { return true }) + public(strings.TrimRight(";"+attributes, ";"))
	case exchange.SecretName(name):
		return hidden
	}
	return public(value)
}

// publicQuery copies a query without the values of secrets.
func publicQuery(query string) string { return hideValues(query, "&", exchange.SecretName) }

// hideValues hides the values of a list of name=value for which secret is
// true.
func hideValues(list, separator string, secret func(name string) bool) string {
	pairs := strings.Split(list, strings.TrimRight(separator, " "))
	for i, pair := range pairs {
		name, _, ok := strings.Cut(strings.TrimSpace(pair), "=")
		switch {
		case ok && secret(name):
			pairs[i] = public(name) + "=" + hidden
		case !ok && secret(""): // a bare value may be the secret
			pairs[i] = hidden
		default:
			pairs[i] = public(strings.TrimSpace(pair))
		}
	}
	return strings.Join(pairs, separator)
}
