package route

import (
	"fmt"
	"net/netip"
	"strings"
)

// maxHost is the longest name of the DNS (RFC 1035 section 2.3.4).
const maxHost = 253

// parseHost returns a host pattern in lower case.
func parseHost(text string) (string, *fault) {
	host := strings.ToLower(text)
	if strings.HasPrefix(host, "[") {
		addr, err := netip.ParseAddr(strings.TrimSuffix(host[1:], "]"))
		if err != nil || !addr.Is6() || addr.Zone() != "" || !strings.HasSuffix(host, "]") {
			return "", &fault{fmt.Sprintf("host %q is no IPv6 address in brackets", text), "such as [::1], without a port"}
		}
		return host, nil
	}
	name := strings.TrimPrefix(host, "*.")
	if hint := hostHint(name); hint != "" {
		return "", &fault{fmt.Sprintf("host %q is no host pattern", text), hint}
	}
	return host, nil
}

// hostHint says what to do about a name that is none, "" if it is one.
func hostHint(name string) string {
	switch {
	case name == "*":
		return "leave host out to match all"
	case strings.Contains(name, "*"):
		return "a wildcard is *. in front of a name, such as *.example.org"
	case strings.Contains(name, "/"):
		return "write the name alone, without scheme or path"
	case strings.Contains(name, ":"):
		return "write it without the port; an IPv6 address needs brackets"
	case strings.HasSuffix(name, "."):
		return "leave the final dot out"
	case len(name) > maxHost:
		return fmt.Sprintf("names have at most %d characters", maxHost)
	}
	for label := range strings.SplitSeq(name, ".") {
		if !validLabel(label) {
			return "names are letters, digits, - and _ between dots; write international names in their xn-- form"
		}
	}
	return ""
}

func validLabel(label string) bool {
	for i := range len(label) {
		c := label[i]
		if (c < 'a' || 'z' < c) && (c < '0' || '9' < c) && c != '-' && c != '_' {
			return false
		}
	}
	return label != "" && len(label) <= 63
}
