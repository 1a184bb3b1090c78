package telemetry

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// Buckets follow each other without a gap, and each is at most a sixteenth wide.
func TestBounds(t *testing.T) {
	if b := Bound(0); b != Shortest {
		t.Errorf("the first ends at %v", b)
	}
	for i := 1; i < Buckets-1; i++ {
		from, to := Bound(i-1), Bound(i)
		if to <= from || float64(to-from) > float64(from)/16 {
			t.Fatalf("bucket %d is from %v to %v", i, from, to)
		}
		for took, want := range map[time.Duration]int{from: i, to - 1: i, to: i + 1} {
			if got := bucketOf(took); got != want {
				t.Fatalf("%v is in %d, want %d", took, got, want)
			}
		}
	}
	if last := Bound(Buckets - 2); last < 100*time.Second || last > 110*time.Second {
		t.Errorf("times are told apart up to %v", last)
	}
	if b := Bound(Buckets - 1); b != math.MaxInt64 {
		t.Errorf("the last ends at %v", b)
	}
	for took, want := range map[time.Duration]int{-1: 0, 0: 0, Shortest - 1: 0, math.MaxInt64: Buckets - 1, math.MinInt64: 0} {
		if got := bucketOf(took); got != want {
			t.Errorf("%v is in %d, want %d", took, got, want)
		}
	}
}

// times makes samples of several shapes, all of them within what is told apart.
func times(r *rand.Rand) []time.Duration {
	all := make([]time.Duration, 1+r.IntN(3000))
	shape, centre := r.IntN(4), math.Exp(r.Float64()*10)
	for i := range all {
		var us float64
		switch shape {
		case 0:
			us = math.Exp(r.NormFloat64()) * centre
		case 1:
			us = r.ExpFloat64() * centre
		case 2:
			us = math.Exp(r.Float64() * 16)
		default: // two kinds of requests
			us = centre * (1 + r.Float64()/10 + float64(r.IntN(2))*100)
		}
		all[i] = min(max(time.Duration(us*1000), Shortest), 100*time.Second)
	}
	return all
}

// A quantile is within a sixteenth of what sorting all times finds.
func TestQuantileIsPrecise(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 25))
	for range 300 {
		all := times(r)
		l := histogram(all)
		slices.Sort(all)
		for _, q := range []float64{0, 0.01, 0.5, 0.9, 0.95, 0.99, 0.999, 1} {
			want := all[max(int(math.Ceil(q*float64(len(all))))-1, 0)]
			got := l.Quantile(q)
			if off := math.Abs(float64(got - want)); off > float64(want)/16 {
				t.Fatalf("quantile %v of %d times: %v, want %v: %.1f %% off", q, len(all), got, want, 100*off/float64(want))
			}
		}
		if l.Total() != uint64(len(all)) {
			t.Fatalf("%d of %d times", l.Total(), len(all))
		}
	}
}

func histogram(all []time.Duration) Latencies {
	l := Latencies{Counts: make([]uint64, Buckets)}
	for _, d := range all {
		l.Counts[bucketOf(d)]++
		l.Sum += uint64(d)
	}
	l.Counts = trimmed(l.Counts)
	return l
}

// What is beyond the buckets has its place too.
func TestQuantileAtTheEnds(t *testing.T) {
	for _, tt := range []struct {
		took     time.Duration
		from, to time.Duration
	}{
		{time.Microsecond, 0, Shortest}, {time.Hour, 100 * time.Second, 105 * time.Second},
	} {
		if got := histogram([]time.Duration{tt.took}).Quantile(0.5); got < tt.from || got > tt.to {
			t.Errorf("%v: %v", tt.took, got)
		}
	}
	var none Latencies
	if q, m := none.Quantile(0.5), none.Mean(); q != 0 || m != 0 {
		t.Errorf("none: %v, %v", q, m)
	}
	if m := histogram([]time.Duration{time.Millisecond, 3 * time.Millisecond}).Mean(); m != 2*time.Millisecond {
		t.Errorf("mean %v", m)
	}
}
