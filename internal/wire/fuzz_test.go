package wire

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"testing"

	"yett/internal/exchange"
)

// maxFuzz keeps inputs below bounds that only net/http has: how long a
// trailer section and how large the overhead of chunks may be.
const maxFuzz = 8 << 10

func fuzzLimits() *Limits {
	return &Limits{FirstLine: maxFuzz, Header: maxFuzz, HeaderCount: 1000, ChunkLine: 1000, Trailer: maxFuzz}
}

// splitReader returns its bytes in pieces of random size, the same ones for
// the same seed.
type splitReader struct {
	data []byte
	rng  *rand.Rand
}

func newSplitReader(data []byte, seed uint64) *splitReader {
	return &splitReader{data, rand.New(rand.NewPCG(seed, 1))}
}

func (r *splitReader) Read(p []byte) (int, error) {
	if len(r.data) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), 1+r.rng.IntN(64))], r.data)
	r.data = r.data[n:]
	return n, nil
}

// requestSeeds are whole messages, good and bad, each with what may follow.
func requestSeeds() []string {
	const post = "POST /a HTTP/1.1\r\nHost: h\r\n"
	return []string{
		realRequest + realRequest,
		"\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\nGET /b HTTP/1.1\r\n",
		"GET http://other:80/a?b HTTP/1.1\r\nHost: h\r\n\r\n",
		"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n",
		"OPTIONS http://h HTTP/1.1\r\nHost: h\r\n\r\n",
		"GET / HTTP/1.0\r\n\r\n",
		"GET //a/../b%zz?%zz HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
		post + "Content-Length: 5\r\n\r\nabcdeGET",
		post + "Content-Length: +5\r\n\r\nabcde",
		post + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nabcde",
		post + "Content-Length: 5, 5\r\n\r\nabcde",
		post + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\nGET",
		post + "Transfer-Encoding: chunked\r\nTrailer: A\r\n\r\n3;x=\"y\"\r\nabc\r\n0\r\nA: b\r\n\r\nGET",
		post + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
		post + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
		post + "Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
		post + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
		post + "X: a\r\n b\r\n\r\n",
		post + "X: a\nContent-Length: 5\r\n\r\n",
		post + "X: a\rContent-Length: 5\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, X\r\nUpgrade: websocket\r\nX: y\r\n\r\n\x00\x01",
		"PUT / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx",
	}
}

// taken is a message that was read to its end.
type taken struct {
	content, rest []byte
	trailer       http.Header
}

// takeWire reads a request with wire. ok is false when wire refuses it, or
// its body.
func takeWire(data []byte, seed uint64) (p parsed, got taken, ok bool) {
	p = parseFrom(newSplitReader(data, seed), fuzzLimits())
	if p.reason != nil || p.err != nil {
		return p, got, false
	}
	content, b, err := p.bodyOf(fuzzLimits(), io.ReadAll)
	if err != nil || !b.Done() {
		return p, got, false
	}
	got = taken{content: content, trailer: asHTTP(&p.x.RequestTrailer)}
	got.rest = []byte(p.rest())
	return p, got, true
}

func asHTTP(h *exchange.Header) http.Header {
	out := http.Header{}
	for _, f := range h.Fields() {
		out.Add(f.Name, f.Value)
	}
	return out
}

// takeHTTP reads the same request with net/http.
func takeHTTP(data []byte) (*http.Request, taken, error) {
	br := bufio.NewReaderSize(bytes.NewReader(data), 2*maxFuzz)
	req, err := http.ReadRequest(br)
	if err != nil {
		return nil, taken{}, err
	}
	content, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, taken{}, err
	}
	rest, err := io.ReadAll(br)
	return req, taken{content, rest, req.Trailer}, err
}

// allowedToDiffer lists what net/http refuses and wire takes, on purpose:
//   - percent-encoding that is broken: the normal form of the path is made by
//     package route, which refuses it with a reason of its own;
//   - a Trailer field that announces framing fields or no valid names: what it
//     announces means nothing to wire, which drops such trailers whether they
//     are announced or not;
//   - a Host that the URL parser does not take: wire has a grammar of its own,
//     see SplitHost, which is narrower elsewhere.
func allowedToDiffer(err error) bool {
	var escape url.EscapeError
	return errors.As(err, &escape) || strings.Contains(err.Error(), "bad trailer key")
}

