package upstream

import (
	"net/netip"
	"slices"
	"time"

	"yett/internal/upstream/balance"
)

// targets is all targets of a service at one moment. It never changes.
type targets struct {
	list     []*target // that requests go to
	draining []*target // that are gone, and still have requests in flight
}

// names returns the names of those that requests go to.
func (s *targets) names() []string {
	names := make([]string, len(s.list))
	for i, t := range s.list {
		names[i] = t.name
	}
	return names
}

// place is where a target was found: its address, and which of the IP addresses
// of the name, where each is a target of its own.
type place struct {
	Address
	ip     netip.Addr // not valid where the target is the name
	weight int
}

// String returns the place as logs show it.
func (p place) String() string {
	if p.ip.IsValid() {
		return netip.AddrPortFrom(p.ip, p.Port).String()
	}
	return p.Address.String()
}

// retarget makes these places the targets. Those that were there before stay
// the same objects, with their connections and all that is known about them;
// those that are gone get no further requests.
func (s *Service) retarget(places []place) {
	s.changing.Lock()
	defer s.changing.Unlock()
	old := s.set.Load()
	next := &targets{}
	for _, p := range places {
		next.list = append(next.list, s.at(old, p))
	}
	if old != nil {
		next.draining = retired(old, next.list)
	}
	nodes := make([]*balance.Node, len(next.list))
	for i, t := range next.list {
		nodes[i] = t.node
	}
	s.balancer.Update(nodes, time.Now())
	if s.sticky != nil {
		s.sticky.Update(nodes)
	}
	s.set.Store(next)
	for _, t := range next.draining {
		t.drain()
	}
	if s.running {
		for _, t := range next.list {
			t.start()
		}
	}
}

// at returns the target at a place, the one that is there already where it can.
func (s *Service) at(old *targets, p place) *target {
	if old != nil {
		i := slices.IndexFunc(old.list, func(t *target) bool { return t.place == p })
		if i >= 0 {
			return old.list[i]
		}
	}
	return newTarget(s, p)
}

// retired returns the targets that are in no list any more and still busy.
func retired(old *targets, next []*target) []*target {
	var out []*target
	for _, t := range slices.Concat(old.list, old.draining) {
		if !slices.Contains(next, t) && (t.node.InFlight() > 0 || slices.Contains(old.list, t)) {
			out = append(out, t)
		}
	}
	return out
}

// written returns the places as they stand in the configuration.
func (s *Service) written() []place {
	var places []place
	for _, raw := range s.conf.Targets {
		a, weight, err := ParseTarget(raw)
		if err == nil && !a.Service { // Check has looked at them
			places = append(places, place{Address: a, weight: weight})
		}
	}
	return places
}
