package wire

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"yett/internal/exchange"
)

// headOf returns a request head of exactly n bytes, its final empty line not
// counted, in fields of moderate size.
func headOf(t *testing.T, n int) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("GET / HTTP/1.1\r\nHost: h\r\n")
	for b.Len() < n {
		left := n - b.Len()
		if left > 600 {
			left = 500
		}
		if left < 5 {
			t.Fatalf("a head of %d bytes can't be made", n)
		}
		b.WriteString("A: " + strings.Repeat("v", left-5) + "\r\n")
	}
	return b.String() + "\r\n"
}

func TestHeaderLimit(t *testing.T) {
	for _, limit := range []int{256, 3000, SmallBuffer - 3, SmallBuffer - 2, SmallBuffer, SmallBuffer + 1, 2 * SmallBuffer, LargeBuffer, LargeBuffer + 1} {
		lim := &Limits{FirstLine: 1000, Header: limit, HeaderCount: 1000}
		for name, arrive := range arrivals() {
			if p := parseFrom(arrive(headOf(t, limit)), lim); p.reason != nil || p.err != nil {
				t.Errorf("%d bytes at a limit of %d, %s: %v", limit, limit, name, p)
			}
			for _, over := range []int{1, 2, 3, 4} {
				if p := parseFrom(arrive(headOf(t, limit+over)), lim); p.reason != exchange.HeaderTooLarge {
					t.Errorf("%d bytes at a limit of %d, %s: %v", limit+over, limit, name, p)
				}
			}
		}
	}
}

func TestHeaderLimitWithoutEnd(t *testing.T) {
	lim := &Limits{FirstLine: 1000, Header: 3000, HeaderCount: 1000}
	for _, tt := range []struct {
		name, start, piece string
		want               *exchange.Reason
	}{
		{"a value", "GET / HTTP/1.1\r\nA: ", "v", exchange.HeaderTooLarge},
		{"a name", "GET / HTTP/1.1\r\n", "n", exchange.HeaderTooLarge},
		{"fields", "GET / HTTP/1.1\r\n", "A: b\r\n", exchange.HeaderTooLarge},
		{"a target", "GET /", "a", exchange.URITooLong},
		{"a method", "", "M", exchange.URITooLong},
		{"CR", "", "\r", exchange.URITooLong},
		{"NUL", "", "\x00", exchange.URITooLong},
	} {
		for _, arrive := range []func(io.Reader) io.Reader{func(r io.Reader) io.Reader { return r }, iotest.OneByteReader} {
			endless := &repeat{piece: tt.piece}
			p := parseFrom(arrive(io.MultiReader(strings.NewReader(tt.start), endless)), lim)
			if p.reason != tt.want || endless.n > 2*SmallBuffer {
				t.Errorf("endless %s: %v after %d bytes, want %v", tt.name, p, endless.n, tt.want)
			}
		}
	}
}

// repeat is a stream that never ends. It counts what was read, so that a test
// sees how much of it was taken.
type repeat struct {
	piece string
	at, n int
}

func (r *repeat) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = r.piece[r.at]
		r.at = (r.at + 1) % len(r.piece)
	}
	r.n += len(p)
	return len(p), nil
}

func TestFirstLineLimit(t *testing.T) {
	lim := testLimits()
	for _, over := range []int{0, 1, 2, 3} {
		line := "GET /" + strings.Repeat("a", lim.FirstLine+over-len("GET / HTTP/1.1")) + " HTTP/1.1"
		for name, arrive := range arrivals() {
			p := parseFrom(arrive(line+"\r\nHost: h\r\n\r\n"), lim)
			if over == 0 && p.reason != nil || over > 0 && p.reason != exchange.URITooLong {
				t.Errorf("%d bytes, %s: %v", len(line), name, p)
			}
		}
	}
}

// TestFieldsSurviveGrowth has a head move into larger buffers on its way.
func TestFieldsSurviveGrowth(t *testing.T) {
	lim := &Limits{FirstLine: 1000, Header: 2 * LargeBuffer, HeaderCount: 1000}
	for _, size := range []int{SmallBuffer - 1, SmallBuffer, SmallBuffer + 1, 20_000, LargeBuffer - 1, LargeBuffer + 1, LargeBuffer + 9000} {
		head := headOf(t, size)
		for name, arrive := range arrivals() {
			p := parseFrom(arrive(head+"next"), lim)
			if p.reason != nil || p.err != nil {
				t.Fatalf("%d bytes, %s: %v", size, name, p)
			}
			var b strings.Builder
			b.WriteString("GET / HTTP/1.1\r\n")
			for _, f := range p.x.Request.Fields() {
				b.Write(AppendField(nil, f.Name, f.Value))
			}
			if b.String()+"\r\n" != head {
				t.Errorf("%d bytes, %s: the fields are not what was sent", size, name)
			}
			if got := p.rest(); got != "next" {
				t.Errorf("%d bytes, %s: %q follows", size, name, got)
			}
		}
	}
}