// FuzzRequest compares wire to net/http: what wire accepts means the same to
// both, up to the byte where the message ends; what net/http refuses is
// refused.
func FuzzRequest(f *testing.F) {
	for i, s := range requestSeeds() {
		f.Add([]byte(s), uint64(i))
	}
	f.Fuzz(func(t *testing.T, data []byte, seed uint64) {
		if len(data) > maxFuzz {
			t.Skip()
		}
		p, got, ok := takeWire(data, seed)
		q, _, same := takeWire(data, seed+1)
		if same != ok || q.String() != p.String() {
			t.Fatalf("the same bytes in other pieces: %v and %v", p, q)
		}
		if !ok {
			return
		}
		req, want, err := takeHTTP(bytes.TrimPrefix(data, []byte("\r\n"))) // net/http passes over no line
		if err != nil {
			if allowedToDiffer(err) {
				return
			}
			t.Fatalf("wire takes it as %v, net/http refuses: %v", p, err)
		}
		sameRequest(t, p, req)
		sameMessage(t, got, want)
	})
}

func sameRequest(t *testing.T, p parsed, req *http.Request) {
	t.Helper()
	x := p.x
	target := x.RawPath
	if x.HasQuery {
		target += "?" + x.Query
	}
	switch {
	case strings.HasPrefix(req.RequestURI, "/"), req.RequestURI == "*":
		if target != req.RequestURI {
			t.Errorf("target %q, net/http has %q", target, req.RequestURI)
		}
	case x.RawPath != req.URL.EscapedPath() && !(req.URL.Path == "" && (x.RawPath == "/" || x.RawPath == "*")) || x.Query != req.URL.RawQuery:
		// A path with bytes that have to be escaped is kept as it came.
		if u, err := url.PathUnescape(x.RawPath); err != nil || u != req.URL.Path {
			t.Errorf("target %q, net/http has %q", target, req.URL)
		}
	}
	if x.Method != req.Method || x.Authority != req.Host {
		t.Errorf("%s to %q, net/http has %s to %q", x.Method, x.Authority, req.Method, req.Host)
	}
	if (x.Version == exchange.HTTP11) != req.ProtoAtLeast(1, 1) {
		t.Errorf("version %v, net/http has %s", x.Version, req.Proto)
	}
	sameFraming(t, p.m, req.ContentLength, req.TransferEncoding)
	if p.m.KeepAlive && req.Close {
		t.Error("wire keeps a connection that net/http closes")
	}
}

func sameFraming(t *testing.T, m Message, length int64, codings []string) {
	t.Helper()
	chunked := slices.Equal(codings, []string{"chunked"})
	if chunked != (m.Framing == ByChunks) || len(codings) > 0 && !chunked {
		t.Errorf("framing %d, net/http has codings %v", m.Framing, codings)
	}
	if m.Framing != ByChunks && length != m.Length {
		t.Errorf("length %d, net/http has %d", m.Length, length)
	}
}

// sameMessage compares content, the place where the message ends, and that no
// trailer appears that net/http does not see.
func sameMessage(t *testing.T, got, want taken) {
	t.Helper()
	if !bytes.Equal(got.content, want.content) {
		t.Errorf("content %q, net/http has %q", got.content, want.content)
	}
	if !bytes.Equal(got.rest, want.rest) {
		t.Errorf("%q follows, net/http has %q", got.rest, want.rest)
	}
	for name, values := range got.trailer {
		if !slices.Equal(values, want.trailer[name]) {
			t.Errorf("trailer %s: %q, net/http has %q", name, values, want.trailer[name])
		}
	}
}

