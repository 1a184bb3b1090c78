package redis

import (
	"encoding/binary"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"yett/internal/store"
	"yett/internal/store/redis/redistest"
	"yett/internal/store/storetest"
)

func sliding(limit int64, window time.Duration) store.Rule {
	return store.Rule{Algorithm: store.SlidingWindow, Limit: limit, Window: window}
}

// driven opens a store whose clock stands, but for what at makes it.
func driven(t *testing.T, o Options) (s *Store, at func(time.Time)) {
	var now atomic.Int64
	o.Timeout, o.clock = 10*time.Second, func() time.Time { return time.UnixMicro(now.Load()) }
	return open(t, o), func(to time.Time) { now.Store(to.UnixMicro()) }
}

func TestTakes(t *testing.T) {
	server := redistest.Start(t)
	storetest.Takes(t, func(t *testing.T) (store.Store, func(time.Time)) {
		server.Do("FLUSHALL")
		return driven(t, Options{Address: server.Address, Prefix: "test:"})
	})
}

// take takes once with a store that has to be there.
func take(t testing.TB, s *Store, tk store.Take) store.Take {
	t.Helper()
	takes := []store.Take{tk}
	if err := s.Take(t.Context(), time.Now(), takes); err != nil {
		t.Fatal(err)
	}
	return takes[0]
}

// A key ends when nothing of it counts any more, and is not there before or after.
// Only what is counted writes.
func TestTakesOnTheServer(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, Options{Address: server.Address, Prefix: "gate:", Timeout: time.Second})
	for algorithm, rule := range map[string]store.Rule{
		"sliding": {Algorithm: store.SlidingWindow, Limit: 2, Window: 10 * time.Second},
		"fixed":   {Algorithm: store.FixedWindow, Limit: 2, Window: 10 * time.Second},
		"bucket":  {Algorithm: store.TokenBucket, Limit: 2, Window: 20 * time.Second, Burst: 2},
	} {
		key := "gate:limit:" + algorithm + ":{key}"
		do := func(action store.Action, cost int64) store.Take {
			return take(t, s, store.Take{Name: algorithm, Key: "key", Rule: rule, Action: action, Cost: cost})
		}
		do(store.Look, 1)
		do(store.Return, 1)
		if got := server.Do("EXISTS", key)[0]; got != ":0" {
			t.Errorf("%s: who looks makes a key", algorithm)
		}
		if got := do(store.Spend, 1); got.Left != 1 || got.More > 10*time.Second || got.More < 9*time.Second {
			t.Errorf("%s: %+v", algorithm, got)
		}
		left, err := strconv.Atoi(server.Do("PTTL", key)[0][1:])
		if err != nil || left > 10_000 || left < 9_000 {
			t.Errorf("%s: it ends after %d ms", algorithm, left)
		}
		server.Do("PEXPIRE", key, "100000") // so that a write would be seen
		for range 3 {
			do(store.Look, 2)
			if do(store.Spend, 2).Fits {
				t.Errorf("%s: more than the limit", algorithm)
			}
		}
		if left, _ := strconv.Atoi(server.Do("PTTL", key)[0][1:]); left < 90_000 {
			t.Errorf("%s: what is refused writes", algorithm)
		}
		if got := do(store.Return, 2); got.Granted > 1 || got.Left != 2 || server.Do("EXISTS", key)[0] != ":0" {
			t.Errorf("%s: after all was given back, it is there: %+v", algorithm, got)
		}
		do(store.Spend, 2)
		if err := s.Forget(t.Context(), algorithm, "key"); err != nil || server.Do("DBSIZE")[0] != ":0" {
			t.Errorf("%s: not forgotten, %v", algorithm, err)
		}
	}
}

// A take ends by the server's clock, exactly when it said.
func TestTakeEnds(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, Options{Address: server.Address, Timeout: time.Second})
	tk := store.Take{Name: "limit", Key: "key", Rule: sliding(1, 50*time.Millisecond), Cost: 1}
	take(t, s, tk)
	begun := time.Now()
	for refused := take(t, s, tk); !refused.Fits; refused = take(t, s, tk) {
		if refused.Wait <= 0 || refused.Wait > 50*time.Millisecond || time.Since(begun) > time.Second {
			t.Fatalf("after %v: %+v", time.Since(begun), refused)
		}
		time.Sleep(refused.Wait)
	}
	if took := time.Since(begun); took < 45*time.Millisecond {
		t.Errorf("it ended after %v", took)
	}
}

