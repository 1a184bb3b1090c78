package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"yett/internal/app"
	"yett/internal/config"
	"yett/internal/control"
	"yett/internal/handover"
	"yett/internal/instance"
	"yett/internal/snapshot"
	"yett/internal/supervisor"
)

// supervise runs the cluster in this process until it is stopped.
func (p Process) supervise(ctx context.Context, c cluster, dir instance.Dir) error {
	signals := make(chan os.Signal, 8)
	notify := func() {
		signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2)
	}
	notify()
	defer signal.Stop(signals)
	environ := os.Environ() // before Waiters takes what is for this process
	waiting, err := handover.Waiters()
	if err != nil {
		return err
	}
	defer waiting.Close()
	o := p.clusterOptions(c, dir, environ)
	o.Exec = func(program string, args, env []string) error {
		// The program that comes is deaf at first, and must not die of what it doesn't hear.
		signal.Ignore(syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2)
		defer notify()
		return syscall.Exec(program, args, env)
	}
	s, err := supervisor.Start(ctx, o, waiting)
	if err != nil {
		err = running(whyNotStarted(err))
		waiting.Failed(err.Error())
		return err
	}
	if err := waiting.Ready(); err != nil {
		p.clusterLog().Error("whoever waits for the gateway can't be told that it is ready", "error", err)
	}
	p.followSignals(ctx, s, signals)
	return unfinished(s.Result(), p)
}

// whyNotStarted is what an operator can use of an error of starting a cluster.
func whyNotStarted(err error) error {
	if refused, ok := errors.AsType[refusal](err); ok {
		refused.consequence = "nothing was started"
		return refused
	}
	return explain(err, "nothing was started")
}

// unfinished gives the exit code of a run that has cut something off.
func unfinished(err error, p Process) error {
	if _, ok := errors.AsType[*supervisor.Unfinished](err); !ok {
		return err
	}
	fmt.Fprintln(p.Stderr, "yett:", err)
	return exitCode(exitCut)
}

// followSignals does what signals ask for until the cluster has ended.
func (p Process) followSignals(ctx context.Context, s *supervisor.Supervisor, signals <-chan os.Signal) {
	log, given := p.clusterLog(), ctx.Done()
	for {
		select {
		case <-s.Done():
			return
		case <-given:
			given = nil
			_ = s.Stop(ctx) // which only begins
		case sig := <-signals:
			log.Info("signal", "signal", sig.String())
			switch sig {
			case syscall.SIGHUP:
				go reloadBySignal(ctx, s, log)
			case syscall.SIGUSR1:
				go logged(log, "the logs go on into the old files", func() error { return s.Reopen(ctx) })
			case syscall.SIGUSR2:
				go logged(log, "the upgrade failed", func() error { return s.Upgrade(ctx) })
			default:
				_ = s.Stop(ctx)
			}
		}
	}
}

func logged(log *slog.Logger, what string, do func() error) {
	if err := do(); err != nil {
		log.Error(what, "error", err)
	}
}

func reloadBySignal(ctx context.Context, s *supervisor.Supervisor, log *slog.Logger) {
	out, err := s.Reload(ctx, control.Proposal{Cause: "signal"})
	switch {
	case err != nil:
		log.Error("the configuration was not read", "error", err)
	case isRefused(out):
		log.Error("the configuration was refused", "problems", out.Problems.Error(), "refused", out.Refused)
	default:
		log.Info("the configuration runs", "revision", out.Revision.ID)
	}
	logged(log, "the logs go on into the old files", func() error { return s.Reopen(ctx) })
}

// clusterLog is the supervisor's own, in the form of the gateway's.
func (p Process) clusterLog() *slog.Logger { return slog.New(slog.NewJSONHandler(p.Stderr, nil)) }

func (p Process) clusterOptions(c cluster, dir instance.Dir, environ []string) supervisor.Options {
	workers, _ := c.count()    // both have been checked
	memory, _ := c.maxMemory() // with the flags
	return supervisor.Options{
		Dir: dir, Name: c.name, Version: p.version().short(), File: c.file, Env: c.env,
		Workers: workers, MaxMemory: memory, Check: func() (supervisor.Config, error) { return p.checkCluster(c) },
		Program: p.Started.Path, Running: runningProgram,
		Worker: []string{"run", "-c", c.file, "--name", c.name, "--state", filepath.Dir(dir.Path)},
		Store:  []string{"store-server", "--socket", dir.Store()},
		// With the name, which the file may not tell by then.
		Own:     append(slices.Clone(p.Args), "--name", c.name),
		Environ: environ, Detached: c.detached, Log: p.clusterLog(), StartTime: c.readyTimeout,
	}
}

// runningProgram is the program that runs now, even when another lies in its place by now.
const runningProgram = "/proc/self/exe"

// checkCluster compiles the configuration, and tells what a supervisor needs of it.
func (p Process) checkCluster(c cluster) (supervisor.Config, error) {
	o := p.options(c.file)
	snap, err := app.Check(o)
	if err != nil {
		return supervisor.Config{}, err
	}
	return clusterConfig(snap, c.file), nil
}

func clusterConfig(snap *snapshot.Snapshot, file string) supervisor.Config {
	down := snap.Config.Shutdown
	conf := supervisor.Config{StopTime: time.Duration(down.Delay + max(down.Grace, down.Tunnels))}
	if snap.Config.Reload.Watch == "all" {
		conf.Follow = []string{file, config.DotenvBeside(file)}
	}
	for _, l := range snap.Listeners {
		conf.Listeners = append(conf.Listeners, control.Listener{Name: l.Name, Address: l.Address, TLS: l.TLS != nil})
	}
	conf.Unbindable = func(address string, err error) error {
		for i, l := range snap.Config.Listeners {
			if l.Address == address {
				what, hint := err.Error(), app.AddressHint(err)
				if at, busy := busyAddress(err); busy {
					what = describeBusy(at)
				}
				return errors.New(snap.Config.Source.Problem(fmt.Sprintf("listeners[%d].address", i), what, hint).String())
			}
		}
		return err
	}
	return conf
}
