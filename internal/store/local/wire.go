package local

import (
	"net"
	"syscall"
	"time"

	"yett/internal/sock"
)

// conn is a connection that can be written to without waiting.
type conn struct {
	*net.UnixConn
	raw syscall.RawConn
	// send is what raw calls, with what follows, so that nothing is allocated for it.
	send func(fd uintptr) bool
	buf  []byte
	n    int
	err  error
}

func newConn(c *net.UnixConn) (*conn, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	w := &conn{UnixConn: c, raw: raw}
	w.send = func(fd uintptr) bool {
		w.n, w.err = sock.Send(fd, w.buf)
		return true
	}
	return w, nil
}

// try writes what the socket takes at once, and returns what is left. Only one at a time may
// write.
func (w *conn) try(b []byte) (rest []byte, err error) {
	if len(b) == 0 {
		return nil, nil
	}
	w.buf, w.n, w.err = b, 0, nil
	err = w.raw.Write(w.send)
	w.buf = nil
	switch {
	case err != nil:
		return nil, err
	case w.err == syscall.EAGAIN:
		return b, nil
	case w.err != nil:
		return nil, w.err
	}
	return b[w.n:], nil
}

// write writes all, and gives up after a time.
func (w *conn) write(b []byte, most time.Duration) error {
	rest, err := w.try(b)
	if err != nil || len(rest) == 0 {
		return err
	}
	if err := w.SetWriteDeadline(time.Now().Add(most)); err != nil {
		return err
	}
	_, err = w.Write(rest)
	return err
}
