package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"yett/internal/config"
	"yett/internal/engine/http1"
	"yett/internal/exchange"
	"yett/internal/gateway"
	"yett/internal/meter"
	"yett/internal/problem"
	"yett/internal/snapshot"
	"yett/internal/store"
	"yett/internal/store/memory"
	"yett/internal/sweep"
	"yett/internal/upstream"
	"yett/internal/wire"
)

// Request is a request as a client would send it. Nothing in it is checked or
// changed, so that what is wrong with it is refused as it would be.
type Request struct {
	Method string
	// URL is a path with or without query, or a whole http URL.
	URL string
	// Header holds lines as "Name: value". A Host among them replaces that of
	// the URL.
	Header []string
	// Body is sent with its length, unless Header says how it ends.
	Body []byte
	// Peer is the other end of the client's connection.
	Peer netip.Addr
	// Listener is the name of the one that is asked, "" for the first.
	Listener string
}

// Walker is a gateway that serves nobody: requests can be walked through it.
// It works on one at a time.
type Walker struct {
	snap      *snapshot.Snapshot
	unset     []string
	gateway   *gateway.Gateway
	log       *slog.Logger
	sweeper   *sweep.Sweeper
	buffers   wire.Buffers
	exchanges exchange.Pool
	here      *memory.Store // holds nothing: the meter only looks
	meter     *meter.Meter
	shared    store.Store // nil unless ShowStore has opened it
	asked     bool        // services were, by ShowDocuments
	guards    []string    // of the service that the last request would go to
}

// NewWalker loads and compiles a configuration as Check does. Close has to
// follow. Nothing goes over the network, unless somebody starts the snapshot's
// verifier of tokens, or calls ShowStore or ShowDocuments. Nothing is counted, so no limit is ever
// used up by what is walked.
func NewWalker(o Options) (*Walker, error) { return newWalker(o, nil) }

// NewKeylessWalker is NewWalker for tokens that are made by who walks: of the
// configuration, secrets of issuers need not be there.
func NewKeylessWalker(o Options) (*Walker, error) { return newWalker(o, new(config.Keyless)) }

