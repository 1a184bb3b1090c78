package engine

import (
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"math/big"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// limit is how long a test waits for what has to happen.
const limit = 10 * time.Second

// protocol says its name on each connection and waits for the other end.
type protocol struct {
	name    string
	secure  chan bool
	drained chan time.Time
	closed  chan struct{}
	waned   atomic.Bool
}

func newProtocol(name string) *protocol {
	return &protocol{name: name, secure: make(chan bool, 16), drained: make(chan time.Time, 16), closed: make(chan struct{})}
}

func (p *protocol) ServeConn(c net.Conn, secure bool) {
	defer c.Close()
	p.secure <- secure
	_, _ = io.WriteString(c, p.name+"\n")
	_, _ = io.Copy(io.Discard, c)
}

func (p *protocol) Wane() { p.waned.Store(true) }

func (p *protocol) Drain(d Deadlines) Lost {
	p.drained <- d.Requests
	return Lost{Requests: 1, Tunnels: 2}
}

func (p *protocol) Close() { close(p.closed) }

// start binds and starts a server until the test ends.
func start(t *testing.T, set Settings) *Server {
	t.Helper()
	s := &Server{Address: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler)}
	set.Handshake = cmp.Or(set.Handshake, limit)
	s.Set(set)
	if err := s.Bind(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { _ = s.Unbind() })
	return s
}

func dial(t *testing.T, s *Server) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(limit))
	return c
}

// word returns the protocol's name, or why there is none.
func word(c net.Conn) string {
	b := make([]byte, 16)
	n, err := c.Read(b)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(b[:n]))
}

func TestPlain(t *testing.T) {
	for _, tt := range []struct {
		name         string
		http1, http2 *protocol
		want         string
	}{
		{"HTTP/1.1 alone", newProtocol("http1"), nil, "http1"},
		{"both", newProtocol("http1"), newProtocol("http2"), "http1"},
		{"HTTP/2 alone", nil, newProtocol("http2"), "http2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var s Settings
			if tt.http1 != nil {
				s.HTTP1 = tt.http1
			}
			if tt.http2 != nil {
				s.HTTP2 = tt.http2
			}
			if got := word(dial(t, start(t, s))); got != tt.want {
				t.Errorf("got %q", got)
			}
		})
	}
}

func TestBindFails(t *testing.T) {
	first := start(t, Settings{HTTP1: newProtocol("a")})
	for _, address := range []string{first.Addr().String(), "256.0.0.1:0", "127.0.0.1:99999"} {
		s := &Server{Address: address}
		err := s.Bind(context.Background())
		if err == nil || !strings.Contains(err.Error(), "listening on "+address) {
			t.Errorf("%s: %v", address, err)
		}
	}
}

func TestUnbindFreesTheAddress(t *testing.T) {
	s := start(t, Settings{HTTP1: newProtocol("a")})
	c := dial(t, s)
	if got := word(c); got != "a" {
		t.Fatal(got)
	}
	if err := s.Unbind(); err != nil {
		t.Fatal(err)
	}
	again := &Server{Address: s.Addr().String()}
	if err := again.Bind(t.Context()); err != nil {
		t.Fatal(err)
	}
	_ = again.Unbind()
	if _, err := io.WriteString(c, "still there"); err != nil {
		t.Errorf("Unbind closed a connection: %v", err)
	}
}

func TestUnbindTwice(t *testing.T) {
	s := start(t, Settings{HTTP1: newProtocol("a")})
	if err := s.Unbind(); err != nil {
		t.Fatal(err)
	}
	if err := s.Unbind(); err == nil {
		t.Error("the second Unbind did not say that there is nothing to close")
	}
}

func TestMostConnections(t *testing.T) {
	s := start(t, Settings{HTTP1: newProtocol("a"), Connections: 2})
	first, second := dial(t, s), dial(t, s)
	for _, c := range []net.Conn{first, second} {
		if got := word(c); got != "a" {
			t.Fatal(got)
		}
	}
	third := dial(t, s) // waits in the kernel's queue
	_ = third.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	if got := word(third); !strings.Contains(got, "timeout") {
		t.Fatalf("a connection beyond the limit got %q", got)
	}
	_ = third.SetReadDeadline(time.Now().Add(limit))
	_ = first.Close()
	if got := word(third); got != "a" {
		t.Errorf("got %q after another has gone", got)
	}
}

