package redis

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"yett/internal/store"
	"yett/internal/store/redis/redistest"
)

func sliding(limit int64, window time.Duration) store.Rule {
	return store.Rule{Algorithm: store.SlidingWindow, Limit: limit, Window: window}
}

func TestTakeOnce(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, Options{Address: server.Address, Prefix: "test:", Timeout: time.Second})
	for i := range 5 {
		takes := []store.Take{{Name: "l", Key: "k", Rule: sliding(3, time.Minute), Cost: 1}}
		if err := s.Take(t.Context(), time.Now(), takes); err != nil {
			t.Fatal(err)
		}
		fmt.Printf("%d %+v\n", i, takes[0])
	}
	fmt.Println(server.Do("KEYS", "*"), server.Do("MEMORY", "USAGE", "test:limit:l:{k}"), server.Do("PTTL", "test:limit:l:{k}"))
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
