package route

import (
	"slices"
	"strings"
)

// Params returns the names that every one of the path patterns has a value
// for, ** among them. A pattern that is wrong has none.
func Params(paths []string) []string {
	var common []string
	for i, text := range paths {
		p, f := parsePattern(text)
		if f != nil {
			return nil
		}
		names := p.names()
		if i == 0 {
			common = names
			continue
		}
		common = slices.DeleteFunc(common, func(n string) bool { return !slices.Contains(names, n) })
	}
	return common
}

// HasParent tells whether a path, as it came, has a segment that takes back the
// one before: two dots, encoded or not (RFC 3986 section 5.2.4).
func HasParent(raw string) bool {
	for rest := raw; rest != ""; {
		var segment string
		segment, rest, _ = strings.Cut(rest, "/")
		if after, ok := cutDot(segment); ok {
			if after, ok = cutDot(after); ok && after == "" {
				return true
			}
		}
	}
	return false
}

// cutDot cuts a dot, encoded or not, off the front.
func cutDot(s string) (after string, ok bool) {
	switch {
	case strings.HasPrefix(s, "."):
		return s[1:], true
	case len(s) >= 3 && s[:2] == "%2" && s[2]|0x20 == 'e':
		return s[3:], true
	}
	return s, false
}
