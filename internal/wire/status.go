package wire

import "net/http"

// statusText is the reason phrase of a status. Nobody may rely on it (RFC
// 9112 section 4), so what a service wrote there is not passed on.
func statusText(status int) string { return http.StatusText(status) }
