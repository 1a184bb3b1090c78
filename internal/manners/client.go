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
	switch proto := last(x.Request.GetKey(exchange.KeyXForwardedProto)); {
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
			rest, hop = cutLast(rest)
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

// cutLast splits off the last element of a list.
func cutLast(list string) (rest, item string) {
	if i := strings.LastIndexByte(list, ','); i >= 0 {
		return list[:i], strings.Trim(list[i+1:], " \t")
	}
	return "", strings.Trim(list, " \t")
}

func last(list string) string {
	_, item := cutLast(list)
	return item
}

// addressOf reads an address, with or without port and brackets.
func addressOf(s string) (netip.Addr, bool) {
	if a, err := netip.ParseAddr(s); err == nil {
		return a.Unmap().WithZone(""), true
	}
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().Unmap().WithZone(""), true
	}
	if strings.HasPrefix(s, "[") && strings.HasSuffix(s, "]") {
		a, err := netip.ParseAddr(s[1 : len(s)-1])
		return a.WithZone(""), err == nil
	}
	return netip.Addr{}, false
}

// forwardedFor reads the for parameter of one element (RFC 7239 section 4).
// Obfuscated and unknown identifiers are no addresses.
func forwardedFor(element string) (netip.Addr, bool) {
	for pair := range strings.SplitSeq(element, ";") {
		name, value, ok := strings.Cut(strings.Trim(pair, " \t"), "=")
		if ok && exchange.EqualFold(name, "for") {
			return addressOf(strings.Trim(value, `"`))
		}
	}
	return netip.Addr{}, false
}
