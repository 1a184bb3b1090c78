package redis

import (
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"yett/internal/store"
	"yett/internal/store/redis/redistest"
	"yett/internal/store/storetest"
)

const (
	// budget is what Take may take in these tests, late how much later it may return
	// where many tests share few processors.
	budget, late = 50 * time.Millisecond, 2 * time.Second
	// recovery is within what all works again after a fault has ended: a tenth of it, where
	// processors are free.
	recovery = 5 * time.Second
)

// load is goroutines that take all the time.
type load struct {
	t      *testing.T
	s      *Store
	prefix string
	stop   chan struct{}
	ended  sync.WaitGroup

	good, bad atomic.Int64
	lastBad   atomic.Int64 // when, in nanoseconds since 1970
	slowest   atomic.Int64
	mu        sync.Mutex
	texts     map[string]bool // of errors
}

const takers = 8

// takeAllTheTime begins. Each taker has a key of its own, under two limits.
func takeAllTheTime(t *testing.T, s *Store) *load {
	l := &load{t: t, s: s, prefix: fmt.Sprint(time.Now().UnixNano()), stop: make(chan struct{}), texts: make(map[string]bool)}
	for i := range takers {
		l.ended.Go(func() { l.run(l.key(i)) })
	}
	t.Cleanup(l.end)
	return l
}

func (l *load) key(i int) string { return l.prefix + strconv.Itoa(i) }

func (l *load) end() {
	select {
	case <-l.stop:
	default:
		close(l.stop)
	}
	l.ended.Wait()
}

const plenty = 1_000_000

func (l *load) run(key string) {
	for {
		select {
		case <-l.stop:
			return
		default:
		}
		takes := []store.Take{{Name: "one", Key: key, Rule: sliding(plenty, hour), Cost: 1}, {Name: "two", Key: key, Rule: sliding(plenty, hour), Cost: 2}}
		begun := time.Now()
		err := l.s.Take(l.t.Context(), begun, takes)
		l.slowest.Store(max(l.slowest.Load(), int64(time.Since(begun))))
		if err != nil {
			l.fail(err)
			time.Sleep(time.Millisecond) // an error at once is no load
			continue
		}
		l.good.Add(1)
		for i := range takes {
			if tk := &takes[i]; !tk.Fits || tk.Granted != tk.Cost || tk.Left < 0 || tk.Left > plenty-tk.Cost || tk.More <= 0 || tk.Wait != 0 {
				l.t.Errorf("a wrong answer: %+v", *tk)
			}
		}
	}
}

func (l *load) fail(err error) {
	l.bad.Add(1)
	l.lastBad.Store(time.Now().UnixNano())
	l.mu.Lock()
	defer l.mu.Unlock()
	l.texts[err.Error()] = true
}

// errors are the texts of all errors.
func (l *load) errors() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Sorted(maps.Keys(l.texts))
}

// waitGood waits until more calls have succeeded, without an error since.
func (l *load) waitGood(within time.Duration) {
	l.t.Helper()
	begun := time.Now()
	for deadline := begun.Add(within); ; time.Sleep(time.Millisecond) {
		from := l.good.Load()
		time.Sleep(20 * time.Millisecond)
		if l.good.Load() >= from+takers && time.Since(time.Unix(0, l.lastBad.Load())) > 20*time.Millisecond {
			l.t.Logf("it works after %v", time.Since(begun).Round(time.Millisecond))
			return
		}
		if time.Now().After(deadline) {
			l.t.Fatalf("after %v it does not work again: %v", within, l.errors())
		}
	}
}

func (l *load) waitBad() {
	l.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); l.bad.Load() == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			l.t.Fatal("no call has failed")
		}
	}
}

// during lets a fault happen while takers take: each call returns in time, and when the
// fault has ended all works again.
func during(t *testing.T, o Options, fault, heal func()) *load {
	t.Helper()
	o.Timeout = budget
	s := open(t, o)
	l := takeAllTheTime(t, s)
	l.waitGood(recovery)
	l.bad.Store(0)
	fault()
	l.waitBad()
	time.Sleep(300 * time.Millisecond) // the fault lasts
	heal()
	l.waitGood(recovery)
	l.end()
	t.Logf("%d good, %d bad, slowest %v, errors %q", l.good.Load(), l.bad.Load(), time.Duration(l.slowest.Load()), l.errors())
	if slowest := time.Duration(l.slowest.Load()); slowest > budget+late {
		t.Errorf("a call took %v", slowest)
	}
	return l
}

