package http1

import (
	"io"
	"sync/atomic"
	"time"

	"yett/internal/exchange"
	"yett/internal/wire"
)

// tunnel is a connection that has switched protocols: bytes go both ways, and
// each direction ends by itself.
type tunnel struct {
	c    *conn
	up   exchange.Tunnel
	idle time.Duration
	in   atomic.Int64 // bytes from the client
	over atomic.Bool  // expired or killed
}

// expire ends what blocks on the upstream side. The client's side is ended by
// the connection.
func (t *tunnel) expire() {
	t.over.Store(true)
	_ = t.up.SetDeadline(past)
}

// runTunnel sends the 101 and copies until both directions have ended, one
// has failed, or nothing moved for the idle time.
func (c *conn) runTunnel(x *exchange.Exchange) {
	defer x.Tunnel.Close()
	t := &tunnel{c: c, up: x.Tunnel, idle: c.set.timeouts.tunnelIdle}
	if x.Out.TunnelIdle > 0 {
		t.idle = x.Out.TunnelIdle
	}
	if !c.switchProtocols(x) {
		return
	}
	c.tunnel.Store(t)
	defer c.tunnel.Store(nil)
	done := make(chan error, 1)
	go func() { done <- t.copyUp() }()
	out, downErr := t.copyDown()
	if downErr != nil {
		_ = c.nc.SetReadDeadline(past) // ends copyUp
	}
	upErr := <-done
	x.BytesIn, x.BytesOut = t.in.Load(), out
	t.conclude(x, downErr, upErr)
	c.body.stopped.Store(true)
}

func (c *conn) switchProtocols(x *exchange.Exchange) bool {
	buf := c.e.deps.Buffers.Get(wire.SmallBuffer)
	defer buf.Release()
	head := wire.AppendResponse(buf.B[:0], x, wire.Message{}, wire.SwitchProto, "", false)
	if c.write(head, nil) != nil {
		c.lost(x)
		return false
	}
	return true
}

// conclude says why the tunnel ended, when it was not by its two ends.
func (t *tunnel) conclude(x *exchange.Exchange, down, up error) {
	switch {
	case x.Aborted() != nil:
		x.Reason = x.Aborted()
	case t.c.timer.Fired():
		x.Reason = exchange.TunnelIdle
	case down != nil:
		x.Reason, x.Detail = exchange.UpstreamCut, down.Error()
	case up != nil:
		x.Reason, x.Detail = exchange.ClientGone, up.Error()
	}
}

func (t *tunnel) copyUp() error {
	err := t.copy(t.up, clientSide{t.c}, &t.in)
	if err == nil {
		return t.up.CloseWrite()
	}
	_ = t.up.SetDeadline(past) // ends copyDown
	return err
}

func (t *tunnel) copyDown() (int64, error) {
	var out atomic.Int64
	err := t.copy(t.c.nc, t.up, &out)
	if err == nil {
		if half, ok := t.c.nc.(interface{ CloseWrite() error }); ok {
			err = half.CloseWrite()
		}
	}
	return out.Load(), err
}

// clientSide reads what came behind the request's head first.
type clientSide struct{ c *conn }

func (s clientSide) Read(p []byte) (int, error) {
	if s.c.r.Buffered() > 0 {
		return s.c.r.Take(p), nil
	}
	return s.c.nc.Read(p)
}

// copy moves bytes until the source ends. A quiet tunnel holds a small
// buffer, a busy one a large one.
func (t *tunnel) copy(dst io.Writer, src io.Reader, count *atomic.Int64) error {
	buf := t.c.e.deps.Buffers.Get(wire.SmallBuffer)
	defer func() { buf.Release() }()
	for {
		if !t.c.timer.After(t.idle) || t.over.Load() {
			return exchange.TunnelIdle
		}
		n, err := src.Read(buf.B)
		if n > 0 {
			t.c.timer.After(t.idle)
			if _, werr := dst.Write(buf.B[:n]); werr != nil {
				return werr
			}
			count.Add(int64(n))
			buf = t.c.e.deps.Buffers.Fit(buf, n)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
