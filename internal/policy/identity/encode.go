package identity

import (
	"yett/internal/ascii"
	"yett/internal/exchange"
)

// value is what a header says about a caller, "" for nothing. It lives as long
// as the exchange.
type value func(x *exchange.Exchange) string

// valueOf returns the value of a word of the configuration, which the decoder
// has checked.
func valueOf(word string) value {
	switch word {
	case "subject":
		return func(x *exchange.Exchange) string { return text(x, x.Identity.Subject) }
	case "email":
		return func(x *exchange.Exchange) string { return text(x, x.Identity.Email) }
	case "tenant":
		return func(x *exchange.Exchange) string { return text(x, x.Identity.Tenant) }
	case "issuer":
		return func(x *exchange.Exchange) string { return text(x, x.Identity.Issuer) }
	case "token_id":
		return func(x *exchange.Exchange) string { return text(x, x.Identity.TokenID) }
	case "role":
		return func(x *exchange.Exchange) string { return list(x, x.Identity.Roles, ',') }
	case "permissions":
		return func(x *exchange.Exchange) string { return list(x, x.Identity.Permissions, ' ') }
	default:
		return func(x *exchange.Exchange) string { return list(x, x.Identity.Scopes, ' ') }
	}
}

// text returns a value as it can stand in a header: itself where that is
// possible, which is the common case, else percent-encoded.
func text(x *exchange.Exchange, s string) string {
	more := encoded(s, false)
	if more == 0 {
		return s
	}
	return exchange.View(appendEncoded(x.Bytes(len(s) + more)[:0], s, false))
}

// list returns the elements with a separator between them. An empty one says
// nothing, and is left out.
func list(x *exchange.Exchange, items []string, separator byte) string {
	size, n, only := 0, 0, ""
	for _, s := range items {
		if s != "" {
			size += len(s) + encoded(s, true) + 1
			n, only = n+1, s
		}
	}
	if n == 0 || n == 1 && size == len(only)+1 {
		return only
	}
	b := x.Bytes(size)[:0]
	for _, s := range items {
		if s == "" {
			continue
		}
		if len(b) > 0 {
			b = append(b, separator)
		}
		b = appendEncoded(b, s, true)
	}
	return exchange.View(b)
}

// encoded returns by how many bytes a value becomes longer.
func encoded(s string, element bool) int {
	if ascii.Simple(s, ',') {
		return 0
	}
	n := 0
	for i := range len(s) {
		if !plain(s[i], element) {
			n += 2
		}
	}
	return n
}

// plain tells which bytes stand for themselves: visible ASCII, but for the sign
// of the encoding, and what separates the elements of lists.
func plain(c byte, element bool) bool {
	return c > ' ' && c < 0x7f && c != '%' && (c != ',' || !element)
}

func appendEncoded(b []byte, s string, element bool) []byte {
	const digits = "0123456789ABCDEF"
	for i := range len(s) {
		if c := s[i]; plain(c, element) {
			b = append(b, c)
		} else {
			b = append(b, '%', digits[c>>4], digits[c&15])
		}
	}
	return b
}
