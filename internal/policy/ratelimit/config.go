package ratelimit

import (
	"fmt"
	"slices"

	"yett/internal/config"
	"yett/internal/limit"
	"yett/internal/meter"
	"yett/internal/policy"
	"yett/internal/problem"
)

// Config is what an operator can write.
type Config struct {
	Limits config.StringList `yaml:"limits" required:"true" doc:"Names of limits that have to have enough left, up to 16. They stand under limits at the top of the configuration."`
	Cost   int64             `yaml:"cost" min:"1" max:"1000000" doc:"What a request costs, as a multiple of the cost that each limit has itself."`
	Mode   policy.Mode       `yaml:"mode" enum:"enforce,observe" doc:"enforce refuses; observe only logs and counts what would have been refused, and lets it pass."`
}

// PolicyMode implements policy.Moded.
func (c Config) PolicyMode() policy.Mode { return c.Mode }

// UsesLimits implements policy.LimitUser.
func (c *Config) UsesLimits() []string { return c.Limits }

func defaults() Config { return Config{Cost: 1, Mode: policy.Enforce} }

// find returns the limits in the order in which they are written.
func (c Config) find(deps policy.Deps) ([]limiter, problem.List) {
	var problems problem.List
	if len(c.Limits) > meter.MaxClaims {
		problems.Addf("limits", "count less for one request", "%d limits are more than %d", len(c.Limits), meter.MaxClaims)
	}
	var found []limiter
	for i, name := range c.Limits {
		at := fmt.Sprintf("limits[%d]", i)
		switch l := deps.Limits.Lookup(name); {
		case slices.Contains(c.Limits[:i], name):
			problems.Addf(at, "remove it", "the limit %q is there already", name)
		case l == nil:
			problems.Addf(at, unknown(name, deps.Limits), "there is no limit %q", name)
		default:
			c.check(&problems, at, l, deps.Route)
			if !deps.Route.Nowhere || len(l.Params()) == 0 { // without a path there are no values of it
				found = append(found, l)
			}
		}
	}
	return found, problems
}

// unknown is what to do about a name that no limit has.
func unknown(name string, set *limit.Set) string {
	if len(set.Names()) == 0 {
		return "define it under limits, at the top level"
	}
	return problem.DidYouMean(name, set.Names())
}

// check reports a limit that requests of the route can't be counted by.
func (c Config) check(problems *problem.List, at string, l *limit.Limit, route policy.Route) {
	if err := l.CheckCost(c.Cost); err != nil && c.Cost > 1 { // else the limit has the problem itself
		problems.Addf("cost", "lower it, or raise the limit", "%v", err)
	}
	for _, name := range l.Params() {
		if !route.Nowhere && !slices.Contains(route.Params, name) {
			problems.Addf(at, fmt.Sprintf("write the path with {%s}, or give the route a ratelimit of its own", name),
				"the limit %q counts by path.%s, and no value {%s} is in every path of the route", l.Name(), name, name)
		}
	}
}
