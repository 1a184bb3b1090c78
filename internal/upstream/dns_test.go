package upstream

import (
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"yett/internal/upstream/discover"
)

// zone is a DNS server on loopback whose records a test changes. They are good for
// a second, which is as often as anybody looks.
type zone struct {
	mu      sync.Mutex
	records map[string][]dnsmessage.ResourceBody
	failing atomic.Bool
	silent  atomic.Bool
	hold    chan struct{} // answers wait until it is closed
	asked   atomic.Int64
}

// newZone starts a server until the test ends.
func newZone(t testing.TB) (*zone, Resolver) {
	t.Helper()
	z := &zone{records: make(map[string][]dnsmessage.ResourceBody), hold: make(chan struct{})}
	close(z.hold)
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for b := make([]byte, 1<<16); ; {
			n, from, err := c.ReadFrom(b)
			if err != nil {
				return
			}
			m := append([]byte(nil), b[:n]...)
			all.Go(func() {
				if answer := z.answer(m); answer != nil {
					_, _ = c.WriteTo(answer, from)
				}
			})
		}
	})
	t.Cleanup(func() { _ = c.Close(); all.Wait() })
	r, err := discover.New(discover.Options{Servers: []string{c.LocalAddr().String()}})
	if err != nil {
		t.Fatal(err)
	}
	return z, r
}

// set replaces the records of a name.
func (z *zone) set(name string, records ...dnsmessage.ResourceBody) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.records[name+"."] = records
}

// addrs sets the IPv4 addresses of a name.
func (z *zone) addrs(name string, addrs ...string) {
	var records []dnsmessage.ResourceBody
	for _, a := range addrs {
		records = append(records, &dnsmessage.AResource{A: netip.MustParseAddr(a).As4()})
	}
	z.set(name, records...)
}

func srv(priority, weight, port uint16, host string) dnsmessage.ResourceBody {
	return &dnsmessage.SRVResource{Priority: priority, Weight: weight, Port: port, Target: dnsmessage.MustNewName(host + ".")}
}

func (z *zone) answer(message []byte) []byte {
	z.asked.Add(1)
	z.mu.Lock()
	hold := z.hold
	z.mu.Unlock()
	<-hold
	var m dnsmessage.Message
	if m.Unpack(message) != nil || len(m.Questions) != 1 || z.silent.Load() {
		return nil
	}
	q := m.Questions[0]
	m = dnsmessage.Message{Header: dnsmessage.Header{ID: m.ID, Response: true, RecursionAvailable: true}, Questions: m.Questions}
	z.mu.Lock()
	records, known := z.records[strings.ToLower(q.Name.String())]
	z.mu.Unlock()
	switch {
	case z.failing.Load():
		m.RCode = dnsmessage.RCodeServerFailure
	case !known:
		m.RCode = dnsmessage.RCodeNameError
	}
	for _, r := range records {
		_, isSRV := r.(*dnsmessage.SRVResource)
		if m.RCode == 0 && (isSRV && q.Type == dnsmessage.TypeSRV || !isSRV && q.Type == dnsmessage.TypeA) {
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: 1}, Body: r})
		}
	}
	b, err := m.Pack()
	if err != nil {
		panic(err)
	}
	return b
}

// slow makes the server wait before each answer, until the function is called.
func (z *zone) slow(t testing.TB) (release func()) {
	z.mu.Lock()
	defer z.mu.Unlock()
	hold := make(chan struct{})
	z.hold = hold
	release = sync.OnceFunc(func() { close(hold) })
	t.Cleanup(release)
	return release
}

// use makes a service ask that resolver.
func use(r Resolver, change ...func(*setup)) func(*setup) {
	return func(s *setup) {
		s.deps.Resolver = r
		s.conf.Timeouts.Connect = ms(5000)
		for _, f := range change {
			f(s)
		}
	}
}

// each makes a target of each address.
func each(s *setup) { s.conf.Resolve = "addresses" }

// lines is a log that a test reads.
type lines struct {
	mu  sync.Mutex
	all []string
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, line, _ := strings.Cut(strings.TrimSpace(string(b)), " ") // without the time
	l.all = append(l.all, line)
	return len(b), nil
}

// with returns the lines that hold a text.
func (l *lines) with(text string) (out []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.all {
		if strings.Contains(line, text) {
			out = append(out, line)
		}
	}
	return out
}
