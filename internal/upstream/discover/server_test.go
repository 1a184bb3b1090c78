package discover

import (
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// record of a zone.
type entry struct {
	ttl  uint32
	body dnsmessage.ResourceBody
	name string // "" is the one that was asked for
}

func a(ttl uint32, addr string) entry {
	ip := netip.MustParseAddr(addr)
	if ip.Is4() {
		return entry{ttl: ttl, body: &dnsmessage.AResource{A: ip.As4()}}
	}
	return entry{ttl: ttl, body: &dnsmessage.AAAAResource{AAAA: ip.As16()}}
}

func srv(ttl uint32, priority, weight, port uint16, host string) entry {
	return entry{ttl: ttl, body: &dnsmessage.SRVResource{
		Priority: priority, Weight: weight, Port: port, Target: dnsmessage.MustNewName(host)}}
}

func cname(ttl uint32, to string) entry {
	return entry{ttl: ttl, body: &dnsmessage.CNAMEResource{CNAME: dnsmessage.MustNewName(to)}}
}

// dnsServer answers from a zone, by UDP and TCP, on one port of loopback.
type dnsServer struct {
	t       *testing.T
	address string
	silent  atomic.Bool  // reads, and answers nothing
	failing atomic.Bool  // answers that it can't
	only4   atomic.Bool  // answers that it can't when asked for IPv6
	forge   atomic.Bool  // sends a wrong answer, by UDP, before each right one
	limit   atomic.Int64 // octets of a packet; 0 is 512
	asked   atomic.Int64 // queries
	byTCP   atomic.Int64 // of asked
	slow    atomic.Int64 // nanoseconds before an answer
	all     sync.WaitGroup
	mu      sync.Mutex
	zone    map[string][]entry
}

func newServer(t *testing.T) *dnsServer {
	s := &dnsServer{t: t, zone: map[string][]entry{}}
	packets, listener := listen(t)
	s.address = packets.LocalAddr().String()
	var open sync.Map
	s.all.Go(func() { s.servePackets(packets) })
	s.all.Go(func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			open.Store(c, nil)
			s.all.Go(func() { s.serveStream(c) })
		}
	})
	t.Cleanup(func() {
		_ = packets.Close()
		_ = listener.Close()
		open.Range(func(c, _ any) bool { _ = c.(net.Conn).Close(); return true })
		s.all.Wait()
	})
	return s
}

// listen finds a port that is free for both.
func listen(t *testing.T) (*net.UDPConn, net.Listener) {
	for range 50 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		u, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort(l.Addr().String())))
		if err == nil {
			return u, l
		}
		_ = l.Close()
	}
	t.Fatal("no port is free for UDP and TCP")
	return nil, nil
}

// set replaces what a name, with the dot at its end, has.
func (s *dnsServer) set(name string, entries ...entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.zone[name] = entries
}

func (s *dnsServer) servePackets(c *net.UDPConn) {
	buffer := make([]byte, 1<<16)
	for {
		n, from, err := c.ReadFromUDPAddrPort(buffer)
		if err != nil {
			return
		}
		message := append([]byte{}, buffer[:n]...)
		s.all.Go(func() { // a slow answer holds nobody up
			limit := int(s.limit.Load())
			if limit == 0 {
				limit = 512
			}
			answer := s.answer(message, limit)
			if answer == nil {
				return
			}
			if s.forge.Load() {
				_, _ = c.WriteToUDPAddrPort(forged(message), from)
			}
			_, _ = c.WriteToUDPAddrPort(answer, from)
		})
	}
}

// forged is an answer with another identity, a TTL of 1 s, and an address of nobody.
func forged(message []byte) []byte {
	var p dnsmessage.Parser
	h, _ := p.Start(message)
	q, _ := p.Question()
	h.ID, h.Response, h.RecursionAvailable = h.ID+1, true, true
	return build(h, q, []entry{a(1, "192.0.2.66")}, 0)
}

func (s *dnsServer) serveStream(c net.Conn) {
	defer func() { _ = c.Close() }()
	for {
		var size [2]byte
		if _, err := io.ReadFull(c, size[:]); err != nil {
			return
		}
		message := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(c, message); err != nil {
			return
		}
		s.byTCP.Add(1)
		answer := s.answer(message, 1<<16)
		if answer == nil {
			continue
		}
		whole := append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...)
		for _, part := range [][]byte{whole[:1], whole[1:5], whole[5:]} { // in pieces
			_, _ = c.Write(part)
		}
	}
}

func (s *dnsServer) answer(message []byte, limit int) []byte {
	s.asked.Add(1)
	time.Sleep(time.Duration(s.slow.Load()))
	var p dnsmessage.Parser
	h, err := p.Start(message)
	if err != nil || s.silent.Load() {
		return nil
	}
	q, err := p.Question()
	if err != nil {
		return nil
	}
	h.Response, h.RecursionAvailable = true, true
	if s.failing.Load() || s.only4.Load() && q.Type == dnsmessage.TypeAAAA {
		h.RCode = dnsmessage.RCodeServerFailure
		return build(h, q, nil, 0)
	}
	s.mu.Lock()
	answers, exists := s.find(strings.ToLower(q.Name.String()), q.Type)
	s.mu.Unlock()
	if !exists {
		h.RCode = dnsmessage.RCodeNameError
	}
	if out := build(h, q, answers, 7); len(out) <= limit {
		return out
	}
	h.Truncated = true
	return build(h, q, nil, 0)
}

// find follows aliases.
func (s *dnsServer) find(name string, kind dnsmessage.Type) (out []entry, exists bool) {
	entries, exists := s.zone[name]
	for _, e := range entries {
		e.name = name
		if to, ok := e.body.(*dnsmessage.CNAMEResource); ok {
			more, _ := s.find(to.CNAME.String(), kind)
			return append([]entry{e}, more...), true
		}
		if typeOf(e.body) == kind {
			out = append(out, e)
		}
	}
	return out, exists
}

func typeOf(b dnsmessage.ResourceBody) dnsmessage.Type {
	switch b.(type) {
	case *dnsmessage.AResource:
		return dnsmessage.TypeA
	case *dnsmessage.AAAAResource:
		return dnsmessage.TypeAAAA
	case *dnsmessage.SRVResource:
		return dnsmessage.TypeSRV
	}
	return 0
}

// build makes a message. When there are no answers, an SOA record says for how many seconds, if
// that is not 0.
func build(h dnsmessage.Header, q dnsmessage.Question, answers []entry, nothing uint32) []byte {
	m := dnsmessage.Message{Header: h, Questions: []dnsmessage.Question{q}}
	for _, e := range answers {
		name := q.Name
		if e.name != "" {
			name = dnsmessage.MustNewName(e.name)
		}
		m.Answers = append(m.Answers, dnsmessage.Resource{
			Header: dnsmessage.ResourceHeader{Name: name, Class: dnsmessage.ClassINET, TTL: e.ttl}, Body: e.body})
	}
	if len(answers) == 0 && nothing > 0 {
		m.Authorities = []dnsmessage.Resource{{
			Header: dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName("test."), Class: dnsmessage.ClassINET, TTL: 900},
			Body:   &dnsmessage.SOAResource{NS: q.Name, MBox: q.Name, MinTTL: nothing},
		}}
	}
	out, err := m.Pack()
	if err != nil {
		panic(err)
	}
	return out
}

func newResolver(t *testing.T, o Options) *Resolver {
	t.Helper()
	r, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func resolverOf(t *testing.T, s *dnsServer) *Resolver {
	return newResolver(t, Options{Servers: []string{s.address}})
}
