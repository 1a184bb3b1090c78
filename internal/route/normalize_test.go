package route

import (
	"net/url"
	"regexp"
	"strings"
	"testing"
	"unsafe"

	"yett/internal/exchange"
)

func TestNormalize(t *testing.T) {
	const bad = "" // no normal form
	tests := []struct{ raw, want string }{
		// as it is
		{"/", "/"},
		{"/a/b", "/a/b"},
		{"/a/b/", "/a/b/"},
		{"/a!$&'()*+,;=:@-._~z", "/a!$&'()*+,;=:@-._~z"},
		{"*", "*"},
		{"/...", "/..."},
		{"/.a/..b/c.", "/.a/..b/c."},
		// percent-encoding
		{"/%61pi", "/api"},
		{"/%41%5a%7E%2d%2E%5f%39", "/AZ~-._9"},
		{"/a%3ab%3B", "/a%3Ab%3B"},
		{"/%c3%a9", "/%C3%A9"},
		{"/é", "/%C3%A9"},
		{"/\xff", "/%FF"},
		{"/a|b^c`d{e}[f]\"<>", "/a%7Cb%5Ec%60d%7Be%7D%5Bf%5D%22%3C%3E"},
		{"/%2561", "/%2561"},
		{"/a%2fb", "/a%2Fb"},
		{"/a%00b", "/a%00b"},
		{"/a%5cb", "/a%5Cb"},
		{"/a%20b%3f%23", "/a%20b%3F%23"},
		{"/%", bad},
		{"/%4", bad},
		{"/%4g", bad},
		{"/%%41", bad},
		{"/a%/b", bad},
		// dot segments and slashes
		{"/api/v1/users/../auth/login", "/api/v1/auth/login"},
		{"/api//v1", "/api/v1"},
		{"//", "/"},
		{"//host/a", "/host/a"},
		{"/a///b//", "/a/b/"},
		{"/.", "/"},
		{"/a/.", "/a/"},
		{"/a/./b", "/a/b"},
		{"/a/b/..", "/a/"},
		{"/a/b/../", "/a/"},
		{"/a/..", "/"},
		{"/a/%2e%2E/b", "/b"},
		{"/a/.%2e/b", "/b"},
		{"/a/%2e/b", "/a/b"},
		{"/a//../b", "/b"},
		{"/a/b/../../c", "/c"},
		{"/..", bad},
		{"/../a", bad},
		{"/a/../../b", bad},
		{"/%2e%2e", bad},
		{"/./..", bad},
		// what services read in more than one way
		{"/a/..%2fb", bad},
		{"/a%2F..%2Fb", bad},
		{"/a/..%5cb", bad},
		{"/a%5C.%5Cb", bad},
		{"/a/..;/b", bad},
		{"/a/.;x=1/b", bad},
		{"/a/..;x/../b", bad},
		{"/a/x;../b", "/a/x;../b"},
		{"/a/..x%2Fb", "/a/..x%2Fb"},
		{"/a\\b", bad},
		{"/a b", bad},
		{"/a\tb", bad},
		{"/a\x00b", bad},
		{"/a\x7fb", bad},
		{"/a#b", bad},
		{"/a?b", bad},
		// no path at all
		{"", bad},
		{"a", bad},
		{"a/b", bad},
		{"**", bad},
		{"*/", bad},
		{"http://h/", bad},
	}
	for _, tt := range tests {
		t.Run(tt.raw, func(t *testing.T) {
			x := &exchange.Exchange{RawPath: tt.raw}
			reason := Normalize(x)
			if (reason != nil) != (tt.want == bad) || x.Path != tt.want {
				t.Fatalf("got %q, %v; want %q", x.Path, reason, tt.want)
			}
			if reason != nil && reason != exchange.BadPath {
				t.Errorf("reason %v", reason)
			}
		})
	}
}

func TestNormalizeFlags(t *testing.T) {
	tests := []struct {
		raw        string
		slash, nul bool
	}{
		{"/a", false, false},
		{"/a%2fb", true, false},
		{"/a%2Fb", true, false},
		{"/a%00", false, true},
		{"/%00%2f", true, true},
		{"/%252f%2500", false, false},
		{"/a%2fb/../c", false, false},
		{"/a/%2e%2e/b", false, false},
	}
	for _, tt := range tests {
		x := &exchange.Exchange{RawPath: tt.raw, EncodedSlash: true, EncodedNUL: true}
		if r := Normalize(x); r != nil || x.EncodedSlash != tt.slash || x.EncodedNUL != tt.nul {
			t.Errorf("%s: slash %v, nul %v, %v", tt.raw, x.EncodedSlash, x.EncodedNUL, r)
		}
	}
}

