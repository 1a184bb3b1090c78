package redis

import (
	"context"
	"sync"
	"sync/atomic"

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
	keys  []string
	takes []store.Take // without Name and Key, which are the caller's
	err   error
	// answered gets a value when takes or err are there.
	answered chan struct{}
	gone     atomic.Bool
}

// sender sends calls. Whoever asks waits beside it, so that nothing that the
// library or a server does holds up anybody beyond the deadline: connections that
// are being made, buffers that are full, answers that don't come.
type sender struct {
	deadlines *deadline.Deadlines
	key       func(name, key string) string
	// send answers some calls, all of the batch.
	send func(batch []*call)
	// atOnce is how many run at the same time, batch how many takes they send at
	// most, unless a call has more.
	atOnce, batch int

	// calls are calls that nobody uses. One whose caller is gone is left to the
	// garbage collector: somebody may still answer it.
	calls sync.Pool

	mu      sync.Mutex
	waiting []*call
	running int
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
	err := c.err
	if err == nil {
		for i := range takes {
			t, got := &takes[i], &c.takes[i]
			t.Fits, t.Granted, t.Left, t.More, t.Wait = got.Fits, got.Granted, got.Left, got.More, got.Wait
		}
	}
	s.calls.Put(c)
	return err
}

// call copies what is asked for: the caller's memory is its own again when it leaves.
func (s *sender) call(takes []store.Take) *call {
	c, ok := s.calls.Get().(*call)
	if !ok {
		c = &call{answered: make(chan struct{}, 1)}
	}
	c.err, c.keys, c.takes = nil, c.keys[:0], append(c.takes[:0], takes...)
	for i := range c.takes {
		t := &c.takes[i]
		c.keys = append(c.keys, s.key(t.Name, t.Key))
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
		go s.run()
	}
	return nil
}

// run sends what waits until nothing does.
func (s *sender) run() {
	var batch []*call
	for {
		if batch = s.next(batch[:0]); len(batch) == 0 {
			return
		}
		s.send(batch)
		for i, c := range batch {
			batch[i] = nil
			c.answered <- struct{}{}
		}
	}
}

// next takes a batch from those that wait. With none left this sender has ended.
func (s *sender) next(batch []*call) []*call {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, takes := 0, 0
	for ; n < len(s.waiting); n++ {
		c := s.waiting[n]
		if c.gone.Load() {
			continue
		}
		if takes += len(c.takes); len(batch) > 0 && takes > s.batch {
			break
		}
		batch = append(batch, c)
	}
	rest := copy(s.waiting, s.waiting[n:])
	clear(s.waiting[rest:])
	s.waiting = s.waiting[:rest]
	if len(batch) == 0 {
		s.running--
	}
	return batch
}
