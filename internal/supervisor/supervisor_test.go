package supervisor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"yett/internal/control"
	"yett/internal/control/socket"
	"yett/internal/instance"
)

func TestBackoff(t *testing.T) {
	t.Parallel()
	var b backoff
	var got []string
	for {
		pause, ok := b.next(0)
		if !ok {
			break
		}
		got = append(got, pause.String())
	}
	want := "100ms 200ms 400ms 800ms 1.6s 3.2s 4s 4s 4s 4s"
	if strings.Join(got, " ") != want {
		t.Errorf("%s, want %s", strings.Join(got, " "), want)
	}
	if _, ok := b.next(goodAgain - 1); ok {
		t.Error("it has not served long enough")
	}
	if pause, ok := b.next(goodAgain); !ok || pause != firstPause {
		t.Errorf("after it served well: %v, %v", pause, ok)
	}
}

func TestServesAndStops(t *testing.T) {
	t.Parallel()
	k := newCluster(t, fakeConfig{Address: freeAddress(t)})
	s := k.mustStart(2)
	c := k.dial()
	seen := map[string]bool{}
	eventually(t, "both workers answer", func() bool {
		answer, err := get(k.conf.Address)
		if err != nil {
			t.Fatal(err)
		}
		seen[answer] = true
		return len(seen) == 2
	})
	st := status(t, c)
	if st.State != control.Ready || len(st.Workers) != 2 || st.Revision.ID != "one" || st.PID != os.Getpid() {
		t.Errorf("%+v", st)
	}
	for i, w := range st.Workers {
		if w.ID != i+1 || w.State != control.Ready || w.Memory == 0 || w.Revision != "one" {
			t.Errorf("%+v", w)
		}
	}
	if _, err := k.start(2); !isHeld(err) {
		t.Errorf("started twice: %v", err)
	}
	if err := c.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-s.Done()
	if err := s.Result(); err != nil {
		t.Error(err)
	}
	left, _ := filepath.Glob(k.dir.Path + "/*.sock*")
	if len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	var end State
	if err := k.dir.LoadState(&end); err != nil || !end.Clean || end.Ended == "" {
		t.Errorf("%+v, %v", end, err)
	}
}

func isHeld(err error) bool {
	_, ok := errors.AsType[*instance.Held](err)
	return ok
}

// A start that can't work says why, in the worker's words, and leaves nothing behind.
func TestStartFails(t *testing.T) {
	t.Parallel()
	for mode, want := range map[string]string{
		"fails":  "this worker never works",
		"silent": "panic: out of luck",
		"hangs":  "not ready within 300ms",
	} {
		k := newCluster(t, fakeConfig{Mode: mode})
		_, err := k.start(2, func(o *Options) {
			if mode == "hangs" {
				o.StartTime = 300 * time.Millisecond
			}
		})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", mode, err, want)
		}
		if _, held := k.dir.Holder(); held {
			t.Errorf("%s: the lock is held", mode)
		}
		if left, _ := filepath.Glob(k.dir.Path + "/*.sock*"); len(left) > 0 {
			t.Errorf("%s: left behind: %v", mode, left)
		}
	}
}

// Of many starts at once one wins.
func TestStartRace(t *testing.T) {
	t.Parallel()
	k := newCluster(t, fakeConfig{})
	var won atomic.Int64
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			cmd := exec.Command(os.Args[0], k.dir.Path, k.file, "1")
			cmd.Env = append(os.Environ(), "FAKE=supervisor", quickExit)
			out, err := cmd.StdoutPipe()
			if err == nil {
				err = cmd.Start()
			}
			if err != nil {
				t.Error(err)
				return
			}
			t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
			line := make([]byte, 200)
			n, _ := out.Read(line)
			switch text := string(line[:n]); {
			case text == "ready\n":
				won.Add(1)
			case !strings.Contains(text, "is run by process"):
				t.Error(text)
			}
		})
	}
	all.Wait()
	if won.Load() != 1 {
		t.Errorf("%d of 20 have started", won.Load())
	}
}

