package upstream

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"yett/internal/exchange"
	"yett/internal/upstream/balance"
	"yett/internal/upstream/discover"
)

// has tells whether the targets are these.
func (f *fixture) has(targets ...string) func() bool {
	return func() bool { return slices.Equal(f.Targets(), targets) }
}

// answers returns what n requests get, each answer once, in order.
func (f *fixture) answers(n int) string {
	f.t.Helper()
	var all []string
	for range n {
		all = append(all, strings.TrimPrefix(f.get(), "200 "))
	}
	slices.Sort(all)
	return strings.Join(slices.Compact(all), " ")
}

// even balances without chance, and without slow start.
func even(s *setup) { s.conf.Balance.Algorithm, s.conf.Balance.SlowStart = "round_robin", 0 }

// Each address of a name is a target, for as long as it is one.
func TestAddressesAreTargets(t *testing.T) {
	t.Parallel()
	z, r := newZone(t)
	var l lines
	z.addrs("app.test", "127.0.0.1", "127.0.0.2")
	port := twins(t)
	f := service(t, fmt.Sprintf("http://app.test:%d weight=3", port), use(r, each, even, logged(&l)))
	one, two := fmt.Sprintf("127.0.0.1:%d", port), fmt.Sprintf("127.0.0.2:%d", port)
	f.want(f.answers(4), "127.0.0.1 127.0.0.2") // the first request waits for the look-up
	st := f.Stats()
	if len(st.Targets) != 2 || st.Targets[0].Name != one || st.Targets[1].Name != two || st.Targets[1].Weight != 3 || st.Targets[1].State != balance.Up {
		t.Errorf("%+v", st.Targets)
	}
	f.want(f.target().host, fmt.Sprintf("app.test:%d", port))
	stays := f.set.Load().list[1]
	z.addrs("app.test", "127.0.0.2")
	eventually(t, "one is gone", f.has(two))
	f.want(f.answers(4), "127.0.0.2")
	if f.target() != stays {
		t.Error("the one that stays is another object")
	}
	z.addrs("app.test", "127.0.0.1", "127.0.0.2")
	eventually(t, "it is back", f.has(one, two))
	f.want(f.answers(4), "127.0.0.1 127.0.0.2")
	f.want(strings.Join(l.with(""), "\n"), strings.Join([]string{
		fmt.Sprintf(`level=INFO msg=targets service=app added="[%s %s]" removed=[] cause=DNS`, one, two),
		fmt.Sprintf(`level=INFO msg=targets service=app added=[] removed=[%s] cause=DNS`, one),
		fmt.Sprintf(`level=INFO msg=targets service=app added=[%s] removed=[] cause=DNS`, one),
	}, "\n"))
}

// The name is what a certificate has to be for, also where addresses are targets.
func TestAddressesOverTLS(t *testing.T) {
	t.Parallel()
	origin := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, "%s %s", r.TLS.ServerName, r.Host)
	}))
	defer origin.Close()
	pool := x509.NewCertPool()
	pool.AddCert(origin.Certificate())
	port := origin.Listener.Addr().(*net.TCPAddr).Port
	z, r := newZone(t)
	z.addrs("example.com", "127.0.0.1")
	z.set("_x._tcp.test", srv(0, 1, uint16(port), "example.com"))
	for _, target := range []string{fmt.Sprintf("https://example.com:%d", port), "srv+https://_x._tcp.test"} {
		f := service(t, target, use(r, each, func(s *setup) { s.deps.TLS = &tls.Config{RootCAs: pool} }))
		f.want(f.get(), fmt.Sprintf("200 example.com example.com:%d", port))
	}
}

