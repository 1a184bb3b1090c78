package manners

import (
	"net/netip"

	"yett/internal/exchange"
)

// Leave adds what the service is told about the client's side.
func (m *Manners) Leave(x *exchange.Exchange) {
	h, said := &x.Request, keysOf(&x.Request)
	var add [5]exchange.Field // added at once, which is cheaper than one by one
	n := 0
	if m.tell.XForwarded {
		if !said.has(exchange.KeyXForwardedFor) {
			b := x.Peer.Addr().WithZone("").AppendTo(x.Bytes(maxAddr)[:0])
			add[n], n = exchange.Field{Name: "X-Forwarded-For", Value: exchange.View(b), Key: exchange.KeyXForwardedFor}, n+1
		} else {
			appendHop(x)
		}
		if !said.has(exchange.KeyXForwardedProto) {
			add[n], n = exchange.Field{Name: "X-Forwarded-Proto", Value: scheme(x), Key: exchange.KeyXForwardedProto}, n+1
		}
		if !said.has(exchange.KeyXForwardedHost) && x.Authority != "" {
			add[n], n = exchange.Field{Name: "X-Forwarded-Host", Value: x.Authority, Key: exchange.KeyXForwardedHost}, n+1
		}
	}
	if m.tell.Standard {
		h.AddFields(add[:n])
		n = 0
		m.appendForwarded(x)
	}
	if m.tell.Via {
		add[n], n = exchange.Field{Name: "Via", Value: viaVersion(x) + m.name, Key: exchange.KeyVia}, n+1
	}
	if m.tell.Gateway {
		add[n], n = exchange.Field{Name: "X-Gateway", Value: m.name}, n+1
	}
	h.AddFields(add[:n])
}

// keys is a set of known fields, a bit for each.
type keys uint64

// keysOf returns which known fields a header has.
func keysOf(h *exchange.Header) (set keys) {
	fields := h.Fields()
	for i := range fields {
		set |= 1 << fields[i].Key
	}
	return set
}

func (s keys) has(k exchange.Key) bool { return s>>k&1 == 1 }

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

// appendHop adds the peer to the X-Forwarded-For that is there. What came from a client was
// dropped by Enter, so it came from a listed proxy.
func appendHop(x *exchange.Exchange) {
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
	x.Request.Set("X-Forwarded-For", exchange.View(x.Peer.Addr().WithZone("").AppendTo(b)))
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
