package app

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Stop drains: readiness turns false, and after the delay the listeners close;
// running exchanges and tunnels get the grace time, or until ctx's deadline. Then
// everything is closed and the logs are written out.
func (a *App) Stop(ctx context.Context) error {
	a.endChanges()
	a.ready.Store(false)
	conf := a.Config().Shutdown
	a.log.Info("draining", "delay", conf.Delay.String(), "grace", conf.Grace.String())
	sleep(ctx, time.Duration(conf.Delay))
	var errs []error
	for _, s := range a.listeners.serving() {
		errs = append(errs, s.Unbind())
	}
	until := time.Now().Add(time.Duration(conf.Grace))
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
		for _, s := range a.listeners.all() {
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
	if a.o.Waiting != nil {
		a.o.Waiting(time.Duration(a.Config().Shutdown.Grace))
	}
	<-drained
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
	a.shared.close()
	a.here.Close()
	if s := a.gateway.Snapshot(); s != nil {
		s.Retire(nil)
	}
	a.sweeper.Close()
	if a.lot != nil {
		a.lot.Close()
	}
	if err := a.outputs.close(); err != nil {
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
