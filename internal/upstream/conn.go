package upstream

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
	"time"

	"yett/internal/exchange"
	"yett/internal/sock"
	"yett/internal/sweep"
	"yett/internal/upstream/balance"
	"yett/internal/wire"
)

// past is a deadline that ends every blocked read and write.
var past = time.Unix(1, 0)

// conn is one connection to a target. One exchange uses it at a time; in
// between it rests in the pool without a buffer.
type conn struct {
	t      *target
	nc     net.Conn
	raw    syscall.RawConn // of the TCP connection, below TLS
	addr   netip.Addr
	r      wire.Reader
	body   wire.Body
	timer  sweep.Timer // guards reading, and writing while nobody reads
	reused bool
	cut    atomic.Bool // cancelled, or its pump failed

	now   time.Time   // when it was taken for this request
	since time.Time   // when its last answer was here
	tidy  bool        // and that it came in one piece whose end was certain
	gone  atomic.Bool // its end had come before the request

	x        *exchange.Exchange // while in use
	visit    visit              // to be settled when the answer's body has ended
	attempt  balance.Attempt    // of the exchange that uses it
	broke    *exchange.Reason   // why that broke off
	response time.Duration      // until the answer's head has to be here

	// Of an answer that streams: when the last piece of it was given to the client, since
	// the exchange's Now, and how long the client has taken for all before.
	given, away time.Duration
	head        wire.ResponseHead
	idle        time.Duration
	vec         net.Buffers
	vecs        [2][]byte
	pump        pump
	talk        talk
	quiet       bool // what look saw
	look        func(fd uintptr)
}

func newConn(t *target, nc net.Conn, addr netip.Addr) *conn {
	c := &conn{t: t, nc: nc, addr: addr}
	lower := nc
	if tc, ok := nc.(*tls.Conn); ok {
		lower = tc.NetConn()
	}
	if sc, ok := lower.(syscall.Conn); ok {
		c.raw, _ = sc.SyscallConn() // without it a dead connection shows at its next use
	}
	c.look = c.lookOnce
	c.talk.buffers, c.talk.step = t.service.deps.Buffers, c.talk.run
	c.pump.done = make(chan struct{}, 1)
	c.r.Reset(nc, t.service.deps.Buffers)
	t.service.deps.Sweeper.Add(&c.timer, c)
	c.timer.Watch(t.tls == nil && c.raw != nil)
	return c
}

// Expired implements sweep.Owner: what blocks on the connection ends.
func (c *conn) Expired() { _ = c.nc.SetDeadline(past) }

// Cancel implements exchange.Canceler.
func (c *conn) Cancel() {
	c.cut.Store(true)
	_ = c.nc.SetDeadline(past)
}

// wake takes the connection out of its rest and tells whether its time was not
// over yet. Whether the service still wants it shows when it is used.
func (c *conn) wake() bool {
	c.reused = true
	return c.timer.Stop()
}

// alive asks the kernel whether the service has closed the connection, or
// sent something that nobody asked for. Over TLS something may wait: tickets.
func (c *conn) alive() bool {
	if c.raw == nil {
		return true
	}
	c.quiet = false
	if err := c.raw.Control(c.look); err != nil {
		return false
	}
	return c.quiet
}

// lookOnce is called by RawConn.Control.
func (c *conn) lookOnce(fd uintptr) {
	if c.t.tls != nil {
		c.quiet = !sock.Closed(fd)
		return
	}
	c.quiet = sock.Quiet(fd)
	if !c.quiet && sock.Waits(fd) {
		c.t.untidy.Store(true)
	}
}

// discard closes the connection for good.
func (c *conn) discard() {
	c.t.service.deps.Sweeper.Remove(&c.timer)
	if tc, ok := c.nc.(*tls.Conn); ok {
		_ = tc.NetConn().Close() // without waiting to say goodbye
	} else {
		_ = c.nc.Close()
	}
	c.t.pool.unreserve()
}

