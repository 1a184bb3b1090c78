package supervisor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"yett/internal/control"
	"yett/internal/control/socket"
	"yett/internal/handover"
	"yett/internal/instance"
)

// State is what a supervisor leaves for the next one.
type State struct {
	File    string `json:"file"`
	Env     string `json:"env,omitempty"`
	Workers int    `json:"workers"`
	// Store is the process that holds what workers count together.
	Store *instance.Process `json:"store,omitempty"`
	// Restarts are those of each worker.
	Restarts map[int]int `json:"restarts,omitempty"`
	// Generation is the last number that was given to a worker.
	Generation int `json:"generation"`
	// Revision is what the workers run.
	Revision string `json:"revision,omitempty"`
	// Ended says how the cluster ended, empty while it runs. Clean tells that nothing was cut off.
	Ended string `json:"ended,omitempty"`
	Clean bool   `json:"clean,omitempty"`
}

// save keeps the state. ended is how the cluster ends, if it does.
func (s *Supervisor) save(ended string) {
	s.mu.Lock()
	st := State{
		File: s.o.File, Env: s.o.Env, Workers: len(s.slots), Generation: s.generation, Revision: s.current,
		Restarts: make(map[int]int), Ended: ended, Clean: ended != "" && s.killed+s.cut == 0,
	}
	for _, sl := range s.slots {
		st.Restarts[sl.id] = sl.restarts
	}
	if s.store != nil {
		st.Store = s.store.process()
	}
	err := s.o.Dir.SaveState(st) // under the lock, so that the newest is the last
	s.mu.Unlock()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.log.Error("the next supervisor will know less", "error", err)
	}
}

// Found is a worker that answers on its socket.
type Found struct {
	ID         int
	Generation int
	Process    instance.Process
	Socket     string
	Status     control.Status
}

// Find returns the workers of an instance that live and answer, whether a supervisor is there or
// not, and the processes that live but don't answer, of which only the socket is known.
func Find(ctx context.Context, d instance.Dir) (living []Found, err error) {
	paths, err := filepath.Glob(filepath.Join(escapeGlob(d.Path), "w*.sock"))
	if err != nil {
		return nil, err
	}
	found := make([]*Found, len(paths))
	var all sync.WaitGroup
	for i, path := range paths {
		all.Go(func() { found[i] = ask(ctx, path) })
	}
	all.Wait()
	for _, f := range found {
		if f != nil {
			living = append(living, *f)
		}
	}
	return living, nil
}

func escapeGlob(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// ask returns nil when nobody answers.
func ask(ctx context.Context, path string) *Found {
	f := Found{Socket: path}
	name := strings.TrimSuffix(filepath.Base(path), ".sock")[1:]
	id, generation, _ := strings.Cut(name, "-")
	var err error
	if f.ID, err = strconv.Atoi(id); err != nil || f.ID < 1 {
		return nil
	}
	f.Generation, _ = strconv.Atoi(generation)
	c, err := socket.Dial(path)
	if errors.Is(err, socket.ErrNobody) {
		_ = os.Remove(path) // of a process that was killed
	}
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	if f.Status, err = c.Status(ctx); err != nil {
		return nil
	}
	if f.Process, err = instance.Find(f.Status.PID); err != nil {
		return nil
	}
	return &f
}

// answerTime is how long a worker may take to say how it is.
const answerTime = 2 * time.Second

// adopt takes over the workers that serve, and the sockets from one of them. It makes the places
// of all that shall be there, and tells how many are filled.
func (s *Supervisor) adopt(ctx context.Context) (adopted int, err error) {
	var st State
	if err := s.o.Dir.LoadState(&st); err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.log.Warn("what the last supervisor knew is lost", "error", err)
	}
	found, err := Find(ctx, s.o.Dir)
	if err != nil {
		return 0, err
	}
	s.generation = st.Generation
	if s.sockets, err = handover.Inherit(); err != nil {
		return 0, err
	}
	if err := s.fetchSockets(ctx, found); err != nil {
		return 0, err
	}
	for _, f := range found {
		s.generation = max(s.generation, f.Generation)
		if s.adoptWorker(ctx, f, st.Restarts[f.ID]) {
			adopted++
		}
	}
	if adopted > 0 {
		s.current = st.Revision
	}
	wanted := s.o.Workers
	if (s.heir || wanted == 0) && adopted > 0 && st.Workers > 0 {
		wanted = st.Workers
	}
	if wanted == 0 {
		wanted = defaultWorkers
	}
	for len(s.slots) < wanted {
		s.addSlot()
	}
	s.adoptStore(st.Store)
	return adopted, nil
}

