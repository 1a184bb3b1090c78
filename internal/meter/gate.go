package meter

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxWaitingEach is how many requests of one key may wait at a gate, and maxWaiting
	// how many at all gates together.
	maxWaitingEach = 1024
	maxWaiting     = 64 * 1024
	// gateBuckets is how many keys a shard finds at once, without searching.
	gateBuckets = 128
	// gateMarks is how many marks a shard has, for all of its keys.
	gateMarks = 64
	// spareWaiters is how many places in queues a shard keeps for later.
	spareWaiters = 64
)

var (
	errGateLate = errors.New("nobody left the gate in time")
	errTurnOver = errors.New("this turn is over")
)

// gates lets so many requests of a key in at once as would still fit if each of them
// counted in the end. Others wait in a queue. For each request:
//
//	m := g.mark(id)
//	// ask the store how much is left
//	entered, t := g.enter(id, m, cost, left)
//	for !entered {
//		if err := t.wait(ctx, until); err != nil {
//			return err // refused
//		}
//		// ask the store again
//		entered = t.enter(left)
//	}
//	// serve, then count what it cost, if it does
//	g.leave(id, cost, counted)
//
// Whoever stops asking in between calls t.quit; where that is not needed it does nothing, so
// that it can be deferred. A request that has to enter several gates enters them in the
// same order as all others, or holds no place while it waits.
//
// What the store said is worth nothing when somebody has counted since, and left: a place
// is free then, but so much less is left. Marks find that out, and who holds an old one is
// sent to the store again.
//
// Only the first in a queue is ever woken. While it sleeps, somebody is inside, whose leaving
// wakes it; whatever becomes of one that was woken, the next one is woken when it may fit.
// Keys of which nobody is inside and nobody waits take no memory, so the table is bounded by
// how many requests run at once.
type gates struct {
	waiting atomic.Int64
	shards  [tableShards]gateShard
}

type gateShard struct {
	mu    sync.Mutex
	gates chains[gate]
	free  *waiter
	spare int
	all   *gates
	// marks count what was counted, for all keys that share one. They change under the
	// lock only.
	marks [gateMarks]atomic.Uint32
}

// gate is those of one key.
type gate struct {
	inside      int64 // the cost of all of them
	waiting     int
	first, last *waiter
}

// waiter is a place in a queue. It is used again when its turn is over.
type waiter struct {
	shard      *gateShard
	id         id
	turn       uint64 // how many turns it has served: a turn of another number is over
	cost       int64
	state      wakefulness
	mark       mark // from when it was told
	prev, next *waiter
	ready      chan struct{} // holds one when woken
	timer      *time.Timer
}

type wakefulness uint8

const (
	asleep wakefulness = iota
	woken
	told // its wait has returned
)

// mark is a moment before the store was asked.
type mark uint32

// turn is a request's place in the queue of a gate. It is used by one goroutine. The zero
// turn has none, as has one that is over: it waits for nothing and enters nothing.
type turn struct {
	w      *waiter
	number uint64
}

func newGates() *gates {
	g := new(gates)
	for i := range g.shards {
		g.shards[i].all = g
		g.shards[i].gates = newChains[gate](gateBuckets)
	}
	return g
}

// mark is taken before the store is asked how much is left.
func (g *gates) mark(id id) mark { return g.shards[id.tableShard()].mark(id) }

func (s *gateShard) markOf(id id) *atomic.Uint32 { return &s.marks[id.b>>32%gateMarks] }

func (s *gateShard) mark(id id) mark { return mark(s.markOf(id).Load()) }

// enter lets a request in when its cost and that of all who are inside fit into left, and
// nobody waits. Then leave has to be called once. Otherwise it returns a place in the queue,
// or the zero turn, whose wait fails: the queue is full, or cost exceeds what is left.
func (g *gates) enter(id id, m mark, cost, left int64) (entered bool, t turn) {
	s := &g.shards[id.tableShard()]
	s.mu.Lock()
	defer s.mu.Unlock()
	if cost > left {
		return false, turn{}
	}
	gt := s.gates.find(id)
	if gt == nil {
		gt = s.gates.add(id)
	}
	fresh := m == s.mark(id)
	if fresh && gt.first == nil && gt.inside+cost <= left {
		gt.inside += cost
		return true, turn{}
	}
	t = s.queue(gt, id, cost)
	if gt.waiting == 1 && !fresh {
		gt.wake()
	}
	s.tidy(gt, id)
	return false, t
}

