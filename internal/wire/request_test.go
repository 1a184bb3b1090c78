package wire

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"yett/internal/exchange"
)

func TestRequestLine(t *testing.T) {
	var rows [][2]string
	for _, r := range [][2]string{
		{"GET / HTTP/1.1", "GET / HTTP/1.1 host=h"},
		{"GET / HTTP/1.0", "GET / HTTP/1.0 host=h close"},
		{"get / HTTP/1.1", "get / HTTP/1.1 host=h"},
		{"!#$%&'*+-.^_`|~09azAZ / HTTP/1.1", "!#$%&'*+-.^_`|~09azAZ / HTTP/1.1 host=h"},
		{"GET /gr\xc3\xbc\xc3\x9fe?\xff HTTP/1.1", "GET /gr\xc3\xbc\xc3\x9fe?\xff HTTP/1.1 host=h"},
		{"G@T / HTTP/1.1", "bad_request_line"},
		{"G\xc3\x96T / HTTP/1.1", "bad_request_line"},
		{"GET: / HTTP/1.1", "bad_request_line"},
		{"GET  / HTTP/1.1", "bad_request_line"},
		{"GET /  HTTP/1.1", "bad_request_line"},
		{"GET / HTTP/1.1 ", "bad_request_line"},
		{" GET / HTTP/1.1", "bad_request_line"},
		{"\tGET / HTTP/1.1", "bad_request_line"},
		{"GET\t/ HTTP/1.1", "bad_request_line"},
		{"GET /\tHTTP/1.1", "bad_request_line"},
		{"GET /a b HTTP/1.1", "bad_request_line"},
		{"GET /a\x00b HTTP/1.1", "bad_request_line"},
		{"GET /a\x7fb HTTP/1.1", "bad_request_line"},
		{"GET /a\x1bb HTTP/1.1", "bad_request_line"},
		{"GET /a\rb HTTP/1.1", "bad_request_line"},
		{"GET / HTTP/1.1\r", "bad_request_line"},
		{"GET /", "bad_request_line"},
		{"GET", "bad_request_line"},
		{"GET ", "bad_request_line"},
		{"", "bad_request_line"},
		{" / HTTP/1.1", "bad_request_line"},
		{"/ HTTP/1.1", "bad_request_line"},
		{"GET HTTP/1.1", "bad_request_line"},
		{"GET / http/1.1", "bad_request_line"},
		{"GET / HTTP/11", "bad_request_line"},
		{"GET / HTTP/1.10", "bad_request_line"},
		{"GET / HTTP/1,1", "bad_request_line"},
		{"GET / HTTP/1.", "bad_request_line"},
		{"GET / HTTP/x.y", "bad_request_line"},
		{"GET / HTTPS/1.1", "bad_request_line"},
		{"GET / ICY", "bad_request_line"},
		{"GET / HTTP/0.9", "bad_version"},
		{"GET / HTTP/1.2", "bad_version"},
		{"GET / HTTP/2.0", "bad_version"},
		{"PRI * HTTP/2.0", "bad_version"},
		{"CONNECT h:443 HTTP/1.1", "not_implemented"},
		{"TRACE / HTTP/1.1", "not_implemented"},
		{"trace / HTTP/1.1", "trace / HTTP/1.1 host=h"}, // methods are case-sensitive: another one
	} {
		// A line before the first, as an older client's body may leave behind,
		// must not change what an empty first line means.
		rows = append(rows, [2]string{"\r\n" + r[0] + "\r\nHost: h\r\n\r\n", r[1]})
		if r[0] != "" {
			rows = append(rows, [2]string{r[0] + "\r\nHost: h\r\n\r\n", r[1]})
		}
	}
	rowsEach(t, rows, describeRequest)
}

