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
	"sync"
	"sync/atomic"
	"time"

	"yett/internal/exchange"
	"yett/internal/upstream/balance"
	"yett/internal/upstream/latency"
)

// Address is where a target listens.
type Address struct {
	Host   string // name or IP address, without brackets
	Port   uint16
	Secure bool
	// Service tells that Host is the name of a service, whose hosts and ports
	// are in SRV records.
	Service bool
}

// String returns the target as logs show it.
func (a Address) String() string {
	if a.Service {
		if a.Secure {
			return "srv+https://" + a.Host
		}
		return "srv+http://" + a.Host
	}
	return net.JoinHostPort(a.Host, strconv.Itoa(int(a.Port)))
}

// mostWeight is the largest weight of a target.
const mostWeight = 1000

// ParseTarget reads http://host:port or https://host:port, of which the port may
// be missing, or srv+http://name, and behind a blank weight=N, which is 1 if left
// out.
func ParseTarget(raw string) (a Address, weight int, err error) {
	raw, more, weighted := strings.Cut(raw, " ")
	weight = 1
	if weighted {
		number, named := strings.CutPrefix(strings.TrimSpace(more), "weight=")
		if weight, err = strconv.Atoi(number); err != nil || !named || weight < 1 || weight > mostWeight {
			return a, 0, fmt.Errorf("behind the URL of a target stands nothing, or weight=N with N from 1 to %d", mostWeight)
		}
	}
	a, err = parseAddress(raw)
	return a, weight, err
}