// queue gives out the last place of a queue, or none when there are too many already.
func (s *gateShard) queue(gt *gate, id id, cost int64) turn {
	if gt.waiting >= maxWaitingEach {
		return turn{}
	}
	if s.all.waiting.Add(1) > maxWaiting {
		s.all.waiting.Add(-1)
		return turn{}
	}
	w := s.free
	if w == nil {
		w = &waiter{shard: s, ready: make(chan struct{}, 1)}
	} else {
		s.free, s.spare = w.next, s.spare-1
	}
	w.id, w.cost, w.prev, w.next = id, cost, gt.last, nil
	if gt.last == nil {
		gt.first = w
	} else {
		gt.last.next = w
	}
	gt.last = w
	gt.waiting++
	return turn{w, w.turn}
}

// wake tells the first one to look, unless it was told.
func (gt *gate) wake() {
	if w := gt.first; w != nil && w.state == asleep {
		w.state = woken
		w.ready <- struct{}{}
	}
}

// tidy drops a gate that nobody needs.
func (s *gateShard) tidy(gt *gate, id id) {
	if gt.inside == 0 && gt.first == nil {
		s.gates.remove(id)
	}
}

// leave gives back what enter was let in with. Counted tells that it was counted in the
// store, before.
func (g *gates) leave(id id, cost int64, counted bool) {
	s := &g.shards[id.tableShard()]
	s.mu.Lock()
	defer s.mu.Unlock()
	if counted {
		s.markOf(id).Add(1)
	}
	gt := s.gates.find(id)
	if gt == nil {
		return
	}
	gt.inside = max(0, gt.inside-cost)
	gt.wake()
	s.tidy(gt, id)
}

// wait returns nil when the store is to be asked again and enter to be tried: somebody left,
// or what was known was too old. It fails when ctx or the time until which to wait ends; then
// the turn is over.
func (t turn) wait(ctx context.Context, until time.Time) error {
	if !t.valid() {
		return errTurnOver
	}
	err := ctx.Err()
	if err == nil {
		err = t.w.wait(ctx, time.Until(until))
	}
	if err != nil {
		t.quit()
		return err
	}
	t.w.hear()
	return nil
}

func (w *waiter) wait(ctx context.Context, budget time.Duration) error {
	if budget <= 0 {
		return errGateLate
	}
	if w.timer == nil {
		w.timer = time.NewTimer(budget)
	} else {
		w.timer.Reset(budget)
	}
	defer w.timer.Stop()
	select {
	case <-w.ready:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-w.timer.C:
		return errGateLate
	}
}

// hear notes that the store is about to be asked.
func (w *waiter) hear() {
	w.shard.mu.Lock()
	defer w.shard.mu.Unlock()
	w.state, w.mark = told, w.shard.mark(w.id)
}

// valid tells whether the turn is not over.
func (t turn) valid() bool {
	if t.w == nil {
		return false
	}
	t.w.shard.mu.Lock()
	defer t.w.shard.mu.Unlock()
	return t.w.turn == t.number
}

// enter is tried when wait has returned nil and the store has been asked again. When it
// returns true the turn is over, and leave has to be called once. Otherwise wait goes on, at
// the same place; or fails, when cost exceeds what is left.
func (t turn) enter(left int64) bool {
	if t.w == nil {
		return false
	}
	w, s := t.w, t.w.shard
	s.mu.Lock()
	defer s.mu.Unlock()
	if w.turn != t.number || w.state != told {
		return false
	}
	gt := s.gates.find(w.id)
	switch {
	case w.cost > left:
		s.end(gt, w)
		return false
	case w.mark != s.mark(w.id):
		w.state = asleep
		gt.wake() // look once more
		return false
	case gt.inside+w.cost > left:
		w.state = asleep // somebody is inside
		return false
	}
	gt.inside += w.cost
	s.unlink(gt, w)
	if next := gt.first; next != nil && gt.inside+next.cost <= left {
		gt.wake()
	}
	return true
}

// quit ends the turn, if it is not over, and gives the next one its chance.
func (t turn) quit() {
	if t.w == nil {
		return
	}
	s := t.w.shard
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.w.turn == t.number {
		s.end(s.gates.find(t.w.id), t.w)
	}
}

// end takes w out of the queue without letting it in.
func (s *gateShard) end(gt *gate, w *waiter) {
	id, first := w.id, w == gt.first
	s.unlink(gt, w)
	if first {
		gt.wake()
	}
	s.tidy(gt, id)
}

// unlink takes w out of the queue and keeps it for later.
func (s *gateShard) unlink(gt *gate, w *waiter) {
	if w.prev == nil {
		gt.first = w.next
	} else {
		w.prev.next = w.next
	}
	if w.next == nil {
		gt.last = w.prev
	} else {
		w.next.prev = w.prev
	}
	gt.waiting--
	s.all.waiting.Add(-1)
	select {
	case <-w.ready: // woken, and never heard of it
	default:
	}
	w.turn++
	w.state, w.prev, w.next = asleep, nil, nil
	if s.spare < spareWaiters {
		w.next, s.free, s.spare = s.free, w, s.spare+1
	}
}
