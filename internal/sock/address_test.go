package sock

import (
	"net"
	"net/netip"
	"testing"
)

func TestAddrPort(t *testing.T) {
	for _, tc := range []struct {
		addr net.Addr
		want netip.AddrPort
	}{
		{&net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 80}, netip.MustParseAddrPort("192.0.2.1:80")},
		{&net.TCPAddr{IP: net.ParseIP("::ffff:192.0.2.1"), Port: 80}, netip.MustParseAddrPort("192.0.2.1:80")},
		{&net.TCPAddr{IP: net.ParseIP("2001:db8::1"), Port: 80}, netip.MustParseAddrPort("[2001:db8::1]:80")},
		{&net.UnixAddr{Name: "/run/x"}, netip.AddrPort{}},
	} {
		if got := AddrPort(tc.addr); got != tc.want {
			t.Errorf("%v is %v, want %v", tc.addr, got, tc.want)
		}
	}
}
