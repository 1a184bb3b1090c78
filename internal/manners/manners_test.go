package manners

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"yett/internal/config"
	"yett/internal/exchange"
)

// manners compiles the defaults with these networks as listed proxies.
func manners(t testing.TB, change func(*config.Config), trusted ...string) *Manners {
	t.Helper()
	c := config.Defaults()
	c.Name = "gate"
	for _, s := range trusted {
		c.TrustedProxies = append(c.TrustedProxies, config.Prefix{Prefix: netip.MustParsePrefix(s)})
	}
	if change != nil {
		change(&c)
	}
	return New(&c)
}

// request makes an exchange from that peer with "Name: value" lines.
func request(peer string, lines ...string) *exchange.Exchange {
	x := new(exchange.Pool).Get()
	x.Peer = netip.AddrPortFrom(netip.MustParseAddr(peer), 4711)
	x.Authority = "api.example:8443"
	for _, l := range lines {
		name, value, _ := strings.Cut(l, ": ")
		x.Request.Add(name, value)
	}
	return x
}

// text returns the request's fields as lines.
func text(h *exchange.Header) string {
	var b strings.Builder
	for _, f := range h.Fields() {
		if f.Key != exchange.KeyOf(f.Name) {
			fmt.Fprintf(&b, "(key of another field) ")
		}
		fmt.Fprintf(&b, "%s: %s\n", f.Name, f.Value)
	}
	return b.String()
}

// What only the gateway may say never comes from a client, in whatever way it
// is written (D26).
func TestReserved(t *testing.T) {
	names := []string{
		"X-User-ID", "x-user-id", "X-USER-ID", "X_User_ID", "x_user-id", "X-User_Role", "X-User-Email", "x-tenant-id", "X_TENANT_ID",
		"X-Gateway", "x_gateway", "X-Custom-Identity", "x-custom_identity", "X_Request_ID", "X_Forwarded_For", "X-Forwarded_Proto",
		"X_Real_IP", "X_Forwarded_Prefix", "X.User.ID", "X-User.Role", "x~tenant|id", "X!User^Email", "X.Gateway", "X.Custom+Identity",
		"X.Forwarded.For", "X-Forwarded`Groups", "Content_Length", "Transfer.Encoding", "X-Caller", "x_caller", "X.CALLER",
	}
	for _, peer := range []string{"192.0.2.1", "10.0.0.1"} {
		c := config.Defaults()
		c.IdentityHeaders = append(c.IdentityHeaders, "X_Custom-Identity")
		c.TrustedProxies = []config.Prefix{{Prefix: netip.MustParsePrefix("10.0.0.0/8")}}
		m := New(&c, "X-Caller") // as a policy asks for it
		for _, name := range names {
			x := request(peer, name+": a", "X-Other: stays", name+": b")
			m.Enter(x)
			if got := text(&x.Request); got != "X-Other: stays\n" {
				t.Errorf("from %s, %s: %q is left", peer, name, got)
			}
		}
	}
}

