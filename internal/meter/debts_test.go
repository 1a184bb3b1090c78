package meter

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"yett/internal/exchange"
	"yett/internal/store"
)

// a caller within its limit during a long outage is locked out when the store is back.
func TestDebtsOfLongOutage(t *testing.T) {
	for _, alg := range []store.Algorithm{store.SlidingWindow, store.FixedWindow, store.TokenBucket} {
		t.Run(fmt.Sprint(alg), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newFrail(t)
				m, _ := newMeter(t, s)
				time.Sleep(3 * beat)
				c := rateClaim("a", "x", 60)
				c.Rule.Algorithm = alg
				if alg == store.TokenBucket {
					c.Rule.Burst = 60
				}
				s.fail(errors.New("gone"))
				n := 0
				for range 1800 { // an hour, a request every 2 s: half of the limit
					if !take(t, m, c)[0].Refuses() {
						n++
					}
					time.Sleep(2 * time.Second)
				}
				s.fails.Store(nil)
				time.Sleep(2 * time.Second)
				got := take(t, m, c)[0]
				if got.Refuses() {
					t.Errorf("alg %d: locked out for %v though never above half of the limit", alg, got.Wait)
				}
			})
		})
	}
}

// debts of single late answers are never paid while the store is there, and all at once after the next loss.
func TestDebtsOfLateAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFrail(t)
		m, _ := newMeter(t, s)
		c := rateClaim("a", "x", 60)
		c.Rule.Algorithm, c.Rule.Burst = store.TokenBucket, 60
		for range 600 { // ten hours with a late answer a minute
			s.hangs.Store(true)
			take(t, m, c)
			s.hangs.Store(false)
			time.Sleep(30 * time.Second)
			take(t, m, c)
			time.Sleep(30 * time.Second)
		}
		t.Logf("losses %d, debts %+v", m.State().Losses, m.debts.open)
		s.fail(errors.New("failover"))
		take(t, m, c)
		time.Sleep(time.Second)
		s.fails.Store(nil)
		time.Sleep(2 * time.Second)
		got := take(t, m, c)[0]
		t.Logf("refused=%v wait=%v", got.Refuses(), got.Wait)
		if got.Refuses() {
			t.Errorf("2 requests a minute of 60: locked out for %v after a failover of a second", got.Wait)
		}
	})
}

// a flood of bad tokens is never refused by a limit that counts answers, with a shared store.
func TestAfterOfBadTokens(t *testing.T) {
	for _, shared := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			var s store.Store
			if shared {
				s = newFrail(t)
			}
			m, _ := newMeter(t, s)
			verified := 0
			var left int64
			for range 100 {
				c := m.Call()
				cl := rateClaim("bad-tokens", "ip:1", 5)
				cl.Kind = After
				c.Claims = append(c.Claims, cl)
				m.Look(c, time.Now()) // limits.Request
				if !c.refused() {
					verified++ // jwt says 401; limits.Response:
					m.Count(c, time.Now())
					c.Claims[0].Counts = true
					m.Settle(c, time.Now())
					left = c.Claims[0].Left
				}
				m.End(c)
			}
			t.Logf("shared=%v: %d of 100 tokens verified, left %d", shared, verified, left)
			if verified > 5 {
				t.Errorf("shared=%v: %d tokens were verified, limit 5", shared, verified)
			}
		})
	}
}

// negative cache ignores the burst.
func TestKnownIgnoresBurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, shared := range []bool{false, true} {
			var s store.Store
			if shared {
				s = newFrail(t)
			}
			m, _ := newMeter(t, s)
			clerk := rateClaim("a", "tenant:t", 10)
			clerk.Rule.Algorithm, clerk.Rule.Burst = store.TokenBucket, 10
			admin := clerk
			admin.Rule.Burst = 100
			passes(t, m, 20, clerk)
			got := take(t, m, admin)[0]
			if got.Refuses() {
				t.Errorf("shared=%v: the admin with a burst of 100 is refused for %v", shared, got.Wait)
			}
		}
	})
}

