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
	if len(name) < minKnown || len(name) > maxKnown {
		return KeyOther
	}
	w := wordsOf(name)
	if k := &known[w.slot()]; int(k.size) == len(name) && k.words == w {
		return k.key
	}
	return KeyOther
}

// minKnown and maxKnown are the lengths of the shortest and the longest known
// name.
const minKnown, maxKnown = len("te"), len("proxy-authorization")

// known is a perfect hash table of the known names: no two have the same slot,
// so one comparison decides. Most other names differ in their length already.
var known = knownNames()

type knownName struct {
	words words
	size  uint8
	key   Key
}

func knownNames() (table [64]knownName) {
	for i, name := range [...]string{
		KeyAccept: "accept", KeyAuthorization: "authorization", KeyConnection: "connection",
		KeyContentLength: "content-length", KeyContentType: "content-type", KeyCookie: "cookie",
		KeyDate: "date", KeyExpect: "expect", KeyForwarded: "forwarded", KeyHost: "host",
		KeyKeepAlive: "keep-alive", KeyOrigin: "origin", KeyProxyAuthenticate: "proxy-authenticate",
		KeyProxyAuthorization: "proxy-authorization", KeyProxyConnection: "proxy-connection",
		KeyReferer: "referer", KeyServer: "server", KeyTE: "te", KeyTrailer: "trailer",
		KeyTransferEncoding: "transfer-encoding", KeyUpgrade: "upgrade", KeyUserAgent: "user-agent",
		KeyVia: "via", KeyXForwardedFor: "x-forwarded-for", KeyXForwardedHost: "x-forwarded-host",
		KeyXForwardedPort: "x-forwarded-port", KeyXForwardedProto: "x-forwarded-proto",
		KeyXRealIP: "x-real-ip", KeyXRequestID: "x-request-id", KeyHTTP2Settings: "http2-settings",
	} {
		if name != "" {
			w := wordsOf(name)
			table[w.slot()] = knownName{w, uint8(len(name)), Key(i)}
		}
	}
	return table
}

// words are all bytes of a name of minKnown to maxKnown bytes, with the
// lower-case bit set. Its start, middle and end overlap.
type words struct{ start, middle, end uint64 }

func wordsOf(name string) words {
	const lower = 0x2020202020202020
	switch n := len(name); {
	case n >= 8:
		return words{load64(name) | lower, load64(name[n/2-4:]) | lower, load64(name[n-8:]) | lower}
	case n >= 4:
		return words{load32(name) | lower, 0, load32(name[n-4:]) | lower}
	default:
		return words{uint64(name[0] | 0x20), uint64(name[1] | 0x20), uint64(name[n-1] | 0x20)}
	}
}

// slot returns a place in known. The factor was found by trying random ones
// until no two known names had the same place.
func (w words) slot() uint64 { return (w.start + w.end) * 0x4c78c7ab4fd24207 >> 58 }

// load64 returns the first eight bytes of s as a number.
func load64(s string) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// load32 returns the first four bytes of s as a number.
func load32(s string) uint64 {
	_ = s[3]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24
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