func TestPipelining(t *testing.T) {
	const heads = 200
	var in strings.Builder
	for i := range heads {
		fmt.Fprintf(&in, "POST /%d HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s", i, i, strings.Repeat("b", i))
	}
	for name, arrive := range arrivals() {
		var d Reader
		d.Reset(arrive(in.String()), new(Buffers))
		var pool exchange.Pool
		lim := testLimits()
		for i := range heads {
			x := pool.Get()
			head, err := d.ReadHead(lim)
			if err != nil {
				t.Fatalf("%s, request %d: %v", name, i, err)
			}
			m, reason := ParseRequest(head, x, lim)
			var b Body
			b.Init(&d, m, &x.RequestTrailer, lim)
			content, err := io.ReadAll(&b)
			if want := fmt.Sprintf("/%d", i); reason != nil || err != nil || x.RawPath != want || len(content) != i || !b.Done() {
				t.Fatalf("%s, request %d: path %q, %d bytes, done %v, %v, %v", name, i, x.RawPath, len(content), b.Done(), reason, err)
			}
			pool.Put(x)
			d.Recycle()
		}
		if _, err := d.ReadHead(lim); err != io.EOF {
			t.Errorf("%s: after the last request: %v, want EOF", name, err)
		}
	}
}

func TestRecycleGivesTheBufferBack(t *testing.T) {
	p := parseFrom(strings.NewReader("GET / HTTP/1.1\r\nHost: h\r\n\r\nPOST"), testLimits())
	if got := string(p.d.Unread()); got != "POST" {
		t.Fatalf("unread: %q", got)
	}
	p.d.Recycle()
	if got := string(p.d.Unread()); got != "POST" || p.d.r != 0 {
		t.Errorf("after Recycle: %q at %d, want POST at the front", got, p.d.r)
	}
	if n := p.d.Take(make([]byte, 2)); n != 2 || p.d.Buffered() != 2 {
		t.Errorf("Take took %d, %d are left", n, p.d.Buffered())
	}
	p.d.Take(make([]byte, 9))
	p.d.Recycle()
	if p.d.buf != nil {
		t.Error("an empty Reader keeps its buffer")
	}
	p.d.Recycle() // of an empty Reader does nothing
}

// TestDetachKeepsViews lets an exchange outlive its Reader's buffer.
func TestDetachKeepsViews(t *testing.T) {
	var pool exchange.Pool
	x := pool.Get()
	var d Reader
	lim := testLimits()
	buffers := new(Buffers)
	d.Reset(strings.NewReader("HTTP/1.1 200 OK\r\nA: value\r\nContent-Length: 0\r\n\r\n"), buffers)
	head, err := d.ReadHead(lim)
	if err != nil {
		t.Fatal(err)
	}
	ParseResponse(head, "GET", &x.Response, lim)
	d.Detach(x)
	if d.Buffered() != 0 || d.Unread() != nil {
		t.Error("the Reader still holds bytes")
	}
	other := buffers.Get(SmallBuffer) // the detached buffer must not be handed out again
	for i := range other.B {
		other.B[i] = 'x'
	}
	if got := x.Response.Get("A"); got != "value" {
		t.Errorf("A is %q after Detach", got)
	}
	pool.Put(x)
	d.Detach(pool.Get()) // of an empty Reader does nothing
}

func TestPrimeAndFill(t *testing.T) {
	buffers := new(Buffers)
	var d Reader
	d.Reset(strings.NewReader("TP/1.1\r\nHost: h\r\n\r\n"), buffers)
	b := buffers.Get(SmallBuffer)
	d.Prime(b, copy(b.B, "GET / HT"))
	var pool exchange.Pool
	x := pool.Get()
	head, err := d.ReadHead(testLimits())
	if err != nil {
		t.Fatal(err)
	}
	if _, reason := ParseRequest(head, x, testLimits()); reason != nil || x.Host != "h" {
		t.Errorf("%v, host %q", reason, x.Host)
	}
	d.Reset(strings.NewReader("ab"), buffers)
	if err := d.Fill(); err != nil || string(d.Unread()) != "ab" {
		t.Errorf("Fill: %v, %q", err, d.Unread())
	}
	d.Reset(strings.NewReader(""), buffers)
	if err := d.Fill(); err != io.EOF {
		t.Errorf("Fill at the end: %v", err)
	}
}