// A target that is gone finishes what it has begun, and gets nothing more.
func TestRemovedTargetDrains(t *testing.T) {
	t.Parallel()
	z, r := newZone(t)
	z.addrs("app.test", "127.0.0.1")
	asked, release := make(chan struct{}, 9), make(chan struct{})
	address := listen(t, "127.0.0.1:0", func(p *peer) {
		for p.head() != "" {
			asked <- struct{}{}
			<-release
			p.send(ok)
		}
	}).(*net.TCPAddr)
	listen(t, fmt.Sprintf("127.0.0.2:%d", address.Port), always("HTTP/1.1 200 OK\nContent-Length: 3\n\nnew"))
	f := service(t, fmt.Sprintf("http://app.test:%d", address.Port), use(r, each, even))
	got := make(chan string)
	go func() { got <- f.get() }()
	receive(t, asked)
	old := f.target()
	z.addrs("app.test", "127.0.0.2")
	eventually(t, "it has moved", func() bool { return f.target() != old })
	f.times(5, "200 new")
	if st := f.Stats(); len(st.Targets) != 2 || st.Targets[1].State != balance.Draining || st.Targets[1].InFlight != 1 || st.InFlight != 1 {
		t.Errorf("%+v", st)
	}
	z.addrs("app.test", "127.0.0.1", "127.0.0.2") // it returns meanwhile
	eventually(t, "it is back", func() bool { return len(f.Targets()) == 2 })
	back := f.target()
	if back == old || back.name != old.name {
		t.Errorf("%s is back as %s, the same: %v", old.name, back.name, back == old)
	}
	release <- struct{}{}
	f.want(receive(t, got), "200 ok")
	if st := f.Stats(); len(st.Targets) != 2 || st.Targets[0].State != balance.Up || old.pool.count() != 0 {
		t.Errorf("%+v, %d old connections", st.Targets, old.pool.count())
	}
	close(release)
	f.want(f.answers(4), "new ok")
}

// A DNS server that fails takes no target away, and one line says so.
func TestDNSFails(t *testing.T) {
	t.Parallel()
	z, r := newZone(t)
	var l lines
	z.addrs("app.test", "127.0.0.1")
	f := service(t, fmt.Sprintf("http://app.test:%d", twins(t)), use(r, each, logged(&l)))
	f.want(f.get(), "200 127.0.0.1")
	z.failing.Store(true)
	eventually(t, "it is noticed", func() bool { return len(l.with("level=WARN")) == 1 })
	before := z.asked.Load()
	eventually(t, "it fails again", func() bool { return z.asked.Load() >= before+4 })
	f.want(f.get(), "200 127.0.0.1")
	z.failing.Store(false)
	eventually(t, "it is well", func() bool { return len(l.with("again")) == 1 })
	f.want(f.get(), "200 127.0.0.1")
	if all := l.with(""); len(all) != 3 || !strings.Contains(all[1], "app.test") || !strings.HasSuffix(all[1], "kept=1") {
		t.Errorf("%q", all)
	}
}

// A name that is unknown at the start holds nobody up, and is found when it is
// there. Until then the other targets serve.
func TestUnknownAtStart(t *testing.T) {
	t.Parallel()
	z, r := newZone(t)
	var l lines
	port := twins(t)
	began := time.Now()
	name, literal := fmt.Sprintf("http://app.test:%d", port), fmt.Sprintf("http://127.0.0.2:%d", port)
	f := service(t, name, use(r, even, logged(&l)))
	both := service(t, name, use(r, even, func(s *setup) { s.conf.Targets = []string{name, literal} }))
	f.want(f.get(), "connect_failed")
	both.times(4, "200 127.0.0.2")
	if took := time.Since(began); took > limit/2 {
		t.Errorf("it took %s", took)
	}
	f.want(strings.Join(both.Targets(), " "), fmt.Sprintf("app.test:%d 127.0.0.2:%d", port, port))
	z.addrs("app.test", "127.0.0.1")
	eventually(t, "it is found", func() bool { return f.get() == "200 127.0.0.1" })
	eventually(t, "the other finds it too", func() bool { return both.answers(2) == "127.0.0.1 127.0.0.2" })
	if st := both.Stats().Targets; st[0].Name != fmt.Sprintf("app.test:%d", port) || st[1].Name != fmt.Sprintf("127.0.0.2:%d", port) {
		t.Errorf("not in the order of the configuration: %+v", st)
	}
	if n := len(l.with("level=WARN")); n != 1 {
		t.Errorf("%d warnings: %q", n, l.with(""))
	}
}

// The first request waits for the first look-up, within bounds.
func TestFirstLookup(t *testing.T) {
	t.Parallel()
	z, r := newZone(t)
	z.addrs("app.test", "127.0.0.1")
	release := z.slow(t)
	name := fmt.Sprintf("http://app.test:%d", twins(t))
	f := service(t, name, use(r))
	impatient := service(t, name, use(r, func(s *setup) { s.conf.Timeouts.Connect = ms(10) }))
	impatient.want(impatient.get(), "no_target")
	got := make(chan string)
	go func() { got <- f.get() }()
	x := f.exchange("GET", "/")
	gone := make(chan string)
	go func() { gone <- f.forward(x).whole() }()
	eventually(t, "the server is asked", func() bool { return z.asked.Load() > 1 })
	x.Abort(exchange.ClientGone)
	f.want(receive(t, gone), "client_gone")
	release()
	f.want(receive(t, got), "200 127.0.0.1")
}

