package exchange

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// headerOf makes a Header of "Name: value" lines.
func headerOf(lines ...string) *Header {
	var h Header
	for _, l := range lines {
		name, value, _ := strings.Cut(l, ": ")
		h.Add(name, value)
	}
	return &h
}

func (h *Header) describe() string {
	var b strings.Builder
	for _, f := range h.Fields() {
		fmt.Fprintf(&b, "[%s|%s]", f.Name, f.Value)
	}
	return b.String()
}

func TestHeaderLookup(t *testing.T) {
	h := headerOf("Host: h", "A: 1", "Cookie: x", "a: 2", "COOKIE: y", "Empty: ")
	for name, want := range map[string]string{"host": "h", "HOST": "h", "A": "1", "a": "1", "cookie": "x", "empty": "", "B": ""} {
		if got := h.Get(name); got != want {
			t.Errorf("Get(%q) = %q, want %q", name, got, want)
		}
		if _, ok := h.Lookup(name); ok != (name != "B") {
			t.Errorf("Lookup(%q) finds %v", name, ok)
		}
	}
	if h.GetKey(KeyCookie) != "x" || h.GetKey(KeyVia) != "" || !h.Has(KeyCookie) || h.Has(KeyVia) || h.Len() != 6 {
		t.Error("GetKey, Has or Len is wrong")
	}
	h.Reset()
	if h.Len() != 0 || h.Has(KeyHost) {
		t.Error("Reset leaves fields")
	}
}

func TestHeaderChanges(t *testing.T) {
	lines := []string{"A: 1", "Host: h", "B: 2", "a: 3", "hOST: i", "C: 4"}
	for _, tt := range []struct {
		name   string
		change func(*Header)
		want   string
	}{
		{"nothing", func(*Header) {}, "[A|1][Host|h][B|2][a|3][hOST|i][C|4]"},
		{"Set in the place of the first", func(h *Header) { h.Set("a", "x") }, "[a|x][Host|h][B|2][hOST|i][C|4]"},
		{"Set of a known field", func(h *Header) { h.Set("HOST", "x") }, "[A|1][HOST|x][B|2][a|3][C|4]"},
		{"Set of a new field", func(h *Header) { h.Set("D", "x") }, "[A|1][Host|h][B|2][a|3][hOST|i][C|4][D|x]"},
		{"Set of the last", func(h *Header) { h.Set("c", "x") }, "[A|1][Host|h][B|2][a|3][hOST|i][c|x]"},
		{"Del", func(h *Header) { h.Del("a") }, "[Host|h][B|2][hOST|i][C|4]"},
		{"Del of a known field", func(h *Header) { h.Del("host") }, "[A|1][B|2][a|3][C|4]"},
		{"Del of what is not there", func(h *Header) { h.Del("D"); h.Del("Via") }, "[A|1][Host|h][B|2][a|3][hOST|i][C|4]"},
		{"Del of the last", func(h *Header) { h.Del("C") }, "[A|1][Host|h][B|2][a|3][hOST|i]"},
		{"Filter keeps order", func(h *Header) { h.Filter(func(f *Field) bool { return f.Value > "2" }) }, "[Host|h][a|3][hOST|i][C|4]"},
		{"Filter of all", func(h *Header) { h.Filter(func(*Field) bool { return false }) }, ""},
		{"AddField", func(h *Header) { h.AddField(Field{Name: "Via", Value: "v", Key: KeyVia}) }, "[A|1][Host|h][B|2][a|3][hOST|i][C|4][Via|v]"},
	} {
		h := headerOf(lines...)
		tt.change(h)
		if got := h.describe(); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
		for _, f := range h.Fields() {
			if f.Key != KeyOf(f.Name) {
				t.Errorf("%s: %s has the key %d", tt.name, f.Name, f.Key)
			}
		}
		if left := h.fields[len(h.fields):cap(h.fields)]; tt.name != "nothing" {
			for _, f := range left {
				if f != (Field{}) {
					t.Errorf("%s: the memory behind the last field still holds %v", tt.name, f)
				}
			}
		}
	}
}

