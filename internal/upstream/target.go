package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"yett/internal/exchange"
)

// Address is where a target listens.
type Address struct {
	Host   string // name or IP address, without brackets
	Port   uint16
	Secure bool
}

// String returns the target as logs show it.
func (a Address) String() string {
	return net.JoinHostPort(a.Host, strconv.Itoa(int(a.Port)))
}

// ParseTarget reads http://host:port or https://host:port. The port may be
// missing.
func ParseTarget(raw string) (Address, error) {
	if strings.Contains(raw, "@") { // and it is not repeated here, because it may be a password
		return Address{}, errors.New("user and password have no place in a target")
	}
	u, err := url.Parse(raw)
	if err != nil {
		return Address{}, fmt.Errorf("target %q: not a URL", raw)
	}
	a := Address{Host: u.Hostname(), Port: 80, Secure: u.Scheme == "https"}
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return a, fmt.Errorf("target %q: the scheme has to be http or https", raw)
	case a.Host == "":
		return a, fmt.Errorf("target %q: the host is missing", raw)
	case u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "":
		return a, fmt.Errorf("target %q: a target has no path or query; use forward.replace of a route", raw)
	}
	if a.Secure {
		a.Port = 443
	}
	if p := u.Port(); p != "" {
		n, err := strconv.ParseUint(p, 10, 16)
		if err != nil || n == 0 {
			return a, fmt.Errorf("target %q: the port has to be 1 to 65535", raw)
		}
		a.Port = uint16(n)
	}
	return a, nil
}

// target is one address of a service, its addresses as resolved, and its
// connections.
type target struct {
	service *Service
	address Address
	name    string // host:port, for logs
	host    string // value of a Host field
	tls     *tls.Config
	pool    pool
	addrs   atomic.Pointer[[]netip.Addr]
	turn    atomic.Uint32
}

func newTarget(s *Service, a Address) *target {
	t := &target{service: s, address: a, name: a.String(), host: hostField(a)}
	if a.Secure {
		t.tls = &tls.Config{MinVersion: tls.VersionTLS12}
		if s.deps.TLS != nil {
			t.tls = s.deps.TLS.Clone()
		}
		t.tls.ServerName = a.Host
		if s.conf.TLS.ServerName != "" {
			t.tls.ServerName = s.conf.TLS.ServerName
		}
		t.tls.NextProtos = []string{"http/1.1"}
	}
	t.pool.t = t
	if ip, err := netip.ParseAddr(a.Host); err == nil {
		t.addrs.Store(&[]netip.Addr{ip})
	}
	return t
}

// start has the pool swept and follows the name until ctx ends.
func (t *target) start(ctx context.Context) {
	t.pool.start()
	if t.addrs.Load() == nil {
		go t.follow(ctx)
	}
}

// hostField is the authority without the scheme's own port.
func hostField(a Address) string {
	if a.Port == 80 && !a.Secure || a.Port == 443 && a.Secure {
		if ip, err := netip.ParseAddr(a.Host); err == nil && ip.Is6() {
			return "[" + a.Host + "]"
		}
		return a.Host
	}
	return a.String()
}

