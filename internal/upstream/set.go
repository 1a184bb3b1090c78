package upstream

import (
	"math"
	"net/netip"
	"slices"
	"time"

	"yett/internal/upstream/balance"
)

// targets is all targets of a service at one moment. It never changes.
type targets struct {
	list     []*target // that requests go to
	draining []*target // that are gone, and still have requests in flight
	shown    []shown
}

// shown is a target for people: as it is, or as it is written while nothing is
// known of it.
type shown struct {
	name string
	host string // value of a Host field
}

// names returns the names of those that requests go to, and for those of which
// nothing is known yet, what is written.
func (s *targets) names() []string {
	names := make([]string, len(s.shown))
	for i := range s.shown {
		names[i] = s.shown[i].name
	}
	return names
}

// at returns the target at a place, or nil.
func (s *targets) at(p place) *target {
	if i := slices.IndexFunc(s.list, func(t *target) bool { return t.place == p }); i >= 0 {
		return s.list[i]
	}
	return nil
}

// gone returns the targets that are not in the next list any more.
func (s *targets) gone(next []*target) (gone []*target) {
	stay := make(map[*target]bool, len(next))
	for _, t := range next {
		stay[t] = true
	}
	for _, t := range s.list {
		if !stay[t] {
			gone = append(gone, t)
		}
	}
	return gone
}

// place is where a target was found: its address, and which of the IP addresses
// of the name, where each is a target of its own.
type place struct {
	Address
	ip   netip.Addr // not valid where the target is the name
	name string     // for logs
}

// spot is a place, its weight, and what is known of it besides.
type spot struct {
	place
	weight  int
	addrs   []netip.Addr // where it is reached; never changed
	again   func()       // has its name looked up now; nil for an IP address
	settled bool         // it was found at the start
}

// retarget makes what the sources stand for the targets. Those that were there
// before stay the same objects, with their connections and all that is known
// about them; those that are gone get no further requests. One that comes back
// is a new object, even if the old one has requests in flight. It has to be
// called with s.changing held.
func (s *Service) retarget() (added, removed []string) {
	old, next := s.set.Load(), &targets{shown: s.show()}
	var nodes []*balance.Node
	for _, p := range s.spots() {
		t := old.at(p.place)
		if t == nil {
			t = newTarget(s, p)
			added = append(added, t.name)
		}
		t.move(p)
		next.list, nodes = append(next.list, t), append(nodes, t.node)
	}
	gone := old.gone(next.list)
	s.balancer.Update(nodes, time.Now())
	if s.sticky != nil {
		s.sticky.Update(nodes)
	}
	for _, t := range slices.Concat(old.draining, gone) {
		if t.busy() {
			next.draining = append(next.draining, t)
		}
	}
	s.set.Store(next)
	for _, t := range gone {
		t.drain()
		removed = append(removed, t.name)
	}
	if s.running {
		for _, t := range next.list {
			t.start()
		}
	}
	return added, removed
}

// show returns the targets as people see them.
func (s *Service) show() (all []shown) {
	for _, src := range s.sources {
		if len(src.spots) == 0 {
			all = append(all, shown{src.String(), hostField(src.Address)})
		}
		for _, p := range src.spots {
			all = append(all, shown{p.name, hostField(p.Address)})
		}
	}
	return all
}

// spots returns what the sources stand for, each place once.
func (s *Service) spots() (all []spot) {
	index := make(map[place]int)
	for _, src := range s.sources {
		for _, p := range src.spots {
			i, twice := index[p.place]
			if twice {
				all[i].weight += p.weight
				continue
			}
			index[p.place] = len(all)
			all = append(all, p)
		}
	}
	return scaled(all)
}

// scaled keeps the proportions of weights that are too large: those of a target
// and of its SRV records are multiplied.
func scaled(all []spot) []spot {
	most := balance.MostWeight
	for _, p := range all {
		most = max(most, p.weight)
	}
	if most == balance.MostWeight {
		return all
	}
	for i := range all {
		part := float64(all[i].weight) * balance.MostWeight / float64(most)
		all[i].weight = max(1, int(math.Round(part)))
	}
	return all
}

// tidy drops draining targets whose last request has ended, and returns what is
// left.
func (s *Service) tidy() *targets {
	done := func(t *target) bool { return !t.busy() }
	set := s.set.Load()
	if !slices.ContainsFunc(set.draining, done) {
		return set
	}
	s.changing.Lock()
	defer s.changing.Unlock()
	next := *s.set.Load()
	next.draining = slices.DeleteFunc(slices.Clone(next.draining), done)
	s.set.Store(&next)
	return &next
}
