package exchange

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
)

// source is a Source over a string that counts how it is closed.
type source struct {
	io.Reader
	closed      int
	interrupted bool
	ready       bool
	closeErr    error
}

func (s *source) Close() error {
	s.closed++
	return s.closeErr
}
func (s *source) Interrupt()  { s.interrupted = true }
func (s *source) Ready() bool { return s.ready }

func TestBodyWhole(t *testing.T) {
	var b Body
	if p, ok := b.Whole(); !b.Empty() || b.Streams() || b.Size() != 0 || !b.Ready() || !ok || len(p) != 0 {
		t.Error("the zero Body is not empty")
	}
	b.SetBytes([]byte("abc"))
	if p, ok := b.Whole(); b.Empty() || b.Streams() || b.Size() != 3 || !b.Ready() || !ok || string(p) != "abc" {
		t.Errorf("whole: %q, %v", p, ok)
	}
	p := make([]byte, 2)
	if n, err := b.Read(p); n != 2 || err != nil || string(p) != "ab" {
		t.Errorf("first read: %d, %v", n, err)
	}
	if n, err := b.Read(p); n != 1 || err != nil {
		t.Errorf("second read: %d, %v", n, err)
	}
	if n, err := b.Read(p); n != 0 || err != io.EOF || b.BytesRead() != 3 {
		t.Errorf("at the end: %d, %v, %d bytes read", n, err, b.BytesRead())
	}
	b.SetBytes([]byte("abc"))
	b.Interrupt()
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	if p, _ := b.Whole(); string(p) != "abc" {
		t.Errorf("Close takes a whole Body away: %q", p)
	}
}

func TestBodyStream(t *testing.T) {
	src := &source{Reader: strings.NewReader("abc")}
	var b Body
	b.SetSource(src, 3)
	if p, ok := b.Whole(); b.Empty() || !b.Streams() || b.Size() != 3 || ok || p != nil || b.Ready() {
		t.Error("a stream is taken for whole, empty or ready")
	}
	if src.ready = true; !b.Ready() {
		t.Error("Ready does not ask the Source")
	}
	got, err := io.ReadAll(&b)
	if string(got) != "abc" || err != nil || b.BytesRead() != 3 {
		t.Errorf("%q, %v, %d bytes read", got, err, b.BytesRead())
	}
	b.Interrupt()
	if !src.interrupted {
		t.Error("Interrupt does not reach the Source")
	}
	src.closeErr = errors.New("broken")
	if err := b.Close(); err != src.closeErr {
		t.Errorf("Close: %v", err)
	}
	if err := b.Close(); err != nil || src.closed != 1 {
		t.Errorf("second Close: %v, closed %d times", err, src.closed)
	}
	if n, err := b.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("after Close: %d, %v", n, err)
	}
	b.SetSource(struct{ Source }{src}, -1) // hides what is optional
	b.Interrupt()
	if b.Ready() || b.Size() != -1 {
		t.Error("a Source that can't tell is taken for ready")
	}
}

func TestBodyLimit(t *testing.T) {
	for _, tt := range []struct {
		limit int64
		want  error
	}{{0, nil}, {9, nil}, {8, ErrBodyTooLarge}, {1, ErrBodyTooLarge}} {
		var b Body
		b.SetSource(&source{Reader: strings.NewReader("123456789")}, -1)
		b.Limit(tt.limit)
		if _, err := io.ReadAll(&b); err != tt.want {
			t.Errorf("limit %d: %v, want %v", tt.limit, err, tt.want)
		}
		if n, err := b.Read(make([]byte, 1)); tt.want != nil && (n != 0 || err != tt.want) {
			t.Errorf("limit %d, reading on: %d, %v", tt.limit, n, err)
		}
	}
}

func TestBodyBuffer(t *testing.T) {
	broken := errors.New("broken")
	for _, tt := range []struct {
		name string
		src  io.Reader
		size int64
		max  int64
		want error
	}{
		{"known size", strings.NewReader("abc"), 3, 3, nil},
		{"unknown size", strings.NewReader("abc"), -1, 3, nil},
		{"announced too large", strings.NewReader("abc"), 4, 3, ErrBodyTooLarge},
		{"too large", strings.NewReader("abcd"), -1, 3, ErrBodyTooLarge},
		{"empty", strings.NewReader(""), -1, 0, nil},
		{"broken", io.MultiReader(strings.NewReader("ab"), errReader{broken}), -1, 3, broken},
	} {
		src := &source{Reader: tt.src}
		var b Body
		b.SetSource(src, tt.size)
		p, err := b.Buffer(tt.max)
		if err != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
			continue
		}
		if err != nil {
			continue
		}
		whole, ok := b.Whole()
		if !ok || !bytes.Equal(whole, p) || b.Size() != int64(len(p)) || src.closed != 1 {
			t.Errorf("%s: %q, then whole %v %q, size %d, closed %d times", tt.name, p, ok, whole, b.Size(), src.closed)
		}
		if again, err := io.ReadAll(&b); err != nil || !bytes.Equal(again, p) {
			t.Errorf("%s: read again as %q, %v", tt.name, again, err)
		}
	}
	var b Body
	b.SetBytes([]byte("abc"))
	if p, err := b.Buffer(3); string(p) != "abc" || err != nil {
		t.Errorf("whole: %q, %v", p, err)
	}
	if _, err := b.Buffer(2); err != ErrBodyTooLarge {
		t.Errorf("whole and too large: %v", err)
	}
}

type errReader struct{ err error }

func (r errReader) Read([]byte) (int, error) { return 0, r.err }
