// Package discover finds out where the targets of a service are: the addresses of a name, or what
// its SRV records say, how long that is good, and when it changes.
package discover

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// Options are what a Resolver can be told. The zero value is what the system says.
type Options struct {
	// Servers are DNS servers, IP address and port, that are asked instead of those of
	// resolv.conf. The first is asked as long as it answers, then the next one, and so on.
	Servers []string
	// Timeout bounds one look-up, with all servers and attempts. 0 is 10 s.
	Timeout time.Duration
}

// Resolver looks names up as Go does: the file of hosts, search domains, several servers, TCP
// for what is truncated. It keeps nothing: each look-up asks. Its methods may be called by
// any goroutine.
type Resolver struct {
	servers []string
	timeout time.Duration
	current atomic.Uint32 // which of servers is asked, modulo their number
}

// New makes a Resolver.
func New(o Options) (*Resolver, error) {
	for _, s := range o.Servers {
		if a, err := netip.ParseAddrPort(s); err != nil || a.Port() == 0 {
			return nil, fmt.Errorf("DNS server %q: has to be an IP address and a port, such as 10.0.0.2:53 or [fd00::2]:53", s)
		}
	}
	if o.Timeout <= 0 {
		o.Timeout = 10 * time.Second
	}
	return &Resolver{servers: slices.Clone(o.Servers), timeout: o.Timeout}, nil
}

// Addresses returns the addresses of a host, IPv4 first, in ascending order and each once. An
// IPv4 address is never mapped into IPv6. ttl is how long they are good: at least 1 s, or 0 when
// nobody says, because host is in the file of hosts or an address. With an error it is how long
// that is good, 0 for an error that is no answer.
func (r *Resolver) Addresses(ctx context.Context, host string) (addrs []netip.Addr, ttl time.Duration, err error) {
	var rec recorder
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	addrs, err = r.resolver(ctx, &rec).LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, rec.lifeOf(err), r.failure(ctx, host, err, &rec)
	}
	for i := range addrs {
		addrs[i] = addrs[i].Unmap()
	}
	slices.SortFunc(addrs, netip.Addr.Compare)
	if addrs = slices.Compact(addrs); len(addrs) == 0 {
		return nil, 0, fmt.Errorf("resolving %s: no address", host)
	}
	return addrs, rec.life(), nil
}

// SRV is a record that says where a service is (RFC 2782).
type SRV struct {
	Host             string // without the dot at its end
	Port             uint16
	Priority, Weight uint16
}

// Services returns the SRV records of a name such as _http._tcp.orders.example, those of the
// lowest priority first. ttl is as for Addresses. With records and an error there are more, whose
// hosts are no names, and which are left out.
func (r *Resolver) Services(ctx context.Context, name string) (records []SRV, ttl time.Duration, err error) {
	var rec recorder
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	_, found, err := r.resolver(ctx, &rec).LookupSRV(ctx, "", "", name)
	if err != nil {
		err = r.failure(ctx, name, err, &rec)
	}
	if err != nil && len(found) == 0 {
		return nil, rec.lifeOf(err), err
	}
	for _, s := range found {
		if host := strings.TrimSuffix(s.Target, "."); host != "" { // a dot alone: there is no such service
			records = append(records, SRV{Host: host, Port: s.Port, Priority: s.Priority, Weight: s.Weight})
		}
	}
	if len(records) == 0 {
		return nil, rec.life(), fmt.Errorf("resolving %s: no such service", name)
	}
	slices.SortFunc(records, compareSRV)
	return slices.Compact(records), rec.life(), err
}

// failure says what was looked up, and names the server that was asked, where Go names that of
// resolv.conf. When time is up, Go closes the connection at some time later; but whoever
// looks up next is to ask the next server.
func (r *Resolver) failure(ctx context.Context, name string, err error, rec *recorder) error {
	var dns *net.DNSError
	if server, turn := rec.asked(); server != "" && errors.As(err, &dns) {
		said := *dns
		said.Server = server
		err = &said
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			r.pass(turn)
		}
	}
	return fmt.Errorf("resolving %s: %w", name, err)
}

func compareSRV(a, b SRV) int {
	return cmp.Or(cmp.Compare(a.Priority, b.Priority), cmp.Compare(a.Host, b.Host),
		cmp.Compare(a.Port, b.Port), cmp.Compare(a.Weight, b.Weight))
}

// resolver makes one for a single look-up: a net.Resolver merges those of one name that run at
// the same time, and only one of them would see the messages. ctx is that of the look-up.
func (r *Resolver) resolver(ctx context.Context, rec *recorder) *net.Resolver {
	gaveUp := func() bool { return errors.Is(ctx.Err(), context.Canceled) }
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		return r.dial(ctx, network, address, rec, gaveUp)
	}}
}

// dial connects to the server that Go has chosen, or to the one of ours whose turn it is. That
// turn ends when there is no answer, unless it is the caller who gave up.
func (r *Resolver) dial(ctx context.Context, network, address string, rec *recorder, gaveUp func() bool) (net.Conn, error) {
	if ctx.Err() != nil { // Go tries once more when time is up, which says nothing about a server
		return nil, ctx.Err()
	}
	lost := func() {}
	if n := uint32(len(r.servers)); n > 0 {
		turn := r.current.Load()
		address = r.servers[turn%n]
		rec.ask(address, turn)
		lost = func() {
			if !gaveUp() {
				r.pass(turn)
			}
		}
	}
	c, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		lost()
		return nil, err
	}
	return record(ctx, c, rec, lost), nil
}

// pass ends a server's turn, once for all who have waited for it.
func (r *Resolver) pass(turn uint32) { r.current.CompareAndSwap(turn, turn+1) }
