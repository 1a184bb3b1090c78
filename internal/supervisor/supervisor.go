// Package supervisor runs a gateway as several processes on one set of listening sockets. It
// starts them, starts them again, and puts new ones in their place one at a time. What it needs
// to serve is in the workers alone: they go on without it, and the next supervisor takes them over.
//
// A worker is `yett run --worker NAME`, which has the socket of that name in the instance's directory,
// takes no lock and watches no file. It gets variables that only the supervisor sets: YETT_SOCKETS and
// YETT_READY of package handover, StoreVariable, RevisionVariable.
package supervisor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"yett/internal/control"
	"yett/internal/control/socket"
	"yett/internal/control/watch"
	"yett/internal/handover"
	"yett/internal/instance"
	"yett/internal/snapshot"
)

const (
	// RevisionVariable names the revision that a worker is to start with instead of the file,
	// because the others run it.
	RevisionVariable = "YETT_REVISION"
	// StoreVariable names the socket of the process that holds what workers count together.
	StoreVariable = "YETT_STORE"
	// lockVariable is the number of the open lock, when a supervisor has replaced its program.
	lockVariable = "YETT_LOCK"
)

// Config is what the supervisor has to know of a configuration.
type Config struct {
	Listeners []control.Listener // with the addresses as they are written
	// Unbindable says where an address is written that can't be bound, and what to do, nil for
	// nothing.
	Unbindable func(address string, err error) error
	// StopTime is how long a worker may drain.
	StopTime time.Duration
	// Follow are the files that are taken anew when they change. Those that each worker can
	// take by itself, such as certificates, are followed by the workers.
	Follow []string
}

// Options is what a Supervisor is made from.
type Options struct {
	Dir     instance.Dir
	Name    string
	Version string
	// File is the configuration's.
	File string
	// Env is production or development.
	Env string
	// Workers is how many there shall be, 0 for as many as there were, or two.
	Workers int
	// MaxMemory is what a worker may have resident, in bytes, 0 for any.
	MaxMemory int64
	// Check reads the configuration. Its error is for the operator.
	Check func() (Config, error)
	// Program is the file of the program, for upgrades; Running is the program as it runs now,
	// which stays the same when the file is replaced.
	Program, Running string
	// Worker and Store are the arguments of a worker, to which --worker NAME is added, and of
	// the store's process; Own are those of this process.
	Worker, Store, Own []string
	// Environ is the environment that all of them get.
	Environ []string
	// Detached tells that what workers write goes to files; otherwise they write where this
	// process does.
	Detached bool
	Log      *slog.Logger
	// StartTime is how long a worker may take to be ready, 0 for a minute.
	StartTime time.Duration
	// Look is how often the memory of workers is looked at, 0 for two seconds.
	Look time.Duration
	// Exec replaces this process, nil for execve.
	Exec func(program string, args, env []string) error
}

// Supervisor is a running cluster. It implements control.Cluster.
type Supervisor struct {
	o       Options
	log     *slog.Logger
	lock    *instance.Lock
	heir    bool // this program has taken the place of another in this process
	sockets *handover.Sockets
	started time.Time
	control *socket.Server
	waiting *handover.Waiting
	watcher *watch.Watcher
	lost    bool // others can't find this process, and it has said so; look's
	// storeMissed is how often in a row the store's socket was not there; look's.
	storeMissed int

	// turn is taken by what changes the workers as a whole: one thing at a time.
	turn chan struct{}
	// stopping is closed when all is to end, stopped when it has.
	stopping, stopped chan struct{}
	stopOnce          sync.Once
	work              sync.WaitGroup

	mu         sync.Mutex
	replacing  chan struct{} // closed when this program is about to be replaced
	conf       Config
	bound      map[string]net.Listener // by keys
	slots      []*slot
	leaving    map[*worker]bool
	launching  map[string]bool // sockets of workers that are being started
	generation int
	store      *keeper
	current    string // the revision that workers run, empty where nobody knows
	refused    *control.Refusal
	killed     int // workers that did not drain in time when all was to end
	cut        int // workers that have ended what took longer than it may, then
}

var _ control.Cluster = (*Supervisor)(nil)

