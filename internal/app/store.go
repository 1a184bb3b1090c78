package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"yett/internal/admin"
	"yett/internal/revocation"
	"yett/internal/store"
	"yett/internal/store/local"
	"yett/internal/store/memory"
	"yett/internal/store/redis"
	"yett/internal/upstream/breaker"
)

// firstSync is how long the start waits for the list of revoked tokens: before
// it is there, one of them could pass.
const firstSync = 5 * time.Second

// shared is the store with what follows it, and how it is.
type shared struct {
	store  store.Store
	stop   context.CancelFunc
	ended  sync.WaitGroup
	synced chan struct{} // closed when the list is here for the first time
	missed chan error    // takes why it isn't

	log *slog.Logger
	mu  sync.Mutex // guards all below
	now admin.StoreState
	// silent tells that the start is not over: what goes wrong may be the
	// answer of Start, which is not to be said twice. why is what was held back.
	silent bool
	why    error
}

// OpenStore opens the store that o describes, the one in memory when o is nil.
// A store is returned with an error too, unless the options make no sense: one
// that will be found when it is there. The error is one line, with the remedy.
func OpenStore(ctx context.Context, o *redis.Options) (store.Store, error) {
	if o == nil {
		return memory.New(memory.Options{}), nil
	}
	s, err := redis.Open(ctx, *o)
	if s == nil {
		return nil, err
	}
	if err != nil {
		err = unusable(o, err)
	}
	return s, err
}

// unusable is one line that says where the store should be, why it can't be
// used, and what to do.
func unusable(o *redis.Options, err error) error {
	return fmt.Errorf("the store %s can't be used: %s; %s", o.Where(), cause(err), remedy(o, err))
}

// cause is what an error of the store wraps, in one line: where and what was
// being done is told already.
func cause(err error) string {
	if inner := errors.Unwrap(err); inner != nil {
		err = inner
	}
	return strings.ReplaceAll(err.Error(), "\n", " ")
}

// remedy says what to do about a server that can't be used.
func remedy(o *redis.Options, err error) string {
	text := err.Error()
	for _, known := range []struct{ sign, remedy string }{
		{"WRONGPASS", "correct store.redis.username and password"},
		{"NOAUTH", "set store.redis.password"},
		{"NOPERM", "allow its user the keys and channels that begin with store.redis.prefix, and the commands EVAL, EVALSHA, TIME, GET, SET, DEL, ZADD, ZRANGE, ZREMRANGEBYSCORE, ZSCAN, PEXPIREAT, PUBLISH and SUBSCRIBE, with sentinels also ROLE, in a cluster CLUSTER and ASKING"},
		{"READONLY", "name the primary in store.redis, this is a replica"},
		{"No such master", "correct store.redis.sentinel.primary, the name that follows sentinel monitor in their configuration"},
		{"is in no cluster", "write host instead of store.redis.cluster"},
		{"DB index", "correct store.redis.database"},
		{"x509:", "correct store.redis.tls"},
		{"tls:", "correct store.redis.tls, or remove it"},
	} {
		if strings.Contains(text, known.sign) {
			return known.remedy
		}
	}
	none := "remove it"
	if o.Address != "" {
		none = "leave store.redis.host empty"
	}
	return "start it, correct store.redis, or " + none + " to keep state in memory"
}

// openStore opens the store and waits until the list of revoked tokens is here.
// When that fails, and the configuration doesn't require the store, the gateway
// starts without, and finds it later.
func (a *App) openStore(ctx context.Context) error {
	s, unfit, err := a.sharedStore(ctx)
	if s == nil {
		return err
	}
	a.shared = follow(s, a.revoked, a.log, err)
	if err == nil {
		if err = a.shared.wait(); err != nil {
			err = unfit(err)
		}
	}
	if err != nil && a.Config().Store.Required {
		return fmt.Errorf("%w; store.required: false starts without it", err)
	}
	a.shared.speak(err)
	if s != store.Store(a.here) {
		if a.gateway.Snapshot().Store == nil { // workers of one node, which has one breaker for each service
			a.breakers.ShareAll()
		}
		a.meter.Share(s, err)
		a.breakers.Share(s)
	}
	a.openBeside(ctx)
	return nil
}

// beside is what the workers of this node share where nodes share a store of their own: what that
// would make common to all nodes, or does not have.
type beside struct {
	breakers *breaker.Board // nil where nothing is shared beside the store
	store    store.Store    // nil before Start, and where it can never be
}

