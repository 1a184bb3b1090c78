package exchange

import (
	"strings"
	"testing"
)

// keyNames is every Key with its name.
func keyNames() map[Key]string {
	return map[Key]string{
		KeyAccept: "Accept", KeyAuthorization: "Authorization", KeyConnection: "Connection",
		KeyContentLength: "Content-Length", KeyContentType: "Content-Type", KeyCookie: "Cookie",
		KeyDate: "Date", KeyExpect: "Expect", KeyForwarded: "Forwarded", KeyHost: "Host",
		KeyKeepAlive: "Keep-Alive", KeyOrigin: "Origin", KeyProxyAuthenticate: "Proxy-Authenticate",
		KeyProxyAuthorization: "Proxy-Authorization", KeyProxyConnection: "Proxy-Connection",
		KeyReferer: "Referer", KeyServer: "Server", KeyTE: "TE", KeyTrailer: "Trailer",
		KeyTransferEncoding: "Transfer-Encoding", KeyUpgrade: "Upgrade", KeyUserAgent: "User-Agent",
		KeyVia: "Via", KeyXForwardedFor: "X-Forwarded-For", KeyXForwardedHost: "X-Forwarded-Host",
		KeyXForwardedPort: "X-Forwarded-Port", KeyXForwardedProto: "X-Forwarded-Proto",
		KeyXRealIP: "X-Real-IP", KeyXRequestID: "X-Request-ID", KeyHTTP2Settings: "HTTP2-Settings",
	}
}

// tokenBytes is every byte that a field name may hold.
func tokenBytes() []byte {
	var out []byte
	for c := range 256 {
		if ValidName(string([]byte{byte(c)})) {
			out = append(out, byte(c))
		}
	}
	return out
}

func TestKeyOfEverySpelling(t *testing.T) {
	names := keyNames()
	if want := int(KeyHTTP2Settings); len(names) != want {
		t.Fatalf("the test knows %d keys of %d", len(names), want)
	}
	for k, name := range names {
		mixed := []byte(strings.ToLower(name))
		for i := range mixed {
			if i%2 == 1 {
				mixed[i] = strings.ToUpper(name)[i]
			}
		}
		for _, spelling := range []string{name, strings.ToLower(name), strings.ToUpper(name), string(mixed)} {
			if got := KeyOf(spelling); got != k {
				t.Errorf("KeyOf(%q) = %d, want %d", spelling, got, k)
			}
		}
	}
}

// TestKeyOfNearMisses changes every name by one byte in every way that leaves
// a token: none may get a Key but the ones that only differ in case.
func TestKeyOfNearMisses(t *testing.T) {
	known := map[string]Key{}
	for k, name := range keyNames() {
		known[strings.ToLower(name)] = k
	}
	check := func(s string) {
		if got := KeyOf(s); got != known[strings.ToLower(s)] {
			t.Errorf("KeyOf(%q) = %d, want %d", s, got, known[strings.ToLower(s)])
		}
	}
	check("")
	for name := range known {
		for i := range len(name) {
			check(name[:i] + name[i+1:])
			check(name[:i])
			for _, c := range tokenBytes() {
				check(name[:i] + string([]byte{c}) + name[i+1:])
				check(name[:i] + string([]byte{c}) + name[i:])
			}
		}
		check(name + "s")
		check(name + "-")
		check(strings.ReplaceAll(name, "-", "_"))
	}
	for n := range 40 {
		for _, c := range "ahtxcp-_~" {
			check(strings.Repeat(string(c), n))
		}
	}
}

func TestHopByHopKeys(t *testing.T) {
	for k, name := range keyNames() {
		want := strings.Contains(" Connection Keep-Alive Proxy-Connection TE Transfer-Encoding Upgrade"+
			" Proxy-Authenticate Proxy-Authorization HTTP2-Settings ", " "+name+" ")
		if k.HopByHop() != want {
			t.Errorf("%s: HopByHop is %v", name, k.HopByHop())
		}
	}
	if KeyOther.HopByHop() {
		t.Error("any other field is no hop-by-hop field")
	}
}

func TestEqualFold(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want bool
	}{
		{"", "", true}, {"a", "A", true}, {"Z", "z", true}, {"a-1", "A-1", true},
		{"a", "", false}, {"a", "b", false}, {"a", "ab", false}, {"@", "`", false}, {"[", "{", false},
		{"-", "\r", false}, {"k", "\u212a", false}, {"\xe4", "\xc4", false}, {"_", "\x7f", false},
	} {
		if EqualFold(tt.a, tt.b) != tt.want || EqualFold(tt.b, tt.a) != tt.want {
			t.Errorf("EqualFold(%q, %q) is not %v", tt.a, tt.b, tt.want)
		}
	}
}

func BenchmarkKeyOf(b *testing.B) {
	for name, list := range map[string][]string{
		"request":  {"Host", "User-Agent", "Accept", "Accept-Encoding", "Accept-Language", "Authorization", "X-Custom", "Referer"},
		"response": {"Content-Type", "Date", "Server", "ETag", "Content-Length"},
	} {
		b.Run(name, func(b *testing.B) {
			n := 0
			for b.Loop() {
				for _, name := range list {
					n += int(KeyOf(name))
				}
			}
			if n == 0 {
				b.Fatal("no name is known")
			}
		})
	}
}
