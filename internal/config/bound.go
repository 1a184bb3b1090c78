package config

import (
	"cmp"
	"encoding"
	"fmt"
	"reflect"
)

// limit is a min or max tag.
type limit struct {
	text string
	// words lead to the text in a sentence, and wrong is what a comparison
	// with it must not give.
	words string
	wrong int
}

// limits returns the bounds that a value has.
func (r rules) limits() []limit {
	var all []limit
	if r.min != "" {
		all = append(all, limit{r.min, "at least", -1})
	}
	if r.max != "" {
		all = append(all, limit{r.max, "at most", 1})
	}
	return all
}

// compareBound compares a number with a bound in the notation of its type:
// -1 below, 0 equal, 1 above.
func compareBound(v reflect.Value, text string) (int, error) {
	bound, err := parseBound(v.Type(), text)
	switch {
	case err != nil:
		return 0, err
	case v.CanInt():
		return cmp.Compare(v.Int(), bound.Int()), nil
	case v.CanUint():
		return cmp.Compare(v.Uint(), bound.Uint()), nil
	}
	return cmp.Compare(v.Float(), bound.Float()), nil
}

// parseBound reads a min or max tag.
func parseBound(t reflect.Type, text string) (reflect.Value, error) {
	bound := reflect.New(t)
	if _, ok := wantNumber(t.Kind()); !ok {
		return bound, fmt.Errorf("%s has no order for the bound %q", t, text)
	}
	if u, ok := bound.Interface().(encoding.TextUnmarshaler); ok {
		if err := u.UnmarshalText([]byte(text)); err != nil {
			return bound, fmt.Errorf("the bound %q is no %s: %w", text, t, err)
		}
	} else if !parseNumber(text, bound.Elem()) {
		return bound, fmt.Errorf("the bound %q is no %s", text, t)
	}
	return bound.Elem(), nil
}
