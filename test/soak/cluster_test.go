//go:build linux

package soak

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"yett/internal/control"
)

// Everything that an operator does to a cluster, and nobody notices.
func TestClusterUnderLoad(t *testing.T) {
	g := newGateway(t).start(2)
	supervisor := g.mustStatus().PID
	before := sizeOf(t, supervisor)
	l := g.startLoad()
	time.Sleep(300 * time.Millisecond)
	n := times(6, 1000)
	begun := time.Now()
	for i := range n {
		want := []string{"odd", "even"}[i%2]
		g.write(map[string]string{"odd": odd, "even": even}[want])
		if i%2 == 0 {
			g.must("reload", "a")
			g.want("/version", want)
			continue
		}
		if err := syscall.Kill(supervisor, syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		g.eventually("both run it", func() bool { return g.agree(want) })
	}
	t.Logf("%d reloads in %v", n, time.Since(begun))
	l.none("after reloads")
	l.replaced.Store(true)
	for _, verb := range []struct {
		n    int
		args []string
	}{
		{times(1, 20), []string{"restart", "a"}},
		{times(2, 20), []string{"upgrade", "a"}},
		{times(1, 5), []string{"scale", "4", "a"}},
		{1, []string{"scale", "1", "a"}},
		{1, []string{"scale", "2", "a"}},
	} {
		var longest time.Duration
		for range verb.n {
			longest = max(longest, g.must(verb.args...).took)
		}
		t.Logf("%d × %v, the longest took %v", verb.n, verb.args, longest)
		l.none(fmt.Sprintf("after %v", verb.args))
	}
	st := g.mustStatus()
	if len(g.workers()) != 2 || st.PID != supervisor {
		t.Errorf("%+v", st)
	}
	after := sizeOf(t, supervisor)
	t.Logf("supervisor: %s before, %s after", before, after)
	l.done()
	checkSize(t, before, after)
	g.must("stop", "a")
	if left := g.processes(); len(left) > 0 {
		t.Errorf("processes are left: %v", left)
	}
}

// agree tells whether several connections in a row get an answer.
func (g *gateway) agree(body string) bool {
	for range 12 {
		if _, got, err := g.get("/version"); err != nil || got != body {
			return false
		}
	}
	return true
}

// A worker that is killed takes along what runs on it, and nothing else.
func TestKilledWorkers(t *testing.T) {
	g := newGateway(t).start(2)
	l := g.startLoad()
	l.replaced.Store(true)
	time.Sleep(300 * time.Millisecond)
	var took []time.Duration
	for i := range times(2, 10) {
		g.must("restart", "a") // else the pause grows, as with one that crashes again and again
		pids := []int{g.busiest()}
		connections := connectionsOf(g, pids[0])
		if err := syscall.Kill(pids[0], syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		g.eventually("two workers are ready again", func() bool {
			now := g.workers()
			return len(now) == 2 && !slices.Contains(now, pids[0])
		})
		took = append(took, time.Since(begun))
		failed := l.failures()
		t.Logf("kill %d: %d failed, %d connections were on it, ready after %v", i+1, len(failed), connections, took[i])
		// A client may connect between the count and the end.
		if len(failed) > connections+4 {
			l.none("more failed than ran on it")
		}
		l.mu.Lock()
		l.failed = nil
		l.mu.Unlock()
		time.Sleep(300 * time.Millisecond)
		l.none("later")
	}
	slices.Sort(took)
	t.Logf("ready again after a median of %v, at most %v", took[len(took)/2], took[len(took)-1])
	if full && took[len(took)/2] > 2*time.Second {
		t.Error("that is too long")
	}
	l.done()
}

// busiest is the number of the worker with most connections.
func (g *gateway) busiest() int {
	return slices.MaxFunc(g.mustStatus().Workers, func(a, b control.Worker) int { return a.Connections - b.Connections }).PID
}

func connectionsOf(g *gateway, pid int) int {
	for _, w := range g.mustStatus().Workers {
		if w.PID == pid {
			return w.Connections
		}
	}
	return 0
}

// Nobody needs the supervisor, or the store, to be served.
func TestKilledSupervisorAndStore(t *testing.T) {
	g := newGateway(t).start(2)
	l := g.startLoad()
	l.replaced.Store(true)
	time.Sleep(200 * time.Millisecond)
	workers, supervisor, store := g.workers(), g.mustStatus().PID, g.storePID()

	if err := syscall.Kill(supervisor, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	time.Sleep(300 * time.Millisecond)
	l.none("after the supervisor was killed")
	r := g.do("status", "a")
	t.Logf("without a supervisor: %s", r)
	g.start(2)
	if now := g.workers(); !slices.Equal(now, workers) {
		t.Errorf("the workers were %v, and are %v", workers, now)
	}
	if g.storePID() != store {
		t.Error("the store was not adopted")
	}
	g.must("restart", "a")
	l.none("after the new supervisor restarted")
	if now := g.workers(); len(now) != 2 || slices.Contains(now, workers[0]) {
		t.Errorf("the workers were %v, and are %v", workers, now)
	}

	g.limit("before the store is killed", 50, 50)
	if err := syscall.Kill(store, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if status, _, err := g.get("/limited"); err != nil || status != 200 && status != 429 {
		t.Errorf("without the store: %d, %v", status, err)
	}
	g.eventually("another store is there", func() bool {
		for pid, words := range g.processes() {
			if slices.Contains(words, "store-server") && pid != store {
				return true
			}
		}
		return false
	})
	l.none("after the store was killed")
	l.done()
}

// limit asks a number of times at once, and tells how many passed. most is how many may, and
// least how many have to.
func (g *gateway) limit(when string, n, most int) int {
	g.t.Helper()
	var passed, refused atomic.Int32
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			switch status, _, err := g.get("/limited"); {
			case err != nil:
				g.t.Errorf("%s: %v", when, err)
			case status == http.StatusOK:
				passed.Add(1)
			case status == http.StatusTooManyRequests:
				refused.Add(1)
			default:
				g.t.Errorf("%s: status %d", when, status)
			}
		})
	}
	all.Wait()
	g.t.Logf("%s: %d passed, %d refused", when, passed.Load(), refused.Load())
	if int(passed.Load()) > most {
		g.t.Errorf("%s: %d passed, at most %d may", when, passed.Load(), most)
	}
	return int(passed.Load())
}

// What workers count together stays counted when they, and everything else, are replaced.
func TestLimitsOfCluster(t *testing.T) {
	g := newGateway(t).start(2)
	if passed := g.limit("two workers", 200, 100); passed != 100 {
		t.Errorf("%d passed of 100", passed)
	}
	g.must("restart", "a")
	g.limit("after a restart", 100, 2) // a sliding window lets some pass again in time
	g.must("upgrade", "a")
	g.limit("after an upgrade", 100, 2)
	g.must("scale", "4", "a")
	g.limit("with four workers", 100, 4)
	if err := syscall.Kill(g.mustStatus().PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	g.limit("without a supervisor", 100, 4)
	g.start(4)
	g.limit("with another supervisor", 100, 4)
}

// A worker that hangs for a while keeps those waiting that it has, and nobody else.
func TestStoppedWorker(t *testing.T) {
	g := newGateway(t).start(2)
	l := g.startLoad()
	l.replaced.Store(true)
	time.Sleep(200 * time.Millisecond)
	pid := g.workers()[0]
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	long := time.Duration(times(1, 5)) * time.Second
	slow, end, n := time.Duration(0), time.Now().Add(long), 0
	for ; time.Now().Before(end); n++ {
		begun := time.Now()
		if status, _, err := g.get("/x"); err != nil || status != 200 {
			t.Errorf("status %d, %v", status, err)
		}
		slow = max(slow, time.Since(begun))
	}
	st := g.mustStatus()
	if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d new connections meanwhile, the slowest took %v; status said %+v", n, slow, st.Workers)
	time.Sleep(500 * time.Millisecond)
	l.done()
	if len(g.workers()) != 2 {
		t.Errorf("%+v", g.mustStatus().Workers)
	}
}

// Killing everything at once leaves nothing in the way of a start.
func TestKilledAll(t *testing.T) {
	g := newGateway(t).start(2)
	for range times(1, 5) {
		g.killAll()
		g.eventually("all have ended", func() bool { return len(g.processes()) == 0 })
		r := g.do("status", "a")
		t.Logf("all dead: %s", r)
		g.start(2)
		g.want("/version", "even")
		if st := g.mustStatus(); st.State != control.Ready || len(g.workers()) != 2 {
			t.Errorf("%+v", st)
		}
	}
}
