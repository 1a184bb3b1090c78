package upstream

import (
	"context"
	"sync"
	"time"

	"yett/internal/config"
	"yett/internal/exchange"
	"yett/internal/upstream/balance"
	"yett/internal/upstream/latency"
	"yett/internal/upstream/shed"
)

const (
	// leastMeasured is how many answers a percentile needs before it means something.
	leastMeasured = 50
	// percentileEvery is how old a percentile may be.
	percentileEvery = time.Second
)

// hedging is how a service sends late requests to a second target.
type hedging struct {
	after   time.Duration
	typical *latency.Cached // the percentile; nil for none
	resting sync.Pool       // of *hedger
	copies  exchange.Pool
}

// newHedging returns nil where nothing is hedged.
func newHedging(c *config.Hedge, h *latency.Histogram) *hedging {
	if c.After == 0 && c.Percentile == 0 {
		return nil
	}
	g := &hedging{after: time.Duration(c.After)}
	if c.Percentile > 0 {
		g.typical = latency.NewCached(h, c.Percentile/100, percentileEvery)
	}
	return g
}

// delay returns how late an answer has to be, 0 for no hedge.
func (g *hedging) delay(now time.Time) time.Duration {
	if g.typical == nil {
		return g.after
	}
	d, n := g.typical.Get(now)
	if n < leastMeasured {
		return g.after
	}
	return max(g.after, d)
}

// copy makes an exchange of its own of what a service is to see of x.
func (g *hedging) copy(x *exchange.Exchange) *exchange.Exchange {
	y := g.copies.Get()
	x.CopyRequest(y)
	y.Out.Host = y.Keep([]byte(x.Out.Host))
	y.Out.ResponseTimeout, y.Out.IdleTimeout = x.Out.ResponseTimeout, x.Out.IdleTimeout
	return y
}

// hedgeable tells whether it does no harm when two targets see the request.
func hedgeable(x *exchange.Exchange) bool {
	return (x.Method == "GET" || x.Method == "HEAD") && x.RequestBody.Empty() && x.Upgrade == "" && !x.Copy
}

// hedger watches over the first try of a request, and sends a copy of it to a second
// target when the first is late. The first good head wins, and the other try ends.
//
// The first try is the exchange's own goroutine, which calls sends, context and end. The
// second one is the timer's: it begins with a copy of the exchange, taken under mu, and
// never looks at the exchange itself afterwards. end takes mu before the exchange goes on,
// so nothing is copied of one that changes.
type hedger struct {
	s     *Service
	timer *time.Timer
	x     *exchange.Exchange
	first *target
	began time.Duration // as in visit

	mu    sync.Mutex
	state hedgeState
	ended bool               // the first try has
	over  bool               // and its outcome counts, so that the second has to clean up by itself
	conn  *conn              // of the first try
	ctx   context.Context    // of the first try, until it has a connection
	stop  context.CancelFunc // of ctx

	// What follows is there once the second try has begun, and is its own until it has ended.
	y       *exchange.Exchange
	k       visit
	c       *conn         // with the second answer's head
	done    chan struct{} // closed when the second try has ended
	unwatch func() bool   // x is not followed any more
}

// hedgeState is how far the second try is.
type hedgeState uint8

const (
	notSent hedgeState = iota
	onItsWay
	won  // its answer counts
	lost // it has brought nothing
)

// hedge returns who watches over the first try that begins now, nil for nobody. The
// caller ends it.
func (s *Service) hedge(x *exchange.Exchange, k *visit) *hedger {
	g := s.hedging
	if g == nil || k.hedged || k.retries > 0 || k.ticket.Probe() || !hedgeable(x) || len(s.set.Load().list) < 2 {
		return nil
	}
	d := g.delay(k.now)
	if d <= 0 {
		return nil
	}
	if h, ok := g.resting.Get().(*hedger); ok {
		h.x, h.first, h.began = x, k.t, k.began
		h.timer.Reset(d)
		return h
	}
	h := &hedger{s: s, x: x, first: k.t, began: k.began}
	h.mu.Lock() // the timer may fire before it is in its place
	defer h.mu.Unlock()
	h.timer = time.AfterFunc(d, h.fire)
	return h
}

