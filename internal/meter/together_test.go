package meter

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"yett/internal/store"
)

// flying is a store that counts what runs as well.
type flying struct {
	*frail
	runs int64 // by one goroutine
}

func (s *flying) Enter(_ context.Context, _, _ string, limit int64) (ok bool, left int64, err error) {
	if err := s.err(); err != nil {
		return false, 0, err
	}
	if s.runs >= limit {
		return false, 0, nil
	}
	s.runs++
	return true, limit - s.runs, nil
}

func (s *flying) Leave(string, string) { s.runs-- }

// Where the store counts what runs, a node may have all places, none is left for it that others
// have, and it goes on with its share of them, by what it knows, while the store is lost.
func TestFlightsTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &flying{frail: newFrail(t)}
		m, _ := newMeter(t, s)
		m.nodes.count.Store(2)
		claim := Claim{Name: "uploads", Key: "a", Kind: Flight, Rule: store.Rule{Limit: 4}, Cost: 1}
		enter := func(want Verdict, left int64) *Call {
			t.Helper()
			c := m.Call()
			c.Claims = append(c.Claims, claim)
			m.Take(client{t}, c, time.Now())
			if got := &c.Claims[0]; got.Verdict != want || got.Left != left {
				t.Errorf("it is %v with %d left, want %v with %d", got.Verdict, got.Left, want, left)
			}
			return c
		}
		s.runs = 1 // of another node
		first := enter(Fits, 2)
		second := enter(Fits, 1)
		third := enter(Fits, 0)
		m.End(enter(Exceeded, 0))
		s.fail(errors.New("gone"))
		m.End(enter(Exceeded, 0)) // with its share, which is 2
		if !m.guard.lost() {
			t.Error("the store is not lost")
		}
		m.End(third)
		m.End(enter(Exceeded, 0))
		m.End(second)
		fourth := enter(Fits, 0)
		s.fails.Store(nil)
		time.Sleep(2 * lastProbe)
		m.End(fourth)
		m.End(first)
		if s.runs != 1 {
			t.Errorf("%d run of others", s.runs)
		}
		for range 3 {
			defer m.End(enter(Fits, 3-s.runs))
		}
		peek := New(Options{Here: m.Here, Log: m.Log, Peek: true})
		defer peek.Close()
		peek.Share(s, nil)
		c := peek.Call()
		c.Claims = append(c.Claims, claim)
		peek.Take(client{t}, c, time.Now())
		if c.Claims[0].Verdict != Fits || c.Claims[0].Left != 4 {
			t.Errorf("%+v", c.Claims[0])
		}
		peek.End(c)
	})
}

// Where the store of all nodes does not count what runs, but another one does for the workers of
// this node, they have its part together, whatever becomes of the first; without the other store
// each has the part of one process.
func TestFlightsBeside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all, s := newFrail(t), &flying{frail: newFrail(t)}
		m, _ := newMeter(t, all)
		m.ShareBeside(s, nil)
		m.nodes.count.Store(4)
		m.beside.workers.count.Store(2)
		enter := func(limit int64, want Verdict, left int64) *Call {
			t.Helper()
			c := m.Call()
			c.Claims = append(c.Claims, Claim{Name: "uploads", Key: "a", Kind: Flight, Rule: store.Rule{Limit: limit}, Cost: 1})
			m.Take(client{t}, c, time.Now())
			if got := &c.Claims[0]; got.Verdict != want || got.Left != left {
				t.Errorf("of %d it is %v with %d left, want %v with %d", limit, got.Verdict, got.Left, want, left)
			}
			return c
		}
		s.runs = 3 // of the other worker
		first := enter(10, Fits, 1)
		all.fail(errors.New("gone"))
		m.guard.lose(errors.New("gone"), nil)
		second := enter(10, Fits, 0)
		m.End(enter(11, Exceeded, 0))
		s.fail(errors.New("gone"))
		m.End(enter(10, Exceeded, 0)) // with its share, which is 2
		if !m.beside.guard.lost() {
			t.Error("the store of the workers is not lost")
		}
		m.End(second)
		m.End(enter(10, Fits, 0))
		all.fails.Store(nil)
		s.fails.Store(nil)
		time.Sleep(2 * lastProbe)
		if m.guard.lost() || m.beside.guard.lost() || m.State().Losses != 1 {
			t.Errorf("the stores are not back, or the loss of one is taken for the other's: %+v", m.State())
		}
		m.End(enter(10, Fits, 1-s.runs+3))
		m.End(first)
		s.runs = 0
		m.End(enter(1, Fits, 0)) // at least one
		m.beside.workers.count.Store(9)
		m.End(enter(10, Fits, 9)) // and no more than all
	})
}
