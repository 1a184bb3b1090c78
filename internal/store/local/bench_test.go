package local

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"yett/internal/store"
	"yett/internal/store/memory"
	"yett/internal/store/redis"
	"yett/internal/store/redis/redistest"
)

// BenchmarkTake compares the stores: what a call takes of both processes' CPU, and how long it
// takes, with one caller and with 64.
func BenchmarkTake(b *testing.B) {
	own := start(b, "", false)
	server := redistest.Start(b)
	over, err := redis.Open(b.Context(), redis.Options{Address: server.Address, Timeout: 5 * time.Second})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(over.Close)
	here := memory.New(memory.Options{})
	b.Cleanup(here.Close)
	for _, callers := range []int{1, 64} {
		for _, s := range []struct {
			name string
			store.Store
			pid int
		}{{"memory", here, 0}, {"local", open(b, own.path), own.cmd.Process.Pid}, {"redis", over, server.PID()}} {
			b.Run(fmt.Sprintf("%s/callers=%d", s.name, callers), func(b *testing.B) {
				benchmark(b, s.Store, s.pid, callers)
			})
		}
	}
}

func benchmark(b *testing.B, s store.Store, pid, callers int) {
	b.ReportAllocs()
	var left atomic.Int64
	left.Store(int64(b.N))
	took := make([][]time.Duration, callers)
	var wg sync.WaitGroup
	before := used(b, pid)
	b.ResetTimer()
	for i := range callers {
		wg.Go(func() {
			takes := []store.Take{{Name: "limit", Key: fmt.Sprint("user ", i), Rule: store.Rule{Limit: 1e9, Window: time.Minute}, Cost: 1}}
			for n := int64(0); left.Add(-1) >= 0; n++ {
				begun := time.Now()
				if err := s.Take(b.Context(), begun, takes); err != nil {
					b.Error(err)
					return
				}
				if n%16 == 0 {
					took[i] = append(took[i], time.Since(begun))
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	if b.Failed() {
		return
	}
	b.ReportMetric(float64(used(b, pid)-before)/float64(b.N), "cpu-ns/op")
	all := slices.Concat(took...)
	slices.Sort(all)
	b.ReportMetric(float64(all[len(all)/2]), "p50-ns")
	b.ReportMetric(float64(all[len(all)*99/100]), "p99-ns")
}

// used is the CPU time of this process and of another one, in nanoseconds.
func used(b *testing.B, pid int) int64 {
	var own syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &own); err != nil {
		b.Fatal(err)
	}
	sum := own.Utime.Nano() + own.Stime.Nano()
	if pid == 0 {
		return sum
	}
	// The times of all threads to the nanosecond are in schedstat.
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		b.Fatal(err)
	}
	for _, thread := range threads {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/schedstat", pid, thread.Name()))
		if err == nil {
			ns, _ := strconv.ParseInt(strings.Fields(string(text))[0], 10, 64)
			sum += ns
		}
	}
	return sum
}
