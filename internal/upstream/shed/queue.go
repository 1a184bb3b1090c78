package shed

import (
	"sync"
	"time"
)

// spareWaiters is how many places in the queue are kept for later.
const spareWaiters = 64

// queue is where requests wait. mu guards all of it, and most changes of Limiter.word too: only Acquire
// and Release add to it and take from it without the lock.
//
// Nobody is forgotten between the look at the word and the queue: a request counts as waiting
// before it takes the lock, and looks at the word again with the lock held. Whoever gives a place back later sees
// that somebody waits and takes the lock too; whoever did it before has left a place that is
// seen.
type queue struct {
	mu      sync.Mutex
	most    int
	longest time.Duration

	urgent, normal list
	free           *waiter
	spare          int

	// empty is when the queue was last seen empty. It stands when that was longer ago than anybody
	// may wait.
	empty    time.Duration
	standing bool

	refused, waited int64
	hint            hint
}

// waiter is a place in the queue. It is used again.
type waiter struct {
	prev, next *waiter
	list       *list        // nil: not in the queue any more
	ready      chan Verdict // gets one when somebody else takes the waiter out
	timer      *time.Timer
}

// list is a ring around head, the oldest first.
type list struct {
	head waiter
	n    int
}

func (l *list) push(w *waiter) {
	if l.head.next == nil {
		l.head.prev, l.head.next = &l.head, &l.head
	}
	w.list, w.prev, w.next = l, l.head.prev, &l.head
	w.prev.next, w.next.prev = w, w
	l.n++
}

func (w *waiter) remove() {
	w.prev.next, w.next.prev = w.next, w.prev
	w.list.n--
	w.list, w.prev, w.next = nil, nil, nil
}

func (q *queue) len() int { return q.urgent.n + q.normal.n }

// wait finds a place for a request that was counted as in flight in vain.
func (l *Limiter) wait(c Client, urgent bool) Verdict {
	l.word.Add(aWaiter - 1)
	w, v := l.enter(urgent)
	if w == nil {
		return v
	}
	var gone <-chan struct{}
	if c != nil {
		gone = c.Context().Done()
	}
	select {
	case v = <-w.ready:
	case <-gone:
		v = l.quit(w, Left)
	case <-w.timer.C:
		v = l.quit(w, Late)
	}
	w.timer.Stop()
	l.queue.keep(w)
	return v
}

// enter returns a place in the queue, or nil and what became of the request at once.
func (l *Limiter) enter(urgent bool) (*waiter, Verdict) {
	q := &l.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	now := l.now()
	l.grant(now)
	if q.len() == 0 && l.free() {
		l.word.Add(1 - aWaiter)
		return nil, Granted
	}
	if q.len() >= q.most && !l.makeRoom(now, urgent) {
		l.word.Add(-aWaiter)
		l.refuse(now)
		return nil, Full
	}
	w := q.take()
	if urgent {
		q.urgent.push(w)
	} else {
		q.normal.push(w)
	}
	q.waited++
	return w, Granted
}

// free tells whether there is a place. It may miss one for as long as somebody who looked for it in vain is
// on the way to the queue, and will look again there.
func (l *Limiter) free() bool { return l.word.Load()&inFlight < l.limit.Load() }

// makeRoom turns one out of a full queue for somebody who deserves it more.
func (l *Limiter) makeRoom(now time.Duration, urgent bool) bool {
	w := l.queue.victim(urgent)
	if w == nil {
		return false
	}
	w.remove()
	l.word.Add(-aWaiter)
	l.refuse(now)
	w.ready <- Full
	return true
}

// victim is who would be served last of those that a newcomer comes before, or nil.
func (q *queue) victim(urgent bool) *waiter {
	switch {
	case q.normal.n > 0 && q.standing:
		return q.normal.head.next
	case q.normal.n > 0 && urgent:
		return q.normal.head.prev
	case q.urgent.n > 0 && urgent && q.standing:
		return q.urgent.head.next
	}
	return nil
}

// take returns a waiter whose time runs.
func (q *queue) take() *waiter {
	w := q.free
	if w == nil {
		return &waiter{ready: make(chan Verdict, 1), timer: time.NewTimer(q.longest)}
	}
	q.free, w.next = w.next, nil
	q.spare--
	w.timer.Reset(q.longest)
	return w
}

// keep takes a waiter back.
func (q *queue) keep(w *waiter) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.spare < spareWaiters {
		w.next, q.free = q.free, w
		q.spare++
	}
}

// hand gives free places to those who wait.
func (l *Limiter) hand() {
	l.queue.mu.Lock()
	defer l.queue.mu.Unlock()
	l.grant(l.now())
}

func (l *Limiter) grant(now time.Duration) {
	q := &l.queue
	q.judge(now)
	for q.len() > 0 && l.free() {
		w := q.next()
		w.remove()
		l.word.Add(1 - aWaiter)
		w.ready <- Granted
	}
}

// judge finds out whether the queue stands, before it changes.
func (q *queue) judge(now time.Duration) {
	if q.len() == 0 {
		q.empty = now
	}
	q.standing = now-q.empty > q.longest
}

// next is whose turn it is.
func (q *queue) next() *waiter {
	from := &q.urgent
	if from.n == 0 {
		from = &q.normal
	}
	if q.standing {
		return from.head.prev
	}
	return from.head.next
}

// quit takes one out of the queue that doesn't want to wait any longer. It may have been
// given a place, or turned out, in the same moment: who came too late uses the place, and who
// has left passes it on.
func (l *Limiter) quit(w *waiter, why Verdict) Verdict {
	q := &l.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	now := l.now()
	if w.list != nil {
		q.judge(now)
		w.remove()
		l.word.Add(-aWaiter)
		if why == Late {
			l.refuse(now)
		}
		return why
	}
	v := <-w.ready
	if v == Granted && why == Left {
		l.word.Add(-1)
		l.grant(now)
		return Left
	}
	return v
}