// slot is the place of one worker, whoever fills it.
type slot struct {
	id int
	// turn is held while a process for this place is started.
	turn sync.Mutex

	// What follows is guarded by Supervisor.mu.
	worker   *worker // nil when there is none
	state    string
	why      string
	restarts int
	crashes  backoff
	gone     bool // scaled away
	replaced time.Time
}

// Start takes the instance, adopts workers that serve already, and starts those that are missing.
// It returns when all are ready. An error leaves nothing behind but workers that were there before.
func Start(ctx context.Context, o Options, waiting *handover.Waiting) (*Supervisor, error) {
	if o.StartTime == 0 {
		o.StartTime = time.Minute
	}
	if o.Look == 0 {
		o.Look = 2 * time.Second
	}
	s := &Supervisor{
		o: o, log: o.Log, waiting: waiting, started: time.Now(), turn: make(chan struct{}, 1),
		stopping: make(chan struct{}), stopped: make(chan struct{}), replacing: make(chan struct{}),
		bound: make(map[string]net.Listener), leaving: make(map[*worker]bool), launching: make(map[string]bool),
	}
	if err := s.takeLock(); err != nil {
		return nil, err
	}
	s.watcher = watch.New(watch.Options{Sum: snapshot.SumOf, Changed: s.filesChanged, Log: s.log})
	if err := s.begin(ctx); err != nil {
		s.abandon()
		return nil, err
	}
	s.work.Go(s.look)
	return s, nil
}

func (s *Supervisor) takeLock() (err error) {
	if f := inheritedLock(); f != nil {
		s.heir = true
		s.lock, err = s.o.Dir.Inherit(f)
		return err
	}
	s.lock, err = s.o.Dir.Lock()
	return err
}

// begin brings everything up.
func (s *Supervisor) begin(ctx context.Context) error {
	adopted, err := s.adopt(ctx)
	if err != nil {
		return err
	}
	defer func() { s.watcher.Follow(s.sums()) }()
	if s.conf, err = s.o.Check(); err != nil {
		if adopted == 0 {
			return err
		}
		s.log.Error("the workers go on with what they have: the configuration has mistakes", "error", err)
	}
	if err := s.bindAll(ctx, s.conf); err != nil {
		return err
	}
	if err == nil { // else nobody knows which addresses are no longer wanted
		if err := s.sockets.CloseUnused(); err != nil {
			return err
		}
	}
	if err := s.startStore(ctx); err != nil {
		return err
	}
	if err := s.fill(ctx); err != nil && adopted == 0 {
		return err
	} else if err != nil {
		s.log.Error("not all workers could be started", "error", err)
	}
	l, err := socket.Listen(s.o.Dir.Control())
	if err != nil {
		return err
	}
	s.control = socket.Serve(l, s)
	s.save("")
	return nil
}

// abandon ends a start that has failed. Workers that were there before are left alone.
func (s *Supervisor) abandon() {
	s.stopOnce.Do(func() { close(s.stopping) })
	s.mu.Lock()
	var own []*worker
	for _, sl := range s.slots {
		if sl.worker != nil && !sl.worker.adopted {
			own = append(own, sl.worker)
		}
	}
	keeper := s.store
	s.mu.Unlock()
	for _, w := range own {
		w.kill()
		<-w.ended
	}
	if keeper != nil && !keeper.adopted() {
		keeper.stop()
	}
	s.watcher.Close()
	s.closeSockets()
	_ = s.lock.Unlock()
}

func (s *Supervisor) closeSockets() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.bound {
		_ = l.Close()
	}
	if s.sockets != nil {
		_ = s.sockets.CloseUnused()
	}
}

// bindAll binds the addresses that are not bound yet, all or none.
func (s *Supervisor) bindAll(ctx context.Context, conf Config) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	added := make(map[string]net.Listener)
	for key, address := range keys(conf.Listeners) {
		if s.bound[key] != nil {
			continue
		}
		ln, err := s.sockets.Listen(ctx, address)
		if err != nil {
			for _, other := range added {
				_ = other.Close()
			}
			if conf.Unbindable != nil {
				err = conf.Unbindable(address, err)
			}
			return err
		}
		added[key] = ln
	}
	for key, ln := range added {
		s.bound[key] = ln
	}
	return nil
}

