package balance

import (
	"cmp"
	"math/bits"
	"slices"
)

const (
	pointsPerWeight = 100
	// mostPoints is how many points a ring has at most. When weights ask for more, all
	// have half as many, or a quarter, and so on.
	mostPoints = 1 << 17
)

// ring is a circle of all 64 bit numbers with points on it, each of one target. A key
// belongs to the next point. Points come from names alone: all nodes of a cluster have the
// same ring, and a target that is added or gone moves no keys between others.
type ring struct {
	points []point
	counts []int32 // how many points each owner has
	// first is where to look: for numbers with the same first bits, the first point that
	// is not before them.
	first []int32
	shift uint
}

type point struct {
	hash  uint64
	owner int32 // index of the node
	nth   int32 // which of the owner's points
}

func newRing(nodes []*Node) *ring {
	r := &ring{counts: make([]int32, len(nodes))}
	shift := 0
	for sum := weights(nodes) * pointsPerWeight; sum>>shift > mostPoints; shift++ {
	}
	for i, n := range nodes {
		r.counts[i] = int32(max(1, n.weight.Load()*pointsPerWeight>>shift))
		base := Key(n.Name)
		for k := range r.counts[i] {
			r.points = append(r.points, point{scramble(base + uint64(k)*golden), int32(i), k})
		}
	}
	slices.SortFunc(r.points, func(a, b point) int {
		return cmp.Or(cmp.Compare(a.hash, b.hash), cmp.Compare(nodes[a.owner].Name, nodes[b.owner].Name), cmp.Compare(a.nth, b.nth))
	})
	r.index()
	return r
}

func weights(nodes []*Node) (sum int64) {
	for _, n := range nodes {
		sum += n.weight.Load()
	}
	return sum
}

// index has about as many places as there are points.
func (r *ring) index() {
	width := bits.Len(uint(len(r.points)))
	r.shift = uint(64 - width)
	r.first = make([]int32, 1<<width)
	next := 0
	for i := range r.first {
		for next < len(r.points) && r.points[next].hash < uint64(i)<<r.shift {
			next++
		}
		r.first[i] = int32(next)
	}
}

// find returns the index of the point to which a key belongs.
func (r *ring) find(key uint64) int {
	for i := int(r.first[key>>r.shift]); i < len(r.points); i++ {
		if r.points[i].hash >= key {
			return i
		}
	}
	return 0
}

// holder is an owner of points, as of one moment. One that is out holds none, and one in
// slow start only the first ones, so that keys come back to it one after the other.
type holder struct {
	node   *Node
	points int32
	// perRequest is how many requests have to be in flight for each of its own, for it to
	// get one more.
	perRequest float64
}

// holders computes who holds which points, given shares in twentieths.
func (r *ring) holders(nodes []*Node, shares []int64, factor float64) []holder {
	all := int64(0)
	for i, n := range nodes {
		all += n.weight.Load() * shares[i]
	}
	out := make([]holder, len(nodes))
	for i, n := range nodes {
		out[i].node = n
		if shares[i] == 0 {
			continue
		}
		out[i].points = int32(max(1, int64(r.counts[i])*shares[i]/wholeShare))
		if factor > 0 {
			out[i].perRequest = float64(all) / (float64(n.weight.Load()*shares[i]) * max(factor, 1))
		}
	}
	return out
}

// Key makes the key of a request, from what should keep it on one target. Parts are
// told apart: ("ab", "c") is another key than ("a", "bc"). It is the same in all
// processes and versions.
func Key(parts ...string) uint64 {
	h := uint64(golden)
	for _, p := range parts {
		size := uint64(len(p))
		for ; len(p) >= 8; p = p[8:] {
			h = scramble(h ^ word(p))
		}
		last := uint64(0)
		for i := range len(p) {
			last |= uint64(p[i]) << (8 * i)
		}
		h = scramble(scramble(h^last) + size)
	}
	return h
}

// word is the first eight bytes, whatever the machine's order is.
func word(s string) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// golden is 2^64 divided by the golden ratio, made odd.
const golden = 0x9e3779b97f4a7c15

// scramble is the finaliser of splitmix64 (Stafford's variant 13): each bit of x changes
// half of the result's, and no two x have the same.
func scramble(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
