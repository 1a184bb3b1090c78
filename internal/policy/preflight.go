package policy

import "yett/internal/exchange"

// IsPreflight tells whether a request asks on behalf of a page whether another
// one would be answered
// (https://fetch.spec.whatwg.org/#cors-preflight-request).
func IsPreflight(x *exchange.Exchange) bool {
	return x.Method == "OPTIONS" && x.Request.Has(exchange.KeyOrigin) && AskedMethod(x) != ""
}

// AskedMethod returns the method about which a preflight asks.
func AskedMethod(x *exchange.Exchange) string { return x.Request.Get("Access-Control-Request-Method") }
