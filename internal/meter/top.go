package meter

import (
	"cmp"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"
)

const (
	// maxShown is how many keys are kept for each limit: as many that are near to
	// it, and as many that it has refused.
	maxShown = 128
	// maxNames is how many limits are watched. More than that are not shown.
	maxNames = 1000
	// maxKeyShown is how many bytes of a key are shown.
	maxKeyShown = 256
	// fadesAfter is how long a key is shown that is not near to its limit any more, or
	// not refused any more.
	fadesAfter = 5 * time.Minute
	// stale is how long a key is still shown as near when more has become available: how much
	// is not known here.
	stale = 2 * time.Second
	// countShards is into how many parts the counters of a limit are cut, by key.
	countShards = 8
)

// LimitState is how one limit is used, on this node.
type LimitState struct {
	Name string
	// Allowed and Refused count claims since the start. Observed are those that would
	// have been refused, had the limit been enforced; WhileLost those that were
	// decided while the store was lost, and are counted in one of the others too.
	Allowed, Refused, Observed, WhileLost int64
	// Nearest are the keys nearest to the limit, nearest first. Refusals are those
	// that it has refused, most often first.
	Nearest, Refusals []KeyState
}

// KeyState is how one caller uses a limit, as far as this node has seen.
type KeyState struct {
	// Key is who is counted. Of a key that is very long only the beginning is here.
	Key string
	// Used, Limit and Left are from when it was seen last.
	Used, Limit, Left int64
	// Refused is how often it was refused, at least.
	Refused int64
	// Until is when more becomes available.
	Until time.Time
	// LastSeen is when it was refused last, or for Nearest, when a claim of it found half
	// of the limit used.
	LastSeen time.Time
}

// outcome is what a claim counts as.
type outcome uint8

const (
	asAllowed outcome = iota
	asRefused
	asObserved      // would have been refused
	asWhileLost     // beside one of the others
	outcomes    int = iota
)

// top watches who is near to a limit and who is refused. What it keeps is bounded,
// whoever comes.
type top struct {
	limits atomic.Pointer[map[string]*watched] // replaced under the lock
	mu     sync.Mutex
}

// watched is one limit.
type watched struct {
	by       *top
	dropped  atomic.Bool
	counts   [countShards]tally
	mu       sync.Mutex
	nearest  board
	refusals board
}

// Watch remembers where the claims of a limit are counted, so that nobody has to look for its
// name. The zero Watch is ready. It serves one Meter best, and any.
type Watch struct{ at atomic.Pointer[watched] }

// tally is one cache line.
type tally struct {
	by [outcomes]atomic.Int64
	_  [64 - 8*outcomes]byte // to the end
}

func newTop() *top {
	t := new(top)
	t.limits.Store(&map[string]*watched{})
	return t
}

// keep watches the limits of these names from now on, and drops others with their counters.
// Another one that is seen all the same is watched again.
func (t *top) keep(names []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	old, limits := *t.limits.Load(), make(map[string]*watched, len(names))
	for _, name := range names {
		if len(limits) == maxNames {
			break
		}
		if w := old[name]; w != nil {
			limits[name] = w
		} else {
			limits[strings.Clone(name)] = t.newWatched()
		}
	}
	t.limits.Store(&limits)
	for name, w := range old {
		if limits[name] != w {
			w.dropped.Store(true)
		}
	}
}

// limit returns what is known of a limit, or nil when there are too many.
func (t *top) limit(name string) *watched {
	if w := (*t.limits.Load())[name]; w != nil {
		return w
	}
	return t.add(name)
}

func (t *top) add(name string) *watched {
	t.mu.Lock()
	defer t.mu.Unlock()
	old := *t.limits.Load()
	if w := old[name]; w != nil || len(old) >= maxNames {
		return w
	}
	limits, w := maps.Clone(old), t.newWatched()
	limits[strings.Clone(name)] = w
	t.limits.Store(&limits)
	return w
}

func (t *top) newWatched() *watched {
	return &watched{by: t, nearest: newBoard(), refusals: newBoard()}
}

