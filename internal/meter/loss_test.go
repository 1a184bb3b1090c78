package meter

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"yett/internal/store"
)

// partly is a store of which a part is lost: takes that are of it fail, after those
// that are not were counted.
type partly struct {
	*frail
	lost atomic.Pointer[func(*store.Take) bool]
}

// lose makes a part lost, nothing when nil.
func (s *partly) lose(of func(*store.Take) bool) { s.lost.Store(&of) }

func (s *partly) Take(ctx context.Context, now time.Time, takes []store.Take) error {
	failed := false
	for i := range takes {
		if lost := s.lost.Load(); lost != nil && *lost != nil && (*lost)(&takes[i]) {
			failed = true
			continue
		}
		if err := s.frail.Take(ctx, now, takes[i:i+1]); err != nil {
			return err
		}
	}
	if failed {
		return errors.New("gone")
	}
	return nil
}

// A store that can be read and not written to takes nothing: it is lost once, until it can.
// One of which a part is lost is lost until that part is back, because who asks for it
// would have to wait again and again otherwise.
func TestStoreIsLostInPart(t *testing.T) {
	for name, lost := range map[string]func(*store.Take) bool{
		"full":        func(t *store.Take) bool { return t.Action == store.Spend || t.Action == store.Charge },
		"without key": func(t *store.Take) bool { return t.Key == "dead" },
		"full for key": func(t *store.Take) bool {
			return t.Key == "dead" && (t.Action == store.Spend || t.Action == store.Charge)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &partly{frail: newFrail(t)}
				m, log := newMeter(t, s)
				time.Sleep(beat)
				claim := rateClaim("a", "dead", 10)
				claim.OnLoss = Open // so that nothing is owed
				s.lose(lost)
				for range 200 {
					passes(t, m, 1, claim)
					time.Sleep(50 * time.Millisecond)
				}
				if n := log.count("count on this node alone"); n != 1 || !m.State().Lost {
					t.Errorf("lost %d times, log:\n%s", n, log.b.String())
				}
				s.lose(nil)
				time.Sleep(2 * time.Second)
				if m.State().Lost {
					t.Error("not found again")
				}
			})
		})
	}
}

// As long as nobody can say that it lives, nobody counts as gone.
func TestNodesStayWhileNobodyCanSpeak(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFrail(t)
		m, _ := newMeter(t, s)
		other, _ := newMeter(t, s)
		time.Sleep(3 * beat)
		s.fail(errors.New("full")) // Follow goes on
		time.Sleep(10 * silence)
		if n, o := m.State().Nodes, other.State().Nodes; n != 2 || o != 2 {
			t.Errorf("%d and %d nodes, want 2", n, o)
		}
		s.fails.Store(nil)
		time.Sleep(silence / 2)
		if n := m.State().Nodes; n != 2 {
			t.Errorf("%d nodes just after it is back", n)
		}
		other.Close()
		time.Sleep(3 * silence)
		if n := m.State().Nodes; n != 1 {
			t.Errorf("%d nodes long after the other one has gone", n)
		}
	})
}

// What was spent so long ago that it counts no more is not counted when the store is back:
// who has kept to the limit for an hour is not refused then.
func TestOldDebtsAreRemitted(t *testing.T) {
	for name, rule := range map[string]store.Rule{
		"sliding_window": perMinute(10),
		"fixed_window":   {Algorithm: store.FixedWindow, Limit: 10, Window: time.Minute},
		"token_bucket":   {Algorithm: store.TokenBucket, Limit: 10, Window: time.Minute, Burst: 10},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newFrail(t)
				m, _ := newMeter(t, s)
				time.Sleep(beat)
				s.fail(errors.New("gone"))
				claim := rateClaim("a", "x", 10)
				claim.Rule = rule
				if n := passes(t, m, 5, claim); n != 5 {
					t.Errorf("%d passed", n)
				}
				for range 120 {
					if time.Sleep(30 * time.Second); passes(t, m, 1, claim) != 1 {
						t.Fatal("refused while the store is lost")
					}
				}
				s.fails.Store(nil)
				time.Sleep(2 * time.Second)
				got := take(t, m, claim)[0]
				if got.Refuses() || got.Left < 7 || got.Left > 8 {
					t.Errorf("with the store: %+v", got)
				}
			})
		})
	}
}

// While a part of a store is still lost, what is owed to others is counted once.
func TestDebtsAreCountedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &partly{frail: newFrail(t)}
		m, _ := newMeter(t, s)
		time.Sleep(beat)
		s.fail(errors.New("gone"))
		for _, key := range []string{"dead", "a", "b"} {
			passes(t, m, 2, rateClaim("wide", key, 100))
		}
		s.fails.Store(nil)
		s.lose(func(t *store.Take) bool { return t.Key == "dead" })
		time.Sleep(5 * time.Second) // it is looked for several times
		s.lose(nil)
		time.Sleep(2 * time.Second)
		if m.State().Lost {
			t.Fatal("not found again")
		}
		for _, key := range []string{"dead", "a", "b"} {
			if left := take(t, m, rateClaim("wide", key, 100))[0].Left; left != 97 {
				t.Errorf("of %s %d are left, want 97", key, left)
			}
		}
	})
}
