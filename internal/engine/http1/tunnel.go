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
	c       *conn
	up      exchange.Tunnel
	idle    time.Duration
	in, out atomic.Int64 // bytes from the client, and to it
	over    atomic.Bool  // expired or killed
	parting atomic.Bool  // the gateway stops, see part
	// sockets tells that frames of WebSocket go through it.
	sockets bool
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
	t := &tunnel{c: c, up: x.Tunnel, idle: c.set.timeouts.tunnelIdle, sockets: exchange.EqualFold(x.Upgrade, "websocket")}
	if x.Out.TunnelIdle > 0 {
		t.idle = x.Out.TunnelIdle
	}
	c.tunnel.Store(t) // before anybody can see it, so that who stops the gateway does, too
	defer c.tunnel.Store(nil)
	if !c.switchProtocols(x) {
		return
	}
	if c.e.late.Load() {
		t.part()
	}
	done := make(chan error, 1)
	go func() { done <- t.copyUp() }()
	downErr := t.copyDown()
	if downErr != nil {
		_ = c.nc.SetReadDeadline(past) // ends copyUp
	}
	upErr := <-done
	x.BytesIn, x.BytesOut = t.in.Load(), t.out.Load()
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
	case t.parting.Load():
		x.Reason = exchange.ShuttingDown
	case t.c.timer.Fired():
		x.Reason = exchange.TunnelIdle
	case down != nil:
		x.Reason, x.Detail = exchange.UpstreamCut, down.Error()
	case up != nil:
		x.Reason, x.Detail = exchange.ClientGone, up.Error()
	}
}

func (t *tunnel) copyUp() error {
	err := t.copy(&direction{dst: t.up, src: clientSide{t.c}, late: t.c.nc.SetReadDeadline, count: &t.in, masked: true})
	if err == nil {
		return t.up.CloseWrite()
	}
	_ = t.up.SetDeadline(past) // ends copyDown
	return err
}

func (t *tunnel) copyDown() error {
	err := t.copy(&direction{dst: t.c.nc, src: t.up, late: t.up.SetReadDeadline, count: &t.out})
	if err == nil {
		if half, ok := t.c.nc.(interface{ CloseWrite() error }); ok {
			err = half.CloseWrite()
		}
	}
	return err
}

// direction is one way through a tunnel.
type direction struct {
	dst    io.Writer
	src    io.Reader
	late   func(time.Time) error // sets the deadline of src
	count  *atomic.Int64
	frames frames
	masked bool // frames are, as those of clients have to be
}

// clientSide reads what came behind the request's head first.
type clientSide struct{ c *conn }

func (s clientSide) Read(p []byte) (int, error) {
	if s.c.r.Buffered() > 0 {
		return s.c.r.Take(p), nil
	}
	return s.c.nc.Read(p)
}

// copy moves bytes until the source ends, or the gateway does. A quiet tunnel
// holds a small buffer, a busy one a large one.
func (t *tunnel) copy(d *direction) error {
	buf := t.c.e.deps.Buffers.Get(wire.SmallBuffer)
	defer func() { buf.Release() }()
	for {
		if !t.c.timer.After(t.idle) || t.over.Load() {
			return exchange.TunnelIdle
		}
		n, err := d.src.Read(buf.B)
		if n > 0 {
			t.c.timer.After(t.idle)
			if werr := t.pass(d, buf.B[:n]); werr != nil {
				return werr
			}
			buf = t.c.e.deps.Buffers.Fit(buf, n)
		}
		switch {
		case err == io.EOF:
			return nil
		case err != nil && t.parting.Load() && !t.over.Load():
			return t.sayGoodbye(d, buf.B)
		case err != nil:
			return err
		}
	}
}

// pass sends what came.
func (t *tunnel) pass(d *direction, p []byte) error {
	if _, err := d.dst.Write(p); err != nil {
		return err
	}
	d.count.Add(int64(len(p)))
	if t.sockets {
		d.frames.follow(p)
	}
	return nil
}
