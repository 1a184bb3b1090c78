package main

import (
	"fmt"
	"net/netip"
	"time"
)

// drainTime is how long answers may still come after the end of a window.
const drainTime = 10 * time.Second

// sliceTime is how long one subject has load at a stretch.
const sliceTime = 50 * time.Millisecond

// h2Streams is how many requests are under way at once on a connection of HTTP/2.
const h2Streams = 8

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
// when it has the whole answer to the last one.
type loader struct {
	to      netip.AddrPort
	request []byte
	want    answer

	poll  *poller
	conns []*loadConn
	buf   []byte
	start time.Time

	open     int  // connections that have not failed
	waiting  int  // connections with a request under way
	stopping bool // send no more requests

	active   time.Duration // time under load
	answered int64
	latency  histogram
	failures int64
	failure  error // the first one
}

type loadConn struct {
	socket
	in   message
	sent time.Duration // since loader.start
	busy bool          // its answer is still to come
	dead bool
}

func newLoader(to netip.AddrPort, t traffic, want answer) (*loader, error) {
	poll, err := newPoller()
	if err != nil {
		return nil, err
	}
	return &loader{
		to:      to,
		request: t.Request,
		want:    want,
		poll:    poll,
		buf:     make([]byte, 256<<10),
		start:   time.Now(),
	}, nil
}

// run keeps all connections busy for the given time and then takes the answers
// to the requests that are under way.
func (l *loader) run(d time.Duration) error {
	l.stopping = false
	begin := time.Since(l.start)
	for _, c := range l.conns {
		if !c.dead {
			l.send(c)
		}
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

// connect opens n more connections. Each source address serves 20000 of them,
// fewer than it has free ports.
func (l *loader) connect(n int) error {
	const perSource = 20000
	for range n {
		source := 1 + len(l.conns)/perSource
		s, err := dial(netip.AddrFrom4([4]byte{127, 0, 0, byte(source)}), l.to)
		if err != nil {
			return fmt.Errorf("open connection %d: %w", len(l.conns)+1, err)
		}
		if err := l.poll.add(s.fd, len(l.conns)); err != nil {
			s.close()
			return err
		}
		l.conns = append(l.conns, &loadConn{socket: s})
		l.open++
	}
	return nil
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
	for {
		n, err := c.read(l.buf)
		if err != nil || n == 0 {
			return err
		}
		if err := l.receive(c, l.buf[:n]); err != nil {
			return err
		}
		if n < len(l.buf) { // a short read has emptied the socket
			return nil
		}
	}
}

func (l *loader) receive(c *loadConn, p []byte) error {
	n, done, err := c.in.feed(p)
	switch {
	case err != nil:
		return err
	case !done:
		return nil
	case n < len(p):
		return fmt.Errorf("%d bytes after the end of the answer", len(p)-n)
	case len(c.out) > 0:
		return fmt.Errorf("answer %q before the request was sent", c.in.start)
	}
	l.finish(c)
	return nil
}

func (l *loader) finish(c *loadConn) {
	c.busy = false
	l.waiting--
	if err := l.check(c); err != nil {
		l.fail(err)
	} else {
		l.answered++
		l.latency.add(time.Since(l.start) - c.sent)
	}
	if !l.stopping {
		l.send(c)
	}
}

// check says what is wrong with the answer that c has just received.
func (l *loader) check(c *loadConn) error {
	if statusOf(c.in.start) != l.want.Status {
		return fmt.Errorf("answered %q, want status %d", c.in.start, l.want.Status)
	}
	if l.want.Body != anySize && c.in.body != l.want.Body {
		return fmt.Errorf("answered %d body bytes, want %d", c.in.body, l.want.Body)
	}
	return nil
}

func (l *loader) send(c *loadConn) {
	c.out = l.request
	c.sent = time.Since(l.start)
	c.busy = true
	l.waiting++
	if err := c.flush(); err != nil {
		l.drop(c, err)
	}
}

// drop gives a connection up.
func (l *loader) drop(c *loadConn, err error) {
	if c.dead {
		return
	}
	c.dead = true
	c.close()
	l.open--
	if c.busy {
		l.waiting--
	}
	l.fail(err)
}

func (l *loader) fail(err error) {
	l.failures++
	if l.failure == nil {
		l.failure = err
	}
}
