package redis

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"yett/internal/store"
	"yett/internal/store/redis/redistest"
	"yett/internal/store/storetest"
)

func sliding(limit int64, window time.Duration) store.Rule {
	return store.Rule{Algorithm: store.SlidingWindow, Limit: limit, Window: window}
}

// driven opens a store whose clock stands, but for what at makes it.
func driven(t *testing.T, o Options) (s *Store, at func(time.Time)) {
	var now atomic.Int64
	o.Timeout, o.clock = time.Second, func() time.Time { return time.UnixMicro(now.Load()) }
	return open(t, o), func(to time.Time) { now.Store(to.UnixMicro()) }
}

func TestTakes(t *testing.T) {
	server := redistest.Start(t)
	storetest.Takes(t, func(t *testing.T) (store.Store, func(time.Time)) {
		server.Do("FLUSHALL")
		return driven(t, Options{Address: server.Address, Prefix: "test:"})
	})
}

func BenchmarkTake(b *testing.B) {
	server := redistest.Start(b)
	s := open(b, Options{Address: server.Address, Timeout: time.Second})
	for _, n := range []int{1, 3} {
		b.Run(fmt.Sprintf("takes=%d", n), func(b *testing.B) {
			var keys [1024]string
			for i := range keys {
				keys[i] = fmt.Sprint("user:", i, strings.Repeat("x", 20))
			}
			work := func(i int64, takes []store.Take) {
				for j := range takes {
					takes[j] = store.Take{Name: "limit", Key: keys[(i*7+int64(j)*13)%1024], Rule: sliding(1000, time.Minute), Cost: 1}
				}
				if err := s.Take(b.Context(), time.Time{}, takes); err != nil {
					b.Error(err)
				}
			}
			b.Run("one", func(b *testing.B) {
				b.ReportAllocs()
				takes, i := make([]store.Take, n), int64(0)
				for b.Loop() {
					i++
					work(i, takes)
				}
			})
			b.Run("64", func(b *testing.B) {
				b.ReportAllocs()
				b.SetParallelism(32)
				var next atomic.Int64
				b.RunParallel(func(p *testing.PB) {
					takes := make([]store.Take, n)
					for p.Next() {
						work(next.Add(1), takes)
					}
				})
			})
		})
	}
}
