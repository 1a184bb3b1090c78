// Package app wires the gateway together, starts it, and drains it. It is the
// one composition root.
package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"yett/internal/admin"
	"yett/internal/apidocs"
	"yett/internal/apidocs/ui"
	"yett/internal/assertion"
	"yett/internal/catalog"
	"yett/internal/config"
	"yett/internal/engine"
	"yett/internal/engine/http1"
	"yett/internal/engine/nethttp"
	"yett/internal/exchange"
	"yett/internal/gateway"
	"yett/internal/meter"
	"yett/internal/overload"
	"yett/internal/policy"
	"yett/internal/revocation"
	"yett/internal/snapshot"
	"yett/internal/store/memory"
	"yett/internal/sweep"
	"yett/internal/telemetry"
	"yett/internal/token"
	"yett/internal/upstream"
	"yett/internal/upstream/breaker"
	"yett/internal/wire"
)

// Options is what an App is made from.
type Options struct {
	// File is the configuration file.
	File string
	// Source is the configuration where it isn't to be read from a file. File
	// then is what problems call it, and no .env is read.
	Source []byte
	// Env is where ${VAR} comes from.
	Env config.Env
	// Version is the build's.
	Version string
	// WantFiles makes a mistake of what keeps documents of services from being used that are
	// files beside the configuration. What serves goes without them.
	WantFiles bool
	// Stdout takes the access log when it is to go there, Stderr the gateway's
	// own log.
	Stdout, Stderr io.Writer
	// LogDir, unless empty, is the directory where both go instead, into files that other processes
	// write to as well. It is made where it isn't there.
	LogDir string
	// Waiting, unless nil, is called once when Stop waits for requests that still
	// run, with the longest time that they get.
	Waiting func(grace time.Duration)
}

// App is a running gateway.
type App struct {
	log       *slog.Logger
	conf      *config.Config
	snap      *snapshot.Snapshot
	docs      *apidocs.Hub
	gateway   *gateway.Gateway
	logs      *logs
	tally     *telemetry.Tally
	sweeper   *sweep.Sweeper
	buffers   wire.Buffers
	exchanges exchange.Pool
	lot       *http1.Lot
	servers   []*engine.Server
	ready     atomic.Bool
	revoked   *revocation.List
	here      *memory.Store // what this node keeps by itself
	meter     *meter.Meter
	breakers  *breaker.Board
	load      *overload.Monitor
	shared    *shared // nil before Start
	waiting   func(grace time.Duration)
}

// Check loads and compiles a configuration and starts nothing. The error is a
// problem.List when the configuration is wrong.
func Check(o Options) (*snapshot.Snapshot, error) {
	conf, err := load(o, nil)
	if err != nil {
		return nil, err
	}
	return compile(conf, o, upstream.Deps{}, pages{}, nil, nil)
}

// pages are the gateway's own.
type pages struct {
	health      admin.Health
	revocations admin.Revocations
	keys        admin.Keys
	limits      admin.Limits
	services    admin.Services
	docs        admin.Docs
	docsStatus  admin.DocsStatus
}

// documentsChanged has the gateway's document made anew.
func (p *pages) documentsChanged() {
	if p.docs.Hub != nil {
		p.docs.Hub.Changed()
	}
}

func compile(conf *config.Config, o Options, deps upstream.Deps, p pages, m *meter.Meter, log *slog.Logger) (*snapshot.Snapshot, error) {
	return snapshot.Compile(conf, snapshot.Deps{
		Policy:           policy.Deps{Gateway: conf.Name, Version: o.Version, Meter: m},
		Upstream:         deps,
		Revoked:          p.revocations.List,
		Log:              log,
		DocumentsChanged: p.documentsChanged,
		WantFiles:        o.WantFiles,
		Endpoints: map[string]snapshot.Endpoint{
			"health":          admin.Endpoint(p.health.Live),
			"ready":           admin.Endpoint(p.health.Ready),
			"health_detailed": admin.Endpoint(p.health.Detailed),
			"jwks":            admin.Endpoint(p.keys.JWKS),
			"revocations":     &p.revocations,
			"limits":          &p.limits,
			"services":        &p.services,
			"docs":            &p.docs,
			"docs_status":     &p.docsStatus,
		},
	}, nil)
}

// New loads and compiles the configuration and opens the logs. Start has to
// follow, or Close.
func New(o Options) (*App, error) {
	conf, err := load(o, nil)
	if err != nil {
		return nil, err
	}
	logs, err := newLogs(conf, o)
	if err != nil {
		return nil, err
	}
	a, err := build(conf, o, logs)
	if err != nil {
		return nil, errors.Join(err, logs.Close())
	}
	return a, nil
}

