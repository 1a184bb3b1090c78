package meter

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"yett/internal/store"
	"yett/internal/store/memory"
)

type during struct{ ctx context.Context }

func (b during) Context() context.Context { return b.ctx }

// A flapping store, all kinds, Forget, State, Close during traffic.
func TestStress(t *testing.T) {
	for round := range 3 {
		s := newFrail(t)
		here := memory.New(memory.Options{Keys: 1000})
		m := New(Options{Here: here, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
		m.Share(s, nil)
		const requests = 300 // of each goroutine
		stop, half := make(chan struct{}), make(chan struct{})
		var served atomic.Int64
		var all, flapping sync.WaitGroup
		for g := range 16 {
			all.Go(func() {
				r := rand.New(rand.NewPCG(uint64(round), uint64(g)))
				for range requests {
					c := m.Call()
					for i := range 5 {
						c.Keys = fmt.Appendf(c.Keys, "k%d", r.IntN(4))
						k := string(c.Keys[len(c.Keys)-2:])
						cl := Claim{Name: fmt.Sprint("n", i), Key: k, Rule: store.Rule{Limit: int64(1 + r.IntN(3)*50), Window: 300 * time.Millisecond, Algorithm: store.Algorithm(r.IntN(3)), Burst: 100}, Cost: 1, OnLoss: OnLoss(r.IntN(3)), Soft: r.IntN(4) == 0}
						switch i {
						case 0:
							cl.Kind, cl.Rule = Flight, store.Rule{Limit: 3}
						case 1, 2:
							cl.Kind = After
						case 3:
							cl.Leased = true
						}
						c.Claims = append(c.Claims, cl)
					}
					ctx, cancel := context.WithTimeout(context.Background(), time.Duration(r.IntN(3000))*time.Microsecond)
					m.Look(c, time.Now())
					if r.IntN(10) == 0 {
						m.Count(c, time.Now())
					} else {
						m.Take(during{ctx}, c, time.Now())
					}
					for i := range c.Claims {
						c.Claims[i].Counts = r.IntN(3) == 0
					}
					if r.IntN(3) > 0 {
						m.Settle(c, time.Now())
					}
					cancel()
					m.End(c)
					if served.Add(1) == 8*requests {
						close(half)
					}
				}
			})
		}
		flapping.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(time.Duration(rand.IntN(40)) * time.Millisecond):
				}
				switch rand.IntN(4) {
				case 0:
					s.fail(errors.New("x"))
				case 1:
					s.hangs.Store(true)
				default:
					s.fails.Store(nil)
					s.hangs.Store(false)
				}
				_ = m.Forget(context.Background(), "n4", "k1")
				m.State()
			}
		})
		if <-half; round%2 == 0 {
			m.Close() // during traffic
		}
		all.Wait()
		close(stop)
		flapping.Wait()
		m.Close()
		for i := range m.flights.shards {
			if n := m.flights.shards[i].runs.len(); n != 0 {
				t.Errorf("round %d: %d flights left", round, n)
			}
			if n := m.gates.shards[i].gates.len(); n != 0 {
				t.Errorf("round %d: %d gates left", round, n)
			}
		}
		if n := m.gates.waiting.Load(); n != 0 {
			t.Errorf("waiting %d", n)
		}
		here.Close()
	}
}
