package discover

import (
	"encoding/binary"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// hostile are messages that a reader could trip over.
func hostile() [][]byte {
	q := dnsmessage.Question{Name: dnsmessage.MustNewName("one.test."), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}
	h := dnsmessage.Header{ID: 7, Response: true, RecursionAvailable: true}
	good := build(h, q, []entry{a(60, "10.0.0.1"), cname(5, "one.test.")}, 0)
	none := build(dnsmessage.Header{ID: 7, Response: true, RCode: dnsmessage.RCodeNameError}, q, nil, 9)
	all := [][]byte{good, none, nil, {0}, make([]byte, 12), good[:len(good)-1], good[:20], none[:len(none)-4]}
	loop := append([]byte{}, good[:12]...)
	loop = append(loop, 0xc0, 12, 0, 1, 0, 1) // a name that points at itself
	counts := append([]byte{}, good...)
	for i := 4; i < 12; i++ {
		counts[i] = 0xff // there are 65535 of everything
	}
	h.Truncated = true
	return append(all, loop, counts, build(h, q, nil, 0))
}

func FuzzRead(f *testing.F) {
	for _, m := range hostile() {
		f.Add(m)
	}
	q := query{id: 7, question: dnsmessage.Question{Name: dnsmessage.MustNewName("one.test."), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}}
	f.Fuzz(func(t *testing.T, message []byte) {
		asked := q
		if len(message) > 1 { // so that more than one of 65536 gets further
			asked.id = binary.BigEndian.Uint16(message)
		}
		v := read(message, &asked)
		switch {
		case v.kind == found && v.ttl < time.Second, v.ttl < 0, v.ttl > (1<<31)*time.Second:
			t.Errorf("%+v", v)
		case v.kind != found && v.kind != missing && v.ttl != 0:
			t.Errorf("%+v", v)
		}
	})
}

// FuzzStream feeds what a server sends by TCP, in pieces.
func FuzzStream(f *testing.F) {
	for _, m := range hostile() {
		f.Add(append(binary.BigEndian.AppendUint16(nil, uint16(len(m))), m...), uint8(3))
	}
	f.Fuzz(func(t *testing.T, sent []byte, piece uint8) {
		c := &stream{listener: listener{rec: &recorder{}}}
		for rest := sent; len(rest) > 0; {
			n := min(int(piece)+1, len(rest))
			c.feed(rest[:n])
			rest = rest[n:]
		}
		if len(c.buffer) > len(sent) || len(c.buffer) >= prefix+1<<16 {
			t.Errorf("%d are kept of %d", len(c.buffer), len(sent))
		}
	})
}

func TestVerdicts(t *testing.T) {
	q := query{id: 7, packet: true, question: dnsmessage.Question{Name: dnsmessage.MustNewName("one.test."), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}}
	other := func(name string, kind dnsmessage.Type) dnsmessage.Question {
		return dnsmessage.Question{Name: dnsmessage.MustNewName(name), Type: kind, Class: dnsmessage.ClassINET}
	}
	head := dnsmessage.Header{ID: 7, Response: true, RecursionAvailable: true}
	change := func(f func(*dnsmessage.Header)) dnsmessage.Header { h := head; f(&h); return h }
	addr := []entry{a(60, "10.0.0.1")}
	for name, c := range map[string]struct {
		message []byte
		want    verdict
	}{
		"answer":         {build(head, q.question, addr, 0), verdict{found, time.Minute}},
		"other letters":  {build(head, other("ONE.test.", dnsmessage.TypeA), addr, 0), verdict{found, time.Minute}},
		"other name":     {build(head, other("two.test.", dnsmessage.TypeA), addr, 0), verdict{}},
		"other type":     {build(head, other("one.test.", dnsmessage.TypeAAAA), addr, 0), verdict{}},
		"other identity": {build(change(func(h *dnsmessage.Header) { h.ID = 8 }), q.question, addr, 0), verdict{}},
		"a question":     {build(change(func(h *dnsmessage.Header) { h.Response = false }), q.question, addr, 0), verdict{}},
		"cut":            {build(change(func(h *dnsmessage.Header) { h.Truncated = true }), q.question, addr, 0), verdict{kind: cut}},
		"failure":        {build(change(func(h *dnsmessage.Header) { h.RCode = dnsmessage.RCodeRefused }), q.question, nil, 5), verdict{kind: failed}},
		"alias alone":    {build(head, q.question, []entry{cname(60, "two.test.")}, 0), verdict{kind: missing}},
		"nothing":        {build(head, q.question, nil, 5), verdict{missing, 5 * time.Second}},
		"SOA's own TTL":  {build(head, q.question, nil, 5000), verdict{missing, 900 * time.Second}},
		"sent elsewhere": {build(change(func(h *dnsmessage.Header) { h.RecursionAvailable = false }), q.question, nil, 5), verdict{kind: failed}},
	} {
		if got := read(c.message, &q); got != c.want {
			t.Errorf("%s: got %+v, want %+v", name, got, c.want)
		}
	}
	q.packet = false
	if got := read(build(change(func(h *dnsmessage.Header) { h.Truncated = true }), q.question, addr, 0), &q); got.kind != found {
		t.Errorf("cut by TCP: got %+v, but Go takes it", got)
	}
}