// What somebody else has put under a key counts as nothing, and is replaced.
func TestRubbishUnderAKey(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, Options{Address: server.Address, Timeout: time.Second})
	for name, put := range map[string][]string{
		"text": {"SET", "", "rubbish"}, "empty": {"SET", "", ""}, "long": {"SET", "", strings.Repeat("\x00", 28)}, "wide": {"SET", "", "\x0c" + strings.Repeat("x", 26)},
		"header alone": {"SET", "", strings.Repeat("\x00", 17)}, "list": {"RPUSH", "", "a"},
	} {
		put[1] = "limit:limit:{" + name + "}"
		server.Do(put...)
		if left := spend(t, s, name); left != 999 {
			t.Errorf("%s: %d are left", name, left)
		}
		if left := spend(t, s, name); left != 998 {
			t.Errorf("%s: then %d are left", name, left)
		}
	}
}

// A state of which the parts contradict each other does not keep the server busy for
// ever.
func TestContradictoryState(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, Options{Address: server.Address, Timeout: time.Second})
	state := binary.LittleEndian.AppendUint64([]byte{0}, math.Float64bits(100))
	now := math.Float64bits(float64(time.Now().UnixMicro()))
	state = binary.LittleEndian.AppendUint64(state, now)
	state = binary.LittleEndian.AppendUint16(binary.LittleEndian.AppendUint64(state, now), 1)
	server.Do("SET", "limit:limit:{key}", string(state))
	if got := take(t, s, store.Take{Name: "limit", Key: "key", Rule: sliding(1000, hour), Action: store.Return, Cost: 50}); got.Left != 950 {
		t.Errorf("%+v", got)
	}
	server.Do("SET", "limit:limit:{key}", string(binary.LittleEndian.AppendUint64([]byte{2}, math.Float64bits(math.NaN())))+strings.Repeat("\x00", 8))
	if got := take(t, s, store.Take{Name: "limit", Key: "key", Rule: store.Rule{Algorithm: store.TokenBucket, Limit: 10, Burst: 10, Window: hour}, Cost: 1}); got.Left != 9 {
		t.Errorf("%+v", got)
	}
}

// An entry that grows in a call, beyond what its number holds, and is followed by another
// one is kept whole.
func TestEntryGrowsWide(t *testing.T) {
	s, at := driven(t, Options{Address: redistest.Start(t).Address})
	now := time.Now()
	at(now)
	charge := store.Take{Name: "limit", Key: "key", Rule: sliding(60, hour), Action: store.Charge, Cost: 60}
	calls := func(n int) []store.Take { return slices.Repeat([]store.Take{charge}, n) }
	for range 65 {
		if err := s.Take(t.Context(), time.Now(), calls(16)); err != nil {
			t.Fatal(err)
		}
	}
	last := calls(100) // 69,000 with the 63,000 that are there
	last = append(last, charge, store.Take{Name: "limit", Key: "key", Rule: charge.Rule, Action: store.Spend, Cost: 60})
	last[100].Ahead, last[100].Cost = time.Minute, 1
	if err := s.Take(t.Context(), time.Now(), last); err != nil {
		t.Fatal(err)
	}
	if got := last[101]; got.Fits || got.Wait != hour+time.Minute {
		t.Errorf("after the last of all: %+v", got)
	}
	back := take(t, s, store.Take{Name: "limit", Key: "key", Rule: charge.Rule, Action: store.Return, Cost: 1})
	if back = take(t, s, store.Take{Name: "limit", Key: "key", Rule: charge.Rule, Action: store.Return, Cost: 68_350}); back.Left != 10 {
		t.Errorf("50 are counted, and %d are left", back.Left)
	}
	at(now.Add(hour))
	if look := take(t, s, store.Take{Name: "limit", Key: "key", Rule: charge.Rule, Action: store.Look, Cost: 1}); look.Left != 60 {
		t.Errorf("an hour later: %+v", look)
	}
}