// Names that only look like those stay.
func TestNotReserved(t *testing.T) {
	m := manners(t, nil)
	lines := []string{
		"X-User: a", "X-User-IDs: b", "XX-User-ID: c", "XUser-ID: d", "X-User--ID: d", "Content-Type: e", "Authorization: f", "Cookie: g",
		"X-Forwarded: h", "X-ForwardedFor: i", "Via: 1.1 j", "Host: k", "X-User-Ie: l",
	}
	x := request("192.0.2.1", lines...)
	m.Enter(x)
	if got, want := text(&x.Request), strings.Join(lines, "\n")+"\n"; got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// Trailers are fields too.
func TestReservedInTrailers(t *testing.T) {
	m := manners(t, nil, "10.0.0.0/8")
	for _, peer := range []string{"192.0.2.1", "10.0.0.1"} {
		x := request(peer)
		m.Enter(x)
		for _, name := range []string{"X-User-Role", "x_user_id", "X-Gateway", "X-Forwarded-For", "X-Checksum"} {
			x.RequestTrailer.Add(name, "a")
		}
		x.RequestTrailer.Filter(x.KeepRequestTrailer)
		if got := text(&x.RequestTrailer); got != "X-Checksum: a\n" {
			t.Errorf("from %s: %q is left", peer, got)
		}
	}
}

// A client can't have removed what the gateway adds, nor framing or routing,
// by naming it in Connection.
func TestConnection(t *testing.T) {
	m := manners(t, nil, "10.0.0.0/8")
	for _, peer := range []string{"192.0.2.1", "10.0.0.1"} {
		x := request(peer,
			"Connection: X-Forwarded-For, x-gateway, X-Named, Host, Content-Length, close",
			"Host: a", "Content-Length: 3", "X-Named: b", "Keep-Alive: 5", "TE: trailers", "Upgrade: h2c",
			"Connection: X-Also, Authorization", "X-Also: c", "Proxy-Authorization: d", "X-Stays: e", "HTTP2-Settings: f")
		m.Enter(x)
		m.Leave(x)
		want := "Host: a\nContent-Length: 3\nX-Stays: e\nX-Forwarded-For: " + peer +
			"\nX-Forwarded-Proto: http\nX-Forwarded-Host: api.example:8443\nX-Gateway: gate\n"
		if got := text(&x.Request); got != want {
			t.Errorf("got\n%swant\n%s", got, want)
		}
	}
}

// What a client says about itself is worth nothing, unless a listed proxy
// passes it on.
func TestClaims(t *testing.T) {
	lines := []string{
		"X-Forwarded-For: 203.0.113.9", "X-Forwarded-Proto: https", "X-Forwarded-Host: evil", "X-Forwarded-Port: 443",
		"X-Forwarded-Prefix: /evil", "X-Forwarded-User: root", "Forwarded: for=203.0.113.9", "X-Real-IP: 203.0.113.9", "X-Request-ID: 12345678",
	}
	m := manners(t, nil, "10.0.0.0/8")
	x := request("192.0.2.1", lines...)
	m.Enter(x)
	if got := text(&x.Request); got != "" {
		t.Errorf("%q is left", got)
	}
	if x.PeerTrusted || x.Secure || x.Client != netip.MustParseAddr("192.0.2.1") {
		t.Errorf("trusted %v, secure %v, client %v", x.PeerTrusted, x.Secure, x.Client)
	}
	x = request("10.0.0.1", lines...)
	m.Enter(x)
	if got, want := text(&x.Request), strings.Join(lines, "\n")+"\n"; got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if !x.PeerTrusted || !x.Secure || x.Client != netip.MustParseAddr("203.0.113.9") {
		t.Errorf("trusted %v, secure %v, client %v", x.PeerTrusted, x.Secure, x.Client)
	}
}

func TestClient(t *testing.T) {
	const xff, fwd = "X-Forwarded-For: ", "Forwarded: "
	tests := []struct {
		name, peer string
		lines      []string
		want       string
	}{
		{"nobody in front", "192.0.2.1", []string{xff + "203.0.113.9"}, "192.0.2.1"},
		{"one proxy", "10.0.0.1", []string{xff + "203.0.113.9"}, "203.0.113.9"},
		{"nothing said", "10.0.0.1", nil, "10.0.0.1"},
		{"two proxies", "10.0.0.1", []string{xff + "203.0.113.9, 10.0.0.2"}, "203.0.113.9"},
		{"spoofed on the left", "10.0.0.1", []string{xff + "127.0.0.1, 203.0.113.9"}, "203.0.113.9"},
		{"spoofed as a proxy", "10.0.0.1", []string{xff + "1.1.1.1, 10.9.9.9, 203.0.113.9, 10.0.0.2"}, "203.0.113.9"},
		{"several fields", "10.0.0.1", []string{xff + "1.1.1.1", "Accept: a", xff + "203.0.113.9", xff + "10.0.0.3 ,10.0.0.2"}, "203.0.113.9"},
		{"all are proxies", "10.0.0.1", []string{xff + "10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		{"port", "10.0.0.1", []string{xff + "203.0.113.9:4711"}, "203.0.113.9"},
		{"IPv6", "10.0.0.1", []string{xff + "2001:db8::9"}, "2001:db8::9"},
		{"IPv6 in brackets", "10.0.0.1", []string{xff + "[2001:db8::9]"}, "2001:db8::9"},
		{"IPv6 with port", "10.0.0.1", []string{xff + "[2001:db8::9]:4711"}, "2001:db8::9"},
		{"IPv6 with zone", "10.0.0.1", []string{xff + "fe80::9%eth0"}, "fe80::9"},
		{"IPv4 in IPv6", "10.0.0.1", []string{xff + "203.0.113.9, ::ffff:10.0.0.2"}, "203.0.113.9"},
		{"IPv4 in IPv6 in brackets", "10.0.0.1", []string{xff + "203.0.113.9, [::ffff:10.0.0.2]"}, "203.0.113.9"},
		{"IPv4 in IPv6 with port", "10.0.0.1", []string{xff + "203.0.113.9, [::ffff:10.0.0.2]:1"}, "203.0.113.9"},
		{"garbage", "10.0.0.1", []string{xff + "not-an-ip {}*"}, "10.0.0.1"},
		{"garbage ends the walk", "10.0.0.1", []string{xff + "203.0.113.9, unknown, 10.0.0.2"}, "10.0.0.2"},
		{"garbage on the left", "10.0.0.1", []string{xff + "unknown, 203.0.113.9"}, "203.0.113.9"},
		{"empty", "10.0.0.1", []string{xff + ""}, "10.0.0.1"},
		{"quote on the left", "10.0.0.1", []string{xff + `", 203.0.113.9`}, "203.0.113.9"},
		{"IPv6 proxy", "fd00::1", []string{xff + "203.0.113.9"}, "203.0.113.9"},
		{"link-local peer", "fe80::1%eth0", []string{xff + "203.0.113.9"}, "203.0.113.9"},
		{"X-Real-IP says nothing", "10.0.0.1", []string{"X-Real-IP: 203.0.113.9"}, "10.0.0.1"},

		{"Forwarded", "10.0.0.1", []string{fwd + "for=203.0.113.9"}, "203.0.113.9"},
		{"Forwarded, all of it", "10.0.0.1", []string{fwd + `For="[2001:db8::9]:4711";proto=https;by=10.0.0.2`}, "2001:db8::9"},
		{"Forwarded, for is last", "10.0.0.1", []string{fwd + "by=10.0.0.2; proto=http ;for=203.0.113.9"}, "203.0.113.9"},
		{"Forwarded, two proxies", "10.0.0.1", []string{fwd + "for=1.1.1.1", fwd + "for=203.0.113.9, for=10.0.0.2"}, "203.0.113.9"},
		{"Forwarded, hidden", "10.0.0.1", []string{fwd + "for=203.0.113.9, for=_hidden, for=10.0.0.2"}, "10.0.0.2"},
		{"Forwarded, unknown", "10.0.0.1", []string{fwd + "for=unknown"}, "10.0.0.1"},
		{"Forwarded without for", "10.0.0.1", []string{fwd + "proto=https"}, "10.0.0.1"},
		{"Forwarded, comma in a host", "10.0.0.1", []string{fwd + `for=203.0.113.9;host="x,for=6.6.6.6"`}, "203.0.113.9"},
		{"Forwarded, semicolon in a host", "10.0.0.1", []string{fwd + `host="x;for=6.6.6.6";for=203.0.113.9`}, "203.0.113.9"},
		{"Forwarded, for behind a host", "10.0.0.1", []string{fwd + `for=203.0.113.9;host="x;for=6.6.6.6"`}, "203.0.113.9"},
		{"Forwarded, quote on the left", "10.0.0.1", []string{fwd + `for=", for=203.0.113.9;host="x,for=6.6.6.6"`}, "203.0.113.9"},
		{"Forwarded, escaped quote", "10.0.0.1", []string{fwd + `for=203.0.113.9;host="x\",for=6.6.6.6"`}, "203.0.113.9"},
		{"Forwarded, escaped backslash", "10.0.0.1", []string{fwd + `host="x\\";for=203.0.113.9`}, "203.0.113.9"},
		{"both: X-Forwarded-For counts", "10.0.0.1", []string{fwd + "for=1.1.1.1", xff + "203.0.113.9"}, "203.0.113.9"},
	}
	m := manners(t, nil, "10.0.0.0/8", "fd00::/8", "fe80::/10")
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			x := request(tt.peer, tt.lines...)
			m.Enter(x)
			if x.Client != netip.MustParseAddr(tt.want) {
				t.Errorf("the client is %v, want %s", x.Client, tt.want)
			}
		})
	}
}