func newWalker(o Options, keyless *config.Keyless) (*Walker, error) {
	conf, err := load(o, keyless)
	if err != nil {
		return nil, err
	}
	here := memory.New(memory.Options{Keys: 1})
	m := meter.New(meter.Options{Here: here, Log: slog.New(slog.DiscardHandler), Peek: true})
	log := slog.New(slog.NewTextHandler(o.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	w := &Walker{unset: keyless.Unset(), log: log, sweeper: sweep.New(), here: here, meter: m}
	w.snap, err = compile(conf, nil, o, upstream.Deps{Buffers: &w.buffers, Sweeper: w.sweeper, Log: slog.New(slog.DiscardHandler)}, pages{}, m, nil)
	if err != nil {
		w.Close()
		return nil, err
	}
	w.gateway = gateway.New(nil, nil, w.log)
	w.gateway.Swap(w.snap)
	return w, nil
}

// showTime is how long the store is waited for to be opened, and then to be asked.
const showTime = 500 * time.Millisecond

// ShowStore opens the store that nodes share, so that requests meet what callers have
// used of limits; without it they meet limits of which nothing is used. It is called
// before Walk, once. Where there is no such store, or no limit, it does nothing. The error is one line
// and says why the store can't be asked, and what to do.
func (w *Walker) ShowStore(ctx context.Context) error {
	if w.snap.Store == nil || len(w.snap.Limits().Names()) == 0 {
		return nil
	}
	o := *w.snap.Store
	o.Timeout = max(o.Timeout, showTime)
	ctx, cancel := context.WithTimeout(ctx, showTime)
	defer cancel()
	s, err := OpenStore(ctx, &o)
	if err != nil {
		if s != nil {
			s.Close()
		}
		return err
	}
	w.shared = s
	w.meter.Share(s, nil)
	return nil
}

// ShowDocuments gets the OpenAPI documents of services, from the services themselves too, so
// that requests meet what the policies validate and mock know by them. Until ctx ends it waits
// for them; one that is not there by then is missing. It is called before Walk, once.
func (w *Walker) ShowDocuments(ctx context.Context) {
	w.asked = true
	for _, s := range w.snap.Services() {
		s.Start()
	}
	w.snap.Documents().Start()
	for _, s := range w.snap.Documents().All() {
		s.Wait(ctx)
	}
}

// StoreLost tells whether the store was lost after ShowStore had opened it.
func (w *Walker) StoreLost() bool { return w.meter.State().Lost }

// Snapshot returns what requests are walked through.
func (w *Walker) Snapshot() *snapshot.Snapshot { return w.snap }

// Unset returns the variables that are not set, and for which something stood in
// because no issuer's key is asked.
func (w *Walker) Unset() []string { return w.unset }

// Close ends what NewWalker, ShowStore and ShowDocuments began.
func (w *Walker) Close() {
	if w.asked {
		w.snap.Retire(nil)
	}
	w.meter.Close()
	if w.shared != nil {
		w.shared.Close()
	}
	w.here.Close()
	w.sweeper.Close()
}

// Walk sends a request to the HTTP/1.1 engine over a connection in memory, and
// says what it meets. No service is called.
func (w *Walker) Walk(r Request) (*gateway.Walk, error) {
	l, err := w.listener(r.Listener)
	if err != nil {
		return nil, err
	}
	core := &walkCore{gateway: w.gateway, services: w.snap.Services()}
	engine := http1.New(l.Listener, http1.Deps{Core: core, Buffers: &w.buffers, Exchanges: &w.exchanges, Sweeper: w.sweeper, Log: w.log})
	conn := &memoryConn{in: bytes.NewReader(r.bytes(l)), local: localAddr(l), peer: net.TCPAddrFromAddrPort(netip.AddrPortFrom(r.Peer, somePort))}
	engine.ServeConn(conn, l.TLS != nil)
	if core.walk == nil {
		return nil, errors.New("the engine has read no request")
	}
	w.guards = core.guards
	return core.walk, nil
}

// Guards says in words what guards the service that the request of the last Walk would go to,
// as upstream.Service does, and nothing where it would go to none.
func (w *Walker) Guards() []string { return w.guards }

// somePort is what clients call from: which one makes no difference.
const somePort = 50000

func (w *Walker) listener(name string) (snapshot.Listener, error) {
	if name == "" {
		return w.snap.Listeners[0], nil // the configuration has one
	}
	var names []string
	for _, l := range w.snap.Listeners {
		if l.Name == name {
			return l, nil
		}
		if l.Name != "" {
			names = append(names, l.Name)
		}
	}
	return snapshot.Listener{}, fmt.Errorf("there is no listener %q; %s", name, problem.DidYouMean(name, names))
}

// bytes returns what goes over the connection.
func (r Request) bytes(l snapshot.Listener) []byte {
	host, target := r.split(l)
	has := func(name string) bool {
		return slices.ContainsFunc(r.Header, func(line string) bool {
			n, _, _ := strings.Cut(line, ":")
			return strings.EqualFold(n, name)
		})
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\n", r.Method, target)
	if !has("Host") {
		fmt.Fprintf(&b, "Host: %s\r\n", host)
	}
	for _, line := range r.Header {
		fmt.Fprintf(&b, "%s\r\n", line)
	}
	if len(r.Body) > 0 && !has("Content-Length") && !has("Transfer-Encoding") {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(r.Body))
	}
	b.WriteString("\r\n")
	b.Write(r.Body)
	return b.Bytes()
}

// split returns the host and the target of the URL as a client sends them: a
// fragment stays at home.
func (r Request) split(l snapshot.Listener) (host, target string) {
	_, rest, whole := strings.Cut(r.URL, "://")
	if !whole || strings.HasPrefix(r.URL, "/") {
		return localAddr(l).String(), r.URL
	}
	rest, _, _ = strings.Cut(rest, "#")
	end := strings.IndexAny(rest, "/?")
	if end < 0 {
		return rest, "/"
	}
	host, target = rest[:end], rest[end:]
	if target[0] == '?' {
		target = "/" + target
	}
	return host, target
}

// localAddr is where a listener is reached from its own machine.
func localAddr(l snapshot.Listener) net.Addr {
	host, port, _ := net.SplitHostPort(l.Address) // checked by the compiler
	n, _ := strconv.ParseUint(port, 10, 16)
	ip, err := netip.ParseAddr(host)
	if err != nil || ip.IsUnspecified() {
		ip = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(ip, uint16(n)))
}

// walkCore is what the engine takes for the gateway.
type walkCore struct {
	gateway  *gateway.Gateway
	services []*upstream.Service
	walk     *gateway.Walk // of the first request
	guards   []string
}

// Serve implements engine.Core.
func (c *walkCore) Serve(x *exchange.Exchange) {
	walk := c.gateway.Walk(x)
	if c.walk != nil {
		return
	}
	c.walk = walk
	for _, s := range c.services {
		if walk.Sent != nil && walk.Refusal == nil && s.Name() == walk.Answers.Name {
			c.guards = s.Guards(x)
		}
	}
}

// Done implements engine.Core.
func (c *walkCore) Done(x *exchange.Exchange) { c.gateway.Done(x) }

// memoryConn is a connection whose client has sent all it has to say, and
// does not listen.
type memoryConn struct {
	in          *bytes.Reader
	local, peer net.Addr
}

// Read implements net.Conn.
func (c *memoryConn) Read(p []byte) (int, error) { return c.in.Read(p) }

// Write implements net.Conn.
func (c *memoryConn) Write(p []byte) (int, error) { return len(p), nil }

// Close implements net.Conn.
func (c *memoryConn) Close() error { return nil }

// LocalAddr implements net.Conn.
func (c *memoryConn) LocalAddr() net.Addr { return c.local }

// RemoteAddr implements net.Conn.
func (c *memoryConn) RemoteAddr() net.Addr { return c.peer }

// SetDeadline implements net.Conn: nothing here ever waits.
func (c *memoryConn) SetDeadline(time.Time) error { return nil }

// SetReadDeadline implements net.Conn.
func (c *memoryConn) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline implements net.Conn.
func (c *memoryConn) SetWriteDeadline(time.Time) error { return nil }
