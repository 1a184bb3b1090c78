package upstream

import (
	"fmt"
	"math"
	"math/bits"
	"net/netip"
	"strings"
	"testing"

	"yett/internal/exchange"
)

// caller makes a request with what keys look at.
func caller(client, user string, fields ...string) *exchange.Exchange {
	x := new(exchange.Exchange)
	if client != "" {
		x.Client = netip.MustParseAddr(client)
	}
	x.Identity.Subject = user
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		x.Request.Add(name, value)
	}
	return x
}

func keyer(t testing.TB, parts ...string) *Keyer {
	t.Helper()
	k, problems := CompileKey(parts, nil)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return k
}

func TestKeyProblems(t *testing.T) {
	for _, tt := range []struct {
		parts, params, want string // params "-" is none, "" is unknown
	}{
		{"client user header.X-A cookie.sid path.id", "", ""},
		{"path.id", "id **", ""},
		{"", "", ""},
		{"header.X-A header.X-B", "-", ""},
		{"cookie.a cookie.A", "-", ""},

		{"clinet", "", `[0]: there is no key "clinet", did you mean "client"?`},
		{"ip", "", `[0]: there is no key "ip", write client`},
		{"api_key", "", `[0]: there is no key "api_key", write header.X-API-Key`},
		{"header:X-A", "", `[0]: there is no key "header:X-A", write header.NAME`},
		{"cookies.sid", "", `[0]: there is no key "cookies.sid", write cookie.NAME`},
		{"everyone", "", `[0]: there is no key "everyone", known here: client, cookie.NAME, header.NAME, path.NAME, user`},
		{"header.", "", `[0]: "" can't be the name of a header, a name consists of`},
		{"user header.a,b", "", `[1]: "a,b" can't be the name of a header, a name consists of`},
		{"header.Cookie", "", `[0]: Cookie holds all cookies, of which any may change, write cookie.NAME`},
		{"header.host", "", `[0]: host says what is called`},
		{"header.X-Forwarded-For", "", `[0]: anybody can send X-Forwarded-For, so it says nothing about who calls, write client`},
		{"header.TE", "", `[0]: TE concerns the connection`},
		{"cookie.a=b", "", `[0]: "a=b" can't be the name of a cookie`},
		{"path.{id}", "", `[0]: "{id}" can't be the name of a value of a path, write the name without braces`},
		{"path.**", "**", `[0]: ** is any number of segments`},
		{"path.idd", "id **", `[0]: no path here has the value {idd}, did you mean "path.id"?`},
		{"path.id", "-", `[0]: no path here has the value {id}, write one into the path`},
		{"client client", "", `[1]: client is there twice, remove it`},
		{"header.X-A header.x-a", "", `[1]: header.x-a is there twice, remove it`},
	} {
		params := strings.Fields(tt.params)
		switch tt.params {
		case "":
			params = nil
		case "-":
			params = []string{}
		}
		k, problems := CompileKey(strings.Fields(tt.parts), params)
		if got := problems.Error(); !strings.HasPrefix(got, tt.want) || (got == "") != (tt.want == "") || len(problems) > 1 {
			t.Errorf("%s: got  %s\nwant %s", tt.parts, got, tt.want)
		}
		if (k == nil) != (tt.want != "" || tt.parts == "") {
			t.Errorf("%s: the Keyer is %v", tt.parts, k)
		}
	}
}

// Who has the same key, who has another, and who has none.
func TestKeySame(t *testing.T) {
	for _, tt := range []struct {
		parts string
		a, b  *exchange.Exchange // b nil: a has no key
		same  bool
	}{
		{"client", caller("192.0.2.1", ""), caller("::ffff:192.0.2.1", "other"), true},
		{"client", caller("192.0.2.1", ""), caller("192.0.2.2", ""), false},
		{"client", caller("2001:db8::1", ""), caller("2001:db8::ffff:2", ""), true},
		{"client", caller("2001:db8::1", ""), caller("2001:db8:0:1::1", ""), false},
		{"client", caller("fe80::1%eth0", ""), caller("fe80::1", ""), true},
		{"client", caller("", "u"), nil, false},
		{"user", caller("192.0.2.1", "u-1"), caller("192.0.2.2", "u-1"), true},
		{"user", caller("192.0.2.1", "u-1"), caller("192.0.2.1", "u-2"), false},
		{"user", caller("192.0.2.1", ""), nil, false},
		{"header.X-A", caller("", "", "X-A: 1"), caller("", "", "X-B: 2", "x-a: 1"), true},
		{"header.X-A", caller("", "", "X-A: 1", "X-A: 2"), caller("", "", "X-A: 1"), false},
		{"header.X-A", caller("", "", "X-A: 1", "X-A: 2"), caller("", "", "X-A: 12"), false},
		{"header.X-A", caller("", "", "X-A: "), nil, false},
		{"header.Accept", caller("", "", "Accept: a"), caller("", "", "ACCEPT: a"), true},
		{"cookie.sid", caller("", "", "Cookie: sid=1; a=2"), caller("", "", "Cookie: a=3", "Cookie: sid=1"), true},
		{"cookie.sid", caller("", "", "Cookie: sid=1"), caller("", "", "Cookie: sid=2"), false},
		{"cookie.sid", caller("", "", "Cookie: a=1"), nil, false},
		{"user client", caller("192.0.2.1", ""), caller("192.0.2.2", ""), false},
		{"user client", caller("192.0.2.1", "u"), caller("192.0.2.1", ""), false},
		{"user header.X-A", caller("", "ab", "X-A: c"), caller("", "a", "X-A: bc"), false},
		{"header.X-A header.X-B", caller("", "", "X-A: 1"), caller("", "", "X-B: 1"), false},
		{"user header.X-A", caller("192.0.2.1", ""), nil, false},
		{"user", caller("", "12345678"), caller("", "12345678\x00"), false},
		{"user", caller("", "\x00"), caller("", "\x00\x00"), false},
	} {
		k := keyer(t, strings.Fields(tt.parts)...)
		a, ok := k.Key(tt.a)
		if ok != (tt.b != nil) {
			t.Errorf("%s: there is a key: %v", tt.parts, ok)
		}
		if tt.b == nil {
			continue
		}
		if b, ok := k.Key(tt.b); !ok || (a == b) != tt.same {
			t.Errorf("%s: %x and %x, %v", tt.parts, a, b, ok)
		}
	}
	if _, ok := (*Keyer)(nil).Key(caller("192.0.2.1", "u")); ok {
		t.Error("the nil Keyer knows somebody")
	}
	x := caller("", "")
	x.AddParam("id", "7")
	a, ok := keyer(t, "path.id").Key(x)
	x.ResetParams()
	x.AddParam("id", "8")
	if b, okB := keyer(t, "path.id").Key(x); a == b || !ok || !okB {
		t.Errorf("values of a path: %x, %x", a, b)
	}
	if _, ok := keyer(t, "path.other").Key(x); ok {
		t.Error("a value that is missing makes a key")
	}
}

