package upstream

import (
	"errors"
	"net"

	"yett/internal/exchange"
	"yett/internal/wire"
)

// writeNothing marks a write that failed before the first byte: the service
// can't have seen the request.
type writeNothing struct{ error }

// Unwrap returns the error of the write.
func (w writeNothing) Unwrap() error { return w.error }

// wroteNothing tells whether an error of sending is a writeNothing.
func wroteNothing(err error) bool {
	var none writeNothing
	return errors.As(err, &none)
}

// send writes head and body. It may have read the first bytes of the answer
// when it returns. A body that is whole goes out with the head in
// one call; one that streams is pumped by a goroutine of its own, because the
// service may answer before it ends.
func (c *conn) send(x *exchange.Exchange) error {
	whole, streams := x.RequestBody.Whole()
	streams = !streams
	m := bodyMessage(x, len(whole), streams)
	head := c.t.appendHead(x.HeadRoom(), x, m)
	if !streams && c.canTalk(head, whole) {
		c.timer.After(c.response)
		return c.talkOnce(append(head, whole...))
	}
	c.talk.looks = c.t.tls == nil // over TLS none tells what waits
	if c.reused && !c.alive() {
		return writeNothing{errStray}
	}
	c.timer.After(c.idle)
	if err := c.write(head, whole); err != nil {
		return err
	}
	if streams {
		c.timer.Stop()
		x.ExpectContinue = false // from here on the service says when to continue
		c.pump.start(c, x, m.Framing == wire.ByChunks)
		return nil
	}
	c.timer.After(c.response)
	return nil
}

// appendHead appends the head of a request to the target.
func (t *target) appendHead(dst []byte, x *exchange.Exchange, m wire.Message) []byte {
	return appendHead(dst, t.host, x, m)
}

func appendHead(dst []byte, host string, x *exchange.Exchange, m wire.Message) []byte {
	if x.Out.Host != "" {
		host = x.Out.Host
	}
	return wire.AppendRequest(dst, x, host, x.Out.Path, m)
}

// Preview returns the head that Forward would send to the service's first
// target, and sends nothing. While nothing is known of that target, it goes by what
// is written. The reason says why the client's body could not be
// read, nil when all is well.
func (s *Service) Preview(x *exchange.Exchange) (target string, head []byte, reason *exchange.Reason) {
	x.Service = s.name
	if err := x.RequestBody.Gather(); err != nil {
		return "", nil, exchange.BodyReason(err)
	}
	shown := s.set.Load().shown
	if len(shown) == 0 {
		return "", nil, exchange.NoTarget
	}
	whole, inMemory := x.RequestBody.Whole()
	return shown[0].name, appendHead(nil, shown[0].host, x, bodyMessage(x, len(whole), !inMemory)), nil
}

func bodyMessage(x *exchange.Exchange, whole int, streams bool) wire.Message {
	switch {
	case !streams && whole == 0:
		return wire.Message{Framing: wire.NoBody}
	case !streams:
		return wire.Message{Framing: wire.ByLength, Length: int64(whole)}
	case x.RequestBody.Size() >= 0:
		return wire.Message{Framing: wire.ByLength, Length: x.RequestBody.Size()}
	}
	return wire.Message{Framing: wire.ByChunks, Length: -1}
}

// write sends the head and what follows it in one system call.
func (c *conn) write(head, more []byte) error {
	n, err := c.writev(head, more)
	if err != nil && n == 0 {
		return writeNothing{err}
	}
	return err
}

func (c *conn) writev(head, more []byte) (int64, error) {
	if room := cap(head) - len(head); len(more) <= room {
		head, more = append(head, more...), nil
	}
	if len(more) == 0 {
		n, err := c.nc.Write(head)
		return int64(n), err
	}
	c.vecs = [2][]byte{head, more}
	c.vec = net.Buffers(c.vecs[:])
	n, err := c.vec.WriteTo(c.nc)
	c.vecs = [2][]byte{}
	return n, err
}
