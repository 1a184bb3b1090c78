package supervisor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"syscall"
	"time"

	"yett/internal/control"
)

// want is how many workers there shall be.
const defaultWorkers = 2

// fill starts workers in all places that have none: the first alone, because what keeps one from
// starting keeps all, then the others at once.
func (s *Supervisor) fill(ctx context.Context) error {
	s.mu.Lock()
	var empty []*slot
	for _, sl := range s.slots {
		if sl.worker == nil {
			empty = append(empty, sl)
		}
	}
	s.mu.Unlock()
	if len(empty) == 0 {
		return nil
	}
	if err := s.occupy(ctx, empty[0], s.o.Running); err != nil {
		return err
	}
	errs := make([]error, len(empty))
	var all sync.WaitGroup
	for i, sl := range empty[1:] {
		all.Go(func() { errs[i] = s.occupy(ctx, sl, s.o.Running) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// addSlot makes a place with the lowest number that is free.
func (s *Supervisor) addSlot() *slot {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := 1
	for slices.ContainsFunc(s.slots, func(sl *slot) bool { return sl.id == id }) {
		id++
	}
	sl := &slot{id: id, state: control.Starting}
	s.slots = append(s.slots, sl)
	s.sortSlots()
	return sl
}

// sortSlots is called with the lock held.
func (s *Supervisor) sortSlots() {
	slices.SortFunc(s.slots, func(a, b *slot) int { return a.id - b.id })
}

// places returns the slots as they are now.
func (s *Supervisor) places() []*slot {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.slots)
}

// occupy puts a new worker into a place; the one that was there drains once the new one is
// ready. On an error that one stays.
func (s *Supervisor) occupy(ctx context.Context, sl *slot, program string, env ...string) error {
	sl.turn.Lock()
	defer sl.turn.Unlock()
	w, err := s.launch(ctx, sl.id, program, env...)
	s.mu.Lock()
	old := sl.worker
	if err != nil {
		if old == nil {
			sl.state, sl.why = control.Failing, err.Error()
		}
		s.mu.Unlock()
		return err
	}
	sl.crashes = backoff{}
	s.put(sl, w)
	s.mu.Unlock()
	if old != nil {
		s.drain(old)
	}
	s.save("")
	return nil
}

// put is called with the lock held.
func (s *Supervisor) put(sl *slot, w *worker) {
	if old := sl.worker; old != nil {
		s.leaving[old] = true
	}
	sl.worker, sl.state, sl.why = w, control.Ready, ""
	delete(s.launching, w.socket)
	s.work.Go(func() { s.follow(sl, w) })
}

// follow waits for the end of a worker, and starts another when nobody has asked for it.
func (s *Supervisor) follow(sl *slot, w *worker) {
	<-w.ended
	if w.handle != nil {
		w.handle.Close()
	}
	s.mu.Lock()
	crashed := sl.worker == w && !s.ending()
	if sl.worker == w {
		sl.worker, sl.state = nil, control.Stopped
	}
	delete(s.leaving, w)
	s.mu.Unlock()
	if crashed {
		s.log.Error("a worker has ended", "worker", sl.id, "pid", w.pid(), "why", w.how)
		s.revive(sl, time.Since(w.ready), w.how)
	}
	s.save("")
}

// revive starts a worker again after a crash, until it serves or has crashed too often.
func (s *Supervisor) revive(sl *slot, served time.Duration, why string) {
	for {
		pause, ok := s.crashed(sl, served, why)
		if !ok {
			return
		}
		select {
		case <-s.stopping:
			return
		case <-time.After(pause):
		}
		err := s.again(sl)
		if err == nil || errors.Is(err, errStopping) {
			return
		}
		served, why = 0, err.Error()
		s.log.Error("a worker could not be started again", "worker", sl.id, "why", why)
	}
}

// crashed counts a crash. ok is false when the worker is not to be started again.
func (s *Supervisor) crashed(sl *slot, served time.Duration, why string) (pause time.Duration, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sl.worker != nil || sl.gone {
		return 0, false
	}
	sl.why = why
	if pause, ok = sl.crashes.next(served); !ok {
		sl.state = control.Failing
		s.log.Error("a worker has crashed too often and is given up; the others go on", "worker", sl.id,
			"crashes", mostCrashes, "remedy", "mend the cause, then yett restart")
		return 0, false
	}
	sl.state = control.Starting
	sl.restarts++
	return pause, true
}

// again starts a worker in an empty place, with what the others run: the file may have
// mistakes by now.
func (s *Supervisor) again(sl *slot) error {
	sl.turn.Lock()
	defer sl.turn.Unlock()
	s.mu.Lock()
	taken, why, revision := sl.worker != nil || sl.gone, sl.why, s.current
	s.mu.Unlock()
	if taken {
		return nil
	}
	var env []string
	if revision != "" {
		env = append(env, RevisionVariable+"="+revision)
	}
	w, err := s.launch(context.Background(), sl.id, s.o.Running, env...)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.put(sl, w)
	sl.why = why // why it was started again
	return nil
}

// drain lets a worker finish what runs on it, and kills it when that takes too long.
func (s *Supervisor) drain(w *worker) {
	s.seeOff(w)
	w.signal(syscall.SIGTERM)
}

// seeOff follows a worker that drains to its end. It tells it nothing: a second signal would have it end
// at once.
func (s *Supervisor) seeOff(w *worker) {
	ofStop := s.ending() // how a stop goes has nothing to do with what was replaced before
	s.mu.Lock()
	s.leaving[w] = true
	limit := s.conf.StopTime + stopMargin
	s.mu.Unlock()
	s.work.Go(func() {
		killed := false
		timer := time.NewTimer(limit)
		defer timer.Stop()
		select {
		case <-w.ended:
		case <-timer.C:
			s.log.Error("a worker has not drained in time and is killed", "worker", w.id, "pid", w.pid(), "after", limit.String())
			killed = true
			w.kill()
			<-w.ended
		}
		s.mu.Lock()
		switch {
		case !ofStop:
		case killed:
			s.killed++
		case w.code == CutOff:
			s.cut++
		}
		delete(s.leaving, w)
		s.mu.Unlock()
	})
}

// stopMargin is what a worker gets beyond the time that it has to drain by itself.
const stopMargin = 10 * time.Second

// drained waits for the workers that leave.
func (s *Supervisor) drained(ctx context.Context) error {
	s.mu.Lock()
	var all []*worker
	for w := range s.leaving {
		all = append(all, w)
	}
	s.mu.Unlock()
	for _, w := range all {
		select {
		case <-w.ended:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// roll puts new workers of a program in the place of all, one at a time. An error says which
// could not be replaced, and that the old one serves on; replaced is how many had been.
func (s *Supervisor) roll(ctx context.Context, program string) (replaced int, err error) {
	for i, sl := range s.places() {
		if err := s.occupy(ctx, sl, program); err != nil {
			return i, fmt.Errorf("%w; %s", err, stays(i))
		}
	}
	s.learnRevision(ctx)
	return len(s.places()), s.drained(ctx)
}

func stays(replaced int) string {
	if replaced == 0 {
		return "the old workers serve on"
	}
	return fmt.Sprintf("%d had been replaced, the other old workers serve on", replaced)
}

// Restart implements control.Cluster.
func (s *Supervisor) Restart(ctx context.Context) error {
	done, err := s.take(ctx)
	if err != nil {
		return err
	}
	defer done()
	return s.renewAll(ctx, s.o.Running)
}

// renew reads the configuration, and binds what it adds.
func (s *Supervisor) renew(ctx context.Context) error {
	conf, err := s.o.Check()
	if err != nil {
		return err
	}
	if err := s.bindAll(ctx, conf); err != nil {
		return err
	}
	s.mu.Lock()
	s.conf = conf
	s.mu.Unlock()
	return s.startStore(ctx)
}

// MostWorkers bounds Scale.
const MostWorkers = 256

// Scale implements control.Cluster.
func (s *Supervisor) Scale(ctx context.Context, workers int) error {
	if workers < 1 || workers > MostWorkers {
		return fmt.Errorf("%d workers are not possible: at least 1 and at most %d are; yett stop stops them all", workers, MostWorkers)
	}
	done, err := s.take(ctx)
	if err != nil {
		return err
	}
	defer done()
	for _, sl := range s.places() {
		s.mu.Lock()
		empty := sl.worker == nil
		s.mu.Unlock()
		if empty && sl.id <= workers {
			if err := s.occupy(ctx, sl, s.o.Running); err != nil {
				return err
			}
		}
	}
	for len(s.places()) < workers {
		sl := s.addSlot()
		if err := s.occupy(ctx, sl, s.o.Running); err != nil {
			s.vacate(sl)
			return err
		}
	}
	for places := s.places(); len(places) > workers; places = places[:len(places)-1] {
		s.vacate(places[len(places)-1])
	}
	s.save("")
	return s.drained(ctx)
}

// vacate gives a place up; who is there drains.
func (s *Supervisor) vacate(sl *slot) {
	s.mu.Lock()
	sl.gone = true
	w := sl.worker
	sl.worker = nil
	s.slots = slices.DeleteFunc(s.slots, func(other *slot) bool { return other == sl })
	s.mu.Unlock()
	if w != nil {
		s.drain(w)
	}
}
