package limit

import (
	"crypto/sha256"
	"encoding/base64"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"

	"yett/internal/exchange"
	"yett/internal/meter"
)

// told is a part of a key as somebody reads it who has only the text.
type told struct{ kind, value string }

// read takes a key apart. It shares nothing with what writes keys.
func read(t *testing.T, key string) []told {
	t.Helper()
	var parts []told
	for _, piece := range strings.Split(key, "|") {
		kind, value, ok := strings.Cut(piece, ":")
		if !ok {
			t.Fatalf("%q has no value", piece)
		}
		switch {
		case value == "-":
			value = "missing"
		case strings.HasPrefix(value, "~"), kind == "api_key":
			if len(strings.TrimPrefix(value, "~")) != 22 {
				t.Fatalf("%q is no hash", value)
			}
			value = "hash " + strings.TrimPrefix(value, "~")
		default:
			plain, err := url.PathUnescape(value)
			if err != nil {
				t.Fatal(err)
			}
			value = "plain " + plain
		}
		parts = append(parts, told{kind, value})
	}
	return parts
}

// should is what has to be read of a value.
func should(value string) string {
	if len(value) > 64 {
		sum := sha256.Sum256([]byte(value))
		return "hash " + base64.RawURLEncoding.EncodeToString(sum[:16])
	}
	return "plain " + value
}

// FuzzKey holds that a key says exactly who is counted, so that no two callers have the
// same (D10), and that it has no character that breaks something elsewhere (D9).
func FuzzKey(f *testing.F) {
	f.Add("ada", "api.example.org", "GET", "one", "two", uint8(3))
	f.Add("user:victim|ip:10.0.0.1", "{}", "-", "~abc", "%7C", uint8(7))
	f.Add("", strings.Repeat("x", 65), "", "-", "", uint8(0))
	f.Add("a\r\nb\x00\x7f", "\xff\xfe", " ", "a,b", strings.Repeat("%", 64), uint8(5))
	l := one(f, `limit: 1, window: 1m, by: [user, host, method, header.X-A, path.id]`)
	f.Fuzz(func(t *testing.T, subject, host, method, header, param string, flags uint8) {
		x := &exchange.Exchange{Method: method, Host: host, Client: netip.MustParseAddr("203.0.113.7")}
		x.Identity.Subject = subject
		x.AddParam("id", param)
		want := []told{{"user", should(subject)}, {"host", should(host)}, {"method", should(methodValue(method))}, {"header.x-a", "missing"}, {"path.id", should(param)}}
		for i, v := range []string{subject, host, method, "a", param} {
			if v == "" {
				want[i].value = "missing"
			}
		}
		if subject == "" {
			want[0] = told{"ip", "plain 203.0.113.7"}
		}
		switch flags & 3 {
		case 1:
			x.Request.Add("X-A", header)
			want[3].value = should(header)
		case 2, 3:
			x.Request.Add("x-a", header)
			x.Request.Add("X-A", param)
			want[3].value = should(header + "," + param)
		}
		key := claim(l, x).Key
		if got := read(t, key); !slices.Equal(got, want) {
			t.Errorf("%s\ngot  %q\nwant %q", key, got, want)
		}
		if bad := strings.IndexFunc(key, func(r rune) bool { return r <= ' ' || r > '~' || r == '{' || r == '}' }); bad >= 0 {
			t.Errorf("%q has %q", key, key[bad])
		}
		if len(key) > 5*(3*64+20) {
			t.Errorf("a key of %d bytes", len(key))
		}
		// What commands show is what an operator can type.
		if again, err := l.Keys(key); again != key {
			t.Errorf("%s is typed, and read as %q, %v", key, again, err)
		}
	})
}

