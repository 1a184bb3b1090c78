package upstream

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"yett/internal/exchange"
	"yett/internal/upstream/discover"
)

// Resolver finds out where names point, and follows them. *discover.Resolver is
// one.
type Resolver interface {
	WatchAddresses(host string, every time.Duration, changed func([]netip.Addr), failed func(error)) *discover.Watch[netip.Addr]
	WatchServices(name string, every time.Duration, changed func([]discover.Target), failed func(error)) *discover.Watch[discover.Target]
}

// source is a target as it is written, and what it stands for.
type source struct {
	Address
	weight int
	each   bool // address of the name is a target of its own
	alone  bool // there are no other sources

	// What follows is guarded by the service's changing.
	spots   []spot // none while nothing is known
	asked   bool   // the first look-up has ended
	failing bool
	why     string // the last look-up has failed; "" unless failing
	again   func() // looks now; nil for an IP address
}

// prepare reads the targets from the configuration. Those that are IP addresses are
// there at once.
func (s *Service) prepare() (err error) {
	if s.deps.Resolver == nil {
		s.deps.Resolver, err = discover.New(discover.Options{})
	}
	s.first, s.sources = make(chan struct{}), s.read()
	s.set.Store(&targets{})
	s.retarget()
	s.looked()
	return err
}

// read makes the sources as they stand in the configuration.
func (s *Service) read() (all []*source) {
	for _, raw := range s.conf.Targets {
		a, weight, err := ParseTarget(raw)
		if err != nil { // Check has looked at them
			continue
		}
		src := &source{Address: a, weight: weight, each: s.conf.Resolve == "addresses", alone: len(s.conf.Targets) == 1}
		if ip, err := netip.ParseAddr(a.Host); err == nil {
			src.asked = true
			src.spots = []spot{{place: place{Address: a, name: a.String()}, weight: weight, addrs: []netip.Addr{ip}, settled: true}}
		}
		all = append(all, src)
	}
	return all
}

// addresses says what a name stands for whose addresses have been found.
func (src *source) addresses(found []netip.Addr) []spot {
	if !src.each {
		return []spot{{place: place{Address: src.Address, name: src.String()}, weight: src.weight, addrs: found}}
	}
	spots := make([]spot, len(found))
	for i, ip := range found {
		spots[i] = spotAt(src.Address, ip, src.weight, src.alone)
	}
	return spots
}

// services says what a name stands for whose SRV records have been found.
func (src *source) services(found []discover.Target) []spot {
	spots := make([]spot, len(found))
	for i, t := range found {
		a := Address{Host: t.Host, Port: t.Address.Port(), Secure: src.Secure}
		spots[i] = spotAt(a, t.Address.Addr(), src.weight*t.Weight, false)
	}
	return spots
}

// spotAt is a target at one address of a name. Its name says of which, unless
// that is clear.
func spotAt(a Address, ip netip.Addr, weight int, clear bool) spot {
	name := netip.AddrPortFrom(ip, a.Port).String()
	if !clear {
		name = fmt.Sprintf("%s (%s)", name, a.Host)
	}
	return spot{place: place{Address: a, ip: ip, name: name}, weight: weight, addrs: []netip.Addr{ip}}
}

// follow begins to look up the name of a source, until the service is closed. It
// does not wait for what comes.
func (s *Service) follow(src *source) {
	every := time.Duration(s.conf.DNSRefresh)
	failed := func(err error) { s.missed(src, err) }
	switch {
	case len(src.spots) > 0: // an IP address
	case src.Service:
		changed := func(found []discover.Target) { s.learn(src, src.services(found)) }
		watch(s, src, s.deps.Resolver.WatchServices(src.Host, every, changed, failed))
	default:
		changed := func(found []netip.Addr) { s.learn(src, src.addresses(found)) }
		watch(s, src, s.deps.Resolver.WatchAddresses(src.Host, every, changed, failed))
	}
}

func watch[T comparable](s *Service, src *source, w *discover.Watch[T]) {
	src.again = w.Again
	w.WhenWell(func() { s.recovered(src) })
	go w.Run(s.ctx)
}