func TestKilledWorkerComesBack(t *testing.T) {
	t.Parallel()
	k := newCluster(t, fakeConfig{})
	s := k.mustStart(2)
	before := pids(t, s)
	k.write(fakeConfig{Text: "two"}) // written, not taken
	killed := time.Now()
	if err := syscall.Kill(before[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "two workers serve", func() bool {
		now := pids(t, s)
		return len(now) == 2 && now[0] != before[0] && now[1] == before[1]
	})
	if took := time.Since(killed); took > 2*time.Second {
		t.Errorf("back after %v", took)
	}
	w := status(t, s).Workers[0]
	if w.Restarts != 1 || !strings.Contains(w.Why, "killed") {
		t.Errorf("%+v", w)
	}
	_ = s.Restart(t.Context())
	if err := syscall.Kill(pids(t, s)[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	k.write(fakeConfig{Text: "three"})
	eventually(t, "it runs what the others run", func() bool {
		w := status(t, s).Workers
		return w[0].State == control.Ready && w[0].Restarts == 2 && w[0].Revision == "two"
	})
}

// One that crashes again and again is given up, and says why; restart tries it again.
func TestCrashLoop(t *testing.T) {
	t.Parallel()
	k := newCluster(t, fakeConfig{})
	s := k.mustStart(2)
	before := pids(t, s)
	s.mu.Lock()
	s.slots[0].crashes.inARow = mostCrashes - 1 // the pauses before are TestBackoff's
	s.mu.Unlock()
	k.write(fakeConfig{Mode: "silent"})
	if err := syscall.Kill(before[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the worker is given up", func() bool { return status(t, s).Workers[0].State == control.Failing })
	st := status(t, s)
	if w := st.Workers[0]; !strings.Contains(w.Why, "panic: out of luck") || st.State != control.Ready {
		t.Errorf("%+v", st)
	}
	if now := pids(t, s); len(now) != 1 || now[0] != before[1] {
		t.Errorf("the other is %v, was %v", now, before)
	}
	if err := s.Restart(t.Context()); err == nil || !strings.Contains(err.Error(), "out of luck") || !strings.Contains(err.Error(), "the old workers serve on") {
		t.Errorf("restart: %v", err)
	}
	k.write(fakeConfig{})
	if err := s.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if now := pids(t, s); len(now) != 2 || slices.Contains(now, before[1]) {
		t.Errorf("%v after the restart, %v before", now, before)
	}
}

func TestScale(t *testing.T) {
	t.Parallel()
	k := newCluster(t, fakeConfig{})
	s := k.mustStart(1)
	first := pids(t, s)[0]
	for _, n := range []int{4, 2, 1, 3} {
		if err := s.Scale(t.Context(), n); err != nil {
			t.Fatal(err)
		}
		if now := pids(t, s); len(now) != n || now[0] != first {
			t.Errorf("scaled to %d: %v", n, now)
		}
	}
	for _, n := range []int{0, -1, MostWorkers + 1} {
		if s.Scale(t.Context(), n) == nil {
			t.Errorf("scaled to %d", n)
		}
	}
	k.write(fakeConfig{Mode: "fails"})
	if err := s.Scale(t.Context(), 5); err == nil || len(status(t, s).Workers) != 3 {
		t.Errorf("%v, %+v", err, status(t, s).Workers)
	}
}

// load asks all the time, until the returned function is called, which tells how many failed.
func load(address string) (stop func() (asked, failed int64, why error)) {
	var asked, failed atomic.Int64
	var why atomic.Value
	quit := make(chan struct{})
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for {
				select {
				case <-quit:
					return
				default:
				}
				if _, err := get(address); err != nil {
					failed.Add(1)
					why.Store(fmt.Errorf("%w", err))
				}
				asked.Add(1)
			}
		})
	}
	return func() (int64, int64, error) {
		close(quit)
		all.Wait()
		err, _ := why.Load().(error)
		return asked.Load(), failed.Load(), err
	}
}

func TestRollsWithoutAFailure(t *testing.T) {
	t.Parallel()
	k := newCluster(t, fakeConfig{Address: freeAddress(t)})
	s := k.mustStart(2)
	stop := load(k.conf.Address)
	before := pids(t, s)
	for range 3 {
		if err := s.Restart(t.Context()); err != nil {
			t.Error(err)
		}
	}
	for _, pid := range pids(t, s) {
		if slices.Contains(before, pid) {
			t.Errorf("worker %d was not replaced", pid)
		}
	}
	if asked, failed, why := stop(); failed > 0 || asked < 20 {
		t.Errorf("%d of %d failed: %v", failed, asked, why)
	}
}

func TestMemory(t *testing.T) {
	t.Parallel()
	k := newCluster(t, fakeConfig{Allocate: 120})
	s := k.mustStart(1, func(o *Options) { o.MaxMemory = 100 << 20; o.Look = time.Hour })
	before := pids(t, s)
	k.write(fakeConfig{})
	s.watchMemory()
	w := status(t, s).Workers[0]
	if w.PID == before[0] || w.Restarts != 1 || !strings.Contains(w.Why, "of memory, more than 100") {
		t.Errorf("%+v", w)
	}
	s.watchMemory()
	if now := pids(t, s); now[0] != w.PID {
		t.Error("a small worker is replaced")
	}
}

func TestWorkerGetsMemoryLimit(t *testing.T) {
	t.Parallel()
	k := newCluster(t, fakeConfig{})
	s := k.mustStart(1, func(o *Options) { o.MaxMemory = 500 << 20 })
	env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pids(t, s)[0]))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"GOMEMLIMIT=471859200", "NODE_ENV=production"} {
		if !slices.Contains(strings.Split(string(env), "\x00"), want) {
			t.Errorf("there is no %s", want)
		}
	}
}