// Left of a known refusal.
func TestLeftOfKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, _ := newMeter(t, newFrail(t))
		passes(t, m, 7, rateClaim("a", "x", 10))
		c := rateClaim("a", "x", 10)
		c.Cost = 5
		one, two := take(t, m, c)[0], take(t, m, c)[0]
		if one.Left != two.Left || one.More != two.More {
			t.Errorf("first refusal: left %d, the same again: left %d", one.Left, two.Left)
		}
	})
}

// a bogus wait is believed for ever.
type liar struct {
	*frail
	lie bool
}

func (l *liar) Take(ctx context.Context, now time.Time, takes []store.Take) error {
	if err := l.frail.Take(ctx, now, takes); err != nil {
		return err
	}
	if l.lie {
		for i := range takes {
			takes[i].Fits, takes[i].Wait, takes[i].More = false, 1<<63-1, 1<<63-1
		}
	}
	return nil
}

func TestWaitBelievedForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &liar{frail: newFrail(t), lie: true}
		m, _ := newMeter(t, l)
		take(t, m, rateClaim("a", "x", 10))
		l.lie = false
		time.Sleep(24 * time.Hour)
		if got := take(t, m, rateClaim("a", "x", 10))[0]; got.Refuses() {
			t.Errorf("window of a minute, a day later: wait %v", got.Wait)
		}
	})
}

// the lease spent and then the store fails: counted twice?
func TestLeaseSpentThenStoreFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFrail(t)
		m, _ := newMeter(t, s)
		l := rateClaim("leased", "x", 6000)
		l.Leased = true
		passes(t, m, 500, l)
		e := rateClaim("exact", "x", 6000)
		s.fail(errors.New("gone"))
		take(t, m, l, e)
		if _, owed := m.debts.open[debtor{"leased", "x"}]; owed {
			t.Error("what was leased is owed: the store has counted it")
		}
		if _, owed := m.debts.open[debtor{"exact", "x"}]; !owed {
			t.Error("what the store was not told is not owed")
		}
	})
}

// The names and keys of debts are views, of calls that are used for others later. A debt that
// came twice was once never found again, and tried for ever.
func TestDebtsKeepTheirKeys(t *testing.T) {
	d, s := newDebts(), newFrail(t)
	b := []byte("first user:1")
	for range 2 {
		copy(b, "first user:1")
		d.add(exchange.View(b[:5]), exchange.View(b[6:]), perMinute(10), 2)
		copy(b, "other user:2") // the call is somebody else's by now
	}
	takes := []store.Take{{Name: "first", Key: "user:1", Rule: perMinute(10), Action: store.Charge, Cost: 4}}
	here := newFrail(t)
	_ = here.Store.Take(t.Context(), time.Now(), takes)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := d.pay(ctx, s, here.Store); err != nil || len(d.open) != 0 {
		t.Errorf("%v; still owed: %v", err, d.open)
	}
	takes[0].Action, takes[0].Cost = store.Look, 1
	if _ = s.Store.Take(t.Context(), time.Now(), takes); takes[0].Left != 6 {
		t.Errorf("%d left in the store, want 6", takes[0].Left)
	}
}

// A node that has ended before this one began is none.
func TestNodesOfThePast(t *testing.T) {
	n := newNodes("own")
	n.Added(store.Entry{Member: "past", Until: time.Now().Add(-time.Second)})
	n.Added(store.Entry{Member: "there", Until: time.Now().Add(time.Second)})
	n.Synced()
	if got := n.live(); got != 2 {
		t.Errorf("%d nodes, want 2", got)
	}
	n.Added(store.Entry{Member: "past", Until: time.Now().Add(-time.Millisecond)}) // its clock is behind
	n.recount(time.Now())
	if got := n.live(); got != 3 {
		t.Errorf("%d nodes, want 3", got)
	}
}