// FuzzResponse is FuzzRequest for answers.
func FuzzResponse(f *testing.F) {
	const ok = "HTTP/1.1 200 OK\r\n"
	for i, s := range []string{
		realResponse + "HTTP/1.1",
		ok + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nA: b\r\n\r\nrest",
		ok + "\r\nuntil close",
		ok + "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
		ok + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc",
		"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nabc",
		"HTTP/1.0 200\r\nContent-Length: 3\r\n\r\nabc",
		"HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\nabc",
		"HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\nabc",
		"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nabc",
		"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" + ok + "\r\n",
	} {
		f.Add([]byte(s), uint64(i), i%2 == 0)
	}
	f.Fuzz(func(t *testing.T, data []byte, seed uint64, isHead bool) {
		if len(data) > maxFuzz {
			t.Skip()
		}
		method := "GET"
		if isHead {
			method = "HEAD"
		}
		a := answerFrom(newSplitReader(data, seed), method, fuzzLimits())
		if other := answerFrom(newSplitReader(data, seed+1), method, fuzzLimits()); other.String() != a.String() {
			t.Fatalf("the same bytes in other pieces: %v and %v", a, other)
		}
		if !a.ok {
			return
		}
		var b Body
		b.Init(a.d, a.r.Message, &a.x.ResponseTrailer, fuzzLimits())
		content, err := io.ReadAll(&b)
		if err != nil {
			return
		}
		got := taken{content, []byte(parsed{d: a.d}.rest()), asHTTP(&a.x.ResponseTrailer)}
		sameResponse(t, a, got, bytes.TrimPrefix(data, []byte("\r\n")), method)
	})
}

func sameResponse(t *testing.T, a answered, got taken, data []byte, method string) {
	t.Helper()
	br := bufio.NewReaderSize(bytes.NewReader(data), 2*maxFuzz)
	resp, err := http.ReadResponse(br, &http.Request{Method: method})
	if err != nil {
		if allowedToDiffer(err) {
			return
		}
		t.Fatalf("wire takes it as %v, net/http refuses: %v", a, err)
	}
	content, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("wire takes the content as %q, net/http refuses: %v", got.content, err)
	}
	rest, _ := io.ReadAll(br)
	if a.r.Status != resp.StatusCode {
		t.Errorf("status %d, net/http has %d", a.r.Status, resp.StatusCode)
	}
	sameMessage(t, got, taken{content, rest, resp.Trailer})
}

// FuzzChunked decodes a chunked body in several ways that all have to agree.
func FuzzChunked(f *testing.F) {
	for i, s := range []string{
		"3\r\nabc\r\n0\r\n\r\nrest",
		"3;x\r\nabc\r\nA\r\n0123456789\r\n0\r\nA: b\r\n\r\n",
		"1\r\na\r\n1\r\nb\r\n0\r\n\r\n",
		"3\nabc\r\n0\r\n\r\n",
		"3 \r\nabc\r\n0\r\n\r\n",
		"FFFFFFFFFFFFFFFF\r\nabc",
		"0\r\n\r\n",
		"3\r\n\r\n0\r\n0\r\n\r\n",
	} {
		f.Add([]byte(s), uint64(i))
	}
	f.Fuzz(func(t *testing.T, data []byte, seed uint64) {
		if len(data) > SmallBuffer {
			t.Skip()
		}
		content, trailer, rest, err := decode(newSplitReader(data, seed))
		for _, src := range []io.Reader{bytes.NewReader(data), newSplitReader(data, seed+1)} {
			c, tr, r, err2 := decode(src)
			if (err == nil) != (err2 == nil) || !bytes.Equal(c, content) && err == nil || r != rest && err == nil || tr != trailer {
				t.Fatalf("in other pieces: %q %q %q %v, and %q %q %q %v", content, trailer, rest, err, c, tr, r, err2)
			}
		}
		sameJoined(t, data, content, err)
		if err != nil {
			return
		}
		plain, err := io.ReadAll(httputil.NewChunkedReader(bytes.NewReader(data)))
		if err != nil || !bytes.Equal(plain, content) {
			t.Errorf("%q, net/http has %q, %v", content, plain, err)
		}
	})
}