// SRV records say where, how much, and who is first.
func TestSRV(t *testing.T) {
	t.Parallel()
	z, r := newZone(t)
	port := twins(t)
	one, two := fmt.Sprintf("127.0.0.1:%d (a.test)", port), fmt.Sprintf("127.0.0.2:%d (b.test)", port)
	z.addrs("a.test", "127.0.0.1")
	z.addrs("b.test", "127.0.0.2")
	z.set("_http._tcp.app.test", srv(1, 30000, port, "a.test"), srv(1, 10000, port, "b.test"), srv(2, 1, 9, "c.test"))
	f := service(t, "srv+http://_http._tcp.app.test weight=10", use(r, even))
	f.want(f.answers(8), "127.0.0.1 127.0.0.2")
	st := f.Stats().Targets
	if len(st) != 2 || st[0].Name != one || st[1].Name != two || st[0].Weight != 1000 || st[1].Weight != 333 {
		t.Errorf("%+v", st)
	}
	f.want(f.target().host, fmt.Sprintf("a.test:%d", port))
	before := f.target()
	z.set("_http._tcp.app.test", srv(1, 1, port, "a.test"), srv(1, 2, port, "b.test"))
	eventually(t, "the weights have changed", func() bool { return f.Stats().Targets[1].Weight == 20 })
	if f.target() != before || f.target().node.Weight() != 10 {
		t.Errorf("another object, or a weight of %d", f.target().node.Weight())
	}
	z.set("_http._tcp.app.test", srv(5, 1, port, "a.test"), srv(4, 1, port, "b.test"))
	eventually(t, "another priority", f.has(two))
	f.want(f.answers(4), "127.0.0.2")
}

// learned is a service whose targets a test sets without DNS.
func learned(t testing.TB, change ...func(*setup)) (*fixture, func(addrs ...string)) {
	f := service(t, "http://app.internal:80", append([]func(*setup){each}, change...)...)
	src := f.sources[0]
	return f, func(addrs ...string) {
		var found []netip.Addr
		for _, a := range addrs {
			found = append(found, netip.MustParseAddr(a))
		}
		f.learn(src, src.addresses(found))
	}
}

// However often addresses change, nothing stays behind.
func TestChurn(t *testing.T) {
	f, set := learned(t, checked(func(s *setup) { s.conf.Health.Interval = ms(60_000) }))
	set("127.0.0.1", "127.1.0.0")
	stays := f.target()
	f.balancer.SetHealthy(stays.node, false, "test", time.Now())
	var busy []balance.Attempt
	before := runtime.NumGoroutine()
	for i := range 10_000 {
		set("127.0.0.1", fmt.Sprintf("127.1.%d.%d", i>>8, i&255))
		if i%1000 == 0 {
			busy = append(busy, f.set.Load().list[1].node.Begin())
		}
	}
	if n := len(f.set.Load().draining); n > 10 {
		t.Errorf("%d are draining", n)
	}
	if st := f.Stats().Targets; len(st) != 12 || st[0].State != balance.Down || f.target() != stays {
		t.Errorf("%d targets: %+v", len(st), st[0])
	}
	for _, a := range busy {
		a.End()
	}
	if st := f.Stats().Targets; len(st) != 2 {
		t.Errorf("%d targets are left", len(st))
	}
	eventually(t, "goroutines have ended", func() bool { return runtime.NumGoroutine() <= before+5 })
}

// What is found at the start needs no slow start; what is found later does.
func TestSettled(t *testing.T) {
	f := service(t, "http://a.internal:80", func(s *setup) {
		s.conf.Targets = []string{"http://127.0.0.1:1", "http://a.internal:80", "http://b.internal:80"}
		s.conf.Balance.SlowStart = ms(60_000)
	})
	learn := func(i int, addr string) {
		f.learn(f.sources[i], f.sources[i].addresses([]netip.Addr{netip.MustParseAddr(addr)}))
	}
	eventually(t, "both have failed", func() bool {
		f.changing.Lock()
		defer f.changing.Unlock()
		return f.sources[1].asked && f.sources[2].asked
	})
	f.sources[1].asked = false // as if it had been found at once
	learn(1, "127.0.0.2")
	learn(2, "127.0.0.3")
	st := f.Stats().Targets
	if st[0].State != balance.Up || st[1].State != balance.Up || st[2].State != balance.Warming {
		t.Errorf("%+v", st)
	}
}