func TestStripHopByHop(t *testing.T) {
	for _, tt := range []struct {
		name  string
		lines []string
		want  string
	}{
		{"nothing to strip", []string{"Host: h", "A: 1"}, "[Host|h][A|1]"},
		{"every hop-by-hop field", []string{
			"Connection: keep-alive", "Keep-Alive: x", "Proxy-Connection: x", "TE: trailers", "Transfer-Encoding: chunked",
			"Upgrade: x", "Proxy-Authenticate: x", "Proxy-Authorization: x", "HTTP2-Settings: x", "A: 1"}, "[A|1]"},
		{"in any case", []string{"cOnNeCtIoN: close", "kEEP-aLIVE: x", "te: x", "TRANSFER-ENCODING: x", "A: 1"}, "[A|1]"},
		{"Trailer announces what is passed on", []string{"Trailer: A"}, "[Trailer|A]"},
		{"named", []string{"Connection: A, close", "A: 1", "a: 2", "B: 3"}, "[B|3]"},
		{"named in another case", []string{"Connection: x-USER-id", "X-User-ID: 1", "B: 3"}, "[B|3]"},
		{"named before and behind", []string{"A: 1", "Connection: A,B", "B: 2", "A: 3", "C: 4"}, "[C|4]"},
		{"two Connection fields", []string{"Connection: A", "A: 1", "Connection: B", "B: 2", "C: 3"}, "[C|3]"},
		{"two Connection fields, removed between", []string{"A: 1", "A: 2", "Connection: A", "Connection: B", "B: 2"}, ""},
		{"a known field", []string{"Connection: Cookie, authorization", "Cookie: x", "Authorization: y"}, ""},
		{"Host stays", []string{"Connection: Host, hOST", "Host: h"}, "[Host|h]"},
		{"Content-Length stays", []string{"Connection: Content-Length, content-length", "Content-Length: 3"}, "[Content-Length|3]"},
		{"itself", []string{"Connection: Connection, A", "A: 1"}, ""},
		{"empty elements", []string{"Connection: , ,,A, ,", "A: 1", "B: 2"}, "[B|2]"},
		{"blanks and tabs", []string{"Connection: \tA\t ,\t B", "A: 1", "B: 2"}, ""},
		{"no list", []string{"Connection: A B", "A: 1", "B: 2"}, "[A|1][B|2]"},
		{"quotes are no names", []string{"Connection: \"A\"", "A: 1"}, "[A|1]"},
		{"no prefix", []string{"Connection: A", "AB: 1", "A: 2"}, "[AB|1]"},
		{"underscores are another name", []string{"Connection: X_A", "X-A: 1", "X_A: 2"}, "[X-A|1]"},
		{"close alone names nothing", []string{"Connection: close", "close: 1"}, "[close|1]"},
		{"keep-alive in a list", []string{"Connection: keep-alive, Keep-Alive", "Keep-Alive: 1"}, ""},
		{"names nothing that is there", []string{"Connection: x, y, z", "A: 1"}, "[A|1]"},
	} {
		h := headerOf(tt.lines...)
		h.StripHopByHop()
		if got := h.describe(); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

// TestStripStaysCheap has a client name thousands of fields that are not there
// before a hundred that are: finding one must not mean to start over.
func TestStripStaysCheap(t *testing.T) {
	const fields = 100
	absent := strings.Repeat("zz,", 5000)
	var names, lines []string
	for i := range fields {
		names = append(names, fmt.Sprintf("f%d", i))
		lines = append(lines, fmt.Sprintf("f%d: v", i))
	}
	cost := func(connection string, left int) time.Duration {
		best := time.Hour
		for range 5 {
			h := headerOf(append(lines, "Connection: "+connection)...)
			start := time.Now()
			h.StripHopByHop()
			best = min(best, time.Since(start))
			if h.Len() != left {
				t.Fatalf("%d fields are left, want %d", h.Len(), left)
			}
		}
		return best
	}
	none := cost(absent, fields)
	all := cost(absent+strings.Join(names, ","), 0)
	if all > 20*none {
		t.Errorf("%v to remove all fields, %v to remove none", all, none)
	}
}

func TestHasToken(t *testing.T) {
	for _, tt := range []struct {
		list string
		want bool
	}{
		{"a", true}, {"A", true}, {"b, a", true}, {"b,a ,c", true}, {"\ta\t", true}, {",,a", true},
		{"", false}, {"b", false}, {"ab", false}, {"b a", false}, {"a;x", false}, {"\"a\"", false}, {",", false},
	} {
		if got := HasToken(tt.list, "a"); got != tt.want {
			t.Errorf("HasToken(%q, a) = %v", tt.list, got)
		}
	}
}