func TestTarget(t *testing.T) {
	var rows [][2]string
	for _, r := range [][3]string{
		{"GET", "/", "/ HTTP/1.1 host=h"},
		{"GET", "//", "// HTTP/1.1 host=h"},
		{"GET", "//evil.example/a", "//evil.example/a HTTP/1.1 host=h"},
		{"GET", "/a?b", "/a?b HTTP/1.1 host=h"},
		{"GET", "/a?b?c/../d", "/a?b?c/../d HTTP/1.1 host=h"},
		{"GET", "/a?", "/a? HTTP/1.1 host=h"},
		{"GET", "/?", "/? HTTP/1.1 host=h"},
		{"GET", "/a#b", "/a#b HTTP/1.1 host=h"}, // refused by the normal form of the path
		{"GET", "/%zz", "/%zz HTTP/1.1 host=h"}, // as above
		{"GET", "/http://x/", "/http://x/ HTTP/1.1 host=h"},
		{"OPTIONS", "*", "* HTTP/1.1 host=h"},
		{"GET", "*", "bad_request_line"},
		{"OPTIONS", "*a", "bad_request_line"},
		{"GET", "a", "bad_request_line"},
		{"GET", "?a", "bad_request_line"},
		{"GET", "a/b", "bad_request_line"},
		{"GET", "h:80", "bad_request_line"},
		{"GET", "h:80/a", "bad_request_line"},
		{"GET", "mailto:a@b", "bad_request_line"},
		{"GET", "ftp://h/", "bad_request_line"},
		{"GET", "ws://h/", "bad_request_line"},
		{"GET", "http:/h", "bad_request_line"},
		{"GET", "http:h", "bad_request_line"},
		{"GET", "://h", "bad_request_line"},
		{"GET", "http://other/a?b", "/a?b HTTP/1.1 host=other"},
		{"GET", "HtTpS://Other:8443/a", "/a HTTP/1.1 host=other"},
		{"GET", "http://other", "/ HTTP/1.1 host=other"},
		{"GET", "http://other?b", "/?b HTTP/1.1 host=other"},
		{"GET", "http://other?b/c", "/?b/c HTTP/1.1 host=other"},
		{"GET", "http://[::1]:80/a", "/a HTTP/1.1 host=[::1]"},
		{"OPTIONS", "http://other", "* HTTP/1.1 host=other"},
		{"OPTIONS", "http://other/", "/ HTTP/1.1 host=other"},
		{"OPTIONS", "http://other?", "/? HTTP/1.1 host=other"},
		{"GET", "http://", "bad_host"},
		{"GET", "http:///a", "bad_host"},
		{"GET", "http://user@other/", "bad_host"},
		{"GET", "http://h:80@other/", "bad_host"},
		{"GET", "http://other#f", "bad_host"},
		{"GET", "http://other\\@h/", "bad_host"},
		{"GET", "http://other:x/", "bad_host"},
		{"GET", "http://other%2fh/", "bad_host"},
	} {
		want := r[2]
		if strings.Contains(want, " ") {
			want = r[0] + " " + want
		}
		rows = append(rows, [2]string{r[0] + " " + r[1] + " HTTP/1.1\r\nHost: h\r\n\r\n", want})
	}
	rowsEach(t, rows, describeRequest)
}

