package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"yett/internal/admin"
	"yett/internal/app"
	"yett/internal/config"
	"yett/internal/control"
	"yett/internal/control/socket"
	"yett/internal/handover"
	"yett/internal/instance"
	"yett/internal/supervisor"
)

// single is a gateway of one process, or one worker of many, towards everybody else on this
// machine: those that started it, those that ask it, and the process that comes after it.
// It implements control.Instance and socket.Passer.
type single struct {
	*app.App

	program      handover.Program // empty where the process isn't ours alone, as in a test
	env          config.Env
	name, state  string
	worker       string // the id of a worker, "" otherwise
	readyTimeout time.Duration

	sockets *handover.Sockets
	waiting *handover.Waiting
	heir    bool // another process was here before
	dir     instance.Dir
	noDir   error // why there is none
	lock    *instance.Lock
	server  *socket.Server
	lost    bool // others can't find this process, and it has said so
	stops   chan struct{}
	asks    chan chan<- error // for an upgrade
	next    *next             // an upgrade that is under way; the loop's
	// changing is locked while an upgrade is under way; those who change the configuration share it.
	changing sync.RWMutex
}

// prepare takes what other processes have given to this one, and completes the options.
func (s *single) prepare(o *app.Options) (err error) {
	s.stops, s.asks = make(chan struct{}, 1), make(chan chan<- error)
	if err := readPipe(o); err != nil {
		return err
	}
	if s.program.Path == "" {
		s.sockets, s.waiting = &handover.Sockets{}, &handover.Waiting{}
		s.noDir = errors.New("it is not a process of its own")
		return nil
	}
	if s.waiting, err = handover.Waiters(); err != nil {
		s.waiting = &handover.Waiting{}
		return err
	}
	if s.sockets, err = handover.Inherit(); err != nil {
		return err
	}
	predecessor, err := handover.Predecessor()
	if err != nil {
		return err
	}
	if predecessor != nil {
		o.Predecessor, s.heir = predecessor, true
	}
	o.Listen = s.sockets.Listen
	s.findDir(o)
	o.Watch, o.Supervised = true, s.worker != ""
	if s.worker != "" {
		o.Store, _ = s.env(supervisor.StoreVariable)
		o.Revision, _ = s.env(supervisor.RevisionVariable)
		o.Worker, _, _ = strings.Cut(s.worker, "-")
		o.Peers = s.peers
		if s.noDir == nil {
			o.LogDir = s.dir.Logs()
		}
	}
	if s.noDir == nil {
		o.Revisions = s.dir.Revisions()
	}
	return nil
}

// readPipe reads a configuration that can be read only once, as from /dev/stdin.
func readPipe(o *app.Options) error {
	info, err := os.Stat(o.File)
	if o.Source != nil || err != nil || info.IsDir() || info.Mode().IsRegular() {
		return nil // who reads it says what is wrong
	}
	t, err := config.ReadText(o.File, o.Env)
	if err != nil {
		return err
	}
	o.Source, o.Env = t.Data, t.Env
	return nil
}

// failed tells why this process does not serve, and returns that.
func (s *single) failed(err error) error {
	s.waiting.Failed(err.Error())
	return err
}

func (s *single) configuration(o *app.Options) (*config.Config, error) {
	if o.Source != nil {
		return config.Parse(o.File, o.Source, o.Env)
	}
	return config.Load(o.File, o.Env)
}

// findDir makes the directory by which others find this process.
func (s *single) findDir(o *app.Options) {
	name := s.name
	if name == "" {
		c, err := s.configuration(o)
		if err != nil {
			s.noDir = err // New will say so
			return
		}
		name = c.Name
	}
	root, err := instance.Root(s.state, s.env)
	if err == nil {
		s.dir, err = instance.Make(root, name)
	}
	if err == nil && s.worker == "" && !s.heir {
		s.lock, err = s.dir.Lock()
	}
	s.noDir = err
}

// peers asks the other workers, the newest process of each.
func (s *single) peers(ctx context.Context) (all []admin.Worker) {
	found, err := supervisor.Find(ctx, s.dir)
	if err != nil {
		return nil
	}
	newest := make(map[int]supervisor.Found)
	for _, f := range found {
		if before, ok := newest[f.ID]; !ok || before.Generation < f.Generation {
			newest[f.ID] = f
		}
	}
	for id, f := range newest {
		if own, _, _ := strings.Cut(s.worker, "-"); strconv.Itoa(id) == own {
			continue
		}
		c, err := socket.Dial(f.Socket)
		if err != nil {
			continue
		}
		if stats, err := c.Stats(ctx); err == nil {
			all = append(all, admin.Worker{ID: strconv.Itoa(id), Stats: stats, Status: f.Status})
		}
	}
	return all
}