// follow resolves the name again and again. Connections to addresses that
// the name no longer has are closed when they come back to the pool.
func (t *target) follow(ctx context.Context) {
	ticker := time.NewTicker(time.Duration(t.service.conf.DNSRefresh))
	defer ticker.Stop()
	for {
		_, _ = t.lookup(ctx) // a failure keeps what was known, and the next dial reports it
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (t *target) lookup(ctx context.Context) ([]netip.Addr, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(t.service.conf.Timeouts.Connect))
	defer cancel()
	found, err := t.service.deps.Resolver.LookupNetIP(ctx, "ip", t.address.Host)
	if err != nil {
		return nil, fmt.Errorf("resolving %s: %w", t.address.Host, err)
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("resolving %s: no address", t.address.Host)
	}
	for i := range found {
		found[i] = found[i].Unmap()
	}
	if old := t.addrs.Swap(&found); old != nil && !slices.Equal(*old, found) {
		t.pool.prune()
	}
	return found, nil
}

// resolves tells whether the target still has that address.
func (t *target) resolves(a netip.Addr) bool {
	known := t.addrs.Load()
	return known == nil || slices.Contains(*known, a)
}

// get returns a connection: an idle one unless fresh is asked for, else a new
// one, waiting for its turn when there are too many.
func (t *target) get(x *exchange.Exchange, fresh bool) (*conn, outcome) {
	if !fresh {
		if c := t.pool.take(); c != nil {
			return c, outcome{}
		}
	}
	c, ok := t.pool.reserve(time.Duration(t.service.conf.Timeouts.Queue), x)
	if !ok {
		if r := x.Aborted(); r != nil {
			return nil, outcome{reason: r}
		}
		return nil, outcome{reason: exchange.PoolExhausted}
	}
	if c != nil {
		return c, outcome{}
	}
	c, out := t.dial(x)
	if c == nil {
		t.pool.unreserve()
	}
	return c, out
}

// dial opens a connection to one of the addresses, the next one when it
// fails, all within the connect timeout.
func (t *target) dial(x *exchange.Exchange) (*conn, outcome) {
	ctx, cancel := context.WithTimeout(x.Context(), time.Duration(t.service.conf.Timeouts.Connect))
	defer cancel()
	addrs := t.addrs.Load()
	if addrs == nil {
		found, err := t.lookup(ctx)
		if err != nil {
			return nil, dialFailed(x, err)
		}
		addrs = &found
	}
	var failure error
	first := int(t.turn.Add(1))
	for i := range *addrs {
		a := (*addrs)[(first+i)%len(*addrs)]
		nc, err := t.try(ctx, a, len(*addrs)-i)
		if err == nil {
			return newConn(t, nc, a), outcome{}
		}
		failure = err
		if ctx.Err() != nil {
			break
		}
	}
	if x.Aborted() == nil { // else it is the client who failed
		t.addrs.CompareAndSwap(addrs, t.forget(addrs))
	}
	return nil, dialFailed(x, failure)
}

// forget makes the next dial resolve a name anew whose addresses all failed.
func (t *target) forget(addrs *[]netip.Addr) *[]netip.Addr {
	if _, err := netip.ParseAddr(t.address.Host); err == nil {
		return addrs
	}
	return nil
}

// try is connect with an even share of the time that is left, so that an
// address which swallows packets leaves some for the others.
func (t *target) try(ctx context.Context, a netip.Addr, left int) (net.Conn, error) {
	if deadline, ok := ctx.Deadline(); ok && left > 1 {
		share, cancel := context.WithTimeout(ctx, time.Until(deadline)/time.Duration(left))
		defer cancel()
		ctx = share
	}
	return t.connect(ctx, a)
}

func (t *target) connect(ctx context.Context, a netip.Addr) (net.Conn, error) {
	nc, err := t.service.dialer().DialContext(ctx, "tcp", netip.AddrPortFrom(a, t.address.Port).String())
	if err != nil || t.tls == nil {
		return nc, err
	}
	tc := tls.Client(nc, t.tls)
	if err := tc.HandshakeContext(ctx); err != nil {
		_ = nc.Close()
		return nil, fmt.Errorf("TLS handshake with %s: %w", t.name, err)
	}
	return tc, nil
}

func dialFailed(x *exchange.Exchange, err error) outcome {
	if r := x.Aborted(); r != nil {
		return outcome{reason: r}
	}
	var timeout net.Error
	if errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout() {
		return outcome{reason: exchange.ConnectTimeout, detail: err.Error()}
	}
	return outcome{reason: exchange.ConnectFailed, detail: err.Error()}
}

func (t *target) close() { t.pool.close() }