// Two sources that stand for the same are one target.
func TestSameTwice(t *testing.T) {
	f := service(t, "http://a.internal:80", each, func(s *setup) {
		s.conf.Targets = []string{"http://a.internal:80", "srv+http://b.internal weight=2", "http://127.0.0.1:80"}
	})
	ip := netip.MustParseAddr("127.0.0.1")
	a, b := f.sources[0], f.sources[1]
	f.learn(a, a.addresses([]netip.Addr{ip}))
	f.learn(b, b.services([]discover.Target{{Host: "a.internal", Address: netip.AddrPortFrom(ip, 80), Weight: 3}}))
	st := f.Stats().Targets
	if len(st) != 2 || st[0].Name != "127.0.0.1:80 (a.internal)" || st[0].Weight != 7 || st[1].Name != "127.0.0.1:80" || st[1].Weight != 1 {
		t.Errorf("%+v", st)
	}
}

// Before the start, and while nothing is known, previews go by what is written.
func TestPreviewBeforeStart(t *testing.T) {
	for target, want := range map[string]string{
		"http://127.0.0.1:81":          "127.0.0.1:81 127.0.0.1:81",
		"http://app.internal:81":       "app.internal:81 app.internal:81",
		"https://app.internal":         "app.internal:443 app.internal",
		"srv+http://_x._tcp.app.test":  "srv+http://_x._tcp.app.test _x._tcp.app.test",
		"srv+https://_x._tcp.app.test": "srv+https://_x._tcp.app.test _x._tcp.app.test",
	} {
		var st setup
		st.conf.Targets = []string{target}
		s, err := New("app", st.conf, Deps{})
		if err != nil {
			t.Fatal(err)
		}
		f := &fixture{Service: s, t: t}
		x := f.exchange("GET", "/")
		name, head, reason := s.Preview(x)
		if got := name + " " + strings.TrimSuffix(strings.TrimPrefix(string(head), "GET / HTTP/1.1\r\nHost: "), "\r\n\r\n"); got != want || reason != nil {
			t.Errorf("got %q, %v, want %q", got, reason, want)
		}
		s.Close()
		s.Start() // too late: nothing begins
		if target == "http://127.0.0.1:81" {
			continue
		}
		f.learn(s.sources[0], s.sources[0].addresses([]netip.Addr{netip.MustParseAddr("127.0.0.1")}))
		f.missed(s.sources[0], errors.New("no"))
		if n := len(s.set.Load().list); n != 0 {
			t.Errorf("%d targets after the end", n)
		}
	}
}

// A target that can't be reached has its name looked up at once.
func TestUnreachableIsLookedUp(t *testing.T) {
	t.Parallel()
	d := &dns{}
	d.set("127.0.0.3") // nobody is there
	f := service(t, fmt.Sprintf("http://app.internal:%d", twins(t)), func(s *setup) { s.deps.Resolver = d; d.life = time.Hour })
	f.want(f.get(), "connect_failed")
	d.set("127.0.0.1")
	eventually(t, "it has moved", func() bool { return f.get() == "200 127.0.0.1" })
}

// Idle connections to where a name no longer points are closed at once.
func TestOldConnectionsAreClosed(t *testing.T) {
	f := service(t, fmt.Sprintf("http://app.internal:%d", twins(t)))
	src := f.sources[0]
	f.learn(src, src.addresses([]netip.Addr{netip.MustParseAddr("127.0.0.1")}))
	f.want(f.get(), "200 127.0.0.1")
	f.learn(src, src.addresses([]netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.2")}))
	if f.Idle() != 1 {
		t.Errorf("%d idle connections", f.Idle())
	}
	f.learn(src, src.addresses([]netip.Addr{netip.MustParseAddr("127.0.0.2")}))
	if f.Idle() != 0 {
		t.Errorf("%d idle connections", f.Idle())
	}
	f.want(f.get(), "200 127.0.0.2")
}

func TestScaled(t *testing.T) {
	for _, c := range []struct{ in, want []int }{
		{[]int{1, 2}, []int{1, 2}},
		{[]int{1000, 1}, []int{1000, 1}},
		{[]int{65535 * 1000, 65535 * 500, 1}, []int{1000, 500, 1}},
	} {
		var in []spot
		for _, w := range c.in {
			in = append(in, spot{weight: w})
		}
		for i, p := range scaled(in) {
			if p.weight != c.want[i] {
				t.Errorf("%v: got %d at %d", c.in, p.weight, i)
			}
		}
	}
}
