package wire

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"yett/internal/exchange"
)

const (
	chunkedHead = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
	lengthHead  = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n"
)

// readers are the ways in which somebody may read a Body.
func readers() map[string]func(io.Reader) ([]byte, error) {
	return map[string]func(io.Reader) ([]byte, error){
		"all":          io.ReadAll,
		"byte by byte": func(r io.Reader) ([]byte, error) { return io.ReadAll(iotest.OneByteReader(r)) },
		"in pieces": func(r io.Reader) ([]byte, error) {
			var out bytes.Buffer
			_, err := io.CopyBuffer(struct{ io.Writer }{&out}, struct{ io.Reader }{r}, make([]byte, 7))
			return out.Bytes(), err
		},
	}
}

// describeBody shows content, trailers and what follows, or the error.
func describeBody(p parsed, lim *Limits, read func(io.Reader) ([]byte, error)) string {
	if p.reason != nil || p.err != nil {
		return p.String()
	}
	content, b, err := p.bodyOf(lim, read)
	switch {
	case errors.Is(err, ErrChunk):
		return "malformed"
	case err != nil:
		return err.Error()
	case !b.Done():
		return "not done"
	}
	out := string(content)
	for _, f := range p.x.RequestTrailer.Fields() {
		out += fmt.Sprintf("[%s|%s]", f.Name, f.Value)
	}
	return out + " > " + p.rest()
}

// bodyRows runs a table of chunked bodies in every arrival and reading.
func bodyRows(t *testing.T, head string, rows [][2]string) {
	t.Helper()
	for way, read := range readers() {
		t.Run("read "+way, func(t *testing.T) {
			full := make([][2]string, len(rows))
			for i, r := range rows {
				full[i] = [2]string{head + r[0], r[1]}
			}
			rowsEach(t, full, func(src io.Reader) string {
				return describeBody(parseFrom(src, testLimits()), testLimits(), read)
			})
		})
	}
}

