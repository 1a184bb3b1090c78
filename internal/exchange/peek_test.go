package exchange

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"weak"
)

var errBroken = errors.New("broken")

// gatherer is a source that can be gathered, or fails to.
type gatherer struct {
	source
	whole []byte
	ok    bool
	err   error
}

func (g *gatherer) Gather() ([]byte, bool, error) { return g.whole, g.ok, g.err }

// oneError is a Source that says once why it ended: afterwards it says something else.
type oneError struct {
	source
	err error
}

func (o *oneError) Read(p []byte) (int, error) {
	n, err := o.source.Read(p)
	if err == io.EOF {
		err, o.err = o.err, errors.New("said already")
	}
	return n, err
}

// ways are how the same bytes may come.
var ways = map[string]func(io.Reader) io.Reader{
	"at once":       func(r io.Reader) io.Reader { return r },
	"byte by byte":  iotest.OneByteReader,
	"half":          iotest.HalfReader,
	"end with data": iotest.DataErrReader,
	"nothing first": func(r io.Reader) io.Reader { return &stutter{r: r} },
}

// stutter returns nothing every other time, as io.Reader may.
type stutter struct {
	r   io.Reader
	odd bool
}

func (s *stutter) Read(p []byte) (int, error) {
	if s.odd = !s.odd; s.odd {
		return 0, nil
	}
	return s.r.Read(p)
}

// Whatever the Source does and whoever peeks how often, those who read get each byte once and
// in order, and then the end that the Source gave.
func TestPeekChangesNothing(t *testing.T) {
	content := make([]byte, 3000)
	for i := range content {
		content[i] = byte(rand.N(256))
	}
	for name, way := range ways {
		for _, n := range []int{0, 1, 511, 512, 513, 3000} {
			for _, known := range []bool{true, false} {
				for _, max := range []int64{0, 1, 512, 2999, 3000, math.MaxInt64} {
					for _, end := range []error{nil, errBroken} {
						t.Run(fmt.Sprintf("%s, %d bytes, known %v, at most %d, %v", name, n, known, max, end), func(t *testing.T) {
							peekOnce(t, way(bytes.NewReader(content[:n])), content[:n], known, max, end)
						})
					}
				}
			}
		}
	}
}

