package shed

import (
	"math"
	"math/rand/v2"
	"sync/atomic"
	"time"
)

const (
	// A window is as long as half as much again as an answer takes, because a change of the limit
	// shows only after that, within these bounds.
	shortestWindow = 100 * time.Millisecond
	longestWindow  = 2 * time.Second
	// enough is how many samples end a window, twice as many in a probe, and few how many do
	// when there are no more within patience.
	enough   = 50
	few      = 8
	patience = time.Second
	// firstLimit is where the limit begins.
	firstLimit = 20
	// probeEvery is how long a baseline is believed while the limit is used up. A probe takes at most a twelfth
	// of the time. doubtEvery is how long it is believed when it has just changed.
	probeEvery = 15 * time.Second
	doubtEvery = time.Second
	// manyLate is the share of timeouts that cuts the limit.
	manyLate = 0.05
)

// adapter finds the limit: the most requests in flight at which the service doesn't let them wait. One goroutine
// at a time uses it.
//
// For each window the latency is compared with the baseline, which is what an answer takes where
// no queue is in the service. While it is within tolerance, the limit grows by its square root, if it
// is used: otherwise nobody knows whether more would do. Beyond, it falls in proportion, to half at most.
//
// What matters is the baseline. Under an overload that stays, latency includes the queue that the
// limit allows, and a baseline that follows latency creeps up, and the limit after it. So while the limit is
// used the baseline only falls, and is measured by a probe now and then: the limit is
// lowered for a moment to three quarters of what the service seems to do at once, so that the queue drains. While that
// brings the latency down, it is lowered further, so that one probe finds a baseline that was far too high.
//
// When a service becomes slower for good, the limit would fall to its least until the next probe. So a limit
// that fell by 40 % is looked at: if that has not brought the latency down, then no queue was to
// blame, what is measured now is the baseline, and the limit is what it was. Otherwise a probe
// follows soon.
//
// Simulated with 20 places and answers of 40 ms at three times the capacity (exponential latency, limits every
// 4 s; the capacity is half in the middle, and returns; best is a little more than the places):
//
//	Gradient2 (of concurrency-limits)   28  36  48  59  68 | 47  51  60  65  69 |  82  95 105 115
//	Vegas     (of concurrency-limits)   24  24  24  31  29 | 21  19  28  25  28 |  37  50  44  41
//	this                                25  24  21  31  24 | 17  11  14  13  15 |  13  27  29  29
//
// (13 in the last part is a probe.) At five times the capacity, goodput is 95 to 99 % of it, for latencies that are fixed,
// exponential or have a heavy tail; probes take the rest.
type adapter struct {
	least, most float64
	random      func() float64 // from 0 to 1

	limit float64
	base  float64 // the baseline in nanoseconds, 0 before the first window

	phase   phase
	resume  cut           // the limit before the probe, and the latency then
	probed  time.Duration // when the probe began
	before  cut           // the last limit of the probe, and the latency then
	probeAt time.Duration // when the next one is due

	cut cut

	// What was known at the end of the last window.
	from    time.Duration
	samples uint64
	late    int64
}

// phase is how far a probe is.
type phase uint8

const (
	steady    phase = iota
	draining        // answers to what was sent before still come
	measuring       // answers tell of the lower limit
)

// cut is from where the limit falls: the limit, and the highest latency since. The zero cut is none.
type cut struct{ limit, latency float64 }

// view is what was seen in a window.
type view struct {
	n       float64
	latency float64 // geometric mean, in nanoseconds
	late    float64 // timeouts, which are among the n
	used    float64 // most in flight
}

// stalls tells whether too many were late. One or two are not, however few there are in all: of answers that have a
// heavy tail some are always late, and a limit that each of them cuts would end at its least.
func (v view) stalls() bool { return v.late > manyLate*max(v.n, enough) }

func newAdapter(s Settings) adapter {
	least, most := s.span()
	a := adapter{least: float64(least), most: float64(most), random: rand.Float64, limit: firstLimit}
	a.bound()
	return a
}

func (a *adapter) bound() { a.limit = min(max(a.limit, a.least), a.most) }

// look ends a window if it has enough samples, and moves the limit. It returns when to look
// again.
func (a *adapter) look(now time.Duration, samples uint64, late int64, peak *atomic.Int64) time.Duration {
	n, latency := mean(samples - a.samples)
	v := view{n: n, latency: latency, late: float64(late - a.late)}
	if !v.stalls() && !a.enough(n, now-a.from) {
		return shortestWindow / 4
	}
	v.used = float64(peak.Swap(0))
	a.from, a.samples, a.late = now, samples, late
	a.step(now, v)
	a.bound()
	return min(max(time.Duration(1.5*latency), shortestWindow), longestWindow)
}

