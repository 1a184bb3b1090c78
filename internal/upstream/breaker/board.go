package breaker

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"yett/internal/store"
)

const (
	// retry is how long after the store has refused something it is given again.
	retry = time.Second
	// batch is how many notices are given to the store at once.
	batch = 500
	// maxTopics is of how many services it is noted what others say, those included that
	// this node does not have.
	maxTopics = 10_000
	// quiet is how long the log hears nothing of what was dropped after it was told.
	quiet = time.Minute
)

// Board tells the breakers of all nodes of each other's transitions, over a store. One
// that trips, closes, is held or reset is so on all nodes. Half-open is each node's own
// affair. While the store is lost every node goes on by itself; what it could not tell it
// tells afterwards, if that still holds.
//
// Of two transitions the later one counts, by the nodes' clocks; a node makes its own
// later than all that it knows. A Breaker locks its mutex first, and then the Board's.
type Board struct {
	node string
	log  *slog.Logger
	wake chan struct{} // there may be something to tell

	mu sync.Mutex // guards what follows
	// all tells that every Breaker that joins is shared.
	all    bool
	topics map[string]*topic
	// passes is how often the store has told all that it has, and begun anew. What was
	// told in an earlier one than the last is what it lacks.
	passes uint64
	// inStep tells that all has been told. Before that a notice may be followed by a later
	// one that is in the store for long.
	inStep     bool
	complained time.Time

	sharing sync.Mutex // guards what follows
	stop    context.CancelFunc
	ended   bool
	running sync.WaitGroup
}

// link is how a Breaker knows its Board.
type link struct {
	board *Board
	topic *topic
	name  string
}

// NewBoard returns a Board that knows nobody else before Share. node is what this node
// is called, which no other one may be.
func NewBoard(node string, log *slog.Logger) *Board {
	node = shortened(node)
	if node == "" {
		node = "?"
	}
	return &Board{node: node, log: log, wake: make(chan struct{}, 1), topics: make(map[string]*topic)}
}

// ShareAll makes every Breaker that joins from now on a shared one: the processes that share the
// store are one node.
func (b *Board) ShareAll() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all = true
}

// Join makes a Breaker the one of a service. With shared it follows what the Board knows
// of the service already, and from now on what other nodes tell, and tells them. Without
// it it is on its own, and the Board costs it nothing. One that had joined for the same
// service leaves. A hold that it brings along is told too.
func (b *Board) Join(service string, br *Breaker, shared bool) {
	b.mu.Lock()
	shared = shared || b.all
	b.mu.Unlock()
	if shared && (service == "" || !tellable(service)) {
		b.log.Warn("the breaker of a service can't be shared: its name is too long, or has characters that can't be printed", "service", service)
		shared = false
	}
	if !shared {
		b.mu.Lock()
		var old *Breaker
		if t := b.topics[service]; t != nil {
			old = t.breaker
		}
		b.mu.Unlock()
		b.Leave(service, old)
		return
	}
	if old := b.join(service, br, time.Now()); old != nil && old != br {
		old.unlink()
	}
	b.rouse()
}

// join returns who was there before.
func (b *Board) join(service string, br *Breaker, now time.Time) (old *Breaker) {
	br.mu.Lock()
	defer br.unlock()
	b.mu.Lock()
	t := b.topics[service]
	if t == nil {
		t = &topic{}
		b.topics[service] = t
	}
	old = t.breaker
	if old != br {
		t.breaker, t.done = br, nil
	}
	known := br.link != nil && br.link.topic == t
	br.link = &link{b, t, service}
	b.mu.Unlock()
	br.settle(now)
	if br.held && !known {
		br.announceHold(br.cause, now)
		return old
	}
	b.mu.Lock()
	next := b.undone(t, now)
	b.mu.Unlock()
	br.follow(next, now)
	return old
}

// Leave makes a Breaker one that is not shared, if it is the one of a service. What is
// known of the service is kept for who joins next.
func (b *Board) Leave(service string, br *Breaker) {
	if br == nil {
		return
	}
	br.mu.Lock()
	defer br.unlock()
	b.mu.Lock()
	defer b.mu.Unlock()
	t := b.topics[service]
	if t == nil || t.breaker != br {
		return
	}
	t.breaker, br.link = nil, nil
	if t.auto == nil && t.manual == nil {
		delete(b.topics, service)
	}
}

// unlink makes a Breaker one that is not shared, after another one took its place.
func (br *Breaker) unlink() {
	br.mu.Lock()
	defer br.unlock()
	if l := br.link; l != nil {
		l.board.mu.Lock()
		if l.topic.breaker != br {
			br.link = nil
		}
		l.board.mu.Unlock()
	}
}

