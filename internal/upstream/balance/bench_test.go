package balance

import (
	"fmt"
	"testing"
	"time"
)

func benchmarkPick(b *testing.B, pick func(w *Balancer, key uint64, now time.Time) *Node, set Settings) {
	for _, weighted := range []bool{false, true} {
		for _, targets := range []int{1, 3, 100} {
			b.Run(fmt.Sprintf("weighted=%v/targets=%d", weighted, targets), func(b *testing.B) {
				n := same(targets)
				if weighted {
					for i := range n {
						n[i].SetWeight(1 + i%3)
					}
				}
				w := New(set, nil)
				w.Update(n, time.Now())
				for i := range 8 * targets { // some load, so that loads have to be compared
					n[i%targets].Begin()
				}
				now := time.Now()
				b.ReportAllocs()
				b.RunParallel(func(pb *testing.PB) {
					key := uint64(0)
					for pb.Next() {
						key += golden
						if pick(w, key, now) == nil {
							b.Error("no target")
						}
					}
				})
			})
		}
	}
}

func BenchmarkPick(b *testing.B) {
	for name, algorithm := range algorithms {
		b.Run(name, func(b *testing.B) {
			benchmarkPick(b, func(w *Balancer, key uint64, now time.Time) *Node { return w.Pick(key, true, nil, now) },
				Settings{Algorithm: algorithm, LoadFactor: 1.25})
		})
	}
}

// BenchmarkAttempt is all that a request costs.
func BenchmarkAttempt(b *testing.B) {
	for name, algorithm := range algorithms {
		b.Run(name, func(b *testing.B) {
			benchmarkPick(b, func(w *Balancer, key uint64, now time.Time) *Node {
				n := w.Pick(key, true, nil, now)
				a := n.Begin()
				w.Record(a, OK, time.Millisecond, now)
				a.End()
				return n
			}, Settings{Algorithm: algorithm, LoadFactor: 1.25, MostOut: 0.5, EjectFailures: 5, EjectSlow: 3, EjectFor: time.Second})
		})
	}
}

// BenchmarkTried is a second attempt.
func BenchmarkTried(b *testing.B) {
	for name, algorithm := range algorithms {
		b.Run(name, func(b *testing.B) {
			benchmarkPick(b, func(w *Balancer, key uint64, now time.Time) *Node {
				return w.Pick(key, true, w.nodes[:1], now)
			}, Settings{Algorithm: algorithm, LoadFactor: 1.25})
		})
	}
}

func BenchmarkKey(b *testing.B) {
	for _, size := range []int{4, 36, 256} {
		text := string(make([]byte, size))
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			for b.Loop() {
				Key("api", text)
			}
		})
	}
}

func BenchmarkSticky(b *testing.B) {
	n := same(100)
	s, _ := NewSticky("api", stickyKey)
	s.Update(n)
	for b.Loop() {
		s.Find(s.Value(n[50]))
	}
}

// BenchmarkChange is what it takes to compute the view anew.
func BenchmarkChange(b *testing.B) {
	for name, algorithm := range algorithms {
		b.Run(name, func(b *testing.B) {
			n := same(100)
			w := New(Settings{Algorithm: algorithm}, nil)
			w.Update(n, time.Now())
			now := time.Now()
			for i := 0; b.Loop(); i++ {
				w.SetHealthy(n[0], i%2 == 0, "", now)
			}
		})
	}
}

// BenchmarkUpdate is what new targets cost.
func BenchmarkUpdate(b *testing.B) {
	for name, algorithm := range algorithms {
		b.Run(name, func(b *testing.B) {
			n := same(100)
			w := New(Settings{Algorithm: algorithm}, nil)
			for b.Loop() {
				w.Update(n, time.Now())
			}
		})
	}
}