// An operator names a caller as commands show it, or by a plain value.
func TestTyped(t *testing.T) {
	const hash = "CuAnJVQ7mFTbISFw9R9qPQ"
	long := strings.Repeat("u", 65)
	for _, tt := range []struct{ by, text, want string }{
		{`by: user`, `user:abc`, `user:abc`},
		{`by: user`, `USER:abc`, `user:abc`},
		{`by: user`, `user:a%7Cb`, `user:a%7Cb`},
		{`by: user`, `user:a%7cb`, `user:a%7Cb`},
		{`by: user`, `user:%61b`, `user:ab`},
		{`by: user`, `user:a|b c`, `user:a%7Cb%20c`},
		{`by: user`, `user:a:b=c`, `user:a:b=c`},
		{`by: user`, `user=a%7Cb`, `user:a%257Cb`},
		{`by: user`, `user=-`, `user:%2D`},
		{`by: user`, `user=~x`, `user:%7Ex`},
		{`by: user`, `user=` + long, `user:~` + string(appendHash(nil, long))},
		{`by: user`, `user:~` + hash, `user:~` + hash},
		{`by: user`, `ip:203.0.113.7`, `ip:203.0.113.7`},
		{`by: user`, `ip=203.0.113.7`, `ip:203.0.113.7`},
		{`by: tenant`, `user:abc`, `user:abc`},
		{`by: ip, ipv4_prefix: 24`, `ip:203.0.113.7`, `ip:203.0.113.0/24`},
		{`by: ip, ipv4_prefix: 24`, `ip:203.0.113.0/24`, `ip:203.0.113.0/24`},
		{`by: ip`, `ip:::ffff:203.0.113.7`, `ip:203.0.113.7`},
		{`by: ip`, `ip:2001:DB8:1:2:3::4`, `ip:2001:db8:1:2::/64`},
		{`by: ip`, `ip:2001:db8:1:2::/64`, `ip:2001:db8:1:2::/64`},
		{`by: ip`, `ip:-`, `ip:-`},
		{`by: api_key`, `api_key=sesame`, `api_key:` + string(appendHash(nil, "sesame"))},
		{`by: api_key`, `api_key=a|b`, `api_key:` + string(appendHash(nil, "a|b"))},
		{`by: api_key`, `api_key:` + hash, `api_key:` + hash},
		{`by: api_key`, `ip:203.0.113.7`, `ip:203.0.113.7`},
		{`by: header.Authorization`, `header.authorization=Bearer x`, `header.authorization:` + string(appendHash(nil, "Bearer x"))},
		{`by: header.Authorization`, `header.authorization:-`, `header.authorization:-`},
		{`by: path.key`, `path.key=sesame`, `path.key:` + string(appendHash(nil, "sesame"))},
		{`by: path.key`, `path.key:` + hash, `path.key:` + hash},
		{`by: header.X-Shop`, `header.X-SHOP:one`, `header.x-shop:one`},
		{`by: header.X-Shop`, `header.x-shop:`, `header.x-shop:`},
		{`by: [user, route]`, `ip:203.0.113.7|route:orders`, `ip:203.0.113.7|route:orders`},
		{`by: everyone`, `everyone`, `everyone`},
		{`by: method`, `method:GET`, `method:GET`},
		{`by: method`, `method:PURGE`, `method:other`},
		{`by: method`, `method=get`, `method:other`},
		{`by: method`, `method:-`, `method:-`},
	} {
		got, err := one(t, "limit: 1, window: 1m, "+tt.by).Keys(tt.text)
		if err != nil || got != tt.want {
			t.Errorf("%s, %s: %q, %v, want %q", tt.by, tt.text, got, err, tt.want)
		}
	}
	for _, tt := range []struct{ by, text, want string }{
		{`by: user`, ``, `limit "a" counts by user, not by that: write user:VALUE or ip:VALUE as commands show it, or user=VALUE for a plain value`},
		{`by: user`, `abc`, `not by that: write user:VALUE`},
		{`by: user`, `tenant:abc`, `not by tenant: write user:VALUE`},
		{`by: user`, `user:`, `limit "a": "user:" has no value`},
		{`by: user`, `user=`, `limit "a": "user=" has no value`},
		{`by: user`, `user:100%`, `"100%" has a % without two hexadecimal digits: write = and not :, for a plain value`},
		{`by: user`, `user:%zz`, `has a % without two hexadecimal digits`},
		{`by: user`, `user:~abc`, `begins with ~, which stands before 22 characters: write = and not :`},
		{`by: ip`, `ip:localhost`, `"localhost" is no address: write one such as ip:203.0.113.7`},
		{`by: ip`, `ip:10.0.0.0/8`, `"10.0.0.0/8": limit "a" counts networks of /32: write an address alone`},
		{`by: api_key`, `api_key:sesame`, `secrets are shown as 22 characters that stand for them: write = and not :, for one as it is`},
		{`by: api_key`, `apikey=sesame`, `limit "a" counts by api_key, not by apikey: write api_key:VALUE or ip:VALUE`},
		{`by: [user, route]`, `user:a`, `limit "a" counts by 2 things: write user:VALUE|route:VALUE`},
		{`by: everyone`, `all`, `limit "a" counts everyone together: write everyone`},
	} {
		if got, err := one(t, "limit: 1, window: 1m, "+tt.by).Keys(tt.text); err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "sesame") {
			t.Errorf("%s, %q: %q, %v\nwant %s", tt.by, tt.text, got, err, tt.want)
		}
	}
}

