package upstream

import (
	"time"

	"yett/internal/exchange"
	"yett/internal/upstream/balance"
	"yett/internal/upstream/breaker"
	"yett/internal/upstream/retry"
	"yett/internal/upstream/shed"
)

// mostReplays bounds how often a request meets connections that have died:
// even a fresh one may be handed out that was used before. One that the service
// may have seen is replayed once only: it could be what the service dies of.
const mostReplays = 2

// visit is one request as its service sees it: what it holds until its outcome
// is known, and how far it has come. It is a value: Forward has it, or the
// connection whose answer still streams.
type visit struct {
	s       *Service
	ticket  breaker.Ticket
	counted bool      // by the breaker
	now     time.Time // when it was admitted

	// These are since x.Now: when the first try began, when the present one did,
	// and when it ended.
	began, sent, done time.Duration

	t       *target // of the present try
	attempt balance.Attempt
	excused bool // a failure need not be the service's
	muted   bool // how long the answer took says nothing: it came before the request's end
	held    bool // a place among the requests in flight
	failed  bool // a try has, and another one was to follow
	tried   [maxTried]*balance.Node
	ntried  int
	retries int
	replays int

	hedged bool          // a second target was asked, once for each request
	lag    time.Duration // from sent to when t was asked, where that was the second one
}

// maxTried is how many targets that failed a request are remembered: the first try,
// its hedge, and retries.most at its largest.
const maxTried = 10

// Forward sends the exchange to the service and fills in the head of the
// answer and the source of its body. It returns nil, or why there is no
// answer. What became of the request is told to everybody who counts once it is
// known, which is when the answer's body has ended: see settle.
func (s *Service) Forward(x *exchange.Exchange) *exchange.Reason {
	x.Service = s.name
	if !s.ready(x) { // before the body is read, which may take its time
		return s.instead(x, s.refuseOpen(x))
	}
	if err := x.RequestBody.Gather(); err != nil {
		return exchange.BodyReason(err)
	}
	k := visit{s: s}
	defer k.leave(0, shed.Ignored) // should there be a fault
	if r := s.admit(x, &k); r != nil {
		return s.instead(x, r)
	}
	c, out := s.tries(x, &k)
	x.UpstreamTime = k.done - k.began
	if s.sticky != nil && out.reason == nil {
		s.sticky.set(x, k.t)
	}
	if out.reason == nil && x.ResponseBody.Streams() {
		c.visit, k.held = k, false // settled by its Close
		if k.counted {
			s.breaker.Loosen(k.ticket, x.Now.Add(k.done))
		}
		return nil
	}
	k.settle(x, out.reason, k.done, false)
	if out.reason != nil {
		x.Detail = out.detail
	}
	return out.reason
}

// admit lets the request in, past the bound of requests in flight and the breaker,
// or says why not.
func (s *Service) admit(x *exchange.Exchange, k *visit) *exchange.Reason {
	if r := k.enter(x); r != nil {
		return r
	}
	k.began = x.Elapsed()
	k.now = x.Now.Add(k.began)
	if s.breaker == nil {
		return nil
	}
	if x.RequestBody.Streams() {
		k.ticket, k.counted = s.breaker.AdmitLoose(k.now)
	} else {
		k.ticket, k.counted = s.breaker.Admit(k.now)
	}
	if k.counted {
		return nil
	}
	if s.observes {
		x.Refuse(exchange.BreakerOpen)
		x.Observe()
		return nil
	}
	k.leave(0, shed.Ignored)
	return s.refuseOpen(x)
}

// ready tells whether the breaker might let the request through. It looks at a
// clock only when the breaker is not closed.
func (s *Service) ready(x *exchange.Exchange) bool {
	return s.breaker == nil || s.observes || s.breaker.Ready(x.Now) || s.breaker.Ready(x.Now.Add(x.Elapsed()))
}