// roundTrip sends the request and reads the head of the answer, which is for
// accept or drop then. After a failure the connection is closed.
func (c *conn) roundTrip(x *exchange.Exchange) outcome {
	c.x, c.idle = x, c.t.service.idleTimeout(x)
	if r := x.Watch(c); r != nil {
		return c.fail(outcome{reason: r})
	}
	if err := c.send(x); err != nil {
		x.Sent = x.Sent || !wroteNothing(err)
		return c.failed(err)
	}
	x.Sent = true
	for {
		raw, err := c.r.ReadHead(&c.t.service.limits)
		if err != nil {
			return c.failed(err)
		}
		var detail string
		var ok bool
		c.head, detail, ok = wire.ParseResponse(raw, x.Method, &x.Response, &c.t.service.limits)
		if !ok {
			return c.fail(outcome{reason: exchange.UpstreamBad, detail: detail})
		}
		if c.head.Status >= 200 || c.head.Status == 101 {
			break
		}
		if err := c.interim(x); err != nil {
			return c.fail(outcome{reason: exchange.ClientGone, detail: err.Error()})
		}
	}
	c.pump.headCame(c)
	return outcome{}
}

// moveTo makes the answer, whose head has come, that of another exchange. What
// its fields point to stays with the connection.
func (c *conn) moveTo(x *exchange.Exchange) outcome {
	c.x = x
	if r := x.Watch(c); r != nil {
		return c.fail(outcome{reason: r})
	}
	return outcome{}
}

// drop throws the answer away whose head has come. The connection is used again
// where all of the answer is here.
func (c *conn) drop() {
	c.x.Response.Reset()
	c.body.Init(&c.r, c.head.Message, &c.x.ResponseTrailer, &c.t.service.limits)
	if _, whole := c.body.Whole(); whole && c.head.Status != 101 {
		c.finish(c.x.Elapsed(), true)
		return
	}
	c.abandon()
}

// interim passes a 1xx on (RFC 9110 section 15.2).
func (c *conn) interim(x *exchange.Exchange) error {
	defer x.Response.Reset()
	if x.Interim == nil {
		return nil
	}
	x.Response.StripHopByHop()
	return x.Interim.WriteInterim(c.head.Status, &x.Response)
}

// accept takes the final head and prepares the body.
func (c *conn) accept(x *exchange.Exchange) outcome {
	x.Status = c.head.Status
	if c.head.Status == 101 {
		return c.upgrade(x)
	}
	x.Response.StripHopByHop()
	c.body.Init(&c.r, c.head.Message, &x.ResponseTrailer, &c.t.service.limits)
	if c.misled() {
		return c.mislead(x)
	}
	early := c.pump.early()
	if early {
		x.CloseClient = true // the rest of the request may never be read
	} else if whole, ok := c.body.Whole(); ok {
		x.ResponseBody.SetBytes(whole)
		at := x.Elapsed()
		c.finish(at, true)
		return outcome{at: at}
	}
	x.ResponseBody.SetSource(c, c.head.Length)
	return outcome{}
}

// Read implements exchange.Source with the content of the answer.
func (c *conn) Read(p []byte) (int, error) {
	if !c.timer.After(c.idle) {
		c.broke = exchange.UpstreamTimeout
		return 0, c.broke
	}
	n, err := c.read(p)
	c.timer.Stop()
	if err == nil || err == io.EOF {
		return n, err // Close puts the connection back
	}
	c.broke = c.reason(err)
	return n, c.broke
}

// read notes who has had the time: the client between two reads, or the service
// within them.
func (c *conn) read(p []byte) (int, error) {
	asked := c.x.Elapsed()
	if c.given > 0 {
		c.away += asked - c.given
	}
	n, err := c.body.Read(p)
	if err == nil || err == io.EOF {
		c.given = c.x.Elapsed()
	}
	return n, err
}

