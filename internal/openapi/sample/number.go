package sample

import (
	"math/big"
	"strconv"
	"strings"

	"yett/internal/openapi"
)

// bounds are what a number has to keep to. Nil stands for none.
type bounds struct {
	least, most         *big.Rat
	leastOpen, mostOpen bool // the bound itself is not allowed
	step                *big.Rat
}

// number makes the nth number.
func number(parts []part, integer bool, nth int) (*openapi.Node, error) {
	var b bounds
	for _, p := range parts {
		b.add(p.node)
	}
	if integer {
		b.multiple(big.NewRat(1, 1))
	}
	v := b.pick(nth)
	if v == nil {
		return nil, ErrNone
	}
	digits, exact := v.FloatPrec()
	if !exact {
		return nil, ErrNone
	}
	return &openapi.Node{Kind: openapi.Number, Text: v.FloatString(digits)}, nil
}

// maxExponent is up to which exponent numbers of schemas are taken for what they are: the
// digits of larger ones are too many to calculate with.
const maxExponent = 400

// rational reads a number, nil for one that is not there or too large.
func rational(n *openapi.Node) *big.Rat {
	if !n.Is(openapi.Number) || len(n.Text) > 1000 {
		return nil
	}
	if _, exponent, ok := strings.Cut(strings.ToLower(n.Text), "e"); ok {
		if e, err := strconv.Atoi(exponent); err != nil || e > maxExponent || e < -maxExponent {
			return nil
		}
	}
	v, ok := new(big.Rat).SetString(n.Text)
	if !ok {
		return nil
	}
	return v
}

func (b *bounds) add(n *openapi.Node) {
	b.atLeast(rational(n.Get("minimum")), false)
	b.atLeast(rational(n.Get("exclusiveMinimum")), true)
	b.atMost(rational(n.Get("maximum")), false)
	b.atMost(rational(n.Get("exclusiveMaximum")), true)
	b.multiple(rational(n.Get("multipleOf")))
	switch n.Str("format") {
	case "int32":
		b.bits(31)
	case "int64":
		b.bits(63)
	}
}

func (b *bounds) bits(n uint) {
	limit := new(big.Int).Lsh(big.NewInt(1), n)
	b.atMost(new(big.Rat).SetInt(limit), true)
	b.atLeast(new(big.Rat).SetInt(new(big.Int).Neg(limit)), false)
}

func (b *bounds) atLeast(v *big.Rat, open bool) {
	if v == nil {
		return
	}
	if b.least == nil || v.Cmp(b.least) > 0 || v.Cmp(b.least) == 0 && open {
		b.least, b.leastOpen = v, open
	}
}

func (b *bounds) atMost(v *big.Rat, open bool) {
	if v == nil {
		return
	}
	if b.most == nil || v.Cmp(b.most) < 0 || v.Cmp(b.most) == 0 && open {
		b.most, b.mostOpen = v, open
	}
}

// multiple adds a number of which the value has to be a multiple: the least common one.
func (b *bounds) multiple(v *big.Rat) {
	if v == nil || v.Sign() <= 0 {
		return
	}
	if b.step == nil {
		b.step = v
		return
	}
	// of a/b and c/d it is lcm(a*d, c*b) / (b*d)
	ad := new(big.Int).Mul(b.step.Num(), v.Denom())
	cb := new(big.Int).Mul(v.Num(), b.step.Denom())
	gcd := new(big.Int).GCD(nil, nil, ad, cb)
	lcm := new(big.Int).Mul(new(big.Int).Quo(ad, gcd), cb)
	b.step = new(big.Rat).SetFrac(lcm, new(big.Int).Mul(b.step.Denom(), v.Denom()))
}

func (b *bounds) contains(v *big.Rat) bool {
	if b.least != nil {
		if c := v.Cmp(b.least); c < 0 || c == 0 && b.leastOpen {
			return false
		}
	}
	if b.most != nil {
		if c := v.Cmp(b.most); c > 0 || c == 0 && b.mostOpen {
			return false
		}
	}
	return true
}

// pick returns the nth number within the bounds, nil where there is none.
func (b *bounds) pick(nth int) *big.Rat {
	if b.step != nil {
		return b.onGrid(b.step, nth)
	}
	if v := b.onGrid(big.NewRat(1, 1), nth); v != nil {
		return v
	}
	if b.least == nil || b.most == nil {
		return nil
	}
	if nth == 0 && b.contains(b.least) {
		return b.least
	}
	// halves of the rest, which have an end as decimals
	part := new(big.Rat).Sub(b.most, b.least)
	part.Quo(part, new(big.Rat).SetInt(new(big.Int).Lsh(big.NewInt(1), uint(min(nth, 50)+1))))
	if v := part.Add(part, b.least); b.contains(v) {
		return v
	}
	return nil
}

// onGrid returns the nth multiple of a step: from the first one that is likely on, then below it.
func (b *bounds) onGrid(step *big.Rat, nth int) *big.Rat {
	first := b.firstOf(step)
	if first == nil {
		return nil
	}
	n := big.NewRat(int64(nth), 1)
	v := new(big.Rat).Add(first, new(big.Rat).Mul(n, step))
	if b.contains(v) {
		return v
	}
	above := big.NewRat(0, 1)
	if b.most != nil {
		above = new(big.Rat).SetInt(floor(new(big.Rat).Quo(new(big.Rat).Sub(b.most, first), step)))
		if !b.contains(new(big.Rat).Add(first, new(big.Rat).Mul(above, step))) {
			above.Sub(above, big.NewRat(1, 1))
		}
	}
	v = n.Sub(first, new(big.Rat).Mul(step, n.Sub(n, above)))
	if b.contains(v) {
		return v
	}
	return nil
}

// firstOf returns a multiple within the bounds: the step itself, 0, or what is next to a bound.
func (b *bounds) firstOf(step *big.Rat) *big.Rat {
	for _, v := range []*big.Rat{step, new(big.Rat)} {
		if b.contains(v) {
			return v
		}
	}
	for _, bound := range []*big.Rat{b.least, b.most} {
		if bound == nil {
			continue
		}
		n := new(big.Rat).SetInt(floor(new(big.Rat).Quo(bound, step)))
		for range 3 { // just below the bound, on it, just above
			if v := new(big.Rat).Mul(n, step); b.contains(v) {
				return v
			}
			n.Add(n, big.NewRat(1, 1))
		}
		if bound == b.most {
			n.Sub(n, big.NewRat(4, 1))
			if v := new(big.Rat).Mul(n, step); b.contains(v) {
				return v
			}
		}
	}
	return nil
}

func floor(v *big.Rat) *big.Int {
	// Div rounds down for the positive denominators that Rat has.
	return new(big.Int).Div(v.Num(), v.Denom())
}

// count reads a number of things, -1 where there is none.
func count(n *openapi.Node) int {
	v := rational(n)
	if v == nil || v.Sign() < 0 {
		return -1
	}
	whole := floor(v)
	if !whole.IsInt64() || whole.Int64() > 1<<30 {
		return 1 << 30
	}
	return int(whole.Int64())
}

// limits returns the least and the most that two keywords of the parts allow together, -1
// for no upper bound.
func limits(parts []part, least, most string) (int, int) {
	low, high := 0, -1
	for _, p := range parts {
		low = max(low, count(p.node.Get(least)))
		if n := count(p.node.Get(most)); n >= 0 && (high < 0 || n < high) {
			high = n
		}
	}
	return low, high
}