// build is New with a log. When it fails, the log is the caller's to close.
func build(conf *config.Config, o Options, logs *logs) (*App, error) {
	var err error
	a := &App{conf: conf, log: logs.log, logs: logs, tally: telemetry.NewTally(catalog.Reasons()), revoked: revocation.New(), waiting: o.Waiting}
	a.here = memory.New(memory.Options{Keys: conf.Store.Memory.Keys})
	a.meter = meter.New(meter.Options{Here: a.here, Log: a.log})
	a.breakers = breaker.NewBoard(node(), a.log)
	a.docs = newHub(o, a.log)
	own := pages{
		health:      admin.Health{Name: conf.Name, Version: version(conf, o), Started: time.Now(), State: a, Tally: a.tally, LogLinesDropped: logs.Dropped},
		revocations: admin.Revocations{List: a.revoked, State: a, Tokens: a.tokens, Log: a.log},
		keys:        admin.Keys{State: a},
		limits:      admin.Limits{State: a, Forget: a.meter.Forget, Log: a.log},
		services:    admin.Services{State: a, Log: a.log},
		docs:        admin.Docs{Hub: a.docs},
		docsStatus:  admin.DocsStatus{Hub: a.docs},
	}
	if own.docs.UI, err = ui.New(ui.Options{Title: conf.Docs.Title}); err != nil {
		a.meter.Close()
		a.here.Close()
		return nil, err
	}
	if a.lot, err = http1.NewLot(a.log); err != nil {
		a.meter.Close()
		a.here.Close()
		return nil, err
	}
	a.sweeper = sweep.New()
	a.snap, err = compile(conf, o, upstream.Deps{
		Buffers: &a.buffers, Sweeper: a.sweeper, Board: a.breakers, Log: a.log,
	}, own, a.meter, a.log)
	if err == nil {
		err = a.openLogs()
	}
	if err != nil {
		a.meter.Close()
		a.here.Close()
		a.sweeper.Close()
		a.lot.Close()
		return nil, err
	}
	a.gateway = gateway.New(&logs.access, a.tally, a.log)
	a.gateway.Swap(a.snap)
	a.docs.Use(a.snap)
	if err := a.watchLoad(); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	a.meter.Watch(a.snap.Limits().Names())
	for _, l := range a.snap.Listeners {
		a.servers = append(a.servers, a.server(l))
	}
	return a, nil
}

// openLogs opens the logs that the configuration names, once that is known to be right.
func (a *App) openLogs() error {
	next, err := a.logs.open(a.conf)
	if err != nil {
		return err
	}
	return a.logs.use(next)
}

func version(conf *config.Config, o Options) string {
	if conf.Version != "" {
		return conf.Version
	}
	return o.Version
}

// server puts the protocols of a listener together.
func (a *App) server(l snapshot.Listener) *engine.Server {
	s := &engine.Server{
		Name: l.Name, Address: l.Address, TLS: l.TLS, Log: a.log,
		Handshake: time.Duration(l.Timeouts.Header), Connections: l.Limits.Connections,
	}
	deps := http1.Deps{Core: a.gateway, Buffers: &a.buffers, Exchanges: &a.exchanges, Sweeper: a.sweeper, Log: a.log, Lot: a.lot}
	if slices.Contains(l.Protocols, "h2") || slices.Contains(l.Protocols, "h2c") {
		h2 := nethttp.New(l.Listener, nethttp.Deps{Core: a.gateway, Buffers: &a.buffers, Exchanges: &a.exchanges, Log: a.log})
		s.HTTP2 = h2
		deps.HTTP2 = func(c net.Conn) { h2.ServeConn(c, false) }
	}
	if slices.Contains(l.Protocols, "http1") {
		s.HTTP1 = http1.New(l.Listener, deps)
	}
	return s
}

// watchLoad has requests refused when the gateway itself has too much to do.
func (a *App) watchLoad() (err error) {
	o := overload.Settings{Memory: int64(a.conf.Overload.Memory), RunQueue: time.Duration(a.conf.Overload.RunQueue)}
	if a.load, err = overload.New(o, a.loadChanged); err != nil || o == (overload.Settings{}) {
		return err
	}
	a.gateway.Guard(a.load)
	return nil
}

func (a *App) loadChanged(e overload.Event) {
	args := []any{"cause", string(e.Cause), "memory", e.State.Memory, "run_queue", e.State.RunQueue.String()}
	if e.Begins {
		a.log.Warn("too much to do: a share of the requests is refused", args...)
		return
	}
	a.log.Info("no longer too much to do", append(args, "refused", e.State.Refused)...)
}

// Mirrors implements admin.State.
func (a *App) Mirrors() (all []admin.MirrorPage) {
	for _, m := range a.gateway.Snapshot().Mirrors() {
		st := m.Stats()
		all = append(all, admin.MirrorPage{
			Route: m.Route, Service: m.Service().Name(),
			Sent: st.Sent, Failed: st.Failed, LeftOut: st.LeftOut, Unfit: st.Unfit, InFlight: st.InFlight,
		})
	}
	return all
}