// Ready tells whether a part of the answer is in memory already.
func (c *conn) Ready() bool { return c.r.Buffered() > 0 }

// Close implements exchange.Source: the exchange has done with the answer.
func (c *conn) Close() error {
	x, k, at := c.x, c.visit, c.x.Elapsed()
	why, excused := c.ending()
	c.visit, c.broke, c.given, c.away = visit{}, nil, 0, 0
	if c.body.Done() {
		c.finish(at, false)
	} else {
		c.abandon()
	}
	if k.s != nil {
		k.excused = k.excused || excused
		k.settle(x, why, at, true)
	}
	return nil
}

// longStream is how long an answer has to last before a client that leaves says
// that all was well: event streams end in no other way.
const longStream = 10 * time.Second

// ending says why the answer's body has ended early, nil when it did not, or when
// the client has had enough of a long one that was still coming. excused tells that
// a service which cut it off has waited for the client: see pump.slow.
func (c *conn) ending() (why *exchange.Reason, excused bool) {
	head := c.visit.done
	switch {
	case c.body.Done():
		return nil, false
	case c.x.Aborted() != nil || c.broke == nil:
		if c.visit.s != nil && c.given-head > longStream {
			return nil, false
		}
		return exchange.ClientGone, false
	case c.broke == exchange.UpstreamReset:
		return c.broke, c.away > c.t.service.patience && c.away > (c.x.Elapsed()-head)/2
	}
	return c.broke, false
}

// finish ends a message that was read to its end at a time since the exchange's
// Now, in one piece or not. The connection goes back to the pool when both sides can
// use it again.
func (c *conn) finish(at time.Duration, whole bool) {
	x := c.x
	sent := c.pump.stop(x)
	aborted := x.Watch(nil)
	c.attempt.End()
	clean := c.r.Buffered() == 0
	c.rest(x.Now.Add(at), whole)
	c.r.Detach(x)
	c.x = nil
	if sent && clean && c.head.KeepAlive && aborted == nil && !c.cut.Load() && c.head.Framing != wire.UntilClose {
		c.t.pool.put(c)
		return
	}
	c.discard()
}

// abandon closes the connection in the middle of a message.
func (c *conn) abandon() {
	x := c.x
	c.Cancel()
	c.pump.stop(x)
	x.Watch(nil)
	c.attempt.End()
	c.r.Detach(x)
	c.x = nil
	c.discard()
}

func (c *conn) fail(out outcome) outcome {
	c.x.Response.Reset()
	c.abandon()
	return out
}

// failed turns an error of the socket into an outcome.
func (c *conn) failed(err error) outcome {
	out := outcome{reason: c.reason(err), detail: err.Error()}
	out.excused = out.reason == exchange.UpstreamReset && c.pump.slow(c.x.Elapsed(), c.t.service.patience)
	if out.reason == exchange.UpstreamReset && c.reused {
		out.unsent = wroteNothing(err)
		out.dead = c.r.Buffered() == 0
	}
	return c.fail(out)
}

// reason says what an error on this connection means. Whoever gave the
// exchange up, or the client's own body, comes before what that caused here.
func (c *conn) reason(err error) *exchange.Reason {
	if r := c.x.Aborted(); r != nil {
		return r
	}
	if r := c.pump.failure(); r != nil {
		return r
	}
	var r *exchange.Reason
	var ne net.Error
	switch {
	case errors.As(err, &r):
		return r
	case c.gone.Load():
		return exchange.UpstreamReset
	case c.timer.Fired() || errors.As(err, &ne) && ne.Timeout():
		return exchange.UpstreamTimeout
	case malformed(err):
		return exchange.UpstreamBad
	}
	return exchange.UpstreamReset
}

func malformed(err error) bool {
	return wire.IsHeadError(err) || errors.Is(err, wire.ErrChunk) || errors.Is(err, wire.ErrTrailerTooLarge)
}
