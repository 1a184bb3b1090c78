// Package catalog is the ordered list of the gateway's policies: the one
// place that knows all of them.
package catalog

import (
	"slices"

	"yett/internal/exchange"
	"yett/internal/policy"
	"yett/internal/policy/cors"
	"yett/internal/policy/identity"
	"yett/internal/policy/jwt"
	"yett/internal/policy/mock"
	"yett/internal/policy/ratelimit"
	"yett/internal/policy/rbac"
	"yett/internal/policy/requestid"
	"yett/internal/policy/respond"
	"yett/internal/policy/secureheaders"
	"yett/internal/policy/validate"
)

// Kinds returns the policies in the order in which requests pass them; answers
// pass them backward. The order is that of this list whatever a configuration
// says, so that nobody can put a check behind what it has to guard. A policy that
// has to act at several places stands there with a part of it for each. The slice
// is the caller's.
func Kinds() []*policy.Kind {
	return []*policy.Kind{
		// First, so that whatever any other policy says or logs has an ID; and
		// last on the way back, so that the ID on the answer is the gateway's.
		requestid.Kind,
		// Before all that may answer or refuse, because a refusal is shown by
		// browsers too; on the way back after all that adds headers.
		secureheaders.Kind,
		// Before what answers preflights, or a flood of them would be answered
		// whatever the limits say. It leaves all other requests alone.
		ratelimit.Preflights,
		// Before all that limits other requests or authenticates: a preflight has no
		// credentials and asks for nothing yet; and on the way back after it, so that a
		// page can read why it was refused, and what is left of its limits.
		cors.Kind,
		// Before tokens are verified, because that costs more than counting does: the
		// limits that count whoever calls. Of all others it looks only whether they are
		// known to be used up.
		ratelimit.Kind,
		// Before all that decides by who calls. After what is cheap, because
		// verifying a token for the first time is not.
		jwt.Kind,
		// Behind all that finds out who calls: the limits that count by that. Before
		// what refuses by who calls, so that who tries is limited too.
		ratelimit.Callers,
		// Behind all that finds out who calls, by which it decides, and before all
		// that answers, so that nobody gets an answer who may not.
		rbac.Kind,
		// Behind all that limits or refuses by who calls, so that nobody has bodies read and
		// checked who may not call; and before all that answers, a mock too.
		validate.Kind,
		// Behind all that finds out who calls and who may: it tells the service
		// what came of it, about requests that reach one.
		identity.Kind,
		// Behind all that may refuse, because its answers stand for those of the service,
		// which nobody gets who may not; and behind what tells the service who calls, of
		// which nothing is left to be told. A route has it or respond.
		mock.Kind,
		// Last: it answers, so what stands behind it would never see a request,
		// and what stands before it guards its answer as any other.
		respond.Kind,
	}
}

// Lookup returns the policy of a name, or nil.
func Lookup(name string) *policy.Kind {
	for _, k := range Kinds() {
		if k.Name == name && k.Of == nil {
			return k
		}
	}
	return nil
}

// Parts returns a policy and its further parts, in order.
func Parts(k *policy.Kind) []*policy.Kind {
	return slices.DeleteFunc(Kinds(), func(p *policy.Kind) bool { return p != k && p.Of != k })
}

// Names returns the names of the policies in order.
func Names() []string {
	var names []string
	for _, k := range Kinds() {
		if k.Of == nil {
			names = append(names, k.Name)
		}
	}
	return names
}

// Configs returns a default configuration for each policy by its name, for the
// schema and the reference.
func Configs() map[string]any {
	configs := make(map[string]any)
	for _, name := range Names() {
		configs[name] = Lookup(name).Defaults()
	}
	return configs
}

// Reasons returns every reason for which the gateway or one of its policies
// can refuse or cut an exchange, in the order of the reference.
func Reasons() []*exchange.Reason {
	reasons := exchange.Reasons()
	for _, k := range Kinds() {
		reasons = append(reasons, k.Reasons...)
	}
	return reasons
}
