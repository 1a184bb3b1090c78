package wire

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"yett/internal/exchange"
)

// describeFields shows the fields of a request behind Host, or the refusal.
func describeFields(r io.Reader) string {
	p := parseFrom(r, testLimits())
	if p.reason != nil || p.err != nil {
		return p.String()
	}
	var b strings.Builder
	for _, f := range p.x.Request.Fields()[1:] {
		fmt.Fprintf(&b, "[%s|%s]", f.Name, f.Value)
	}
	return b.String()
}

func TestFieldSyntax(t *testing.T) {
	var rows [][2]string
	for _, r := range [][2]string{
		{"A:b\r\n", "[A|b]"},
		{"A: b\r\n", "[A|b]"},
		{"A:\r\n", "[A|]"},
		{"A: \t \r\n", "[A|]"},
		{"A: \t b  c\td \t\r\n", "[A|b  c\td]"},
		{"A::b\r\n", "[A|:b]"},
		{"A: b: c\r\n", "[A|b: c]"},
		{"a: 1\r\nA: 2\r\na: 1\r\n", "[a|1][A|2][a|1]"},
		{"!#$%&'*+-.^_`|~09azAZ: v\r\n", "[!#$%&'*+-.^_`|~09azAZ|v]"},
		{"A: \x80\xff\xc3\xbc\r\n", "[A|\x80\xff\xc3\xbc]"},
		{"A: \"quoted, \\\" text\"\r\n", "[A|\"quoted, \\\" text\"]"},
		{"A : b\r\n", "bad_header"},
		{"A\t: b\r\n", "bad_header"},
		{": b\r\n", "bad_header"},
		{":\r\n", "bad_header"},
		{"A b: c\r\n", "bad_header"},
		{"A(: c\r\n", "bad_header"},
		{"A/: c\r\n", "bad_header"},
		{"\"A\": c\r\n", "bad_header"},
		{"A\x00: c\r\n", "bad_header"},
		{"A\x7f: c\r\n", "bad_header"},
		{"\xc3\x84: c\r\n", "bad_header"},
		{"Abc\r\n", "bad_header"},
		{"A: b\r\n folded\r\n", "bad_header"},
		{"A: b\r\n\tfolded\r\n", "bad_header"},
		{"A: b\r\n \r\n", "bad_header"},
		{" A: b\r\n", "bad_header"},
		{"A: b\nC: d\r\n", "bad_header"},
		{"A: b\n\r\n", "bad_header"},
		{"A: b\rC: d\r\n", "bad_header"},
		{"A: b\r\r\n", "bad_header"},
		{"A:\r\r\n", "bad_header"},
		{"A\r: b\r\n", "bad_header"},
		{"A: b\x00c\r\n", "bad_header"},
		{"A: b\x01c\r\n", "bad_header"},
		{"A: b\x0bc\r\n", "bad_header"},
		{"A: b\x1bc\r\n", "bad_header"},
		{"A: b\x7fc\r\n", "bad_header"},
	} {
		rows = append(rows, [2]string{"GET / HTTP/1.1\r\nHost: h\r\n" + r[0] + "\r\n", r[1]})
	}
	rowsEach(t, rows, describeFields)
}

func TestLineEnds(t *testing.T) {
	rowsEach(t, [][2]string{
		{"GET / HTTP/1.1\nHost: h\r\n\r\n", "bad_header"},
		{"GET / HTTP/1.1\r\nHost: h\n\r\n", "bad_header"},
		{"GET / HTTP/1.1\r\nHost: h\r\n\n", "bad_header"},
		{"GET / HTTP/1.1\nHost: h\n\n", "bad_header"},
		{"\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", "bad_header"},
		{"\r\n\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", "bad_header"},
		{"\rGET / HTTP/1.1\r\nHost: h\r\n\r\n", "bad_request_line"},
		{"\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", "bad_request_line"},
		{"\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", "GET / HTTP/1.1 host=h"},
		{"GET / HTTP/1.1\r\n\r\nHost: h\r\n\r\n", "bad_host"},
	}, describeRequest)
}

// TestValueBytes puts every byte at every place of several words, because
// values are checked sixteen and eight bytes at a time.
func TestValueBytes(t *testing.T) {
	for c := range 256 {
		want := c == '\t' || c >= ' ' && c != 0x7f
		for size := 1; size <= 41; size++ {
			for at := range size {
				for _, fill := range []byte{'a', '\t', 0x80, 0xff, ' '} {
					b := []byte(strings.Repeat(string([]byte{fill}), size))
					b[at] = byte(c)
					end := at
					if want {
						end = size
					}
					if got := valueLen(b); got != end || validValue(b) != want {
						t.Fatalf("byte %#x at %d of %q: valueLen %d, validValue %v, want %d, %v", c, at, b, got, validValue(b), end, want)
					}
					for i := range b[at:] {
						b[at+i] = byte(c)
					}
					if got := valueLen(b); got != end {
						t.Fatalf("byte %#x from %d on in %q: valueLen %d, want %d", c, at, b, got, end)
					}
				}
			}
		}
	}
}

func TestTokenBytes(t *testing.T) {
	for c := range 256 {
		s := string([]byte{byte(c)})
		want := '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' ||
			c < 0x80 && strings.Contains("!#$%&'*+-.^_`|~", s)
		if ValidToken(s) != want || (tokenLen([]byte("a"+s)) == 2) != want {
			t.Errorf("byte %#x: ValidToken %v, want %v", c, ValidToken(s), want)
		}
		if ValidToken("a"+s+"b") != want {
			t.Errorf("byte %#x within a token: %v, want %v", c, !want, want)
		}
	}
	if ValidToken("") {
		t.Error("the empty string is no token")
	}
}

func TestSplitHost(t *testing.T) {
	for in, want := range map[string]string{
		"h": "h", "h:1": "h", "h:": "h", "H": "H", "[::1]:1": "[::1]", "1.2.3.4": "1.2.3.4",
		"": "", ":1": "", "a:b": "", "[]": "", "[::1": "", "[1.2.3.4]": "", "[::1%25a]": "", "a%": "",
	} {
		if got, ok := SplitHost(in); ok != (want != "") || ok && got != want {
			t.Errorf("SplitHost(%q) = %q, %v", in, got, ok)
		}
	}
}

func TestHeaderCount(t *testing.T) {
	lim := testLimits()
	for _, n := range []int{lim.HeaderCount, lim.HeaderCount + 1} {
		in := "GET / HTTP/1.1\r\nHost: h\r\n" + strings.Repeat("A: b\r\n", n-1) + "\r\n"
		for name, arrive := range arrivals() {
			p := parseFrom(arrive(in), lim)
			if n <= lim.HeaderCount && p.reason != nil || n > lim.HeaderCount && p.reason != exchange.HeaderTooLarge {
				t.Errorf("%d fields, %s: %v", n, name, p.reason)
			}
		}
	}
}
