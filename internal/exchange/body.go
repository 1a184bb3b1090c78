package exchange

import (
	"errors"
	"io"
	"slices"
	"sync/atomic"
)

// ErrBodyTooLarge is what a body's reader gets once more than the allowed
// number of bytes has come.
var ErrBodyTooLarge = errors.New("body is larger than allowed")

// Source is where the bytes of a streamed body come from: a client
// connection, an upstream connection, or an engine of the standard library.
type Source interface {
	// Read fills p with the next decoded bytes. It returns io.EOF only at the
	// proper end of the body; a body that was cut short is another error.
	Read(p []byte) (int, error)
	// Close says that nobody will read on. It is called once.
	Close() error
}

// Gatherer is a Source that can make a small body whole, in memory that is
// valid until Release. ok is false when it would rather stream.
type Gatherer interface {
	Gather() (whole []byte, ok bool, err error)
}

// Body is the content of a message. The zero Body is empty.
//
// A Body either is whole in memory (Whole), or streams from a Source. It is
// read once; nothing in the gateway buffers a body without a bound.
type Body struct {
	whole []byte
	src   Source
	size  int64
	limit int64
	read  int64
}

// SetBytes makes the Body whole. b has to stay valid until Release.
func (b *Body) SetBytes(p []byte) {
	*b = Body{whole: p, size: int64(len(p))}
}

// SetSource makes the Body a stream. size is its length in bytes, or -1 when
// it isn't known in advance.
func (b *Body) SetSource(src Source, size int64) {
	*b = Body{src: src, size: size}
}

// Size returns the length in bytes as announced, -1 when it isn't known.
func (b *Body) Size() int64 { return b.size }

// Empty tells whether it is certain that no byte will come.
func (b *Body) Empty() bool { return b.src == nil && len(b.whole) == 0 }

// Streams tells whether the bytes come from a Source.
func (b *Body) Streams() bool { return b.src != nil }

// Whole returns the content when all of it is in memory already.
func (b *Body) Whole() ([]byte, bool) { return b.whole, b.src == nil }

// Gather makes a small body whole where its Source can do that.
func (b *Body) Gather() error {
	g, can := b.src.(Gatherer)
	if !can || b.limit > 0 && b.size > b.limit {
		return nil
	}
	whole, ok, err := g.Gather()
	if err != nil || !ok {
		return err
	}
	b.whole, b.src, b.size, b.read = whole, nil, int64(len(whole)), int64(len(whole))
	return nil
}

// Ready tells whether Read would return at once.
func (b *Body) Ready() bool {
	if b.src == nil {
		return true
	}
	r, ok := b.src.(interface{ Ready() bool })
	return ok && r.Ready()
}

// Limit makes Read fail with ErrBodyTooLarge after max bytes. 0 is no limit.
func (b *Body) Limit(max int64) { b.limit = max }

// BytesRead returns how many bytes have been read from the Body.
func (b *Body) BytesRead() int64 { return b.read }

// Received returns how many bytes have come from the Source: those that were read, and those
// that Peek holds for whoever reads on.
func (b *Body) Received() int64 {
	n := b.read
	for src := b.src; ; {
		r, ok := src.(*rejoined)
		if !ok {
			return n
		}
		n += int64(len(r.head))
		src = r.Source
	}
}

// Read reads the next bytes, io.EOF at the proper end.
func (b *Body) Read(p []byte) (int, error) {
	if b.src == nil {
		if len(b.whole) == 0 {
			return 0, io.EOF
		}
		n := copy(p, b.whole)
		b.whole = b.whole[n:]
		b.read += int64(n)
		return n, nil
	}
	n, err := b.src.Read(p)
	b.read += int64(n)
	if b.limit > 0 && b.read > b.limit {
		return 0, ErrBodyTooLarge
	}
	return n, err
}

// Buffer reads the rest of the Body into memory, at most max bytes, and makes
// it whole, so that a policy can look at it and it still goes upstream.
func (b *Body) Buffer(max int64) ([]byte, error) {
	if b.src == nil {
		if int64(len(b.whole)) > max {
			return nil, ErrBodyTooLarge
		}
		return b.whole, nil
	}
	if b.size > max {
		return nil, ErrBodyTooLarge
	}
	p, err := io.ReadAll(io.LimitReader(b, max+1))
	if err != nil {
		return nil, err
	}
	if int64(len(p)) > max {
		return nil, ErrBodyTooLarge
	}
	err = b.Close()
	b.whole, b.size = p, int64(len(p))
	return p, err
}