// Nodes of different versions have to agree, so these numbers never change.
func TestKeyIsFixed(t *testing.T) {
	for _, tt := range []struct {
		parts string
		x     *exchange.Exchange
		want  uint64
	}{
		{"client", caller("192.0.2.1", ""), 0xe76569806960463b},
		{"client", caller("2001:db8::1", ""), 0x21532335d23825c9},
		{"user", caller("", "u-1"), 0xcdb532d23ddab301},
		{"user header.X-Tenant cookie.sid", caller("", "0190a0b1-7c1e-7000-8000-000000000000", "X-Tenant: t-1"), 0x2a12798478f5698d},
	} {
		if got, _ := keyer(t, strings.Fields(tt.parts)...).Key(tt.x); got != tt.want {
			t.Errorf("%s: %#x, want %#x", tt.parts, got, tt.want)
		}
	}
}

// Keys of callers that are alike are spread evenly, by their upper and their lower bits.
func TestKeyIsEven(t *testing.T) {
	const n, boxes = 64000, 64
	for name, make := range map[string]func(i int) *exchange.Exchange{
		"numbers":   func(i int) *exchange.Exchange { return caller("", fmt.Sprint(i)) },
		"long":      func(i int) *exchange.Exchange { return caller("", fmt.Sprintf("user-%08d@mail.example.org", i)) },
		"addresses": func(i int) *exchange.Exchange { return caller(fmt.Sprintf("10.0.%d.%d", i/256, i%256), "") },
		"networks":  func(i int) *exchange.Exchange { return caller(fmt.Sprintf("2001:db8:%x::1", i), "") },
	} {
		k := keyer(t, "user", "client")
		var upper, lower [boxes]int
		for i := range n {
			key, _ := k.Key(make(i))
			upper[key>>58]++
			lower[key%boxes]++
		}
		for which, count := range map[string][boxes]int{"upper": upper, "lower": lower} {
			chi := 0.0
			for _, c := range count {
				d := float64(c) - n/boxes
				chi += d * d / (n / boxes)
			}
			if chi > 120 { // 63 on average, and beyond 120 once in 50,000 times
				t.Errorf("%s, %s bits: chi square %.0f", name, which, chi)
			}
		}
	}
}

// Each bit of a caller's name changes half of the bits of the key.
func TestKeyAvalanche(t *testing.T) {
	k := keyer(t, "user")
	for _, text := range []string{"u", "user-123", "0190a0b1-7c1e-7000-8000-000000000000"} {
		before, _ := k.Key(caller("", text))
		changed := 0
		for i := range 8 * len(text) {
			b := []byte(text)
			b[i/8] ^= 1 << (i % 8)
			after, _ := k.Key(caller("", string(b)))
			changed += bits.OnesCount64(before ^ after)
		}
		if mean := float64(changed) / float64(8*len(text)); math.Abs(mean-32) > 5 {
			t.Errorf("%q: %.1f of 64 bits change", text, mean)
		}
	}
}

func TestKeyAllocatesNothing(t *testing.T) {
	k := keyer(t, "client", "user", "header.X-Tenant", "cookie.sid", "path.id")
	x := caller("2001:db8::1", "u-1", "Accept: a", "X-Tenant: t-1", "Cookie: a=1; sid=abcdef")
	if n := testing.AllocsPerRun(100, func() { k.Key(x) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkKey(b *testing.B) {
	for name, parts := range map[string][]string{"user": {"user"}, "all": {"client", "user", "header.X-Tenant", "cookie.sid"}} {
		b.Run(name, func(b *testing.B) {
			k := keyer(b, parts...)
			x := caller("2001:db8::1", "0190a0b1-7c1e-7000-8000-000000000000", "Accept: a", "X-Tenant: t-1", "Cookie: a=1; sid=abcdef")
			b.ReportAllocs()
			for b.Loop() {
				k.Key(x)
			}
		})
	}
}
