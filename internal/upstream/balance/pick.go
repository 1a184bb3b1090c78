package balance

import (
	"math/rand/v2"
	"slices"
)

// leastRequests draws two different targets by weight and takes the less loaded one. There
// are two at least.
func (v *view) leastRequests(tried []*Node) *Node {
	if len(tried) > 0 {
		if a := v.untried(tried); a >= 0 {
			return v.better(a, v.untried(tried))
		}
	}
	r := rand.Uint64()
	a := v.draw(uint32(r))
	return v.better(a, v.drawOther(a, uint32(r>>32)))
}

// better returns the first of two slots, unless the second has less to do: with the request
// on top it would have no more for its weight than the first has already. So targets
// without much to do get what was drawn, which is by weight, and busy ones are compared.
func (v *view) better(a, b int) *Node {
	first, second := &v.slots[a], &v.slots[b]
	if (second.node.inFlight.Load()+1)*first.weight <= first.node.inFlight.Load()*second.weight {
		return second.node
	}
	return first.node
}

// draw makes a slot of random bits, by weight.
func (v *view) draw(random uint32) int {
	p := uint64(random) * uint64(len(v.slots))
	i := int(p >> 32)
	if s := &v.slots[i]; uint32(p) > s.keep {
		return int(s.other)
	}
	return i
}

// drawOther draws another slot than that one. When nearly all the weight is there and a
// few draws find no other, any will do.
func (v *view) drawOther(than int, random uint32) int {
	if len(v.slots) == 2 {
		return 1 - than
	}
	for tries := 0; tries < 3 && !v.equal; tries++ {
		if i := v.draw(random); i != than {
			return i
		}
		random = rand.Uint32()
	}
	i := int(uint64(random) * uint64(len(v.slots)-1) >> 32)
	if i >= than {
		i++
	}
	return i
}

// untried draws one of the slots that have not been tried, by weight; -1 when all have.
func (v *view) untried(tried []*Node) int {
	sum := int64(0)
	for i := range v.slots {
		if !slices.Contains(tried, v.slots[i].node) {
			sum += v.slots[i].weight
		}
	}
	if sum == 0 {
		return -1
	}
	left := rand.Int64N(sum)
	for i := range v.slots {
		if slices.Contains(tried, v.slots[i].node) {
			continue
		}
		if left -= v.slots[i].weight; left < 0 {
			return i
		}
	}
	return -1
}

// inTurn returns the target whose turn it is.
func (v *view) inTurn(turn uint32) *Node {
	return v.slots[v.turns[turn%uint32(len(v.turns))]].node
}

const (
	// mostFull is how many places of full targets a key passes on the ring, and mostPlaces
	// how many places at all. Then it goes to the least loaded target. So many places are only
	// passed when what may be used has less than a thousandth of all weight.
	mostFull   = 32
	mostPlaces = 4096
)

// byHash returns the first target on the ring that has room. Having been tried is
// worse than having no room.
func (v *view) byHash(key uint64, tried []*Node) *Node {
	if len(tried) > 0 && v.allIn(tried) {
		tried = nil
	}
	points, i := v.ring.points, v.ring.find(key)
	for places, full := 0, 0; places < mostPlaces && full < mostFull; places++ {
		p := &points[i]
		if i++; i == len(points) {
			i = 0
		}
		h := &v.holders[p.owner]
		if p.nth >= h.points || len(tried) > 0 && slices.Contains(tried, h.node) {
			continue
		}
		if v.hasRoom(h) {
			return h.node
		}
		full++
	}
	return v.leastLoaded(tried)
}

// allIn tells whether all that may be picked have been tried.
func (v *view) allIn(tried []*Node) bool {
	for i := range v.slots {
		if !slices.Contains(tried, v.slots[i].node) {
			return false
		}
	}
	return true
}

// hasRoom tells whether a target may get one more request: with it, at most its part of
// all requests in flight, this one included, times the factor, rounded up. Targets are
// only looked at until there are enough requests.
func (v *view) hasRoom(h *holder) bool {
	has := h.node.inFlight.Load()
	if has == 0 {
		return true
	}
	least, all := float64(has)*h.perRequest, int64(1)
	for i := range v.slots {
		if float64(all) > least {
			return true
		}
		all += v.slots[i].node.inFlight.Load()
	}
	return float64(all) > least
}

// leastLoaded returns the target with the least in flight for its weight, of those that
// have not been tried. There is one. When any has room, that one has.
func (v *view) leastLoaded(tried []*Node) *Node {
	var best *slot
	var bestHas int64
	for i := range v.slots {
		s := &v.slots[i]
		if slices.Contains(tried, s.node) {
			continue
		}
		has := s.node.inFlight.Load()
		if best == nil || has*best.weight < bestHas*s.weight {
			best, bestHas = s, has
		}
	}
	return best.node
}