func TestChunkedBody(t *testing.T) {
	lim := testLimits()
	bodyRows(t, chunkedHead, [][2]string{
		{"0\r\n\r\n", " > "},
		{"0\r\n\r\nGET", " > GET"},
		{"3\r\nabc\r\n0\r\n\r\n", "abc > "},
		{"3\r\nabc\r\n0\r\n\r\n\r\n", "abc > \r\n"},
		{"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\nX", "abcde > X"},
		{"3\r\n\r\n0\r\n0\r\n\r\n", "\r\n0 > "},
		{"A\r\n0123456789\r\n0\r\n\r\n", "0123456789 > "},
		{"a\r\n0123456789\r\n000\r\n\r\n", "0123456789 > "},
		{"000000000000003\r\nabc\r\n0\r\n\r\n", "abc > "},
		{"3;ext\r\nabc\r\n0;last\r\n\r\n", "abc > "},
		{"3;a=b;c=\"d;e\"\r\nabc\r\n0\r\n\r\n", "abc > "},
		{"3 \t;a\r\nabc\r\n0\r\n\r\n", "abc > "},
		{"3;\r\nabc\r\n0\r\n\r\n", "abc > "},
		{"3;a\tb\x80\r\nabc\r\n0\r\n\r\n", "abc > "},
		{"3;" + strings.Repeat("e", lim.ChunkLine-2) + "\r\nabc\r\n0\r\n\r\n", "abc > "},

		{"3;" + strings.Repeat("e", lim.ChunkLine-1) + "\r\nabc\r\n0\r\n\r\n", "malformed"},
		{"3;" + strings.Repeat("e", 9000), "malformed"},
		{"0000000000000003\r\nabc\r\n0\r\n\r\n", "malformed"}, // 16 digits
		{"FFFFFFFFFFFFFFFF\r\nabc", "malformed"},
		{"8000000000000000\r\nabc", "malformed"},
		{"10000000000000003\r\nabc\r\n0\r\n\r\n", "malformed"},
		{"7FFFFFFFFFFFFFF\r\nabc", "unexpected EOF"},
		{"FFFFFFFFFFFFFFF\r\nabc", "unexpected EOF"},
		{"\r\n0\r\n\r\n", "malformed"},
		{" 3\r\nabc\r\n0\r\n\r\n", "malformed"},
		{"3 \r\nabc\r\n0\r\n\r\n", "malformed"},
		{"3\t\r\nabc\r\n0\r\n\r\n", "malformed"},
		{"3 x\r\nabc\r\n0\r\n\r\n", "malformed"},
		{"+3\r\nabc\r\n0\r\n\r\n", "malformed"},
		{"-3\r\nabc\r\n0\r\n\r\n", "malformed"},
		{"0x3\r\nabc\r\n0\r\n\r\n", "malformed"},
		{"3_\r\nabc\r\n0\r\n\r\n", "malformed"},
		{"3,3\r\nabc\r\n0\r\n\r\n", "malformed"},
		{"g\r\nabc\r\n0\r\n\r\n", "malformed"},
		{"3;a\rb\r\nabc\r\n0\r\n\r\n", "malformed"},
		{"3;a\x00\r\nabc\r\n0\r\n\r\n", "malformed"},
		{"3\nabc\r\n0\r\n\r\n", "malformed"},
		{"3;a\nabc\r\n0\r\n\r\n", "malformed"},
		{"3\r\r\nabc\r\n0\r\n\r\n", "malformed"},
		{"3\rabc\r\n0\r\n\r\n", "malformed"},
		{"\n0\r\n\r\n", "malformed"},
		{"3\r\nabc\n0\r\n\r\n", "malformed"},
		{"3\r\nabc\r0\r\n\r\n", "malformed"},
		{"3\r\nabc0\r\n\r\n", "malformed"},
		{"3\r\nabcd\r\n0\r\n\r\n", "malformed"},
		{"3\r\nab\r\n0\r\n\r\n", "malformed"},
		{"3\r\nabc\r\n\r\n0\r\n\r\n", "malformed"},
		{"3\r\nabc\r\n0\n\r\n", "malformed"},
		{"3\r\nabc\r\n0\r\n\n", "malformed"},
		{"3\r\nabc\r\n0\r\nX", "unexpected EOF"},
		{"", "unexpected EOF"},
		{"3", "unexpected EOF"},
		{"3\r", "unexpected EOF"},
		{"3\r\n", "unexpected EOF"},
		{"3\r\nab", "unexpected EOF"},
		{"3\r\nabc", "unexpected EOF"},
		{"3\r\nabc\r", "unexpected EOF"},
		{"3\r\nabc\r\n", "unexpected EOF"},
		{"3\r\nabc\r\n0", "unexpected EOF"},
		{"3\r\nabc\r\n0\r\n", "unexpected EOF"},
		{"3\r\nabc\r\n0\r\n\r", "unexpected EOF"},
	})
}

func TestTrailers(t *testing.T) {
	lim := testLimits()
	// line is a trailer line of n bytes with its CRLF.
	line := func(n int) string { return "T: " + strings.Repeat("v", n-5) + "\r\n" }
	bodyRows(t, chunkedHead+"1\r\na\r\n0\r\n", [][2]string{
		{"A: b\r\n\r\n", "a[A|b] > "},
		{"A: b\r\nA: c\r\nB:\r\n\r\nGET", "a[A|b][A|c][B|] > GET"},
		{"Date: x\r\nVia: y\r\nServer: z\r\n\r\n", "a[Date|x][Via|y][Server|z] > "},
		{line(lim.Trailer) + "\r\n", "a[T|" + strings.Repeat("v", lim.Trailer-5) + "] > "},

		// Framing, routing, credentials and who sends it have no place in here.
		{"Content-Length: 5\r\nA: b\r\n\r\n", "a[A|b] > "},
		{"Transfer-Encoding: chunked\r\n\r\n", "a > "},
		{"Host: evil\r\n\r\n", "a > "},
		{"Authorization: Bearer x\r\nCookie: y\r\n\r\n", "a > "},
		{"Connection: A\r\nA: b\r\n\r\n", "a > "},
		{"Content-Type: a/b\r\nExpect: x\r\nTrailer: y\r\nTE: z\r\nUpgrade: u\r\nKeep-Alive: k\r\n\r\n", "a > "},
		{"X-Forwarded-For: 1.1.1.1\r\nForwarded: for=x\r\nX-Real-IP: y\r\nX-Request-ID: z\r\n\r\n", "a > "},

		{line(lim.Trailer+1) + "\r\n", "trailer section is too large"},
		{strings.Repeat("A: b\r\n", 21) + "\r\n", "trailer section is too large"},
		{line(9000), "trailer section is too large"},
		{"A: b\n\r\n", "malformed"},
		{"A: b\r\n\n", "malformed"},
		{"A : b\r\n\r\n", "malformed"},
		{"A: b\r\n c\r\n\r\n", "malformed"},
		{" A: b\r\n\r\n", "malformed"},
		{"Ab\r\n\r\n", "malformed"},
		{": b\r\n\r\n", "malformed"},
		{"A: b\rC: d\r\n\r\n", "malformed"},
		{"A: b\x00\r\n\r\n", "malformed"},
		{"A: b\r\n", "unexpected EOF"},
		{"A: b\r\n\r", "unexpected EOF"},
		{"A: b", "unexpected EOF"},
	})
}