// Overload implements admin.State.
func (a *App) Overload() overload.State { return a.load.State() }

// node is what this process is called towards others that share its store. The end
// tells apart who has the same name and number, as containers may.
func node() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return fmt.Sprintf("%s/%d/%s", host, os.Getpid(), rand.Text()[:4])
}

// Start opens the store and binds all addresses, then serves. When one can't be
// bound none is served.
func (a *App) Start(ctx context.Context) error {
	if err := a.openStore(ctx); err != nil {
		return err
	}
	for i, s := range a.servers {
		if err := s.Bind(ctx); err != nil {
			for _, bound := range a.servers[:i] {
				err = errors.Join(err, bound.Unbind())
			}
			return err
		}
	}
	a.snap.Start()
	a.docs.Start()
	a.awaitKeys(ctx)
	a.ready.Store(true)
	for _, s := range a.servers {
		s.Start()
		a.log.Info("listening", "listener", s.Name, "address", s.Addr().String(), "tls", s.TLS != nil)
	}
	return nil
}

// keysTime is how long the start waits for keys that are fetched. After that
// the gateway serves what needs none, and goes on trying.
const keysTime = 5 * time.Second

func (a *App) awaitKeys(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, keysTime)
	defer cancel()
	a.snap.Tokens().Wait(ctx)
}

// Addr returns the address of the listener at that place of the file.
func (a *App) Addr(i int) net.Addr { return a.servers[i].Addr() }

// Config returns the configuration that the App was made from.
func (a *App) Config() *config.Config { return a.conf }

// Ready implements admin.State.
func (a *App) Ready() bool { return a.ready.Load() }

// Services implements admin.State.
func (a *App) Services() (all []admin.Service) {
	for _, s := range a.gateway.Snapshot().Services() {
		all = append(all, s)
	}
	return all
}

// Signer implements admin.Signing.
func (a *App) Signer() *assertion.Signer { return a.gateway.Snapshot().Signer() }

// Keys implements admin.State.
func (a *App) Keys() []token.State { return a.tokens().States() }

// tokens is for admin.Revocations.
func (a *App) tokens() *token.Verifier { return a.gateway.Snapshot().Tokens() }

// Store implements admin.State.
func (a *App) Store() admin.StoreState { return a.shared.state() }

// Limits implements admin.State.
func (a *App) Limits() admin.LimitsState {
	return admin.LimitsState{Set: a.gateway.Snapshot().Limits(), Meter: a.meter.State(), Held: a.here.Usage()}
}

// Log returns the gateway's own log.
func (a *App) Log() *slog.Logger { return a.log }

// ReopenLog opens the log files again, after they were moved away.
func (a *App) ReopenLog() error { return a.logs.Reopen() }

// FlushLog writes what the logs still hold, as far as their outputs take it. Whoever ends the process
// without Stop or Close has to call it.
func (a *App) FlushLog() error { return a.logs.Flush() }

// Stop drains: readiness turns false, and after the delay the listeners close;
// running exchanges and tunnels get the grace time, or until ctx's deadline. Then
// everything is closed and the logs are written out.
func (a *App) Stop(ctx context.Context) error {
	a.ready.Store(false)
	a.log.Info("draining", "delay", a.conf.Shutdown.Delay.String(), "grace", a.conf.Shutdown.Grace.String())
	sleep(ctx, time.Duration(a.conf.Shutdown.Delay))
	var errs []error
	for _, s := range a.servers {
		errs = append(errs, s.Unbind())
	}
	until := time.Now().Add(time.Duration(a.conf.Shutdown.Grace))
	if deadline, ok := ctx.Deadline(); ok && deadline.Before(until) {
		until = deadline
	}
	a.drain(until)
	return errors.Join(append(errs, a.Close())...)
}

// soon is how long requests may go on running before somebody is told.
const soon = 500 * time.Millisecond

func (a *App) drain(until time.Time) {
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		var wg sync.WaitGroup
		for _, s := range a.servers {
			wg.Go(func() { s.Drain(until) })
		}
		wg.Wait()
	}()
	patience := time.NewTimer(soon)
	defer patience.Stop()
	select {
	case <-drained:
		return
	case <-patience.C:
	}
	if a.waiting != nil {
		a.waiting(time.Duration(a.conf.Shutdown.Grace))
	}
	<-drained
}

// Close ends what New and Start have made. It is part of Stop.
func (a *App) Close() error {
	a.load.Close()
	a.docs.Close()
	a.breakers.Close()
	a.meter.Close()
	a.shared.close()
	a.here.Close()
	a.snap.Retire(nil)
	a.sweeper.Close()
	a.lot.Close()
	if err := a.logs.Close(); err != nil {
		return fmt.Errorf("writing the logs: %w", err)
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
