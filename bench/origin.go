package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// The key of the listening socket among the events; connections use their
// descriptor, which is never 0 here because standard input has it.
const listenerKey = 0

// origin is the server behind the subjects: keep-alive HTTP/1.1, one thread,
// whole answers prepared in advance.
type origin struct {
	poll    *poller
	fd      int
	answers map[string][]byte // by "METHOD path"
	missing []byte
	conns   map[int]*originConn
	buf     []byte
}

type originConn struct {
	socket
	in message
}

// runOrigin serves until it is killed, after it has written its address as one
// line to w.
func runOrigin(w io.Writer) error {
	fd, addr, err := listen()
	if err != nil {
		return err
	}
	poll, err := newPoller()
	if err != nil {
		return err
	}
	if err := poll.add(fd, listenerKey); err != nil {
		return err
	}
	o := &origin{
		poll:    poll,
		fd:      fd,
		answers: originAnswers(time.Now()),
		missing: originAnswer("404 Not Found", 0, time.Now()),
		conns:   make(map[int]*originConn),
		buf:     make([]byte, 256<<10),
	}
	if _, err := fmt.Fprintln(w, addr); err != nil {
		return fmt.Errorf("report address: %w", err)
	}
	return o.serve()
}

func (o *origin) serve() error {
	for {
		events, err := o.poll.wait(-1)
		if err != nil {
			return err
		}
		for _, e := range events {
			if e.Fd == listenerKey {
				if err := o.accept(); err != nil {
					return err
				}
				continue
			}
			c := o.conns[int(e.Fd)]
			if c == nil {
				continue
			}
			if err := o.ready(c); err != nil {
				delete(o.conns, c.fd)
				c.close()
			}
		}
	}
}

func (o *origin) accept() error {
	for {
		fd, _, err := unix.Accept4(o.fd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return nil
		case errors.Is(err, unix.ECONNABORTED):
			continue
		case err != nil:
			return fmt.Errorf("accept: %w", err)
		}
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
			return fmt.Errorf("set TCP_NODELAY: %w", err)
		}
		o.conns[fd] = &originConn{socket: socket{fd: fd}}
		if err := o.poll.add(fd, fd); err != nil {
			return err
		}
	}
}

func (o *origin) ready(c *originConn) error {
	if err := c.flush(); err != nil {
		return err
	}
	for {
		p := o.buf
		ahead := c.in.ahead()
		if ahead >= discardFrom {
			p = p[:min(int64(len(p)), ahead)]
		}
		n, err := o.read(c, p, ahead >= discardFrom)
		if err != nil || n < len(p) { // a short read has emptied the socket
			return err
		}
	}
}

// read reads once, and answers. What it is to skip lies within a body.
func (o *origin) read(c *originConn, p []byte, skip bool) (int, error) {
	if !skip {
		n, err := c.read(p)
		if err != nil || n == 0 {
			return n, err
		}
		return n, o.take(c, p[:n])
	}
	n, err := c.discard(p)
	if err != nil || n == 0 || !c.in.pass(n) {
		return n, err
	}
	return n, o.answer(c)
}

// take handles bytes of requests.
func (o *origin) take(c *originConn, p []byte) error {
	for len(p) > 0 {
		n, done, err := c.in.feed(p)
		if err != nil {
			return err
		}
		p = p[n:]
		if !done {
			continue
		}
		if err := o.answer(c); err != nil {
			return err
		}
	}
	return nil
}

// answer answers the request that has come to its end.
func (o *origin) answer(c *originConn) error {
	if len(c.out) > 0 {
		return errors.New("request sent before the last answer was read")
	}
	c.out = o.find(c.in.start)
	return c.flush()
}

// find returns the answer for a request line.
func (o *origin) find(line []byte) []byte {
	if end := bytes.LastIndexByte(line, ' '); end > 0 {
		line, _, _ = bytes.Cut(line[:end], []byte("?"))
		if answer, ok := o.answers[string(line)]; ok {
			return answer
		}
	}
	return o.missing
}

func originAnswers(now time.Time) map[string][]byte {
	answers := map[string][]byte{"POST /sink": originAnswer("200 OK", 2, now)}
	answers["GET "+chainPath] = originAnswer("200 OK", 200, now)
	for _, n := range routeCounts() {
		answers["GET "+middlePath(n)] = originAnswer("200 OK", 200, now)
	}
	answers["GET "+ticketPath] = originContent("200 OK", ticket, now)
	answers["POST "+ticketsPath] = originContent("201 Created", ticket, now)
	for _, size := range []int{200, 4 << 10, 64 << 10, 1 << 20} {
		answers[fmt.Sprintf("GET /b/%d", size)] = originAnswer("200 OK", size, now)
	}
	return answers
}

func originAnswer(status string, size int, now time.Time) []byte {
	return originContent(status, strings.Repeat("x", size), now)
}

func originContent(status, content string, now time.Time) []byte {
	head := fmt.Sprintf("HTTP/1.1 %s\r\n"+
		"Content-Type: application/json\r\n"+
		"Date: %s\r\n"+
		"Server: origin\r\n"+
		"ETag: \"5f3a-%x\"\r\n"+
		"Content-Length: %d\r\n\r\n",
		status, now.UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT"), len(content), len(content))
	return []byte(head + content)
}