// announce tells the other nodes of a transition, where the Breaker is shared. It takes
// no time: somebody else gives it to the store. The caller holds the Breaker's mutex.
func (br *Breaker) announce(n notice, now time.Time) {
	l := br.link
	if l == nil {
		return
	}
	b := l.board
	b.mu.Lock()
	defer b.mu.Unlock()
	t := l.topic
	if t.breaker != br {
		return
	}
	n.service, n.node, n.cause = l.name, b.node, shortened(n.cause)
	n.at = max(now.UnixMilli(), t.lastAt()+1)
	n.until = min(n.until, maxTime)
	t.done = t.put(n, max(n.ownEnd(now.UnixMilli()), t.lastEnd()), 0)
	b.rouse()
}

// rouse wakes the one who gives the store what it lacks.
func (b *Board) rouse() {
	select {
	case b.wake <- struct{}{}:
	default: // it has been woken already
	}
}

// Added implements store.Follower.
func (b *Board) Added(e store.Entry) {
	now := time.Now()
	n, ok := parse(e.Member)
	if !ok {
		b.complain(now, "what stands in the store of breakers makes no sense and is left out", "entry", shortened(e.Member))
		return
	}
	if ahead := n.at - now.UnixMilli(); ahead > store.Skew.Milliseconds() {
		b.complain(now, "a node tells of breakers in the future and is not heard; set the clocks of all nodes", "node", n.node, "ahead", text(within(ahead)))
		return
	}
	end := min(e.Until.UnixMilli(), now.Add(farthest+store.Skew).UnixMilli())
	if br := b.hear(n, end, now); br != nil {
		br.catchUp(now)
	}
}

// hear notes what was told, and returns the Breaker that may have to follow.
func (b *Board) hear(n notice, end int64, now time.Time) *Breaker {
	b.mu.Lock()
	defer b.mu.Unlock()
	t := b.topics[n.service]
	if t == nil {
		if end <= now.UnixMilli() || !b.hasRoom(now.UnixMilli()) {
			return nil
		}
		t = &topic{}
		b.topics[n.service] = t
	}
	if t.put(n, end, b.passes+1) == nil {
		return nil
	}
	return t.breaker
}

// hasRoom tells whether one more service may be noted. For that it lets go of those that
// nobody has, and of which all is over.
func (b *Board) hasRoom(now int64) bool {
	if len(b.topics) < maxTopics {
		return true
	}
	for name, t := range b.topics {
		if t.breaker == nil && t.lastEnd() < now {
			delete(b.topics, name)
		}
	}
	return len(b.topics) < maxTopics
}

// Synced implements store.Follower.
func (b *Board) Synced() {
	b.mu.Lock()
	b.passes++
	first := !b.inStep
	b.inStep = true
	var all []*Breaker
	if first {
		for _, t := range b.topics {
			if t.breaker != nil {
				all = append(all, t.breaker)
			}
		}
	}
	b.mu.Unlock()
	for _, br := range all {
		br.catchUp(time.Now())
	}
	b.rouse()
}

// Lost implements store.Follower. What was told up to here is not of the next pass: the
// store may come back without it.
func (b *Board) Lost(error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.passes++
	b.inStep = false
}

// undone returns the notice that the topic's Breaker has to follow, if there is one. It
// is done then. The caller holds both mutexes.
func (b *Board) undone(t *topic, now time.Time) *notice {
	if b.passes == 0 {
		return nil
	}
	latest := t.latest(now.UnixMilli())
	if latest == nil || latest == t.done {
		return nil
	}
	t.done = latest
	n := latest.notice
	return &n
}

// catchUp follows what is known of the Breaker's service.
func (br *Breaker) catchUp(now time.Time) {
	br.mu.Lock()
	defer br.unlock()
	l := br.link
	if l == nil {
		return
	}
	l.board.mu.Lock()
	var next *notice
	if l.board.inStep && l.topic.breaker == br {
		next = l.board.undone(l.topic, now)
	}
	l.board.mu.Unlock()
	br.follow(next, now)
}