// enough tells whether a window with n samples may end.
func (a *adapter) enough(n float64, age time.Duration) bool {
	switch {
	case a.phase == draining:
		return true
	case age >= patience:
		return n >= few
	case a.phase == measuring:
		return n >= 2*enough
	}
	return n >= enough
}

// step moves the limit by what was seen in a window.
func (a *adapter) step(now time.Duration, v view) {
	if v.n == 0 {
		return
	}
	if a.base == 0 {
		a.base = v.latency
		a.plan(now, probeEvery)
	}
	switch {
	case v.stalls():
		a.stall(now, v)
	case a.phase == draining:
		a.phase = measuring
	case a.phase == measuring:
		a.learn(now, v)
	case v.used < math.Floor(a.limit)/2:
		a.follow(v)
	case now >= a.probeAt && v.used >= math.Floor(a.limit) && v.latency > leastTolerance*a.base:
		a.probe(now, v)
	default:
		a.move(now, v)
	}
}

// stall cuts the limit because of timeouts: by a quarter, or by half when all are late. A probe
// follows soon, because a service that has become slower for good stalls too.
func (a *adapter) stall(now time.Duration, v view) {
	if a.phase != steady {
		a.limit, a.phase = a.resume.limit, steady
	}
	a.plan(now, doubtEvery)
	a.limit *= min(0.75, 1-v.late/v.n/2)
	a.cut = cut{}
}

// follow lets the baseline follow the latency while the limit is not used, slowly upward because
// a service may have a queue for other reasons.
func (a *adapter) follow(v view) {
	weight := 0.1
	if v.latency > a.base {
		weight = 0.01
	}
	a.base += weight * (v.latency - a.base)
}

// move lets the limit grow or fall.
func (a *adapter) move(now time.Duration, v view) {
	gradient := min(max(tolerance*a.base/v.latency, 0.5), 1)
	if v.latency < a.base {
		a.follow(v)
	}
	if gradient == 1 {
		a.cut = cut{}
	} else {
		a.fall(now, v)
	}
	a.limit = a.limit*gradient + math.Sqrt(a.limit)
}

// fall finds out whether a limit that falls brings the latency down.
func (a *adapter) fall(now time.Duration, v view) {
	switch {
	case a.cut.limit < a.limit:
		a.cut = cut{a.limit, v.latency}
	case a.limit > 0.6*a.cut.limit:
		a.cut.latency = max(a.cut.latency, v.latency)
	case v.latency > 0.8*a.cut.latency: // in vain
		a.base, a.limit = v.latency, a.cut.limit
		a.cut = cut{}
		a.plan(now, doubtEvery)
	default:
		a.cut = cut{a.limit, v.latency}
		a.plan(now, doubtEvery)
	}
}

// probe lowers the limit to below of what the service seems to do at once, but not so far that
// much of it stands idle.
func (a *adapter) probe(now time.Duration, v view) {
	a.resume, a.probed = cut{a.limit, v.latency}, now
	a.lower(v, max(0.5, 0.75*min(1, a.base/v.latency)))
}

// lower lets the service drain to a part of the limit.
func (a *adapter) lower(v view, part float64) {
	a.phase, a.before = draining, cut{a.limit, v.latency}
	a.limit = max(a.limit*part, a.least)
}

// learn ends a probe: what was measured is the baseline.
func (a *adapter) learn(now time.Duration, v view) {
	if a.limit > a.least && v.latency < 1.15*a.before.latency*a.limit/a.before.limit {
		a.lower(v, 0.6) // the latency fell with the limit: there was a queue, and may be one still
		return
	}
	changed := math.Abs(v.latency/a.base - 1)
	took := now - a.probed
	a.base, a.phase, a.cut = v.latency, steady, cut{}
	a.limit = max(a.limit, a.resume.limit*min(1, tolerance*a.base/a.resume.latency))
	if changed > 0.35 {
		a.plan(now, max(doubtEvery, 4*took))
	} else {
		a.plan(now, max(probeEvery, 12*took))
	}
}

// plan sets the time of the next probe, not the same for all limiters and nodes.
func (a *adapter) plan(now, after time.Duration) {
	a.probeAt = now + time.Duration(float64(after)*(0.75+0.5*a.random()))
}
