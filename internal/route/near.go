package route

import (
	"slices"
	"strings"

	"yett/internal/exchange"
)

// Near is a row whose path fits a request.
type Near struct {
	Row
	// Miss says for people why the row does not take the request, "" for the
	// one that does.
	Miss string
}

// Near returns the rows whose path fits a request after Normalize, the most
// specific first, and what is in the way of each. It is for explaining what
// Match finds, and asks the same code: each row alone, as a table of its own.
// It changes nothing of the exchange and takes its time.
func (t *Table) Near(x *exchange.Exchange) []Near {
	var near []Near
	taken := ""
	for _, s := range t.spots {
		if !t.fitsPath(s, x) {
			continue
		}
		n := Near{Row: s.row(), Miss: t.miss(s, x)}
		switch {
		case n.Miss != "":
		case taken != "":
			n.Miss = taken + " is more specific"
		case !s.permits(x): // Match looks no further
			n.Miss, taken = "it does not allow %2F or %00 in the path", s.rule.Name
		default:
			taken = s.rule.Name
		}
		near = append(near, n)
	}
	return near
}

// miss says what of a row, beside its path, does not fit.
func (t *Table) miss(s *spot, x *exchange.Exchange) string {
	if !t.fitsHost(s, x) {
		return "it is for the host " + s.host
	}
	for i := range s.conditions {
		if c := &s.conditions[i]; !c.holds(x) {
			return "it wants " + c.String()
		}
	}
	if s.methods&methodBit(t.methods, x.Method) == 0 {
		return "it is for " + strings.Join(slices.Sorted(slices.Values(s.rule.Methods)), ", ")
	}
	return ""
}

// fitsPath tells whether the path alone fits.
func (t *Table) fitsPath(s *spot, x *exchange.Exchange) bool {
	only := *s
	only.host, only.conditions, only.methods = "", nil, allMethods
	return t.fits(&only, x)
}

// fitsHost tells whether host and path fit.
func (t *Table) fitsHost(s *spot, x *exchange.Exchange) bool {
	only := *s
	only.conditions, only.methods = nil, allMethods
	return t.fits(&only, x)
}

func (t *Table) fits(s *spot, x *exchange.Exchange) bool {
	alone := newTable(t.methods, []*spot{s})
	return alone.find(&search{x: x, path: matchForm(x, x.Path), method: methodBit(t.methods, x.Method)}) != nil
}