func (s *Service) refuseOpen(x *exchange.Exchange) *exchange.Reason {
	s.stats.refused.Add(1)
	x.RetryAfter = whole(s.breaker.Wait(x.Now.Add(x.Elapsed())))
	return exchange.BreakerOpen
}

func (s *Service) refuseBusy(x *exchange.Exchange, v shed.Verdict) *exchange.Reason {
	if v == shed.Left {
		if r := x.Aborted(); r != nil {
			return r
		}
		return exchange.ClientGone
	}
	s.stats.refused.Add(1)
	x.RetryAfter = s.limiter.RetryAfter()
	return exchange.ServiceOverloaded
}

// whole rounds up to whole seconds, at least one.
func whole(d time.Duration) int {
	return max(1, int((d+time.Second-1)/time.Second))
}

// tries asks one target after the other, for as long as the request may be
// repeated. The connection is the one that brought the answer; it is no longer
// ours when all of that is here.
func (s *Service) tries(x *exchange.Exchange, k *visit) (*conn, outcome) {
	s.budget.Request(k.now)
	k.sent, k.done = k.began, k.began
	for fresh := false; ; {
		if !fresh { // else it is the same one again
			if k.t = s.pick(x, k); k.t == nil {
				return nil, s.noTarget(x)
			}
		}
		c, out := s.ask(x, k, fresh)
		if k.done, k.excused = out.at, out.excused; k.done == 0 {
			k.done = x.Elapsed()
		}
		if out.reason == nil && !s.rules.retries.hasStatus(x.Status) {
			return c, out
		}
		if fresh = k.replay(x, out); !fresh {
			pause, again := s.again(x, k, out)
			if !again {
				return c, out
			}
			if r := k.give(x, out, pause); r != nil {
				return nil, outcome{reason: r}
			}
		}
		k.sent = x.Elapsed()
	}
}

// ask sends the request to the target, to a second one when that is late, and takes
// the answer.
func (s *Service) ask(x *exchange.Exchange, k *visit, fresh bool) (*conn, outcome) {
	k.lag = 0
	h := s.hedge(x, k)
	c, out := k.t.try(x, k, fresh, h)
	if h != nil {
		c, out = h.end(x, k, c, out)
	}
	if out.reason != nil {
		return nil, out
	}
	if at, pumped := c.pump.uploaded(); pumped {
		k.sent, k.muted = max(k.sent, at), at == 0
	}
	return c, c.accept(x)
}

// try is one request to one target, up to the head of its answer. h may give it up;
// it is nil for none.
func (t *target) try(x *exchange.Exchange, k *visit, fresh bool, h *hedger) (*conn, outcome) {
	x.Target = t.name
	x.Attempts++
	left := max(t.service.responseTimeout(x)-(k.sent-k.began), time.Millisecond) // 0 would be for ever
	k.attempt = t.node.Begin()
	c, out := t.get(x, h, fresh, left)
	if out.reason != nil {
		k.attempt.End()
		return nil, out
	}
	if k.retries > 0 { // to connect has taken its time too
		left = max(t.service.responseTimeout(x)-(x.Elapsed()-k.began), time.Millisecond)
	}
	c.attempt, c.response, c.now = k.attempt, t.service.tryTime(x, k, left), x.Now.Add(k.sent)
	h.sends(c)
	return c, c.roundTrip(x)
}

// tryTime is how long the answer to this try may take, of what is left: less than all
// of it where another try could follow.
func (s *Service) tryTime(x *exchange.Exchange, k *visit, left time.Duration) time.Duration {
	per := time.Duration(s.conf.Retries.TryTimeout)
	if per == 0 || per >= left || k.retries >= s.conf.Retries.Most || k.ticket.Probe() || !s.rules.retries.faults[timeoutFault] || !repeatable(x, outcome{}) {
		return left
	}
	return per
}

