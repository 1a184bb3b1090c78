package contract

import "math/bits"

// decimal is a number of up to 18 digits, exactly: mant / 10^scale. It is what the quick
// path reckons with; numbers that don't fit are left to the library.
type decimal struct {
	mant  uint64
	scale uint8 // at most maxScale
	neg   bool  // false for zero
}

const (
	maxDigits = 18
	maxScale  = 18
)

var pow10 = func() (p [maxScale + 1]uint64) {
	p[0] = 1
	for i := 1; i < len(p); i++ {
		p[i] = 10 * p[i-1]
	}
	return p
}()

// parseDecimal reads a literal that follows the grammar of JSON. It returns false for one
// with an exponent, or with more digits than fit.
func parseDecimal(lit string) (d decimal, ok bool) {
	i, digits, point := 0, 0, false
	if lit[0] == '-' {
		d.neg = true
		i++
	}
	for ; i < len(lit); i++ {
		c := lit[i]
		switch {
		case c == '.':
			point = true
			continue
		case c < '0' || c > '9':
			return decimal{}, false
		}
		if d.mant > 0 || c > '0' {
			digits++
		}
		if point {
			d.scale++
		}
		if digits > maxDigits || d.scale > maxScale {
			return decimal{}, false
		}
		d.mant = 10*d.mant + uint64(c-'0')
	}
	d.neg = d.neg && d.mant > 0
	return d, true
}

func (d decimal) isInt() bool { return d.scale == 0 || d.mant%pow10[d.scale] == 0 }

// compare returns -1, 0 or 1.
func (d decimal) compare(e decimal) int {
	if d.neg != e.neg {
		if d.neg {
			return -1
		}
		return 1
	}
	c := compareSize(d, e)
	if d.neg {
		return -c
	}
	return c
}

func compareSize(d, e decimal) int {
	dHigh, dLow := bits.Mul64(d.mant, pow10[e.scale])
	eHigh, eLow := bits.Mul64(e.mant, pow10[d.scale])
	switch {
	case dHigh != eHigh:
		return order(dHigh, eHigh)
	default:
		return order(dLow, eLow)
	}
}

func order(a, b uint64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// multipleOf tells whether d is a multiple of e, which is not zero. It returns unsure
// where that can't be told in 64 bits.
func (d decimal) multipleOf(e decimal) verdict {
	a, b := d.mant, e.mant
	var high uint64
	if d.scale <= e.scale {
		high, a = bits.Mul64(a, pow10[e.scale-d.scale])
	} else {
		high, b = bits.Mul64(b, pow10[d.scale-e.scale])
	}
	if high != 0 {
		return unsure
	}
	return verdictOf(a%b == 0)
}

// shortest returns the same number without zeros at the end of its fraction, so that equal
// numbers are the same value.
func (d decimal) shortest() decimal {
	for d.scale > 0 && d.mant%10 == 0 {
		d.mant /= 10
		d.scale--
	}
	return d
}