// want wants one of the errors to say something.
func (l *load) want(text string) {
	l.t.Helper()
	for _, have := range l.errors() {
		if strings.Contains(have, text) {
			return
		}
	}
	l.t.Errorf("no error says %q: %q", text, l.errors())
}

func TestFaultsOfAServer(t *testing.T) {
	for _, test := range []struct {
		name, want  string
		options     []string
		fault, heal func(s *redistest.Server)
	}{
		{"killed", "", nil, (*redistest.Server).Kill, (*redistest.Server).Start},
		{"stopped", "no answer in time", nil, (*redistest.Server).Pause, (*redistest.Server).Resume},
		{"full", "OOM", nil,
			func(s *redistest.Server) { s.Do("CONFIG", "SET", "maxmemory", "1") },
			func(s *redistest.Server) { s.Do("CONFIG", "SET", "maxmemory", "0") }},
		{"busy", "", nil,
			func(s *redistest.Server) { s.Do("DEBUG", "SLEEP", "0.4") }, func(*redistest.Server) {}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t, append(test.options, "--enable-debug-command", "yes")...)
			during(t, Options{Address: server.Address}, func() { test.fault(server) }, func() { test.heal(server) }).want(test.want)
		})
	}
}

func TestFaultOtherPassword(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--requirepass", "right")
	restart := func(password string) func() {
		return func() {
			server.Kill()
			server.Options = []string{"--requirepass", password}
			server.Start()
		}
	}
	during(t, Options{Address: server.Address, Password: "right"}, restart("other"), restart("right")).want("WRONGPASS")
}

func TestFaultReplica(t *testing.T) {
	t.Parallel()
	server, other := redistest.Start(t), redistest.Start(t)
	during(t, Options{Address: server.Address},
		func() { server.Do("REPLICAOF", other.Host, strconv.Itoa(other.Port)) },
		func() { server.Do("REPLICAOF", "NO", "ONE") }).want("READONLY")
}

// A name that stands for another primary is asked anew when the old one has become a
// replica, and keeps its connections.
func TestPrimaryBecomesAnother(t *testing.T) {
	t.Parallel()
	old, other := redistest.Start(t), redistest.Start(t)
	p := newProxy(t, old.Address)
	during(t, Options{Address: p.address()}, func() {
		p.to.Store(&other.Address)
		old.Do("REPLICAOF", other.Host, strconv.Itoa(other.Port))
	}, func() {})
}

// A server that has forgotten the script is told it again, without an error.
func TestScriptIsForgotten(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	l := takeAllTheTime(t, open(t, Options{Address: server.Address, Timeout: time.Second}))
	for range 20 {
		server.Do("SCRIPT", "FLUSH")
		l.waitGood(recovery)
	}
	l.end()
	if l.bad.Load() > 0 {
		t.Errorf("errors: %q", l.errors())
	}
}

// proxy stands between a store and a server, and cuts connections in the middle of an
// answer when told so.
type proxy struct {
	listener net.Listener
	to       atomic.Pointer[string]
	// cut is after how many bytes of answers a connection ends, never when 0.
	cut   atomic.Int64
	ended sync.WaitGroup
}

func newProxy(t *testing.T, to string) *proxy {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: l}
	p.to.Store(&to)
	p.ended.Go(p.accept)
	t.Cleanup(func() { l.Close(); p.ended.Wait() })
	return p
}

func (p *proxy) address() string { return p.listener.Addr().String() }

func (p *proxy) accept() {
	for {
		conn, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", *p.to.Load())
		if err != nil {
			conn.Close()
			continue
		}
		p.ended.Go(func() { _, _ = io.Copy(server, conn); conn.Close(); server.Close() })
		p.ended.Go(func() { p.answer(conn, server); conn.Close(); server.Close() })
	}
}

func (p *proxy) answer(conn, server net.Conn) {
	b := make([]byte, 1024)
	for sent := int64(0); ; {
		n, err := server.Read(b)
		if cut := p.cut.Load(); cut > 0 && sent+int64(n) > cut {
			_, _ = conn.Write(b[:max(0, cut-sent)])
			return
		}
		if _, failed := conn.Write(b[:n]); err != nil || failed != nil {
			return
		}
		sent += int64(n)
	}
}

// Answers end after any number of bytes, those of the handshake too.
func TestFaultCutAnswers(t *testing.T) {
	server := redistest.Start(t)
	for _, bytes := range []int64{1, 20, 150, 300, 331, 347, 400, 1000} {
		t.Run(fmt.Sprint(bytes), func(t *testing.T) {
			t.Parallel()
			p := newProxy(t, server.Address)
			during(t, Options{Address: p.address()}, func() { p.cut.Store(bytes) }, func() { p.cut.Store(0) })
		})
	}
}

