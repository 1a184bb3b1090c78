package cors

import (
	"net/netip"
	"strings"

	"golang.org/x/net/publicsuffix"

	"yett/internal/config"
	"yett/internal/problem"
)

// readOrigins reads the origins of a configuration. Empty ones, which a comma
// at the end of a variable makes, are none.
func readOrigins(list config.StringList, problems *problem.List) origins {
	out := origins{exact: make(map[string]struct{})}
	for i, text := range list {
		r := reader{problems: problems, path: at("origins", i), text: text}
		switch {
		case text == "":
		case text == "*" && len(list) == 1:
			out.all = true
		case text == "*":
			r.fail("write it alone, or leave it out", "* stands beside others")
		default:
			r.read(&out)
		}
	}
	return out
}

// reader reads one origin of a configuration. What can never be equal to what
// a browser sends is a mistake.
type reader struct {
	problems *problem.List
	path     string
	text     string
	failed   bool
}

func (r *reader) fail(hint, format string, args ...any) {
	r.failed = true
	r.problems.Addf(r.path, hint, format, args...)
}

// read adds the origin to the others.
func (r *reader) read(to *origins) {
	if r.form(); r.failed {
		return
	}
	scheme, rest, _ := strings.Cut(r.text, "://")
	end := hostEnd(rest)
	host, port := rest[:end], rest[end:]
	r.scheme(scheme)
	r.host(host)
	if !r.failed {
		r.port(port)
	}
	if r.failed {
		return
	}
	if !strings.Contains(rest, "*") {
		o, _ := split(r.text)
		to.exact[o.text] = struct{}{}
		return
	}
	port = strings.TrimPrefix(port, ":")
	if port == ownPort(scheme) {
		port = ""
	}
	to.patterns = append(to.patterns, newPattern(r.text, scheme, host, port))
}

// form refuses what is no origin at all.
func (r *reader) form() {
	const whole = "write https://app.example.org"
	scheme, rest, ok := strings.Cut(r.text, "://")
	end := strings.IndexAny(rest, `/?#\`)
	switch {
	case strings.EqualFold(r.text, "null"):
		r.fail("list the origins of your pages", "null is what anybody's page can send, from a frame in a sandbox")
	case strings.Contains(r.text, "@"): // not shown, as a password may be there
		r.fail(whole, "a user has no place in an origin")
	case strings.ContainsFunc(r.text, func(c rune) bool { return c <= ' ' || c >= 0x7f }):
		r.fail("browsers send names in ASCII, others as punycode (xn--)", "%q has characters that are in no origin", r.text)
	case !ok:
		r.fail(whole, "%q has no scheme", r.text)
	case end >= 0:
		r.fail("write "+scheme+"://"+rest[:end], "%q has something behind host and port", r.text)
	case r.text != strings.ToLower(r.text):
		r.fail("write "+strings.ToLower(r.text), "%q has upper case, and browsers send lower case", r.text)
	}
}

func (r *reader) scheme(s string) {
	switch {
	case !validScheme(s):
		r.fail("write http or https", "%q is no scheme", s)
	case s == "file":
		r.fail("serve the page by HTTP", "browsers send null for pages from files")
	case s == "ws", s == "wss":
		r.fail("write http or https", "the origin of a WebSocket is that of its page")
	}
}

// port takes what stands behind the host.
func (r *reader) port(s string) {
	port, ok := strings.CutPrefix(s, ":")
	if s != "" && (!ok || port != "*" && !validPort(port)) {
		r.fail("write 1 to 65535, or * for any", "%q is no port", port)
	}
}

func (r *reader) host(s string) {
	if strings.HasPrefix(s, "[") || s == "" {
		r.address(s)
		return
	}
	labels := strings.Split(s, ".")
	for _, l := range labels {
		r.label(l)
	}
	if r.failed {
		return
	}
	if last := labels[len(labels)-1]; isNumber(last) {
		if a, err := netip.ParseAddr(s); err != nil || a.String() != s {
			r.fail("write four numbers", "%q is no IPv4 address, and its last label makes it one", s)
		}
		return
	}
	if suffix := behindStar(s); strings.Contains(s, "*") && isPublic(suffix) {
		r.fail("write down the name that is yours", "anybody can register a name that is like %q", s)
	}
}

// address checks an IPv6 address in brackets, which browsers write in one form
// only.
func (r *reader) address(s string) {
	inner := strings.TrimSuffix(strings.TrimPrefix(s, "["), "]")
	a, err := netip.ParseAddr(inner)
	switch {
	case err != nil || !a.Is6() || a.Zone() != "" || len(s) != len(inner)+2:
		r.fail("write a name, an IPv4 address, or an IPv6 address in brackets", "%q is no host", s)
	case a.String() != inner || a.Is4In6():
		r.fail("write ["+a.String()+"]", "%q is not how browsers write this address", s)
	}
}

func (r *reader) label(l string) {
	switch {
	case l == "":
		r.fail("a name has a dot between two labels", "an empty label is in the name")
	case len(l) > 63:
		r.fail("see RFC 1035 section 2.3.4", "the label %.16s... is longer than 63 characters", l)
	case strings.Contains(l, "**"):
		r.fail("write one *", "two stars stand side by side in %q", l)
	case strings.Contains(l, "*") && strings.Contains(l, "_"):
		r.fail("a * stands for letters, digits and dashes", "an underscore and a * are in the label %q", l)
	case strings.ContainsFunc(l, func(c rune) bool { return c != '*' && !isLabelByte(byte(c)) }):
		r.fail("letters, digits and dashes can be there", "the label %q has characters that are in no name", l)
	}
}

// isNumber tells whether a last label makes an address of a host
// (https://url.spec.whatwg.org/#ends-in-a-number-checker).
func isNumber(l string) bool {
	if hex, ok := strings.CutPrefix(l, "0x"); ok {
		return strings.Trim(hex, "0123456789abcdef") == ""
	}
	return strings.Trim(l, "0123456789") == ""
}

// behindStar returns the labels behind the last one that has a star.
func behindStar(host string) string {
	star := strings.LastIndexByte(host, '*')
	_, suffix, _ := strings.Cut(host[star+1:], ".")
	return suffix
}

// isPublic tells whether everybody can have a name directly below: the end of
// all names, and what a registry hands out names in, such as org or co.uk.
// Below those of a single firm, such as its names for previews, an operator may
// know what they do.
func isPublic(suffix string) bool {
	public, registry := publicsuffix.PublicSuffix(suffix)
	return suffix == "" || registry && public == suffix
}

func newPattern(text, scheme, host, port string) pattern {
	p := pattern{text: text, scheme: scheme, port: port}
	if !strings.Contains(host, "*") {
		p.host = host
		return p
	}
	host, p.below = strings.CutPrefix(host, "*.")
	for l := range strings.SplitSeq(host, ".") {
		p.labels = append(p.labels, strings.Split(l, "*"))
	}
	return p
}