func TestNormalizeKeepsView(t *testing.T) {
	for _, raw := range []string{"/", "/api/v1/users", "*", "/a%2Fb", "/.well-known/x", "/%C3%A9/"} {
		x := &exchange.Exchange{RawPath: raw}
		Normalize(x)
		if unsafe.StringData(x.Path) != unsafe.StringData(raw) {
			t.Errorf("%s was copied", raw)
		}
	}
}

func TestNormalizeAllocs(t *testing.T) {
	x := new(exchange.Pool).Get()
	for _, raw := range []string{"/api/v1/users/42", "/api//v1/%61/../é"} {
		x.RawPath = raw
		if n := testing.AllocsPerRun(1000, func() { Normalize(x) }); n != 0 {
			t.Errorf("%s: %v allocations", raw, n)
		}
	}
}

// normalPath is what a normal form looks like.
var normalPath = regexp.MustCompile(`^(\*|/([A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-F]{2})*)$`)

// FuzzNormalize holds the normaliser against its properties and against a
// slow one that works on whole segments.
func FuzzNormalize(f *testing.F) {
	for _, raw := range []string{"/", "/a/../b", "//a/./%2e%2e/%2F/..;x", "/%41%c3é|", "*", "/..%2f", "/a%00%5c", "/%zz"} {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		x := &exchange.Exchange{RawPath: raw}
		reason := Normalize(x)
		want, ok := slowNormal(raw)
		if (reason == nil) != ok || x.Path != want {
			t.Fatalf("%q: got %q, %v; want %q", raw, x.Path, reason, want)
		}
		if reason != nil {
			return
		}
		if !normalPath.MatchString(x.Path) || strings.Contains(x.Path, "//") {
			t.Fatalf("%q: %q is not normal", raw, x.Path)
		}
		again := &exchange.Exchange{RawPath: x.Path}
		if r := Normalize(again); r != nil || again.Path != x.Path ||
			again.EncodedSlash != x.EncodedSlash || again.EncodedNUL != x.EncodedNUL {
			t.Fatalf("%q: %q became %q, %v", raw, x.Path, again.Path, r)
		}
		if isPlain(raw) && x.Path != raw {
			t.Fatalf("%q is plain but became %q", raw, x.Path)
		}
	})
}

var (
	escaped    = regexp.MustCompile(`%[0-9A-Fa-f]{2}`)
	unreserved = regexp.MustCompile(`^[A-Za-z0-9._~-]$`)
	illegal    = regexp.MustCompile(`[\x00-\x20\x7f\\?#]`)
	ambiguous  = regexp.MustCompile(`(?i)^(.*(%2F|%5C))?\.\.?(;.*|%2F.*|%5C.*)?$`)
)

func slowNormal(raw string) (string, bool) {
	if raw == "*" {
		return raw, true
	}
	if !strings.HasPrefix(raw, "/") || illegal.MatchString(raw) ||
		strings.Contains(escaped.ReplaceAllString(raw, ""), "%") {
		return "", false
	}
	var out []string
	pieces := strings.Split(raw[1:], "/")
	for i, piece := range pieces {
		last := i == len(pieces)-1
		piece = slowSegment(piece)
		switch {
		case piece == ".." && len(out) == 0:
			return "", false
		case piece == "..":
			out = out[:len(out)-1]
		case piece == "" || piece == ".":
		case ambiguous.MatchString(piece):
			return "", false
		default:
			out = append(out, piece)
			last = false
		}
		if last {
			out = append(out, "")
		}
	}
	return "/" + strings.Join(out, "/"), true
}

func slowSegment(piece string) string {
	piece = escaped.ReplaceAllStringFunc(piece, func(e string) string {
		c, _ := url.PathUnescape(e)
		if unreserved.MatchString(c) {
			return c
		}
		return strings.ToUpper(e)
	})
	var b strings.Builder
	for _, c := range []byte(piece) {
		if c != '%' && !normalPath.MatchString("/"+string(rune(c))) {
			b.WriteString("%" + strings.ToUpper(string("0123456789abcdef"[c>>4])+string("0123456789abcdef"[c&15])))
			continue
		}
		b.WriteByte(c)
	}
	return b.String()
}
