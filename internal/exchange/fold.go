package exchange

// FoldName returns the one form of all field names that a server could take for
// the same: see FoldByte.
func FoldName(name string) string {
	b := []byte(name)
	for i := range b {
		b[i] = FoldByte(b[i])
	}
	return string(b)
}

// FoldByte returns a character of a field name in lower case, and a dash for
// each that is neither a letter nor a digit. CGI makes the variable
// HTTP_X_USER_ID of X-User-ID (RFC 3875 section 4.1.18), and there are servers
// that make it of X_User_ID and X.User.ID too.
func FoldByte(c byte) byte {
	switch {
	case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
		return c
	case 'A' <= c && c <= 'Z':
		return c + 'a' - 'A'
	}
	return '-'
}