// fetchSockets gets the listening sockets from a worker, the newest first, unless they came another
// way. One that drains has given them up.
func (s *Supervisor) fetchSockets(ctx context.Context, found []Found) error {
	serve := slices.DeleteFunc(slices.Clone(found), func(f Found) bool { return f.Status.State == control.Draining })
	if len(serve) == 0 || len(s.sockets.Unused()) > 0 {
		return nil
	}
	slices.SortFunc(serve, func(a, b Found) int { return b.Generation - a.Generation })
	var errs []error
	for _, f := range serve {
		c, err := socket.Dial(f.Socket)
		if err == nil {
			var passed socket.Passed
			if passed, err = c.Sockets(ctx); err == nil {
				s.sockets, err = handover.From(passed.Files, passed.Env, socket.First)
			}
		}
		if err == nil {
			return nil
		}
		errs = append(errs, err)
	}
	return fmt.Errorf("take the sockets over from the workers that serve: %w", errors.Join(errs...))
}

// adoptWorker takes a worker over. One that drains already is only watched, and so is one whose
// place is taken by a newer one, which drains too.
func (s *Supervisor) adoptWorker(ctx context.Context, f Found, restarts int) bool {
	h, err := f.Process.Open()
	if err != nil {
		return false
	}
	w := &worker{
		id: f.ID, generation: f.Generation, handle: h, socket: f.Socket, started: f.Status.Started, ready: f.Status.Started,
		adopted: true, ended: make(chan struct{}),
	}
	go w.watch()
	if state := s.awaitAdopted(ctx, w); state != control.Ready {
		s.leave(w, state)
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sl := range s.slots {
		if sl.id == f.ID {
			older := w
			if sl.worker == nil || sl.worker.generation < w.generation {
				older = sl.worker
				s.put(sl, w)
			}
			if older != nil { // else it has just ended
				go s.leave(older, control.Ready)
			}
			return older != w
		}
	}
	sl := &slot{id: f.ID, restarts: restarts}
	s.slots = append(s.slots, sl)
	s.sortSlots()
	s.put(sl, w)
	s.log.Info("worker is taken over", "worker", f.ID, "pid", f.Process.PID)
	return true
}

// leave has a worker drain that has no place, unless it does already, and follows it to its end.
func (s *Supervisor) leave(w *worker, state string) {
	s.log.Info("a worker without a place drains", "worker", w.id, "pid", w.pid())
	if state == control.Draining {
		s.seeOff(w)
		return
	}
	s.drain(w)
}

// awaitAdopted waits until a worker that was starting when its supervisor died is ready, and returns
// its state, empty when it can't be told.
func (s *Supervisor) awaitAdopted(ctx context.Context, w *worker) (state string) {
	ctx, cancel := context.WithTimeout(ctx, s.o.StartTime)
	defer cancel()
	for {
		f := ask(ctx, w.socket)
		if f == nil {
			return ""
		}
		if f.Status.State != control.Starting {
			return f.Status.State
		}
		select {
		case <-ctx.Done():
			return ""
		case <-w.ended:
			return ""
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// watch waits for the end of a worker that was there before.
func (w *worker) watch() {
	w.await()
	_ = os.Remove(w.socket)
	close(w.ended)
}

// watchStore leaves the socket alone, which a successor may have.
func (w *worker) watchStore() {
	w.await()
	close(w.ended)
}

// await waits for the end of a process that was there before, and notes how it was.
func (w *worker) await() {
	_ = w.handle.Wait(context.Background())
	w.how = "it ended"
	if status, ok := reap(w.handle.PID); ok {
		w.how, w.code = "it ended with "+ending(status), status.ExitStatus()
	}
}

// reap takes a child off the list of the kernel: a supervisor that has replaced its program
// still has the children of the program before. Of others it knows nothing.
func reap(pid int) (status syscall.WaitStatus, ok bool) {
	for {
		got, err := syscall.Wait4(pid, &status, syscall.WNOHANG, nil)
		if !errors.Is(err, syscall.EINTR) {
			return status, err == nil && got == pid
		}
	}
}

func ending(status syscall.WaitStatus) string {
	if status.Signaled() {
		return "signal: " + status.Signal().String()
	}
	return fmt.Sprintf("exit status %d", status.ExitStatus())
}

// findStrays drains workers that nobody knows: those that were being started when the supervisor
// before this one was killed, and opened their socket later.
func (s *Supervisor) findStrays() {
	if time.Since(s.started) > 2*s.o.StartTime {
		return
	}
	paths, _ := filepath.Glob(filepath.Join(escapeGlob(s.o.Dir.Path), "w*.sock"))
	for _, path := range paths {
		if s.known(path) {
			continue
		}
		f := ask(context.Background(), path)
		if f == nil || s.known(path) {
			continue
		}
		if h, err := f.Process.Open(); err == nil {
			w := &worker{id: f.ID, generation: f.Generation, handle: h, socket: path, adopted: true, ended: make(chan struct{})}
			go w.watch()
			s.leave(w, f.Status.State)
		}
	}
}

// known tells whether the socket is that of a worker that has a place, that leaves, or that is
// being started now.
func (s *Supervisor) known(path string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sl := range s.slots {
		if sl.worker != nil && sl.worker.socket == path {
			return true
		}
	}
	for w := range s.leaving {
		if w.socket == path {
			return true
		}
	}
	return s.launching[path]
}