// The same subject of two issuers is two callers: nobody locks out somebody of the other
// one (D10). With one issuer keys do without its name.
func TestIssuers(t *testing.T) {
	user := func(issuer, subject, tenant string) *exchange.Exchange {
		x := request(subject)
		x.Identity.Issuer, x.Identity.Tenant = issuer, tenant
		return x
	}
	several := []string{"staff", "public", "a/b", "a", "c|d"}
	for _, tt := range []struct {
		by   string
		x    *exchange.Exchange
		want string
	}{
		{`by: user`, user("public", "42", ""), `user:public/42`},
		{`by: user`, user("staff", "42", ""), `user:staff/42`},
		{`by: user`, user("a", "b/42", ""), `user:a/b/42`},
		{`by: user`, user("a/b", "42", ""), `user:a%2Fb/42`},
		{`by: user`, user("c|d", "x|y", ""), `user:c%7Cd/x%7Cy`},
		{`by: user`, user("a", "-", ""), `user:a/%2D`},
		{`by: user`, user("a", strings.Repeat("u", 65), ""), `user:a/~` + string(appendHash(nil, strings.Repeat("u", 65)))},
		{`by: user`, user("", "", ""), `ip:203.0.113.7`},
		{`by: tenant`, user("public", "42", "t"), `tenant:public/t`},
		{`by: tenant`, user("public", "42", ""), `user:public/42`},
		{`by: [tenant, role]`, user("public", "42", "t"), `tenant:public/t|role:-`},
	} {
		l := one(t, "limit: 1, window: 1m, "+tt.by, several...)
		key := claim(l, tt.x).Key
		if key != tt.want {
			t.Errorf("%s: %s, want %s", tt.by, key, tt.want)
		}
		if again, err := l.Keys(key); again != key {
			t.Errorf("%s is typed, and read as %q, %v", key, again, err)
		}
	}
	if key := claim(one(t, "limit: 1, window: 1m, by: user", "public"), user("public", "42", "")).Key; key != "user:42" {
		t.Errorf("with one issuer: %s", key)
	}
	l := one(t, "limit: 1, window: 1m, by: tenant", several...)
	for text, want := range map[string]string{
		`user=c|d/x|y`: `user:c%7Cd/x%7Cy`,
		`user=a/b/42`:  `user:a%2Fb/42`,
		`USER:a/b/42`:  `user:a/b/42`,
		`user=a/-`:     `user:a/%2D`,
		`ip:10.0.0.1`:  `ip:10.0.0.1`,
	} {
		if key, err := l.Keys(text); key != want {
			t.Errorf("%s is %q, %v, want %q", text, key, err, want)
		}
	}
	for text, want := range map[string]string{
		`user:42`:       `there are several issuers, each with users of its own: write user:ISSUER/VALUE, or user=ISSUER/VALUE for a plain value, where ISSUER is staff, public, a/b, a or c|d`,
		`tenant:other/`: `each with tenants of its own: write tenant:ISSUER/VALUE`,
		`tenant:staff/`: `write tenant:ISSUER/VALUE`,
		`42`:            `write tenant:ISSUER/VALUE or user:ISSUER/VALUE or ip:VALUE as commands show it, or tenant=ISSUER/VALUE for a plain value`,
	} {
		if key, err := l.Keys(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %q, %v, want %s", text, key, err, want)
		}
	}
	x, b := user("a/b", "42", "t"), make([]byte, 0, 256)
	if n := testing.AllocsPerRun(100, func() { b = l.appendKey(b[:0], x) }); n != 0 && !raceDetector {
		t.Errorf("%v allocations", n)
	}
}

// Memory for keys is kept for other requests, so that values of a megabyte must not make it
// large; and their hash is the same as that of short ones.
func TestLongValues(t *testing.T) {
	long := strings.Repeat("0123456789abcdef", 1<<16)
	hash := func(text string) string {
		sum := sha256.Sum256([]byte(text))
		return base64.RawURLEncoding.EncodeToString(sum[:16])
	}
	for _, name := range []string{"Authorization", "Cookie", "X-Shop"} {
		for _, values := range [][]string{
			{long}, {long, long[:scratch+1]}, {"a", long, ""}, {"", long}, {long[:scratch-1], ""}, {long[:scratch], ""}, {long[:scratch-1], long[:1]},
			{long[:scratch]}, {long[:scratch+1]}, {long[:scratch/2], long[:scratch/2-1]}, {long[:2*scratch]},
		} {
			l, x := one(t, "limit: 1, window: 1m, by: [user, header."+name+"]"), request("u")
			for _, v := range values {
				x.Request.Add(name, v)
			}
			want, between := "user:u|header."+strings.ToLower(name)+":", ","
			switch name {
			case "X-Shop":
				want += "~"
			case "Cookie":
				between = "; "
			}
			var c meter.Call
			l.Claim(&c, x, 1)
			if got := c.Claims[0].Key; got != want+hash(strings.Join(values, between)) {
				t.Errorf("%s of %d fields: %s", name, len(values), got)
			}
			if n := cap(c.Keys); n > 4*scratch {
				t.Errorf("memory for keys has grown to %d", n)
			}
		}
	}
}

// Methods that somebody makes up are one value, so that none of them is a fresh limit.
func TestMadeUpMethods(t *testing.T) {
	l := one(t, "limit: 1, window: 1m, by: [ip, method]")
	for method, want := range map[string]string{
		"GET": "GET", "HEAD": "HEAD", "POST": "POST", "PUT": "PUT", "DELETE": "DELETE", "CONNECT": "CONNECT", "OPTIONS": "OPTIONS", "TRACE": "TRACE", "PATCH": "PATCH",
		"": "-", "get": "other", "X1": "other", "X2": "other", "PURGE": "other", "other": "other", strings.Repeat("X", 100): "other",
	} {
		x := request("")
		x.Method = method
		if got := claim(l, x).Key; got != "ip:203.0.113.7|method:"+want {
			t.Errorf("%s: %s", method, got)
		}
	}
}
