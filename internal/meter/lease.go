package meter

import (
	"sync"
	"time"

	"yett/internal/store"
)

// leases holds what this node has taken from the store in advance, and what the store
// has refused, for limits with `precision: leased`. Who spends asks here first, and
// asks the store only when told to:
//
//	s := l.spend(id, rule, cost, time.Now(), nodes)
//	switch s.state {
//	case leaseWait: // wait for s.done, not longer than the budget, then spend again
//	case leaseAsk:  // s.into(&take), call the store, then l.fill or l.failed
//	case leaseSpent: // if s.refill, do the same in the background, for a take that is alone
//	}
//
// It never gives away more than the store has counted, nor later than the store counts
// it. What is not used in time is lost: it was counted, and nobody gives it back.
//
// Times are ticks: nanoseconds since start. Its methods may be called from many
// goroutines; times given to one key may be out of order by as much as requests are.
type leases struct {
	start  time.Time
	shards [leaseShards]leaseShard
}

const leaseShards = 64

// newLeases returns leases for about that many keys. When there are more, those go first
// that are of no use any longer.
func newLeases(keys int) *leases {
	l := &leases{start: time.Now()}
	for i := range l.shards {
		l.shards[i].index = make(map[id]int32)
		l.shards[i].max = max(1, (keys+leaseShards-1)/leaseShards)
	}
	return l
}

// leaseState is what came of a spending.
type leaseState uint8

const (
	// leaseAsk: it is not known here, and the caller has to ask the store. From fill:
	// it would have fitted, but another take of the call did not.
	leaseAsk leaseState = iota
	// leaseSpent: it is counted.
	leaseSpent
	// leaseExceeded: the store has said that it does not fit.
	leaseExceeded
	// leaseWait: somebody asks the store for this key.
	leaseWait
)

// spending is one request's part of a key. It is valid for the key and the leases it came
// from; spend, fill and look return it.
type spending struct {
	state leaseState
	// refill tells that the caller should ask the store in the background. What it
	// asks for is used by later requests alone.
	refill bool
	// done is closed when whoever asks has heard, or can't hear; for leaseWait. It is not
	// when that one died: wait no longer than the budget.
	done <-chan struct{}

	// left is what may still be spent, as far as is known here. more is how long until it
	// grows, 0 when unknown. wait is how long until what is exceeded may fit.
	left       int64
	more, wait time.Duration

	cost   int64
	want   int64         // how much to take
	ahead  time.Duration // for how long
	until  int64         // until when what was spent could have been used
	born   uint64        // tells forgotten keys from those that came after
	flight uint64        // which ask this is, 0 for one beside others
}

// into makes of t, whose name, key and rule are set, the Take to ask the store with.
func (s *spending) into(t *store.Take) {
	t.Action, t.Cost, t.Least, t.Ahead = store.Spend, s.want, s.least(), s.ahead
}

func (s *spending) least() int64 {
	if s.refill {
		return 1
	}
	return s.cost
}

// spend takes cost, from 1 on and not above the rule's size, from what is leased. It asks
// nobody, and allocates only for a new key and for the first who waits. nodes is how many
// share the limit. Who gets leaseAsk, or a refill, must call fill or failed with what
// it got, and until then others with the same key wait. now must be just read, after
// waiting too: what has ended at an earlier time is not given to a later one.
func (l *leases) spend(id id, rule store.Rule, cost int64, now time.Time, nodes int) spending {
	s, t := l.shard(id), l.ticks(now)
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.find(id)
	if k == nil {
		k = s.add(id, rule, t)
	}
	k.expire(t)
	if k.rule != rule {
		if k.live(t) {
			return k.askBeside(rule, cost)
		}
		k.adopt(rule, t)
	}
	switch {
	case k.have() >= cost:
		return s.spent(k, cost, t, nodes)
	case k.refuses(cost, t):
		return k.exceeded(cost, t)
	case k.apart || k.life == 0:
		k.count(cost)
		return k.askBeside(rule, cost)
	case k.asks(t):
		return k.await(cost)
	}
	batch, want := k.plan(cost, t, nodes)
	s.begin(k, batch, want, t)
	k.count(cost)
	return k.ask(cost, want)
}

// spent takes from the lease, and begins a refill when it gets low.
func (s *leaseShard) spent(k *lease, cost, t int64, nodes int) (out spending) {
	out.state, out.cost, out.until, out.born = leaseSpent, cost, k.take(cost), k.born
	if k.low(t) {
		if batch, want := k.plan(cost, t, nodes); want > cost {
			s.begin(k, batch, want, t)
			out.refill, out.want, out.ahead, out.flight = true, want, k.ahead(cost, want), k.flight
		}
	}
	k.count(cost)
	out.left, out.more = k.have()+k.left, k.moreIn(t)
	return out
}

// look tells what spend would, and changes nothing: leaseSpent is for what would be
// counted, leaseAsk for what is not known here.
func (l *leases) look(id id, rule store.Rule, cost int64, now time.Time) spending {
	s, t := l.shard(id), l.ticks(now)
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.find(id)
	if k == nil || k.rule != rule {
		return spending{cost: cost}
	}
	k.expire(t)
	switch {
	case k.have() >= cost:
		return spending{state: leaseSpent, cost: cost, left: k.have() + k.left, more: k.moreIn(t)}
	case k.refuses(cost, t):
		return k.refusal(cost, t)
	}
	return spending{cost: cost}
}

