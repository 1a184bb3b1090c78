package app

import (
	"context"
	"time"

	"yett/internal/control"
	"yett/internal/overload"
	"yett/internal/snapshot"
	"yett/internal/telemetry"
)

// change puts a snapshot in the place of the one that runs. What may fail comes before
// Commit.
type change struct {
	a   *App
	ctx context.Context
	// patience ends the wait for keys before its time. One who has asked for a change and does not
	// wait for it is no reason: callers would be refused.
	patience context.Context
	next     *snapshot.Snapshot

	servers []*server // in the order of the configuration
	added   []*server // of them, bound but not started

	logs    *openLogs // nil where those before stay
	newLoad bool
	load    *overload.Monitor
}

// Prepare implements control.Gateway.
func (a *App) Prepare(ctx context.Context, next *snapshot.Snapshot) (control.Change, error) {
	c := &change{a: a, ctx: ctx, patience: a.changing, next: next}
	err := c.bind()
	if err == nil {
		err = c.open()
	}
	if err != nil {
		c.Undo()
		return nil, err
	}
	return c, nil
}

// bind binds addresses that no running listener has.
func (c *change) bind() error {
	running := c.a.listeners.serving()
	c.servers = matched(running, c.next.Listeners)
	for i, l := range c.next.Listeners {
		if c.servers[i] != nil {
			continue
		}
		s := c.a.newServer(l)
		s.set(l)
		if err := s.Bind(c.ctx); err != nil {
			return unbindable(c.next.Config, i, running, err)
		}
		c.servers[i], c.added = s, append(c.added, s)
	}
	return nil
}

// open opens logs that are not open, and what watches the load.
func (c *change) open() (err error) {
	a, conf := c.a, c.next.Config
	if !a.logs.are(conf) {
		if c.logs, err = a.logs.open(conf); err != nil {
			return err
		}
	}
	settings := guardSettings(conf)
	if c.newLoad = !a.load.is(settings); c.newLoad && settings != (overload.Settings{}) {
		c.load, err = overload.New(settings, a.loadChanged)
	}
	return err
}

// Undo implements control.Change.
func (c *change) Undo() {
	for _, s := range c.added {
		_ = s.Unbind() // nobody has heard of it
	}
	if c.logs != nil {
		_ = c.logs.close() // nothing was written
	}
	if c.load != nil {
		c.load.Close()
	}
}

// keysTime is how long is waited for keys that are fetched. After that
// the gateway serves what needs none, and goes on trying.
const keysTime = 5 * time.Second

// Commit implements control.Change.
func (c *change) Commit() {
	a, previous := c.a, c.a.gateway.Snapshot()
	c.next.Start()
	c.awaitKeys()
	c.useOutputs()
	a.gateway.Swap(c.next)
	c.serve()
	a.meter.Watch(c.next.Limits().Names())
	if previous != c.next {
		a.docs.Use(c.next)
		a.later(func() { previous.Retire(c.next) })
	}
}

// awaitKeys waits for the keys of new issuers, while everybody is served as before.
func (c *change) awaitKeys() {
	ctx, cancel := context.WithTimeout(c.patience, keysTime)
	defer cancel()
	c.next.Tokens().Wait(ctx)
}

// useOutputs puts logs and the guard in the place of those before.
func (c *change) useOutputs() {
	a, conf := c.a, c.next.Config
	a.logs.level.Set(level(conf))
	if c.logs != nil {
		a.useLogs(c.logs)
	}
	if c.newLoad {
		a.gateway.Guard(c.load)
		if before := a.load.use(c.load, guardSettings(conf)); before != nil {
			a.later(before.Close)
		}
	}
	c.newLoad, c.logs, c.load = false, nil, nil
}

// useLogs has everything logged into other outputs. Closing those before may take some time, as when
// nobody reads them.
func (a *App) useLogs(next *openLogs) {
	before := a.logs.use(next)
	if next.access == (telemetry.Logs{}) {
		a.gateway.Record(nil)
	} else {
		a.gateway.Record(&a.logs.access)
	}
	a.later(func() {
		if err := a.logs.gone(before); err != nil {
			a.log.Error("closing a log that another took the place of failed", "error", err)
		}
	})
}

// serve lets new listeners accept, gives those that stay their settings, and lets go of the
// others: their connections have as long as they would have if the gateway stopped.
func (c *change) serve() {
	a := c.a
	for i, s := range c.servers {
		s.set(c.next.Listeners[i])
	}
	gone := a.listeners.use(c.servers)
	for _, s := range c.added {
		s.Start()
		a.log.Info("listening", "listener", s.name, "address", s.Addr().String(), "tls", s.Settings().TLS != nil)
	}
	for _, s := range gone {
		if err := s.Unbind(); err != nil {
			a.log.Error("closing a listener failed", "listener", s.name, "address", s.Addr().String(), "error", err)
		}
		a.log.Info("no longer listening", "listener", s.name, "address", s.Addr().String())
		s.Wane()
		until := deadlines(context.Background(), c.next.Config.Shutdown)
		a.later(func() {
			s.Drain(until)
			a.listeners.left(s)
		})
	}
}

// later runs f beside everything else. Close waits for it.
func (a *App) later(f func()) { a.background.Go(f) }

// endChanges takes no changes any more, and waits for one that is being made.
func (a *App) endChanges() {
	if a.stopping.Swap(true) {
		return
	}
	a.endChanging()
	a.control.Close()
	if a.watcher != nil {
		a.watcher.Close()
	}
}

func (a *App) loadChanged(e overload.Event) {
	args := []any{"cause", string(e.Cause), "memory", e.State.Memory, "run_queue", e.State.RunQueue.String()}
	if e.Begins {
		a.log.Warn("too much to do: a share of the requests is refused", args...)
		return
	}
	a.log.Info("no longer too much to do", append(args, "refused", e.State.Refused)...)
}

var _ control.Gateway = (*App)(nil)
