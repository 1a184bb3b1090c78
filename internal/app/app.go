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
	"yett/internal/control"
	"yett/internal/control/watch"
	"yett/internal/engine"
	"yett/internal/engine/http1"
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
	// Listen binds addresses; nil binds sockets of this process.
	Listen engine.Listen
	// Watch follows files as reload.watch says.
	Watch bool
	// Supervised tells that somebody else follows the configuration file and .env, and tells
	// this process of changes, so that all workers take them or none.
	Supervised bool
	// Store is the socket of the state that the workers of a cluster share, "" for none. With a
	// configuration that names a store they share there only what that does not have of all nodes.
	Store string
	// Predecessor, unless nil, is where the process before this one tells what it keeps in
	// memory, see Bequeath. The App closes it.
	Predecessor io.ReadWriteCloser
	// Revisions is the directory of the history of configurations, "" for none.
	Revisions string
	// Revision, unless empty, is what it begins with instead of the file, where it is kept there.
	Revision string
	// Worker is what this worker of a cluster is called in metrics, Peers asks the others; "" and
	// nil where there are none. Who does not answer before ctx ends is left out.
	Worker string
	Peers  func(ctx context.Context) []admin.Worker
}

// App is a running gateway.
type App struct {
	o         Options
	log       *slog.Logger
	logs      *logs
	started   time.Time
	control   *control.Controller
	docs      *apidocs.Hub
	ui        func() (*ui.UI, error)
	gateway   *gateway.Gateway
	tally     *telemetry.Tally
	counters  *telemetry.Counters
	sweeper   *sweep.Sweeper
	buffers   wire.Buffers
	exchanges exchange.Pool
	lot       *http1.Lot
	ready     atomic.Bool
	stopping  atomic.Bool
	revoked   *revocation.List
	here      *memory.Store // what this node keeps by itself
	meter     *meter.Meter
	breakers  *breaker.Board
	shared    *shared // nil before Start
	beside    beside
	watcher   *watch.Watcher
	following sync.Mutex // held from looking what runs until that is followed
	load      guard
	listeners listeners
	// changing ends when no changes are taken any more: none keeps a stop waiting for keys.
	changing    context.Context
	endChanging context.CancelFunc
	// closing ends what waits in the background, of which Close waits for the end.
	closing    chan struct{}
	background sync.WaitGroup
}

// Check loads and compiles a configuration and starts nothing. The error is a
// problem.List when the configuration is wrong.
func Check(o Options) (*snapshot.Snapshot, error) {
	conf, err := load(o, nil)
	if err != nil {
		return nil, err
	}
	return compile(conf, nil, o, upstream.Deps{}, pages{}, nil, nil)
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
	metrics     admin.Metrics
}

// documentsChanged has the gateway's document made anew.
func (p *pages) documentsChanged() {
	if p.docs.Hub != nil {
		p.docs.Hub.Changed()
	}
}

func compile(conf *config.Config, previous *snapshot.Snapshot, o Options, deps upstream.Deps, p pages, m *meter.Meter, log *slog.Logger) (*snapshot.Snapshot, error) {
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
			"metrics":         &p.metrics,
		},
	}, previous)
}

