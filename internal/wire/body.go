package wire

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"yett/internal/exchange"
)

// ErrChunk is a chunked body that breaks RFC 9112 section 7.1.
var ErrChunk = errors.New("malformed chunked body")

// ErrTrailerTooLarge is a trailer section beyond the limit.
var ErrTrailerTooLarge = errors.New("trailer section is too large")

// Body decodes the content of one message from a Reader.
type Body struct {
	d       *Reader
	trailer *exchange.Header
	lim     *Limits
	framing Framing
	left    int64 // of the content (ByLength) or of the chunk (ByChunks), in bytes
	state   chunkState
	done    bool
	err     error
}

type chunkState uint8

const (
	chunkSize chunkState = iota // a size line comes next
	chunkData                   // left bytes of data come next
	chunkEnd                    // the CRLF after the data comes next
	chunkTrailer
)

// Init prepares the Body for a message whose head has just been read. Trailer
// fields go to trailer.
func (b *Body) Init(d *Reader, m Message, trailer *exchange.Header, lim *Limits) {
	*b = Body{d: d, trailer: trailer, lim: lim, framing: m.Framing, left: m.Length}
	if m.Framing == ByChunks {
		b.left = 0
	}
	b.done = m.Framing == NoBody
}

// Done tells whether the message has been read to its proper end, so that the
// connection's next byte belongs to another one.
func (b *Body) Done() bool { return b.done }

// Read fills p with content. It returns io.EOF at the proper end only.
func (b *Body) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	n, err := b.read(p)
	if err != nil {
		b.err = err
		b.done = err == io.EOF
	}
	if n > 0 {
		return n, nil
	}
	return n, err
}

func (b *Body) read(p []byte) (int, error) {
	switch b.framing {
	case NoBody:
		return 0, io.EOF
	case ByLength:
		return b.readLength(p)
	case ByChunks:
		return b.readChunks(p)
	default:
		return b.raw(p)
	}
}

