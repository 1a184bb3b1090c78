package upstream

import (
	"fmt"
	"slices"
	"time"

	"yett/internal/config"
	"yett/internal/exchange"
	"yett/internal/problem"
	"yett/internal/upstream/breaker"
)

// outcome is how one try ended.
type outcome struct {
	reason *exchange.Reason // nil: the answer's head is in the exchange
	detail string
	// unsent tells that the service can't have seen the request, dead that a
	// reused connection ended before the first byte of the answer.
	unsent, dead bool
	// excused tells that a service which hung up has waited for the client's body, so
	// that it is not known whose failure that is.
	excused bool
	// pending tells that the try was given up while its connection was being made, which
	// goes on: what comes of it is told to the balancer then.
	pending bool
	// at is when all of the answer was here, since the exchange's Now; 0 where that was
	// not noted.
	at time.Duration
}

// fault is a kind of failure of a service, as breaker.failures and retries.on
// name it.
type fault uint8

const (
	noFault fault = iota // nothing that the service did
	connectFault
	resetFault
	timeoutFault
	malformedFault
	truncatedFault
	faults int = iota
)

// faultNames has what configurations call them.
var faultNames = [faults]string{connectFault: "connect", resetFault: "reset", timeoutFault: "timeout", malformedFault: "malformed", truncatedFault: "truncated"}

// faultOf says what a reason means. late tells that the answer's head had come.
func faultOf(r *exchange.Reason, late bool) fault {
	switch r {
	case exchange.ConnectFailed, exchange.ConnectTimeout:
		return connectFault
	case exchange.UpstreamTimeout:
		return timeoutFault
	case exchange.UpstreamReset:
		if late {
			return truncatedFault
		}
		return resetFault
	case exchange.UpstreamCut:
		return truncatedFault
	case exchange.UpstreamBad, exchange.UpgradeRefused:
		return malformedFault
	}
	return noFault
}

// triggers is a set of faults and statuses. The zero value is empty.
type triggers struct {
	faults   [faults]bool
	statuses []config.Statuses
}

// has tells whether an outcome is in the set: a reason, or the status of an
// answer where there is none.
func (t *triggers) has(r *exchange.Reason, status int, late bool) bool {
	if r != nil {
		return t.faults[faultOf(r, late)]
	}
	return t.hasStatus(status)
}

func (t *triggers) hasStatus(status int) bool {
	for _, s := range t.statuses {
		if s.Has(status) {
			return true
		}
	}
	return false
}

// parseTriggers reads a list of faults and statuses. Statuses below least are
// refused, which why explains.
func parseTriggers(at string, words []string, known []fault, least int, why string) (t triggers, problems problem.List) {
	names := make([]string, len(known))
	for i, f := range known {
		names[i] = faultNames[f]
	}
	for i, word := range words {
		add := func(what, hint string) {
			problems = append(problems, problem.Problem{Path: fmt.Sprintf("%s[%d]", at, i), What: what, Hint: hint})
		}
		if n := slices.Index(names, word); n >= 0 {
			t.faults[known[n]] = true
			continue
		}
		if word == "" || word[0] < '0' || word[0] > '9' {
			hint := problem.DidYouMean(word, names)
			add(fmt.Sprintf("%q is neither a failure nor a status", word), hint)
			continue
		}
		s, hint := config.ParseStatuses(word)
		switch {
		case hint != "":
			add(fmt.Sprintf("%q is no status and no range of them", word), hint)
		case s.From < least:
			add(fmt.Sprintf("%s can't be here: %s", word, why), fmt.Sprintf("write statuses from %d on", least))
		default:
			t.statuses = append(t.statuses, s)
		}
	}
	return t, problems
}

// judge says what an outcome tells a breaker about the health of the service.
// late tells that the answer's head had come.
func (s *Service) judge(r *exchange.Reason, status int, late bool) breaker.Outcome {
	switch {
	case s.rules.failures.has(r, status, late):
		return breaker.Failure
	case r != nil || status == 429: // the client, the gateway itself, or somebody who wants to be left alone
		return breaker.Ignored
	case status >= 400:
		return breaker.Alive
	}
	return breaker.Success
}
