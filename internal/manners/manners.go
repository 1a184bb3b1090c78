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
	m.fromClient, m.fromProxy, m.keepTrailer = m.keepFromClient, m.keepFromProxy, m.mayClientSay
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
	if len(m.trusted) > 0 && m.Trusts(x.Client) {
		x.Request.StripHopByHop()
		x.PeerTrusted = true
		m.believe(x)
		x.Request.Filter(m.fromProxy)
		return
	}
	drops, names := m.look(&x.Request)
	if names {
		x.Request.StripHopByHop()
	}
	if drops {
		x.Request.Filter(m.fromClient)
	}
}

// look tells whether a client's request has a field to drop, which most don't, and whether a
// Connection field may name further ones.
func (m *Manners) look(h *exchange.Header) (drops, names bool) {
	fields := h.Fields()
	for i := range fields {
		f := &fields[i]
		if f.Key == exchange.KeyConnection && !exchange.EqualFold(f.Value, "keep-alive") && !exchange.EqualFold(f.Value, "close") {
			return true, true
		}
		drops = drops || !m.keepFromClient(f)
	}
	return drops, false
}

// keepFromClient drops what concerns the connection alone, and what a client may not say.
func (m *Manners) keepFromClient(f *exchange.Field) bool {
	return !f.Key.HopByHop() && m.mayClientSay(f)
}

// mayClientSay is false for what only the gateway, or a listed proxy, may say.
func (m *Manners) mayClientSay(f *exchange.Field) bool {
	const others = 1<<exchange.KeyXForwardedFor | 1<<exchange.KeyXForwardedHost | 1<<exchange.KeyXForwardedPort |
		1<<exchange.KeyXForwardedProto | 1<<exchange.KeyForwarded | 1<<exchange.KeyXRealIP | 1<<exchange.KeyXRequestID
	if f.Key == exchange.KeyOther {
		return !m.reserved.has(f.Name) && !isForwarded(f.Name)
	}
	return uint64(others)>>f.Key&1 == 0
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
	return len(name) > len(family) && name[0]|0x20 == family[0] && same(family, name[:len(family)])
}

// reserved is a set of field names, in any spelling that a server could take for
// the same, see exchange.FoldByte.
type reserved struct {
	// firsts has a bit for each first character of a name, by length: nearly all other names are
	// told from these by that alone.
	firsts [64]uint64
	names  []string
}

func newReserved(names []string) reserved {
	var r reserved
	for _, n := range names {
		folded := exchange.FoldName(n) // not empty: names of fields were checked
		r.firsts[len(n)%64] |= 1 << (folded[0] % 64)
		r.names = append(r.names, folded)
	}
	return r
}

func (r *reserved) has(name string) bool {
	if name == "" || r.firsts[len(name)%64]>>(exchange.FoldByte(name[0])%64)&1 == 0 {
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
