package retry

// Idempotent tells whether a method may be sent twice with the effect of once (RFC 9110
// section 9.2.2). Methods are case-sensitive.
func Idempotent(method string) bool {
	return Safe(method) || method == "PUT" || method == "DELETE"
}

// Safe tells whether a method only reads (RFC 9110 section 9.2.1).
func Safe(method string) bool {
	switch method {
	case "GET", "HEAD", "OPTIONS", "TRACE":
		return true
	}
	return false
}