// keys tells listeners apart that ask for a port that the kernel chooses, and so for several
// sockets by one address.
func keys(listeners []control.Listener) map[string]string {
	byKey := make(map[string]string)
	for _, l := range listeners {
		key := l.Address
		for n := 2; strings.HasSuffix(l.Address, ":0") && byKey[key] != ""; n++ {
			key = fmt.Sprintf("%s, the %d.", l.Address, n)
		}
		byKey[key] = l.Address
	}
	return byKey
}

// unbind gives up addresses that the configuration no longer has.
func (s *Supervisor) unbind(listeners []control.Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	wanted := keys(listeners)
	for key, ln := range s.bound {
		if wanted[key] == "" {
			_ = ln.Close()
			delete(s.bound, key)
		}
	}
}

// errStopping is what a verb gets that comes too late.
var errStopping = errors.New("the gateway is stopping")

// take waits for what else changes the workers. The returned function gives the turn to the next.
func (s *Supervisor) take(ctx context.Context) (done func(), err error) {
	s.mu.Lock()
	replacing := s.replacing
	s.mu.Unlock()
	select {
	case s.turn <- struct{}{}:
		if s.ending() {
			<-s.turn
			return nil, errStopping
		}
		return func() { <-s.turn }, nil
	case <-s.stopping:
		return nil, errStopping
	case <-replacing:
		return nil, errReplacing
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (s *Supervisor) ending() bool {
	select {
	case <-s.stopping:
		return true
	default:
		return false
	}
}

// look looks after the workers until all is to end.
func (s *Supervisor) look() {
	tick, mend := time.NewTicker(s.o.Look), time.NewTicker(mendEvery)
	defer tick.Stop()
	defer mend.Stop()
	for {
		select {
		case <-s.stopping:
			return
		case <-tick.C:
			s.watchMemory()
			s.findStrays()
		case <-mend.C:
			s.mend()
		}
	}
}

// mendEvery is how often a supervisor looks whether others can still find it: sooner than its
// workers do, so that it is the one to take the directory again.
const mendEvery = 200 * time.Millisecond

// mend makes anew what others find this process by, when somebody has removed it.
func (s *Supervisor) mend() {
	locked, err := s.o.Dir.Mend(s.lock)
	if held, ok := errors.AsType[*instance.Held](err); ok {
		if s.control.Replaced() { // else it has not begun yet, and may never
			s.giveWay(held)
		}
		return
	}
	s.mendStore()
	served := false
	if err == nil {
		served, err = s.control.Mend()
	}
	if err != nil && !s.lost {
		s.log.Error("files of this gateway were removed and can't be made again; other verbs don't find it", "directory", s.o.Dir.Path, "error", err)
	}
	s.lost = err != nil
	if locked || served {
		s.log.Warn("somebody has removed files of this gateway from its directory; they are made again", "directory", s.o.Dir.Path)
		s.save("")
	}
}

// giveWay ends this supervisor, and leaves the workers to another one, which has found the
// directory without a lock and has taken them over.
func (s *Supervisor) giveWay(to *instance.Held) {
	s.stopOnce.Do(func() {
		s.log.Error("another supervisor has taken the workers over, after the directory was removed; this one ends", "pid", to.By.PID)
		close(s.stopping)
		s.waiting.Stopping()
		go func() {
			defer close(s.stopped)
			s.watcher.Close()
			_ = s.control.Close()
			s.closeSockets()
		}()
	})
}

// Done is closed when all has ended.
func (s *Supervisor) Done() <-chan struct{} { return s.stopped }

// environment is what every process gets: without what is meant for this one.
func (s *Supervisor) environment(more ...string) []string {
	env := forChildren(s.o.Environ)
	if s.o.Env != "" {
		env = append(env, "NODE_ENV="+s.o.Env)
	}
	return append(env, more...)
}

func inheritedLock() *os.File {
	fd, ok := takeNumber(lockVariable)
	if !ok {
		return nil
	}
	return os.NewFile(fd, "lock")
}