func decode(src io.Reader) (content []byte, trailer, rest string, err error) {
	var pool exchange.Pool
	p := parsed{x: pool.Get(), d: new(Reader), m: Message{Framing: ByChunks, Length: -1}}
	p.d.Reset(src, new(Buffers))
	content, _, err = p.bodyOf(fuzzLimits(), io.ReadAll)
	if err != nil {
		return content, "", "", err
	}
	for _, f := range p.x.RequestTrailer.Fields() {
		trailer += f.Name + ":" + f.Value + "\n"
	}
	return content, trailer, p.rest(), nil
}

// sameJoined compares content that was joined in place to content that was
// streamed.
func sameJoined(t *testing.T, data, content []byte, streamErr error) {
	t.Helper()
	var pool exchange.Pool
	x := pool.Get()
	var d Reader
	buffers := new(Buffers)
	d.Reset(strings.NewReader(""), buffers)
	buf := buffers.Get(SmallBuffer)
	d.Prime(buf, copy(buf.B, data))
	var b Body
	b.Init(&d, Message{Framing: ByChunks, Length: -1}, &x.RequestTrailer, fuzzLimits())
	joined, ok := b.Whole()
	switch {
	case !ok && !bytes.Equal(d.Unread(), data):
		t.Errorf("what could not be joined was changed to %q", d.Unread())
	case ok && (streamErr != nil || !bytes.Equal(joined, content) || !b.Done() || d.Buffered() != 0):
		t.Errorf("joined to %q, streamed to %q, %v", joined, content, streamErr)
	}
}

// FuzzRoundTrip has net/http read what wire made of a request that it
// accepted: the service must see what the gateway saw.
func FuzzRoundTrip(f *testing.F) {
	for i, s := range requestSeeds() {
		f.Add([]byte(s), uint64(i))
	}
	f.Fuzz(func(t *testing.T, data []byte, seed uint64) {
		if len(data) > maxFuzz {
			t.Skip()
		}
		p, got, ok := takeWire(data, seed)
		if !ok {
			return
		}
		p.x.Request.StripHopByHop()
		out := AppendRequest(nil, p.x, "up:80", p.x.RawPath, p.m)
		switch p.m.Framing {
		case ByLength:
			out = append(out, got.content...)
		case ByChunks:
			if n := len(got.content); n > 0 {
				buf := append(make([]byte, ChunkHeadRoom, ChunkHeadRoom+n+2), got.content...)
				out = append(out, FrameChunk(buf[:cap(buf)], n)...)
			}
			out = AppendLastChunk(out, &p.x.RequestTrailer)
		}
		req, want, err := takeHTTP(append(out, "next"...))
		if err != nil {
			if allowedToDiffer(err) {
				return
			}
			t.Fatalf("net/http refuses what was written: %v\n%s", err, out)
		}
		got.rest = []byte("next")
		sameMessage(t, got, want)
		sameFields(t, p, req)
	})
}

func sameFields(t *testing.T, p parsed, req *http.Request) {
	t.Helper()
	x := p.x
	if target, _, _ := strings.Cut(req.RequestURI, "?"); req.Method != x.Method || target != x.RawPath || req.Host != "up:80" {
		t.Errorf("%s %s to %s, want %s %s", req.Method, target, req.Host, x.Method, x.RawPath)
	}
	want := http.Header{}
	for _, f := range x.Request.Fields() {
		switch f.Key {
		case exchange.KeyHost, exchange.KeyContentLength, exchange.KeyExpect: // said anew
		case exchange.KeyTrailer: // net/http keeps it elsewhere
		default:
			want.Add(f.Name, f.Value)
		}
	}
	for _, name := range []string{"Content-Length", "Connection", "Upgrade", "Expect", "Trailer"} {
		req.Header.Del(name)
	}
	if len(want.Values("Pragma")) > 0 && len(want.Values("Cache-Control")) == 0 {
		req.Header.Del("Cache-Control") // net/http adds one
	}
	for name, values := range want {
		if !slices.Equal(values, req.Header[name]) {
			t.Errorf("%s: %q, want %q", name, req.Header[name], values)
		}
	}
	if len(want) != len(req.Header) {
		t.Errorf("fields %v, want %v", req.Header, want)
	}
}
