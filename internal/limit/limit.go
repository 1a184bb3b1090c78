// Package limit is the configured limits: whose requests each of them counts, together with
// which others, and by which numbers. Counting itself is done by package meter.
package limit

import (
	"yett/internal/config"
	"yett/internal/exchange"
	"yett/internal/meter"
	"yett/internal/problem"
	"yett/internal/role"
)

// Set is the limits of a configuration. The nil Set has none.
type Set struct{}

// Compile checks the limits. Paths of problems begin with "limits".
func Compile(c config.Mapping[config.Limit], roles *role.Set) (*Set, problem.List) {
	return &Set{}, nil
}

// Lookup returns the limit of that name, or nil.
func (s *Set) Lookup(name string) *Limit { return nil }

// Names returns the names in the order of the file.
func (s *Set) Names() []string { return nil }

// For returns the limits as they are for requests to that service, "" for none.
func (s *Set) For(service string) *Set { return s }

// Limit is one of them.
type Limit struct{}

// Name returns its name.
func (l *Limit) Name() string { return "" }

// AsksCaller tells whether it has to be known who calls: whom it counts, or by which
// numbers, depends on that. A limit for anonymous callers alone does not ask.
func (l *Limit) AsksCaller() bool { return false }

// ForAnonymous tells that only requests count whose caller is not known.
func (l *Limit) ForAnonymous() bool { return false }

// Params returns the names of the path's values that it counts by.
func (l *Limit) Params() []string { return nil }

// CheckCost tells what is wrong with a multiple of the limit's cost, from 1 on: a
// request that costs more than some caller can ever have would never pass.
func (l *Limit) CheckCost(multiple int64) error { return nil }

// Claim adds to c what a request asks of the limit, and tells whether it asks anything.
// Cost is a multiple of the limit's own. Claim does not allocate. The keys are in c.Keys.
func (l *Limit) Claim(c *meter.Call, x *exchange.Exchange, cost int64) bool { return false }

// Counts tells whether an answer counts, for a limit that asks for statuses.
func (l *Limit) Counts(x *exchange.Exchange) bool { return false }

// Shown tells whether clients are told about it.
func (l *Limit) Shown() bool { return false }

// Explain says for people whose requests it counts, such as "100 in 15m for each ip".
func (l *Limit) Explain() string { return "" }