func TestHost(t *testing.T) {
	const ok = "GET / HTTP/1.1 host="
	var rows [][2]string
	for _, r := range [][2]string{
		{"Host: example.org\r\n", ok + "example.org"},
		{"hOST: Example.ORG:8080\r\n", ok + "example.org"},
		{"Host:h\r\n", ok + "h"},
		{"Host: \t h \t \r\n", ok + "h"},
		{"Host: example.org.\r\n", ok + "example.org"},
		{"Host: h:\r\n", ok + "h"},
		{"Host: h:0\r\n", ok + "h"},
		{"Host: h:65535\r\n", ok + "h"},
		{"Host: 127.0.0.1:80\r\n", ok + "127.0.0.1"},
		{"Host: [::1]\r\n", ok + "[::1]"},
		{"Host: [2001:DB8::1]:80\r\n", ok + "[2001:db8::1]"},
		{"Host: a_b-c~d.e\r\n", ok + "a_b-c~d.e"},
		{"", "bad_host"},
		{"Host:\r\n", "bad_host"},
		{"Host: \r\n", "bad_host"},
		{"Host: h\r\nHost: h\r\n", "bad_host"},
		{"Host: h\r\nhost: other\r\n", "bad_host"},
		{"Host: h:65536\r\n", "bad_host"},
		{"Host: h:123456\r\n", "bad_host"},
		{"Host: h:8a\r\n", "bad_host"},
		{"Host: h:-1\r\n", "bad_host"},
		{"Host: h:80:80\r\n", "bad_host"},
		{"Host: h:80, h\r\n", "bad_host"},
		{"Host: a b\r\n", "bad_host"},
		{"Host: a/b\r\n", "bad_host"},
		{"Host: a?b\r\n", "bad_host"},
		{"Host: a#b\r\n", "bad_host"},
		{"Host: a@b\r\n", "bad_host"},
		{"Host: a\\b\r\n", "bad_host"},
		{"Host: %61\r\n", "bad_host"},
		{"Host: \"a\"\r\n", "bad_host"},
		{"Host: <a>\r\n", "bad_host"},
		{"Host: gr\xc3\xbc\xc3\x9fe\r\n", "bad_host"},
		{"Host: ::1\r\n", "bad_host"},
		{"Host: [::1\r\n", "bad_host"},
		{"Host: [::1]80\r\n", "bad_host"},
		{"Host: [::1]:x\r\n", "bad_host"},
		{"Host: [fe80::1%25eth0]\r\n", "bad_host"},
		{"Host: [127.0.0.1]\r\n", "bad_host"},
		{"Host: []\r\n", "bad_host"},
		{"Host: .\r\n", "bad_host"},
		{"Host: :80\r\n", "bad_host"},
		{"Host: a\x00b\r\n", "bad_header"},
	} {
		rows = append(rows, [2]string{"GET / HTTP/1.1\r\n" + r[0] + "\r\n", r[1]})
	}
	rows = append(rows,
		[2]string{"GET / HTTP/1.0\r\n\r\n", "GET / HTTP/1.0 host= close"},
		[2]string{"GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", "bad_host"},
		[2]string{"GET / HTTP/1.0\r\nHost: a b\r\n\r\n", "bad_host"},
		// The absolute form wins, and what it overrules has to be valid all the same.
		[2]string{"GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n", "GET / HTTP/1.1 host=a"},
		[2]string{"GET http://a/ HTTP/1.1\r\nHost: a b\r\n\r\n", "bad_host"},
		[2]string{"GET http://a/ HTTP/1.1\r\n\r\n", "bad_host"},
	)
	rowsEach(t, rows, describeRequest)
}

func TestAuthorityKeepsPortAndCase(t *testing.T) {
	p := parseFrom(strings.NewReader("GET / HTTP/1.1\r\nHost: Example.org:8080\r\n\r\n"), testLimits())
	if p.x.Authority != "Example.org:8080" || p.x.Host != "example.org" {
		t.Errorf("authority %q, host %q", p.x.Authority, p.x.Host)
	}
}

