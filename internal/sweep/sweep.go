// Package sweep watches deadlines by walking over all connections a few times
// a second, instead of arming a timer for each read. Moving a deadline is one
// atomic store, so a connection may do it several times a request.
package sweep

import (
	"sync"
	"sync/atomic"
	"time"
)

// Tick is how often deadlines are looked at. A deadline never fires early,
// and at most two ticks late.
const Tick = 50 * time.Millisecond

// probeEvery is how many ticks lie between two Probe calls of one watcher.
const probeEvery = 4

// Owner is what a Timer belongs to. Both methods run on the sweep's goroutine
// with a lock held: they must return at once and must not call Add or Remove.
type Owner interface {
	// Expired is called once when the deadline has passed.
	Expired()
	// Probe is called a few times a second while the Timer is watched.
	Probe()
}

const (
	none  = 0
	fired = -1
)

// Timer is one deadline, embedded in what it guards. Once it has fired it
// stays so, and whoever moves it next is told.
type Timer struct {
	due     atomic.Int64 // nanoseconds on the Sweeper's clock
	watched atomic.Bool
	sweeper *Sweeper
	owner   Owner
	shard   *shard
	prev    *Timer
	next    *Timer
}

// After moves the deadline to d from now; 0 or less is no deadline. It
// returns false when the Timer has fired already.
func (t *Timer) After(d time.Duration) bool {
	due := int64(none)
	if d > 0 {
		due = t.sweeper.now.Load() + int64(d+Tick)
	}
	for {
		old := t.due.Load()
		if old == fired {
			return false
		}
		if t.due.CompareAndSwap(old, due) {
			return true
		}
	}
}

// Stop removes the deadline. It returns false when the Timer has fired.
func (t *Timer) Stop() bool { return t.After(0) }

// Fired tells whether the deadline has passed.
func (t *Timer) Fired() bool { return t.due.Load() == fired }

// Watch switches the calls of Probe on or off.
func (t *Timer) Watch(on bool) { t.watched.Store(on) }

type shard struct {
	mu   sync.Mutex
	head Timer // ring
}

// Sweeper owns the goroutine that looks at all timers.
type Sweeper struct {
	now    atomic.Int64
	start  time.Time
	clock  atomic.Pointer[time.Time] // a moment by both clocks of the system
	turn   atomic.Uint32
	shards [8]shard
	stop   chan struct{}
	done   chan struct{}
}

// New starts a Sweeper. Close ends it.
func New() *Sweeper {
	s := &Sweeper{start: time.Now(), stop: make(chan struct{}), done: make(chan struct{})}
	for i := range s.shards {
		h := &s.shards[i].head
		h.prev, h.next = h, h
	}
	s.now.Store(1)
	s.clock.Store(&s.start)
	go s.run()
	return s
}

// Close ends the sweep and waits for it. Timers never fire afterwards.
func (s *Sweeper) Close() {
	close(s.stop)
	<-s.done
}

// Add registers a Timer without a deadline. The Timer must not be copied.
func (s *Sweeper) Add(t *Timer, o Owner) {
	sh := &s.shards[s.turn.Add(1)%uint32(len(s.shards))]
	t.sweeper, t.owner, t.shard = s, o, sh
	t.due.Store(none)
	t.watched.Store(false)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	t.prev, t.next = sh.head.prev, &sh.head
	t.prev.next, t.next.prev = t, t
}

// Remove takes the Timer out. Neither method of its owner is running or will
// be called when Remove returns. It may be called more than once.
func (s *Sweeper) Remove(t *Timer) {
	if t.shard == nil {
		return
	}
	t.shard.mu.Lock()
	defer t.shard.mu.Unlock()
	if t.next != nil {
		t.prev.next, t.next.prev = t.next, t.prev
		t.prev, t.next = nil, nil
	}
}

func (s *Sweeper) run() {
	defer close(s.done)
	ticker := time.NewTicker(Tick)
	defer ticker.Stop()
	for n := 1; ; n++ {
		select {
		case <-s.stop:
			return
		case <-ticker.C:
			s.now.Store(int64(time.Since(s.start)) + 1)
			s.setClock(time.Now())
			for i := range s.shards {
				s.shards[i].sweep(s.now.Load(), n%probeEvery == 0)
			}
		}
	}
}

// largestError is how far the time of day that Time returns may be off.
const largestError = time.Millisecond

// setClock follows the system's time of day, where that was changed.
func (s *Sweeper) setClock(now time.Time) {
	if off := s.Time().Round(0).Sub(now.Round(0)); off > largestError || off < -largestError {
		s.clock.Store(&now)
	}
}

// Time is time.Now at half the price: it asks for the time since the last change of the
// time of day, and not for that again. After a change it is right from the next tick on.
func (s *Sweeper) Time() time.Time {
	base := s.clock.Load()
	return base.Add(time.Since(*base))
}

func (sh *shard) sweep(now int64, probe bool) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for t := sh.head.next; t != &sh.head; t = t.next {
		if due := t.due.Load(); due > none && due <= now && t.due.CompareAndSwap(due, fired) {
			t.owner.Expired()
		}
		if probe && t.watched.Load() {
			t.owner.Probe()
		}
	}
}

// Now returns the Sweeper's clock, which moves once a tick.
func (t *Timer) Now() time.Duration { return time.Duration(t.sweeper.now.Load()) }

// Reset makes a Timer that has fired usable again, without a deadline. When it
// returns, its owner's Expired is not running any more.
func (t *Timer) Reset() {
	t.shard.mu.Lock()
	defer t.shard.mu.Unlock()
	t.due.Store(none)
}
