package snapshot

import "yett/internal/limit"

// compileLimits loads the limits, which ask for roles.
func (b *builder) compileLimits() {
	limits, problems := limit.Compile(b.c.Limits, b.deps.Policy.Roles)
	b.note(b.c.Source.Locate(problems))
	b.deps.Policy.Limits = limits
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
