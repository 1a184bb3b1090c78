package wire

import (
	"bytes"
	"errors"
	"io"

	"yett/internal/exchange"
)

// Limits bounds what one message may be. Sizes are in bytes.
type Limits struct {
	FirstLine   int // request or status line, without CRLF
	Header      int // whole head, first line included, final empty line not
	HeaderCount int
	ChunkLine   int
	Trailer     int
}

// Reader reads messages from a byte stream. It owns a buffer only while
// there is something in it or while views of the current head are in use, so
// that an idle connection holds none.
type Reader struct {
	src  io.Reader
	pool *Buffers
	buf  *Buffer
	old  *Buffer // the head's buffer, after the body moved on to another
	r, w int     // buf.B[r:w] has been read from src and not been used
	head int     // where the current head starts in buf
	scan scanner
}

// Reset makes the Reader read from src, with buffers from pool.
func (d *Reader) Reset(src io.Reader, pool *Buffers) { *d = Reader{src: src, pool: pool} }

// Buffered returns how many bytes have been read from the stream and not used.
func (d *Reader) Buffered() int { return d.w - d.r }

// Unread returns those bytes. They are valid until the next call.
func (d *Reader) Unread() []byte {
	if d.buf == nil {
		return nil
	}
	return d.buf.B[d.r:d.w]
}

// Prime adds bytes that somebody else read from the stream already. b becomes
// the Reader's buffer, with n bytes of content. The Reader must be empty.
func (d *Reader) Prime(b *Buffer, n int) { d.buf, d.r, d.w = b, 0, n }

// Fill reads once from the stream, when nothing is buffered.
func (d *Reader) Fill() error { return d.fill() }

// fill reads once from the stream into free room behind what is there.
func (d *Reader) fill() error {
	if d.buf == nil {
		d.buf, d.r, d.w = d.pool.Get(SmallBuffer), 0, 0
	}
	n, err := d.src.Read(d.buf.B[d.w:])
	d.w += n
	if n > 0 {
		return nil
	}
	if err == nil {
		return io.ErrNoProgress
	}
	return err
}

// scanner finds the end of a head while its bytes arrive, without looking at
// any byte twice.
type scanner struct {
	pos   int // next byte to look at, relative to the head's start
	line  int // where the current line starts, relative to the head's start
	lines int // complete lines so far
}

// Why a head can't be taken, in terms that requests and answers translate to
// their own reasons.
var (
	errLineTooLong   = errors.New("first line is too long")
	errHeadTooLarge  = errors.New("header section is too large")
	errTooManyFields = errors.New("too many header fields")
	errBareLF        = errors.New("a line ends in LF without CR")
)

// IsHeadError tells whether an error of ReadHead is about the bytes that came,
// and not about the stream.
func IsHeadError(err error) bool {
	switch err {
	case errLineTooLong, errHeadTooLarge, errTooManyFields, errBareLF:
		return true
	}
	return false
}

// RequestReason says why a request's head can't be taken. It returns nil for
// an error of the stream.
func RequestReason(err error) *exchange.Reason {
	switch err {
	case errLineTooLong:
		return exchange.URITooLong
	case errHeadTooLarge, errTooManyFields:
		return exchange.HeaderTooLarge
	case errBareLF:
		return exchange.BadHeader
	}
	return nil
}

// ReadHead reads until the head of a message is complete and returns it, with
// its final empty line. The bytes are valid until Recycle or Detach. It
// returns io.EOF when the stream ends before the first byte, and
// io.ErrUnexpectedEOF when it ends within the head.
func (d *Reader) ReadHead(lim *Limits) ([]byte, error) {
	d.scan = scanner{}
	d.head = d.r
	started, blank := false, false
	for {
		started = started || d.start(&blank)
		if started {
			end, err := d.scan.next(d.buf.B[d.head:d.w], lim)
			if err != nil {
				return d.partial(), err
			}
			if end > 0 {
				d.r = d.head + end
				return d.buf.B[d.head:d.r], nil
			}
		}
		if err := d.room(lim); err != nil {
			return d.partial(), err
		}
		if err := d.fill(); err != nil {
			if err == io.EOF && d.w > d.head {
				err = io.ErrUnexpectedEOF
			}
			return d.partial(), err
		}
	}
}

// TryHead is ReadHead without reading: it returns nil when the head is not
// complete in the buffer, or has to be refused. Then nothing has been used,
// and ReadHead follows.
func (d *Reader) TryHead(lim *Limits) []byte {
	d.scan = scanner{}
	before, blank := d.r, false
	if d.start(&blank) {
		end, err := d.scan.next(d.buf.B[d.head:d.w], lim)
		if err == nil && end > 0 {
			d.r = d.head + end
			return d.buf.B[d.head:d.r]
		}
	}
	d.r = before
	return nil
}

