package wire

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"yett/internal/exchange"
)

// answered is an answer as wire understood it.
type answered struct {
	x      *exchange.Exchange
	d      *Reader
	r      ResponseHead
	detail string
	ok     bool
}

func answerFrom(src io.Reader, method string, lim *Limits) answered {
	var pool exchange.Pool
	a := answered{x: pool.Get(), d: new(Reader)}
	a.d.Reset(src, new(Buffers))
	head, err := a.d.ReadHead(lim)
	if err != nil {
		a.detail = err.Error()
		return a
	}
	a.r, a.detail, a.ok = ParseResponse(head, method, &a.x.Response, lim)
	return a
}

func (a answered) String() string {
	if !a.ok {
		return "refused"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d", a.r.Status)
	describeMessage(&b, a.r.Message)
	if a.r.Upgrade != "" {
		b.WriteString(" upgrade=" + a.r.Upgrade)
	}
	return b.String()
}

func describeAnswer(method string) func(io.Reader) string {
	return func(r io.Reader) string { return answerFrom(r, method, testLimits()).String() }
}

func TestStatusLine(t *testing.T) {
	var rows [][2]string
	for _, r := range [][2]string{
		{"HTTP/1.1 200 OK", "200 length=0"},
		{"HTTP/1.1 200 ", "200 length=0"},
		{"HTTP/1.1 200", "200 length=0"},
		{"HTTP/1.0 200 OK", "200 length=0 close"},
		{"HTTP/1.1 299 a  b\tc \xfc", "299 length=0"},
		{"HTTP/1.1 599 X", "599 length=0"},
		{"HTTP/1.1 600 X", "refused"},
		{"HTTP/1.1 099 X", "refused"},
		{"HTTP/1.1 20 X", "refused"},
		{"HTTP/1.1 2000 X", "refused"},
		{"HTTP/1.1 200OK", "refused"},
		{"HTTP/1.1 200\tOK", "refused"},
		{"HTTP/1.1 20x OK", "refused"},
		{"HTTP/1.1 +20 OK", "refused"},
		{"HTTP/1.1  200 OK", "refused"},
		{"HTTP/1.1\t200 OK", "refused"},
		{"HTTP/1.1 200 O\rK", "refused"},
		{"HTTP/1.1 200 O\x00K", "refused"},
		{"HTTP/1.2 200 OK", "refused"},
		{"HTTP/2.0 200 OK", "refused"},
		{"HTTP/2 200 OK", "refused"},
		{"http/1.1 200 OK", "refused"},
		{"ICY 200 OK", "refused"},
		{"200 OK", "refused"},
		{"", "refused"},
		{"HTTP/1.1", "refused"},
		{" HTTP/1.1 200 OK", "refused"},
		{"GET / HTTP/1.1", "refused"},
		{"SSH-2.0-OpenSSH_9.6", "refused"},
	} {
		in := r[0] + "\r\nContent-Length: 0\r\n\r\n"
		if r[0] == "" {
			in = "\r\n" + in
		}
		rows = append(rows, [2]string{in, r[1]})
	}
	rowsEach(t, rows, describeAnswer("GET"))
}

func TestResponseFraming(t *testing.T) {
	const chunked = "Transfer-Encoding: chunked\r\n"
	for _, tt := range []struct{ method, status, fields, want string }{
		{"GET", "200", "Content-Length: 5\r\n", " length=5"},
		{"GET", "200", "Content-Length: 0\r\n", " length=0"},
		{"POST", "200", "Content-Length: 5\r\n", " length=5"},
		{"GET", "200", chunked, " chunked"},
		{"GET", "200", "transfer-encoding: Chunked\r\n", " chunked"},
		{"GET", "200", "", " until-close close"},
		{"GET", "200", "Connection: keep-alive\r\n", " until-close close"},
		{"GET", "200", "Connection: close\r\nContent-Length: 5\r\n", " length=5 close"},
		{"GET", "200", "Connection: Upgrade, close\r\nContent-Length: 5\r\n", " length=5 close"},
		{"GET", "404", chunked, " chunked"},
		{"HEAD", "200", "Content-Length: 5\r\n", ""},
		{"HEAD", "200", chunked, ""},
		{"HEAD", "200", "", ""},
		{"HEAD", "404", "Content-Length: 5\r\n", ""},
		{"head", "200", "Content-Length: 5\r\n", " length=5"},
		{"GET", "204", "", ""},
		{"GET", "204", "Content-Length: 5\r\n", ""},
		{"GET", "204", chunked, ""},
		{"GET", "304", "Content-Length: 5\r\n", ""},
		{"GET", "304", chunked, ""},
		{"GET", "100", "", ""},
		{"GET", "103", "Link: </a>\r\n", ""},
		{"GET", "101", "Connection: upgrade\r\nUpgrade: websocket\r\n", " upgrade=websocket"},
		{"GET", "205", "", " until-close close"},

		{"GET", "200", "Content-Length: 5\r\nContent-Length: 5\r\n", "refused"},
		{"GET", "200", "Content-Length: 5\r\nContent-Length: 6\r\n", "refused"},
		{"GET", "200", "Content-Length: 5, 5\r\n", "refused"},
		{"GET", "200", "Content-Length: +5\r\n", "refused"},
		{"GET", "200", "Content-Length: -1\r\n", "refused"},
		{"GET", "200", "Content-Length:\r\n", "refused"},
		{"GET", "200", "Content-Length: 5\r\n" + chunked, "refused"},
		{"GET", "200", chunked + "Content-Length: 5\r\n", "refused"},
		{"GET", "200", chunked + chunked, "refused"},
		{"GET", "200", "Transfer-Encoding: chunked, chunked\r\n", "refused"},
		{"GET", "200", "Transfer-Encoding: gzip, chunked\r\n", "refused"},
		{"GET", "200", "Transfer-Encoding: chunked, gzip\r\n", "refused"},
		{"GET", "200", "Transfer-Encoding: gzip\r\n", "refused"},
		{"GET", "200", "Transfer-Encoding: identity\r\n", "refused"},
		{"GET", "200", "Transfer-Encoding: xchunked\r\n", "refused"},
		{"GET", "200", "Transfer-Encoding:\r\n", "refused"},
		{"HEAD", "200", "Content-Length: x\r\n", "refused"},
		{"GET", "204", "Content-Length: 5\r\nContent-Length: 6\r\n", "refused"},
		{"GET", "304", "Content-Length: 5\r\n" + chunked, "refused"},
		{"GET", "200", "A : b\r\n", "refused"},
		{"GET", "200", "A: b\r\n c\r\n", "refused"},
		{"GET", "200", "A: b\nC: d\r\n", "refused"},
		{"GET", "200", "A: b\x00\r\n", "refused"},
	} {
		want := tt.want
		if want != "refused" {
			want = tt.status + want
		}
		rowsEach(t, [][2]string{{"HTTP/1.1 " + tt.status + " X\r\n" + tt.fields + "\r\n", want}}, describeAnswer(tt.method))
	}
}

func TestResponseOfHTTP10(t *testing.T) {
	rowsEach(t, [][2]string{
		{"HTTP/1.0 200 OK\r\n\r\n", "200 until-close close"},
		{"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", "200 length=5 close"},
		{"HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\n", "200 length=5"},
		{"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "refused"},
		{"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n", "200 until-close close"},
	}, describeAnswer("GET"))
}

// TestRefusedResponseSaysWhy checks that every refusal has words for the log.
func TestRefusedResponseSaysWhy(t *testing.T) {
	for _, in := range []string{
		"HTTP/1.1 20 X\r\n\r\n", "HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
		"HTTP/1.1 200 OK\r\n" + strings.Repeat("A: b\r\n", 21) + "\r\n",
	} {
		if a := answerFrom(strings.NewReader(in), "GET", testLimits()); a.ok || a.detail == "" {
			t.Errorf("%q: ok %v, detail %q", in, a.ok, a.detail)
		}
	}
}