// of returns what is known of a claim's limit, or nil when there are too many.
func (t *top) of(cl *Claim) *watched {
	if cl.Watch == nil {
		return t.limit(cl.Name)
	}
	w := cl.Watch.at.Load()
	if w == nil || w.by != t || w.dropped.Load() {
		w = t.limit(cl.Name)
		cl.Watch.at.Store(w)
	}
	return w
}

// count counts a claim.
func (t *top) count(cl *Claim, o outcome) {
	if w := t.of(cl); w != nil {
		w.counts[cl.spread()].by[o].Add(1)
	}
}

// seen tells what became of a claim, and how much is left. Until is when that grows. The
// strings are views. It costs nearly nothing when there is nothing to show: the claim was not
// refused, and less than half of the limit is used.
func (t *top) seen(name, key string, id id, limit, left int64, refused bool, until, now time.Time) {
	if refused || left <= limit-left {
		t.note(name, key, sighting{id, limit, left, until, now}, refused)
	}
}

// sighting is what was seen of a key.
type sighting struct {
	id          id
	limit, left int64
	until, at   time.Time
}

func (t *top) note(name, key string, s sighting, refused bool) {
	w := t.limit(name)
	if w == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.approach(key, &s, refused)
	if refused {
		w.refuse(key, &s)
	} else if p := w.refusals.find(s.id); p != nil {
		p.limit, p.left, p.until = s.limit, s.left, s.until
	}
}

// approach notes how near a key is.
func (w *watched) approach(key string, s *sighting, refused bool) {
	b, rank := &w.nearest, s.closeness()
	p := b.find(s.id)
	if p == nil {
		if p = b.admit(key, s, rank); p == nil {
			return
		}
	}
	b.update(p, s, rank)
	if refused {
		p.refused++
	}
}

// refuse counts a refusal. When there is no room, a key gets its place at random, the
// less likely the more often those that have one were refused: so many keys that are refused
// once don't push out one that is refused again and again, and such a one gets in.
func (w *watched) refuse(key string, s *sighting) {
	b := &w.refusals
	p := b.find(s.id)
	if p == nil {
		rank := int64(0) // above those that have faded only
		if rand.Int64N(b.least+1) == 0 {
			rank = math.MaxInt64
		}
		if p = b.admit(key, s, rank); p == nil {
			return
		}
	}
	b.update(p, s, p.rank+1)
	p.refused++
}

// closeness is how much of the limit is used, in millionths.
func (s *sighting) closeness() int64 {
	used := max(0, s.limit-s.left)
	return used * 1e6 / max(1, s.limit)
}

// list tells how all limits are used, in the order of their names.
func (t *top) list(now time.Time) []LimitState {
	limits := *t.limits.Load()
	all := make([]LimitState, 0, len(limits))
	for _, name := range slices.Sorted(maps.Keys(limits)) {
		all = append(all, limits[name].state(name, now))
	}
	return all
}