func TestBodyByLength(t *testing.T) {
	for _, n := range []int{1, 7, 512, SmallBuffer - 60, SmallBuffer, SmallBuffer + 1, 3 * LargeBuffer} {
		content := strings.Repeat("0123456789abcdef", n/16+1)[:n]
		head := fmt.Sprintf(lengthHead, n)
		bodyRows(t, head, [][2]string{
			{content, content + " > "},
			{content + "GET", content + " > GET"},
			{content[:n-1], "unexpected EOF"},
			{"", "unexpected EOF"},
		})
	}
}

func TestBodyUntilClose(t *testing.T) {
	const content = "some content\r\n0\r\n\r\n"
	for name, arrive := range arrivals() {
		a := answerFrom(arrive("HTTP/1.1 200 OK\r\n\r\n"+content), "GET", testLimits())
		var b Body
		b.Init(a.d, a.r.Message, &a.x.ResponseTrailer, testLimits())
		got, err := io.ReadAll(&b)
		if string(got) != content || err != nil || !b.Done() {
			t.Errorf("%s: %q, %v, done %v", name, got, err, b.Done())
		}
	}
}

func TestNoBody(t *testing.T) {
	p := parseFrom(strings.NewReader("GET / HTTP/1.1\r\nHost: h\r\n\r\nnext"), testLimits())
	content, b, err := p.bodyOf(testLimits(), io.ReadAll)
	if len(content) != 0 || err != nil || !b.Done() || p.rest() != "next" {
		t.Errorf("%q, %v, done %v", content, err, b.Done())
	}
}

func TestBodyPassesErrorsOn(t *testing.T) {
	broken := errors.New("broken")
	for _, in := range []string{fmt.Sprintf(lengthHead, 9) + "abc", chunkedHead + "9\r\nabc", chunkedHead + "9\r", chunkedHead + "0\r\nA: b"} {
		p := parseFrom(io.MultiReader(strings.NewReader(in), iotest.ErrReader(broken)), testLimits())
		_, b, err := p.bodyOf(testLimits(), io.ReadAll)
		if err != broken || b.Done() {
			t.Errorf("%q: %v, done %v", in, err, b.Done())
		}
		if n, err := b.Read(make([]byte, 1)); n != 0 || err != broken {
			t.Errorf("%q, reading on: %d, %v", in, n, err)
		}
	}
}

// TestDoneBelongsToTheEnd checks that a connection is not taken for free
// before the last byte of the message has been read.
func TestDoneBelongsToTheEnd(t *testing.T) {
	for in, content := range map[string]int{
		fmt.Sprintf(lengthHead, 3) + "abc":            3,
		chunkedHead + "3\r\nabc\r\n0\r\nA: b\r\n\r\n": 3,
	} {
		p := parseFrom(iotest.OneByteReader(strings.NewReader(in)), testLimits())
		var b Body
		b.Init(p.d, p.m, &p.x.RequestTrailer, testLimits())
		buf := make([]byte, 1)
		for i := range content {
			if b.Done() {
				t.Fatalf("%q: done before byte %d", in, i)
			}
			if n, err := b.Read(buf); n != 1 || err != nil {
				t.Fatalf("%q: byte %d: %d, %v", in, i, n, err)
			}
		}
		for range 2 {
			if n, err := b.Read(buf); n != 0 || err != io.EOF || !b.Done() {
				t.Errorf("%q: at the end: %d, %v, done %v", in, n, err, b.Done())
			}
		}
	}
}

