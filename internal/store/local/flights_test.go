package local

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func enter(t *testing.T, s *Store, key string, limit int64) bool {
	t.Helper()
	ok, left, err := s.Enter(t.Context(), "limit", key, limit)
	if err != nil {
		t.Error(err)
	}
	if left < 0 || !ok && left > 0 {
		t.Errorf("%v, with %d left", ok, left)
	}
	return ok
}

// untilEnter waits until there is a place: others leave without waiting.
func untilEnter(t *testing.T, s *Store, key string, limit int64, want bool) {
	t.Helper()
	for until := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		if ok := enter(t, s, key, limit); ok == want {
			return
		} else if ok {
			s.Leave("limit", key)
		}
		if time.Now().After(until) {
			t.Fatalf("it never is %v", want)
		}
	}
}

// What runs is counted for all processes together, each key for itself.
func TestFlights(t *testing.T) {
	path, _, server := serveHere(t, time.Now)
	one, two := open(t, path), open(t, path)
	if !enter(t, one, "a", 2) || !enter(t, two, "a", 2) || enter(t, one, "a", 2) || enter(t, two, "a", 2) || !enter(t, two, "b", 1) || enter(t, one, "c", 0) {
		t.Error("two may run")
	}
	one.Leave("limit", "a")
	one.Leave("limit", "a") // which takes nothing from the other
	one.Leave("limit", "b")
	untilEnter(t, one, "a", 2, true)
	if enter(t, two, "a", 2) || enter(t, one, "b", 1) {
		t.Error("one has left, and two places are free")
	}
	var running, most atomic.Int64
	var wg sync.WaitGroup
	for i := range 32 {
		s := []*Store{one, two}[i%2]
		wg.Go(func() {
			for range 200 {
				if !enter(t, s, "many", 5) {
					continue
				}
				n := running.Add(1)
				for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
				}
				running.Add(-1)
				s.Leave("limit", "many")
			}
		})
	}
	wg.Wait()
	if most.Load() > 5 || most.Load() < 1 {
		t.Errorf("up to %d ran", most.Load())
	}
	one.Close()
	untilEnter(t, two, "a", 2, true) // what a process holds ends with it
	two.Close()
	for until := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		server.flights.mu.Lock()
		n := len(server.flights.total)
		server.flights.mu.Unlock()
		if n == 0 {
			break
		}
		if time.Now().After(until) {
			t.Fatalf("of %d keys something runs", n)
		}
	}
}

// What runs is known to a server that was killed and started again, and to a successor; so is
// what has ended meanwhile.
func TestFlightsOutliveTheServer(t *testing.T) {
	p := start(t, "", false)
	one, two := open(t, p.path), open(t, p.path)
	for range 3 {
		enter(t, one, "a", 6)
		enter(t, two, "a", 6)
	}
	for _, replace := range []func(){
		func() {
			p.Kill()
			one.Leave("limit", "a")
			p = start(t, p.path, false)
		},
		func() {
			next := start(t, p.path, true)
			_ = p.cmd.Wait()
			p = next
		},
	} {
		replace()
		waitUp(t, one)
		waitUp(t, two)
		untilEnter(t, one, "a", 5, false) // 5 run, of 6 before
		untilEnter(t, two, "a", 5, false)
		for i := range 2 {
			if enter(t, one, fmt.Sprint("other", i, p.cmd.Process.Pid), 1) != true {
				t.Error("another key is full")
			}
		}
	}
	two.Leave("limit", "a")
	untilEnter(t, one, "a", 5, true)
}

// A place that came too late for who asked is given back.
func TestLateFlight(t *testing.T) {
	p := start(t, "", false)
	s := openWith(t, Options{Path: p.path, Timeout: 20 * time.Millisecond})
	p.Pause()
	if _, _, err := s.Enter(t.Context(), "limit", "a", 1); err == nil {
		t.Error("a server that is stopped gives places")
	}
	p.Resume()
	patient := open(t, p.path)
	untilEnter(t, patient, "a", 1, true)
}