func (b *Body) readLength(p []byte) (int, error) {
	if b.left == 0 {
		return 0, io.EOF
	}
	n, err := b.raw(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	if b.left == 0 {
		b.done = true
		return n, nil // the end of the stream may come along with the last byte: TLS does that
	}
	return n, unexpected(err)
}

// raw takes what is buffered, else reads from the stream right into p.
func (b *Body) raw(p []byte) (int, error) {
	d := b.d
	if d.r < d.w {
		n := copy(p, d.buf.B[d.r:d.w])
		d.r += n
		return n, nil
	}
	return d.src.Read(p)
}

// readChunks decodes as many chunks as p holds and the buffer has, and reads
// from the stream only when it has nothing to return yet.
func (b *Body) readChunks(p []byte) (n int, err error) {
	for n < len(p) {
		if b.state == chunkData {
			if n > 0 && b.d.Buffered() == 0 {
				return n, nil
			}
			m, err := b.raw(p[n : n+int(min(int64(len(p)-n), b.left))])
			n += m
			b.left -= int64(m)
			if b.left == 0 {
				b.state = chunkEnd
			}
			if err != nil {
				return n, unexpected(err)
			}
			continue
		}
		ok, err := b.step()
		if err != nil {
			return n, err
		}
		if ok {
			continue
		}
		if n > 0 {
			return n, nil
		}
		if err := b.more(); err != nil {
			return n, unexpected(err)
		}
	}
	return n, nil
}

func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// more reads from the stream into the buffer, for lines between chunks.
func (b *Body) more() error {
	b.d.moveOn(b.d.Buffered() + 512)
	return b.d.fill()
}

// step passes one line between chunks, when it is there as a whole. It
// returns io.EOF after the last one.
func (b *Body) step() (ok bool, err error) {
	switch b.state {
	case chunkEnd:
		return b.endChunk()
	case chunkTrailer:
		return b.readTrailer()
	default:
		return b.readSize()
	}
}

func (b *Body) endChunk() (bool, error) {
	have := b.d.Unread()
	if len(have) > 0 && have[0] != '\r' || len(have) > 1 && have[1] != '\n' {
		return false, fmt.Errorf("%w: data does not end in CRLF", ErrChunk)
	}
	if len(have) < 2 {
		return false, nil
	}
	b.d.r += 2
	b.state = chunkSize
	return true, nil
}

func (b *Body) readSize() (bool, error) {
	have := b.d.Unread()
	end := bytes.IndexByte(have, '\n')
	if end > b.lim.ChunkLine+1 || end < 0 && len(have) > b.lim.ChunkLine+1 {
		return false, fmt.Errorf("%w: size line is too long", ErrChunk)
	}
	if end < 0 {
		return false, nil
	}
	if end == 0 || have[end-1] != '\r' {
		return false, fmt.Errorf("%w: size line ends in LF without CR", ErrChunk)
	}
	size, ok := parseChunkSize(have[:end-1])
	if !ok {
		return false, fmt.Errorf("%w: invalid size line", ErrChunk)
	}
	b.d.r += end + 1
	b.left, b.state = size, chunkData
	if size == 0 {
		b.state = chunkTrailer
	}
	return true, nil
}

// parseChunkSize reads 1*HEXDIG and passes over extensions, which no one may
// rely on (RFC 9112 section 7.1.1). At most 15 digits, so that the size can't
// overflow.
func parseChunkSize(line []byte) (size int64, ok bool) {
	n := 0
	for n < len(line) {
		d := unhex(line[n])
		if d < 0 {
			break
		}
		size = size<<4 | int64(d)
		n++
	}
	if n == 0 || n > 15 {
		return 0, false
	}
	ext := trimOWS(line[n:])
	return size, len(line) == n || len(ext) > 0 && ext[0] == ';' && validValue(ext)
}

func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// readTrailer takes the trailer section when all of it is there.
func (b *Body) readTrailer() (bool, error) {
	have := b.d.Unread()
	end := trailerEnd(have)
	section := have
	if end >= 0 {
		section = have[:end]
	}
	if bareLF(section) {
		return false, fmt.Errorf("%w: trailer line ends in LF without CR", ErrChunk)
	}
	if end < 0 {
		if len(have) > b.lim.Trailer+2 {
			return false, ErrTrailerTooLarge
		}
		return false, nil
	}
	if end > b.lim.Trailer+2 {
		return false, ErrTrailerTooLarge
	}
	if end > 2 {
		kept := bytes.Clone(have[:end]) // rare, and a pump may run beside whoever uses the exchange's memory
		var detail string
		if r := parseFields(kept, b.trailer, b.lim.HeaderCount, &detail); r != nil {
			if r == exchange.HeaderTooLarge {
				return false, ErrTrailerTooLarge
			}
			return false, fmt.Errorf("%w: trailer: %s", ErrChunk, detail)
		}
		b.trailer.StripHopByHop()
		b.trailer.Filter(allowedTrailer)
	}
	b.d.r += end
	return false, io.EOF
}

// bareLF tells whether a line ends in LF without CR.
func bareLF(b []byte) bool {
	for {
		i := bytes.IndexByte(b, '\n')
		if i < 0 {
			return false
		}
		if i == 0 || b[i-1] != '\r' {
			return true
		}
		b = b[i+1:]
	}
}

// trailerEnd returns the length of the trailer section with its final empty
// line, or -1 while it is incomplete.
func trailerEnd(b []byte) int {
	if len(b) >= 2 && b[0] == '\r' && b[1] == '\n' {
		return 2
	}
	if i := bytes.Index(b, []byte("\r\n\r\n")); i >= 0 {
		return i + 4
	}
	return -1
}

// allowedTrailer keeps what a trailer may carry: nothing that says how the
// message is framed, routed or who sends it (RFC 9110 section 6.5.1).
func allowedTrailer(f *exchange.Field) bool {
	switch f.Key {
	case exchange.KeyOther, exchange.KeyVia, exchange.KeyServer, exchange.KeyDate:
		return true
	}
	return false
}

// Whole returns the content at once when every byte of it is in the buffer
// already and it has no trailers. The bytes are valid until the Reader's
// Recycle or the exchange's Release. Chunks are joined in place.
func (b *Body) Whole() ([]byte, bool) {
	d := b.d
	switch {
	case b.framing == NoBody:
		return nil, true
	case b.framing == ByLength && b.left <= int64(d.Buffered()):
		p := d.buf.B[d.r : d.r+int(b.left)]
		d.r += int(b.left)
		b.left, b.done, b.err = 0, true, io.EOF
		return p, true
	case b.framing == ByChunks && b.state == chunkSize && bytes.HasSuffix(d.Unread(), []byte("\r\n0\r\n\r\n")):
		return b.join()
	}
	return nil, false
}

// Gatherable tells whether the content is of a known length that fits a large
// buffer.
func (b *Body) Gatherable() bool {
	return b.framing == ByLength && b.left <= LargeBuffer
}

// Fill reads once more from the stream into the buffer, so that Whole may
// succeed. It returns how many bytes came.
func (b *Body) Fill() (int, error) {
	d := b.d
	before := d.Buffered()
	d.moveOn(min(int(b.left), 2*before+SmallBuffer)) // what came counts, not what was announced
	err := d.fill()
	return d.Buffered() - before, unexpected(err)
}

// join decodes chunks over their own bytes. When the content turns out not to
// end in the buffer, or malformed, nothing has been changed.
func (b *Body) join() ([]byte, bool) {
	raw := b.d.Unread()
	if !wholeChunks(raw, b.lim.ChunkLine) {
		return nil, false
	}
	n, err := b.readChunks(raw)
	if err != io.EOF {
		return nil, false
	}
	b.done, b.err = true, io.EOF
	return raw[:n], true
}

// wholeChunks tells whether raw is nothing but well formed chunks up to and
// with the last one.
func wholeChunks(raw []byte, maxLine int) bool {
	rest, ok := behindChunks(raw, maxLine)
	return ok && len(rest) == 0
}

// behindChunks returns what lies behind well formed chunks up to and with the
// last one, which no trailer follows.
func behindChunks(raw []byte, maxLine int) (rest []byte, ok bool) {
	for {
		end := bytes.IndexByte(raw, '\n')
		if end < 1 || end > maxLine+1 || raw[end-1] != '\r' {
			return nil, false
		}
		size, ok := parseChunkSize(raw[:end-1])
		raw = raw[end+1:]
		if !ok || int64(len(raw)) < size+2 {
			return nil, false
		}
		if raw[size] != '\r' || raw[size+1] != '\n' {
			return nil, false
		}
		raw = raw[size+2:]
		if size == 0 {
			return raw, true
		}
	}
}

// Behind returns what is in the buffer behind the message, of which nothing has been read.
// It returns nothing where the message does not end there, or has trailers.
func (b *Body) Behind() []byte {
	have := b.d.Unread()
	switch {
	case b.framing == NoBody:
		return have
	case b.framing == ByLength && b.left <= int64(len(have)):
		return have[b.left:]
	case b.framing == ByChunks && b.state == chunkSize:
		rest, _ := behindChunks(have, b.lim.ChunkLine)
		return rest
	}
	return nil
}
