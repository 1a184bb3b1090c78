package upstream

import (
	"errors"
	"io"
	"os"
	"sync/atomic"
	"syscall"

	"yett/internal/sock"
	"yett/internal/wire"
)

// talk is a request that goes out in one write, and the first bytes of its
// answer. All of it happens inside of RawConn.Read, after the runtime has begun
// to listen for the socket: the read comes only when the answer is there, and no
// buffer is held meanwhile.
//
// Before the write it may look whether the service has closed the connection, or
// sent something that nobody asked for: a second answer to somebody else's
// request must never become the answer to this one. See conn.trusts for when the
// look can be left out.
type talk struct {
	out     []byte // the request; nil once it is written
	n       int    // bytes of it that were written
	looks   bool
	waits   atomic.Bool // for an answer of which nothing has come, without a look before: see Probe
	err     error
	in      *wire.Buffer
	got     int
	stray   [1]byte
	buffers *wire.Buffers
	step    func(fd uintptr) bool
}

// errStray is a connection that is out of step: the service spoke first.
var errStray = errors.New("the service sent something unasked")

// canTalk tells whether a request can go this way: on a plain connection, in
// one piece.
func (c *conn) canTalk(head, more []byte) bool {
	return c.raw != nil && c.t.tls == nil && len(more) <= cap(head)-len(head)
}

// talkOnce writes the request and waits for the first bytes of the answer,
// which are in the Reader afterwards.
func (c *conn) talkOnce(out []byte) error {
	t := &c.talk
	t.out, t.n, t.err, t.in = out, 0, nil, nil
	t.looks = c.reused && !c.trusts()
	err := c.raw.Read(t.step)
	if err != nil {
		t.waits.Store(false)
	}
	if t.err == errStray {
		c.t.untidy.Store(true)
	}
	rest := t.out
	t.out = nil
	if err == nil {
		err = t.err
	}
	switch {
	case rest != nil && err == nil: // the socket took a part only
		_, err = c.nc.Write(rest[t.n:])
		return err
	case rest != nil && t.n == 0:
		return writeNothing{err}
	case err != nil:
		return err
	}
	c.r.Prime(t.in, t.got)
	t.in = nil
	return nil
}

// run is called by RawConn.Read: at first after it has begun to listen, then
// whenever the socket has become readable.
func (t *talk) run(fd uintptr) bool {
	if t.out != nil {
		sent := (!t.looks || t.quiet(fd)) && t.send(fd)
		t.waits.Store(sent && !t.looks)
		return !sent
	}
	t.waits.Store(false) // before: when the answer is received its end is all that is left
	b, n, err := t.buffers.Receive(func(p []byte) (int, error) { return sock.Recv(fd, p) })
	switch {
	case n > 0:
		t.in, t.got = b, n
	case err == syscall.EAGAIN:
		t.waits.Store(!t.looks)
		return false
	case err == nil:
		t.err = io.EOF
	default:
		t.err = os.NewSyscallError("recv", err)
	}
	return true
}

// quiet tells whether nothing has come on the connection, not even its end.
func (t *talk) quiet(fd uintptr) bool {
	n, err := sock.Recv(fd, t.stray[:])
	switch {
	case n > 0:
		t.err = errStray
	case err == nil:
		t.err = io.EOF
	case err != syscall.EAGAIN:
		t.err = os.NewSyscallError("recv", err)
	}
	return t.err == nil
}

// send writes the request. It tells whether all of it went out.
func (t *talk) send(fd uintptr) bool {
	n, err := sock.Send(fd, t.out)
	if n == len(t.out) {
		t.out = nil
		return true
	}
	t.n = n
	if err != nil && err != syscall.EAGAIN {
		t.err = os.NewSyscallError("send", err)
	}
	return false
}
