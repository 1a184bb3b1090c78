package main

import (
	"encoding/json"
	"slices"
	"testing"
	"time"
)

func TestSpreadOf(t *testing.T) {
	tests := []struct {
		values []float64
		want   spread
	}{
		{[]float64{3}, spread{3, 3, 3}},
		{[]float64{3, 1, 2}, spread{2, 1, 3}},
		{[]float64{4, 1, 2, 3}, spread{2.5, 1, 4}},
		{[]float64{1, 1, 100}, spread{1, 1, 100}},
	}
	for _, test := range tests {
		if got := spreadOf(test.values); got != test.want {
			t.Errorf("spreadOf(%v) = %v, want %v", test.values, got, test.want)
		}
	}
}

func TestRatiosPairRounds(t *testing.T) {
	// The machine is twice as slow in the second round: the ratio stays.
	got := ratios([]float64{9, 18}, []float64{10, 20})
	if want := []float64{0.9, 0.9}; !slices.Equal(got, want) {
		t.Errorf("ratios = %v, want %v", got, want)
	}
}

func TestSpreadInJSON(t *testing.T) {
	in := spread{Median: 1.25, Min: -0.5, Max: 1e9}
	data, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	var out spread
	if err := json.Unmarshal(data, &out); err != nil || out != in {
		t.Errorf("%s is read as %v, %v", data, out, err)
	}
}

func TestOrder(t *testing.T) {
	want := [][]int{{0, 1, 2}, {1, 2, 0}, {2, 0, 1}, {0, 1, 2}}
	for round := range want {
		if got := order(round, 3); !slices.Equal(got, want[round]) {
			t.Errorf("order(%d, 3) = %v, want %v", round, got, want[round])
		}
	}
}

func TestQuieterHalf(t *testing.T) {
	rounds := [][]window{
		{{Requests: 1, Foreign: 0.5}, {Requests: 2, Foreign: 0.1}, {Requests: 3, Foreign: 0.3}},
		{{Requests: 4, Foreign: 0.5}, {Requests: 5, Foreign: 0.1}, {Requests: 6, Foreign: 0.3}},
	}
	got := quieterHalf(rounds)
	for i, want := range [][]int64{{2, 3}, {5, 6}} {
		var kept []int64
		for _, w := range got[i] {
			kept = append(kept, w.Requests)
		}
		if !slices.Equal(kept, want) {
			t.Errorf("subject %d: kept rounds %v, want %v", i, kept, want)
		}
	}
	if rounds[0][0].Requests != 1 {
		t.Error("the argument was reordered")
	}
}

func TestHistogramClasses(t *testing.T) {
	last := -1
	for _, v := range []uint64{0, 1, 31, 32, 33, 63, 64, 65, 127, 128, 1000, 1 << 20, 1<<63 - 1} {
		class := classOf(v)
		if class < last {
			t.Errorf("class of %d is %d, below %d of a smaller value", v, class, last)
		}
		last = class
		floor := floorOf(class)
		if floor > v || v-floor > v/subClasses {
			t.Errorf("class of %d begins at %d", v, floor)
		}
	}
	if class := classOf(1<<63 - 1); class >= maxClasses {
		t.Errorf("class %d of the longest duration is beyond the table", class)
	}
}

func TestHistogramQuantile(t *testing.T) {
	var h histogram
	if got := h.quantile(0.5); got != 0 {
		t.Errorf("quantile of nothing = %v", got)
	}
	for i := range 1000 {
		h.add(time.Duration(i+1) * time.Microsecond)
	}
	for q, want := range map[float64]time.Duration{
		0:    time.Microsecond,
		0.5:  500 * time.Microsecond,
		0.99: 990 * time.Microsecond,
		1:    1000 * time.Microsecond,
	} {
		got := h.quantile(q)
		if diff := (got - want).Abs(); diff > want/subClasses {
			t.Errorf("quantile(%v) = %v, want about %v", q, got, want)
		}
	}
}
