package app

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"yett/internal/config"
	"yett/internal/engine"
)

// How long clients get to see that an answer was the last one, before idle connections are
// closed: one that sends a request at that moment would lose it.
const (
	farewell = 250 * time.Millisecond
	// longFarewell is where another process serves, so that nobody waits for this one.
	longFarewell = time.Second
)

// Cut is the error of Stop and Leave when all was closed and written out, but some did not
// finish in time.
type Cut struct {
	engine.Lost
	shutdown config.Shutdown
}

// Error says how many they were, and what to do.
func (c *Cut) Error() string {
	var parts []string
	if c.Requests > 0 {
		parts = append(parts, fmt.Sprintf("%s after shutdown.grace (%s)", counted(c.Requests, "request"), c.shutdown.Grace))
	}
	if c.Tunnels > 0 {
		parts = append(parts, fmt.Sprintf("%s after shutdown.tunnels (%s)", counted(c.Tunnels, "tunnel or event stream"), c.shutdown.Tunnels))
	}
	return "stopped, but not all had finished; ended were " + strings.Join(parts, ", ")
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	one, more, two := strings.Cut(what, " or ")
	if two {
		return fmt.Sprintf("%d %ss or %ss", n, one, more)
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// Stop drains: readiness turns false, and answers are the last ones of their connections. After
// the delay the listeners close, and connections that are idle. Running exchanges and tunnels get
// their times, or until ctx's deadline. Then everything is closed and the logs are written out.
// The error is a *Cut when nothing else went wrong.
func (a *App) Stop(ctx context.Context) error {
	a.endChanges()
	a.ready.Store(false)
	conf := a.Config().Shutdown
	a.log.Info("draining", "delay", conf.Delay.String(), "grace", conf.Grace.String(), "tunnels", conf.Tunnels.String())
	a.wane()
	sleep(ctx, time.Duration(conf.Delay))
	return a.leave(ctx, farewell, nil)
}

// Leave drains when another process has the sockets, and is ready. Whoever still asks this one
// whether the gateway is ready hears that it is. The heir gets what was counted in the meantime.
func (a *App) Leave(ctx context.Context, h *Heir) error {
	a.endChanges()
	conf := a.Config().Shutdown
	a.log.Info("draining, as another process serves", "grace", conf.Grace.String(), "tunnels", conf.Tunnels.String())
	a.wane()
	return a.leave(ctx, longFarewell, h)
}

func (a *App) wane() {
	for _, s := range a.listeners.all() {
		s.Wane()
	}
}

func (a *App) leave(ctx context.Context, farewell time.Duration, h *Heir) error {
	var errs []error
	for _, s := range a.listeners.serving() {
		errs = append(errs, s.Unbind())
	}
	conf := a.Config().Shutdown
	until := deadlines(ctx, conf)
	a.sayFarewell(ctx, farewell)
	lost := a.drain(until)
	if h != nil {
		h.finish()
	}
	if lost != (engine.Lost{}) {
		a.log.Warn("drained, but some had to be cut", "requests", lost.Requests, "tunnels", lost.Tunnels)
	} else {
		a.log.Info("drained")
	}
	if err := errors.Join(append(errs, a.Close())...); err != nil || lost == (engine.Lost{}) {
		return err
	}
	return &Cut{Lost: lost, shutdown: conf}
}

// deadlines are those of what runs, from now on.
func deadlines(ctx context.Context, conf config.Shutdown) engine.Deadlines {
	now := time.Now()
	d := engine.Deadlines{Requests: now.Add(time.Duration(conf.Grace)), Tunnels: now.Add(time.Duration(conf.Tunnels))}
	if last, ok := ctx.Deadline(); ok {
		d.Requests, d.Tunnels = earlier(d.Requests, last), earlier(d.Tunnels, last)
	}
	return d
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// sayFarewell waits for that long, or until no connection is left.
func (a *App) sayFarewell(ctx context.Context, farewell time.Duration) {
	const look = 10 * time.Millisecond
	for until := time.Now().Add(farewell); time.Now().Before(until) && ctx.Err() == nil && a.connections() > 0; {
		sleep(ctx, look)
	}
}

func (a *App) connections() (n int) {
	for _, s := range a.listeners.all() {
		n += s.Connections()
	}
	return n
}

// soon is how long requests may go on running before somebody is told.
const soon = 500 * time.Millisecond

func (a *App) drain(until engine.Deadlines) (lost engine.Lost) {
	drained := make(chan engine.Lost)
	servers := a.listeners.all()
	for _, s := range servers {
		go func() { drained <- s.Drain(until) }()
	}
	patience := time.NewTimer(soon)
	defer patience.Stop()
	for left := len(servers); left > 0; {
		select {
		case one := <-drained:
			lost = lost.Add(one)
			left--
		case <-patience.C:
			if a.o.Waiting != nil {
				a.o.Waiting(time.Duration(a.Config().Shutdown.Grace))
			}
		}
	}
	return lost
}

// Close ends what New and Start have made. It is part of Stop.
func (a *App) Close() error {
	a.endChanges()
	close(a.closing)
	a.background.Wait()
	a.load.close()
	a.docs.Close()
	a.breakers.Close()
	a.meter.Close()
	a.beside.close()
	a.shared.close()
	a.here.Close()
	if s := a.gateway.Snapshot(); s != nil {
		s.Retire(nil)
	}
	a.sweeper.Close()
	if a.lot != nil {
		a.lot.Close()
	}
	if err := a.logs.Close(); err != nil {
		return fmt.Errorf("writing the access log: %w", err)
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
