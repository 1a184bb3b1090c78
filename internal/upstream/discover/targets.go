package discover

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"
)

const (
	// MostTargets is how many addresses of a name count. More are reported and left out.
	MostTargets = 256
	// atOnce is how many hosts of SRV records are looked up at the same time.
	atOnce = 8
)

var errNothing = errors.New("nothing was found")

// WatchAddresses makes a Watch of the addresses of a host: see NewWatch.
func (r *Resolver) WatchAddresses(host string, every time.Duration, changed func([]netip.Addr), failed func(error)) *Watch[netip.Addr] {
	return NewWatch(func(ctx context.Context) ([]netip.Addr, time.Duration, error) {
		addrs, ttl, err := r.Addresses(ctx, host)
		if err != nil {
			return nil, ttl, err
		}
		addrs, err = atMost(addrs, host)
		return addrs, ttl, err
	}, every, changed, failed)
}

// atMost leaves out what is too much.
func atMost[T any](list []T, name string) ([]T, error) {
	if len(list) <= MostTargets {
		return list, nil
	}
	return list[:MostTargets], fmt.Errorf("resolving %s: %d are too many, the first %d are used", name, len(list), MostTargets)
}

// Target is one address of a service that SRV records speak of.
type Target struct {
	Host    string // of the record, for TLS and the Host field
	Address netip.AddrPort
	Weight  int // at least 1; each address of a host has that of its record
}

func compareTargets(a, b Target) int {
	return cmp.Or(cmp.Compare(a.Host, b.Host), a.Address.Compare(b.Address))
}

// WatchServices makes a Watch of the targets that the SRV records of the lowest priority have:
// see NewWatch. A host that can't be looked up keeps the addresses that it had.
func (r *Resolver) WatchServices(name string, every time.Duration, changed func([]Target), failed func(error)) *Watch[Target] {
	s := &services{records: r.Services, addresses: r.Addresses, longest: 2 * r.timeout, name: name, every: every}
	return NewWatch(s.lookup, every, changed, failed)
}

// services looks up SRV records, and remembers the addresses of their hosts. It is used by one
// goroutine at a time.
type services struct {
	records   func(context.Context, string) ([]SRV, time.Duration, error)
	addresses func(context.Context, string) ([]netip.Addr, time.Duration, error)
	longest   time.Duration // for all hosts together
	name      string
	every     time.Duration
	hosts     map[string]hostAddresses
}

// hostAddresses is what is known of a host.
type hostAddresses struct {
	addrs []netip.Addr
	until time.Time
	err   error // of the last look-up; addrs are those of an earlier one then
}

func (s *services) lookup(ctx context.Context) ([]Target, time.Duration, error) {
	records, ttl, err := s.records(ctx, s.name)
	if len(records) == 0 {
		return nil, ttl, err
	}
	last := slices.IndexFunc(records, func(r SRV) bool { return r.Priority != records[0].Priority })
	if last >= 0 {
		records = records[:last]
	}
	if ttl == 0 {
		ttl = s.every
	}
	records, tooMany := atMost(records, s.name)
	until, failures := s.refresh(ctx, records, time.Now().Add(ttl))
	targets, cut := atMost(s.targets(records), s.name)
	return targets, max(time.Until(until), Least), errors.Join(err, tooMany, failures, cut)
}

// refresh looks up the hosts whose addresses are no longer good, and forgets those that are no
// longer named. It returns until when all of it is good, at most until, and what failed.
func (s *services) refresh(ctx context.Context, records []SRV, until time.Time) (time.Time, error) {
	before := s.hosts
	s.hosts = make(map[string]hostAddresses, len(records))
	for _, r := range records {
		s.hosts[r.Host] = before[r.Host]
	}
	s.lookupHosts(ctx, s.stale())
	for _, h := range s.hosts {
		if h.err == nil && h.until.Before(until) {
			until = h.until
		}
	}
	return until, s.failure(records)
}

// failure tells the first one, and how many there are: the same for all, most often.
func (s *services) failure(records []SRV) error {
	failed := 0
	for _, h := range s.hosts {
		if h.err != nil {
			failed++
		}
	}
	if failed == 0 {
		return nil
	}
	i := slices.IndexFunc(records, func(r SRV) bool { return s.hosts[r.Host].err != nil })
	return fmt.Errorf("%d of %d hosts of %s, the first: %w", failed, len(s.hosts), s.name, s.hosts[records[i].Host].err)
}

func (s *services) stale() (hosts []string) {
	now := time.Now()
	for host, h := range s.hosts {
		if !now.Before(h.until) {
			hosts = append(hosts, host)
		}
	}
	return hosts
}

// lookupHosts takes no longer than longest, whatever the number of hosts.
func (s *services) lookupHosts(ctx context.Context, hosts []string) {
	ctx, cancel := context.WithTimeout(ctx, s.longest)
	defer cancel()
	var mu sync.Mutex
	var all sync.WaitGroup
	for first := range min(atOnce, len(hosts)) {
		all.Go(func() {
			for i := first; i < len(hosts); i += atOnce {
				h := s.lookupHost(ctx, hosts[i])
				mu.Lock()
				if h.err != nil {
					h.addrs = s.hosts[hosts[i]].addrs
				}
				s.hosts[hosts[i]] = h
				mu.Unlock()
			}
		})
	}
	all.Wait()
}

func (s *services) lookupHost(ctx context.Context, host string) hostAddresses {
	// Names in records are whole: with the dot no search domain is tried.
	addrs, ttl, err := s.addresses(ctx, host+".")
	if err != nil {
		return hostAddresses{err: err}
	}
	if ttl == 0 {
		ttl = s.every
	}
	return hostAddresses{addrs: addrs, until: time.Now().Add(ttl)}
}

// targets are all addresses of all records, in a stable order and each once.
func (s *services) targets(records []SRV) []Target {
	var all []Target
	for _, r := range records {
		for _, a := range s.hosts[r.Host].addrs {
			all = append(all, Target{Host: r.Host, Address: netip.AddrPortFrom(a, r.Port), Weight: max(1, int(r.Weight))})
		}
	}
	slices.SortFunc(all, compareTargets)
	return merge(all)
}

// merge adds up the weights of records that say the same.
func merge(all []Target) []Target {
	out := all[:0]
	for _, t := range all {
		if last := len(out) - 1; last >= 0 && compareTargets(out[last], t) == 0 {
			out[last].Weight += t.Weight
			continue
		}
		out = append(out, t)
	}
	return out
}