// New loads and compiles the configuration and opens the logs. Start has to
// follow, or Close.
func New(o Options) (*App, error) {
	a := &App{o: o, started: time.Now(), tally: telemetry.NewTally(catalog.Reasons()), revoked: revocation.New(), closing: make(chan struct{})}
	a.changing, a.endChanging = context.WithCancel(context.Background())
	defaults := config.Defaults() // until it is known what the configuration says
	var err error
	if a.logs, err = newLogs(&defaults, o); err != nil {
		return nil, err
	}
	a.log = a.logs.log
	a.control = control.NewController(control.Options{
		File: o.File, Source: o.Source, Env: o.Env, Gateway: a, Revisions: o.Revisions, Begin: o.Revision, Log: a.log,
	})
	conf, err := a.control.Load()
	if err != nil {
		return nil, errors.Join(err, a.logs.Close())
	}
	a.here = memory.New(memory.Options{Keys: conf.Store.Memory.Keys})
	a.meter = meter.New(meter.Options{Here: a.here, Log: a.log})
	a.breakers = breaker.NewBoard(node(), a.log)
	if s, _ := snapshot.Store(conf); s != nil && o.Store != "" { // what is wrong with it, compiling says
		a.beside.breakers = breaker.NewBoard(node(), a.log)
	}
	a.docs = newHub(o, a.log)
	a.ui = sync.OnceValues(func() (*ui.UI, error) { return ui.New(ui.Options{}) })
	a.sweeper = sweep.New()
	a.gateway = gateway.New(nil, a.tally, a.log)
	a.counters = telemetry.NewCounters(a.started)
	a.gateway.Count(a.counters)
	if o.Watch {
		a.watcher = watch.New(watch.Options{Sum: snapshot.SumOf, Changed: a.filesChanged, Log: a.log})
	}
	if err := a.assemble(conf); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	return a, nil
}

// assemble makes the rest of New, which Close ends when something in it fails.
func (a *App) assemble(conf *config.Config) (err error) {
	if a.lot, err = http1.NewLot(a.log); err != nil {
		return err
	}
	snap, err := a.Compile(conf, nil)
	if err != nil {
		return err
	}
	a.gateway.Swap(snap)
	a.docs.Use(snap)
	c := &change{a: a, next: snap}
	if err := c.open(); err != nil {
		c.Undo()
		return err
	}
	c.useOutputs()
	return nil
}

// Parse implements control.Gateway.
func (a *App) Parse(t *config.Text) (*config.Config, error) { return parse(a.o, t, nil) }

// Compile implements control.Gateway.
func (a *App) Compile(conf *config.Config, previous *snapshot.Snapshot) (*snapshot.Snapshot, error) {
	pages, err := a.pages(conf)
	if err != nil {
		return nil, err
	}
	return compile(conf, previous, a.o, upstream.Deps{
		Buffers: &a.buffers, Sweeper: a.sweeper, Board: a.breakers, Workers: a.beside.breakers, Log: a.log,
	}, pages, a.meter, a.log)
}

// pages are those of a configuration.
func (a *App) pages(conf *config.Config) (pages, error) {
	p := pages{
		health: admin.Health{
			Name: conf.Name, Version: version(conf, a.o), Started: a.started, State: a, Tally: a.tally, Configuration: a.control.Current,
			LogLinesDropped: a.logs.Dropped,
		},
		revocations: admin.Revocations{List: a.revoked, State: a, Tokens: a.tokens, Log: a.log},
		keys:        admin.Keys{State: a},
		limits:      admin.Limits{State: a, Forget: a.meter.Forget, Log: a.log},
		services:    admin.Services{State: a, Log: a.log},
		docs:        admin.Docs{Hub: a.docs},
		docsStatus:  admin.DocsStatus{Hub: a.docs},
		metrics:     admin.Metrics{State: a},
	}
	if slices.ContainsFunc(conf.Routes, func(r config.Route) bool { return r.Endpoint == "docs" }) {
		page, err := a.ui()
		if err != nil {
			return pages{}, err
		}
		p.docs.UI = page.Titled(conf.Docs.Title)
	}
	return p, nil
}

func version(conf *config.Config, o Options) string {
	if conf.Version != "" {
		return conf.Version
	}
	return o.Version
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
func (a *App) Overload() overload.State { return a.load.state() }

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
	c := &change{a: a, ctx: ctx, patience: ctx, next: a.gateway.Snapshot()}
	err := c.bind()
	if err == nil {
		err = a.inherit()
	}
	if err != nil {
		c.Undo()
		return err
	}
	a.docs.Start()
	a.ready.Store(true)
	c.Commit()
	a.control.Started(c.next)
	a.follow(true)
	return nil
}

// Addr returns the address of the listener at that place of the file.
func (a *App) Addr(i int) net.Addr { return a.listeners.serving()[i].Addr() }

// Config returns the configuration that runs.
func (a *App) Config() *config.Config { return a.gateway.Snapshot().Config }

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
