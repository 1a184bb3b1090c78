package memory

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"yett/internal/store"
)

const million = 1_000_000

// heap is what is in use when all garbage is gone.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// fill spends for each key that many times, a millisecond apart.
func fill(tb testing.TB, s *Store, keys, times int, r store.Rule) {
	now := time.Now()
	takes, text := []store.Take{{Name: "limit", Rule: r, Cost: 1}}, make([]byte, 16)
	for n := range times {
		for key := range keys {
			takes[0].Key = userKey(text, key)
			if err := s.Take(tb.Context(), now.Add(time.Duration(n)*time.Millisecond), takes); err != nil {
				tb.Fatal(err)
			}
		}
	}
}

var perMinute = store.Rule{Limit: 60, Window: time.Minute}

// BenchmarkMemory measures what a key takes, all included: bytes/key. With many
// spendings all blocks are used.
func BenchmarkMemory(b *testing.B) {
	for _, times := range []int{1, 3, 10} {
		b.Run(fmt.Sprint("spendings=", times), func(b *testing.B) {
			for b.Loop() {
				before := heap()
				s := New(Options{Keys: million})
				fill(b, s, million, times, perMinute)
				b.ReportMetric(float64(heap()-before)/million, "bytes/key")
				if u := s.Usage(); u.Keys != million {
					b.Errorf("%+v", u)
				}
			}
		})
	}
}

// BenchmarkTake measures a call. The clock goes on by a microsecond with each.
func BenchmarkTake(b *testing.B) {
	b.Run("one key", func(b *testing.B) { benchmark(b, New(Options{}), 1, 1, perMinute) })
	b.Run("one key with a block", func(b *testing.B) {
		benchmark(b, New(Options{}), 1, 1, store.Rule{Limit: 60, Window: time.Millisecond})
	})
	b.Run("two takes with blocks", func(b *testing.B) {
		benchmark(b, New(Options{}), 1000, 2, store.Rule{Limit: 1e9, Window: 15 * time.Minute})
	})
	b.Run("refused", func(b *testing.B) {
		s := New(Options{})
		fill(b, s, 1, 60, perMinute)
		benchmark(b, s, 1, 1, store.Rule{Limit: 30, Window: time.Hour})
	})
	s := New(Options{Keys: million})
	fill(b, s, million, 1, perMinute)
	b.Run("million keys", func(b *testing.B) { benchmark(b, s, million, 1, perMinute) })
	b.Run("million keys, three takes", func(b *testing.B) { benchmark(b, s, million, 3, perMinute) })
	b.Run("million keys, parallel", func(b *testing.B) { benchmarkParallel(b, s) })
	b.Run("flood", func(b *testing.B) { benchmarkFlood(b, New(Options{Keys: million})) })
}

// userKey writes the key number n. What a request asks with is in the cache too.
func userKey(b []byte, n int) string {
	b = strconv.AppendInt(append(b[:0], "user-"...), int64(n), 10)
	return unsafe.String(&b[0], len(b))
}

func benchmark(b *testing.B, s *Store, keys, n int, r store.Rule) {
	b.ReportAllocs()
	now, random := time.Now(), rand.New(rand.NewPCG(1, 1))
	takes, texts := make([]store.Take, n), make([][16]byte, n)
	for b.Loop() {
		for i := range takes {
			takes[i] = store.Take{Name: "limit", Key: userKey(texts[i][:], random.IntN(keys)), Rule: r, Cost: 1}
		}
		now = now.Add(time.Microsecond)
		if err := s.Take(context.Background(), now, takes); err != nil {
			b.Fatal(err)
		}
	}
}

func benchmarkParallel(b *testing.B, s *Store) {
	b.ReportAllocs()
	now := time.Now()
	var seed atomic.Uint64
	b.RunParallel(func(p *testing.PB) {
		random := rand.New(rand.NewPCG(seed.Add(1), 1))
		takes, text := make([]store.Take, 1), make([]byte, 16)
		for p.Next() {
			takes[0] = store.Take{Name: "limit", Key: userKey(text, random.IntN(million)), Rule: perMinute, Cost: 1}
			if err := s.Take(context.Background(), now, takes); err != nil {
				b.Error(err)
			}
		}
	})
}

// benchmarkFlood asks with a new key each time, when the store is full.
func benchmarkFlood(b *testing.B, s *Store) {
	b.ReportAllocs()
	now := time.Now()
	takes, key := make([]store.Take, 1), make([]byte, 8)
	flood := func(i int) {
		binary.LittleEndian.PutUint64(key, uint64(i))
		takes[0] = store.Take{Name: "limit", Key: unsafe.String(&key[0], 8), Rule: perMinute, Cost: 1}
		if err := s.Take(context.Background(), now, takes); err != nil {
			b.Fatal(err)
		}
	}
	i := 0
	for ; s.Usage().Dropped < 1000; i += 1000 {
		for n := range 1000 {
			flood(i + n)
		}
	}
	b.ResetTimer()
	for b.Loop() {
		i++
		flood(i)
	}
}
