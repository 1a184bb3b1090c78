package sock

import (
	"net"
	"net/netip"
)

// AddrPort returns one end of a TCP connection, with an IPv4 address that came
// in IPv6 form as IPv4. It is the zero AddrPort for other networks.
func AddrPort(a net.Addr) netip.AddrPort {
	t, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	ap := t.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}
