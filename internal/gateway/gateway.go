// Package gateway is the life of a request: straight down through route,
// policies and service, then straight up again.
package gateway

import (
	"log/slog"
	"runtime/debug"
	"sync/atomic"
	"time"

	"yett/internal/exchange"
	"yett/internal/overload"
	"yett/internal/policy"
	"yett/internal/snapshot"
	"yett/internal/telemetry"
	"yett/internal/upstream"
)

// Recorder is told of each exchange that is over, and how long it took. It makes the
// telemetry.Record itself: a pointer to one, through an interface, would put it on the heap.
type Recorder interface {
	Over(x *exchange.Exchange, took time.Duration)
}

// Gateway serves exchanges with the current snapshot.
type Gateway struct {
	current  atomic.Pointer[snapshot.Snapshot]
	recorder atomic.Pointer[Recorder]
	tally    *telemetry.Tally
	log      *slog.Logger
	load     atomic.Pointer[overload.Monitor] // nil refuses nobody
	counters *telemetry.Counters              // nil counts nothing
}

// New makes a Gateway without a snapshot: Swap has to come before Serve. A nil
// recorder records nothing, a nil tally counts nothing.
func New(recorder Recorder, tally *telemetry.Tally, log *slog.Logger) *Gateway {
	g := &Gateway{tally: tally, log: log}
	g.Record(recorder)
	return g
}

// Record has exchanges recorded from here on that end then; nil records nothing.
func (g *Gateway) Record(r Recorder) {
	if r == nil {
		g.recorder.Store(nil)
		return
	}
	g.recorder.Store(&r)
}

// Guard has requests refused when the monitor says that there is too much to do; nil refuses
// nobody.
func (g *Gateway) Guard(m *overload.Monitor) { g.load.Store(m) }

// Count has requests counted. It has to come before Swap.
func (g *Gateway) Count(c *telemetry.Counters) { g.counters = c }

// Swap makes a snapshot the current one and returns the one before, or nil.
// Exchanges that run keep theirs.
func (g *Gateway) Swap(s *snapshot.Snapshot) *snapshot.Snapshot {
	if g.counters != nil {
		var served []*telemetry.Route
		for _, r := range s.Routes() {
			served = append(served, r.Served)
		}
		g.counters.Use(served, time.Now())
	}
	return g.current.Swap(s)
}

// Snapshot returns the current snapshot.
func (g *Gateway) Snapshot() *snapshot.Snapshot { return g.current.Load() }

// Serve implements engine.Core: it answers the exchange. One that the engine
// has refused passes the same policies as any other.
func (g *Gateway) Serve(x *exchange.Exchange) { g.pass(x, nil) }

// pass takes an exchange straight down, then straight up. w is told of each
// step of one that is only walked through, see Walk; it is nil for all others.
func (g *Gateway) pass(x *exchange.Exchange, w *walker) {
	defer g.guard(x)
	s := g.current.Load()
	refused := x.Reason
	w.comes(x, refused)
	s.Manners.Enter(x)
	w.entered(x)
	r := s.Nowhere()
	if refused == nil {
		r, refused = s.Match(x)
		if load := g.load.Load(); refused == nil && load != nil && w == nil && !x.Urgent && load.Shed() {
			r, refused = r.Busy(), exchange.GatewayOverloaded
			x.RetryAfter = overloadPause
		}
	}
	r = w.matched(x, s, r, refused)
	x.Bound = r
	x.Reason = nil
	switch {
	case r.Chain.Request(x) == exchange.Continue:
		g.answer(x, s, r, refused, w)
	case x.Reason == nil && unanswerable(refused):
		x.Refuse(refused)
	}
	if x.Status == 0 { // whoever answered did not say how
		x.RefuseWith(exchange.Internal, "an answer without a status")
	}
	if x.RequestID == "" {
		x.NewRequestID()
	}
	if x.Reason != nil {
		shape(x)
	}
	r.Chain.Response(x)
}

