package upstream

import (
	"context"
	"sync"
	"time"

	"yett/internal/sweep"
)

// pool keeps the idle connections of one target, last in first out, so that
// the surplus after a peak grows old and goes.
type pool struct {
	t      *target
	mu     sync.Mutex
	idle   []*conn
	open   int // in use, idle, or being opened
	wait   []chan *conn
	closed bool
	timer  sweep.Timer
}

func (p *pool) start() {
	p.t.service.deps.Sweeper.Add(&p.timer, p)
	p.timer.Watch(true)
}

// take returns an idle connection whose time is not over, or nil.
func (p *pool) take() *conn {
	for {
		p.mu.Lock()
		c := p.pop()
		p.mu.Unlock()
		if c == nil || c.wake() {
			return c
		}
		c.discard()
	}
}

// pop takes the connection out that came last, or returns nil. The lock is
// held.
func (p *pool) pop() *conn {
	n := len(p.idle)
	if n == 0 {
		return nil
	}
	c := p.idle[n-1]
	p.idle[n-1] = nil
	p.idle = p.idle[:n-1]
	return c
}

// reserve makes room for one more connection. When there are too many it takes
// one that has come back meanwhile, or waits for one to come free, which it
// returns, or for room.
func (p *pool) reserve(ctx context.Context, patience time.Duration) (*conn, bool) {
	limit := p.t.service.conf.Connections.Max
	p.mu.Lock()
	if limit == 0 || p.open < limit {
		p.open++
		p.mu.Unlock()
		return nil, true
	}
	if c := p.pop(); c != nil {
		p.mu.Unlock()
		if c.wake() {
			return c, true
		}
		c.discard()
		return p.reserve(ctx, patience)
	}
	ch := make(chan *conn, 1)
	p.wait = append(p.wait, ch)
	p.mu.Unlock()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case c := <-ch:
		return c, true
	case <-ctx.Done():
	case <-timer.C:
	}
	return p.giveUp(ch)
}

// giveUp leaves the queue. A connection or room that came at the last moment
// is still taken.
func (p *pool) giveUp(ch chan *conn) (*conn, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, w := range p.wait {
		if w == ch {
			p.wait = append(p.wait[:i], p.wait[i+1:]...)
			return nil, false
		}
	}
	return <-ch, true
}

// unreserve gives back the room of a connection that was closed or never
// came to be: the first in the queue gets it.
func (p *pool) unreserve() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if ch := p.next(); ch != nil {
		ch <- nil
		return
	}
	p.open--
}

// next takes the first out of the queue.
func (p *pool) next() chan *conn {
	if len(p.wait) == 0 {
		return nil
	}
	ch := p.wait[0]
	p.wait = append(p.wait[:0], p.wait[1:]...)
	return ch
}

// put takes a connection back whose message has ended properly.
func (p *pool) put(c *conn) {
	conf := &p.t.service.conf.Connections
	if !p.t.resolves(c.addr) || !c.timer.After(time.Duration(conf.IdleTimeout)) {
		c.discard()
		return
	}
	p.mu.Lock()
	if !p.closed {
		if ch := p.next(); ch != nil {
			c.wake() // its deadline is far away
			ch <- c
			p.mu.Unlock()
			return
		}
		if len(p.idle) < conf.Idle {
			p.idle = append(p.idle, c)
			p.mu.Unlock()
			return
		}
	}
	p.mu.Unlock()
	c.discard()
}

// Expired implements sweep.Owner; the pool's own timer has no deadline.
func (p *pool) Expired() {}

// Probe implements sweep.Owner: it has idle connections closed whose time is
// over, or which the service has closed.
func (p *pool) Probe() {
	p.mu.Lock()
	stale := len(p.idle) > 0 && !p.closed
	p.mu.Unlock()
	if stale {
		go p.prune() // closing can take its time, and a probe must not
	}
}

// pruneLooks is how many connections the kernel is asked about in one round,
// the oldest first: the lock is held meanwhile.
const pruneLooks = 32

// prune closes what is idle and not good any more.
func (p *pool) prune() {
	looks := 0
	p.closeIdle(func(c *conn) bool {
		if c.timer.Fired() || !p.t.resolves(c.addr) {
			return true
		}
		looks++
		return looks <= pruneLooks && !c.alive()
	})
}

func (p *pool) closeIdle(bad func(*conn) bool) {
	p.mu.Lock()
	var out []*conn
	kept := p.idle[:0]
	for _, c := range p.idle {
		if bad(c) {
			out = append(out, c)
		} else {
			kept = append(kept, c)
		}
	}
	clear(p.idle[len(kept):])
	p.idle = kept
	p.mu.Unlock()
	for _, c := range out {
		c.discard()
	}
}

func (p *pool) close() {
	p.t.service.deps.Sweeper.Remove(&p.timer)
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.closeIdle(func(*conn) bool { return true })
}

func (p *pool) size() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.idle)
}
