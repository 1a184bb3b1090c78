package balance

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
)

// placed returns the names of the targets of many keys.
func placed(w *world) []string {
	out := make([]string, 20_000)
	for i := range out {
		out[i] = w.Pick(Key("user", fmt.Sprint(i)), true, nil, w.now).Name
	}
	return out
}

func moved(a, b []string) (part float64) {
	for i := range a {
		if a[i] != b[i] {
			part++
		}
	}
	return part / float64(len(a))
}

func TestHashMovesFewKeys(t *testing.T) {
	w := newWorld(t, Settings{Algorithm: Hash}, same(10))
	ten, before := w.nodes, placed(w)
	w.Update(append(slices.Clone(ten), NewNode("10.0.1.1:80", 1)))
	added := placed(w)
	if part := moved(before, added); part < 0.06 || part > 0.13 {
		t.Errorf("one more than ten moves %.3f", part)
	}
	for i := range added {
		if added[i] != before[i] && added[i] != "10.0.1.1:80" {
			t.Fatal("a key moves between two old targets")
		}
	}
	w.Update(ten[1:])
	gone := placed(w)
	for i := range gone {
		if gone[i] != before[i] && before[i] != ten[0].Name {
			t.Fatal("a key of a target that stays moves")
		}
	}
	// One that is out is as one that is gone, and when it is back all is as before.
	w = newWorld(t, Settings{Algorithm: Hash}, same(10))
	w.SetHealthy(w.nodes[0], false, "", w.now)
	if moved(gone, placed(w)) != 0 {
		t.Error("without one that is down keys lie elsewhere than without it")
	}
	w.SetHealthy(w.nodes[0], true, "", w.now)
	if moved(before, placed(w)) != 0 {
		t.Error("keys have not come back")
	}
}

// All nodes of a cluster agree, whatever order they know the targets in.
func TestHashAgrees(t *testing.T) {
	w := newWorld(t, Settings{Algorithm: Hash}, nodes(1, 2, 3, 4, 5))
	before := placed(w)
	other := nodes(1, 2, 3, 4, 5)
	slices.Reverse(other)
	if moved(before, placed(newWorld(t, Settings{Algorithm: Hash}, other))) != 0 {
		t.Error("another order, another ring")
	}
	if got := before[:5]; !slices.Equal(got, []string{"10.0.0.3:80", "10.0.0.2:80", "10.0.0.5:80", "10.0.0.5:80", "10.0.0.1:80"}) {
		t.Errorf("%q: older versions in the cluster have another ring", got)
	}
}

func TestRingFind(t *testing.T) {
	for _, n := range []int{1, 2, 7, 100} {
		r := newRing(same(n))
		for i := range uint64(10_000) {
			key := scramble(i)
			if i < 2 {
				key = i * math.MaxUint64 // the ends
			}
			want := slices.IndexFunc(r.points, func(p point) bool { return p.hash >= key })
			if got := r.find(key); got != max(want, 0) {
				t.Fatalf("%d targets, key %x: point %d, want %d", n, key, got, want)
			}
		}
	}
}

func TestRingIsBounded(t *testing.T) {
	weights := make([]int, 300)
	for i := range weights {
		weights[i] = 1 + i%2*(MostWeight-1)
	}
	r := newRing(nodes(weights...))
	if len(r.points) > mostPoints+len(weights) || r.counts[0] < 1 || r.counts[1] < 400 {
		t.Errorf("%d points, %d for weight 1, %d for %d", len(r.points), r.counts[0], r.counts[1], MostWeight)
	}
}

// The bound holds with all keys the same, and each time the next target gets what is left over.
func TestBoundedLoad(t *testing.T) {
	for _, c := range []struct {
		factor  float64
		weights []int
		most    []int // after 100 requests of one key
	}{
		{1.25, []int{1, 1, 1, 1}, []int{32, 32, 32, 32}},
		{1, []int{1, 1, 1, 1}, []int{25, 25, 25, 25}},
		{0.1, []int{1, 1, 1, 1}, []int{25, 25, 25, 25}}, // as 1: less is not possible
		{2, []int{3, 1}, []int{100, 50}},
		{1.25, []int{3, 1}, []int{94, 32}},
		{0, []int{1, 1}, []int{100, 100}},
	} {
		w := newWorld(t, Settings{Algorithm: Hash, LoadFactor: c.factor}, nodes(c.weights...))
		for range 100 {
			w.Pick(Key("hot"), true, nil, w.now).Begin()
		}
		full := 0
		for i, n := range w.nodes {
			if n.InFlight() > c.most[i] {
				t.Errorf("factor %v, weights %v: target %d has %d, at most %d", c.factor, c.weights, i, n.InFlight(), c.most[i])
			}
			if n.InFlight() >= c.most[i]-1 {
				full++
			}
		}
		if full == 0 {
			t.Errorf("factor %v, weights %v: nobody has what it may have", c.factor, c.weights)
		}
	}
}

// However full the ring is, somebody has room, and is found.
func TestBoundedLoadWhenNearlyAllAreFull(t *testing.T) {
	w := newWorld(t, Settings{Algorithm: Hash, LoadFactor: 1}, append(same(200), NewNode("small", 1)))
	for _, n := range w.nodes[:200] {
		for range 10 {
			n.Begin()
		}
	}
	for key := range uint64(100) {
		if n := w.Pick(scramble(key), true, nil, w.now); n.Name != "small" {
			t.Fatalf("%s has %d in flight and gets one more", n.Name, n.InFlight())
		}
	}
}

func TestKey(t *testing.T) {
	texts := [][]string{{}, {""}, {"", ""}, {"a"}, {"a", ""}, {"", "a"}, {"ab", "c"}, {"a", "bc"}, {"abc"}, {"abcdefgh"}, {"abcdefgh", ""},
		{"abcdefg", "h"}, {"abcdefghi"}, {"\x00"}, {"\x00\x00"}, {"abcdefgh\x00"}, {strings.Repeat("\x00", 8)}, {strings.Repeat("\x00", 16)}}
	seen := map[uint64]int{}
	for i, parts := range texts {
		k := Key(parts...)
		if j, ok := seen[k]; ok {
			t.Errorf("%q has the key of %q", parts, texts[j])
		}
		seen[k] = i
	}
	if got := Key("api", "user-4711"); got != 0xc2365c2374bb69e3 {
		t.Errorf("%#x: keys differ from those of older versions", got)
	}
	// Each bit of a text turns half of the bits of its key.
	text := []byte("10.0.0.1:8080/some/path")
	base := Key(string(text))
	turned := make([]int, 64)
	for i := range text {
		for bit := range 8 {
			text[i] ^= 1 << bit
			diff := base ^ Key(string(text))
			text[i] ^= 1 << bit
			for b := range turned {
				turned[b] += int(diff >> b & 1)
			}
		}
	}
	for b, n := range turned {
		if part := float64(n) / float64(8*len(text)); part < 0.3 || part > 0.7 {
			t.Errorf("bit %d turns in %.2f of all cases", b, part)
		}
	}
}