func (w *watched) state(name string, now time.Time) LimitState {
	s := LimitState{Name: name}
	for i := range w.counts {
		by := &w.counts[i].by
		s.Allowed += by[asAllowed].Load()
		s.Refused += by[asRefused].Load()
		s.Observed += by[asObserved].Load()
		s.WhileLost += by[asWhileLost].Load()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	s.Nearest, s.Refusals = w.nearest.list(now), w.refusals.list(now)
	for i := range s.Nearest {
		k := &s.Nearest[i]
		if p := w.refusals.find(w.nearest.places[i].id); p != nil {
			k.Refused = max(k.Refused, p.refused)
		}
	}
	s.Nearest = slices.DeleteFunc(s.Nearest, func(k KeyState) bool { return now.Sub(k.Until) > stale })
	slices.SortFunc(s.Nearest, nearer)
	slices.SortFunc(s.Refusals, worse)
	return s
}

func nearer(a, b KeyState) int {
	x := sighting{limit: a.Limit, left: a.Left}
	y := sighting{limit: b.Limit, left: b.Left}
	return cmp.Or(cmp.Compare(y.closeness(), x.closeness()), worse(a, b))
}

func worse(a, b KeyState) int {
	return cmp.Or(cmp.Compare(b.Refused, a.Refused), cmp.Compare(a.Key, b.Key))
}

// forget drops what is shown of a key.
func (t *top) forget(name string, id id) {
	w := (*t.limits.Load())[name]
	if w == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.nearest.remove(id)
	w.refusals.remove(id)
}

// board is a bounded list of the keys that rank highest. Whoever uses it holds a lock.
type board struct {
	places []place
	at     chains[int] // where in places
	// No place ranks lower than least, which is 0 or more, and none has faded before fades.
	least int64
	fades time.Time
}

// place is one key of a board.
type place struct {
	sighting
	key     []byte
	rank    int64
	refused int64 // since it has the place
}

func newBoard() board { return board{at: newChains[int](maxShown)} }

func (b *board) find(id id) *place {
	if i := b.at.find(id); i != nil {
		return &b.places[*i]
	}
	return nil
}

// admit gives a place to a key that has none, or returns nil when all others rank as high
// and have not faded. The rank of the place is that of who loses it, or 0.
func (b *board) admit(key string, s *sighting, rank int64) *place {
	i, inherited := len(b.places), int64(0)
	switch {
	case i < maxShown:
		b.places = slices.Grow(b.places, 1)[:i+1] // with the buffer of one that was removed
	case rank <= b.least && s.at.Before(b.fades):
		return nil
	default:
		if i, inherited = b.weakest(s.at); inherited >= rank {
			return nil
		}
		b.at.remove(b.places[i].id)
	}
	p := &b.places[i]
	*b.at.add(s.id) = i
	*p = place{sighting: *s, key: appendShown(p.key[:0], key), rank: max(inherited, 0)}
	return p
}

// update notes what was seen of a key that has a place, and its new rank.
func (b *board) update(p *place, s *sighting, rank int64) {
	p.sighting, p.rank = *s, rank
	b.least = min(b.least, rank)
	if f := p.fades(); f.Before(b.fades) {
		b.fades = f
	}
}

// weakest returns the place that ranks lowest, and its rank, which is -1 when it has
// faded.
func (b *board) weakest(now time.Time) (weakest int, rank int64) {
	rank, b.fades = math.MaxInt64, b.places[0].fades()
	for i := range b.places {
		p, r := &b.places[i], b.places[i].rank
		f := p.fades()
		if f.Before(b.fades) {
			b.fades = f
		}
		if !now.Before(f) {
			r = -1
		}
		if r < rank {
			weakest, rank = i, r
		}
	}
	b.least = max(0, rank)
	return weakest, rank
}

// fades is from when on nobody is interested any more.
func (s *sighting) fades() time.Time {
	if f := s.at.Add(fadesAfter); f.After(s.until) {
		return f
	}
	return s.until
}

func (b *board) remove(id id) {
	at := b.at.find(id)
	if at == nil {
		return
	}
	i, last := *at, len(b.places)-1
	b.at.remove(id)
	if i != last {
		b.places[i], b.places[last] = b.places[last], b.places[i] // keeps both buffers
		*b.at.find(b.places[i].id) = i
	}
	b.places = b.places[:last]
}

// list drops what has faded and returns the others, as they are in places.
func (b *board) list(now time.Time) []KeyState {
	for i := len(b.places) - 1; i >= 0; i-- {
		if p := &b.places[i]; !now.Before(p.fades()) {
			b.remove(p.id)
		}
	}
	keys := make([]KeyState, len(b.places))
	for i := range b.places {
		keys[i] = b.places[i].state()
	}
	return keys
}

func (p *place) state() KeyState {
	return KeyState{
		Key: string(p.key), Used: max(0, p.limit-p.left), Limit: p.limit, Left: p.left,
		Refused: p.refused, Until: p.until, LastSeen: p.at,
	}
}

// appendShown appends what is shown of a key.
func appendShown(b []byte, key string) []byte {
	if len(key) <= maxKeyShown {
		return append(b, key...)
	}
	n := maxKeyShown
	for n > maxKeyShown-utf8.UTFMax && !utf8.RuneStart(key[n]) {
		n--
	}
	return append(append(b, key[:n]...), "…"...)
}
