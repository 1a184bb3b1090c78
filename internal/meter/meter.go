package meter

import (
	"context"
	"crypto/rand"
	"log/slog"
	"slices"
	"sync"
	"time"

	"yett/internal/store"
)

// Options is what a Meter is made from.
type Options struct {
	// Here keeps what this node counts by itself: all, until Share names a store that
	// others use too.
	Here store.Store
	// Log is told when that store is lost and found.
	Log *slog.Logger
	// Peek makes a Meter that only looks: what it takes is not counted.
	Peek bool
}

// payEvery is how often debts are paid.
const payEvery = time.Second

// maxKeys is how much memory for keys a Call keeps, in bytes.
const maxKeys = 4 << 10

// maxLeases is of how many callers tokens are held in advance.
const maxLeases = 100_000

// Meter counts. Its methods may be called from many goroutines.
type Meter struct {
	Options
	calls sync.Pool
	ids   ids

	// shared is nil where nobody shares anything.
	shared store.Store
	// flying is shared, where that counts what runs, or else beside.
	flying store.Flights
	// beside is what the workers of this node share where shared does not count what runs; nil
	// otherwise.
	beside  *beside
	guard   guard
	nodes   *nodes
	debts   *debts
	leases  *leases
	known   *known
	gates   *gates
	flights *flights
	top     *top

	stop    context.CancelFunc
	mu      sync.Mutex // held to begin something that runs, and to end that
	closed  bool
	running sync.WaitGroup
}

// begin lets f run until Close waits for it. It returns false after that.
func (m *Meter) begin(f func()) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return false
	}
	m.running.Go(f)
	return true
}

// New returns a Meter that counts here. Close has to follow.
func New(o Options) *Meter {
	m := &Meter{
		Options: o, ids: newIDs(), nodes: newNodes(rand.Text()), debts: newDebts(), leases: newLeases(maxLeases), known: newKnown(),
		gates: newGates(), flights: newFlights(), top: newTop(),
	}
	m.guard.ctx, m.stop = context.WithCancel(context.Background())
	m.guard.changed, m.guard.probe = m.changed, m.probe
	m.guard.since = time.Now()
	return m
}

// Share makes the Meter count in a store that other nodes use too, from before it is
// used for the first time. lost is why the store can't be asked as yet, or nil.
func (m *Meter) Share(s store.Store, lost error) {
	m.shared = s
	m.flying, _ = s.(store.Flights)
	if lost != nil {
		m.guard.lose(lost, nil)
	}
	if m.Peek {
		return
	}
	forgetter := &forgetter{forget: m.forgetTold, done: make(map[string]bool)}
	m.begin(func() { m.payDebts(m.guard.ctx) })
	m.begin(func() { m.nodes.follow(m.guard.ctx, s) })
	m.begin(func() { s.Follow(m.guard.ctx, forgottenSet, forgetter) })
}

// Watch shows the limits of these names in State, used or not, and no others.
func (m *Meter) Watch(names []string) { m.top.keep(names) }

// Close ends what the Meter has running. It leaves the stores alone.
func (m *Meter) Close() {
	m.guard.close(m.stop)
	if m.beside != nil {
		m.beside.guard.close(m.stop)
	}
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	m.running.Wait()
}

// Call returns an empty Call, which End gives back.
func (m *Meter) Call() *Call {
	if c, ok := m.calls.Get().(*Call); ok {
		return c
	}
	c := &Call{Keys: make([]byte, 0, 256)}
	c.Claims = c.claims[:0]
	return c
}

// End gives back what a call still holds, and the call itself. Its keys are views no
// longer.
func (m *Meter) End(c *Call) {
	m.leave(c)
	for i := range c.Claims { // what is written over before it is read may stay
		cl, t := &c.Claims[i], &c.takes[i]
		if cl.lease != nil {
			*cl.lease, cl.lease = spending{}, nil
		}
		cl.Name, cl.Key, cl.Watch, t.Name, t.Key = "", "", nil, "", ""
	}
	c.Claims, c.Keys, c.Notes = c.claims[:0], c.Keys[:0], 0
	if cap(c.Keys) > maxKeys {
		c.Keys = nil
	}
	m.calls.Put(c)
}

// probe tells whether the store is back: it takes within the budget what is written where it
// did not. What was spent without it is counted then.
func (m *Meter) probe(ctx context.Context, writes []store.Take) error {
	if err := m.shared.Ping(ctx); err != nil {
		return err
	}
	if err := m.shared.Take(ctx, time.Now(), slices.Clone(writes)); err != nil {
		return err
	}
	return m.debts.pay(ctx, m.shared, m.Here)
}

// payDebts pays what is owed while the store is there, until ctx ends.
func (m *Meter) payDebts(ctx context.Context) {
	ticker := time.NewTicker(payEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if !m.guard.lost() {
				_ = m.debts.pay(ctx, m.shared, m.Here) // again at the next tick
			}
		}
	}
}

// changed is told by guard when the store is lost and found.
func (m *Meter) changed(lost bool, why error, lasted time.Duration) {
	if lost {
		m.Log.Warn("limits count on this node alone: the store does not take what is spent",
			"store", m.shared.Name(), "error", why.Error(), "nodes", m.nodes.live())
		return
	}
	m.Log.Info("limits count in the store again", "store", m.shared.Name(), "alone_for", lasted.Round(time.Millisecond).String())
}

// Forget lets a limit forget what it has counted under a key, on all nodes.
func (m *Meter) Forget(ctx context.Context, name, key string) error {
	m.forgetHere(name, key)
	if m.shared == nil {
		return nil
	}
	return Forget(ctx, m.shared, name, key)
}

// forgetTold forgets what was forgotten somewhere.
func (m *Meter) forgetTold(name, key string) {
	m.Log.Info("a limit has forgotten what a caller has used", "limit", name, "key", key)
	m.forgetHere(name, key)
}

func (m *Meter) forgetHere(name, key string) {
	id := m.ids.of(name, key)
	_ = m.Here.Forget(m.guard.ctx, name, key) // memory has no errors
	m.leases.forget(id)
	m.known.forget(id)
	m.debts.forget(name, key)
	m.top.forget(name, id)
}

// State is how the Meter is.
type State struct {
	// Shared tells that there is a store that nodes share, Lost that it can't be asked,
	// and this node counts alone.
	Shared, Lost bool
	Since        time.Time
	// Losses is how often it was lost, Nodes how many nodes share it.
	Losses, Nodes int64
	Limits        []LimitState
}

// State returns how the Meter is.
func (m *Meter) State() State {
	s := State{Shared: m.shared != nil, Nodes: m.nodes.live(), Limits: m.top.list(time.Now())}
	s.Lost, s.Since, s.Losses = m.guard.state()
	return s
}