func parseAddress(raw string) (Address, error) {
	if strings.Contains(raw, "@") { // and it is not repeated here, because it may be a password
		return Address{}, errors.New("user and password have no place in a target")
	}
	u, err := url.Parse(raw)
	if err != nil {
		return Address{}, fmt.Errorf("target %q: not a URL", raw)
	}
	scheme, srv := strings.CutPrefix(u.Scheme, "srv+")
	a := Address{Host: u.Hostname(), Port: 80, Secure: scheme == "https", Service: srv}
	switch {
	case scheme != "http" && scheme != "https":
		return a, fmt.Errorf("target %q: the scheme has to be http or https", raw)
	case srv && u.Port() != "":
		return a, fmt.Errorf("target %q: SRV records say the port", raw)
	case srv && isIP(a.Host):
		return a, fmt.Errorf("target %q: an IP address has no SRV records", raw)
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

func isIP(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}

// target is one address of a service, its addresses as resolved, its
// connections, and what is known about how it does.
type target struct {
	place
	service *Service
	node    *balance.Node
	latency *latency.Histogram
	host    string // value of a Host field
	tls     *tls.Config
	pool    pool
	addrs   atomic.Pointer[[]netip.Addr] // at least one
	again   func()                       // has the name looked up now; nil for an IP address
	turn    atomic.Uint32
	checked atomic.Int64 // when the last check ended, Unix nanoseconds
	untidy  atomic.Bool  // it has sent something that nobody asked for
	started sync.Once
	ctx     context.Context // of what runs beside requests; ends when the target drains
	stop    context.CancelFunc
}

// newTarget makes a target, which move has to tell where it is.
func newTarget(s *Service, p spot) *target {
	a := p.Address
	t := &target{place: p.place, service: s, host: hostField(a), again: p.again}
	t.node, t.latency = balance.NewNode(t.name, p.weight), latency.New()
	t.node.Owner, t.node.Settled = t, p.settled
	t.ctx, t.stop = context.WithCancel(s.ctx)
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
	return t
}

// start has the pool swept, and the target checked until it drains.
func (t *target) start() {
	t.started.Do(func() {
		t.pool.start()
		if h := &t.service.conf.Health; h.Path != "" {
			go (&checker{t: t, conf: h}).run(t.ctx)
		}
	})
}

// busy tells whether requests are in flight.
func (t *target) busy() bool { return t.node.InFlight() > 0 }

// drain ends what runs beside requests. Connections are closed as they come
// back.
func (t *target) drain() {
	t.stop()
	t.close()
}

// hostField is the authority without the scheme's own port. For SRV records, it
// is their name: their hosts are not known.
func hostField(a Address) string {
	if a.Port == 80 && !a.Secure || a.Port == 443 && a.Secure {
		if ip, err := netip.ParseAddr(a.Host); err == nil && ip.Is6() {
			return "[" + a.Host + "]"
		}
		return a.Host
	}
	return a.String()
}

// move says what share of the requests the target gets, and where it is reached.
// Connections to addresses that its name no longer has are closed when they come
// back to the pool.
func (t *target) move(p spot) {
	t.node.SetWeight(p.weight)
	known := t.addrs.Swap(&p.addrs)
	if known != nil && !slices.Equal(*known, p.addrs) {
		t.pool.prune()
	}
}

// resolves tells whether the target still has that address.
func (t *target) resolves(a netip.Addr) bool { return slices.Contains(*t.addrs.Load(), a) }

// get returns a connection: an idle one unless fresh is asked for, else a new
// one, waiting for its turn when there are too many. It ends early when h gives
// the try up.
func (t *target) get(x *exchange.Exchange, h *hedger, fresh bool, left time.Duration) (*conn, outcome) {
	if !fresh {
		if c := t.pool.take(); c != nil {
			return c, outcome{}
		}
	}
	ctx := h.context(x)
	c, ok := t.pool.reserve(ctx, time.Duration(t.service.conf.Timeouts.Queue))
	if !ok {
		if r := x.Aborted(); r != nil {
			return nil, outcome{reason: r}
		}
		return nil, outcome{reason: exchange.PoolExhausted, unsent: true}
	}
	if c != nil {
		return c, outcome{}
	}
	patience := min(left, time.Duration(t.service.conf.Timeouts.Connect))
	if h != nil {
		return t.dialBeside(ctx, x, patience)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	nc, err := t.dial(ctx)
	if err != nil {
		t.pool.unreserve()
		return nil, dialFailed(x, err)
	}
	return nc, outcome{}
}

// dialBeside is dial for a try that may be given up because a second one was faster:
// the connection comes to stand all the same, for others, and if it does not, it is
// known of the target. Else one that takes long to connect to would never have any.
func (t *target) dialBeside(ctx context.Context, x *exchange.Exchange, patience time.Duration) (*conn, outcome) {
	own, cancel := context.WithTimeout(context.Background(), patience)
	var handed, alone atomic.Bool // over by one side to the other; nobody waits
	var c *conn
	var err error
	done := make(chan struct{})
	began := time.Now()
	attempt := t.node.Begin() // of its own, because the try's ends when that is given up
	attempt.End()             // and it is no request in flight
	go func() {
		defer cancel()
		defer context.AfterFunc(t.ctx, func() {
			if alone.Load() { // a request that waits is still served
				cancel()
			}
		})()
		c, err = t.dial(own)
		if handed.CompareAndSwap(false, true) {
			close(done)
			return
		}
		t.keep(c, err, attempt, time.Since(began))
	}()
	select {
	case <-done:
	case <-ctx.Done():
		why := exchange.ConnectFailed
		if r := x.Aborted(); r != nil {
			why = r
			cancel()
		}
		if handed.CompareAndSwap(false, true) {
			if alone.Store(true); t.ctx.Err() != nil {
				cancel()
			}
			return nil, outcome{reason: why, detail: "given up", unsent: true, pending: true}
		}
		<-done // at the same moment
	}
	if err != nil {
		t.pool.unreserve()
		return nil, dialFailed(x, err)
	}
	return c, outcome{}
}

// keep takes a connection for which nobody waits any more, or why there is none.
func (t *target) keep(c *conn, err error, attempt balance.Attempt, took time.Duration) {
	if err == nil {
		t.pool.put(c)
		return
	}
	t.pool.unreserve()
	if t.service.rules.failures.faults[connectFault] && !errors.Is(err, context.Canceled) {
		t.service.balancer.Record(attempt, balance.Failed, took, time.Now())
	}
}

// dial opens a connection to one of the addresses, the next one when it
// fails, all within the context.
func (t *target) dial(ctx context.Context) (*conn, error) {
	addrs := t.addrs.Load()
	var failure error
	first := int(t.turn.Add(1))
	for i := range *addrs {
		a := (*addrs)[(first+i)%len(*addrs)]
		nc, err := t.reach(ctx, a, len(*addrs)-i)
		if err == nil {
			return newConn(t, nc, a), nil
		}
		failure = err
		if ctx.Err() != nil {
			break
		}
	}
	if t.again != nil && ctx.Err() != context.Canceled { // else it is the client who failed, or it was given up
		t.again()
	}
	return nil, failure
}

// reach is connect with an even share of the time that is left, so that an
// address which swallows packets leaves some for the others.
func (t *target) reach(ctx context.Context, a netip.Addr, left int) (net.Conn, error) {
	if deadline, ok := ctx.Deadline(); ok && left > 1 {
		share, cancel := context.WithTimeout(ctx, time.Until(deadline)/time.Duration(left))
		defer cancel()
		ctx = share
	}
	return t.connect(ctx, a)
}

func (t *target) connect(ctx context.Context, a netip.Addr) (net.Conn, error) {
	nc, err := t.service.dialer().DialContext(ctx, "tcp", netip.AddrPortFrom(a, t.Port).String())
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
		return outcome{reason: exchange.ConnectTimeout, detail: err.Error(), unsent: true}
	}
	return outcome{reason: exchange.ConnectFailed, detail: err.Error(), unsent: true}
}

func (t *target) close() { t.pool.close() }