// fill takes the store's answer to what s.into has asked at the time asked, before the
// call was sent. It returns what came of the request, from leaseAsk: leaseSpent,
// leaseExceeded, or leaseAsk when nothing was counted because of another take.
func (l *leases) fill(id id, s spending, t *store.Take, asked, now time.Time) spending {
	shard, from, at := l.shard(id), l.ticks(asked), l.ticks(now)
	out := s.answered(t)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	k := shard.find(id)
	if k == nil || k.born != s.born || k.rule != t.Rule {
		return out
	}
	k.expire(at)
	k.learn(t, from, at)
	if s.flight != 0 {
		if s.flight == k.flight { // nobody else has begun to ask since
			k.land()
		}
		k.lost = false
		out.until = from + k.lasts(&s, t)
		if more := t.Granted - s.used(); more > 0 && out.until > at {
			k.put(more, out.until)
		}
	}
	out.left = k.have() + k.left
	if out.state == leaseExceeded {
		out.left = min(out.left, s.cost-1)
	}
	return out
}

// used is how much of what the store grants is the request's own.
func (s *spending) used() int64 {
	if s.refill {
		return 0
	}
	return s.cost
}

// answered is what the store's answer says to the request.
func (s *spending) answered(t *store.Take) spending {
	out := *s
	out.left, out.more, out.wait = t.Left, t.More, t.Wait
	switch {
	case s.refill:
	case !t.Fits:
		out.state, out.left = leaseExceeded, min(t.Left, s.cost-1)
	case t.Granted >= s.cost:
		out.state = leaseSpent
	}
	return out
}

// failed tells that the store could not be asked: whoever waits is let go.
func (l *leases) failed(id id, s spending) {
	shard := l.shard(id)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	if k := shard.find(id); k != nil && s.flight != 0 && s.flight == k.flight {
		k.land()
		k.lost, k.waiting = true, 0
	}
}

// giveBack returns what spend or fill has counted for a request that another limit has
// refused. It is used by others until it ends.
func (l *leases) giveBack(id id, s spending, now time.Time) {
	shard, t := l.shard(id), l.ticks(now)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	if k := shard.find(id); k != nil && k.born == s.born && s.state == leaseSpent && s.until > t {
		k.expire(t)
		k.putBack(s.cost, s.until)
	}
}

// forget lets go of a key: the store has forgotten it. What is being asked is not used.
func (l *leases) forget(id id) {
	s := l.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if i, ok := s.index[id]; ok {
		s.remove(i)
	}
}

func (l *leases) shard(id id) *leaseShard { return &l.shards[id.a%leaseShards] }

func (l *leases) ticks(t time.Time) int64 { return int64(t.Sub(l.start)) }

// leaseShard is a part of the keys. They lie in one piece of memory, in no order.
type leaseShard struct {
	mu     sync.Mutex
	index  map[id]int32
	keys   []lease
	max    int
	hand   int // where to look next for a key to replace
	serial uint64
	_      [64]byte // the next shard's lock is in another cache line
}

func (s *leaseShard) find(id id) *lease {
	if i, ok := s.index[id]; ok {
		return &s.keys[i]
	}
	return nil
}

func (s *leaseShard) next() uint64 {
	s.serial++
	return s.serial
}

func (s *leaseShard) add(id id, rule store.Rule, t int64) *lease {
	if len(s.keys) >= s.max {
		s.remove(s.useless(t))
	}
	s.index[id] = int32(len(s.keys))
	s.keys = append(s.keys, lease{id: id, born: s.next()})
	k := &s.keys[len(s.keys)-1]
	k.adopt(rule, t)
	return k
}

// useless finds a key that has ended, or of some the one that ends first. It goes on
// where it has stopped the last time.
func (s *leaseShard) useless(t int64) int32 {
	const some = 32
	first, ends := 0, int64(0)
	for n := range min(some, len(s.keys)) {
		s.hand++
		if s.hand >= len(s.keys) {
			s.hand = 0
		}
		if e := s.keys[s.hand].ends(t); n == 0 || e < ends {
			first, ends = s.hand, e
		}
		if ends <= t {
			break
		}
	}
	return int32(first)
}

// remove lets go of the i-th key, and of who waits for it.
func (s *leaseShard) remove(i int32) {
	s.keys[i].land()
	delete(s.index, s.keys[i].id)
	last := int32(len(s.keys) - 1)
	if i != last {
		s.keys[i] = s.keys[last]
		s.index[s.keys[i].id] = i
	}
	s.keys[last] = lease{}
	s.keys = s.keys[:last]
}

// begin makes the caller the one who asks.
func (s *leaseShard) begin(k *lease, batch, want, t int64) {
	k.batch, k.lot = batch, want
	k.asked, k.waiting = t, 0
	k.observe(t)
	k.flight, k.flying = s.next(), true
}
