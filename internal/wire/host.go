package wire

import (
	"net/netip"
	"strings"
)

// SplitHost returns the host of an authority without its port, and whether
// the authority is valid (RFC 3986 section 3.2.2): a name, an IPv4 address or
// an IPv6 address in brackets, then nothing or a port. User information is
// never part of it.
func SplitHost(authority string) (string, bool) {
	if strings.HasPrefix(authority, "[") {
		end := strings.IndexByte(authority, ']')
		if end < 0 || !validPort(authority[end+1:]) {
			return "", false
		}
		addr, err := netip.ParseAddr(authority[1:end])
		return authority[:end+1], err == nil && addr.Is6() && addr.Zone() == ""
	}
	n := 0
	for n < len(authority) && isHostByte[authority[n]] {
		n++
	}
	host := authority[:n]
	if host == "" || host == "." || !validPort(authority[n:]) {
		return "", false
	}
	return host, true
}

// validPort takes "" or ":" with digits.
func validPort(s string) bool {
	if s == "" {
		return true
	}
	if s[0] != ':' || len(s) > 6 {
		return false
	}
	n := 0
	for i := 1; i < len(s); i++ {
		if !isDigit(s[i]) {
			return false
		}
		n = n*10 + int(s[i]-'0')
	}
	return n <= 65535
}

// isHostByte has what a registered name may hold. Percent-encoded names are
// left out: no client sends them, and readers differ in what they mean.
var isHostByte = setOf("-._~!$&'()*+,;=" + letters + digits)