// context returns what ends when the exchange is given up, or the second try has won. On a
// nil hedger it is the exchange's.
func (h *hedger) context(x *exchange.Exchange) context.Context {
	if h == nil {
		return x.Context()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ctx == nil {
		h.ctx, h.stop = context.WithCancel(x.Context())
		if h.state == won {
			h.stop()
		}
	}
	return h.ctx
}

// sends names the connection that the first try is about to use.
func (h *hedger) sends(c *conn) {
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.conn = c
	if h.state == won {
		c.Cancel()
	}
}

// end takes what became of the first try, and returns what counts: that, or what the
// second one has brought. It is called once, and the hedger is gone then.
func (h *hedger) end(x *exchange.Exchange, k *visit, c *conn, out outcome) (*conn, outcome) {
	if h.timer.Stop() {
		h.rest()
		return c, out
	}
	status := statusOf(c, out)
	before := h.endFirst(h.s.good(out, status))
	defer h.unhook()
	if before == notSent {
		return c, out
	}
	k.hedged = true
	if h.over {
		x.Attempts++
		return c, out
	}
	<-h.done
	x.Attempts += h.y.Attempts
	x.Sent = x.Sent || h.y.Sent
	defer h.s.hedging.copies.Put(h.y)
	if h.state == lost {
		k.avoid(h.k.t)
		return c, out
	}
	h.overtake(x, k, out, status, before == won)
	if out.reason == nil {
		c.drop()
	}
	x.Response, h.y.Response = h.y.Response, x.Response
	return h.c, h.c.moveTo(x)
}

// rest puts a hedger away whose timer has not fired.
func (h *hedger) rest() {
	if h.stop != nil {
		h.stop()
		h.ctx, h.stop = nil, nil
	}
	h.x, h.first, h.conn = nil, nil, nil
	h.s.hedging.resting.Put(h)
}

// endFirst notes that the first try has ended, and returns how far the second was. A
// good answer ends that.
func (h *hedger) endFirst(good bool) hedgeState {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ended = true
	h.over = h.state == notSent || h.state == onItsWay && good
	if h.over && h.state == onItsWay {
		h.y.Abort(exchange.ClientGone) // nobody gets to see that: we are the client who goes
	}
	return h.state
}

// unhook lets go of the exchange.
func (h *hedger) unhook() {
	if h.stop != nil {
		h.stop()
	}
	if h.unwatch != nil {
		h.unwatch()
	}
}

// overtake makes the second target the one that was asked, and tells of the first.
// beaten says that it was given up without an answer, else it had failed before.
func (h *hedger) overtake(x *exchange.Exchange, k *visit, out outcome, status int, beaten bool) {
	end := x.Elapsed()
	now, took := x.Now.Add(end), end-k.sent
	o := h.s.overtaken(out, status, beaten)
	if !out.pending {
		h.s.balancer.Record(k.attempt, o, took, now)
	}
	if o == balance.OK || o == balance.Late {
		k.t.latency.Record(took, now)
	}
	k.avoid(k.t)
	k.t, k.attempt, k.lag = h.k.t, h.k.attempt, h.k.sent-k.sent
	x.Target = k.t.name
}

// overtaken says what the first try tells about its target when the second one was
// faster.
//
// One that was sent and had to be given up would have taken longer than that. Its time counts as if
// it had ended then, because else a target that is slow would be judged by its quick answers only.
// It is no success: a target that hangs must not look well between two failures. One that could not
// even connect says nothing as yet: see dialBeside. Neither does one that waited for a
// connection of ours. The second try, when it loses, says nothing either: it had less
// time than the first, and too short a time would make its target look quick.
func (s *Service) overtaken(out outcome, status int, beaten bool) balance.Outcome {
	if beaten && out.reason == exchange.UpstreamTimeout {
		return balance.Late
	}
	return toBalancer(s.judge(out.reason, status, false))
}

// good tells whether an outcome ends the race.
func (s *Service) good(out outcome, status int) bool {
	return out.reason == nil && status != 101 && !s.rules.failures.hasStatus(status)
}

// statusOf returns the status of the answer whose head has come, 0 for none.
func statusOf(c *conn, out outcome) int {
	if out.reason != nil {
		return 0
	}
	return c.head.Status
}

// fire is called by the timer, in a goroutine of its own: it is the second try.
func (h *hedger) fire() {
	defer h.contain()
	if !h.begin() {
		return
	}
	if l := h.s.limiter; l != nil {
		defer l.Release(0, shed.Ignored) // one of the two tries is over then
	}
	for fresh := false; ; {
		c, out := h.k.t.try(h.y, &h.k, fresh, nil)
		if fresh = h.k.replay(h.y, out); !fresh {
			h.came(c, out)
			return
		}
		h.k.sent = h.y.Elapsed()
	}
}

// begin copies the request for a second target, if there is one and the budget allows
// it. It returns false where nothing is to be sent.
func (h *hedger) begin() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ended || h.x.Aborted() != nil {
		return false
	}
	sent := h.x.Elapsed()
	now := h.x.Now.Add(sent)
	t := h.s.another(h.x, h.first, now)
	if t == nil || !h.s.room(now) {
		return false
	}
	h.s.stats.hedges.Add(1)
	h.y = h.s.hedging.copy(h.x)
	h.k = visit{s: h.s, t: t, began: h.began, sent: sent}
	h.unwatch = context.AfterFunc(h.x.Context(), h.giveUp)
	h.state, h.done = onItsWay, make(chan struct{}) // at the end: a fault before has sent nothing
	return true
}

