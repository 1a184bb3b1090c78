package main

import (
	"crypto/tls"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// drainTime is how long answers may still come after the end of a window.
const drainTime = 10 * time.Second

// sliceTime is how long one subject has load at a stretch.
const sliceTime = 50 * time.Millisecond

// loadSpec says what the load generator has to do. Times are in nanoseconds in
// its JSON form.
type loadSpec struct {
	Conns    int           `json:"conns"` // for each subject
	Subjects []loadTarget  `json:"subjects"`
	Rounds   int           `json:"rounds"`
	Duration time.Duration `json:"duration"` // of a round, for each subject
	Warmup   time.Duration `json:"warmup"`   // before the rounds, for each subject
	Helpers  []int         `json:"helpers"`  // pids of the harness beside the load generator
	Cores    []int         `json:"cores"`    // where all processes run
}

// loadTarget is a subject as the load generator sees it.
type loadTarget struct {
	traffic
	Address netip.AddrPort `json:"address"`
	PIDs    []int          `json:"pids"` // whose CPU time is taken
	Want    answer         `json:"want"`
}

// window is what one subject did in one round. Times are in nanoseconds in its
// JSON form.
type window struct {
	Requests int64         `json:"requests"`
	Elapsed  time.Duration `json:"elapsed"` // time under load
	CPU      time.Duration `json:"cpu"`     // also of the time between the slices
	P50      time.Duration `json:"p50"`
	P99      time.Duration `json:"p99"`
	Foreign  float64       `json:"foreign"` // time that strangers took from the cores in this round, 1 is a whole core
}

// loader drives its connections in a closed loop: each sends its next request
// when it has the whole answer to the last one. One of HTTP/2 does so on each of
// its streams.
type loader struct {
	traffic
	to     netip.AddrPort
	want   answer
	script script
	tls    *tls.Config // nil in clear text

	poll  *poller
	conns []*loadConn
	buf   []byte // as received
	plain []byte // as decrypted
	start time.Time

	open     int  // connections that have not failed
	waiting  int  // requests under way
	stopping bool // send no more requests
	dialled  int  // connections opened so far

	active   time.Duration // time under load
	answered int64
	latency  histogram
	failures int64
	failure  error // the first one
}

type loadConn struct {
	socket
	key  int       // its place in loader.conns
	tls  *tlsLayer // nil in clear text
	h2   *h2Conn   // nil with HTTP/1.1
	in   message
	text []byte        // a request that is not like the last one
	sent time.Duration // since loader.start, with HTTP/1.1
	// under is how many answers are still to come.
	under int
	dead  bool
}

func newLoader(to netip.AddrPort, t traffic, want answer) (*loader, error) {
	l := &loader{
		traffic: t,
		to:      to,
		want:    want,
		buf:     make([]byte, 256<<10),
		start:   time.Now(),
	}
	var err error
	if l.script, err = newScript(t); err != nil {
		return nil, err
	}
	if t.Protocol.secure() {
		l.plain = make([]byte, 64<<10)
		if l.tls, err = clientTLS(t); err != nil {
			return nil, err
		}
	}
	l.poll, err = newPoller()
	return l, err
}

// run keeps all connections busy for the given time and then takes the answers
// to the requests that are under way.
func (l *loader) run(d time.Duration) error {
	l.stopping = false
	begin := time.Since(l.start)
	for _, c := range l.conns {
		l.begin(c, l.streams())
	}
	if err := l.runUntil(begin + d); err != nil {
		return err
	}
	if err := l.drain(); err != nil {
		return err
	}
	l.active += time.Since(l.start) - begin
	return nil
}

// streams is how many requests a connection has under way.
func (l *loader) streams() int {
	if l.Protocol == http2 {
		return h2Streams
	}
	return 1
}

// connect opens n more connections, or has them opened with each request.
func (l *loader) connect(n int) error {
	for range n {
		c := &loadConn{key: len(l.conns), socket: socket{fd: noSocket}}
		if l.Protocol != closing {
			if err := l.dial(c); err != nil {
				c.close()
				return fmt.Errorf("open connection %d: %w", c.key+1, err)
			}
		}
		l.conns = append(l.conns, c)
		l.open++
	}
	return nil
}

// dial opens a connection that stays open. Each source address serves 20000 of
// them, fewer than it has free ports.
func (l *loader) dial(c *loadConn) (err error) {
	const perSource = 20000
	if c.socket, err = dial(l.source(perSource), l.to); err != nil {
		return err
	}
	if l.tls != nil {
		if c.tls, err = handshake(&c.socket, l.tls); err != nil {
			return err
		}
	}
	if err := unix.SetNonblock(c.fd, true); err != nil {
		return fmt.Errorf("make socket non-blocking: %w", err)
	}
	if err := l.poll.add(c.fd, c.key); err != nil {
		return err
	}
	if l.Protocol != http2 {
		return nil
	}
	if c.h2, err = newH2Conn(l.Request); err != nil {
		return err
	}
	return l.receive(c, nil) // what came together with the handshake
}

// dialShort opens a connection for one request, and sends it. Those of a minute share many
// source addresses: the ports of one would not do, as each is taken until a
// minute after its connection has ended.
func (l *loader) dialShort(c *loadConn) (err error) {
	const perSource = 100
	if c.socket, err = dialShort(l.source(perSource), l.to); err != nil {
		return err
	}
	if err := c.write(l.script.next(&c.text)); err != nil {
		return err
	}
	if len(c.out) > 0 {
		return l.poll.add(c.fd, c.key)
	}
	return l.poll.addReader(c.fd, c.key)
}

// source returns the address of this machine that the next connection comes from:
// one after the other of 200, the next one after so many connections.
func (l *loader) source(perSource int) netip.Addr {
	n := l.dialled / perSource % 200
	l.dialled++
	return netip.AddrFrom4([4]byte{127, 0, 0, byte(1 + n)})
}

func (l *loader) close() {
	for _, c := range l.conns {
		if !c.dead {
			c.close()
		}
	}
	l.poll.close()
}

// runUntil works until the given time since l.start.
func (l *loader) runUntil(end time.Duration) error {
	for {
		left := end - time.Since(l.start)
		if left <= 0 {
			return nil
		}
		if l.open == 0 {
			return fmt.Errorf("no connection left: %w", l.failure)
		}
		if err := l.turn(left); err != nil {
			return err
		}
	}
}

// drain takes the answers to the requests that are under way and sends no more.
func (l *loader) drain() error {
	l.stopping = true
	end := time.Since(l.start) + drainTime
	for l.waiting > 0 {
		left := end - time.Since(l.start)
		if left <= 0 {
			return fmt.Errorf("%d requests unanswered after %s", l.waiting, drainTime)
		}
		if err := l.turn(left); err != nil {
			return err
		}
	}
	return nil
}

// turn handles what is ready, waiting for it at most the given time.
func (l *loader) turn(timeout time.Duration) error {
	events, err := l.poll.wait(timeout)
	if err != nil {
		return err
	}
	for _, e := range events {
		c := l.conns[e.Fd]
		if c.dead {
			continue
		}
		if err := l.ready(c); err != nil {
			l.drop(c, err)
		}
	}
	return nil
}

func (l *loader) ready(c *loadConn) error {
	if err := c.flush(); err != nil {
		return err
	}
	for !c.dead {
		var emptied bool
		var err error
		if c.tls == nil && c.in.ahead() >= discardFrom {
			emptied, err = l.skip(c)
		} else {
			emptied, err = l.read(c)
		}
		if err != nil || emptied {
			return err
		}
	}
	return nil
}

// read takes what has come, and reports whether that was all: a short read has
// emptied the socket.
func (l *loader) read(c *loadConn) (emptied bool, err error) {
	n, err := c.read(l.buf)
	if err != nil || n == 0 {
		return true, err
	}
	return n < len(l.buf), l.receive(c, l.buf[:n])
}

// skip is read within a body.
func (l *loader) skip(c *loadConn) (emptied bool, err error) {
	p := l.buf[:min(int64(len(l.buf)), c.in.ahead())]
	n, err := c.discard(p)
	if err != nil || n == 0 {
		return true, err
	}
	if c.in.pass(n) { // nothing comes before the next request
		return true, l.whole(c)
	}
	return n < len(p), nil
}

// receive takes bytes as they came from the socket.
func (l *loader) receive(c *loadConn, p []byte) error {
	if c.tls == nil {
		return l.take(c, p)
	}
	c.tls.feed(p)
	for !c.dead {
		n, err := c.tls.read(l.plain)
		switch {
		case err != nil:
			return err
		case n == 0:
			return c.push()
		}
		if err := l.take(c, l.plain[:n]); err != nil {
			return err
		}
	}
	return nil
}

// take handles bytes of answers.
func (l *loader) take(c *loadConn, p []byte) error {
	if c.h2 != nil {
		return c.h2.take(p, func(s h2Stream) { l.finish(c, s.sent, s.status, s.body) })
	}
	n, done, err := c.in.feed(p)
	switch {
	case err != nil:
		return err
	case !done:
		return nil
	case n < len(p):
		return fmt.Errorf("%d bytes after the end of the answer", len(p)-n)
	}
	return l.whole(c)
}

// whole takes an answer of HTTP/1.1 that has come to its end.
func (l *loader) whole(c *loadConn) error {
	switch {
	case len(c.out) > 0:
		return fmt.Errorf("answer %q before the request was sent", c.in.start)
	case c.under == 0:
		return fmt.Errorf("answer %q to no request", c.in.start)
	}
	l.finish(c, c.sent, statusOf(c.in.start), c.in.body)
	return nil
}

// finish counts an answer to a request that was sent then, and sends the next one.
func (l *loader) finish(c *loadConn, sent time.Duration, status int, body int64) {
	c.under--
	l.waiting--
	if err := l.check(status, body); err != nil {
		l.fail(err)
	} else {
		l.answered++
		l.latency.add(time.Since(l.start) - sent)
	}
	if l.Protocol == closing {
		c.close()
	}
	if !l.stopping {
		l.send(c)
	}
}

// check says what is wrong with an answer.
func (l *loader) check(status int, body int64) error {
	if status != l.want.Status {
		return fmt.Errorf("answered with status %d, want status %d", status, l.want.Status)
	}
	if l.want.Body != anySize && body != l.want.Body {
		return fmt.Errorf("answered %d body bytes, want %d", body, l.want.Body)
	}
	return nil
}

// begin sends n requests at once.
func (l *loader) begin(c *loadConn, n int) {
	for range n {
		if !c.dead {
			l.send(c)
		}
	}
	if c.dead {
		return
	}
	if err := c.push(); err != nil {
		l.drop(c, err)
	}
}

// send sends the next request. That of HTTP/2 goes out with the next push.
func (l *loader) send(c *loadConn) {
	c.under++
	l.waiting++
	if err := l.write(c); err != nil {
		l.drop(c, err)
	}
}

func (l *loader) write(c *loadConn) error {
	now := time.Since(l.start)
	if c.h2 != nil {
		return c.h2.request(now)
	}
	c.sent = now
	if l.Protocol == closing {
		return l.dialShort(c)
	}
	return c.write(l.script.next(&c.text))
}

// write sends bytes of requests. They must stay as they are until they are out.
func (c *loadConn) write(p []byte) error {
	if c.tls == nil {
		c.out = p
	} else if err := c.tls.write(p); err != nil {
		return err
	}
	return c.flush()
}

// push sends the frames that HTTP/2 has collected.
func (c *loadConn) push() error {
	if c.h2 == nil || len(c.h2.out) == 0 {
		return nil
	}
	err := c.write(c.h2.out)
	c.h2.out = c.h2.out[:0]
	return err
}

// drop gives a connection up.
func (l *loader) drop(c *loadConn, err error) {
	if c.dead {
		return
	}
	c.dead = true
	c.close()
	l.open--
	l.waiting -= c.under
	l.fail(err)
}

func (l *loader) fail(err error) {
	l.failures++
	if l.failure == nil {
		l.failure = err
	}
}
