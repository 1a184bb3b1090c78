package upstream

import (
	"maps"
	"slices"

	"yett/internal/config"
	"yett/internal/exchange"
)

// fallback is a fixed answer, given while the breaker is open.
type fallback struct {
	status int
	fields []exchange.Param
	body   []byte
}

// newFallback returns nil where there is none.
func newFallback(c *config.Fallback) *fallback {
	if c == nil || c.Service != "" {
		return nil
	}
	f := &fallback{status: c.Status, body: []byte(c.Body)}
	if c.ContentType != "" && c.Body != "" {
		f.fields = append(f.fields, exchange.Param{Name: "Content-Type", Value: c.ContentType})
	}
	for _, name := range slices.Sorted(maps.Keys(c.Headers)) {
		f.fields = append(f.fields, exchange.Param{Name: name, Value: c.Headers[name]})
	}
	return f
}

// instead answers a request that was not let in, by the fallback where the
// breaker is open and there is one. The access log tells such an answer from others by its
// detail; where services fall back one after the other, that is about the first.
func (s *Service) instead(x *exchange.Exchange, r *exchange.Reason) *exchange.Reason {
	if r != exchange.BreakerOpen || x.Copy {
		return r
	}
	other, f := s.FallsBackTo(x), s.fallback
	if other == nil && f == nil {
		return r
	}
	x.RetryAfter = 0
	if other != nil {
		other.SetHost(x)
		if r := other.Forward(x); r != nil {
			return r
		}
	} else {
		x.Status = f.status
		for _, field := range f.fields {
			x.Response.Add(field.Name, field.Value)
		}
		x.ResponseBody.SetBytes(f.body)
	}
	s.stats.fallbacks.Add(1)
	x.Detail = s.insteadOf
	return nil
}

// FallBackTo makes other answer while this service's breaker is open, nil nobody. It may be
// called while the service runs.
func (s *Service) FallBackTo(other *Service) { s.standby.Store(other) }

// FallsBackTo returns the service that answers a request while the breaker of this one is
// open, nil for none. A copy has none: a mirror must not send it to a service that other
// callers have, least of all to the one that got the original. SetHost of what is returned
// has to follow.
func (s *Service) FallsBackTo(x *exchange.Exchange) *Service {
	if x.Copy {
		return nil
	}
	return s.standby.Load()
}

// SetHost says which Host field this service is sent, unless the request's route has said.
func (s *Service) SetHost(x *exchange.Exchange) {
	if !x.Out.HostOfRoute {
		x.Out.Host = HostField(s.conf.Host, x)
	}
}

// HostField is what a configured host means for a request: client is what the client asked
// for, target, which is the empty text, what the target is called, and all else itself.
func HostField(rule string, x *exchange.Exchange) string {
	switch rule {
	case "target":
		return ""
	case "client":
		return x.Authority
	}
	return rule
}
