package upstream

import (
	"fmt"
	"strings"

	"yett/internal/config"
	"yett/internal/exchange"
	"yett/internal/upstream/shed"
)

// Guards says in words what guards the service, as it is configured and not as it stands at
// this moment: its breaker first, then tries, hedging, the bound of requests in flight, and how
// a target is picked. What there is none of is left out, but for breaker and tries. x is
// a request that the service would get; nothing of its values is in the words.
func (s *Service) Guards(x *exchange.Exchange) []string {
	c := &s.conf
	words := []string{breakerWords(&c.Breaker), triesWords(&c.Retries)}
	for _, w := range []string{hedgeWords(&c.Hedge), boundWords(&c.Concurrency)} {
		if w != "" {
			words = append(words, w)
		}
	}
	words = append(words, s.balanceWords(x))
	if s.sticky != nil {
		_, has := x.Request.Cookie(s.sticky.name)
		words = append(words, fmt.Sprintf("sticky by the cookie %s, which this request %s", s.sticky.name, hasWord(has)))
	}
	return words
}

func hasWord(has bool) string {
	if has {
		return "has"
	}
	return "does not have"
}

func breakerWords(b *config.Breaker) string {
	if b.Mode == "off" || b.Mode == "" {
		return "no breaker"
	}
	var rules []string
	if b.ConsecutiveFailures > 0 {
		rules = append(rules, fmt.Sprintf("after %d failures in a row", b.ConsecutiveFailures))
	}
	many := fmt.Sprintf("of %d requests or more within %s", b.MinRequests, b.Window)
	if b.FailureRatio > 0 {
		rules = append(rules, fmt.Sprintf("when %s %s have failed", b.FailureRatio, many))
	}
	if b.SlowCall > 0 && b.SlowRatio > 0 {
		rules = append(rules, fmt.Sprintf("when %s %s took longer than %s", b.SlowRatio, many, b.SlowCall))
	}
	text := fmt.Sprintf("breaker (%s): opens %s, for %s", b.Mode, strings.Join(rules, ", or "), b.OpenFor)
	if len(rules) == 0 {
		text = fmt.Sprintf("breaker (%s): opens by hand alone", b.Mode)
	}
	if b.Shared {
		text += ", shared by the store"
	}
	return text + fallbackWords(b.Fallback)
}

func fallbackWords(f *config.Fallback) string {
	switch {
	case f == nil:
		return ""
	case f.Service != "":
		return "; then service " + f.Service + " answers"
	}
	return fmt.Sprintf("; then a fixed %d is the answer", f.Status)
}

func triesWords(r *config.Retries) string {
	switch {
	case r.Most == 0:
		return "no further try"
	case len(r.On) == 0:
		return "no further try, because retries.on is empty"
	case r.Budget == 0 && r.Floor == 0:
		return "no further try, because retries.budget and retries.floor are 0"
	}
	text := "1 further try"
	if r.Most > 1 {
		text = fmt.Sprintf("%d further tries", r.Most)
	}
	text += fmt.Sprintf(" for %s, within %s of the requests", strings.Join(r.On, ", "), r.Budget)
	if r.Floor > 0 {
		text += fmt.Sprintf(" or %v a second", r.Floor)
	}
	return text
}

func hedgeWords(h *config.Hedge) string {
	switch {
	case h.After == 0 && h.Percentile == 0:
		return ""
	case h.Percentile == 0:
		return fmt.Sprintf("GET and HEAD hedged after %s", h.After)
	case h.After == 0:
		return fmt.Sprintf("GET and HEAD hedged when later than %v of 100 answers", h.Percentile)
	}
	return fmt.Sprintf("GET and HEAD hedged when later than %v of 100 answers, and %s at least", h.Percentile, h.After)
}

func boundWords(c *config.Concurrency) string {
	var text string
	switch {
	case c.Adaptive && c.Max > 0:
		text = fmt.Sprintf("an adaptive bound of %d to %d in flight", c.Least, c.Max)
	case c.Adaptive:
		text = fmt.Sprintf("an adaptive bound of %d to %d in flight", c.Least, max(c.Least, shed.MostAdaptive))
	case c.Max > 0:
		text = fmt.Sprintf("at most %d in flight", c.Max)
	default:
		return ""
	}
	if c.Queue > 0 {
		text += fmt.Sprintf(", %d wait for up to %s", c.Queue, c.QueueTime)
	}
	return text
}

func (s *Service) balanceWords(x *exchange.Exchange) string {
	b := &s.conf.Balance
	if s.keyer == nil {
		return "balanced by " + b.Algorithm
	}
	text := fmt.Sprintf("balanced by %s of %s", b.Algorithm, strings.Join(s.keyer.Parts(), ", "))
	if _, has := s.keyer.Key(x); !has {
		return text + ", of which this request has nothing, so by least_requests"
	}
	return text + ", which this request has"
}
