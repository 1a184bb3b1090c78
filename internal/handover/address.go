package handover

import (
	"context"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// place is what an address means: Go binds one socket for both families wherever the host is
// empty or unspecified, so :80, 0.0.0.0:80 and [::]:80 are one place.
type place struct {
	host string // an address, a name in small letters, or everywhere
	port int
}

const everywhere = "*"

// placeOf reads an address as a configuration has it. It returns false for one that Listen will
// refuse.
func placeOf(address string) (place, bool) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return place{}, false
	}
	n, err := net.LookupPort("tcp", port)
	if err != nil {
		return place{}, false
	}
	return place{hostOf(host), n}, true
}

func hostOf(host string) string {
	ip, err := netip.ParseAddr(host)
	switch {
	case host == "" || err == nil && ip.IsUnspecified():
		return everywhere
	case err == nil:
		return ip.Unmap().String()
	}
	return strings.ToLower(host)
}

// named tells whether the host has to be looked up.
func (p place) named() bool {
	_, err := netip.ParseAddr(p.host)
	return p.host != everywhere && err != nil
}

// resolve returns the places that a name stands for, or the place itself.
func (p place) resolve(ctx context.Context) []place {
	if !p.named() {
		return []place{p}
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", p.host)
	if err != nil {
		return nil // Listen will say so
	}
	var all []place
	for _, ip := range ips {
		all = append(all, place{ip.Unmap().String(), p.port})
	}
	return all
}

// overlaps tells that two sockets can't have both places, although they are not the same.
func (p place) overlaps(q place) bool {
	return p.port == q.port && p.host != q.host && (p.host == everywhere || q.host == everywhere)
}

func (p place) String() string {
	if p.host == everywhere {
		return ":" + strconv.Itoa(p.port)
	}
	return net.JoinHostPort(p.host, strconv.Itoa(p.port))
}