// replay tells whether the request died on a connection that had been idle, and
// is sent again at once. That is nobody's failure.
func (k *visit) replay(x *exchange.Exchange, out outcome) bool {
	if k.replays >= mostReplays || x.Aborted() != nil || !stale(x, out) {
		return false
	}
	k.replays++
	if !out.unsent {
		k.replays = mostReplays
	}
	return true
}

// again tells whether the request is tried once more, and after what pause.
func (s *Service) again(x *exchange.Exchange, k *visit, out outcome) (time.Duration, bool) {
	switch {
	case k.retries >= s.conf.Retries.Most || k.ticket.Probe() || x.Aborted() != nil:
		return 0, false
	case !s.wantsRetry(x, out) || !repeatable(x, out):
		return 0, false
	}
	pause, ok := s.pause(x, k, out)
	if !ok || k.done-k.began+pause >= s.responseTimeout(x) || !s.budget.Take(x.Now.Add(k.done)) {
		return 0, false
	}
	k.retries++
	s.stats.retries.Add(1)
	return pause, true
}

// stale tells whether a request died on a connection that had been idle, as
// happens when a service closes it at that moment: the service never saw it and
// its body has not been touched, or the whole body is still at hand and seeing
// it twice does no harm (RFC 9112 section 9.3.1). That is nobody's failure.
func stale(x *exchange.Exchange, out outcome) bool {
	if out.reason != exchange.UpstreamReset {
		return false
	}
	if x.RequestBody.Streams() {
		return out.unsent && x.RequestBody.BytesRead() == 0
	}
	return out.unsent || out.dead && retry.Idempotent(x.Method)
}

// wantsRetry tells whether the configuration wants such a failure tried again.
func (s *Service) wantsRetry(x *exchange.Exchange, out outcome) bool {
	if out.reason == exchange.PoolExhausted {
		return s.rules.retries.faults[connectFault]
	}
	return s.rules.retries.has(out.reason, x.Status, false)
}

// repeatable tells whether it does no harm when the service sees the request
// twice, and whether there is all of it.
func repeatable(x *exchange.Exchange, out outcome) bool {
	if x.RequestBody.Streams() && (!out.unsent || x.RequestBody.BytesRead() > 0) {
		return false
	}
	return out.unsent || x.Upgrade == "" && (retry.Idempotent(x.Method) || x.Request.Get("Idempotency-Key") != "")
}

// pause says how long to wait before the next try. It returns false when the
// service wants to be left alone for longer than that.
func (s *Service) pause(x *exchange.Exchange, k *visit, out outcome) (time.Duration, bool) {
	pause := s.rules.backoff.Pause(k.retries)
	if out.reason != nil {
		if out.unsent && k.retries == 0 && len(s.set.Load().list) > 1 {
			return 0, true
		}
		return pause, true
	}
	if wait, ok := retry.After(x.Response.Get("Retry-After"), x.Now.Add(x.Elapsed())); ok {
		return max(wait, pause), wait <= s.rules.backoff.Most
	}
	return pause, true
}

// give gives a try up: it is a failure of its target, its answer is thrown
// away, and the pause begins, in which the request is not with the service. It returns
// why the request can't go on, or nil.
func (k *visit) give(x *exchange.Exchange, out outcome, pause time.Duration) *exchange.Reason {
	now, o := x.Now.Add(k.done), balance.Ignored
	if !out.excused && k.s.rules.failures.has(out.reason, x.Status, false) {
		o, k.failed = balance.Failed, true
	}
	k.s.balancer.Record(k.attempt, o, 0, now)
	k.avoid(k.t)
	k.t = nil
	if out.reason == nil {
		_ = x.ResponseBody.Close()
		x.ResponseBody.SetBytes(nil)
		x.Response.Reset()
		x.ResponseTrailer.Reset()
		x.Status = 0
	}
	if pause == 0 {
		return nil
	}
	k.leave(0, toLimiter(breaker.Ignored, out.reason))
	if !wait(x, pause) {
		return x.Aborted()
	}
	if r := k.enter(x); r != nil {
		return r
	}
	if x.Elapsed()-k.began >= k.s.responseTimeout(x) { // it has waited for its place
		return exchange.UpstreamTimeout
	}
	return nil
}

