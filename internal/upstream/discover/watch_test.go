package discover

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// script is what look-ups find, one after the other; the last again and again.
type script struct {
	start time.Time
	steps []step
	at    []int // seconds of the look-ups
	told  []string
}

type step struct {
	things []int
	ttl    time.Duration
	err    error
}

func (s *script) lookup(context.Context) ([]int, time.Duration, error) {
	s.at = append(s.at, int(time.Since(s.start)/time.Second))
	now := s.steps[0]
	if len(s.steps) > 1 {
		s.steps = s.steps[1:]
	}
	return slices.Clone(now.things), now.ttl, now.err
}

func (s *script) tell(format string, args ...any) {
	s.told = append(s.told, fmt.Sprintf("%d: ", int(time.Since(s.start)/time.Second))+fmt.Sprintf(format, args...))
}

// follow runs a Watch for as long.
func follow(t *testing.T, every, long time.Duration, s *script, during func(*Watch[int])) {
	synctest.Test(t, func(t *testing.T) {
		s.start = time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), long)
		defer cancel()
		w := NewWatch(s.lookup, every, func(n []int) { s.tell("%v", n); clear(n) }, func(err error) { s.tell("%v", err) })
		if during != nil {
			go during(w)
		}
		w.Run(ctx)
		if d := time.Since(s.start); d != long {
			t.Errorf("it ended after %v", d)
		}
	})
}

func (s *script) expect(t *testing.T, at []int, told ...string) {
	t.Helper()
	if !slices.Equal(s.at, at) {
		t.Errorf("looked at %v, want %v", s.at, at)
	}
	if told != nil && !slices.Equal(s.told, told) {
		t.Errorf("told %q, want %q", s.told, told)
	}
}

func TestWatchGoesByTTL(t *testing.T) {
	s := &script{steps: []step{
		{things: []int{1, 2}, ttl: 10 * time.Second},
		{things: []int{1, 2}, ttl: time.Millisecond},
		{things: []int{2}, ttl: time.Hour},
		{things: []int{2}},
	}}
	follow(t, 20*time.Second, 360*time.Second, s, nil)
	s.expect(t, []int{0, 10, 11, 311, 331, 351}, "0: [1 2]", "11: [2]")
}

func TestWatchBoundsEvery(t *testing.T) {
	for every, want := range map[time.Duration][]int{0: {0, 1, 2}, -1: {0, 1, 2}, time.Hour: {0}} {
		s := &script{steps: []step{{things: []int{1}}}}
		follow(t, every, 2500*time.Millisecond, s, nil)
		s.expect(t, want, "0: [1]")
	}
	s := &script{steps: []step{{things: []int{1}}}}
	follow(t, time.Hour, 301*time.Second, s, nil)
	s.expect(t, []int{0, 300})
}

func TestWatchKeepsWhatItKnows(t *testing.T) {
	bad := step{err: errors.New("down"), ttl: time.Hour}
	s := &script{steps: []step{
		{things: []int{1}, ttl: 5 * time.Second},
		bad, bad, {}, bad, bad, bad, bad, // 5 6 8 12 20 36 66 96
		{things: []int{1}, ttl: 3 * time.Second}, // 126
		bad,                                      // 129
		{things: []int{3}, ttl: time.Hour},
	}}
	follow(t, time.Minute, 140*time.Second, s, nil)
	s.expect(t, []int{0, 5, 6, 8, 12, 20, 36, 66, 96, 99, 100}, "0: [1]", "5: down", "6: down", "8: nothing was found",
		"12: down", "20: down", "36: down", "66: down", "99: down", "100: [3]")
}

func TestWatchTakesParts(t *testing.T) {
	s := &script{steps: []step{
		{things: []int{1, 2}, ttl: 5 * time.Second},
		{things: []int{1}, ttl: time.Minute, err: errors.New("some are missing")},
		{things: []int{1}, ttl: time.Minute, err: errors.New("some are missing")},
		{things: []int{1, 2}, ttl: time.Minute},
	}}
	follow(t, time.Minute, 20*time.Second, s, nil)
	s.expect(t, []int{0, 5, 6, 8}, "0: [1 2]", "5: [1]", "5: some are missing", "6: some are missing", "8: [1 2]")
}

func TestWatchAgain(t *testing.T) {
	s := &script{steps: []step{{things: []int{1}, ttl: time.Minute}}}
	follow(t, time.Minute, 30*time.Second, s, func(w *Watch[int]) {
		time.Sleep(100 * time.Millisecond)
		for range 50 { // for half a second: one look-up, at 1 s
			w.Again()
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(9500 * time.Millisecond)
		w.Again()
	})
	s.expect(t, []int{0, 1, 10})
}

// A wish that comes while a look-up is due is fulfilled by it, and not once more.
func TestWatchAgainWhenDue(t *testing.T) {
	for range 20 {
		s := &script{steps: []step{{things: []int{1}, ttl: time.Second}, {things: []int{1}, ttl: time.Minute}}}
		follow(t, time.Minute, 30*time.Second, s, func(w *Watch[int]) {
			time.Sleep(500 * time.Millisecond)
			w.Again()
		})
		s.expect(t, []int{0, 1})
	}
}

func TestWatchEndsWithinALookup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		w := NewWatch(func(ctx context.Context) ([]int, time.Duration, error) {
			<-ctx.Done()
			return []int{1}, 0, ctx.Err()
		}, time.Second, func([]int) { t.Error("told after the end") }, nil)
		w.Run(ctx)
	})
}