func TestFaultsOfAGroup(t *testing.T) {
	for _, test := range []struct {
		name  string
		fault func(g *redistest.Group)
		heal  func(g *redistest.Group, old *redistest.Server)
	}{
		{"killed", func(g *redistest.Group) { g.Failover() }, func(g *redistest.Group, old *redistest.Server) { old.Start() }},
		{"stopped", func(g *redistest.Group) { g.Primary.Pause(); g.WaitFailover() }, func(g *redistest.Group, old *redistest.Server) { old.Resume() }},
		{"a sentinel too", func(g *redistest.Group) { g.Sentinels[0].Kill(); g.Failover() }, func(*redistest.Group, *redistest.Server) {}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := redistest.StartGroup(t, 2, redistest.GroupOptions{})
			old := g.Primary
			l := during(t, Options{Sentinel: &Sentinel{Primary: g.Name, Addresses: g.Addresses()}}, func() { test.fault(g) }, func() {})
			test.heal(g, old)
			// Who comes back as a primary is made a replica, and taken from no more.
			again := takeAllTheTime(t, l.s)
			again.waitGood(recovery)
		})
	}
}

func TestFaultsOfACluster(t *testing.T) {
	for name, fault := range map[string]func(c *redistest.Cluster){
		"killed":  func(c *redistest.Cluster) { c.Failover("key") },
		"stopped": func(c *redistest.Cluster) { c.PausedFailover("key") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := redistest.StartCluster(t, redistest.GroupOptions{})
			during(t, Options{Cluster: c.Addresses()}, func() { fault(c) }, func() {})
		})
	}
}

// A slot moves while it is asked for, in any state that it goes through, also what is
// there on one side only: no call fails, and everything is counted once.
func TestSlotMoves(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, redistest.GroupOptions{})
	s := open(t, Options{Cluster: c.Addresses(), Timeout: time.Second})
	l := takeAllTheTime(t, s)
	l.waitGood(recovery)
	for i := range takers {
		m := c.BeginMove("limit:one:{" + l.key(i) + "}")
		l.waitGood(recovery)
		m.Keys(1) // the other limit's stays
		l.waitGood(recovery)
		newcomer(t, s, l.key(i))
		m.End()
		l.waitGood(recovery)
	}
	l.end()
	if l.bad.Load() > 0 {
		t.Errorf("errors: %q", l.errors())
	}
	l.compare()
}

// A set is followed wherever it goes.
func TestSlotOfASetMoves(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, redistest.GroupOptions{})
	s := open(t, Options{Cluster: c.Addresses(), Reread: 10 * time.Millisecond})
	storetest.Add(t, s, "s", storetest.In(hour, "before"))
	r, _ := storetest.Follow(t, s, "s")
	step := func(member string) {
		storetest.Add(t, s, "s", storetest.In(hour, member))
		r.WaitFor(t, member)
		r.WaitSyncs(t, r.Syncs()+3)
	}
	m := c.BeginMove("{s}")
	step("moving")
	m.Keys(10)
	step("moved")
	m.End()
	step("at home")
	if losses := r.Losses(); len(losses) > 0 {
		t.Errorf("it was lost: %v", losses)
	}
}

// newcomer takes from two limits with a key that nobody has asked for.
func newcomer(t *testing.T, s *Store, key string) {
	t.Helper()
	takes := []store.Take{{Name: "three", Key: key, Rule: sliding(1, hour), Cost: 1}, {Name: "four", Key: key, Rule: sliding(2, hour), Cost: 1}}
	for i := range 2 {
		if err := s.Take(t.Context(), time.Now(), takes); err != nil || takes[0].Fits != (i == 0) || takes[1].Left != 1 {
			t.Errorf("round %d: %v, %+v", i, err, takes)
		}
	}
}

// compare wants what the store has counted to be what was granted.
func (l *load) compare() {
	l.t.Helper()
	counted := int64(0)
	for i := range takers {
		look := []store.Take{{Name: "one", Key: l.key(i), Rule: sliding(plenty, hour), Cost: 1, Action: store.Look}, {Name: "two", Key: l.key(i), Rule: sliding(plenty, hour), Cost: 1, Action: store.Look}}
		if err := l.s.Take(l.t.Context(), time.Now(), look); err != nil {
			l.t.Fatal(err)
		}
		one, two := plenty-look[0].Left, plenty-look[1].Left
		if two != 2*one {
			l.t.Errorf("key %d: %d and %d are counted", i, one, two)
		}
		counted += one
	}
	if good := l.good.Load(); counted != good {
		l.t.Errorf("%d are counted of %d", counted, good)
	}
}
