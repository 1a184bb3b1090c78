package upstream

import (
	"context"
	"strings"
	"testing"
	"time"

	"yett/internal/exchange"
	"yett/internal/upstream/balance"
)

// A fault in a health check is a check that has failed. The next one comes all the same, and
// its connection is closed, as the end of the test finds.
func TestFaultInCheck(t *testing.T) {
	var l lines
	f := service(t, origin(t, always(ok)), checked(patient, logged(&l), func(s *setup) {
		s.deps.Buffers = nil // where the request is to be written
	}))
	f.want(f.becomes(balance.Down).Cause, "health check: a fault in the gateway")
	eventually(t, "there are more checks", func() bool { return len(l.with("a fault in the gateway ended a health check")) > 2 })
	if !strings.Contains(l.with("ended a health check")[0], "service=app") || !strings.Contains(l.with("ended a health check")[0], "roundTrip") {
		t.Errorf("%q", l.with("a fault")[0])
	}
	eventually(t, "their connections are closed", func() bool { return f.first().count() <= 1 })
}

// A fault in what follows from a check does not end the checks either.
func TestFaultBehindCheck(t *testing.T) {
	var l lines
	f := service(t, origin(t, always(ok)), checkedByHand, logged(&l))
	h := f.conf.Health
	h.Path = "/health"
	c := &checker{t: &target{service: f.Service, ctx: t.Context()}, conf: &h}
	c.t.addrs.Store(f.target().addrs.Load())
	c.t.pool.t = c.t
	c.once(context.Background()) // it has no node to tell of
	if len(l.with("ended what a health check has found")) != 1 {
		t.Errorf("%q", l.with(""))
	}
}

// A fault in the second try is a hedge that has brought nothing: the first goes on, whether it
// has an answer or none.
func TestFaultInHedge(t *testing.T) {
	for say, want := range map[string]string{answer("first"): "200 first", "": "upstream_reset"} {
		var l lines
		first, second := newActor(t), newActor(t)
		f := hedged(t, first.url, second.url, logged(&l))
		broken := f.set.Load().list[1]
		node := broken.node
		broken.node = nil // where the second try is to begin
		x := f.exchange("GET", "/")
		got := f.begin(x)
		first.asked()
		eventually(t, "the second try has failed", func() bool { return len(l.with("a fault in the gateway ended a hedge")) == 1 })
		first.say(say)
		c := receive(t, got)
		if x.Attempts != 2 || x.Target != f.target().name {
			t.Errorf("%d attempts, the answer is of %s", x.Attempts, x.Target)
		}
		f.want(c.whole(), want)
		broken.node = node
		for range 4 { // nothing is left of it
			f.aim()
			got := f.begin(f.exchange("GET", "/"))
			first.asked()
			second.asked()
			second.say(answer("second"))
			f.want(receive(t, got).whole(), "200 second")
		}
		if st := f.Stats(); st.Hedges != 5 || st.InFlight != 0 {
			t.Errorf("%+v", st)
		}
	}
}

// Before anything is sent, a fault leaves the first try alone.
func TestFaultBeforeHedge(t *testing.T) {
	var l lines
	first, second := newActor(t), newActor(t)
	f := hedged(t, first.url, second.url, logged(&l), func(s *setup) { s.conf.Hedge.After = ms(60_000) })
	x := f.exchange("GET", "/")
	k := visit{s: f.Service, now: time.Now(), t: f.target()}
	h := f.hedge(x, &k)
	h.first = nil // whom the second target must not be
	f.sticky = &sticky{}
	h.timer.Reset(0)
	eventually(t, "it has failed", func() bool { return len(l.with("a fault in the gateway ended a hedge")) == 1 })
	if _, out := h.end(x, &k, nil, outcome{reason: exchange.UpstreamReset}); out.reason != exchange.UpstreamReset || k.hedged {
		t.Errorf("%+v, hedged %v", out, k.hedged)
	}
	f.pool.Put(x)
}
