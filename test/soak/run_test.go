//go:build linux

package soak

import (
	"os"
	"syscall"
	"testing"
	"time"

	"yett/internal/control"
)

// Two configurations take turns while everything is used, by the verb and by the signal.
func TestReloadsOfOneProcess(t *testing.T) {
	g := newGateway(t)
	cmd := g.run()
	l := g.startLoad()
	time.Sleep(500 * time.Millisecond)
	before := sizeOf(t, cmd.Process.Pid)
	begun := time.Now()
	n := times(30, 1000)
	for i := range n {
		want := "odd"
		if i%2 == 1 {
			want = "even"
		}
		g.write(map[string]string{"odd": odd, "even": even}[want])
		if i%4 < 2 {
			g.must("reload", "a")
		} else if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		g.eventually("the configuration runs", func() bool { _, body, err := g.get("/version"); return err == nil && body == want })
		if i == n/10 {
			before = sizeOf(t, cmd.Process.Pid) // once everything has been used
		}
	}
	took, after := time.Since(begun), sizeOf(t, cmd.Process.Pid)
	t.Logf("%d reloads in %v: %s before, %s after", n, took, before, after)
	l.done()
	checkSize(t, before, after)
}

// checkSize fails when a process has grown by more than its use at a moment explains.
func checkSize(t *testing.T, before, after size) {
	t.Helper()
	if after.files > before.files+15 || after.threads > before.threads+8 || after.memory > before.memory*3/2+20e6 {
		t.Errorf("it has grown: %s before, %s after", before, after)
	}
}

// One process after the other takes its place while everything is used.
func TestUpgradesOfOneProcess(t *testing.T) {
	g := newGateway(t)
	cmd := g.run()
	l := g.startLoad()
	l.replaced.Store(true)
	time.Sleep(200 * time.Millisecond)
	pid := cmd.Process.Pid
	before := sizeOf(t, pid)
	n := times(3, 20)
	for i := range n {
		if i%2 == 0 {
			g.must("upgrade", "a")
		} else if err := syscall.Kill(pid, syscall.SIGUSR2); err != nil {
			t.Fatal(err)
		}
		old := pid
		g.eventually("another process answers", func() bool {
			st, err := g.status()
			pid = st.PID
			return err == nil && st.State == control.Ready && pid != old
		})
	}
	t.Logf("%d upgrades: %s before, %s after", n, before, sizeOf(t, pid))
	g.eventually("a tunnel is told to go away", func() bool { return l.toldAway() > 0 })
	l.done()
	g.must("stop", "a")
	if left := g.processes(); len(left) > 0 {
		t.Errorf("processes are left: %v", left)
	}
	if _, err := os.Stat(g.dir + "/control.sock"); err == nil {
		t.Error("the control socket is left")
	}
}
