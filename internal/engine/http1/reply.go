package http1

import (
	"io"
	"os"
	"syscall"

	"yett/internal/engine"
	"yett/internal/exchange"
	"yett/internal/sock"
	"yett/internal/wire"
)

// reply sends the answer. It returns whether another request may follow.
func (c *conn) reply(x *exchange.Exchange) bool {
	if x.Tunnel != nil {
		c.runTunnel(x)
		return false
	}
	if c.timer.Fired() || c.body.broken() { // the body's deadline, or an interrupt: what follows is a last answer
		c.revive()
		x.CloseClient = true
	}
	if r := x.Aborted(); r == exchange.ClientGone {
		x.Reason, x.Status = r, r.Status
		return false
	}
	m, send, withLength := c.framing(x)
	connection := c.connection(x, m)
	head := wire.AppendResponse(x.HeadRoom(), x, m, connection, c.e.date.at(x.Now.Add(x.UpstreamTime)), withLength)
	var ok bool
	if whole, inMemory := x.ResponseBody.Whole(); inMemory || !send {
		if !send {
			whole = nil
		}
		ok = c.sendWhole(x, head, whole)
	} else {
		ok = c.relay(x, head, m.Framing == wire.ByChunks)
	}
	return ok && connection != wire.CloseAfter && m.Framing != wire.UntilClose
}

// framing decides how the end of the answer is known (RFC 9112 section 6.3),
// whether content is sent at all, and whether the answer keeps the length
// that the service named for content that is not sent.
func (c *conn) framing(x *exchange.Exchange) (m wire.Message, send, withLength bool) {
	whole, inMemory := x.ResponseBody.Whole()
	size := x.ResponseBody.Size()
	switch {
	case x.Status == 204 || x.Status < 200:
		return m, false, false
	case x.Status == 304 || x.Method == "HEAD":
		if inMemory && len(whole) > 0 {
			return wire.Message{Framing: wire.ByLength, Length: int64(len(whole))}, false, false
		}
		return m, false, true
	case inMemory:
		return wire.Message{Framing: wire.ByLength, Length: int64(len(whole))}, true, false
	case size >= 0:
		return wire.Message{Framing: wire.ByLength, Length: size}, true, false
	case x.Version == exchange.HTTP10:
		return wire.Message{Framing: wire.UntilClose}, true, false
	}
	return wire.Message{Framing: wire.ByChunks}, true, false
}

// connection decides what the answer says about the connection.
func (c *conn) connection(x *exchange.Exchange, m wire.Message) wire.Close {
	if !c.msg.KeepAlive || x.CloseClient || m.Framing == wire.UntilClose || c.e.waning.Load() || !c.canSettle(x) {
		return wire.CloseAfter
	}
	if x.Version == exchange.HTTP10 {
		return wire.PersistOld
	}
	return wire.Persist
}

// canSettle tells whether the rest of the request body is certain to be
// small.
func (c *conn) canSettle(x *exchange.Exchange) bool {
	if c.body.done() {
		return true
	}
	left := x.RequestBody.Size() - x.RequestBody.BytesRead()
	return !x.ExpectContinue && x.RequestBody.Size() >= 0 && left <= drainBytes
}

// sendWhole sends head and content at once.
func (c *conn) sendWhole(x *exchange.Exchange, head, content []byte) bool {
	if err := c.write(head, content); err != nil {
		c.lost(x)
		return false
	}
	x.BytesOut = int64(len(content))
	return true
}

// relay sends the head, and the content as it comes: each piece at once, so
// that an event is never kept waiting.
func (c *conn) relay(x *exchange.Exchange, head []byte, chunked bool) bool {
	size := wire.LargeBuffer
	if x.ResponseBody.Size() < 0 {
		size = wire.SmallBuffer
	}
	buf := c.e.deps.Buffers.Get(size)
	defer func() { buf.Release() }()
	if !x.ResponseBody.Ready() {
		if c.write(head, nil) != nil {
			c.lost(x)
			return false
		}
		head = nil
	}
	const room = wire.ChunkHeadRoom
	c.follow(x)
	defer c.events.Store(false)
	for {
		n, err := x.ResponseBody.Read(buf.B[room : len(buf.B)-2])
		if n > 0 || len(head) > 0 {
			if c.write(head, piece(buf.B, n, chunked)) != nil {
				c.lost(x)
				return false
			}
			head = nil
			x.BytesOut += int64(n)
			buf = c.e.deps.Buffers.Fit(buf, n)
		}
		if err == io.EOF {
			return c.finishChunks(x, chunked)
		}
		if err != nil && c.parted.Load() {
			x.Reason = exchange.ShuttingDown
			return c.finishChunks(x, chunked) // the client is to come again, and is not to take it for a fault
		}
		if err != nil {
			return c.broken(x, err)
		}
	}
}