// What the arithmetic can't do is refused before it is sent.
func TestNonsense(t *testing.T) {
	s := open(t, Options{Address: redistest.Start(t).Address})
	good := store.Take{Name: "limit", Rule: sliding(1, time.Second), Cost: 1}
	for _, change := range []func(*store.Take){
		func(t *store.Take) { t.Rule.Limit = 0 },
		func(t *store.Take) { t.Rule.Window = 0 },
		func(t *store.Take) { t.Cost = 0 },
		func(t *store.Take) { t.Rule.Algorithm = 3 },
		func(t *store.Take) { t.Action = 4 },
	} {
		bad := good
		change(&bad)
		if err := s.Take(t.Context(), time.Now(), []store.Take{good, bad}); err == nil || !strings.Contains(err.Error(), "limit") {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	if err := s.Take(t.Context(), time.Now(), make([]store.Take, maxTakes+1)); err == nil {
		t.Error("a call has too many takes")
	}
	if err := s.Take(t.Context(), time.Now(), nil); err != nil {
		t.Error(err)
	}
}

// How much memory a server needs for a caller.
func TestMemory(t *testing.T) {
	server := redistest.Start(t)
	s, at := driven(t, Options{Address: server.Address, Prefix: "yett:"})
	now := time.Now()
	for _, test := range []struct {
		name  string
		rule  store.Rule
		cost  int64
		calls int
		most  int
	}{
		{"once", sliding(1000, hour), 1, 1, 200},
		{"ten", sliding(1000, hour), 1, 10, 300},
		{"full", sliding(1000, hour), 1, 1000, 900},
		{"full-and-wide", sliding(1e9, hour), 1e6, 1000, 1100},
		{"fixed", store.Rule{Algorithm: store.FixedWindow, Limit: 1000, Window: hour}, 1, 1000, 200},
		{"bucket", store.Rule{Algorithm: store.TokenBucket, Limit: 1000, Window: hour, Burst: 1000}, 1, 1000, 200},
	} {
		for i := range test.calls {
			at(now.Add(time.Duration(i) * 3 * time.Second))
			take(t, s, store.Take{Name: test.name, Key: "user:0123456789", Rule: test.rule, Cost: test.cost, Action: store.Charge})
		}
		key := "yett:limit:" + test.name + ":{user:0123456789}"
		bytes, err := strconv.Atoi(server.Do("MEMORY", "USAGE", key)[0][1:])
		t.Logf("%s: %d bytes, %s of them its value", test.name, bytes, server.Do("STRLEN", key)[0][1:])
		if err != nil || bytes > test.most {
			t.Errorf("%s takes %d bytes, %v", test.name, bytes, err)
		}
	}
}

// BenchmarkTake tells beside the time what the gateway's side costs, which is the
// same on a busy machine.
func BenchmarkTake(b *testing.B) {
	server := redistest.Start(b)
	s := open(b, Options{Address: server.Address, Timeout: time.Second})
	var keys [1024]string
	for i := range keys {
		keys[i] = fmt.Sprintf("user:%016d", i)
	}
	call := func(i int64, takes []store.Take) {
		for j := range takes {
			takes[j] = store.Take{Name: "limit", Key: keys[(i*7+int64(j)*13)%1024], Rule: sliding(1000, time.Minute), Cost: 1}
		}
		if err := s.Take(b.Context(), time.Time{}, takes); err != nil {
			b.Error(err)
		}
	}
	for _, n := range []int{1, 3} {
		for _, callers := range []int{1, 64} {
			b.Run(fmt.Sprintf("takes=%d/callers=%d", n, callers), func(b *testing.B) {
				b.ReportAllocs()
				begun := processorTime()
				if callers == 1 {
					takes := make([]store.Take, n)
					for i := int64(0); b.Loop(); i++ {
						call(i, takes)
					}
				} else {
					b.SetParallelism(callers / runtime.GOMAXPROCS(0))
					var next atomic.Int64
					b.RunParallel(func(p *testing.PB) {
						takes := make([]store.Take, n)
						for p.Next() {
							call(next.Add(1), takes)
						}
					})
				}
				b.ReportMetric(float64(processorTime()-begun)/float64(b.N), "cpu-ns/op")
			})
		}
	}
}

// processorTime is what this process has used, in nanoseconds.
func processorTime() int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return u.Utime.Nano() + u.Stime.Nano()
}