// events collects what a Watch tells, in order.
func events[T any](t *testing.T) (ch chan []T, errs chan error, next func() []T) {
	ch, errs = make(chan []T, 16), make(chan error, 64)
	return ch, errs, func() []T {
		t.Helper()
		select {
		case got := <-ch:
			return got
		case <-time.After(20 * time.Second):
			t.Fatal("nothing was told")
			return nil
		}
	}
}

func run[T comparable](t *testing.T, w *Watch[T]) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); w.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
}

func TestWatchAddresses(t *testing.T) {
	s := newServer(t)
	s.set("one.test.", a(1, "10.0.0.1"))
	ch, errs, next := events[netip.Addr](t)
	w := resolverOf(t, s).WatchAddresses("one.test.", time.Hour, func(a []netip.Addr) { ch <- a }, func(err error) { errs <- err })
	run(t, w)
	if got := text(next()); got != "10.0.0.1" {
		t.Errorf("first %s", got)
	}
	s.set("one.test.", a(1, "10.0.0.2"), a(1, "10.0.0.1"))
	if got := text(next()); got != "10.0.0.1 10.0.0.2" {
		t.Errorf("then %s", got)
	}
	s.set("one.test.")
	if err := <-errs; err == nil {
		t.Error("no error")
	}
	s.set("one.test.", a(3600, "10.0.0.3"))
	if got := text(next()); got != "10.0.0.3" {
		t.Errorf("at last %s", got)
	}
	if len(ch) != 0 {
		t.Errorf("told more: %v", <-ch)
	}
}

func target(host, address string, weight int) Target {
	return Target{Host: host, Address: netip.MustParseAddrPort(address), Weight: weight}
}

func TestWatchServices(t *testing.T) {
	s := newServer(t)
	s.set("_http._tcp.test.", srv(3600, 1, 0, 80, "a.test."), srv(3600, 1, 5, 81, "b.test."), srv(3600, 1, 2, 81, "b.test."), srv(3600, 2, 9, 82, "c.test."))
	s.set("a.test.", a(1, "10.0.0.2"), a(1, "10.0.0.1"))
	s.set("b.test.", a(3600, "10.0.0.3"))
	s.set("c.test.", a(3600, "10.0.0.4"))
	ch, errs, next := events[Target](t)
	run(t, resolverOf(t, s).WatchServices("_http._tcp.test.", time.Hour, func(a []Target) { ch <- a }, func(err error) { errs <- err }))
	b := target("b.test", "10.0.0.3:81", 7)
	if got := next(); !reflect.DeepEqual(got, []Target{target("a.test", "10.0.0.1:80", 1), target("a.test", "10.0.0.2:80", 1), b}) {
		t.Errorf("first %v", got)
	}
	s.set("a.test.", a(1, "10.0.0.9")) // its TTL counts, not the records'
	if got := next(); !reflect.DeepEqual(got, []Target{target("a.test", "10.0.0.9:80", 1), b}) {
		t.Errorf("then %v", got)
	}
	s.set("a.test.")
	if err := <-errs; err == nil || !strings.HasPrefix(err.Error(), "1 of 2 hosts of _http._tcp.test., the first: resolving a.test.") {
		t.Errorf("a host that is missing: %v", err)
	}
	s.set("a.test.", a(1, "10.0.0.10"))
	if got := next(); !reflect.DeepEqual(got, []Target{target("a.test", "10.0.0.10:80", 1), b}) {
		t.Errorf("when it is back %v", got)
	}
	s.set("_http._tcp.test.", srv(3600, 2, 9, 82, "c.test."))
	if got := next(); !reflect.DeepEqual(got, []Target{target("c.test", "10.0.0.4:82", 9)}) {
		t.Errorf("with another priority %v", got)
	}
}

func servicesOf(r *Resolver, every time.Duration) *services {
	return &services{records: r.Services, addresses: r.Addresses, longest: r.timeout, name: "_x._tcp.test.", every: every}
}

// Where nobody says how long something is good, every does.
func TestServicesWithoutTTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct{ records, hosts, want time.Duration }{
			{0, 0, 45 * time.Second}, {0, time.Hour, 45 * time.Second}, {time.Hour, 0, 45 * time.Second},
			{0, time.Minute, 45 * time.Second}, {0, 5 * time.Second, 5 * time.Second}, {7 * time.Second, 0, 7 * time.Second},
		} {
			x := &services{
				records: func(context.Context, string) ([]SRV, time.Duration, error) {
					return []SRV{{Host: "a.test"}}, c.records, nil
				},
				addresses: func(_ context.Context, host string) ([]netip.Addr, time.Duration, error) {
					if host != "a.test." {
						t.Errorf("asked for %s", host)
					}
					return []netip.Addr{netip.MustParseAddr("10.0.0.1")}, c.hosts, nil
				},
				longest: time.Second, every: 45 * time.Second,
			}
			if _, ttl, err := x.lookup(t.Context()); err != nil || ttl != c.want {
				t.Errorf("%+v: good for %v, %v", c, ttl, err)
			}
		}
	})
}

