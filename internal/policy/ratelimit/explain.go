package ratelimit

import (
	"fmt"
	"time"

	"yett/internal/exchange"
	"yett/internal/meter"
	"yett/internal/policy"
)

// Explain implements policy.Explainer.
func (p *preflights) Explain(x *exchange.Exchange, _ *exchange.Slot) []string {
	if !policy.IsPreflight(x) {
		return []string{"no CORS preflight"}
	}
	return p.explain(tabOf(x), p.all, "does not count preflights, or not of this caller")
}

// Explain implements policy.Explainer.
func (p *limits) Explain(x *exchange.Exchange, s *exchange.Slot) []string {
	if s.Int != opened {
		return []string{"a CORS preflight, which was counted before"}
	}
	t := tabOf(x)
	if t.noted(counted) {
		return p.explain(t, p.all, "does not count this request")
	}
	lines := p.explain(t, p.early, "does not count this request")
	const later = "has to know who calls"
	if t.noted(askedAnonymous) {
		lines = append(lines, p.explain(t, p.anonymous, "does not count this request")...)
	} else {
		lines = append(lines, p.explain(t, p.anonymous, later)...)
	}
	return append(lines, p.explain(t, p.asking, later)...)
}

// Explain implements policy.Explainer.
func (p *callers) Explain(x *exchange.Exchange, _ *exchange.Slot) []string {
	return p.explain(tabOf(x), p.all, "does not count this request")
}

// explain says what came of some limits, and of those that were not asked what else is.
func (p *plan) explain(t tab, which []int, otherwise string) []string {
	var lines []string
	for _, l := range which {
		says := otherwise
		for i := range t.Claims {
			if int(t.Claims[i].Of) == l {
				says = t.says(i)
			}
		}
		lines = append(lines, fmt.Sprintf("limit %s, %s: %s", p.limits[l].Name(), p.limits[l].Explain(), says))
	}
	return lines
}

// says says what came of a claim.
func (t tab) says(i int) string {
	c := &t.Claims[i]
	text := fmt.Sprintf("%s has %s", c.Key, appendRule(nil, c))
	if c.Cost != 1 {
		text += fmt.Sprintf(", this costs %d", c.Cost)
	}
	switch {
	case c.Verdict == meter.Unknown && !t.noted(counted):
		return text + ", counted behind jwt"
	case c.Verdict == meter.Unknown && t.noted(refused):
		return text + ", not asked: another limit refuses"
	case c.Verdict == meter.Unknown:
		return text + ", nobody knows what is left: the store is lost, and it is open then"
	case c.Verdict == meter.Fits:
		text += fmt.Sprintf(", %d left", c.Left)
		if c.More > 0 {
			text += fmt.Sprintf(", more in %s", appendDuration(nil, time.Duration(seconds(c.More))*time.Second))
		}
		return text
	}
	text = string(appendState([]byte(text), c))
	if c.Soft {
		text += " (only observed)"
	}
	return text
}
