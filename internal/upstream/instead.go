package upstream

import (
	"maps"
	"slices"
	"sync/atomic"

	"yett/internal/config"
	"yett/internal/exchange"
)

// fallback is what answers while the breaker is open.
type fallback struct {
	service string                  // its name, "" for a fixed answer
	other   atomic.Pointer[Service] // set by FallBackTo
	status  int
	fields  []exchange.Param // of the fixed answer
	body    []byte
}

// newFallback returns nil where there is none.
func newFallback(c *config.Fallback) *fallback {
	if c == nil {
		return nil
	}
	f := &fallback{service: c.Service, status: c.Status, body: []byte(c.Body)}
	if c.ContentType != "" && c.Body != "" {
		f.fields = append(f.fields, exchange.Param{Name: "Content-Type", Value: c.ContentType})
	}
	for _, name := range slices.Sorted(maps.Keys(c.Headers)) {
		f.fields = append(f.fields, exchange.Param{Name: name, Value: c.Headers[name]})
	}
	return f
}

// FallBackTo says which service answers while the breaker of this one is open,
// where the configuration names one.
func (s *Service) FallBackTo(o *Service) {
	if s.fallback != nil {
		s.fallback.other.Store(o)
	}
}

// instead answers a request that was not let in, by the fallback where the
// breaker is open and there is one.
func (s *Service) instead(x *exchange.Exchange, r *exchange.Reason) *exchange.Reason {
	f := s.fallback
	if f == nil || r != exchange.BreakerOpen {
		return r
	}
	s.stats.fallbacks.Add(1)
	x.RetryAfter = 0
	if o := f.other.Load(); o != nil {
		return o.Forward(x)
	}
	x.Status = f.status
	for _, field := range f.fields {
		x.Response.Add(field.Name, field.Value)
	}
	x.ResponseBody.SetBytes(f.body)
	return nil
}
