package wire

import (
	"strings"
	"testing"

	"yett/internal/exchange"
)

// realRequest is what a browser sends to an API: about 600 bytes.
const realRequest = "GET /api/v1/tickets?status=open&assignee=me&page=2 HTTP/1.1\r\n" +
	"Host: gateway.example.org\r\n" +
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n" +
	"Accept: application/json, text/plain, */*\r\n" +
	"Accept-Language: en-GB,en;q=0.8,de;q=0.5\r\n" +
	"Accept-Encoding: gzip, deflate, br, zstd\r\n" +
	"Authorization: Bearer eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiI3ZjNjIiwicm9sZSI6InRlY2huaWNpYW4ifQ.c2lnbmF0dXJlLW9mLXRoaXMtdG9rZW4\r\n" +
	"X-Request-Context: web\r\n" +
	"Connection: keep-alive\r\n" +
	"Cookie: theme=dark; locale=en-GB\r\n" +
	"Cache-Control: no-cache\r\n\r\n"

const realResponse = "HTTP/1.1 200 OK\r\n" +
	"Content-Type: application/json; charset=utf-8\r\n" +
	"Date: Mon, 02 Jan 2006 15:04:05 GMT\r\n" +
	"ETag: W/\"5f-3b1c\"\r\n" +
	"Cache-Control: private, max-age=0\r\n" +
	"Vary: Accept-Encoding\r\n" +
	"Connection: keep-alive\r\n" +
	"Content-Length: 2\r\n\r\n{}"

// again is a stream that gives the same message for every reset.
type again struct{ strings.Reader }

// roundTripper parses and writes messages with everything reused, as a
// connection does.
type roundTripper struct {
	src  again
	d    Reader
	x    *exchange.Exchange
	body Body
	lim  *Limits
	out  []byte
}

func newRoundTripper() *roundTripper {
	var pool exchange.Pool
	r := &roundTripper{x: pool.Get(), lim: testLimits(), out: make([]byte, 0, SmallBuffer)}
	r.d.Reset(&r.src, new(Buffers))
	return r
}

func (r *roundTripper) request(tb testing.TB, in string) {
	r.src.Reset(in)
	head, err := r.d.ReadHead(r.lim)
	if err != nil {
		tb.Fatal(err)
	}
	r.x.Request.Reset()
	m, reason := ParseRequest(head, r.x, r.lim)
	if reason != nil {
		tb.Fatal(reason)
	}
	r.body.Init(&r.d, m, &r.x.RequestTrailer, r.lim)
	if _, ok := r.body.Whole(); !ok {
		tb.Fatal("the body is not whole")
	}
	r.x.Request.StripHopByHop()
	r.out = AppendRequest(r.out[:0], r.x, "127.0.0.1:3003", r.x.RawPath, m)
	r.d.Recycle()
}

func (r *roundTripper) response(tb testing.TB, in string) {
	r.src.Reset(in)
	head, err := r.d.ReadHead(r.lim)
	if err != nil {
		tb.Fatal(err)
	}
	r.x.Response.Reset()
	h, detail, ok := ParseResponse(head, "GET", &r.x.Response, r.lim)
	if !ok {
		tb.Fatal(detail)
	}
	r.body.Init(&r.d, h.Message, &r.x.ResponseTrailer, r.lim)
	if _, ok := r.body.Whole(); !ok {
		tb.Fatal("the body is not whole")
	}
	r.x.Response.StripHopByHop()
	r.x.Status = h.Status
	r.out = AppendResponse(r.out[:0], r.x, h.Message, Persist, "", false)
	r.d.Recycle()
}

func TestNoAllocations(t *testing.T) {
	const post = "POST /a HTTP/1.1\r\nHost: h\r\n"
	for name, in := range map[string]string{
		"real":      realRequest,
		"length":    post + "Content-Length: 3\r\n\r\nabc",
		"chunked":   post + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
		"absolute":  "GET http://h/a?b HTTP/1.1\r\nHost: h\r\n\r\n",
		"websocket": "GET / HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n",
	} {
		r := newRoundTripper()
		if n := testing.AllocsPerRun(200, func() { r.request(t, in) }); n != 0 {
			t.Errorf("request %s: %v allocations", name, n)
		}
	}
	for name, in := range map[string]string{
		"real":    realResponse,
		"chunked": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
	} {
		r := newRoundTripper()
		if n := testing.AllocsPerRun(200, func() { r.response(t, in) }); n != 0 {
			t.Errorf("response %s: %v allocations", name, n)
		}
	}
}
