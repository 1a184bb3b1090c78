package manners

import (
	"net/netip"

	"yett/internal/exchange"
)

// Leave adds what the service is told about the client's side.
func (m *Manners) Leave(x *exchange.Exchange) {
	h := &x.Request
	if m.tell.XForwarded {
		m.appendHop(x)
		if !h.Has(exchange.KeyXForwardedProto) {
			h.AddField(exchange.Field{Name: "X-Forwarded-Proto", Value: scheme(x), Key: exchange.KeyXForwardedProto})
		}
		if !h.Has(exchange.KeyXForwardedHost) && x.Authority != "" {
			h.AddField(exchange.Field{Name: "X-Forwarded-Host", Value: x.Authority, Key: exchange.KeyXForwardedHost})
		}
	}
	if m.tell.Standard {
		m.appendForwarded(x)
	}
	if m.tell.Via {
		h.AddField(exchange.Field{Name: "Via", Value: viaVersion(x) + m.name, Key: exchange.KeyVia})
	}
	if m.tell.Gateway {
		h.AddField(exchange.Field{Name: "X-Gateway", Value: m.name})
	}
}

func scheme(x *exchange.Exchange) string {
	if x.Secure {
		return "https"
	}
	return "http"
}

func viaVersion(x *exchange.Exchange) string {
	switch x.Version {
	case exchange.HTTP10:
		return "1.0 "
	case exchange.HTTP2:
		return "2 "
	}
	return "1.1 "
}

// appendHop adds the peer to X-Forwarded-For. What came from a client was
// dropped by Enter, so what is there came from a listed proxy.
func (m *Manners) appendHop(x *exchange.Exchange) {
	peer := x.Peer.Addr().WithZone("")
	if !x.Request.Has(exchange.KeyXForwardedFor) {
		b := peer.AppendTo(x.Bytes(maxAddr)[:0])
		x.Request.AddField(exchange.Field{Name: "X-Forwarded-For", Value: exchange.View(b), Key: exchange.KeyXForwardedFor})
		return
	}
	size := maxAddr
	for _, f := range x.Request.Fields() {
		if f.Key == exchange.KeyXForwardedFor {
			size += len(f.Value) + 2
		}
	}
	b := x.Bytes(size)[:0]
	for _, f := range x.Request.Fields() {
		if f.Key == exchange.KeyXForwardedFor && f.Value != "" {
			b = append(append(b, f.Value...), ", "...)
		}
	}
	x.Request.Set("X-Forwarded-For", exchange.View(peer.AppendTo(b)))
}

// maxAddr is the longest text of an address.
const maxAddr = len("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255")

// appendForwarded adds this hop to Forwarded (RFC 7239).
func (m *Manners) appendForwarded(x *exchange.Exchange) {
	before := ""
	for _, f := range x.Request.Fields() {
		if f.Key == exchange.KeyForwarded && f.Value != "" {
			before += f.Value + ", "
		}
	}
	b := x.Bytes(len(before) + 2*maxAddr + len(x.Authority) + 64)[:0]
	b = append(b, before...)
	b = append(b, "for="...)
	b = appendNode(b, x.Peer.Addr().WithZone(""))
	b = append(b, ";proto="...)
	b = append(b, scheme(x)...)
	if x.Authority != "" {
		b = append(b, `;host="`...)
		b = append(b, x.Authority...)
		b = append(b, '"')
	}
	x.Request.Set("Forwarded", exchange.View(b))
}

// appendNode writes an address as RFC 7239 section 6 wants it: IPv6 in
// brackets and quotes.
func appendNode(b []byte, a netip.Addr) []byte {
	if a.Is4() {
		return a.AppendTo(b)
	}
	b = append(b, `"[`...)
	b = a.AppendTo(b)
	return append(b, `]"`...)
}