// Unbind returns although all connections are taken and none of them ends:
// only Drain, which comes later, will end them.
func TestUnbindWhenFull(t *testing.T) {
	s := start(t, Settings{HTTP1: newProtocol("a"), Connections: 1})
	c := dial(t, s)
	if got := word(c); got != "a" {
		t.Fatal(got)
	}
	done := make(chan error, 1)
	go func() { done <- s.Unbind() }()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(limit / 5):
		t.Error("Unbind waits for a connection to end")
	}
}

func TestDrain(t *testing.T) {
	one, two := newProtocol("1"), newProtocol("2")
	s := start(t, Settings{HTTP1: one, HTTP2: two})
	until := time.Now().Add(time.Minute)
	s.Wane()
	if lost := s.Drain(Until(until)); lost != (Lost{Requests: 2, Tunnels: 4}) {
		t.Errorf("%+v", lost)
	}
	for _, p := range []*protocol{one, two} {
		if got := <-p.drained; !got.Equal(until) {
			t.Errorf("%s drains until %v", p.name, got)
		}
		if !p.waned.Load() {
			t.Errorf("%s does not wane", p.name)
		}
		<-p.closed
	}
}

// certificate makes a certificate for a name that signs itself.
func certificate(t *testing.T, name string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// secure starts a TLS server with two certificates.
func secure(t *testing.T, min uint16, http1, http2 Protocol, alpn ...string) (*Server, *x509.CertPool) {
	t.Helper()
	a, b := certificate(t, "a.example"), certificate(t, "b.example")
	pool := x509.NewCertPool()
	pool.AddCert(a.Leaf)
	pool.AddCert(b.Leaf)
	conf := &tls.Config{MinVersion: min, Certificates: []tls.Certificate{a, b}, NextProtos: alpn}
	return start(t, Settings{HTTP1: http1, HTTP2: http2, TLS: conf}), pool
}

// shake does a handshake and returns the connection.
func shake(t *testing.T, s *Server, conf *tls.Config) (*tls.Conn, error) {
	t.Helper()
	c := tls.Client(dial(t, s), conf)
	return c, c.Handshake()
}

// The certificate follows the name that the client asks for; the first is
// for everybody else.
func TestServerName(t *testing.T) {
	p := newProtocol("http1")
	s, pool := secure(t, tls.VersionTLS12, p, nil, "http/1.1")
	for _, name := range []string{"a.example", "b.example"} {
		c, err := shake(t, s, &tls.Config{RootCAs: pool, ServerName: name})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := word(c); got != "http1" || !<-p.secure {
			t.Errorf("%s: %s", name, got)
		}
	}
	c, err := shake(t, s, &tls.Config{InsecureSkipVerify: true, ServerName: "c.example"})
	if err != nil {
		t.Fatal(err)
	}
	if got := c.ConnectionState().PeerCertificates[0].DNSNames[0]; got != "a.example" {
		t.Errorf("a stranger gets %s", got)
	}
}

func TestLowestVersion(t *testing.T) {
	for _, tt := range []struct {
		min, client uint16
		ok          bool
	}{
		{tls.VersionTLS12, tls.VersionTLS11, false},
		{tls.VersionTLS12, tls.VersionTLS12, true},
		{tls.VersionTLS13, tls.VersionTLS12, false},
		{tls.VersionTLS13, tls.VersionTLS13, true},
	} {
		s, _ := secure(t, tt.min, newProtocol("a"), nil)
		c, err := shake(t, s, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: tt.client})
		if err == nil && word(c) != "a" {
			err = io.ErrUnexpectedEOF
		}
		if (err == nil) != tt.ok {
			t.Errorf("at least %s, a client of %s: %v", tls.VersionName(tt.min), tls.VersionName(tt.client), err)
		}
	}
}

