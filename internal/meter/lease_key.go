package meter

import (
	"math"
	"time"

	"yett/internal/store"
)

const (
	// leaseShortest is below what leases are not worth taking: a store may need as
	// long to answer.
	leaseShortest = 2 * time.Millisecond
	// leaseLongest is how long what a node has taken stays away from the others, and
	// how long it believes a refusal.
	leaseLongest = 5 * time.Second
	// leaseGivenUp is after what an ask is taken for dead, and somebody else may ask.
	leaseGivenUp = 250 * time.Millisecond
	// leaseBurst is the smallest burst of which a token bucket is leased. What is leased
	// shrinks the bucket, and of a smaller one by more than one in 60.
	leaseBurst = 60
)

// leaseLife is how long what is taken from a rule's limit may be used, 0 when it is not
// to be leased. It depends on nothing else: in a token bucket that some take from in
// advance everybody has to stay below the rim by that much.
func leaseLife(r store.Rule) time.Duration {
	span := float64(r.Window)
	if r.Algorithm == store.TokenBucket {
		if r.Burst < leaseBurst {
			return 0
		}
		span *= float64(r.Burst) / float64(r.Limit)
	}
	life := time.Duration(min(span/store.Steps, float64(leaseLongest))).Truncate(time.Microsecond)
	if life < leaseShortest {
		return 0
	}
	return life
}

// lease is what is known of a key. Its shard's lock guards it.
type lease struct {
	id    id
	born  uint64
	rule  store.Rule
	life  time.Duration // leaseLife
	parts [2]leasePart  // what is left, the first to end first; empty ones last

	lot   int64 // how much was asked for the last time
	batch int64 // how much of it was for later requests, if the store had enough
	asked int64 // when

	since  int64   // since when demand is counted
	demand float64 // what requests have wanted since then, spent or not

	flying  bool // somebody asks
	flight  uint64
	done    chan struct{} // nil while nobody waits
	waiting int64         // what those want who wait

	left    int64        // what the store has said is left
	more    int64        // when that grows, 0 when unknown
	refused leaseRefusal // what the store has said does not fit

	apart bool // each request asks for itself, see learn
	lost  bool // the store could not be asked the last time
}

// leasePart is tokens that may be used until a time.
type leasePart struct{ n, until int64 }

// leaseRefusal says that cost does not fit until a time, which is believed for a while.
type leaseRefusal struct{ cost, until, believed int64 }

// adopt begins anew, with another rule.
func (k *lease) adopt(r store.Rule, t int64) {
	k.land()
	*k = lease{id: k.id, born: k.born, rule: r, life: leaseLife(r), batch: 1, since: t}
}

// live tells whether the key is in use with its rule.
func (k *lease) live(t int64) bool { return k.parts[0].n > 0 || k.asks(t) }

// ends is when the key is of no use any longer.
func (k *lease) ends(t int64) int64 {
	e := max(k.parts[0].until, k.parts[1].until, k.refused.believed)
	if k.asks(t) {
		e = max(e, k.asked+int64(leaseGivenUp))
	}
	return e
}

func (k *lease) have() int64 { return k.parts[0].n + k.parts[1].n }

// expire lets go of what has ended.
func (k *lease) expire(t int64) {
	if k.parts[0].until <= t {
		k.parts[0], k.parts[1] = k.parts[1], leasePart{}
		if k.parts[0].until <= t {
			k.parts[0] = leasePart{}
		}
	}
}

// take takes n, which is there, and returns until when all of that could be used.
func (k *lease) take(n int64) (until int64) {
	until = k.parts[0].until
	if n < k.parts[0].n {
		k.parts[0].n -= n
		return until
	}
	n -= k.parts[0].n
	k.parts[0], k.parts[1] = k.parts[1], leasePart{}
	k.parts[0].n -= n
	if k.parts[0].n == 0 {
		k.parts[0] = leasePart{}
	}
	return until
}

// put adds a part. When there are two, they are less than somebody wanted: they become
// one.
func (k *lease) put(n, until int64) {
	if k.parts[1].n > 0 {
		k.parts[0].n += k.parts[1].n
		k.parts[1] = leasePart{}
	}
	k.parts[1] = leasePart{n, until}
	if k.parts[0].n == 0 || until < k.parts[0].until {
		k.parts[0], k.parts[1] = k.parts[1], k.parts[0]
	}
}

// putBack adds what was taken to a part that ends no later. Without one, and when there is
// no room for another, it is lost.
func (k *lease) putBack(n, until int64) {
	switch {
	case k.parts[1].n > 0 && k.parts[1].until <= until:
		k.parts[1].n += n
	case k.parts[0].n > 0 && k.parts[0].until <= until:
		k.parts[0].n += n
	case k.parts[1].n == 0:
		k.put(n, until)
	}
}

// count notes what a request wants, whatever came of it.
func (k *lease) count(cost int64) {
	k.demand += float64(cost)
	k.waiting = max(0, k.waiting-cost)
}

// low tells whether it is time to ask for more.
func (k *lease) low(t int64) bool {
	return 4*k.have() < k.lot && !k.asks(t) && !k.apart && !k.lost && !k.refuses(1, t)
}