func peekOnce(t *testing.T, r io.Reader, want []byte, known bool, max int64, end error) {
	t.Helper()
	src := &oneError{source: source{Reader: r}, err: end}
	if end == nil {
		src.err = io.EOF
	}
	size := int64(-1)
	if known {
		size = int64(len(want))
	}
	var b Body
	b.SetSource(src, size)
	fits := int64(len(want)) <= max
	for range 2 {
		content, whole, err := b.Peek(max)
		if whole != (fits && end == nil) || whole && !bytes.Equal(content, want) || !whole && content != nil {
			t.Fatalf("whole %v with %d bytes", whole, len(content))
		}
		if read := fits && !(known && int64(len(want)) > max); end != nil && read && err != end || end == nil && err != nil {
			t.Fatalf("error %v", err)
		}
		if b.Streams() && b.BytesRead() != 0 {
			t.Fatalf("%d bytes count as read", b.BytesRead())
		}
		if whole && b.Streams() == known {
			t.Fatalf("streams: %v", b.Streams())
		}
		if whole && b.Received() < int64(len(want)) {
			t.Fatalf("%d bytes received, not %d", b.Received(), len(want))
		}
	}
	if b.Size() != size {
		t.Errorf("the size is %d, not %d", b.Size(), size)
	}
	got, err := io.ReadAll(iotest.OneByteReader(&b))
	if !bytes.Equal(got, want) || err != end {
		t.Errorf("%d bytes read, want %d; %v, want %v", len(got), len(want), err, end)
	}
	for range 2 {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
	if src.closed != 1 {
		t.Errorf("closed %d times", src.closed)
	}
}

func TestPeekWhole(t *testing.T) {
	var b Body
	if p, whole, err := b.Peek(0); len(p) > 0 || !whole || err != nil {
		t.Errorf("nothing: %q, %v, %v", p, whole, err)
	}
	b.SetBytes([]byte("abc"))
	if p, whole, err := b.Peek(3); string(p) != "abc" || !whole || err != nil {
		t.Errorf("whole: %q, %v, %v", p, whole, err)
	}
	if p, whole, err := b.Peek(2); p != nil || whole || err != nil {
		t.Errorf("whole and too large: %q, %v, %v", p, whole, err)
	}
	if p, _ := b.Whole(); string(p) != "abc" {
		t.Errorf("it is %q afterwards", p)
	}
}

// A Source that can make a body whole does that; one that fails may not be able to say why
// again, so that is kept, and a second Gather finds it before anything is sent.
func TestPeekGathers(t *testing.T) {
	g := &gatherer{source: source{Reader: strings.NewReader("unread")}, whole: []byte("abc"), ok: true}
	var b Body
	b.SetSource(g, 3)
	if p, whole, err := b.Peek(3); string(p) != "abc" || !whole || err != nil || b.Streams() || b.BytesRead() != 3 {
		t.Errorf("%q, %v, %v, streams %v, %d bytes read", p, whole, err, b.Streams(), b.BytesRead())
	}
	g = &gatherer{source: source{Reader: strings.NewReader("abc")}, err: errBroken}
	b.SetSource(g, 3)
	_, whole, err := b.Peek(3)
	g.err = nil
	if again := b.Gather(); whole || err != errBroken || again != errBroken || !b.Ready() {
		t.Errorf("whole %v, %v, then %v", whole, err, again)
	}
	if n, err := b.Read(make([]byte, 1)); n != 0 || err != errBroken {
		t.Errorf("read %d, %v", n, err)
	}
	g = &gatherer{source: source{Reader: strings.NewReader("abcd")}}
	b.SetSource(g, 4)
	if _, whole, err := b.Peek(3); whole || err != nil || b.Received() != 0 {
		t.Errorf("a body that says it is too large: whole %v, %v, %d bytes received", whole, err, b.Received())
	}
	b.SetSource(&source{Reader: io.MultiReader(strings.NewReader("ab"), errReader{errBroken})}, -1)
	if _, _, err := b.Peek(3); err != errBroken || b.Gather() != errBroken {
		t.Errorf("a body that broke off while it was read: %v", err)
	}
}

func TestPeekLimit(t *testing.T) {
	for _, limit := range []int64{5, 6, 7} {
		var b Body
		b.SetSource(&source{Reader: iotest.OneByteReader(strings.NewReader("abcdef"))}, -1)
		if _, whole, err := b.Peek(3); whole || err != nil {
			t.Fatalf("whole %v, %v", whole, err)
		}
		b.Limit(limit) // counts from the beginning
		_, err := io.ReadAll(&b)
		if want := map[bool]error{true: ErrBodyTooLarge}[limit < 6]; err != want {
			t.Errorf("limit %d: %v, want %v", limit, err, want)
		}
	}
	var b Body
	b.SetSource(&source{Reader: strings.NewReader("abcdef")}, -1)
	b.Limit(4)
	if _, whole, err := b.Peek(10); whole || err != ErrBodyTooLarge {
		t.Errorf("limited before: whole %v, %v", whole, err)
	}
	if _, err := io.ReadAll(&b); err != ErrBodyTooLarge {
		t.Errorf("limited before, then read: %v", err)
	}
}

// Interrupt keeps what was read in advance from being read, as it does what was not.
func TestPeekInterrupt(t *testing.T) {
	src := &source{Reader: io.MultiReader(strings.NewReader("abcdef"), errReader{errBroken})}
	var b Body
	b.SetSource(src, -1)
	if _, whole, _ := b.Peek(3); whole || !b.Ready() || b.Received() != 4 {
		t.Fatalf("whole %v, ready %v, %d received", whole, b.Ready(), b.Received())
	}
	b.Interrupt()
	got, err := io.ReadAll(&b)
	if !src.interrupted || string(got) != "ef" || err != errBroken {
		t.Errorf("%q, %v: the Source does not decide", got, err)
	}
	b.SetSource(struct{ Source }{&source{Reader: strings.NewReader("abcdef")}}, -1)
	_, _, _ = b.Peek(3)
	b.Interrupt() // which this one can't
	if got, err := io.ReadAll(&b); string(got) != "abcdef" || err != nil || b.Ready() {
		t.Errorf("%q, %v", got, err)
	}
}

func TestPeekReady(t *testing.T) {
	src := &source{Reader: strings.NewReader("abcdef")}
	var b Body
	b.SetSource(src, -1)
	_, _, _ = b.Peek(3)
	if _, err := io.ReadFull(&b, make([]byte, 4)); err != nil || b.Ready() {
		t.Errorf("ready once the head is gone: %v", err)
	}
	if src.ready = true; !b.Ready() {
		t.Error("Ready does not ask the Source")
	}
}

// An upload that lasts does not hold on to its beginning.
func TestPeekLetsGo(t *testing.T) {
	src := &source{Reader: io.MultiReader(bytes.NewReader(make([]byte, 1<<20+1)), strings.NewReader("rest"))}
	var b Body
	b.SetSource(src, -1)
	_, _, _ = b.Peek(1 << 20)
	head := weak.Make(&b.src.(*rejoined).head[0])
	if n, err := io.CopyN(io.Discard, &b, 1<<20+1); n != 1<<20+1 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	runtime.GC()
	if head.Value() != nil {
		t.Error("the beginning is still there")
	}
	if rest, err := io.ReadAll(&b); string(rest) != "rest" || err != nil {
		t.Errorf("%q, %v", rest, err)
	}
}

func FuzzPeek(f *testing.F) {
	f.Add([]byte("abcdef"), uint8(3), uint8(2), uint8(4), true)
	f.Fuzz(func(t *testing.T, content []byte, first, second, step uint8, fails bool) {
		end := map[bool]error{true: errBroken}[fails]
		r := io.Reader(bytes.NewReader(content))
		if fails {
			r = io.MultiReader(r, errReader{errBroken})
		}
		var b Body
		b.SetSource(&source{Reader: r}, -1)
		_, _, _ = b.Peek(int64(first))
		head := make([]byte, step)
		n, err := b.Read(head)
		got := slices.Clone(head[:n])
		if err == nil {
			_, _, _ = b.Peek(int64(second))
			var rest []byte
			rest, err = io.ReadAll(&b)
			got = append(got, rest...)
		}
		if !bytes.Equal(got, content) || err != end && err != io.EOF {
			t.Errorf("%q, %v, want %q, %v", got, err, content, end)
		}
	})
}
