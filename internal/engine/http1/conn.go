package http1

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"yett/internal/engine"
	"yett/internal/exchange"
	"yett/internal/sock"
	"yett/internal/sweep"
	"yett/internal/wire"
)

// past is a deadline that ends every blocked read and write.
var past = time.Unix(1, 0)

// The states of a connection. Only idle may be ended by somebody else without a
// loss: it is woken then, and looks once more whether a request has come.
const (
	idle int32 = iota
	active
	woken
	closing
)

// conn is one client connection.
type conn struct {
	e      *Engine
	set    *settings // of this request, or of the wait for it
	nc     net.Conn
	raw    syscall.RawConn // of the TCP connection, below TLS; nil when there is none
	peer   netip.AddrPort
	local  netip.AddrPort
	timer  sweep.Timer // guards reading, and the tunnel
	writer writer
	r      wire.Reader

	// wait is readable, bound once. It leaves what came in the Reader, a
	// request that it has read in pending, or the end of the connection.
	wait    func(fd uintptr) bool
	glance  func(fd uintptr) // calls readable, bound once, and leaves in ready what it says
	pending *exchange.Exchange
	since   time.Duration // when the rest began, by the timer's clock
	fd      uintptr       // the socket, valid while inside
	place   uintptr       // the socket while parked; the Lot's lock guards it
	// unsent is what a write has still to send.
	unsent  [2][]byte
	sendErr error
	push    func(fd uintptr) bool

	msg    wire.Message
	body   clientBody
	tunnel atomic.Pointer[tunnel]

	// Small ones stand together: there are many connections.
	state   atomic.Int32
	events  atomic.Bool // a stream of events is being relayed
	parted  atomic.Bool // which is to end here
	secure  bool
	inside  bool // readable is running
	ready   bool
	came    bool
	ended   bool
	stay    bool // parking failed
	slow    bool // it has rested for longer than its goroutine waits, see await
	patient bool // the deadline is the end of patience, and no more than that
	known   bool // somebody may still know it, or its body: it is not for another client

	mu     sync.Mutex
	x      *exchange.Exchange // while one is running
	turn   uint32             // counts exchanges and the rests between them
	probed uint32             // turn that the last probe saw
}

// writer guards writing with a deadline of its own, because one goroutine may
// read the request's body while another writes.
type writer struct {
	timer sweep.Timer
	nc    net.Conn
}

// Expired implements sweep.Owner: the client does not read.
func (w *writer) Expired() { _ = w.nc.SetWriteDeadline(past) }

// Probe implements sweep.Owner. A writer is never watched.
func (w *writer) Probe() {}

func newConn(e *Engine, nc net.Conn, secure bool) *conn {
	c := e.blank()
	c.e, c.set, c.nc, c.secure = e, e.current.Load(), nc, secure
	c.peer, c.local = engine.Ends(nc)
	lower := nc
	if tc, ok := nc.(*tls.Conn); ok {
		lower = tc.NetConn()
	}
	if sc, ok := lower.(syscall.Conn); ok {
		c.raw, _ = sc.SyscallConn() // without it the wait costs a buffer, and a client's leaving shows later
	}
	c.writer.nc = nc
	c.body.c = c
	c.r.Reset(nc, e.deps.Buffers)
	return c
}

// blank returns a conn of which only the bound methods are set.
func (e *Engine) blank() *conn {
	if c, ok := e.spare.Get().(*conn); ok {
		return c
	}
	c := &conn{}
	c.wait, c.push = c.readable, c.sendSome
	c.glance = func(fd uintptr) { c.ready = c.readable(fd) }
	return c
}

// serve answers one request after the other until the connection ends, or
// parks.
func (c *conn) serve() {
	defer c.guard()
	c.timer.Watch(true)
	for {
		switch c.next() {
		case parked:
			return
		case over:
			c.end()
			return
		}
	}
}

// resume is serve for a connection that was parked.
func (c *conn) resume() {
	c.slow = !c.secure && c.timer.Now()-c.since >= c.patience() // below TLS nobody can look without waiting
	c.serve()
}

// next is what follows a request.
type next uint8

const (
	again  next = iota // another one may come
	over               // the connection has to be closed
	parked             // the connection is somebody else's now
)

// guard lets a fault in the gateway cost this connection and no other.
func (c *conn) guard() {
	if fault := recover(); fault != nil {
		c.known = true
		c.e.deps.Log.Error("a fault in the gateway ended a connection", "fault", fault, "stack", string(debug.Stack()))
		c.giveUp()
		c.end()
	}
}