// plan tells how much to ask for: what is wanted within half of the time that it may be
// used, so that it seldom is left over, and at most twice of the last time. It is at most
// an eighth of the node's share in what is left, so that a node does not keep it
// from others, or of what a share of little is: the last is asked for in small pieces
// otherwise. Those who wait are there already, and get theirs whatever that is.
func (k *lease) plan(cost, t int64, nodes int) (batch, want int64) {
	wanted := k.demand * float64(k.life/2) / float64(max(t-k.since, 1))
	wanted -= math.Sqrt(wanted) // the next time it may be so much less by chance
	batch = max(1, min(int64(min(wanted, 1e9)), 2*k.batch))
	share := 8 * int64(max(nodes, 1))
	want = min(batch, max(k.left/share, k.rule.Size()/(4*share)))
	want = max(want, k.waiting)
	want -= want % cost
	return batch, min(max(want, cost), k.rule.Size())
}

// observe goes on watching what is wanted, and makes less of what it has seen.
func (k *lease) observe(t int64) {
	all := max(t-k.since, 1)
	kept := min(all, int64(k.life)) / 2
	k.demand *= float64(kept) / float64(all)
	k.since = t - kept
}

// ahead is by how much a Spend is to be counted later than it comes. What is used at
// once is counted now, except in a bucket: see leaseLife. A cost of nearly a whole bucket
// would never fit; it is given what there is.
func (k *lease) ahead(cost, want int64) time.Duration {
	return leaseAhead(k.rule, k.life, cost, want)
}

func leaseAhead(r store.Rule, life time.Duration, cost, want int64) time.Duration {
	switch {
	case r.Algorithm == store.TokenBucket:
		room := float64(r.Burst-cost) / float64(r.Limit) * float64(r.Window)
		if room >= float64(life) {
			return life
		}
		return time.Duration(room).Truncate(time.Microsecond)
	case want > cost:
		return life
	}
	return 0
}

// ask is for who asks for himself and for others.
func (k *lease) ask(cost, want int64) spending {
	return spending{state: leaseAsk, cost: cost, want: want, ahead: k.ahead(cost, want), born: k.born, flight: k.flight}
}

// askBeside is for who asks for himself alone, whatever others do.
func (k *lease) askBeside(r store.Rule, cost int64) spending {
	life := k.life
	if r != k.rule {
		life = leaseLife(r)
	}
	return spending{state: leaseAsk, cost: cost, want: cost, ahead: leaseAhead(r, life, cost, cost), born: k.born}
}

// asks tells whether somebody asks the store, and has not died.
func (k *lease) asks(t int64) bool { return k.flying && t-k.asked < int64(leaseGivenUp) }

// await is for who comes while another asks.
func (k *lease) await(cost int64) spending {
	if k.done == nil {
		k.done = make(chan struct{})
	}
	k.waiting += cost
	return spending{state: leaseWait, cost: cost, done: k.done}
}

// land ends an ask, and wakes who waits for it.
func (k *lease) land() {
	k.flying = false
	if k.done != nil {
		close(k.done)
		k.done = nil
	}
}

// learn notes what the store has said about the limit, to a call sent at from and
// answered at t.
func (k *lease) learn(a *store.Take, from, t int64) {
	k.left = max(0, a.Left-k.rim())
	k.more = 0
	if a.More > 0 {
		k.more = from + int64(a.More)
	}
	switch {
	case !a.Fits:
		k.refuse(a.Least, from+int64(a.Wait), from, t)
	case a.More > 0:
		k.refuse(k.left+1, k.more, from, t)
	}
	// Where other limits refuse, those who wait for this one would ask one after
	// another in vain. And where the store is slow, what it grants has ended when it comes.
	k.apart = a.Fits && a.Granted == 0 || 3*(t-from) > int64(k.life)
}

// rim is how much of a bucket is out of reach of who takes in advance.
func (k *lease) rim() int64 {
	if k.rule.Algorithm != store.TokenBucket {
		return 0
	}
	return int64(float64(k.life) * float64(k.rule.Limit) / float64(k.rule.Window))
}

// refuse notes what does not fit, said to a call sent at from and answered at t. Where
// many ask, nobody does for a while: what has become free by then is got at once,
// instead of one by one, and those who have waited for the answer do not wait again.
func (k *lease) refuse(cost, until, from, t int64) {
	believed := min(until, from+int64(leaseLongest))
	if k.batch > 1 {
		believed = max(believed, t+k.pause())
	}
	k.refused = leaseRefusal{cost, until, believed}
}

// pause is how long to leave a limit alone of which nothing is left. A bucket fills
// meanwhile, and nothing is lost.
func (k *lease) pause() int64 {
	if k.rule.Algorithm == store.TokenBucket {
		return int64(k.life / 2)
	}
	return int64(k.life / 8)
}

func (k *lease) refuses(cost, t int64) bool {
	return t < k.refused.believed && cost >= k.refused.cost && k.refused.cost > 0
}

// exceeded answers from what the store has said before.
func (k *lease) exceeded(cost, t int64) spending {
	k.count(cost)
	return k.refusal(cost, t)
}

func (k *lease) refusal(cost, t int64) spending {
	wait := max(k.refused.until, k.refused.believed) - t
	return spending{state: leaseExceeded, cost: cost, left: min(k.have()+k.left, cost-1),
		more: k.moreIn(t), wait: time.Duration(max(wait, int64(time.Microsecond)))}
}

// moreIn is how long until left grows. When that is over it may have already.
func (k *lease) moreIn(t int64) time.Duration {
	if k.more == 0 {
		return 0
	}
	return time.Duration(max(k.more-t, int64(time.Microsecond)))
}

// lasts is how long after it was asked for something may be used. The store counts in
// whole microseconds, so it may be one early.
func (k *lease) lasts(s *spending, t *store.Take) int64 {
	d := s.ahead
	if k.rule.Algorithm == store.FixedWindow {
		d = min(d, t.More)
	}
	return int64(d - time.Microsecond)
}
