package breaker

import (
	"testing"
	"time"
)

var inRow = Settings{ConsecutiveFailures: 5, OpenFor: time.Second, OpenMost: time.Minute, Probes: 1, Successes: 2}

var withRatios = Settings{
	ConsecutiveFailures: 5, FailureRatio: 0.5, SlowCall: time.Second, SlowRatio: 0.5, Window: 10 * time.Second, MinRequests: 20,
	OpenFor: time.Second, OpenMost: time.Minute, Probes: 1, Successes: 2,
}

var benched = map[string]Settings{"in a row": inRow, "with ratios": withRatios}

// pass lets one request through, which succeeds.
func pass(b *Breaker, now time.Time) {
	if t, ok := b.Admit(now); ok {
		b.Record(t, Success, time.Millisecond, now)
	}
}

func BenchmarkClosed(bench *testing.B) {
	for name, s := range benched {
		bench.Run(name, func(bench *testing.B) {
			b := New(s, nil)
			now := time.Now()
			bench.ReportAllocs()
			for bench.Loop() {
				now = now.Add(time.Microsecond)
				pass(b, now)
			}
		})
		bench.Run(name+", parallel", func(bench *testing.B) {
			b := New(s, nil)
			bench.ReportAllocs()
			bench.RunParallel(func(pb *testing.PB) {
				now := time.Now()
				for pb.Next() {
					now = now.Add(time.Microsecond)
					pass(b, now)
				}
			})
		})
	}
}

// A request that is refused while the pause lasts.
func BenchmarkOpen(bench *testing.B) {
	b := New(inRow, nil)
	now := time.Now()
	b.Hold(Open, now.Add(time.Hour), "", now)
	bench.ReportAllocs()
	bench.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, ok := b.Admit(now); ok {
				bench.Error("admitted")
			}
		}
	})
}

func TestNothingIsAllocated(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector allocates")
	}
	for name, s := range benched {
		b := New(s, nil)
		now := time.Now()
		if n := testing.AllocsPerRun(1000, func() { now = now.Add(time.Millisecond); pass(b, now) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
		b.Hold(Open, time.Time{}, "", now)
		if n := testing.AllocsPerRun(1000, func() { b.Admit(now); b.Ready(now); b.Wait(now) }); n != 0 {
			t.Errorf("%s, open: %v allocations", name, n)
		}
	}
}
