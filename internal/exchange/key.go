package exchange

// Key names a header field that the gateway itself has to know, so that hot
// paths compare one byte instead of a string. The zero Key is any other field.
type Key uint8

// The fields that the data plane looks at.
const (
	KeyOther Key = iota
	KeyAccept
	KeyAuthorization
	KeyConnection
	KeyContentLength
	KeyContentType
	KeyCookie
	KeyDate
	KeyExpect
	KeyForwarded
	KeyHost
	KeyKeepAlive
	KeyOrigin
	KeyProxyAuthenticate
	KeyProxyAuthorization
	KeyProxyConnection
	KeyReferer
	KeyServer
	KeyTE
	KeyTrailer
	KeyTransferEncoding
	KeyUpgrade
	KeyUserAgent
	KeyVia
	KeyXForwardedFor
	KeyXForwardedHost
	KeyXForwardedPort
	KeyXForwardedProto
	KeyXRealIP
	KeyXRequestID
	KeyHTTP2Settings
)

// KeyOf returns the Key of a field name in any case. The name has to be a
// valid token: other bytes could collide, because the comparison only sets
// the lower-case bit.
func KeyOf(name string) Key {
	switch len(name) {
	case 2:
		return pick(name, "te", KeyTE)
	case 3:
		return pick(name, "via", KeyVia)
	case 4:
		switch name[0] | 0x20 {
		case 'h':
			return pick(name, "host", KeyHost)
		case 'd':
			return pick(name, "date", KeyDate)
		}
	case 6:
		return key6(name)
	case 7:
		switch name[0] | 0x20 {
		case 'u':
			return pick(name, "upgrade", KeyUpgrade)
		case 't':
			return pick(name, "trailer", KeyTrailer)
		case 'r':
			return pick(name, "referer", KeyReferer)
		}
	case 9:
		switch name[0] | 0x20 {
		case 'f':
			return pick(name, "forwarded", KeyForwarded)
		case 'x':
			return pick(name, "x-real-ip", KeyXRealIP)
		}
	case 10:
		return key10(name)
	default:
		return keyLong(name)
	}
	return KeyOther
}

func key6(name string) Key {
	switch name[0] | 0x20 {
	case 'a':
		return pick(name, "accept", KeyAccept)
	case 'c':
		return pick(name, "cookie", KeyCookie)
	case 'e':
		return pick(name, "expect", KeyExpect)
	case 'o':
		return pick(name, "origin", KeyOrigin)
	case 's':
		return pick(name, "server", KeyServer)
	}
	return KeyOther
}

func key10(name string) Key {
	switch name[0] | 0x20 {
	case 'c':
		return pick(name, "connection", KeyConnection)
	case 'u':
		return pick(name, "user-agent", KeyUserAgent)
	case 'k':
		return pick(name, "keep-alive", KeyKeepAlive)
	}
	return KeyOther
}

func keyLong(name string) Key {
	switch len(name) {
	case 12:
		if name[0]|0x20 == 'x' {
			return pick(name, "x-request-id", KeyXRequestID)
		}
		return pick(name, "content-type", KeyContentType)
	case 13:
		return pick(name, "authorization", KeyAuthorization)
	case 14:
		if name[0]|0x20 == 'h' {
			return pick(name, "http2-settings", KeyHTTP2Settings)
		}
		return pick(name, "content-length", KeyContentLength)
	case 15:
		return pick(name, "x-forwarded-for", KeyXForwardedFor)
	case 16:
		switch name[len(name)-1] | 0x20 {
		case 't':
			if name[12]|0x20 == 'h' {
				return pick(name, "x-forwarded-host", KeyXForwardedHost)
			}
			return pick(name, "x-forwarded-port", KeyXForwardedPort)
		case 'n':
			return pick(name, "proxy-connection", KeyProxyConnection)
		}
	case 17:
		if name[0]|0x20 == 't' {
			return pick(name, "transfer-encoding", KeyTransferEncoding)
		}
		return pick(name, "x-forwarded-proto", KeyXForwardedProto)
	case 18:
		return pick(name, "proxy-authenticate", KeyProxyAuthenticate)
	case 19:
		return pick(name, "proxy-authorization", KeyProxyAuthorization)
	}
	return KeyOther
}

// pick returns k when name is lower, which has the same length, in any case.
func pick(name, lower string, k Key) Key {
	for i := range len(lower) {
		if name[i]|0x20 != lower[i] {
			return KeyOther
		}
	}
	return k
}

// EqualFold tells whether two ASCII strings are equal without regard to case.
func EqualFold(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// hopByHop holds the fields that concern one connection only (RFC 9110
// section 7.6.1), as a bit per Key. Trailer is not among them: trailers are
// passed on, so what announces them is too.
const hopByHop = 1<<KeyConnection | 1<<KeyKeepAlive | 1<<KeyProxyConnection | 1<<KeyTE |
	1<<KeyTransferEncoding | 1<<KeyUpgrade | 1<<KeyProxyAuthenticate |
	1<<KeyProxyAuthorization | 1<<KeyHTTP2Settings

// HopByHop tells whether the field concerns one connection only and must not
// be forwarded (RFC 9110 section 7.6.1). Fields that a Connection field names
// are hop-by-hop too, see Header.StripHopByHop.
func (k Key) HopByHop() bool { return uint64(hopByHop)>>k&1 == 1 }
