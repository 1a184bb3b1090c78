package cors

import "strings"

// origin is what browsers say in Origin (RFC 6454 section 6.2), taken apart.
type origin struct {
	// text is the whole, without the port that the scheme has anyway.
	text, scheme string
	host         string // IPv6 with its brackets
	port         string // "" for the one that the scheme has anyway
}

// authority returns host and port.
func (o *origin) authority() string { return o.text[len(o.scheme)+len("://"):] }

// split takes an origin in lower case apart. It is strict: what a browser
// would not send is none, such as anything with a user, a path, or an escape.
func split(s string) (o origin, ok bool) {
	i := strings.Index(s, "://")
	if i < 0 || !validScheme(s[:i]) {
		return o, false
	}
	o = origin{text: s, scheme: s[:i]}
	rest := s[i+len("://"):]
	end := hostEnd(rest)
	o.host = rest[:end]
	if !validHost(o.host) {
		return o, false
	}
	if end == len(rest) {
		return o, true
	}
	o.port = rest[end+1:]
	if rest[end] != ':' || !validPort(o.port) {
		return o, false
	}
	if o.port == ownPort(o.scheme) {
		o.text, o.port = s[:len(s)-len(":")-len(o.port)], ""
	}
	return o, true
}

// hostEnd returns where a host ends: behind its bracket, or before a colon.
func hostEnd(s string) int {
	if strings.HasPrefix(s, "[") {
		if i := strings.IndexByte(s, ']'); i >= 0 {
			return i + 1
		}
		return len(s)
	}
	if i := strings.IndexByte(s, ':'); i >= 0 {
		return i
	}
	return len(s)
}

// ownPort returns the port that a scheme has when none is named.
func ownPort(scheme string) string {
	switch scheme {
	case "http":
		return "80"
	case "https":
		return "443"
	}
	return ""
}

// validScheme takes what RFC 3986 section 3.1 does, in lower case.
func validScheme(s string) bool {
	if s == "" || !isLetter(s[0]) {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !isLetter(c) && !isDigit(c) && c != '+' && c != '-' && c != '.' {
			return false
		}
	}
	return true
}

// validHost takes names and addresses in lower case. No label is empty, but
// for the last one, which a dot at the end makes.
func validHost(s string) bool {
	if strings.HasPrefix(s, "[") {
		return validIPv6(s)
	}
	if s == "" {
		return false
	}
	empty := true
	for i := range len(s) {
		c := s[i]
		if c == '.' && empty || c != '.' && !isLabelByte(c) {
			return false
		}
		empty = c == '.'
	}
	return true
}

// validIPv6 tells whether something could be an address in brackets. It is
// compared with others as a text, so that it need not be one.
func validIPv6(s string) bool {
	inner, ok := strings.CutSuffix(s[1:], "]")
	for i := range len(inner) {
		if c := inner[i]; !isDigit(c) && (c < 'a' || c > 'f') && c != ':' && c != '.' {
			return false
		}
	}
	return ok && inner != ""
}

// validPort takes 1 to 65535 without a zero in front.
func validPort(s string) bool {
	if s == "" || len(s) > 5 || s[0] == '0' {
		return false
	}
	n := 0
	for i := range len(s) {
		if !isDigit(s[i]) {
			return false
		}
		n = 10*n + int(s[i]-'0')
	}
	return n <= 65535
}

func isLetter(c byte) bool { return 'a' <= c && c <= 'z' }
func isDigit(c byte) bool  { return '0' <= c && c <= '9' }

// isLabelByte takes what browsers leave in a label. The underscore is there in
// some names of machines.
func isLabelByte(c byte) bool { return isLetter(c) || isDigit(c) || c == '-' || c == '_' }

// origins is the list of those that may read answers.
type origins struct {
	all      bool
	exact    map[string]struct{} // by their text
	patterns []pattern
}

// find returns what an origin is allowed by, as it was written, or "".
func (l *origins) find(o *origin) string {
	if l.all {
		return "*"
	}
	if _, ok := l.exact[o.text]; ok {
		return o.text
	}
	for i := range l.patterns {
		if l.patterns[i].match(o) {
			return l.patterns[i].text
		}
	}
	return ""
}

// pattern is an origin with a * in its host or as its port.
type pattern struct {
	text   string // as it was written
	scheme string
	host   string  // when it has no *
	below  bool    // one or more labels stand before the others
	labels []label // of a host with a *, from left to right
	port   string  // * for any
}

func (p *pattern) match(o *origin) bool {
	return o.scheme == p.scheme && (p.port == "*" || o.port == p.port) && p.matchHost(o.host)
}

// matchHost compares label by label from the right, where names begin.
func (p *pattern) matchHost(host string) bool {
	if p.host != "" {
		return host == p.host
	}
	for i := len(p.labels) - 1; i >= 0; i-- {
		dot := strings.LastIndexByte(host, '.')
		if !p.labels[i].match(host[dot+1:]) {
			return false
		}
		if dot < 0 {
			return i == 0 && !p.below
		}
		host = host[:dot]
	}
	return p.below
}

// label is one label of a pattern: what stands between its stars, from left to
// right. One without a star has a single piece.
type label []string

func (l label) match(s string) bool {
	first, last := l[0], l[len(l)-1]
	if len(l) == 1 {
		return s == first
	}
	if len(s) < len(first)+len(last) || !strings.HasPrefix(s, first) || !strings.HasSuffix(s, last) || strings.IndexByte(s, '_') >= 0 {
		return false
	}
	rest := s[len(first) : len(s)-len(last)]
	for _, piece := range l[1 : len(l)-1] {
		if rest == "" {
			return false
		}
		i := strings.Index(rest[1:], piece)
		if i < 0 {
			return false
		}
		rest = rest[1+i+len(piece):]
	}
	return rest != ""
}
