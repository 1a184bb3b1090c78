package policy

import "yett/internal/exchange"

// Mode says whether a policy's refusals count.
type Mode string

const (
	// Enforce refuses. It is the default.
	Enforce Mode = "enforce"
	// Observe decides, logs and counts, and lets pass.
	Observe Mode = "observe"
)

// Moded is implemented by the configuration of each policy that can refuse.
// The field belongs to the policy, so that it stands in the schema:
//
//	Mode policy.Mode `yaml:"mode" enum:"enforce,observe" doc:"..."`
type Moded interface{ PolicyMode() Mode }

// observed is a policy whose refusals are noted and not meant.
type observed struct{ Policy }

// Request lets pass what the policy refuses. An answer that is no refusal
// stays one.
func (o observed) Request(x *exchange.Exchange, s *exchange.Slot) exchange.Verdict {
	if o.Policy.Request(x, s) == exchange.Continue {
		return exchange.Continue
	}
	if x.Reason == nil {
		return exchange.Reply
	}
	x.Observe()
	return exchange.Continue
}

// Unwrap returns the policy itself, whatever mode it is in, and whether it
// only observes.
func Unwrap(p Policy) (inner Policy, observes bool) {
	if o, ok := p.(observed); ok {
		return o.Policy, true
	}
	return p, false
}