// openBeside opens the store of this node's workers where it is beside another one. Nothing
// requires it: without, each worker goes on by itself, and finds it later.
func (a *App) openBeside(ctx context.Context) {
	b := &a.beside
	if b.breakers == nil {
		return
	}
	s, unfit, err := a.openLocal(ctx)
	if s == nil {
		a.log.Warn("this worker goes on by itself: its breakers and what runs at once are its own", "error", unfit(err).Error())
		return
	}
	b.store = s
	a.meter.ShareBeside(s, err)
	b.breakers.Share(s)
}

// close ends what breakers follow, and the store, which the meter uses no more.
func (b *beside) close() {
	if b.breakers != nil {
		b.breakers.Close()
	}
	if b.store != nil {
		b.store.Close()
	}
}

// sharedStore opens the store that is shared with other nodes, or with other workers of this
// one, or is what this process keeps by itself. It is nil where that can never be. unfit says of
// it what the error does where it can't be used.
func (a *App) sharedStore(ctx context.Context) (s store.Store, unfit func(error) error, err error) {
	switch o := a.gateway.Snapshot().Store; {
	case o != nil:
		s, err = OpenStore(ctx, o)
		return s, func(err error) error { return unusable(o, err) }, err
	case a.o.Store != "":
		return a.openLocal(ctx)
	}
	return a.here, func(err error) error { return err }, nil
}

// openLocal opens the store of the workers of this gateway.
func (a *App) openLocal(ctx context.Context) (store.Store, func(error) error, error) {
	unfit := func(err error) error {
		return fmt.Errorf("the store of this gateway's workers at %s can't be used: %s; its supervisor keeps a process there, see what that says", a.o.Store, cause(err))
	}
	s, err := local.Open(ctx, local.Options{Path: a.o.Store, Timeout: time.Duration(a.Config().Store.Redis.Timeout)})
	switch {
	case s == nil:
		return nil, unfit, err // and not a nil that is in an interface
	case err != nil:
		err = unfit(err)
	}
	return s, unfit, err
}

// follow lets the list follow the store until close. lost is why the store
// can't be used as yet, or nil.
func follow(s store.Store, list *revocation.List, log *slog.Logger, lost error) *shared {
	ctx, stop := context.WithCancel(context.Background())
	sh := &shared{
		store: s, stop: stop, log: log, synced: make(chan struct{}), missed: make(chan error, 1),
		now: admin.StoreState{Name: s.Name(), Since: time.Now()}, silent: true,
	}
	if lost != nil {
		sh.lose(lost)
	}
	sh.ended.Go(func() { list.Follow(ctx, s, sh.changed) })
	return sh
}

// wait waits for the list, or for the first failure to get it.
func (sh *shared) wait() error {
	select {
	case <-sh.synced:
		return nil
	case err := <-sh.missed:
		return err
	case <-time.After(firstSync):
		return fmt.Errorf("the list of revoked tokens did not come within %v", firstSync)
	}
}

// changed is told by the list what becomes of the store.
func (sh *shared) changed(lost error) {
	if lost != nil {
		select {
		case sh.missed <- lost:
		default: // nobody waits any more
		}
		sh.lose(lost)
		return
	}
	sh.find()
}

// lose notes that the store is lost, once.
func (sh *shared) lose(err error) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.now.Lost {
		return
	}
	sh.now.Lost, sh.now.Since, sh.why = true, time.Now(), err
	if !sh.silent {
		sh.logLoss()
	}
}

func (sh *shared) logLoss() {
	sh.log.Warn("the store is lost; what was known of it stays in effect", "store", sh.now.Name, "error", sh.why.Error())
}

// speak ends the silence of the start. missed is why the list is not here, or
// nil.
func (sh *shared) speak(missed error) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.silent = false
	select {
	case <-sh.synced:
		if sh.now.Lost { // again
			sh.logLoss()
		}
	default:
		sh.log.Warn("started without the store: no revocations are known yet", "store", sh.now.Name, "error", missed.Error())
	}
}

// find notes that the store is there and the list is complete, at first and
// after a loss.
func (sh *shared) find() {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	select {
	case <-sh.synced:
	default:
		close(sh.synced)
	}
	if !sh.now.Lost {
		return
	}
	if !sh.silent {
		sh.log.Info("the store is back", "store", sh.now.Name, "lost_for", time.Since(sh.now.Since).String())
	}
	sh.now.Lost, sh.now.Since = false, time.Now()
}

func (sh *shared) state() admin.StoreState {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.now
}

// close ends the following and the store. The nil shared has nothing to end.
func (sh *shared) close() {
	if sh == nil {
		return
	}
	sh.stop()
	sh.ended.Wait()
	sh.store.Close()
}
