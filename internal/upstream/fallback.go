package upstream

import (
	"sync/atomic"

	"yett/internal/exchange"
)

// standby is the service that answers while another one's breaker is open. It can change
// while the other serves, because a service outlives a revision that replaces its fallback.
type standby struct{ to atomic.Pointer[Service] }

// FallBackTo makes other answer while this service's breaker is open, nil nobody. It may be
// called while the service runs.
func (s *Service) FallBackTo(other *Service) { s.standby.to.Store(other) }

// FallsBackTo returns the service that answers a request while the breaker of this one is
// open, nil for none. A copy has none: a mirror must not send it to a service that other
// callers have, least of all to the one that got the original. SetHost of what is returned
// has to follow.
func (s *Service) FallsBackTo(x *exchange.Exchange) *Service {
	if x.Copy {
		return nil
	}
	return s.standby.to.Load()
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
