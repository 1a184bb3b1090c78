package balance

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"
)

var algorithms = map[string]Algorithm{"LeastRequests": LeastRequests, "RoundRobin": RoundRobin, "Hash": Hash}

func TestSharesFollowWeights(t *testing.T) {
	for name, algorithm := range algorithms {
		for _, weights := range [][]int{{1, 1}, {1, 1, 1}, {3, 1}, {1, 2, 3, 4}, {90, 10}, {1000, 1}, {7, 7, 7, 7, 1}} {
			t.Run(fmt.Sprint(name, weights), func(t *testing.T) {
				w := newWorld(t, Settings{Algorithm: algorithm, LoadFactor: 1.25}, nodes(weights...))
				sum, want := 0, []float64{}
				for _, x := range weights {
					sum += x
				}
				for _, x := range weights {
					want = append(want, float64(x)/float64(sum))
				}
				off := 0.01
				if algorithm == Hash {
					off = 0.06 // points are where they are
				}
				near(t, "idle", w.shares(100_000), want, off)
			})
		}
	}
}

// With requests in flight, the shares are as well by weight when all targets are as quick.
func TestLeastRequestsSharesUnderLoad(t *testing.T) {
	for _, perSecond := range []float64{10, 100, 1000, 10_000} {
		for _, weights := range [][]int{{1, 1, 1}, {3, 1}, {1, 2, 3, 4}, {10, 1, 1}} {
			w := newWorld(t, Settings{}, nodes(weights...))
			s := newSim(w, func(*Node) time.Duration { return 20 * time.Millisecond })
			sum, want := 0, []float64{}
			for _, x := range weights {
				sum += x
			}
			for _, x := range weights {
				want = append(want, float64(x)/float64(sum))
			}
			got := s.run(time.Duration(40_000/perSecond)*time.Second, perSecond)
			near(t, fmt.Sprint(weights, " at ", perSecond, "/s"), got, want, 0.05)
		}
	}
}

// A slow target gets less by itself, without being ejected.
func TestLeastRequestsAvoidsTheBusy(t *testing.T) {
	w := newWorld(t, Settings{}, same(3))
	s := newSim(w, func(n *Node) time.Duration {
		if n == w.nodes[0] {
			return 200 * time.Millisecond
		}
		return 20 * time.Millisecond
	})
	if got := s.run(20*time.Second, 1000)[0]; got > 0.08 {
		t.Errorf("the slow one of three has %.3f", got)
	}
	for i := range w.nodes { // and one that hangs nothing at all
		w := newWorld(t, Settings{}, same(3))
		for range 10 {
			w.nodes[i].Begin()
		}
		if got := w.shares(3000)[i]; got > 0 {
			t.Errorf("the one that hangs has %.3f", got)
		}
	}
}

func TestRoundRobinOrder(t *testing.T) {
	for _, c := range []struct {
		weights, want []int
	}{
		{[]int{1, 1, 1}, []int{0, 1, 2}},
		{[]int{2, 1}, []int{0, 1, 0}},
		{[]int{5, 5}, []int{0, 1}},
		{[]int{4, 2, 2}, []int{0, 1, 2, 0}},
	} {
		w := newWorld(t, Settings{Algorithm: RoundRobin}, nodes(c.weights...))
		w.turn.Store(math.MaxUint32)
		for i := range 12 {
			if got := slices.Index(w.nodes, w.pick()); got != c.want[i%len(c.want)] {
				t.Errorf("weights %v: turn %d is %d's, want %d", c.weights, i, got, c.want[i%len(c.want)])
			}
		}
	}
}

// However large weights are, a plan has an end, and everybody is in it.
func TestRoundRobinPlanIsBounded(t *testing.T) {
	weights := []int{}
	for i := range 100 {
		weights = append(weights, 1000-i*7)
	}
	w := newWorld(t, Settings{Algorithm: RoundRobin}, nodes(append(weights, 1)...))
	turns := w.view.Load().turns
	if len(turns) > mostTurns+len(w.nodes) {
		t.Errorf("%d turns", len(turns))
	}
	if got := w.shares(len(turns)); got[0] < 0.012 || got[0] > 0.018 || got[100] == 0 {
		t.Errorf("shares %.4f", got)
	}
}

func TestPickEdges(t *testing.T) {
	for name, algorithm := range algorithms {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, Settings{Algorithm: algorithm, LoadFactor: 1.25}, nil)
			for _, keyed := range []bool{true, false} {
				if n := w.Pick(1, keyed, nil, w.now); n != nil {
					t.Error("a target where there are none")
				}
			}
			w.Update(same(1))
			only := w.nodes[0]
			w.SetHealthy(only, false, "status 503", w.now)
			if n := w.Pick(1, true, []*Node{only}, w.now); n != only {
				t.Error("the only one is not used")
			}
			w.Drain(only, "shut down", w.now)
			if n := w.Pick(1, true, nil, w.now); n != nil || w.Usable(only, w.now) {
				t.Error("a draining one is used")
			}
			w.Update([]*Node{only, nil, only}) // it stays out, and the list need not be tidy
			if n := w.Pick(1, true, nil, w.now); n != nil {
				t.Error("a draining one is used when named again")
			}
		})
	}
}

func TestTriedAreAvoided(t *testing.T) {
	for name, algorithm := range algorithms {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, Settings{Algorithm: algorithm, LoadFactor: 1.25}, nodes(1000, 1, 2, 1))
			w.SetHealthy(w.nodes[3], false, "status 503", w.now)
			for range 100 { // above its bound, and still better than what was tried
				w.nodes[1].Begin()
			}
			for key := range uint64(200) {
				tried := []*Node{w.nodes[0], w.nodes[2]}
				if n := w.Pick(scramble(key), true, tried, w.now); n != w.nodes[1] {
					t.Fatalf("picked %s", n.Name)
				}
				if n := w.Pick(scramble(key), true, w.nodes[:3], w.now); n == nil || n == w.nodes[3] {
					t.Fatalf("picked %v when all were tried", n)
				}
			}
			first := w.Pick(7, true, nil, w.now)
			if n := w.Pick(7, true, []*Node{first}, w.now); n == first || n == w.nodes[3] {
				t.Errorf("the second attempt goes to %s", n.Name)
			}
		})
	}
}

func TestPickAllocatesNothing(t *testing.T) {
	if raceDetector {
		t.Skip("allocations can't be counted")
	}
	for name, algorithm := range algorithms {
		w := newWorld(t, Settings{Algorithm: algorithm, LoadFactor: 1.25, EjectFailures: 1000, EjectSlow: 3, EjectFor: time.Second}, nodes(1, 2, 3))
		w.SetHealthy(w.nodes[0], false, "", w.now)
		w.SetHealthy(w.nodes[0], true, "", w.now)
		tried := w.nodes[:1]
		key := uint64(0)
		if n := testing.AllocsPerRun(1000, func() {
			key++
			w.after(time.Millisecond) // so that latencies are judged too
			n := w.Pick(scramble(key), key%2 == 0, nil, w.now)
			a := n.Begin()
			w.Record(a, Outcome(key%3), time.Millisecond, w.now)
			a.End()
			w.Pick(scramble(key), true, tried, w.now)
			w.Usable(n, w.now)
			Key("api", n.Name)
		}); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