func TestReload(t *testing.T) {
	t.Parallel()
	k := newCluster(t, fakeConfig{Address: freeAddress(t)})
	s := k.mustStart(3)
	before := pids(t, s)
	revisions := func() (all []string) {
		for _, w := range status(t, s).Workers {
			all = append(all, w.Revision)
		}
		return all
	}
	k.write(fakeConfig{Address: k.conf.Address, Text: "two"})
	if out, err := s.Reload(t.Context(), control.Proposal{}); err != nil || !out.Applied {
		t.Errorf("%+v, %v", out, err)
	}
	if got := revisions(); !slices.Equal(got, []string{"two", "two", "two"}) {
		t.Error(got)
	}
	// The third refuses what the others took: they go back.
	k.write(fakeConfig{Address: k.conf.Address, Text: "three", RefuseFrom: 3})
	out, err := s.Reload(t.Context(), control.Proposal{Cause: "signal"})
	if err != nil || out.Applied || !strings.Contains(out.Refused, "worker 3 refused what worker 1 took: not here; all run what they ran before") {
		t.Errorf("%+v, %v", out, err)
	}
	if got := revisions(); !slices.Equal(got, []string{"two", "two", "two"}) {
		t.Error(got)
	}
	if r := status(t, s).Refused; r == nil || r.Cause != "signal" {
		t.Errorf("%+v", r)
	}
	if err := os.WriteFile(k.file, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := s.Reload(t.Context(), control.Proposal{}); err != nil || out.Applied || len(out.Problems) != 1 {
		t.Errorf("%+v, %v", out, err)
	}
	if now := pids(t, s); !slices.Equal(now, before) {
		t.Errorf("workers were replaced: %v, %v", before, now)
	}
}

// What only a new process can take comes with new processes, or not at all.
func TestReloadByProcess(t *testing.T) {
	t.Parallel()
	k := newCluster(t, fakeConfig{Address: freeAddress(t)})
	s := k.mustStart(2)
	first, second := k.conf.Address, freeAddress(t)
	before := pids(t, s)
	stop := load(first)
	k.write(fakeConfig{Address: first, Listen2: second, Mode: "fails"})
	if out, err := s.Reload(t.Context(), control.Proposal{}); err != nil || out.Applied || !strings.Contains(out.Refused, "never works") {
		t.Errorf("%+v, %v", out, err)
	}
	if now := pids(t, s); !slices.Equal(now, before) {
		t.Errorf("workers were replaced: %v, %v", before, now)
	}
	if _, err := get(second); err == nil {
		t.Error("an address that was refused is served")
	}
	k.write(fakeConfig{Address: first, Listen2: second})
	if out, err := s.Reload(t.Context(), control.Proposal{}); err != nil || !out.Applied {
		t.Errorf("%+v, %v", out, err)
	}
	if _, err := get(second); err != nil {
		t.Error(err)
	}
	k.write(fakeConfig{Address: first})
	if out, err := s.Reload(t.Context(), control.Proposal{}); err != nil || !out.Applied {
		t.Errorf("%+v, %v", out, err)
	}
	if _, err := get(second); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("an address that was given up: %v", err)
	}
	if out, err := s.Reload(t.Context(), control.Proposal{}); err != nil || !out.Applied {
		t.Errorf("%+v, %v", out, err)
	}
	if asked, failed, why := stop(); failed > 0 {
		t.Errorf("%d of %d failed: %v", failed, asked, why)
	}
}

