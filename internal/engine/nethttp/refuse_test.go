package nethttp

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"yett/internal/exchange"
)

// field is a header field as it goes over the wire.
type field [2]string

// get is the pseudo fields of a request, each of which later ones replace.
func get(fields ...field) []field {
	all := []field{{":method", "GET"}, {":scheme", "http"}, {":path", "/"}, {":authority", "example.org"}}
	for _, f := range fields {
		replaced := false
		for i := range all {
			if strings.HasPrefix(f[0], ":") && all[i][0] == f[0] {
				all[i], replaced = f, true
			}
		}
		if !replaced {
			all = append(all, f)
		}
	}
	kept := all[:0]
	for _, f := range all {
		if f[1] != "" {
			kept = append(kept, f)
		}
	}
	return kept
}

// rawRequest sends a request, whatever is in it, over a connection of its own,
// and returns status and content of the answer. A stream that was reset has
// status 0.
func rawRequest(t *testing.T, address string, endStream bool, fields []field) (status int, content string) {
	t.Helper()
	nc, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if err := nc.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(nc, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	fr := http2.NewFramer(nc, nc)
	fr.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	if err := fr.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	writeHeader(t, fr, endStream, fields)
	return readAnswer(t, fr)
}

func writeHeader(t *testing.T, fr *http2.Framer, endStream bool, fields []field) {
	t.Helper()
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for _, f := range fields {
		if err := enc.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]}); err != nil {
			t.Fatal(err)
		}
	}
	const most = 16 << 10
	first := block.Next(most)
	err := fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: first, EndStream: endStream, EndHeaders: block.Len() == 0})
	for err == nil && block.Len() > 0 {
		piece := block.Next(most)
		err = fr.WriteContinuation(1, block.Len() == 0, piece)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func readAnswer(t *testing.T, fr *http2.Framer) (status int, content string) {
	t.Helper()
	for {
		f, err := fr.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		if f.Header().StreamID != 1 {
			continue
		}
		switch f := f.(type) {
		case *http2.MetaHeadersFrame:
			if status, err = strconv.Atoi(f.PseudoValue("status")); err != nil {
				t.Fatal(err)
			}
		case *http2.DataFrame:
			content += string(f.Data())
		case *http2.RSTStreamFrame:
			return status, content
		}
		if f.Header().Flags.Has(http2.FlagDataEndStream) { // that of a header as well
			return status, content
		}
	}
}

// attempt is a request and what it gets. One that net/http refuses by itself,
// with status 0 for a stream that is reset, has neither a reason nor the
// content "ok".
type attempt struct {
	name    string
	fields  []field
	status  int
	content string // "" is that of the reason
	reason  *exchange.Reason
}

func attempts() []attempt {
	many := func(n int) (fields []field) {
		for i := range n {
			fields = append(fields, field{"x-" + strconv.Itoa(i), "v"})
		}
		return fields
	}
	wild := field{"x-large", strings.Repeat("a", 500)}
	return []attempt{
		{"plain", get(), 200, "ok GET / example.org", nil},
		{"own method", get(field{":method", "M-SEARCH"}), 200, "ok M-SEARCH / example.org", nil},
		{"asterisk", get(field{":method", "OPTIONS"}, field{":path", "*"}), 200, "ok OPTIONS * example.org", nil},
		{"host field alone", get(field{":authority", ""}, field{"host", "a.example"}), 200, "ok GET / a.example", nil},
		{"host field that agrees", get(field{"host", "EXAMPLE.org"}), 200, "ok GET / example.org", nil},
		{"IPv6 host", get(field{":authority", "[2001:DB8::1]:80"}), 200, "ok GET / [2001:db8::1]", nil},
		{"blanks around a value", get(field{"content-length", "0"}, field{"x-echo", " \tb "}), 200, "ok GET / example.orgb", nil},

		{"method that ends the request line", get(field{":method", "GET /admin HTTP/1.1"}), 400, "", exchange.BadRequestLine},
		{"path that ends the request line", get(field{":path", "/a HTTP/1.1"}), 400, "", exchange.BadRequestLine},
		{"query that ends the request line", get(field{":path", "/a?b HTTP/1.1"}), 400, "", exchange.BadRequestLine},
		{"tab in the path", get(field{":path", "/a\tb"}), 0, "", nil},
		{"absolute URL", get(field{":path", "http://other.example/"}), 400, "", exchange.BadRequestLine},
		{"asterisk without OPTIONS", get(field{":path", "*"}), 400, "", exchange.BadRequestLine},
		{"path without slash", get(field{":path", "a"}), 0, "", nil},
		{"no host", get(field{":authority", ""}), 400, "", exchange.BadHost},
		{"malformed host", get(field{":authority", "a/b"}), 400, "", exchange.BadHost},
		{"port that is none", get(field{":authority", "a:99999"}), 400, "", exchange.BadHost},
		{"user information", get(field{":authority", "root@a"}), 0, "", nil},
		{"host field that differs", get(field{"host", "other.example"}), 400, "", exchange.BadHost},
		{"host field twice", get(field{"host", "example.org"}, field{"host", "example.org"}), 400, "", exchange.BadHost},
		{"TRACE", get(field{":method", "TRACE"}), 501, "", exchange.NotImplemented},
		{"CONNECT", []field{{":method", "CONNECT"}, {":authority", "example.org:443"}}, 501, "", exchange.NotImplemented},
		{"expectation", get(field{"expect", "a-miracle"}), 417, "", exchange.BadExpectation},
		{"length of nothing", get(field{"content-length", "5"}), 400, "", exchange.BadFraming},
		{"length that is no number", get(field{"content-length", "five"}), 400, "", exchange.BadFraming},
		{"length with a sign", get(field{"content-length", "+0"}), 400, "", exchange.BadFraming},
		{"lengths that differ", get(field{"content-length", "0"}, field{"content-length", "5"}), 400, "", exchange.BadFraming},
		{"long target", get(field{":path", "/" + strings.Repeat("a", 100)}), 414, "", exchange.URITooLong},
		{"longest target", get(field{":path", "/" + strings.Repeat("a", 86)}), 200, "ok GET /" + strings.Repeat("a", 86) + " example.org", nil},
		{"too many fields", get(many(10)...), 431, "", exchange.HeaderTooLarge},
		{"as many fields as allowed", get(many(9)...), 200, "ok GET / example.org", nil},
		{"largest header", get(field{"x-large", strings.Repeat("a", 454)}), 200, "ok GET / example.org", nil},
		{"large header", get(field{"x-large", strings.Repeat("a", 455)}), 431, "", exchange.HeaderTooLarge},

		{"field of a connection", get(field{"transfer-encoding", "chunked"}), 400, "request header \"Transfer-Encoding\" is not valid in HTTP/2", nil},
		{"te", get(field{"te", "gzip"}), 400, "request header \"TE\" may only be \"trailers\" in HTTP/2", nil},
		{"pseudo field twice", append(get(), field{":path", "/b"}), 0, "", nil},
		{"header beyond all bounds", get(wild, wild, wild, wild), 431, "<h1>HTTP Error 431</h1><p>Request Header Field(s) Too Large</p>", nil},
	}
}

func TestRefusals(t *testing.T) {
	l := listener()
	l.Limits.RequestLine = 100
	l.Limits.Header = 500
	l.Limits.HeaderCount = 10
	l.Limits.Body = 1000
	s := start(t, false, l, func(x *exchange.Exchange) {
		x.ResponseBody.SetBytes([]byte("ok " + x.Method + " " + x.RawPath + " " + x.Host + x.Request.Get("x-echo")))
	})
	address := strings.TrimPrefix(s.url, "http://")
	for _, tc := range attempts() {
		t.Run(tc.name, func(t *testing.T) {
			status, content := rawRequest(t, address, true, tc.fields)
			if status != tc.status || tc.content != "" && strings.TrimSpace(content) != tc.content {
				t.Errorf("%d %q, want %d %q", status, content, tc.status, tc.content)
			}
			if tc.reason == nil && !strings.HasPrefix(tc.content, "ok") {
				return // net/http's own: the core has not seen it
			}
			if o := <-s.core.done; o.reason != tc.reason {
				t.Errorf("reason %v, want %v", o.reason, tc.reason)
			} else if tc.reason != nil && content != tc.reason.Name+": "+o.detail {
				t.Errorf("content %q", content)
			}
		})
	}
}

// A length that a body belies can't be made good: the service sees no request
// of another length.
func TestUntrueLength(t *testing.T) {
	s := start(t, false, listener(), func(x *exchange.Exchange) {
		if _, err := io.ReadAll(&x.RequestBody); err != nil {
			x.Refuse(exchange.TruncatedBody)
		}
		if x.RequestBody.Size() != 5 {
			t.Errorf("size %d", x.RequestBody.Size())
		}
	})
	for _, body := range []string{"123", "1234567"} {
		nc, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		fr := http2.NewFramer(nc, nc)
		if _, err := io.WriteString(nc, http2.ClientPreface); err != nil {
			t.Fatal(err)
		}
		if err := fr.WriteSettings(); err != nil {
			t.Fatal(err)
		}
		writeHeader(t, fr, false, get(field{":method", "POST"}, field{"content-length", "5"}))
		if err := fr.WriteData(1, true, []byte(body)); err != nil {
			t.Fatal(err)
		}
		if o := <-s.core.done; o.reason == nil {
			t.Errorf("%q passed for 5 bytes", body)
		}
	}
}

func TestBodyLimitIsTheListeners(t *testing.T) {
	l := listener()
	l.Limits.Body = 1000
	s := start(t, false, l, func(x *exchange.Exchange) {
		x.ResponseBody.SetBytes(strconv.AppendInt(nil, x.BodyLimit, 10))
	})
	for _, body := range []io.Reader{nil, strings.NewReader("x")} {
		if _, limit := s.do(t, http.MethodPost, "/", body, nil); limit != "1000" {
			t.Errorf("limit %s", limit)
		}
	}
}

// What does not begin with the preface is closed without an answer.
func TestNoHTTP2(t *testing.T) {
	s := start(t, false, listener(), func(*exchange.Exchange) {})
	nc, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if _, err := io.WriteString(nc, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if answer, _ := io.ReadAll(nc); len(answer) > 0 { // a reset is as good as an end
		t.Errorf("answer %q", answer)
	}
}
