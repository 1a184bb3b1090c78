package contract

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"
)

// Decimals reckon as fractions do.
func TestDecimalAgrees(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	literal := func() string {
		whole := fmt.Sprint(r.Uint64() >> r.IntN(64))
		lit := whole[:min(len(whole), 18)]
		if n := r.IntN(len(lit) + 1); n > 0 && r.IntN(2) == 0 {
			lit = lit[:n] + "." + lit[n:] + strings.Repeat("0", r.IntN(3))
			lit = strings.TrimSuffix(lit, ".")
		}
		if r.IntN(3) == 0 {
			lit = "-" + lit
		}
		return lit
	}
	exact, rounds := 0, 200_000
	if raceDetector { // there is one goroutine
		rounds = 10_000
	}
	for range rounds {
		a, b := literal(), literal()
		d, ok1 := parseDecimal(a)
		e, ok2 := parseDecimal(b)
		if !ok1 || !ok2 {
			continue
		}
		exact++
		x, _ := new(big.Rat).SetString(a)
		y, _ := new(big.Rat).SetString(b)
		if got, want := d.compare(e), x.Cmp(y); got != want {
			t.Fatalf("%s against %s: %d, want %d", a, b, got, want)
		}
		if d.isInt() != x.IsInt() {
			t.Fatalf("%s: isInt %v", a, d.isInt())
		}
		if y.Sign() == 0 {
			continue
		}
		if got, want := d.multipleOf(e), verdictOf(new(big.Rat).Quo(x, y).IsInt()); got != want && got != unsure {
			t.Fatalf("%s as multiple of %s: %d, want %d", a, b, got, want)
		}
	}
	if exact < rounds/2 {
		t.Errorf("only %d pairs are decimals", exact)
	}
}
