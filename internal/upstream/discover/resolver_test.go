package discover

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"
)

func text(addrs []netip.Addr) string {
	all := []string{}
	for _, a := range addrs {
		all = append(all, a.String())
	}
	return strings.Join(all, " ")
}

func TestAddresses(t *testing.T) {
	s := newServer(t)
	s.set("one.test.", a(60, "10.0.0.1"))
	s.set("many.test.", a(60, "10.0.0.9"), a(30, "10.0.0.2"), a(90, "10.0.0.9"), a(45, "2001:db8::1"))
	s.set("six.test.", a(20, "2001:db8::1"), a(10, "2001:db8::2"))
	s.set("mapped.test.", a(60, "10.0.0.1"), a(60, "::ffff:10.0.0.1"))
	s.set("alias.test.", cname(15, "second.test."))
	s.set("second.test.", cname(5, "one.test."))
	s.set("never.test.", a(0, "10.0.0.1"))
	s.set("huge.test.", a(1<<31, "10.0.0.1"))
	r := resolverOf(t, s)
	for _, c := range []struct {
		name, addrs string
		ttl         time.Duration
	}{
		{"one.test", "10.0.0.1", time.Minute},
		{"ONE.test.", "10.0.0.1", time.Minute},
		{"many.test", "10.0.0.2 10.0.0.9 2001:db8::1", 30 * time.Second},
		{"six.test", "2001:db8::1 2001:db8::2", 10 * time.Second},
		{"mapped.test", "10.0.0.1", time.Minute},
		{"alias.test", "10.0.0.1", 5 * time.Second},
		{"never.test", "10.0.0.1", time.Second},
		{"huge.test", "10.0.0.1", time.Second},
		{"10.1.2.3", "10.1.2.3", 0},
		{"::1", "::1", 0},
	} {
		addrs, ttl, err := r.Addresses(t.Context(), c.name)
		if err != nil || text(addrs) != c.addrs || ttl != c.ttl {
			t.Errorf("%s: got %v for %v, %v; want %s for %v", c.name, addrs, ttl, err, c.addrs, c.ttl)
		}
	}
}

func TestHostsFileHasNoTTL(t *testing.T) {
	s := newServer(t)
	addrs, ttl, err := resolverOf(t, s).Addresses(t.Context(), "localhost")
	if err != nil || ttl != 0 || !strings.Contains(text(addrs), "127.0.0.1") {
		t.Errorf("got %v for %v, %v", addrs, ttl, err)
	}
	if n := s.asked.Load(); n != 0 {
		t.Errorf("the server was asked %d times", n)
	}
}

func TestTruncatedGoesOnByTCP(t *testing.T) {
	s := newServer(t)
	var entries []entry
	for i := range 200 {
		entries = append(entries, a(uint32(1000-i), fmt.Sprintf("10.0.%d.1", i)))
	}
	s.set("big.test.", entries...)
	addrs, ttl, err := resolverOf(t, s).Addresses(t.Context(), "big.test.")
	if err != nil || len(addrs) != 200 || ttl != 801*time.Second {
		t.Errorf("got %d for %v, %v", len(addrs), ttl, err)
	}
	if s.byTCP.Load() == 0 {
		t.Error("nobody came by TCP")
	}
}

func TestNothingThere(t *testing.T) {
	s := newServer(t)
	s.set("text.test.") // the name is there, addresses are not
	r := resolverOf(t, s)
	for _, name := range []string{"none.test.", "text.test."} {
		addrs, ttl, err := r.Addresses(t.Context(), name)
		var dns *net.DNSError
		if len(addrs) != 0 || ttl != 7*time.Second || !errors.As(err, &dns) || !dns.IsNotFound {
			t.Errorf("%s: got %v for %v, %v", name, addrs, ttl, err)
		}
		if err == nil || !strings.HasPrefix(err.Error(), "resolving "+name) {
			t.Errorf("the error does not say what was done: %v", err)
		}
		if dns != nil && dns.Server != s.address {
			t.Errorf("it names server %s", dns.Server)
		}
	}
	s.failing.Store(true)
	if _, ttl, err := r.Addresses(t.Context(), "none.test."); err == nil || ttl != 0 {
		t.Errorf("a failure is good for %v, %v", ttl, err)
	}
}