// begin tells everybody that this process serves.
func (s *single) begin() error {
	if s.sockets == nil {
		return nil
	}
	for _, name := range s.sockets.Unused() {
		s.Log().Warn("a socket that was handed over is no listener's and is closed", "address", name)
	}
	if err := s.sockets.CloseUnused(); err != nil {
		s.Log().Warn("closing sockets that were handed over failed", "error", err)
	}
	if err := s.waiting.Ready(); err != nil {
		s.Log().Error("whoever waits for this process can't be told that it is ready", "error", err)
	}
	switch {
	case s.program.Path == "":
	case s.noDir != nil:
		s.Log().Warn("no control socket: other verbs, such as yett status, will not find this gateway", "error", s.noDir)
	case s.worker != "":
		s.listen(s.dir.Worker(s.worker))
	case s.lock != nil:
		s.listen(s.dir.Control())
	}
	return nil
}

func (s *single) listen(path string) {
	l, err := socket.Listen(path)
	if err != nil {
		s.Log().Warn("no control socket: other verbs, such as yett status, will not find this gateway", "error", err)
		return
	}
	s.server = socket.Serve(l, s)
}

// takeOver tries whether the process before this one has given the directory up, which it does
// when this one is ready. It returns false when that is to be tried again.
func (s *single) takeOver() bool {
	lock, err := s.dir.Lock()
	var held *instance.Held
	if errors.As(err, &held) {
		return false
	}
	if err != nil {
		s.Log().Warn("no control socket: other verbs, such as yett status, will not find this gateway", "error", err)
		return true
	}
	s.lock = lock
	s.listen(s.dir.Control())
	return true
}

// close gives up what others find this process by.
func (s *single) close() {
	if s.server != nil {
		if err := s.server.Close(); err != nil {
			s.Log().Warn("closing the control socket failed", "error", err)
		}
		s.server = nil
	}
	if s.lock != nil {
		if err := s.lock.Unlock(); err != nil {
			s.Log().Warn("giving the directory up failed", "error", err)
		}
		s.lock = nil
	}
	if s.waiting != nil {
		s.waiting.Close()
	}
}

// takeOverEvery is how often a new process looks whether the old one has given the directory up.
const takeOverEvery = 20 * time.Millisecond

// mendEvery is how often a process looks whether others can still find it.
const mendEvery = time.Second

// mend makes anew what others find this process by, when somebody has removed it.
func (s *single) mend() {
	var locked, served bool
	var err error
	switch _, gone := os.Stat(s.dir.Path); {
	case s.lock != nil:
		locked, err = s.dir.Mend(s.lock)
	case s.server != nil && errors.Is(gone, fs.ErrNotExist):
		_, err = instance.Make(filepath.Dir(s.dir.Path), s.dir.Name())
	}
	if s.server != nil && err == nil {
		served, err = s.server.Mend()
	}
	switch {
	case err != nil && !s.lost:
		s.Log().Error("files of this gateway were removed and can't be made again; other verbs don't find it", "directory", s.dir.Path, "error", err)
	case locked || served:
		s.Log().Warn("somebody has removed files of this gateway from its directory; they are made again", "directory", s.dir.Path)
	}
	s.lost = err != nil
}

// run follows signals and orders until one ends it.
func (s *single) run(ctx context.Context, signals, orders <-chan os.Signal) error {
	var again <-chan time.Time
	if s.heir && s.noDir == nil && s.worker == "" {
		ticker := time.NewTicker(takeOverEvery)
		defer ticker.Stop()
		again = ticker.C
	}
	mend := time.NewTicker(mendEvery)
	defer mend.Stop()
	for {
		select {
		case <-mend.C:
			s.mend()
		case <-ctx.Done():
			return s.end(signals)
		case sig := <-signals:
			s.Log().Info("stopping", "signal", sig.String())
			return s.end(signals)
		case <-s.stops:
			s.Log().Info("stopping", "cause", "yett stop")
			return s.end(signals)
		case sig := <-orders:
			s.order(ctx, sig)
		case answer := <-s.asks:
			s.upgrade(answer)
		case err := <-s.next.over():
			if s.next.settle(s, err) {
				return s.leave(signals)
			}
			s.next = nil
		case <-again:
			if s.takeOver() {
				again = nil
			}
		}
	}
}

