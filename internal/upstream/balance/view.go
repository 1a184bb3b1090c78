package balance

import (
	"cmp"
	"math"
	"slices"
)

// view is what Pick needs to know, as of one moment. It is never written again.
type view struct {
	until  int64 // ticks: from then on it is out of date
	slots  []slot
	equal  bool // all have the same weight
	panics bool
	room   bool // whether one more may be ejected

	turns []int32 // RoundRobin: slots, in the order of their turns

	ring    *ring    // Hash
	holders []holder // by the ring's owners
}

// slot is one target that may be picked. keep and other say how to draw by weight: of
// all slots one is as likely as the other, and whoever falls into the part of it above
// keep takes other instead (the alias method of Walker and Vose).
type slot struct {
	node   *Node
	weight int64 // in twentieths
	keep   uint32
	other  int32
}

// newView computes the view. Nodes have been stepped to that moment.
func newView(set *Settings, nodes []*Node, r *ring, t int64) *view {
	v := &view{until: never, ring: r}
	targets, well, ejected := 0, 0, 0
	for _, n := range nodes {
		targets += count(!n.draining)
		well += count(n.well())
		ejected += count(n.ejected)
	}
	v.panics = set.panics(well, targets)
	v.room = ejected < set.mayEject(targets)
	v.slots = make([]slot, 0, targets)
	shares := make([]int64, len(nodes))
	for i, n := range nodes {
		share, next := n.share(t, set.SlowStart)
		if n.ejected {
			next = n.until
		}
		v.until = min(v.until, next)
		if v.panics {
			share = wholeShare
		}
		used := n.well() || v.panics && !n.draining
		n.usable.Store(used)
		if used {
			shares[i] = share
			v.slots = append(v.slots, slot{node: n, weight: n.weight.Load() * share})
		}
	}
	v.prepare(set, nodes, shares)
	return v
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}

// prepare makes what the algorithm needs.
func (v *view) prepare(set *Settings, nodes []*Node, shares []int64) {
	switch set.Algorithm {
	case RoundRobin:
		v.turns = turns(v.slots)
	case Hash:
		v.holders = v.ring.holders(nodes, shares, set.LoadFactor)
	}
	v.equal = true
	for i := range v.slots {
		v.equal = v.equal && v.slots[i].weight == v.slots[0].weight
	}
	v.alias()
}

// alias fills in keep and other: each slot that is too light for its place is filled up by
// one that is too heavy.
func (v *view) alias() {
	sum := 0.0
	for i := range v.slots {
		sum += float64(v.slots[i].weight)
	}
	var light, heavy []int
	part := make([]float64, len(v.slots))
	for i := range v.slots {
		v.slots[i].keep, v.slots[i].other = math.MaxUint32, int32(i)
		part[i] = float64(v.slots[i].weight) / sum * float64(len(v.slots))
		if part[i] < 1 {
			light = append(light, i)
		} else {
			heavy = append(heavy, i)
		}
	}
	for len(light) > 0 && len(heavy) > 0 {
		l, h := light[len(light)-1], heavy[len(heavy)-1]
		light = light[:len(light)-1]
		v.slots[l].keep, v.slots[l].other = uint32(part[l]*math.MaxUint32), int32(h)
		if part[h] -= 1 - part[l]; part[h] < 1 {
			heavy = heavy[:len(heavy)-1]
			light = append(light, h)
		}
	}
}

// mostTurns is how many turns are planned at most. When weights ask for more they are
// rounded.
const mostTurns = 8192

// turns plans one round of RoundRobin. Each target has as many turns as its weight, evenly
// over the round.
func turns(slots []slot) []int32 {
	type turn struct {
		at   float64
		slot int32
	}
	var round []turn
	for i, w := range reduced(slots) {
		for k := range w {
			round = append(round, turn{(float64(k) + 0.5) / float64(w), int32(i)})
		}
	}
	slices.SortFunc(round, func(a, b turn) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.slot, b.slot))
	})
	out := make([]int32, len(round))
	for i := range round {
		out[i] = round[i].slot
	}
	return out
}

// reduced returns the smallest weights of the same proportions, and at most mostTurns in
// sum, or one for each.
func reduced(slots []slot) []int64 {
	out := make([]int64, len(slots))
	divisor, sum := int64(0), int64(0)
	for i := range slots {
		divisor = gcd(slots[i].weight, divisor)
		sum += slots[i].weight
	}
	for i := range slots {
		out[i] = slots[i].weight / divisor
		if sum/divisor > mostTurns {
			out[i] = max(1, int64(math.Round(float64(slots[i].weight)*mostTurns/float64(sum))))
		}
	}
	return out
}

func gcd(a, b int64) int64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