// Many hosts that nobody answers for take no longer than one bound, and are asked a few at a time.
func TestServicesBoundHosts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var running, most atomic.Int64
		var records []SRV
		for i := range 200 {
			records = append(records, SRV{Host: fmt.Sprint("h", i), Weight: 1})
		}
		x := &services{
			records: func(context.Context, string) ([]SRV, time.Duration, error) { return records, time.Minute, nil },
			addresses: func(ctx context.Context, _ string) ([]netip.Addr, time.Duration, error) {
				most.Store(max(most.Load(), running.Add(1)))
				defer running.Add(-1)
				ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
				defer cancel()
				<-ctx.Done()
				return nil, 0, ctx.Err()
			},
			longest: 20 * time.Second, every: time.Minute, name: "x",
		}
		start := time.Now()
		targets, _, err := x.lookup(t.Context())
		if len(targets) != 0 || err == nil || !strings.HasPrefix(err.Error(), "200 of 200 hosts of x") {
			t.Errorf("%d, %v", len(targets), err)
		}
		if d := time.Since(start); d != 20*time.Second || most.Load() > atOnce {
			t.Errorf("%v, %d at once", d, most.Load())
		}
	})
}

// What is known of a host outlives a failure, and is forgotten with its record.
func TestServicesRememberHosts(t *testing.T) {
	s := newServer(t)
	s.set("_x._tcp.test.", srv(60, 1, 1, 80, "a.test."), srv(60, 1, 1, 80, "b.test."))
	s.set("a.test.", a(60, "10.0.0.1"))
	s.set("b.test.", a(20, "10.0.0.2"))
	x := servicesOf(resolverOf(t, s), 45*time.Second)
	look := func() (int, time.Duration, error) {
		targets, ttl, err := x.lookup(t.Context())
		return len(targets), ttl.Round(time.Second), err
	}
	if n, ttl, err := look(); n != 2 || ttl != 20*time.Second || err != nil {
		t.Errorf("first %d for %v, %v", n, ttl, err)
	}
	asked := s.asked.Load()
	if n, _, err := look(); n != 2 || err != nil || s.asked.Load() != asked+1 {
		t.Errorf("again %d, %v: asked %d more", n, err, s.asked.Load()-asked)
	}
	stale := x.hosts["b.test"]
	stale.until = time.Now()
	x.hosts["b.test"] = stale
	s.set("b.test.")
	if n, ttl, err := look(); n != 2 || err == nil || ttl != time.Minute {
		t.Errorf("with a failure %d for %v, %v", n, ttl, err)
	}
	s.set("_x._tcp.test.", srv(60, 1, 1, 80, "a.test."))
	if n, _, err := look(); n != 1 || err != nil || len(x.hosts) != 1 {
		t.Errorf("without the record %d, %v; %d hosts", n, err, len(x.hosts))
	}
	s.set("_x._tcp.test.", srv(60, 1, 1, 80, "a.test."), srv(60, 1, 1, 80, "10.0.0.7."))
	if n, ttl, err := look(); n != 1 || ttl != time.Minute || err == nil || !strings.Contains(err.Error(), "invalid names") {
		t.Errorf("with a record of no name: %d for %v, %v", n, ttl, err)
	}
}

func TestTooManyTargets(t *testing.T) {
	s := newServer(t)
	var records, addrs []entry
	for i := range 300 {
		records = append(records, srv(60, 1, 1, uint16(1000+i), "a.test."))
		addrs = append(addrs, a(60, fmt.Sprintf("10.0.%d.%d", i/256, i%256)))
	}
	s.set("_x._tcp.test.", records...)
	s.set("a.test.", addrs[:1]...)
	s.set("big.test.", addrs...)
	r := resolverOf(t, s)
	x := servicesOf(r, time.Minute)
	targets, _, err := x.lookup(t.Context())
	if len(targets) != MostTargets || err == nil || !strings.Contains(err.Error(), "300 are too many") {
		t.Errorf("%d records, %v", len(targets), err)
	}
	s.set("_x._tcp.test.", records[:2]...)
	s.set("a.test.", addrs...)
	x = servicesOf(r, time.Minute)
	targets, _, err = x.lookup(t.Context())
	if len(targets) != MostTargets || err == nil || !strings.Contains(err.Error(), "600 are too many") {
		t.Errorf("%d addresses of records, %v", len(targets), err)
	}
	ch, errs, next := events[netip.Addr](t)
	run(t, r.WatchAddresses("big.test.", time.Minute, func(a []netip.Addr) { ch <- a }, func(err error) { errs <- err }))
	if got, err := next(), <-errs; len(got) != MostTargets || !strings.Contains(err.Error(), "300 are too many") {
		t.Errorf("%d addresses, %v", len(got), err)
	}
}