func TestWhole(t *testing.T) {
	for _, tt := range []struct {
		in, want, rest string
		whole          bool
	}{
		{"GET / HTTP/1.1\r\nHost: h\r\n\r\nnext", "", "next", true},
		{fmt.Sprintf(lengthHead, 3) + "abc", "abc", "", true},
		{fmt.Sprintf(lengthHead, 3) + "abcnext", "abc", "next", true},
		{fmt.Sprintf(lengthHead, 3) + "ab", "", "ab", false},
		{chunkedHead + "0\r\n\r\n", "", "0\r\n\r\n", false}, // rare enough to be streamed
		{chunkedHead + "3\r\nabc\r\n0\r\n\r\n", "abc", "", true},
		{chunkedHead + "3\r\nabc\r\n2;x\r\nde\r\n0\r\n\r\n", "abcde", "", true},
		{chunkedHead + "3\r\n\r\n0\r\n0\r\n\r\n", "\r\n0", "", true},
		{chunkedHead + "3\r\nabc\r\n0\r\n\r\n3\r\nabc\r\n0\r\n\r\n", "", "3\r\nabc\r\n0\r\n\r\n3\r\nabc\r\n0\r\n\r\n", false},
		{chunkedHead + "3\r\nabc\r\n0\r\nA: b\r\n\r\n", "", "3\r\nabc\r\n0\r\nA: b\r\n\r\n", false},
		{chunkedHead + "9\r\nabc\r\n0\r\n\r\n", "", "9\r\nabc\r\n0\r\n\r\n", false},
		{chunkedHead + "3\r\nabcd\r\n0\r\n\r\n", "", "3\r\nabcd\r\n0\r\n\r\n", false},
		{chunkedHead + "3\nabc\r\n0\r\n\r\n", "", "3\nabc\r\n0\r\n\r\n", false},
		{chunkedHead + "FFFFFFFFFFFFFFF\r\nabc\r\n0\r\n\r\n", "", "FFFFFFFFFFFFFFF\r\nabc\r\n0\r\n\r\n", false},
		{chunkedHead + "3\r\nabc\r\n0\r\n\r", "", "3\r\nabc\r\n0\r\n\r", false},
	} {
		p := parseFrom(strings.NewReader(tt.in), testLimits())
		var b Body
		b.Init(p.d, p.m, &p.x.RequestTrailer, testLimits())
		got, ok := b.Whole()
		if string(got) != tt.want || ok != tt.whole || string(p.d.Unread()) != tt.rest || b.Done() != tt.whole {
			t.Errorf("%q: %q, %v, done %v, %q is left", tt.in, got, ok, b.Done(), p.d.Unread())
		}
		if n, err := b.Read(make([]byte, 1)); tt.whole && (n != 0 || err != io.EOF) {
			t.Errorf("%q: reading on gives %d, %v", tt.in, n, err)
		}
	}
}

// TestFillUntilWhole gathers a body with a known length in one buffer, from a
// stream that gives it in pieces and goes on behind it.
func TestFillUntilWhole(t *testing.T) {
	for _, n := range []int{1, 100, SmallBuffer - 60, SmallBuffer, SmallBuffer + 1, LargeBuffer - 100, LargeBuffer} {
		content := strings.Repeat("0123456789abcdef", n/16+1)[:n]
		for name, arrive := range arrivals() {
			p := parseFrom(arrive(fmt.Sprintf(lengthHead, n)+content+"next"), testLimits())
			var b Body
			b.Init(p.d, p.m, &p.x.RequestTrailer, testLimits())
			if !b.Gatherable() {
				t.Fatalf("%d bytes can't be gathered", n)
			}
			whole, ok := b.Whole()
			for came := 1; !ok; whole, ok = b.Whole() {
				var err error
				if came, err = b.Fill(); err != nil || came == 0 {
					t.Fatalf("%d bytes, %s: Fill gives %d, %v", n, name, came, err)
				}
			}
			if string(whole) != content || !b.Done() || p.x.Host != "h" {
				t.Errorf("%d bytes, %s: %d came, done %v, host %q", n, name, len(whole), b.Done(), p.x.Host)
			}
			if got := p.rest(); got != "next" {
				t.Errorf("%d bytes, %s: %q follows", n, name, got)
			}
		}
	}
}