// D9: who changes what he says about himself stays the same caller.
func TestRotatingAddresses(t *testing.T) {
	m := manners(t, nil, "10.0.0.0/8")
	for i := range 100 {
		x := request("10.0.0.1", fmt.Sprintf("X-Forwarded-For: 198.51.100.%d, 203.0.113.9", i))
		m.Enter(x)
		direct := request("203.0.113.9", fmt.Sprintf("X-Forwarded-For: 198.51.100.%d", i))
		m.Enter(direct)
		if x.Client != direct.Client || x.Client.String() != "203.0.113.9" {
			t.Fatalf("%v and %v", x.Client, direct.Client)
		}
	}
}

func TestSecure(t *testing.T) {
	for _, tt := range []struct {
		name  string
		tls   bool
		lines []string
		want  bool
	}{
		{"plain", false, nil, false},
		{"TLS to us", true, nil, true},
		{"TLS to the proxy", false, []string{"X-Forwarded-Proto: HTTPS"}, true},
		{"plain to the proxy", true, []string{"X-Forwarded-Proto: http"}, false},
		{"nonsense", true, []string{"X-Forwarded-Proto: gopher"}, true},
		{"the last of a list", false, []string{"X-Forwarded-Proto: https, http"}, false},
		{"Forwarded", false, []string{"Forwarded: for=192.0.2.1;proto=https"}, true},
		{"Forwarded from further away", false, []string{"Forwarded: proto=https, for=192.0.2.1"}, false},
		{"X-Forwarded-Proto before Forwarded", false, []string{"Forwarded: proto=https", "X-Forwarded-Proto: http"}, false},
		{"the last of fields", false, []string{"X-Forwarded-Proto: https", "X-Forwarded-Proto: http"}, false},
	} {
		x := request("10.0.0.1", tt.lines...)
		x.Secure = tt.tls
		manners(t, nil, "10.0.0.0/8").Enter(x)
		if x.Secure != tt.want {
			t.Errorf("%s: secure is %v", tt.name, x.Secure)
		}
	}
}

