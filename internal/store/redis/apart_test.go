package redis

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"yett/internal/store/redis/redistest"
)

// Whatever becomes of calls, with connections that break and a server that stands still while many of
// them are on their way: each is counted under its own keys, all of it, at most once, and nothing under
// others. Memory that is used again too early would show here.
func TestCallsStayApart(t *testing.T) {
	const callers, times, faults = 24, 200, 12
	server := redistest.Start(t)
	s := open(t, Options{Address: server.Address, Prefix: "apart:", Timeout: 8 * time.Millisecond})
	var calls atomic.Int64
	var done [callers]int64
	var running sync.WaitGroup
	for i := range callers {
		running.Go(func() {
			for range times {
				if s.Take(t.Context(), time.Time{}, three(callerOf(i))) == nil {
					done[i]++
				}
				calls.Add(1)
			}
		})
	}
	running.Go(func() {
		for fault := range faults {
			for calls.Load() < int64(fault)*callers*times/faults {
				runtime.Gosched()
			}
			if fault%2 == 0 {
				server.Do("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
			} else {
				server.Do("CLIENT", "PAUSE", "20", "ALL")
			}
		}
	})
	running.Wait()
	patient := open(t, Options{Address: server.Address, Prefix: "apart:", Timeout: 10 * time.Second})
	succeeded := int64(0)
	for i := range callers {
		takes := three(callerOf(i))
		if err := patient.Take(t.Context(), time.Time{}, takes); err != nil {
			t.Fatal(err)
		}
		succeeded += done[i]
		for _, take := range takes {
			if counted := take.Rule.Limit - take.Left - 1; counted < done[i] || counted > times || take.Left != takes[0].Left {
				t.Errorf("caller %d: limit %s has counted %d, %d of %d calls have succeeded, and %d are left of the first", i, take.Name, counted, done[i], times, takes[0].Left)
			}
		}
	}
	if succeeded == 0 || succeeded == callers*times {
		t.Errorf("%d of %d calls have succeeded: the test proves nothing", succeeded, callers*times)
	}
	if got, want := server.Do("DBSIZE")[0], fmt.Sprintf(":%d", 3*callers); got != want {
		t.Errorf("the server has %s keys, want %s", got, want)
	}
}

// callerOf returns a key whose length depends on i, so that no two have the same place in reused memory.
func callerOf(i int) string { return strings.Repeat("x", i) + "user:" + string(rune('A'+i)) }
