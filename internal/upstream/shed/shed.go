package shed

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// Verdict is what became of a request that asked for a place.
type Verdict uint8

const (
	// Granted is a place. Release has to follow, once.
	Granted Verdict = iota
	// Full is a refusal: too many wait already.
	Full
	// Late is a refusal: no place became free in time.
	Late
	// Left is a client that went away while it waited.
	Left
)

// Outcome is what a request that had a place tells about the service.
type Outcome uint8

const (
	// OK is an answer that took as long as the service needed for it.
	OK Outcome = iota
	// Timeout is an answer that did not come in time.
	Timeout
	// Ignored tells nothing of how busy the service is: a client that left, a connection that
	// was refused, an error that came at once.
	Ignored
)

// Client is whoever asks for a place. Its context is asked for only when it has to wait, and
// ends when it has left. *exchange.Exchange and *http.Request are clients.
type Client interface {
	Context() context.Context
}

const (
	// aWaiter is one that waits, in Limiter.word, and inFlight the part that is not waiters.
	aWaiter  = 1 << 32
	inFlight = aWaiter - 1
	// unbounded is the limit where there is none.
	unbounded = 1<<31 - 1
	// lookEvery is how many samples lie between two looks at the clock, a power of two.
	lookEvery = 8
)

// Limiter bounds the requests in flight to one service. Its methods may be called from many
// goroutines. It has nothing running, and needs no end.
type Limiter struct {
	// What each request writes has a cache line of its own.

	// word is how many are in flight, and in its upper half how many wait or are on their way to
	// the queue.
	word    atomic.Int64
	samples atomic.Uint64 // see sample
	peak    atomic.Int64  // the most in flight that was seen since the last look
	late    atomic.Int64  // timeouts
	ignored atomic.Int64
	_       [24]byte

	limit    atomic.Int64
	adaptive bool
	start    time.Time
	due      atomic.Int64 // when to look at the samples, see now
	looking  sync.Mutex   // held by who does
	adapt    adapter

	queue queue
}

// New returns a Limiter, or what is wrong with its settings.
func New(s Settings) (*Limiter, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	l := &Limiter{start: time.Now(), adaptive: s.Adaptive}
	l.queue.most, l.queue.longest = s.Queue, s.QueueTime
	l.limit.Store(unbounded)
	switch {
	case s.Adaptive:
		l.adapt = newAdapter(s)
		l.limit.Store(int64(l.adapt.limit))
	case s.Max > 0:
		l.limit.Store(int64(s.Max))
	}
	return l, nil
}

// now is the time since the Limiter was made.
func (l *Limiter) now() time.Duration { return time.Since(l.start) }

// Acquire asks for a place, and waits in the queue when there is none. Urgent requests wait
// before all others, and when the queue is full, take the place of one that isn't. c may be
// nil where nobody leaves.
func (l *Limiter) Acquire(c Client, urgent bool) Verdict {
	// Where somebody waits, the word exceeds any limit, so that nobody overtakes the queue.
	if l.word.Add(1) <= l.limit.Load() {
		return Granted
	}
	return l.wait(c, urgent)
}

// Try asks for a place, and waits for none. Release has to follow if there is one.
func (l *Limiter) Try() bool {
	for {
		word := l.word.Load()
		if word+1 > l.limit.Load() {
			return false
		}
		if l.word.CompareAndSwap(word, word+1) {
			return true
		}
	}
}

// Release gives a place back, and tells how long the service took, from the request to the
// head of its answer.
func (l *Limiter) Release(took time.Duration, o Outcome) {
	word := l.word.Add(-1)
	if word >= aWaiter {
		l.hand()
	}
	if o == Ignored {
		l.ignored.Add(1)
		return
	}
	n := l.samples.Add(sample(took))
	if o == Timeout {
		l.late.Add(1)
	} else if n%lookEvery != 0 {
		return
	}
	if l.adaptive {
		l.look(word&inFlight + 1)
	}
}

// look lets the limit follow the samples, when it is time and nobody else does.
func (l *Limiter) look(used int64) {
	if used > l.peak.Load() {
		l.peak.Store(used)
	}
	now := l.now()
	if int64(now) < l.due.Load() || !l.looking.TryLock() {
		return
	}
	defer l.looking.Unlock()
	wait := l.adapt.look(now, l.samples.Load(), l.late.Load(), &l.peak)
	l.due.Store(int64(now + wait))
	l.setLimit(int64(l.adapt.limit))
}

// setLimit changes the limit. Whoever waits gets the places that are new.
func (l *Limiter) setLimit(limit int64) {
	if limit == l.limit.Load() {
		return
	}
	l.limit.Store(limit)
	if l.word.Load() >= aWaiter {
		l.hand()
	}
}

// State is what is known about a Limiter at one moment.
type State struct {
	// InFlight is how many have a place, and Limit how many may have, 0 where there is no bound.
	InFlight, Limit int
	// Queued is how many wait.
	Queued int
	// Refused is how many were Full or Late, and Waited how many have been in the queue.
	Refused, Waited int64
}

// State returns what is known.
func (l *Limiter) State() State {
	s := State{InFlight: int(l.word.Load() & inFlight), Limit: int(l.limit.Load())}
	if s.Limit == unbounded {
		s.Limit = 0
	}
	q := &l.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	s.Queued, s.Refused, s.Waited = q.len(), q.refused, q.waited
	return s
}

// RetryAfter is after how many whole seconds one that was refused should come again, at least 1: see
// hint.
func (l *Limiter) RetryAfter() int { return max(1, int(l.queue.hint.seconds.Load())) }