// learn takes over what a name stands for now.
func (s *Service) learn(src *source, spots []spot) {
	s.changing.Lock()
	defer s.changing.Unlock()
	if s.ctx.Err() != nil {
		return
	}
	for i := range spots {
		spots[i].again = src.again
		spots[i].settled = !src.asked
	}
	expected := !src.asked && !src.each && !src.Service
	src.asked, src.spots = true, spots
	added, removed := s.retarget()
	s.looked()
	if s.deps.Log != nil && !expected && len(added)+len(removed) > 0 {
		s.deps.Log.Info("targets", "service", s.name, "added", added, "removed", removed, "cause", "DNS")
	}
}

// missed notes that a look-up has failed. What is known stays.
func (s *Service) missed(src *source, err error) {
	s.changing.Lock()
	defer s.changing.Unlock()
	src.asked, src.why = true, last(strings.ReplaceAll(err.Error(), "\n", "; "))
	s.looked()
	if src.failing || s.ctx.Err() != nil {
		return
	}
	src.failing = true
	if s.deps.Log != nil {
		s.deps.Log.Warn("a target can't be looked up", "service", s.name, "target", src.String(), "error", err.Error(), "kept", len(src.spots))
	}
}

// recovered notes that look-ups don't fail any more.
func (s *Service) recovered(src *source) {
	s.changing.Lock()
	defer s.changing.Unlock()
	if !src.failing || s.ctx.Err() != nil {
		return
	}
	src.failing, src.why = false, ""
	if s.deps.Log != nil {
		s.deps.Log.Info("a target can be looked up again", "service", s.name, "target", src.String())
	}
}

// unknown is the state of a name of which nothing is known.
const unknown = "unknown"

// unsure returns a row for each name of which nothing is known, and by place what is to be
// said about targets whose name can't be looked up any more.
func (s *Service) unsure() (rows []TargetStats, notes map[place]string) {
	s.changing.Lock()
	defer s.changing.Unlock()
	for _, src := range s.sources {
		switch {
		case len(src.spots) == 0:
			rows = append(rows, TargetStats{Name: src.String(), State: unknown, Cause: src.doubt(), Weight: src.weight})
		case src.failing:
			if notes == nil {
				notes = make(map[place]string)
			}
			for _, p := range src.spots {
				notes[p.place] = "a look-up of its name has failed: " + src.why
			}
		}
	}
	return rows, notes
}

// doubt says why nothing is known of a name. Which server was asked is no business of those
// who see it.
func (src *source) doubt() string {
	if src.why == "" {
		return "not looked up yet"
	}
	return "can't be looked up: " + src.why
}

// looked ends the wait for the first targets once there is one, or all names have
// been looked up in vain. It has to be called with s.changing held.
func (s *Service) looked() {
	done := true
	for _, src := range s.sources {
		done = done && src.asked
	}
	if done || len(s.set.Load().list) > 0 {
		s.found.Do(func() { close(s.first) })
	}
}

// await waits for the first targets, while the names are looked up for the first
// time. It tells whether that has ended.
func (s *Service) await(x *exchange.Exchange) bool {
	select {
	case <-s.first:
		return true
	default:
	}
	return s.awaitUntil(x.Context(), min(time.Duration(s.conf.Timeouts.Connect), s.responseTimeout(x)))
}

// awaitUntil is await, for as long as that, and until ctx ends.
func (s *Service) awaitUntil(ctx context.Context, patience time.Duration) bool {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-s.first:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}

// noTargetRetry is after how many seconds a client may ask again whose service has
// no targets: names are looked up again about as soon.
const noTargetRetry = 1

// noTarget is the outcome where there is none: a service that can't be reached, if
// its name can't be looked up.
func (s *Service) noTarget(x *exchange.Exchange) outcome {
	if r := x.Aborted(); r != nil {
		return outcome{reason: r}
	}
	s.changing.Lock()
	defer s.changing.Unlock()
	for _, src := range s.sources {
		if src.failing {
			return outcome{reason: exchange.ConnectFailed, detail: src.Host + " can't be looked up", unsent: true}
		}
	}
	x.RetryAfter = noTargetRetry
	return outcome{reason: exchange.NoTarget, detail: "none of its targets could be looked up"}
}
