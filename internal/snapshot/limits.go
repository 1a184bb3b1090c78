package snapshot

import (
	"fmt"

	"yett/internal/config"
	"yett/internal/limit"
	"yett/internal/policy"
	"yett/internal/role"
)

// Limits returns the limits of a configuration, without looking at anything else in it but
// the roles, which limits ask for. The error is a problem.List.
func Limits(c *config.Config) (*limit.Set, error) {
	b := newBuilder(c, Deps{}, nil)
	roles, problems := role.Compile(c.Roles)
	b.note(c.Source.Locate(problems))
	b.deps.Policy.Roles = roles
	b.compileLimits()
	return b.out.limits, b.problems.Err()
}

// compileLimits loads the limits, which ask for roles, and finds out how each listener
// tells about them.
func (b *builder) compileLimits() {
	limits, problems := limit.Compile(b.c.Limits, b.deps.Policy.Roles, b.c.Issuers.Names())
	b.note(b.c.Source.Locate(problems))
	b.out.limits, b.deps.Policy.Limits = limits, limits
	b.deps.Policy.RateLimitFields = b.rateLimitFields()
}

func (b *builder) rateLimitFields() map[string]string {
	fields := make(map[string]string)
	for i, l := range b.c.Listeners {
		if other, ok := fields[l.Name]; ok && l.Name == "" && other != l.RateLimit {
			b.fail(fmt.Sprintf("listeners[%d].ratelimit_fields", i), "give each of them a name",
				"another listener without a name has %s, and nothing tells the two apart", other)
		}
		fields[l.Name] = l.RateLimit
	}
	return fields
}

// limitsFor returns the limits for requests to that service, the same for all routes
// that have it.
func (b *builder) limitsFor(service string) *limit.Set {
	s, ok := b.limits[service]
	if !ok {
		s = b.deps.Policy.Limits.For(service)
		b.limits[service] = s
	}
	return s
}

// useLimits notes which limits a policy counts by. Of one with problems nobody knows:
// a name may be misspelt.
func (b *builder) useLimits(kind *policy.Kind, e config.PolicyEntry, ok bool) {
	conf := kind.Defaults()
	user, uses := conf.(policy.LimitUser)
	switch {
	case !uses || b.limited == nil:
	case !ok || len(e.Config.Decode(conf)) > 0:
		b.limited = nil
	default:
		for _, name := range user.UsesLimits() {
			b.limited[name] = true
		}
	}
}

// unusedLimits reports limits that no policy names.
func (b *builder) unusedLimits() {
	for _, e := range b.c.Limits {
		if b.limited != nil && !b.limited[e.Name] {
			b.fail("limits."+e.Name, "remove it, or name it in a policy ratelimit", "no policy uses the limit %q", e.Name)
		}
	}
}