func TestLeave(t *testing.T) {
	all := config.Forwarded{XForwarded: true, Standard: true, Gateway: true, Via: true}
	tests := []struct {
		name, peer string
		tell       config.Forwarded
		change     func(*exchange.Exchange)
		lines      []string
		want       string
	}{
		{"default", "192.0.2.1", config.Forwarded{XForwarded: true, Gateway: true}, nil, nil,
			"X-Forwarded-For: 192.0.2.1\nX-Forwarded-Proto: http\nX-Forwarded-Host: api.example:8443\nX-Gateway: gate\n"},
		{"nothing", "192.0.2.1", config.Forwarded{}, nil, []string{"X-Forwarded-For: 1.1.1.1"}, ""},
		{"nothing behind a proxy", "10.0.0.1", config.Forwarded{}, nil, []string{"X-Forwarded-For: 1.1.1.1"}, "X-Forwarded-For: 1.1.1.1\n"},
		{"all", "2001:db8::1", all, func(x *exchange.Exchange) { x.Secure = true }, []string{"Via: 1.0 fred"},
			"Via: 1.0 fred\nX-Forwarded-For: 2001:db8::1\nX-Forwarded-Proto: https\nX-Forwarded-Host: api.example:8443\n" +
				`Forwarded: for="[2001:db8::1]";proto=https;host="api.example:8443"` + "\nVia: 1.1 gate\nX-Gateway: gate\n"},
		{"behind a proxy", "10.0.0.1", all, nil,
			[]string{"X-Forwarded-For: 203.0.113.9", "Accept: a", "X-Forwarded-For: 10.0.0.2", "X-Forwarded-Proto: https", "X-Forwarded-Host: outer", "Forwarded: for=203.0.113.9"},
			"X-Forwarded-For: 203.0.113.9, 10.0.0.2, 10.0.0.1\nAccept: a\nX-Forwarded-Proto: https\nX-Forwarded-Host: outer\n" +
				`Forwarded: for=203.0.113.9, for=10.0.0.1;proto=https;host="api.example:8443"` + "\nVia: 1.1 gate\nX-Gateway: gate\n"},
		{"HTTP/1.0 without a host", "192.0.2.1", all, func(x *exchange.Exchange) { x.Version, x.Authority = exchange.HTTP10, "" }, nil,
			"X-Forwarded-For: 192.0.2.1\nX-Forwarded-Proto: http\nForwarded: for=192.0.2.1;proto=http\nVia: 1.0 gate\nX-Gateway: gate\n"},
		{"HTTP/2", "192.0.2.1", config.Forwarded{Via: true}, func(x *exchange.Exchange) { x.Version = exchange.HTTP2 }, nil, "Via: 2 gate\n"},
		{"zone of a peer", "fe80::1%eth0", config.Forwarded{XForwarded: true}, func(x *exchange.Exchange) { x.Authority = "" }, nil,
			"X-Forwarded-For: fe80::1\nX-Forwarded-Proto: http\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := manners(t, func(c *config.Config) { c.Forwarded = tt.tell }, "10.0.0.0/8")
			x := request(tt.peer, tt.lines...)
			if tt.change != nil {
				tt.change(x)
			}
			m.Enter(x)
			m.Leave(x)
			if got := text(&x.Request); got != tt.want {
				t.Errorf("got\n%swant\n%s", got, tt.want)
			}
		})
	}
}