// overloadPause is when those may come back who were refused because the gateway had
// too much to do, in seconds.
const overloadPause = 1

// unanswerable tells whether a refused request can get no other answer than a
// refusal. A policy may answer what no route serves, such as a preflight, but
// nothing that could not be read, or not be taken.
func unanswerable(refused *exchange.Reason) bool {
	return refused != nil && refused != exchange.NoRoute && refused != exchange.MethodNotAllowed
}

// answer gets the answer from whoever has it: the refusal, a page of the
// gateway, or the service.
func (g *Gateway) answer(x *exchange.Exchange, s *snapshot.Snapshot, r *snapshot.Route, refused *exchange.Reason, w *walker) {
	if refused == nil {
		refused = r.Admit(x)
	}
	switch {
	case refused != nil:
		x.Refuse(refused)
	case r.Endpoint != nil:
		r.Endpoint.Serve(x)
	default:
		to := w.chosen(x, r)
		r.Outbound(x, to)
		s.Manners.Leave(x)
		if reason := forward(x, r, to, w); reason != nil {
			x.Refuse(reason)
		}
	}
}

// forward calls the service, which a walk only pretends to do. A mirror gets its copy when
// that is known to have been asked, and all that was sent is still here: what is refused, as
// by a breaker that is open, is not copied. Nobody waits for what becomes of the copy.
func forward(x *exchange.Exchange, r *snapshot.Route, to *upstream.Service, w *walker) *exchange.Reason {
	if w != nil {
		return w.sent(x, r, to)
	}
	reason := to.Forward(x)
	if r.Mirror != nil {
		r.Mirror.Copy(x)
	}
	return reason
}

// guard turns a fault in the gateway into an answer, with the policies' headers
// as any other: one exchange fails, the others go on.
func (g *Gateway) guard(x *exchange.Exchange) {
	fault := recover()
	if fault == nil {
		return
	}
	g.report(x, fault)
	x.CloseClient = true
	if x.Tunnel != nil {
		_ = x.Tunnel.Close()
		x.Tunnel = nil
	}
	_ = x.ResponseBody.Close()
	if x.RequestID == "" {
		x.NewRequestID()
	}
	x.Details = "" // of a refusal that this one takes the place of
	x.Refuse(exchange.Internal)
	shape(x)
	if r, ok := x.Bound.(*snapshot.Route); ok {
		for i := x.Ran() - 1; i >= 0; i-- {
			g.respond(x, r.Chain[i].Policy, x.Slot(i))
		}
	}
}

// respond runs the Response of one link after a fault. It may be the one with
// the fault, and the others' headers have to be there even so.
func (g *Gateway) respond(x *exchange.Exchange, p policy.Policy, s *exchange.Slot) {
	defer g.contain(x)
	p.Response(x, s)
}

// contain is deferred where a fault must not take with it what follows.
func (g *Gateway) contain(x *exchange.Exchange) {
	if fault := recover(); fault != nil {
		g.report(x, fault)
	}
}

func (g *Gateway) report(x *exchange.Exchange, fault any) {
	g.log.Error("a fault in the gateway ended an exchange", "request_id", x.RequestID, "fault", fault, "stack", string(debug.Stack()))
}

// Done implements engine.Core.
func (g *Gateway) Done(x *exchange.Exchange) {
	var served *telemetry.Route
	if r, ok := x.Bound.(*snapshot.Route); ok {
		g.end(x, r)
		served = r.Served
	}
	if x.Reason != nil || len(x.Observed()) > 0 {
		g.tally.Add(x)
	}
	recorder := g.recorder.Load()
	if g.counters == nil && recorder == nil {
		return
	}
	took := x.Elapsed()
	if g.counters != nil {
		g.counters.Count(x, served, took, telemetry.Failed(x))
	}
	if recorder != nil {
		(*recorder).Over(x, took)
	}
}

func (g *Gateway) end(x *exchange.Exchange, r *snapshot.Route) {
	defer g.contain(x)
	r.Chain.End(x)
}