func TestProtocolChoice(t *testing.T) {
	both := []string{"h2", "http/1.1"}
	for _, tt := range []struct {
		name           string
		http1, http2   bool
		server, client []string
		want           string
	}{
		{"client wants h2", true, true, both, both, "http2"},
		{"client knows HTTP/1.1 only", true, true, both, both[1:], "http1"},
		{"client says nothing", true, true, both, nil, "http1"},
		{"no h2 here", true, false, both[1:], both, "http1"},
		{"nothing but h2 here", false, true, both[:1], both, "http2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var one, two Protocol
			if tt.http1 {
				one = newProtocol("http1")
			}
			if tt.http2 {
				two = newProtocol("http2")
			}
			s, _ := secure(t, tls.VersionTLS12, one, two, tt.server...)
			c, err := shake(t, s, &tls.Config{InsecureSkipVerify: true, NextProtos: tt.client})
			if err != nil {
				t.Fatal(err)
			}
			if got := word(c); got != tt.want {
				t.Errorf("got %q", got)
			}
		})
	}
}

// A client that does not finish its handshake is cut, and gives its place to
// another.
func TestHandshakeTimeout(t *testing.T) {
	p := newProtocol("a")
	s := start(t, Settings{HTTP1: p, Connections: 1, Handshake: 100 * time.Millisecond,
		TLS: &tls.Config{Certificates: []tls.Certificate{certificate(t, "a.example")}}})
	silent := dial(t, s)
	if got := word(silent); got != "EOF" {
		t.Errorf("a silent client got %q", got)
	}
	garbage := dial(t, s)
	_, _ = io.WriteString(garbage, "GET / HTTP/1.1\r\n\r\n")
	_, _ = io.Copy(io.Discard, garbage)
	c, err := shake(t, s, &tls.Config{InsecureSkipVerify: true})
	if err != nil || word(c) != "a" {
		t.Errorf("there is no room for an honest client: %v", err)
	}
}

// Connections that the kernel has accepted, but nobody else has, are served when the
// listener closes: there is a queue of them as long as there is no room.
func TestUnbindTakesWhatWaits(t *testing.T) {
	p := newProtocol("a")
	s := start(t, Settings{HTTP1: p, Connections: 1})
	first := dial(t, s)
	if got := word(first); got != "a" {
		t.Fatal(got)
	}
	waiting := []net.Conn{dial(t, s), dial(t, s), dial(t, s)}
	s.stop() // the loop ends, as it does in Unbind
	s.wg.Wait()
	s.room.resize(0)
	if err := s.Unbind(); err != nil {
		t.Error(err)
	}
	for i, c := range waiting {
		if got := word(c); got != "a" {
			t.Errorf("connection %d in the queue got %q", i, got)
		}
	}
	if _, err := net.Dial("tcp", s.Addr().String()); err == nil {
		t.Error("the listener is still there")
	}
}

// A Server that never started leaves the queue of its socket alone: it may be another process's,
// and nobody would wait for what it serves.
func TestUnbindWithoutStart(t *testing.T) {
	p := newProtocol("a")
	s := &Server{Address: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler)}
	s.Set(Settings{HTTP1: p})
	if err := s.Bind(t.Context()); err != nil {
		t.Fatal(err)
	}
	c := dial(t, s)
	if err := s.Unbind(); err != nil {
		t.Error(err)
	}
	if got := word(c); got == "a" {
		t.Error("what waited was served")
	}
}

// Drain waits for handshakes, whose connections no protocol knows yet.
func TestDrainAwaitsHandshakes(t *testing.T) {
	p := newProtocol("http1")
	s, pool := secure(t, tls.VersionTLS12, p, nil)
	raw := dial(t, s)
	for s.Connections() == 0 {
		time.Sleep(time.Millisecond)
	}
	if err := s.Unbind(); err != nil {
		t.Fatal(err)
	}
	drained := make(chan struct{})
	go func() {
		s.Drain(Until(time.Now().Add(limit)))
		close(drained)
	}()
	select {
	case <-p.drained:
		t.Error("the protocol drains before it has the connection")
	case <-time.After(50 * time.Millisecond):
	}
	c := tls.Client(raw, &tls.Config{RootCAs: pool, ServerName: "a.example"})
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	if got := word(c); got != "http1" {
		t.Errorf("got %q", got)
	}
	<-drained
}