// A name that a client chose can't leave its place in Forwarded.
func TestForwardedIsReadAsWritten(t *testing.T) {
	outer := manners(t, func(c *config.Config) { c.Forwarded = config.Forwarded{Standard: true} })
	inner := manners(t, nil, "10.0.0.0/8")
	for _, host := range []string{"x,for=6.6.6.6", "x;for=6.6.6.6", "[2001:db8::1]:80"} {
		x := request("203.0.113.9")
		x.Authority = host
		outer.Enter(x)
		outer.Leave(x)
		next := request("10.0.0.1", "Forwarded: "+x.Request.Get("Forwarded"))
		inner.Enter(next)
		if next.Client.String() != "203.0.113.9" {
			t.Errorf("host %s makes the client %v", host, next.Client)
		}
	}
}

func TestNoAllocation(t *testing.T) {
	m := manners(t, nil, "10.0.0.0/8")
	fields := []exchange.Field{
		{Name: "Host", Value: "a", Key: exchange.KeyHost},
		{Name: "X-User-ID", Value: "evil"},
		{Name: "X-Forwarded-For", Value: "203.0.113.9, 10.0.0.2", Key: exchange.KeyXForwardedFor},
		{Name: "X-Forwarded-For", Value: "10.0.0.3:80", Key: exchange.KeyXForwardedFor},
		{Name: "Connection", Value: "X-Named", Key: exchange.KeyConnection},
		{Name: "X-Named", Value: "a"},
	}
	var pool exchange.Pool
	for _, peer := range []string{"192.0.2.1", "10.0.0.1"} {
		x := pool.Get()
		run := func() {
			x.Peer = netip.AddrPortFrom(netip.MustParseAddr(peer), 4711)
			x.Authority = "api.example"
			x.Request.AddFields(fields)
			m.Enter(x)
			m.Leave(x)
			if x.Request.Len() < 4 {
				t.Fatal("the fields of the gateway are missing")
			}
			pool.Put(x)
			x = pool.Get()
		}
		if n := testing.AllocsPerRun(1000, run); n > 0 && !raceDetector {
			t.Errorf("from %s: %v allocations", peer, n)
		}
	}
}

func BenchmarkEnterLeave(b *testing.B) {
	m := manners(b, nil, "10.0.0.0/8")
	var pool exchange.Pool
	fields := []exchange.Field{
		{Name: "Host", Value: "a", Key: exchange.KeyHost}, {Name: "Accept", Value: "*/*", Key: exchange.KeyAccept},
		{Name: "X-One", Value: "1"}, {Name: "X-Forwarded-For", Value: "203.0.113.9, 10.0.0.2", Key: exchange.KeyXForwardedFor},
	}
	peer := netip.MustParseAddrPort("10.0.0.1:80")
	b.ReportAllocs()
	for b.Loop() {
		x := pool.Get()
		x.Peer = peer
		x.Request.AddFields(fields)
		m.Enter(x)
		m.Leave(x)
		pool.Put(x)
	}
}