// start tells whether the first line has begun. It passes over one CRLF
// before it, which some clients send after a body (RFC 9112 section 2.2), and
// notes that in blank.
func (d *Reader) start(blank *bool) bool {
	b := d.Unread()
	if len(b) == 0 || len(b) == 1 && b[0] == '\r' && !*blank {
		return false
	}
	if !*blank && b[0] == '\r' && b[1] == '\n' {
		d.r += 2
		*blank = true
	}
	d.head = d.r
	return d.head < d.w
}

// partial returns the head as far as it came, for the log.
func (d *Reader) partial() []byte {
	if d.buf == nil {
		return nil
	}
	return d.buf.B[d.head:d.w]
}

// room makes free space behind the head's bytes: by moving them to the front,
// or into a larger buffer. No views exist while a head is incomplete.
func (d *Reader) room(lim *Limits) error {
	if d.buf == nil || d.w < len(d.buf.B) {
		return nil
	}
	have := d.w - d.head
	size := len(d.buf.B)
	if have > size/2 {
		size = min(2*size, max(lim.Header+4, SmallBuffer))
		if size <= have {
			return errHeadTooLarge
		}
	}
	next := d.pool.Get(size)
	copy(next.B, d.buf.B[d.head:d.w])
	d.buf.Release()
	d.buf, d.head, d.r, d.w = next, 0, d.r-d.head, have
	return nil
}

// next looks at the bytes that are new. It returns the length of the head
// once it is complete, else 0.
func (s *scanner) next(b []byte, lim *Limits) (int, error) {
	for {
		i := bytes.IndexByte(b[s.pos:], '\n')
		if i < 0 {
			s.pos = len(b)
			return 0, s.partial(len(b)-s.line, len(b), lim)
		}
		end := s.pos + i
		if end == s.line || b[end-1] != '\r' {
			return 0, errBareLF
		}
		size := end - 1 - s.line
		s.pos = end + 1
		if size == 0 && s.lines > 0 {
			return s.pos, nil
		}
		if s.lines == 0 && size > lim.FirstLine {
			return 0, errLineTooLong
		}
		if s.pos > lim.Header { // the final empty line is not counted
			return 0, errHeadTooLarge
		}
		s.lines++
		if s.lines > lim.HeaderCount+1 {
			return 0, errTooManyFields
		}
		s.line = s.pos
	}
}

// partial refuses a line that is too long already, before it ends.
func (s *scanner) partial(line, head int, lim *Limits) error {
	if s.lines == 0 && line > lim.FirstLine+1 {
		return errLineTooLong
	}
	if head > lim.Header+2 {
		return errHeadTooLarge
	}
	return nil
}

// Take moves bytes that were read ahead into p.
func (d *Reader) Take(p []byte) int {
	n := copy(p, d.Unread())
	d.r += n
	return n
}

// Discard drops what was read ahead, and ends all views.
func (d *Reader) Discard() {
	d.r = d.w
	d.Recycle()
}

// Recycle ends all views of the current message: memory is given back, and
// bytes of the next message move to the front.
func (d *Reader) Recycle() {
	if d.old != nil {
		d.old.Release()
		d.old = nil
	}
	if d.buf == nil {
		return
	}
	if d.r == d.w {
		d.buf.Release()
		d.buf, d.r, d.w = nil, 0, 0
		return
	}
	if d.r > 0 {
		copy(d.buf.B, d.buf.B[d.r:d.w])
		d.r, d.w = 0, d.w-d.r
	}
}

// Detach gives the memory behind the current message's views to the exchange,
// which releases it, and leaves the Reader without a buffer. Bytes that were
// read and not used are lost: a connection that has some can't be reused.
func (d *Reader) Detach(x *exchange.Exchange) {
	if d.old != nil {
		x.Hold(d.old)
	}
	if d.buf != nil {
		x.Hold(d.buf)
	}
	d.old, d.buf, d.r, d.w = nil, nil, 0, 0
}

// moveOn gives the body a buffer of its own when the head's is nearly full,
// and makes free room otherwise. The head's bytes stay where they are.
func (d *Reader) moveOn(need int) {
	if d.buf == nil || len(d.buf.B)-d.r >= need {
		return
	}
	if d.old == nil {
		next := d.pool.Get(max(need, SmallBuffer))
		n := copy(next.B, d.buf.B[d.r:d.w])
		d.old, d.buf, d.r, d.w = d.buf, next, 0, n
		return
	}
	if len(d.buf.B) < need {
		next := d.pool.Get(need)
		n := copy(next.B, d.buf.B[d.r:d.w])
		d.buf.Release()
		d.buf, d.r, d.w = next, 0, n
		return
	}
	d.w = copy(d.buf.B, d.buf.B[d.r:d.w])
	d.r = 0
}