// follow does what another node has done, as far as that still holds.
func (br *Breaker) follow(n *notice, now time.Time) {
	if n == nil {
		return
	}
	br.settle(now)
	cause := "told by node " + n.node + ": " + n.cause
	holds := n.holds(now.UnixMilli())
	if br.held && !n.manual() { // somebody has ended the hold before that
		br.close("told by node "+n.node+": the hold is over", now)
	}
	switch {
	case n.hold() && holds:
		br.followHold(n, cause, now)
	case n.manual(): // reset, or a hold that is over
		if br.state != Closed || br.held || br.failures > 0 || br.window.sum.counted > 0 {
			br.close(cause, now)
		}
	case n.kind == tripped && holds:
		br.followTrip(n, cause, now)
	case n.kind == closed && br.state != Closed:
		br.close(cause, now)
	}
}

func (br *Breaker) followHold(n *notice, cause string, now time.Time) {
	to, until := Closed, time.Time{}
	if n.kind == heldOpen {
		to = Open
	}
	if n.until > 0 {
		until = time.UnixMilli(n.until)
	}
	br.hold(to, until, cause, now)
}

// followTrip opens, for about as long as the other node. One that is open already stays
// that, for longer only if the other's pause ends later by more than chance.
func (br *Breaker) followTrip(n *notice, cause string, now time.Time) {
	s := &br.settings
	left := min(within(n.until-now.UnixMilli()), s.OpenMost)
	pause := min(max(unlengthened(within(n.until-n.at)), s.OpenFor), s.OpenMost)
	if br.state != Open {
		br.open(cause, pause, unlengthened(left), now) // which has its part of chance already
		return
	}
	if ends := now.Add(left); ends.Sub(br.until) > br.pause/5 {
		br.pause = pause
		br.setNext(ends)
	}
}

// unlengthened is what becomes the pause again when it is lengthened by all that chance
// may add.
func unlengthened(pause time.Duration) time.Duration { return pause / 6 * 5 }

// Share follows a store, and tells it what happens, until Close. A Board shares one
// store: what is called after the first Share, or after Close, does nothing.
func (b *Board) Share(s store.Store) {
	b.sharing.Lock()
	defer b.sharing.Unlock()
	if b.stop != nil || b.ended {
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	b.stop = stop
	b.running.Go(func() { b.tend(ctx, s) })
	b.running.Go(func() { s.Follow(ctx, Set, b) })
}

// Close ends what Share began, and waits for it. The breakers go on, each by itself.
func (b *Board) Close() {
	b.sharing.Lock()
	b.ended = true
	if b.stop != nil {
		b.stop()
	}
	b.sharing.Unlock()
	b.running.Wait()
}

// tend gives the store what it lacks.
func (b *Board) tend(ctx context.Context, s store.Store) {
	for {
		var again <-chan time.Time
		if !b.giveOut(ctx, s) {
			again = time.After(retry)
		}
		select {
		case <-ctx.Done():
			return
		case <-b.wake:
		case <-again:
		}
	}
}

// giveOut returns false when the store has refused something.
func (b *Board) giveOut(ctx context.Context, s store.Store) bool {
	for {
		entries, mark := b.lacking(time.Now().UnixMilli())
		if len(entries) == 0 {
			return true
		}
		if err := s.Add(ctx, Set, entries...); err != nil {
			if ctx.Err() == nil {
				b.complain(time.Now(), "the other nodes can't be told of breakers; that is tried again", "error", err)
			}
			return false
		}
		mark()
	}
}

// lacking returns what the store lacks, as far as is known, and what to call when it has
// it. While the store is lost that is nothing.
func (b *Board) lacking(now int64) (entries []store.Entry, mark func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.inStep {
		return nil, nil
	}
	var given []*told
	pass := b.passes
	for _, t := range b.topics {
		for _, n := range t.standing(now) {
			if n != nil && len(given) < batch && b.lacks(t, n, now) {
				given = append(given, n)
				entries = append(entries, n.entry())
			}
		}
	}
	return entries, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, n := range given {
			n.pass = max(n.pass, pass)
		}
	}
}

// lacks tells whether the store has to be given a notice. A hold is given again before it
// leaves the set.
func (b *Board) lacks(t *topic, n *told, now int64) bool {
	if n.end <= now || !n.holds(now) || t.breaker == nil && n.pass > 0 {
		return false
	}
	if end := n.ownEnd(now); n.hold() && n.end < end && n.end < now+refresh.Milliseconds() {
		n.end, n.pass = end, 0
		return true
	}
	return n.pass < b.passes
}

// complain tells the log of something that others do wrong, now and then.
func (b *Board) complain(now time.Time, what string, args ...any) {
	b.mu.Lock()
	soon := now.Sub(b.complained) < quiet
	if !soon {
		b.complained = now
	}
	b.mu.Unlock()
	if !soon {
		b.log.Warn(what, args...)
	}
}
