package manners

import (
	"net/netip"
	"slices"

	"yett/internal/config"
	"yett/internal/exchange"
)

// Manners is the compiled form. It serves many exchanges at the same time.
type Manners struct {
	name     string
	trusted  []netip.Prefix
	reserved reserved
	tell     config.Forwarded
	// keepTrailer and the others are methods, bound once.
	keepTrailer, fromClient, fromProxy func(*exchange.Field) bool
}

// New compiles the configuration, which has been checked. No client may send
// what is reserved, beside what the configuration names.
func New(c *config.Config, reserved ...string) *Manners {
	m := &Manners{name: c.Name, tell: c.Forwarded}
	for _, p := range c.TrustedProxies {
		m.trusted = append(m.trusted, p.Prefix)
	}
	m.reserved = newReserved(slices.Concat(only(), c.IdentityHeaders, reserved))
	m.fromClient, m.fromProxy, m.keepTrailer = m.keepFromClient, m.keepFromProxy, m.keepFromClient
	return m
}

// only lists what a client can never send, whatever is configured. The fields
// of framing and of a proxy are among them for their other spellings, which CGI
// and WSGI servers can't tell from the real ones; those have a Key and are dealt
// with by it.
func only() []string {
	return []string{
		"X-Gateway", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Port",
		"X-Forwarded-Proto", "X-Real-IP", "X-Request-ID",
		"Content-Length", "Transfer-Encoding",
	}
}

// Trusts tells whether an address is one of a listed proxy.
func (m *Manners) Trusts(a netip.Addr) bool {
	for _, p := range m.trusted {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// Enter cleans a request that has just come and finds out who calls. Fields
// of the connection go first, so that a client can't name what the gateway
// adds later (RFC 9110 section 7.6.1).
func (m *Manners) Enter(x *exchange.Exchange) {
	x.Client = x.Peer.Addr().WithZone("")
	x.KeepRequestTrailer = m.keepTrailer
	x.Request.StripHopByHop()
	if len(m.trusted) > 0 && m.Trusts(x.Client) {
		x.PeerTrusted = true
		m.believe(x)
		x.Request.Filter(m.fromProxy)
		return
	}
	x.Request.Filter(m.fromClient)
}

// keepFromClient drops what only the gateway, or a listed proxy, may say.
func (m *Manners) keepFromClient(f *exchange.Field) bool {
	switch f.Key {
	case exchange.KeyOther:
		return !m.reserved.has(f.Name) && !isForwarded(f.Name)
	case exchange.KeyXForwardedFor, exchange.KeyXForwardedHost, exchange.KeyXForwardedPort,
		exchange.KeyXForwardedProto, exchange.KeyForwarded, exchange.KeyXRealIP, exchange.KeyXRequestID:
		return false
	}
	return true
}

// keepFromProxy drops what only the gateway may say. Spellings without dashes
// are dropped even here: some services read them as the real one.
func (m *Manners) keepFromProxy(f *exchange.Field) bool {
	return f.Key != exchange.KeyOther ||
		!m.reserved.has(f.Name) && !(isForwarded(f.Name) && oddly(f.Name))
}

// oddly tells whether a name is spelled with more than letters, digits and
// dashes.
func oddly(name string) bool {
	for i := range len(name) {
		if name[i] != '-' && exchange.FoldByte(name[i]) == '-' {
			return true
		}
	}
	return false
}

// isForwarded tells whether a field is of the family X-Forwarded-*, in any
// spelling: a proxy may say more about its client than the gateway looks at.
func isForwarded(name string) bool {
	const family = "x-forwarded-"
	return len(name) > len(family) && same(family, name[:len(family)])
}

// reserved is a set of field names, in any spelling that a server could take for
// the same, see exchange.FoldByte.
type reserved struct {
	lengths uint64 // a bit for each length that occurs
	names   []string
}

func newReserved(names []string) reserved {
	var r reserved
	for _, n := range names {
		r.lengths |= 1 << (len(n) & 63)
		r.names = append(r.names, exchange.FoldName(n))
	}
	return r
}

func (r *reserved) has(name string) bool {
	if r.lengths>>(len(name)&63)&1 == 0 {
		return false
	}
	for _, n := range r.names {
		if len(n) == len(name) && same(n, name) {
			return true
		}
	}
	return false
}

// same compares a folded name to one in any spelling.
func same(name, other string) bool {
	for i := range len(name) {
		if exchange.FoldByte(other[i]) != name[i] {
			return false
		}
	}
	return true
}
