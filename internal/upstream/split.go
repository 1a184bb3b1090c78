package upstream

import (
	"cmp"
	"math"
	"math/bits"
	"math/rand/v2"
	"slices"

	"yett/internal/config"
	"yett/internal/exchange"
)

// AllParts is how many parts all requests of a route are for a Split.
const AllParts = 1_000_000_000

// Parts returns a share in parts of AllParts. Sums of them are exact, unlike those of shares.
func Parts(share config.Share) uint64 { return uint64(math.Round(float64(share) * AllParts)) }

// Portion is a service and the parts of AllParts of the requests that it gets.
type Portion struct {
	Service *Service
	Parts   uint64
}

// Share returns the portion as it is configured.
func (p Portion) Share() config.Share { return config.Share(p.Parts) / AllParts }

// Split chooses which service gets a request, by shares. It is immutable.
//
// A caller's key gives it a point on a line of AllParts, on which each service has ranges and
// the main service the rest. A range grows where the main service was, so a share that grows
// takes callers of nobody else, and gives back the last of them first when it shrinks.
type Split struct {
	portions []Portion // the main service is the last
	by       *Keyer
	ranges   []splitRange
}

// splitRange is a piece of the line: from is in it, to is not.
type splitRange struct {
	from, to uint64
	service  *Service
}

// NewSplit makes a Split. What is left of AllParts by the portions goes to main; they must not
// be more together. by says who is always sent to the same service, nil for nobody.
func NewSplit(main *Service, to []Portion, by *Keyer) *Split {
	s := &Split{by: by, ranges: lay(to)}
	rest := uint64(AllParts)
	for _, p := range to {
		rest -= p.Parts
	}
	s.portions = append(slices.Clone(to), Portion{main, rest})
	return s
}

// Portions returns who gets how much, in the order of the configuration, and at the end the
// main service with the rest. The slice belongs to the Split.
func (s *Split) Portions() []Portion { return s.portions }

// By returns what says who is always sent to the same service, as it was written.
func (s *Split) By() []string { return s.by.Parts() }

// Choose returns the service for a request, by chance where the request has no key. It does
// not allocate.
func (s *Split) Choose(x *exchange.Exchange) *Service {
	if sv := s.Bound(x); sv != nil {
		return sv
	}
	return s.at(point(rand.Uint64()))
}

// Bound returns the service that this caller always gets, nil where it is left to chance.
func (s *Split) Bound(x *exchange.Exchange) *Service {
	key, ok := s.by.Key(x)
	if !ok {
		return nil
	}
	return s.at(point(mix(key ^ splitSeed)))
}

// splitSeed keeps places apart from what balancing makes of the same key: otherwise the
// callers of one service would all have the same target.
const splitSeed = 0x510e527fade682d1

// point is where on the line of AllParts a random number stands.
func point(random uint64) uint64 {
	at, _ := bits.Mul64(random, AllParts)
	return at
}

// at returns the service at a point of the line.
func (s *Split) at(point uint64) *Service {
	for i := range s.ranges {
		if r := &s.ranges[i]; r.from <= point && point < r.to {
			return r.service
		}
	}
	return s.portions[len(s.portions)-1].Service
}

// lay gives each portion its ranges. Each begins at a point of its own and grows up to where
// another begins; what does not fit there comes from the upper ends of the others. So up to
// two services never take from each other, and more do not as long as each fits. Where one
// begins depends on nothing but how many stand before it in the configuration.
func lay(to []Portion) []splitRange {
	starts := make([]uint64, len(to))
	for i := range starts {
		starts[i] = point(bits.Reverse64(uint64(i))) // 0, 1/2, 1/4, 3/4, 1/8 and so on
	}
	out, free := make([]splitRange, len(to)), make([]splitRange, len(to))
	left := make([]uint64, len(to))
	for i, p := range to {
		end := next(starts, starts[i])
		n := min(p.Parts, end-starts[i])
		left[i] = p.Parts - n
		out[i] = splitRange{starts[i], starts[i] + n, p.Service}
		free[i] = splitRange{from: starts[i] + n, to: end}
	}
	slices.SortFunc(free, func(a, b splitRange) int { return cmp.Compare(b.to, a.to) })
	for i, p := range to {
		out = append(out, overflow(free, left[i], p.Service)...)
	}
	return slices.DeleteFunc(out, func(r splitRange) bool { return r.from == r.to })
}

// next is the first of the starts behind one of them, or the end of the line.
func next(starts []uint64, start uint64) uint64 {
	end := uint64(AllParts)
	for _, s := range starts {
		if s > start {
			end = min(end, s)
		}
	}
	return end
}

// overflow takes parts from the upper ends of what is free.
func overflow(free []splitRange, parts uint64, sv *Service) []splitRange {
	var out []splitRange
	for i := range free {
		f := &free[i]
		n := min(parts, f.to-f.from)
		out = append(out, splitRange{f.to - n, f.to, sv})
		f.to -= n
		parts -= n
	}
	return out
}