// room tells whether one more try may be sent: there is a place among the requests in
// flight, for which it does not wait, and the budget has some left.
func (s *Service) room(now time.Time) bool {
	if s.limiter != nil && !s.limiter.Try() {
		return false
	}
	if s.budget.Take(now) {
		return true
	}
	if s.limiter != nil {
		s.limiter.Release(0, shed.Ignored)
	}
	return false
}

// another returns another target for a request, nil for none: there is no other, or a
// cookie says that the client's session is there.
func (s *Service) another(x *exchange.Exchange, than *target, now time.Time) *target {
	if s.sticky != nil && s.sticky.find(x) == than.node {
		return nil
	}
	tried := [1]*balance.Node{than.node}
	if t := s.choose(x, tried[:], now); t != than {
		return t
	}
	return nil
}

// giveUp ends the second try because the exchange was given up.
func (h *hedger) giveUp() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.state == onItsWay && !h.over {
		h.y.Abort(h.x.Aborted())
	}
}

// came takes what became of the second try.
func (h *hedger) came(c *conn, out outcome) {
	status := statusOf(c, out)
	if h.s.good(out, status) && h.wins(c) {
		return
	}
	if out.reason == nil {
		c.drop()
	}
	end := h.y.Elapsed()
	h.s.balancer.Record(h.k.attempt, toBalancer(h.s.judge(out.reason, status, false)), end-h.k.sent, h.y.Now.Add(end))
	if h.loses() {
		h.s.hedging.copies.Put(h.y)
	}
}

// wins hands the answer to the first try, which ends. It returns false when that one has
// a good answer itself.
func (h *hedger) wins(c *conn) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.over {
		return false
	}
	h.state, h.c = won, c
	if h.stop != nil {
		h.stop()
	}
	if h.conn != nil && !h.ended {
		h.conn.Cancel()
	}
	close(h.done)
	return true
}

// loses notes that the second try has brought nothing. It returns true when nobody
// waits for it any more, so that it has to clean up.
func (h *hedger) loses() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.state = lost
	close(h.done)
	return h.over
}

// contain lets a fault in the second try cost that and nothing else: it has brought nothing.
func (h *hedger) contain() {
	fault := recover()
	if fault == nil {
		return
	}
	h.s.report("a hedge", fault)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.state != onItsWay {
		return
	}
	y := h.s.hedging.copies.Get() // the other one is left to the garbage collector, as somebody may still hold it
	y.Attempts, y.Sent = h.y.Attempts, h.y.Sent
	h.y, h.state = y, lost
	close(h.done)
}
