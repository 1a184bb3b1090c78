package redis

import "yett/internal/exchange"

// sendBatch lets one server answer calls, in one script. The library is through with what it
// was given when there is an answer, as a server has to read all of it before. When there is
// none, it may still hold that, and the memory is not used again.
func (s *Store) sendBatch(b *batch) {
	client, err := s.client()
	if err != nil {
		b.fail(err)
		return
	}
	b.fill()
	r := &b.request
	if s.takes.run(client, r); r.err != nil {
		b.arg = nil
		s.distrust(r.err)
		b.fail(r.err)
	} else {
		b.read()
	}
	clear(r.keys)
	*r = request{keys: r.keys[:0]}
}

// fill makes the request of all calls.
func (b *batch) fill() {
	r := &b.request
	b.arg = b.arg[:0]
	for _, c := range b.calls {
		r.keys = append(r.keys, c.keys...)
		b.arg = appendCall(b.arg, c.takes)
	}
	r.arg = exchange.View(b.arg)
}

// read gives each call its part of the answer.
func (b *batch) read() {
	answer := b.request.answer
	for _, c := range b.calls {
		answer, c.err = readCall(answer, c.takes)
	}
}

func (b *batch) fail(err error) {
	for _, c := range b.calls {
		c.err = err
	}
}
