package jwt

import (
	"strings"

	"yett/internal/exchange"
)

// finder finds the token of a request.
type finder struct{ cookie, query string }

// find returns the token, "" when there is none. What it returns is a view.
func (f finder) find(x *exchange.Exchange) (string, *exchange.Reason) {
	raw, twice := bearer(&x.Request)
	if twice {
		return "", ambiguous
	}
	if raw == "" && f.cookie != "" {
		raw, twice = f.inCookies(&x.Request)
	}
	if raw == "" && f.query != "" && !twice {
		raw, twice = f.inQuery(x.Query)
	}
	if twice {
		return "", ambiguous
	}
	return raw, nil
}

// bearer returns the token of Authorization (RFC 6750 section 2.1), "" where
// there is none or the scheme is another one. twice tells that the field came
// more than once, of which a service might read another.
func bearer(h *exchange.Header) (token string, twice bool) {
	const scheme = "bearer"
	value, seen := "", false
	for i, fields := 0, h.Fields(); i < len(fields); i++ {
		if fields[i].Key != exchange.KeyAuthorization {
			continue
		}
		if seen {
			return "", true
		}
		value, seen = fields[i].Value, true
	}
	if len(value) <= len(scheme) || value[len(scheme)] != ' ' || !exchange.EqualFold(value[:len(scheme)], scheme) {
		return "", false
	}
	return strings.Trim(value[len(scheme):], " "), false
}

// inCookies looks through Cookie (RFC 6265 section 5.4), of which HTTP/2 may
// send several.
func (f finder) inCookies(h *exchange.Header) (token string, twice bool) {
	for i, fields := 0, h.Fields(); i < len(fields); i++ {
		if fields[i].Key != exchange.KeyCookie {
			continue
		}
		for rest := fields[i].Value; rest != ""; {
			var pair string
			pair, rest, _ = strings.Cut(rest, ";")
			name, value, _ := strings.Cut(strings.Trim(pair, " \t"), "=")
			if name != f.cookie {
				continue
			}
			value = strings.Trim(value, `"`)
			if token != "" && token != value {
				return "", true
			}
			token = value
		}
	}
	return token, false
}

// inQuery looks through the query. A token has no character that would have to
// be encoded.
func (f finder) inQuery(query string) (token string, twice bool) {
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		name, value, _ := strings.Cut(pair, "=")
		if name != f.query {
			continue
		}
		if token != "" && token != value {
			return "", true
		}
		token = value
	}
	return token, false
}

// places tells whether a token may be somewhere else than in Authorization.
func (f finder) places() bool { return f.cookie != "" || f.query != "" }

// remove takes tokens out of all places where they are looked for, but the one
// to keep: a service could read another one than that which was verified. With
// none to keep, Authorization goes too.
func (f finder) remove(x *exchange.Exchange, keep string) {
	if keep == "" {
		x.Request.Filter(func(h *exchange.Field) bool { return h.Key != exchange.KeyAuthorization })
	}
	if f.cookie != "" {
		fields := x.Request.Fields()
		for i := range fields {
			if fields[i].Key == exchange.KeyCookie {
				fields[i].Value = without(x, fields[i].Value, ";", f.cookie, keep)
			}
		}
		x.Request.Filter(func(h *exchange.Field) bool { return h.Key != exchange.KeyCookie || h.Value != "" })
	}
	if f.query != "" && x.Query != "" {
		x.Query = without(x, x.Query, "&", f.query, keep)
		x.HasQuery = x.Query != ""
	}
}

// without returns a list of pairs without those of a name, but for one value.
func without(x *exchange.Exchange, list, separator, name, keep string) string {
	if !strings.Contains(list, name) {
		return list
	}
	b := x.Bytes(len(list))[:0]
	for rest := list; rest != ""; {
		var pair string
		pair, rest, _ = strings.Cut(rest, separator)
		one, value, _ := strings.Cut(strings.Trim(pair, " \t"), "=")
		if one == name && (keep == "" || strings.Trim(value, `"`) != keep) {
			continue
		}
		if len(b) > 0 {
			b = append(b, separator...)
		}
		b = append(b, pair...)
	}
	return strings.TrimLeft(exchange.View(b), " \t")
}
