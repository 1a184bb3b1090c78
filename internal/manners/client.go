package manners

import (
	"net/netip"
	"strings"

	"yett/internal/exchange"
)

// believe takes what a listed proxy says about the client: the address from
// X-Forwarded-For, or Forwarded where that is missing, and the scheme.
func (m *Manners) believe(x *exchange.Exchange) {
	if x.Request.Has(exchange.KeyXForwardedFor) {
		m.walk(x, exchange.KeyXForwardedFor, addressOf)
	} else if x.Request.Has(exchange.KeyForwarded) {
		m.walk(x, exchange.KeyForwarded, forwardedFor)
	}
	proto := lastOf(&x.Request, exchange.KeyXForwardedProto)
	if proto == "" {
		proto = forwardedParam(lastOf(&x.Request, exchange.KeyForwarded), "proto")
	}
	switch {
	case exchange.EqualFold(proto, "https"):
		x.Secure = true
	case exchange.EqualFold(proto, "http"):
		x.Secure = false
	}
}

// walk goes over the hops from right to left: each was written by the one to
// its right, so the first that is not a listed proxy is the caller. A hop
// that is no address ends the walk, because nothing to its left can be
// believed.
func (m *Manners) walk(x *exchange.Exchange, k exchange.Key, address func(string) (netip.Addr, bool)) {
	fields := x.Request.Fields()
	for i := len(fields) - 1; i >= 0; i-- {
		if fields[i].Key != k {
			continue
		}
		rest := fields[i].Value
		for rest != "" {
			var hop string
			rest, hop = cutLast(rest, ',')
			a, ok := address(hop)
			if !ok {
				return
			}
			x.Client = a
			if !m.Trusts(a) {
				return
			}
		}
	}
}

// lastOf returns the last element of a list that may be several fields: the
// nearest proxy wrote it.
func lastOf(h *exchange.Header, k exchange.Key) string {
	fields := h.Fields()
	for i := len(fields) - 1; i >= 0; i-- {
		if fields[i].Key == k {
			_, item := cutLast(fields[i].Value, ',')
			return item
		}
	}
	return ""
}

// cutLast splits off the last element of a list. A separator within quotes is
// none. Quotes are counted from the right: what stands there was written by the
// nearest proxy, and what a client wrote to the left can't shift them.
func cutLast(list string, separator byte) (rest, item string) {
	quoted := false
	for i := len(list) - 1; i >= 0; i-- {
		switch {
		case list[i] == '"' && !escaped(list[:i]):
			quoted = !quoted
		case list[i] == separator && !quoted:
			return list[:i], strings.Trim(list[i+1:], " \t")
		}
	}
	return "", strings.Trim(list, " \t")
}

// escaped tells whether a backslash makes what follows s an ordinary character
// (RFC 9110 section 5.6.4).
func escaped(s string) bool {
	return (len(s)-len(strings.TrimRight(s, `\`)))%2 == 1
}

// addressOf reads an address, with or without port and brackets.
func addressOf(s string) (netip.Addr, bool) {
	var a netip.Addr
	var err error
	switch bracket := strings.HasPrefix(s, "["); {
	case bracket && strings.HasSuffix(s, "]"):
		a, err = netip.ParseAddr(s[1 : len(s)-1])
	case bracket || strings.Count(s, ":") == 1:
		var ap netip.AddrPort
		ap, err = netip.ParseAddrPort(s)
		a = ap.Addr()
	default:
		a, err = netip.ParseAddr(s)
	}
	return a.Unmap().WithZone(""), err == nil
}

// forwardedFor reads the for parameter of one element of Forwarded. Obfuscated
// and unknown identifiers are no addresses.
func forwardedFor(element string) (netip.Addr, bool) {
	return addressOf(forwardedParam(element, "for"))
}

// forwardedParam returns a parameter of one element of Forwarded without its
// quotes, or "" (RFC 7239 section 4).
func forwardedParam(element, param string) string {
	for element != "" {
		var pair string
		element, pair = cutLast(element, ';')
		name, value, ok := strings.Cut(pair, "=")
		if ok && exchange.EqualFold(name, param) {
			return strings.Trim(value, `"`)
		}
	}
	return ""
}