// giveUp ends the exchange in which the fault was, so that the service's
// connection comes back and a line is logged. A second fault ends the attempt.
func (c *conn) giveUp() {
	defer func() { _ = recover() }()
	c.mu.Lock()
	x := c.x
	c.x = nil
	c.mu.Unlock()
	if x != nil {
		x.Refuse(exchange.Internal)
		_ = x.ResponseBody.Close()
		if x.Tunnel != nil {
			_ = x.Tunnel.Close()
		}
		c.e.deps.Core.Done(x)
	}
}

// end closes the connection.
func (c *conn) end() {
	_ = c.nc.Close()
	c.r.Recycle()
	c.e.remove(c)
	if !c.known {
		c.spare()
	}
}

// spare leaves the memory for another connection.
func (c *conn) spare() {
	e := c.e
	*c = conn{wait: c.wait, glance: c.glance, push: c.push}
	e.spare.Put(c)
}

// next serves one request.
func (c *conn) next() next {
	if after := c.await(); after != again {
		return after
	}
	if c.isHTTP2() {
		c.handOver()
		return parked
	}
	x := c.pending
	c.pending = nil
	c.known = c.known || !c.ended
	if x == nil && !c.ended {
		x = c.readRequest()
	}
	if x == nil || !c.exchange(x) {
		c.linger()
		return over
	}
	return again
}

// readRequest reads a head, however long it takes within its time. It returns
// nil when there is nobody to answer.
func (c *conn) readRequest() *exchange.Exchange {
	head, err := c.r.ReadHead(&c.set.limits)
	inTime := c.timer.Stop()
	x := c.begin()
	if inTime && err == nil {
		c.read(x, head)
	} else if !c.refuseHead(x, head, err, inTime) {
		c.release(x)
		return nil
	}
	return x
}

// exchange answers a request that has been read, and ends it. It returns
// whether another one may follow.
func (c *conn) exchange(x *exchange.Exchange) bool {
	c.e.deps.Core.Serve(x)
	keep := c.reply(x)
	_ = x.ResponseBody.Close()
	keep = c.settle(x, keep)
	c.e.deps.Core.Done(x)
	c.release(x)
	return keep
}

var preface = []byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")

func (c *conn) isHTTP2() bool {
	return c.set.http2 && c.e.deps.HTTP2 != nil && !c.secure && bytes.HasPrefix(c.r.Unread(), preface[:16])
}

// handOver gives the connection, and what was read from it, to HTTP/2. It is
// not this engine's any more, so it leaves the list first.
func (c *conn) handOver() {
	read := bytes.Clone(c.r.Unread())
	c.r.Discard()
	c.e.remove(c)
	c.e.deps.HTTP2(&prefixed{Conn: c.nc, prefix: read})
}

// begin starts an exchange.
func (c *conn) begin() *exchange.Exchange {
	x := c.e.deps.Exchanges.Get()
	x.Now = c.e.deps.Sweeper.Time()
	x.Peer, x.Local, x.Secure, x.Listener = c.peer, c.local, c.secure, c.set.name
	x.Interim = c
	c.body.reset(x)
	c.msg = wire.Message{}
	c.mu.Lock()
	c.x = x
	c.turn++
	c.mu.Unlock()
	return x
}

// release ends an exchange and all views of the request.
func (c *conn) release(x *exchange.Exchange) {
	c.mu.Lock()
	c.x = nil
	c.turn++
	c.mu.Unlock()
	c.e.deps.Exchanges.Put(x)
	c.r.Recycle()
}

// read takes the head into the exchange and prepares the body. A refused
// request leaves its reason in the exchange.
func (c *conn) read(x *exchange.Exchange, head []byte) {
	msg, reason := wire.ParseRequest(head, x, &c.set.limits)
	if reason != nil {
		x.Refuse(reason)
		x.CloseClient = true
		return
	}
	c.msg = msg
	c.body.start(x, msg)
}

// refuseHead prepares the refusal of a head that did not come, or can't be
// taken. It returns false when there is nobody to answer.
func (c *conn) refuseHead(x *exchange.Exchange, head []byte, err error, inTime bool) bool {
	x.CloseClient = true
	reason := wire.RequestReason(err)
	nothing := len(bytes.Trim(head, "\r\n")) == 0 // no request has begun that an answer could belong to
	switch {
	case nothing && reason == nil:
		return false
	case !inTime:
		reason = exchange.HeaderTimeout
		c.revive()
	case reason != nil:
	case errors.Is(err, io.ErrUnexpectedEOF):
		reason, x.Detail = exchange.BadHeader, "the connection ended within the header"
	default: // reset: nobody hears an answer, but the log does
		reason, x.Detail = exchange.ClientGone, "the connection broke within the header"
	}
	wire.Glimpse(head, x)
	x.Refuse(reason)
	return true
}

// revive makes a connection usable for a last answer after its deadline.
func (c *conn) revive() {
	c.timer.Reset()
	c.writer.timer.Reset()
	_ = c.nc.SetDeadline(time.Time{})
	if c.state.Load() == closing { // by somebody who set a deadline that has just been lifted
		_ = c.nc.SetDeadline(past)
	}
}