// A worker that doesn't drain is killed, and the exit says so.
func TestStubbornWorker(t *testing.T) {
	t.Parallel()
	k := newCluster(t, fakeConfig{Mode: "stubborn"})
	s := k.mustStart(1)
	s.mu.Lock()
	s.conf.StopTime = 100*time.Millisecond - stopMargin
	s.mu.Unlock()
	_ = s.Stop(t.Context())
	<-s.Done()
	if err := s.Result(); err == nil {
		t.Error("it says that all has drained")
	}
}

// Somebody who cleans up has removed the directory of a cluster that runs.
func TestRemovedDirectory(t *testing.T) {
	t.Parallel()
	k := newCluster(t, fakeConfig{})
	k.mustStart(1)
	if err := os.RemoveAll(k.dir.Path); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it can be asked again", func() bool {
		c, err := socket.Dial(k.dir.Control())
		if err != nil {
			return false
		}
		_, err = c.Status(t.Context())
		return err == nil
	})
	if _, held := k.dir.Holder(); !held {
		t.Error("another one could take the directory")
	}
	var st State
	eventually(t, "what it knows is written", func() bool { return k.dir.LoadState(&st) == nil })
}

// What a worker has cut off when another took its place is not what a stop cuts off.
func TestStopForgetsWhatWasReplaced(t *testing.T) {
	t.Parallel()
	k := newCluster(t, fakeConfig{Mode: "cuts"})
	s := k.mustStart(1)
	k.write(fakeConfig{})
	if err := s.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	_ = s.Stop(t.Context())
	<-s.Done()
	if err := s.Result(); err != nil {
		t.Error(err)
	}

	k = newCluster(t, fakeConfig{Mode: "cuts"})
	s = k.mustStart(1)
	_ = s.Stop(t.Context())
	<-s.Done()
	if _, ok := errors.AsType[*Unfinished](s.Result()); !ok {
		t.Errorf("what the stop itself cuts off: %v", s.Result())
	}
}

// Who waits for an upgrade gets an answer before the program is replaced.
func TestOrderDuringReplacement(t *testing.T) {
	t.Parallel()
	k := newCluster(t, fakeConfig{})
	replaced, end := make(chan struct{}), make(chan struct{})
	s := k.mustStart(1, func(o *Options) {
		o.Exec = func(string, []string, []string) error {
			close(replaced)
			<-end
			return errors.New("not in this test")
		}
	})
	done, err := s.take(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	reloaded := make(chan error, 1)
	upgraded := make(chan error, 1)
	go func() { upgraded <- s.Upgrade(context.Background()) }()
	done()
	if err := <-upgraded; err != nil {
		t.Fatal(err)
	}
	go func() {
		_, err := s.Reload(context.Background(), control.Proposal{})
		reloaded <- err
	}()
	if err := <-reloaded; !errors.Is(err, errReplacing) {
		t.Errorf("%v", err)
	}
	<-replaced
	close(end)
	eventually(t, "it goes on as it is", func() bool { return s.Restart(t.Context()) == nil })
}
