// Package upstream calls services: it picks a target, keeps connections to
// it, sends the request, reads the answer, and decides what a failure means.
package upstream

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"yett/internal/config"
	"yett/internal/exchange"
	"yett/internal/sweep"
	"yett/internal/upstream/balance"
	"yett/internal/upstream/breaker"
	"yett/internal/upstream/latency"
	"yett/internal/upstream/retry"
	"yett/internal/upstream/shed"
	"yett/internal/wire"
)

// Deps is what all services share.
type Deps struct {
	Buffers *wire.Buffers
	Sweeper *sweep.Sweeper
	// Resolver looks up the names of targets; nil is the system's DNS.
	Resolver Resolver
	// Board tells other nodes of breakers that are shared; nil for nobody.
	Board *breaker.Board
	// Workers tells the other workers of this node of those that are not; nil where there are
	// none, or Board does.
	Workers *breaker.Board
	// Log gets a line for each transition of a breaker or a target; nil for nobody.
	Log *slog.Logger
	// TLS is the client configuration for https targets, without ServerName.
	// nil is the system's certificate authorities.
	TLS *tls.Config
}

// Service is a named upstream with its targets. It lives as long as its
// configuration stays the same, across revisions.
type Service struct {
	name     string
	conf     config.Service
	deps     Deps
	limits   wire.Limits
	rules    settings
	set      atomic.Pointer[targets]
	balancer *balance.Balancer
	keyer    *Keyer  // nil unless the algorithm is hash
	sticky   *sticky // nil for none
	budget   *retry.Budget
	latency  *latency.Histogram
	limiter  *shed.Limiter    // nil for no bound
	breaker  *breaker.Breaker // nil for none
	observes bool             // the breaker only does
	patience time.Duration    // that is expected of the service with slow clients
	trust    time.Duration    // how long a connection may have rested that is used without a look
	fallback *fallback        // nil for none
	// insteadOf is what the log says of a request that a fallback has answered.
	insteadOf string
	// standby answers while the breaker is open, nil for nobody. It can change while this one
	// serves, because a service outlives a revision that replaces its fallback.
	standby  atomic.Pointer[Service]
	hedging  *hedging // nil for none
	started  sync.Once
	changing sync.Mutex // of the targets
	running  bool       // guarded by changing
	sources  []*source
	first    chan struct{} // closed when there are targets, or names were looked up in vain
	found    sync.Once     // closes first
	// exchanges are those of checks.
	exchanges exchange.Pool
	stats     stats
	ctx       context.Context // of all that runs beside requests
	stop      context.CancelFunc
}

// New makes a Service that does nothing before Start. The error is what Check
// finds.
func New(name string, conf config.Service, deps Deps) (*Service, error) {
	rules, _ := compile(&conf)
	if err := Check(&conf).Err(); err != nil {
		return nil, err
	}
	s := &Service{name: name, conf: conf, deps: deps, rules: rules, limits: wire.Limits{
		FirstLine:   int(conf.Limits.Header),
		Header:      int(conf.Limits.Header),
		HeaderCount: conf.Limits.HeaderCount,
		ChunkLine:   1 << 10,
		Trailer:     int(conf.Limits.Header),
	}}
	s.patience, s.trust = slowClient, trustTime
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.budget = retry.NewBudget(float64(conf.Retries.Budget), conf.Retries.Floor, budgetWindow)
	s.balancer = balance.New(balanceSettings(&conf), s.targetChanged)
	s.latency = latency.New()
	s.hedging = newHedging(&conf.Hedge, s.latency)
	var err error
	if c := &conf.Concurrency; c.Max > 0 || c.Adaptive {
		if s.limiter, err = shed.New(shedSettings(c)); err != nil {
			return nil, fmt.Errorf("concurrency of service %s: %w", name, err)
		}
	}
	if c := conf.Balance.Sticky; c != nil {
		if s.sticky, err = newSticky(name, c); err != nil {
			return nil, err
		}
	}
	if m := conf.Breaker.Mode; m == "enforce" || m == "observe" {
		s.breaker, s.observes = breaker.New(breakerSettings(&conf.Breaker), s.breakerChanged), m == "observe"
	}
	s.keyer, _ = CompileKey(conf.Balance.Hash, nil)
	s.fallback, s.insteadOf = newFallback(conf.Breaker.Fallback), "fallback: the breaker of "+name+" is open"
	return s, s.prepare()
}

// slowClient is how long a client may take, if that is also most of the time, before it is
// its fault when the service does not wait any longer.
const slowClient = 5 * time.Second

// budgetWindow is how far back the budget of retries looks.
const budgetWindow = 10 * time.Second

// Start begins to follow the names of targets and to check them. A service that
// a later revision takes over is started once. Close ends it.
func (s *Service) Start() {
	s.started.Do(func() {
		s.changing.Lock()
		defer s.changing.Unlock()
		if s.ctx.Err() != nil {
			return
		}
		s.running = true
		s.joinBoards()
		for _, t := range s.set.Load().list {
			t.start()
		}
		for _, src := range s.sources {
			s.follow(src)
		}
	})
}

// joinBoards has others told of the breaker. On the board that is not its own it takes the place
// of one that was there by an earlier configuration.
func (s *Service) joinBoards() {
	if s.breaker == nil {
		return
	}
	shared := s.conf.Breaker.Shared
	if s.deps.Board != nil {
		s.deps.Board.Join(s.name, s.breaker, shared)
	}
	if s.deps.Workers != nil {
		s.deps.Workers.Join(s.name, s.breaker, !shared)
	}
}

// Name returns the service's name.
func (s *Service) Name() string { return s.name }

// Targets returns the names of the targets. For a name of which nothing is known
// yet, that is what stands in the configuration.
func (s *Service) Targets() []string { return s.set.Load().names() }

// Close closes idle connections and ends what runs beside requests. Exchanges
// that run keep their connections until they are done.
func (s *Service) Close() {
	s.stop()
	for _, b := range []*breaker.Board{s.deps.Board, s.deps.Workers} {
		if b != nil {
			b.Leave(s.name, s.breaker)
		}
	}
	s.changing.Lock()
	defer s.changing.Unlock()
	for _, t := range s.set.Load().list {
		t.close()
	}
}

// Idle returns how many idle connections the service keeps, for tests and
// health pages.
func (s *Service) Idle() int {
	n := 0
	for _, t := range s.set.Load().list {
		n += t.pool.size()
	}
	return n
}

// forever is how long those may take who have no bound.
const forever = 365 * 24 * time.Hour

func (s *Service) responseTimeout(x *exchange.Exchange) time.Duration {
	d := time.Duration(s.conf.Timeouts.Response)
	if x.Out.ResponseTimeout > 0 {
		d = x.Out.ResponseTimeout
	}
	if d == 0 {
		return forever
	}
	return d
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
