package local

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"yett/internal/store"
)

// feed tells a client what a set holds and what is added.
func (s *Server) feed(c *conn) {
	defer s.farewell(c)
	set, err := readSet(c)
	if err != nil {
		return
	}
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	q := &queue{more: make(chan struct{}, 1), cancel: cancel}
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	running.Go(func() { s.follow(ctx, set, q) })
	running.Go(func() { // the client says nothing more: this ends with it, or is kicked
		var b [1]byte
		_, _ = c.Read(b[:])
		cancel()
	})
	if q.send(ctx, c) == nil { // until now; the memory tells nothing more
		_ = c.write(q.take(), stuck)
	}
	_ = c.SetReadDeadline(time.Unix(1, 0))
}

// farewell says that another process serves, if one does.
func (s *Server) farewell(c *conn) {
	if s.unlessMoved(func() {}) {
		_ = c.write(end(begin(nil, sayMoved, 0), 0), stuck)
	}
}

// readSet reads which set is to be followed.
func readSet(c *conn) (string, error) {
	b := make([]byte, 0, firstBuffer)
	for {
		n, err := c.Read(b[len(b):cap(b)])
		if n == 0 || err != nil {
			return "", ended(err)
		}
		b = b[:len(b)+n]
		_, _, set, rest, ok, err := cut(b)
		if err != nil || ok && len(rest) > 0 {
			return "", errFrame
		}
		if ok {
			return string(set), nil
		}
		b = room(b, 0)
	}
}

// follow follows the memory, and has all told anew from time to time.
func (s *Server) follow(ctx context.Context, set string, q *queue) {
	for ctx.Err() == nil {
		until, cancel := context.WithTimeout(ctx, reread-rand.N(reread/4)) // not all at once
		q.begin()
		s.m.Follow(until, set, q)
		cancel()
	}
}

// queue implements store.Follower. It never waits, as the memory is locked then.
type queue struct {
	more   chan struct{}
	cancel context.CancelFunc

	mu       sync.Mutex // guards what follows
	b, spare []byte
	// most is how much may wait, telling that all is being told.
	most    int
	telling bool
}

// begin lets wait whatever the set holds.
func (q *queue) begin() {
	q.mu.Lock()
	q.telling = true
	q.mu.Unlock()
}

// Added implements store.Follower.
func (q *queue) Added(e store.Entry) {
	q.mu.Lock()
	defer q.mu.Unlock()
	at := len(q.b)
	q.b = end(appendEntry(begin(q.b, sayAdded, 0), e), at)
	if !q.telling {
		q.wake()
	}
}

// Synced implements store.Follower.
func (q *queue) Synced() {
	q.mu.Lock()
	defer q.mu.Unlock()
	at := len(q.b)
	q.b = end(begin(q.b, saySynced, 0), at)
	q.telling, q.most = false, len(q.b)+behind
	q.wake()
}

// Lost implements store.Follower. Memory is never lost.
func (q *queue) Lost(error) {}

// wake has what waits sent, or gives up a client that is too far behind. It asks again.
func (q *queue) wake() {
	if len(q.b) > q.most {
		q.cancel()
		return
	}
	select {
	case q.more <- struct{}{}:
	default:
	}
}

// send writes what waits until ctx ends, and says from time to time that it is there. An error
// tells that the client does not read.
func (q *queue) send(ctx context.Context, c *conn) error {
	ticker := time.NewTicker(beat)
	defer ticker.Stop()
	alive := end(begin(nil, sayBeat, 0), 0)
	for {
		b := alive
		select {
		case <-ctx.Done():
			return nil
		case <-q.more:
			b = q.take()
		case <-ticker.C:
		}
		if err := c.write(b, stuck); err != nil {
			return err
		}
	}
}

// take returns what waits. It is good until the next one.
func (q *queue) take() []byte {
	q.mu.Lock()
	defer q.mu.Unlock()
	b := q.b
	q.b, q.spare = q.spare[:0], b
	if cap(b) > 4*firstBuffer {
		q.spare = nil
	}
	return b
}
