package redis

import (
	"context"
	"sync"
	"sync/atomic"

	"yett/internal/exchange"
	"yett/internal/store"
	"yett/internal/store/deadline"
)

const (
	// senders is how many requests to a server wait for answers at the same time.
	// Calls that come meanwhile go together in the next one, so that a server has as
	// many scripts to begin, and the gateway as much to write and to read, as it
	// can bear, and calls wait hardly longer.
	senders = 4
	// together is how many takes go in one request. A script keeps a server from
	// anything else, for a few microseconds for each of them.
	together = 64
	// queued is how many calls may wait. Beyond, they fail at once with store.ErrBusy.
	queued = 4096
)

// call is a call of Take on its way. Who asked may be gone before it is answered.
type call struct {
	// text is memory for keys, which are views of it.
	text  []byte
	keys  []string
	takes []store.Take // without Name and Key, which are the caller's
	err   error
	// answered gets a value when takes or err are there.
	answered chan struct{}
	gone     atomic.Bool
}

// batch is calls that are sent together, and memory for what is sent.
type batch struct {
	calls   []*call
	request request
	arg     []byte // what the request's is a view of
	// run sends one batch after the other, in this memory.
	run func()
}

// sender sends calls. Whoever asks waits beside it, so that nothing that the
// library or a server does holds up anybody beyond the deadline: connections that
// are being made, buffers that are full, answers that don't come.
type sender struct {
	deadlines *deadline.Deadlines
	// appendKey appends where a limit keeps what it has counted under a key.
	appendKey func(b []byte, name, key string) []byte
	// send answers all calls of the batch. Once it is back nobody has views of their keys any
	// more, unless they have an error.
	send func(*batch)
	// atOnce is how many run at the same time, batch how many takes they send at
	// most, unless a call has more.
	atOnce, batch int

	// calls are calls that nobody uses. One whose caller is gone is left to the
	// garbage collector, as somebody may still answer it; and so is one that was sent in
	// vain, as the library may still hold its keys.
	calls sync.Pool

	mu      sync.Mutex
	waiting []*call
	running int
	idle    []*batch // as many as have run at the same time, less those that run
}

// take answers takes, unless that takes too long.
func (s *sender) take(ctx context.Context, takes []store.Take) error {
	over := s.deadlines.Next()
	c := s.call(takes)
	if err := s.enqueue(c); err != nil {
		s.calls.Put(c)
		return err
	}
	select {
	case <-c.answered:
	case <-over:
		return s.leave(c, deadline.ErrLate)
	case <-ctx.Done():
		return s.leave(c, ctx.Err())
	}
	if c.err != nil {
		return c.err
	}
	for i := range takes {
		t, got := &takes[i], &c.takes[i]
		t.Fits, t.Granted, t.Left, t.More, t.Wait = got.Fits, got.Granted, got.Left, got.More, got.Wait
	}
	s.calls.Put(c)
	return nil
}

// call copies what is asked for: the caller's memory is its own again when it leaves.
func (s *sender) call(takes []store.Take) *call {
	c, ok := s.calls.Get().(*call)
	if !ok {
		c = &call{answered: make(chan struct{}, 1)}
	}
	c.err, c.text, c.keys, c.takes = nil, c.text[:0], c.keys[:0], append(c.takes[:0], takes...)
	for i := range c.takes {
		t, from := &c.takes[i], len(c.text)
		c.text = s.appendKey(c.text, t.Name, t.Key)
		c.keys = append(c.keys, exchange.View(c.text[from:])) // where text grows, the old one stays as it is
		t.Name, t.Key = "", ""
	}
	return c
}

// leave lets go of a call that nobody waits for any more.
func (s *sender) leave(c *call, err error) error {
	c.gone.Store(true)
	return err
}

// enqueue sees to it that somebody sends the call.
func (s *sender) enqueue(c *call) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.waiting) >= queued {
		return store.ErrBusy
	}
	s.waiting = append(s.waiting, c)
	if s.running < s.atOnce {
		s.running++
		go s.spare().run()
	}
	return nil
}

// spare returns a batch that nobody uses.
func (s *sender) spare() *batch {
	if last := len(s.idle) - 1; last >= 0 {
		b := s.idle[last]
		s.idle = s.idle[:last]
		return b
	}
	b := new(batch)
	b.run = func() { s.run(b) }
	return b
}

// run sends what waits until nothing does.
func (s *sender) run(b *batch) {
	for s.next(b) {
		s.send(b)
		for i, c := range b.calls {
			b.calls[i] = nil
			c.answered <- struct{}{}
		}
	}
}

// next fills a batch with calls that wait. It returns false when there are none: the batch is
// idle then.
func (s *sender) next(b *batch) bool {
	b.calls = b.calls[:0]
	s.mu.Lock()
	defer s.mu.Unlock()
	n, takes := 0, 0
	for ; n < len(s.waiting); n++ {
		c := s.waiting[n]
		if c.gone.Load() {
			continue
		}
		if takes += len(c.takes); len(b.calls) > 0 && takes > s.batch {
			break
		}
		b.calls = append(b.calls, c)
	}
	rest := copy(s.waiting, s.waiting[n:])
	clear(s.waiting[rest:])
	s.waiting = s.waiting[:rest]
	if len(b.calls) == 0 {
		s.running--
		s.idle = append(s.idle, b)
		return false
	}
	return true
}
