package breaker

import (
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Breaker is the circuit breaker of one service. Its methods may be called by many
// goroutines. The times they are given have to be of one clock; they need not be in
// order.
type Breaker struct {
	// What is read for each request comes first, away from what is written for each.
	settings Settings
	ratios   bool      // settings.countsRatios
	epoch    time.Time // times are counted from here, in ns
	changed  func(Change)
	random   func() float64 // in [0, 1)
	// word is the generation, with the state and the bits below.
	word atomic.Uint64
	// next is when an open Breaker lets a probe through, or when a hold ends.
	next atomic.Int64
	_    [64]byte

	mu         sync.Mutex // guards what follows, and all changes of the above
	generation uint64
	state      State
	failures   int // in a row
	window     window
	probes     []probe // that are under way and have a place
	lastProbe  uint64
	successes  int           // of probes
	pause      time.Duration // the last one, not lengthened; 0 once closed
	held       bool
	heldUntil  time.Time // zero: until Reset

	since time.Time
	until time.Time // that next stands for; zero for none
	cause string
	trips int64

	untold  []Change
	telling bool

	link *link // nil unless shared
}

// probe is a request that was let through while half-open.
type probe struct {
	number uint64
	at     int64 // when it began
	frees  int64 // when its place is another one's
	loose  bool  // see AdmitLoose
}

const (
	stateBits = 3
	// heldBit tells that it is held, endsBit that it is held closed, up to next.
	heldBit = 1 << 2
	endsBit = 1 << 3
	// failingBit tells that there are failures in a row. It is not kept where ratios are
	// counted.
	failingBit = 1 << 4
	// generationAt is where the generation begins.
	generationAt = 8
)

// busy is how long to wait when all probes are under way.
const busy = time.Second

// Ticket says of which generation an admitted request is, and which probe it is. The
// zero Ticket is of none.
type Ticket struct {
	generation uint64
	probe      uint64 // 0 for none
}

// New returns a closed Breaker. changed, unless nil, is told of every transition, one at
// a time and in order, by whoever caused it. It may call the Breaker; it has to be quick,
// as somebody's request may wait for it, and must not call a store that a Board shares.
func New(s Settings, changed func(Change)) *Breaker {
	return newAt(s, time.Now(), rand.Float64, changed)
}

func newAt(s Settings, now time.Time, random func() float64, changed func(Change)) *Breaker {
	b := &Breaker{settings: s.raised(), epoch: now, changed: changed, random: random, since: now, generation: 1}
	b.ratios = b.settings.countsRatios()
	b.window.init(b.settings.Window)
	b.publish()
	return b
}

// Admit tells whether a request may be sent now. One that may has to be told about with
// Record, once. When it may not, Wait tells for how long.
func (b *Breaker) Admit(now time.Time) (Ticket, bool) {
	w := b.word.Load()
	if w&(stateBits|endsBit) == uint64(Closed) {
		return Ticket{generation: w >> generationAt}, true
	}
	return b.admitSlow(w, false, now)
}

// AdmitLoose is Admit for a request of which its client says how long it is under way,
// such as a long upload. Half-open, such requests have as many places of their own as
// probes have, for a second each, up to four times as many that have told nothing: their
// clients must not keep others from finding out how the service is. Their outcomes count
// as those of other probes.
func (b *Breaker) AdmitLoose(now time.Time) (Ticket, bool) {
	w := b.word.Load()
	if w&(stateBits|endsBit) == uint64(Closed) {
		return Ticket{generation: w >> generationAt}, true
	}
	return b.admitSlow(w, true, now)
}

// admitSlow is Admit for whatever is not closed. While the pause lasts it takes no lock.
func (b *Breaker) admitSlow(w uint64, loose bool, now time.Time) (Ticket, bool) {
	if w&stateBits == uint64(Open) && b.ns(now) < b.next.Load() {
		return Ticket{}, false
	}
	b.mu.Lock()
	defer b.unlock()
	if !b.readyLocked(now) && !(loose && b.state == HalfOpen && b.hasLoosePlace(b.ns(now))) {
		return Ticket{}, false
	}
	switch b.state {
	case Closed:
		return Ticket{generation: b.generation}, true
	case Open:
		b.halfOpen(now)
	case HalfOpen:
		if loose && !b.hasLoosePlace(b.ns(now)) {
			return Ticket{}, false
		}
	}
	b.lastProbe++
	p := probe{number: b.lastProbe, at: b.ns(now), frees: b.ns(now) + int64(b.settings.ProbeTime), loose: loose}
	if loose {
		p.frees = p.at + int64(min(looseTime, b.settings.ProbeTime))
	}
	b.probes = append(b.probes, p)
	return Ticket{b.generation, b.lastProbe}, true
}

// looseTime is how long a loose probe keeps its place.
const looseTime = time.Second

// Loosen has a probe give its place to another one in a second: the head of its answer is
// there, so that the service answers, and how long the rest takes depends on its client.
// For what is no probe it does nothing.
func (b *Breaker) Loosen(t Ticket, now time.Time) {
	if t.probe == 0 {
		return
	}
	b.mu.Lock()
	defer b.unlock()
	frees := b.ns(now) + int64(looseTime)
	for i := range b.probes {
		if p := &b.probes[i]; p.number == t.probe {
			p.frees = min(p.frees, frees)
		}
	}
}

// mostLoose is how many loose probes there may be that have told nothing, in multiples of
// Probes.
const mostLoose = 4

// hasLoosePlace is hasPlace for AdmitLoose.
func (b *Breaker) hasLoosePlace(at int64) bool {
	b.expire(at)
	all, inPlace := 0, 0
	for i := range b.probes {
		if p := &b.probes[i]; p.loose {
			all++
			if at < p.frees {
				inPlace++
			}
		}
	}
	return inPlace < b.settings.Probes && all < mostLoose*b.settings.Probes
}

// expire forgets probes that have told nothing for too long. Loose ones keep being counted
// when they have no place any more.
func (b *Breaker) expire(at int64) {
	b.probes = slices.DeleteFunc(b.probes, func(p probe) bool {
		return !p.loose && at >= p.frees || at-p.at >= int64(b.settings.ProbeTime)
	})
}

// Ready tells whether Admit might let a request through now. It takes no probe's place.
func (b *Breaker) Ready(now time.Time) bool {
	w := b.word.Load()
	if w&(stateBits|endsBit) == uint64(Closed) {
		return true
	}
	if w&stateBits == uint64(Open) && b.ns(now) < b.next.Load() {
		return false
	}
	b.mu.Lock()
	defer b.unlock()
	return b.readyLocked(now)
}

func (b *Breaker) readyLocked(now time.Time) bool {
	b.settle(now)
	switch b.state {
	case Closed:
		return true
	case Open:
		return b.ns(now) >= b.next.Load()
	}
	return b.hasPlace(b.ns(now))
}

// hasPlace tells whether one more probe may be under way: as many as are still needed,
// and at first all of Probes.
func (b *Breaker) hasPlace(at int64) bool {
	if b.freePlace() {
		return true
	}
	b.expire(at)
	return b.freePlace()
}

func (b *Breaker) freePlace() bool {
	out := 0
	for i := range b.probes {
		if !b.probes[i].loose {
			out++
		}
	}
	return out < b.settings.Probes && out+b.successes < max(b.settings.Probes, b.settings.Successes)
}

// Wait returns for how long a caller that was refused should wait. It is more than 0,
// also when requests pass again since.
func (b *Breaker) Wait(now time.Time) time.Duration {
	b.mu.Lock()
	defer b.unlock()
	b.settle(now)
	switch {
	case b.state == HalfOpen && !b.hasPlace(b.ns(now)):
		return busy
	case b.state != Open:
		return time.Millisecond
	case b.until.IsZero(): // held until somebody changes that
		return b.settings.OpenFor
	}
	return max(b.until.Sub(now), time.Millisecond)
}

// Record tells how an admitted request ended, and how long it took.
func (b *Breaker) Record(t Ticket, o Outcome, took time.Duration, now time.Time) {
	w := b.word.Load()
	if w>>generationAt != t.generation || w&heldBit != 0 {
		return
	}
	if t.probe == 0 && (o >= Alive || o == Success && !b.ratios && w&failingBit == 0) {
		return
	}
	b.mu.Lock()
	defer b.unlock()
	switch {
	case b.generation != t.generation: // since a moment ago
	case t.probe != 0:
		b.probed(t.probe, o, took, now)
	default:
		b.count(o == Failure, b.settings.slow(took), now)
	}
}

// probed counts a probe's outcome.
func (b *Breaker) probed(number uint64, o Outcome, took time.Duration, now time.Time) {
	b.probes = slices.DeleteFunc(b.probes, func(p probe) bool { return p.number == number })
	switch {
	case o == Failure:
		b.trip("a probe failed", now)
	case o == Success && b.settings.slow(took):
		b.trip("a probe took longer than "+text(b.settings.SlowCall), now)
	case o == Success || o == Alive:
		b.successes++
		if b.successes >= b.settings.Successes {
			cause := plural(b.successes, "probe") + " succeeded"
			b.close(cause, now)
			b.announce(notice{kind: closed, cause: cause}, now)
		}
	}
}

// count counts an outcome while closed.
func (b *Breaker) count(failed, slow bool, now time.Time) {
	if failed {
		b.failures++
	} else {
		b.failures = 0
	}
	if b.ratios {
		b.window.add(b.ns(now), failed, slow)
	} else {
		b.publish()
	}
	if cause := b.tooMuch(failed); cause != "" {
		b.trip(cause, now)
	}
}

// tooMuch returns why the Breaker has to open, or "".
func (b *Breaker) tooMuch(failed bool) string {
	s, sum := &b.settings, &b.window.sum
	switch {
	case failed && s.ConsecutiveFailures > 0 && b.failures >= s.ConsecutiveFailures:
		return plural(b.failures, "failure") + " in a row"
	case sum.counted < s.MinRequests:
	case s.FailureRatio > 0 && reached(sum.failed, sum.counted, s.FailureRatio):
		return percent(sum.failed, sum.counted, "request") + " failed within " + text(s.Window)
	case s.countsSlow() && reached(sum.slow, sum.counted, s.SlowRatio):
		return percent(sum.slow, sum.counted, "call") + " took longer than " + text(s.SlowCall)
	}
	return ""
}

// reached tells whether part of all is at least a ratio. It divides: 0.07 times 100 is
// more than 7.
func reached(part, all int, ratio float64) bool {
	return part > 0 && float64(part)/float64(all) >= ratio
}

// ns is a time as a number.
func (b *Breaker) ns(t time.Time) int64 { return int64(t.Sub(b.epoch)) }

// trip opens the Breaker because of what it has counted.
func (b *Breaker) trip(cause string, now time.Time) {
	pause := b.settings.OpenFor
	if b.pause > 0 { // since it was closed
		pause = min(2*min(b.pause, longest), b.settings.OpenMost)
	}
	b.open(cause, pause, pause, now)
	b.announce(notice{kind: tripped, until: b.until.UnixMilli(), cause: cause}, now)
}

// open opens the Breaker for about left. pause is what the next one is reckoned from.
func (b *Breaker) open(cause string, pause, left time.Duration, now time.Time) {
	b.pause = pause
	b.probes, b.successes = b.probes[:0], 0
	b.trips++
	b.setNext(now.Add(b.lengthened(left)))
	b.become(Open, cause, now)
}

// lengthened returns a pause with up to a fifth more.
func (b *Breaker) lengthened(pause time.Duration) time.Duration {
	return pause + time.Duration(b.random()*float64(pause)/5)
}

// setNext sets when something happens by itself; never when zero.
func (b *Breaker) setNext(t time.Time) {
	b.until = t
	if t.IsZero() {
		b.next.Store(math.MaxInt64)
		return
	}
	b.next.Store(b.ns(t))
}

func (b *Breaker) halfOpen(now time.Time) {
	b.setNext(time.Time{})
	b.become(HalfOpen, "the pause is over", now)
}

// close closes the Breaker, and makes it automatic if it was held.
func (b *Breaker) close(cause string, now time.Time) {
	failures := b.failures
	b.failures, b.pause = 0, 0
	b.held, b.heldUntil = false, time.Time{}
	b.clear()
	b.becomeAfter(failures, Closed, cause, now)
}

// clear forgets what was counted, but for the failures in a row.
func (b *Breaker) clear() {
	b.window.clear()
	b.probes, b.successes = b.probes[:0], 0
	b.setNext(time.Time{})
}

// become makes a transition. What goes with the state is set before.
func (b *Breaker) become(to State, cause string, now time.Time) {
	b.becomeAfter(b.failures, to, cause, now)
}

func (b *Breaker) becomeAfter(failures int, to State, cause string, now time.Time) {
	if b.changed != nil {
		c := Change{From: b.state, To: to, Cause: cause, At: now, Failures: failures}
		if to == Open {
			c.Until = b.until
		}
		b.untold = append(b.untold, c)
	}
	b.generation++
	b.state, b.cause, b.since = to, cause, now
	b.publish()
}

// publish makes word what the rest says.
func (b *Breaker) publish() {
	w := b.generation<<generationAt | uint64(b.state)
	if b.held {
		w |= heldBit
		if b.state == Closed && !b.heldUntil.IsZero() {
			w |= endsBit
		}
	}
	if b.failures > 0 && !b.ratios {
		w |= failingBit
	}
	b.word.Store(w)
}

// Probe tells whether the request was let through to find out how the service is.
func (t Ticket) Probe() bool { return t.probe != 0 }
