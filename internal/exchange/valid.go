package exchange

// tokenChars has a bit for each byte that a token may hold (RFC 9110 section
// 5.6.2).
var tokenChars = func() (set [256]bool) {
	for c := range set {
		set[c] = '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
	}
	for _, c := range []byte("!#$%&'*+-.^_`|~") {
		set[c] = true
	}
	return set
}()

// ValidName tells whether s can be a field name: a token, not empty (RFC 9110
// section 5.6.2).
func ValidName(s string) bool {
	for i := range len(s) {
		if !tokenChars[s[i]] {
			return false
		}
	}
	return s != ""
}

// ValidValue tells whether s can be a field value: no control character but
// the tab, and no blank at either end (RFC 9110 section 5.5).
func ValidValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return s == "" || !blank(s[0]) && !blank(s[len(s)-1])
}

func blank(c byte) bool { return c == ' ' || c == '\t' }