// Look-ups of one name at the same time all learn the TTL.
func TestParallelLookups(t *testing.T) {
	s := newServer(t)
	s.set("one.test.", a(60, "10.0.0.1"))
	s.set("two.test.", a(5, "10.0.0.2"))
	s.slow.Store(int64(20 * time.Millisecond)) // so that they do meet
	r := resolverOf(t, s)
	var all sync.WaitGroup
	for i := range 32 {
		name, want := "one.test.", time.Minute
		if i%2 == 1 {
			name, want = "two.test.", 5*time.Second
		}
		all.Go(func() {
			if _, ttl, err := r.Addresses(t.Context(), name); err != nil || ttl != want {
				t.Errorf("%s: %v, %v", name, ttl, err)
			}
		})
	}
	all.Wait()
}

func TestForgedAnswersDoNotCount(t *testing.T) {
	s := newServer(t)
	s.set("one.test.", a(60, "10.0.0.1"))
	s.forge.Store(true)
	addrs, ttl, err := resolverOf(t, s).Addresses(t.Context(), "one.test.")
	if err != nil || text(addrs) != "10.0.0.1" || ttl != time.Minute {
		t.Errorf("got %v for %v, %v", addrs, ttl, err)
	}
}

func TestSilentServer(t *testing.T) {
	s := newServer(t)
	s.silent.Store(true)
	r := newResolver(t, Options{Servers: []string{s.address}, Timeout: 150 * time.Millisecond})
	lookups := map[string]func(context.Context) error{
		"addresses": func(ctx context.Context) error { _, _, err := r.Addresses(ctx, "one.test."); return err },
		"services":  func(ctx context.Context) error { _, _, err := r.Services(ctx, "_http._tcp.test."); return err },
	}
	for name, lookup := range lookups {
		start := time.Now()
		if err := lookup(t.Context()); err == nil || time.Since(start) > 3*time.Second {
			t.Errorf("%s: %v after %v", name, err, time.Since(start))
		}
		ctx, cancel := context.WithCancel(t.Context())
		before := s.asked.Load()
		go func() {
			for s.asked.Load() == before {
				time.Sleep(time.Millisecond)
			}
			cancel()
		}()
		r.timeout = time.Minute
		start = time.Now()
		if err := lookup(ctx); err == nil || time.Since(start) > 3*time.Second {
			t.Errorf("%s, canceled: %v after %v", name, err, time.Since(start))
		}
		r.timeout = 150 * time.Millisecond
	}
}

// A server that does not answer loses its turn, and one that does keeps it.
func TestNextServer(t *testing.T) {
	for name, breakIt := range map[string]func(*dnsServer){
		"silent":  func(s *dnsServer) { s.silent.Store(true) },
		"failing": func(s *dnsServer) { s.failing.Store(true) },
	} {
		first, second := newServer(t), newServer(t)
		first.set("one.test.", a(60, "10.0.0.1"))
		second.set("one.test.", a(60, "10.0.0.2"))
		r := newResolver(t, Options{Servers: []string{first.address, second.address}, Timeout: 200 * time.Millisecond})
		for range 3 {
			if addrs, _, err := r.Addresses(t.Context(), "one.test."); err != nil || text(addrs) != "10.0.0.1" {
				t.Errorf("%s: got %v, %v", name, addrs, err)
			}
		}
		breakIt(first)
		_, _, _ = r.Addresses(t.Context(), "one.test.") // may fail
		asked := first.asked.Load()
		for range 3 {
			if addrs, _, err := r.Addresses(t.Context(), "one.test."); err != nil || text(addrs) != "10.0.0.2" {
				t.Errorf("%s: got %v, %v", name, addrs, err)
			}
		}
		if first.asked.Load() != asked {
			t.Errorf("%s: it was asked again", name)
		}
	}
}