// enter takes a place among the requests in flight, or says why there is none.
func (k *visit) enter(x *exchange.Exchange) *exchange.Reason {
	l := k.s.limiter
	if l == nil {
		return nil
	}
	if v := l.Acquire(x, x.Urgent); v != shed.Granted {
		return k.s.refuseBusy(x, v)
	}
	k.held = true
	return nil
}

// leave gives the place back, and tells how long the answer took.
func (k *visit) leave(took time.Duration, o shed.Outcome) {
	if k.held {
		k.held = false
		k.s.limiter.Release(took, o)
	}
}

// avoid notes a target that further tries should not go to.
func (k *visit) avoid(t *target) {
	k.tried[k.ntried] = t.node
	k.ntried++
}

// wait waits, and returns false when the exchange was given up meanwhile.
func wait(x *exchange.Exchange, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-x.Context().Done():
		return false
	}
}

// settle tells everybody who counts how the request has ended, and gives back
// what it held. A failure that may be the client's is nobody's, and so is how long an answer
// took that came before the request's end. late tells that the answer's head had come.
func (k *visit) settle(x *exchange.Exchange, r *exchange.Reason, end time.Duration, late bool) {
	s, now := k.s, x.Now.Add(end)
	took := k.done - k.sent // of the last try and its hedge, to the answer's head
	its := took - k.lag     // of the target that answered
	s.stats.record(r, x.Status, now)
	o := s.judge(r, x.Status, late)
	switch {
	case k.excused && o == breaker.Failure:
		o = breaker.Ignored
	case k.failed && r == exchange.ServiceOverloaded: // there was no place for the next try
		o = breaker.Failure
	}
	switch {
	case k.muted:
		took, its = 0, 0
	case r == nil || late:
		s.latency.Record(took, now)
		k.t.latency.Record(its, now)
	}
	if k.t != nil {
		s.balancer.Record(k.attempt, toBalancer(o), its, now)
	}
	if k.muted {
		k.leave(0, shed.Ignored)
	}
	k.leave(took, toLimiter(o, r))
	if k.counted {
		s.breaker.Record(k.ticket, o, took, now)
	}
}

// toBalancer says what an outcome means for the target.
func toBalancer(o breaker.Outcome) balance.Outcome {
	switch o {
	case breaker.Failure:
		return balance.Failed
	case breaker.Ignored:
		return balance.Ignored
	}
	return balance.OK
}

// toLimiter says what an outcome tells about how busy the service is.
func toLimiter(o breaker.Outcome, r *exchange.Reason) shed.Outcome {
	switch {
	case r == exchange.UpstreamTimeout:
		return shed.Timeout
	case o == breaker.Success || o == breaker.Alive:
		return shed.OK
	}
	return shed.Ignored
}

// pick chooses the target of the next try.
func (s *Service) pick(x *exchange.Exchange, k *visit) *target {
	tried := k.tried[:k.ntried]
	if s.sticky != nil && k.ntried == 0 {
		if n := s.sticky.find(x); n != nil && s.balancer.Usable(n, k.now) {
			return n.Owner.(*target)
		}
	}
	return s.choose(x, tried, k.now)
}

// choose asks the balancer, by the request's key where the service goes by one.
func (s *Service) choose(x *exchange.Exchange, tried []*balance.Node, now time.Time) *target {
	var key uint64
	var keyed bool
	if s.keyer != nil {
		key, keyed = s.keyer.Key(x)
	}
	n := s.balancer.Pick(key, keyed, tried, now)
	if n == nil && s.await(x) {
		n = s.balancer.Pick(key, keyed, tried, now)
	}
	if n == nil {
		return nil
	}
	return n.Owner.(*target)
}
