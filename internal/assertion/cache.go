package assertion

import (
	"hash/maphash"
	"slices"
	"sync/atomic"

	"yett/internal/exchange"
)

const (
	// sets times ways is how many assertions are kept at most.
	sets, ways = 1024, 4
	// maxKept is the longest assertion in bytes that is kept, so that the cache
	// has a bound in bytes too: 32 MB and what the identities take. Ordinary
	// ones have less than 1,000.
	maxKept = 8 << 10
)

// cache holds the assertions that may be used again. Nobody waits for anybody:
// it is written without a lock, so one of two that are put at once may be lost,
// and is signed again.
type cache struct {
	seed maphash.Seed
	sets [sets]set
}

// set is where the assertions of some callers are.
type set [ways]atomic.Pointer[entry]

// entry is an assertion and all that it was made of. It is never changed.
type entry struct {
	service  string
	identity exchange.Identity
	issued   int64 // nanoseconds since 1970
	text     string
}

func (c *cache) init() { c.seed = maphash.MakeSeed() }

// set returns the place for a caller and a service. It looks at what tells most
// callers apart; find looks at everything.
func (c *cache) set(id *exchange.Identity, service string) *set {
	var h maphash.Hash
	h.SetSeed(c.seed)
	_, _ = h.WriteString(service) // it never fails
	_, _ = h.WriteString(id.Subject)
	_, _ = h.WriteString(id.TokenID)
	_, _ = h.WriteString(id.Role)
	return &c.sets[h.Sum64()%sets]
}

// find returns the assertion for exactly this caller and service, or nil.
func (s *set) find(id *exchange.Identity, service string) *entry {
	for i := range s {
		if e := s[i].Load(); e != nil && e.service == service && same(&e.identity, id) {
			return e
		}
	}
	return nil
}

// put keeps an assertion, in place of the one for the same caller, else of the
// oldest.
func (s *set) put(e *entry) {
	at, oldest := 0, e.issued
	for i := range s {
		old := s[i].Load()
		if old == nil || old.service == e.service && same(&old.identity, &e.identity) {
			at = i
			break
		}
		if old.issued < oldest {
			at, oldest = i, old.issued
		}
	}
	s[at].Store(e)
}

// same tells whether two identities are one in all that they have. An
// assertion for one must never be used for the other.
func same(a, b *exchange.Identity) bool {
	return a.Subject == b.Subject && a.Email == b.Email && a.Tenant == b.Tenant && a.Plan == b.Plan && a.Role == b.Role &&
		a.Issuer == b.Issuer && a.TokenID == b.TokenID && a.Expires.Equal(b.Expires) &&
		slices.Equal(a.Roles, b.Roles) && slices.Equal(a.Permissions, b.Permissions) && slices.Equal(a.Scopes, b.Scopes)
}