// Peek returns the content for somebody who only looks at it, when it has no more than max
// bytes. Whoever reads the Body afterwards gets every byte all the same, and the error that
// Peek returns. A body of unknown length stays a stream, as trailers may follow it; one of
// known length is whole afterwards. The content is valid until Release.
func (b *Body) Peek(max int64) (content []byte, whole bool, err error) {
	if b.src != nil && b.size <= max {
		err = b.Gather()
	}
	switch {
	case b.src == nil && int64(len(b.whole)) <= max:
		return b.whole, true, nil
	case b.src == nil || b.size > max:
		return nil, false, nil
	case err != nil:
		b.keep(err)
		return nil, false, err
	}
	before := b.read
	p, err := b.ahead(max)
	whole = err == io.EOF && int64(len(p)) <= max
	if whole && b.size >= 0 {
		_ = b.Close() // all of it is here
		b.whole, b.size = p, int64(len(p))
		return p, true, nil
	}
	b.read = before
	b.src = &rejoined{head: p, err: err, Source: b.src}
	switch {
	case whole:
		return p, true, nil
	case err == io.EOF:
		err = nil
	}
	return nil, false, err
}

// ahead reads until there are more than max bytes, or an error, which may be io.EOF.
func (b *Body) ahead(max int64) (p []byte, err error) {
	p = make([]byte, 0, 512)
	for int64(len(p)) <= max && err == nil {
		if len(p) == cap(p) {
			p = slices.Grow(p, len(p))
		}
		end := int64(cap(p))
		if max < end {
			end = max + 1
		}
		var n int
		n, err = b.Read(p[len(p):end])
		p = p[:len(p)+n]
	}
	return p, err
}

// keep keeps an error of Gather for whoever reads: a Source need not say it twice.
func (b *Body) keep(err error) {
	if _, kept := b.src.(*rejoined); !kept {
		b.src = &rejoined{err: err, Source: b.src}
	}
}

// rejoined is a Source of which something was read in advance.
type rejoined struct {
	head    []byte
	err     error // what came behind it, nil while there is more
	stopped atomic.Bool
	Source
}

// Read implements Source.
func (r *rejoined) Read(p []byte) (int, error) {
	switch {
	case r.stopped.Load():
		return r.Source.Read(p)
	case len(r.head) > 0:
		n := copy(p, r.head)
		if r.head = r.head[n:]; len(r.head) == 0 {
			r.head = nil // what follows may take long
		}
		return n, nil
	case r.err != nil:
		return 0, r.err
	}
	return r.Source.Read(p)
}

// Gather implements Gatherer, for what is known of a body that broke off: nobody has to see
// the beginning of it.
func (r *rejoined) Gather() ([]byte, bool, error) {
	if r.err == io.EOF {
		return nil, false, nil
	}
	return nil, false, r.err
}

// Ready passes Body.Ready on.
func (r *rejoined) Ready() bool {
	if len(r.head) > 0 || r.err != nil {
		return true
	}
	s, ok := r.Source.(interface{ Ready() bool })
	return ok && s.Ready()
}

// Interrupt passes Body.Interrupt on.
func (r *rejoined) Interrupt() {
	if i, ok := r.Source.(interface{ Interrupt() }); ok {
		r.stopped.Store(true)
		i.Interrupt()
	}
}

// Interrupt ends a Read that blocks in another goroutine, where the Source can
// do that. Nothing can be read afterwards.
func (b *Body) Interrupt() {
	if i, ok := b.src.(interface{ Interrupt() }); ok {
		i.Interrupt()
	}
}

// Close tells the Source that nobody reads on. It may be called more often
// than once. A whole Body stays as it is.
func (b *Body) Close() error {
	if b.src == nil {
		return nil
	}
	src := b.src
	b.src = nil
	return src.Close()
}

// BodyReason is why a request whose body can't be read is refused.
func BodyReason(err error) *Reason {
	var r *Reason
	switch {
	case errors.As(err, &r):
		return r
	case errors.Is(err, ErrBodyTooLarge):
		return BodyTooLarge
	}
	return TruncatedBody
}
