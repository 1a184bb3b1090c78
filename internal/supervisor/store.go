package supervisor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"yett/internal/instance"
)

// keeper is the process that holds what the workers count together. It outlives them, and the
// supervisor.
type keeper struct {
	s *Supervisor

	mu     sync.Mutex
	now    *worker // the process; nil while there is none
	ending bool
	// giving tells that another process is taking its place: the old one ends when it has given
	// everything away, before the new one says that it is ready.
	giving bool
	fails  backoff
}

// storePath is the socket for workers, empty where its process can't be started.
func (s *Supervisor) storePath() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.store == nil {
		return ""
	}
	return s.o.Dir.Store()
}

// startStore starts that process where none is there. With a store in Redis too, which knows
// nothing of what the workers of one node have in common.
func (s *Supervisor) startStore(ctx context.Context) error {
	s.mu.Lock()
	there := s.store != nil
	s.mu.Unlock()
	if there {
		return nil
	}
	k := &keeper{s: s}
	if err := k.startFirst(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	s.store = k
	s.mu.Unlock()
	return nil
}

// startFirst starts the process where this supervisor knows of none. One may be there all the same,
// because the supervisor before died before it could write it down, or its disk was full: it is succeeded,
// with what it has counted.
func (k *keeper) startFirst(ctx context.Context) error {
	var more []string
	if c, err := net.DialTimeout("unix", k.s.o.Dir.Store(), answerTime); err == nil {
		_ = c.Close() // nothing was said
		more = []string{successor}
	}
	return k.start(ctx, k.s.o.Running, more...)
}

// successor is the flag of a process that takes the place of the one that serves.
const successor = "--successor"

// missing is how often in a row the store's socket may not be there: one process may just be
// taking it from another.
const missing = 5

// mendStore has another process take the place of the store's when somebody has removed its
// socket: no new worker could reach it. What was counted is lost. It is called by look alone.
func (s *Supervisor) mendStore() {
	s.mu.Lock()
	k := s.store
	s.mu.Unlock()
	_, err := os.Lstat(s.o.Dir.Store())
	if k == nil || !errors.Is(err, fs.ErrNotExist) {
		s.storeMissed = 0
		return
	}
	if s.storeMissed++; s.storeMissed < missing {
		return
	}
	s.storeMissed = 0
	k.mu.Lock()
	w := k.now
	k.mu.Unlock()
	if w != nil {
		s.log.Warn("somebody has removed the socket of the store's process; another one begins to count anew", "pid", w.pid())
		w.signal(syscall.SIGTERM)
	}
}

// adoptStore takes a process over that another supervisor has started.
func (s *Supervisor) adoptStore(p *instance.Process) {
	if p == nil {
		return
	}
	h, err := p.Open()
	if err != nil {
		return
	}
	w := &worker{handle: h, socket: s.o.Dir.Store(), ready: time.Now(), adopted: true, ended: make(chan struct{})}
	go w.watchStore()
	s.store = &keeper{s: s}
	s.store.follow(w)
}

// start starts the process and waits until its socket answers.
func (k *keeper) start(ctx context.Context, program string, more ...string) error {
	w := &worker{socket: k.s.o.Dir.Store(), started: time.Now(), ended: make(chan struct{})}
	st, err := k.s.spawn(process{program: program, args: append(slices.Clone(k.s.o.Store), more...), log: "store"})
	if err != nil {
		return fmt.Errorf("start the process of the store: %w", err)
	}
	w.handle = handleOf(st.cmd.Process.Pid)
	go st.waitStore(w)
	if err := k.s.awaitReady(ctx, w, st); err != nil {
		return fmt.Errorf("the process of the store did not start: %w", err)
	}
	w.ready = time.Now()
	k.follow(w)
	return nil
}

// waitStore leaves the socket alone, which a successor may have.
func (st *starting) waitStore(w *worker) {
	w.how = st.ending(st.cmd.Wait())
	close(w.ended)
}

// follow has a process started again when it ends, for as long as the cluster runs. Meanwhile
// the workers count alone.
func (k *keeper) follow(w *worker) {
	k.mu.Lock()
	k.now = w
	k.mu.Unlock()
	k.s.work.Go(func() {
		<-w.ended
		k.mu.Lock()
		lost := k.now == w && !k.ending && !k.giving
		if k.now == w {
			k.now = nil
		}
		k.mu.Unlock()
		if lost && !k.s.ending() {
			k.s.log.Error("the process of the store has ended; workers count alone until it is back", "why", w.how)
			k.revive(time.Since(w.ready))
		}
	})
}

func (k *keeper) revive(served time.Duration) {
	for {
		pause, ok := k.fails.next(served)
		if !ok {
			k.s.log.Error("the process of the store can't be started; workers count alone", "remedy", "mend the cause, then yett restart")
			k.s.mu.Lock()
			k.s.store = nil // restart tries again
			k.s.mu.Unlock()
			return
		}
		select {
		case <-k.s.stopping:
			return
		case <-time.After(pause):
		}
		err := k.startFirst(context.Background())
		if err == nil {
			k.s.save("")
			return
		}
		k.s.log.Error("the process of the store could not be started again", "error", err)
		served = 0
	}
}

// succeed starts the process of another program, which takes the socket and what was counted.
func (k *keeper) succeed(ctx context.Context, program string) error {
	k.mu.Lock()
	old := k.now
	k.giving = old != nil
	k.mu.Unlock()
	if old == nil { // it is about to be started again, by the program that runs
		return nil
	}
	err := k.start(ctx, program, successor)
	k.mu.Lock()
	k.giving = false
	if err != nil && k.now == nil && old.alive() {
		k.now = old // it has given nothing
	}
	lost := k.now == nil
	k.mu.Unlock()
	if lost { // it gave everything to one that did not live
		k.s.work.Go(func() { k.revive(0) })
	}
	if err != nil {
		return err
	}
	select {
	case <-old.ended:
	case <-time.After(stopMargin):
		old.signal(syscall.SIGTERM)
	}
	return nil
}

func (w *worker) alive() bool {
	select {
	case <-w.ended:
		return false
	default:
		return true
	}
}

func (k *keeper) process() *instance.Process {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.now == nil || k.now.handle == nil {
		return nil
	}
	p := k.now.handle.Process
	return &p
}

func (k *keeper) adopted() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.now != nil && k.now.adopted
}

// stop ends it. What it holds is lost, as with a gateway of one process.
func (k *keeper) stop() {
	k.mu.Lock()
	k.ending = true
	w := k.now
	k.mu.Unlock()
	if w == nil {
		return
	}
	w.signal(syscall.SIGTERM)
	select {
	case <-w.ended:
	case <-time.After(stopMargin):
		w.kill()
		<-w.ended
	}
}
