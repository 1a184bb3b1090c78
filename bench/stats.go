package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
)

// spread is a median and the range around it. In JSON it is an array of the three.
type spread struct{ Median, Min, Max float64 }

// MarshalJSON implements json.Marshaler. Six digits are more than was measured.
func (s spread) MarshalJSON() ([]byte, error) {
	return fmt.Appendf(nil, "[%.6g,%.6g,%.6g]", s.Median, s.Min, s.Max), nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (s *spread) UnmarshalJSON(data []byte) error {
	var three [3]float64
	if err := json.Unmarshal(data, &three); err != nil {
		return fmt.Errorf("read spread: %w", err)
	}
	*s = spread{Median: three[0], Min: three[1], Max: three[2]}
	return nil
}

// spreadOf summarises at least one value.
func spreadOf(values []float64) spread {
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	median := sorted[middle]
	if len(sorted)%2 == 0 {
		median = (sorted[middle-1] + sorted[middle]) / 2
	}
	return spread{Median: median, Min: sorted[0], Max: sorted[len(sorted)-1]}
}

// ratios divides pairwise. Both values of a pair are from the same round, so a
// machine that gets slower from round to round cancels out.
func ratios(values, base []float64) []float64 {
	out := make([]float64, len(values))
	for i := range values {
		out[i] = values[i] / base[i]
	}
	return out
}

// differences subtracts pairwise, as ratios divides.
func differences(values, base []float64) []float64 {
	out := make([]float64, len(values))
	for i := range values {
		out[i] = values[i] - base[i]
	}
	return out
}

// order returns the order of n subjects in a round: A B C, then B C A, and so on.
func order(round, n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = (round + i) % n
	}
	return out
}

// quieterHalf returns, by subject, the half of the rounds in which strangers
// took the least time from the cores. The measured costs have no part in the
// choice.
func quieterHalf(rounds [][]window) [][]window {
	out := make([][]window, len(rounds))
	for i, windows := range rounds {
		// All subjects have the same share in a round, so the same rounds are
		// chosen for all.
		sorted := slices.SortedStableFunc(slices.Values(windows), func(a, b window) int {
			return cmp.Compare(a.Foreign, b.Foreign)
		})
		out[i] = sorted[:(len(sorted)+1)/2]
	}
	return out
}

// column applies f to every element.
func column[T any](rows []T, f func(T) float64) []float64 {
	out := make([]float64, len(rows))
	for i, row := range rows {
		out[i] = f(row)
	}
	return out
}