func TestRequestFraming(t *testing.T) {
	var rows [][2]string
	for _, r := range [][2]string{
		{"", ""},
		{"Content-Length: 0\r\n", ""},
		{"Content-Length: 5\r\n", " length=5"},
		{"Content-Length: 05\r\n", " length=5"},
		{"content-length:5\r\n", " length=5"},
		{"Content-Length: \t5 \r\n", " length=5"},
		{"Content-Length: 999999999999999999\r\n", " length=999999999999999999"},
		{"Content-Length: 1000000000000000000\r\n", "bad_framing"},
		{"Content-Length: 18446744073709551621\r\n", "bad_framing"},
		{"Content-Length: 99999999999999999999999999\r\n", "bad_framing"},
		{"Content-Length:\r\n", "bad_framing"},
		{"Content-Length: +5\r\n", "bad_framing"},
		{"Content-Length: -5\r\n", "bad_framing"},
		{"Content-Length: -0\r\n", "bad_framing"},
		{"Content-Length: 5 5\r\n", "bad_framing"},
		{"Content-Length: 5, 5\r\n", "bad_framing"},
		{"Content-Length: 5,5\r\n", "bad_framing"},
		{"Content-Length: 5,\r\n", "bad_framing"},
		{"Content-Length: 0x5\r\n", "bad_framing"},
		{"Content-Length: 5.0\r\n", "bad_framing"},
		{"Content-Length: 5e0\r\n", "bad_framing"},
		{"Content-Length: 1_0\r\n", "bad_framing"},
		{"Content-Length: five\r\n", "bad_framing"},
		{"Content-Length: 5;\r\n", "bad_framing"},
		{"Content-Length: \xef\xbc\x95\r\n", "bad_framing"}, // a full-width 5
		{"Content-Length: 5\r\nContent-Length: 5\r\n", "bad_framing"},
		{"Content-Length: 5\r\nContent-Length: 6\r\n", "bad_framing"},
		{"Content-Length: 0\r\nContent-Length: 0\r\n", "bad_framing"},
		{"Content-Length : 5\r\n", "bad_header"},
		{"Content-Length\t: 5\r\n", "bad_header"},
		{" Content-Length: 5\r\n", "bad_header"},
		{"Content-Length: 5\x0b\r\n", "bad_header"},
		{"Content-Length: \x0c5\r\n", "bad_header"},
		{"Content-Length: 5\x00\r\n", "bad_header"},
		{"Content-Length: 5\r\r\n", "bad_header"},
		{"Content-Length:\r\n 5\r\n", "bad_header"},
		{"Content_Length: 5\r\n", ""}, // another field
		{"X: Content-Length: 5\r\n", ""},

		{"Transfer-Encoding: chunked\r\n", " chunked"},
		{"transfer-encoding:CHUNKED\r\n", " chunked"},
		{"Transfer-Encoding: \tchunked \t\r\n", " chunked"},
		{"Transfer-Encoding: gzip, chunked\r\n", "not_implemented"},
		{"Transfer-Encoding: identity, chunked\r\n", "not_implemented"},
		{"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", "not_implemented"},
		{"Transfer-Encoding: xchunked\r\n", "bad_framing"},
		{"Transfer-Encoding: chunkedx\r\n", "bad_framing"},
		{"Transfer-Encoding: identity\r\n", "bad_framing"},
		{"Transfer-Encoding: gzip\r\n", "bad_framing"},
		{"Transfer-Encoding: chunked, gzip\r\n", "bad_framing"},
		{"Transfer-Encoding: chunked, identity\r\n", "bad_framing"},
		{"Transfer-Encoding: chunked, chunked\r\n", "bad_framing"},
		{"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "bad_framing"},
		{"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", "bad_framing"},
		{"Transfer-Encoding: chunked\r\nTransfer-Encoding:\r\n", "bad_framing"},
		{"Transfer-Encoding: chunked;q=1\r\n", "bad_framing"},
		{"Transfer-Encoding: chunked;\r\n", "bad_framing"},
		{"Transfer-Encoding: gzip;q=1, chunked\r\n", "bad_framing"},
		{"Transfer-Encoding: \"chunked\"\r\n", "bad_framing"},
		{"Transfer-Encoding: 'chunked'\r\n", "bad_framing"},
		{"Transfer-Encoding: chunked,\r\n", "bad_framing"},
		{"Transfer-Encoding: ,chunked\r\n", "bad_framing"},
		{"Transfer-Encoding: chunked chunked\r\n", "bad_framing"},
		{"Transfer-Encoding: x chunked\r\n", "bad_framing"},
		{"Transfer-Encoding:\r\n", "bad_framing"},
		{"Transfer-Encoding: chun\xe2\x84\xaaed\r\n", "bad_framing"}, // the Kelvin sign
		{"Transfer-Encoding: chunked\x0b\r\n", "bad_header"},
		{"Transfer-Encoding: \x0bchunked\r\n", "bad_header"},
		{"Transfer-Encoding: chunked\x00\r\n", "bad_header"},
		{"Transfer-Encoding: chunked\r\r\n", "bad_header"},
		{"Transfer-Encoding : chunked\r\n", "bad_header"},
		{"Transfer-Encoding:\r\n chunked\r\n", "bad_header"},
		{"Transfer-Encoding\r\n: chunked\r\n", "bad_header"},
		{"Transfer_Encoding: chunked\r\n", ""}, // another field

		{"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "bad_framing"},
		{"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "bad_framing"},
		{"Transfer-Encoding: chunked\r\nContent-Length: 0\r\n", "bad_framing"},
		{"Transfer-Encoding: chunked\r\nContent-Length:\r\n", "bad_framing"},
		{"Transfer-Encoding: identity\r\nContent-Length: 5\r\n", "bad_framing"},
		{"Transfer-Encoding: gzip, chunked\r\nContent-Length: 5\r\n", "bad_framing"},
	} {
		want := r[1]
		if want == "" || want[0] == ' ' {
			want = "POST / HTTP/1.1 host=h" + want
		}
		rows = append(rows, [2]string{"POST / HTTP/1.1\r\nHost: h\r\n" + r[0] + "\r\n", want})
	}
	const old = "POST / HTTP/1.0\r\n"
	rows = append(rows,
		[2]string{old + "Content-Length: 5\r\n\r\n", "POST / HTTP/1.0 host= length=5 close"},
		[2]string{old + "\r\n", "POST / HTTP/1.0 host= close"},
		[2]string{old + "Transfer-Encoding: chunked\r\n\r\n", "bad_framing"},
		[2]string{old + "Transfer-Encoding: identity\r\nContent-Length: 5\r\n\r\n", "bad_framing"},
		[2]string{"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc", "GET / HTTP/1.1 host=h length=3"},
		[2]string{"HEAD / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc", "HEAD / HTTP/1.1 host=h length=3"},
		[2]string{"GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "GET / HTTP/1.1 host=h chunked"},
	)
	rowsEach(t, rows, describeRequest)
}

func TestKeepAliveOfRequest(t *testing.T) {
	var rows [][2]string
	for _, r := range []struct {
		field    string
		new, old bool
	}{
		{"", true, false},
		{"Connection:", true, false},
		{"Connection: close", false, false},
		{"Connection: Close", false, false},
		{"Connection: keep-alive", true, true},
		{"Connection: Keep-Alive", true, true},
		{"Connection: keep-alive, close", false, false},
		{"Connection: close, keep-alive", false, false},
		{"Connection: close\r\nConnection: keep-alive", false, false},
		{"Connection: keep-alive\r\nConnection: close", false, false},
		{"Connection: foo ,\tCLOSE\t, bar", false, false},
		{"Connection: foo,keep-alive", true, true},
		{"Connection: closed", true, false},
		{"Connection: \"close\"", true, false},
		{"Connection: close;x", true, false},
		{"Connection: ,,close", false, false},
		{"Keep-Alive: timeout=5", true, false},
		{"Proxy-Connection: keep-alive", true, false},
		{"Proxy-Connection: close", true, false},
		{"X: close", true, false},
	} {
		field := r.field
		if field != "" {
			field += "\r\n"
		}
		rows = append(rows,
			[2]string{"GET / HTTP/1.1\r\nHost: h\r\n" + field + "\r\n", "GET / HTTP/1.1 host=h" + closing(r.new)},
			[2]string{"GET / HTTP/1.0\r\nHost: h\r\n" + field + "\r\n", "GET / HTTP/1.0 host=h" + closing(r.old)})
	}
	rowsEach(t, rows, describeRequest)
}

func closing(keep bool) string {
	if keep {
		return ""
	}
	return " close"
}

func TestUpgradeAndExpect(t *testing.T) {
	const ws = "Connection: upgrade\r\nUpgrade: websocket\r\n"
	var rows [][2]string
	for _, r := range [][2]string{
		{ws, " upgrade=websocket"},
		{"Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n", " upgrade=WebSocket"},
		{ws + "Content-Length: 0\r\n", " upgrade=websocket"},
		{"Connection: upgrade\r\nUpgrade: a/1.0\r\n", " upgrade=a/1.0"},
		{"Upgrade: websocket\r\n", ""},
		{"Connection: upgrade\r\n", ""},
		{"Connection: upgrade\r\nUpgrade:\r\n", ""},
		{"Connection: upgrade\r\nUpgrade: h2c\r\n", ""},
		{"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: H2C\r\nHTTP2-Settings: AA\r\n", ""},
		{"Connection: upgrade\r\nUpgrade: h2c/1\r\n", ""},
		{"Connection: upgrade\r\nUpgrade: websocket, h2c\r\n", ""},
		{"Connection: upgrade\r\nUpgrade: h2c,websocket\r\n", ""},
		{"Connection: upgrade\r\nUpgrade: a b\r\n", ""},
		{"Connection: upgrade\r\nUpgrade: a/\r\n", ""},
		{"Connection: upgrade\r\nUpgrade: /a\r\n", ""},
		{"Connection: upgrade\r\nUpgrade: a/b/c\r\n", ""},
		{ws + "Upgrade: websocket\r\n", ""},
		{ws + "Content-Length: 3\r\n", " length=3"},
		{ws + "Transfer-Encoding: chunked\r\n", " chunked"},

		{"Expect: 100-continue\r\n", ""},
		{"Expect: 100-continue\r\nContent-Length: 0\r\n", ""},
		{"Expect: 100-continue\r\nContent-Length: 3\r\n", " length=3 expect"},
		{"Expect: 100-Continue\r\nTransfer-Encoding: chunked\r\n", " chunked expect"},
		{"Expect: 100-continue, x\r\nContent-Length: 3\r\n", "bad_expectation"},
		{"Expect: x\r\n", "bad_expectation"},
		{"Expect:\r\n", "bad_expectation"},
		{"Expect: 100-continue;a=b\r\n", "bad_expectation"},
		{"Expect: 100-continue\r\nExpect: 100-continue\r\n", "bad_expectation"},
		// A framing that can't be trusted weighs more than an expectation.
		{"Expect: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n", "bad_framing"},
	} {
		want := r[1]
		if want == "" || want[0] == ' ' {
			want = "GET / HTTP/1.1 host=h" + want
		}
		rows = append(rows, [2]string{"GET / HTTP/1.1\r\nHost: h\r\n" + r[0] + "\r\n", want})
	}
	rows = append(rows,
		[2]string{"GET / HTTP/1.0\r\n" + ws + "\r\n", "GET / HTTP/1.0 host= close"},
		[2]string{"PUT / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n", "PUT / HTTP/1.0 host= length=3 close"},
		[2]string{"PUT / HTTP/1.0\r\nExpect: x\r\n\r\n", "PUT / HTTP/1.0 host= close"},
	)
	rowsEach(t, rows, describeRequest)
}

// TestRefusedRequestTellsTheLog checks that what could be read before the
// fault is there for the access log.
func TestRefusedRequestTellsTheLog(t *testing.T) {
	p := parseFrom(strings.NewReader("PUT /a?b HTTP/1.1\r\nHost: h\r\nA : b\r\n\r\n"), testLimits())
	if p.reason != exchange.BadHeader || p.x.Method != "PUT" || p.x.RawPath != "/a" || p.x.Query != "b" || p.x.Detail == "" {
		t.Errorf("reason %v, %s %s ? %s, detail %q", p.reason, p.x.Method, p.x.RawPath, p.x.Query, p.x.Detail)
	}
}

func TestGlimpse(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"GET /a?b HTTP/1.1\r\nHost", "GET /a ? b"},
		{"GET /a", "GET /a ? "},
		{"GET /a\r\n", "GET /a ? "},
		{"GET ", "GET  ? "},
		{"GET", "  ? "},
		{"", "  ? "},
		{"GET x HTTP/1.1\r\n", "GET  ? "},
		{"G(T /a HTTP/1.1\r\n", "  ? "},
		{strings.Repeat("M", 33) + " /a HTTP/1.1\r\n", "  ? "},
		{"GET /" + strings.Repeat("a", 300), "GET /" + strings.Repeat("a", 255) + " ? "},
	} {
		var pool exchange.Pool
		x := pool.Get()
		Glimpse([]byte(tt.in), x)
		if got := fmt.Sprintf("%s %s ? %s", x.Method, x.RawPath, x.Query); got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.in, got, tt.want)
		}
	}
}

func TestHeadOfStreamEnds(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want error
	}{
		{"", io.EOF},
		{"G", io.ErrUnexpectedEOF},
		{"GET / HTTP/1.1\r\nHost: h\r\n", io.ErrUnexpectedEOF},
		{"GET / HTTP/1.1\r\nHost: h\r\n\r", io.ErrUnexpectedEOF},
		{"\r\n", io.EOF},
	} {
		for name, arrive := range arrivals() {
			if p := parseFrom(arrive(tt.in), testLimits()); p.err != tt.want {
				t.Errorf("%q %s: error %v, want %v", tt.in, name, p.err, tt.want)
			}
		}
	}
}