// TestTryHead checks that a try which does not succeed leaves everything to
// ReadHead, empty lines included.
func TestTryHead(t *testing.T) {
	const good = "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
	for _, tt := range []struct {
		first, then string
		head, want  string
	}{
		{good, "", good, "GET / HTTP/1.1 host=h"},
		{"\r\n" + good + "next", "", good, "GET / HTTP/1.1 host=h"},
		{"", good, "", "GET / HTTP/1.1 host=h"},
		{"\r", "\n" + good, "", "GET / HTTP/1.1 host=h"},
		{"\r\n", good, "", "GET / HTTP/1.1 host=h"},
		{"\r\n", "\r\n" + good, "", "bad_request_line"},
		{"\r\nGET /", " HTTP/1.1\r\nHost: h\r\n\r\n", "", "GET / HTTP/1.1 host=h"},
		{good[:len(good)-1], "\n", "", "GET / HTTP/1.1 host=h"},
		{"GET / HTTP/1.1\nHost: h\r\n\r\n", "", "", "bad_header"},
		{"GET /" + strings.Repeat("a", 2000) + " HTTP/1.1\r\n\r\n", "", "", "uri_too_long"},
	} {
		var pool exchange.Pool
		p := parsed{x: pool.Get(), d: new(Reader)}
		buffers := new(Buffers)
		p.d.Reset(strings.NewReader(tt.then), buffers)
		if tt.first != "" {
			b := buffers.Get(SmallBuffer)
			p.d.Prime(b, copy(b.B, tt.first))
		}
		head := p.d.TryHead(testLimits())
		if string(head) != tt.head {
			t.Errorf("%q: TryHead gives %q, want %q", tt.first, head, tt.head)
		}
		if head == nil {
			if got := string(p.d.Unread()); got != tt.first {
				t.Errorf("%q: only %q is left", tt.first, got)
			}
			if head, p.err = p.d.ReadHead(testLimits()); p.err != nil {
				p.reason = RequestReason(p.err)
			}
		}
		if p.err == nil {
			p.m, p.reason = ParseRequest(head, p.x, testLimits())
		}
		if p.String() != tt.want {
			t.Errorf("%q then %q: %v, want %s", tt.first, tt.then, p, tt.want)
		}
	}
}

func TestDiscard(t *testing.T) {
	p := parseFrom(strings.NewReader("GET / HTTP/1.1\r\nHost: h\r\n\r\nmore"), testLimits())
	p.d.Discard()
	if p.d.Buffered() != 0 || p.d.buf != nil {
		t.Errorf("%d bytes are left", p.d.Buffered())
	}
}

func TestReaderPassesErrorsOn(t *testing.T) {
	broken := errors.New("broken")
	for _, in := range []string{"", "GET / HT"} {
		p := parseFrom(io.MultiReader(strings.NewReader(in), iotest.ErrReader(broken)), testLimits())
		if p.err != broken || p.reason != nil {
			t.Errorf("behind %q: %v, %v", in, p.err, p.reason)
		}
	}
	for _, err := range []error{errLineTooLong, errHeadTooLarge, errTooManyFields, errBareLF} {
		if !IsHeadError(err) || RequestReason(err) == nil {
			t.Errorf("%v: IsHeadError %v, RequestReason %v", err, IsHeadError(err), RequestReason(err))
		}
	}
	if IsHeadError(io.EOF) || RequestReason(io.EOF) != nil {
		t.Error("io.EOF is no fault of a head")
	}
}

func TestBuffers(t *testing.T) {
	var p Buffers
	for n, want := range map[int]int{
		0: SmallBuffer, 1: SmallBuffer, SmallBuffer: SmallBuffer, SmallBuffer + 1: LargeBuffer,
		LargeBuffer: LargeBuffer, LargeBuffer + 1: HugeBuffer, HugeBuffer: HugeBuffer, HugeBuffer + 1: HugeBuffer + 1,
	} {
		b := p.Get(n)
		if len(b.B) != want {
			t.Errorf("Get(%d) has %d bytes, want %d", n, len(b.B), want)
		}
		b.Release()
	}
}

// A stream's buffer follows its pieces, up and down.
func TestFit(t *testing.T) {
	var p Buffers
	b := p.Get(SmallBuffer)
	for i, step := range []struct{ piece, want int }{
		{100, SmallBuffer}, {SmallBuffer - ChunkHeadRoom - 2, LargeBuffer}, {10 << 10, LargeBuffer},
		{LargeBuffer - ChunkHeadRoom - 2, HugeBuffer}, {HugeBuffer - ChunkHeadRoom - 2, HugeBuffer}, {LargeBuffer / 2, HugeBuffer},
		{LargeBuffer/2 - 1, LargeBuffer}, {10, SmallBuffer},
	} {
		if b = p.Fit(b, step.piece); len(b.B) != step.want {
			t.Errorf("step %d: %d bytes after a piece of %d, want %d", i, len(b.B), step.piece, step.want)
		}
	}
	b.Release()
}
