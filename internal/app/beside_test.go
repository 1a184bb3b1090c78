package app

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"yett/internal/store/redis/redistest"
)

// beside starts two workers of this node and one of another, by a store that all nodes share, and
// returns their logs.
func (w *workers) beside(server *redistest.Server, other string) (logs []*output) {
	w.t.Helper()
	for _, socket := range []string{w.socket, w.socket, other} {
		log := new(output)
		o := workerOptions(socket, w.server.URL, true, patient, log)
		o.Source = bytes.Replace(o.Source, []byte("redis: {"), fmt.Appendf(nil, "redis: {host: 127.0.0.1, port: %d, ", server.Port), 1)
		a, err := New(o)
		if err != nil {
			w.t.Fatal(err)
		}
		start(w.t, a)
		w.apps, w.urls, logs = append(w.apps, a), append(w.urls, "http://"+a.Addr(0).String()), append(logs, log)
	}
	return logs
}

// With Redis too, two workers are one node: its breakers, and what runs at once. Other nodes have
// the breakers that are shared, and none of the others.
func TestWorkersAreOneNodeBesideRedis(t *testing.T) {
	w, other := newWorkers(t), newWorkers(t)
	w.beside(redistest.Start(t), other.socket)
	w.runsOne()
	w.breaks()
	for range 5 {
		w.ask(0, "/both", "")
	}
	for worker := range 3 {
		w.until(worker, "/both", "", 503)
	}
	// What was told of the first breaker was told before.
	if status, _ := w.ask(2, "/", ""); status != 500 {
		t.Errorf("a breaker that is not shared is open on another node, which answers %d", status)
	}
}

// The store of the workers is killed: they go on, each by itself, and say so once. The store of
// the nodes is there all the time.
func TestWorkersGoOnBesideRedis(t *testing.T) {
	w, other := newWorkers(t), newWorkers(t)
	logs := w.beside(redistest.Start(t), other.socket)
	said := func(what string) {
		t.Helper()
		for deadline := time.Now().Add(10 * time.Second); strings.Count(logs[0].String(), what) == 0 || strings.Count(logs[1].String(), what) == 0; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("nobody says %q:\n%s", what, logs[0])
			}
		}
	}
	var running sync.WaitGroup
	var ends []chan struct{}
	slow := func(worker int) {
		running.Go(func() { w.ask(worker, "/slow", "") })
		ends = append(ends, <-w.inside)
	}
	slow(0)
	w.store.kill()
	said("this worker goes on by itself")
	slow(1)
	w.fails.Store(true)
	for range 5 {
		w.ask(0, "/", "")
	}
	w.until(0, "/", "", 503)
	w.fails.Store(false)
	if status, _ := w.ask(1, "/", ""); status != 200 {
		t.Errorf("the other worker answers %d", status)
	}
	if st := w.apps[0].Store(); st.Lost || st.Name != "redis" {
		t.Errorf("the store of the nodes: %+v", st)
	}
	w.store = act(t, "store", w.socket, "")
	said("one with the node's others again")
	w.until(1, "/", "", 503) // it is told what it has missed
	close(ends[1])
	w.until(1, "/slow", "", 429) // what still runs on the other one is known
	close(ends[0])
	running.Wait()
	for _, log := range logs[:2] {
		if text := log.String(); strings.Count(text, "goes on by itself") != 1 || strings.Count(text, "others again") != 1 || strings.Contains(text, "the store is lost") {
			t.Errorf("the log says\n%s", text)
		}
	}
	if strings.Contains(logs[2].String(), "goes on by itself") {
		t.Errorf("another node's log says\n%s", logs[2])
	}
}

// No worker waits for the store beside Redis: without, it starts and says so once.
func TestWorkerStartsWithoutTheStoreBesideRedis(t *testing.T) {
	w, other := newWorkers(t), newWorkers(t)
	w.store.kill()
	logs := w.beside(redistest.Start(t), other.socket)
	if status, _ := w.ask(0, "/", ""); status != 200 {
		t.Errorf("it answers %d", status)
	}
	if text := logs[0].String(); strings.Count(text, "goes on by itself") != 1 || !strings.Contains(text, "the store of this gateway's workers at "+w.socket) {
		t.Errorf("the log says\n%s", text)
	}
	w.store = act(t, "store", w.socket, "")
	w.fails.Store(true)
	for range 5 {
		w.ask(0, "/", "")
	}
	w.until(1, "/", "", 503)
}
