package app

import (
	"context"
	"os"

	"yett/internal/control"
)

// Status tells how this process is.
func (a *App) Status(context.Context) (control.Status, error) {
	revision, refused := a.control.Current()
	s := control.Status{
		Name: a.Config().Name, Version: a.o.Version, PID: os.Getpid(), Started: a.started, State: a.state(),
		File: a.o.File, Revision: revision, Refused: refused, Dropped: a.logs.Dropped(), Usage: a.Usage(),
	}
	for _, l := range a.listeners.serving() {
		set := l.Settings()
		s.Listeners = append(s.Listeners, control.Listener{Name: set.Name, Address: l.Addr().String(), TLS: set.TLS != nil})
	}
	return s, nil
}

func (a *App) state() string {
	revision, _ := a.control.Current()
	switch {
	case a.stopping.Load():
		return control.Draining
	case revision.ID == "":
		return control.Starting
	}
	return control.Ready
}

// Plan tells what a configuration would change.
func (a *App) Plan(ctx context.Context, p control.Proposal) (control.Outcome, error) {
	return a.control.Plan(ctx, p)
}

// Reload takes a configuration, or refuses it and goes on as before.
func (a *App) Reload(ctx context.Context, p control.Proposal) (control.Outcome, error) {
	out, err := a.control.Propose(ctx, p)
	a.follow(false)
	return out, err
}

// Revisions lists what ran, the newest first.
func (a *App) Revisions(context.Context) ([]control.Revision, error) { return a.control.Revisions() }

// Reopen opens the log files anew, after they were moved away.
func (a *App) Reopen(context.Context) error {
	return a.logs.Reopen()
}

// FlushLog writes what the logs still hold, as far as their outputs take it. Whoever ends the process
// without Stop or Close has to call it.
func (a *App) FlushLog() error { return a.logs.Flush() }