// follow notes that a stream of events begins, which may last longer than requests
// when the gateway stops.
func (c *conn) follow(x *exchange.Exchange) {
	if !engine.IsEvents(x) {
		return
	}
	c.events.Store(true)
	if c.e.late.Load() {
		c.part()
	}
}

func piece(buf []byte, n int, chunked bool) []byte {
	if chunked && n > 0 {
		return wire.FrameChunk(buf, n)
	}
	return buf[wire.ChunkHeadRoom : wire.ChunkHeadRoom+n]
}

func (c *conn) finishChunks(x *exchange.Exchange, chunked bool) bool {
	if !chunked {
		return true
	}
	buf := c.e.deps.Buffers.Get(wire.SmallBuffer)
	defer buf.Release()
	if c.write(wire.AppendLastChunk(buf.B[:0], &x.ResponseTrailer), nil) != nil {
		c.lost(x)
		return false
	}
	return true
}

// broken ends an answer whose head was sent already and whose body broke off:
// the client must not take it for complete.
func (c *conn) broken(x *exchange.Exchange, err error) bool {
	engine.Cut(x, err)
	if t, ok := lowest(c.nc).(interface{ SetLinger(int) error }); ok && x.Version == exchange.HTTP10 {
		_ = t.SetLinger(0) // only a reset tells an HTTP/1.0 client that something is missing
	}
	c.body.stopped.Store(true)
	return false
}

// lost notes that the client does not take the answer.
func (c *conn) lost(x *exchange.Exchange) {
	x.Reason = exchange.ClientGone
	if c.writer.timer.Fired() {
		x.Reason = exchange.WriteTimeout
	}
	if r := x.Aborted(); r != nil {
		x.Reason = r
	}
	c.body.stopped.Store(true)
}

// write sends two pieces in one system call, within the write timeout.
func (c *conn) write(head, more []byte) error {
	c.writer.timer.After(engine.WriteTime(c.set.timeouts.write, len(head)+len(more)))
	err := c.writev(head, more)
	if !c.writer.timer.Stop() && err == nil {
		return exchange.WriteTimeout
	}
	return err
}

func (c *conn) writev(head, more []byte) error {
	if len(head) == 0 {
		head, more = more, nil
	}
	if len(more) <= cap(head)-len(head) {
		head, more = append(head, more...), nil
	}
	if c.raw == nil || c.secure {
		return c.sendSlowly(head, more)
	}
	return c.send(head, more)
}

// sendSlowly writes where there is no socket that could be used directly.
func (c *conn) sendSlowly(head, more []byte) error {
	_, err := c.nc.Write(head)
	if err == nil && len(more) > 0 {
		_, err = c.nc.Write(more)
	}
	return err
}

// send writes without the detour through the file layer.
func (c *conn) send(head, more []byte) (err error) {
	c.unsent, c.sendErr = [2][]byte{head, more}, nil
	if !c.inside || !c.sendSome(c.fd) {
		err = c.raw.Write(c.push)
	}
	c.unsent = [2][]byte{}
	if err == nil {
		err = c.sendErr
	}
	return err
}

// sendSome is called by RawConn.Write, again whenever the socket takes more.
func (c *conn) sendSome(fd uintptr) bool {
	for p := &c.unsent; len(p[0]) > 0; {
		n, err := sock.SendTwo(fd, p[0], p[1])
		if err == syscall.EAGAIN {
			return false
		}
		if err != nil {
			c.sendErr = os.NewSyscallError("send", err)
			return true
		}
		first := min(n, len(p[0]))
		p[0], p[1] = p[0][first:], p[1][n-first:]
		if len(p[0]) == 0 {
			p[0], p[1] = p[1], nil
		}
	}
	return true
}

// WriteInterim implements exchange.Interim. HTTP/1.0 clients know no 1xx.
func (c *conn) WriteInterim(status int, h *exchange.Header) error {
	if c.x.Version == exchange.HTTP10 {
		return nil
	}
	buf := c.e.deps.Buffers.Get(wire.SmallBuffer)
	defer buf.Release()
	return c.write(wire.AppendInterim(buf.B[:0], status, h), nil)
}