// settle deals with a request body that nobody read to its end: a small rest
// is read to keep the connection, a large one ends it.
func (c *conn) settle(x *exchange.Exchange, keep bool) bool {
	switch {
	case x.Tunnel != nil: // has counted
	case x.RequestBody.Streams():
		x.BytesIn = x.RequestBody.Received()
	default:
		x.BytesIn = x.RequestBody.Size()
	}
	if !keep || c.body.done() {
		return keep
	}
	if x.CloseClient || x.ExpectContinue || c.body.broken() {
		return false
	}
	return c.body.drain()
}

const (
	lingerBytes = 16 << 20
	lingerTime  = time.Second
)

// linger lets the client read a last answer although it may still be sending:
// closing at once would reset the connection and take the answer with it (RFC
// 9112 section 9.6).
func (c *conn) linger() {
	if c.body.done() && c.r.Buffered() == 0 && !c.pipelined() {
		return
	}
	half, ok := c.nc.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	c.revive()
	_ = c.nc.SetDeadline(time.Now().Add(lingerTime))
	buf := c.e.deps.Buffers.Get(wire.LargeBuffer)
	defer buf.Release()
	for n := 0; n < lingerBytes; {
		m, err := c.nc.Read(buf.B)
		n += m
		if err != nil {
			return
		}
	}
}

// pipelined tells whether a client that was told that an answer is the last one had
// sent another request before.
func (c *conn) pipelined() bool {
	return c.e.waning.Load() && c.raw != nil && !c.ask(sock.Quiet) && !c.ask(sock.Ended)
}

func lowest(nc net.Conn) net.Conn {
	if tc, ok := nc.(*tls.Conn); ok {
		return tc.NetConn()
	}
	return nc
}

// Expired implements sweep.Owner: whatever blocks on the connection ends.
func (c *conn) Expired() {
	c.interrupt()
	if t := c.tunnel.Load(); t != nil {
		t.expire()
	}
}

// Probe implements sweep.Owner: a client that left while the upstream works
// has its call cancelled, and a connection that rests at its end is closed. An
// exchange, or a rest, is looked at from its second probe on, so that short
// ones cost nothing.
func (c *conn) Probe() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.raw == nil || c.tunnel.Load() != nil {
		return
	}
	if c.probed != c.turn {
		c.probed = c.turn
		return
	}
	switch {
	case c.x == nil:
		if c.state.Load() == idle && c.ask(sock.Ended) {
			c.interrupt()
		}
	case c.body.complete.Load() && c.ask(sock.Closed):
		c.x.Abort(exchange.ClientGone)
	}
}

// ask asks the kernel about the socket.
func (c *conn) ask(question func(fd uintptr) bool) bool {
	yes := false
	err := c.raw.Control(func(fd uintptr) { yes = question(fd) })
	return err == nil && yes
}

// endIfIdle ends the connection when no request is on it, or has come for it: see
// last.
func (c *conn) endIfIdle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state.CompareAndSwap(idle, woken) {
		c.interrupt()
	}
}

// rescue takes a connection back that was woken to end, for a request that came at
// that moment. It returns false when the connection is not in that state.
func (c *conn) rescue() bool {
	c.mu.Lock() // waits until whoever wakes it has done so
	taken := c.state.CompareAndSwap(woken, active)
	c.mu.Unlock()
	if !taken {
		return false
	}
	c.revive()
	return true
}

// lasting tells whether something is on the connection that hardly ever ends.
func (c *conn) lasting() bool { return c.tunnel.Load() != nil || c.events.Load() }

// kill ends the connection whatever happens on it, and tells whether a request
// was.
func (c *conn) kill() (running bool) {
	c.state.Store(closing)
	running = c.abort()
	if t := c.tunnel.Load(); t != nil {
		t.expire()
	}
	c.interrupt()
	return running
}

// abort gives the running exchange up, and tells whether there is one.
func (c *conn) abort() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.x == nil {
		return false
	}
	c.x.Abort(exchange.ShuttingDown)
	return true
}

// part ends a tunnel or a stream of events so that its client sees that it is
// meant to come again. It tells whether there is one.
func (c *conn) part() bool {
	if t := c.tunnel.Load(); t != nil {
		t.part()
		return true
	}
	if c.events.Load() {
		c.parted.Store(true)
		return c.abort()
	}
	return false
}

// interrupt ends what blocks on the client's side, or gives a parked
// connection the goroutine that it needs to end.
func (c *conn) interrupt() {
	_ = c.nc.SetDeadline(past)
	if c.e.deps.Lot != nil {
		c.e.deps.Lot.wake(c)
	}
}