func TestFillEnds(t *testing.T) {
	p := parseFrom(strings.NewReader(fmt.Sprintf(lengthHead, 9)+"abc"), testLimits())
	var b Body
	b.Init(p.d, p.m, &p.x.RequestTrailer, testLimits())
	if n, err := b.Fill(); n != 0 || err != io.ErrUnexpectedEOF {
		t.Errorf("Fill at the end of the stream: %d, %v", n, err)
	}
	for in, want := range map[string]bool{
		fmt.Sprintf(lengthHead, LargeBuffer):   true,
		fmt.Sprintf(lengthHead, LargeBuffer+1): false,
		chunkedHead:                            false,
		"GET / HTTP/1.1\r\nHost: h\r\n\r\n":    false,
	} {
		p := parseFrom(strings.NewReader(in), testLimits())
		b.Init(p.d, p.m, &p.x.RequestTrailer, testLimits())
		if b.Gatherable() != want {
			t.Errorf("%q: Gatherable is %v", in, b.Gatherable())
		}
	}
}

// TestHeadSurvivesBody reads a long body with lines at the edges of buffers,
// and looks at the head's fields afterwards.
func TestHeadSurvivesBody(t *testing.T) {
	for extension := range 90 {
		var in, want strings.Builder
		in.WriteString("POST / HTTP/1.1\r\nHost: h\r\nA: value\r\nTransfer-Encoding: chunked\r\n\r\n")
		for i := range 300 {
			piece := strings.Repeat(string(rune('a'+i%26)), 1+i)
			fmt.Fprintf(&in, "%x;%s\r\n%s\r\n", len(piece), strings.Repeat("e", extension), piece)
			want.WriteString(piece)
		}
		in.WriteString("0\r\nT: trailer\r\n\r\nnext")
		p := parseFrom(iotest.HalfReader(strings.NewReader(in.String())), testLimits())
		content, _, err := p.bodyOf(testLimits(), readers()["in pieces"])
		if err != nil || string(content) != want.String() {
			t.Fatalf("extension of %d bytes: %d bytes instead of %d, %v", extension, len(content), want.Len(), err)
		}
		if p.x.Request.Get("A") != "value" || p.x.Host != "h" || p.x.RequestTrailer.Get("T") != "trailer" {
			t.Fatalf("extension of %d bytes: the head is gone: %q %q %q", extension, p.x.Host, p.x.Request.Get("A"), p.x.RequestTrailer.Get("T"))
		}
		if got := p.rest(); got != "next" {
			t.Fatalf("extension of %d bytes: %q follows", extension, got)
		}
		p.d.Recycle()
	}
}

// TestTrailersOutliveTheReader checks that trailers are in the exchange's own
// memory.
func TestTrailersOutliveTheReader(t *testing.T) {
	p := parseFrom(strings.NewReader(chunkedHead+"0\r\nA: b\r\n\r\n"), testLimits())
	if _, _, err := p.bodyOf(testLimits(), io.ReadAll); err != nil {
		t.Fatal(err)
	}
	buf := p.d.buf
	p.d.Recycle()
	for i := range buf.B {
		buf.B[i] = 'x'
	}
	if f := p.x.RequestTrailer.Fields(); len(f) != 1 || f[0].Name != "A" || f[0].Value != "b" || f[0].Key != exchange.KeyOther {
		t.Errorf("trailers are %v", f)
	}
}

func TestBehind(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"GET / HTTP/1.1\r\nHost: h\r\n\r\nnext", "next"},
		{fmt.Sprintf(lengthHead, 3) + "abc", ""},
		{fmt.Sprintf(lengthHead, 3) + "abcnext", "next"},
		{fmt.Sprintf(lengthHead, 30) + "abcnext", ""},
		{chunkedHead + "3\r\nabc\r\n0\r\n\r\n", ""},
		{chunkedHead + "3\r\nabc\r\n0\r\n\r\nnext", "next"},
		{chunkedHead + "0\r\n\r\nnext", "next"},
		{chunkedHead + "3\r\nabc\r\n9\r\n\r\nnext", ""},
		{chunkedHead + "3\r\nabc\r\nnext", ""},
		{chunkedHead + "3\r\nabcnext", ""},
	} {
		p := parseFrom(strings.NewReader(tt.in), testLimits())
		var b Body
		b.Init(p.d, p.m, &p.x.RequestTrailer, testLimits())
		before := string(p.d.Unread())
		if got := string(b.Behind()); got != tt.want || string(p.d.Unread()) != before {
			t.Errorf("%q: got %q, left %q of %q", tt.in, got, p.d.Unread(), before)
		}
	}
}
