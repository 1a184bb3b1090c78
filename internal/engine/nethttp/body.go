package nethttp

import (
	"errors"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"yett/internal/engine"
	"yett/internal/exchange"
	"yett/internal/wire"
)

// past is a deadline that ends a blocked read.
var past = time.Unix(1, 0)

// clientBody is the request body. It is read by one goroutine at a time, which
// need not be the stream's own.
type clientBody struct {
	s       *stream
	pace    engine.Pace
	stopped atomic.Bool // interrupted, failed or closed: nothing can follow
}

func (s *stream) setBody() {
	s.x.BodyLimit = int64(s.set.limits.Body)
	if s.r.ContentLength == 0 {
		s.x.RequestBody.SetBytes(nil)
		return
	}
	s.body.s = s
	s.body.pace = engine.Pace{Rate: int64(s.set.limits.BodyMinRate), Grace: time.Duration(s.set.timeouts.BodyIdle)}
	s.x.Unsized = s.r.ContentLength < 0
	s.x.RequestBody.SetSource(&s.body, s.r.ContentLength)
}

// Read implements exchange.Source. Its errors are reasons. The first Read
// tells a client that waits for it to continue.
func (b *clientBody) Read(p []byte) (int, error) {
	if b.stopped.Load() {
		return 0, exchange.TruncatedBody
	}
	start := time.Now()
	_ = b.s.control.SetReadDeadline(start.Add(time.Duration(b.s.set.timeouts.BodyIdle))) // net/http's streams can
	n, err := b.s.r.Body.Read(p)
	_ = b.s.control.SetReadDeadline(time.Time{}) // from here on nobody waits
	switch tooSlow := b.pace.Note(time.Since(start), n); {
	case err == io.EOF:
		b.s.setTrailer()
		return n, err
	case err != nil:
		return n, b.fail(err)
	case tooSlow:
		return 0, b.fail(exchange.BodyTimeout)
	}
	return n, nil
}

// Gather implements exchange.Gatherer: a body that fits a buffer is read whole,
// so that the service meets no slow client, and the request can be sent in one
// piece and, where that is safe, twice. One with trailers streams, because
// only a stream has them.
func (b *clientBody) Gather() ([]byte, bool, error) {
	size := b.s.r.ContentLength
	if size < 0 || size >= wire.LargeBuffer || len(b.s.r.Trailer) > 0 || b.s.x.RequestBody.BytesRead() > 0 {
		return nil, false, nil
	}
	buf := b.s.e.deps.Buffers.Get(int(size) + 1) // room for a last Read, which finds the end
	b.s.x.Hold(buf)
	for n := 0; ; {
		m, err := b.Read(buf.B[n:])
		n += m
		if err == io.EOF {
			return buf.B[:n], true, nil
		}
		if err != nil {
			return nil, false, err
		}
	}
}

// fail says why nothing more can be read.
func (b *clientBody) fail(err error) error {
	interrupted := b.stopped.Swap(true)
	var reason *exchange.Reason
	switch {
	case errors.As(err, &reason):
		return reason
	case interrupted:
		return exchange.TruncatedBody
	case errors.Is(err, os.ErrDeadlineExceeded):
		return exchange.BodyTimeout
	case b.s.r.Context().Err() != nil: // the stream was reset, or the connection broke
		return exchange.ClientGone
	}
	return exchange.TruncatedBody
}

// Interrupt ends a blocked Read from another goroutine.
func (b *clientBody) Interrupt() {
	b.stopped.Store(true)
	_ = b.s.control.SetReadDeadline(past)
}

// Close implements exchange.Source. What the client still sends is dropped.
func (b *clientBody) Close() error {
	b.stopped.Store(true)
	return b.s.r.Body.Close()
}

// setTrailer takes the trailers, which net/http keeps when the header named
// them.
func (s *stream) setTrailer() {
	for _, name := range slices.Sorted(maps.Keys(s.r.Trailer)) {
		f := exchange.Field{Name: name, Key: exchange.KeyOf(name)}
		if !allowedTrailer(f.Key) {
			continue
		}
		for _, v := range s.r.Trailer[name] {
			f.Value = strings.Trim(v, blanks)
			s.x.RequestTrailer.AddField(f)
		}
	}
}

// allowedTrailer tells what a trailer may carry: nothing that says how the
// message is framed, routed or who sends it (RFC 9110 section 6.5.1).
func allowedTrailer(k exchange.Key) bool {
	switch k {
	case exchange.KeyOther, exchange.KeyVia, exchange.KeyServer, exchange.KeyDate:
		return true
	}
	return false
}
