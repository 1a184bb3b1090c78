package discover

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// recorder keeps how long the answers of one look-up are good. Go asks for both kinds of
// addresses at once, so it has a lock.
type recorder struct {
	mu        sync.Mutex
	good, bad time.Duration // the shortest; 0 is none
	server    string        // the last that was asked, if it is not Go's choice
	turn      uint32        // which was its
}

func (r *recorder) ask(server string, turn uint32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.server, r.turn = server, turn
}

func (r *recorder) asked() (server string, turn uint32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.server, r.turn
}

// life is that of what was found.
func (r *recorder) life() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.good
}

// lifeOf is that of an error.
func (r *recorder) lifeOf(err error) time.Duration {
	var dns *net.DNSError
	if !errors.As(err, &dns) || !dns.IsNotFound {
		return 0
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.bad
}

// note adds an answer.
func (r *recorder) note(v verdict) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch v.kind {
	case found:
		r.good = shorter(r.good, v.ttl)
	case missing:
		r.bad = shorter(r.bad, v.ttl)
	}
}

func shorter(a, b time.Duration) time.Duration {
	if a == 0 || b == 0 {
		return max(a, b)
	}
	return min(a, b)
}

// verdict is what a message says.
type verdict struct {
	kind kind
	ttl  time.Duration // at least 1 s, or 0 when a negative answer doesn't say
}

type kind uint8

const (
	useless kind = iota // no answer to the question, or one that Go asks for again
	found
	missing // there is no such name, or none with such records
	cut     // a packet had not room for it: Go asks the same server by TCP
	failed  // the server could not, or did not want to
)

// query is what was asked.
type query struct {
	id       uint16
	question dnsmessage.Question
	packet   bool // by UDP
}

// isFor tells whether that is the question. Anybody may send packets: Go looks at the same.
func (q *query) isFor(other dnsmessage.Question) bool {
	return q.question.Type == other.Type && q.question.Class == other.Class &&
		strings.EqualFold(q.question.Name.String(), other.Name.String())
}

// read judges a message, which may be anything, as the answer to a query.
func read(message []byte, q *query) verdict {
	var p dnsmessage.Parser
	h, err := p.Start(message)
	if err != nil || !h.Response || h.ID != q.id {
		return verdict{}
	}
	if about, err := p.Question(); err != nil || !q.isFor(about) || p.SkipAllQuestions() != nil {
		return verdict{}
	}
	if h.Truncated && q.packet {
		return verdict{kind: cut}
	}
	switch h.RCode {
	case dnsmessage.RCodeSuccess:
		v := answers(&p, q.question.Type)
		if v.kind == missing && !h.Authoritative && !h.RecursionAvailable {
			return verdict{kind: failed} // it has sent us to somebody else
		}
		return v
	case dnsmessage.RCodeNameError:
		if p.SkipAllAnswers() != nil {
			return verdict{}
		}
		return denied(&p)
	}
	return verdict{kind: failed}
}

// answers returns the smallest TTL of the answers, if one of them is what is looked for.
func answers(p *dnsmessage.Parser, wanted dnsmessage.Type) verdict {
	smallest, hit := uint32(1<<31), false
	for {
		h, err := p.AnswerHeader()
		if errors.Is(err, dnsmessage.ErrSectionDone) {
			break
		}
		if err != nil {
			return verdict{}
		}
		smallest = min(smallest, plain(h.TTL))
		hit = hit || h.Type == wanted
		if p.SkipAnswer() != nil {
			return verdict{}
		}
	}
	if !hit {
		return denied(p)
	}
	return verdict{found, duration(smallest)}
}

// denied reads from the SOA record how long it is good that there is nothing (RFC 2308 section 5).
func denied(p *dnsmessage.Parser) verdict {
	for {
		h, err := p.AuthorityHeader()
		if err != nil { // the end, or nothing that can be read
			return verdict{kind: missing}
		}
		if h.Type != dnsmessage.TypeSOA {
			if p.SkipAuthority() != nil {
				return verdict{kind: missing}
			}
			continue
		}
		soa, err := p.SOAResource()
		if err != nil {
			return verdict{kind: missing}
		}
		return verdict{missing, duration(min(plain(h.TTL), plain(soa.MinTTL)))}
	}
}

// plain makes 0 of a TTL that is too large to be one (RFC 2181 section 8).
func plain(ttl uint32) uint32 {
	if ttl > 1<<31-1 {
		return 0
	}
	return ttl
}

// duration makes 1 s of 0, which else would mean that nobody knows.
func duration(ttl uint32) time.Duration { return max(1, time.Duration(ttl)) * time.Second }

// listener reads along what passes over a connection to a DNS server. It is used by one goroutine
// at a time, as Go does.
type listener struct {
	rec      *recorder
	lost     func()      // the server did not answer
	release  func() bool // ends the watch over the context
	query    query
	answered bool
}

// record wraps a connection. One for packets stays one, because that is how Go tells which it
// is. It is closed when ctx ends, which Go does not wait for.
func record(ctx context.Context, c net.Conn, rec *recorder, lost func()) net.Conn {
	l := listener{rec: rec, lost: lost}
	l.release = context.AfterFunc(ctx, func() { _ = c.Close() })
	if u, ok := c.(*net.UDPConn); ok {
		l.query.packet = true
		return &packets{UDPConn: u, listener: l}
	}
	return &stream{Conn: c, listener: l}
}

// sent notes the question.
func (l *listener) sent(message []byte) {
	var p dnsmessage.Parser
	h, err := p.Start(message)
	if err != nil {
		return
	}
	if q, err := p.Question(); err == nil {
		l.query.id, l.query.question = h.ID, q
	}
}

// received notes a message that came back. A failure of the server does not count as answered.
func (l *listener) received(message []byte) {
	v := read(message, &l.query)
	l.rec.note(v)
	if v.kind == found || v.kind == missing || v.kind == cut {
		l.answered = true
	}
}

func (l *listener) closed() {
	l.release()
	if !l.answered {
		l.lost()
	}
}

// packets is UDP: each Read is a message.
type packets struct {
	*net.UDPConn
	listener
}

func (c *packets) Write(b []byte) (int, error) {
	c.sent(b)
	return c.UDPConn.Write(b)
}

func (c *packets) Read(b []byte) (int, error) {
	n, err := c.UDPConn.Read(b)
	if err == nil {
		c.received(b[:n])
	}
	return n, err
}

func (c *packets) Close() error {
	c.closed()
	return c.UDPConn.Close()
}

// stream is TCP: each message has its length before it, and comes in pieces.
type stream struct {
	net.Conn
	listener
	buffer []byte // the beginning of a message, at most 64 KB
}

const prefix = 2 // bytes of a length

func (c *stream) Write(b []byte) (int, error) {
	if len(b) > prefix {
		c.sent(b[prefix:])
	}
	return c.Conn.Write(b)
}

func (c *stream) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.feed(b[:n])
	return n, err
}

func (c *stream) feed(b []byte) {
	c.buffer = append(c.buffer, b...)
	for len(c.buffer) >= prefix {
		end := prefix + int(binary.BigEndian.Uint16(c.buffer))
		if len(c.buffer) < end {
			return
		}
		c.received(c.buffer[prefix:end])
		c.buffer = c.buffer[end:]
	}
}

func (c *stream) Close() error {
	c.closed()
	return c.Conn.Close()
}