// order does what a signal asks for.
func (s *single) order(ctx context.Context, sig os.Signal) {
	if sig == syscall.SIGUSR2 {
		s.upgrade(make(chan error, 1))
		return
	}
	if err := s.App.Reopen(ctx); err != nil {
		s.Log().Error("the log goes on into the old file", "error", err)
	}
	if sig == syscall.SIGHUP && s.worker == "" { // workers are told by their supervisor
		go s.reload(ctx)
	}
}

// reload reads the configuration anew. What becomes of it is in the log.
func (s *single) reload(ctx context.Context) {
	out, err := s.Reload(ctx, control.Proposal{Cause: "signal"})
	switch {
	case errors.Is(err, control.ErrStopping): // it was told to stop after that, and nothing is wrong
		s.Log().Info("the configuration was not read", "cause", err)
	case err != nil:
		s.Log().Error("the configuration was not read", "error", err)
	}
	if !out.Applied {
		return
	}
	for _, c := range out.Plan.Changes {
		if !c.Weaker { // those have been told
			s.Log().Info(c.What, c.Attrs()...)
		}
	}
}

// end drains. A process that is about to take the place of this one is ended, too.
func (s *single) end(signals <-chan os.Signal) error {
	s.waiting.Stopping()
	if s.next != nil {
		s.next.giveUp(s)
	}
	return drain(s.App.Stop, signals, 1)
}

// leave drains when another process serves. The first signal is not for this one alone.
func (s *single) leave(signals <-chan os.Signal) error {
	s.waiting.Succeeded(s.next.pid())
	heir := s.next.heir
	s.close()
	return drain(func(ctx context.Context) error { return s.Leave(ctx, heir) }, signals, 2)
}

var errUpgrading = errors.New("a new process is about to take the place of this one; try again when it has")

// Status implements control.Instance.
func (s *single) Status(ctx context.Context) (control.Status, error) {
	st, err := s.App.Status(ctx)
	if s.noDir == nil && s.worker == "" {
		st.Name = s.dir.Name()
	}
	return st, err
}

// Reload implements control.Instance. The process that takes the place of this one has read the
// configuration already.
func (s *single) Reload(ctx context.Context, p control.Proposal) (control.Outcome, error) {
	if !s.changing.TryRLock() {
		return control.Outcome{}, errUpgrading
	}
	defer s.waiting.Reloading()() // last: who hears of it may order an upgrade
	defer s.changing.RUnlock()
	return s.App.Reload(ctx, p)
}

// Stop implements control.Instance.
func (s *single) Stop(context.Context) error {
	select {
	case s.stops <- struct{}{}:
	default: // it has been told
	}
	return nil
}

// Upgrade implements control.Instance.
func (s *single) Upgrade(ctx context.Context) error {
	answer := make(chan error, 1)
	select {
	case s.asks <- answer:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return fmt.Errorf("the new process is not ready yet, and may become so: %w", ctx.Err())
	}
}

// Sockets implements socket.Passer.
func (s *single) Sockets() (socket.Passed, error) {
	files, env, err := s.sockets.Pass(socket.First)
	return socket.Passed{Env: env, Files: files}, err
}

// replaceable says why no other process can take the place of this one, and what to do.
func (s *single) replaceable() error {
	under, _ := s.env("SYSTEMD_EXEC_PID")
	switch {
	case s.program.Path == "":
		return errors.New("this process was not started in a way that can be repeated; start it by yett run")
	case s.worker != "":
		return errors.New("this process is a worker; upgrade the cluster that it belongs to, with yett upgrade")
	case os.Getpid() == 1:
		return errors.New("this is process 1 of a container, which ends with it; start a container with the new image, or let it run yett start --foreground, whose supervisor replaces its workers")
	case s.waiting.Managed():
		return errors.New("a process manager of Node, such as PM2, follows this process and would start another one beside the new; use pm2 reload, or let it run yett start --foreground and use yett upgrade")
	case under == strconv.Itoa(os.Getpid()) && !s.waiting.Notifies():
		return errors.New("systemd follows this process and ends the new one with it; set Type=notify in the unit, so that it hears of the new one")
	}
	return nil
}
