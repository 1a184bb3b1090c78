package snapshot

import (
	"fmt"

	"yett/internal/limit"
)

// limits checks the limits, and finds out how each listener tells about them.
func (b *builder) limits() {
	set, problems := limit.Compile(b.c.Limits, b.deps.Policy.Roles)
	b.note(b.c.Source.Locate(problems))
	b.deps.Policy.Limits = set
	fields := make(map[string]string)
	for i, l := range b.c.Listeners {
		if other, ok := fields[l.Name]; ok && l.Name == "" && other != l.RateLimit {
			b.fail(fmt.Sprintf("listeners[%d].ratelimit_fields", i), "give each of them a name",
				"another listener without a name has %s, and nothing tells the two apart", other)
		}
		fields[l.Name] = l.RateLimit
	}
	b.deps.Policy.RateLimitFields = fields
}

// limitsFor returns the limits for requests to that service, the same for all routes
// that have it.
func (b *builder) limitsFor(service string) *limit.Set {
	s, ok := b.limitsOf[service]
	if !ok {
		s = b.deps.Policy.Limits.For(service)
		b.limitsOf[service] = s
	}
	return s
}
