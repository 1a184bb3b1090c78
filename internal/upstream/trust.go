package upstream

import (
	"bytes"
	"time"

	"yett/internal/exchange"
	"yett/internal/sock"
	"yett/internal/upstream/retry"
)

// A look at a connection before each request costs a system call. It is left out
// where it could hardly see anything, and where nothing is lost should the
// connection be of no use:
//
//   - The last answer came just now, in one piece, and its end was certain. What a service sends
//     behind it comes along with it, and is seen, or it takes the service a moment, and
//     comes after the next request as well as before it, when no look can help.
//     Services that close a connection do so when it has been idle for longer. An answer that
//     came in several pieces has taken as long as its client did, and one that nobody asked for
//     shows behind it at no other time than in a look.
//   - The service has never sent anything unasked, see target.untidy.
//   - The request may be sent again when the connection turns out to be closed.
//
// What came unasked all the same lies before the answer then; where that is here
// too, it shows: see conn.misled. An end that came before the request was written
// is noticed by Probe, because the runtime had no reason to tell of it.

// trustTime is how long a connection may have rested since its last answer: see Service.trust.
const trustTime = time.Millisecond

// trusts tells whether a request goes out without a look.
func (c *conn) trusts() bool {
	rest := c.now.Sub(c.since)
	return c.tidy && rest >= 0 && rest <= c.t.service.trust && !c.t.untidy.Load() && retry.Idempotent(c.x.Method) && c.x.Upgrade == ""
}

// rest notes how the answer that was read to its end at a certain time has ended, and
// whether it came in one piece.
func (c *conn) rest(at time.Time, whole bool) {
	rest := c.r.Unread()
	if len(bytes.Trim(rest, "\r\n")) > 0 {
		c.t.untidy.Store(true)
	}
	// Of an answer without content some services send the content, too.
	certain := c.x.Method != "HEAD" && c.head.Status >= 200 && c.head.Status != 204 && c.head.Status != 304
	c.tidy, c.since = certain && whole && len(rest) == 0, at
}

// misled tells whether another answer lies behind this one, to a request that went
// out without a look: then this one may be nobody's, and that the right one.
func (c *conn) misled() bool {
	if c.talk.looks || !c.reused {
		return false
	}
	const version = "HTTP/"
	rest := bytes.TrimLeft(c.body.Behind(), "\r\n") // some services end an answer with an empty line
	n := min(len(rest), len(version))
	return n > 0 && string(rest[:n]) == version[:n]
}

// mislead is what comes of it. The request is sent again where that is possible.
func (c *conn) mislead(x *exchange.Exchange) outcome {
	c.t.untidy.Store(true)
	x.Status = 0
	return c.fail(outcome{reason: exchange.UpstreamReset, detail: errStray.Error(), dead: true})
}

// Probe implements sweep.Owner: it ends the wait for an answer on a connection whose
// end had come before the request. Only a service that closes one half and goes on
// reading leaves it at that; others reset the connection. An answer that was received between
// the questions may itself end with the connection, and is left alone.
func (c *conn) Probe() {
	if c.talk.waits.Load() && c.ask(sock.Ended) && c.talk.waits.CompareAndSwap(true, false) {
		c.gone.Store(true)
		_ = c.nc.SetDeadline(past)
	}
}

// ask asks the kernel about the socket.
func (c *conn) ask(question func(fd uintptr) bool) bool {
	yes := false
	err := c.raw.Control(func(fd uintptr) { yes = question(fd) })
	return err == nil && yes
}
