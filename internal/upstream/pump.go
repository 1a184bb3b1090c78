package upstream

import (
	"io"
	"sync"
	"sync/atomic"
	"time"

	"yett/internal/exchange"
	"yett/internal/sweep"
	"yett/internal/wire"
)

// pump sends a streaming request body while the answer is awaited, because a
// service may answer, or hang up, before it has all of it.
type pump struct {
	running atomic.Bool
	taken   atomic.Bool // the body was read to its end
	started bool
	sent    bool // the body went out to its end; valid after done

	// In nanoseconds since the exchange's Now: when sending began, when it ended (0
	// before), and since when it waits for the client (0 when it does not). waited is
	// for how long it has waited for the client before.
	beganAt, sentAt, waitsSince, waited atomic.Int64
	reason                              atomic.Pointer[exchange.Reason]
	done                                chan struct{}
	timer                               sweep.Timer // guards a write that the service does not take
	mu                                  sync.Mutex
	awaited                             bool // the answer's head has not come
	c                                   *conn
}

// Expired implements sweep.Owner: the service does not read the request.
func (p *pump) Expired() { _ = p.c.nc.SetWriteDeadline(past) }

// Probe implements sweep.Owner. A pump is never watched.
func (p *pump) Probe() {}

// early tells whether the answer came before the client has sent all of its
// body. When only the last piece is on its way it waits for that.
func (p *pump) early() bool {
	if !p.running.Load() {
		return false
	}
	if !p.taken.Load() {
		return true
	}
	<-p.done
	p.done <- struct{}{} // for stop
	return false
}

// uploaded tells when the request was complete, since the exchange's Now: 0 while the
// client still sends, or has just ended. It returns false for a request that was complete
// from the start.
func (p *pump) uploaded() (at time.Duration, pumped bool) {
	return time.Duration(p.sentAt.Load()), p.started
}

// slow tells whether the client has taken most of the time so far for its body, and more
// than a service may be expected to wait.
func (p *pump) slow(now, patience time.Duration) bool {
	if !p.started || p.sentAt.Load() != 0 {
		return false
	}
	waited := time.Duration(p.waited.Load())
	if since := p.waitsSince.Load(); since != 0 {
		waited += now - time.Duration(since)
	}
	return waited > patience && waited > (now-time.Duration(p.beganAt.Load()))/2
}

// failure returns why the client's body could not be read, or nil.
func (p *pump) failure() *exchange.Reason { return p.reason.Load() }

func (p *pump) start(c *conn, x *exchange.Exchange, chunked bool) {
	p.started, p.sent, p.c = true, false, c
	p.reason.Store(nil)
	p.taken.Store(false)
	p.beganAt.Store(int64(x.Elapsed()))
	p.sentAt.Store(0)
	p.waitsSince.Store(0)
	p.waited.Store(0)
	p.awaited = true
	p.running.Store(true)
	go c.copyBody(x, chunked)
}

// stop ends the pump and waits for it. It returns whether the request went
// out to its end.
func (p *pump) stop(x *exchange.Exchange) bool {
	if !p.started {
		return true
	}
	if p.running.Load() {
		x.RequestBody.Interrupt()
		p.c.Cancel()
	}
	<-p.done
	p.started = false
	p.reason.Store(nil)
	return p.sent
}

// await starts the time for the answer, unless its head has come already: then
// the clock is the reader's, and runs only while it reads.
func (p *pump) await(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.awaited {
		p.c.timer.After(d)
	}
}

// headCame stops the time for the answer.
func (p *pump) headCame(c *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.awaited = false
	c.timer.Stop()
}

// copyBody runs as the pump's goroutine.
func (c *conn) copyBody(x *exchange.Exchange, chunked bool) {
	p := &c.pump
	sweeper := c.t.service.deps.Sweeper
	sweeper.Add(&p.timer, p)
	readErr, writeErr := c.copyPieces(x, chunked)
	switch {
	case readErr == io.EOF && writeErr == nil:
		p.sent = true
		p.sentAt.Store(int64(x.Elapsed()))
		p.await(c.response)
	case readErr != nil && readErr != io.EOF:
		p.reason.Store(exchange.BodyReason(readErr))
		c.Cancel() // the request can't be completed, so its answer means nothing
	default:
		// The service stopped reading: it may have answered already, so the
		// other side goes on, for as long as an answer may take.
		p.await(c.response)
	}
	sweeper.Remove(&p.timer)
	p.running.Store(false)
	p.done <- struct{}{}
}

// copyPieces sends the body as it comes. While little comes it holds a small
// buffer.
func (c *conn) copyPieces(x *exchange.Exchange, chunked bool) (readErr, writeErr error) {
	buffers := c.t.service.deps.Buffers
	buf := buffers.Get(wire.SmallBuffer)
	defer func() { buf.Release() }()
	for {
		n, err := c.pump.read(x, buf.B[wire.ChunkHeadRoom:len(buf.B)-2])
		if err == nil && x.RequestBody.Size() >= 0 && x.RequestBody.BytesRead() >= x.RequestBody.Size() {
			err = io.EOF
		}
		if err == io.EOF {
			c.pump.taken.Store(true)
		}
		if n > 0 {
			if werr := c.writePiece(buf.B, n, chunked); werr != nil {
				return nil, werr
			}
			buf = buffers.Fit(buf, n)
		}
		if err == io.EOF {
			if chunked {
				if x.KeepRequestTrailer != nil {
					x.RequestTrailer.Filter(x.KeepRequestTrailer)
				}
				writeErr = c.writeTimed(wire.AppendLastChunk(buf.B[:0], &x.RequestTrailer))
			}
			return io.EOF, writeErr
		}
		if err != nil {
			return err, nil
		}
	}
}

// read reads from the client, and notes for how long.
func (p *pump) read(x *exchange.Exchange, b []byte) (int, error) {
	since := x.Elapsed()
	p.waitsSince.Store(int64(since))
	n, err := x.RequestBody.Read(b)
	p.waitsSince.Store(0)
	p.waited.Add(int64(x.Elapsed() - since))
	return n, err
}

// writePiece sends buf[room:room+n], as a chunk with its frame around it when
// asked for.
func (c *conn) writePiece(buf []byte, n int, chunked bool) error {
	piece := buf[wire.ChunkHeadRoom : wire.ChunkHeadRoom+n]
	if chunked {
		piece = wire.FrameChunk(buf, n)
	}
	return c.writeTimed(piece)
}

// writeTimed writes within the time that a service may pause.
func (c *conn) writeTimed(p []byte) error {
	c.pump.timer.After(c.idle)
	_, err := c.nc.Write(p)
	c.pump.timer.Stop()
	return err
}
