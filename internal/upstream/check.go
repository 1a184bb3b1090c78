package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"time"

	"yett/internal/config"
	"yett/internal/exchange"
	"yett/internal/wire"
)

const (
	// firstCheck is within what time the first checks come.
	firstCheck = time.Second
	// mostCheckBody is how much of an answer to a check is read, so that its
	// connection can be used again. Of one that is longer the connection is closed.
	mostCheckBody = 64 << 10

	checkAgent = "yett-health-check"
)

// checker asks one target again and again whether it is well. It takes the way of
// requests, from the pool to the answer, but is none: breaker, limits, latencies,
// and requests in flight know nothing of it. A check in flight would make a
// target look busier than it is, and must not keep one that drains.
type checker struct {
	t       *target
	conf    *config.Health
	known   bool // a check has ended
	down    bool
	against int   // checks in a row that say otherwise
	conn    *conn // of the check under way, until the head of its answer is here
}

// run checks until ctx ends, one at a time.
func (c *checker) run(ctx context.Context) {
	interval := time.Duration(c.conf.Interval)
	timer := time.NewTimer(time.Duration(rand.Int64N(int64(min(interval, firstCheck)) + 1)))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		began := time.Now()
		c.once(ctx)
		next := time.Duration((0.9 + 0.2*rand.Float64()) * float64(interval))
		timer.Reset(next - time.Since(began))
	}
}

// once makes one check and counts it. A fault in the gateway ends neither that nor the
// checks to come.
func (c *checker) once(ctx context.Context) {
	defer func() {
		if fault := recover(); fault != nil {
			c.t.service.report("what a health check has found", fault)
		}
	}()
	if cause, known := c.contained(ctx); known {
		c.note(cause)
	}
}

// contained is check, but that a fault in the gateway is a check that has failed.
func (c *checker) contained(ctx context.Context) (cause string, known bool) {
	defer func() {
		if fault := recover(); fault != nil {
			c.t.service.report("a health check", fault)
			c.giveUp()
			cause, known = "a fault in the gateway", true
		}
	}()
	return c.check(ctx)
}

// giveUp closes the connection of a check in which a fault was.
func (c *checker) giveUp() {
	conn := c.conn
	c.conn = nil
	conn.giveUp()
}

// note counts what a check has found: cause is why the target is not well, "" when
// it is.
func (c *checker) note(cause string) {
	first, now := !c.known, time.Now()
	c.known = true
	c.t.checked.Store(now.UnixNano())
	if fails := cause != ""; fails == c.down {
		c.against = 0
		return
	}
	c.against++
	switch {
	case !c.down && (first || c.against >= c.conf.Unhealthy):
		cause = "health check: " + cause
	case c.down && c.against >= c.conf.Healthy:
		cause = fmt.Sprintf("health check: %d in a row succeeded", c.against)
	default:
		return
	}
	c.down, c.against = !c.down, 0
	c.t.service.balancer.SetHealthy(c.t.node, !c.down, cause, now)
}

// check asks once. It returns why the target is not well, "" when it is. known is
// false when nothing was found out: the target drains, or all its connections are
// in use.
func (c *checker) check(ctx context.Context) (cause string, known bool) {
	s := c.t.service
	ctx, cancel := context.WithTimeout(ctx, time.Duration(c.conf.Timeout))
	defer cancel()
	x := c.request()
	unbind := bind(ctx, x)
	sound := false
	defer func() {
		unbind()
		if sound { // else somebody may still hold it
			s.exchanges.Put(x)
		}
	}()
	out := c.ask(x)
	late := out.reason == nil
	if late {
		out.reason = c.swallow(x)
	}
	sound = true
	if out.reason == exchange.ShuttingDown || out.reason == exchange.PoolExhausted {
		return "", false
	}
	return c.cause(x.Status, out, late), true
}

// request makes the exchange of a check.
func (c *checker) request() *exchange.Exchange {
	x := c.t.service.exchanges.Get()
	x.Now, x.Method = time.Now(), "GET"
	x.Out.Path, x.Query, x.HasQuery = strings.Cut(c.conf.Path, "?")
	x.Out.IdleTimeout = time.Duration(c.conf.Timeout)
	x.Out.Host = c.host()
	x.Request.Add("User-Agent", checkAgent)
	return x
}

// host is the Host field of checks, "" for the target's own.
func (c *checker) host() string {
	switch h := c.t.service.conf.Host; {
	case c.conf.Host != "":
		return c.conf.Host
	case h == "client" || h == "target":
		return ""
	default:
		return h
	}
}

// ask sends the check.
func (c *checker) ask(x *exchange.Exchange) outcome {
	return c.t.askBeside(x, time.Duration(c.conf.Timeout), &c.conn)
}

// swallow reads the answer's body and throws it away. The connection goes back to
// the pool when that was all of it.
func (c *checker) swallow(x *exchange.Exchange) *exchange.Reason {
	if !x.ResponseBody.Streams() {
		return nil
	}
	defer func() { _ = x.ResponseBody.Close() }()
	buf := c.t.service.deps.Buffers.Get(wire.SmallBuffer)
	defer buf.Release()
	for read := 0; read <= mostCheckBody; {
		n, err := x.ResponseBody.Read(buf.B)
		read += n
		var r *exchange.Reason
		switch {
		case err == io.EOF:
			return nil
		case errors.As(err, &r):
			return r
		case err != nil:
			return exchange.UpstreamReset
		}
	}
	return nil
}

// cause says in words why the target is not well, "" when it is. late tells that
// the answer's head had come.
func (c *checker) cause(status int, out outcome, late bool) string {
	wanted := triggers{statuses: c.t.service.rules.well}
	if late && !wanted.hasStatus(status) {
		return fmt.Sprintf("status %d, want %s", status, strings.Join(c.conf.Status, " or "))
	}
	return out.words(late, c.conf.Timeout, min(c.conf.Timeout, c.t.service.conf.Timeouts.Connect))
}
