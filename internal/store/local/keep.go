package local

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"time"
)

// setTag writes a tag into a frame.
func setTag(frame []byte, tag uint32) { binary.LittleEndian.PutUint32(frame[5:], tag) }

// dial connects for something. The server has said that it serves that.
func dial(ctx context.Context, path string, what byte) (*conn, error) {
	d := net.Dialer{Timeout: dialTimeout}
	c, err := d.DialContext(ctx, "unix", path)
	if err != nil {
		return nil, plain(err)
	}
	unix := c.(*net.UnixConn) // which "unix" makes
	if err := greet(unix, what); err != nil {
		return nil, errors.Join(err, unix.Close())
	}
	return newConn(unix)
}

var errSilent = errors.New("it does not answer")

// plain leaves out of an error of the network what is said anyway.
func plain(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, net.ErrClosed) { // suspect closes what is silent
		return errSilent
	}
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}

func greet(c *net.UnixConn, what byte) error {
	if err := c.SetDeadline(time.Now().Add(dialTimeout)); err != nil {
		return err
	}
	if _, err := c.Write(hello(what)); err != nil {
		return plain(err)
	}
	answer, err := readHello(c)
	switch {
	case errors.Is(err, io.EOF):
		return errors.New("it closes the connection; it serves only its own user")
	case err != nil:
		return plain(err)
	case answer == unspoken:
		return errors.New("it is of another version of this program, which speaks otherwise")
	case answer != welcome:
		return errors.New("it refuses the connection")
	}
	return c.SetDeadline(time.Time{})
}

// keep connects, hears what the server says, and connects again, until ctx ends.
func (s *Store) keep(ctx context.Context) {
	defer close(s.ended)
	retry := firstRetry
	var until time.Time // when a server that was succeeded counts as lost
	for ctx.Err() == nil {
		c, err := dial(ctx, s.o.Path, forCalls)
		if err == nil {
			retry = firstRetry
			if err = s.serve(c); errors.Is(err, errMoved) {
				until = time.Now().Add(settles)
				continue
			}
		}
		if time.Now().Before(until) {
			sleep(ctx, time.Millisecond)
			continue
		}
		s.lose(err)
		sleep(ctx, retry/2+rand.N(retry/2))
		retry = min(2*retry, lastRetry)
	}
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// errMoved tells that another process serves from now on.
var errMoved = errors.New("another process serves")

// serve lets calls go over a connection until it ends.
func (s *Store) serve(c *conn) error {
	defer c.Close()
	if !s.use(c) {
		return net.ErrClosed
	}
	err := s.hear(c)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conn, s.out = nil, nil // another one may still have the buffer
	if s.now == up {
		s.now = moving // or soon down
	}
	return err
}

// use makes a connection the one to write to, and sends again what has no answer.
func (s *Store) use(c *conn) bool {
	s.mu.Lock()
	if s.now == closed {
		s.mu.Unlock()
		return false
	}
	select {
	case <-s.first:
	default:
		close(s.first)
	}
	s.owed.Store(0)
	s.now, s.conn, s.out, s.spare, s.writing = up, c, nil, nil, true
	s.out = s.holds(s.out)
	for tag, waits := range s.calls {
		switch {
		case waits == nil:
		case waits.state.Load() == gone:
			s.calls[tag] = nil
			s.free = append(s.free, uint32(tag))
		default:
			s.out = append(s.out, waits.frame...)
		}
	}
	s.flush(c)
	return true
}

// lose fails what waits, and what comes.
func (s *Store) lose(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now != closed {
		s.now = down
		s.failAll(plain(err))
	}
}

// failAll fails all that wait.
func (s *Store) failAll(err error) {
	s.why = err
	for tag, c := range s.calls {
		if c != nil {
			s.calls[tag] = nil
			c.err = err
			s.answer(c)
		}
	}
	s.calls, s.free = s.calls[:0], s.free[:0]
}

// answer gives a call back to who waits for it, or to nobody.
func (s *Store) answer(c *call) {
	if c.state.CompareAndSwap(waiting, answered) {
		c.answered <- struct{}{}
		return
	}
	if key, ok := c.place(); ok { // nobody else would leave
		s.leave(key)
	}
	s.pool.Put(c)
}

// hear reads answers until the connection ends.
func (s *Store) hear(c *conn) error {
	b := make([]byte, 0, firstBuffer)
	for {
		n, err := c.Read(b[len(b):cap(b)])
		if n == 0 || err != nil {
			return ended(err)
		}
		if s.owed.Load() != 0 {
			s.owed.Store(0)
		}
		b = b[:len(b)+n]
		rest, err := s.answers(b)
		if err != nil {
			return err
		}
		b = room(b, len(b)-len(rest))
	}
}

// ended says why nothing more can be read.
func ended(err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return errors.New("it has closed the connection")
	}
	return err
}

// answers gives those who wait the answers that are in b, and returns what is left of it.
func (s *Store) answers(b []byte) (rest []byte, err error) {
	for {
		verb, tag, said, rest, ok, err := cut(b)
		switch {
		case err != nil || !ok:
			return rest, err
		case verb == sayMoved:
			return nil, errMoved
		}
		c := s.unbook(tag)
		if c == nil {
			return nil, errFrame
		}
		c.read(verb, said)
		s.entered(c)
		s.answer(c)
		b = rest
	}
}

// unbook returns the call with a tag, which is free then.
func (s *Store) unbook(tag uint32) *call {
	s.mu.Lock()
	defer s.mu.Unlock()
	if int(tag) >= len(s.calls) || s.calls[tag] == nil {
		return nil
	}
	c := s.calls[tag]
	s.calls[tag] = nil
	s.free = append(s.free, tag)
	return c
}

// read takes an answer in.
func (c *call) read(verb byte, said []byte) {
	switch verb {
	case sayDone:
		p := body{b: said}
		if p.results(c.results); p.bad {
			c.err = errFrame
		}
	case sayFailed:
		c.err = errors.New(string(said))
	default:
		c.err = errFrame
	}
}