// Only who does not answer loses its turn.
func TestServerKeepsItsTurn(t *testing.T) {
	s := newServer(t)
	s.set("one.test.", a(60, "10.0.0.1"))
	s.limit.Store(12) // everything goes on by TCP
	r := newResolver(t, Options{Servers: []string{s.address, "127.0.0.1:1"}})
	for _, name := range []string{"one.test.", "none.test."} {
		_, _, _ = r.Addresses(t.Context(), name)
	}
	if s.byTCP.Load() == 0 || r.current.Load() != 0 {
		t.Errorf("after %d by TCP its turn is over", s.byTCP.Load())
	}
	ended, cancel := context.WithDeadline(t.Context(), time.Now())
	defer cancel()
	if _, err := r.dial(ended, "tcp", "", &recorder{}, func() bool { return false }); err == nil || r.current.Load() != 0 {
		t.Errorf("%v: its turn is over because there was no time left", err)
	}
	s.silent.Store(true)
	ctx, cancel := context.WithCancel(t.Context())
	before := s.asked.Load()
	go func() {
		for s.asked.Load() == before {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	if _, _, err := r.Services(ctx, "_http._tcp.test."); err == nil || r.current.Load() != 0 {
		t.Errorf("%v: its turn is over because the caller gave up", err)
	}
}

// A server that knows nothing of IPv6 is good for IPv4.
func TestHalfAnAnswer(t *testing.T) {
	s := newServer(t)
	s.set("one.test.", a(60, "10.0.0.1"))
	s.only4.Store(true)
	addrs, ttl, err := resolverOf(t, s).Addresses(t.Context(), "one.test.")
	if err != nil || text(addrs) != "10.0.0.1" || ttl != time.Minute {
		t.Errorf("got %v for %v, %v", addrs, ttl, err)
	}
}

func TestServices(t *testing.T) {
	s := newServer(t)
	s.set("_http._tcp.test.", srv(60, 20, 1, 80, "c.test."), srv(30, 10, 5, 81, "b.test."), srv(90, 10, 0, 80, "a.test."), srv(90, 10, 0, 80, "a.test."))
	s.set("_gone._tcp.test.", srv(60, 0, 0, 0, "."))
	s.set("_alias._tcp.test.", cname(12, "_http._tcp.test."))
	s.set("_addr._tcp.test.", a(60, "10.0.0.1"))
	r := resolverOf(t, s)
	want := []SRV{{"a.test", 80, 10, 0}, {"b.test", 81, 10, 5}, {"c.test", 80, 20, 1}}
	for name, life := range map[string]time.Duration{"_http._tcp.test.": 30 * time.Second, "_alias._tcp.test.": 12 * time.Second} {
		if got, ttl, err := r.Services(t.Context(), name); err != nil || ttl != life || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %v for %v, %v", name, got, ttl, err)
		}
	}
	for name, life := range map[string]time.Duration{"_gone._tcp.test.": time.Minute, "_none._tcp.test.": 7 * time.Second, "_addr._tcp.test.": 7 * time.Second} {
		if got, ttl, err := r.Services(t.Context(), name); err == nil || len(got) != 0 || ttl != life {
			t.Errorf("%s: got %v for %v, %v", name, got, ttl, err)
		}
	}
}

func TestOptions(t *testing.T) {
	for _, bad := range []string{"", "10.0.0.1", "dns.test:53", "10.0.0.1:0", ":53", "10.0.0.1:domain", "2001:db8::1:53"} {
		if _, err := New(Options{Servers: []string{"10.0.0.1:53", bad}}); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%q", bad)) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if _, err := New(Options{Servers: []string{"10.0.0.1:53", "[2001:db8::1]:53"}}); err != nil {
		t.Error(err)
	}
}
