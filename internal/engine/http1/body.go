package http1

import (
	"errors"
	"io"
	"net"
	"sync/atomic"

	"yett/internal/engine"
	"yett/internal/exchange"
	"yett/internal/wire"
)

// clientBody is the request body of the running exchange. It is read by one
// goroutine at a time, which need not be the connection's own.
type clientBody struct {
	c        *conn
	x        *exchange.Exchange
	b        wire.Body
	started  bool
	complete atomic.Bool // read to its end, or there is none
	stopped  atomic.Bool // interrupted, or failed: nothing can follow
	pace     engine.Pace
}

func (b *clientBody) reset(x *exchange.Exchange) {
	b.x, b.started = x, false
	b.pace = engine.Pace{Rate: b.c.set.minRate, Grace: b.c.set.timeouts.bodyIdle}
	b.complete.Store(false)
	b.stopped.Store(false)
}

// start makes the body of the request. What is whole in the buffer already
// needs no stream.
func (b *clientBody) start(x *exchange.Exchange, m wire.Message) {
	b.started = true
	b.b.Init(&b.c.r, m, &x.RequestTrailer, &b.c.set.limits)
	x.BodyLimit = b.c.set.body
	x.Unsized = m.Framing == wire.ByChunks
	if whole, ok := b.b.Whole(); ok {
		b.complete.Store(true)
		x.ExpectContinue = false // nothing is left to wait for
		x.RequestBody.SetBytes(whole)
		return
	}
	size := int64(-1)
	if m.Framing == wire.ByLength {
		size = m.Length
	}
	x.RequestBody.SetSource(b, size)
}

func (b *clientBody) done() bool   { return b.complete.Load() }
func (b *clientBody) broken() bool { return b.stopped.Load() }

// Read implements exchange.Source. Its errors are reasons.
func (b *clientBody) Read(p []byte) (int, error) {
	if b.stopped.Load() {
		return 0, exchange.TruncatedBody
	}
	if b.x.ExpectContinue { // somebody in the gateway wants the body before the service does
		b.x.ExpectContinue = false
		if err := b.c.WriteInterim(100, nil); err != nil {
			return 0, b.fail(err)
		}
	}
	var n int
	err := b.wait(func() (int, error) {
		var err error
		n, err = b.b.Read(p)
		return n, err
	})
	if b.b.Done() {
		b.complete.Store(true)
	}
	return n, err
}

// wait reads once, within the time that a client may pause and at the pace
// that it has to keep.
func (b *clientBody) wait(read func() (int, error)) error {
	before := b.c.timer.Now()
	if !b.c.timer.After(b.c.set.timeouts.bodyIdle) {
		return b.fail(exchange.BodyTimeout)
	}
	n, err := read()
	b.c.timer.Stop()
	slow := b.pace.Note(b.c.timer.Now()-before, n)
	switch {
	case err == io.EOF:
		return err
	case err != nil:
		return b.fail(err)
	case slow && !b.b.Done():
		return b.fail(exchange.BodyTimeout)
	}
	return nil
}

// Gather implements exchange.Gatherer: a body that fits a buffer is read whole,
// so that the service meets no slow client, and the request can be sent in one
// piece and, where that is safe, twice.
func (b *clientBody) Gather() ([]byte, bool, error) {
	if b.x.ExpectContinue || !b.b.Gatherable() {
		return nil, false, nil
	}
	for {
		if whole, ok := b.b.Whole(); ok {
			b.complete.Store(true)
			return whole, true, nil
		}
		if err := b.wait(b.b.Fill); err != nil {
			return nil, false, err
		}
	}
}

// fail notes that the connection can't go on and says why.
func (b *clientBody) fail(err error) error {
	b.stopped.Store(true)
	var reason *exchange.Reason
	var ne net.Error
	switch {
	case errors.As(err, &reason):
		return reason
	case b.c.timer.Fired():
		return exchange.BodyTimeout
	case errors.As(err, &ne) && ne.Timeout(): // somebody ended the wait
		return exchange.TruncatedBody
	case errors.Is(err, wire.ErrTrailerTooLarge):
		return exchange.HeaderTooLarge
	case errors.Is(err, wire.ErrChunk):
		return exchange.BadChunk
	case errors.Is(err, io.ErrUnexpectedEOF):
		return exchange.TruncatedBody
	}
	return exchange.ClientGone
}

// Interrupt ends a blocked Read from another goroutine.
func (b *clientBody) Interrupt() {
	b.stopped.Store(true)
	_ = b.c.nc.SetReadDeadline(past)
}

// Close implements exchange.Source. What is left is settled by the
// connection after the answer.
func (b *clientBody) Close() error { return nil }

// drainBytes is how much of an unread body is read to keep a connection.
const drainBytes = 64 << 10

// drain reads a small rest. It returns whether the body is at its end.
func (b *clientBody) drain() bool {
	buf := b.c.e.deps.Buffers.Get(wire.LargeBuffer)
	defer buf.Release()
	for total := 0; total < drainBytes; {
		n, err := b.Read(buf.B)
		total += n
		if err != nil || b.done() {
			break
		}
	}
	return b.done()
}
