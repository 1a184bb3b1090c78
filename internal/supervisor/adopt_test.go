package supervisor

import (
	"context"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"yett/internal/control"
	"yett/internal/control/socket"
	"yett/internal/instance"
)

// The supervisor is killed; the workers serve on, and the next one takes them over with the
// sockets, and does with them all that the first could.
func TestKilledSupervisor(t *testing.T) {
	t.Parallel()
	k := newCluster(t, fakeConfig{Address: freeAddress(t)})
	first := k.fork(3)
	before := pids(t, k.dial())
	stop := load(k.conf.Address)
	if err := first.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = first.Wait()
	found, err := Find(t.Context(), k.dir)
	if err != nil || len(found) != 3 {
		t.Fatalf("%+v, %v", found, err)
	}
	s := k.mustStart(0)
	if now := pids(t, s); !slices.Equal(now, before) {
		t.Errorf("%v, were %v", now, before)
	}
	if status(t, s).Revision.ID != "one" {
		t.Errorf("%+v", status(t, s))
	}
	if s.store == nil || !s.store.adopted() {
		t.Error("the process of the store is not taken over")
	}
	if err := syscall.Kill(before[1], syscall.SIGTERM); err != nil { // not asked for by the supervisor
		t.Fatal(err)
	}
	eventually(t, "an adopted worker that ended is started again", func() bool {
		now := pids(t, s)
		return len(now) == 3 && !slices.Contains(now, before[1])
	})
	if err := s.Restart(t.Context()); err != nil {
		t.Error(err)
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

// The supervisor is killed in the middle of a restart. The old workers go on draining, undisturbed, and the
// sockets come from one that serves.
func TestKilledDuringRestart(t *testing.T) {
	t.Parallel()
	k := newCluster(t, fakeConfig{Address: freeAddress(t), Mode: "lingers"})
	first := k.fork(2)
	draining := pids(t, k.dial())
	go func() { _ = k.dial().Restart(context.Background()) }()
	eventually(t, "the old ones drain, the new ones serve", func() bool {
		found, err := Find(t.Context(), k.dir)
		n := 0
		for _, f := range found {
			if f.Status.State == control.Draining {
				n++
			}
		}
		return err == nil && len(found) == 4 && n == 2
	})
	_ = first.Process.Kill()
	_ = first.Wait()
	s := k.mustStart(0)
	now := pids(t, s)
	if len(now) != 2 || slices.Contains(now, draining[0]) || slices.Contains(now, draining[1]) {
		t.Errorf("%v serve, %v drain", now, draining)
	}
	if err := os.WriteFile(k.file+".go", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "those that drain have ended", func() bool { return len(status(t, s).Workers) == 2 })
	if _, err := os.Stat(k.file + ".cut"); err == nil {
		t.Error("a worker that drained was told a second time, and has cut off what it served")
	}
}

// Workers without a supervisor that drain already are waited for, not cut off.
func TestStopOrphansThatDrain(t *testing.T) {
	t.Parallel()
	k := newCluster(t, fakeConfig{Address: freeAddress(t), Mode: "lingers"})
	first := k.fork(1)
	victim := pids(t, k.dial())[0]
	_ = first.Process.Kill()
	_ = first.Wait()
	if err := syscall.Kill(victim, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it drains", func() bool {
		found, _ := Find(t.Context(), k.dir)
		return len(found) == 1 && found[0].Status.State == control.Draining
	})
	stopped := make(chan error, 1)
	go func() {
		_, err := StopOrphans(context.Background(), k.dir)
		stopped <- err
	}()
	eventually(t, "it is waited for", func() bool { _, held := k.dir.Holder(); return held })
	if err := os.WriteFile(k.file+".go", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(k.file + ".cut"); err == nil {
		t.Error("it was told a second time, and has cut off what it served")
	}
}

// The workers are taken over although the file has mistakes by now.
func TestAdoptionWithBrokenFile(t *testing.T) {
	t.Parallel()
	k := newCluster(t, fakeConfig{Address: freeAddress(t)})
	first := k.fork(2)
	before := pids(t, k.dial())
	_ = first.Process.Kill()
	_ = first.Wait()
	if err := os.WriteFile(k.file, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := k.mustStart(2)
	if now := pids(t, s); !slices.Equal(now, before) {
		t.Errorf("%v, were %v", now, before)
	}
	if _, err := get(k.conf.Address); err != nil {
		t.Error(err)
	}
}

// A number in the state that another process has by now is not that process.
func TestStaleState(t *testing.T) {
	t.Parallel()
	k := newCluster(t, fakeConfig{})
	bystander, err := instance.Find(os.Getppid())
	if err != nil {
		t.Fatal(err)
	}
	bystander.Start-- // its number was somebody else's before
	if err := k.dir.SaveState(State{Workers: 3, Store: &bystander, Generation: 7}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(k.dir.Worker("1-7"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s := k.mustStart(0)
	if n := len(pids(t, s)); n != defaultWorkers {
		t.Errorf("%d workers", n)
	}
	if s.store.adopted() {
		t.Error("another process is taken for the store's")
	}
}

// A process of the store that no state tells of, because the supervisor was killed before it could write
// it down, gets a successor.
func TestStoreThatNobodyKnows(t *testing.T) {
	t.Parallel()
	k := newCluster(t, fakeConfig{})
	l, err := net.Listen("unix", k.dir.Store())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s := k.mustStart(1)
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", s.store.process().PID))
	if err != nil || !strings.HasSuffix(string(line), successor+"\x00") {
		t.Errorf("%q, %v", line, err)
	}
}

// The supervisor replaces its program: its number, the sockets and the workers' children stay.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	k := newCluster(t, fakeConfig{Address: freeAddress(t)})
	cmd := k.fork(2)
	c := k.dial()
	if err := c.Scale(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	before := status(t, c)
	stop := load(k.conf.Address)
	if err := c.Upgrade(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the supervisor has replaced itself", func() bool {
		c, err := socket.Dial(k.dir.Control())
		if err != nil {
			return false
		}
		st, err := c.Status(t.Context())
		return err == nil && st.Started.After(before.Started)
	})
	c = k.dial()
	after := status(t, c)
	if after.PID != before.PID || after.PID != cmd.Process.Pid || len(after.Workers) != 3 {
		t.Errorf("%+v", after)
	}
	for i, w := range after.Workers {
		if w.PID == before.Workers[i].PID || w.State != control.Ready {
			t.Errorf("%+v, was %+v", w, before.Workers[i])
		}
	}
	// Children of the program before are waited for by the new one.
	victim := after.Workers[0].PID
	if err := syscall.Kill(victim, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a killed worker is back, and nothing is left of it", func() bool {
		_, err := os.Stat("/proc/" + instance.Process{PID: victim}.String())
		return os.IsNotExist(err) && len(pids(t, c)) == 3
	})
	if w := status(t, c).Workers[0]; !strings.Contains(w.Why, "killed") {
		t.Errorf("%+v", w)
	}
	if asked, failed, why := stop(); failed > 4 || asked < 20 { // what each of the four had on the victim
		t.Errorf("%d of %d failed: %v", failed, asked, why)
	}
	if err := c.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

func TestUpgradeToNonsense(t *testing.T) {
	t.Parallel()
	k := newCluster(t, fakeConfig{})
	bad := k.file + ".bin"
	if err := os.WriteFile(bad, []byte("#!/bin/false\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	s := k.mustStart(2, func(o *Options) { o.Program = bad })
	before := pids(t, s)
	if err := s.Upgrade(t.Context()); err == nil || !strings.Contains(err.Error(), "the old workers serve on") {
		t.Error(err)
	}
	if now := pids(t, s); !slices.Equal(now, before) {
		t.Errorf("%v, were %v", now, before)
	}
	if err := os.Chmod(bad, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Upgrade(t.Context()); err == nil || !strings.Contains(err.Error(), "no program") {
		t.Error(err)
	}
	if err := s.Restart(t.Context()); err != nil { // the program that runs is not that on disk
		t.Error(err)
	}
}
