package main

import (
	"io"
	"net/http"
	"sync"
	"testing"
	"time"
)

// testPacer is to send at a rate over so many connections.
func testPacer(t *testing.T, conns int, rate float64, handler http.HandlerFunc) *pacer {
	t.Helper()
	l := testLoader(t, handler, request{Method: "GET", Path: "/"}, ok(5))
	if err := l.connect(conns); err != nil {
		t.Fatal(err)
	}
	return newPacer(l, rate)
}

// Two connections wait while the service stalls. Those are fewer than one in a
// hundred of all requests, but those that were due meanwhile are many more.
func TestPacerChargesForAStall(t *testing.T) {
	const stall = 100 * time.Millisecond
	var mu sync.Mutex
	served := 0
	p := testPacer(t, 2, 500, func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if served++; served == 100 {
			time.Sleep(stall)
		}
		_, _ = io.WriteString(w, "hello")
	})
	if err := p.run(600 * time.Millisecond); err != nil {
		t.Fatal(err)
	}
	w, err := p.window()
	if err != nil {
		t.Fatal(err)
	}
	p.describe(&w)
	if int64(served) != w.Requests || w.Requests+w.Behind != 300 {
		t.Errorf("%d requests served, %d counted, %d given up, want 300 in all", served, w.Requests, w.Behind)
	}
	if least := stall * 9 / 10; w.P99 < least || w.P999 < w.P99 || w.P50 > w.P99 {
		t.Errorf("p50 %v, p99 %v, p99.9 %v, want a p99 of at least %v", w.P50, w.P99, w.P999, least)
	}
}

// Who can't keep up is charged for the requests that could not be sent.
func TestPacerGivesUp(t *testing.T) {
	leave := make(chan struct{})
	time.AfterFunc(300*time.Millisecond, func() { close(leave) })
	p := testPacer(t, 1, 100, func(w http.ResponseWriter, _ *http.Request) {
		<-leave
		_, _ = io.WriteString(w, "hello")
	})
	if err := p.run(200 * time.Millisecond); err != nil {
		t.Fatal(err)
	}
	w, err := p.window()
	if err != nil {
		t.Fatal(err)
	}
	p.describe(&w)
	if w.Requests != 1 || w.Behind != 19 {
		t.Errorf("%d requests answered, %d given up, want 1 and 19", w.Requests, w.Behind)
	}
	if w.P50 < 80*time.Millisecond { // those that wait were due 10 to 190 ms before the end
		t.Errorf("p50 is %v: who waits in vain counts as fast", w.P50)
	}
	if p.behind != 0 || p.late.total != 0 {
		t.Error("the next round begins with what this one left")
	}
}

// Every request is sent at its time, neither earlier nor all at once.
func TestPacerKeepsItsSchedule(t *testing.T) {
	var mu sync.Mutex
	var at []time.Time
	p := testPacer(t, 4, 100, func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		at = append(at, time.Now())
		mu.Unlock()
		_, _ = io.WriteString(w, "hello")
	})
	begin := time.Now()
	if err := p.run(200 * time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if len(at) != 20 {
		t.Fatalf("%d requests in 200 ms, want 20", len(at))
	}
	for i, when := range at {
		if due := time.Duration(i) * 10 * time.Millisecond; when.Sub(begin) < due {
			t.Errorf("request %d came after %v, before it was due at %v", i, when.Sub(begin), due)
		}
	}
}
