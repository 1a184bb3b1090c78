package main

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// maxHead bounds the head of a message, and each line of a chunked body.
const maxHead = 16 << 10

type messageState uint8

const (
	inHead messageState = iota
	inBody
	inChunkSize
	inChunkData
	inChunkEnd
	inTrailer
)

// message finds the end of one HTTP/1.1 message after another in a stream of
// bytes. It looks at the framing alone: it is the cheap half of a parser, not a
// strict one. The zero value is ready for the first message.
type message struct {
	start []byte // request line or status line of the current message
	body  int64  // body bytes of the current message, without chunk framing

	state   messageState
	partial []byte // a head or line whose end has not come yet
	remain  int64  // bytes to come of the body, or of the current chunk
}

// feed takes the next bytes of the stream and reports how many it used and
// whether the message ended with the last of them. After the end, start and
// body stay valid until the next call, which begins a new message.
func (m *message) feed(p []byte) (used int, done bool, err error) {
	for used < len(p) && !done && err == nil {
		var n int
		n, done, err = m.step(p[used:])
		used += n
	}
	return used, done, err
}

func (m *message) step(p []byte) (n int, done bool, err error) {
	switch m.state {
	case inHead:
		return m.readHead(p)
	case inBody, inChunkData:
		return m.readData(p)
	default:
		return m.readLine(p)
	}
}

func (m *message) readHead(p []byte) (n int, done bool, err error) {
	head, n, err := m.take(p, "\r\n\r\n")
	if head == nil || err != nil {
		return n, false, err
	}
	f, err := parseHead(head)
	if err != nil {
		return n, false, err
	}
	m.start = append(m.start[:0], f.start...)
	m.body, m.remain = 0, f.length
	switch {
	case f.chunked:
		m.state = inChunkSize
	case f.length > 0:
		m.state = inBody
	default:
		return n, true, nil
	}
	return n, false, nil
}

func (m *message) readData(p []byte) (n int, done bool, err error) {
	n = int(min(int64(len(p)), m.remain))
	return n, m.pass(n), nil
}

// ahead is how many bytes of a body come next, at least.
func (m *message) ahead() int64 {
	if m.state == inBody || m.state == inChunkData {
		return m.remain
	}
	return 0
}

// pass is feed for n bytes of a body that nobody looks at, no more than are ahead.
func (m *message) pass(n int) (done bool) {
	m.remain -= int64(n)
	m.body += int64(n)
	switch {
	case m.remain > 0:
		return false
	case m.state == inChunkData:
		m.state = inChunkEnd
		return false
	}
	m.state = inHead
	return true
}

// readLine handles the lines of a chunked body: sizes, the empty line after a
// chunk, trailers.
func (m *message) readLine(p []byte) (n int, done bool, err error) {
	line, n, err := m.take(p, "\r\n")
	if line == nil || err != nil {
		return n, false, err
	}
	line = line[:len(line)-2]
	switch m.state {
	case inChunkSize:
		return n, false, m.startChunk(line)
	case inChunkEnd:
		if len(line) != 0 {
			return n, false, fmt.Errorf("read chunk: %q after its data", line)
		}
		m.state = inChunkSize
	case inTrailer:
		if len(line) == 0 {
			m.state = inHead
			return n, true, nil
		}
	}
	return n, false, nil
}

func (m *message) startChunk(line []byte) error {
	size, _, _ := bytes.Cut(line, []byte(";"))
	n, err := strconv.ParseUint(string(bytes.TrimSpace(size)), 16, 62)
	if err != nil {
		return fmt.Errorf("read chunk size: %w", err)
	}
	m.remain = int64(n)
	m.state = inChunkData
	if n == 0 {
		m.state = inTrailer
	}
	return nil
}

// take returns the bytes up to and including end, or nil when end has not come
// yet; what came so far is then kept for the next call. The result is valid
// until that call.
func (m *message) take(p []byte, end string) (found []byte, n int, err error) {
	if len(m.partial) == 0 {
		if i := bytes.Index(p, []byte(end)); i >= 0 {
			return p[:i+len(end)], i + len(end), nil
		}
	}
	// The end may straddle what is kept and what is new.
	from := max(0, len(m.partial)-len(end)+1)
	before := len(m.partial)
	m.partial = append(m.partial, p...)
	if i := bytes.Index(m.partial[from:], []byte(end)); i >= 0 {
		found = m.partial[:from+i+len(end)]
		n = len(found) - before
		m.partial = m.partial[:0]
		return found, n, nil
	}
	if len(m.partial) > maxHead {
		return nil, len(p), errors.New("read message: head or chunk line too long")
	}
	return nil, len(p), nil
}

// framing is what the head of a message says about its body.
type framing struct {
	start   []byte // first line, without its CRLF
	length  int64  // Content-Length, 0 when there is none
	chunked bool
}

// parseHead reads a head that ends with an empty line. The result refers to
// head.
func parseHead(head []byte) (framing, error) {
	var f framing
	line, rest, _ := bytes.Cut(head, []byte("\r\n"))
	f.start = line
	for len(rest) > 0 {
		line, rest, _ = bytes.Cut(rest, []byte("\r\n"))
		name, value, _ := bytes.Cut(line, []byte(":"))
		switch {
		case isField(name, "content-length"):
			n, err := strconv.ParseUint(string(bytes.TrimSpace(value)), 10, 62)
			if err != nil {
				return f, fmt.Errorf("read Content-Length: %w", err)
			}
			f.length = int64(n)
		case isField(name, "transfer-encoding"):
			f.chunked = bytes.EqualFold(bytes.TrimSpace(value), []byte("chunked"))
		}
	}
	return f, nil
}

// isField compares lengths first: most fields are told apart by that alone.
func isField(name []byte, want string) bool {
	return len(name) == len(want) && bytes.EqualFold(name, []byte(want))
}

// statusOf returns the status code of a status line, 0 when it has none.
func statusOf(line []byte) int {
	if len(line) < len("HTTP/1.1 200") || !bytes.HasPrefix(line, []byte("HTTP/1.")) {
		return 0
	}
	code, err := strconv.Atoi(string(line[9:12]))
	if err != nil {
		return 0
	}
	return code
}
