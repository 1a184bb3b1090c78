// Package upstream calls services: it picks a target, keeps connections to
// it, sends the request, reads the answer, and decides what a failure means.
package upstream

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"yett/internal/config"
	"yett/internal/exchange"
	"yett/internal/sweep"
	"yett/internal/wire"
)

// Resolver looks up the addresses of a host name. *net.Resolver is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Deps is what all services share.
type Deps struct {
	Buffers  *wire.Buffers
	Sweeper  *sweep.Sweeper
	Resolver Resolver
	// TLS is the client configuration for https targets, without ServerName.
	// nil is the system's certificate authorities.
	TLS *tls.Config
}

// Service is a named upstream with its targets. It lives as long as its
// configuration stays the same, across revisions.
type Service struct {
	name    string
	conf    config.Service
	deps    Deps
	limits  wire.Limits
	targets []*target
	turn    atomic.Uint32
	started sync.Once
	stats   stats
	stop    context.CancelFunc
	standby standby
}

// New makes a Service that does nothing before Start.
func New(name string, conf config.Service, deps Deps) (*Service, error) {
	s := &Service{name: name, conf: conf, deps: deps, stop: func() {}, limits: wire.Limits{
		FirstLine:   int(conf.Limits.Header),
		Header:      int(conf.Limits.Header),
		HeaderCount: conf.Limits.HeaderCount,
		ChunkLine:   1 << 10,
		Trailer:     int(conf.Limits.Header),
	}}
	for _, raw := range conf.Targets {
		address, err := ParseTarget(raw)
		if err != nil {
			return nil, err
		}
		s.targets = append(s.targets, newTarget(s, address))
	}
	return s, nil
}

// Start begins to follow the names of targets. A service that a later
// revision takes over is started once. Close ends it.
func (s *Service) Start() {
	s.started.Do(func() {
		ctx, stop := context.WithCancel(context.Background())
		s.stop = stop
		for _, t := range s.targets {
			t.start(ctx)
		}
	})
}

// Name returns the service's name.
func (s *Service) Name() string { return s.name }

// Targets returns the names of the targets.
func (s *Service) Targets() []string {
	var names []string
	for _, t := range s.targets {
		names = append(names, t.name)
	}
	return names
}

// Close closes idle connections and ends the look-ups. Exchanges that run
// keep their connections until they are done.
func (s *Service) Close() {
	s.stop()
	for _, t := range s.targets {
		t.close()
	}
}

// outcome is how one attempt ended.
type outcome struct {
	reason *exchange.Reason // nil: the answer's head is in the exchange
	detail string
	// unsent tells that the service can't have seen the request, dead that a
	// reused connection ended before the first byte of the answer.
	unsent, dead bool
}

// mostAttempts bounds how often a request meets connections that have died:
// even a fresh attempt may be handed one that was used before.
const mostAttempts = 3

// Forward sends the exchange to the service and fills in the head of the
// answer and the source of its body. It returns nil, or why there is no
// answer.
func (s *Service) Forward(x *exchange.Exchange) *exchange.Reason {
	x.Service = s.name
	if err := x.RequestBody.Gather(); err != nil {
		return exchange.BodyReason(err)
	}
	start := x.Elapsed()
	reason := s.attempts(x)
	end := x.Elapsed()
	x.UpstreamTime = end - start
	s.stats.record(reason, x.Status, x.Now.Add(end))
	return reason
}

// attempts tries one target after the other, for as long as the request may
// be repeated: see again.
func (s *Service) attempts(x *exchange.Exchange) *exchange.Reason {
	for fresh := false; ; fresh = true {
		t := s.pick()
		if t == nil {
			return exchange.NoTarget
		}
		x.Target = t.name
		x.Attempts++
		c, out := t.get(x, fresh)
		if out.reason == nil {
			out = c.roundTrip(x)
		}
		if out.reason == nil {
			return nil
		}
		if x.Attempts >= mostAttempts || !again(x, out) {
			x.Detail = out.detail
			return out.reason
		}
	}
}

// again tells whether a request that died on a reused connection may be sent
// once more: the service never saw it and its body has not been touched, or
// the whole body is still at hand and seeing it twice does no harm (RFC 9112
// section 9.3.1).
func again(x *exchange.Exchange, out outcome) bool {
	if x.Aborted() != nil {
		return false
	}
	if x.RequestBody.Streams() {
		return out.unsent && x.RequestBody.BytesRead() == 0
	}
	return out.unsent || out.dead && idempotent(x.Method)
}

// idempotent follows RFC 9110 section 9.2.2.
func idempotent(method string) bool {
	switch method {
	case "GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE":
		return true
	}
	return false
}

// pick returns the target whose turn it is.
func (s *Service) pick() *target {
	switch len(s.targets) {
	case 0:
		return nil
	case 1:
		return s.targets[0]
	}
	return s.targets[s.turn.Add(1)%uint32(len(s.targets))]
}

// Idle returns how many idle connections the service keeps, for tests and
// health pages.
func (s *Service) Idle() int {
	n := 0
	for _, t := range s.targets {
		n += t.pool.size()
	}
	return n
}

func (s *Service) responseTimeout(x *exchange.Exchange) time.Duration {
	if x.Out.ResponseTimeout > 0 {
		return x.Out.ResponseTimeout
	}
	return time.Duration(s.conf.Timeouts.Response)
}

func (s *Service) idleTimeout(x *exchange.Exchange) time.Duration {
	if x.Out.IdleTimeout > 0 {
		return x.Out.IdleTimeout
	}
	return time.Duration(s.conf.Timeouts.Idle)
}

// dialer makes connections. The deadline is the context's too, which covers
// TLS and all addresses of a name.
func (s *Service) dialer() *net.Dialer {
	return &net.Dialer{Timeout: time.Duration(s.conf.Timeouts.Connect)}
}
